"""The table of builtins: name, parameters, architectures, meaning, and the function that evaluates a call.

Modules of this package fill the table with the decorator `builtin`. The evaluator of `BuiltinCall` nodes registers
itself in `sema.frame` like that of any other expression, so that `sema` does not import this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..sema.frame import Frame, expr
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import Value
from ..syntax import ast
from ..syntax.errors import CslError

ARCHITECTURES = ("wse2", "wse3")
LIBRARY_PREFIX = "@wse_"  # builtins that only the files of the library may call

Handler = Callable[[Frame, ast.BuiltinCall, Type | None], Value]
# Names of the fields of a struct argument, each with the Fields of the struct that is its value.
Fields = dict[str, Any]


def leaves(names: Iterable[str]) -> Fields:
    """Fields whose values are no structs of known fields."""
    return {name: {} for name in names}


class Builtin(NamedTuple):
    """A row of the table.

    lower: (frame, call, wanted type or None) -> value; folds what is known and emits IR for the rest.  parameters:
    their names, with `?` behind one that may be left out, `...` behind one that stands for any number.  meaning: for
    people.
    fields: of struct arguments, by the name of the parameter, or by the first argument where that decides.
    """

    name: str
    lower: Handler
    parameters: tuple[str, ...]
    architectures: tuple[str, ...]
    meaning: str
    fields: Mapping[str, Fields]

    @property
    def least(self) -> int:
        """The number of arguments that a call must have."""
        return sum(parameter[-1] not in "?." for parameter in self.parameters)

    @property
    def most(self) -> int | None:
        """The number of arguments that a call may have, None if there is no limit."""
        return None if any(parameter.endswith("...") for parameter in self.parameters) else len(self.parameters)

    @property
    def arity(self) -> str:
        """The number of arguments in words: `2`, `1 to 2`, `at least 1`."""
        if self.most is None:
            return f"at least {self.least}"
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"

    @property
    def signature(self) -> str:
        """As documents write it: `@range(T, start?, stop, step?)`."""
        return f"{self.name}({', '.join(self.parameters)})"


BUILTINS: dict[str, Builtin] = {}


def builtin(
    name: str,
    parameters: str,
    architectures: tuple[str, ...] = ARCHITECTURES,
    meaning: str | None = None,
    fields: Mapping[str, Fields] | None = None,
) -> Callable[[Handler], Handler]:
    """Decorator that enters a function into the table; its docstring is the meaning, if none is given.

    parameters: names with commas between, as Builtin has them.
    """

    def add(lower: Handler) -> Handler:
        if name in BUILTINS and BUILTINS[name].lower is not lower:
            raise ValueError(f"builtin {name} is registered twice")
        words = " ".join((meaning or lower.__doc__ or "").split())
        names = tuple(parameters.split(", ")) if parameters else ()
        BUILTINS[name] = Builtin(name, lower, names, architectures, words, fields or {})
        return lower

    return add


def public() -> list[str]:
    """Names that a program may call."""
    return [name for name in BUILTINS if not name.startswith(LIBRARY_PREFIX)]


def checked(node: ast.BuiltinCall, library: bool, arch: str) -> Builtin:
    """The row of a call.

    library: whether the call is in a file of the library.  Raises CslError if there is no such builtin, if the
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


def in_comptime_block(frame: Frame, node: ast.BuiltinCall) -> None:
    """Raises CslError for a call in a function, a task or the layout."""
    if frame.build is not None or frame.unit.layout is not None:
        raise CslError.at(node.span, f"{node.name} belongs in a comptime block of the code of a PE")


def in_code(frame: Frame, node: ast.BuiltinCall) -> None:
    """Raises CslError for a call in the layout, which no PE executes."""
    if frame.unit.layout is not None:
        raise CslError.at(node.span, f"{node.name} belongs in the code of a PE, not in the layout")


@expr(ast.BuiltinCall)
def builtin_call(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Evaluates a call of a builtin."""
    return checked(node, frame.instance.library, frame.unit.program.arch).lower(frame, node, want)
