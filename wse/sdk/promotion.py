"""NumPy 1's choice of types, for host programs.

The SDK's Python has NumPy 1, where `np.uint16(5) + (np.uint16(2) << 16)` is 131077; NumPy 2 keeps the type of the NumPy
scalar and gives 5.  wse.sdk.rewriting replaces the operators and calls of a host program by calls of the functions
here, which convert the operands to the types that NumPy 1 computes with (as it was before NEP 50):

- Operands are numbers with a type: a Python int is int64, or uint64; a Python float is float64.
- Scalars and arrays without dimensions, if there is an array too, and their category (boolean, integer, float) is not
  above the arrays', count with the smallest type that holds their value; otherwise with their own type.
- Arithmetic, comparisons, `maximum`, ... use the type to which all of these promote; other functions use the first of
  their loops to which each can be cast safely.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

import numpy as np

_OPERATORS: dict[str, tuple[Callable[[Any, Any], Any], np.ufunc]] = {
    "Add": (operator.add, np.add), "Sub": (operator.sub, np.subtract), "Mult": (operator.mul, np.multiply),
    "Div": (operator.truediv, np.true_divide), "FloorDiv": (operator.floordiv, np.floor_divide),
    "Mod": (operator.mod, np.remainder), "Pow": (operator.pow, np.power), "LShift": (operator.lshift, np.left_shift),
    "RShift": (operator.rshift, np.right_shift), "BitAnd": (operator.and_, np.bitwise_and),
    "BitOr": (operator.or_, np.bitwise_or), "BitXor": (operator.xor, np.bitwise_xor), "Eq": (operator.eq, np.equal),
    "NotEq": (operator.ne, np.not_equal), "Lt": (operator.lt, np.less), "LtE": (operator.le, np.less_equal),
    "Gt": (operator.gt, np.greater), "GtE": (operator.ge, np.greater_equal),
}  # fmt: skip
OPERATORS = frozenset(_OPERATORS)
_PLAIN = frozenset({int, float, str})
_IN_PLACE = {name: getattr(operator, "i" + f.__name__.strip("_"), f) for name, (f, _) in _OPERATORS.items()}
# These use one type for all operands; other functions look for a loop.
_UNIFORM = {
    np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin,
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
}  # fmt: skip
_POWERS: dict[Any, np.ufunc] = {1: np.positive, -1: np.reciprocal, 0.5: np.sqrt, 2: np.square}  # of arrays
_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 2}
_NUMBERS = (np.generic, np.ndarray)
slice = builtins.slice  # for indices of a rewritten program


# --- the types --------------------------------------------------------------------------------------------------------


def result_type(values: Sequence[Any]) -> np.dtype:
    """The type to which all numbers promote."""
    if not _by_value(values):
        return np.result_type(*(_dtype(value) for value in values))
    made, small = _least(values[0])
    for value in values[1:]:
        other, also = _least(value)
        if small and other.kind not in "bu":
            made = _signed(made)
        elif also and made.kind not in "bu":
            other = _signed(other)
        made, small = np.promote_types(made, other), small and also
    return made


def _by_value(values: Sequence[Any]) -> bool:
    """Whether scalars count with their values."""
    scalars = [_CATEGORY[_dtype(value).kind] for value in values if _is_scalar(value)]
    arrays = [_CATEGORY[_dtype(value).kind] for value in values if not _is_scalar(value)]
    return bool(scalars and arrays) and max(scalars) <= max(arrays)


def _least(value: Any) -> tuple[np.dtype, bool]:
    """The smallest type of a scalar's value, and whether it is unsigned with a signed type of the same size."""
    if not _is_scalar(value):
        return value.dtype, False
    number = value[()] if isinstance(value, np.ndarray) else value
    least = np.min_scalar_type(number)
    return least, least.kind == "u" and int(number) <= np.iinfo(_signed(least)).max


def _signed(kind: np.dtype) -> np.dtype:
    return np.dtype(f"i{kind.itemsize}") if kind.kind == "u" else kind


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, np.ndarray) or value.ndim == 0


def _dtype(value: Any) -> Any:
    """The type that NumPy 1 gives a number; None if it is none, `object` for an integer beyond 64 bits."""
    if isinstance(value, _NUMBERS):
        return value.dtype if value.dtype.kind in _CATEGORY else None
    if isinstance(value, bool):
        return np.dtype(bool)
    if isinstance(value, int):
        if -(1 << 63) <= value < 1 << 64:
            return np.dtype(np.int64 if value < 1 << 63 else np.uint64)
        return np.dtype(object)
    return np.dtype(type(value)) if isinstance(value, float | complex) else None


def _loop(function: np.ufunc, values: Sequence[Any]) -> list[np.dtype] | None:
    """The operands' types in the first loop that takes them safely."""
    by_value = _by_value(values)
    sources = [_least(value) if by_value else (_dtype(value), False) for value in values]
    for types in _loops(function):
        if all(
            np.can_cast(_signed(source) if small and to.kind != "u" else source, to)
            for (source, small), to in zip(sources, types, strict=True)
        ):
            return list(types)
    return None


