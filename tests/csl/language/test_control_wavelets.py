"""Control wavelets, switches, indices in wavelets and color swap, in programs of two or three PEs."""

from __future__ import annotations

import pytest
from csl.running import read, run

from wse import FabricFault

ARCHES = ("wse2", "wse3")


def layout(*configs: str, width: int = 2) -> str:
    tiles = "".join(f'  @set_tile_code({x}, 0, "pe.csl", .{{ .x = {x} }});\n' for x in range(width))
    lines = "".join(f"  @set_color_config({x}, 0, {color}, {config});\n" for x, color, config in configs)
    return f"layout {{\n  @set_rectangle({width}, 1);\n{tiles}{lines}}}\n"


EAST = ".{ .routes = .{ .rx = RAMP, .tx = EAST } }"
DOWN = ".{ .routes = .{ .rx = WEST, .tx = RAMP } }"
TWO = layout((0, 1, EAST), (1, 1, DOWN))
HEAD = """
param x: u16;
const c = @get_color(1);
const oq = @get_output_queue(2);
const iq = @get_input_queue(3);
const id = @get_data_task_id(if (@is_arch("wse3")) iq else c);
const control = @import_module("<control>");
export var got = @zeros([8]u32);
export var calls = @zeros([4]u16);
var n: u16 = 0;
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> got[i] });
const one = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = oq });
const command = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = oq, .control = true });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 8, .input_queue = iq });
const ADVANCE = control.encode_single_payload(control.opcode.SWITCH_ADV, true, {}, 0);
comptime {
  @export_symbol(main);
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, if (@is_arch("wse3")) .{ .color = c } else .{});
}
"""
THREE = "@mov32(one, 5); @mov32(one, 6); @mov32(command, control.encode_control_task_payload(ctrl)); @mov32(one, 7);"
CONTROL = """
const ctrl = @get_control_task_id(40);
const other = @get_local_task_id(12);
task told(data: u32) void { calls[0] += 1; _ = data; }
task after() void { calls[1] += 1; got[7] = n; }
comptime { @bind_control_task(told, ctrl); @bind_local_task(after, other); }
"""


@pytest.mark.parametrize("arch", ARCHES)
def test_a_control_task_is_started_between_data(arch, tmp_path):
    text = f"""{HEAD}{CONTROL}
task data(v: u32) void {{ got[n] = v + @as(u32, calls[0]) * 100; n += 1; }}
comptime {{ @bind_data_task(data, id); }}
fn main() void {{ if (x == 0) {{ {THREE} }} }}
"""
    done = run(tmp_path, text, arch=arch, layout=TWO)
    assert read(done, "got", 1)[:3].tolist() == [5, 6, 107]
    assert read(done, "calls", 1).tolist() == [1, 0, 0, 0]


ON_CONTROL = {
    "terminate": (".{ .terminate = true }", [0, 0], [5, 6]),
    "activate": (".{ .activate = after }", [0, 1], [5, 6]),
    "unblock": (".{ .unblock = after }", [0, 1], [5, 6]),
}


@pytest.mark.parametrize("name", ON_CONTROL)
@pytest.mark.parametrize("place", ["descriptor", "operation"])
@pytest.mark.parametrize("arch", ARCHES)
def test_on_control_ends_an_operation(arch, place, name, tmp_path):
    option, calls, want = ON_CONTROL[name]
    prepare = "@block(other); @activate(other);" if name == "unblock" else ""
    of_dsd = f", .on_control = {option}" if place == "descriptor" else ""
    of_op = f", .{{ .on_control = {option} }}" if place == "operation" else ""
    text = f"""{HEAD}{CONTROL}
const until = @get_dsd(fabin_dsd, .{{ .fabric_color = c, .extent = 8, .input_queue = iq{of_dsd} }});
fn main() void {{ if (x == 0) {{ {THREE} }} else {{ {prepare} @mov32(to, until{of_op}); }} }}
"""
    done = run(tmp_path, text, arch=arch, layout=TWO)
    assert read(done, "got", 1)[:3].tolist() == [*want, 0]
    assert read(done, "calls", 1)[:2].tolist() == calls


