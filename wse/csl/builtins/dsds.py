"""@get_dsd, tensor accesses, and the builtins that change a field of a descriptor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe
from ..sema.frame import Frame, expr
from ..sema.lvalues import address, address_of, constant_dsd, load, memory_of
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import DsdEdit, ElementRef, GlobalVar, Mem, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .descriptors import (
    MEMORY_KINDS,
    SIZES,
    base_address,
    check_buffer,
    constant_address,
    descriptor,
    edited,
    integer,
    is_fixed,
    moved,
    pointer_address,
    scaled,
    shown,
)
from .fabric import FABIN, FABIN_FIELDS, FABOUT, FABOUT_FIELDS, MOST, extent_of, fabric_dsd
from .options import as_u16
from .table import Fields, builtin, leaves

MEMORY = ("tensor_access", "base_address", "extent", "stride", "offset", "wavelet_index_offset", "save_address")
BY_BASE = ("base_address", "extent", "stride", "offset")  # the form without .tensor_access
CIRCULAR = ("base_address", "extent", "wraparound")
PROPERTIES: dict[str, Fields] = {  # by type of descriptor
    **{kind.name: leaves(CIRCULAR if kind is t.CIRCBUF else MEMORY) for kind in MEMORY_KINDS},
    t.FABIN.name: FABIN_FIELDS,
    t.FABOUT.name: FABOUT_FIELDS,
}
STRIDES = (-128, 127)  # .stride is an i8
DIMENSIONS = 4


# ---- changing descriptors ----


@builtin("@set_dsd_length", "dsd, length")
def set_dsd_length(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The descriptor with another length; a mem4d_dsd has none."""
    value = descriptor(frame, node.args[0], t.MEM1D, t.FABIN, t.FABOUT, t.CIRCBUF)
    length = extent_of(frame, node.args[1], node.args[1].span)
    if isinstance(value, Val) and is_fixed(length):
        return Val(value.type, replace(constant_dsd(value, node.span), length=length.data))
    return edited(value, "length", frame.operand(as_u16(frame, length, node.args[1].span), node.args[1].span))


