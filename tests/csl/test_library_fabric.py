"""Libraries that communicate: collectives, tallies; and those that deal with the router and the host.

Covers: wse/csl/builtins/intrinsics.py, wse/sdk/debug.py
"""

import numpy as np
import pytest

from wse.sdk.debug import decode

from . import running

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


TALLY_LAYOUT = """
param w: i16;
param h: i16;
param total: u32;
const tally = @import_module("<kernels/tally/layout>", .{
  .kernel_width = w, .kernel_height = h, .phase2_tally = total,
  .colors = [3]color{ @get_color(12), @get_color(13), @get_color(14) }, .output_color = @get_color(15) });
layout {
  @set_rectangle(w, h);
  for (@range(i16, w)) |x| {
    for (@range(i16, h)) |y| {
      @set_tile_code(x, y, "pe.csl", .{ .tally_params = tally.get_params(x, y) });
    }
  }
}
"""

TALLY = """
param tally_params: comptime_struct;
const done_id = @get_local_task_id(20);
const again_id = @get_local_task_id(21);
const fabric = @import_module("<layout>");
const tally = @import_module("<kernels/tally/pe>", @concat_structs(tally_params, .{
  .output_queues = [2]u16{ 4, 5 }, .input_queues = [2]u16{ 6, 7 }, .callback = done_id }));
export var times: u16 = 0;
export var sum: u32 = 0;
var left: u16 = 5;
task done() void {
  times += 1;
  sum = tally.local_tally;
}
task again() void {
  tally.bump_tally(@as(u32, fabric.get_x_coord() + 1));
  left -= 1;
  if (left == 2) tally.signal_completion();
  if (left > 0) @activate(again_id);
}
fn main() void { @activate(again_id); }
comptime {
  @bind_local_task(done, done_id);
  @bind_local_task(again, again_id);
  @export_symbol(main);
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("w, h", [(4, 3), (1, 3), (3, 1), (1, 1), (2, 5)])
def test_tally(tmp_path, arch, w, h):
    total = 5 * h * w * (w + 1) // 2
    loaded = running.device(tmp_path, TALLY, arch, TALLY_LAYOUT, {"w": w, "h": h, "total": total})
    running.launch(loaded)
    for x in range(w):
        for y in range(h):
            times = running.read(loaded, "times", x, y)[0]
            assert times == ((x, y) == (w - 1, 0))
    assert running.read(loaded, "sum", w - 1, 0)[0] == total


def test_control_words_and_directions(tmp_path):
    pe = """
const control = @import_module("<control>");
const switches = @import_module("<memcpy/memcpy_switches>");
const directions = @import_module("<directions>");
const task_id = @get_control_task_id(40);
export var words = [6]u32{
  control.encode_single_payload(control.opcode.SWITCH_ADV, true, {}, 5),
  control.encode_single_payload(control.opcode.SWITCH_RST, false, task_id, 0),
  control.encode_control_task_payload(task_id),
  switches.ctrl(switches.teardown_cmd_1()), switches.ctrl(switches.switch_cmd_11()), switches.ctrl(switches.switch_cmd_1()),
};
export var flips: u16 = 0;
fn main() void {
  if (directions.flip(NORTH) == SOUTH) flips += 1;
  if (directions.flip(directions.flip(EAST)) == EAST) flips += 1;
  if (directions.rotate_clockwise(NORTH) == EAST and directions.rotate_counterclockwise(NORTH) == WEST) flips += 1;
}
comptime { @export_symbol(main); }
"""
    got = running.run(tmp_path, pe)
    words = running.read(got, "words").tolist()
    assert words[0] == 5 | 31 << 16 | 5 << 22
    assert words[1] == 40 << 16 | 2 << 22
    assert words[2] == 40 << 16
    assert words[3] == 0x09DF9249
    assert words[4] == 31 << 16 | 5 << 22 | 5 << 25 | 4 << 28 & 0x3FFFFFFF | 0x9249
    assert words[5] == 31 << 16 | 5 << 22 | 4 << 25 | 0x9249
    assert running.read(got, "flips")[0] == 3


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_own_router(tmp_path, arch):
    layout = """
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl");
  @set_color_config(0, 0, @get_color(2), .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ EAST } },
    .switches = .{ .pos1 = .{ .rx = WEST }, .ring_mode = true, .current_switch_pos = 1 } });
}
"""
    pe = """
