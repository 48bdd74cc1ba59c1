"""`cs_python` with options and `wse csl run`: host programs unchanged, the figures and files of each of their runs.

Covers: wse/cli/csl_run.py
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from documents import PACKAGES, ROOT
from shell import sh

import wse
from wse.sdk import compile

HOST = """
import sys
import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import MemcpyDataType, MemcpyOrder, SdkRuntime
P, N = 3, 4
HOW = {"streaming": False, "order": MemcpyOrder.ROW_MAJOR, "data_type": MemcpyDataType.MEMCPY_32BIT, "nonblock": False}
def begin(name="out"):
    runner = SdkRuntime(name)
    runner.load()
    runner.run()
    return runner
def flow(runner, *steps):
    u = runner.get_id("u")
    points = np.arange(P * (N + 2), dtype=np.float32)
    runner.memcpy_h2d(u, points, 0, 0, P, 1, N + 2, **HOW)
    for n in steps:
        runner.launch("flow", np.uint16(n), nonblock=False)
    runner.memcpy_d2h(points, u, 0, 0, P, 1, N + 2, **HOW)
    return points
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """A folder with the example heat, compiled for both machines and with a fault in it that makes it deadlock."""
    folder, source = tmp_path_factory.mktemp("programs"), ROOT / "docs/examples/heat"
    for name, arch in (("out", "wse3"), ("two", "wse2")):
        compile.run(compile.Request(source / "layout.csl", {"P": 3, "N": 4}, arch=arch, output=folder / name))
    for name in ("layout.csl", "pe.csl"):
        text = (source / name).read_text()
        (folder / name).write_text(text.replace("@fmovs(out(to_west, west_out), point(1), .{ .async = true });", ""))
    compile.run(compile.Request(folder / "layout.csl", {"P": 3, "N": 4}, arch="wse3", output=folder / "stuck"))
    return folder


