"""Builtins that the public documentation names and does not define: a call is an error that says so."""

from __future__ import annotations

from ..sema.frame import Frame
from ..sema.types import Type
from ..sema.values import Value
from ..syntax import ast
from ..syntax.errors import CslError
from .table import builtin

REFUSED = ("@bind_rotating_tasks",)


def refuse(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    raise CslError.at(node.span, f"{node.name} is not supported: the public documentation does not define it")


for _name in REFUSED:
    builtin(_name, 0, None)(refuse)