@lru_cache
def _loops(function: np.ufunc) -> list[tuple[np.dtype, ...]]:
    """The operands' types of each loop of numbers."""
    made = []
    for text in function.types:
        letters = text.split("->")[0]
        if all(letter in "?bBhHiIlLqQefdFD" for letter in letters):
            made.append(tuple(np.dtype(letter) for letter in letters))
    return made


def operands(function: np.ufunc, values: Sequence[Any]) -> Sequence[Any]:
    """The values in the types with which NumPy 1 computes; as they are if all are arrays, or one is no number."""
    kinds = [_dtype(value) for value in values]
    if any(kind is None for kind in kinds) or not any(_is_scalar(value) for value in values):
        return values
    if np.dtype(object) in kinds:  # integers of Python
        return [value.astype(object) if isinstance(value, np.ndarray) else _item(value) for value in values]
    if function in _UNIFORM:
        return [_as(value, result_type(values)) for value in values]
    if function is np.true_divide and all(kind.kind in "biu" for kind in kinds):
        return [_as(value, np.dtype(np.float64)) for value in values]
    types = _loop(function, values)
    if types is None:
        raise TypeError(
            f"ufunc {function.__name__!r} has no loop for {', '.join(map(str, kinds))} in NumPy 1, which the SDK has: "
            "convert one of the operands"
        )
    return [_as(value, kind) for value, kind in zip(values, types, strict=True)]


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _as(value: Any, kind: np.dtype) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        return value if value.dtype == kind else value.astype(kind)
    if isinstance(value, _NUMBERS):
        return value.astype(kind)[()]
    return kind.type(value)


# --- operators --------------------------------------------------------------------------------------------------------


def _operator(name: str) -> Callable[[Any, Any], Any]:
    """The function for an operator; quick for what Python computes itself."""
    function = _OPERATORS[name][0]

    def operate(a: Any, b: Any) -> Any:
        if type(a) in _PLAIN and type(b) in _PLAIN:
            return function(a, b)
        return apply(name, a, b)

    return operate


def apply(name: str, a: Any, b: Any) -> Any:
    """a OPERATOR b; without NumPy's numbers as Python does it."""
    function, ufunc = _OPERATORS[name]
    if not isinstance(a, _NUMBERS) and (not isinstance(b, _NUMBERS) or (type(a) is complex and isinstance(b, float))):
        return function(a, b)
    if name == "Pow" and isinstance(a, np.ndarray) and a.dtype.kind in "fc" and np.isscalar(b) and b in _POWERS:
        return _POWERS[b](a)
    made = function(*operands(ufunc, (a, b)))
    return np.bool_(made) if isinstance(made, bool) else made


def apply_in_place(name: str, a: Any, b: Any) -> Any:
    """The new value of a after `a OPERATOR= b`: arrays keep their type and are changed in place."""
    if type(a) in _PLAIN and type(b) in _PLAIN:
        return _OPERATORS[name][0](a, b)
    if isinstance(a, np.ndarray):
        _, b = operands(_OPERATORS[name][1], (a, b))
    elif isinstance(a, np.generic) or isinstance(b, _NUMBERS):
        return apply(name, a, b)
    return _IN_PLACE[name](a, b)


def chain(names: Sequence[str], first: Any, *others: Callable[[], Any]) -> Any:
    """`first < second < third ...`: each operand is evaluated once, and only if those before it compare."""
    left = first
    for name, other in zip(names, others, strict=True):
        right = other()
        made = _compare(name, left, right)
        if not made:
            return made
        left = right
    return made


def _compare(name: str, a: Any, b: Any) -> Any:
    match name:
        case "In":
            return a in b
        case "NotIn":
            return a not in b
        case "Is":
            return a is b
        case "IsNot":
            return a is not b
    return apply(name, a, b)


def load_attribute(owner: Any, name: str) -> tuple[Any, str, Any]:
    """What store_attribute takes: `owner.name OPERATOR= value` evaluates the owner and the old value first."""
    return owner, name, getattr(owner, name)


def store_attribute(operator: str, owner: Any, name: str, old: Any, value: Any) -> None:
    setattr(owner, name, apply_in_place(operator, old, value))


def load_item(owner: Any, index: Any) -> tuple[Any, Any, Any]:
    """The same for `owner[index] OPERATOR= value`."""
    return owner, index, owner[index]


def store_item(operator: str, owner: Any, index: Any, old: Any, value: Any) -> None:
    assign_item(apply_in_place(operator, old, value), owner, index)


def assign_item(value: Any, owner: Any, index: Any) -> None:
    """owner[index] = value: integers that do not fit an array's type are cut to it, as in NumPy 1."""
    if (
        type(owner) is not dict
        and type(owner) is not list
        and isinstance(owner, np.ndarray)
        and owner.dtype.kind in "iu"
        and isinstance(value, int | np.integer)
    ):
        value = _cut(value, owner.dtype)
    owner[index] = value


