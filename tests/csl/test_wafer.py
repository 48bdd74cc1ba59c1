"""Layouts of many PEs: loops evaluated with all rounds at once, code shared by PEs whose parameters differ in numbers.

Covers: wse/csl/compile.py, wse/csl/sema/batch.py
"""

import time

import numpy as np
import pytest

from csl.running import launch, read, write
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.sema import batch
from wse.csl.syntax.errors import CslError
from wse.sdk.device import Device

PE = """param px: i16;
param py: i16;
param width: i16;
param edge: bool = false;
var out = @zeros([4]i32);
var ptr: [*]i32 = &out;
var id: i32 = @as(i32, py) * @as(i32, width) + @as(i32, px);
var scaled: f32 = @as(f32, px) * 1.0;
const parity = px % 2;
fn main() void {
  out[0] = id;
  out[1] = @as(i32, px) - @as(i32, py) * 2 + @as(i32, scaled);
  if (px == 0) {
    out[2] = 100;
  } else if (parity == 1) {
    out[2] = 200;
  } else {
    out[2] = 300;
  }
  const far = px > py;
  out[3] = if (edge) 1 else if (far) 2 else 3;
}
comptime {
  @export_symbol(ptr, "out");
  @export_symbol(main);
}
"""

LAYOUT = """param width: i16;
param height: i16;
const east = @get_color(0);
layout {
  @set_rectangle(width, height);
  for (@range(i16, width)) |x| {
    for (@range(i16, height)) |y| {
      @set_tile_code(x, y, "pe.csl", .{ .px = x, .py = y, .width = width, .edge = y == height - 1 });
      const rx = if (x == 0) .{RAMP} else .{WEST};
      if (y % 2 == 1) continue;
      @set_color_config(x, y, east, .{ .routes = .{ .rx = rx, .tx = if (y == x) .{ RAMP, EAST } else .{EAST} } });
    }
  }
}
"""


def test_values_of_every_pe(tmp_path):
    layout = compile_program(write(tmp_path, PE, LAYOUT), "wse3", {"width": 12, "height": 9})
    assert len(layout.units) == 12 + 5  # the last row's twelve; of the others, by kind of column and whether px > py
    device = Device(link(layout))
    launch(device)
    for y in range(9):
        for x in range(12):
            third = 100 if x == 0 else 200 if x % 2 else 300
            fourth = 1 if y == 8 else 2 if x > y else 3
            assert read(device, "out", x, y).tolist() == [y * 12 + x, x - 2 * y + x, third, fourth], (x, y)


def test_all_rounds_at_once_is_the_same_as_one_by_one(tmp_path, monkeypatch):
    path = write(tmp_path, PE, LAYOUT)
    at_once = compile_program(path, "wse3", {"width": 12, "height": 9})
    monkeypatch.setattr(batch, "LEAST", 1000)
    one_by_one = compile_program(path, "wse3", {"width": 12, "height": 9})
    assert at_once.routes.keys() == one_by_one.routes.keys()
    plane, configs = at_once.routes[0]
    other, others = one_by_one.routes[0]
    for y in range(9):
        for x in range(12):
            assert (plane[y, x] < 0) == (other[y, x] < 0) == (y % 2 == 1)
            assert plane[y, x] < 0 or configs[plane[y, x]] == others[other[y, x]]
    assert len(np.unique(at_once.class_of)) == len(np.unique(one_by_one.class_of))


@pytest.mark.parametrize(
    "body",
    [
        "count += 1; @set_tile_code(x, 0, \"pe.csl\", .{ .px = x, .py = count, .width = 20 });",
        "if (x == 30) break; @set_tile_code(x, 0, \"pe.csl\", .{ .px = x, .py = 1, .width = 20 });",
        "bump(); @set_tile_code(x, 0, \"pe.csl\", .{ .px = x, .py = 1, .width = 20 });",
        "const t = if (x < 5) x * 2 else x / 2; @set_tile_code(x, 0, \"pe.csl\", .{ .px = t, .py = -x, .width = 20 });",
        "var k: i16 = 0; for (@range(i16, 3)) |i| { k += i * x; if (i == 1) continue; k += 1; } "
        "@set_tile_code(x, 0, \"pe.csl\", .{ .px = x, .py = k, .width = 20 });",
        "@set_tile_code(x, 0, \"pe.csl\", .{ .px = count, .py = x, .width = 20 }); count -= 3;",
        "count += step; const c = count * 2; @set_tile_code(x, 0, \"pe.csl\", .{ .px = c, .py = x, .width = 20 });",
        "if (x % 2 == 0) { count += 1; } @set_tile_code(x, 0, \"pe.csl\", .{ .px = count, .py = x, .width = 20 });",
        "count += x; @set_tile_code(x, 0, \"pe.csl\", .{ .px = count, .py = x, .width = 20 });",
        "count = x; @set_tile_code(x, 0, \"pe.csl\", .{ .px = count, .py = x, .width = 20 });",
        "if (x == 3) { @set_tile_code(x, 0, \"pe.csl\", .{ .px = 1, .py = 1, .width = 1 }); continue; } count += 2; "
        "@set_tile_code(x, 0, \"pe.csl\", .{ .px = count, .py = x, .width = 20 });",
        "small += 100; @set_tile_code(x, 0, \"pe.csl\", .{ .px = small, .py = x, .width = 20 });",
        "@set_tile_code(19 - x, 0, \"pe.csl\", .{ .px = x & 3, .py = (x ^ 1) | 4, .width = x % 7 });",
    ],
)  # fmt: skip
def test_loops_of_all_kinds(body, tmp_path, monkeypatch):
    layout = f"""var total: i16 = 0;
fn bump() void {{ total += 1; }}
layout {{
  @set_rectangle(20, 1);
  var count: i16 = 0;
  var small: u8 = 7;
  const step = 5;
  for (@range(i16, 20)) |x| {{ {body} }}
}}
"""
    both_ways(tmp_path, monkeypatch, layout)


