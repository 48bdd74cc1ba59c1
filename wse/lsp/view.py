"""What stands at a place of a file: its declaration, its type, its value.

Places and declarations are those of the text as it is now.  Values are those of the last analysis, which may be of a
text that was a few keys shorter: local names are found in it by their function and their order.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..csl.builtins.language import contents
from ..csl.ir import ir
from ..csl.sema import types as t
from ..csl.sema.frame import Builder, Frame
from ..csl.sema.modules import LIBRARY, Instance
from ..csl.sema.values import Cell, FnRef, GlobalVar, Sym, Val
from ..csl.syntax import ast
from ..csl.syntax.errors import Findings, Source, Span
from ..csl.syntax.parser import Parser
from ..csl.syntax.scopes import Declaration, Given
from ..records import dataclass
from .analysis import Analysis, Bound, Part, within
from .project import Project
from .sources import Parsed

log = logging.getLogger(__name__)
OF_TYPE = re.compile(r" of type \w+| \(void\)")
MOST_TEXT = 300  # characters of a value that is shown
EVALUATION = 0.2  # seconds that the value of an expression may take
FILE_ARGUMENT = {"@import_module": 0, "@set_tile_code": 2, "@import_comptime_value": 1}
PARAMS_ARGUMENT = {"@import_module": 1, "@set_tile_code": 3}


@dataclass(eq=False)
class Thing:
    """What stands at a place.  kind: name, member, builtin, field, file.  declaration: of it, with the file that it
    stands in.  value: an lvalue or a value, as the evaluator has them; None if that is not known.  varies: whether a
    local name has had several values."""

    kind: str
    text: str
    span: Span
    declared: tuple[Parsed, Declaration] | None = None
    value: Any = None
    file: Path | None = None
    varies: bool = False


class View:
    """A file as it is now, and what the last analysis of its program knows of it."""

    def __init__(self, parsed: Parsed, analysis: Analysis | None, project: Project):
        self.parsed, self.analysis, self.project = parsed, analysis, project
        found = analysis.instance(parsed.path) if analysis is not None else None
        self.part: Part | None = found[0] if found is not None else None
        self.instance: Instance | None = found[1] if found is not None else None

    def of(self, path: Path) -> View | None:
        """Another file of the same program."""
        parsed = self.project.sources.parsed(path)
        return View(parsed, self.analysis, self.project) if parsed is not None else None

    # ---- values ----

    def bound(self, declaration: Declaration) -> Bound | None:
        """What a local name was bound to when it was last analysed."""
        if self.analysis is None:
            return None
        old = self.analysis.used().get(self.parsed.path)
        if old is None:
            return None
        if old is not self.parsed:
            then = [one for one in old.names.local if same_place(one, declaration)]
            now = [one for one in self.parsed.names.local if same_place(one, declaration)]
            number = now.index(declaration)
            if number >= len(then):
                return None
            declaration = then[number]
        text, at = declaration.key
        return self.analysis.bound((self.parsed.path, text, at))

    def value(self, declaration: Declaration) -> Any:
        """What a declared name stands for: an lvalue or a value; None if it is not known."""
        if self.parsed.names.top.get(declaration.text) is declaration:
            return self.top(declaration.text)
        found = self.bound(declaration)
        return found.value if found is not None else None

    def top(self, name: str) -> Any:
        """What a name of the module stands for."""
        instance = self.instance
        if instance is None or self.part is None:
            return None
        self.part.program.stop = within(EVALUATION)
        return tried(lambda: instance.resolve(name))

    def frame(self, offset: int) -> Frame | None:
        """Where an expression at an offset can be evaluated; no code is made of it."""
        if self.part is None or self.part.unit is None or self.instance is None:
            return None
        self.part.program.stop = within(EVALUATION)
        visible = self.parsed.names.visible(offset).values()
        local = [one for one in visible if self.parsed.names.top.get(one.text) is not one]
        build = Builder(ir.Function("aside", [], None)) if any(one.function for one in local) else None
        frame = Frame(self.part.unit, self.instance, build)
        for one in local:
            found = self.bound(one)
            if found is not None:
                frame.names[0][one.text] = found.value
        return frame

    def evaluated(self, node: ast.Node, offset: int) -> Any:
        """The lvalue, or value, of an expression at an offset; None if it is not known."""
        frame = self.frame(offset)
        if frame is None:
            return None
        if frame.build is not None:
            found = tried(lambda: frame.lvalue(node))
            if found is not None:
                return found
            frame.build = None
        return tried(lambda: frame.lvalue(node))

    def expression(self, text: str, offset: int) -> Any:
        """The value of the text of an expression that stands before an offset."""
        findings = Findings()
        node = tried(lambda: Parser(Source(self.parsed.path, text), findings).expr())
        return self.evaluated(node, offset) if node is not None and not findings.errors else None

    # ---- files ----

    def file_of(self, call: ast.BuiltinCall) -> Path | None:
        """The file that a call names."""
        at = FILE_ARGUMENT.get(call.name)
        if at is None or len(call.args) <= at:
            return self.parsed.path if call.name == "@set_tile_code" else None
        node = call.args[at]
        name: Any = node.value if isinstance(node, ast.Literal) else None
        if name is None:
            found = self.evaluated(node, node.span.start)
            name = found.data if isinstance(found, Val) else None
        return self.file_named(name) if isinstance(name, str) else None

    def file_named(self, name: str) -> Path | None:
        if name.startswith("<") and name.endswith(">"):
            path = Path(os.path.normpath(LIBRARY / f"{name[1:-1]}.csl"))
            return path if path.is_relative_to(LIBRARY) and path.is_file() else None
        tops = [self.analysis.options.layout.parent] if self.analysis is not None else []
        for folder in (self.parsed.path.parent, *tops, *self.project.import_paths()):
            path = Path(os.path.normpath(folder / name))
            if path in self.project.sources.open or (tried(path.is_file) or False):
                return path
        return None

    def module_of(self, node: ast.Node) -> Path | None:
        """The file of the module that an expression stands for, by its declaration, else by its value."""
        if isinstance(node, ast.Ident):
            declared = self.parsed.names.visible(node.span.start).get(node.name)
            init = getattr(declared.node, "init", None) if declared is not None else None
            if isinstance(init, ast.BuiltinCall) and init.name == "@import_module":
                return self.file_of(init)
        if isinstance(node, ast.Member):
            outer = self.module_of(node.base)
            view = self.of(outer) if outer is not None else None
            declared = view.parsed.names.top.get(node.name) if view is not None else None
            init = getattr(declared.node, "init", None) if declared is not None else None
            if view is not None and isinstance(init, ast.BuiltinCall) and init.name == "@import_module":
                return view.file_of(init)
        value = self.evaluated(node, node.span.start)
        data = getattr(value, "data", None)
        return Path(data.file.source.path) if isinstance(data, Instance) else None

    # ---- places ----

    def at(self, offset: int) -> Thing | None:
        """What stands at an offset."""
        names = self.parsed.names
        for use in names.uses:
            if use.span.start <= offset <= use.span.end:
                if use.declaration is not None:
                    return self.declared_name(use.declaration, use.span)
                return Thing("name", use.text, use.span, value=self.evaluated(ast.Ident(use.span, use.text), offset))
        for one in names.declarations():
            if one.name.start <= offset <= one.name.end:
                return self.declared_name(one, one.name)
        for node, place in names.members:
            if place.start <= offset <= place.end:
                return self.member(node, place)
        for given in names.given:
            if given.name.start <= offset <= given.name.end:
                return self.field(given)
        for call in names.builtins:
            if call.span.start <= offset <= call.span.start + len(call.name):
                return Thing(
                    "builtin", call.name, Span(self.parsed.source, call.span.start, call.span.start + len(call.name))
                )
            at = FILE_ARGUMENT.get(call.name, -1)
            if 0 <= at < len(call.args) and call.args[at].span.start <= offset <= call.args[at].span.end:
                return Thing("file", call.name, call.args[at].span, file=self.file_of(call))
        for dotted, place in names.dotted:
            if place.start - 1 <= offset <= place.end:
                return Thing("member", dotted.name, place)
        return None

    def declared_name(self, declaration: Declaration, span: Span) -> Thing:
        local = self.parsed.names.top.get(declaration.text) is not declaration
        found = self.bound(declaration) if local else None
        value = self.value(declaration)
        return Thing(
            "name", declaration.text, span, (self.parsed, declaration), value, varies=bool(found and found.times > 1)
        )

    def member(self, node: ast.Member, place: Span) -> Thing:
        made = Thing("member", node.name, place)
        module = self.module_of(node.base)
        view = self.of(module) if module is not None else None
        declaration = view.parsed.names.top.get(node.name) if view is not None else None
        if view is not None and declaration is not None:
            made.declared = view.parsed, declaration
        made.value = self.evaluated(node, place.start)
        if made.declared is None:
            base = self.evaluated(node.base, place.start)
            made.declared = self.field_of_type(base, node.name)
        return made

    def field_of_type(self, base: Any, name: str) -> tuple[Parsed, Declaration] | None:
        """The field or member of a struct or enum that the file declares by name."""
        kind = getattr(base, "type", None)
        kind = base.data if kind is t.TYPE and isinstance(base, Val) else kind
        for one in self.parsed.names.declarations():
            init = getattr(one.node, "init", None)
            if one.text != getattr(kind, "name", None) or not isinstance(init, ast.StructType | ast.EnumType):
                continue
            rows = init.fields if isinstance(init, ast.StructType) else init.members
            for row in rows:
                if row[0] == name:
                    return self.parsed, Declaration("field", name, row[-1], init)
        return None

    def field(self, given: Given) -> Thing:
        name = given.node.name or ""
        made = Thing("field", name, given.name, value=self.evaluated(given.node.value, given.name.start))
        if given.call is not None and not given.path and given.call.name in PARAMS_ARGUMENT:
            path = self.file_of(given.call)
            view = self.of(path) if path is not None else None
            declaration = view.parsed.names.top.get(name) if view is not None else None
            if view is not None and declaration is not None and declaration.kind == "param":
                made.declared = view.parsed, declaration
        return made


def same_place(one: Declaration, other: Declaration) -> bool:
    """Whether two local names have one text, and stand in functions of one name."""
    functions = [f.name if f is not None else None for f in (one.function, other.function)]
    return one.text == other.text and one.kind == other.kind and functions[0] == functions[1]


def tried(action: Callable[[], Any]) -> Any:
    """What an evaluation gives, None if it fails: half-written programs fail in every way."""
    try:
        return action()
    except Exception:
        log.debug("not known", exc_info=True)
        return None


# ---- words for values ----


def type_of(value: Any) -> str | None:
    """The type of an lvalue or value."""
    kind = getattr(value, "type", None)
    if isinstance(value, Val) and isinstance(value.data, FnRef):
        return None
    if kind is None and isinstance(value, Cell) and value.value is not None:
        kind = value.value.type
    return str(kind) if kind is not None else None


def known_value(value: Any) -> str | None:
    """What an lvalue or value is known to be when the program is compiled, for people."""
    if isinstance(value, GlobalVar):
        value = value.value if not value.mutable else None
    if isinstance(value, Cell):
        value = value.value
    if not isinstance(value, Val) or value.type in (t.VOID, t.FUNCTION, t.MODULE, t.UNDEFINED):
        return None
    if isinstance(value.data, Sym):
        values = value.data.values
        return f"{values.min()} to {values.max()}, one for each PE"
    if (
        isinstance(value.data, FnRef)
        or value.type in (t.FIFO, t.RANGE)
        or isinstance(value.type, t.DsdType | t.PointerType)
    ):
        return None
    words = OF_TYPE.sub("", str(tried(lambda: contents(value)) or "a value"))
    if words.startswith("a value"):
        return None
    words = words.removeprefix("type ")
    return words if len(words) <= MOST_TEXT else f"{words[:MOST_TEXT]} ..."
