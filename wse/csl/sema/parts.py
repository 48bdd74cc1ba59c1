"""Anonymous structs with fields that are known at run time only: they exist field by field, in registers and memory of
their own, and become named structs where these are expected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..syntax.errors import CslError, Span
from . import types as t
from .convert import check_fields
from .frame import CONVERT, Frame, mismatch
from .lvalues import load, store, store_mem
from .types import Type
from .values import Mem, Parts, Run, Val, Value
from .widths import pack


def of_items(names: list[str] | None, items: list[Any]) -> Parts:
    """names: of the fields; None for a tuple."""
    kind = t.anonymous(None if names is None else tuple(names), tuple(item.type for item in items))
    return Parts(kind, items)


def loaded(frame: Frame, parts: Parts, span: Span | None) -> Parts:
    """The struct with the values of its fields, where these are lvalues."""
    items = [loaded(frame, i, span) if isinstance(i, Parts) else load(frame, i, span) for i in parts.items]
    return of_items(parts.type.names, items)


def fields_of(value: Any, span: Span | None) -> tuple[list[str] | None, list[Any]]:
    """Names and values of an anonymous struct, known or not."""
    if isinstance(value, Parts):
        return value.type.names and list(value.type.names), value.items
    if isinstance(value, Val) and isinstance(value.data, dict):
        return list(value.data), list(value.data.values())
    if isinstance(value, Val) and isinstance(value.data, list):
        return None, value.data
    raise CslError.at(span, f"an anonymous struct was expected, not a value of type {value.type}")


def coerced(frame: Frame, value: Parts, kind: Type, span: Span | None) -> Value:
    """The struct as another type."""
    if isinstance(kind, t.AnonymousType):
        names, items = fields_of(value, span)
        return of_items(names, [frame.coerce(i, k, span) for i, k in zip(items, match(kind, value, span), strict=True)])
    if isinstance(kind, t.ArrayType) and value.type.names is None:
        return array(frame, value, kind, span)
    if not isinstance(kind, t.StructType) or kind.size is None:
        if kind.is_comptime and kind is t.STRUCT:
            raise CslError.at(span, "all fields of a comptime_struct are known at compile time; one of these is not")
        raise mismatch(span, kind, f"a value of type {value.type}")
    if value.type.names is None:
        raise mismatch(span, kind, "a tuple")
    given = dict(zip(value.type.names, value.items, strict=True))
    check_fields(kind, given, span)
    for name, (_, default) in kind.fields.items():
        if name not in given and not kind.union:
            if default is None:
                raise CslError.at(span, f"the field {name} of {kind} has no value")
            given[name] = default
    if kind.packed:
        return pack(frame, kind, given, span)
    memory = frame.unit.local(frame, kind, "literal", span)
    for name, item in given.items():
        store_mem(frame, memory.at(kind.offsets[name], kind.fields[name][0]), item, span)
    return memory


def array(frame: Frame, value: Parts, kind: t.ArrayType, span: Span | None) -> Mem:
    """A tuple as an array."""
    if len(value.items) != kind.count:
        raise CslError.at(span, f"{kind} has {kind.count} elements, not {len(value.items)}")
    memory = frame.unit.local(frame, kind, "literal", span)
    for number, item in enumerate(value.items):
        store_mem(frame, memory.at(number * kind.elem.size, kind.elem), item, span)
    return memory


def match(kind: t.AnonymousType, value: Any, span: Span | None) -> tuple[Type, ...]:
    """The types of the fields, which must be those of the value."""
    names, items = fields_of(value, span)
    if (names and tuple(names)) != kind.names or len(items) != len(kind.types):
        raise mismatch(span, kind, f"a value of type {value.type}")
    return kind.types


def assign(frame: Frame, target: Parts, value: Value, span: Span | None) -> None:
    """Writes a variable, field by field."""
    kinds = match(target.type, value, span)
    _, items = fields_of(value, span)
    items = [
        item if isinstance(where, Parts) else frame.coerce(item, kind, span)
        for where, item, kind in zip(target.items, items, kinds, strict=True)
    ]
    items = [Run(i.type, frame.fresh(i.value)) if isinstance(i, Run) else i for i in items]
    for where, item in zip(target.items, items, strict=True):
        if isinstance(where, Parts):
            assign(frame, where, item, span)
        else:
            store(frame, where, item, span)


def run_time(parts: Parts) -> Iterator[tuple[list[int], Value]]:
    """The fields that are not known, and where they are: the index at each level."""
    for number, item in enumerate(parts.items):
        if isinstance(item, Parts):
            yield from (([number, *path], leaf) for path, leaf in run_time(item))
        elif not isinstance(item, Val):
            yield [number], item


def with_items(parts: Parts, found: Iterator[Any]) -> Parts:
    """The struct with other values in place of those that are not known, in the order of run_time."""
    items: list[Any] = []
    for item in parts.items:
        if isinstance(item, Parts):
            items.append(with_items(item, found))
        else:
            items.append(item if isinstance(item, Val) else next(found))
    return Parts(parts.type, items)


CONVERT[Parts] = coerced
