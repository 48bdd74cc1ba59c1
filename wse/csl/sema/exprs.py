"""Expressions: literals, operators, conditions, types."""

from __future__ import annotations

from typing import Any

from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError, Span
from . import arith, optional
from . import types as t
from .conditions import condition, logical, truth
from .convert import array_from, check_fields, describe, enum_cast, explicit, pointer_fits
from .frame import Frame, expr
from .lvalues import address_of, deref_lvalue, ident_lvalue, index_lvalue, load, store_mem
from .optional import is_null
from .parts import of_items
from .suggest import did_you_mean
from .types import Type
from .values import NULL, UNDEFINED, VOID, Mem, Run, Val, Value, concrete, key_of
from .widths import cut, pack

LITERALS = {
    "int": t.COMPTIME_INT, "float": t.COMPTIME_FLOAT, "string": t.STRING, "bool": t.BOOL,
}  # fmt: skip
OPS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "rem", "&": "and", "|": "or", "^": "xor", "<<": "shl",
    ">>": "shr", "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
}  # fmt: skip
LOGIC = ("&", "|", "^")


@expr(ast.Literal)
def literal(frame: Frame, node: ast.Literal, want: Type | None) -> Val:
    kind = LITERALS.get(node.kind)
    if kind is not None:
        return Val(kind, node.value)
    if node.kind == "void":
        return VOID
    if node.kind == "undefined":
        return UNDEFINED
    if node.kind == "null":
        return NULL
    raise CslError.at(node.span, f"CSL has no value {node.kind}")


@expr(ast.Ident)
def ident(frame: Frame, node: ast.Ident, want: Type | None) -> Value:
    return load(frame, ident_lvalue(frame, node), node.span)


@expr(ast.Index)
def index(frame: Frame, node: ast.Index, want: Type | None) -> Value:
    return load(frame, index_lvalue(frame, node), node.span)


@expr(ast.Deref)
def deref(frame: Frame, node: ast.Deref, want: Type | None) -> Value:
    return load(frame, deref_lvalue(frame, node), node.span)


@expr(ast.Member)
def member(frame: Frame, node: ast.Member, want: Type | None) -> Value:
    return load(frame, frame.lvalue(node), node.span)


@expr(ast.DotName)
def dot_name(frame: Frame, node: ast.DotName, want: Type | None) -> Val:
    if isinstance(want, t.EnumType):
        if node.name not in want.members:
            raise CslError.at(node.span, f"{want} has no member {node.name}{did_you_mean(node.name, want.members, 40)}")
        return Val(want, want.members[node.name])
    raise CslError.at(node.span, f".{node.name} stands where no enum is expected")


@expr(ast.ComptimeExpr)
def comptime_expr(frame: Frame, node: ast.ComptimeExpr, want: Type | None) -> Value:
    value = frame.comptime().expr(node.value, want)
    if not isinstance(value, Val):
        raise CslError.at(node.span, "this value is not known at compile time")
    return value


# ---- literals of aggregates ----


@expr(ast.StructLit)
def struct_lit(frame: Frame, node: ast.StructLit, want: Type | None) -> Value:
    kind = frame.type(node.type) if node.type is not None else None
    fields = kind.fields if isinstance(kind, t.StructType) else want.fields if isinstance(want, t.StructType) else {}
    named: dict[str, Value] = {}
    items: list[Value] = []
    for item in node.items:
        if item.name is None:
            items.append(frame.expr(item.value))
        elif item.name in named:
            raise CslError.at(item.span, f"the field {item.name} is given twice")
        else:
            named[item.name] = frame.expr(item.value, fields[item.name][0] if item.name in fields else None)
    if named and items:
        raise CslError.at(node.span, "a literal has named fields or, as a tuple, values alone, not both")
    if all(isinstance(value, Val) for value in (items or named.values())):
        made = Val(t.STRUCT, items if items or not node.items else named)
        return made if kind is None else frame.coerce(made, kind, node.span)
    if isinstance(kind or want, t.StructType) and not items:
        return struct_in_memory(frame, kind or want, named, node)
    return of_items(list(named) or None, [settled(frame, value, node.span) for value in items or named.values()])


