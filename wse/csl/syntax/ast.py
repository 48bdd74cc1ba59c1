"""The syntax tree.  Every node has the span of the source it came from; nothing here knows what anything means."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from ...records import dataclass
from .errors import Source, Span


class Node:
    """Anything with a place in a source."""

    __slots__ = ()
    span: Span


# ---- expressions ----


@dataclass(slots=True, eq=False)
class Literal(Node):
    """kind: int, float, string, bool, void, undefined, null."""

    span: Span
    kind: str
    value: object


@dataclass(slots=True, eq=False)
class Ident(Node):
    span: Span
    name: str


@dataclass(slots=True, eq=False)
class BuiltinCall(Node):
    """@name(args); `name` with its @."""

    span: Span
    name: str
    args: list


@dataclass(slots=True, eq=False)
class Unary(Node):
    span: Span
    op: str
    operand: Node


@dataclass(slots=True, eq=False)
class Binary(Node):
    span: Span
    op: str
    left: Node
    right: Node


@dataclass(slots=True, eq=False)
class IfExpr(Node):
    """capture: the name of what an optional condition holds, seen in `then`."""

    span: Span
    condition: Node
    then: Node
    other: Node | None
    capture: str | None = None


@dataclass(slots=True, eq=False)
class Call(Node):
    span: Span
    callee: Node
    args: list


@dataclass(slots=True, eq=False)
class Index(Node):
    """base[i, j]"""

    span: Span
    base: Node
    indices: list


@dataclass(slots=True, eq=False)
class Member(Node):
    span: Span
    base: Node
    name: str


@dataclass(slots=True, eq=False)
class Deref(Node):
    """base.*"""

    span: Span
    base: Node


@dataclass(slots=True, eq=False)
class Unwrap(Node):
    """base.?"""

    span: Span
    base: Node


@dataclass(slots=True, eq=False)
class Field(Node):
    """An item of a literal: `.name = value`, or a value alone (name is None)."""

    span: Span
    name: str | None
    value: Node


@dataclass(slots=True, eq=False)
class StructLit(Node):
    """`.{…}` (type is None) or `T{ .a = … }`."""

    span: Span
    type: Node | None
    items: list[Field]


@dataclass(slots=True, eq=False)
class ArrayLit(Node):
    """`[3]T{…}`, or `T{…}` with the name of an array type or a call that gives one; `T{}` of a struct, too."""

    span: Span
    type: Node
    items: list[Node]


@dataclass(slots=True, eq=False)
class DotName(Node):
    """`.name`: a member of the enum that is expected."""

    span: Span
    name: str


@dataclass(slots=True, eq=False)
class TensorAccess(Node):
    """|i, j|{N, M} -> A[…]"""

    span: Span
    names: list[str]
    bounds: list[Node]
    body: Node


@dataclass(slots=True, eq=False)
class ComptimeExpr(Node):
    span: Span
    value: Node


@dataclass(slots=True, eq=False)
class BlockExpr(Node):
    """label: { … break :label value; … }"""

    span: Span
    label: str
    body: Block


# ---- types ----


@dataclass(slots=True, eq=False)
class OptionalType(Node):
    """?T"""

    span: Span
    elem: Node


@dataclass(slots=True, eq=False)
class PointerType(Node):
    """*T, *const T, [*]T, [*]const T"""

    span: Span
    elem: Node
    many: bool
    const: bool


@dataclass(slots=True, eq=False)
class ArrayType(Node):
    span: Span
    dims: list[Node]
    elem: Node


@dataclass(slots=True, eq=False)
class FnType(Node):
    """kind: fn or task."""

    span: Span
    kind: str
    params: list[Node]
    result: Node


@dataclass(slots=True, eq=False)
class EnumType(Node):
    """made: the types that it stands for, by what differs among them."""

    span: Span
    tag: Node | None
    members: list[tuple[str, Node | None, Span]]
    made: dict[Any, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class StructType(Node):
    """fields: (name, type, default or None, span).  layout: "", "extern" or "packed".  union: of which one field is
    held.  made: the types that it stands for, by what differs among them."""

    span: Span
    fields: list[tuple[str, Node, Node | None, Span]]
    layout: str = ""
    union: bool = False
    made: dict[Any, Any] = field(default_factory=dict)


# ---- statements ----


@dataclass(slots=True, eq=False)
class VarDecl(Node):
    """kind: const, var, param.  comptime: written `comptime var`.  At module level or in a block."""

    span: Span
    kind: str
    name: str
    name_span: Span
    type: Node | None
    init: Node | None
    align: Node | None = None
    linkname: Node | None = None
    linksection: Node | None = None
    export: bool = False
    extern: bool = False
    comptime: bool = False


@dataclass(slots=True, eq=False)
class Block(Node):
    span: Span
    body: list[Node]
    label: str | None = None


@dataclass(slots=True, eq=False)
class ComptimeBlock(Node):
    span: Span
    body: Block


@dataclass(slots=True, eq=False)
class If(Node):
    span: Span
    condition: Node
    then: Node
    other: Node | None
    capture: str | None = None


@dataclass(slots=True, eq=False)
class While(Node):
    """capture: the name of what an optional condition holds."""

    span: Span
    condition: Node
    step: Node | None
    body: Node
    inline: bool = False
    label: str | None = None
    capture: str | None = None


@dataclass(slots=True, eq=False)
class For(Node):
    """captures: item and, if two, its index."""

    span: Span
    items: list[Node]
    captures: list[str]
    body: Node
    by_pointer: bool = False
    inline: bool = False
    label: str | None = None


@dataclass(slots=True, eq=False)
class Arm(Node):
    """values: empty for `else`; (low, high) pairs stand as Binary `...`."""

    span: Span
    values: list[Node]
    body: Node


@dataclass(slots=True, eq=False)
class Switch(Node):
    """A statement and an expression."""

    span: Span
    value: Node
    arms: list[Arm]


@dataclass(slots=True, eq=False)
class Return(Node):
    span: Span
    value: Node | None


@dataclass(slots=True, eq=False)
class Break(Node):
    span: Span
    label: str | None
    value: Node | None


@dataclass(slots=True, eq=False)
class Continue(Node):
    span: Span
    label: str | None


@dataclass(slots=True, eq=False)
class Assign(Node):
    """op: = or += and its like."""

    span: Span
    op: str
    target: Node
    value: Node


@dataclass(slots=True, eq=False)
class ExprStmt(Node):
    span: Span
    value: Node


# ---- declarations ----


@dataclass(slots=True, eq=False)
class Param(Node):
    span: Span
    name: str
    type: Node
    comptime: bool


@dataclass(slots=True, eq=False)
class FnDecl(Node):
    """kind: fn or task.  body is None for extern, whose parameters may have no names ("#1")."""

    span: Span
    kind: str
    name: str
    name_span: Span
    params: list[Param]
    result: Node
    body: Block | None
    export: bool = False
    extern: bool = False
    inline: bool = False
    linkname: Node | None = None
    linksection: Node | None = None


@dataclass(eq=False)
class File:
    """A module's text as a tree."""

    source: Source
    decls: dict[str, VarDecl | FnDecl] = field(default_factory=dict)
    comptimes: list[Block] = field(default_factory=list)
    layouts: list[Block] = field(default_factory=list)
