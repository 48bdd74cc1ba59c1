"""Loops of the layout, all rounds at once.

The layout of a wafer goes through 745 500 PEs.  The body of an innermost loop is evaluated once, with a Sym of all
values for the item; where a value decides something, the rounds are split by it (values.NeedsConcrete) and each
part starts again. What the body does to PEs is noted down and done when all parts are through.  A loop whose rounds
depend on each other is left to be executed round by round, but for counters: a variable to which each round adds the
same number is a Sym like the item.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from ..syntax import ast
from . import types as t
from .convert import wrap
from .frame import Broken, Continued, Frame
from .types import Type
from .values import Cell, NeedsConcrete, OneByOne, Sym, Val, same_values, sym

LEAST = 8  # rounds from which it pays
MAX_PARTS = 64
MAX_NUMBER = 1 << 40


class Body:
    """What the text of a loop says.  outer: assignments to variables from outside; counters: those that are the only
    one to their variable and are made once in each round; jumps: whether a round may be left."""

    def __init__(self, node: ast.For | ast.While):
        self.node = node
        self.outer: list[tuple[str, ast.Assign]] = []
        self.opaque = self.jumps = False
        captures = node.captures if isinstance(node, ast.For) else []
        self.declared = set(captures)
        self.walk(node.body, [set(captures)])
        if isinstance(node, ast.While) and node.step is not None:
            self.walk(node.step, [set()])
        self.assigned = {name for name, _ in self.outer}
        body = node.body.body if isinstance(node.body, ast.Block) else [node.body]
        always = [*(() if self.jumps else body), *([node.step] if isinstance(node, ast.While) else [])]
        self.counters: dict[str, ast.Assign] = {}
        for name, assign in self.outer:
            if assign.op in ("+=", "-=") and any(assign is one for one in always) and self.is_fixed(assign.value):
                self.counters[name] = assign
        names = [name for name, _ in self.outer]
        self.independent = not self.opaque and all(
            name in self.counters and names.count(name) == 1 for name in self.assigned
        )

    def walk(self, node: Any, scopes: list[set[str]]) -> None:
        if isinstance(node, list | tuple):
            for item in node:
                self.walk(item, scopes)
            return
        if not isinstance(node, ast.Node) or not is_dataclass(node):
            return
        match node:
            case ast.Return():
                self.opaque = True
            case ast.Break() | ast.Continue():
                self.jumps = True
            case ast.VarDecl():
                scopes[-1].add(node.name)
                self.declared.add(node.name)
            case ast.Assign():
                root = node.target
                while isinstance(root, ast.Index | ast.Member):
                    root = root.base
                if not isinstance(root, ast.Ident):
                    self.opaque = True
                elif root.name != "_" and not any(root.name in scope for scope in scopes):
                    self.outer.append((root.name, node))
                    self.opaque |= root is not node.target
        inner = scopes
        if isinstance(node, ast.Block | ast.For):
            inner = [*scopes, set(node.captures) if isinstance(node, ast.For) else set()]
            self.declared |= inner[-1]
        for item in fields(node):
            if item.name != "span":
                self.walk(getattr(node, item.name), inner)

    def is_fixed(self, node: ast.Node) -> bool:
        """Whether an expression has the same value in all rounds, and evaluating it does nothing else."""
        match node:
            case ast.Literal():
                return True
            case ast.Ident():
                return node.name not in self.assigned and node.name not in self.declared
            case ast.Member():
                return self.is_fixed(node.base)
            case ast.Unary():
                return node.op == "-" and self.is_fixed(node.operand)
            case ast.Binary():
                return node.op not in ("and", "or") and self.is_fixed(node.left) and self.is_fixed(node.right)
        return False


class Counter(NamedTuple):
    """A variable that changes by the same number in each round."""

    cell: Cell
    first: int
    step: int

    def value(self, rounds: Any) -> Val:
        """Its value after so many rounds: a number, or an array of numbers."""
        kind = self.cell.type
        assert kind is not None
        numbers = self.first + self.step * rounds
        data = sym(numbers) if isinstance(numbers, np.ndarray) else numbers
        return Val(kind, wrap(kind, data) if isinstance(kind, t.IntType) else data)


_bodies: dict[int, Body] = {}


def body_of(node: ast.For | ast.While) -> Body:
    found = _bodies.get(id(node))
    if found is None or found.node is not node:
        found = _bodies[id(node)] = Body(node)
    return found


def may_batch(frame: Frame) -> bool:
    state = frame.unit.layout
    return state is not None and state.journal is None and frame.build is None


def for_loop(frame: Frame, node: ast.For, kind: Type, items: range) -> bool:
    """Evaluates a loop over a range; False if that has to be done round by round."""
    if not may_batch(frame) or len(items) < LEAST or abs(items[0]) > MAX_NUMBER or abs(items[-1]) > MAX_NUMBER:
        return False

    def bind(rounds: np.ndarray) -> None:
        frame.bind(node.captures[0], Val(kind, sym(items.start + items.step * rounds)), node.span)
        if len(node.captures) > 1:
            frame.bind(node.captures[1], Val(t.U16, wrap(t.U16, sym(rounds))), node.span)

    return evaluate(frame, body_of(node), len(items), bind)


def while_loop(frame: Frame, node: ast.While) -> bool:
    """Evaluates `while (name < limit) : (name += step)`; False if the loop has to be executed round by round."""
    if not may_batch(frame):
        return False
    test, step = node.condition, node.step
    if not isinstance(test, ast.Binary) or not isinstance(test.left, ast.Ident) or not isinstance(step, ast.Assign):
        return False
    body = body_of(node)
    name = test.left.name
    if body.counters.get(name) is not step or not body.is_fixed(test.right):
        return False
    counter = counter_of(frame, name, step)
    if counter is None:
        return False
    limit = frame.known(test.right, counter.cell.type)
    if not t.is_integral(limit.type) or isinstance(limit.data, Sym):
        return False
    match test.op:
        case "<" if counter.step > 0:
            items = range(counter.first, limit.data, counter.step)
        case "<=" if counter.step > 0:
            items = range(counter.first, limit.data + 1, counter.step)
        case ">" if counter.step < 0:
            items = range(counter.first, limit.data, counter.step)
        case ">=" if counter.step < 0:
            items = range(counter.first, limit.data - 1, counter.step)
        case _:
            return False
    if len(items) < LEAST or abs(items[0]) > MAX_NUMBER or abs(items[-1]) > MAX_NUMBER:
        return False
    kind, last = counter.cell.type, items[-1] + counter.step
    if isinstance(kind, t.IntType) and not kind.low <= last <= kind.high:
        return False  # it wraps around before the loop ends
    return evaluate(frame, body, len(items), lambda rounds: None)


def counter_of(frame: Frame, name: str, assign: ast.Assign) -> Counter | None:
    """The variable that an assignment of each round changes, if its values can be told beforehand."""
    cell = frame.lookup(name)
    if not isinstance(cell, Cell) or cell.value is None or cell.type is None or not cell.mutable:
        return None
    step = frame.known(assign.value, cell.type)
    first = cell.value.data
    if not t.is_integral(cell.type) or not isinstance(first, int) or not isinstance(step.data, int):
        return None
    if abs(first) > MAX_NUMBER or abs(step.data) > 1 << 20:
        return None
    return Counter(cell, first, step.data if assign.op == "+=" else -step.data)


def evaluate(frame: Frame, body: Body, count: int, bind: Any) -> bool:
    """Evaluates the rounds 0 to count - 1.  bind: binds what depends on the rounds that it is given."""
    if not body.independent:
        return False
    found = [counter_of(frame, name, assign) for name, assign in body.counters.items()]
    counters = [counter for counter in found if counter is not None]
    if len(counters) < len(found):
        return False
    done = rounds_of(frame, body.node, count, bind, counters)
    for counter in counters:
        counter.cell.value = counter.value(0 if done is None else count)
    for action, *args in done or ():
        action(*args)
    return done is not None


def rounds_of(frame: Frame, node: Any, count: int, bind: Any, counters: list[Counter]) -> list[tuple] | None:
    """What the rounds do to PEs; None if they have to be executed one by one."""
    state = frame.unit.layout
    waiting, parts = [np.arange(count, dtype=np.int64)], 0
    done: list[tuple] = []
    while waiting:
        part, parts = waiting.pop(), parts + 1
        if parts > MAX_PARTS:
            return None
        state.journal = []
        frame.names.append({})
        frame.unit.program.step(node.span)
        try:
            bind(part)
            for counter in counters:
                counter.cell.value = counter.value(part)
            frame.run(node.body)
        except NeedsConcrete as needed:
            if needed.values.shape != part.shape:
                return None
            waiting += [part[chosen] for chosen in same_values(needed.values)[::-1]]
            continue
        except (Broken, OneByOne):
            return None
        except Continued as continued:
            if continued.label not in (None, node.label):
                return None
        finally:
            frame.names.pop()
            noted, state.journal = state.journal, None
        done += noted
    return done