def _cut(value: Any, kind: np.dtype) -> Any:
    """An integer as one of the type, its low bits; one beyond 64 bits as it is."""
    limits = np.iinfo(kind)
    if limits.min <= value <= limits.max or not -(1 << 63) <= value < 1 << 64:
        return value
    return np.uint64(int(value) & (1 << 64) - 1).astype(kind)


# --- calls ------------------------------------------------------------------------------------------------------------


def called(function: Any) -> Any:
    """The function that is called instead: one that chooses types as NumPy 1, or the function itself."""
    kind = type(function)
    if kind is MethodType:
        return function
    if kind is np.ufunc:
        return _of_ufunc(function)
    if kind in _KINDS:
        found = _REPLACED.get(function)
        if found is not None:
            return found
        if kind is BuiltinMethodType:
            return _of_method(function)
    return function


@lru_cache
def _of_ufunc(function: np.ufunc) -> Any:
    if function.nin < 2:
        return function

    def call(*values: Any, **options: Any) -> Any:
        if len(values) < function.nin or not options.keys() <= {"out", "where"}:
            return function(*values, **options)
        given = values[: function.nin]
        if any(isinstance(value, _NUMBERS) for value in given):
            given = tuple(operands(function, given))
        return function(*given, *values[function.nin :], **options)

    return call


def _of_method(function: Any) -> Any:
    """`ufunc.outer`, and methods of arrays that compute with another number."""
    owner = function.__self__
    if not isinstance(owner, np.ndarray | np.ufunc):
        return function
    name = function.__name__
    if name == "outer" and isinstance(owner, np.ufunc):
        return lambda a, b, **options: function(*operands(owner, (a, b)), **options)
    if name == "clip" and isinstance(owner, np.ndarray):
        return lambda *values, **options: _clip(owner, *values, **options)
    return function


def _sum(values: Iterable[Any], /, start: Any = 0) -> Any:
    total = start
    for value in values:
        total = apply("Add", total, value)
    return total


def _prod(values: Iterable[Any], *, start: Any = 1) -> Any:
    total = start
    for value in values:
        total = apply("Mult", total, value)
    return total


def _pow(base: Any, exp: Any, mod: Any = None) -> Any:
    return apply("Pow", base, exp) if mod is None else builtins.pow(base, exp, mod)


def _divmod(a: Any, b: Any, /) -> Any:
    if isinstance(a, _NUMBERS) or isinstance(b, _NUMBERS):
        a, b = operands(np.divmod, (a, b))
    return builtins.divmod(a, b)


def _where(condition: Any, *values: Any) -> Any:
    return np.where(condition, *(_uniform(values) if len(values) == 2 else values))


def _clip(array: Any, *values: Any, **options: Any) -> Any:
    limits = list(values[:2]) + [options.pop(name) for name in ("a_min", "a_max")[len(values) :] if name in options]
    if options or len(limits) != 2:
        return np.clip(array, *values, **options)
    given = [array, *(limit for limit in limits if limit is not None)]
    made = iter(_uniform(given))
    return np.clip(next(made), *(None if limit is None else next(made) for limit in limits))


def _made(function: Any) -> Any:
    """A function that makes an array: integers that do not fit its type are cut to it."""

    def call(*values: Any, **options: Any) -> Any:
        try:
            return function(*values, **options)
        except OverflowError:
            at = 1 if function in (np.array, np.asarray) else 2
            given = list(values)
            kind = given.pop(at) if len(given) > at else options.pop("dtype", None)
            if function is np.full_like:
                kind, given[0], make = kind or given[0].dtype, np.shape(given[0]), np.full
            else:
                make = function
            if kind is None or np.dtype(kind).kind not in "iu":
                raise
            return make(*given, **options).astype(kind)

    return call


def _uniform(values: Sequence[Any]) -> Sequence[Any]:
    """The values in the type to which all promote."""
    kinds = [_dtype(value) for value in values]
    if any(kind is None or kind.kind == "O" for kind in kinds) or not any(
        isinstance(value, _NUMBERS) for value in values
    ):
        return values
    kind = result_type(values)
    return [_as(value, kind) for value in values]


def _integer(kind: type[np.integer]) -> Any:
    """The type, called: integers of Python that do not fit are cut."""
    return lambda *values: kind(*(_cut(v, np.dtype(kind)) if type(v) is int else v for v in values))


_KINDS = frozenset({type, FunctionType, BuiltinMethodType, type(np.where)})
_REPLACED: dict[Any, Any] = {
    builtins.sum: _sum,
    builtins.pow: _pow,
    builtins.divmod: _divmod,
    math.prod: _prod,
    np.where: _where,
    np.clip: _clip,
    **{function: _made(function) for function in (np.array, np.asarray, np.full, np.full_like)},
}
_REPLACED |= {function: lambda a, b, name=name: apply(name, a, b) for name, (function, _) in _OPERATORS.items()}
_REPLACED |= {kind: _integer(kind) for kind in {np.dtype(letter).type for letter in "bBhHiIlLqQ"}}
# `do_Add(a, b)` and so on in a rewritten program.
globals().update({f"do_{name}": _operator(name) for name in _OPERATORS})
