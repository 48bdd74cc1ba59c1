"""switch: which arm runs, and whether a function whose arms all return ends there."""

from __future__ import annotations

import pytest
from csl.running import compiled, read, run

from wse.csl.syntax.errors import CslError

PE = """
const Op = enum(i8) {{ add = 1, mul = 4, neg }};
var ops = [3]Op{{ Op.add, Op.mul, Op.neg }};
export var out = @zeros([6]i16);
fn by_member(op: Op, a: i16) i16 {{
  switch (op) {{ {} }}
}}
fn main() void {{
  for (ops) |op, i| {{ out[i] = by_member(op, 10); }}
}}
comptime {{ @export_symbol(main); }}
"""


def test_arms_that_name_every_value_and_return_end_a_function(tmp_path):
    text = "Op.add => return a + 1, .mul => { return a * 4; }, Op.neg => return -a,"
    assert read(run(tmp_path, PE.format(text)), "out").tolist() == [11, 40, -10, 0, 0, 0]


def test_an_arm_that_does_not_return_goes_on_behind_the_switch(tmp_path):
    text = "Op.add => return a + 1, .mul => {}, Op.neg => return -a,"
    with pytest.raises(CslError, match="by_member may end without returning a value of type i16"):
        compiled(tmp_path, PE.format(text))


def test_an_else_that_returns(tmp_path):
    text = "Op.mul => return 7, else => return 8,"
    assert read(run(tmp_path, PE.format(text)), "out").tolist()[:3] == [8, 7, 8]


WRONG = [
    ("n", "0 => {}, 1 => {},", "the arms of this switch are not for every u16, and there is no else"),
    ("n", "0...300 => {},", "the arms of this switch are not for every u16, and there is no else"),
    ("n", "", "the arms of this switch are not for every u16, and there is no else"),
    ("@as(i16, 5)", "5 => {},", "the arms of this switch are not for every i16, and there is no else"),
    ("n == 1", "true => {}, false => {},", "an enum, not a value of type bool: use if and else"),
    ("u16", "u16 => {}, else => {},", "an enum, not a value of type type: use if and else"),
    ("NORTH", "NORTH => {}, else => {},", "an enum, not a value of type direction: use if and else"),
    ('"a"', '"a" => {}, else => {},', "an enum, not a value of type comptime_string: use if and else"),
    ("n", "5 => {}, 3, 5 => {}, else => {},", "this value has an arm already"),
    ("n", "0...5 => {}, 5...9 => {}, else => {},", "this value has an arm already"),
    ("n", "7 => {}, 5...9 => {}, else => {},", "this value has an arm already"),
    ("@as(u16, 5)", "5 => {}, 5 => {}, else => {},", "this value has an arm already"),
    ("op", "Op.a => {}, Op.b => {}, .a => {},", "this value has an arm already"),
    ("op", "Op.a => {},", "no arm of this switch is for b, and there is no else"),
    (
        "5",
        "5 => {}, else => {},",
        "a switch takes an integer of a fixed width or an enum, not a value of type comptime_int: give the value",
    ),
    (
        "2.5",
        "2.5 => {}, else => {},",
        "a switch takes an integer of a fixed width or an enum, not a value of type comptime_float: give the value",
    ),
]


@pytest.mark.parametrize("value, arms, message", WRONG)
def test_each_value_has_one_arm(value, arms, message, tmp_path):
    text = "const Op = enum { a, b };\nexport var n: u16;\nexport var op: Op = Op.a;\n"
    with pytest.raises(CslError) as caught:
        compiled(
            tmp_path, text + f"fn main() void {{ switch ({value}) {{ {arms} }} }}\ncomptime {{ @export_symbol(main); }}"
        )
    first = caught.value.diagnostics[0]
    assert message in first.message and first.span.line == 4


def test_ranges_that_are_every_integer_need_no_else(tmp_path):
    text = "export var out = @zeros([1]i16);\nfn f(a: u8) i16 { return switch (a) { 0...99 => 1, 101...255 => 2, 100 => 3 }; }\n"
    text += "fn main(a: u16) void { out[0] = f(@as(u8, a)) * 100 + f(100) * 10 + f(255); }\ncomptime { @export_symbol(main); }"
    assert read(run(tmp_path, text, 99), "out").tolist() == [132]
