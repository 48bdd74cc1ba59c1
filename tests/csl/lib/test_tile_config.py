"""<tile_config>: registers of the own router and processor."""

import pytest

from csl import running
from wse.csl.syntax.errors import CslError


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


HEAD = 'const tile = @import_module("<tile_config>");\n'
ROUTED = """
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl");
  @set_color_config(0, 0, @get_color(2), .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ EAST } },
    .switches = .{ .pos1 = .{ .tx = WEST }, .pos2 = .{ .tx = SOUTH }, .ring_mode = false, .pop_mode = .{ .no_pop = true } } });
}
"""


def words(
    tmp_path, body: str, count: int, arch: str = "wse3", head: str = "", layout: str | None = ROUTED
) -> list[int]:
    """The array w that a program leaves, which may use `red`, color 2, and the routers' words of it."""
    pe = f"""
{HEAD}
const color_config = tile.color_config;
const switch_config = tile.switch_config;
const red = @get_color(2);
var blue: color = red;
export var w = @zeros([{count}]u16);
fn routes() u16 {{ return @get_config(0x7f22); }}
fn switches() u16 {{ return @get_config(0x7f42); }}
{head}
fn main() void {{
  blue = @get_color(w[0] + 2);
{body}
}}
comptime {{ @export_symbol(main); }}
"""
    return running.read(running.run(tmp_path, pe, arch=arch, layout=layout), "w").tolist()


def error(tmp_path, body: str, arch: str = "wse3") -> str:
    pe = f"{HEAD}const red = @get_color(2);\nexport var w: u16 = 0;\nfn main() void {{ {body} }}\ncomptime {{ @export_symbol(main); }}\n"
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe, arch)
    first = caught.value.diagnostics[0]
    assert first.span.source.path.endswith("pe.csl") and first.span.line == 4
    return first.message


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_constants(tmp_path, arch):
    body = """
  const a: tile.reg_type = 7; const b: tile.double_reg_type = 70000;
  w[0] = a; w[1] = @as(u16, b >> 16); w[2] = tile.word_size; w[3] = @strlen(tile.target_name);
  w[4] = tile.FIFO_MIN_ALIGNMENT; w[5] = tile.filters.num_filters;"""
    assert words(tmp_path, body, 6, arch) == [7, 1, 2, 4, 16, 6]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_coordinates(tmp_path, arch):
    layout = 'layout { @set_rectangle(3, 2); for (@range(u16, 3)) |x| { for (@range(u16, 2)) |y| @set_tile_code(x, y, "pe.csl"); } }'
    pe = (
        HEAD
        + """
export var at = @zeros([2]u16);
fn main() void { at[0] = tile.get_fabric_coord(tile.fabric_coord.X); at[1] = tile.get_fabric_coord(tile.fabric_coord.Y); }
comptime { @export_symbol(main); }
"""
    )
    got = running.run(tmp_path, pe, arch=arch, layout=layout)
    assert all(running.read(got, "at", x, y).tolist() == [x, y] for x in range(3) for y in range(2))


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("form", ["red", "blue", "color_config.get_color_config_addr(blue)"])
def test_single_directions(tmp_path, arch, form):
    """By a color that is known, one that is not, and the address of its register."""
    body = f"""
  const at = {form}; const io = color_config.fabric_io;
  color_config.set_io_direction(at, io.TX_RAMP); w[1] = routes();
  color_config.clear_io_direction(at, io.TX_EAST); w[2] = routes();
  color_config.toggle_io_direction(at, io.TX_NORTH); w[3] = routes();
  color_config.toggle_io_direction(at, io.TX_NORTH); w[4] = routes();
  color_config.clear_io_direction(at, io.RX_RAMP); color_config.set_io_direction(at, io.RX_SOUTH); w[5] = routes();
  color_config.set_io_direction(at, io.TX_WEST); color_config.set_io_direction(at, io.TX_SOUTH); w[6] = routes();"""
    ramp, tx_ramp = 16 << 5, 16
    want = [
        ramp | 2 | tx_ramp,
        ramp | tx_ramp,
        ramp | tx_ramp | 8,
        ramp | tx_ramp,
        4 << 5 | tx_ramp,
        4 << 5 | tx_ramp | 1 | 4,
    ]
    assert words(tmp_path, body, 7, arch)[1:] == want


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_routes_are_reset(tmp_path, arch):
    body = """
  color_config.reset_routes(red, .{ .tx = [3]direction{ NORTH, SOUTH, WEST }, .rx = [1]direction{EAST} }); w[1] = routes();
  color_config.reset_routes(blue, .{ .tx = NORTH, .rx = RAMP }); w[2] = routes();"""
    assert words(tmp_path, body, 3, arch)[1:] == [8 | 4 | 1 | 2 << 5, 8 | 16 << 5]