@pytest.fixture
def here(programs, tmp_path, monkeypatch) -> Path:
    """A folder of the test's own with links to the compiled programs."""
    for name in ("out", "two", "stuck"):
        (tmp_path / name).symlink_to(programs / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def host(text: str, name: str = "run.py") -> str:
    """Writes a host program; its name."""
    Path(name).write_text(HOST + textwrap.dedent(text))
    return name


ENVIRONMENT = os.environ | {"PYTHONPATH": str(PACKAGES)}
CS_PYTHON = [sys.executable, "-P", "-c", "from wse.start import cs_python; cs_python()"]
WSE = [sys.executable, "-P", "-m", "wse.cli"]


def done(command: list, *words: object, **options) -> subprocess.CompletedProcess:
    line = [*command, *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, **options)


def cs_python(*words: object, **options) -> subprocess.CompletedProcess:
    return done(CS_PYTHON, *words, **options)


def document(*words: object, status: int = 0, **options) -> dict:
    """What --json prints."""
    ran = cs_python("--json", *words, **options)
    assert ran.returncode == status, ran.stderr
    return json.loads(ran.stdout)


def test_json_of_a_run_and_its_launches(here):
    shown = document(host("runner = begin()\nflow(runner, 3, 5)\nrunner.stop()\nprint('SUCCESS!')\n"), "--name", "x")
    assert shown["command"] == ["run.py", "--name", "x"] and shown["status"] == 0 and shown["error"] is None
    (run,) = shown["runs"]
    assert (run["program"], run["arch"], run["profile"], run["grid"]) == ("out", "wse3", "simulator", [3, 1])
    assert run["parameters"] == {"P": "3", "N": "4"} and run["ended"] == "done" and run["stopped"]
    assert [(one["function"], one["pes"], one["ended"]) for one in run["launches"]] == [("flow", 3, True)] * 2
    assert sum(one["flops"] for one in run["launches"]) == run["flops"] == 4 * 3 * 4 * 8
    assert sum(one["wavelet_hops"] for one in run["launches"]) == run["wavelet_hops"] == 4 * 8
    for figures in (run, *run["launches"]):
        assert figures["utilization"] + sum(figures["stalls"].values()) == pytest.approx(1)
    assert run["launches"][0]["cycles"] < run["launches"][1]["cycles"] < run["cycles"]


def test_what_a_host_program_prints_is_not_in_the_document(here):
    name = host("import os\nos.system('echo child')\nprint('mine')\nrunner = begin()\nrunner.stop()\n")
    ran = cs_python("--json", name)
    assert json.loads(ran.stdout)["runs"] and sorted(ran.stderr.split()) == ["child", "mine"]
    assert sorted(cs_python(name).stdout.split()) == ["child", "mine"]


def test_without_options_nothing_is_printed_or_written(here):
    name, before = host("runner = begin()\nflow(runner, 3)\nrunner.stop()\n"), set(os.listdir())
    for words in ((), ("--set", "launch_cycles=100"), ("--threads", "2"), ("--max-cycles", "100000")):
        ran = cs_python(*words, name)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert set(os.listdir()) - before == {"run.py"} - before


def test_files_and_figures_as_text(here):
    name = host("import os\nrunner = begin()\nflow(runner, 3)\nos.chdir('/')\nrunner.stop()\n")
    ran = cs_python("--plot", "a.png", "--report", "a.html", "--trace", "a.json", "--save", "a.npz", name)
    assert ran.returncode == 0 and ran.stdout == ""
    assert "picture       a.png" in ran.stderr and "trace         a.json" in ran.stderr
    assert "flow        1" in ran.stderr
    run = wse.Run.load("a.npz")
    assert run.flops == 4 * 3 * 4 * 3 and run.meta["program"] == "out" and run.meta["command"] == ["run.py"]
    assert Path("a.png").read_bytes()[:4] == b"\x89PNG" and "<html" in Path("a.html").read_text()
    names = {entry["name"] for entry in json.loads(Path("a.json").read_text())["traceEvents"]}
    assert {"exchange", "fmacs", "launch"} <= names and any(name.startswith("east[0] (color 2)") for name in names)


def test_several_runs(here):
    name = host(
        """
        for steps in (1, 2, 3):
            with SdkRuntime("out") as runner:
                flow(runner, steps)
        """
    )
    shown = document("--save", "a.npz", name)
    assert [run["save"] for run in shown["runs"]] == ["a.npz", "a-2.npz", "a-3.npz"]
    assert [run["flops"] for run in shown["runs"]] == [48, 96, 144]
    assert [wse.Run.load(run["save"]).flops for run in shown["runs"]] == [48, 96, 144]
    text = done(WSE, "csl", "run", "out", name).stdout
    assert text.count("machine  ") == 3 and "out, run 2 (" in text


def test_a_run_without_stop(here):
    name = host("flow(begin(), 3)\n")
    shown = document(name)
    (run,) = shown["runs"]
    assert (run["ended"], run["stopped"], run["flops"], shown["status"]) == ("interrupted", False, 144, 0)
    ran = cs_python("--save", "a.npz", name)
    assert "the host program ended without stop()" in ran.stderr and wse.Run.load("a.npz").flops == 144
    assert "call SdkRuntime.stop()" in ran.stderr


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("assert False, 'no'", 1, "AssertionError: no"),
        ("sys.exit(3)", 3, None),
        ("sys.exit('that is wrong')", 1, "that is wrong"),
        ("sys.exit()", 0, None),
    ],
)
def test_a_host_program_that_fails_or_exits(here, text, status, error):
    name = host(f"runner = begin()\nflow(runner, 2)\n{text}\n")
    ran, plain = cs_python("--json", name), cs_python(name)
    shown = json.loads(ran.stdout)
    assert (ran.returncode, plain.returncode, shown["status"], shown["error"]) == (status, status, status, error)
    assert shown["runs"][0]["flops"] == 96
    assert ran.stderr == plain.stderr  # the same traceback


def test_a_limit_in_the_middle_of_a_launch(here):
    name = host("runner = begin()\nflow(runner, 5000)\nrunner.stop()\n")
    ran = cs_python("--max-cycles", "3000", "--json", name)
    (run,) = json.loads(ran.stdout)["runs"]
    assert ran.returncode == 1 and run["ended"] == "limit" and 2900 < run["cycles"] <= 3000
    assert "ended in cycle 3,000, as --max-cycles says" in ran.stderr and "launch of flow" in ran.stderr
    assert ran.stderr.count('File "') == 2 and "/wse/sdk/" not in ran.stderr  # the traceback is the host program's
    assert [one["ended"] for one in run["launches"]] == [False] and run["launches"][0]["cycles"] > 500


