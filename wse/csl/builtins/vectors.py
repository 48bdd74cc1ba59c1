"""Builtins that are operations over descriptors, and @map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...machine import isa
from ..ir import ir
from ..sema import types as t
from ..sema.calls import entry
from ..sema.frame import Frame
from ..sema.types import Type
from ..sema.values import VOID, Run, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .descriptors import descriptor_operand, is_descriptor, shown
from .operations import check_operation
from .options import OPTION_FIELDS, Given, later_control, options
from .table import builtin
from .tasks import function_of

NONE = ""
# Every VECTOR row of isa.def with elements is a builtin of its name: types of destination, first source, second source,
# and of the scalar that multiplies.
OPERATIONS: dict[str, tuple[str, str, str, str]] = {
    row.name: tuple(NONE if type == "NONE" else type for type in row.types)  # type: ignore[misc]
    for row in isa.INSTRUCTIONS
    if row.kind == "vector" and row.rule != "FILTER"
}
SAME = {"movh2s": "fh2s", "movs2h": "fs2h"}
ELEMENTS: dict[str, Type] = {type.name: t.PRIMITIVES[type.csl] for type in isa.TYPES.values() if type.csl}


# ---- operands ----


def source(frame: Frame, node: ast.Node, code: str) -> ir.Operand:
    """A source: a descriptor, a pointer to a scalar, a scalar."""
    value = frame.expr(node)
    if is_descriptor(value):
        return source_descriptor(frame, value, node.span)
    if isinstance(value.type, t.PointerType):
        return pointer_operand(frame, value, code, node.span)
    return scalar(frame, value, code, node.span)


def source_descriptor(frame: Frame, value: Value, span: Span) -> ir.Operand:
    if value.type is t.FABOUT:
        raise CslError.at(span, "a fabout_dsd is no source")
    if value.type in (t.DSR_DEST, t.DSR_FIFO_DEST):
        raise CslError.at(span, f"a {value.type} is no source: dsr_src0 and dsr_src1 are")
    return direct_operand(frame, value, span)


def destination(frame: Frame, node: ast.Node, code: str) -> ir.Operand:
    value = frame.expr(node)
    if is_descriptor(value):
        return destination_descriptor(frame, value, node.span)
    if isinstance(value.type, t.PointerType):
        if value.type.const:
            raise CslError.at(node.span, f"the destination is constant: it is of type {value.type}")
        return pointer_operand(frame, value, code, node.span)
    raise CslError.at(node.span, f"a destination is a descriptor, a DSR or a pointer to a scalar, not {shown(value)}")


def destination_descriptor(frame: Frame, value: Value, span: Span) -> ir.Operand:
    if value.type is t.FABIN:
        raise CslError.at(span, "a fabin_dsd is no destination")
    if value.type in (t.DSR_SRC1, t.DSR_FIFO_SRC1):
        raise CslError.at(span, f"a {value.type} is no destination: dsr_dest and dsr_src0 are")
    return direct_operand(frame, value, span)


def direct_operand(frame: Frame, value: Value, span: Span) -> ir.Operand:
    """A descriptor that is an operand itself."""
    if value.type is t.CIRCBUF:
        raise CslError.at(
            span, "a circbuf_dsd is no operand itself: load it into a DSR with @load_to_dsr_xdsr, and name the DSR"
        )
    return descriptor_operand(frame, value, span)


def with_control(given: Given, operand: ir.Operand | None, node: ast.BuiltinCall) -> ir.Operand | None:
    """The operand with what a control wavelet does to the operation, if it comes from the fabric."""
    if isinstance(operand, ir.Dsd) and operand.kind == "fabin" and given.control is None:
        return replace(operand, on_control=given.on_control)
    if isinstance(operand, ir.Dsr):
        raise CslError.at(node.span, "a DSR says itself what a control wavelet does: load it with this .on_control")
    return operand


def is_input(operand: ir.Operand | None) -> bool:
    return isinstance(operand, ir.Dsd | ir.DsdVar) and operand.kind == "fabin"


def element_type(frame: Frame, code: str) -> Type:
    """The type of an element; 16-bit floats have the program's format."""
    kind = ELEMENTS[code]
    return frame.unit.program.fp16 if kind is t.F16 else kind


def pointer_operand(frame: Frame, value: Value, code: str, span: Span) -> ir.Deref:
    assert isinstance(value.type, t.PointerType)
    elem = value.type.elem
    if elem.ir is None or elem.size != ELEMENTS[code].size:
        raise CslError.at(span, f"a pointer to {element_type(frame, code)} was expected, not one to {elem}")
    frame.unit.program.check_fp16(elem, span)
    return ir.Deref(frame.operand(value, span), elem.ir)


