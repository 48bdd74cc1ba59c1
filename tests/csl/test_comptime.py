"""What is evaluated at compile time: every line is an assertion that holds, or an error that is told.

Covers: wse/csl/sema/values.py, wse/csl/sema/frame.py, wse/csl/sema/calls.py, wse/csl/builtins/language.py
"""

import pytest

from csl.running import compiled
from wse.csl.syntax.errors import CslError

HEAD = """const control = @import_module("<control>");
const E = enum(u16) { A, B = 7 };
const P = struct { x: i16, y: f32 = 2.5 };
const table = [2, 3]i16{ 1, 2, 3, 4, 5, 6 };
var memory = [4]f32{ 1, 2, 3, 4 };
var flags = [2]bool{ true, false };
const c = @get_color(5);
fn twice(x: anytype) @type_of(x) { return x + x; }
fn pick(comptime wide: bool) type { return if (wide) u32 else u16; }
fn letter(n: u16) comptime_string {
  switch (n) {
    0 => return "a",
    1...3 => return "b",
    else => return "c",
  }
}
fn search(limit: i16) i16 {
  var found: i16 = -1;
  outer: for (@range(i16, 10)) |a| {
    for (@range(i16, 10)) |b| {
      if (b > a) continue :outer;
      if (a * b == limit) {
        found = a;
        break :outer;
      }
    }
  }
  return found;
}
fn changed(items: [3]i16) [3]i16 {
  var made = items;
  made[1] += 10;
  var p = P{ .x = 1 };
  p.x = 4;
  made[2] = p.x;
  const q = &made;
  q.*[0] = 9;
  return made;
}
fn collatz(start: u32) u16 {
  var n = start;
  var steps: u16 = 0;
  while (n != 1) : (steps += 1) {
    if (n % 2 == 0) { n /= 2; } else { n = 3 * n + 1; }
  }
  return steps;
}
fn bits(n: u16) u16 {
  var x = n;
  x |= 1;
  x &= 0xf;
  x ^= 2;
  x <<= 2;
  x >>= 1;
  x -= 1;
  x *= 3;
  x %= 100;
  return x;
}
"""

HOLDS = """1 + 2 * 3 == 7
-7 / 2 == -3 and -7 % 2 == -1
(1 << 70) > 0xffffffffffffffff
(1 << 70) >> 69 == 2
-5 >> 1 == -3
0b1010 ^ 0xf == 5
~@as(i32, 0) == -1
~@as(u8, 0b10101111) == 0b01010000
1.5 + 1 == 2.5
1.0 / 3.0 > 0.333333
@as(f32, 0.1) != @as(f32, 0.2) - @as(f32, 0.1) or true
@as(f32, 16777217) == 16777216.0
@as(f16, 0.1) + @as(f16, 0.2) != @as(f16, 0.3)
@as(f32, 1e39) > 1e38
-@as(f32, 1.5) == -1.5
@as(f32, 1.0) / 0.0 > 1e38
@as(u8, 300) == 44 and @as(i8, 200) == -56
@as(u16, 65535) + 1 == 0
@as(i16, 3.99) == 3 and @as(i16, -3.99) == -3
@as(i16, @as(f32, 1e9)) == -13824
@as(u16, true) == 1 and @as(bool, 3)
@as(f32, E.B) == 7.0
@as(E, 7) == E.B and @as(u16, E.B) == 7 and E.A != E.B
@get_int(E.B) == 7 and @get_int(c) == 5
@get_int(@get_local_task_id(9)) == 9
c == @get_color(5) and c != @get_color(6)
NORTH != SOUTH and RAMP == RAMP
@bitcast(u32, @as(f32, 1.0)) == 0x3f800000
@bitcast(f32, 0x40000000) == 2.0
@bitcast(i16, @as(u16, 65535)) == -1
@bitcast(f16, @as(u16, 0x3c00)) == 1.0
"a" ++ "b" == "ab" and "a" != "b"
@strlen("h\\x41\\n") == 3
@strcat() == "" and @strcat("a") == "a"
@strlen("\\xe3\\x81") == 2 and "\\xe3\\x81\\x93" == "こ" and @strcat("\\xe3\\x81", "\\x93") == "こ" and "\\xe3\\x81" ++ "\\x93" == "こ"
@get_array("a\\xff")[1] == 255 and '\\xff' == 255 and @strlen(@get_string_from_byte(200)) == 1
.{ 1, 2 } ++ .{3} == .{ 1, 2, 3 }
@element_count(@type_of([2]i16{ 1, 2 } ++ [1]i16{3})) == 3
table[1, 2] == 6 and table.len == 6
@rank(@type_of(table)) == 2 and @dimensions(@type_of(table))[1] == 3
@is_same_type(@element_type([3]f16), f16)
@is_same_type(pick(true), u32) and !@is_same_type(pick(false), u32)
@is_same_type(@type_of(letter), fn (u16) comptime_string)
@is_same_type(*[3]i16, *[3]i16) and !@is_same_type([*]i16, [*]const i16)
i16 == i16 and i16 != u16
twice(4) == 8 and twice(@as(i16, 4)) == 8 and twice(1.5) == 3.0
@is_same_type(@type_of({}), void)
(.{ .a = 1, .b = .{ .c = "x" } }).b.c == "x"
@concat_structs(.{ .a = 1 }, .{ .b = 2 }).b == 2
@concat_structs(.{ 1, 2 }, .{3})[2] == 3
@concat_structs(.{}, .{ .b = 2 }).b == 2
@has_field(P, "x") and !@has_field(P, "z")
(P{ .x = 3 }).y == 2.5
@field(.{ .k = 4 }, "k") == 4
@zeros([2]i16)[1] == 0 and @constants([2]f32, 1.5)[1] == 1.5 and @zeros(i16) == 0
letter(0) == "a" and letter(2) == "b" and letter(9) == "c"
search(12) == 4 and search(77) == -1
changed(.{ 1, 2, 3 })[0] == 9 and changed(.{ 1, 2, 3 })[1] == 12 and changed(.{ 1, 2, 3 })[2] == 4
collatz(27) == 111
bits(12) == 87
(if (c == @get_color(5)) "yes" else "no") == "yes"
switch (@as(u8, 3)) { 1, 2 => false, 3...4 => true, else => false }
switch (E.B) { E.A => false, .B => true }
@range_start(@range(i16, 2, 9, 3)) + @range_stop(@range(i16, 9)) + @range_step(@range(i16, 9)) == 12
@is_comptime(3) and @is_comptime()
@is_arch("wse3") and !@is_arch("wse2")
@get_rectangle().width == 1 and @get_rectangle().fabric.width == 0
@strlen(@as_string(12)) == 2
@get_array("ab")[1] == 98
memory[2] == 3.0 and flags[0] and !flags[1]
true and !false or false
(true ^ true) == false and (true & false) == false and (true | false)
'a' == 97 and '\\n' == 10 and '\\x41' == 65
1_000 == 1000 and 0o17 == 15 and 1e3 == 1000.0 and 0x1p4 == 16.0 and 2. == 2.0
0.1 + 0.2 != 0.3
@is_same_type(@type_of(&memory), *[4]f32)
control.encode_control_task_payload(@get_control_task_id(3)) != 0
@as(i64, 1) << 40 == 1099511627776
@as(u64, 18446744073709551615) + 1 == 0
comptime 3 + 4 == 7""".split("\n")