def test_a_deadlock(here):
    name = host("runner = begin('stuck')\nflow(runner, 5)\nrunner.stop()\n")
    ran = cs_python("--json", "--plot", "a.png", name)
    shown = json.loads(ran.stdout)
    assert ran.returncode == 1 and shown["runs"][0]["ended"] == "deadlock" and Path("a.png").exists()
    assert shown["error"].startswith("DeadlockError: memcpy_d2h from u waits for the end of the launch of flow")
    assert shown["runs"][0]["error"] in shown["error"]
    assert "  +-> PE (" in ran.stderr and "@fmovs(point(N + 1), in(from_east, east_in)" in ran.stderr
    assert "(color west[" in ran.stderr and "in exchange" in ran.stderr


FOR_EVER = "runner = begin()\nprint('ready', flush=True)\nflow(runner, *[60_000] * 1000)\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_what_was_measured(here, number, status):
    name = host(FOR_EVER)
    for command in ([*CS_PYTHON, "--save", "a.npz"], [*WSE, "csl", "run", "--save", "a.npz", "out"]):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([*command, name], env=ENVIRONMENT, **pipes)
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
        assert process.returncode == status and out == ""
        assert error.startswith("error: interrupted; at cycle ") and error.count("\n") == 1
        assert error.endswith("a.npz holds what was measured until then\n")
        run = wse.Run.load("a.npz")
        assert run.ended == "interrupted" and f"{run.cycles:,}" in error
        Path("a.npz").unlink()


def test_an_interrupt_without_options_is_pythons(here):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([*CS_PYTHON, host(FOR_EVER)], env=ENVIRONMENT, **pipes)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGINT or process.returncode == 130
    assert error.endswith("KeyboardInterrupt\n") and "/wse/sdk/" not in error


def test_the_machine(here):
    name = host("runner = begin(sys.argv[1])\nflow(runner, 5)\nrunner.stop()\n")
    Path("m.toml").write_text("[params]\nlaunch_cycles = 500\n")
    Path("two.toml").write_text('machine = "wse2"\n[params]\nlaunch_cycles = 500\n')

    def cycles(*words: str, program: str = "out") -> int:
        return document(*words, name, program)["runs"][0]["cycles"]

    plain, silicon = cycles(), document("--profile", "silicon", name, "out")["runs"][0]
    assert silicon["profile"] == "silicon" and silicon["cycles"] > plain
    slower = cycles("--set", "launch_cycles=500")
    assert slower > plain and slower == cycles("--machine", "m.toml")
    assert cycles("--machine", "m.toml", "--set", "launch_cycles=1") == cycles("--set=launch_cycles=1") < slower
    assert cycles("--machine", "two.toml", program="two") > cycles(program="two")
    ran = cs_python("--machine", "two.toml", name, "out")
    assert ran.returncode == 1 and "is of wse2, but the program was compiled for wse3" in ran.stderr
    ran = cs_python("--profile", "silicon", name, "two")
    assert ran.returncode == 1 and "there is no silicon profile of wse2" in ran.stderr


def test_the_machine_reaches_host_programs_that_this_one_starts(here):
    host("runner = begin()\nprint(runner.device.fabric.machine.profile, runner.device.fabric.machine.hop_cycles)\n"
         "runner.stop()\n", "child.py")  # fmt: skip
    name = host("import subprocess\nsubprocess.run(['cs_python', 'child.py'], check=True)\n")
    ran = cs_python("--profile", "silicon", "--set", "hop_cycles=2", "--json", name)
    assert "silicon 2" in ran.stderr and json.loads(ran.stdout)["runs"] == []
    assert "loaded no program in this process" in done(WSE, "csl", "run", "out", name).stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--arch", "wse2", "run.py"], "--arch does not apply to a compiled program: cslc --arch decides"),
        (["--grid", "4x4", "run.py"], "@set_rectangle"),
        (["--seed=3", "run.py"], "makes its inputs itself"),
        (["--no-plot", "run.py"], "no picture is written without --plot"),
        (["--plot", "a.xyz", "run.py"], "the name must end in"),
        (["--report", "a.png", "run.py"], "does not end in .html"),
        (["--trace", "nowhere/a.pftrace", "run.py"], "there is no folder"),
        (["--save", "a.txt", "run.py"], "the name must end in .npz"),
        (["--set", "hop=1", "run.py"], "no parameter 'hop'"),
        (["--set", "hop_cycles", "run.py"], "is not of the form name=value"),
        (["--set", "hop_cycles=0", "run.py"], "parameter hop_cycles is 1 to"),
        (["--machine", "no.toml", "run.py"], "no.toml"),
        (["--profile", "fast", "run.py"], "is not one of 'simulator', 'silicon'"),
        (["--threads", "0", "run.py"], "'0' is not"),
        (["--threads", "65", "run.py"], "--threads is an integer from 1 to 64"),
        (["--max-cycles", "0", "run.py"], "'0' is not"),
        (["--json", "-i", "run.py"], "is left to Python"),
    ],
)
def test_options_that_are_refused_before_anything_runs(here, words, what):
    host("print('ran')\n")
    ran = cs_python(*words)
    assert ran.returncode == 2 and ran.stdout == "" and ran.stderr.startswith("error: ")
    assert what in ran.stderr and ran.stderr.count("\n") == 1


