"""@get_dsd of fabin_dsd and fabout_dsd: descriptors of wavelets that come from or go to the fabric."""

from __future__ import annotations

from typing import Any

from ..ir import ir
from ..sema import types as t
from ..sema.frame import Frame
from ..sema.types import Type
from ..sema.values import Sym, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, NotKnown, Span
from .descriptors import edited, shown
from .options import ON_CONTROL, as_u16, chosen, on_control, priority
from .table import Fields, leaves
from .tasks import PRIORITIES

NEW_MODES = ("simd_off", "simd_max")  # of wse3 in SDK 2.10
SOURCES = ("first_source", "second_source")  # that .zero clears
OF_BOTH: Fields = {
    **leaves(("fabric_color", "extent", "control", "wavelet_index_offset", "control_transform")),
    "simd_mode": leaves((*ir.SIMD_MODES, *NEW_MODES)),
    "priority": leaves(PRIORITIES),
}
FABIN_FIELDS: Fields = {**OF_BOTH, "input_queue": {}, "on_control": leaves(ON_CONTROL)}
FABOUT_FIELDS: Fields = {**OF_BOTH, "output_queue": {}, "advance_switch": {}, "zero": leaves(SOURCES)}
FABIN, FABOUT = tuple(FABIN_FIELDS), tuple(FABOUT_FIELDS)
CHANNEL = ("fabric_color", "input_queue", "output_queue")
OF_OUTPUTS = ("control", "wavelet_index_offset")
MOST = 0xFFFF  # an extent is a u16


def fabric_dsd(frame: Frame, kind: t.DsdType, given: dict[str, Any], node: ast.BuiltinCall) -> Value:
    """The descriptor of these properties: nodes of a literal, or values."""
    into = kind is t.FABIN

    def known(name: str, want: Type) -> Any:
        item = given[name]
        if isinstance(item, Val):
            return concrete(frame.coerce(item, want, node.span))
        try:
            return frame.number(item, want)
        except NotKnown as error:
            if name in CHANNEL:
                error.note(
                    None, "a descriptor for each can be chosen at run time, as in `if (n == 0) first else second`"
                )
            raise

    def flag(name: str) -> bool:
        return name in given and bool(known(name, t.BOOL))

    queue_name, queue_type = ("input_queue", t.INPUT_QUEUE) if into else ("output_queue", t.OUTPUT_QUEUE)
    color = known("fabric_color", t.COLOR) if "fabric_color" in given else None
    queue = known(queue_name, queue_type) if queue_name in given else None
    if queue is None and color is None:
        raise CslError.at(node.span, f"a {kind} needs .{queue_name} or .fabric_color")
    if color is not None and color > 23:
        raise CslError.at(node.span, f"color {color} cannot be routed: routable colors are 0 to 23")
    if queue is None:
        if frame.unit.program.arch == "wse3" and color not in frame.unit.queues.bound(into).values():
            raise CslError.at(
                node.span,
                f"on wse3 a {kind} needs .{queue_name}: no {queue_name.replace('_', ' ')} is bound to color {color}",
            )
        queue = frame.unit.queues.for_color(into, color)
    frame.unit.queues.use(into, queue, color, node.span)
    for name in OF_OUTPUTS:
        if into and flag(name):
            raise CslError.at(node.span, f".{name} is a property of a fabout_dsd: of a fabin_dsd it is false")
    simd = simd_mode(value_of(frame, given["simd_mode"]), node.span, frame) if "simd_mode" in given else None
    if simd is not None and flag("wavelet_index_offset"):
        raise CslError.at(
            node.span,
            "a wavelet holds two elements (.simd_mode) or an element and its index (.wavelet_index_offset), not both",
        )
    extent = extent_of(frame, given["extent"], node.span) if "extent" in given else Val(t.COMPTIME_INT, ir.INFINITE)
    fixed = isinstance(extent, Val) and not isinstance(extent.data, Sym)
    dsd = ir.Dsd(
        *(kind.kind, None, extent.data if fixed else 0),
        queue=queue,
        color=color,
        control=flag("control"),
        index=flag("wavelet_index_offset"),
        simd=simd,
        advance_switch=flag("advance_switch"),
        on_control=control_of(frame, given["on_control"], node) if "on_control" in given else None,
        binds=into and color is not None and frame.unit.program.arch == "wse2",
        transform=flag("control_transform"),
        zero=zero(frame, given["zero"], node.span) if "zero" in given else None,
        priority=priority(value_of(frame, given["priority"]), node.span) if "priority" in given else None,
    )
    made = Val(kind, dsd)
    if fixed:
        return made
    return edited(made, "length", frame.operand(as_u16(frame, extent, node.span), node.span))


def control_of(frame: Frame, given: Any, node: ast.Node) -> tuple[str, int | None]:
    made, later = on_control(frame, given, node)
    if later is not None:
        raise CslError.at(
            node.span,
            "the .on_control of a descriptor is known at compile time: one that is not is given to the operation",
        )
    return made


def value_of(frame: Frame, given: Any) -> Value:
    return given if isinstance(given, Val) else frame.known(given)


def simd_mode(value: Value, span: Span, frame: Frame | None = None) -> str | None:
    """How many elements an operation takes at once: one of ir.SIMD_MODES, None one.  frame: of a fabric descriptor."""
    new = chosen(value, NEW_MODES)
    if frame is not None and new is not None:
        if frame.unit.program.arch == "wse2":
            raise CslError.at(span, f".{new} is of wse3: wse2 has .simd_32, .simd_64 and .simd_32_or_64")
        if new == "simd_max":
            raise CslError.at(
                span, ".simd_max is not supported: the documentation does not say how many elements a wavelet has then"
            )
        return None
    name = chosen(value, ir.SIMD_MODES)
    if name is None:
        raise CslError.at(span, f".simd_mode is {' or '.join(f'.{{ .{mode} = true }}' for mode in ir.SIMD_MODES)}")
    return name


def zero(frame: Frame, given: Any, span: Span) -> str:
    """The source that is cleared when an operation has sent it."""
    name = chosen(value_of(frame, given), SOURCES)
    if name is None:
        raise CslError.at(span, f".zero is {' or '.join(f'.{{ .{source} = true }}' for source in SOURCES)}")
    return name


def extent_of(frame: Frame, given: Any, span: Span) -> Value:
    """The extent of a descriptor: a u16, which may be known at run time only."""
    value = given if isinstance(given, Val) else frame.expr(given)
    where = span if isinstance(given, Val) else given.span
    if not t.is_integral(value.type):
        raise CslError.at(where, f"an extent is an integer of type u16, not {shown(value)}")
    if isinstance(value, Val) and not isinstance(value.data, Sym) and not 0 <= value.data <= MOST:
        raise CslError.at(where, f"an extent is 0 to {MOST}, not {value.data}")
    return value
