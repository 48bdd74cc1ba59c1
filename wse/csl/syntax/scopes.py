"""What each name of a file refers to, by the rules of scopes alone: nothing is evaluated.

A name means the innermost declaration around it that comes before it, else one of the file, else it is predefined or
unknown.  Members (`module.name`) and fields are recorded with their places; what they mean depends on values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import field, fields
from typing import Any

from ...records import dataclass
from . import ast
from .errors import Source, Span


@dataclass(eq=False)
class Declaration:
    """A name that a file declares.

    kind: const, var, param, fn, task; parameter, of a function; capture, of a loop or an optional; index, of a tensor
    access.  name: its place.  node: what declares it.  function: around it, None at the top.  seen: offsets between
    which a local name is seen.
    """

    kind: str
    text: str
    name: Span
    node: ast.Node
    function: ast.FnDecl | None = None
    seen: tuple[int, int] = (0, 0)

    @property
    def key(self) -> tuple[str, int]:
        """The name and the offset by which the evaluator binds it."""
        at = self.name if isinstance(self.node, ast.VarDecl) else self.node.span
        return self.text, at.start


@dataclass(eq=False)
class Use:
    """A name where it is used.  declaration: None if it is predefined or unknown."""

    text: str
    span: Span
    declaration: Declaration | None


@dataclass(eq=False)
class Names:
    """The names of a file.  builtins: calls; members: `a.b` and the place of `b`; given: `.a = value` with the place of
    `a`, and the literals around it, outermost first."""

    source: Source
    top: dict[str, Declaration] = field(default_factory=dict)
    local: list[Declaration] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    builtins: list[ast.BuiltinCall] = field(default_factory=list)
    members: list[tuple[ast.Member, Span]] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    dotted: list[tuple[ast.DotName, Span]] = field(default_factory=list)

    def declarations(self) -> list[Declaration]:
        return [*self.top.values(), *self.local]

    def visible(self, offset: int) -> dict[str, Declaration]:
        """The declarations that a name at an offset may mean, the innermost of each name."""
        found = dict(self.top)
        inside = [one for one in self.local if one.seen[0] <= offset <= one.seen[1]]
        for one in sorted(inside, key=lambda one: one.seen[0]):
            found[one.text] = one
        return found


@dataclass(eq=False)
class Given:
    """A named field of a literal.  call: of a builtin whose argument the outermost literal is; path: names of the
    fields around it."""

    node: ast.Field
    name: Span
    literal: ast.StructLit
    call: ast.BuiltinCall | None
    path: tuple[str, ...]


def names(file: ast.File) -> Names:
    """The names of a file."""
    made = Walker(file)
    made.walk()
    return made.names


class Walker:
    """Goes through a tree once, with the local names that are seen."""

    def __init__(self, file: ast.File):
        self.file, self.source = file, file.source
        self.names = Names(file.source)
        self.scopes: list[dict[str, Declaration]] = []
        self.ends: list[int] = []
        self.function: ast.FnDecl | None = None
        self.literals: list[tuple[ast.BuiltinCall | None, tuple[str, ...]]] = [(None, ())]

    def walk(self) -> None:
        for decl in self.file.decls.values():
            self.names.top[decl.name] = Declaration(decl.kind, decl.name, decl.name_span, decl)
        for decl in self.file.decls.values():
            if isinstance(decl, ast.FnDecl):
                self.visit(decl)
            else:
                self.children(decl)
        for block in (*self.file.comptimes, *self.file.layouts):
            self.visit(block)

    # ---- what is seen ----

    def declare(self, kind: str, text: str, name: Span, node: ast.Node, behind: int | None = None) -> None:
        """Declares a local name.  behind: the offset from which it is seen, if not its own."""
        if text == "_" or text.startswith("#"):
            return
        seen = (name.start if behind is None else behind, self.ends[-1])
        made = Declaration(kind, text, name, node, self.function, seen)
        self.scopes[-1][text] = made
        self.names.local.append(made)

    def found(self, text: str) -> Declaration | None:
        for scope in reversed(self.scopes):
            if text in scope:
                return scope[text]
        return self.names.top.get(text)

    def inside(self, span: Span, declare: Callable[[], None], *body: Any) -> None:
        """Visits with a scope of its own."""
        self.scopes.append({})
        self.ends.append(span.end)
        declare()
        for node in body:
            self.visit(node)
        self.scopes.pop()
        self.ends.pop()

    def words(self, kind: str, words: Iterable[str], start: int, end: int, node: ast.Node) -> None:
        """Declares names that stand in this order between two offsets."""
        for word in words:
            place = re.compile(rf"\b{re.escape(word)}\b").search(self.source.text, start, end)
            if place is not None:
                start = place.end()
                self.declare(kind, word, Span(self.source, place.start(), place.end()), node)

    # ---- nodes ----

    def visit(self, node: Any) -> None:
        if isinstance(node, list | tuple):
            for item in node:
                self.visit(item)
        elif isinstance(node, ast.Node):
            handler = VISIT.get(type(node))
            if handler is None:
                self.children(node)
            else:
                handler(self, node)

    def children(self, node: Any) -> None:
        for name in CHILDREN.get(type(node)) or children_of(type(node)):
            self.visit(getattr(node, name))

    def ident(self, node: ast.Ident) -> None:
        if node.name != "_":
            self.names.uses.append(Use(node.name, node.span, self.found(node.name)))

    def builtin(self, node: ast.BuiltinCall) -> None:
        self.names.builtins.append(node)
        for arg in node.args:
            self.literals.append((node, ()))
            self.visit(arg)
            self.literals.pop()

    def member(self, node: ast.Member) -> None:
        self.visit(node.base)
        self.names.members.append((node, Span(self.source, node.span.end - len(node.name), node.span.end)))

    def dot_name(self, node: ast.DotName) -> None:
        self.names.dotted.append((node, Span(self.source, node.span.end - len(node.name), node.span.end)))

    def literal(self, node: ast.StructLit) -> None:
        self.visit(node.type)
        call, path = self.literals[-1]
        for item in node.items:
            if item.name is None:
                self.visit(item.value)
                continue
            start = self.source.text.index(item.name, item.span.start)
            place = Span(self.source, start, start + len(item.name))
            self.names.given.append(Given(item, place, node, call, path))
            self.literals.append((call, (*path, item.name)))
            self.visit(item.value)
            self.literals.pop()

    def fn(self, node: ast.FnDecl) -> None:
        self.function = node
        end = node.body.span.end if node.body is not None else node.span.end
        for attribute in (node.linkname, node.linksection):
            self.visit(attribute)

        def parameters() -> None:
            for param in node.params:
                self.visit(param.type)
                self.words("parameter", [param.name], param.span.start, param.span.end, param)

        self.inside(Span(self.source, node.span.start, end), parameters, node.result, node.body)
        self.function = None

    def block(self, node: ast.Block) -> None:
        self.inside(node.span, lambda: None, *node.body)

    def variable(self, node: ast.VarDecl) -> None:
        self.children(node)
        if self.scopes:
            self.declare(node.kind, node.name, node.name_span, node, node.span.end)

    def loop(self, node: ast.For) -> None:
        self.visit(node.items)
        first = node.items[-1].span.end

        def captures() -> None:
            self.words("capture", node.captures, first, node.body.span.start, node)

        self.inside(node.span, captures, node.body)

    def choice(self, node: ast.If | ast.IfExpr) -> None:
        self.visit(node.condition)
        self.captured(node, node.then if isinstance(node, ast.IfExpr) else node, node.then)
        self.visit(node.other)

    def repeat(self, node: ast.While) -> None:
        self.visit(node.condition)
        self.captured(node, node, node.step, node.body)

    def captured(self, node: ast.If | ast.IfExpr | ast.While, binds: ast.Node, *body: ast.Node | None) -> None:
        """Visits what sees the captured value.  binds: the node at whose place the evaluator binds it."""
        start, end = node.condition.span.end, max(part.span.end for part in body if part is not None)

        def capture() -> None:
            if node.capture is not None:
                self.words("capture", [node.capture], start, end, binds)

        self.inside(Span(self.source, start, end), capture, *body)

    def access(self, node: ast.TensorAccess) -> None:
        self.visit(node.bounds)

        def indices() -> None:
            self.words("index", node.names, node.span.start, node.span.end, node)

        self.inside(node.span, indices, node.body)


VISIT: dict[type, Callable[[Any, Any], None]] = {
    ast.Ident: Walker.ident,
    ast.BuiltinCall: Walker.builtin,
    ast.Member: Walker.member,
    ast.DotName: Walker.dot_name,
    ast.StructLit: Walker.literal,
    ast.FnDecl: Walker.fn,
    ast.Block: Walker.block,
    ast.VarDecl: Walker.variable,
    ast.For: Walker.loop,
    ast.If: Walker.choice,
    ast.IfExpr: Walker.choice,
    ast.While: Walker.repeat,
    ast.TensorAccess: Walker.access,
}
CHILDREN: dict[type, tuple[str, ...]] = {ast.Literal: ()}


def children_of(kind: type) -> tuple[str, ...]:
    """The fields of a class of nodes that may hold nodes."""
    plain = ("span", "name_span", "name", "kind", "op", "label", "capture")
    made = CHILDREN[kind] = tuple(one.name for one in fields(kind) if one.name not in plain)
    return made
