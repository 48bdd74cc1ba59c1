"""switch: the arm is chosen at compile time, or by comparing one after the other."""

from __future__ import annotations

from itertools import pairwise

from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError
from . import arith
from . import types as t
from .convert import describe
from .exprs import choose, operate
from .frame import Frame, expr, stmt
from .types import Type
from .values import Run, Val, Value, concrete


def matches(frame: Frame, arm: ast.Arm, value: Val) -> bool:
    for case in arm.values:
        if isinstance(case, ast.Binary) and case.op == "...":
            low, high = frame.number(case.left, value.type), frame.number(case.right, value.type)
            if low <= concrete(value) <= high:
                return True
        else:
            other = frame.known(case, value.type)
            if concrete(arith.fold("==", value, other, case.span)):
                return True
    return not arm.values


def chosen_arm(frame: Frame, node: ast.Switch, value: Val) -> ast.Arm | None:
    concrete(value)
    for arm in sorted(node.arms, key=lambda arm: not arm.values):
        if matches(frame, arm, value):
            return arm
    return None


def check_arms(frame: Frame, node: ast.Switch, kind: Type) -> None:
    """Each value has one arm, and without else every value has one."""
    if not isinstance(kind, t.IntType | t.EnumType):
        hint = ": give the value a type, @as(i16, ...)" if t.is_number(kind) else ": use if and else"
        raise CslError.at(
            node.value.span, f"a switch takes an integer of a fixed width or an enum, not a value of type {kind}{hint}"
        )
    if sum(not arm.values for arm in node.arms) > 1:
        raise CslError.at(node.span, "a switch has one else")
    if isinstance(kind, t.EnumType) and all(arm.values for arm in node.arms):
        named = {case.name for arm in node.arms for case in arm.values if isinstance(case, ast.Member | ast.DotName)}
        missing = [name for name in kind.members if name not in named]
        if missing and all(isinstance(c, ast.Member | ast.DotName) for arm in node.arms for c in arm.values):
            raise CslError.at(node.span, f"no arm of this switch is for {', '.join(missing)}, and there is no else")
    check_values(frame, node, kind)


def check_values(frame: Frame, node: ast.Switch, kind: Type) -> None:
    """The arms of a switch, as ranges of numbers."""
    ranges: list[tuple[int, int, ast.Node]] = []
    for case in (case for arm in node.arms for case in arm.values):
        if isinstance(case, ast.Binary) and case.op == "...":
            low, high = frame.number(case.left, kind), frame.number(case.right, kind)
        else:
            low = high = concrete(frame.known(case, kind))
        if low <= high:
            ranges.append((low, high, case))
    ranges.sort(key=lambda found: found[:2])
    for (_, last, first), (low, _, second) in pairwise(ranges):
        if low <= last:
            earlier, later = sorted((first, second), key=lambda case: case.span.start)
            raise CslError.at(later.span, "this value has an arm already", (earlier.span, "here"))
    if any(not arm.values for arm in node.arms):
        return
    covered = sum(high - low + 1 for low, high, _ in ranges)
    if isinstance(kind, t.IntType) and covered < 2**kind.bits:
        raise CslError.at(node.span, f"the arms of this switch are not for every {kind}, and there is no else")


@stmt(ast.Switch)
def switch(frame: Frame, node: ast.Switch) -> None:
    value = frame.expr(node.value)
    check_arms(frame, node, value.type)
    if isinstance(value, Val):
        arm = chosen_arm(frame, node, value)
        if arm is not None:
            frame.run(arm.body)
        return
    build = frame.build
    assert build is not None
    arms, other, end = dispatch(frame, node, value)
    build.depth += 1
    for target, arm in arms:
        build.start(target)
        frame.run(arm.body)
        build.jump(end)
    build.depth -= 1
    if other is not None:
        build.start(other)
        if is_exhaustive(frame, node, value.type):
            build.emit(ir.Trap("no arm of the switch is for this value"))
        build.jump(end)
    build.start(end)


def is_exhaustive(frame: Frame, node: ast.Switch, kind: Type) -> bool:
    """Whether the arms name every value of an enum, so that a switch without else always runs one."""
    if not isinstance(kind, t.EnumType):
        return False
    named = {concrete(frame.known(case, kind)) for arm in node.arms for case in arm.values}
    return set(kind.members.values()) <= named


def dispatch(frame: Frame, node: ast.Switch, value: Value) -> tuple[list, ir.Block | None, ir.Block]:
    """Compares one after the other.  (block, arm) each; where to go if none is meant, if there is no else; the end."""
    build = frame.build
    assert build is not None
    value = Run(value.type, frame.fresh(frame.operand(value, node.value.span)))
    end = build.new_block()
    arms = [(build.new_block(), arm) for arm in node.arms]
    for target, arm in arms:
        for case in arm.values:
            following = build.new_block()
            if isinstance(case, ast.Binary) and case.op == "...":
                above = build.new_block()
                low = operate(frame, ">=", value, frame.known(case.left, value.type), case.span)
                build.branch(frame.operand(low, case.span), above, following)
                build.start(above)
                test = operate(frame, "<=", value, frame.known(case.right, value.type), case.span)
            else:
                test = operate(frame, "==", value, frame.known(case, value.type), case.span)
            build.branch(frame.operand(test, case.span), target, following)
            build.start(following)
    rest = next((target for target, arm in arms if not arm.values), None)
    if rest is not None:
        build.jump(rest)
        return arms, None, end
    none = build.new_block()
    build.jump(none)
    return arms, none, end


def switch_value(frame: Frame, node: ast.Switch, want: Type | None) -> Value:
    """A switch as an expression."""
    value = frame.expr(node.value)
    check_arms(frame, node, value.type)
    if isinstance(value, Val):
        arm = chosen_arm(frame, node, value)
        if arm is None:
            raise CslError.at(node.span, f"no arm of this switch is for {describe(value)}")
        return arm_value(frame, arm, want)
    build = frame.build
    assert build is not None
    arms, none, end = dispatch(frame, node, value)
    if none is not None:
        build.start(none)
        build.emit(ir.Trap("no arm of the switch is for this value"))
    return choose(frame, [(target, arm_expr(arm)) for target, arm in arms], end, want, node.span)


def arm_expr(arm: ast.Arm) -> ast.Node:
    return body_expr(arm.body, arm)


def body_expr(body: ast.Node, arm: ast.Arm) -> ast.Node:
    """What an arm, or a branch of an `if` that is one, says as an expression."""
    if isinstance(body, ast.ExprStmt):
        return body.value
    if isinstance(body, ast.Block) and body.label is not None:
        return ast.BlockExpr(body.span, body.label, body)
    if isinstance(body, ast.Block | ast.Return | ast.Break | ast.Continue | ast.Switch):
        return body
    if isinstance(body, ast.If):
        then = body_expr(body.then, arm)
        other = None if body.other is None else body_expr(body.other, arm)
        return ast.IfExpr(body.span, body.condition, then, other, body.capture)
    raise CslError.at(arm.span, "this arm of a switch has no value")


def arm_value(frame: Frame, arm: ast.Arm, want: Type | None) -> Value:
    return frame.expr(arm_expr(arm), want)


@expr(ast.Switch)
def switch_expr(frame: Frame, node: ast.Switch, want: Type | None) -> Value:
    return switch_value(frame, node, want)
