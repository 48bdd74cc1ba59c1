"""Builtins of explicit DSRs and of FIFOs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe
from ..sema.frame import Frame
from ..sema.queues import Load
from ..sema.suggest import did_you_mean
from ..sema.types import Type
from ..sema.values import VOID, FifoVal, GlobalVar, Ptr, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .descriptors import DSR_FILES, SIZES, base_address, check_buffer, descriptor_operand, dsr_of, is_dsd, shown
from .fabric import extent_of, simd_mode
from .options import (
    ASYNCHRONOUS,
    LOAD_FIELDS,
    OF_LOADS,
    Given,
    as_u16,
    chosen,
    later_control,
    options,
    priority,
    struct_items,
)
from .table import Fields, builtin, in_code, leaves
from .tasks import PRIORITIES, activated_task

DSR_COUNT = {"dest": 16, "src0": 16, "src1": 32}
FIFO_FILES = (t.DSR_FIFO_DEST, t.DSR_FIFO_SRC1)


@builtin("@get_dsr", "T, number")
def get_dsr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A data structure register of the file T: dsr_dest, dsr_src0 or dsr_src1."""
    kind = frame.type(node.args[0])
    if kind not in DSR_FILES:
        raise CslError.at(node.args[0].span, f"{kind} is no kind of DSRs: {', '.join(map(str, DSR_FILES))} are")
    if kind in FIFO_FILES:
        given = frame.known(node.args[1])
        if given.type in DSR_FILES:
            if given.type in FIFO_FILES or DSR_FILES[given.type] != DSR_FILES[kind]:
                raise CslError.at(
                    node.args[1].span, f"a {kind} is made from a dsr_{DSR_FILES[kind]}, not {describe(given)}"
                )
            return Val(kind, concrete(given))
    number = frame.number(node.args[1], t.COMPTIME_INT)
    count = DSR_COUNT[DSR_FILES[kind]]
    if not 0 <= number < count:
        raise CslError.at(node.args[1].span, f"there is no {kind} {number}: there are 0 to {count - 1}")
    return Val(kind, number)


def extended(name: str, kind: Type, count: int) -> None:
    """@get_xdsr, @get_sr: registers that belong to descriptors of several dimensions, FIFOs and circular buffers.
    The code generator gives every such descriptor its own; the numbers are checked and otherwise not needed."""

    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        number = frame.number(node.args[0], t.COMPTIME_INT)
        if not 0 <= number < count:
            raise CslError.at(node.args[0].span, f"there is no {kind} {number}: there are 0 to {count - 1}")
        return Val(kind, number)

    builtin(name, "number", meaning=f"The {kind} of this number, 0 to {count - 1}.")(make)


extended("@get_xdsr", t.XDSR, 16)
extended("@get_sr", t.SR, 16)


# ---- loads ----


def register(frame: Frame, node: ast.Node, kind: Type) -> Val:
    value = frame.known(node)
    if value.type is not kind:
        raise CslError.at(node.span, f"a value of type {kind} was expected, not {describe(value)}")
    return value


def xdsr(frame: Frame, node: ast.BuiltinCall) -> None:
    """The XDSR of a load, noted: no FIFO may have it."""
    in_code(frame, node)
    number = concrete(register(frame, node.args[1], t.XDSR))
    frame.unit.dsrs.load("xdsr", number, Load("memory", False, False, False, node.span))


@builtin("@load_to_dsr_xdsr", "dsr, xdsr, dsd, options?", fields={"options": LOAD_FIELDS})
def load_to_dsr_xdsr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """`@load_to_dsr` of a circular buffer, with an XDSR before the descriptor."""
    xdsr(frame, node)
    call = ast.BuiltinCall(node.span, "@load_to_dsr", [node.args[0], *node.args[2:]])
    return load(frame, call, (t.CIRCBUF,))


@builtin("@load_to_dsr_xdsr_sr", "dsr, xdsr, srs, dsd, options?", fields={"options": LOAD_FIELDS})
def load_to_dsr_xdsr_sr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """`@load_to_dsr` of a mem4d_dsd, with an XDSR and a tuple of stride registers before the descriptor."""
    xdsr(frame, node)
    given = frame.known(node.args[2])
    registers = given.data if isinstance(given.data, list) else None
    if registers is None or any(item.type is not t.SR for item in registers):
        raise CslError.at(node.args[2].span, f"a tuple of stride registers was expected, not {describe(given)}")
    call = ast.BuiltinCall(node.span, "@load_to_dsr", [node.args[0], *node.args[3:]])
    return load(frame, call, (t.MEM4D,), len(registers))


