"""Limits of what happens at compile time: a diagnostic within seconds, before memory runs out.

Covers: wse/csl/sema/unit.py
"""

import pytest

from csl.running import write
from wse.csl.compile import compile_program
from wse.csl.sema import unit
from wse.csl.syntax.errors import CslError

USED = " comptime { @comptime_assert(used != 1234567); }"
ROUNDS = "more than 20,000 rounds of loops and calls at compile time"
LIMITED = {
    "an endless while loop": ("comptime { var n: u32 = 0; while (true) { n += 1; } }", ROUNDS),
    "a long for loop": ("comptime { var n: u32 = 0; for (@range(u32, 4000000000)) |i| { n += 1; } }", ROUNDS),
    "calls that double": (
        "fn f(n: i32) i32 { if (n == 0) return 1; return f(n - 1) + f(n - 1); }\nconst used = f(100);" + USED,
        ROUNDS,
    ),
    "large numbers": ("comptime { var n = 1 << 8000; while (true) { n = n * 3 / 3 + 1; } }", ROUNDS),
    "recursion": ("fn f(n: i32) i32 { return f(n) + 1; }\nconst used = f(1);" + USED, "does f call itself?"),
    "a type that contains itself": ("fn T(comptime n: u16) type { return struct { a: T(n + 1) }; }\nvar used: T(0);\n"
        "comptime { @export_symbol(used); }", "does T call itself?"),
    "instances": ("fn f(comptime n: u16) void { f(n + 1); }\nfn main() void { f(0); }\ncomptime { @export_symbol(main); }",
        "more than 300 instances of functions: does f call itself?"),
    "inline loops": ("fn main() void { inline while (true) {} }\ncomptime { @export_symbol(main); }", "rounds of inline loops"),
    "code of inline loops": ("export var a = @zeros([8]i32);\nfn main() void { comptime var i: u16 = 0; "
        "inline while (i < 4) : (i += 0) { a[i] = @as(i32, i) * 2; } }\ncomptime { @export_symbol(main); }",
        "inline loops make more than 1,000 operations"),
    "a shift": ("const used = 1 << 8192;" + USED, "this shift gives more than 8,192 bits"),
    "sums": ("fn f() i16 { var s: comptime_int = 1; while (true) { s = s + s; } return 1; }\nconst used = f();" + USED,
        "this sum has more than 8,192 bits"),
    "a number": (f"const used = 0x{'f' * 2049};" + USED, "it has more than 8,192 bits"),
    "a decimal number": (f"const used = {'9' * 5000};" + USED, "it has more than 8,192 bits"),
    "a float": ("const used = 1e309;" + USED, "it is larger than any comptime_float"),
    "a hexadecimal float": ("const used = 0x1p1024;" + USED, "is no float literal: "),
    "an integer type": ("const used: u8193 = 0;" + USED, "u8193 is too wide: an integer has at most 8,192 bits"),
    "an integer in a message": ("const used: u8192 = 0 - (1 << 8000);" + USED, "does not fit u8192, which holds 0 to 1090"),
    "an integer as a float": ("const used: f32 = 1 << 8000;" + USED, "does not fit f32, whose largest number is 3.4"),
    "strings": ('fn f() i16 { var s: comptime_string = "abcdefgh"; while (true) { s = @strcat(s, s); } return 1; }\n'
        "const used = f();" + USED, "a string of 2,097,152 characters: the compiler allows 1,048,576"),
    "strings joined by ++": ('fn f() i16 { var s: comptime_string = "abcdefgh"; while (true) { s = s ++ s; } return 1; }\n'
        "const used = f();" + USED, "a string of 2,097,152 characters"),
    "tuples": ("fn f() i16 { var s: comptime_struct = .{ 1, 2 }; while (true) { s = s ++ s; } return 1; }\n"
        "const used = f();" + USED, "a struct or tuple of more than 1,048,576 values"),
    "structs in structs": ("fn f() i16 { var s: comptime_struct = .{ .a = 1 }; while (true) { s = .{ .a = s, .b = s }; } return 1; }\n"
        "const used = f();" + USED, "a struct or tuple of more than 1,048,576 values"),
    "arrays": ("fn f() i16 { var s = @zeros([500000]i32); while (true) { var t = s; t[0] += 1; s = t; } return 1; }\n"
        "const used = f();" + USED, "strings, arrays and structs at compile time take more than 128 MB"),
    "an array": ("var used: [1048577]u8;\ncomptime { @export_symbol(used); }", "[1048577]u8 has more than 1,048,576 elements"),
    "an array of two dimensions": ("var used: [1025, 1024]u8;\ncomptime { @export_symbol(used); }", "more than 1,048,576 elements"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITED)
def test_limits(name, tmp_path, monkeypatch):
    monkeypatch.setattr(unit, "MAX_FUNCTIONS", 300)
    monkeypatch.setattr(unit, "MAX_CODE", 1000 if name == "code of inline loops" else unit.MAX_CODE)
    if name == "arrays":
        monkeypatch.setattr(unit, "MAX_BYTES", 1 << 27)
    text, message = LIMITED[name]
    with pytest.raises(CslError) as caught:
        compile_program(
            write(tmp_path, text), max_inlined=2000, max_steps=20_000 if message is ROUNDS else unit.MAX_STEPS
        )
    assert message in str(caught.value), str(caught.value)


def test_a_layout_that_configures_pes_may_take_more_rounds(tmp_path):
    layout = """layout {
  @set_rectangle(40, 1);
  for (@range(i16, 40)) |x| {
    var n: i16 = 0;
    while (n < 500) { n += 1; if (n > x * 1000) break; }
    @set_tile_code(x, 0, "pe.csl", .{});
  }
}"""
    compile_program(write(tmp_path, "", layout), max_steps=2_000)


def test_a_layout_that_configures_the_same_pe_for_ever_ends(tmp_path):
    layout = """layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{});
  while (true) { @set_color_config(0, 0, @get_color(1), .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } }); }
}"""
    with pytest.raises(CslError, match=r"color 1 of PE \(0, 0\) is configured twice"):
        compile_program(write(tmp_path, "", layout), max_steps=1_000)


def test_what_takes_long_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(unit, "REPORT_AFTER", 0.0)
    monkeypatch.setattr(unit, "REPORT_EVERY", 0.0)
    reports = []
    text = "comptime { var n: u16 = 0; while (n < 5000) { n += 1; } }"
    compile_program(write(tmp_path, text), report=reports.append)
    assert reports[0].startswith("code of class 0, pe.csl, ") and reports[0].endswith(" s")


def test_an_error_is_told_once_for_all_classes_of_a_file(tmp_path):
    layout = """layout {
  @set_rectangle(12, 1);
  for (@range(i16, 12)) |x| { @set_tile_code(x, 0, "pe.csl", .{ .n = x }); }
}"""
    text = (
        "param n: i16;\nvar a = @zeros([n]i16);\nfn main() void { a = n; b = 1; }\ncomptime { @export_symbol(main); }"
    )
    with pytest.raises(CslError) as caught:
        compile_program(write(tmp_path, text, layout))
    assert len(caught.value.diagnostics) == 1
