"""wse/start.py and wse/signals.py: how a command's process ends, whatever signal arrives and whatever is closed."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from documents import PACKAGES, ROOT

import wse
import wse.start

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# `wse` with the function `job` in the place of the command `isa`.
START = """
import os, signal, sys, time
import click, wse.cli
from wse import signals
wse.cli.main.load = lambda name: click.Command(name, callback=job)
sys.argv[1:] = ["isa"]
from wse.start import wse
wse()
"""
RUNS_FOR_EVER = """
def job():
    import wse
    program = wse.Program(1, 1)
    pe = program.pe_class("pe")
    pe.code("main: jmp main")
    pe.local_task("main", 9, active=True)
    program.place(pe)
    fabric = wse.Fabric(program)
    fabric.run(max_cycles=10)
    print("ready", flush=True)
    run = fabric.run()
    print("cycles", run.cycles)
"""


def python(*arguments, shell='exec "$@"', **options):
    """A process of Python with the wse that is tested; signals have their default actions in it."""
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}

    def default():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    line = ["bash", "-c", shell, "bash", sys.executable, "-P", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(line, env=environment, preexec_fn=default, **pipes | options)


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_run_with_its_status_and_no_figure(number):
    process = python("-c", RUNS_FOR_EVER + START)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert ended(process) == (128 + number, "", "error: interrupted; no file was written\n")


def test_a_signal_of_which_a_library_makes_another_exception():
    job = """
def job():
    try:
        signal.raise_signal(signal.SIGTERM)
    except BaseException as error:
        raise RuntimeError("something failed") from error
"""
    assert ended(python("-c", job + START)) == (143, "", "error: interrupted; no file was written\n")


def test_a_signal_that_was_ignored_from_the_start_stays_ignored():
    job = """
def job():
    for number in signals.SIGNALS:
        signal.raise_signal(number)
    print("done")
"""
    process = python("-c", job + START, shell="trap '' INT TERM HUP; exec \"$@\"")
    assert ended(process) == (0, "done\n", "")


def test_a_signal_during_the_start_ends_the_process_at_once():
    code = (
        "import os, signal; from wse import signals; signals.install(); os.kill(os.getpid(), signal.SIGTERM); print(1)"
    )
    assert ended(python("-c", code)) == (143, "", "error: interrupted\n")


def test_a_signal_after_the_end_is_silent():
    job = """
def job():
    import atexit
    atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
    print("done")
"""
    status, out, err = ended(python("-c", job + START))
    assert (status, err) == (130, "")


def test_a_signal_is_not_lost_where_its_exception_is_swallowed():
    job = """
class Swallows:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
def job():
    Swallows()
"""
    status, out, err = ended(python("-c", job + START))
    assert status == 143 and err.endswith("error: interrupted; no file was written\n")


def test_cleaning_up_is_not_cut_off():
    job = """
def job():
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        with signals.held():
            signal.raise_signal(signal.SIGTERM)
            print("clean")
        print("not reached")