def settled(frame: Frame, value: Value, span: Span) -> Value:
    """The value as it is now: what it was read from may change before it is used."""
    if isinstance(value, Run):
        return Run(value.type, frame.fresh(value.value))
    if isinstance(value, Mem) and not value.const:
        memory = frame.unit.local(frame, value.type, "value", span)
        store_mem(frame, memory, value, span)
        return memory
    return value


def struct_in_memory(frame: Frame, kind: Any, named: dict[str, Value], node: ast.StructLit) -> Value:
    """A struct with run-time fields, in memory of its own; a packed one is a scalar."""
    assert isinstance(kind, t.StructType)
    check_fields(kind, named, node.span)
    given: dict[str, Value] = {}
    for name, (_, default) in kind.fields.items():
        value = named.get(name, default)
        if value is not None:
            given[name] = value
        elif not kind.union:
            raise CslError.at(node.span, f"the field {name} of {kind} has no value")
    if kind.size is None:
        raise CslError.at(node.span, f"a field of this value of type {kind} is not known at compile time")
    if kind.packed:
        return pack(frame, kind, given, node.span)
    memory = frame.unit.local(frame, kind, "literal", node.span)
    for name, value in given.items():
        store_mem(frame, memory.at(kind.offsets[name], kind.fields[name][0]), value, node.span)
    return memory


@expr(ast.ArrayLit)
def array_lit(frame: Frame, node: ast.ArrayLit, want: Type | None) -> Value:
    kind = frame.type(node.type)
    if not node.items and not isinstance(kind, t.ArrayType):
        return struct_lit(frame, ast.StructLit(node.span, node.type, []), want)
    if not isinstance(kind, t.ArrayType):
        raise CslError.at(node.span, f"{kind} is no array: a literal of it has no values without names")
    values = [frame.expr(item, kind.elem) for item in node.items]
    if all(isinstance(value, Val) for value in values):
        for value, item in zip(values, node.items, strict=True):
            frame.coerce(value, kind.elem, item.span)
        return array_from(kind, values, node.span)
    if len(values) != kind.count:
        raise CslError.at(node.span, f"{kind} has {kind.count} elements, not {len(values)}")
    memory = frame.unit.local(frame, kind, "literal", node.span)
    for i, (value, item) in enumerate(zip(values, node.items, strict=True)):
        store_mem(frame, memory.at(i * kind.elem.size, kind.elem), value, item.span)
    return memory


# ---- operators ----


@expr(ast.Unary)
def unary(frame: Frame, node: ast.Unary, want: Type | None) -> Value:
    if node.op == "&":
        return address_of(frame, node.operand, node.span)
    value = frame.expr(node.operand, want)
    if node.op == "!":
        if value.type is not t.BOOL:
            raise CslError.at(node.span, f"! needs a bool, not a value of type {value.type}")
        if isinstance(value, Val):
            return Val(t.BOOL, not concrete(value))
        return emit_unary(frame, "lnot", t.BOOL, value, node.span)
    if isinstance(value, Val):
        return arith.negate(value, node.span) if node.op == "-" else arith.invert(value, node.span)
    if not t.is_number(value.type) or (node.op == "~" and not t.is_integral(value.type)):
        raise CslError.at(node.span, f"{node.op} needs a number, not a value of type {value.type}")
    return emit_unary(frame, "neg" if node.op == "-" else "not", value.type, value, node.span)


def emit_unary(frame: Frame, op: str, kind: Type, value: Value, span: Span) -> Run:
    build = frame.need_run(span, "this")
    reg = build.reg(kind.ir)
    build.emit(ir.Un(op, reg, frame.operand(value, span)))
    return cut(build, kind, reg)


@expr(ast.Binary)
def binary(frame: Frame, node: ast.Binary, want: Type | None) -> Value:
    op = node.op
    if op in ("and", "or"):
        return logical(frame, node)
    if op == "...":
        raise CslError.at(node.span, "a range stands only in an arm of a switch")
    if op == "orelse":
        return orelse(frame, node, want)
    hint = None if op in arith.COMPARE or op in ("<<", ">>") else want
    left = frame.expr(node.left, hint)
    if isinstance(left, Run) and isinstance(node.right, ast.BlockExpr | ast.Switch | ast.IfExpr):
        left = Run(left.type, frame.fresh(left.value))  # a block may change the variable
    right = frame.expr(node.right, left.type if isinstance(left.type, t.EnumType) else hint)
    return operate(frame, op, left, right, node.span)


