"""Host programs run by `cs_python`: NumPy 1's promotion in them and in the modules beside them, in no others.

Covers: wse/cli/cs_python.py, wse/sdk/interpreter.py
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from documents import PACKAGES, ROOT

import wse
from wse.sdk.interpreter import arguments, is_measured
from wse.sdk.runtime import machine_of
from wse.sdk.script import OF_HOST

HELPER = "import numpy as np\ndef cycles(w):\n    return w[0] + (w[1] << 16)\n"
OTHER = "import numpy as np\ndef kind():\n    return (np.uint16(1) + 70).dtype\n"
HOST = """import sys
import numpy as np
import helper, other
print(helper.cycles(np.array([5, 2], np.uint16)), other.kind(), __name__, sys.argv[1:])
"""


def cs_python(*words: str, path: Path | None = None, cwd: Path | None = None, stdin: str = ""):
    """Runs cs_python; path: a further folder of modules."""
    folders = [str(PACKAGES), *([str(path)] if path else [])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    run = [sys.executable, "-P", "-c", "from wse.cli.cs_python import main; main()", *words]
    return subprocess.run(run, capture_output=True, text=True, env=environment, timeout=60, cwd=cwd, input=stdin)


def test_a_program_and_its_modules(tmp_path):
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    here.mkdir()
    (elsewhere / "other.py").write_text(OTHER)
    (here / "helper.py").write_text(HELPER)
    (here / "run.py").write_text(HOST)
    done = cs_python(str(here / "run.py"), "--name", "out", path=elsewhere)
    assert done.stdout == "131077 uint16 __main__ ['--name', 'out']\n", done.stderr
    assert not (here / "__pycache__").exists()


def test_errors_and_exits(tmp_path):
    (tmp_path / "run.py").write_text("import sys\na = 0\nif len(sys.argv) > 1:\n    sys.exit(3)\nprint(1 / a)\n")
    failed = cs_python(str(tmp_path / "run.py"))
    assert failed.returncode == 1 and 'run.py", line 5' in failed.stderr and "ZeroDivisionError" in failed.stderr
    assert "runpy" not in failed.stderr and "script.py" not in failed.stderr
    assert cs_python(str(tmp_path / "run.py"), "x").returncode == 3
    missing = cs_python(str(tmp_path / "nothing.py"))
    assert missing.returncode != 0 and "can't open file" in missing.stderr


@pytest.mark.parametrize("name, told", [("pandas", True), ("scipy.sparse", True), ("no_such_package", False)])
def test_a_missing_package_of_the_sdk_is_named_with_its_extra(tmp_path, name, told):
    """As if it were not installed: the import of the package fails."""
    (tmp_path / "run.py").write_text(
        f"import sys\nsys.modules[{name.split('.')[0]!r}] = None\nraise ModuleNotFoundError('no module', name={name!r})\n"
    )
    done = cs_python("run.py", cwd=tmp_path)
    assert done.returncode == 1 and ("pip install 'wse[host]'" in done.stderr) == told
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["host"]
    assert {re.match(r"\w+", one)[0] for one in requires} == set(OF_HOST)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run.py", "-c"], ["-m", "wse.sdk.script", "run.py", "-c"]),
        (["-u", "-W", "error", "run.py"], ["-u", "-W", "error", "-m", "wse.sdk.script", "run.py"]),
        (["-c", "print(1)"], ["-m", "wse.sdk.script", "-c", "print(1)"]),
        (["-u", "-cprint(1)"], ["-u", "-m", "wse.sdk.script", "-cprint(1)"]),
        (["-m", "pdb", "run.py"], ["-m", "wse.sdk.script", "-m", "pdb", "run.py"]),
        (["-"], ["-m", "wse.sdk.script", "-"]),
        ([], ["-m", "wse.sdk.script"]),
        (["--version"], ["--version"]),
        (["-c"], ["-c"]),
    ],
)
def test_arguments_of_the_interpreter(words, expected, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert arguments(words) == expected


def test_a_terminal_is_left_to_the_interpreter(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    assert arguments([]) == [] and arguments(["-u", "-"]) == ["-u", "-"]


SHORT = "import sys; import numpy as np; print(np.uint16(5) + (np.uint16(2) << 16), __name__, sys.argv)"


def test_code_modules_and_standard_input(tmp_path):
    here = tmp_path / "here"
    (here / "package").mkdir(parents=True)
    (here / "package/__init__.py").write_text(HELPER)
    (here / "package/main.py").write_text("from . import cycles\n" + SHORT.replace(", sys.argv", ", sys.argv[1:]"))
    (here / "helper.py").write_text(HELPER)
    done = cs_python("-c", SHORT, "x", cwd=here)
    assert done.stdout == "131077 __main__ ['-c', 'x']\n", done.stderr
    done = cs_python("-m", "package.main", "x", cwd=here)
    assert done.stdout == "131077 __main__ ['x']\n", done.stderr
    done = cs_python("-c", "import helper, numpy as np; print(helper.cycles(np.array([5, 2], np.uint16)))", cwd=here)
    assert done.stdout == "131077\n", done.stderr
    for words in ([], ["-"]):
        done = cs_python(*words, cwd=here, stdin=SHORT)
        assert done.stdout == f"131077 __main__ {words or ['']}\n", done.stderr
    missing = cs_python("-m", "nothing", cwd=here)
    assert missing.returncode == 1 and "nothing" in missing.stderr


def test_folders_that_a_program_adds(tmp_path):
    common, here, others = (tmp_path / name for name in ("common", "here", "others"))
    for folder in (common, here, others):
        folder.mkdir()
    (common / "helper.py").write_text(HELPER)
    (others / "other.py").write_text(OTHER)
    (here / "other.py").write_text("raise ImportError('the first on the path was meant')")
    (here / "run.py").write_text(
        "import sys\nimport numpy as np\nsys.path.append('../common')\nsys.path.insert(0, next(p for p in sys.path if p.endswith('others')))\n"
        "import helper, other\nprint(helper.cycles(np.array([5, 2], np.uint16)), other.kind())\n"
    )
    done = cs_python("run.py", path=others, cwd=here)
    assert done.stdout == "131077 uint16\n", done.stderr


def test_names_and_texts_of_numpy_1(tmp_path):
    (tmp_path / "run.py").write_text(
        "import numpy as np\nprint([np.float32(0.5)], np.product([2, 3]), np.float_ is np.float64, np.NaN != np.NaN)\n"
        "print(np.alltrue([1]), np.in1d([1], [1]), np.row_stack([[1], [2]]).shape, (np.uint8(200) + 100,))\n"
    )
    done = cs_python(str(tmp_path / "run.py"))
    assert done.stdout == "[0.5] 6 True True\nTrue [ True] (2, 1) (300,)\n", done.stderr


def test_the_program_runs_in_the_process_of_the_command(tmp_path):
    """Unless there are options for the interpreter; either way what it starts finds the names."""
    (tmp_path / "run.py").write_text(
        "import subprocess, sys\nprint('wse.sdk.interpreter' in sys.modules, 'wse.csl.compile' in sys.modules)\n"
        "child = 'import cerebras, shutil; print(bool(shutil.which(\"cslc\")))'\n"
        "sys.stdout.flush()\nsubprocess.run([sys.executable, '-c', child], check=True)\n"
    )
    for words, inside in ((["run.py"], True), (["-u", "run.py"], False), (["-X", "utf8", "run.py"], False)):
        done = cs_python(*words, cwd=tmp_path)
        assert done.stdout == f"{inside} False\nTrue\n", done.stderr


def test_a_signal_does_to_the_program_what_it_does_in_python(tmp_path):
    (tmp_path / "run.py").write_text(
        "import signal, time\nassert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "try:\n    print('ready', flush=True)\n    time.sleep(60)\nfinally:\n    print('cleaned up', flush=True)\n"
    )
    run = [sys.executable, "-P", "-c", "from wse.start import cs_python; cs_python()", "run.py"]
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    def default():
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(run, cwd=tmp_path, env=environment, preexec_fn=default, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("cleaned up\n", -signal.SIGINT)
    assert err.rstrip().endswith("KeyboardInterrupt") and "script.py" not in err and "start.py" not in err


def test_options_with_two_dashes_are_those_of_the_command():
    assert is_measured(["--set", "hop_cycles=1", "run.py"]) and is_measured(["--json"]) and is_measured(["--help"])
    for words in (
        [],
        ["run.py", "--set", "x"],
        ["-u", "run.py"],
        ["--version"],
        ["--check-hash-based-pycs=always", "-"],
    ):
        assert not is_measured(words)


def test_a_set_figure_reaches_the_program(tmp_path):
    (tmp_path / "run.py").write_text("import os\nprint(os.environ['WSE_SET'])\n")
    assert cs_python("--set", "hop_cycles=1", str(tmp_path / "run.py")).stdout == "hop_cycles=1\n"


def test_the_machine_of_the_environment(monkeypatch):
    monkeypatch.setenv("WSE_SET", " hop_cycles=1, launch_cycles = 500 ")
    assert (machine_of("wse3").hop_cycles, machine_of("wse3").launch_cycles) == (1, 500)
    for text, what in (
        ("hop=1", "no parameter 'hop'"),
        ("hop_cycles", "not of the form NAME=VALUE"),
        ("hop_cycles=0", "1 to 7"),
    ):
        monkeypatch.setenv("WSE_SET", text)
        with pytest.raises(wse.ConfigError, match=what):
            machine_of("wse3")
    monkeypatch.delenv("WSE_SET")
    assert machine_of("wse2") == wse.Machine("wse2")


def test_the_machine_of_a_file_and_a_profile_in_the_environment(monkeypatch, tmp_path):
    plain, of_two = tmp_path / "plain.toml", tmp_path / "two.toml"
    plain.write_text("[params]\nhop_cycles = 2\nlaunch_cycles = 5\n")
    of_two.write_text('machine = "wse2"\n[params]\nhop_cycles = 2\n')
    monkeypatch.setenv("WSE_MACHINE", str(plain))
    monkeypatch.setenv("WSE_SET", "hop_cycles=3")
    for arch in ("wse2", "wse3"):
        assert machine_of(arch) == wse.Machine(arch, overrides={"hop_cycles": 3, "launch_cycles": 5})
    monkeypatch.setenv("WSE_TIMING", "silicon")
    assert machine_of("wse3").profile == "silicon"
    with pytest.raises(wse.ConfigError, match="no silicon profile of wse2"):
        machine_of("wse2")
    monkeypatch.delenv("WSE_TIMING")
    monkeypatch.setenv("WSE_MACHINE", str(of_two))
    assert machine_of("wse2").hop_cycles == 3
    with pytest.raises(wse.ConfigError, match=r"two\.toml is of wse2, but the program was compiled for wse3"):
        machine_of("wse3")