def check_stride_registers(value: Value, given: int, span: Span) -> None:
    """Strides that need a register: those of all indices but the innermost one, and, if its stride is 1, the next."""
    needed = 3
    if isinstance(value, Val) and isinstance(value.data, ir.Dsd):
        dsd = value.data
        needed = max(0, len(dsd.extents) - 1 - (dsd.strides[-1] == dsd.item))
    if given != needed:
        raise CslError.at(span, f"this descriptor needs {needed} stride register{'s' * (needed != 1)}, not {given}")


@builtin("@load_to_dsr", "dsr, dsd, options?", fields={"options": LOAD_FIELDS})
def load_to_dsr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Loads a descriptor into a DSR."""
    return load(frame, node, (t.MEM1D, t.FABIN, t.FABOUT, t.FIFO))


def load(frame: Frame, node: ast.BuiltinCall, kinds: tuple[Type, ...], registers: int = 0) -> Value:
    """Loads a DSR; in a comptime block before the first task.  kinds: of descriptors.  registers: stride registers."""
    in_code(frame, node)
    if frame.build is None:
        frame.unit.deferred.append(lambda: load(frame.unit.startup_frame(frame), node, kinds, registers))
        return VOID
    dsr = frame.known(node.args[0])
    if dsr.type not in DSR_FILES:
        raise CslError.at(node.args[0].span, f"a DSR was expected, not {describe(dsr)}")
    value, span = frame.expr(node.args[1]), node.args[1].span
    if not is_dsd(value.type):
        raise CslError.at(span, f"a descriptor was expected, not {shown(value)}")
    check_kinds(dsr.type, value.type, kinds, span)
    if t.MEM4D in kinds:
        check_stride_registers(value, registers, node.span)
    given = options(frame, node.args[2], OF_LOADS) if len(node.args) > 2 else Given()
    check_load(given, value.type, node.args[-1].span)
    source = descriptor_operand(frame, value, span)
    if given.on_control is not None:
        if value.type is not t.FABIN:
            raise CslError.at(node.args[-1].span, f".on_control is of a fabin_dsd, not of a {value.type}")
        if isinstance(source, ir.Dsd) and given.control is None:
            source = replace(source, on_control=given.on_control)
    made = dsr_of(dsr)
    index = isinstance(source, ir.Dsd) and source.index
    simd = source.simd if isinstance(source, ir.Dsd) else None
    frame.unit.dsrs.load(
        made.file, made.number, Load(str(value.type), given.then.async_, given.single_step, index, node.span, simd)
    )
    control = later_control(given, isinstance(source, ir.Dsd))
    frame.emit(ir.LoadDsr(made, source, given.then, given.save_address, given.ut, given.task, *control))
    return VOID


def check_kinds(dsr: Type, kind: Type, kinds: tuple[Type, ...], span: Span) -> None:
    """Which descriptors a DSR takes."""
    if dsr in FIFO_FILES:
        raise CslError.at(span, "@allocate_fifo loads the DSRs of a FIFO: its options .dest, .src and .xdsr name them")
    if kind is t.MEM4D and kind not in kinds:
        raise CslError.at(span, "a mem4d_dsd needs an XDSR and stride registers: @load_to_dsr_xdsr_sr loads it")
    if kind is t.CIRCBUF and kind not in kinds:
        raise CslError.at(span, "a circbuf_dsd needs an XDSR: @load_to_dsr_xdsr loads it")
    if kind not in kinds:
        raise CslError.at(span, f"a {' or '.join(map(str, kinds))} was expected, not a {kind}: @load_to_dsr loads that")
    if kind is t.FABIN and DSR_FILES[dsr] == "dest":
        raise CslError.at(span, f"a fabin_dsd is a source: a {dsr} takes destinations")
    if kind is t.FABOUT and DSR_FILES[dsr] != "dest":
        raise CslError.at(span, f"a fabout_dsd is a destination: a {dsr} takes sources")


def check_load(given: Given, kind: Type, span: Span) -> None:
    """Which options go with which descriptor."""
    if not given.then.async_:
        for name in ASYNCHRONOUS:
            if name in given.names:
                raise CslError.at(span, f".{name} belongs to asynchronous operations: .async = true is missing")
    if given.then.async_ and kind in (t.MEM1D, t.MEM4D, t.CIRCBUF):
        if "ut_id" in given.names:
            return  # of an operation whose other operand is on the fabric
        raise CslError.at(span, f".async is of fabric descriptors, not of a {kind}")
    if given.save_address and kind not in (t.MEM1D, t.MEM4D, t.CIRCBUF):
        raise CslError.at(span, f".save_address is of descriptors over memory, not of a {kind}")


# ---- changes ----


def of_dsr(frame: Frame, node: ast.BuiltinCall) -> ir.Dsr:
    frame.need_run(node.span, node.name)
    dsr = frame.known(node.args[0])
    if dsr.type not in DSR_FILES:
        raise CslError.at(node.args[0].span, f"a DSR was expected, not {describe(dsr)}")
    return dsr_of(dsr)


@builtin("@set_dsr_length", "dsr, length")
def set_dsr_length(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Sets the length of the descriptor that a DSR holds."""
    dsr, span = of_dsr(frame, node), node.args[1].span
    length = as_u16(frame, extent_of(frame, node.args[1], span), span)
    frame.emit(ir.DsrSet(dsr, "length", frame.operand(length, span)))
    return VOID


