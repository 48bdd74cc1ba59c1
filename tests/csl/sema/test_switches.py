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
fn by_truth(a: bool) i16 {{
  switch (a) {{ true => return 1, false => {{ return 2; }} }}
}}
fn main() void {{
  for (ops) |op, i| {{ out[i] = by_member(op, 10); }}
  out[3] = by_truth(out[0] == 11);
  out[4] = by_truth(out[0] == 12);
}}
comptime {{ @export_symbol(main); }}
"""


def test_arms_that_name_every_value_and_return_end_a_function(tmp_path):
    text = "Op.add => return a + 1, .mul => { return a * 4; }, Op.neg => return -a,"
    assert read(run(tmp_path, PE.format(text)), "out").tolist() == [11, 40, -10, 1, 2, 0]


def test_an_arm_that_does_not_return_goes_on_behind_the_switch(tmp_path):
    text = "Op.add => return a + 1, .mul => {}, Op.neg => return -a,"
    with pytest.raises(CslError, match="by_member may end without returning a value of type i16"):
        compiled(tmp_path, PE.format(text))


def test_an_else_that_returns(tmp_path):
    text = "Op.mul => return 7, else => return 8,"
    assert read(run(tmp_path, PE.format(text)), "out").tolist()[:3] == [8, 7, 8]


@pytest.mark.parametrize("arms", ["0 => return 1, 1 => return 2,", "0...300 => return 1,"])
def test_integers_are_not_exhausted_without_an_else(arms, tmp_path):
    text = f"export var n: u16; fn f(a: u16) i16 {{ switch (a) {{ {arms} }} }}"
    with pytest.raises(CslError, match="f may end without returning a value"):
        compiled(tmp_path, text + "fn main() void { n = @as(u16, f(n)); } comptime { @export_symbol(main); }")
