"""The table of builtins: name, number of arguments, architectures and the function that evaluates a call.

Modules of this package fill the table with the decorator `builtin`. The evaluator of `BuiltinCall` nodes registers
itself in `sema.frame` like that of any other expression, so that `sema` does not import this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..sema.frame import Frame, expr
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import Value
from ..syntax import ast
from ..syntax.errors import CslError

ARCHITECTURES = ("wse2", "wse3")
LIBRARY_PREFIX = "@wse_"  # builtins that only the files of the library may call

Handler = Callable[[Frame, ast.BuiltinCall, Type | None], Value]


class Builtin(NamedTuple):
    """A row of the table.

    lower: (frame, call, wanted type or None) -> value; folds what is known and emits IR for the rest.  least, most:
    number of arguments, most None if there is no limit.  architectures: those that have the builtin.
    """

    name: str
    lower: Handler
    least: int
    most: int | None
    architectures: tuple[str, ...]

    @property
    def arity(self) -> str:
        """The number of arguments in words: `2`, `1 to 2`, `at least 1`."""
        if self.most is None:
            return f"at least {self.least}"
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"


BUILTINS: dict[str, Builtin] = {}


def builtin(
    name: str, least: int, most: int | None = -1, architectures: tuple[str, ...] = ARCHITECTURES
) -> Callable[[Handler], Handler]:
    """Decorator that enters a function into the table.  most: `least` if it is not given, None for no limit."""

    def add(lower: Handler) -> Handler:
        if name in BUILTINS and BUILTINS[name].lower is not lower:
            raise ValueError(f"builtin {name} is registered twice")
        BUILTINS[name] = Builtin(name, lower, least, least if most == -1 else most, architectures)
        return lower

    return add


def public() -> list[str]:
    """Names that a program may call."""
    return [name for name in BUILTINS if not name.startswith(LIBRARY_PREFIX)]


def checked(node: ast.BuiltinCall, library: bool, arch: str) -> Builtin:
    """The row of a call.

    library: whether the call stands in a file of the library.  Raises CslError if there is no such builtin, if the
    architecture does not have it, or if the number of arguments is wrong.
    """
    found = BUILTINS.get(node.name)
    if found is None or (node.name.startswith(LIBRARY_PREFIX) and not library):
        raise CslError.at(node.span, f"there is no builtin {node.name}{did_you_mean(node.name, public())}")
    if arch not in found.architectures:
        raise CslError.at(node.span, f"{arch} has no {node.name}: it is a builtin of {', '.join(found.architectures)}")
    count = len(node.args)
    if count < found.least or (found.most is not None and count > found.most):
        plural = "" if found.arity == "1" else "s"
        raise CslError.at(node.span, f"{node.name} takes {found.arity} argument{plural}, not {count}")
    return found


@expr(ast.BuiltinCall)
def builtin_call(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Evaluates a call of a builtin."""
    return checked(node, frame.instance.library, frame.unit.program.arch).lower(frame, node, want)
