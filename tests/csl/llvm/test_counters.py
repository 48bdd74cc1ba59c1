"""Comparisons of a loop's counter: of its value after the step where that says the same.

Covers: wse/csl/llvm/counters.py
"""

import pytest

from csl.llvm.test_expand import run
from wse.csl.llvm.counters import compare_after_step
from wse.csl.llvm.text import parse

BODY = """  br label %loop
loop:
  %i = phi i16 [ {start}, %entry ], [ %n, %loop ]
  %rounds = phi i16 [ 0, %entry ], [ %more, %loop ]
  %more = add i16 %rounds, 1
  %n = add {flags}i16 %i, {step}
  %on = icmp {test} i16 %i, {limit}
  br i1 %on, label %loop, label %out
out:
  ret i16 %more"""

# start, step, flags, comparison, limit; whether it is rewritten, and to what
CASES = [
    (0, 16, "nuw nsw ", "samesign ult", 4080, "4096"),
    (0, 16, "nuw ", "ult", 32760, "-32760"),  # 32776 in LLVM's text
    (10, 16, "", "ult", 65530 - 65536, None),  # the step may wrap
    (65003 - 65536, 3, "nuw ", "ult", 65534 - 65536, None),  # so would the limit
    (0, 5, "nsw ", "slt", 32760, "32765"),
    (0, 5, "nsw ", "slt", 32763, None),
    (0, 5, "nuw ", "slt", 100, None),
    (100, -5, "nsw ", "sgt", 0, "-5"),
    (-32760, -5, "nsw ", "sge", -32764, None),
    (100, -5, "", "ugt", 10, None),
    (0, 7, "", "ne", 70, "77"),
    (65530 - 65536, 3, "", "ne", 2, "5"),  # modulo 2^16
    (5, 1, "", "eq", 5, "6"),
]


def rounds(start: int, step: int, test: str, limit: int) -> int:
    """How often the loop runs."""
    signed = test.split()[-1][0] == "s"

    def number(value: int) -> int:
        value %= 1 << 16
        return value - (value >> 15 << 16) if signed else value

    holds = {"lt": int.__lt__, "gt": int.__gt__, "ge": int.__ge__, "ne": int.__ne__, "eq": int.__eq__}
    word = test.split()[-1]
    compare = holds[word if word in holds else word[1:]]
    i, count = start, 1
    while compare(number(i), number(limit)):
        i, count = i + step, count + 1
    return count


@pytest.mark.parametrize(("start", "step", "flags", "test", "limit", "expected"), CASES)
def test_a_loop_runs_as_often(start, step, flags, test, limit, expected):
    body = BODY.format(start=start, step=step, flags=flags, test=test, limit=limit)
    assert run(body, "i16", [(0, 0)]) == [rounds(start, step, test, limit)]
    (function,) = parse("define i16 @0.f() {\nentry:\n" + body + "\n}\n")
    compare_after_step(function)
    (comparison,) = [inst for block in function.blocks for inst in block.code if inst.op == "icmp"]
    assert comparison.args == (["%n", expected] if expected else ["%i", str(limit)])


def test_only_of_a_sum_that_was_computed_before_in_the_block():
    text = """define i16 @0.f() {
entry:
  br label %loop
loop:
  %i = phi i16 [ 0, %entry ], [ %n, %next ]
  %on = icmp ne i16 %i, 40
  br i1 %on, label %next, label %out
next:
  %n = add i16 %i, 4
  br label %loop
out:
  ret i16 %i
}
"""
    (function,) = parse(text)
    compare_after_step(function)
    (comparison,) = [inst for block in function.blocks for inst in block.code if inst.op == "icmp"]
    assert comparison.args == ["%i", "40"]
