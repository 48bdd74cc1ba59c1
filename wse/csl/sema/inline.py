"""Calls of inline functions: the body is expanded where the call stands.

Arguments that are known are known in the body, and so is the value of the call if one return of a known value is
reached.
"""

from __future__ import annotations

from typing import Any

from ..ir import ir
from ..syntax.errors import CslError, Span
from . import types as t
from .exprs import arms_type, join, settled
from .frame import Frame
from .lvalues import store_mem
from .values import UNDEFINED, VOID, FnRef, Run, Val, Value

EXPANSION_WEIGHT = 40  # an expansion takes as long as so many rounds of a loop at compile time


class Inlined:
    """The body of an inline function within the function that is built; what a frame takes for a calls.Lowered."""

    def __init__(self, frame: Frame, fn: FnRef, span: Span):
        assert frame.build is not None
        self.unit, self.fn, self.span, self.caller = frame.unit, fn, span, frame.lowered
        self.function: ir.Function = frame.build.function
        self.name = f"{frame.lowered.name if frame.lowered is not None else frame.unit.name}.{fn.name}"
        self.root: Any = frame.lowered.root if frame.lowered is not None else None
        self.known = True  # notes of errors name the call
        self.inline = True
        self.ends: list[tuple[ir.Block, Value, Span]] = []

    def has_address(self, node: Any) -> bool:
        """Whether the address of a local is taken somewhere in the body."""
        return node.name in self.unit.program.addressed(self.fn.decl)

    def returns(self, frame: Frame, value: Value, span: Span) -> None:
        """A return statement: goes on behind the call."""
        build = frame.build
        assert build is not None
        if build.block is not None:
            value = settled(frame, value, span)
            self.ends.append((build.block, value, span))
            build.block = None


def expand(frame: Frame, fn: FnRef, sign: Any, span: Span) -> Value:
    """The value of a call in run-time code."""
    build, program, decl = frame.build, frame.unit.program, fn.decl
    assert build is not None and decl.body is not None
    program.step(span, EXPANSION_WEIGHT)
    if program.calls >= program.max_calls:
        raise CslError.at(
            span,
            f"calls of inline functions nest more than {program.max_calls} deep: does {fn.name} call itself? "
            "--comptime-func-depth-limit sets how deep they may nest",
        )
    inlined = Inlined(frame, fn, span)
    inner = Frame(frame.unit, fn.instance, build, sign.result)
    inner.lowered = inlined
    for param, value in zip(decl.params, sign.values, strict=True):
        inner.bind(param.name, argument(inner, param, value, span), param.span)
    loops, at = build.loops, build.at
    build.loops = []
    program.calls += 1
    try:
        inner.run(decl.body)
    except CslError as error:
        raise error.note(span, f"in {fn.name}, called here") from None
    finally:
        program.calls -= 1
        build.loops, build.at = loops, at
    ends = inlined.ends
    if build.block is not None:
        if sign.result is not t.VOID:
            raise CslError.at(
                decl.name_span,
                f"{fn.name} may end without returning a value of type {sign.result}",
                (span, "called here"),
            )
        ends.append((build.block, VOID, span))
    if not ends:  # nothing comes here
        return Run(sign.result, ir.Const(sign.result.ir, 0)) if sign.result.ir is not None else UNDEFINED
    if len(ends) == 1:
        build.block, value, _ = ends[0]
        return value
    after = build.new_block()
    if sign.result is t.VOID:
        for block, _, _ in ends:
            build.block = block
            build.jump(after)
        build.start(after)
        return VOID
    open_type = sign.result is t.ANYTYPE or sign.result.is_comptime
    kind = arms_type(frame, ends, None, span) if open_type else sign.result
    return join(frame, ends, after, kind, span)


def argument(inner: Frame, param: Any, value: Value, span: Span) -> Any:
    """What a parameter is bound to."""
    value = settled(inner, value, span)
    if isinstance(value, Val):
        return inner.copied(value, span)
    if isinstance(value, Run) and inner.lowered.has_address(param):
        memory = inner.unit.local(inner, value.type, param.name, param.span)
        store_mem(inner, memory, value, span)
        memory.const = True
        return memory
    return value