class Given(ast.Node):
    """A value in place of the expression for it."""

    __slots__ = ("span", "value")

    def __init__(self, span: Span, value: Value):
        self.span, self.value = span, value


@expr(Given)
def given(frame: Frame, node: Given, want: Type | None) -> Value:
    return load(frame, node.value, node.span)


def orelse(frame: Frame, node: ast.Binary, want: Type | None) -> Value:
    """What the optional on the left holds, or, if it is null, the right side."""
    left = frame.expr(node.left)
    if left.type is t.NULL:
        return frame.expr(node.right, want)
    kind = optional.check(left, node.span, "orelse")
    there = optional.present(frame, left, node.span)
    if isinstance(there, bool):
        return load(frame, optional.payload(left), node.span) if there else frame.expr(node.right, kind.elem)
    build = frame.build
    assert build is not None
    yes, no, end = build.new_block(), build.new_block(), build.new_block()
    build.branch(there, yes, no)
    arms = [(yes, Given(node.left.span, optional.payload(left))), (no, node.right)]
    return choose(frame, arms, end, kind.elem, node.span)


def operate(frame: Frame, op: str, left: Value, right: Value, span: Span) -> Value:
    """left op right, folded if both are known."""
    if t.NULL in (left.type, right.type):
        return is_null(frame, op, left, right, span)
    if isinstance(left, Val) and isinstance(right, Val):
        made = arith.fold(op, left, right, span)
        if op == "++":
            frame.unit.program.weigh(made.data, span)
        elif made.type is t.COMPTIME_INT and isinstance(made.data, int) and made.data.bit_length() > 1 << 12:
            frame.unit.program.step(span, made.data.bit_length() >> 12)
        return made
    build = frame.need_run(span, f"{op} with a run-time value")
    if build.dead and t.UNDEFINED in (left.type, right.type):  # one side jumps away
        return UNDEFINED
    if op in ("<<", ">>"):
        return shift(frame, op, left, right, span)
    if op == "++":
        raise CslError.at(span, "++ joins values that are known at compile time only")
    kind = arith.common(left, right, op, span, frame.unit.program.sdk_version != "1.4")
    check_operator(op, kind, span)
    a = frame.operand(left, span, None if isinstance(kind, t.PointerType) else kind)
    b = frame.operand(right, span, None if isinstance(kind, t.PointerType) else kind)
    compares = op in arith.COMPARE
    reg = build.reg("bool" if compares else kind.ir)
    build.emit(ir.Bin(OPS[op], reg, a, b))
    return Run(t.BOOL, reg) if compares else cut(build, kind, reg)


def check_operator(op: str, kind: Type, span: Span) -> None:
    if kind.ir is None:
        raise CslError.at(span, f"{op} is no operator for values of type {kind}")
    if op in ("==", "!="):
        return
    if kind is t.BOOL:
        if op in LOGIC:
            return
        raise CslError.at(span, f"{op} is no operator for bool: use and, or")
    if not t.is_number(kind) or (t.is_float(kind) and op in ("%", *LOGIC)):
        raise CslError.at(span, f"{op} is no operator for values of type {kind}")


def shift(frame: Frame, op: str, left: Value, right: Value, span: Span) -> Value:
    build = frame.build
    assert build is not None
    if not t.is_integral(left.type) or not t.is_integral(right.type):
        raise CslError.at(span, f"{op} needs integers, not {left.type} and {right.type}")
    arith.check_count(op, right.type, span)
    if left.type is t.COMPTIME_INT:
        kind = right.type
        left = frame.coerce(left, kind, span)
    if right.type is t.COMPTIME_INT:
        right = frame.coerce(right, t.U16, span)
    reg = build.reg(left.type.ir)
    build.emit(ir.Bin(OPS[op], reg, frame.operand(left, span), frame.operand(right, span)))
    return cut(build, left.type, reg)


