"""The configuration of colors: routes, switches, filters, and what is refused.

Covers: wse/csl/builtins/routes.py
"""

from __future__ import annotations

import pytest

from csl.running import compiled, read, run
from wse.csl.syntax.errors import CslError

ARCHES = ("wse2", "wse3")
PE = """
param sends: bool = false;
const c = @get_color(1);
const oq = @get_output_queue(2);
const iq = @get_input_queue(3);
const out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 8, .output_queue = oq });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 8, .input_queue = iq });
const values = [8]u32{0, 1, 2, 3, 4, 5, 6, 7};
export var got = @zeros([8]u32);
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> values[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> got[i] });
comptime {
  @export_symbol(main);
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, if (@is_arch("wse3")) .{ .color = c } else .{});
}
"""
MAIN = "fn main() void { if (sends) @mov32(out, from) else @mov32(@set_dsd_length(to, COUNT), in); }\n"


def layout(first: str, second: str, color: str = "@get_color(1)") -> str:
    return f"""
const d = @import_module("<directions>");
layout {{
  @set_rectangle(2, 1);
  @set_tile_code(0, 0, "pe.csl", .{{ .sends = true }});
  @set_tile_code(1, 0, "pe.csl", .{{ .sends = false }});
  @set_color_config(0, 0, {color}, {first});
  @set_color_config(1, 0, {color}, {second});
}}
"""


