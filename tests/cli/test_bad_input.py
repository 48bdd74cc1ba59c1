"""What a new user types wrong: one line that says so, status 2, in time."""

import numpy as np
import pytest
from documents import ROOT
from shell import sh

import wse

SMALL = ["run", "gemm", "-M", 4, "-K", 4, "-N", 4, "--grid", "2x2", "--no-plot"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with files that are not what they seem."""
    monkeypatch.chdir(tmp_path)
    good = (ROOT / "traces/gemm-8x8.npz").read_bytes()
    (tmp_path / "good.npz").write_bytes(good)
    still = wse.Run.load(tmp_path / "good.npz")
    still.activity = None
    still.save(tmp_path / "still.npz")
    (tmp_path / "cut.npz").write_bytes(good[:3000])
    (tmp_path / "bent.npz").write_bytes(good[:2000] + bytes(200) + good[2200:])
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "bad.toml").write_text("not toml [")
    (tmp_path / "text.toml").write_text('[params]\nhop_cycles = "x"\n')
    (tmp_path / "folder").mkdir()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "gemm", "--grid", "0x4"], "'0x4' is not a grid: width x height in PEs, such as 16x16"),
        (["run", "gemm", "--grid", "4x4x4"], "'4x4x4' is not a grid"),
        (["run", "gemm", "--grid", "99999x99999"], "a program for wse3 has 1 x 1 to 762 x 1172 PEs, not 99999 x 99999"),
        (["run", "gemm", "--dtype", "f15"], "'f15' is not one of 'f16', 'bf16', 'cb16', 'f32'"),
        (["run", "gemm", "-M", "1000000"], "use smaller matrices or a larger grid (252x252)"),
        (["run", "gemm", "-M", "1000000000000"], "use smaller matrices or a larger grid (none is large enough)"),
        (["run", "gemm", "-M", "-5"], "M of gemm must be at least 1, not -5"),
        (["run", "gemm", "--set", "hop=1"], "machine wse3 has no parameter 'hop': did you mean hop_cycles?"),
        ([*SMALL, "--set", "clock_hz=0"], "parameter clock_hz is 1,000,000 to 100,000,000,000 Hz, not 0"),
        ([*SMALL, "--set", "router_depth=0"], "parameter router_depth is 1 to 7 wavelets, not 0: the engine counts the wavelets of a buffer in 3 bits"),
        ([*SMALL, "--threads", "99999999999"], "'99999999999' is not an integer from 1 to 1,024"),
        ([*SMALL, "--machine", "bad.toml"], "machine file bad.toml is not TOML"),
        ([*SMALL, "--machine", "text.toml"], "hop_cycles=x is no number of cycles: write an integer, or a number with a unit, such as 2cycles"),
        ([*SMALL, "--machine", "folder"], "machine file folder: Is a directory"),
        ([*SMALL, "--trace", "/proc/x.json"], "cannot write '/proc/x.json'"),
        ([*SMALL, "--save", "/proc/x.npz"], "/proc/x.npz: No such file or directory"),
        ([*SMALL, "--save", "no/x.npz"], "'no/x.npz' cannot be written: there is no folder 'no'"),
        ([*SMALL[:-1], "--plot", "/proc/x.png"], "cannot write '/proc/x.png'"),
        ([*SMALL[:-1], "--plot", "folder"], "'folder' is a folder, not the name of a file to write"),
        (["run", "gemv", "-M", "1000000"], "a PE has 49152: use a smaller matrix or a larger grid"),
        (["run", "reduce", "--length", "100000"], "length of reduce must be at most 12032 elements of f32, for the memory of a PE"),
        (["run", "allreduce", "--dtype", "f16", "--length", "40000"], "length of allreduce must be at most 24064 elements of f16"),
        (["run", "broadcast", "--length", "30000"], "length of broadcast must be at most 12032 elements of f32"),
        (["run", "broadcast", "--root-x", "99"], "the root of broadcast must be in the grid of 64x1 PEs, not at (99, 0)"),
        (["run", "axpy", "--a", "nan"], "'nan' is not a finite number (see: wse run axpy --help)"),
        (["plot", "folder"], "'folder' is not a saved run"),
        (["plot", "cut.npz"], "'cut.npz' is not a saved run"),
        (["plot", "bent.npz"], "bent.npz is no run file: "),
        (["plot", "other.npz"], "other.npz is no run file: it has no record of a run"),
        (["plot", "still.npz", "-o", "x.gif"], "this run has no activity per PE"),
        (["plot", "good.npz", "-o", "x.pftrace"], "this run has no events"),
        (["plot", "good.npz", "-o", "/proc/x.html"], "cannot write '/proc/x.html'"),
        (["asm", "good.npz"], "good.npz is not text"),
        (["asm", ROOT / "traces/README.md"], "line 1: '# Recorded runs' is not an instruction"),
        (["disasm", "bad.toml"], "bad.toml: line 1: 'not' is not a word of 64 bits in hex"),
    ],
)  # fmt: skip
def test_one_line_and_status_2(words, line):
    done = sh(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and line in done.stderr
    assert done.stderr.count("\n") == 1 and "internal" not in done.stderr


def test_the_longest_vector_that_is_allowed_fits():
    for kernel, length in (("reduce", 12032), ("broadcast", 12032)):
        done = sh("run", kernel, "--grid", "3x3", "--length", length, "--no-plot")
        assert done.exit_code == 0, done.stderr


def test_help_says_the_grid_that_a_kernel_takes():
    assert "[default: 64x1]" in sh("run", "allreduce", "--help").stdout
