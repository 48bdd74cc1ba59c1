"""@get_config, @set_config and their unchecked forms; @rpc.

Covers: wse/csl/builtins/registers.py, wse/csl/builtins/language.py
"""

from __future__ import annotations

import pytest

from csl.running import compiled, read, run
from wse.csl.syntax.errors import CslError

HEAD = """
const c = @get_color(2);
export var got = @zeros([4]u16);
comptime {
  @export_symbol(main);
  @set_local_color_config(c, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } });
}
"""
ROUTES = 0x7F22


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(
    "ranges",
    ["", ", .{ 0x7f20, 0x7f2f }", ", .{ .{ 0x7f00, 0x7f1f }, .{ 0x7f22, 0x7f22 } }"],
    ids=["none", "one", "two"],
)
def test_registers_of_the_router(arch, ranges, tmp_path):
    text = f"""{HEAD}
var at: u16 = {ROUTES:#x};
fn main() void {{
  got[0] = @get_config({ROUTES:#x}{ranges});
  @set_config(at, got[0] ^ 3{ranges});
  got[1] = @get_config(at{ranges});
  @set_config_unchecked({ROUTES:#x}, got[0]);
  got[2] = @get_config_unchecked(at);
}}
"""
    got = read(run(tmp_path, text, arch=arch), "got").tolist()
    assert got[0] != 0 and got[1] == got[0] ^ 3 and got[2] == got[0]


@pytest.mark.parametrize(
    "statement, message",
    [
        ("got[0] = @get_config(0x7e00);", "register 0x7e00 is not emulated: 0x7f20 + color, its routes and 0x7f40"),
        (
            "@set_config(0x7f22, 1, .{ 0x7f23, 0x7f24 });",
            "register 0x7f22 is outside of 0x7f23 to 0x7f24, which @set_config names",
        ),
        ("@set_config(0x7f22, 1, .{ 0x7f24, 0x7f23 });", "end at 0x7f23, before their first, 0x7f24"),
        ("@set_config(0x7f22, 1, .{ 0x7f24 });", "the registers that are accessed are .{first, last}"),
        ("@set_config(0x7f22, 70000);", "70000"),
        ("@set_config(-1, 0);", "-1"),
        ("var n: i16 = 0x7f22; @set_config(n, 0);", "a value of type u16 was expected"),
        (
            "got[0] = @get_config_unchecked(0x7f22, .{ 0x7f22, 0x7f22 });",
            "@get_config_unchecked takes 1 argument, not 2",
        ),
    ],
)
def test_what_is_refused(statement, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, f"{HEAD}\nfn main() void {{ {statement} }}\n")
    assert message in str(caught.value), str(caught.value)


@pytest.mark.parametrize("call", ["@set_config(0x7f22, 42)", "const old = @get_config(0x7e00)"])
def test_registers_when_compiling(call, tmp_path):
    with pytest.raises(CslError, match="belongs in functions and tasks: when compiling, the routes and switches"):
        compiled(tmp_path, f"{HEAD}\nfn main() void {{}}\ncomptime {{ {call}; }}\n")


LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1, .LAUNCH = @get_color(8) });
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(0) });
  @export_name("main", fn()void);
}
"""
PE = """
param memcpy_params: comptime_struct;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
export var n: u16 = 0;
fn main() void { n += 1; sys.unblock_cmd_stream(); }
comptime { @export_symbol(main); %s; }
"""


def test_the_server_of_launches_is_that_of_memcpy(tmp_path):
    loaded = run(tmp_path, PE % "@rpc(@get_data_task_id(sys.LAUNCH))", arch="wse2", layout=LAYOUT)
    assert read(loaded, "n")[0] == 1


@pytest.mark.parametrize("call", ["@rpc(@get_data_task_id(@get_color(9)))", "@rpc(sys.LAUNCH)"])
def test_other_servers_are_refused(call, tmp_path):
    with pytest.raises(CslError, match="the wavelets that its server takes are not documented"):
        compiled(tmp_path, PE % call, arch="wse2", layout=LAYOUT)
