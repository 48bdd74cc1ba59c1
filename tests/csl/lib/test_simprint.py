"""<simprint>: what a program prints is in sim.log.

Covers: wse/sdk/simlog.py
"""

import pytest

from csl import running
from wse.csl.syntax.errors import CslError
from wse.sdk.simlog import lines


def printed(tmp_path, body: str, arch: str = "wse3", more: str = "", **options) -> list[str]:
    """The lines of the log without their cycles."""
    pe = f'const p = @import_module("<simprint>"{more});\nvar n: u16 = 42;\nvar w: u32 = 305419896;\n'
    pe += f"fn main() void {{ {body} }}\ncomptime {{ @export_symbol(main); }}\n"
    return [line.partition(" ")[2] for line in lines(running.run(tmp_path, pe, arch=arch, **options))]


@pytest.mark.parametrize(
    "call, text",
    [
        ('p.print_string("a b")', "a b"), ("p.print_u16_binary(n)", "0000000000101010"), ("p.print_u16_decimal(n)", "42"),
        ("p.print_u16_hex(n)", "002A"), ("p.print_f16(42.0)", "42.0"), ("p.print_u32_decimal(w)", "305419896"),
        ("p.print_u32_binary(w)", "00010010001101000101011001111000"), ("p.print_u32_hex(w)", "12345678"),
        ("p.print_f32(-0.5)", "-0.5"), ("p.print_i16_decimal(-3)", "-3"), ("p.print_i32_decimal(-70000)", "-70000"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_single_values(tmp_path, call, text, arch):
    assert printed(tmp_path, f'{call}; p.print_string("\\n");', arch) == [text]


def test_what_has_not_ended_is_lost(tmp_path):
    assert printed(tmp_path, 'p.print_string("one\\ntwo");') == ["one"]


def test_text_ends_at_a_zero_byte(tmp_path):
    assert printed(tmp_path, 'p.print_string("on\\x00e"); p.print_string("\\n");') == ["on"]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_formats(tmp_path, arch):
    values = "@as(u16, 42), @as(u16, 42), @as(u16, 42), @as(f16, 42.0)"
    body = f"""
  p.fmt("{{d}} {{X}} {{b}} {{f}}", .{{ {values} }});
  p.fmt_no_nl("{{d}} {{X}}", .{{ @as(u16, 7), @as(u32, 0xbeef) }});
  p.print_string(" ");
  p.fmt("{{{{d}} {{f}}", .{{ @as(f32, 1.5) }});
  p.fmt("nothing", .{{}});
  p.fmt_with_coords("x = {{d}}", .{{ @as(u32, 70000) }});
"""
    want = ["42 002A 0000000000101010 42.0", "7 0000BEEF {d} 1.5", "nothing", "PE(0,0): x = 70000"]
    assert printed(tmp_path, body, arch) == want


def test_coordinates_of_each_pe(tmp_path):
    layout = """
layout {
  @set_rectangle(2, 2);
  for (@range(u16, 2)) |x| { for (@range(u16, 2)) |y| { @set_tile_code(x, y, "pe.csl"); } }
}
"""
    got = printed(tmp_path, 'p.fmt_with_coords("hello", .{});', layout=layout)
    assert sorted(got) == ["PE(0,0): hello", "PE(0,1): hello", "PE(1,0): hello", "PE(1,1): hello"]


def test_disabled(tmp_path):
    body = 'p.print_string("a\\n"); p.print_f32(1.0); p.fmt("{d}", .{ @as(u16, 1) }); p.fmt_with_coords("b", .{});'
    assert printed(tmp_path, body, more=", .{ .enable = false }") == []


@pytest.mark.parametrize(
    "call, message",
    [
        ('p.fmt("{d}", .{ @as(i16, 1) })', "{d} prints a value of type u16 or u32, not one of type i16"),
        ('p.fmt("{f}", .{ @as(u16, 1) })', "{f} prints a value of type @fp16() or f32, not one of type u16"),
        ('p.fmt("{d}", .{})', "the format has place for 1 values, but there are 0"),
        ('p.fmt("a", .{ @as(u16, 1) })', "the format has place for 0 values, but there are 1"),
        ('p.fmt("{q}", .{ @as(u16, 1) })', "{q} is no format: known are {d}, {X}, {b}, {f}"),
        ('p.fmt("{", .{})', "is no format"),
    ],
)
def test_errors(tmp_path, call, message):
    with pytest.raises(CslError) as caught:
        printed(tmp_path, f"\n{call};")
    first = caught.value.diagnostics[0]
    assert message in first.message and first.span.line == 5 and first.span.source.path.endswith("pe.csl")


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_values_of_the_run_in_formats(tmp_path, arch):
    """Arguments that are only known at run time, also those of a function."""
    pe = """
const p = @import_module("<simprint>");
const where = @import_module("<layout>");
var n: u16 = 42;
var w: u32 = 0;
var x: f32 = 1.5;
var h: f16 = 0.25;
fn show(k: u16) void { p.fmt("k {d} {X}", .{ k, w }); }
fn main() void {
  w += 7;
  p.fmt("{d} {X} {b} {f} {f}", .{ n, n, n, x, h });
  p.fmt_with_coords("{d} of {d}", .{ where.get_x_coord(), w });
  p.fmt_no_nl("{d}-", .{n + 1});
  p.print_string("\\n");
  show(n);
}
comptime { @export_symbol(main); }
"""
    got = [line.partition(" ")[2] for line in lines(running.run(tmp_path, pe, arch=arch))]
    assert got == ["42 002A 0000000000101010 1.5 0.25", "PE(0,0): 0 of 7", "43-", "k 42 00000007"]
