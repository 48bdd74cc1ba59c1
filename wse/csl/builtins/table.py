"""The table of builtins: every builtin registers here, and calls are looked up here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..sema.frame import Frame, expr
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import Value
from ..syntax import ast
from ..syntax.errors import CslError


class Builtin(NamedTuple):
    """handler: (frame, node, wanted type) -> value.  least, most: number of arguments; most None: any."""

    handler: Callable
    least: int
    most: int | None


BUILTINS: dict[str, Builtin] = {}


def builtin(name: str, least: int, most: int | None = -1) -> Callable:
    """Registers the handler of a builtin; most is `least` if it is not given."""

    def add(handler: Callable) -> Callable:
        BUILTINS[name] = Builtin(handler, least, least if most == -1 else most)
        return handler

    return add


@expr(ast.BuiltinCall)
def builtin_call(f: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    found = BUILTINS.get(node.name)
    if found is None or (node.name.startswith("@wse_") and not f.instance.library):
        public = [name for name in BUILTINS if not name.startswith("@wse_")]
        raise CslError.at(node.span, f"there is no builtin {node.name}{did_you_mean(node.name, public)}")
    handler, least, most = found
    count = len(node.args)
    if count < least or (most is not None and count > most):
        wanted = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        raise CslError.at(node.span, f"{node.name} takes {wanted} argument{'s' * (wanted != '1')}, not {count}")
    return handler(f, node, want)
