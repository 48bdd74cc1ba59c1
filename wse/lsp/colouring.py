"""Semantic tokens: what a grammar cannot tell, such as params from variables and modules from values."""

from __future__ import annotations

from ..csl.sema import types as t
from ..csl.sema.frame import PREDEFINED
from ..csl.syntax import ast
from ..csl.syntax.scopes import Declaration
from .view import View

TYPES = ("namespace", "type", "function", "parameter", "variable", "property", "macro", "event", "enumMember")
MODIFIERS = ("declaration", "readonly", "defaultLibrary")
KINDS = {
    "fn": "function", "task": "event", "param": "parameter", "parameter": "parameter", "const": "variable",
    "var": "variable", "capture": "variable", "index": "variable", "field": "property",
}  # fmt: skip


def tokens(view: View) -> list[tuple[int, int, str, tuple[str, ...]]]:
    """(start, end, type, modifiers) of the names of a file, in their order."""
    names = view.parsed.names
    found: dict[int, tuple[int, int, str, tuple[str, ...]]] = {}

    def add(start: int, end: int, kind: str, *modifiers: str) -> None:
        found.setdefault(start, (start, end, kind, modifiers))

    for one in names.declarations():
        add(one.name.start, one.name.end, kind_of(one), "declaration", *readonly(one))
    for use in names.uses:
        if use.declaration is not None:
            add(use.span.start, use.span.end, kind_of(use.declaration), *readonly(use.declaration))
        elif use.text in PREDEFINED or t.int_named_or_none(use.text) is not None:
            value = PREDEFINED.get(use.text)
            kind = "enumMember" if value is not None and value.type is t.DIRECTION else "type"
            add(use.span.start, use.span.end, kind, "defaultLibrary")
    for call in names.builtins:
        if view.parsed.text.startswith(call.name, call.span.start):
            add(call.span.start, call.span.start + len(call.name), "macro", "defaultLibrary")
    for node, place in names.members:
        called = isinstance(node, ast.Member) and view.parsed.text[place.end : place.end + 1] == "("
        add(place.start, place.end, "function" if called else "property")
    for given in names.given:
        add(given.name.start, given.name.end, "property")
    for _, place in names.dotted:
        add(place.start, place.end, "enumMember")
    return [found[start] for start in sorted(found)]


def kind_of(one: Declaration) -> str:
    init = getattr(one.node, "init", None)
    if isinstance(init, ast.BuiltinCall) and init.name == "@import_module":
        return "namespace"
    if isinstance(init, ast.StructType | ast.EnumType):
        return "type"
    return KINDS[one.kind]


def readonly(one: Declaration) -> tuple[str, ...]:
    return ("readonly",) if one.kind in ("const", "param", "capture", "index", "parameter") else ()
