"""Descriptors of variables and parameters: what operations do over them, at every level, and what stays in memory.

Covers: wse/csl/ir/dsd_values.py
"""

from __future__ import annotations

import numpy as np
import pytest

from csl import running
from wse.csl.codegen.link import generate, link
from wse.sdk.device import Device

HEAD = """
export var a = @zeros([64]f32);
export var b = @zeros([64]f32);
fn index() void { var i: u16 = 0; while (i < 64) : (i += 1) { a[i] = @as(f32, i); } }
"""
DSD = "@get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> %s[i] })"
A, B = DSD % "a", DSD % "b"


def copied(*pieces: tuple[int, int, int]) -> np.ndarray:
    """b after copies of (to, from, number)."""
    b = np.zeros(64, np.float32)
    for to, at, n in pieces:
        b[to : to + n] = np.arange(64, dtype=np.float32)[at : at + n]
    return b


PROGRAMS = {
    "a loop moves both": (
        f"fn work() void {{ var x = {A}; var y = {B}; var k: u16 = 0; while (k < 3) : (k += 1) {{"
        " @fmovs(y, x); x = @increment_dsd_offset(x, 10, f32); y = @increment_dsd_offset(y, 20, f32); } }",
        copied((0, 0, 8), (20, 10, 8), (40, 20, 8)),
    ),
    "parameters": (
        f"fn move(to: mem1d_dsd, from: mem1d_dsd) void {{ @fmovs(to, from); }}\n"
        f"fn work() void {{ move({B}, {A}); move(@increment_dsd_offset({B}, 9, f32), {A}); }}",
        copied((0, 0, 8), (9, 0, 8)),
    ),
    "one of two": (
        f"param_ fn work() void {{ var x = {A}; if (b[0] == 0.0) {{ x = @increment_dsd_offset(x, 3, f32); }}"
        f" @fmovs({B}, x); }}".replace("param_ ", ""),
        copied((0, 3, 8)),
    ),
    "lengths at run time": (
        f"var n: u16 = 5; fn work() void {{ var x = {A}; x = @set_dsd_length(x, n); @fmovs({B}, x); }}",
        copied((0, 0, 5)),
    ),
    "bases at run time": (
        f"fn work() void {{ var x = {A}; var y = {A}; y = @set_dsd_base_addr(y, &b); x = @set_dsd_base_addr(x, &a);"
        " @fmovs(y, x); }",
        copied((0, 0, 8)),
    ),
    "strides at run time": (
        f"var n: i8 = 2; fn work() void {{ var x = {A}; x = @set_dsd_stride(x, n); @fmovs({B}, x); }}",
        np.concatenate([np.arange(0, 16, 2, dtype=np.float32), np.zeros(56, np.float32)]),
    ),
    "copies of variables": (
        f"fn work() void {{ var x = {A}; var y = x; x = @increment_dsd_offset(x, 4, f32); @fmovs({B}, y);"
        f" var z = {B}; z = @increment_dsd_offset(z, 8, f32); @fmovs(z, x); }}",
        copied((0, 0, 8), (8, 4, 8)),
    ),
    "an address": (
        f"fn change(p: *mem1d_dsd) void {{ p.* = @increment_dsd_offset(p.*, 5, f32); }}\n"
        f"fn work() void {{ var x = {A}; change(&x); @fmovs({B}, x); }}",
        copied((0, 5, 8)),
    ),
    "a result": (
        f"fn later(d: mem1d_dsd, by: i16) mem1d_dsd {{ return @increment_dsd_offset(d, by, f32); }}\n"
        f"fn work() void {{ @fmovs({B}, later({A}, 6)); }}",
        copied((0, 6, 8)),
    ),
    "loaded into a DSR": (
        f"const r = @get_dsr(dsr_src1, 2); const w = @get_dsr(dsr_dest, 3);\n"
        f"fn work() void {{ var x = {A}; x = @increment_dsd_offset(x, 2, f32); @load_to_dsr(r, x);"
        f" @load_to_dsr(w, {B}); @fmovs(w, r); }}",
        copied((0, 2, 8)),
    ),
    "walked by @map": (
        f"fn twice(v: f32) f32 {{ return 2.0 * v; }}\n"
        f"fn work() void {{ var x = {A}; x = @increment_dsd_offset(x, 1, f32); @map(twice, x, {B}); }}",
        np.concatenate([2 * np.arange(1, 9, dtype=np.float32), np.zeros(56, np.float32)]),
    ),
    "in a variable that lasts": (
        f"var x = {A};\nfn work() void {{ @fmovs({B}, x); x = @increment_dsd_offset(x, 7, f32); @fmovs({B}, x); }}",
        copied((0, 7, 8)),
    ),
    "called from two places, too large to inline": (
        "fn move(to: mem1d_dsd, from: mem1d_dsd, k: f32) void {\n"
        + "  @fmuls(to, from, k); @fmovs(to, from); @fadds(to, to, k);\n" * 12
        + "}\n"
        f"fn work() void {{ var x = {A}; move({B}, x, 2.0); x = @increment_dsd_offset(x, 8, f32);"
        f" move(@increment_dsd_offset({B}, 8, f32), x, 3.0); }}",
        copied((0, 0, 16)) + np.repeat(np.float32([2, 3, 0]), [8, 8, 48]),
    ),
}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(tmp_path, name, level, arch):
    text, wanted = PROGRAMS[name]
    text = f"{HEAD}{text}\nfn main() void {{ index(); work(); }}\ncomptime {{ @export_symbol(main); }}\n"
    loaded = Device(link(running.compiled(tmp_path, text, arch), level=level))
    running.launch(loaded, "main")
    np.testing.assert_array_equal(running.read(loaded, "b"), wanted)


