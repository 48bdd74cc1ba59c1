"""What becomes another type by itself: numbers, pointers, structs; peer types of operators and of if and switch."""

from __future__ import annotations

import pytest
from csl import running

from wse.csl.syntax.errors import CslError

WIDER = {
    ("i8", "i16"), ("i8", "i32"), ("i8", "i64"), ("i16", "i32"), ("i16", "i64"), ("i32", "i64"),
    ("u8", "u16"), ("u8", "u32"), ("u8", "u64"), ("u16", "u32"), ("u16", "u64"), ("u32", "u64"),
    ("u8", "i16"), ("u8", "i32"), ("u8", "i64"), ("u16", "i32"), ("u16", "i64"), ("u32", "i64"), ("f16", "f32"),
}  # fmt: skip
NUMBERS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "f32")

ASSIGN = """
var x: {source} = 100;
var y: {target} = 0;
var y_ptr: [*]{target} = @ptrcast([*]{target}, &y);
fn main() void {{ x += 1; y = x; }}
comptime {{ @export_symbol(main); @export_symbol(y_ptr, "y"); }}
"""


def errors(tmp_path, pe: str, **options) -> str:
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe, options=options)
    return str(caught.value)


@pytest.mark.parametrize("target", NUMBERS)
@pytest.mark.parametrize("source", NUMBERS)
def test_assignment_widens(source, target, tmp_path):
    pe = ASSIGN.format(source=source, target=target)
    if source == target or (source, target) in WIDER:
        loaded = running.run(tmp_path, pe)
        assert running.read(loaded, "y")[0] == 101
        return
    text = errors(tmp_path, pe)
    assert f"pe.csl:5:30: error: a value of type {target} was expected, not one of type {source}" in text
    assert f"@as({target}, ...)" in text


@pytest.mark.parametrize("source, target", sorted(WIDER))
def test_nothing_widens_in_release_1_4(source, target, tmp_path):
    text = errors(tmp_path, ASSIGN.format(source=source, target=target), sdk_version="1.4")
    assert f"a value of type {target} was expected, not one of type {source}" in text
    assert "SDK 2.10 does this by itself, SDK 1.4 does not (--sdk-version=1.4)" in text


@pytest.mark.parametrize("source, target", sorted(WIDER))
def test_operands_have_a_common_type(source, target, tmp_path):
    pe = f"""
    var x: {source} = 100;
    var y: {target} = 27;
    export var sums: [4]f32;
    fn main() void {{
      const a = x + y;
      const b = y - x;
      @comptime_assert(@type_of(a) == {target} and @type_of(b) == {target});
      sums[0] = @as(f32, a);
      sums[1] = @as(f32, b);
      sums[2] = if (x > y) 1.0 else 0.0;
      y += x;
      sums[3] = @as(f32, y);
    }}
    comptime {{ @export_symbol(main); }}
    """
    loaded = running.run(tmp_path, pe)
    wrapped = -73 if target[0] != "u" else float(2 ** int(target[1:]) - 73)
    expected = [127, wrapped, 1, 127]
    assert running.read(loaded, "sums").tolist() == [float(running.TYPES["f32"](v)) for v in expected]
    text = errors(tmp_path, pe, sdk_version="1.4")
    assert f"both sides of + must have one type, not {source} and {target}" in text and "SDK 1.4 does not" in text


@pytest.mark.parametrize("pair", [("i16", "u16"), ("i8", "u64"), ("i32", "u16x"), ("f16", "i16"), ("f32", "u32")])
def test_operands_without_a_common_type(pair, tmp_path):
    left, right = pair[0], pair[1].replace("u16x", "u32")
    pe = f"var x: {left} = 1;\nvar y: {right} = 1;\nexport var z: u16;\n"
    pe += "fn main() void { if (x + y == y) z = 1; }\ncomptime { @export_symbol(main); }\n"
    assert f"pe.csl:4:22: error: both sides of + must have one type, not {left} and {right}" in errors(tmp_path, pe)


