"""The types of CSL.  Types are interned: the same type is the same object, so `is` compares them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..syntax.lexer import INTEGER_BITS

MAX_ELEMENTS = 1 << 20  # of an array or tuple at compile time


class Type:
    """name: as written.  size: bytes at run time; None if the type exists at compile time only.  ir: its scalar type in
    the intermediate representation, None if it is no scalar.  fp16: the type of 16-bit floats in its values."""

    size: Any = None
    fp16: Any = None
    align = 2
    ir: Any = None

    def __init__(self, name: str):
        self.name = name

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<type {self.name}>"

    @property
    def is_comptime(self) -> bool:
        """Whether values exist at compile time only."""
        return self.size is None


class IntType(Type):
    """iN, uN.  At run time a value is kept in the next of 8, 16, 32 and 64 bits, extended by its sign or by zeros;
    types of 0 or more than 64 bits exist at compile time only."""

    def __init__(self, bits: int, signed: bool):
        super().__init__(f"{'i' if signed else 'u'}{bits}")
        self.bits, self.signed = bits, signed
        if 0 < bits <= 64:
            self.size = next(size for size in (1, 2, 4, 8) if bits <= 8 * size)
            self.align = min(self.size, 4)
            self.ir = f"{'i' if signed else 'u'}{8 * self.size}"
        self.low = -(1 << (bits - 1)) if signed and bits else 0
        self.high = (1 << (bits - signed)) - 1 if bits else 0

    @property
    def partial(self) -> bool:
        """Whether values at run time have more bits than the type."""
        return self.size is not None and self.bits != 8 * self.size

    def wrap(self, value: int) -> int:
        """The value modulo 2^bits."""
        value &= (1 << self.bits) - 1
        return value - (1 << self.bits) if value > self.high else value


class FloatType(Type):
    """f32, and f16, bf16, cb16: three formats of 16 bits, of which one exists at run time (`--fp16-format`)."""

    def __init__(self, name: str, bits: int):
        super().__init__(name)
        self.bits = bits
        self.size = self.align = bits // 8
        self.ir = f"f{bits}"
        if bits == 16:
            self.fp16 = self


class IdType(Type):
    """A small number with a meaning: colors, queues, task ids, directions."""

    size, align, ir = 2, 2, "u16"


class DsdType(Type):
    """A descriptor.  kind: as ir.Dsd has it."""

    align = 4

    def __init__(self, name: str, kind: str, size: int):
        super().__init__(name)
        self.kind = kind
        self.size = size


class PointerType(Type):
    size: Any = 2
    align = 2
    ir: Any = "ptr"

    def __init__(self, elem: Type, many: bool, const: bool):
        super().__init__(f"{'[*]' if many else '*'}{'const ' if const else ''}{elem}")
        self.elem, self.many, self.const = elem, many, const


class ArrayType(Type):
    """Row-major."""

    def __init__(self, dims: tuple[int, ...], elem: Type):
        super().__init__(f"[{', '.join(map(str, dims))}]{elem}")
        self.dims, self.elem = dims, elem
        self.count = 1
        for n in dims:
            self.count *= n
        if elem.size is not None:
            self.size = self.count * elem.size
            self.align = elem.align
            self.fp16 = elem.fp16


class FnType(Type):
    def __init__(self, kind: str, params: tuple[Type, ...], result: Type):
        super().__init__(f"{kind}({', '.join(map(str, params))}){result}")
        self.kind, self.params, self.result = kind, params, result


class EnumType(Type):
    """Every `enum` in a source is a type of its own.  members: name -> value."""

    def __init__(self, name: str, tag: IntType, members: dict[str, int]):
        super().__init__(name)
        self.tag, self.members = tag, members
        self.size, self.align, self.ir = tag.size, tag.align, tag.ir


class OptionalType(Type):
    """?T.  flag: offset of the byte that says whether there is a value."""

    def __init__(self, elem: Type):
        super().__init__(f"?{elem}")
        self.elem, self.fp16 = elem, elem.fp16
        self.flag = 0
        if elem.size is not None:
            self.flag, self.align = elem.size, max(elem.align, 2)
            self.size = -(-(elem.size + 1) // self.align) * self.align


class AnonymousType(Type):
    """Of a struct `.{ … }` of which a field is not known at compile time.  names: None for a tuple."""

    def __init__(self, names: tuple[str, ...] | None, types: tuple[Type, ...]):
        shown = [f".{name}: {kind}" for name, kind in zip(names, types, strict=True)] if names else map(str, types)
        super().__init__(f"struct {{{', '.join(shown)}}}")
        self.names, self.types = names, types


class StructType(Type):
    """`struct { … }` and `union { … }`.  fields: name -> (type, default or None), in order.

    layout: "" or "extern": offsets are bytes, as C has them.  "packed": a scalar, the backing integer; bit_offsets are
    counted from its lowest bit.
    """

    def __init__(self, name: str, fields: dict[str, tuple[Type, Any]], layout: str = "", union: bool = False):
        super().__init__(name)
        self.fields, self.layout, self.union = fields, layout, union
        self.offsets: dict[str, int] = {}
        self.bit_offsets: dict[str, int] = {}
        self.backing: IntType | None = None
        if self.packed:
            self.pack()
        elif union:
            self.overlay()
        else:
            self.place()

    @property
    def packed(self) -> bool:
        return self.layout == "packed"

    @property
    def word(self) -> str:
        return "union" if self.union else "struct"

    def pack(self) -> None:
        at = total = 0
        for field, (kind, _) in self.fields.items():
            self.bit_offsets[field] = at
            self.fp16 = self.fp16 or kind.fp16
            width = bit_width(kind) or 0
            total = max(total, at + width)
            at += 0 if self.union else width
        self.backing = int_type(total, False)
        self.size, self.align, self.ir = self.backing.size, self.backing.align, self.backing.ir

    def overlay(self) -> None:
        size = 0
        for field, (kind, _) in self.fields.items():
            if kind.size is None:
                return
            self.offsets[field] = 0
            self.align = max(self.align, kind.align)
            self.fp16 = self.fp16 or kind.fp16
            size = max(size, kind.size)
        self.size = -(-size // self.align) * self.align

    def place(self) -> None:
        at = 0
        for field, (kind, _) in self.fields.items():
            if kind.size is None:
                return
            self.align = max(self.align, kind.align)
            self.fp16 = self.fp16 or kind.fp16
            at = -(-at // kind.align) * kind.align
            self.offsets[field] = at
            at += kind.size
        self.size = -(-at // self.align) * self.align


# ---- the primitive ones ----

INTS = {f"{s}{bits}": IntType(bits, s == "i") for bits in (8, 16, 32, 64) for s in "iu"}
I8, U8, I16, U16, I32, U32, I64, U64 = (INTS[n] for n in ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"))
F16, F32 = FloatType("f16", 16), FloatType("f32", 32)
BF16, CB16 = FloatType("bf16", 16), FloatType("cb16", 16)
FP16 = {kind.name: kind for kind in (F16, BF16, CB16)}  # of which --fp16-format names one

BOOL = Type("bool")
BOOL.size, BOOL.align, BOOL.ir = 1, 1, "bool"
VOID, TYPE, STRING, STRUCT = (Type(n) for n in ("void", "type", "comptime_string", "comptime_struct"))
COMPTIME_INT, COMPTIME_FLOAT, ANYTYPE, MODULE = (
    Type(n) for n in ("comptime_int", "comptime_float", "anytype", "imported_module")
)
RANGE, FUNCTION = Type("range"), Type("function")
UNDEFINED, NULL, ANYOPAQUE = Type("undefined"), Type("null"), Type("anyopaque")

DIRECTION, COLOR = IdType("direction"), IdType("color")
INPUT_QUEUE, OUTPUT_QUEUE, UT_ID = IdType("input_queue"), IdType("output_queue"), IdType("ut_id")
LOCAL_TASK_ID, DATA_TASK_ID, CONTROL_TASK_ID = (
    IdType("local_task_id"),
    IdType("data_task_id"),
    IdType("control_task_id"),
)
TASK_IDS = (LOCAL_TASK_ID, DATA_TASK_ID, CONTROL_TASK_ID)

MEM1D, MEM4D = DsdType("mem1d_dsd", "mem1d", 16), DsdType("mem4d_dsd", "mem4d", 32)
FABIN, FABOUT = DsdType("fabin_dsd", "fabin", 16), DsdType("fabout_dsd", "fabout", 16)
CIRCBUF = DsdType("circbuf_dsd", "circular", 32)
DSDS = (MEM1D, MEM4D, FABIN, FABOUT, CIRCBUF)

DSR_DEST, DSR_SRC0, DSR_SRC1 = Type("dsr_dest"), Type("dsr_src0"), Type("dsr_src1")
DSR_FIFO_DEST, DSR_FIFO_SRC1, XDSR, SR = Type("dsr_fifo_dest"), Type("dsr_fifo_src1"), Type("xdsr"), Type("sr")
DSRS = (DSR_DEST, DSR_SRC0, DSR_SRC1, DSR_FIFO_DEST, DSR_FIFO_SRC1, XDSR, SR)
FIFO, TENSOR_ACCESS = Type("fifo"), Type("tensor_access")

PRIMITIVES: dict[str, Type] = {
    kind.name: kind
    for kind in (
        *INTS.values(), F16, F32, BF16, CB16, BOOL, VOID, TYPE, STRING, STRUCT, COMPTIME_INT, COMPTIME_FLOAT, ANYTYPE,
        ANYOPAQUE, MODULE, DIRECTION, COLOR, INPUT_QUEUE, OUTPUT_QUEUE, UT_ID, *TASK_IDS, *DSDS, *DSRS, FIFO,
    )
}  # fmt: skip

_INT_NAME = re.compile(r"[iu](0|[1-9][0-9]{0,7})")


def int_type(bits: int, signed: bool) -> IntType:
    """The integer type of a width."""
    known = INTS.get(f"{'i' if signed else 'u'}{bits}")
    return known or intern(("int", bits, signed), lambda: IntType(bits, signed))


def int_named(name: str) -> IntType | None:
    """The integer type of a name such as u5, or None.  ValueError: it is too wide."""
    if not _INT_NAME.fullmatch(name):
        return None
    if int(name[1:]) > INTEGER_BITS:
        raise ValueError(f"{name} is too wide: an integer has at most {INTEGER_BITS:,} bits")
    return int_type(int(name[1:]), name[0] == "i")


def int_named_or_none(name: str) -> IntType | None:
    """The integer type of a name such as u5; None if it names none, or one that is too wide."""
    try:
        return int_named(name)
    except ValueError:
        return None


DIRECTIONS = ("WEST", "EAST", "SOUTH", "NORTH", "RAMP")  # their numbers in a router's switch word

_interned: dict[tuple, Type] = {}


def pointer_to(elem: Type, many: bool = False, const: bool = False) -> PointerType:
    return intern(("*", elem, many, const), lambda: PointerType(elem, many, const))


def array_of(dims: tuple[int, ...], elem: Type) -> ArrayType:
    """An array of arrays stays one: indexing it twice and indexing it by two are different things."""
    return intern(("[]", dims, elem), lambda: ArrayType(dims, elem))


def fn_type(kind: str, params: tuple[Type, ...], result: Type) -> FnType:
    return intern((kind, params, result), lambda: FnType(kind, params, result))


def optional(elem: Type) -> OptionalType:
    return intern(("?", elem), lambda: OptionalType(elem))


def anonymous(names: tuple[str, ...] | None, types: tuple[Type, ...]) -> AnonymousType:
    return intern(("anonymous", names, types), lambda: AnonymousType(names, types))


def intern(key: tuple, make, known: dict[Any, Any] = _interned) -> Any:
    """The type of a key, made the first time."""
    found = known.get(key)
    if found is None:
        found = known[key] = make()
    return found


# ---- questions ----


def bit_width(kind: Type) -> int | None:
    """Bits of the values of a scalar type; None of any other type.  What a field of a packed struct takes."""
    match kind:
        case IntType() | FloatType():
            return kind.bits
        case EnumType():
            return kind.tag.bits
        case StructType():
            return kind.backing.bits if kind.backing is not None else None
        case PointerType():
            return 16 if kind.size is not None else None
    return 1 if kind is BOOL else 16 if isinstance(kind, IdType) else None


def widens(source: Type, kind: Type) -> bool:
    """Whether the type can represent all values of the other: what becomes it by itself since SDK 2.10."""
    if isinstance(source, IntType) and isinstance(kind, IntType):
        return kind.low <= source.low and source.high <= kind.high
    return source.fp16 is source and kind is F32


def is_float(kind: Type) -> bool:
    return isinstance(kind, FloatType)


def is_number(kind: Type) -> bool:
    return isinstance(kind, IntType | FloatType) or kind is COMPTIME_INT or kind is COMPTIME_FLOAT


def is_integral(kind: Type) -> bool:
    return isinstance(kind, IntType) or kind is COMPTIME_INT


def is_fn_pointer(kind: Type) -> bool:
    return isinstance(kind, PointerType) and isinstance(kind.elem, FnType)


def is_scalar(kind: Type) -> bool:
    """Whether a run-time value of the type fits a virtual register."""
    return kind.ir is not None


def absence(kind: Type) -> str:
    """Why values of a type do not exist at run time, or what to do about it."""
    match kind:
        case IntType():
            return "integers at run time have 1 to 64 bits"
        case ArrayType() | OptionalType():
            return absence(kind.elem)
        case StructType():
            if kind.packed:
                return "packed structs and unions at run time have 1 to 64 bits"
            return next((absence(field) for field, _ in kind.fields.values() if field.size is None), "it is empty")
    return "give it a type that does, such as i16 or f32"


def export_word(kind: Type) -> Any:
    """The type of the words in which the host sees values: that of scalars; structs are words of 32 bits where all
    their parts are, else of 16.  None of what is no data."""
    if kind.ir is not None:
        return kind
    if isinstance(kind, StructType) and kind.size is not None:
        return U32 if all(leaf.align >= 4 for _, leaf in leaves(kind)) else U16
    return None


def leaves(kind: Type) -> Iterator[tuple[int, Type]]:
    """(byte offset, scalar type) of what a struct holds."""
    if isinstance(kind, StructType) and not kind.packed:
        for name, (field, _) in kind.fields.items():
            for offset, leaf in leaves(field):
                yield kind.offsets[name] + offset, leaf
    elif isinstance(kind, ArrayType):
        for i in range(kind.count):
            yield from ((i * kind.elem.size + offset, leaf) for offset, leaf in leaves(kind.elem))
    else:
        yield 0, kind