@builtin("@set_dsd_stride", "dsd, stride")
def set_dsd_stride(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The mem1d_dsd with another stride, -128 to 127 elements."""
    value = descriptor(frame, node.args[0], t.MEM1D)
    stride = stride_of(frame, node.args[1], node.args[1].span)
    if isinstance(value, Val) and is_fixed(stride):
        dsd = constant_dsd(value, node.span)
        return Val(value.type, replace(dsd, stride=stride.data * dsd.item))
    return edited(value, "stride", scaled(frame, stride, 1, node.args[1].span))


def stride_of(frame: Frame, given: Any, span: Span) -> Value:
    """A stride in elements: an i8, which may be known at run time only."""
    value = given if isinstance(given, Val) else integer(frame, given)
    if not t.is_integral(value.type):
        raise CslError.at(span, f"a stride is an integer of type i8, not {shown(value)}")
    value = settled(value)
    if is_fixed(value) and not STRIDES[0] <= value.data <= STRIDES[1]:
        raise CslError.at(span, f"a stride is an i8, {STRIDES[0]} to {STRIDES[1]}, not {value.data}")
    return value


def settled(value: Value) -> Value:
    """A known number has to be the same for all PEs that are compiled together."""
    return Val(value.type, concrete(value)) if isinstance(value, Val) else value


@builtin("@increment_dsd_offset", "dsd, offset, T")
def increment_dsd_offset(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The descriptor over memory, moved by so many elements of type T."""
    value = descriptor(frame, node.args[0], t.MEM1D, t.MEM4D)
    offset = integer(frame, node.args[1])
    kind = frame.type(node.args[2])
    if kind.size is None:
        raise CslError.at(node.args[2].span, f"values of type {kind} have no size")
    if isinstance(value, Val) and is_fixed(offset):
        dsd = constant_dsd(value, node.span)
        return Val(value.type, replace(dsd, base=moved(dsd.base, offset.data * kind.size)))
    return edited(value, "advance", scaled(frame, offset, kind.size, node.args[1].span))


@builtin("@set_dsd_base_addr", "dsd, base")
def set_dsd_base_addr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The descriptor over memory with the address of another array, or of a pointer."""
    value = descriptor(frame, node.args[0], t.MEM1D, t.MEM4D)
    base, size, _ = base_address(frame, node.args[1])
    value = over_elements(value, size)
    if isinstance(value, Val) and isinstance(base, ir.Addr | ir.Const):
        return Val(value.type, replace(constant_dsd(value, node.span), base=base))
    return edited(value, "base", base)


def over_elements(value: Value, size: int) -> Value:
    """A mem4d_dsd that is known, over elements of another size: its strides count these."""
    if isinstance(value, DsdEdit):
        return DsdEdit(value.type, over_elements(value.base, size), value.edits)
    dsd = value.data if isinstance(value, Val) else None
    if not isinstance(dsd, ir.Dsd) or dsd.kind != "mem4d" or size == dsd.item or size not in SIZES:
        return value
    strides = tuple(stride // dsd.item * size for stride in dsd.strides)
    return Val(value.type, replace(dsd, item=size, stride=strides[-1], strides=strides))


# ---- @get_dsd ----


@builtin("@get_dsd", "T, properties", fields=PROPERTIES)
def get_dsd(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A descriptor of type T: mem1d_dsd, mem4d_dsd, fabin_dsd, fabout_dsd or circbuf_dsd."""
    kind = frame.type(node.args[0])
    if not isinstance(kind, t.DsdType):
        raise CslError.at(node.args[0].span, f"{kind} is no type of descriptors: {', '.join(map(str, t.DSDS))} are")
    if kind in MEMORY_KINDS:
        known = CIRCULAR if kind is t.CIRCBUF else MEMORY
        return memory_dsd(frame, kind, properties(frame, node.args[1], known, kind), node)
    return fabric_dsd(frame, kind, properties(frame, node.args[1], FABIN if kind is t.FABIN else FABOUT, kind), node)


def properties(frame: Frame, node: ast.Node, known: tuple[str, ...], kind: Type) -> dict[str, Any]:
    """Fields by name: nodes of a literal, or values."""
    given: dict[str, Any] = {}
    if isinstance(node, ast.StructLit) and node.type is None:
        for item in node.items:
            if item.name is None:
                raise CslError.at(item.span, "the properties of a descriptor have names")
            given[item.name] = item.value
    else:
        value = frame.known(node)
        if not isinstance(value.data, dict):
            raise CslError.at(node.span, f"a struct of properties was expected, not {describe(value)}")
        given = dict(value.data)
    for name in given:
        if name not in known:
            raise CslError.at(node.span, f"a {kind} has no property {name}{did_you_mean(name, known, 40)}")
    return given


class Access:
    """An affine access to memory: base + offset bytes, and (extent, stride in elements) of each index.

    count: elements of the array, None if that is not known.  Strides and offset may be known at run time only.
    """

    def __init__(self, base: ir.Value, item: int, count: int | None):
        self.base, self.item, self.count = base, item, count
        self.buffer = count  # elements of what .base_address points to
        self.offset: Value = Val(t.COMPTIME_INT, 0)
        self.extents: list[Value] = []
        self.strides: list[Value] = []
        self.pointer: Callable[[], Value] | None = None  # to the array, of a tensor access

    def field(self, name: str, span: Span) -> Value:
        """A field of the struct that a tensor access stands for."""
        if name == "base_address" and self.pointer is not None:
            return self.pointer()
        if name == "offset":
            return self.offset
        if name not in ("extent", "stride"):
            raise CslError.at(span, f"a tensor access has no field {name}{did_you_mean(name, BY_BASE, 40)}")
        if not all(map(is_fixed, self.extents)):
            raise CslError.at(span, f"the .{name} of this tensor access is not known at compile time")
        items: list[Any] = list(self.extents)
        if name == "stride":  # innermost index first, from the last element of the indices inside it
            items, inside = [], 0
            for extent, step in zip(reversed(self.extents), reversed(self.strides), strict=True):
                assert isinstance(extent, Val) and isinstance(step, Val)
                items.append(Val(t.COMPTIME_INT, step.data - inside))
                inside += (extent.data - 1) * step.data
        return Val(t.STRUCT, items)

    def check(self, span: Span) -> None:
        """Refuses what lies beyond the array.  One of a single element is a placeholder, as in vendor examples: the
        base address is set later."""
        values = [self.offset, *self.extents, *self.strides]
        if (
            self.count in (None, 1)
            or not all(map(is_fixed, values))
            or any(extent.data == 0 for extent in self.extents)
        ):
            return
        steps = [(e.data - 1) * s.data for e, s in zip(self.extents, self.strides, strict=True)]
        low = self.offset.data + sum(step for step in steps if step < 0)
        high = self.offset.data + sum(step for step in steps if step > 0)
        if low < 0 or high >= self.count:
            raise CslError.at(
                span, f"the access covers elements {low} to {high} of an array that has 0 to {self.count - 1}"
            )


def memory_dsd(frame: Frame, kind: t.DsdType, given: dict[str, Any], node: ast.BuiltinCall) -> Value:
    by_base = [name for name in BY_BASE if name in given]
    if "tensor_access" in given:
        if by_base:
            raise CslError.at(
                node.span, f".tensor_access says all of the access: .{by_base[0]} cannot be given beside it"
            )
        access = given_access(frame, kind, given["tensor_access"], node)
    elif "base_address" in given:
        access = access_by_base(frame, kind, given, node)
    else:
        raise CslError.at(node.span, f"a {kind} needs .tensor_access, or .base_address and .extent")
    if kind is not t.MEM4D and len(access.extents) > 1:
        raise CslError.at(node.span, f"{len(access.extents)} indices make a mem4d_dsd, not a {kind}")
    if len(access.extents) > DIMENSIONS:
        raise CslError.at(node.span, f"a mem4d_dsd has at most {DIMENSIONS} indices, not {len(access.extents)}")
    if access.item not in SIZES:
        raise CslError.at(node.span, f"descriptors are of elements of 2 or 4 bytes, not of {access.item}")
    access.check(node.span)
    if kind is t.MEM1D and "tensor_access" in given and access.extents:
        warn_of_stride(frame, access, node.span)
    flags = {name: bool(concrete_of(frame, given[key], node)) for name, key in
             (("index", "wavelet_index_offset"), ("save_address", "save_address")) if key in given}  # fmt: skip
    circle = circle_of(frame, given, access, node) if kind is t.CIRCBUF else None
    if circle is not None:
        check_buffer(frame, f"a {kind}", circle * access.item, node.span)
    return finish_memory(frame, kind, access, circle, flags, node)


def warn_of_stride(frame: Frame, access: Access, span: Span) -> None:
    """The documentation gives the stride of a mem1d_dsd the type i8.  It does not say what becomes of a tensor access
    that steps farther; here it is stepped through."""
    extent, stride = access.extents[0], access.strides[0]
    if is_fixed(stride) and not STRIDES[0] <= stride.data <= STRIDES[1] and not (is_fixed(extent) and extent.data <= 1):
        frame.unit.program.findings.warn(
            span,
            f"this tensor access has a stride of {stride.data} elements, and the stride of a mem1d_dsd is an i8,"
            f" {STRIDES[0]} to {STRIDES[1]}: the vendor's compiler may refuse it; a mem4d_dsd has strides of 16 bits",
        )


def access_by_base(frame: Frame, kind: t.DsdType, given: dict[str, Any], node: ast.BuiltinCall) -> Access:
    """`.base_address`, `.extent`, `.stride`, `.offset`; tuples of extents and strides for a mem4d_dsd."""
    base, size, count = base_of(frame, given["base_address"], node)
    access = Access(base, size, None)
    access.buffer = count
    if "extent" not in given:
        raise CslError.at(node.span, ".base_address goes with .extent, the number of elements")
    extents = several(frame, given["extent"])
    strides = several(frame, given["stride"]) if "stride" in given else None
    if kind is t.MEM4D:
        if strides is None and "stride" not in given and extents is not None:
            strides = [Val(t.COMPTIME_INT, 1)] * len(extents)
        if extents is None or strides is None or len(extents) != len(strides):
            raise CslError.at(node.span, "a mem4d_dsd has tuples .extent and .stride with a number for each index")
        access.extents = [extent_of(frame, extent, node.span) for extent in extents]
        for value in strides:
            if not is_fixed(value) or not t.is_integral(value.type):
                raise CslError.at(node.span, f"a stride is an integer known at compile time, not {shown(value)}")
        access.strides = steps_of_indices(access.extents, strides, node.span)
    else:
        access.extents = [extent_of(frame, single(given["extent"], extents, kind, node), node.span)]
        one = Val(t.COMPTIME_INT, 1)
        step = stride_of(frame, single(given["stride"], strides, kind, node), node.span) if "stride" in given else one
        access.strides = [step]
    if "offset" in given:
        access.offset = settled(value_of(frame, given["offset"], node))
    return access


def single(given: Any, items: list[Val] | None, kind: t.DsdType, node: ast.BuiltinCall) -> Any:
    """The number that a descriptor of one index is given: itself, or as the only item of a tuple."""
    if items is None:
        return given
    if len(items) != 1:
        raise CslError.at(node.span, f"the extent and the stride of a {kind} are numbers; a mem4d_dsd has tuples")
    return items[0]


def steps_of_indices(extents: list[Value], strides: list[Val], span: Span) -> list[Value]:
    """How far an element lies from the one before it along each index.  extents: outermost index first.  strides: as
    `.stride` has them, innermost index first, each counted from the last element of the indices inside it."""
    if not all(map(is_fixed, extents)):
        raise CslError.at(span, "the extents of a mem4d_dsd must be known at compile time")
    steps: list[Value] = []
    inside = 0  # from the first to the last element of the indices inside
    for extent, stride in zip(reversed(extents), strides, strict=True):
        step = stride.data + inside
        inside += (extent.data - 1) * step
        steps.append(Val(t.COMPTIME_INT, step))
    return steps[::-1]


def several(frame: Frame, given: Any) -> list[Val] | None:
    """The items of a tuple; None of a number."""
    if isinstance(given, ast.StructLit):
        given = frame.known(given)
    elif isinstance(given, ast.Ident | ast.Member):
        given = frame.expr(given)
    data = given.data if isinstance(given, Val) else None
    return data if isinstance(data, list) else None


def circle_of(frame: Frame, given: dict[str, Any], access: Access, node: ast.BuiltinCall) -> int:
    """Elements after which a circular buffer begins again."""
    buffer = access.buffer if access.buffer is not None else access.count
    if "wraparound" not in given:
        if buffer is None:
            raise CslError.at(node.span, "a circbuf_dsd over a pointer needs .wraparound, the elements of the buffer")
        return buffer
    size = concrete_of(frame, given["wraparound"], node)
    if size < 1 or (buffer is not None and size >= buffer):
        if size < 1:
            raise CslError.at(node.span, f".wraparound is 1 or more, not {size}")
        what = f"less than {buffer}, the elements of the buffer, not {size}"
        raise CslError.at(node.span, f".wraparound is {what}: without it the buffer wraps around at its end")
    return size


def finish_memory(
    frame: Frame, kind: t.DsdType, access: Access, circle: int | None, flags: dict[str, Any], node: ast.BuiltinCall
) -> Value:
    """The descriptor: what is known as a constant, the rest as changes of it."""
    extents = [extent.data if is_fixed(extent) else None for extent in access.extents]
    length = 1
    for extent in extents:
        length *= extent if extent is not None else 0
    fixed = access.base if isinstance(access.base, ir.Addr | ir.Const) else None
    offset = access.offset.data * access.item if is_fixed(access.offset) else 0
    strides = [concrete(s) * access.item if is_fixed(s) else 0 for s in access.strides]
    dsd = ir.Dsd(kind.kind, moved(fixed, offset), length, strides[-1], access.item, **flags)
    if circle is not None:
        if not isinstance(fixed, ir.Addr):
            raise CslError.at(node.span, "the buffer of a circbuf_dsd must be known at compile time")
        dsd = replace(dsd, circle=(fixed, circle * access.item))
    if kind is t.MEM4D:
        if None in extents:
            raise CslError.at(node.span, "the extents of a mem4d_dsd must be known at compile time")
        if length > MOST:
            raise CslError.at(node.span, f"a descriptor has at most {MOST} elements, not {length}")
        dsd = replace(dsd, extents=tuple(extent or 0 for extent in extents), strides=tuple(strides))
    made: Value = Val(kind, dsd)
    if fixed is None:
        made = edited(made, "base", access.base)
        if offset:
            made = edited(made, "advance", ir.Const("u16", offset & 0xFFFF))
    if not is_fixed(access.offset):
        made = edited(made, "advance", scaled(frame, access.offset, access.item, node.span))
    if not is_fixed(access.strides[-1]):
        made = edited(made, "stride", scaled(frame, access.strides[-1], 1, node.span))
    if None in extents:
        made = edited(made, "length", frame.operand(as_u16(frame, access.extents[0], node.span), node.span))
    return made


def base_of(frame: Frame, given: Any, node: ast.BuiltinCall) -> tuple[ir.Value, int, int | None]:
    if isinstance(given, Val):
        if not isinstance(given.type, t.PointerType):
            raise CslError.at(node.span, f".base_address is a pointer, not {describe(given)}")
        return pointer_address(frame, given, node.span)
    return base_address(frame, given)


def value_of(frame: Frame, given: Any, node: ast.BuiltinCall) -> Value:
    value = given if isinstance(given, Val) else frame.expr(given)
    if not t.is_integral(value.type):
        raise CslError.at(
            node.span if isinstance(given, Val) else given.span, f"an integer was expected, not {value.type}"
        )
    return value


def concrete_of(frame: Frame, given: Any, node: ast.BuiltinCall) -> Any:
    return concrete(given) if isinstance(given, Val) else frame.number(given)


# ---- tensor accesses ----


@expr(ast.TensorAccess)
def tensor_access(frame: Frame, node: ast.TensorAccess, want: Type | None) -> Value:
    """|i|{n} -> A[f(i)]: base, offset and strides by evaluating the element at a few points."""
    if len(node.names) != len(node.bounds):
        raise CslError.at(node.span, f"{len(node.names)} indices have {len(node.bounds)} extents")
    if not isinstance(node.body, ast.Index):
        raise CslError.at(node.body.span, "an element of an array was expected, such as A[i]")
    where = frame.lvalue(node.body.base)
    base, item, dims, count = array_base(frame, where, node.body)
    access = Access(base, item, count)
    array = node.body.base
    is_pointer = isinstance(where.type, t.PointerType)
    access.pointer = lambda: frame.expr(array) if is_pointer else address_of(frame, array, array.span)
    for bound in node.bounds:
        access.extents.append(extent_of(frame, bound, bound.span))

    def at(point: list[int]) -> int:
        return element_number(frame, node, point, dims)

    n = len(node.names)
    first = at([0] * n)
    strides = [at([int(k == i) for k in range(n)]) - first for i in range(n)]
    access.offset = Val(t.COMPTIME_INT, first)
    access.strides = [Val(t.COMPTIME_INT, stride) for stride in strides]
    corner = [extent.data - 1 if is_fixed(extent) else 2 for extent in access.extents]
    corner = [c if c > 0 else 2 for c in corner]
    if at(corner) != first + sum(c * s for c, s in zip(corner, strides, strict=True)):
        raise CslError.at(node.body.span, "the index must be affine: a sum of constants and multiples of the indices")
    return Val(t.TENSOR_ACCESS, access)


def given_access(frame: Frame, kind: t.DsdType, given: Any, node: ast.BuiltinCall) -> Access:
    """The access that `.tensor_access` is given: an expression or a value."""
    span = node.args[1].span if isinstance(given, Val) else given.span
    value = given if isinstance(given, Val) else frame.expr(given)
    if isinstance(value, Val) and isinstance(value.data, dict):  # the struct that an access stands for
        for name in value.data:
            if name not in BY_BASE:
                raise CslError.at(span, f".tensor_access has no field {name}{did_you_mean(name, BY_BASE, 40)}")
        if "base_address" not in value.data:
            raise CslError.at(span, "a struct for .tensor_access has .base_address and .extent")
        return access_by_base(frame, kind, value.data, node)
    if value.type is not t.TENSOR_ACCESS:
        raise CslError.at(span, f".tensor_access is of the form |i|{{n}} -> A[i], not {shown(value)}")
    return value.data


def array_base(frame: Frame, where: Any, node: ast.Index) -> tuple[ir.Value, int, tuple[int, ...], int | None]:
    """Address, bytes of an element, lengths and number of elements of what a tensor access indexes."""
    kind = where.type
    if isinstance(kind, t.PointerType):
        pointer = load(frame, where, node.base.span)
        array = kind.elem if not kind.many and isinstance(kind.elem, t.ArrayType) else None
        elem = array.elem if array is not None else kind.elem
        base = constant_address(frame, pointer, node.base.span)
        return (base, elem.size or 0, array.dims, array.count) if array else (base, elem.size or 0, (0,), None)
    if isinstance(where, ElementRef) and isinstance(kind, t.ArrayType):  # a field of a struct in a variable
        base = constant_address(frame, address_of(frame, node.base, node.base.span), node.base.span)
        return base, kind.elem.size or 0, kind.dims, kind.count
    if isinstance(where, Val) and isinstance(kind, t.ArrayType):
        where = frame.unit.constant(where, node.base.span)
    if isinstance(where, GlobalVar):
        where = memory_of(frame, where)
    if isinstance(where, Mem) and isinstance(where.type, t.ArrayType):
        return address(frame, where), where.type.elem.size or 0, where.type.dims, where.type.count
    raise CslError.at(node.base.span, f"an array was expected, not a value of type {kind}")


def element_number(frame: Frame, node: ast.TensorAccess, point: list[int], dims: tuple[int, ...]) -> int:
    """The element at a point of the index space, counted row by row."""
    body = node.body
    assert isinstance(body, ast.Index)
    if len(body.indices) != len(dims):
        raise CslError.at(body.span, f"the array has {len(dims)} indices, not {len(body.indices)}")
    inner = frame.comptime() if frame.build is not None else frame
    inner.names.append({})
    try:
        for name, index in zip(node.names, point, strict=True):
            inner.bind(name, Val(t.COMPTIME_INT, index), node.span)
        number = 0
        for index_node, size in zip(body.indices, dims, strict=True):
            value = inner.expr(index_node)
            if not isinstance(value, Val) or not t.is_integral(value.type):
                raise CslError.at(index_node.span, "the index of a tensor access must be known at compile time")
            number = number * size + concrete(value)
        return number
    finally:
        inner.names.pop()
