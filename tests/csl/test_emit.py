"""The texts of --emit, and the artifact on disk.

Covers: wse/csl/artifact.py, wse/csl/ir/text.py
"""

import re

import numpy as np
import pytest

from csl.backend import Builder, Pe
from csl.running import compiled
from wse.csl.artifact import Artifact
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.emit import emit
from wse.csl.ir import ir
from wse.csl.ir.ir import Addr, Const, Dsd, Reg, Vector
from wse.errors import ConfigError


def program() -> Pe:
    n = Reg("u16", "n")
    f = Builder("main", [n])
    f.add(Vector("fmovs", Dsd("mem1d", Addr("x"), 4, 4), Const("f32", 1.0)))
    f.store(Addr("count"), f.bin("add", n, Const("u16", 1)))
    routes = {3: ir.ColorConfig("R", "E", (("R", "W"),))}
    return Pe([f.done()], {"x": ("f32", [0] * 4), "count": ("u16", [0])}, routes=routes)


def test_forms():
    pe = program()
    layout = ir.Layout("wse3", 1, 1, [pe.unit], np.zeros((1, 1), np.uint16), file="layout.csl")
    assert "fn main(%0.n: u16) void" in emit("ir", layout, pe.artifact)
    asm = emit("asm", layout, pe.artifact)
    assert "main<rpc>:" in asm and "// t.csl:2" in asm and "fmovs d0, r" in asm
    memory = emit("memory-map", layout, pe.artifact)
    assert "x  (f32 [4])" in memory and "(free)" in memory
    assert "color 3: R -> E | R -> W at x 0..0, y 0..0 (1 PEs)" in emit("layout", layout, pe.artifact)


INLINED = """
var total: f32 = 0.0;
var x: [16]f32;
inline fn lowered(v: f32) f32 {
  return v - 2.5;
}
fn scaled(v: f32, i: i16) f32 {
  return v * @as(f32, i) + 1.0;
}
fn mix() void {
  for (@range(i16, 16)) |i| {
    x[i] = scaled(x[i], i);
    if (x[i] > 10.0) { total += lowered(x[i]); }
  }
}
task main() void {
  mix();
  total = total - 4.0;
}
comptime { @bind_local_task(main, @get_local_task_id(9)); @activate(@get_local_task_id(9)); }
"""


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_each_instruction_has_the_line_and_function_it_is_from(level, arch, tmp_path):
    made = compiled(tmp_path, INLINED, arch)
    artifact = link(made, level)
    text = emit("asm", made, artifact)
    found = re.findall(r"(?m)^ +\d+  (\w+) .*  // pe\.csl:(\d+):\d+ in (\w+)$", text)
    functions = {range(4, 7): "lowered", range(7, 10): "scaled", range(10, 16): "mix", range(16, 20): "main"}
    for op, line, function in found:
        (within,) = [name for lines, name in functions.items() if int(line) in lines]
        assert function == within, (op, line)
    # operations of floats are made in the line of their source, wherever they have been inlined
    sources = {(op, int(line)) for op, line, _ in found}
    assert {line for op, line in sources if op in ("smul", "sfma")} == {8}
    assert {line for op, line in sources if op in ("slt", "sle")} == {13}
    # the branch becomes a selection: what it guards is computed before it, in the line of its condition
    guarded = {13} if "sel" in {op for op, _ in sources} else {5, 13}
    assert {line for op, line in sources if op in ("sadd", "ssub")} - {8} == guarded | {18}
    assert ("sel", 13) in sources or level < 2
    instructions = re.findall(r"(?m)^ +\d+  .*$", text)
    assert len(instructions) == len(artifact.classes[0].code)
    assert all(re.search(r"  // (pe\.csl:\d+:\d+ )?in [\w<>]+$", row) for row in instructions)
    if level >= 2:
        assert "call" not in {op for op, *_ in found}


def test_an_artifact_survives_the_disk(tmp_path):
    pe = program()
    pe.artifact.save(tmp_path / "out")
    loaded = Artifact.load(tmp_path / "out")
    assert (loaded.classes[0].code == pe.image.code).all()
    for name in ("variables", "functions", "data", "memory", "labels", "tasks", "messages"):
        assert getattr(loaded.classes[0], name) == getattr(pe.image, name), name
    assert loaded.routes[3][1] == pe.artifact.routes[3][1] or loaded.routes[3][1][0].switch == [["R", "W"]]
    pe.fabric = loaded.fabric()
    pe.call("main", 41)
    assert pe.read("count")[0] == 42


def test_what_is_no_artifact(tmp_path):
    with pytest.raises(ConfigError, match="holds no compiled program"):
        Artifact.load(tmp_path)
    (tmp_path / "out.json").write_text('{"format": 0}')
    np.savez(tmp_path / "out.npz", class_of=np.zeros(1))
    with pytest.raises(ConfigError, match="another version"):
        Artifact.load(tmp_path)


def test_values_that_differ_from_pe_to_pe():
    f = Builder("main")
    f.store(Addr("out"), f.bin("add", f.load(Addr("slot"), "i16"), Const("i16", 100)))
    unit = ir.Unit(
        "pe", "t.csl", [ir.Global("slot", 2), ir.Global("out", 2)], [f.done()],
        tasks=[ir.Task("local", 9, "main")], active={9}, exports=[ir.Export("out", "out", 0, "i16", 1)],
    )  # fmt: skip
    other = ir.Unit("idle", "t.csl")
    from wse.csl.codegen.link import link

    classes = np.array([[0, 0, 1], [0, 0xFFFF, 0]], np.uint16)
    layout = ir.Layout("wse2", 3, 2, [unit, other], classes, file="layout.csl")
    layout.per_pe = [ir.PerPe(0, "slot", 0, np.arange(6, dtype=np.int16).reshape(2, 3))]
    artifact = link(layout)
    fabric = artifact.fabric()
    fabric.run()
    where = artifact.classes[0].variables["out"].address
    got = np.zeros((2, 3), np.int16)
    fabric._engine.read(0, 0, 3, 2, where, got.reshape(-1).view(np.uint8))
    assert got.tolist() == [[100, 101, 0], [103, 0, 105]]


def test_colors_have_the_names_of_the_program(tmp_path):
    """Constants of the layout first, then parts of its constants, then names in the code of PEs."""
    (tmp_path / "layout.csl").write_text(
        """
const red = @get_color(1);
const ways = .{ .east = @get_color(2), .rest = .{ @get_color(3), @get_color(1) } };
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .east = ways.east, .third = ways.rest[0], .other = @get_color(4), .red_too = red });
  @set_color_config(0, 0, @get_color(6), .{ .routes = .{ .rx = .{ WEST }, .tx = .{ EAST } } });
}
"""
    )
    (tmp_path / "pe.csl").write_text(
        """
param east: color;
param third: color;
param other: color;
param red_too: color;
const own = @get_color(5);
const all = [2]color{ other, own };
const out = @get_dsd(fabout_dsd, .{ .fabric_color = east, .extent = 1, .output_queue = @get_output_queue(2) });
comptime {
  @initialize_queue(@get_output_queue(2), .{ .color = east });
  @initialize_queue(@get_output_queue(3), .{ .color = all[1] });
  @initialize_queue(@get_output_queue(4), .{ .color = third });
  @initialize_queue(@get_input_queue(2), .{ .color = red_too });
}
"""
    )
    names = compile_program(tmp_path / "layout.csl", "wse3").color_names
    assert names == {1: "red", 2: "ways.east", 3: "ways.rest[0]", 4: "other", 5: "own"}
