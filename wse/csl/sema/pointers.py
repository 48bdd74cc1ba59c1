"""Pointers to functions at run time.

A pointer to a function is a number: each function of a unit whose address becomes a run-time value has its own, from 1.
A call through a pointer is a call of a dispatcher, a function for each function type, which compares the number with
those of the functions of the type.  All calls are thus calls of functions that are known: what the compiler does with
calls (inlining, joining functions that call each other, register allocation) needs no rule for pointers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import ir
from ..syntax.errors import CslError, Span
from . import types as t
from .calls import Lowered, entry
from .frame import Builder, at_of
from .values import FnRef, GlobalVar, Ptr, Val

SEARCH_ABOVE = 4  # functions of a type above which the dispatcher halves the numbers


class Dispatcher:
    """The function that calls what a pointer of a type points to.  Like Lowered, without a body of the program."""

    def __init__(self, unit: Any, kind: t.FnType, span: Span):
        self.unit, self.kind, self.span = unit, kind, span
        self.name = unit.unique(f"call.{kind.kind}")
        self.result = kind.result
        self.params = [(f"argument {i + 1}", param) for i, param in enumerate(kind.params)]
        self.memory: dict[str, GlobalVar] = {}
        self.target = ir.Reg("ptr", "function")
        self.regs: dict[str, ir.Reg] = {}
        for name, param in self.params:
            if param.ir is not None:
                self.regs[name] = ir.Reg(param.ir, name)
            elif param.size is None:
                raise CslError.at(span, f"a function of type {kind} exists at compile time only")
            else:
                self.memory[name] = unit.new_global(param, f"{self.name}.{name}", name, span)
        self.result_memory: GlobalVar | None = None
        if self.result.ir is None and self.result is not t.VOID:
            if self.result.size is None:
                raise CslError.at(span, f"a function of type {kind} exists at compile time only")
            self.result_memory = unit.new_global(self.result, f"{self.name}.result", "result", span)
        self.function = ir.Function(
            self.name, [self.target, *self.regs.values()], self.result.ir, [], f"call of {kind}", at_of(span)
        )
        self.function.memory_params = dict.fromkeys((var.symbol for var in self.memory.values()), None)

    def argument(self, frame: Any, name: str) -> GlobalVar:
        """Where a call writes an argument that goes by memory."""
        return self.memory[name]

    def build(self, functions: list[tuple[int, Lowered]]) -> None:
        """Makes the code: a search of the number among those of the functions."""
        build = Builder(self.function)
        build.at = at_of(self.span)
        self.search(build, functions)

    def search(self, build: Builder, functions: list[tuple[int, Lowered]]) -> None:
        if len(functions) > SEARCH_ABOVE:
            half = len(functions) // 2
            below, above = build.new_block(), build.new_block()
            test = build.reg("bool")
            build.emit(ir.Bin("lt", test, self.target, ir.Const("ptr", functions[half][0])))
            build.branch(test, below, above)
            for block, part in ((below, functions[:half]), (above, functions[half:])):
                build.start(block)
                self.search(build, part)
            return
        for number, lowered in functions:
            chosen, following, test = build.new_block(), build.new_block(), build.reg("bool")
            build.emit(ir.Bin("eq", test, self.target, ir.Const("ptr", number)))
            build.branch(test, chosen, following)
            build.start(chosen)
            self.call(build, lowered)
            build.start(following)
        build.emit(ir.Trap(f"a call through a pointer of type *{self.kind} that points to no function"))

    def call(self, build: Builder, lowered: Lowered) -> None:
        for (name, param), (own, _) in zip(self.params, lowered.params, strict=True):
            if name in self.memory:
                source, to = self.unit.use(self.memory[name]), self.unit.use(lowered.memory[own.name])
                build.emit(ir.Fill(ir.Addr(to), param.size, ir.Addr(source)))
        result = build.reg(self.result.ir) if self.result.ir is not None else None
        build.emit(ir.Call(result, lowered.name, list(self.regs.values())))
        if self.result_memory is not None:
            assert lowered.result_memory is not None
            source, to = self.unit.use(lowered.result_memory), self.unit.use(self.result_memory)
            build.emit(ir.Fill(ir.Addr(to), self.result.size, ir.Addr(source)))
        build.emit(ir.Return(result))


class FunctionPointers:
    """The functions of a unit whose addresses exist at run time, and the dispatchers."""

    def __init__(self, unit: Any):
        self.unit = unit
        self.functions: dict[str, tuple[int, t.FnType, Lowered]] = {}  # by the name of the instance
        self.dispatchers: dict[t.FnType, Dispatcher] = {}
        self.built = False
        self.seen = 0  # variables whose values have been looked through

    def number(self, fn: FnRef, kind: t.Type, span: Span | None) -> int:
        """What a pointer of type *kind holds that points to the function."""
        have = self.unit.fn_type(fn, span)
        if isinstance(kind, t.FnType) and have is not kind:
            raise CslError.at(
                span, f"a pointer to {kind} was expected, but {fn.name} is {have}", (fn.decl.name_span, "declared here")
            )
        lowered = entry(self.unit, fn, span, aggregates=True)
        if lowered.name not in self.functions:
            if self.built:
                raise CslError.at(span, f"a variable points to {fn.name} only after all code is made")
            self.functions[lowered.name] = len(self.functions) + 1, have, lowered
        return self.functions[lowered.name][0]

    def dispatcher(self, kind: t.FnType, span: Span) -> Dispatcher:
        if kind not in self.dispatchers:
            self.dispatchers[kind] = Dispatcher(self.unit, kind, span)
        return self.dispatchers[kind]

    def find(self, variables: list[GlobalVar]) -> None:
        """Gives numbers to functions that variables point to when the program starts.  variables: grows meanwhile."""
        while self.seen < len(variables):
            var = variables[self.seen]
            self.seen += 1
            if var.value is not None:
                self.unit.attempt(lambda var=var: self.look_through(var.value, var.span))

    def look_through(self, value: Val, span: Span | None) -> None:
        kind, data = value.type, value.data
        if isinstance(data, FnRef) and isinstance(kind, t.PointerType):
            self.number(data, kind.elem, span)
        elif isinstance(data, Ptr):
            if isinstance(data.target, GlobalVar):
                self.unit.use(data.target)
        elif isinstance(data, dict):
            for item in data.values():
                self.look_through(item, span)
        elif isinstance(kind, t.ArrayType) and isinstance(data, np.ndarray) and data.dtype.hasobject:
            for item in data.reshape(-1):
                if isinstance(item, FnRef | Ptr | dict):
                    self.look_through(Val(kind.elem, item), span)

    def build(self) -> None:
        """The code of the dispatchers, when all functions have their numbers."""
        self.built = True
        for kind, dispatcher in self.dispatchers.items():
            dispatcher.build([(number, lowered) for number, have, lowered in self.functions.values() if have is kind])
            self.unit.out.functions.append(dispatcher.function)