def scalar(frame: Frame, value: Value, code: str, span: Span) -> ir.Value:
    """A scalar of the element's type; moves and 16-bit operations take any type of the size."""
    kind = element_type(frame, code)
    is_word = not isa.TYPES[code].is_float
    if is_word and value.type.ir is not None and value.type.size == kind.size:
        return frame.operand(value, span)
    if value.type is t.COMPTIME_INT and is_word and isinstance(value, Val):
        number = concrete(value)
        kind = t.INTS[f"i{kind.size * 8}"] if number < 0 else kind
    return frame.operand(value, span, kind)


def operation(name: str, row: str) -> Callable:
    dst_code, a_code, b_code, extra_code = OPERATIONS[row]

    def make(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        frame.need_run(node.span, node.name)
        count = 2 + (b_code != NONE) + (extra_code != NONE)
        args = node.args[:count]
        given = options(frame, node.args[count]) if len(node.args) > count else Given()
        dst = destination(frame, args[0], dst_code)
        src0 = source(frame, args[1], a_code)
        src1 = source(frame, args[2], b_code) if b_code else None
        if given.on_control is not None:
            controlled = with_control(given, src0, node)
            assert controlled is not None  # as src0 is not
            src0, src1 = controlled, with_control(given, src1, node)
        sizes = tuple(isa.TYPES[code].bytes if code else 0 for code in (dst_code, a_code, b_code))
        dst, src0, src1 = check_operation(frame, given, [dst, src0, src1], node, sizes)
        extra = None
        if extra_code:
            value = frame.expr(args[3])
            if is_descriptor(value):
                raise CslError.at(args[3].span, f"the last operand of {node.name} is a scalar")
            extra = scalar(frame, value, extra_code, args[3].span)
        result = None
        if not given.then.async_ and any(
            isinstance(o, ir.FifoRef) or (isinstance(o, ir.Dsr) and o.fifo) for o in (dst, src0, src1)
        ):
            result = ir.Reg("bool")
        if not given.then.async_:
            for operand in (dst, src0, src1):
                if isinstance(operand, ir.FifoRef):
                    frame.unit.keep_fifo(operand.name)
        control = later_control(given, all(isinstance(o, ir.Dsd) or not is_input(o) for o in (src0, src1)))
        made = ir.Vector(row, dst, src0, src1, extra, given.then, given.index, result, given.ut, given.task, *control)
        frame.emit(made)
        return Val(t.BOOL, True) if result is None else Run(t.BOOL, result)

    return make


def enter(name: str, row: str) -> None:
    """Enters the builtin of a VECTOR row into the table."""
    operands = dict(zip(("dst", "src0", "src1", "extra"), OPERATIONS[row], strict=True))
    given = {operand: isa.TYPES[code].csl for operand, code in operands.items() if code != NONE}
    types = ", ".join(f"{operand} {kind}" for operand, kind in given.items())
    meaning = f"For each element, {isa.INSTRUCTION[row].effect}. Types of elements: {types}."
    parameters = ", ".join([*given, "options?"])
    builtin(f"@{name}", parameters, meaning=meaning, fields={"options": OPTION_FIELDS})(operation(name, row))


for _name in OPERATIONS:
    enter(_name, _name)
for _name, _row in SAME.items():
    enter(_name, _row)


@builtin("@dfilt", "source, options", fields={"options": OPTION_FIELDS})
def dfilt(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Consumes the wavelets of a fabin_dsd without using them; asynchronous."""
    frame.need_run(node.span, node.name)
    given = options(frame, node.args[1])
    if not given.then.async_:
        raise CslError.at(node.args[1].span, "@dfilt is an asynchronous operation: .async = true is missing")
    for name in ("on_control", "index"):
        if name in given.names:
            raise CslError.at(node.args[1].span, f"@dfilt has no option {name}")
    value = frame.expr(node.args[0])
    if value.type is not t.FABIN and value.type not in (t.DSR_SRC0, t.DSR_SRC1):
        raise CslError.at(node.args[0].span, f"@dfilt takes a fabin_dsd, or a DSR that holds one, not {shown(value)}")
    _, source, _ = check_operation(frame, given, [None, direct_operand(frame, value, node.args[0].span), None], node)
    frame.emit(ir.Vector("dfilt", None, source, then=given.then, ut=given.ut, task=given.task))
    return VOID


# ---- @map ----


@builtin("@map", "function, operand, operands...")
def map_(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Calls a function with the elements of descriptors; the last operand is the destination, if the function
    returns a value."""
    frame.need_run(node.span, "@map")
    fn = function_of(frame, node.args[0])
    lowered = entry(frame.unit, fn, node.span)
    args = node.args[1:]
    returns = lowered.result is not t.VOID
    count = len(lowered.params)
    if len(args) != count + returns:
        wanted = f"{count} operands{' and a destination' if returns else ''}"
        raise CslError.at(
            node.span, f"@map of {fn.name} takes {wanted}, not {len(args)}", (fn.decl.name_span, "declared here")
        )
    inputs: list[ir.Operand] = []
    types: list[str] = []
    for (_, kind), arg in zip(lowered.params, args, strict=False):
        inputs.append(map_input(frame, arg, kind))
        types.append(kind.ir or "")
    out = out_type = None
    if returns:
        out = map_output(frame, args[-1], lowered.result)
        out_type = lowered.result.ir
    walked = [*inputs, out]
    if not any(isinstance(operand, ir.Dsd | ir.DsdVar | ir.FifoRef | ir.Dsr) for operand in walked):
        raise CslError.at(node.span, "@map needs a descriptor among its operands: its length is the number of calls")
    if not any(isinstance(operand, ir.Dsd | ir.DsdVar | ir.FifoRef | ir.Dsr) for operand in inputs):
        known = isinstance(out, ir.Dsd) and out.kind in ("mem1d", "mem4d", "fabout") and out.length < ir.INFINITE
        if not known and not (isinstance(out, ir.DsdVar) and out.kind in ("mem1d", "mem4d")):
            raise CslError.at(
                args[-1].span,
                "@map without a descriptor among its inputs takes its number of calls from the destination: "
                "a descriptor over memory, or a fabout_dsd with an extent that is known at compile time, was expected",
            )
    frame.emit(ir.Map(lowered.name, inputs, types, out, out_type))
    return VOID


def check_map_operand(value: Value, span: Span) -> None:
    """Properties of descriptors that only operations of the machine have."""
    dsd = value.data if isinstance(value, Val) else None
    if value.type in (t.FIFO, t.DSR_FIFO_DEST, t.DSR_FIFO_SRC1):
        raise CslError.at(span, "a FIFO is no operand of @map")
    if not isinstance(dsd, ir.Dsd):
        return
    given = {"zero": dsd.zero, "control_transform": dsd.transform and dsd.kind == "fabin", "simd_mode": dsd.simd}
    for name, has in given.items():
        if has:
            raise CslError.at(span, f"@map takes no descriptor with .{name}")


def check_element(kind: Type, what: str, span: Span) -> None:
    """Elements of descriptors are numbers of 16 or 32 bits."""
    if not isinstance(kind, t.IntType | t.FloatType) or kind.bits not in (16, 32):
        raise CslError.at(
            span, f"@map goes through elements of 16 or 32 bits, and the {what} of its function is of type {kind}"
        )


def map_input(frame: Frame, node: ast.Node, kind: Type) -> ir.Operand:
    value = frame.expr(node, kind)
    check_map_operand(value, node.span)
    if is_descriptor(value):
        check_element(kind, "parameter", node.span)
        if value.type is t.DSR_SRC0:
            raise CslError.at(node.span, "an explicit DSR that @map reads is a dsr_src1, not a dsr_src0")
        return source_descriptor(frame, value, node.span)
    if isinstance(value.type, t.PointerType) and not isinstance(kind, t.PointerType):
        if value.type.elem is not kind:
            raise CslError.at(node.span, f"a pointer to {kind} was expected, not one to {value.type.elem}")
        return ir.Deref(frame.operand(value, node.span), kind.ir or "")
    return frame.operand(value, node.span, kind)


def map_output(frame: Frame, node: ast.Node, kind: Type) -> ir.Operand:
    value = frame.expr(node)
    check_map_operand(value, node.span)
    if is_descriptor(value):
        check_element(kind, "result", node.span)
        return destination_descriptor(frame, value, node.span)
    if isinstance(value.type, t.PointerType) and value.type.elem is kind and not value.type.const:
        return ir.Deref(frame.operand(value, node.span), kind.ir or "")
    raise CslError.at(node.span, f"a destination of type {kind} was expected: a descriptor, or a pointer to a variable")
