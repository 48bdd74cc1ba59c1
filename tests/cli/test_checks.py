"""wse/cli/checks.py: --check and --suppress of `wse run`, `wse csl run` and `cs_python`: findings, exit status, JSON."""

import json
import os
import subprocess
import sys

import pytest
from documents import PACKAGES
from shell import sh

from wse.check import Finding
from wse.cli import checks
from wse.sdk import compile

HOST = """
import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime
runner = SdkRuntime("out")
runner.load()
runner.run()
runner.launch("main", nonblock=False)
runner.stop()
print("the host program's own")
"""
# The element behind the last one is written.
CODE = """
param memcpy_params: comptime_struct;
const sys_mod = @import_module("<memcpy/memcpy>", memcpy_params);
var x = @zeros([4]f32);
var n: u16 = 5;
const all = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> x[i] });
fn main() void {
  @fmovs(@set_dsd_length(all, n), 1.0);
  sys_mod.unblock_cmd_stream();
}
comptime { @export_symbol(main); }
"""
LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 });
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(0) });
  @export_name("main", fn () void);
}
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PACKAGES)}


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "pe.csl").write_text(CODE)
    (tmp_path / "layout.csl").write_text(LAYOUT)
    (tmp_path / "run.py").write_text(HOST)
    compile.run(compile.Request(tmp_path / "layout.csl", {}, arch="wse3", output=tmp_path / "out"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(module: str, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-P", "-m", module, *words]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)


def test_a_kernel_without_findings():
    ran = sh("run", "axpy", "--grid", "1x1", "--length", 8, "--no-plot", "--check")
    assert ran.exit_code == 0 and "0 findings" in ran.stdout
    document = json.loads(sh("run", "axpy", "--grid", "1x1", "--length", 8, "--check", "--json").stdout)
    assert document["findings"] == [] and document["verified"]


def test_a_run_that_is_not_checked_says_nothing_of_findings():
    assert "findings" not in json.loads(sh("run", "axpy", "--grid", "1x1", "--length", 8, "--json").stdout)


def test_a_csl_program(here):
    line = CODE.splitlines().index("  @fmovs(@set_dsd_length(all, n), 1.0);") + 1
    ran = done("wse.cli", "csl", "run", "out", "run.py", "--check")
    assert ran.returncode == 1 and "the host program's own" in ran.stdout
    assert "1 finding (1 bounds):" in ran.stdout and f"pe.csl:{line}:" in ran.stdout and "x (" in ran.stdout
    assert done("wse.cli", "csl", "run", "out", "run.py").returncode == 0


def test_cs_python(here):
    ran = done("wse.cli.cs_python", "--check", "run.py")
    assert ran.returncode == 1 and ran.stdout == "the host program's own\n"
    assert "1 finding (1 bounds):" in ran.stderr
    (document,) = json.loads(done("wse.cli.cs_python", "--check", "--json", "run.py").stdout)["runs"]
    (finding,) = document["findings"]
    assert finding["kind"] == "bounds" and finding["pe"] == [0, 0] and finding["count"] == 1


def test_what_is_known_is_suppressed(here):
    (here / "known.txt").write_text("bounds pe.csl  # on purpose\nrace\n")
    ran = done("wse.cli", "csl", "run", "out", "run.py", "--check", "--suppress", "known.txt")
    assert ran.returncode == 0 and "0 findings" in ran.stdout
    assert ran.stderr.strip().endswith("note: known.txt:2 matches no finding")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--suppress", "x"], "add --check"),
        (["--check", "--suppress", "none.txt"], "none.txt: No such file"),
        (["--check", "--checkpoint", "s"], "--checkpoint and --check exclude each other"),
    ],
)
def test_bad_options(words, said):
    ran = sh("run", "axpy", "--grid", "1x1", "--no-plot", *words)
    assert ran.exit_code == 2 and said in ran.stderr


def test_a_note_says_that_there_may_be_more(capsys):
    found = [Finding("race", 0, 0, cycle, "", "words") for cycle in range(checks.KEPT)]
    checks.show(found[:-1], None)
    assert "there may be more" not in capsys.readouterr().err
    checks.show(found, None)
    out, err = capsys.readouterr()
    assert "... and 974 more (--json prints all)" in out
    assert err == "note: 1,024 different findings of a part of the grid are kept: there may be more\n"
