"""What an expression can be: known at compile time, a run-time scalar, or an lvalue."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np

from ...records import dataclass
from ..ir import ir
from ..syntax.ast import FnDecl
from ..syntax.errors import Span
from . import types as t
from .types import Type

# ---- at compile time ----


class Val:
    """A value known at compile time.

    data by type: int, float, bool, str, None (void); Type; dict (a struct), list of Val (a tuple); ndarray (an
    array, of object dtype if the elements are no numbers); Ptr; FnRef; Instance (a module); ir.Dsd; Fifo; Range;
    and Sym, where the value differs between the PEs that are compiled together.
    """

    __slots__ = ("data", "type")
    type: Any
    data: Any

    def __init__(self, kind: Type, data: Any):
        self.type, self.data = kind, data

    def __repr__(self) -> str:
        return f"Val({self.type}, {self.data!r})"


class Sym:
    """One number per PE of the class that is compiled."""

    __slots__ = ("values",)

    def __init__(self, values: np.ndarray):
        self.values = values


class NeedsConcrete(Exception):
    """A decision depends on a value that differs between PEs: the class has to be split by these values."""

    def __init__(self, values: np.ndarray):
        super().__init__("a value that differs between PEs decides what is compiled")
        self.values = values


class OneByOne(Exception):
    """The rounds of a loop cannot be evaluated together: one depends on another."""


class FnRef:
    """A function of a module instance."""

    __slots__ = ("decl", "instance")

    def __init__(self, decl: FnDecl, instance: Any):
        self.decl, self.instance = decl, instance

    @property
    def name(self) -> str:
        return self.decl.name


class Ptr:
    """target: GlobalVar, Cell or None (offset is then an absolute address).  offset: in bytes."""

    __slots__ = ("offset", "target")

    def __init__(self, target: Any, offset: int = 0):
        self.target, self.offset = target, offset


class Range:
    """start, stop, step: Val or Run of the type `elem`."""

    __slots__ = ("elem", "start", "step", "stop")
    elem: Any

    def __init__(self, elem: Type, start: Any, stop: Any, step: Any):
        self.elem, self.start, self.stop, self.step = elem, start, stop, step


@dataclass(eq=False)
class FifoVal:
    name: str
    item: int


class Cell:
    """A variable at compile time.  depth: how many run-time branches enclose its declaration; loops: how many loops and
    labelled blocks."""

    __slots__ = ("depth", "loops", "mutable", "type", "value")

    def __init__(self, kind: Type | None, value: Val | None, mutable: bool, depth: int = 0, loops: int = 0):
        self.type, self.value, self.mutable, self.depth, self.loops = kind, value, mutable, depth, loops


@dataclass(eq=False)
class GlobalVar:
    """A variable of a module, or a constant that needs an address.  value: what it holds when the program starts.

    undefined: no code has given it that value, which is zero."""

    type: Any
    value: Val | None
    symbol: str
    display: str
    span: Span | None
    mutable: bool = True
    align: int | None = None
    emitted: bool = False
    extern: bool = False
    section: str | None = None
    undefined: bool = False


# ---- at run time ----


class Run:
    """A scalar that is only known at run time."""

    __slots__ = ("type", "value")

    def __init__(self, kind: Type, value: ir.Value):
        self.type, self.value = kind, value

    def __repr__(self) -> str:
        return f"Run({self.type}, {self.value})"


class RegVar:
    """A local variable in a register: an lvalue."""

    __slots__ = ("mutable", "reg", "type")

    def __init__(self, kind: Type, reg: ir.Reg, mutable: bool):
        self.type, self.reg, self.mutable = kind, reg, mutable


class Mem:
    """Memory at addr + offset bytes; also the value of an aggregate that lies there."""

    __slots__ = ("addr", "const", "offset", "type")
    type: Any

    def __init__(self, kind: Type, addr: ir.Value, offset: int = 0, const: bool = False):
        self.type, self.addr, self.offset, self.const = kind, addr, offset, const

    def at(self, offset: int, kind: Type) -> Mem:
        """A part of it."""
        return Mem(kind, self.addr, self.offset + offset, self.const)

    @property
    def where(self) -> ir.Value:
        """addr + offset if that is a constant, else addr: add self.rest."""
        return (
            ir.Addr(self.addr.symbol, self.addr.offset + self.offset) if isinstance(self.addr, ir.Addr) else self.addr
        )

    @property
    def rest(self) -> int:
        return 0 if isinstance(self.addr, ir.Addr) else self.offset


class BitField:
    """A field of a packed struct at run time: an lvalue.  base: the struct's lvalue."""

    __slots__ = ("base", "name", "type")

    def __init__(self, kind: Type, base: Any, name: str):
        self.type, self.base, self.name = kind, base, name


class ElementRef:
    """A part of an aggregate at compile time: container[key], an array's element or a struct's field."""

    __slots__ = ("container", "key", "mutable", "type")

    def __init__(self, kind: Type, container: Any, key: Any, mutable: bool):
        self.type, self.container, self.key, self.mutable = kind, container, key, mutable


class Parts:
    """An anonymous struct of which a field is not known at compile time.  items: values, or lvalues of a variable."""

    __slots__ = ("items", "type")
    type: Any

    def __init__(self, kind: t.AnonymousType, items: list[Any]):
        self.type, self.items = kind, items


