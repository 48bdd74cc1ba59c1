"""Loops of the layout, all rounds at once.

The layout of a wafer goes through 745 500 PEs.  The body of an innermost loop is evaluated once, with a Sym of all
values for the item; where a value decides something, the rounds are split by it (values.NeedsConcrete) and each
part starts again. What the body does to PEs is noted down and done when all parts are through.  A loop whose rounds
depend on each other is left to be executed round by round.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ..syntax import ast
from .frame import Broken, Continued, Frame
from .types import Type
from .values import NeedsConcrete, OneByOne, Val, sym

LEAST = 8  # rounds from which it pays
MAX_PARTS = 64

_independent: dict[int, tuple[Any, bool]] = {}


def loop(frame: Frame, node: ast.For, kind: Type, items: range) -> bool:
    """Evaluates the loop; False if that has to be done round by round."""
    state = frame.unit.layout
    if state is None or state.journal is not None or frame.build is not None or len(items) < LEAST:
        return False
    if len(node.captures) != 1 or abs(items[0]) >> 40 or abs(items[-1]) >> 40 or not is_independent(node):
        return False
    waiting, parts = [np.arange(items.start, items.stop, items.step).astype(np.int64)], 0
    done: list[tuple] = []
    while waiting:
        part, parts = waiting.pop(), parts + 1
        if parts > MAX_PARTS:
            return False
        state.journal = []
        frame.names.append({})
        frame.bind(node.captures[0], Val(kind, sym(part)))
        frame.unit.program.step(node.span)
        try:
            frame.run(node.body)
        except NeedsConcrete as needed:
            if needed.values.shape != part.shape:
                return False
            waiting += [part[needed.values == value] for value in np.unique(needed.values)[::-1]]
            continue
        except (Broken, OneByOne):
            return False
        except Continued as continued:
            if continued.label not in (None, node.label):
                return False
        finally:
            frame.names.pop()
            noted, state.journal = state.journal, None
        done += noted
    for action, *args in done:
        action(*args)
    return True


def is_independent(node: ast.For) -> bool:
    """Whether the body has no loop of its own and changes no variable from outside."""
    found = _independent.get(id(node))
    if found is None or found[0] is not node:
        found = _independent[id(node)] = (node, not depends(node.body))
    return found[1]


def depends(body: ast.Node) -> bool:
    declared: set[str] = set()
    assigned: set[str] = set()
    stack: list[Any] = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, list | tuple):
            stack.extend(node)
        elif isinstance(node, ast.For | ast.While | ast.Return):
            return True
        elif isinstance(node, ast.Node) and is_dataclass(node):
            if isinstance(node, ast.VarDecl):
                declared.add(node.name)
            elif isinstance(node, ast.Assign):
                root = node.target
                while isinstance(root, ast.Index | ast.Member | ast.Deref):
                    root = root.base
                assigned.add(root.name if isinstance(root, ast.Ident) else "")
            stack.extend(getattr(node, item.name) for item in fields(node) if item.name != "span")
    return bool(assigned - declared - {"_"})