@pytest.mark.parametrize("arch", ARCHES)
def test_on_control_activates_no_task_without_code(arch, tmp_path):
    text = f"""{HEAD}{CONTROL}
fn main() void {{
  if (x == 0) {{ {THREE} }} else {{ @mov32(to, in, .{{ .on_control = .{{ .activate = @get_local_task_id(14) }} }}); }}
}}
"""
    with pytest.raises(FabricFault, match=r"the task is not bound to code .* in main, id 14"):
        run(tmp_path, text, arch=arch, layout=TWO)


RECEIVES = {
    "operation": "@mov32(to, in, .{ .on_control = OPTION });",
    "descriptor that varies": "@mov32(to, varies, .{ .on_control = OPTION });",
    "load": "@load_to_dsr(src, in, .{ .async = true, .on_control = OPTION }); @mov32(to, src);",
    "load of one that varies": "@load_to_dsr(src, varies, .{ .async = true, .on_control = OPTION }); @mov32(to, src);",
}


@pytest.mark.parametrize("name", ["terminate", "activate", "unblock", "known"])
@pytest.mark.parametrize("place", RECEIVES)
@pytest.mark.parametrize("arch", ARCHES)
def test_on_control_at_run_time(arch, place, name, tmp_path):
    option = {"terminate": ".{ .terminate = true }", "known": ".{ .activate = other }"}.get(
        name, f".{{ .{name} = told }}"
    )
    prepare = "@block(other); @activate(other);" if name == "unblock" else ""
    text = f"""{HEAD}{CONTROL.replace("told", "told_")}
const src = @get_dsr(dsr_src1, 1);
var told = [2]local_task_id{{ @get_local_task_id(13), other }};
var varies = in;
fn main() void {{ if (x == 0) {{ {THREE} }} else {{
  receive(told[x]);
}} }}
fn receive(told: local_task_id) void {{ _ = told; {prepare} {RECEIVES[place].replace("OPTION", option)} }}
"""
    done = run(tmp_path, text, arch=arch, layout=TWO)
    assert read(done, "got", 1)[:3].tolist() == [5, 6, 0]
    assert read(done, "calls", 1)[:2].tolist() == [0, int(name != "terminate")]


@pytest.mark.parametrize("arch", ARCHES)
def test_dfilt_drops_data_until_a_control_wavelet(arch, tmp_path):
    text = f"""{HEAD}{CONTROL}
const until = @get_dsd(fabin_dsd, .{{ .fabric_color = c, .extent = 1, .input_queue = iq }});
task then() void {{ @mov32(to, @set_dsd_length(in, 1)); }}
fn main() void {{
  if (x == 0) {{ {THREE} }} else {{ @dfilt(until, .{{ .async = true, .activate = then }}); }}
}}
comptime {{ @bind_local_task(then, @get_local_task_id(20)); }}
"""
    done = run(tmp_path, text, arch=arch, layout=TWO)
    assert read(done, "got", 1)[:2].tolist() == [7, 0]


@pytest.mark.parametrize("arch", ARCHES)
def test_wavelets_with_an_index(arch, tmp_path):
    text = f"""{HEAD}
const words = [2]u16{{8, 9}};
const from = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{2}} -> words[i] }});
const out = @get_dsd(fabout_dsd, .{{ .fabric_color = c, .extent = 2, .output_queue = oq, .wavelet_index_offset = true }});
task pair(v: u16, index: u16) void {{ got[n] = @as(u32, index) * 100 + @as(u32, v); n += 1; }}
comptime {{ @bind_data_task(pair, id); }}
fn main() void {{ if (x == 0) @mov16(out, from, .{{ .index = 4 }}); }}
"""
    done = run(tmp_path, text, arch=arch, layout=TWO)
    assert read(done, "got", 1)[:3].tolist() == [408, 409, 0]


