"""<control> and <memcpy/memcpy_switches>: words of control wavelets."""

import pytest

from csl import running
from wse.csl.syntax.errors import CslError


def test_control_words(tmp_path):
    pe = """
const control = @import_module("<control>");
const switches = @import_module("<memcpy/memcpy_switches>");
const task_id = @get_control_task_id(40);
export var words = [6]u32{
  control.encode_single_payload(control.opcode.SWITCH_ADV, true, {}, 5),
  control.encode_single_payload(control.opcode.SWITCH_RST, false, task_id, 0),
  control.encode_control_task_payload(task_id),
  switches.ctrl(switches.teardown_cmd_1()), switches.ctrl(switches.switch_cmd_11()), switches.ctrl(switches.switch_cmd_1()),
};
fn main() void {}
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


def encoded(commands: list[int], ignore: list[int], rest: int, entry: int) -> int:
    """The word of up to eight commands."""
    fields = [c | i << 2 for c, i in zip(commands, ignore, strict=True)]
    bits = sum(one << 3 * k for k, one in enumerate(fields + [rest << 2] * (8 - len(fields))))
    return (bits & 0xFF) << 22 | bits >> 8 | entry << 16


@pytest.mark.parametrize("commands, ignore, rest, entry", [
    ([1], [1], 1, "{}"), ([1, 2, 3], [1, 0, 1], 0, "@get_control_task_id(40)"), ([0, 1, 0, 1, 2, 1, 3, 1], [1] * 8, 0, "{}"), ([], [], 1, "{}"),
])  # fmt: skip
def test_several_commands(tmp_path, commands, ignore, rest, entry):
    names = ("NOP", "SWITCH_ADV", "SWITCH_RST", "TEARDOWN")
    opcodes = ", ".join(f"c.opcode.{names[one]}" for one in commands)
    flags = ", ".join("true" if one else "false" for one in ignore)
    n = len(commands)
    pe = f"""
const c = @import_module("<control>");
export var word: u32 = c.encode_payload({n}, [{n}]c.opcode{{ {opcodes} }}, [{n}]bool{{ {flags} }}, {"true" if rest else "false"}, {entry});
export var most: u16 = c.MAX_CMDS;
export var later: u32 = 0;
var all: bool = {"true" if rest else "false"};
fn main() void {{ later = c.encode_payload({n}, [{n}]c.opcode{{ {opcodes} }}, [{n}]bool{{ {flags} }}, all, {entry}); }}
comptime {{ @export_symbol(main); }}
"""
    got = running.run(tmp_path, pe)
    want = encoded(commands, ignore, rest, 31 if entry == "{}" else 40)
    assert running.read(got, "word")[0] == running.read(got, "later")[0] == want
    assert running.read(got, "most")[0] == 8


SWITCHES = """
param place: u16;
const control = @import_module("<control>");
const red = @get_color(2);
const out = @get_dsd(fabout_dsd, .{ .extent = 1, .fabric_color = red, .output_queue = @get_output_queue(2), .control = true });
export var position: u16 = 9;
fn main() void {
  if (place == 0) {
    const word = control.encode_payload(3, [3]control.opcode{ control.opcode.NOP, control.opcode.SWITCH_ADV, control.opcode.NOP },
                                        [3]bool{ true, true, true }, true, {});
    @mov32(out, word, .{ .async = true });
  }
}
fn look() void { position = @get_config(0x7f42) >> 13 & 3; }
comptime {
  const pass = .{ .always_pop = true };
  const switches = .{ .pos1 = .{ .tx = RAMP }, .pop_mode = pass };
  if (place == 0) @set_local_color_config(red, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} }, .switches = switches })
  else if (place == 2) @set_local_color_config(red, .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } })
  else @set_local_color_config(red, .{ .routes = .{ .rx = .{WEST}, .tx = .{EAST} }, .switches = switches });
  if (@is_arch("wse3")) @initialize_queue(@get_output_queue(2), .{ .color = red });
  @initialize_queue(@get_input_queue(2), .{ .color = red });
  @export_symbol(main);
  @export_symbol(look);
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_routers_take_one_command_each(tmp_path, arch):
    """The second command is for the second router: only its switch advances."""
    layout = """
layout {
  @set_rectangle(3, 1);
  for (@range(u16, 3)) |x| { @set_tile_code(x, 0, "pe.csl", .{ .place = x }); }
}
"""
    loaded = running.run(tmp_path, SWITCHES, arch=arch, layout=layout)
    running.launch(loaded, "look")
    assert [running.read(loaded, "position", x)[0] for x in range(3)] == [0, 1, 0]


@pytest.mark.parametrize(
    "call, message",
    [
        ("c.encode_payload(9, @zeros([9]c.opcode), @constants([9]bool, false), true, {})", "at most 8 commands"),
        (
            "c.encode_single_payload(c.opcode.NOP, false, @get_local_task_id(9), 0)",
            "is a control_task_id, or {} for none",
        ),
        ("c.encode_control_task_payload(3)", "control_task_id"),
    ],
)
def test_errors(tmp_path, call, message):
    pe = f'const c = @import_module("<control>");\nexport var w: u32 = {call};\n'
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe)
    first = caught.value.diagnostics[0]
    assert message in first.message and first.span.line == 2


def test_the_entry_point_is_known_when_compiling(tmp_path):
    pe = """const c = @import_module("<control>");
export var n: u16 = 40;
export var w: u32;
fn main() void { w = c.encode_single_payload(c.opcode.NOP, false, @get_control_task_id(n), 3); }
comptime { @export_symbol(main); }
"""
    with pytest.raises(CslError, match="is not known"):
        running.compiled(tmp_path, pe)
    general = pe.replace(
        "encode_single_payload(c.opcode.NOP, false, @get_control_task_id(n), 3)",
        "encode_control_task_payload(@get_control_task_id(n))",
    )
    assert running.read(running.run(tmp_path, general), "w")[0] == 40 << 16
