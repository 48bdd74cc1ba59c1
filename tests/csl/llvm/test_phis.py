"""Phis as assignments: at once, on the edge they belong to; switches as branches.

Covers: wse/csl/llvm/phis.py
"""

import pytest

from csl.llvm.test_expand import run


def test_two_values_change_places():
    body = """  br label %loop
loop:
  %x = phi i16 [ %a, %entry ], [ %y, %loop ]
  %y = phi i16 [ %b, %entry ], [ %x, %loop ]
  %i = phi i16 [ 0, %entry ], [ %n, %loop ]
  %n = add i16 %i, 1
  %end = icmp eq i16 %n, 4
  br i1 %end, label %out, label %loop
out:
  %high = shl i16 %x, 8
  %r = or i16 %high, %y
  ret i16 %r"""
    assert run(body, "i16", [(1, 2), (7, 9)]) == [2 << 8 | 1, 9 << 8 | 7]


def test_three_values_in_a_ring():
    body = """  br label %loop
loop:
  %x = phi i16 [ 1, %entry ], [ %y, %loop ]
  %y = phi i16 [ 2, %entry ], [ %z, %loop ]
  %z = phi i16 [ 3, %entry ], [ %x, %loop ]
  %i = phi i16 [ 0, %entry ], [ %n, %loop ]
  %n = add i16 %i, 1
  %end = icmp eq i16 %n, %a
  br i1 %end, label %out, label %loop
out:
  %x4 = shl i16 %x, 8
  %y4 = shl i16 %y, 4
  %two = or i16 %x4, %y4
  %r = or i16 %two, %z
  ret i16 %r"""
    assert run(body, "i16", [(1,), (2,), (3,), (4,)]) == [0x123, 0x231, 0x312, 0x123]


def test_a_value_that_is_read_after_the_loop_as_it_was_before_the_last_round():
    body = """  br label %loop
loop:
  %i = phi i16 [ 0, %entry ], [ %n, %loop ]
  %n = add i16 %i, 3
  %more = icmp ult i16 %n, %a
  br i1 %more, label %loop, label %out
out:
  ret i16 %i"""
    assert run(body, "i16", [(1,), (4,), (10,)]) == [0, 3, 9]


def test_a_condition_that_the_edge_changes():
    body = """  %first = icmp ne i16 %a, 0
  br label %loop
loop:
  %c = phi i1 [ %first, %entry ], [ %d, %loop ]
  %n = phi i16 [ 0, %entry ], [ %m, %loop ]
  %m = add i16 %n, 1
  %d = icmp ult i16 %m, %a
  br i1 %c, label %loop, label %out
out:
  ret i16 %n"""
    assert run(body, "i16", [(0,), (1,), (5,)]) == [0, 1, 5]


def test_a_branch_on_a_truncated_number():
    body = """  %t = trunc i32 %a to i16
  %zero = icmp eq i16 %t, 0
  br i1 %zero, label %yes, label %no
yes:
  ret i32 1
no:
  ret i32 2"""
    assert run(body, "i32", [(0,), (0x10000,), (0x10001,), (7,)]) == [1, 1, 2, 2]


@pytest.mark.parametrize("number", [1, 4, 5, 17])
def test_switches(number):
    cases = "\n".join(f"    i16 {3 * n - 7 & 0xFFFF}, label %c{n}" for n in range(number))
    blocks = "\n".join(f"c{n}:\n  br label %out" for n in range(number))
    values = ", ".join(f"[ {100 + n}, %c{n} ]" for n in range(number))
    body = f"""  switch i16 %a, label %other [
{cases}
  ]
other:
  br label %out
{blocks}
out:
  %r = phi i16 [ 7, %other ], {values}
  ret i16 %r"""
    inputs = [(3 * n - 7 & 0xFFFF,) for n in range(number)] + [(60000,), (0,), (3 * number - 7 & 0xFFFF,)]
    assert run(body, "i16", inputs) == [*(100 + n for n in range(number)), 7, 7, 7]


def test_a_switch_straight_to_phis():
    body = """  switch i16 %a, label %out [
    i16 1, label %out
    i16 2, label %two
  ]
two:
  br label %out
out:
  %r = phi i16 [ 5, %entry ], [ 5, %entry ], [ 6, %two ]
  ret i16 %r"""
    assert run(body, "i16", [(0,), (1,), (2,)]) == [5, 5, 6]