const tile = @import_module("<tile_config>");
const red = @get_color(2);
export var words = @zeros([6]u16);
fn switches() u16 { return @bitcast(*u16, @as(u16, 2 * 0x7f42)).*; }
fn routes() u16 { return @bitcast(*u16, @as(u16, 2 * 0x7f22)).*; }
fn main() void {
  words[0] = routes();
  words[1] = switches();
  tile.switch_config.clear_current_position(red);
  tile.switch_config.set_rx_switch_pos1(red, SOUTH);
  words[2] = switches();
  tile.color_config.reset_routes(tile.color_config.get_color_config_addr(red), .{ .tx = [2]direction{ WEST, RAMP }, .rx = NORTH });
  words[3] = routes();
  tile.switch_config.set_invalid_for_all_switch_positions(red);
  words[4] = switches();
  words[5] = @as(u16, tile.teardown.is_teardown(red));
}
comptime { @export_symbol(main); }
"""
    got = running.run(tmp_path, pe, arch=arch, layout=layout)
    words = running.read(got, "words").tolist()
    assert words[0] == 2 | 0x200
    assert words[1] == 1 << 13 | 1 << 12 | 8 | 13 << 4 | 13 << 8
    assert words[2] == 1 << 12 | 10 | 13 << 4 | 13 << 8
    assert words[3] == 1 | 16 | 0x100
    assert words[4] == 1 << 12 | 13 | 13 << 4 | 13 << 8
    assert words[5] == 0


def test_traces_for_the_host(tmp_path):
    pe = """
const trace = @import_module("<debug>", .{ .key = "mine", .buffer_size = 40 });
const small = @import_module("<debug>", .{ .key = "small", .buffer_size = 6 });
const time = @import_module("<time>");
fn main() void {
  time.enable_tsc();
  trace.trace_string("hello");
  trace.trace_u16(7);
  trace.trace_i16(-7);
  trace.trace_u32(70000);
  trace.trace_i32(-70000);
  trace.trace_f32(1.5);
  trace.trace_f16(-0.5);
  trace.trace_bool(true);
  trace.trace_u8(200);
  trace.trace_i8(-3);
  trace.trace_timestamp();
  small.trace_u32(1);
  small.trace_u32(2);
}
comptime { @export_symbol(main); }
"""
    got = running.run(tmp_path, pe)
    _, data = got.symbol(0, 0, "trace.mine")
    values = decode(np.frombuffer(data, np.uint16), got.artifact.strings)
    assert values[:6] == ["hello", 7, -7, 70000, -70000, 1.5]
    assert values[6:10] == [-0.5, True, 200, -3]
    assert 0 < values[10] < 1000
    _, data = got.symbol(0, 0, "trace.small")
    assert decode(np.frombuffer(data, np.uint16), got.artifact.strings) == [1]


def test_text_for_the_log(tmp_path):
    pe = """
const print = @import_module("<simprint>");
fn main() void {
  print.print_string("n = ");
  print.print_value(@as(i16, -3));
  print.print_u32_hex(48879);
  print.print_value(@as(f32, 0.5));
  print.print_coordinates();
  print.flush();
}
comptime { @export_symbol(main); }
"""
    got = running.run(tmp_path, pe)
    said = [(int(kind), int(value)) for kind, value in zip(*_said(got), strict=True)]
    strings = got.artifact.strings
    assert said[:3] == [(0, strings.index("n = ")), (3, 0xFFFFFFFD), (6, 48879)]
    assert said[3] == (7, int(np.float32(0.5).view(np.uint32)))
    assert said[4:] == [
        (0, strings.index("P")),
        (1, 0),
        (0, strings.index(".")),
        (1, 0),
        (0, strings.index(": ")),
        (9, 0),
    ]


def _said(loaded) -> tuple[np.ndarray, np.ndarray]:
    events = loaded.fabric.said()
    return events["kind"], events[events.dtype.names[-1]]
