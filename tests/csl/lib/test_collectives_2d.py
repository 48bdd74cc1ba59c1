"""<collectives_2d>: collectives along a row or a column."""

import numpy as np
import pytest

from csl import running
from wse.csl.syntax.errors import CslError

COLLECTIVES = """
param w: u16;
param h: u16;
const c2d = @import_module("<collectives_2d/params>");
layout {
  @set_rectangle(w, h);
  for (@range(u16, w)) |x| {
    for (@range(u16, h)) |y| {
      const params = c2d.get_params(x, y, .{
        .x_colors = .{ @get_color(0), @get_color(1) }, .x_entrypoints = .{ @get_local_task_id(10), @get_local_task_id(11) },
        .y_colors = .{ @get_color(4), @get_color(5) }, .y_entrypoints = .{ @get_local_task_id(12), @get_local_task_id(13) },
      });
      @set_tile_code(x, y, "pe.csl", .{ .params = params, .extent = if (along_x) w else h });
    }
  }
}
"""

LINE = """
param params: comptime_struct;
param extent: u16;
const line = @import_module("<collectives_2d/pe>", .{ .dim_params = if (along_x) params.x else params.y });
const fabric = @import_module("<layout>");
const count = 6;
const next_id = @get_local_task_id(15);

var from = @zeros([count * extent]u32);
var numbers = @zeros([count]f32);
var sums = @zeros([count]f32);
var got = @zeros([count * extent]u32);
export var broadcasts = @zeros([extent, count]u32);
export var scattered = @zeros([extent, count]u32);
export var gathered = @zeros([count * extent]u32);
export var reduced = @zeros([count]f32);

var phase: u16 = 0;
var root: u16 = 0;
var value: u32 = 0;

fn fill(base: u32) void {
  for (@range(u16, count * extent)) |i| { from[i] = base + @as(u32, i); }
}

// For each root in turn all four, without waiting for anybody else.
task next() void {
  if (phase == 1) {
    for (@range(u16, count)) |i| { broadcasts[root, i] = from[i]; }
  } else if (phase == 2) {
    for (@range(u16, count)) |i| { scattered[root, i] = got[i]; }
  } else if (phase == 4) {
    if (line.pe_id == root) {
      for (@range(u16, count)) |i| { reduced[i] = sums[i]; }
    }
    root += 1;
    phase = 0;
  }
  if (root == extent) return;
  phase += 1;
  if (phase == 1) {
    fill(value * 1000 + @as(u32, root) * 100);
    line.broadcast(root, @ptrcast([*]u32, &from), count, next_id);
  } else if (phase == 2) {
    fill(value * 1000 + @as(u32, root) * 100);
    line.scatter(root, @ptrcast([*]u32, &from), @ptrcast([*]u32, &got), count, next_id);
  } else if (phase == 3) {
    fill(value * 1000 + @as(u32, root) * 100);
    line.gather(root, @ptrcast([*]u32, &from), if (line.pe_id == root) @ptrcast([*]u32, &gathered) else @ptrcast([*]u32, &got),
                count, next_id);
  } else {
    for (@range(u16, count)) |i| { numbers[i] = @as(f32, value + 1) * @as(f32, i + root); }
    line.reduce_fadds(root, @ptrcast([*]f32, &numbers), @ptrcast([*]f32, &sums), count, next_id);
  }
}

fn main() void {
  line.init();
  value = @as(u32, line.pe_id);
  // some are late
  var busy: u32 = (value * 7 % 5) * 40;
  while (busy > 0) : (busy -= 1) { phase = 0; }
  @activate(next_id);
}

comptime {
  @bind_local_task(next, next_id);
  @export_symbol(main);
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("w, h, along", [(5, 2, "x"), (2, 4, "y"), (1, 3, "x"), (2, 2, "x"), (7, 1, "x")])
def test_collectives_from_every_root(tmp_path, arch, w, h, along):
    along_x = f"const along_x = {'true' if along == 'x' else 'false'};\n"
    loaded = running.device(tmp_path, along_x + LINE, arch, along_x + COLLECTIVES, {"w": w, "h": h})
    running.launch(loaded)
    extent, n = (w if along == "x" else h), 6
    for x in range(w):
        for y in range(h):
            me = x if along == "x" else y
            read = {
                name: running.read(loaded, name, x, y) for name in ("broadcasts", "scattered", "gathered", "reduced")
            }
            roots = np.arange(extent)[:, None]
            want = roots * 1100 + np.arange(n)
            assert (read["broadcasts"].reshape(extent, n) == want).all(), (x, y)
            assert (read["scattered"].reshape(extent, n) == want + me * n).all(), (x, y)
            assert (
                read["gathered"].reshape(extent, n) == np.arange(extent)[:, None] * 1000 + me * 100 + np.arange(n)
            ).all()
            total = sum(range(1, extent + 1))
            assert read["reduced"].tolist() == [total * (i + me) for i in range(n)], (x, y)


ONE_AXIS = """
param w: u16;
param h: u16;
const c2d = @import_module("<collectives_2d/params>");
layout {
  @set_rectangle(w, h);
  for (@range(u16, w)) |x| {
    for (@range(u16, h)) |y| {
      const params = c2d.get_params(x, y, .{ .AXIS_colors = .{ @get_color(0), @get_color(1) },
                                             .AXIS_entrypoints = .{ @get_local_task_id(10), @get_local_task_id(11) } });
      @set_tile_code(x, y, "pe.csl", .{ .params = params, .extent = if (along_x) w else h });
    }
  }
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("axis, w, h", [("x", 3, 1), ("y", 2, 3)])
def test_one_dimension_only(tmp_path, arch, axis, w, h):
    along_x = f"const along_x = {'true' if axis == 'x' else 'false'};\n"
    text = along_x + LINE.replace("param params: comptime_struct", "param params")
    loaded = running.device(tmp_path, text, arch, along_x + ONE_AXIS.replace("AXIS", axis), {"w": w, "h": h})
    running.launch(loaded)
    for x in range(w):
        for y in range(h):
            me, extent = (x, w) if axis == "x" else (y, h)
            total = sum(range(1, extent + 1))
            assert running.read(loaded, "reduced", x, y).tolist() == [total * (i + me) for i in range(6)]
            want = np.arange(extent)[:, None] * 1100 + np.arange(6)
            assert (running.read(loaded, "broadcasts", x, y).reshape(extent, 6) == want).all()


@pytest.mark.parametrize(
    "change, message",
    [
        (("if (along_x) params.x else params.y", "params.y"), ".dim_params is of a dimension"),
        ((".x_colors = .{ @get_color(0), @get_color(1) }", ".x_colors = .{ @get_color(0), @get_color(0) }"), "two different colors"),
        ((".x_entrypoints", ".entrypoints"), "needs .x_colors and .x_entrypoints"),
    ],
)  # fmt: skip
def test_errors(tmp_path, change, message):
    along_x = "const along_x = true;\n"
    pe, layout = along_x + LINE, along_x + ONE_AXIS.replace("AXIS", "x")
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe.replace(*change), "wse3", layout.replace(*change), {"w": 2, "h": 1})
    assert any(message in one.message for one in caught.value.diagnostics), caught.value


RESOURCES = ", .queues = [2]u16{ 3, 5 }, .dest_dsr_ids = [1]u16{ 4 }, .src0_dsr_ids = [1]u16{ 5 }, .src1_dsr_ids = [1]u16{ 6 } });"


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_resources_of_a_dimension(tmp_path, arch):
    along_x = "const along_x = true;\n"
    pe = along_x + LINE.replace("else params.y });", "else params.y" + RESOURCES)
    loaded = running.device(tmp_path / "a", pe, arch, along_x + COLLECTIVES, {"w": 3, "h": 1})
    running.launch(loaded)
    assert [running.read(loaded, "reduced", x).tolist()[1] for x in range(3)] == [6, 12, 18]
    assert sorted(loaded.artifact.classes[0].queues_in) == [3, 5]
    for ids in ("dest", "src0", "src1"):
        wrong = pe.replace(
            f".{ids}_dsr_ids = [1]u16{{ {'456'[('dest', 'src0', 'src1').index(ids)]} }}",
            f".{ids}_dsr_ids = [1]u16{{ 99 }}",
        )
        with pytest.raises(CslError, match="99"):
            running.compiled(tmp_path / ids, wrong, arch, along_x + COLLECTIVES, {"w": 3, "h": 1})
