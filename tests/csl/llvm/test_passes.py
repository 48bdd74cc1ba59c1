"""What the middle end does to programs: loops, constants, repeated work, descriptors; the same text every time.

Covers: wse/csl/codegen/constants.py, wse/csl/codegen/keep.py, wse/csl/llvm/passes.py, wse/csl/llvm/optimize.py, wse/csl/llvm/lower.py
"""

from __future__ import annotations

import numpy as np
import pytest

from csl import running
from csl.backend import Builder, Pe
from wse.csl.codegen.link import generate, link
from wse.csl.compile import compile_program
from wse.csl.ir import ir
from wse.csl.ir.ir import Addr, At, Const, Reg
from wse.csl.llvm import passes
from wse.csl.llvm.lower import lower
from wse.sdk.device import Device


def code(folder, text: str, level: int = 2, arch: str = "wse3") -> list:
    """The instructions of the function `main` of a program."""
    layout = running.compiled(folder, f"{text}\ncomptime {{ @export_symbol(main); }}", arch)
    made = generate(layout.units[0], arch, "f16", level)
    return [
        ins for function in made.functions if function.name != "<launch>" for b in function.blocks for ins in b.code
    ]


def ops(*args, **more) -> list[str]:
    return [ins.op for ins in code(*args, **more)]


def test_the_same_text_gives_the_same_text():
    f = Builder("main")
    f.loop(Const("u16", 100), lambda i: f.store(Addr("out"), f.bin("mul", i, i)))
    unit = ir.Unit("pe", "t.csl", [], [f.done()])
    text = lower(unit, {"main"}, "f16").text
    assert passes.run.__wrapped__(text) == passes.run.__wrapped__(text)


def test_classes_with_one_text_are_optimised_once(tmp_path):
    (tmp_path / "layout.csl").write_text(
        """layout { @set_rectangle(4, 1); for (@range(u16, 4)) |x| {
            @set_tile_code(x, 0, "pe.csl", .{ .name = if (x % 2 == 0) "even" else "odd", .n = x }); } }"""
    )
    (tmp_path / "pe.csl").write_text(
        "param name: comptime_string; param n: u16; var out: [5]u16; var x = [5]u16{ n, 1, 2, 3, n };\n"
        "fn main() void { if (@strlen(name) == 3) { for (@range(u16, 5)) |i| { out[i] = x[i] * 3; } } else { out[1] = x[4]; } }\n"
        "comptime { @export_symbol(main); @export_symbol(out); }"
    )
    before = passes.run.cache_info()
    artifact = link(compile_program(tmp_path / "layout.csl"))
    after = passes.run.cache_info()
    calls = after.hits + after.misses - before.hits - before.misses
    assert len(artifact.classes) == calls and after.misses - before.misses == 2 < calls
    words = [image.code.tolist() for image in artifact.classes]
    assert len({tuple(code) for code in words}) == 2


def test_a_remainder_by_a_power_of_two_is_a_mask(tmp_path):
    found = ops(tmp_path, "var x: u16; fn main() void { x = x % 8 + x / 4; }")
    assert "iand" in found and "ishr16" in found
    assert not any(op.startswith(("idiv", "irem")) for op in found)


def test_loops_without_effect_go_and_small_ones_are_unrolled(tmp_path):
    found = ops(tmp_path, "fn main() void { var s: u16 = 0; for (@range(u16, 100)) |i| { s += i; } }")
    assert found == ["done"]
    found = ops(tmp_path, "var x: [3]u16; fn main() void { for (@range(u16, 3)) |i| { x[i] = i; } }")
    assert not any(op in ("bz", "bnz", "jmp") for op in found)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_address_of_an_element_comes_from_its_whole_index(tmp_path, level):
    """Each element of a transpose has its own index, which is shifted; two arrays at one index share the shift."""
    text = """
var a = @zeros([1024]f32); var b = @zeros([1024]f32);
fn main() void {
  for (@range(u16, 32)) |i| { for (@range(u16, 8)) |j| { b[j * 32 + i] = a[i * 8 + j]; } }
  for (@range(u16, 100)) |i| { b[i + 1] += a[i + 1]; }
}
"""
    found = code(tmp_path, text, level)
    scaled = [ins for ins in found if ins.op == "ishl16" and ins.imm == 2]
    assert [ins.op for ins in found].count("ld32") == 8 + 2 and len(scaled) == 2 * 8 + 1


@pytest.mark.parametrize("level", [1, 2, 3])
def test_indices_that_unrolled_loops_know_are_constants(tmp_path, level):
    text = """
var a = @zeros([6]i32); var out: [4]i32;
fn main() void {
  for (@range(u16, 3)) |i| { a[2 * i + 1] = @as(i32, i); }
  for (@range(u16, 3)) |i| { out[i] = a[5 - 2 * i] + 7; }
}
"""
    found = code(tmp_path, text, level)
    assert not any(ins.op.startswith(("ishl", "iadd", "ld", "b", "j")) for ins in found), "values, not only addresses"
    exported = f"{text}\ncomptime {{ @export_symbol(main); @export_symbol(out); }}"
    loaded = Device(link(running.compiled(tmp_path, exported), level=level))
    running.launch(loaded)
    assert running.read(loaded, "out").tolist()[:3] == [9, 8, 7]


