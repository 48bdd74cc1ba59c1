"""Wavelets that a CSL program routes off its rectangle: dropped, with a note for each color and side."""

import numpy as np
import pytest
from csl.running import launch, read, write

from wse.csl.artifact import RPC_SELECTOR, RPC_TASK
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.fabric.errors import FabricFault
from wse.fabric.fabric import Fabric
from wse.sdk.device import Device

LAYOUT = """layout { @set_rectangle(3, 2);
  for (@range(u16, 3)) |x| { for (@range(u16, 2)) |y| {
    @set_tile_code(x, y, "pe.csl", .{ .sends = x == 1 });
    const tx = if (x == 1) .{ WEST, EAST } else .{ if (x == 2) EAST else WEST, RAMP };
    const from = if (x == 1) RAMP else if (x == 2) WEST else EAST;
    @set_color_config(x, y, @get_color(3), .{ .routes = .{ .rx = .{ from }, .tx = tx } });
  } }
}
"""
PE = """
param sends: bool;
const out = @get_color(3);
const iq = @get_input_queue(3);
const oq = @get_output_queue(4);
var words = [5]u32{ 1, 2, 3, 4, 5 };
export var got = @zeros([5]u32);
const send = @get_dsd(fabout_dsd, .{ .extent = 5, .fabric_color = out, .output_queue = oq });
const receive = @get_dsd(fabin_dsd, .{ .extent = 5, .fabric_color = out, .input_queue = iq });
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{5} -> words[i] });
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{5} -> got[i] });
fn main() void { if (sends) { @mov32(send, from, .{ .async = true }); } else { @mov32(to, receive, .{ .async = true }); } }
comptime {
  if (sends) { @initialize_queue(oq, .{ .color = out }); } else { @initialize_queue(iq, .{ .color = out }); }
  @export_symbol(main);
}
"""


def artifact(tmp_path):
    return link(compile_program(write(tmp_path, PE, LAYOUT), "wse3"))


def test_what_leaves_the_rectangle_is_dropped_with_a_note(tmp_path, capsys):
    loaded = Device(artifact(tmp_path))
    launch(loaded)
    launch(loaded)
    for x in (0, 2):
        for y in (0, 1):
            assert read(loaded, "got", x, y).tolist() == [1, 2, 3, 4, 5]
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 2
    assert all(note.startswith("note: wavelets of color 3 (") for note in notes)
    assert "in the east and are dropped" in notes[0] and "in the west and are dropped" in notes[1]


@pytest.mark.parametrize("reference", [False, True])
def test_a_fabric_drops_only_when_told(reference, tmp_path):
    made = artifact(tmp_path)
    kinds = []
    for drops in (False, True):
        fabric = Fabric(made.image(), drops_off_edge=drops, reference=reference)
        selector = np.full((2, 3, 1), made.classes[0].functions["main"].selector, "<u4").view(np.uint8)
        fabric.write_bytes(RPC_SELECTOR, selector, 0, 0)
        fabric.launch(RPC_TASK, 0, 0, 3, 2)
        try:
            fabric.run(max_cycles=5000)
            kinds.append([(int(color), port) for color, port in fabric.dropped()])
        except FabricFault as error:
            kinds.append(error.kind)
    assert kinds == ["OFF_EDGE", [(3, "E"), (3, "W")]]