@expr(ast.IfExpr)
def if_expr(frame: Frame, node: ast.IfExpr, want: Type | None) -> Value:
    if node.capture is not None:
        return captured_if(frame, node, want)
    build = frame.build
    if build is None:
        if truth(frame, node.condition):
            return frame.expr(node.then, want)
        return no_else(node) if node.other is None else frame.expr(node.other, want)
    yes, no, end = build.new_block(), build.new_block(), build.new_block()
    decided = condition(frame, node.condition, yes, no)
    if decided is not None:
        chosen = node.then if decided else node.other
        return no_else(node) if chosen is None else frame.expr(chosen, want)
    if node.other is None:
        no_else(node)
    return choose(frame, [(yes, node.then), (no, node.other)], end, want, node.span)


class Within(ast.Node):
    """An expression in which a name is what an optional holds."""

    __slots__ = ("body", "name", "span", "value")

    def __init__(self, body: ast.Node, name: str | None, value: Value):
        self.span, self.body, self.name, self.value = body.span, body, name, value


@expr(Within)
def within(frame: Frame, node: Within, want: Type | None) -> Value:
    with optional.captured(frame, node.name, node.value, node.span):
        return frame.expr(node.body, want)


def captured_if(frame: Frame, node: ast.IfExpr, want: Type | None) -> Value:
    """if (optional) |value| a else b"""
    build = frame.build
    yes, no, end = (build.new_block() if build is not None else ir.Block(0) for _ in range(3))
    decided, value = optional.branch(frame, node.condition, yes, no)
    then = Within(node.then, node.capture, value)
    if decided is not None:
        chosen = then if decided else node.other
        return no_else(node) if chosen is None else frame.expr(chosen, want)
    if node.other is None:
        no_else(node)
    return choose(frame, [(yes, then), (no, node.other)], end, want, node.span)


def no_else(node: ast.IfExpr) -> Any:
    raise CslError.at(node.span, "the condition is not true and there is no else: this expression has no value")


def choose(frame: Frame, arms: list, end: ir.Block, want: Type | None, span: Span) -> Value:
    """The value of the arm that is reached: (block, expression) each."""
    build = frame.build
    assert build is not None
    build.depth += 1
    ends: list[tuple[ir.Block, Value, Span]] = []
    value: Value = UNDEFINED
    for block, body in arms:
        build.start(block)
        if build.dead:
            continue
        value = frame.expr(body, want)
        if build.block is not None:
            if isinstance(value, Run):
                value = Run(value.type, frame.fresh(value.value))
            ends.append((build.block, value, body.span))
    build.depth -= 1
    if not ends:  # nothing comes here
        build.start(end)
        return value
    kind = arms_type(frame, ends, want, span)
    if kind is t.VOID:
        for block, _, _ in ends:
            build.block = block
            build.jump(end)
        build.start(end)
        return VOID
    return join(frame, ends, end, kind, span)


def arms_type(frame: Frame, ends: list, want: Type | None, span: Span) -> Type:
    """The one type that all arms have; else the type that is wanted, if all take it by themselves; else what they have
    in common."""
    types = {value.type for _, value, _ in ends}
    if len(types) == 1 and not ends[0][1].type.is_comptime:
        return ends[0][1].type
    if want is not None and not want.is_comptime:
        try:
            for _, value, where in ends:
                frame.coerce(value, want, where)
            return want
        except CslError:
            pass
    return joined(frame, ends, span)


def joined(frame: Frame, ends: list, span: Span) -> Type:
    """The type of all arms."""
    first = ends[0][1]
    for _, other, where in ends[1:]:
        if isinstance(first.type, t.PointerType) and isinstance(other.type, t.PointerType):
            first = pointer_join(first, other, where)
        else:
            wide = frame.unit.program.sdk_version != "1.4"
            kind = first.type if other.type is first.type else arith.common(first, other, "if", where, wide)
            first = first if first.type is kind else other
    kind = first.type
    if kind.is_comptime and kind is not t.VOID:
        raise CslError.at(span, f"a run-time condition chooses between values of type {kind}: convert them with @as")
    return kind