EAST = ".{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } }"
FORMS = {
    "directions in tuples": (EAST, ".{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } }"),
    "single directions": (".{ .routes = .{ .rx = RAMP, .tx = EAST } }", ".{ .routes = .{ .rx = WEST, .tx = RAMP } }"),
    "sides as numbers": (
        ".{ .routes = .{ .rx = d.RX_RAMP, .tx = d.TX_EAST } }",
        ".{ .routes = .{ .rx = d.RX_WEST, .tx = d.TX_RAMP } }",
    ),
    "a route as a number": (".{ .routes = d.RX_RAMP | d.TX_EAST }", ".{ .routes = d.RX_WEST | d.TX_RAMP }"),
    "a switch position as a number": (
        EAST,
        ".{ .routes = .{ .rx = EAST, .tx = RAMP }, .switches = .{ .pos1 = d.RX_WEST, .current_switch_pos = 1 } }",
    ),
    "switch positions that are 0": (
        EAST,
        ".{ .routes = d.RX_EAST | d.TX_RAMP, .switches = .{ .pos1 = d.RX_WEST, .pos2 = 0, .pos3 = 0, "
        ".current_switch_pos = 1 } }",
    ),
    "a switch position by a direction": (
        EAST,
        ".{ .routes = .{ .rx = EAST, .tx = RAMP }, .switches = .{ .pos1 = .{ .rx = WEST }, .current_switch_pos = 1 } }",
    ),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("arch", ARCHES)
def test_forms_of_routes(name, arch, tmp_path):
    first, second = FORMS[name]
    done = run(tmp_path, PE + MAIN.replace("COUNT", "8"), arch=arch, layout=layout(first, second))
    assert read(done, "got", 1).tolist() == list(range(8))


@pytest.mark.parametrize("arch", ARCHES)
def test_zero_is_no_switch_position(arch, tmp_path):
    """Positions given as the number 0 are invalid: the switch has those before."""
    switches = ".{ .pos1 = d.RX_WEST, .pos2 = 0, .pos3 = 0, .ring_mode = true, .current_switch_pos = 1 }"
    second = f".{{ .routes = d.RX_EAST | d.TX_RAMP, .switches = {switches} }}"
    made = compiled(tmp_path, PE + MAIN.replace("COUNT", "8"), arch, layout(EAST, second))
    plane, configs = made.routes[1]
    config = configs[plane[0, 1]]
    assert (len(config.switch), config.ring, config.position) == (1, True, 1)


@pytest.mark.parametrize("arch", ARCHES)
def test_a_color_may_be_given_as_a_number(arch, tmp_path):
    second = ".{ .routes = .{ .rx = WEST, .tx = RAMP } }"
    done = run(tmp_path, PE + MAIN.replace("COUNT", "8"), arch=arch, layout=layout(EAST, second, "1"))
    assert read(done, "got", 1).tolist() == list(range(8))


FILTERS = {
    "counter": (
        ".kind = .{ .counter = true }, .count_data = true, .count_control = false, .init_counter = 0, "
        ".max_counter = 1, .limit1 = 3",
        [0, 1, 4, 5],
    ),
    "fast counter": (
        ".kind = .{ .counter = true }, .count_data = true, .init_counter = 2, .max_counter = 1, .limit1 = 3, "
        ".fast_mode = true",
        [2, 3, 6, 7],
    ),
    "sparse counter": (
        ".kind = .{ .sparse_counter = true }, .count_data = true, .init_counter = 0, .limit1 = 2, .limit2 = 3, "
        ".max_counter = 0",
        [0, 3, 7],
    ),
    "range": (".kind = .{ .range = true }, .min_idx = 0, .max_idx = 0", list(range(8))),
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("arch", ARCHES)
def test_filters(name, arch, tmp_path):
    fields, want = FILTERS[name]
    second = f".{{ .routes = .{{ .rx = WEST, .tx = RAMP }}, .filter = .{{ {fields} }} }}"
    text = PE + MAIN.replace("COUNT", str(len(want)))
    got = read(run(tmp_path, text, arch=arch, layout=layout(EAST, second)), "got", 1)
    assert got[: len(want)].tolist() == want


@pytest.mark.parametrize("most, want", [(1, 1), (2, 2), (3, 1), (8, 0)])
@pytest.mark.parametrize("arch", ARCHES)
def test_filtered_control_wavelets(arch, most, want, tmp_path):
    """Control wavelets behind data wavelets 1, 2, 2 and 3.  With .filter_control those pass that find the counter at
    max_counter."""
    text = f"""{PE}
const control = @import_module("<control>");
const ctrl = @get_dsd(fabout_dsd, .{{ .fabric_color = c, .extent = 1, .output_queue = oq, .control = true }});
task count() void {{ got[7] += 1; }}
fn main() void {{
  if (!sends) {{ @mov32(to, in, .{{ .async = true }}); return; }}
  for ([3]u16{{ 1, 2, 1 }}) |times, n| {{
    @mov32(out, @set_dsd_length(from, 1));
    for (@range(u16, times)) |_| @mov32(ctrl, control.encode_control_task_payload(@get_control_task_id(40)));
  }}
}}
comptime {{ @bind_control_task(count, @get_control_task_id(40)); }}
"""
    fields = f".kind = .{{ .counter = true }}, .count_data = true, .limit1 = 9, .max_counter = {most}, .filter_control = true"
    second = f".{{ .routes = .{{ .rx = WEST, .tx = RAMP }}, .filter = .{{ {fields} }} }}"
    done = run(
        tmp_path, text.replace("@mov32(out,", "@mov32(@set_dsd_length(out, 1),"), arch=arch, layout=layout(EAST, second)
    )
    assert read(done, "got", 1)[7] == want


@pytest.mark.parametrize("arch", ARCHES)
def test_numbers_of_filters(arch, tmp_path):
    """Color 1 has a filter of the layout on PE 1 only; colors 4 and 6 have one on both."""
    second = ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .filter = .{ .kind = .{ .range = true }, .max_idx = 9 } }"
    local = ".{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} }, .filter = .{ .kind = .{ .range = true }, .max_idx = 9 } }"
    text = f"""{PE}
comptime {{ @set_local_color_config(@get_color(6), {local}); @set_local_color_config(4, {local}); }}
export var ids = [2]u16{{ @get_filter_id(@get_color(4)), @get_filter_id(@get_color(6)) }};
fn main() void {{}}
"""
    done = run(tmp_path, text, arch=arch, layout=layout(EAST, second))
    assert read(done, "ids", 0).tolist() == [0, 1]
    assert read(done, "ids", 1).tolist() == [1, 2]


WEST = ".{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } }"
REFUSED = {
    "twice": (
        "wse3",
        layout(EAST, WEST).rstrip().rstrip("}") + f"  @set_color_config(0, 0, @get_color(1), {EAST});\n}}\n",
        "color 1 of PE (0, 0) is configured twice",
    ),
    "two inputs on wse3": (
        "wse3",
        layout(EAST, ".{ .routes = .{ .rx = .{WEST, EAST}, .tx = .{RAMP} } }"),
        "on wse3 a position has one input, not 2",
    ),
    "both sides of a position on wse2": (
        "wse2",
        layout(
            EAST, ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .switches = .{ .pos1 = .{ .rx = EAST, .tx = WEST } } }"
        ),
        ".pos1: on wse2 a switch position changes .rx or .tx, not both",
    ),
    "a gap between positions": (
        "wse3",
        layout(EAST, ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .switches = .{ .pos2 = .{ .rx = EAST } } }"),
        ".pos2 is given, but the position before it is not",
    ),
    "position that does not exist": (
        "wse3",
        layout(EAST, ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .switches = .{ .current_switch_pos = 1 } }"),
        ".current_switch_pos = 1: there are positions 0 to 0",
    ),
    "color swap on wse3": (
        "wse3",
        layout(EAST, ".{ .routes = .{ .rx = WEST, .tx = RAMP, .color_swap_x = true } }"),
        "wse3 has no color swap",
    ),
    "two modes of pop": (
        "wse3",
        layout(
            EAST,
            ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .switches = .{ .pop_mode = "
            ".{ .no_pop = true, .always_pop = true } } }",
        ),
        ".pop_mode has one of no_pop, always_pop, not several",
    ),
    "a mode of pop in both places": (
        "wse3",
        layout(
            EAST,
            ".{ .routes = .{ .rx = WEST, .tx = RAMP, .pop_mode = .{ .always_pop = true } }, .switches = .{ .pop_mode = "
            ".{ .pop_on_advance = true } } }",
        ),
        ".pop_mode is always_pop in .routes and pop_on_advance in .switches: leave the first out",
    ),
    "routes without .routes": (
        "wse3",
        layout(EAST, ".{ .rx = WEST, .tx = RAMP }"),
        "a color's configuration has its .rx and .tx in .routes",
    ),
    "filter without a kind": (
        "wse3",
        layout(EAST, ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .filter = .{ .limit1 = 1 } }"),
        "a filter has a .kind",
    ),
    "field of another kind": (
        "wse3",
        layout(EAST, ".{ .filter = .{ .kind = .{ .range = true }, .max_counter = 1 } }"),
        ".max_counter is no field of a range filter: min_idx, max_idx are",
    ),
    "a limit that is no integer": (
        "wse3",
        layout(
            EAST,
            ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .filter = .{ .kind = .{ .counter = true }, .limit1 = 1.5 } }",
        ),
        ".limit1 of a filter is 0 to 65535, not",
    ),
    "a flag that is no bool": (
        "wse3",
        layout(
            EAST,
            ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .filter = .{ .kind = .{ .counter = true }, .count_data = 1 } }",
        ),
        ".count_data is true or false",
    ),
    "an empty position": (
        "wse3",
        layout(EAST, ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .switches = .{ .pos1 = .{} } }"),
        ".pos1 says neither .rx nor .tx, nor .invalid = true",
    ),
    "unknown field": ("wse3", layout(EAST, ".{ .route = .{} }"), "a color's configuration has no field route"),
    "number of a route": ("wse3", layout(EAST, ".{ .routes = 1024 }"), "a route as a number has bits 9:0"),
    "no input": ("wse3", layout(EAST, ".{ .routes = .{ .tx = RAMP } }"), "at least one input: .rx is empty"),
    "no output": (
        "wse3",
        layout(EAST, ".{ .routes = .{ .rx = WEST, .tx = .{} } }"),
        "at least one output: .tx is empty",
    ),
    "a color without a switch": (
        "wse3",
        layout(EAST, ".{ .routes = .{ .rx = WEST, .tx = RAMP }, .switches = .{ .pos1 = .{ .rx = EAST } } }", "11"),
        "color 11 has no switch: on wse3 only colors 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 20, 21 have one",
    ),
    "no direction": ("wse3", layout(EAST, ".{ .routes = .{ .rx = true } }"), "a direction was expected"),
    "unroutable": ("wse3", layout(EAST, WEST, "@get_color(24)"), "color 24 cannot be routed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    arch, text, message = REFUSED[name]
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, PE + MAIN.replace("COUNT", "8"), arch, text)
    assert message in caught.value.diagnostics[0].message


