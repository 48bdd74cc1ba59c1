"""Builtins of explicit DSRs and of FIFOs."""

from __future__ import annotations

from typing import Any

from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe
from ..sema.frame import Frame
from ..sema.queues import Load
from ..sema.types import Type
from ..sema.values import VOID, FifoVal, GlobalVar, Val, Value
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .descriptors import DSR_FILES, SIZES, base_address, descriptor_operand, dsr_of, is_dsd, shown
from .fabric import extent_of
from .options import ASYNCHRONOUS, OF_LOADS, Given, as_u16, chosen, options, priority, struct_items
from .table import builtin
from .tasks import task_number

DSR_COUNT = {"dest": 16, "src0": 16, "src1": 32}
FIFO_FILES = (t.DSR_FIFO_DEST, t.DSR_FIFO_SRC1)


@builtin("@get_dsr", 2)
def get_dsr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    kind = frame.type(node.args[0])
    if kind not in DSR_FILES:
        raise CslError.at(node.args[0].span, f"{kind} is no kind of DSRs: {', '.join(map(str, DSR_FILES))} are")
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

    builtin(name, 1)(make)


extended("@get_xdsr", t.XDSR, 16)
extended("@get_sr", t.SR, 16)


# ---- loads ----


def load_extended(stride_registers: bool) -> Any:
    """@load_to_dsr with an XDSR, and stride registers, between the DSR and the descriptor."""

    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        between: list[Type] = []
        for arg in node.args[1:]:
            kind = frame.expr(arg).type
            if kind not in (t.XDSR, t.SR):
                break
            between.append(kind)
        at = 1 + len(between)
        registers = [t.XDSR, *([t.SR] * (len(between) - 1))]
        if between != registers or (len(between) > 1) is not stride_registers or at not in range(2, len(node.args)):
            further = "an XDSR and stride registers" if stride_registers else "an XDSR"
            raise CslError.at(node.span, f"{node.name} takes a DSR, {further}, a descriptor and perhaps options")
        call = ast.BuiltinCall(node.span, "@load_to_dsr", [node.args[0], *node.args[at:]])
        return load(frame, call, stride_registers)

    return make


builtin("@load_to_dsr_xdsr", 3, 4)(load_extended(False))
builtin("@load_to_dsr_xdsr_sr", 4, None)(load_extended(True))


@builtin("@load_to_dsr", 2, 3)
def load_to_dsr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    return load(frame, node, False)


def load(frame: Frame, node: ast.BuiltinCall, stride_registers: bool) -> Value:
    """Loads a DSR; in a comptime block before the first task."""
    if frame.build is None:
        frame.unit.deferred.append(lambda: load(frame.unit.startup_frame(frame), node, stride_registers))
        return VOID
    dsr = frame.known(node.args[0])
    if dsr.type not in DSR_FILES:
        raise CslError.at(node.args[0].span, f"a DSR was expected, not {describe(dsr)}")
    value, span = frame.expr(node.args[1]), node.args[1].span
    if not is_dsd(value.type):
        raise CslError.at(span, f"a descriptor was expected, not {shown(value)}")
    check_kinds(dsr.type, value.type, stride_registers, span)
    given = options(frame, node.args[2], OF_LOADS) if len(node.args) > 2 else Given()
    check_load(given, value.type, node.args[-1].span)
    source = descriptor_operand(frame, value, span)
    made = dsr_of(dsr)
    index = isinstance(source, ir.Dsd) and source.index
    frame.unit.dsrs.load(
        made.file, made.number, Load(str(value.type), given.then.async_, given.single_step, index, node.span)
    )
    frame.emit(ir.LoadDsr(made, source, given.then, given.save_address, given.ut))
    return VOID


def check_kinds(dsr: Type, kind: Type, stride_registers: bool, span: Span) -> None:
    """Which descriptors a DSR takes."""
    if kind is t.MEM4D and not stride_registers:
        raise CslError.at(span, "a mem4d_dsd needs an XDSR and stride registers: @load_to_dsr_xdsr_sr loads it")
    if dsr in FIFO_FILES and kind is not t.FIFO:
        raise CslError.at(span, f"a {dsr} takes a FIFO, not a {kind}")
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
    if given.then.async_ and kind in (t.MEM1D, t.MEM4D, t.CIRCBUF) and "ut_id" in given.names:
        return  # of an operation whose other operand is on the fabric
    if given.save_address and kind not in (t.MEM1D, t.MEM4D, t.CIRCBUF):
        raise CslError.at(span, f".save_address is of descriptors over memory, not of a {kind}")


