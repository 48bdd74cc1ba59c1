"""`wse sweep`, as a user calls it: interrupted, killed, resumed."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from documents import ROOT
from shell import sh

from wse.cli.sweep import execute

pytest.importorskip("distributed")
parquet = pytest.importorskip("pyarrow.parquet")

SPEC = """
command = ["run", "gemv"]
options = { grid = "4x4", no_plot = true }
plot = { x = "M", by = "dtype" }

[grid]
M = [16, 32, 64, 128]
dtype = ["f16", "f32"]
seed = [0, 1, 2]
"""


def test_a_command_in_this_process():
    status, out, err = execute(["run", "gemv", "-M", "16", "-K", "16", "--grid", "4x4", "--json"])
    assert status == 0 and json.loads(out)["cycles"] > 0 and err == ""
    status, out, err = execute(["run", "gemv", "--grid", "0x4"])
    assert status == 2 and out == "" and err.startswith("error: ")


def test_a_list_runs_nothing(tmp_path):
    (tmp_path / "s.toml").write_text(SPEC)
    result = sh("sweep", tmp_path / "s.toml", "--list")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == 24
    assert lines[-1] == "wse run gemv --grid 4x4 --no-plot -M 128 --dtype f32 --seed 2 --json"
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


def test_bad_input(tmp_path):
    spec = tmp_path / "s"
    spec.write_text(SPEC)
    for arguments, message in (
        (["none.toml"], "error: specification none.toml: No such file or directory"),
        ([spec], "does not end in .toml: name the folder of the results with --out"),
        ([spec, "--out", tmp_path / "o", "--plot", "p.png", "--no-plot"], "exclude each other"),
        ([spec, "--out", tmp_path / "o", "--plot", "p.txt"], "cannot tell the picture's format"),
    ):
        result = sh("sweep", *arguments)
        assert result.exit_code == 2 and message in result.stderr, result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"gemv"', '"gemx"', "there is no kernel 'gemx': did you mean gemv or gemm?"),
        ('"run"', '"rnu"', "there is no command 'rnu': did you mean run?"),
        (', "gemv"', "", "the kernel is missing"),
        ("M = [16", "alpha = [16", "--alpha 16 --dtype f16 --seed 0 --json: there is no option --alpha: did you mean"),
        ('"f32"', '"fp32"', "'fp32' is not one of 'f16', 'bf16', 'cb16', 'f32'; did you mean f32?"),
        ("seed = [0, 1", "seed = [0, -1", "'-1' is not an integer of at least 0"),
        ("no_plot = true", "no_plot = true, gird = 3", "there is no option --gird: did you mean --grid?"),
        ("[grid]", "[[cases]]\nK = 16\n[[cases]]\nK = 16\nx = 1\n[grid]", "there is no option -x"),
    ],
)
def test_a_wrong_specification_is_refused_before_anything_runs(tmp_path, old, new, message):
    spec = tmp_path / "s.toml"
    spec.write_text(SPEC.replace(old, new))
    result = sh("sweep", spec)
    assert result.exit_code == 2 and message in result.stderr, result.stderr
    assert result.stderr.startswith("error: ") and str(spec) in result.stderr
    assert not (tmp_path / "s").exists()


def test_the_example_of_the_document(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/sweeps.md").read_text(), re.DOTALL)
    spec = tmp_path / "s.toml"
    spec.write_text(text)
    assert len(sh("sweep", spec, "--list").stdout.splitlines()) == 36
    small = re.sub(r"(?m)^([MK]) = \[(\d+),.*?(\d+)\] *$", r"\1 = [\2, \3]", text)
    spec.write_text(small.replace("16x16", "8x8"))
    done = sh("sweep", spec, "--workers", 2, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["finished"] == 16 and (tmp_path / "s/plot.png").exists()


def started(tmp_path):
    return subprocess.Popen(
        [sys.executable, "-m", "wse.cli", "sweep", "s.toml", "--workers", "2", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        restore_signals=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finished(tmp_path):
    path = tmp_path / "s" / "points.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def until(tmp_path, count):
    begun = time.monotonic()
    while len(finished(tmp_path)) < count:
        assert time.monotonic() - begun < 60
        time.sleep(0.005)


def test_interrupted_killed_and_resumed(tmp_path):
    """Every point is in the table once, and none that was finished was done again."""
    (tmp_path / "s.toml").write_text(
        SPEC.replace("M = [16, 32, 64, 128]", "M = [256, 320, 384, 448, 512]").replace("4x4", "16x16")
    )
    first = started(tmp_path)
    until(tmp_path, 4)
    os.kill(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=60)
    told = json.loads(out)
    assert first.returncode == 130 and told["ended"] == "interrupted" and "Traceback" not in err
    assert 4 <= told["finished"] == len(finished(tmp_path)) < 30
    assert parquet.read_table(tmp_path / "s" / "table.parquet").num_rows == told["finished"]
    kept = finished(tmp_path)

    second = started(tmp_path)
    until(tmp_path, len(kept) + 4)
    second.kill()  # without a chance to tidy up
    second.communicate(timeout=60)
    last = finished(tmp_path)
    assert second.returncode == -signal.SIGKILL and last[: len(kept)] == kept

    third = started(tmp_path)
    out, err = third.communicate(timeout=120)
    told = json.loads(out)
    assert third.returncode == 0 and told["failed"] == 0 and told["new"] == 30 - len(last)
    rows = list(map(json.loads, finished(tmp_path)))
    assert len(rows) == len({row["key"] for row in rows}) == 30
    table = parquet.read_table(tmp_path / "s" / "table.parquet").to_pydict()
    assert sorted(set(table["M"])) == [256, 320, 384, 448, 512] and len(table["cycles"]) == 30
    assert all(table["verified"]) and set(table["status"]) == {"done"}
    assert (tmp_path / "s" / "plot.png").stat().st_size > 5000


def test_the_numbers_of_the_picture(tmp_path):
    spec = tmp_path / "s.toml"
    spec.write_text(SPEC.replace("M = [16, 32, 64, 128]", "M = [16, 32]").replace("seed = [0, 1, 2]", ""))
    result = sh("sweep", spec, "--workers", 1)
    assert result.exit_code == 0
    table = parquet.read_table(tmp_path / "s" / "table.parquet").to_pydict()
    cycles = dict(zip(zip(table["M"], table["dtype"], strict=True), table["cycles"], strict=True))
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["M", "dtype", "=", "f16", "dtype", "=", "f32"] in lines
    for m in (16, 32):
        assert [str(m), f"{cycles[m, 'f16']:,}", f"{cycles[m, 'f32']:,}"] in lines


def test_failures_are_told(tmp_path):
    (tmp_path / "s.toml").write_text(
        'command = ["run", "gemv"]\noptions = {grid = "4x4", no_plot = true}\ngrid = {M = [16, -5]}\n'
    )
    result = sh("sweep", tmp_path / "s.toml", "--workers", 1, "--no-plot")
    assert result.exit_code == 1
    assert "failed: wse run gemv --grid 4x4 --no-plot -M -5 --json: error: " in result.output
    assert "2 of 2 finished, 2 of them now" in result.output
