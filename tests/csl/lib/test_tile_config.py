"""<tile_config>: registers of the own router and processor."""

import pytest

from csl import running


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