def test_one_input_on_wse3(tmp_path):
    call = "tile.color_config.reset_routes(red, .{ .tx = EAST, .rx = [2]direction{ RAMP, EAST } });"
    assert "on wse3 a color has one input" in error(tmp_path, call)
    assert words(tmp_path / "b", call.replace("tile.", "") + " w[1] = routes();", 2, "wse2")[1] == 2 | 18 << 5


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(
    "form", ["red", "blue", "switch_config.get_switch_config_addr(blue, switch_config.switch_pos)"]
)
def test_switches(tmp_path, arch, form):
    body = f"""
  const at = {form}; const s = switch_config;
  w[1] = switches();
  s.set_current_switch_position(at, 2); s.set_ring_mode(at, s.ring_mode.RING_MODE); w[2] = switches();
  s.clear_current_position(at); s.set_ring_mode(at, s.ring_mode.NO_RING_MODE); w[3] = switches();
  s.set_rx_switch_pos1(at, NORTH); s.set_tx_switch_pos2(at, RAMP); s.set_tx_switch_pos3(at, EAST); w[4] = switches();
  s.set_tx_switch_pos1(at, SOUTH); s.set_rx_switch_pos2(at, WEST); s.set_rx_switch_pos3(at, SOUTH); w[5] = switches();
  s.set_switch_pos(s.switch_pos.POS3, at, NORTH, s.switch_select.OUTPUT); w[6] = switches();
  s.set_switch_pos(s.switch_pos.POS1, at, EAST, s.switch_select.INPUT); w[7] = switches();
  s.set_pop_mode(at, s.pop_mode.POP_ON_ADVANCE); w[8] = routes(); s.set_pop_mode(at, s.pop_mode.ALWAYS_POP); w[9] = routes();
  s.set_pop_mode(at, s.pop_mode.NO_POP); w[10] = routes();
  s.set_invalid_for_all_switch_positions(at); w[11] = switches();
  w[12] = s.get_switch_config_addr(blue, s.pop_mode); w[13] = s.get_switch_config_addr(red, s.switch_status);
  w[14] = s.get_color_config_addr(red);"""
    got = words(tmp_path, body, 15, arch)
    west, east, south, north, ramp, none = range(6)
    plain = 16 << 5 | 2
    want = [west | south << 4 | (none | 8) << 8]
    want += [
        want[0] | 2 << 13 | 1 << 12,
        want[0],
        (north | 8) | ramp << 4 | east << 8,
        south | (west | 8) << 4 | (south | 8) << 8,
    ]
    want += [south | (west | 8) << 4 | north << 8, (east | 8) | (west | 8) << 4 | north << 8]
    want += [plain | 2 << 12, plain | 1 << 12, plain]
    assert got[1:11] == want
    assert got[11] & 0x777 == none * 0x111 and got[12:] == [0x7F22, 0x7F42, 0x7F22]


