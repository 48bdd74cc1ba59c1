"""Lvalues: reading and writing variables and memory, addresses, elements and members."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError, NotKnown, Span
from . import types as t
from .convert import bits_of, describe, from_bits, refuse_inline
from .frame import Frame, lvalue
from .suggest import did_you_mean, suggestion
from .types import Type
from .values import (
    BitField,
    Cell,
    DsdEdit,
    ElementRef,
    FnRef,
    GlobalVar,
    Mem,
    OneByOne,
    Parts,
    Ptr,
    RegVar,
    Run,
    Sym,
    Val,
    Value,
    concrete,
    copy_of,
    element,
)
from .widths import extract, insert

# ---- reading ----


def load(frame: Frame, where: Any, span: Span | None) -> Value:
    """The value of an lvalue; a value is returned as it is."""
    match where:
        case Val() | Run() | DsdEdit():
            return where
        case Parts():
            return Parts(where.type, [load(frame, item, span) for item in where.items])
        case RegVar():
            return Run(where.type, where.reg)
        case Cell():
            if where.value is None:
                raise CslError.at(span, "this variable is read before it has a value")
            return where.value
        case GlobalVar():
            return load_global(frame, where, span)
        case ElementRef():
            return load_elem(where)
        case BitField():
            whole = load(frame, where.base, span)
            return extract(frame, whole.type, where.name, frame.operand(whole, span), span)
        case Mem():
            if where.type.ir is None:
                return where
            build = frame.need_run(span, "reading run-time memory")
            frame.unit.program.check_fp16(where.type, span)
            reg = build.reg(where.type.ir)
            build.emit(ir.Load(reg, where.where, where.rest))
            return Run(where.type, reg)
    raise AssertionError(where)


def load_global(frame: Frame, var: GlobalVar, span: Span | None) -> Value:
    if frame.build is not None and (var.mutable or var.extern) and not var.type.is_comptime:
        return load(frame, memory_of(frame, var), span)
    if frame.within and var.mutable and not var.type.is_comptime:
        raise NotKnown.at(span, f"the value of variable {var.display} is not known at compile time")
    if var.value is None:
        if var.extern:
            raise CslError.at(span, f"the value of extern {var.display} is not known at compile time")
        raise CslError.at(span, f"{var.display} has no value at compile time")
    if var.mutable and not var.type.is_comptime and frame.unit.layout is None and not frame.instance.library:
        words = f"variable {var.display} is read at compile time, which gives its initial value"
        frame.unit.program.findings.warn(span, f"{words}: declare it with const if no code changes it")
    return var.value


def load_elem(where: ElementRef) -> Val:
    container = where.container
    if isinstance(container, np.ndarray):
        data = container[where.key]
        return Val(where.type, data.item() if isinstance(data, np.generic) else data)
    return container[where.key]


def memory_of(frame: Frame, var: GlobalVar, offset: int = 0) -> Mem:
    """The run-time memory of a variable."""
    if var.type.is_comptime:
        raise CslError.at(
            var.span, f"{var.display} of type {var.type} does not exist at run time: {t.absence(var.type)}"
        )
    frame.unit.program.check_fp16(var.type, var.span)
    return Mem(var.type, ir.Addr(frame.unit.use(var)), offset, not var.mutable)


# ---- changing ----


def store(frame: Frame, where: Any, value: Value, span: Span | None) -> None:
    """Writes an lvalue, converting the value to its type."""
    match where:
        case Cell():
            store_cell(frame, where, value, span)
        case ElementRef():
            store_elem(frame, where, value, span)
        case RegVar():
            if not where.mutable:
                raise CslError.at(span, "a constant cannot be changed")
            build = frame.need_run(span, "changing a run-time variable")
            build.emit(ir.Copy(where.reg, frame.operand(value, span, where.type)))
        case GlobalVar():
            store_global(frame, where, value, span)
        case BitField():
            whole = load(frame, where.base, span)
            store(
                frame, where.base, insert(frame, whole.type, where.name, frame.operand(whole, span), value, span), span
            )
        case Mem():
            if where.const:
                raise CslError.at(span, "a constant cannot be changed")
            store_mem(frame, where, value, span)
        case _:
            raise CslError.at(span, "this cannot be changed: it is a value, not a variable")


def store_cell(frame: Frame, cell: Cell, value: Value, span: Span | None) -> None:
    if not cell.mutable:
        raise CslError.at(span, "a constant cannot be changed")
    if not isinstance(value, Val):
        raise CslError.at(
            span,
            "this variable exists at compile time only, the value is a run-time one",
            (None, "give the variable a type that exists at run time"),
        )
    check_condition(frame, cell, span)
    if cell.type is not None:
        value = frame.coerce(value, cell.type, span)
    cell.value = frame.copied(value, span)


def check_condition(frame: Frame, cell: Cell, span: Span | None) -> None:
    """An error if it depends on the run whether the code that changes the variable is reached."""
    build = frame.build or frame.outer
    if build is not None and (build.depth > cell.depth or any(loop.left for loop in build.loops[cell.loops :])):
        raise CslError.at(
            span,
            "a compile-time variable cannot be changed under a run-time condition or in a run-time loop",
            (None, "give the variable a type that exists at run time"),
        )


def check_element(frame: Frame, node: ast.Node) -> None:
    """check_condition of the variable that an element or field is a part of."""
    root = node
    while isinstance(root, ast.Index | ast.Member):
        root = root.base
    cell = frame.lookup(root.name) if isinstance(root, ast.Ident) else None
    if isinstance(cell, Cell):
        check_condition(frame, cell, node.span)


def store_elem(frame: Frame, where: ElementRef, value: Value, span: Span | None) -> None:
    if not where.mutable:
        raise CslError.at(span, "a constant cannot be changed")
    if not isinstance(value, Val):
        raise CslError.at(span, "this variable exists at compile time only, the value is a run-time one")
    value = frame.coerce(value, where.type, span)
    if isinstance(where.container, np.ndarray):
        data = value.data
        where.container[where.key] = concrete(value) if isinstance(data, Sym) else data
    else:
        where.container[where.key] = frame.copied(value, span)


def store_global(frame: Frame, var: GlobalVar, value: Value, span: Span | None) -> None:
    if not var.mutable:
        raise CslError.at(span, f"{var.display} is a constant and cannot be changed")
    if frame.build is not None:
        store_mem(frame, memory_of(frame, var), value, span)
        return
    if frame.within and not var.type.is_comptime:
        raise NotKnown.at(span, f"variable {var.display} cannot be changed at compile time by code that runs later")
    value = frame.coerce(value, var.type, span)
    if not isinstance(value, Val):
        raise CslError.at(span, "this value is not known at compile time")
    if frame.unit.layout is not None and frame.unit.layout.journal is not None:
        raise OneByOne
    var.value, var.undefined = copy_of(value), False


def store_mem(frame: Frame, where: Mem, value: Value, span: Span | None) -> None:
    build = frame.need_run(span, "changing run-time memory")
    kind = where.type
    if kind.ir is not None:
        build.emit(ir.Store(where.where, frame.operand(value, span, kind), where.rest))
        return
    value = frame.coerce(value, kind, span)
    if isinstance(kind, t.OptionalType) and isinstance(value, Val):
        if value.data is not None:
            store_mem(frame, where.at(0, kind.elem), value.data, span)
        store_mem(frame, where.at(kind.flag, t.BOOL), Val(t.BOOL, value.data is not None), span)
    elif isinstance(kind, t.DsdType):
        store_dsd(frame, where, value, span)
    elif isinstance(value, Val) and isinstance(kind, t.StructType):
        for name, item in value.data.items():
            store_mem(frame, where.at(kind.offsets[name], kind.fields[name][0]), item, span)
    elif isinstance(value, Val | Mem):
        if isinstance(value, Val) and is_zero(value):
            build.emit(ir.Fill(address(frame, where), kind.size or 0))
            return
        source = memory_of(frame, frame.unit.constant(value, span)) if isinstance(value, Val) else value
        build.emit(ir.Fill(address(frame, where), kind.size or 0, address(frame, source)))
    else:
        raise CslError.at(span, f"a value of type {kind} cannot be stored")


def is_zero(value: Val) -> bool:
    data = value.data
    return isinstance(data, np.ndarray) and data.dtype != object and not data.tobytes().strip(b"\0")


def address(frame: Frame, where: Mem) -> ir.Value:
    """The address of memory as one value."""
    base, rest = where.where, where.rest
    if not rest:
        return base
    if isinstance(base, ir.Const):
        return ir.Const("ptr", (int(base.value) + rest) & 0xFFFF)
    build = frame.build
    assert build is not None
    reg = build.reg("ptr")
    build.emit(ir.Bin("add", reg, base, ir.Const("ptr", rest & 0xFFFF)))
    return reg


# ---- addresses ----


def address_of(frame: Frame, node: ast.Node, span: Span) -> Value:
    """&node"""
    where = frame.lvalue(node)
    if is_temporary(node):
        raise CslError.at(
            span,
            "a value has no address: only variables, and elements and fields of variables, have one",
            (None, "give the value to a const or var"),
        )
    if isinstance(where, Val) and isinstance(where.data, FnRef):
        refuse_inline(where.data, span)
        return Val(t.pointer_to(frame.unit.fn_type(where.data, span), const=True), where.data)
    if isinstance(where, BitField):
        raise packed_field(where.name, where.base.type, span)
    if isinstance(where, ElementRef | Val) and isinstance(node, ast.Index | ast.Member):
        place = place_of(frame, node)
        if place is not None:
            return Val(t.pointer_to(where.type, const=not place[0].mutable), Ptr(*place))
    if isinstance(where, Val):
        if where.type.is_comptime:
            raise CslError.at(span, f"{describe(where)} has no address")
        where = frame.unit.constant(where, span, node.name if isinstance(node, ast.Ident) else "")
    if isinstance(where, GlobalVar):
        return Val(t.pointer_to(where.type, const=not where.mutable), Ptr(where, 0))
    if isinstance(where, Cell):
        if frame.build is not None:
            raise CslError.at(span, "this variable exists at compile time only and has no address")
        if where.type is None:
            raise CslError.at(span, "this variable has no type and so no address")
        return Val(t.pointer_to(where.type, const=not where.mutable), Ptr(where, 0))
    if isinstance(where, Mem):
        kind = t.pointer_to(where.type, const=where.const)
        if isinstance(where.addr, ir.Addr):
            return Val(kind, Ptr(frame.unit.by_symbol[where.addr.symbol], where.addr.offset + where.offset))
        return Run(kind, address(frame, where))
    raise CslError.at(span, "this has no address: it is no variable, and no element of one")


def is_temporary(node: ast.Node) -> bool:
    """Whether an expression makes a new value: it is no name, what a pointer points to, or a part of these."""
    while True:
        match node:
            case ast.Index() | ast.Member():
                node = node.base
            case ast.BuiltinCall(name="@field"):
                node = node.args[0]
            case ast.Ident() | ast.Deref():
                return False
            case _:
                return True


def packed_field(name: str, kind: Type, span: Span) -> CslError:
    note = (None, "copy the field to a variable")
    return CslError.at(span, f"{name} is a field of {kind}, a packed struct, and has no address", note)


def place_of(frame: Frame, node: ast.Node) -> tuple[GlobalVar, int] | None:
    """The variable that an expression is a part of, and the offset in bytes; None if it is no part of one."""
    if isinstance(node, ast.Index | ast.Member):
        base = place_of(frame, node.base)
        if base is None:
            return root_of(frame, node)
        kind = frame.lvalue(node.base).type
        if isinstance(node, ast.Member) and isinstance(kind, t.StructType):
            if kind.packed:
                raise packed_field(node.name, kind, node.span)
            return (base[0], base[1] + kind.offsets[node.name]) if node.name in kind.offsets else None
        if isinstance(node, ast.Index) and isinstance(kind, t.ArrayType):
            key = [frame.number(index) for index in node.indices]
            return base[0], base[1] + int(np.ravel_multi_index(key, kind.dims)) * (kind.elem.size or 0)
        return None
    return root_of(frame, node)


def root_of(frame: Frame, node: ast.Node) -> tuple[GlobalVar, int] | None:
    """The variable, or the memory of an array or struct that is constant."""
    found = frame.lvalue(node)
    if isinstance(found, Val) and isinstance(found.type, t.ArrayType | t.StructType) and not found.type.is_comptime:
        found = frame.unit.constant(found, node.span, node.name if isinstance(node, ast.Ident) else "")
    return (found, 0) if isinstance(found, GlobalVar) else None


def pointee(frame: Frame, pointer: Value, kind: Type, span: Span | None) -> Any:
    """The lvalue of type `kind` that a pointer points to."""
    assert isinstance(pointer.type, t.PointerType)
    const = pointer.type.const
    if isinstance(pointer, Run):
        return Mem(kind, pointer.value, 0, const)
    ptr = pointer.data
    if isinstance(ptr, FnRef):
        return pointer
    if ptr.target is None:
        frame.need_run(span, "reading at an absolute address")
        return Mem(kind, ir.Const("ptr", ptr.offset & 0xFFFF), 0, const)
    if isinstance(ptr.target, GlobalVar) and (frame.build is not None):
        memory = memory_of(frame, ptr.target, ptr.offset)
        memory.type, memory.const = kind, const
        return memory
    target = ptr.target
    if target.type is kind and ptr.offset == 0:
        return target
    if isinstance(target.type, t.ArrayType) and target.value is not None and target.type.elem is kind and kind.size:
        index = ptr.offset // kind.size
        if not 0 <= index < target.type.count:
            raise CslError.at(span, f"this pointer lies outside of {target.type}")
        return ElementRef(kind, target.value.data, np.unravel_index(index, target.type.dims), not const)
    if isinstance(target, GlobalVar) and isinstance(kind, t.ArrayType):
        return target
    raise CslError.at(span, f"this pointer cannot be followed at compile time as {kind}")


# ---- lvalues of expressions ----


@lvalue(ast.Ident)
def ident_lvalue(frame: Frame, node: ast.Ident) -> Any:
    try:
        binding = frame.lookup(node.name)
    except CslError as error:
        for diagnostic in error.diagnostics:
            diagnostic.span = diagnostic.span or node.span
        raise
    if binding is None:
        raise unknown(frame, node)
    return binding


def unknown(frame: Frame, node: ast.Ident) -> CslError:
    return CslError.at(node.span, f"{node.name} is not declared{suggestion(frame, node.name)}")


@lvalue(ast.Deref)
def deref_lvalue(frame: Frame, node: ast.Deref) -> Any:
    pointer = load(frame, frame.lvalue(node.base), node.base.span)
    if not isinstance(pointer.type, t.PointerType):
        raise CslError.at(node.span, f".* needs a pointer, not a value of type {pointer.type}")
    if pointer.type.many:
        raise CslError.at(node.span, f"{pointer.type} points to many: index it, as in p[0]")
    if pointer.type.elem is t.ANYOPAQUE:
        raise CslError.at(
            node.span, f"what a {pointer.type} points to has no type: convert the pointer, as in @ptrcast(*i32, p).*"
        )
    return pointee(frame, pointer, pointer.type.elem, node.span)


@lvalue(ast.Index)
def index_lvalue(frame: Frame, node: ast.Index) -> Any:
    base = frame.lvalue(node.base)
    kind = base.type
    if isinstance(kind, t.PointerType):
        pointer = load(frame, base, node.base.span)
        if not kind.many:
            if not isinstance(kind.elem, t.ArrayType):
                raise CslError.at(node.span, f"a value of type {kind} cannot be indexed")
            base = pointee(frame, pointer, kind.elem, node.span)
            kind = kind.elem
        else:
            return index_pointer(frame, pointer, kind, node)
    if isinstance(base, Cell | GlobalVar | ElementRef | Val):
        return index_known(frame, base, node)
    if isinstance(base, Parts) and base.type.names is None and len(node.indices) == 1:
        at = frame.number(node.indices[0])
        check_index(at, len(base.items), node.indices[0].span, "this tuple")
        return base.items[at]
    if isinstance(base, Mem) and isinstance(kind, t.ArrayType):
        return index_mem(frame, base, kind, node)
    raise CslError.at(node.span, f"a value of type {kind} cannot be indexed")


def index_known(frame: Frame, base: Any, node: ast.Index) -> Any:
    at_run = isinstance(base, GlobalVar) and frame.build is not None and not base.type.is_comptime
    if at_run and (base.mutable or base.extern or base.value is None):
        return index_mem(frame, memory_of(frame, base), base.type, node)
    value = load(frame, base, node.base.span)
    assert isinstance(value, Val)
    mutable = base.mutable if isinstance(base, Cell | GlobalVar | ElementRef) else False
    if isinstance(value.data, list):
        if len(node.indices) != 1:
            raise CslError.at(node.span, "a tuple has one index")
        at = frame.number(node.indices[0])
        if not isinstance(at, int) or isinstance(at, bool):
            raise CslError.at(node.indices[0].span, "the index of a tuple must be an integer")
        check_index(at, len(value.data), node.indices[0].span, "this tuple")
        return ElementRef(value.data[at].type, value.data, at, mutable) if mutable else value.data[at]
    if not isinstance(value.type, t.ArrayType):
        raise CslError.at(node.span, f"a value of type {value.type} cannot be indexed")
    indices = [frame.expr(index) for index in node.indices]
    if not all(isinstance(index, Val) for index in indices):
        if isinstance(base, Cell):
            raise CslError.at(node.span, "an array of compile time cannot be indexed by a run-time value")
        var = base if isinstance(base, GlobalVar) else frame.unit.constant(value, node.span)
        return index_mem(frame, memory_of(frame, var), value.type, node, indices)
    dims = dims_of(value.type, indices, node)
    key = []
    for index, n, where in zip(indices, dims, node.indices, strict=True):
        if not t.is_integral(index.type):
            raise CslError.at(where.span, f"an index must be an integer, not {describe(index)}")
        at = concrete(index)
        check_index(at, n, where.span, str(value.type))
        key.append(at)
    if len(key) != len(value.type.dims):
        key = list(np.unravel_index(key[0], value.type.dims))
    return ElementRef(value.type.elem, value.data, tuple(key), mutable) if mutable else element(value, tuple(key))


def dims_of(kind: t.ArrayType, indices: list, node: ast.Index) -> tuple[int, ...]:
    """The lengths that the indices are of."""
    if len(indices) != len(kind.dims):
        hint = ": write all between one pair of brackets, as in a[i, j]" if len(indices) == 1 else ""
        raise CslError.at(node.span, f"{kind} has {len(kind.dims)} indices, not {len(indices)}{hint}")
    return kind.dims


def check_index(at: int, n: int, span: Span, what: str) -> None:
    if not 0 <= at < n:
        raise CslError.at(span, f"index {at} is outside of {what}, which has 0 to {n - 1}")


def index_pointer(frame: Frame, pointer: Value, kind: t.PointerType, node: ast.Index) -> Any:
    """p[i] of a pointer to many."""
    if len(node.indices) != 1:
        raise CslError.at(node.span, f"{kind} has one index, not {len(node.indices)}")
    index = frame.expr(node.indices[0])
    if not t.is_integral(index.type):
        raise CslError.at(node.indices[0].span, f"an index must be an integer, not a value of type {index.type}")
    size = kind.elem.size
    if size is None:
        raise CslError.at(node.span, f"values of type {kind.elem} have no size")
    if isinstance(pointer, Val) and isinstance(index, Val) and isinstance(pointer.data, Ptr):
        check_pointed(pointer.data, concrete(index), kind, node.indices[0].span)
        moved = Val(kind, Ptr(pointer.data.target, pointer.data.offset + concrete(index) * size))
        return pointee(frame, moved, kind.elem, node.span)
    frame.need_run(node.span, "indexing by a run-time value")
    base = Mem(kind.elem, frame.operand(pointer, node.span), 0, kind.const)
    return offset_by(frame, base, kind.elem, index, size, node.indices[0].span)


def check_pointed(ptr: Ptr, at: int, kind: t.PointerType, span: Span) -> None:
    """An error if an element lies outside of the variable that is pointed into."""
    size = kind.elem.size or 0
    if isinstance(ptr.target, GlobalVar) and ptr.target.type.size is not None and not ptr.target.extern:
        before, behind = ptr.offset // max(size, 1), (ptr.target.type.size - ptr.offset) // max(size, 1)
        if not -before <= at < behind:
            what = f"{ptr.target.display} of type {ptr.target.type}"
            raise CslError.at(span, f"index {at} is outside of {what}, in which this pointer has {behind} elements")


def index_mem(frame: Frame, base: Mem, kind: Type, node: ast.Index, indices: list | None = None) -> Mem:
    """An element of an array in memory: one shift and one addition where all but one index are known."""
    if not isinstance(kind, t.ArrayType):
        raise CslError.at(node.span, f"a value of type {kind} cannot be indexed")
    if indices is None:
        indices = [frame.expr(index) for index in node.indices]
    dims = dims_of(kind, indices, node)
    size = kind.elem.size or 0
    stride, where = size * kind.count, base
    for index, n, at in zip(indices, dims, node.indices, strict=True):
        stride //= max(n, 1)
        if isinstance(index, Val) and not isinstance(index.data, Sym) and t.is_integral(index.type):
            check_index(index.data, n, at.span, str(kind))
    stride = size * kind.count
    for index, n, at in zip(indices, dims, node.indices, strict=True):
        stride //= max(n, 1)
        where = offset_by(frame, where, kind.elem, index, stride, at.span)
    return Mem(kind.elem, where.addr, where.offset, base.const)


def offset_by(frame: Frame, base: Mem, kind: Type, index: Value, size: int, span: Span) -> Mem:
    """base + index * size bytes."""
    if not t.is_integral(index.type):
        raise CslError.at(span, f"an index must be an integer, not a value of type {index.type}")
    if isinstance(index, Val) and not isinstance(index.data, Sym):
        made = base.at(index.data * size, kind)
        made.const = base.const
        return made
    build = frame.need_run(span, "indexing by a run-time value")
    if isinstance(index, Val):
        index = Val(t.I32 if index.type is t.COMPTIME_INT else index.type, index.data)
    scaled = build.reg("ptr")
    build.emit(ir.Convert(scaled, frame.operand(index, span)))
    if size != 1:
        product = build.reg("ptr")
        if size & (size - 1) == 0 and size:
            build.emit(ir.Bin("shl", product, scaled, ir.Const("ptr", size.bit_length() - 1)))
        else:
            build.emit(ir.Bin("mul", product, scaled, ir.Const("ptr", size & 0xFFFF)))
        scaled = product
    total = build.reg("ptr")
    build.emit(ir.Bin("add", total, scaled, base.where))
    return Mem(kind, total, base.rest, base.const)


@lvalue(ast.Member)
def member_lvalue(frame: Frame, node: ast.Member) -> Any:
    return member(frame, frame.lvalue(node.base), node)


# ---- descriptors in memory ----


def same_memory(a: Mem, b: Mem) -> bool:
    return a.where == b.where and a.rest == b.rest


def dsd_var(frame: Frame, where: Mem) -> ir.DsdVar:
    assert isinstance(where.type, t.DsdType)
    return ir.DsdVar(where.type.kind, address(frame, where))


def store_dsd(frame: Frame, where: Mem, value: Value, span: Span | None) -> None:
    """Writes a descriptor to memory; fields of one that is changed in place alone are written alone."""
    build = frame.build
    assert build is not None
    target = dsd_var(frame, where)
    source = value.base if isinstance(value, DsdEdit) else value
    if isinstance(source, Val):
        build.emit(ir.DsdCopy(target, constant_dsd(source, span)))
    elif isinstance(source, Mem):
        if not same_memory(source, where):
            build.emit(ir.DsdCopy(target, dsd_var(frame, source)))
    else:
        raise CslError.at(span, f"a descriptor was expected, not a value of type {source.type}")
    if isinstance(value, DsdEdit):
        for name, item in value.edits:
            build.emit(ir.DsdSet(target, name, item))


def constant_dsd(value: Val, span: Span | None) -> ir.Dsd:
    if not isinstance(value.data, ir.Dsd):
        raise CslError.at(span, f"a descriptor was expected, not {describe(value)}")
    return value.data


# ---- members: names of a module, fields of a struct, members of an enum ----


def member(frame: Frame, base: Any, node: ast.Member) -> Any:
    """The lvalue or value of base.name."""
    kind = base.type
    if isinstance(kind, t.PointerType) and not kind.many and not isinstance(kind.elem, t.FnType):
        base = pointee(frame, load(frame, base, node.base.span), kind.elem, node.span)
        kind = base.type
    if isinstance(base, GlobalVar) and frame.build is not None and base.mutable and not kind.is_comptime:
        base = memory_of(frame, base)
    if isinstance(base, Parts):
        if base.type.names is None and node.name == "len":
            return Val(t.COMPTIME_INT, len(base.items))
        if base.type.names is None or node.name not in base.type.names:
            raise CslError.at(node.span, f"a value of type {kind} has no field {node.name}")
        return base.items[base.type.names.index(node.name)]
    if isinstance(kind, t.StructType) and kind.packed and isinstance(base, Run | RegVar | Mem | BitField):
        return member_of_packed(frame, base, kind, node)
    if isinstance(base, Mem):
        return member_of_memory(base, node)
    if isinstance(base, Run) or not isinstance(base, Val | Cell | ElementRef | GlobalVar):
        raise CslError.at(node.span, f"a value of type {kind} has no members")
    value = load(frame, base, node.base.span)
    assert isinstance(value, Val)
    if value.type is t.MODULE:
        return member_of_module(value, node)
    if value.type is t.TYPE:
        return member_of_type(value.data, node)
    if isinstance(kind, t.StructType) and kind.union and node.name in kind.fields and node.name not in value.data:
        reinterpret(value, node)
    if isinstance(value.data, dict):
        if node.name not in value.data:
            what = "this struct" if value.type is t.STRUCT else str(value.type)
            raise CslError.at(node.span, f"{what} has no field {node.name}{did_you_mean(node.name, value.data, 40)}")
        if isinstance(base, Cell | ElementRef | GlobalVar) and base.mutable:
            return ElementRef(value.data[node.name].type, value.data, node.name, True)
        return value.data[node.name]
    if value.type is t.TENSOR_ACCESS:
        return value.data.field(node.name, node.span)
    if isinstance(value.type, t.ArrayType) and node.name == "len":
        return Val(t.COMPTIME_INT, value.type.count)
    if isinstance(value.data, list) and node.name == "len":
        return Val(t.COMPTIME_INT, len(value.data))
    raise CslError.at(node.span, f"{describe(value)} has no member {node.name}")


def member_of_memory(base: Mem, node: ast.Member) -> Any:
    kind = base.type
    if isinstance(kind, t.ArrayType) and node.name == "len":
        return Val(t.COMPTIME_INT, kind.count)
    if not isinstance(kind, t.StructType):
        raise CslError.at(node.span, f"a value of type {kind} has no members")
    if node.name not in kind.fields:
        raise CslError.at(node.span, f"{kind} has no field {node.name}{did_you_mean(node.name, kind.fields, 40)}")
    if node.name not in kind.offsets:
        raise CslError.at(node.span, f"the field {node.name} of {kind} exists at compile time only")
    made = base.at(kind.offsets[node.name], kind.fields[node.name][0])
    made.const = base.const
    return made


def member_of_packed(frame: Frame, base: Any, kind: t.StructType, node: ast.Member) -> Any:
    if node.name not in kind.fields:
        raise CslError.at(node.span, f"{kind} has no field {node.name}{did_you_mean(node.name, kind.fields, 40)}")
    if isinstance(base, Run):
        return extract(frame, kind, node.name, base.value, node.span)
    return BitField(kind.fields[node.name][0], base, node.name)


def reinterpret(value: Val, node: ast.Member) -> None:
    """Makes the bits of a union's field those of another field, which is read or changed at compile time."""
    kind = value.type
    active, held = next(iter(value.data.items()))
    wanted = kind.fields[node.name][0]
    if not kind.layout:
        raise CslError.at(
            node.span,
            f"the union holds field {active}, not {node.name}",
            (None, "in an extern or packed union, another field is the same bits"),
        )
    bits = bits_of(held)
    if bits is None or t.bit_width(wanted) is None or t.bit_width(wanted) != t.bit_width(held.type):
        raise CslError.at(
            node.span, f"the union holds field {active}: reading it as {node.name} is possible at run time only"
        )
    del value.data[active]
    value.data[node.name] = from_bits(wanted, bits)


def member_of_module(module: Val, node: ast.Member) -> Any:
    instance = module.data
    found = instance.resolve(node.name)
    if found is None:
        hint = did_you_mean(node.name, instance.file.decls)
        raise CslError.at(node.span, f"{instance.file.source.path} declares no {node.name}{hint}")
    return found


def member_of_type(kind: t.Type, node: ast.Member) -> Val:
    if isinstance(kind, t.EnumType):
        if node.name not in kind.members:
            hint = did_you_mean(node.name, kind.members, 40)
            raise CslError.at(node.span, f"{kind} has no member {node.name}{hint}")
        return Val(kind, kind.members[node.name])
    raise CslError.at(node.span, f"type {kind} has no members")