def both_ways(tmp_path, monkeypatch, layout):
    """All rounds at once, and one by one, give the same program."""
    path = write(tmp_path, PE, layout)
    results = []
    for least in (8, 1000):
        monkeypatch.setattr(batch, "LEAST", least)
        device = Device(link(compile_program(path, "wse3")))
        launch(device)
        results.append([read(device, "out", x, 0).tolist() for x in range(20)])
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "loop",
    [
        "while (x < 20) : (x += 1)",
        "while (x <= 19) : (x += 1)",
        "while (x < width - 1 + 1) : (x += 1)",
        "x = 19; while (x >= 0) : (x -= 1)",
        "x = 19; while (x > -1) : (x -= 1)",
        "while (x != 20) : (x += 1)",
        "x = 1; while (x < 20) : (x += 2)",
        "while (x < 40 - x) : (x += 1)",
    ],
)
@pytest.mark.parametrize("kind", ["i16", "comptime_int"])
def test_while_loops(loop, kind, tmp_path, monkeypatch):
    call = '@set_tile_code(x, 0, "pe.csl", .{ .px = x, .py = n, .width = 20 }); n += 7;'
    rest = '@set_tile_code(y, 0, "pe.csl", .{ .px = -7, .py = x, .width = n });'
    layout = f"""const width = 20;
layout {{
  @set_rectangle(20, 1);
  var x: {kind} = 0;
  var n: i16 = 3;
  {loop} {{ {call} }}
  for (@range(i16, 20)) |y| {{ if ({"y % 2 == 0" if "+= 2" in loop else "false"}) {{ {rest} }} }}
}}
"""
    both_ways(tmp_path, monkeypatch, layout)


def test_a_counter_that_wraps_around(tmp_path, monkeypatch):
    """A u8 that has 200 rounds to go to 255 + 1: no loop over all rounds at once."""
    layout = """layout {
  @set_rectangle(20, 1);
  var x: u8 = 250;
  var n: u16 = 0;
  while (x > 5) : (x += 1) { if (n < 20) { @set_tile_code(n, 0, "pe.csl", .{ .px = x, .py = n, .width = 20 }); } n += 1; }
  for (@range(u16, 20)) |y| { if (y >= n) @set_tile_code(y, 0, "pe.csl", .{ .px = x, .py = n, .width = 20 }); }
}
"""
    both_ways(tmp_path, monkeypatch, layout)


NESTED = """param at: comptime_struct;
param scale: f32;
param half: f16;
var out = @zeros([4]f32);
var ptr: [*]f32 = &out;
fn main() void {
  out[0] = @as(f32, at.x * 100 + at.more[1]);
  out[1] = scale;
  out[2] = at.factor;
  out[3] = @as(f32, half);
}
comptime { @export_symbol(ptr, "out"); @export_symbol(main); }
"""


def test_numbers_in_structs_and_floats_share_code(tmp_path):
    layout = """layout {
  @set_rectangle(40, 3);
  for (@range(i16, 3)) |y| { for (@range(i16, 40)) |x| {
    const factor = @as(f32, x) * 0.1;
    @set_tile_code(x, y, "pe.csl", .{
      .at = .{ .x = x, .more = .{ 7, y }, .factor = factor }, .scale = 0.25 * @as(f32, x - 20), .half = @as(f16, y) * -0.0
    });
  } }
}
"""
    made = compile_program(write(tmp_path, NESTED, layout), "wse3")
    assert len(made.units) == 1
    device = Device(link(made))
    launch(device)
    for x in range(40):
        for y in range(3):
            want = np.array([x * 100 + y, 0.25 * (x - 20), np.float32(x) * np.float32(0.1), y * -0.0], np.float32)
            assert read(device, "out", x, y).tobytes() == want.tobytes()


@pytest.mark.parametrize(
    "body, message",
    [
        ('@set_tile_code(x, 1, "pe.csl", .{});', "y = 1 is outside of the rectangle"),
        ('@set_tile_code(x + 5, 0, "pe.csl", .{});', "x = 24 is outside of the rectangle"),
        ('@set_tile_code(x / 2, 0, "pe.csl", .{}); @set_tile_code(x / 2, 0, "pe.csl", .{});', "is set twice"),
        ('@set_tile_code(x, 0, "pe.csl", .{ .px = x * 4000, .py = 0, .width = 1 });', "does not fit i16"),
    ],
)
def test_errors_in_loops(body, message, tmp_path):
    layout = f"layout {{ @set_rectangle(20, 1); for (@range(i32, 20)) |x| {{ {body} }} }}"
    with pytest.raises(CslError) as caught:
        compile_program(write(tmp_path, PE, layout))
    assert message in str(caught.value), str(caught.value)


def test_a_wafer_compiles_in_seconds(tmp_path):
    started = time.perf_counter()
    layout = compile_program(write(tmp_path, PE, LAYOUT), "wse3", {"width": 750, "height": 994})
    assert time.perf_counter() - started < 60
    assert layout.class_of.shape == (994, 750) and layout.class_of.max() == len(layout.units) - 1
    assert layout.per_pe
