"""Profiles: cycles per instruction in the engine, per line of source in the report.

Covers: wse/cli/profile.py
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from documents import ROOT

from csl.backend import Builder, Pe
from csl.running import launch, pair, write
from wse.csl import compare, profile
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.ir import ir
from wse.csl.ir.ir import Addr, Const
from wse.errors import ConfigError
from wse.fabric.run import CAUSES
from wse.sdk.device import Device


def looping(tmp_path) -> Pe:
    f = Builder("main")
    f.store(Addr("out"), Const("u16", 0))

    def body(i):
        f.store(Addr("out"), f.bin("add", f.load(Addr("out"), "u16"), i))
        f.add(ir.Sys("nop"))  # the loop stays one

    f.loop(Const("u16", 100), body)
    f.add(ir.Vector("fmovs", ir.Dsd("mem1d", Addr("x"), 64, 4), Const("f32", 1.0)))
    pe = Pe([f.done()], {"out": ("u16", [0]), "x": ("f32", [0] * 64)})
    pe.artifact.save(tmp_path)
    return pe


def test_lines_add_up(tmp_path):
    pe = looping(tmp_path)
    pe.fabric.keep_profile()
    pe.call("main")
    counted = pe.fabric.profile()["pe"]
    assert counted.shape == (len(pe.image.code) + 1, 1 + len(CAUSES))
    assert int(counted[:, 1:].sum()) == pe.fabric.cycle
    profile.save(pe.fabric, tmp_path)
    (found,) = profile.load(tmp_path)
    assert found.pes == 1
    by_times = {row.line: row.times for row in found.lines}
    assert 100 in by_times.values()
    assert sum(row.share for row in found.lines) == pytest.approx(1)
    for row in found.lines:
        assert sum(row.causes.values()) == pytest.approx(row.cycles)
    for cause in CAUSES:
        parts = [row.causes.get(cause, 0) for row in found.lines] + [found.no_line.get(cause, 0)]
        assert sum(parts) == pytest.approx(found.causes.get(cause, 0))
    assert found.cycles == pe.fabric.cycle == pytest.approx(sum(found.causes.values()))
    assert found.causes["branch"] == 502 and found.causes["elements"] == 16
    assert "cycles a PE, 1 PE" in profile.text([found], 3)
    assert "more lines" in profile.text([found], 3)
    assert profile.SCALAR_NOTE in profile.text([found])
    found.causes["elements"] = found.cycles  # as if operations took as long again
    found.cycles *= 2
    assert profile.SCALAR_NOTE not in profile.text([found])


def test_results_do_not_depend_on_it(tmp_path):
    first, second = looping(tmp_path), looping(tmp_path)
    second.fabric.keep_profile()
    for pe in (first, second):
        pe.call("main")
    assert first.fabric.cycle == second.fabric.cycle
    assert first.read("out")[0] == second.read("out")[0] == 4950


def test_what_is_no_profile(tmp_path):
    pe = looping(tmp_path)
    with pytest.raises(ConfigError, match="there is no profile"):
        profile.load(tmp_path)
    np.savez_compressed(tmp_path / profile.FILE, class0=np.zeros((3, 2), np.uint64))
    with pytest.raises(ConfigError, match="another compilation"):
        profile.load(tmp_path)
    with pytest.raises(ValueError):
        pe.fabric._engine.profile_of(0, len(pe.image.code))  # nobody asked for one
    pe.call("main")
    with pytest.raises(ConfigError, match="before the first cycle, and the fabric is in cycle"):
        pe.fabric.keep_profile()


def test_the_command(tmp_path):
    pe = looping(tmp_path)
    pe.fabric.keep_profile()
    pe.call("main")
    profile.save(pe.fabric, tmp_path)
    command = [sys.executable, "-P", "-m", "wse.cli", "profile", "--lines", "2", str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "t.csl:" in shown and "more lines" in shown


def test_the_command_runs_host_programs_as_cs_python_does(tmp_path):
    pe = looping(tmp_path / "out")
    pe.fabric.keep_profile()
    pe.call("main")
    profile.save(pe.fabric, tmp_path / "out")
    (tmp_path / "run.py").write_text(
        "import os, sys, cerebras\nimport numpy as np\n"
        "print(sys.argv, os.environ['WSE_PROFILE'], np.uint16(5) + (np.uint16(2) << 16))\n"
    )
    command = [sys.executable, "-P", "-m", "wse.cli", "profile", "out", "run.py", "--name", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == "['run.py', '--name', 'x'] 1 131077\n"  # with the types of NumPy 1


SENDS = """param sends: bool;
const way = @get_color(4);
const queue_out = @get_output_queue(2);
const queue_in = @get_input_queue(3);
const done_id = @get_local_task_id(10);
var x: [20]f32 = @constants([20]f32, 1.0);
const all = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{20} -> x[i] });
const to = @get_dsd(fabout_dsd, .{ .extent = 20, .fabric_color = way, .output_queue = queue_out });
const from = @get_dsd(fabin_dsd, .{ .extent = 20, .fabric_color = way, .input_queue = queue_in });
task done() void {}
fn main() void {
  if (sends) {
    var wait: u16 = 0;
    while (wait < 500) : (wait += 1) { x[0] = x[0] * 1.5; }
    @fmovs(to, all, .{ .async = true });
  } else {
    @fmovs(all, from, .{ .async = true, .activate = done_id });
  }
}
comptime {
  @bind_local_task(done, done_id);
  if (@is_arch("wse3")) {
    @initialize_queue(queue_out, .{ .color = way });
    @initialize_queue(queue_in, .{ .color = way });
  }
  @export_symbol(main);
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_microthreads_count_at_the_line_that_started_them(arch, tmp_path):
    layout = pair(4, 5).replace("\n}\n", '\n  @export_name("main", fn()void);\n}\n')
    made = link(compile_program(write(tmp_path, SENDS, layout), arch))
    made.save(tmp_path / "out")
    loaded = Device(made)
    loaded.fabric.keep_profile()
    launch(loaded)
    profile.save(loaded.fabric, tmp_path / "out")
    by_params = {p.params: p for p in profile.load(tmp_path / "out")}
    sender, receiver = by_params["sends=true"], by_params["sends=false"]
    for p, text in ((sender, "@fmovs(to, all"), (receiver, "@fmovs(all, from")):
        (line,) = [row for row in p.lines if row.text.startswith(text)]
        assert line.causes["micro"] == 20 and line.function == "main"
        assert p.causes["micro"] == 20
        assert set(p.no_line) <= {"idle"}
        assert sum(row.cycles for row in p.lines) + sum(p.no_line.values()) == pytest.approx(p.cycles)
        if p is receiver:
            assert line.causes["input"] > 200  # the sender computes before it sends
    assert sender.causes.get("input", 0) == 0
    (loop,) = [row for row in sender.lines if row.text.startswith("while")]
    assert loop.times == 500 and loop.causes["branch"] >= 499
    # what is lost with -g0 is said
    for image in made.classes:
        image.lines[:] = -1
    made.save(tmp_path / "out")
    assert "no lines: the program was compiled with -g0" in profile.text(profile.load(tmp_path / "out"))


def test_every_key_of_the_json_is_described(tmp_path):
    pe = looping(tmp_path)
    pe.fabric.keep_profile()
    pe.call("main")
    profile.save(pe.fabric, tmp_path)
    command = [sys.executable, "-P", "-m", "wse.cli", "profile", "--json", str(tmp_path)]
    (found,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["classes"]
    described = (ROOT / "docs/files.md").read_text().split("### wse profile")[1].split("### Other commands")[0]
    for key in (*found, *found["lines"][0], *compare.document(compare.compare([], [], ("a", "b")))):
        assert f"`{key}`" in described, key