def pointer_join(a: Value, b: Value, span: Span) -> Value:
    if pointer_fits(b.type, a.type):
        return a
    if pointer_fits(a.type, b.type):
        return b
    for kind in pointer_targets(a.type) + pointer_targets(b.type):
        if pointer_fits(a.type, kind) and pointer_fits(b.type, kind):
            return Run(kind, ir.Const("ptr", 0))  # of which only the type counts
    raise CslError.at(span, f"both sides of if must have one type, not {a.type} and {b.type}")


def pointer_targets(kind: t.PointerType) -> list[t.PointerType]:
    """The types that a pointer may become by itself, nearest first."""
    elem, many = kind.elem, kind.many
    const = t.pointer_to(elem, many, True)
    if many:
        return [const]
    if isinstance(elem, t.ArrayType):
        return [const, t.pointer_to(elem.elem, True, kind.const), t.pointer_to(elem.elem, True, True)]
    one = t.array_of((1,), elem)
    return [const, t.pointer_to(one, False, kind.const), t.pointer_to(one, False, True)]


def join(frame: Frame, ends: list, end: ir.Block, kind: Type, span: Span) -> Value:
    build = frame.build
    assert build is not None
    memory = frame.unit.local(frame, kind, "chosen", span) if kind.ir is None else None
    reg = build.variable(kind.ir or "ptr", "")
    for block, value, where in ends:
        build.block = block
        if memory is not None:
            store_mem(frame, memory, value, where)
        else:
            build.emit(ir.Copy(reg, frame.operand(value, where, kind)))
        build.jump(end)
    build.start(end)
    return memory if memory is not None else Run(kind, reg)


# ---- types ----


@expr(ast.PointerType)
def pointer_type(frame: Frame, node: ast.PointerType, want: Type | None) -> Val:
    return Val(t.TYPE, t.pointer_to(frame.type(node.elem), node.many, node.const))


@expr(ast.ArrayType)
def array_type(frame: Frame, node: ast.ArrayType, want: Type | None) -> Val:
    dims = []
    for dim in node.dims:
        value = frame.known(dim)
        if not t.is_integral(value.type):
            raise CslError.at(dim.span, f"the length of an array must be an integer, not {describe(value)}")
        number = concrete(value)
        if not 0 <= number < 1 << 31:
            raise CslError.at(dim.span, f"an array cannot have {number} elements")
        dims.append(number)
    elem = frame.type(node.elem)
    if isinstance(elem, t.ArrayType):
        shown = ", ".join(map(str, (*dims, *elem.dims)))
        raise CslError.at(
            node.elem.span, f"the elements of an array must not be arrays, as {elem} is", (None, f"write [{shown}]")
        )
    kind = t.array_of(tuple(dims), elem)
    if kind.count > t.MAX_ELEMENTS:
        raise CslError.at(node.span, f"{kind} has more than {t.MAX_ELEMENTS:,} elements")
    if isinstance(kind.elem, t.ArrayType) and kind.count * elements(kind.elem) > t.MAX_ELEMENTS:
        raise CslError.at(node.span, f"{kind} has more than {t.MAX_ELEMENTS:,} elements")
    return Val(t.TYPE, kind)


def elements(kind: Type) -> int:
    """How many elements an array of arrays has."""
    return kind.count * elements(kind.elem) if isinstance(kind, t.ArrayType) else 1


@expr(ast.FnType)
def function_type(frame: Frame, node: ast.FnType, want: Type | None) -> Val:
    return Val(t.TYPE, t.fn_type(node.kind, tuple(frame.type(param) for param in node.params), frame.type(node.result)))


@expr(ast.EnumType)
def enum_type(frame: Frame, node: ast.EnumType, want: Type | None) -> Val:
    tag = frame.type(node.tag) if node.tag is not None else t.U16
    if not isinstance(tag, t.IntType):
        raise CslError.at(node.tag.span if node.tag else node.span, f"an enum is stored in an integer, not in a {tag}")
    members = enum_members(frame, node, tag)
    key = (tag, tuple(members.items()))
    return Val(t.TYPE, t.intern(key, lambda: t.EnumType(f"enum({tag})", tag, members), node.made))