def test_the_documented_choices_of_if(tmp_path):
    pe = """
    export var out: [8]f32;
    export var flag: bool = false;
    fn int_or_comptime(c: bool) i32 { var x: i32 = 10; return if (c) x else 20; }
    fn float_or_comptime(c: bool) f32 { var y: f32 = 1.0; return if (c) y else 2.0; }
    fn narrow_or_wide(c: bool) i32 {
      var small: i16 = -100;
      var large: i32 = 200000;
      const chosen = if (c) small else large;
      @comptime_assert(@type_of(chosen) == i32);
      return chosen;
    }
    fn half_or_single(c: bool) f32 { var half: f16 = 1.5; var single: f32 = 2.5; return if (c) half else single; }
    fn by_switch(n: u16) i32 {
      var a: i8 = -8;
      var b: u16 = 40000;
      var c: i32 = 7;
      return switch (n) { 0 => a, 1 => c, else => b };
    }
    fn by_block(n: u16) i32 {
      var a: i16 = -5;
      var b: i32 = 70000;
      const v = found: { if (n == 0) { break :found a; } break :found b; };
      return v;
    }
    fn main() void {
      out[0] = @as(f32, int_or_comptime(flag) + int_or_comptime(!flag));
      out[1] = float_or_comptime(flag) + float_or_comptime(!flag);
      out[2] = @as(f32, narrow_or_wide(flag) + narrow_or_wide(!flag));
      out[3] = half_or_single(flag) + half_or_single(!flag);
      out[4] = @as(f32, by_switch(0) + by_switch(1));
      out[5] = @as(f32, by_switch(2));
      out[6] = @as(f32, by_block(0) + by_block(1));
    }
    comptime { @export_symbol(main); }
    """
    loaded = running.run(tmp_path, pe)
    assert running.read(loaded, "out").tolist() == [30, 3, 199900, 4, -1, 40000, 69995, 0]


POINTERS = """
var x: i32 = 1;
var y: i32 = 2;
const k: i32 = 3;
var one = [1]i32{ 4 };
var ten = @constants([10]i32, 5);
var twenty = @constants([20]i32, 6);
export var out: [8]i32;
export var flag: bool = false;
fn choose_const(c: bool) *const i32 { return if (c) &x else &k; }
fn choose_array(c: bool) [*]i32 { return if (c) &ten else &twenty; }
fn choose_one(c: bool) *const [1]i32 { return if (c) &x else &one; }
fn read_many(p: [*]const i32, i: u16) i32 { return p[i]; }
fn read_one(p: *const [1]i32) i32 { return p.*[0]; }
fn main() void {
  out[0] = choose_const(flag).* + 10 * choose_const(!flag).*;
  out[1] = choose_array(flag)[9] + 10 * choose_array(!flag)[9];
  out[2] = choose_one(flag).*[0] + 10 * choose_one(!flag).*[0];
  out[3] = read_many(&ten, 3);
  const to_one: *[1]i32 = &y;
  to_one.*[0] += 5;
  out[4] = y;
  out[5] = read_one(&y);
  const unnamed = if (flag) &ten else &twenty;
  @comptime_assert(@type_of(unnamed) == [*]i32);
  out[6] = unnamed[2];
  var moving: *const i32 = &x;
  moving = &k;
  out[7] = moving.*;
}
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_pointers(arch, tmp_path):
    loaded = running.run(tmp_path, POINTERS, arch=arch)
    assert running.read(loaded, "out").tolist() == [13, 56, 14, 5, 7, 7, 6, 3]


REFUSED_POINTERS = {
    "const to variable": ("*const i32", "&k", "*i32"),
    "const array to variable": ("*const [10]i32", "&ten", "*[10]i32"),
    "many to array": ("[*]i32", "&ten", "*[10]i32"),
    "array of one to one": ("*[1]i32", "&one", "*i32"),
    "other element": ("*[10]i32", "&ten", "[*]f32"),
    "const many": ("*const [10]i32", "&ten", "[*]i32"),
}


@pytest.mark.parametrize("case", REFUSED_POINTERS)
def test_pointers_that_do_not_become_each_other(case, tmp_path):
    source, value, target = REFUSED_POINTERS[case]
    pe = f"""const k: i32 = 3;
var one = [1]i32{{ 4 }};
var ten = @constants([10]i32, 5);
var p: {source} = {value};
var q: {target} = p;
fn main() void {{
  var at_run: {target} = p;
  _ = at_run;
}}
comptime {{ @export_symbol(main); }}
"""
    text = errors(tmp_path, pe)
    shown = target.replace("const [", "const[")
    assert f"pe.csl:7:{19 + len(target)}: error: a value of type {target} was expected" in text or shown in text


def test_an_array_of_rank_three_is_no_pointer_to_many(tmp_path):
    pe = "var a = @zeros([3, 3, 3]i32);\nvar p: [*]i32 = &a;\nfn main() void { p[0] = 1; }\n"
    pe += "comptime { @export_symbol(main); }\n"
    text = errors(tmp_path, pe)
    assert "pe.csl:2:17: error: a pointer to [3, 3, 3]i32 does not become [*]i32: an array of rank 3 has no" in text
    at_run = "var a = @zeros([2, 5, 2]i32);\nfn f(p: [*]i32) void { p[0] = 1; }\n"
    at_run += "fn main() void { f(&a); }\ncomptime { @export_symbol(main); }\n"
    assert "an array of rank 3 has no pointer to many" in errors(tmp_path, at_run)


def test_an_array_of_rank_two_is_a_pointer_to_many(tmp_path):
    """As in the vendor's gemv-checkerboard-pattern, other than its documentation says."""
    pe = "var a = [2, 2]i32{ 1, 2, 3, 4 };\nvar p: [*]i32 = &a;\nexport var out: i32;\n"
    pe += "fn main() void { out = p[2]; }\ncomptime { @export_symbol(main); }\n"
    assert running.read(running.run(tmp_path, pe), "out")[0] == 3


