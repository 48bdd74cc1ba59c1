"""`wse run` and `wse plot`, with a kernel of this module: options, figures, files, exit status.

Covers: wse/cli/plot.py
"""

import json
import math
import signal
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from shell import sh
from synthetic import make_events, make_run

import wse
from wse import ConfigError, DeadlockError, FabricFault, Run
from wse.cli import common
from wse.kernels import KERNELS, Parameter, Result
from wse.signals import Interrupted

KEYS = {
    *("kernel", "arch", "profile", "grid", "parameters", "cycles", "device_seconds", "clock_hz", "wall_seconds"),
    *(
        "pe_cycles_per_second",
        "verified",
        "max_error",
        "utilization",
        "stalls",
        "wavelet_hops",
        "flops",
        "plot",
        "trace",
    ),
}


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """A kernel named toy: `kernel.result` is what it hands back or raises, `kernel.given` what it was called with."""
    module = ModuleType("toy")
    module.__doc__ = "A toy.\n\nWith more to say."
    module.GRID = (4, 4)
    module.PARAMETERS = {
        "M": Parameter("M", int, 8, "Rows.", flag="-M"),
        "dtype": Parameter("dtype", str, "f16", "Element type.", choices=("f16", "f32")),
        "group": Parameter("group", int, 4, "Size of a group.", choices=(2, 4)),
        "learning_rate": Parameter("learning_rate", float, 0.5, "Step.", flag="-l"),
        "bias": Parameter("bias", bool, True, "Whether there is a bias."),
    }
    run = make_run(4, 4, activity=True, events=make_events((0, 0, "MARK", 0, 5)))
    module.result = Result("toy", {"M": 8}, run, verified=True, max_error=0.0, text=["hello"], extra={"loss": 0.25})

    def toy(config, options):
        module.config, module.given = config, options
        if isinstance(module.result, BaseException):
            raise module.result
        return module.result

    module.run = toy
    monkeypatch.setitem(sys.modules, "wse_toy_kernel", module)
    monkeypatch.setitem(KERNELS, "toy", ("wse_toy_kernel", "A toy."))
    monkeypatch.chdir(tmp_path)
    return module


def test_help_is_made_from_the_parameters(kernel):
    result = sh("run", "toy", "--help")
    assert "A toy." in result.stdout and "With more" not in result.stdout
    for words in (
        "-M INTEGER",
        "Rows.  [default: 8]",
        "--dtype [f16|f32]",
        "-l, --learning-rate",
        "--bias / --no-bias",
    ):
        assert words in result.stdout
    assert "toy" in sh("run", "--help").stdout


def test_parameters_come_with_their_types(kernel):
    sh("run", "toy", "-M", "3", "--group", "2", "--learning-rate", "0.25", "--no-bias", "--no-plot")
    assert kernel.config == {"M": 3, "dtype": "f16", "group": 2, "learning_rate": 0.25, "bias": False}
    assert {name: type(value) for name, value in kernel.config.items()} == {
        "M": int,
        "dtype": str,
        "group": int,
        "learning_rate": float,
        "bias": bool,
    }


def test_options_of_every_run(kernel):
    words = [
        "--grid",
        "16x8",
        "--seed",
        "7",
        "--threads",
        "2",
        "--max-cycles",
        "99",
        "--arch",
        "wse2",
        "--set",
        "hop_cycles=3",
        "--no-plot",
    ]
    assert sh("run", "toy", *words).exit_code == 0
    given = kernel.given
    assert (given.machine.name, given.machine.hop_cycles) == ("wse2", 3)
    assert (given.grid, given.seed, given.threads, given.max_cycles) == ((16, 8), 7, 2, 99)
    assert (given.trace, given.activity) == (0, False)


def test_defaults(kernel):
    sh("run", "toy", "--no-plot")
    assert kernel.given.grid is None and kernel.given.max_cycles is None
    assert (kernel.given.machine.name, kernel.given.machine.profile) == ("wse3", "simulator")