MOVES = """
param place: u16;
const tile = @import_module("<tile_config>");
const red = @get_color(2);
const out_q = @get_output_queue(2);
const in_q = @get_input_queue(2);
const out = @get_dsd(fabout_dsd, .{ .extent = 2, .fabric_color = red, .output_queue = out_q });
const in = @get_dsd(fabin_dsd, .{ .extent = 2, .fabric_color = red, .input_queue = in_q });
export var got = @zeros([2]u32);
var sent = [2]u32{ 5, 6 };
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> got[i] });
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> sent[i] });
fn main() void {
  if (place == 1) {
    CHANGE
    @mov32(out, from, .{ .async = true });
  } else {
    @mov32(to, in, .{ .async = true });
  }
}
comptime {
  @export_symbol(main);
  @initialize_queue(in_q, .{ .color = red });
  if (@is_arch("wse3")) @initialize_queue(out_q, .{ .color = red });
  if (place == 1) @set_local_color_config(red, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} }, .switches = .{ .pos1 = .{ .tx = EAST } } })
  else if (place == 0) @set_local_color_config(red, .{ .routes = .{ .rx = .{EAST}, .tx = .{RAMP} } })
  else @set_local_color_config(red, .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });
}
"""
ROW = 'layout { @set_rectangle(3, 1); for (@range(u16, 3)) |x| @set_tile_code(x, 0, "pe.csl", .{ .place = x }); }'


@pytest.mark.parametrize("change, reached", [
    ("", 2), ("tile.color_config.reset_routes(red, .{ .rx = RAMP, .tx = WEST });", 0),
    ("tile.color_config.toggle_io_direction(red, tile.color_config.fabric_io.TX_EAST); "
     "tile.color_config.toggle_io_direction(red, tile.color_config.fabric_io.TX_WEST);", 0),
    ("tile.switch_config.set_tx_switch_pos1(red, WEST); tile.switch_config.set_current_switch_position(red, 1);", 0),
    ("tile.switch_config.set_rxtx_switch_pos2(red, RAMP, WEST); tile.switch_config.set_current_switch_position(red, 2);", 0),
])  # fmt: skip
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_wavelets_go_where_the_registers_say(tmp_path, arch, change, reached):
    if "rxtx" in change and arch == "wse2":
        assert "is not for wse2" in error(tmp_path, "tile.switch_config.set_rxtx_switch_pos2(red, RAMP, WEST);", arch)
        return
    loaded = running.run(tmp_path, MOVES.replace("CHANGE", change), arch=arch, layout=ROW)
    assert [running.read(loaded, "got", x).tolist() for x in (0, 2)] == [
        [5, 6] if x == reached else [0, 0] for x in (0, 2)
    ]


PRIORITIES = """
const tile = @import_module("<tile_config>");
const p = tile.task_priority;
const early = @get_local_task_id(9);
const late = @get_local_task_id(15);
export var order = @zeros([8]u16);
var n: u16 = 0;
fn note(id: u16) void { order[n] = id; n += 1; }
task first() void { note(9); }
task second() void { note(15); }
task both() void { BODY @activate(early); @activate(late); }
const start_id = @get_local_task_id(16);
fn main() void { @activate(start_id); }
comptime {
  @bind_local_task(first, early); @bind_local_task(second, late); @bind_local_task(both, start_id);
  @export_symbol(main);
  COMPTIME
}
"""


@pytest.mark.parametrize("body, comptime, order", [
    ("", "", [9, 15]), ("p.set_task_priority(late);", "", [15, 9]), ("", "p.set_task_priority(late);", [15, 9]),
    ("p.clear_task_priority(late);", "p.update_task_priority(late, p.level.HIGH);", [9, 15]),
    ("p.update_task_priority(early, p.level.HIGH);", "p.set_task_priority(late);", [9, 15]),
])  # fmt: skip
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_priorities_of_tasks(tmp_path, arch, body, comptime, order):
    """Task 16 runs: the next in turn is 9, but for priorities."""
    loaded = running.run(tmp_path, PRIORITIES.replace("BODY", body).replace("COMPTIME", comptime), arch=arch)
    assert running.read(loaded, "order").tolist()[:2] == order