def test_a_color_is_configured_by_the_layout_or_by_the_pe(tmp_path):
    local = f"comptime {{ @set_local_color_config(c, {WEST}); }}\n"
    with pytest.raises(CslError, match=r"color 1 of PE \(0, 0\) is configured twice"):
        compiled(tmp_path, PE + MAIN.replace("COUNT", "8") + local, "wse3", layout(EAST, WEST))
    with pytest.raises(CslError, match="color 5 is configured twice"):
        twice = f"comptime {{ @set_local_color_config(5, {WEST}); @set_local_color_config(5, {WEST}); }}\n"
        compiled(tmp_path / "pe", PE + MAIN.replace("COUNT", "8") + twice, "wse3", layout(EAST, WEST))


def test_a_filter_has_a_number_only_where_it_is(tmp_path):
    with pytest.raises(CslError, match="color 1 has no filter on this PE"):
        compiled(tmp_path, PE + "fn main() void { _ = @get_filter_id(c); }\n", "wse3", layout(EAST, WEST))


def test_empty_routes(tmp_path):
    """A configuration without routes is an error, one with empty routes is none."""
    text = "export var out: u16 = 0;\nfn main() void { out = 3; }\ncomptime { @export_symbol(main); %s }\n"
    made = run(tmp_path, text % "@set_local_color_config(@get_color(1), .{ .routes = .{} });", arch="wse3")
    assert read(made, "out")[0] == 3
    with pytest.raises(CslError, match=r"the .routes of a color have at least one input"):
        compiled(tmp_path, text % "@set_local_color_config(@get_color(1), .{ .teardown = true });", "wse3")