@pytest.mark.parametrize(
    "kind, value, message",
    [
        ("i16", "100000", "100000 does not fit i16"),
        ("u5", "31 + 1", "32 does not fit u5, which holds 0 to 31"),
        ("i4", "-8 - 1", "-9 does not fit i4, which holds -8 to 7"),
        ("i16", "10000000000000", "does not fit i16"),
        ("f16", "65520.0", "65520.0 does not fit f16, whose largest number is 65504.0"),
        ("f32", "1e39", "1e+39 does not fit f32"),
        ("i32", "1.5", "a value of type i32 was expected"),
    ],
)
def test_numbers_of_the_compiler_must_fit(kind, value, message, tmp_path):
    pe = f"var x: {kind} = {value};\nfn main() void {{ x = 1; }}\ncomptime {{ @export_symbol(main); }}\n"
    text = errors(tmp_path, pe)
    assert f"pe.csl:1:{11 + len(kind)}: error: " in text and message in text


@pytest.mark.parametrize(
    "value, message",
    [
        ("1.0 / 0.0", "1.0 is divided by zero"),
        ("0.0 / 0.0", "0.0 is divided by zero"),
        ("1 / 0", "1 is divided by zero"),
        ("1e308 * 10.0 - 1e308 * 10.0", "inf - inf is not a number"),
        ("5 % 0", "5 is divided by zero"),
    ],
)
def test_arithmetic_of_the_compiler_that_has_no_result(value, message, tmp_path):
    pe = f"const x = {value};\nfn main() void {{ _ = x; }}\ncomptime {{ @export_symbol(main); }}\n"
    assert f"error: {message}" in errors(tmp_path, pe)


def test_floats_of_a_fixed_width_divide_by_zero_as_on_the_machine(tmp_path):
    pe = """
    const one: f32 = 1.0;
    const zero: f32 = 0.0;
    export var folded = [3]f32{ one / zero, -one / zero, zero / zero };
    export var computed: [3]f32;
    var a: f32 = 1.0;
    var b: f32 = 0.0;
    fn main() void { computed[0] = a / b; computed[1] = -a / b; computed[2] = b / b; }
    comptime { @export_symbol(main); }
    """
    loaded = running.run(tmp_path, pe)
    for name in ("folded", "computed"):
        assert str(running.read(loaded, name).tolist()) == "[inf, -inf, nan]"


def test_an_array_of_arrays_is_an_error(tmp_path):
    pe = "var a: [2][3]i32;\nfn main() void { a[0][1] = 1; }\ncomptime { @export_symbol(main); }\n"
    text = errors(tmp_path, pe)
    assert "pe.csl:1:11: error: the elements of an array must not be arrays, as [3]i32 is" in text
    assert "write [2, 3]" in text


def test_a_known_operand_keeps_its_type(tmp_path):
    """A function gives the same at compile time, where its argument is known, as at run time."""
    pe = """
    export var out: [2]u16;
    var three: u16 = 3;
    fn f(x: u16) u16 { const y = ~(@as(u8, 3) ^ @as(u5, x)); return @as(u16, y); }
    export var folded = [1]u16{ f(3) };
    fn main() void { out[0] = f(three); }
    comptime { @export_symbol(main); }
    """
    loaded = running.run(tmp_path, pe)
    assert running.read(loaded, "out")[0] == running.read(loaded, "folded")[0] == 255
    pe = "const k: i16 = 5;\nvar x: u16;\nfn main() void { x = x + k; }\ncomptime { @export_symbol(main); }\n"
    assert "pe.csl:3:22: error: both sides of + must have one type, not u16 and i16" in errors(tmp_path, pe)
    pe = "const k: i16 = 5;\nconst j: u16 = 6;\nexport var x: i32 = k + j;\nfn main() void { x = 1; }\n"
    pe += "comptime { @export_symbol(main); }\n"
    assert "pe.csl:3:21: error: both sides of + must have one type, not i16 and u16" in errors(tmp_path, pe)