CHANNEL = """
param place: u16;
const tile = @import_module("<tile_config>");
const control = @import_module("<control>");
const red = @get_color(2);
const entry = @get_control_task_id(40);
const out = @get_dsd(fabout_dsd, .{ .extent = 1, .fabric_color = red, .output_queue = @get_output_queue(2), .control = true });
const in_q = @get_input_queue(3);
const other = @get_local_task_id(20);
const wait_id = @get_local_task_id(21);
export var order = @zeros([4]u16);
var n: u16 = 0;
var i: u32 = 0;
fn note(id: u16) void { order[n] = id; n += 1; }
task by_wavelet() void { note(40); }
task by_hand() void { note(20); }
task wait() void {
  while (i < 300) : (i += 1) {}
  @activate(other);
}
fn main() void {
  if (place == 0) @mov32(out, control.encode_control_task_payload(entry), .{ .async = true })
  else { CHANGE @activate(wait_id); }
}
comptime {
  @bind_control_task(by_wavelet, entry); @bind_local_task(by_hand, other); @bind_local_task(wait, wait_id);
  @export_symbol(main);
  @initialize_queue(in_q, .{ .color = red });
  if (@is_arch("wse3")) @initialize_queue(@get_output_queue(2), .{ .color = red });
  if (place == 0) @set_local_color_config(red, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } })
  else @set_local_color_config(red, .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("high", [False, True])
def test_priority_of_a_channel_is_that_of_its_control_tasks(tmp_path, arch, high):
    """After task 21 task 40 would be the next in turn before 20: a high priority of 20 is overtaken by one of the channel."""
    channel = "red" if arch == "wse2" else "in_q"
    change = "tile.task_priority.set_task_priority(other);"
    if high:
        change += f" tile.task_priority.set_task_priority({channel});"
    layout = ROW.replace("3, 1", "2, 1").replace("u16, 3", "u16, 2")
    loaded = running.run(tmp_path, CHANNEL.replace("CHANGE", change), arch=arch, layout=layout)
    assert running.read(loaded, "order", 1).tolist()[:2] == ([40, 20] if high else [20, 40])


def test_what_has_no_priority(tmp_path):
    assert "task_priority takes a local_task_id" in error(tmp_path, "tile.task_priority.set_task_priority(red);")
    assert "task_priority takes a local_task_id" in error(tmp_path, "tile.task_priority.set_task_priority(3);", "wse2")


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_main_thread_priority_at_both_times(tmp_path, arch):
    pe = (
        HEAD
        + """