def test_loops_with_conditions_stay_loops(tmp_path):
    """Loops of up to LLVM's limit are unrolled, unless they have conditions beside that of the loop."""
    jumps = ("bz", "bnz", "jmp")
    straight = "var a: [16]i16; var b: [16]i16; fn main() void { for (@range(u16, 16)) |i| { a[i] += b[i]; } }"
    assert not any(op in jumps for op in ops(tmp_path, straight))
    text = "var a: [4]f32; fn main() void { for (@range(u16, 4)) |i| { if (i == 0 or a[i] > 1.0) { a[i] = 2.0; } } }"
    assert sum(op in jumps for op in ops(tmp_path, text)) >= 1


def test_a_small_if_is_a_selection(tmp_path):
    found = ops(tmp_path, "var x: i16; fn main() void { x = if (x < 0) 5 else x + 1; }")
    assert "sel" in found and "bz" not in found and "bnz" not in found


@pytest.mark.parametrize("level", [1, 2, 3])
def test_what_does_not_change_leaves_a_loop(tmp_path, level):
    text = """
var a = @zeros([64]f16);
var x: f16 = 2.0;
const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> a[i] });
fn main() void { var i: i16 = 0; while (i < 99) : (i += 1) { @fmach(d, d, d, x); } }
"""
    found = code(tmp_path, text, level)
    loop = [i for i, ins in enumerate(found) if ins.op in ("bz", "bnz")]
    assert len(loop) == 1
    assert not any(ins.op == "ldds" for ins in found[[i.op for i in found].index("fmach") : loop[0]])
    assert sum(ins.op == "ldds" for ins in found) == 3
    assert not any(ins.op == "mov" for ins in found[[i.op for i in found].index("fmach") : loop[0]])
    assert sum(ins.op == "fmach" for ins in found) == 1


def test_an_operation_touches_the_memory_of_its_descriptors_only(tmp_path):
    text = """
var a = @zeros([64]f16);
var x: f16 = 2.0;
var n: i16 = 9;
const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> a[i] });
const own = @get_dsr(dsr_dest, 0);
fn main() void { var i: i16 = 0; while (i < n) : (i += 1) { @fmach(DST, d, d, x); } }
"""
    apart = ops(tmp_path, text.replace("DST", "d"))
    assert apart[-8:].count("ld16") == 0 and apart.count("ld16") == 2  # x and n, before the loop
    loop = ops(tmp_path, text.replace("DST", "own").replace("{ var i", "{ @load_to_dsr(own, d); var i"))
    assert loop[loop.index("fmach") :].count("ld16") == 1  # the DSR might hold any address


def test_what_an_operation_writes_is_read_again(tmp_path):
    text = """
export var a = @zeros([4]f32);
export var b = @zeros([4]f32);
const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
fn over(p: mem1d_dsd) void { @fmovs(p, 7.0); }
fn main() void {
  a[1] = 3.0; @fadds(d, d, 1.0); b[0] = a[1];
  a[2] = 5.0; over(d); b[1] = a[2];
  b[2] = 4.0; @fmovs(d, 2.0); b[2] += a[3];
  var p = &a[0]; @fadds(p, d, 1.0); b[3] = a[0];
}
"""
    got = running.run(tmp_path, f"{text}\ncomptime {{ @export_symbol(main); }}")
    assert running.read(got, "b").tolist() == [4, 7, 6, 9]  # the last is a sum


KEPT = """
export var a = @zeros([4]f32);
export var b = @zeros([4]f32);
export var n: u16 = 0;
const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const e = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> b[i] });
fn step(x: f32) f32 { @fmovs(e, 2.0); return x + 3.0; }
"""


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "body, wanted",
    [
        (
            "if (n > 0) { var i: u16 = 0; while (i < n) : (i += 1) { @fadds(d, d, 1.0); @fmovs(e, d); } }"
            " else { @fmovs(e, 7.0); @fadds(d, e, 1.0); }",
            [7, 8],
        ),
        ("if (n > 0) { @map(step, d, d); } else { @fmovs(e, 7.0); @fadds(d, e, 1.0); }", [7, 8]),
        (
            "var i: u16 = 0; while (i < 50) : (i += 1) { @fadds(d, d, 1.0); @map(step, d, d); @fmovs(e, d); }",
            [200, 200],
        ),
        (
            "@map(step, d, d); var i: u16 = 0; while (i < 50) : (i += 1) { @fadds(d, d, 1.0); @fmovs(e, d); }",
            [53, 53],
        ),
    ],
    ids=["another branch than the loop", "another branch than @map", "@map in a loop", "@map before a loop"],
)
def test_only_a_loop_counts_on_what_it_keeps(tmp_path, body, wanted, level):
    text = f"{KEPT}fn main() void {{ {body} }}\ncomptime {{ @export_symbol(main); }}\n"
    loaded = Device(link(running.compiled(tmp_path, text), level=level))
    running.launch(loaded, "main")
    assert [running.read(loaded, name).tolist() for name in "ba"] == [[value] * 4 for value in wanted]