"""
    assert ended(python("-c", job + START)) == (143, "clean\n", "error: interrupted; no file was written\n")


COMMANDS = (
    ["--help"],
    ["isa"],
    ["arch", "--json"],
    ["run", "axpy", "--no-plot"],
    ["run", "axpy", "--json"],
    ["infer"],
    ["map", "nano"],
    ["plot", "none.npz"],
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_error(words, closed, tmp_path):
    status, out, err = ended(python("-m", "wse", *words, shell=f'exec "$@" {closed}', cwd=tmp_path))
    assert status == (2 if words[0] == "plot" else 0), err
    assert "internal" not in err and "Traceback" not in err
    assert ("2>" in closed or words[0] == "plot") or err == ""


def test_output_that_cannot_be_written_is_an_error(tmp_path):
    status, out, err = ended(python("-m", "wse", "run", "axpy", "--json", shell='exec "$@" >/dev/full', cwd=tmp_path))
    assert status == 2 and err.startswith("error: ") and err.endswith("No space left on device\n")


def test_the_names_for_type_checkers_are_the_names():
    import ast

    tree = ast.parse(Path(wse.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    found = {node.module: tuple(sorted(alias.name for alias in node.names)) for node in block.body}
    assert found.pop("typing") == ("Any",)
    assert found == {module: tuple(sorted(names)) for module, names in wse._NAMES.items()}
    assert all(getattr(wse, name) is not None for name in wse.__all__)


def test_importing_wse_loads_nothing_large():
    code = "import sys, wse, wse.signals, wse.start; print(sorted({'numpy', 'click', 'numba'} & set(sys.modules)))"
    assert ended(python("-c", code)) == (0, "[]\n", "")


# Modules that take time to import, and the first of the compiler.  numpy.testing, which host programs use, imports
# importlib.metadata, unittest and email.
LARGE = {
    *(
        "PIL",
        "click",
        "dask",
        "distributed",
        "email",
        "importlib.metadata",
        "llvmlite",
        "matplotlib",
        "multiprocessing",
    ),
    *("numba", "numpy", "numpy.ma", "pyarrow", "scipy", "sklearn", "tomllib", "torch", "unittest"),
    *("wse.csl.compile", "wse.csl.ir.ir", "wse.csl.sema.types", "wse.report.figure"),
}
COMPILER = {"llvmlite", "wse.csl.compile", "wse.csl.ir.ir", "wse.csl.sema.types"}
# `START` of a command that prints which of them it has imported, after the last line of its own.
TELLS = """
import atexit, sys
large, entry, *words = sys.argv[1:]
atexit.register(lambda: print(*sorted(set(large.split(",")) & set(sys.modules))))
sys.argv[:] = [entry, *words]
import wse.start
getattr(wse.start, entry)()
"""


def loaded(command, cwd):
    """The modules of LARGE that a command imports; it must end well."""
    status, out, err = ended(python("-c", TELLS, ",".join(sorted(LARGE)), *command.split(), cwd=cwd))
    assert status == 0, err
    return set(out.splitlines()[-1].split())


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A folder with a layout, what cslc makes of it, and a host program."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "layout.csl").write_text(
        'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{}); @export_name("f", fn()void); }'
    )
    (folder / "pe.csl").write_text(
        'const memcpy = @import_module("<memcpy/memcpy>", .{});\n'
        "fn f() void { memcpy.unblock_cmd_stream(); }\ncomptime { @export_symbol(f); }"
    )
    host = "from cerebras.sdk.runtime.sdkruntimepybind import {}, MemcpyDataType, MemcpyOrder"
    (folder / "run.py").write_text(
        host.format("SdkRuntime")
        + "\nr = SdkRuntime('out')\nr.load()\nr.run()\nr.launch('f', nonblock=False)\nr.stop()\n"
    )
    (folder / "layouts.py").write_text(host.format("SdkLayout"))
    return folder


def test_cslc_and_cs_python_import_what_they_use(program):
    assert loaded("cslc layout.csl --arch=wse3 -o out", program) == {"click", "numpy"} | COMPILER
    assert loaded("cs_python run.py", program) == {"numpy"}
    assert loaded("cs_python layouts.py", program) == {"numpy"} | COMPILER
    assert loaded("wse csl check layout.csl", program) == {"click", "numpy"} | COMPILER
    assert loaded("csdb . context list", program) == {"click", "numpy"}
    assert loaded("sdk_debug_shell --help", program) == {"click", "numpy"}
    assert loaded("sdk_debug_shell compile layout.csl --arch=wse3 -o out", program) == {"click", "numpy"} | COMPILER


def test_the_scripts_of_the_project_are_functions_of_this_module():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert all(entry == f"wse.start:{name}" for name, entry in scripts.items())
    assert all(callable(getattr(wse.start, name)) for name in scripts)


def test_cslc_starts_no_threads(program):
    code = TELLS.replace(
        "import wse.start\n",
        "import wse.start, os\natexit.register(lambda: print(len(os.listdir('/proc/self/task'))))\n",
    )
    status, out, err = ended(python("-c", code, "numpy", "cslc", "layout.csl", "--arch=wse3", cwd=program))
    assert (status, out.split()) == (0, ["1", "numpy"]), err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--help", {"click"}),
        ("run --help", {"click", "numpy"}),
        ("isa", {"click", "numpy"}),
        ("arch", {"click", "numpy"}),
        ("run axpy --no-plot", {"click", "numpy"}),
        ("bench --list", {"click", "numpy", "tomllib"}),  # models are in a TOML file
        ("train --help", {"click", "numpy"}),
        ("system --help", {"click", "numpy", "tomllib"}),
        ("map nano", {"click", "numpy", "tomllib"}),
        ("costs", {"click", "numpy", "tomllib"}),
        ("validate --help", {"click", "numpy", "tomllib"}),
        ("sweep --help", {"click", "multiprocessing", "numpy"}),
    ],
)
def test_commands_import_what_they_use(words, expected, tmp_path):
    assert loaded(f"wse {words}", tmp_path) == expected


def test_a_signal_during_an_import_is_raised_when_the_import_has_ended(tmp_path):
    (tmp_path / "half.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nprint('imported', flush=True)\n"
    )
    job = f"""
def job():
    sys.path.insert(0, {str(tmp_path)!r})
    import half
    time.sleep(20)
    print("too late")
"""
    assert ended(python("-c", job + START)) == (130, "imported\n", "error: interrupted; no file was written\n")


def test_an_import_that_does_not_end_delays_a_signal_for_a_limited_time(tmp_path):
    (tmp_path / "half.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    job = f"""
def job():
    signals.IMPORT_SECONDS = 0.2
    sys.path.insert(0, {str(tmp_path)!r})
    import half
"""
    process = python("-c", job + START)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "error: interrupted; no file was written\n")


def test_a_signal_that_a_library_swallows_leaves_no_figures():
    job = """
def job():
    from wse.cli.output import show
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        pass
    show({"a": 1}, [], True)
"""
    assert ended(python("-c", job + START)) == (130, "", "error: interrupted; no file was written\n")
