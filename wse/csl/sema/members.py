"""What stands behind a dot: names of a module, fields of a struct, members of an enum."""

from __future__ import annotations

from typing import Any

from ..syntax import ast
from ..syntax.errors import CslError
from . import types as t
from .convert import describe
from .frame import Frame
from .places import load, pointee
from .suggest import did_you_mean
from .values import Cell, ElemPlace, GlobalVar, Mem, Run, Val


def member(f: Frame, base: Any, node: ast.Member) -> Any:
    """The place or value of base.name."""
    kind = base.type
    if isinstance(kind, t.PointerType) and not kind.many and not isinstance(kind.elem, t.FnType):
        base = pointee(f, load(f, base, node.base.span), kind.elem, node.span)
        kind = base.type
    if isinstance(base, Mem):
        return member_of_memory(base, node)
    if isinstance(base, GlobalVar) and f.build is not None and base.mutable and not kind.is_comptime:
        from .places import memory_of

        return member_of_memory(memory_of(f, base), node)
    if isinstance(base, Run) or not isinstance(base, Val | Cell | ElemPlace | GlobalVar):
        raise CslError.at(node.span, f"a value of type {kind} has no members")
    value = load(f, base, node.base.span)
    assert isinstance(value, Val)
    if value.type is t.MODULE:
        return member_of_module(value, node)
    if value.type is t.TYPE:
        return member_of_type(value.data, node)
    if isinstance(value.data, dict):
        if node.name not in value.data:
            what = "this struct" if value.type is t.STRUCT else str(value.type)
            have = f"it has {', '.join(value.data)}" if value.data else "it has none"
            raise CslError.at(node.span, f"{what} has no field {node.name}: {have}")
        if isinstance(base, Cell | ElemPlace | GlobalVar) and base.mutable:
            return ElemPlace(value.data[node.name].type, value.data, node.name, True)
        return value.data[node.name]
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
        raise CslError.at(node.span, f"{kind} has no field {node.name}: it has {', '.join(kind.fields) or 'none'}")
    if node.name not in kind.offsets:
        raise CslError.at(node.span, f"the field {node.name} of {kind} exists at compile time only")
    made = base.at(kind.offsets[node.name], kind.fields[node.name][0])
    made.const = base.const
    return made


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
            hint = did_you_mean(node.name, kind.members) or f": it has {', '.join(kind.members)}"
            raise CslError.at(node.span, f"{kind} has no member {node.name}{hint}")
        return Val(kind, kind.members[node.name])
    raise CslError.at(node.span, f"type {kind} has no members")
