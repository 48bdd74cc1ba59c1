"""Builtins of data structure descriptors: making them, changing them, explicit DSRs, FIFOs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe
from ..sema.frame import Frame
from ..sema.lvalues import address, constant_dsd, dsd_var, load, memory_of, store_dsd
from ..sema.types import Type
from ..sema.values import VOID, DsdEdit, FifoVal, GlobalVar, Mem, Ptr, Sym, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .options import as_u16, on_control, options, struct_items
from .table import builtin
from .tasks import task_number

MEMORY = (
    "tensor_access",
    "base_address",
    "extent",
    "stride",
    "offset",
    "wavelet_index_offset",
    "save_address",
    "simd_mode",
    "wraparound",
)
FABRIC = (
    "fabric_color", "extent", "input_queue", "output_queue", "control", "wavelet_index_offset", "advance_switch",
    "simd_mode", "on_control", "priority",
)  # fmt: skip
SIZES = {2: 2, 4: 4}


# ---- changing descriptors ----


def item_of(value: Value) -> int:
    """Bytes of an element of what a descriptor describes."""
    if isinstance(value, Val):
        return value.data.item if isinstance(value.data, ir.Dsd) else 4
    return value.item if isinstance(value, Mem | DsdEdit) else 4


def edited(value: Value, name: str, item: ir.Value) -> DsdEdit:
    """The descriptor with a field that is only known at run time."""
    if isinstance(value, DsdEdit):
        return DsdEdit(value.type, value.base, [*value.edits, (name, item)], value.item)
    assert isinstance(value, Val | Mem)
    return DsdEdit(value.type, value, [(name, item)], item_of(value))


def descriptor(frame: Frame, node: ast.Node, *kinds: Type) -> Value:
    """An argument that is a descriptor of one of these types."""
    value = frame.expr(node)
    if value.type not in kinds:
        shown = describe(value) if isinstance(value, Val) else f"a value of type {value.type}"
        raise CslError.at(node.span, f"a descriptor of type {' or '.join(map(str, kinds))} was expected, not {shown}")
    return value


MEMORY_KINDS = (t.MEM1D, t.MEM4D, t.CIRCBUF)


@builtin("@set_dsd_length", 2)
def set_dsd_length(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    value = descriptor(frame, node.args[0], t.MEM1D, t.FABIN, t.FABOUT, t.CIRCBUF)
    length = integer(frame, node.args[1])
    if isinstance(value, Val) and isinstance(length, Val) and not isinstance(length.data, Sym):
        if not 0 <= length.data <= ir.INFINITE:
            raise CslError.at(node.args[1].span, f"the length of a descriptor is 0 to {ir.INFINITE}, not {length.data}")
        return Val(value.type, replace(constant_dsd(value, node.span), length=length.data))
    return edited(value, "length", frame.operand(as_u16(frame, length, node.args[1].span), node.args[1].span))


def integer(frame: Frame, node: ast.Node) -> Value:
    value = frame.expr(node)
    if not t.is_integral(value.type):
        raise CslError.at(node.span, f"an integer was expected, not a value of type {value.type}")
    return value


@builtin("@set_dsd_stride", 2)
def set_dsd_stride(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    value = descriptor(frame, node.args[0], t.MEM1D, t.CIRCBUF)
    stride = integer(frame, node.args[1])
    size = item_of(value)
    if isinstance(value, Val) and isinstance(stride, Val):
        return Val(value.type, replace(constant_dsd(value, node.span), stride=concrete(stride) * size))
    return edited(value, "stride", scaled(frame, stride, size, node.args[1].span))


def scaled(frame: Frame, value: Value, size: int, span: Span) -> ir.Value:
    """value * size as bytes, 16 bits of them."""
    if isinstance(value, Val) and not isinstance(value.data, Sym):
        return ir.Const("u16", value.data * size & 0xFFFF)
    build = frame.need_run(span, "a run-time offset")
    operand = frame.operand(as_u16(frame, value, span), span)
    if size == 1:
        return operand
    reg = build.reg("u16")
    if size & (size - 1) == 0:
        build.emit(ir.Bin("shl", reg, operand, ir.Const("u16", size.bit_length() - 1)))
    else:
        build.emit(ir.Bin("mul", reg, operand, ir.Const("u16", size)))
    return reg


@builtin("@increment_dsd_offset", 3)
def increment_dsd_offset(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    value = descriptor(frame, node.args[0], *MEMORY_KINDS)
    offset = integer(frame, node.args[1])
    kind = frame.type(node.args[2])
    if kind.size is None:
        raise CslError.at(node.args[2].span, f"values of type {kind} have no size")
    if isinstance(value, Val) and isinstance(offset, Val) and not isinstance(offset.data, Sym):
        dsd = constant_dsd(value, node.span)
        return Val(value.type, replace(dsd, base=moved(dsd.base, offset.data * kind.size)))
    return edited(value, "advance", scaled(frame, offset, kind.size, node.args[1].span))


def moved(base: ir.Addr | ir.Const | None, by: int) -> ir.Addr | ir.Const | None:
    if isinstance(base, ir.Addr):
        return ir.Addr(base.symbol, base.offset + by)
    return None if base is None else ir.Const("ptr", (int(base.value) + by) & 0xFFFF)


@builtin("@set_dsd_base_addr", 2)
def set_dsd_base_addr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    value = descriptor(frame, node.args[0], *MEMORY_KINDS)
    base, _ = base_address(frame, node.args[1])
    if isinstance(value, Val) and isinstance(base, ir.Addr | ir.Const):
        return Val(value.type, replace(constant_dsd(value, node.span), base=base))
    return edited(value, "base", base)


def base_address(frame: Frame, node: ast.Node) -> tuple[ir.Value, int]:
    """The address that a pointer or the name of an array stands for, and the size of an element."""
    where = frame.lvalue(node)
    if isinstance(where.type, t.ArrayType):
        if isinstance(where, Val):
            where = frame.unit.constant(where, node.span)
        if isinstance(where, GlobalVar):
            where = memory_of(frame, where)
        if isinstance(where, Mem):
            return address(frame, where), where.type.elem.size or 0
    pointer = load(frame, where, node.span)
    kind = pointer.type
    if not isinstance(kind, t.PointerType):
        raise CslError.at(node.span, f"a pointer or an array was expected, not a value of type {kind}")
    elem = kind.elem.elem if isinstance(kind.elem, t.ArrayType) else kind.elem
    return constant_address(frame, pointer, node.span), elem.size or 0


def constant_address(frame: Frame, pointer: Value, span: Span) -> ir.Value:
    if isinstance(pointer, Val):
        ptr = pointer.data
        if not isinstance(ptr, Ptr):
            raise CslError.at(span, "this pointer does not point to memory")
        if ptr.target is None:
            return ir.Const("ptr", ptr.offset & 0xFFFF)
        if not isinstance(ptr.target, GlobalVar):
            raise CslError.at(span, "this pointer points to a variable that exists at compile time only")
        return ir.Addr(frame.unit.use(ptr.target), ptr.offset)
    return frame.operand(pointer, span)


# ---- @get_dsd ----


@builtin("@get_dsd", 2)
def get_dsd(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    kind = frame.type(node.args[0])
    if not isinstance(kind, t.DsdType):
        raise CslError.at(node.args[0].span, f"{kind} is no type of descriptors: {', '.join(map(str, t.DSDS))} are")
    given = properties(frame, node.args[1], MEMORY if kind in MEMORY_KINDS else FABRIC, kind)
    if kind in MEMORY_KINDS:
        return memory_dsd(frame, kind, given, node)
    return fabric_dsd(frame, kind, given, node)


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
            raise CslError.at(node.span, f"a {kind} has no property {name}: known are {', '.join(known)}")
    return given


class Access:
    """An affine tensor access: base + offset bytes, and (extent, stride in bytes) of each index."""

    def __init__(self, base: ir.Value, item: int):
        self.base, self.item = base, item
        self.offset = 0
        self.circle: int | None = None  # elements after which a circular buffer begins again
        self.extents: list[Value] = []
        self.strides: list[int] = []


def memory_dsd(frame: Frame, kind: t.DsdType, given: dict[str, Any], node: ast.BuiltinCall) -> Value:
    if "tensor_access" in given:
        if not isinstance(given["tensor_access"], ast.TensorAccess):
            raise CslError.at(node.args[1].span, ".tensor_access is of the form |i|{n} -> A[i]")
        access = tensor_access(frame, given["tensor_access"])
    elif "base_address" in given:
        base, size = base_of(frame, given["base_address"], node)
        access = Access(base, size)
        access.extents = [value_of(frame, given["extent"], node)] if "extent" in given else [Val(t.COMPTIME_INT, 1)]
        stride = concrete_of(frame, given["stride"], node) if "stride" in given else 1
        access.strides = [stride * size]
        access.offset = concrete_of(frame, given["offset"], node) * size if "offset" in given else 0
    else:
        raise CslError.at(node.span, f"a {kind} needs .tensor_access or .base_address and .extent")
    if kind is t.CIRCBUF:
        access.circle = (
            concrete_of(frame, given["wraparound"], node) if "wraparound" in given else buffer_size(frame, given)
        )
    if kind is not t.MEM4D and len(access.extents) > 1:
        raise CslError.at(node.span, f"{len(access.extents)} indices make a mem4d_dsd, not a {kind}")
    if len(access.extents) > 4:
        raise CslError.at(node.span, "a mem4d_dsd has at most four indices")
    if access.item not in SIZES:
        raise CslError.at(node.span, f"descriptors are of elements of 2 or 4 bytes, not of {access.item}")
    flags = {name: bool(concrete_of(frame, given[key], node)) for name, key in
             (("index", "wavelet_index_offset"), ("save_address", "save_address")) if key in given}  # fmt: skip
    return finish_memory(frame, kind, access, flags, node)


def buffer_size(frame: Frame, given: dict[str, Any]) -> int | None:
    """Elements of the array that a descriptor is over, if it is one."""
    base = given.get("base_address")
    kind = (base if isinstance(base, Val) else frame.expr(base)).type if base is not None else None
    array = kind.elem if isinstance(kind, t.PointerType) else kind
    return array.count if isinstance(array, t.ArrayType) else None


def finish_memory(frame: Frame, kind: t.DsdType, access: Access, flags: dict[str, Any], node: ast.BuiltinCall) -> Value:
    extents: list[Any] = [
        e.data if isinstance(e, Val) and not isinstance(e.data, Sym) else None for e in access.extents
    ]
    for extent in extents:
        if extent is not None and not 0 <= extent <= ir.INFINITE:
            raise CslError.at(node.span, f"an extent is 0 to {ir.INFINITE}, not {extent}")
    length = 1
    for extent in extents:
        length *= extent if extent is not None else 0
    fixed = access.base if isinstance(access.base, ir.Addr | ir.Const) else None
    dsd = ir.Dsd(kind.kind, moved(fixed, access.offset), length, access.strides[-1], access.item, **flags)
    if kind is t.CIRCBUF:
        if fixed is None or not isinstance(fixed, ir.Addr):
            raise CslError.at(node.span, "the buffer of a circbuf_dsd must be known at compile time")
        size = access.circle if access.circle is not None else length
        dsd = replace(dsd, circle=(fixed, size * access.item))
    if kind is t.MEM4D:
        if None in extents:
            raise CslError.at(node.span, "the extents of a mem4d_dsd must be known at compile time")
        dsd = replace(dsd, extents=tuple(extents), strides=tuple(access.strides))
    made: Value = Val(kind, dsd)
    if fixed is None:
        made = edited(made, "base", access.base)
        if access.offset:
            made = edited(made, "advance", ir.Const("u16", access.offset & 0xFFFF))
    if None in extents:
        made = edited(made, "length", frame.operand(as_u16(frame, access.extents[0], node.span), node.span))
    return made


def base_of(frame: Frame, given: Any, node: ast.BuiltinCall) -> tuple[ir.Value, int]:
    if isinstance(given, Val):
        kind = given.type
        if not isinstance(kind, t.PointerType):
            raise CslError.at(node.span, f".base_address is a pointer, not {describe(given)}")
        elem = kind.elem.elem if isinstance(kind.elem, t.ArrayType) else kind.elem
        return constant_address(frame, given, node.span), elem.size or 0
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


def tensor_access(frame: Frame, node: ast.TensorAccess) -> Access:
    """Finds base, offset and strides by evaluating the element at a few points."""
    if len(node.names) != len(node.bounds):
        raise CslError.at(node.span, f"{len(node.names)} indices have {len(node.bounds)} extents")
    if not isinstance(node.body, ast.Index):
        raise CslError.at(node.body.span, "an element of an array was expected, such as A[i]")
    where = frame.lvalue(node.body.base)
    base, item, dims = array_base(frame, where, node.body)
    access = Access(base, item)
    for bound in node.bounds:
        value = frame.expr(bound)
        if not t.is_integral(value.type):
            raise CslError.at(bound.span, f"an extent must be an integer, not a value of type {value.type}")
        access.extents.append(value)

    def at(point: list[int]) -> int:
        return element_number(frame, node, point, dims) * item

    n = len(node.names)
    access.offset = at([0] * n)
    access.strides = [at([int(k == i) for k in range(n)]) - access.offset for i in range(n)]
    corner = [concrete(e) - 1 if isinstance(e, Val) and not isinstance(e.data, Sym) else 2 for e in access.extents]
    corner = [c if c > 0 else 2 for c in corner]
    if at(corner) != access.offset + sum(c * s for c, s in zip(corner, access.strides, strict=True)):
        raise CslError.at(node.body.span, "the index must be affine: a sum of constants and multiples of the indices")
    return access


def array_base(frame: Frame, where: Any, node: ast.Index) -> tuple[ir.Value, int, tuple[int, ...]]:
    """Address, bytes of an element and lengths of what a tensor access indexes."""
    kind = where.type
    if isinstance(kind, t.PointerType):
        pointer = load(frame, where, node.base.span)
        array = kind.elem if not kind.many and isinstance(kind.elem, t.ArrayType) else None
        elem = array.elem if array is not None else kind.elem
        return constant_address(frame, pointer, node.base.span), elem.size or 0, array.dims if array else (0,)
    if isinstance(where, Val) and isinstance(kind, t.ArrayType):
        where = frame.unit.constant(where, node.base.span)
    if isinstance(where, GlobalVar):
        where = memory_of(frame, where)
    if isinstance(where, Mem) and isinstance(where.type, t.ArrayType):
        return address(frame, where), where.type.elem.size or 0, where.type.dims
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


def fabric_dsd(frame: Frame, kind: t.DsdType, given: dict[str, Any], node: ast.BuiltinCall) -> Value:
    def known(name: str, want: Type) -> Any:
        item = given[name]
        if isinstance(item, Val):
            return concrete(frame.coerce(item, want, node.span))
        return frame.number(item, want)

    queue_name, queue_type = ("input_queue", t.INPUT_QUEUE) if kind is t.FABIN else ("output_queue", t.OUTPUT_QUEUE)
    color = known("fabric_color", t.COLOR) if "fabric_color" in given else None
    queue = known(queue_name, queue_type) if queue_name in given else None
    if queue is None and color is None:
        raise CslError.at(node.span, f"a {kind} needs .{queue_name} or .fabric_color")
    if queue is None:
        queue = frame.unit.queue_for(kind is t.FABIN, color)
    extent = value_of(frame, given["extent"], node) if "extent" in given else Val(t.COMPTIME_INT, ir.INFINITE)
    length = 0
    if isinstance(extent, Val) and not isinstance(extent.data, Sym):
        length = extent.data
        if not 0 <= length <= ir.INFINITE:
            raise CslError.at(node.span, f"an extent is 0 to {ir.INFINITE}, not {length}")
    if color is not None:
        frame.unit.queue_uses.setdefault((kind is t.FABIN, queue), (color, node.span))
    dsd = ir.Dsd(
        *(kind.kind, None, length),
        queue=queue,
        color=color,
        control="control" in given and known("control", t.BOOL),
        index="wavelet_index_offset" in given and known("wavelet_index_offset", t.BOOL),
        advance_switch="advance_switch" in given and known("advance_switch", t.BOOL),
        on_control=on_control(frame, given["on_control"], node) if "on_control" in given else None,
    )
    made = Val(kind, dsd)
    if isinstance(extent, Val) and not isinstance(extent.data, Sym):
        return made
    return edited(made, "length", frame.operand(as_u16(frame, extent, node.span), node.span))


# ---- explicit DSRs ----

DSR_FILES = {
    t.DSR_DEST: "dest", t.DSR_SRC0: "src0", t.DSR_SRC1: "src1", t.DSR_FIFO_DEST: "dest", t.DSR_FIFO_SRC1: "src1",
}  # fmt: skip
DSR_COUNT = {"dest": 16, "src0": 16, "src1": 32}


@builtin("@get_dsr", 2)
def get_dsr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    kind = frame.type(node.args[0])
    if kind not in DSR_FILES:
        raise CslError.at(node.args[0].span, f"{kind} is no kind of DSRs: dsr_dest, dsr_src0, dsr_src1 are")
    number = frame.number(node.args[1], t.COMPTIME_INT)
    count = DSR_COUNT[DSR_FILES[kind]]
    if not 0 <= number < count:
        raise CslError.at(node.args[1].span, f"there is no {kind} {number}: there are 0 to {count - 1}")
    return Val(kind, number)


def dsr_of(value: Val) -> ir.Dsr:
    return ir.Dsr(DSR_FILES[value.type], concrete(value))


def extended(name: str, kind: Type, count: int) -> None:
    """@get_xdsr, @get_sr: registers that belong to descriptors of several dimensions, FIFOs and circular buffers.
    The code generator gives every such descriptor its own; the numbers are checked and otherwise not needed."""

    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        number = frame.number(node.args[0], t.COMPTIME_INT)
        if not 0 <= number < count:
            raise CslError.at(node.args[0].span, f"there is no {kind} {number}: there are 0 to {count - 1}")
        return Val(kind, number)

    builtin(name, 1)(make)


extended("@get_xdsr", t.XDSR, 16)
extended("@get_sr", t.SR, 16)


def load_extended(count: int) -> Any:
    """@load_to_dsr with further registers between the DSR and the descriptor."""

    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        at = next((i for i, arg in enumerate(node.args[1:], 1) if is_descriptor_type(frame.expr(arg).type)), None)
        if at is None or at < count:
            raise CslError.at(
                node.span, f"{node.name} takes a DSR, further registers, a descriptor and perhaps options"
            )
        for arg in node.args[1:at]:
            frame.known(arg)
        return load_to_dsr(frame, ast.BuiltinCall(node.span, "@load_to_dsr", [node.args[0], *node.args[at:]]), want)

    return make


def is_descriptor_type(kind: Type) -> bool:
    return isinstance(kind, t.DsdType) or kind is t.FIFO


builtin("@load_to_dsr_xdsr", 3, 4)(load_extended(2))
builtin("@load_to_dsr_xdsr_sr", 4, None)(load_extended(3))


@builtin("@load_to_dsr", 2, 3)
def load_to_dsr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    if frame.build is None:
        frame.unit.deferred.append(lambda: startup_load(frame, node))
        return VOID
    dsr = frame.known(node.args[0])
    if dsr.type not in DSR_FILES:
        raise CslError.at(node.args[0].span, f"a DSR was expected, not {describe(dsr)}")
    value = frame.expr(node.args[1])
    if not isinstance(value.type, t.DsdType) and value.type is not t.FIFO:
        shown = describe(value) if isinstance(value, Val) else f"a value of type {value.type}"
        raise CslError.at(node.args[1].span, f"a descriptor was expected, not {shown}")
    given = options(frame, node.args[2]) if len(node.args) > 2 else None
    then, save = (given.then, given.save_address) if given is not None else (ir.Then(), False)
    frame.emit(ir.LoadDsr(dsr_of(dsr), descriptor_operand(frame, value, node.args[1].span), then, save))
    return VOID


def startup_load(frame: Frame, node: ast.BuiltinCall) -> None:
    """@load_to_dsr in a comptime block: before the first task."""
    inner = frame.unit.startup_frame(frame)
    inner.run(ast.ExprStmt(node.span, node))


def descriptor_operand(frame: Frame, value: Value, span: Span) -> Any:
    """A descriptor as an operand of an instruction."""
    if isinstance(value, Val):
        if isinstance(value.data, ir.Dsd):
            return value.data
        if isinstance(value.data, FifoVal):
            return ir.FifoRef(value.data.name)
        if value.type in DSR_FILES:
            return dsr_of(value)
    elif isinstance(value, Mem) and isinstance(value.type, t.DsdType):
        return dsd_var(frame, value)
    elif isinstance(value, DsdEdit):
        memory = frame.unit.local(frame, value.type, "dsd", span, item=value.item)
        store_dsd(frame, memory, value, span)
        return dsd_var(frame, memory)
    raise CslError.at(span, f"a descriptor was expected, not a value of type {value.type}")


# ---- FIFOs ----


@builtin("@allocate_fifo", 1, 2)
def allocate_fifo(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    if frame.build is not None:
        raise CslError.at(
            node.span, "@allocate_fifo is evaluated at compile time: make it the value of a global constant"
        )
    where = frame.lvalue(node.args[0])
    if not isinstance(where, GlobalVar) or not isinstance(where.type, t.ArrayType) or where.type.elem.size not in SIZES:
        raise CslError.at(node.args[0].span, "a global array of elements of 2 or 4 bytes was expected")
    name = frame.unit.unique(f"fifo.{where.symbol}")
    fifo = ir.Fifo(name, frame.unit.use(where), where.type.elem.size or 4, where.type.count)
    if len(node.args) > 1:
        frame.unit.deferred.append(lambda: fifo_options(frame, fifo, node.args[1]))
    frame.unit.out.fifos.append(fifo)
    return Val(t.FIFO, FifoVal(name, where.type.elem.size or 4))


def fifo_options(frame: Frame, fifo: ir.Fifo, node: ast.Node) -> None:
    for name, value in struct_items(frame, node).items():
        if name not in ("activate_push", "activate_pop"):
            raise CslError.at(node.span, f"a FIFO has no option {name}: known are activate_push, activate_pop")
        setattr(fifo, name, task_number(frame, value, node.span))


def no_fifo_length(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    raise CslError.at(
        node.span,
        f"{node.name} is not supported: an operation on a FIFO is as long as its other operand; "
        "give that descriptor the extent",
    )


builtin("@set_fifo_read_length", 2)(no_fifo_length)
builtin("@set_fifo_write_length", 2)(no_fifo_length)