def test_figures_for_people(kernel):
    result = sh("run", "toy")
    run = kernel.result.run
    assert result.exit_code == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "hello"
    shown = {line[:14].strip(): line[14:].strip() for line in lines[1:]}
    assert shown["toy"] == "M=8"
    assert shown["machine"] == "wse3 (simulator), 4 x 4 PEs"
    assert shown["verified"] == "yes, to the bit"
    assert shown["cycles"] == "12,345"
    assert shown["emulated in"] == "1.25 s, 158 k PE-cycles/s"
    assert shown["time"] == "14.1 µs at 875 MHz"
    assert shown["utilization"] == f"{100 * run.utilization:.1f} %"
    assert shown["PE-cycles"].startswith("busy: vector ")
    assert shown["wavelet-hops"] == f"{run.wavelet_hops:,}"
    assert shown["flops"].startswith(f"{run.flops:,}, ") and shown["flops"].endswith("flop/s at 875 MHz")
    assert shown["picture"] == "wse-toy.png"
    with Image.open("wse-toy.png") as image:
        assert image.width > 1000


def test_json_has_the_stable_keys(kernel):
    result = sh("run", "toy", "--json", "--grid", "4x4")
    figures = json.loads(result.stdout)
    run = kernel.result.run
    assert set(figures) >= KEYS
    assert figures["kernel"] == "toy" and figures["grid"] == [4, 4] and figures["parameters"] == {"M": 8}
    assert figures["cycles"] == 12_345 and figures["device_seconds"] == 12_345 / 875_000_000
    assert figures["pe_cycles_per_second"] == 12_345 * 16 / 1.25
    assert figures["verified"] is True and figures["max_error"] == 0
    assert figures["stalls"] == run.stalls and figures["flops"] == run.flops
    assert figures["plot"] is None and figures["trace"] is None and figures["loss"] == 0.25
    assert (figures["seed"], figures["ended"]) == (0, "done")


def test_json_writes_no_picture_unless_asked(kernel, tmp_path):
    sh("run", "toy", "--json")
    assert list(tmp_path.iterdir()) == []
    figures = json.loads(sh("run", "toy", "--json", "--plot", "a.svg").stdout)
    assert figures["plot"] == "a.svg" and (tmp_path / "a.svg").exists()


def test_not_a_number_is_null(kernel):
    kernel.result.max_error, kernel.result.extra = math.nan, {"losses": np.array([1.0, np.inf])}
    figures = json.loads(sh("run", "toy", "--json").stdout)
    assert figures["max_error"] is None and figures["losses"] == [1.0, None]


def test_files(kernel, tmp_path):
    words = ["--plot", "a.html", "--trace", "b.pftrace", "--save", "c.npz"]
    result = sh("run", "toy", *words)
    assert result.exit_code == 0
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "b.pftrace").stat().st_size > 0
    saved = Run.load("c.npz")
    assert saved.same(kernel.result.run)
    assert saved.meta["kernel"] == "gemm" and saved.meta["parameters"] == {"M": 8}
    assert kernel.given.trace > 0
    for name in ("a.html", "b.pftrace", "c.npz"):
        assert name in result.stdout


