"""<collectives_2d>: collectives along a row or a column."""

from random import Random

import numpy as np
import pytest

from csl import running
from wse import Machine
from wse.csl.syntax.errors import CslError
from wse.sdk.device import Device

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


def test_each_collective_takes_what_the_library_of_the_vendor_takes(tmp_path):
    """Two collectives in sequence end twice the difference of collective_cycles later."""
    text = "const along_x = true;\n" + LINE.replace("if (root == extent) return;", "if (phase == 2) return;")
    loaded = running.device(tmp_path, text, "wse3", "const along_x = true;\n" + COLLECTIVES, {"w": 3, "h": 1})
    ends = []
    for cycles in (1, 301):
        device = Device(loaded.artifact, machine=Machine("wse3", overrides={"collective_cycles": cycles}))
        running.launch(device)
        ends.append(device.fabric.cycle)
    assert ends[1] - ends[0] == 2 * 300


LONG = """
param params;
const line = @import_module("<collectives_2d/pe>", .{ .dim_params = params.x });
const extent = 70;
const done_id = @get_local_task_id(15);
var own = @zeros([2]u32);
export var all = @zeros([2 * extent]u32);
export var done: u16 = 0;
task finished() void { done += 1; }
fn main(root: u16) void {
  line.init();
  own[0] = @as(u32, line.pe_id) * 3;
  own[1] = @as(u32, line.pe_id) + 500;
  line.gather(root, @ptrcast([*]u32, &own), @ptrcast([*]u32, &all), 2, done_id);
}
comptime { @bind_local_task(finished, done_id); @export_symbol(main); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("root", [0, 35, 69])
def test_gather_from_a_long_line(tmp_path, arch, root):
    along_x = "const along_x = true;\n"
    layout = along_x + ONE_AXIS.replace("AXIS", "x").replace(", .extent = if (along_x) w else h", "")
    loaded = running.run(tmp_path, LONG, root, arch=arch, layout=layout, params={"w": 70, "h": 1})
    want = np.stack([np.arange(70) * 3, np.arange(70) + 500], 1).reshape(-1)
    assert running.read(loaded, "all", root).tolist() == want.tolist()
    assert all(running.read(loaded, "done", x)[0] == 1 for x in range(70))


BOTH = """
param params;
param extent: u16;
const row = @import_module("<collectives_2d/pe>", .{ .dim_params = params.x });
const column = @import_module("<collectives_2d/pe>", .{ .dim_params = params.y });
const x_id = @get_local_task_id(15);
const y_id = @get_local_task_id(16);
export var x_data = @zeros([10]u32);
export var y_data = @zeros([10]u32);
export var ends = @zeros([2]u16);
task x_task() void { ends[0] += 1; }
task y_task() void { ends[1] += 1; }
fn main(root: u16) void {
  row.init();
  column.init();
  for (@range(u16, 10)) |i| {
    if (row.pe_id == root) x_data[i] = @as(u32, column.pe_id) * 100 + @as(u32, i);
    if (column.pe_id == root) y_data[i] = @as(u32, row.pe_id) * 1000 + @as(u32, i);
  }
  row.broadcast(root, @ptrcast([*]u32, &x_data), 10, x_id);
  column.broadcast(root, @ptrcast([*]u32, &y_data), 10, y_id);
}
comptime { @bind_local_task(x_task, x_id); @bind_local_task(y_task, y_id); @export_symbol(main); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("root", [0, 2])
def test_both_dimensions_at_once(tmp_path, arch, root):
    along_x = "const along_x = true;\n"
    loaded = running.run(tmp_path, BOTH, root, arch=arch, layout=along_x + COLLECTIVES, params={"w": 3, "h": 4})
    for x in range(3):
        for y in range(4):
            assert running.read(loaded, "x_data", x, y).tolist() == [y * 100 + i for i in range(10)]
            assert running.read(loaded, "y_data", x, y).tolist() == [x * 1000 + i for i in range(10)]
            assert running.read(loaded, "ends", x, y).tolist() == [1, 1]


SEQUENCE = """
param params: comptime_struct;
param extent: u16;
const line = @import_module("<collectives_2d/pe>", .{{ .dim_params = params.x }});
const next_id = @get_local_task_id(15);
var phase: u16 = 0;
var words = @zeros([{most}]u32);
var numbers = @zeros([{most}]f32);
{results}
task next() void {{
  phase += 1;
{calls}
}}
var busy: u32 = 0;
fn main() void {{
  line.init();
  busy = @as(u32, line.pe_id) * {late};
  while (busy > 0) : (busy -= 1) {{ phase = 0; }}
  @activate(next_id);
}}
comptime {{ @bind_local_task(next, next_id); @export_symbol(main); }}
"""
# What a PE has before, and how it calls the function: {k} is the position in the sequence, {n} the count.
CALLS = {
    "broadcast": "if (line.pe_id == {root}) {{ for (@range(u16, {n})) |i| {{ got{k}[i] = {k}000 + @as(u32, i); }} }} "
    "line.broadcast({root}, @ptrcast([*]u32, &got{k}), {n}, next_id);",
    "scatter": "for (@range(u16, {n} * extent)) |i| {{ words[i] = {k}000 + @as(u32, i); }} "
    "line.scatter({root}, @ptrcast([*]u32, &words), @ptrcast([*]u32, &got{k}), {n}, next_id);",
    "gather": "for (@range(u16, {n})) |i| {{ words[i] = {k}000 + @as(u32, line.pe_id * 100 + i); }} "
    "line.gather({root}, @ptrcast([*]u32, &words), @ptrcast([*]u32, &got{k}), {n}, next_id);",
    "reduce": "for (@range(u16, {n})) |i| {{ numbers[i] = @as(f32, line.pe_id + 1) * @as(f32, i + {k}); }} "
    "line.reduce_fadds({root}, @ptrcast([*]f32, &numbers), @ptrcast([*]f32, &got{k}), {n}, next_id);",
}


@pytest.mark.parametrize("seed", range(12))
def test_a_random_sequence(tmp_path, seed):
    rng = Random(seed)
    extent, long = rng.choice([2, 3, 5, 9]), rng.choice([3, 17, 40])
    sequence = [(rng.choice([*CALLS]), rng.randrange(extent), rng.choice([1, 2, long])) for _ in range(6)]
    results = [
        f"export var got{k} = @zeros([{n * extent}]{'f32' if kind == 'reduce' else 'u32'});"
        for k, (kind, _, n) in enumerate(sequence)
    ]
    calls = [
        f"  if (phase == {k + 1}) {{ {CALLS[kind].format(k=k, root=root, n=n)} }}"
        for k, (kind, root, n) in enumerate(sequence)
    ]
    text = SEQUENCE.format(
        most=40 * extent, results="\n".join(results), calls="\n".join(calls), late=rng.choice([0, 7, 90])
    )
    along_x = "const along_x = true;\n"
    loaded = running.device(tmp_path, text, rng.choice(["wse2", "wse3"]), along_x + COLLECTIVES, {"w": extent, "h": 1})
    running.launch(loaded)
    for x in range(extent):
        for k, (kind, root, n) in enumerate(sequence):
            got, places = running.read(loaded, f"got{k}", x), np.arange(n)
            if kind in ("broadcast", "scatter"):
                assert (got[:n] == k * 1000 + places + (x * n if kind == "scatter" else 0)).all(), (sequence, k, x)
            elif x == root and kind == "gather":
                assert (got.reshape(extent, n) == k * 1000 + np.arange(extent)[:, None] * 100 + places).all(), (
                    sequence,
                    k,
                )
            elif x == root:
                assert (got[:n] == sum(range(1, extent + 1)) * (places + k)).all(), (sequence, k)