def enum_members(frame: Frame, node: ast.EnumType, tag: t.IntType) -> dict[str, int]:
    """The values of the members: given ones, which must differ; the others get, from left to right, the numbers from 0
    upwards that no member has."""
    given: dict[str, int] = {}
    for name, value, span in node.members:
        if value is None:
            continue
        number = frame.number(value, tag)
        same = next((other for other, taken in given.items() if taken == number), None)
        if same is not None and same != name:
            raise CslError.at(span, f"{same} and {name} have the same value {number}: the values of an enum differ")
        given[name] = number
    members: dict[str, int] = {}
    free = 0
    for name, value, span in node.members:
        if name in members:
            raise CslError.at(span, f"the member {name} is declared twice")
        if value is None:
            while free in given.values():
                free += 1
            given[name] = free
            if free > tag.high:
                raise CslError.at(span, f"the value {free} of {name} does not fit {tag}")
        members[name] = given[name]
    return members


@expr(ast.StructType)
def struct_type(frame: Frame, node: ast.StructType, want: Type | None) -> Val:
    fields: dict[str, tuple[Type, Val | None]] = {}
    word = "union" if node.union else "struct"
    for name, kind, default, span in node.fields:
        if name in fields:
            raise CslError.at(span, f"the field {name} is declared twice")
        made = frame.type(kind)
        check_field(made, node, name, kind.span)
        if node.union and default is not None:
            raise CslError.at(default.span, "a field of a union has no default")
        fields[name] = (made, None if default is None else frame.known(default, made))
    if node.union and not fields:
        raise CslError.at(node.span, "a union has at least one field")
    if node.union and node.layout == "packed":
        widths = {name: t.bit_width(made) for name, (made, _) in fields.items()}
        if len(set(widths.values())) > 1:
            shown = ", ".join(f"{name} {width}" for name, width in widths.items())
            raise CslError.at(node.span, f"the fields of a packed union have the same number of bits, not {shown}")
    key = tuple((name, made, None if default is None else key_of(default)) for name, (made, default) in fields.items())
    return Val(t.TYPE, t.intern(key, lambda: t.StructType(word, fields, node.layout, node.union), node.made))


def check_field(kind: Type, node: ast.StructType, name: str, span: Span) -> None:
    """An error if a field cannot have the type."""
    word = "union" if node.union else "struct"
    if kind is t.ANYOPAQUE:
        raise CslError.at(span, f"{name} cannot be of type anyopaque, which has no size: a pointer to it can")
    if node.layout == "packed":
        width = t.bit_width(kind)
        if width is None or isinstance(kind, t.IdType):
            raise CslError.at(
                span,
                f"a field of a packed {word} is a number, a bool, an enum, a pointer or itself packed, not {kind}",
            )


def convert(frame: Frame, value: Value, kind: Type, span: Span) -> Value:
    """@as(kind, value)"""
    if isinstance(value, Val):
        return explicit(value, kind, span)
    source = value.type
    if source is kind:
        return value
    if isinstance(kind, t.EnumType) and isinstance(source, t.EnumType):
        raise enum_cast(source, kind, span)
    inner = kind.tag if isinstance(kind, t.EnumType) else kind
    outer = source.tag if isinstance(source, t.EnumType) else source
    ids = isinstance(inner, t.IdType) and t.is_integral(outer)
    ids |= isinstance(outer, t.IdType) and isinstance(inner, t.IntType)
    numbers = (t.is_number(inner) or inner is t.BOOL) and (t.is_number(outer) or outer is t.BOOL)
    if inner.ir is None or not (numbers or ids) or not isinstance(value, Run):
        return frame.coerce(value, kind, span)
    build = frame.need_run(span, "a conversion")
    frame.unit.program.check_fp16(kind, span)
    narrows = isinstance(inner, t.IntType) and inner.partial and not t.widens(outer, inner)
    if inner.ir == outer.ir:
        return Run(kind, cut(build, inner, value.value).value) if narrows else Run(kind, value.value)
    reg = build.reg(inner.ir)
    if inner is t.BOOL:
        build.emit(ir.Bin("ne", reg, value.value, ir.Const(outer.ir or "u16", 0)))
    else:
        build.emit(ir.Convert(reg, value.value))
    return Run(kind, cut(build, inner, reg).value) if narrows else Run(kind, reg)