@pytest.mark.parametrize("line", HOLDS)
def test_holds(line, tmp_path):
    text = f"{HEAD}fn main() void {{}}\ncomptime {{ @export_symbol(main); @comptime_assert({line}); }}\n"
    compiled(tmp_path, text)


ERRORS = {
    "1 / 0": "1 is divided by zero",
    "1.5 % 2.0": "% is no operator for comptime_float",
    "1 << -1": "the count must not be negative",
    '1 + "a"': "both sides of + must have one type",
    "true + true": "+ needs numbers, not true and true",
    "true < false": "< needs numbers",
    '-"a"': '- needs a number, not "a"',
    "~1.5": "~ needs an integer, not 1.5",
    "1.5 << 2": "<< needs integers",
    "!3": "! needs a bool",
    "@as(i16, 1e308 * 10.0)": "inf is no integer",
    "@as(i16, 1e9)": "1000000000.0 does not fit i16",
    "1.0 / 0.0": "1.0 is divided by zero",
    "@as(E, 3)": "E has no member with the value 3",
    '@as(i16, "a")': "a value of type i16 was expected",
    "@as(*i16, 3)": "a value of type *i16 was expected, not 3",
    "(P{ .z = 1 })": "P has no field z: known: x, y",
    "(P{ .x = 1, .z = 1 })": "P has no field z: known: x, y",
    "@as([2]i16, .{1})": "[2]i16 has 2 elements, not 1",
    "[2]i16{ 1, 2, 3 }": "[2]i16 has 2 elements, not 3",
    "@zeros(P)": "@zeros makes arrays of numbers",
    "@zeros([2]bool)": "@zeros makes no values of type bool: @constants([2]bool, false) does",
    "@constants(i16, 3)": "@constants makes arrays",
    "@ptrcast(i16, &memory)": "@ptrcast goes between pointers",
    "@element_type(i16)": "i16 has no elements",
    "@element_count(i16)": "@element_count takes the type of an array",
    "@range_start(3)": "@range_start takes a @range",
    "@range(f32, 3)": "@range counts in integers, not in f32",
    "@range(i16, 1, 2)": "@range takes a type and a stop, or a type, start, stop and step",
    "@strlen(3)": "must be a comptime_string, not 3",
    "@concat_structs(1, 2)": "@concat_structs takes structs",
    "@concat_structs(.{1}, .{ .a = 1 })": "two structs with named fields or two tuples",
    "@get_int(1.5)": "@get_int takes a color, a queue, an id or an enum",
    "letter(-1)": "-1 does not fit u16",
    "letter(1, 2)": "letter takes 1 argument, not 2",
    "undefined": "constant value has no value",
    "null.?": ".? needs an optional value, not null",
    "@as(i16, null)": "a value of type i16 was expected, not null",
    ".A": ".A stands where no enum is expected",
    "switch (@as(u8, 9)) { 1 => true }": "the arms of this switch are not for every u8",
    "if (false) 1": "the condition is not true and there is no else",
    "enum(f32) { A }": "an enum is stored in an integer, not in a f32",
    "enum { A, A }": "the member A is declared twice",
    "enum(u8) { A = 300 }": "300 does not fit u8",
    "struct { a: i16, a: i16 }": "the field a is declared twice",
    "[1.5]i16": "the length of an array must be an integer",
    "[-1]i16": "an array cannot have -1 elements",
    "@import_comptime_value(i16, \"none.json\")": "none.json is not found",
    "@get_color(c)": "@get_color takes an integer",
    "@get_control_task_id(64)": "64 is no number of a control task",
    "@field(.{ .a = 1 }, \"b\")": "this struct has no field b: known: a",
    "control.nothing": "declares no nothing",
    "i16.x": "type i16 has no members",
    "@bitcast(u16, \"a\")": "@bitcast needs types of one size",
    "blk: { break :blk; }": "there is no loop or block blk around this",
    "blk: { }": "the block blk ends without a value",
}  # fmt: skip