def test_an_animation_asks_for_activity(kernel):
    assert sh("run", "toy", "--plot", "a.gif").exit_code == 0
    assert kernel.given.activity
    sh("run", "toy", "--plot", "a.png")
    assert not kernel.given.activity


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--plot", "a.bmp"], "cannot tell the picture's format from 'a.bmp'"),
        (["--plot", "no/a.png"], "there is no folder 'no'"),
        (["--trace", "a.vcd"], "cannot tell the trace's format from 'a.vcd'"),
        (["--save", "a.txt"], "cannot save to 'a.txt': the name must end in .npz"),
        (["--plot", "a.png", "--no-plot"], "--plot and --no-plot exclude each other"),
        (["--grid", "16"], "'16' is not a grid: width x height in PEs, such as 16x16"),
        (["--grid", "0x4"], "'0x4' is not a grid"),
        (["--grid", "4x-4"], "'4x-4' is not a grid"),
        (["-M", "three"], "'three' is not an integer (see: "),
        (["--dtype", "f64"], "'f64' is not one of 'f16', 'f32'"),
        (["--threads", "0"], "'0' is not an integer from 1 to 1,024"),
        (["--seed", "-1"], "'-1' is not an integer of at least 0"),
        (["--arch", "wse9"], "'wse9' is not one of 'wse2', 'wse3'"),
        (["--set", "hop_cycle=1"], "did you mean hop_cycles"),
        (["--machine", "no.toml"], "machine file no.toml: No such file or directory"),
    ],
)
def test_bad_options_are_told_before_the_run(kernel, words, line):
    result = sh("run", "toy", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ") and line in result.stderr and result.stderr.count("\n") == 1
    assert not hasattr(kernel, "given")


def test_bad_parameters_are_the_kernels_to_tell(kernel):
    kernel.result = ConfigError("M must be at least 1, not -4")
    result = sh("run", "toy", "-M", "-4")
    assert (result.exit_code, result.stderr) == (2, "error: M must be at least 1, not -4\n")


def test_a_wrong_result_is_status_1(kernel):
    kernel.result.verified, kernel.result.max_error = False, 0.125
    result = sh("run", "toy")
    assert result.exit_code == 1
    assert "NO: the result differs from the reference model, max error 0.125" in result.stdout
    assert json.loads(sh("run", "toy", "--json").stdout)["verified"] is False


def test_a_deadlock_is_status_1_with_its_report_and_what_was_measured(kernel, tmp_path):
    kernel.result = DeadlockError("deadlock at cycle 12\n  PE (0, 0) waits for color 3", waits=1)
    kernel.result.run = make_run(ended="deadlock")
    result = sh("run", "toy", "--save", "a.npz", "--plot", "a.png")
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr == "error: deadlock at cycle 12\n  PE (0, 0) waits for color 3\n"
    assert Run.load("a.npz").ended == "deadlock" and (tmp_path / "a.png").exists()
    figures = json.loads(sh("run", "toy", "--json").stdout)
    assert figures["verified"] is False and figures["ended"] == "deadlock"
    assert figures["error"].startswith("deadlock at cycle 12")
    checked = sh("run", "toy", "--check")
    assert checked.exit_code == 1 and checked.stderr.startswith("\n0 findings\n")
    assert json.loads(sh("run", "toy", "--check", "--json").stdout)["findings"] == []


def test_a_fault_is_status_1(kernel):
    kernel.result = FabricFault("two inputs met", "COLLISION", x=1, y=2, cycle=3)
    result = sh("run", "toy", "--json")
    assert (result.exit_code, result.stderr, result.stdout) == (1, "error: two inputs met\n", "")


def interrupt(signum=signal.SIGINT, run=None):
    error = Interrupted(signum)
    if run is not None:
        error.run = run
    return error


def test_an_interrupted_run_prints_no_figure(kernel, tmp_path):
    kernel.result = interrupt(run=make_run(ended="interrupted"))
    result = sh("run", "toy")
    line = "error: interrupted; at cycle 12,345; no file was written\n"
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", line)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_leaves_the_files_that_were_named(kernel, tmp_path):
    kernel.result = interrupt(signal.SIGTERM, make_run(ended="interrupted"))
    result = sh("run", "toy", "--save", "r.npz", "--plot", "r.png")
    line = "error: interrupted; at cycle 12,345; r.npz, r.png hold what was measured until then\n"
    assert (result.exit_code, result.stdout, result.stderr) == (143, "", line)
    assert wse.Run.load("r.npz").ended == "interrupted" and (tmp_path / "r.png").exists()


def test_an_interrupt_before_the_run_leaves_nothing(kernel):
    kernel.result = interrupt()
    result = sh("run", "toy", "--save", "r.npz")
    assert (result.exit_code, result.stderr) == (130, "error: interrupted; no file was written\n")


def test_a_limit_is_status_1(kernel):
    kernel.result = Result("toy", {}, make_run(ended="limit"), verified=False)
    assert sh("run", "toy", "--no-plot").exit_code == 1


def test_a_folder_without_leave_to_write_gets_no_default_picture(kernel, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    result = sh("run", "toy")
    assert result.exit_code == 0 and "not written: this folder cannot be written to" in result.stdout


def test_progress_is_silent_unless_stderr_is_a_terminal(kernel, capsys):
    line = common.ProgressLine()
    line.started -= 10
    line(1000)
    assert capsys.readouterr().err == ""


def test_progress_shows_cycles_and_rate_after_two_seconds(capsys):
    line = common.ProgressLine()
    line.is_terminal = True
    line(1000)
    assert capsys.readouterr().err == ""
    line.started -= 10
    line(2_000_000)
    shown = capsys.readouterr().err
    assert shown.startswith("\r2,000,000 cycles  200 k cycles/s  10 s")
    line.clear()
    assert capsys.readouterr().err == f"\r{' ' * (len(shown) - 1)}\r"


def test_progress_goes_on_when_a_second_run_starts(capsys):
    line = common.ProgressLine()
    line.is_terminal = True
    line(500)
    line.started -= 5
    line(100)
    assert "600 cycles" in capsys.readouterr().err


@pytest.mark.parametrize(("as_json", "where"), [(False, 0), (True, 1)])
def test_notes_of_a_kernel(capsys, as_json, where):
    common.ProgressLine(notes_to_stderr=as_json).note("epoch 1: loss 0.5")
    shown = capsys.readouterr()
    assert shown[where] == "epoch 1: loss 0.5\n" and shown[1 - where] == ""


# wse plot


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run(4, 4, activity=True, events=make_events((0, 0, "MARK", 0, 5))).save("run.npz")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "run.png"),
        (["--kind", "links"], "run.png"),
        (["--kind", "animation"], "run.gif"),
        (["-o", "x.svg", "--kind", "stalls"], "x.svg"),
        (["-o", "x.html"], "x.html"),
        (["-o", "x.gif"], "x.gif"),
        (["-o", "x.pftrace"], "x.pftrace"),
        (["-o", "x.json"], "x.json"),
        (["-o", "x.txt"], "x.txt"),
    ],
)
def test_plot_writes_what_was_asked_and_says_so(saved, words, name):
    result = sh("plot", "run.npz", *words)
    assert (result.exit_code, result.stdout) == (0, f"{name}\n")
    assert (saved / name).stat().st_size > 100 or name == "x.txt"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["other.npz"], "there is no file 'other.npz'"),
        (["run.pftrace"], "'run.pftrace' is for a trace viewer such as ui.perfetto.dev; plot reads runs saved as .npz"),
        (["text.npz"], "'text.npz' is not a saved run: `wse run ... --save FILE.npz` makes one"),
        (["array.npz"], "array.npz is no run file: it has no record of a run"),
        (["run.npz", "-o", "x.bmp"], "cannot tell the picture's format from 'x.bmp'"),
        (["run.npz", "-o", "x.txt", "--kind", "links"], "--kind links is a picture, and 'x.txt' names a trace"),
        (["run.npz", "-o", "x.png", "--kind", "animation"], "cannot be written as .png"),
        (["quiet.npz", "-o", "x.gif"], "this run has no activity per PE"),
        (["quiet.npz", "-o", "x.pftrace"], "this run has no events"),
    ],
)
def test_plot_of_what_cannot_be(saved, words, line):
    (saved / "text.npz").write_text("not a run")
    np.savez("array.npz", a=np.zeros(3))
    make_run().save("quiet.npz")
    result = sh("plot", *words)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("error: ") and line in result.stderr and result.stderr.count("\n") == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.data())
def test_damaged_files_are_told_in_a_line(saved, data):
    """A saved run with some bytes changed, or cut short, or random bytes: a trace or one line, never anything else."""
    content = bytearray((saved / "run.npz").read_bytes())
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=8)
    ):
        content[place] = byte
    content = content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]
    (saved / "damaged.npz").write_bytes(data.draw(st.binary(max_size=64)) if data.draw(st.booleans()) else content)
    result = sh("plot", "damaged.npz", "-o", "x.txt")
    assert result.exit_code == 0 or (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("option", ["--checkpoint", "--restore"])
def test_a_state_and_a_trace_exclude_each_other(option, tmp_path):
    state = tmp_path / "state"
    state.write_bytes(b"")
    done = sh("run", "gemm", "--trace", tmp_path / "t.npz", option, state)
    assert done.exit_code == 2 and f"{option} and --trace exclude each other" in done.stderr