@builtin("@set_dsr_base_addr", "dsr, base")
def set_dsr_base_addr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Sets the address of the descriptor over memory that a DSR holds."""
    dsr = of_dsr(frame, node)
    base = base_address(frame, node.args[1])[0]

    def check() -> None:
        for one in frame.unit.dsrs.of(dsr):
            if one.kind not in ("mem1d_dsd", "mem4d_dsd", "circbuf_dsd"):
                raise CslError.at(
                    node.span, f"the DSR is loaded with a {one.kind}, which has no address", (one.span, "loaded here")
                )

    frame.unit.deferred_checks.append(check)
    frame.emit(ir.DsrSet(dsr, "base", base))
    return VOID


# ---- FIFOs ----

FIFO_REGISTERS = {"dest": t.DSR_DEST, "src": t.DSR_SRC1, "xdsr": t.XDSR}
FIFO_FIELDS: Fields = {
    **leaves(("activate_push", "activate_pop")),
    **dict.fromkeys(("empty_action", "full_action"), leaves(ir.FIFO_ACTIONS)),
    "priority": leaves(PRIORITIES),
    "simd_mode": leaves(ir.SIMD_MODES),
    **leaves(FIFO_REGISTERS),
}


@builtin("@allocate_fifo", "buffer, options?", fields={"options": FIFO_FIELDS})
def allocate_fifo(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A FIFO in the memory of a global array. It stands as the value of a global constant."""
    if frame.build is not None:
        raise CslError.at(
            node.span, "@allocate_fifo is evaluated at compile time: make it the value of a global constant"
        )
    in_code(frame, node)
    where = buffer_of(frame, node.args[0])
    kind = where.type
    assert isinstance(kind, t.ArrayType)
    item = kind.elem.size or 4
    if where.align is not None and where.align < item:
        raise CslError.at(
            node.args[0].span,
            f"the buffer of a FIFO of {kind.elem} is aligned to {item} bytes or more, not to {where.align}",
            (where.span, "declared here"),
        )
    name = frame.unit.unique(f"fifo.{where.symbol}")
    fifo = ir.Fifo(name, frame.unit.use(where), item, kind.count * item // 2)
    if len(node.args) > 1:
        frame.unit.deferred.append(lambda: fifo_options(frame, fifo, node.args[1]))
    frame.unit.out.fifos.append(fifo)
    return Val(t.FIFO, FifoVal(name, item))


def buffer_of(frame: Frame, node: ast.Node) -> GlobalVar:
    """The variable that an array, or a pointer to one, names."""
    where = frame.lvalue(node)
    if isinstance(where, Val) and isinstance(where.data, Ptr):
        kind = where.type
        assert isinstance(kind, t.PointerType)
        whole = isinstance(where.data.target, GlobalVar) and where.data.target.type == kind.elem
        if whole and where.data.offset == 0:
            where = where.data.target
    kind = where.type
    if not isinstance(where, GlobalVar) or not isinstance(kind, t.ArrayType):
        what = "a global `var` that is an array, or a pointer to one, was expected"
        raise CslError.at(node.span, what + (f", not {describe(where)}" if isinstance(where, Val) else ""))
    if not t.is_number(kind.elem) or kind.elem.size not in SIZES:
        raise CslError.at(node.span, f"the elements of a FIFO are numbers of 16 or 32 bits, not {kind.elem}")
    if kind.count == 0:
        raise CslError.at(node.span, "the buffer of a FIFO has one element or more")
    check_buffer(frame, "a FIFO", kind.count * kind.elem.size, node.span)
    return where


def fifo_registers(frame: Frame, fifo: ir.Fifo, items: dict[str, Value], span: Span) -> None:
    """The DSRs and the XDSR that the program names for a FIFO: nothing else may have them."""
    given = [name for name in FIFO_REGISTERS if name in items]
    if not given:
        return
    if len(given) < len(FIFO_REGISTERS):
        raise CslError.at(span, ".dest, .src and .xdsr of a FIFO are given together, or none of them")
    for name, kind in FIFO_REGISTERS.items():
        if items[name].type is not kind or not isinstance(items[name], Val):
            raise CslError.at(span, f".{name} of a FIFO is a value of type {kind}")
    numbers = [concrete(items[name]) for name in ("dest", "src")]
    if numbers[0] != numbers[1]:
        raise CslError.at(span, f".dest and .src of a FIFO have the same number, not {numbers[0]} and {numbers[1]}")
    places = [("dest", numbers[0]), ("src1", numbers[0]), ("xdsr", concrete(items["xdsr"]))]
    for place in places:
        frame.unit.dsrs.load(*place, Load("fifo", False, False, False, span))
    fifo.register = numbers[0]

    def check() -> None:
        for file, number in places:
            for other in frame.unit.dsrs.loads[file, number]:
                if other.span is not span:
                    kind = "XDSR" if file == "xdsr" else f"dsr_{file}"
                    raise CslError.at(span, f"{kind} {number} of the FIFO is loaded elsewhere", (other.span, "here"))

    frame.unit.deferred_checks.append(check)


def fifo_options(frame: Frame, fifo: ir.Fifo, node: ast.Node) -> None:
    items = struct_items(frame, node)
    fifo_registers(frame, fifo, items, node.span)
    for name, value in items.items():
        if name in FIFO_REGISTERS:
            continue
        if name not in FIFO_FIELDS:
            hint = did_you_mean(name, FIFO_FIELDS, 40)
            raise CslError.at(node.span, f"a FIFO has no option {name}{hint}")
        if name.startswith("activate"):
            setattr(fifo, name, activated_task(frame, value, node.span, bound=True))
            continue
        if name == "priority":
            if frame.unit.program.arch == "wse2":
                raise CslError.at(node.span, "wse2 has no .priority of FIFOs: that of an operation is an option of it")
            fifo.priority = priority(value, node.span)
            continue
        if name == "simd_mode":
            if frame.unit.program.arch == "wse3":
                raise CslError.at(node.span, "wse3 has no .simd_mode of FIFOs: wse2 has")
            fifo.simd = simd_mode(value, node.span)
            continue
        action = chosen(value, ir.FIFO_ACTIONS)
        if action not in ir.FIFO_ACTIONS:
            known = " or ".join(f".{{ .{one} = true }}" for one in ir.FIFO_ACTIONS)
            raise CslError.at(node.span, f".{name} is {known}")
        if frame.unit.program.arch == "wse2" and (name == "full_action" or action in ("suspend", "fault")):
            what = ".full_action" if name == "full_action" else f".{action} as an action of a FIFO"
            raise CslError.at(node.span, f"wse2 has no {what}: wse3 has")
        setattr(fifo, name, ir.FIFO_ACTIONS.index(action))


def fifo_length(writes: bool) -> Any:
    """@set_fifo_read_length, @set_fifo_write_length: the length of the operations that follow, which count it down."""

    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        frame.need_run(node.span, node.name)
        value = frame.known(node.args[0])
        if not isinstance(value.data, FifoVal):
            raise CslError.at(node.args[0].span, f"a FIFO was expected, not {describe(value)}")
        frame.unit.keep_fifo(value.data.name)
        span = node.args[1].span
        length = frame.operand(as_u16(frame, extent_of(frame, node.args[1], span), span), span)
        frame.emit(ir.FifoLength(ir.FifoRef(value.data.name), writes, length))
        return VOID

    return make


for _what, _from in (("read", "reads from"), ("write", "writes to")):
    _meaning = f"The length of the operations that follow, together, whose operand {_from} the FIFO."
    builtin(f"@set_fifo_{_what}_length", "fifo, length", meaning=_meaning)(fifo_length(writes=_what == "write"))