const m = tile.main_thread_priority;
export var done: u16 = 0;
fn main() void {
  m.update_main_thread_priority(m.level.MEDIUM_LOW); m.update_main_thread_priority(m.level.MEDIUM);
  m.update_main_thread_priority(m.level.MEDIUM_HIGH); m.update_main_thread_priority(m.level.HIGH);
  done = 1;
}
comptime { @export_symbol(main); m.update_main_thread_priority(m.level.MEDIUM); }
"""
    )
    loaded = running.run(tmp_path, pe, arch=arch)
    assert running.read(loaded, "done")[0] == 1


QUEUES = """
param place: u16;
const tile = @import_module("<tile_config>");
const red = @get_color(2);
const in_q = @get_input_queue(3);
const out_q = @get_output_queue(2);
const out = @get_dsd(fabout_dsd, .{ .extent = 40, .fabric_color = red, .output_queue = out_q });
var data = @zeros([40]u32);
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{40} -> data[i] });
export var w = @zeros([20]u16);
fn main() void { if (place == 0) @mov32(out, from, .{ .async = true }); }
fn look() void {
  const in = tile.input_queue_status; const s = in.get();
  const o = tile.output_queue_status; const t = o.get();
  w[0] = @as(u16, s.empty); w[1] = @as(u16, s.full); w[2] = @as(u16, t.empty); w[3] = @as(u16, t.full);
  w[4] = @as(u16, in.is_full(s, in_q)); w[5] = @as(u16, in.is_empty(s, in_q)); w[6] = @as(u16, in.is_empty(s, @get_input_queue(4)));
  w[7] = @as(u16, in.all_empty(s)); w[8] = @as(u16, in.none_full(s)); w[9] = @as(u16, in.all_full(s)); w[10] = @as(u16, in.none_empty(s));
  w[11] = @as(u16, o.is_full(t, out_q)); w[12] = @as(u16, o.is_empty(t, out_q)); w[13] = @as(u16, o.all_empty(t));
  w[14] = @as(u16, o.none_full(t)); w[15] = @as(u16, o.all_full(t)); w[16] = @as(u16, o.none_empty(t));
  w[17] = in.get_raw(); w[18] = o.get_raw();
}
comptime {
  @export_symbol(main); @export_symbol(look);
  @initialize_queue(in_q, .{ .color = red });
  if (@is_arch("wse3")) @initialize_queue(out_q, .{ .color = red });
  if (place == 0) @set_local_color_config(red, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } })
  else @set_local_color_config(red, .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_queues_that_are_full(tmp_path, arch):
    """Nobody reads: the receiver's input queue and the sender's output queue fill."""
    layout = ROW.replace("3, 1", "2, 1").replace("u16, 3", "u16, 2")
    loaded = running.run(tmp_path, QUEUES, arch=arch, layout=layout)
    running.launch(loaded, "look")
    sender, receiver = (running.read(loaded, "w", x).tolist() for x in (0, 1))
    outputs = 0x3F if arch == "wse2" else 0xFF
    assert receiver[:2] == [0xFF & ~8, 8] and receiver[2] & outputs == outputs and receiver[3] == 0
    assert receiver[4:11] == [1, 0, 1, 0, 0, 0, 0] and receiver[11:17] == [0, 1, 1, 1, 0, 0]
    assert sender[:2] == [0xFF, 0] and sender[2] & outputs == outputs & ~4 and sender[3] == 4
    assert sender[4:11] == [0, 1, 1, 1, 1, 0, 0] and sender[11:17] == [1, 0, 0, 0, 0, 0]
    assert receiver[17] == receiver[0] | receiver[1] << 8 and sender[18] & 0xFF00 == 0x400


FILTERED = """
param place: u16;
const tile = @import_module("<tile_config>");
const red = @get_color(2);
const in_q = @get_input_queue(3);
const out_q = @get_output_queue(2);
const out = @get_dsd(fabout_dsd, .{ .extent = 12, .fabric_color = red, .output_queue = out_q });
var data = [12]u32{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{12} -> data[i] });
export var got = @zeros([12]u16);
export var n: u16 = 0;
const task_id = if (@is_arch("wse2")) @get_data_task_id(red) else @get_data_task_id(in_q);
task receive(x: u32) void { got[n] = @as(u16, x); n += 1; }
fn prepare() void { if (place == 1) { CHANGE } }
fn main() void { if (place == 0) @mov32(out, from, .{ .async = true }); }
comptime {
  @export_symbol(main); @export_symbol(prepare);
  @initialize_queue(in_q, .{ .color = red });
  if (@is_arch("wse3")) @initialize_queue(out_q, .{ .color = red });
  if (place == 0) @set_local_color_config(red, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } })
  else {
    @bind_data_task(receive, task_id);
    @set_local_color_config(red, .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} }, .filter = .{ .kind = .{ .counter = true },
      .count_data = true, .count_control = false, .init_counter = 0, .limit1 = 3, .max_counter = 0 } });
  }
}
"""


@pytest.mark.parametrize("change, want", [
    ("", [0, 4, 8]), ("tile.filters.set_counter(0, 2);", [2, 6, 10]), ("tile.filters.set_active_limit(0, 5);", [0, 6]),
    ("tile.filters.set_max_counter(0, 1);", [0, 1, 4, 5, 8, 9]),
])  # fmt: skip
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_counters_of_filters(tmp_path, arch, change, want):
    layout = ROW.replace("3, 1", "2, 1").replace("u16, 3", "u16, 2")
    loaded = running.device(tmp_path, FILTERED.replace("CHANGE", change), arch, layout)
    running.launch(loaded, "prepare")
    running.launch(loaded)
    assert running.read(loaded, "got", 1).tolist()[: len(want)] == want and running.read(loaded, "n", 1)[0] == len(want)


TEARDOWN = """
param place: u16;
const tile = @import_module("<tile_config>");
const control = @import_module("<control>");
const red = @get_color(2);
const out = @get_dsd(fabout_dsd, .{ .extent = 1, .fabric_color = red, .output_queue = @get_output_queue(2), .control = true });
export var w = @zeros([6]u16);
fn torn() void {
  const pending = tile.teardown.get_pending();
  w[0] = @as(u16, pending); w[1] = @as(u16, tile.teardown.is_pending(pending, red));
  w[2] = @as(u16, tile.teardown.is_pending(pending, @get_color(3)));
  tile.teardown.exit(red);
  w[3] = @as(u16, tile.teardown.get_pending());
  w[4] = @as(u16, @get_int(tile.teardown.get_task_id()));
  w[5] += 1;
}
fn main() void {
  if (place == 0) @mov32(out, control.encode_single_payload(control.opcode.TEARDOWN, true, {}, 0), .{ .async = true });
}
comptime {
  @export_symbol(main);
  @set_teardown_handler(torn, red);
  if (@is_arch("wse3")) @initialize_queue(@get_output_queue(2), .{ .color = red });
  if (place == 0) @set_local_color_config(red, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } })
  else @set_local_color_config(red, .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_teardown(tmp_path, arch):
    layout = ROW.replace("3, 1", "2, 1").replace("u16, 3", "u16, 2")
    loaded = running.run(tmp_path, TEARDOWN, arch=arch, layout=layout)
    assert running.read(loaded, "w", 0).tolist() == [4, 1, 0, 0, 29, 1]


@pytest.mark.parametrize(
    "call, message",
    [
        ("tile.exceptions.set_exception_mask(tile.exceptions.FP_DIV_BY_0 & tile.exceptions.FP_OVERFLOW);", "exceptions.set_exception_mask is not supported"),
        ("tile.control_transform.set_mask(2);", "control_transform.set_mask is not supported"),
        ("tile.filters.set_counter_and_state(0, 1, tile.filters.counter_filter_state.PASS);", "half-wavelets"),
        ("tile.filters.set_counter_value(0, 1);", "half-wavelets"), ("w = @as(u16, tile.filters.get_counter_value(0));", "half-wavelets"),
        ("tile.filters.set_state(0, tile.filters.counter_filter_state.DROP);", "half-wavelets"),
        ("w = @as(u16, tile.filters.get_state(0));", "half-wavelets"), ("tile.filters.set_pass_count(0, 1);", "half-wavelets"),
        ("w = @as(u16, tile.filters.get_pass_count(0));", "half-wavelets"), ("tile.filters.set_drop_count(0, 1);", "half-wavelets"),
        ("w = @as(u16, tile.filters.get_drop_count(0));", "half-wavelets"),
        ("tile.color_config.set_io_direction(@get_input_queue(2), tile.color_config.fabric_io.TX_EAST);", "takes a color or the word address"),
        ("w = tile.switch_config.get_switch_config_addr(red, u16);", "takes one of the types of switch_config"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, call, message):
    assert message in error(tmp_path, call)


@pytest.mark.parametrize(
    "call", ["clear_current_position(@get_color(10));", "set_rx_switch_pos1(@get_color(23), EAST);"]
)
def test_colors_without_switches(tmp_path, call):
    assert "on wse3 only colors 0 to 9, 12, 13" in error(tmp_path / "3", f"tile.switch_config.{call}")
    pe = HEAD + f"fn main() void {{ tile.switch_config.{call} }}\ncomptime {{ @export_symbol(main); }}\n"
    running.compiled(tmp_path / "2", pe, "wse2")


FLUSHED = """
const tile = @import_module("<tile_config>");
const q = tile.queue_flush;
const red = @get_color(2);
const in_q = @get_input_queue(3);
const out_q = @get_output_queue(2);
const out = @get_dsd(fabout_dsd, .{ .extent = 2, .output_queue = out_q });
var data = [2]u32{ 1, 2 };
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> data[i] });
export var w = @zeros([12]u16);
fn empty() void {
  const inputs = q.iq_status();
  const outputs = q.oq_status();
  w[0] += 1; w[1] = inputs; w[2] = outputs;
  w[3] = @as(u16, q.is_flushed(outputs, out_q)); w[4] = @as(u16, q.is_flushed(outputs, @get_output_queue(4)));
  w[5] = @as(u16, q.is_flushed(inputs, in_q));
  q.exit(out_q);
  w[6] = q.oq_status();
}
fn main() void {
  w[7] = q.oq_status();
  @mov32(out, from, .{ .async = true });
  @queue_flush(out_q);
}
comptime {
  @export_symbol(main);
  @initialize_queue(out_q, .{ .color = red });
  @initialize_queue(in_q, .{ .color = red });
  @set_empty_queue_handler(empty, out_q);
  @set_local_color_config(red, .{ .routes = .{ .rx = .{RAMP}, .tx = .{RAMP} } });
}
"""


def test_flushed_queues(tmp_path):
    loaded = running.run(tmp_path, FLUSHED, arch="wse3")
    assert running.read(loaded, "w").tolist()[:8] == [1, 0, 4, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "call, arch, message",
    [
        ("tile.queue_flush.exit(@get_input_queue(2));", "wse2", "for wse3 only"), ("w = tile.queue_flush.iq_status();", "wse2", "for wse3 only"),
        ("w = tile.queue_flush.oq_status();", "wse2", "for wse3 only"),
        ("if (tile.queue_flush.is_flushed(w, @get_output_queue(2))) w = 1;", "wse2", "for wse3 only"),
        ("tile.queue_flush.exit(red);", "wse3", "takes an input_queue or an output_queue"),
    ],
)  # fmt: skip
def test_queue_flush_elsewhere(tmp_path, call, arch, message):
    assert message in error(tmp_path, call, arch)


def test_addresses(tmp_path):
    assert "addresses" in error(tmp_path, "w = @as(u16, tile.addresses.COLOR);")


RECOLORED = """
const tile = @import_module("<tile_config>");
const red = @get_color(2);
const blue = @get_color(4);
const in_q = @get_input_queue(3);
const out_q = @get_output_queue(2);
const wse3 = @is_arch("wse3");
const out_red = @get_dsd(fabout_dsd, if (wse3) .{ .extent = 2, .output_queue = out_q } else .{ .extent = 2, .output_queue = out_q, .fabric_color = red });
const out_blue = @get_dsd(fabout_dsd, if (wse3) .{ .extent = 2, .output_queue = out_q } else .{ .extent = 2, .output_queue = out_q, .fabric_color = blue });
const in = @get_dsd(fabin_dsd, .{ .extent = 2, .input_queue = in_q });
var data = [4]u32{ 1, 2, 3, 4 };
export var got = @zeros([4]u32);
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> data[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{2} -> got[i] });
const next_id = @get_local_task_id(9);
task next() void {
  tile.input_queue_config.encode_input_queue(3, @get_int(blue), true);
  if (wse3) tile.output_queue_config.encode_output_queue(2, @get_int(blue));
  @mov32(out_blue, @increment_dsd_offset(from, 2, u32), .{ .async = true });
  @mov32(@increment_dsd_offset(to, 2, u32), in, .{ .async = true });
}
fn main() void {
  @mov32(out_red, from, .{ .async = true });
  @mov32(to, in, .{ .async = true, .activate = next });
}
comptime {
  @export_symbol(main);
  @bind_local_task(next, next_id);
  @initialize_queue(in_q, .{ .color = red });
  if (wse3) @initialize_queue(out_q, .{ .color = red });
  @set_local_color_config(red, .{ .routes = .{ .rx = .{RAMP}, .tx = .{RAMP} } });
  @set_local_color_config(blue, .{ .routes = .{ .rx = .{RAMP}, .tx = .{RAMP} } });
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_color_of_a_queue_changes(tmp_path, arch):
    loaded = running.run(tmp_path, RECOLORED, arch=arch)
    assert running.read(loaded, "got").tolist() == [1, 2, 3, 4]
    if arch == "wse2":
        assert "is not for wse2" in error(tmp_path / "o", "tile.output_queue_config.encode_output_queue(2, 4);", arch)
    assert "is not supported" in error(tmp_path / "i", "tile.input_queue_config.encode_input_queue(2, 4, false);", arch)