@dataclass(eq=False)
class DsdEdit:
    """A descriptor (constant or in memory) with fields replaced by run-time values: (field of ir.DsdSet, value)."""

    type: Type
    base: Val | Mem
    edits: list[tuple[str, ir.Value]] = field(default_factory=list)


Value = Any  # Val | Run | Mem | DsdEdit: which one is asked where it matters

VOID = Val(t.VOID, None)
UNDEFINED, NULL = Val(t.UNDEFINED, None), Val(t.NULL, None)


def known(value: Any) -> bool:
    return isinstance(value, Val)


def concrete(value: Val) -> Any:
    """The data, which must be the same for all PEs that are compiled together."""
    data = value.data
    return alike(data.values) if isinstance(data, Sym) else data


def alike(values: np.ndarray) -> Any:
    """The value that all of them have; else the class of PEs has to be split."""
    if differ(values):
        raise NeedsConcrete(values)
    return values.flat[0].item()


def bits_of(values: np.ndarray) -> np.ndarray:
    """The values so that == tells whether they are the same: floats as integers, for NaN and -0."""
    return values.view(np.int64) if values.dtype == np.float64 else values


def differ(values: np.ndarray) -> bool:
    values = bits_of(values)
    return bool((values != values.flat[0]).any())


def same_values(values: np.ndarray) -> list[np.ndarray]:
    """For each value a mask of where it is."""
    values = bits_of(values)
    return [values == value for value in np.unique(values)]


def sym(values: np.ndarray) -> Any:
    """The data of numbers, one per PE: a Sym, or the number if all are equal."""
    return Sym(values) if differ(values) else values.flat[0].item()


# ---- arrays ----

_DTYPES: dict[Type, Any] = {
    t.F16: np.float16, t.F32: np.float32, t.BF16: np.float32, t.CB16: np.float32, t.BOOL: np.bool_,
}  # fmt: skip


def dtype_of(kind: Type) -> Any:
    """Of an array with such elements."""
    if isinstance(kind, t.IntType) and kind.size is not None:
        return np.dtype(f"{'i' if kind.signed else 'u'}{kind.size}")
    return np.dtype(_DTYPES.get(kind, object))


def zeros(kind: t.ArrayType) -> np.ndarray:
    dtype = dtype_of(kind.elem)
    made = np.zeros(kind.dims, dtype)
    if dtype.hasobject:
        fill = zero(kind.elem)
        flat = made.reshape(-1)
        for i in range(kind.count):
            flat[i] = copy_of(fill).data
    return made


def zero(kind: Type) -> Val:
    """The value whose bits are all 0."""
    if isinstance(kind, t.ArrayType):
        return Val(kind, zeros(kind))
    if isinstance(kind, t.FloatType) or kind is t.COMPTIME_FLOAT:
        return Val(kind, 0.0)
    if kind is t.BOOL:
        return Val(kind, False)
    if isinstance(kind, t.PointerType):
        return Val(kind, Ptr(None, 0))
    if isinstance(kind, t.StructType):
        fields = list(kind.fields.items())[: 1 if kind.union else None]
        return Val(kind, {name: zero(field) for name, (field, _) in fields})
    if isinstance(kind, t.OptionalType):
        return Val(kind, None)
    if kind is t.VOID:
        return VOID
    if kind is t.STRUCT:
        return Val(kind, {})
    if isinstance(kind, t.DsdType):
        return Val(kind, ir.Dsd(kind.kind, length=0))
    return Val(kind, 0)


def element(value: Val, index: tuple[int, ...] | int) -> Val:
    """An element of an array value."""
    kind = value.type.elem
    data = value.data[index]
    if isinstance(data, np.generic):
        data = data.item()
    return Val(kind, data)


def copy_of(value: Val) -> Val:
    """The value with aggregates of its own, for a variable to change."""
    data = value.data
    if isinstance(data, np.ndarray):
        return Val(value.type, data.copy())
    if isinstance(data, dict):
        return Val(value.type, {name: copy_of(item) for name, item in data.items()})
    if isinstance(data, list):
        return Val(value.type, [copy_of(item) for item in data])
    if isinstance(data, Val):
        return Val(value.type, copy_of(data))
    return value


# ---- identity ----


def key_of(value: Any) -> Any:
    """Equal for equal values: what instances are cached by."""
    if isinstance(value, Parts):
        return (value.type, tuple(key_of(item) if isinstance(item, Val | Parts) else None for item in value.items))
    if not isinstance(value, Val):
        return id(value)
    data = value.data
    if isinstance(data, dict):
        return (value.type, tuple(sorted((name, key_of(item)) for name, item in data.items())))
    if isinstance(data, list):
        return (value.type, tuple(key_of(item) for item in data))
    if isinstance(data, np.ndarray):
        return (value.type, data.tobytes() if data.dtype != object else tuple(map(_hashable, data.reshape(-1))))
    if isinstance(data, Ptr):
        return (value.type, id(data.target), data.offset)
    if isinstance(data, Val):
        return (value.type, key_of(data))
    if isinstance(data, FnRef):
        return ("fn", id(data.decl), id(data.instance))
    if isinstance(data, Sym):
        return (value.type, data.values.tobytes())
    if isinstance(data, float):
        return (value.type, repr(data))
    return (value.type, _hashable(data))


def _hashable(data: Any) -> Any:
    try:
        hash(data)
    except TypeError:
        return id(data)
    return data


def same(a: Val, b: Val) -> bool:
    return key_of(a) == key_of(b)
