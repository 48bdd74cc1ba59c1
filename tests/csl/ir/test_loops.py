"""Natural loops and the blocks before them.

Covers: wse/csl/ir/loops.py
"""

from wse.csl.ir.ir import Block, Branch, Const, Function, Jump, Return
from wse.csl.ir.loops import loops

TRUE = Const("bool", 1)


def function(*ends) -> Function:
    return Function("f", [], None, [Block(i, [end]) for i, end in enumerate(ends)])


def test_nested():
    f = function(Jump(1), Jump(2), Branch(TRUE, 2, 3), Branch(TRUE, 1, 4), Return())
    outer, inner = loops(f)
    assert (outer.head, outer.blocks, outer.before) == (1, {1, 2, 3}, 0)
    assert (inner.head, inner.blocks, inner.before) == (2, {2}, 1)


def test_a_block_is_made_where_a_loop_is_entered_by_a_branch():
    f = function(Branch(TRUE, 1, 2), Branch(TRUE, 1, 2), Return())
    (loop,) = loops(f)
    new = next(block for block in f.blocks if block.id == loop.before)
    assert new.id == 3 and new.code[-1].to == 1
    assert f.blocks[0].code[-1].then == 3


def test_a_block_is_made_where_a_loop_has_two_entries():
    f = function(Branch(TRUE, 1, 2), Jump(3), Jump(3), Branch(TRUE, 3, 4), Return())
    (loop,) = loops(f)
    assert loop.blocks == {3}
    assert f.blocks[1].code[-1].to == f.blocks[2].code[-1].to == loop.before


def test_the_block_before_an_inner_loop_belongs_to_the_outer_one():
    f = function(Jump(1), Branch(TRUE, 2, 3), Branch(TRUE, 2, 3), Branch(TRUE, 1, 4), Return())
    outer, inner = loops(f)
    assert inner.before in outer.blocks


def test_none():
    assert loops(function(Jump(1), Return())) == []