@pytest.mark.parametrize("expr", ERRORS)
def test_error(expr, tmp_path):
    text = f"{HEAD}fn main() void {{}}\nconst value = {expr};\ncomptime {{ @export_symbol(main); @comptime_assert(value == value); }}\n"
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text)
    assert ERRORS[expr] in str(caught.value), str(caught.value)


def test_json_values(tmp_path):
    (tmp_path / "v.json").write_text(
        """{"n: i16": 3, "xs:[2]f32": [1, 2.5], "name:comptime_string": "a", "on:bool": true, "half:f16": 1,
        "c:color": 5, "inner:comptime_struct": {"k:comptime_int": 7, "odd:u5": 31}}"""
    )
    text = """const v = @import_comptime_value(comptime_struct, "v.json");
fn main() void {}
comptime {
  @export_symbol(main);
  @comptime_assert(v.n == 3 and v.xs[1] == 2.5 and v.name == "a" and v.on and v.half == 1.0);
  @comptime_assert(@type_of(v.n) == i16 and @type_of(v.xs) == [2]f32 and v.c == @get_color(5));
  @comptime_assert(v.inner.k == 7 and @type_of(v.inner.odd) == u5);
}
"""
    compiled(tmp_path, text)
    for wrong, message in {
        '{"n": 3}': 'a field of a JSON object is written "name:type", not "n"',
        '{"n:i17x": 3}': "i17x is no type of a field",
        '{"n:u5": 32}': "32 does not fit u5",
        '{"n:[3]i16": [1, 2]}': "[3]i16 has 3 elements, not 2",
        '{"n:[2]i16": [[1], [2]]}': "a JSON array holds numbers, strings or booleans",
        '{"n:i16": null}': "null is no value of CSL",
        '{"n:i16": "a"}': "a value of type i16 was expected",
    }.items():
        (tmp_path / "v.json").write_text(wrong)
        with pytest.raises(CslError) as caught:
            compiled(tmp_path, text)
        assert message in str(caught.value), str(caught.value)
    (tmp_path / "v.json").write_text("[1,")
    with pytest.raises(CslError, match=r"v\.json is no JSON text"):
        compiled(tmp_path, text)


def test_printing_is_a_note(tmp_path):
    from csl.running import write
    from wse.csl.compile import compile_program

    warnings = []
    text = """const E = enum(u16) { on, off };
comptime { @comptime_print("n is", 3, .{ .a = 1, .b = .{ "x", E.off } }, true, [2]i16{ 4, 5 }, .{}, i16, "\\xff"); }
"""
    compile_program(write(tmp_path, text), warnings=warnings)
    want = 'n is 3 .{ .a = 1, .b = .{ "x", E.off } } true [2]i16{ 4, 5 } .{} type i16 ?'
    assert [(w.message, w.severity) for w in warnings] == [(want, "note")]


def test_control_task_table_in_a_comptime_block(tmp_path):
    compiled(tmp_path, "fn main() void {}\ncomptime { @set_control_task_table(); @export_symbol(main); }\n")