SWITCHED = ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .switches = .{ .pos1 = .{ .tx = EAST }%s } }"


def switched(modes: str) -> str:
    return layout((0, 1, EAST), (1, 1, SWITCHED % modes), (2, 1, DOWN), width=3)


STREAM = "@mov32(one, 5); @mov32(command, ADVANCE); @mov32(one, 6); @mov32(command, ADVANCE); @mov32(one, 7);"


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize("arch", ARCHES)
def test_a_switch_advances_and_in_ring_mode_begins_again(arch, ring, tmp_path):
    text = f"""{HEAD}
task data(v: u32) void {{ got[n] = v; n += 1; }}
comptime {{ @bind_data_task(data, id); }}
fn main() void {{ if (x == 0) {{ {STREAM} }} }}
"""
    modes = ", .ring_mode = true" if ring else ""
    done = run(tmp_path, text, arch=arch, layout=switched(modes + ", .pop_mode = .{ .always_pop = true }"))
    assert read(done, "got", 1)[:2].tolist() == ([5, 7] if ring else [5, 0])
    assert read(done, "got", 2)[:2].tolist() == ([6, 0] if ring else [6, 7])


@pytest.mark.parametrize(
    "mode, second_advances",
    [("no_pop", True), ("always_pop", False), ("pop_on_advance", False), ("pop_on_advance_nop", False)],
)
@pytest.mark.parametrize("place", ["switches", "routes"])
@pytest.mark.parametrize("arch", ARCHES)
def test_pop_modes_decide_what_the_next_router_sees(arch, place, mode, second_advances, tmp_path):
    """The first router's positions both lead east; the second goes from the ramp to the west when it sees the command,
    and the wavelet does not come down.  The mode stands among the switches, or, as before, among the routes."""
    pop = f", .pop_mode = .{{ .{mode} = true }}"
    routes, switches = (pop, "") if place == "routes" else ("", pop)
    middle = f".{{ .routes = .{{ .rx = WEST, .tx = EAST{routes} }}, .switches = .{{ .pos1 = .{{ .tx = EAST }}{switches} }} }}"
    last = ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .switches = .{ .pos1 = .{ .tx = SOUTH } } }"
    config = layout((0, 1, EAST), (1, 1, middle), (2, 1, last), width=3)
    text = f"""{HEAD}
task data(v: u32) void {{ got[n] = v; n += 1; }}
comptime {{ @bind_data_task(data, id); }}
fn main() void {{ if (x == 0) {{ @mov32(command, ADVANCE); @mov32(one, 6); }} }}
"""
    done = run(tmp_path, text, arch=arch, layout=config)
    assert read(done, "got", 2)[0] == (0 if second_advances else 6)


def test_color_swap_on_wse2(tmp_path):
    """A wavelet of color 2 leaves to the east as color 3, and the copy down the ramp keeps its color."""
    swap = ".{ .routes = .{ .rx = %s, .tx = %s, .color_swap_x = true } }"
    config = layout((0, 2, swap % ("RAMP", "EAST")), (0, 3, swap % ("RAMP", "EAST")), (1, 3, DOWN), (1, 2, DOWN))
    text = """
param x: u16;
export var got = @zeros([2]u32);
const out = @get_dsd(fabout_dsd, .{ .fabric_color = @get_color(2), .extent = 1, .output_queue = @get_output_queue(2) });
task two(v: u32) void { got[0] = v; }
task three(v: u32) void { got[1] = v; }
comptime {
  @bind_data_task(two, @get_data_task_id(@get_color(2)));
  @bind_data_task(three, @get_data_task_id(@get_color(3)));
  @export_symbol(main);
}
fn main() void { if (x == 0) @mov32(out, 9); }
"""
    assert read(run(tmp_path, text, arch="wse2", layout=config), "got", 1).tolist() == [0, 9]