# ---- changes ----


def of_dsr(frame: Frame, node: ast.BuiltinCall) -> ir.Dsr:
    frame.need_run(node.span, node.name)
    dsr = frame.known(node.args[0])
    if dsr.type not in DSR_FILES:
        raise CslError.at(node.args[0].span, f"a DSR was expected, not {describe(dsr)}")
    return dsr_of(dsr)


@builtin("@set_dsr_length", 2)
def set_dsr_length(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The length of the descriptor that a DSR holds."""
    dsr, span = of_dsr(frame, node), node.args[1].span
    length = as_u16(frame, extent_of(frame, node.args[1], span), span)
    frame.emit(ir.DsrSet(dsr, "length", frame.operand(length, span)))
    return VOID


@builtin("@set_dsr_base_addr", 2)
def set_dsr_base_addr(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The address of the descriptor over memory that a DSR holds."""
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


@builtin("@allocate_fifo", 1, 2)
def allocate_fifo(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    if frame.build is not None:
        raise CslError.at(
            node.span, "@allocate_fifo is evaluated at compile time: make it the value of a global constant"
        )
    where = frame.lvalue(node.args[0])
    if not isinstance(where, GlobalVar) or not isinstance(where.type, t.ArrayType) or where.type.elem.size not in SIZES:
        raise CslError.at(node.args[0].span, "a global array of elements of 2 or 4 bytes was expected")
    item = where.type.elem.size or 4
    if where.align is not None and where.align < item:
        raise CslError.at(
            node.args[0].span,
            f"the buffer of a FIFO of {where.type.elem} is aligned to {item} bytes or more, not to {where.align}",
            (where.span, "declared here"),
        )
    name = frame.unit.unique(f"fifo.{where.symbol}")
    fifo = ir.Fifo(name, frame.unit.use(where), item, where.type.count)
    if len(node.args) > 1:
        frame.unit.deferred.append(lambda: fifo_options(frame, fifo, node.args[1]))
    frame.unit.out.fifos.append(fifo)
    return Val(t.FIFO, FifoVal(name, item))


FIFO_OPTIONS = ("activate_push", "activate_pop", "empty_action", "full_action", "priority")


def fifo_options(frame: Frame, fifo: ir.Fifo, node: ast.Node) -> None:
    for name, value in struct_items(frame, node).items():
        if name not in FIFO_OPTIONS:
            raise CslError.at(node.span, f"a FIFO has no option {name}: known are {', '.join(FIFO_OPTIONS)}")
        if name.startswith("activate"):
            setattr(fifo, name, task_number(frame, value, node.span))
            continue
        if name == "priority":
            if frame.unit.program.arch == "wse2":
                raise CslError.at(node.span, "wse2 has no .priority of FIFOs: that of an operation is an option of it")
            fifo.priority = priority(value, node.span)
            continue
        action = chosen(value, ir.FIFO_ACTIONS)
        if action not in ir.FIFO_ACTIONS:
            known = " or ".join(f".{{ .{one} = true }}" for one in ir.FIFO_ACTIONS)
            raise CslError.at(node.span, f".{name} is {known}")
        if frame.unit.program.arch == "wse2" and (name == "full_action" or action in ("suspend", "fault")):
            what = ".full_action" if name == "full_action" else f".{action} as an action of a FIFO"
            raise CslError.at(node.span, f"wse2 has no {what}: wse3 has")
        setattr(fifo, name, ir.FIFO_ACTIONS.index(action))


def fifo_length(write: int) -> Any:
    """@set_fifo_read_length, @set_fifo_write_length: the length of the operations that follow, which count it down."""

    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        frame.need_run(node.span, node.name)
        value = frame.known(node.args[0])
        if not isinstance(value.data, FifoVal):
            raise CslError.at(node.args[0].span, f"a FIFO was expected, not {describe(value)}")
        fifo = next(fifo for fifo in frame.unit.out.fifos if fifo.name == value.data.name)
        if fifo.lengths is None:
            made = [
                frame.unit.use(frame.unit.new_global(t.U16, f"{fifo.name}.{what}", f"length of {what}s", node.span))
                for what in ("read", "write")
            ]
            fifo.lengths = made[0], made[1]
        span = node.args[1].span
        length = frame.operand(as_u16(frame, extent_of(frame, node.args[1], span), span), span)
        frame.emit(ir.Store(ir.Addr(fifo.lengths[write]), length))
        return VOID

    return make


builtin("@set_fifo_read_length", 2)(fifo_length(0))
builtin("@set_fifo_write_length", 2)(fifo_length(1))