def accesses(tmp_path, name: str) -> int:
    """Loads and stores of 32 bits of the code of a program that are not of its numbers."""
    text = f"{HEAD}{PROGRAMS[name][0]}\nfn main() void {{ work(); }}\ncomptime {{ @export_symbol(main); }}\n"
    unit = running.compiled(tmp_path, text).units[0]
    code = [ins for f in generate(unit, "wse3").functions if f.name != "<launch>" for b in f.blocks for ins in b.code]
    return sum(ins.op in ("ld32", "st32") for ins in code)


@pytest.mark.parametrize("name", ["a loop moves both", "parameters", "copies of variables", "a result"])
def test_registers_hold_them(tmp_path, name):
    assert accesses(tmp_path, name) == 0


@pytest.mark.parametrize("name", ["in a variable that lasts"])
def test_memory_holds_them(tmp_path, name):
    assert accesses(tmp_path, name) > 0


def test_fabric_descriptors_in_variables(tmp_path):
    layout = running.pair(4, 5)
    text = """
param sends: bool;
export var data = @zeros([8]f32);
const color_ = @get_color(4);
const oq = @get_output_queue(2);
const iq = @get_input_queue(2);
const all = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> data[i] });
const done: local_task_id = @get_local_task_id(9);
fn main() void {
  if (sends) {
    for (@range(u16, 8)) |i| { data[i] = @as(f32, i + 1); }
    var out = @get_dsd(fabout_dsd, .{ .extent = 2, .fabric_color = color_, .output_queue = oq });
    var part = @set_dsd_length(all, 2);
    var k: u16 = 2;
    while (k < 7) : (k += 4) {
      @fmovs(out, part);
      part = @increment_dsd_offset(part, 2, f32);
      part = @set_dsd_length(part, 6);
      out = @set_dsd_length(out, 6);
    }
  } else {
    const in = @get_dsd(fabin_dsd, .{ .extent = 8, .fabric_color = color_, .input_queue = iq });
    @fmovs(all, in, .{ .async = true, .activate = done });
  }
}
task end() void {}
comptime {
  @bind_local_task(end, done);
  if (@is_arch("wse3")) { @initialize_queue(oq, .{ .color = color_ }); @initialize_queue(iq, .{ .color = color_ }); }
  @export_symbol(main);
}
"""
    for arch in ("wse2", "wse3"):
        got = running.run(tmp_path / arch, text, arch=arch, layout=layout)
        values = running.read(got, "data", 1, 0)
        assert values.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