def test_options_of_the_interpreter_behind_those_of_cs_python(here):
    name = host("runner = begin()\nrunner.stop()\nprint(sys.flags.optimize, sys.warnoptions, sys.argv)\n")
    ran = cs_python("--json", "-O", "-W", "error", "--max-cycles", "9999", name, "--json", "-u")
    shown = json.loads(ran.stdout)
    assert shown["command"] == [name, "--json", "-u"] and len(shown["runs"]) == 1
    assert ran.stderr == "1 ['error'] ['run.py', '--json', '-u']\n"
    assert document("-c", "import sys; print(sys.argv)", "x")["command"] == ["-c", "import sys; print(sys.argv)", "x"]
    assert document(input=HOST + "begin().stop()\n")["runs"][0]["program"] == "out"
    ran = cs_python("--json", "missing.py")
    assert ran.returncode == 1 and "can't open file 'missing.py'" in ran.stderr
    assert cs_python("--version").stdout.startswith("Python 3")
    assert "--max-cycles" in cs_python("--help").stdout


def test_csl_run_prints_figures_behind_the_output_of_the_host_program(here):
    name = host("runner = begin(sys.argv[2])\nflow(runner, 3, 3)\nrunner.stop()\nprint(sys.argv[1:])\n")
    ran = done(WSE, "csl", "run", "--profile", "silicon", "out", name)
    assert ran.stderr == "" and ran.stdout.startswith("['--name', 'out']\n\nprogram       out (")
    assert "machine       wse3 (silicon), 3 x 1 PEs\n" in ran.stdout
    assert ran.stdout.splitlines()[-1].split()[:2] == ["flow", "2"]
    for words, given in (
        (["--", "--steps", "3"], ["--name", "out", "--steps", "3"]),
        (["--", "--name=two"], ["--name=two"]),
        (["--", "-d", "{}"], ["-d", "out"]),
    ):
        text = host("print(sys.argv[1:])\n", "shows.py")
        assert done(WSE, "csl", "run", "out", text, *words).stdout == f"{given}\n"


def test_what_csl_run_refuses(here):
    host("print('ran')\n")
    for words, what in (
        (["out"], "Missing argument 'SCRIPT'"),
        (["nowhere", "run.py"], "holds no compiled program"),
        (["out", "nothing.py"], "there is no host program 'nothing.py'"),
        (["--grid", "4x4", "out", "run.py"], "@set_rectangle"),
    ):
        result = sh("csl", "run", *words)
        assert result.exit_code == 2 and what in result.stderr and result.stdout == ""


def test_a_file_that_cannot_be_written_in_the_end(here):
    Path("away").mkdir()
    name = host("import shutil\nrunner = begin()\nflow(runner, 1)\nshutil.rmtree('away')\nrunner.stop()\nprint('on')\n")
    ran = cs_python("--save", "away/a.npz", name)
    assert ran.returncode == 2 and ran.stdout == "on\n" and ran.stderr.startswith("error: ") and "away" in ran.stderr


LONG = """
import time
runner, began = begin(), time.monotonic()
while time.monotonic() - began < 4:
    flow(runner, 1000)
runner.stop()
"""


@pytest.mark.parametrize("options", [[], ["--threads", "1"]])
def test_a_long_run_on_a_terminal_shows_its_cycles(here, options):
    """Nothing of the command line is loaded for that before."""
    name = host("assert 'click' not in sys.modules or sys.argv[1:]\n" + LONG)
    master, slave = os.openpty()
    command = [*CS_PYTHON, *options, name, *(["x"] if options else [])]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=slave, stdout=subprocess.PIPE) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # its end
            while part := os.read(master, 65536):
                shown += part
        assert process.wait(timeout=60) == 0, shown
    os.close(master)
    assert re.search(rb"\r[\d,]+ cycles  [\d.]+ [kM] cycles/s  \d+ s", shown) and shown.rstrip(b" ").endswith(b"\r")
