"""What a file declares, for outlines: functions, variables, the layout, with what belongs to them."""

from __future__ import annotations

from ..csl.syntax import ast
from ..records import dataclass
from .hover import signature
from .view import View


@dataclass(eq=False)
class Symbol:
    """kind: as scopes.Declaration has it, or module, struct, enum, layout, comptime.  span: all of it; name_span: its
    name."""

    name: str
    kind: str
    detail: str
    span: tuple[int, int]
    name_span: tuple[int, int]
    children: list[Symbol]


def outline(view: View) -> list[Symbol]:
    """The symbols of a file in their order."""
    found = []
    for one in view.parsed.names.top.values():
        node = one.node
        start, end = node.span.start, node.span.end
        kind, children = one.kind, []
        if isinstance(node, ast.FnDecl) and node.body is not None:
            end = node.body.span.end
        init = getattr(node, "init", None)
        if isinstance(init, ast.BuiltinCall) and init.name == "@import_module":
            kind = "module"
        elif isinstance(init, ast.StructType | ast.EnumType):
            kind = "struct" if isinstance(init, ast.StructType) else "enum"
            rows = init.fields if isinstance(init, ast.StructType) else init.members
            spans = [(row[0], (row[-1].start, row[-1].end)) for row in rows]
            children = [Symbol(name, "field", "", span, span, []) for name, span in spans]
        place = (one.name.start, one.name.end)
        whole = (min(start, place[0]), max(end, place[1]))
        found.append(Symbol(one.text, kind, signature(view.parsed, one, None), whole, place, children))
    for kind, blocks in (("layout", view.parsed.file.layouts), ("comptime", view.parsed.file.comptimes)):
        for block in blocks:
            place = (block.span.start, block.span.start)
            found.append(Symbol(kind, kind, "", (block.span.start, block.span.end), place, []))
    return sorted(found, key=lambda one: one.span)
