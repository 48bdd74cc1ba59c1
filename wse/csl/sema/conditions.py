"""Conditions: and, or, not, comparisons that decide between blocks."""

from __future__ import annotations

from ..ir import ir
from ..sema.values import Value
from ..syntax import ast
from ..syntax.errors import CslError, Span
from . import types as t
from .convert import describe
from .frame import Frame
from .values import Run, Val, concrete


def truth(frame: Frame, node: ast.Node) -> bool:
    """A condition that is known."""
    value = frame.expr(node, t.BOOL)
    check_bool(value, node.span)
    if not isinstance(value, Val):
        raise CslError.at(node.span, "this condition is not known at compile time")
    return bool(concrete(value))


def check_bool(value: Value, span: Span) -> None:
    if value.type is not t.BOOL:
        what = describe(value) if isinstance(value, Val) else f"a value of type {value.type}"
        raise CslError.at(span, f"a condition must be a bool, not {what}")


def condition(frame: Frame, node: ast.Node, yes: ir.Block, no: ir.Block) -> bool | None:
    """Goes to one of the blocks.  A condition that is known is returned, and nothing goes anywhere."""
    build = frame.build
    assert build is not None
    if isinstance(node, ast.Binary) and node.op in ("and", "or"):
        more = build.new_block()
        stops = node.op == "or"
        first = condition(frame, node.left, *((yes, more) if stops else (more, no)))
        if first is not None:
            return stops if first == stops else condition(frame, node.right, yes, no)
        build.start(more)
        if build.block is None:  # the left side has decided after all
            return None
        build.depth += 1
        second = condition(frame, node.right, yes, no)
        build.depth -= 1
        if second is not None:
            build.jump(yes if second else no)
        return None
    if isinstance(node, ast.Unary) and node.op == "!":
        decided = condition(frame, node.operand, no, yes)
        return None if decided is None else not decided
    value = frame.expr(node, t.BOOL)
    check_bool(value, node.span)
    if isinstance(value, Val):
        return bool(concrete(value))
    build.branch(frame.operand(value, node.span), yes, no)
    return None


def logical(frame: Frame, node: ast.Binary) -> Value:
    """and, or: the right side is only looked at if the left does not decide."""
    build = frame.build
    if build is None:
        left = truth(frame, node.left)
        if left == (node.op == "or"):
            return Val(t.BOOL, left)
        return Val(t.BOOL, truth(frame, node.right))
    yes, no, end = build.new_block(), build.new_block(), build.new_block()
    decided = condition(frame, node, yes, no)
    if decided is not None:
        return Val(t.BOOL, decided)
    reg = build.variable("bool", "")
    for block, value in ((yes, 1), (no, 0)):
        build.start(block)
        build.emit(ir.Copy(reg, ir.Const("bool", value)))
        build.jump(end)
    build.start(end)
    return Run(t.BOOL, reg)
