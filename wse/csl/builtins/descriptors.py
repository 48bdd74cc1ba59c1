"""What the builtins of descriptors share: descriptors as operands, changed fields, addresses and sizes in bytes."""

from __future__ import annotations

from typing import Any

from ...machine.parameters import Machine
from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe
from ..sema.frame import Frame
from ..sema.lvalues import address, dsd_var, load, memory_of, store_dsd
from ..sema.types import Type
from ..sema.values import DsdEdit, FifoVal, GlobalVar, Mem, Ptr, Sym, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .options import as_u16

SIZES = {2: 2, 4: 4}
MEMORY_KINDS = (t.MEM1D, t.MEM4D, t.CIRCBUF)
DSR_FILES = {
    t.DSR_DEST: "dest", t.DSR_SRC0: "src0", t.DSR_SRC1: "src1", t.DSR_FIFO_DEST: "dest", t.DSR_FIFO_SRC1: "src1",
}  # fmt: skip


# ---- kinds ----


def is_dsd(kind: Type) -> bool:
    return isinstance(kind, t.DsdType) or kind is t.FIFO


def is_descriptor(value: Value) -> bool:
    """A DSD, a FIFO or a DSR."""
    return is_dsd(value.type) or value.type in DSR_FILES


def shown(value: Value) -> str:
    """The value for a message."""
    return describe(value) if isinstance(value, Val) else f"a value of type {value.type}"


def is_fixed(value: Value) -> bool:
    """Whether it is known at compile time and the same for all PEs that are compiled together."""
    return isinstance(value, Val) and not isinstance(value.data, Sym)


def descriptor(frame: Frame, node: ast.Node, *kinds: Type) -> Value:
    """An argument that is a descriptor of one of these types."""
    value = frame.expr(node)
    if value.type not in kinds:
        wanted = " or ".join(map(str, kinds))
        raise CslError.at(node.span, f"a descriptor of type {wanted} was expected, not {shown(value)}")
    return value


def integer(frame: Frame, node: ast.Node) -> Value:
    value = frame.expr(node)
    if not t.is_integral(value.type):
        raise CslError.at(node.span, f"an integer was expected, not a value of type {value.type}")
    return value


# ---- changed fields ----


def edited(value: Value, name: str, item: ir.Value) -> DsdEdit:
    """The descriptor with a field that is only known at run time."""
    if isinstance(value, DsdEdit):
        return DsdEdit(value.type, value.base, [*value.edits, (name, item)])
    assert isinstance(value, Val | Mem)
    return DsdEdit(value.type, value, [(name, item)])


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


def moved(base: ir.Addr | ir.Const | None, by: int) -> ir.Addr | ir.Const | None:
    if isinstance(base, ir.Addr):
        return ir.Addr(base.symbol, base.offset + by)
    return None if base is None else ir.Const("ptr", (int(base.value) + by) & 0xFFFF)


# ---- addresses ----


def base_address(frame: Frame, node: ast.Node) -> tuple[ir.Value, int, int | None]:
    """What a pointer or the name of an array stands for: address, bytes of an element, elements if that is known."""
    where = frame.lvalue(node)
    if isinstance(where.type, t.ArrayType):
        if isinstance(where, Val):
            where = frame.unit.constant(where, node.span)
        if isinstance(where, GlobalVar):
            where = memory_of(frame, where)
        if isinstance(where, Mem):
            return address(frame, where), where.type.elem.size or 0, where.type.count
    return pointer_address(frame, load(frame, where, node.span), node.span)


def pointer_address(frame: Frame, pointer: Value, span: Span) -> tuple[ir.Value, int, int | None]:
    kind = pointer.type
    if not isinstance(kind, t.PointerType):
        raise CslError.at(span, f"a pointer or an array was expected, not a value of type {kind}")
    array = kind.elem if isinstance(kind.elem, t.ArrayType) else None
    elem = array.elem if array is not None else kind.elem
    return constant_address(frame, pointer, span), elem.size or 0, array.count if array is not None else None


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


def check_buffer(frame: Frame, what: str, bytes: int, span: Span) -> None:
    """Refuses a buffer that no PE has memory for."""
    most = Machine.of(frame.unit.program.arch).sram_bytes
    if bytes > most:
        raise CslError.at(span, f"the buffer of {what} has {bytes:,} bytes: the memory of a PE has {most:,}")


# ---- operands ----


def dsr_of(value: Val) -> ir.Dsr:
    return ir.Dsr(DSR_FILES[value.type], concrete(value), value.type in (t.DSR_FIFO_DEST, t.DSR_FIFO_SRC1))


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
        memory = frame.unit.local(frame, value.type, "dsd", span)
        store_dsd(frame, memory, value, span)
        return dsd_var(frame, memory)
    raise CslError.at(span, f"a descriptor was expected, not a value of type {value.type}")