def test_the_steps_of_a_map_load_no_descriptors(tmp_path):
    text = """
var a = @zeros([64]f16);
var c = @zeros([16]f16);
const all = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{64} -> a[i] });
const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> c[i] });
fn step(x: f16) void { @fmach(d, d, d, x); }
fn main() void { @map(step, all); }
"""
    found = ops(tmp_path, text)
    assert "ldds" not in found[found.index("mapstep") : found.index("maploop")]


def test_lines_survive():
    f = Builder("main")
    f.store(Addr("out"), f.bin("mul", f.load(Addr("out"), "u16"), Const("u16", 3)))
    pe = Pe([f.done()], {"out": ("u16", [5])})
    lines = {ins.at.line for function in generate(pe.unit, "wse3").functions for b in function.blocks
             for ins in b.code if ins.at is not None}  # fmt: skip
    assert {2, 3, 4} <= lines


def test_a_register_of_the_router_is_read_each_time(tmp_path):
    text = """
var x: [2]u16;
const t = @import_module("<tile_config>");
fn main() void {
  const a = @get_config(0x7f20); const b = @get_config(0x7f20); x[0] = a; x[1] = b;
}
"""
    assert ops(tmp_path, text).count("cfgld") == 2


def test_equal_divisions_are_done_once(tmp_path):
    text = "var x: [3]u16; fn main() void { x[0] = x[2] / x[1]; x[1] = x[2] / x[1]; }"
    found = [op for op in ops(tmp_path, text) if op.startswith("idiv")]
    assert len(found) == 1 or found == ["idivu16", "idivu16"]  # the first store may change an operand
    text = "var x: [3]u16; fn main() void { const a = x[1]; const b = x[2]; x[0] = a / b; x[1] = a / b; }"
    assert sum(op.startswith("idiv") for op in ops(tmp_path, text)) == 1


@pytest.mark.parametrize("type", ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"])
@pytest.mark.parametrize("op", ["shl", "shr"])
def test_shifts_beyond_the_width(type, op):
    bits = int(type[1:])
    amounts = [0, 1, bits - 1, bits, bits + 1, 200, 65535]
    value = -3 if type[0] == "i" else (1 << bits) - 3

    def build(at):
        f = Builder("main")
        amount = f.load(Addr("amount"), "u16", 2 * at)
        f.store(Addr("out"), f.bin(op, f.load(Addr("value"), type), amount))
        return f.done()

    for i, amount in enumerate(amounts):
        pe = Pe([build(i)], {"out": (type, [0]), "value": (type, [value]), "amount": ("u16", amounts)})
        pe.call("main")
        exact = value << amount if op == "shl" and amount < bits else 0 if op == "shl" else value >> amount
        assert int(pe.read("out")[0]) & (1 << bits) - 1 == exact & (1 << bits) - 1


def test_a_register_that_is_never_assigned_is_zero():
    f = Builder("main")
    f.store(Addr("out"), Reg("u16"))
    pe = Pe([f.done()], {"out": ("u16", [7])})
    pe.call("main")
    assert pe.read("out")[0] == 0


def test_source_positions_are_shared():
    f = Builder("main")
    f.store(Addr("out"), Const("u16", 1))
    f.store(Addr("out"), Const("u16", 2))
    f.block.code[-1].at = At("t.csl", 2)
    unit = ir.Unit("pe", "t.csl", [], [f.done()])
    made = lower(unit, {"main"}, "f16")
    assert made.places == [None, At("t.csl", 2), At("t.csl", 4)]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("level", [0, 2])
def test_an_operation_in_a_loop_begins_at_its_descriptor(tmp_path, arch, level):
    """A descriptor that moves its DSR on is not kept in it over the rounds, nor are its neighbours taken for it."""
    text = """
export var y = @zeros([24]u16);
export var x = [24]u16 { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24 };
const moving = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> x[i], .save_address = true });
const out = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> y[i], .save_address = true });
const still = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> y[i + 12] });
fn main() void {
  var n: u16 = 0;
  while (n < 3) : (n += 1) {
    @add16(out, out, moving);
    @add16(still, still, moving);
  }
}
comptime { @export_symbol(main); }
"""
    loaded = Device(link(running.compiled(tmp_path, text, arch), level=level))
    running.launch(loaded)
    expected = np.zeros(24, int)
    expected[:4] = expected[12:16] = [3, 6, 9, 12]
    assert running.read(loaded, "y").tolist() == expected.tolist()
