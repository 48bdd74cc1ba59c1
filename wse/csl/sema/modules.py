"""Modules: files, their instances, and the lazy evaluation of what they declare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..syntax import ast
from ..syntax.errors import CslError, Findings, Source, Span
from ..syntax.parser import parse
from . import types as t
from .convert import describe, explicit
from .frame import Frame
from .suggest import did_you_mean
from .types import Type
from .values import FnRef, GlobalVar, Val, concrete, copy_of, zero

LIBRARY = Path(__file__).parent.parent / "lib"
MAX_IMPORTS = 100  # nested
# Libraries of the documentation that are refused, and why.
UNSUPPORTED = {
    "<kernels/fft/fft3d>": "its functions are not documented; <kernels/fft/fft3d_layout> is supported",
    "<kernels/fft/get_params>": "its functions are not documented; <kernels/fft/fft3d_layout> is supported",
    "<message_passing>": "how its messages find their way is not documented; route colors, or use <collectives_2d>",
}


class Loader:
    """Finds, reads and parses files, each once.

    top: the file that is compiled.  Modules are looked for beside the importing file, beside the top file, then in
    import_paths, in this order.
    """

    def __init__(self, import_paths: list[Path] | None = None, top: Path | None = None):
        self.import_paths, self.top = import_paths or [], top
        self.files: dict[Path, ast.File] = {}

    def load(self, path: Path, span: Span | None = None, library: bool = False) -> ast.File:
        """The tree of a file.  CslError if it cannot be read or parsed.  span: of what names it."""
        path = path.resolve()
        if path not in self.files:
            file, findings = self.parsed(path, span, library)
            if findings.errors:
                error = CslError(findings.errors)
                raise error.note(span, "imported here") if span is not None else error
            self.files[path] = file
        return self.files[path]

    def parsed(self, path: Path, span: Span | None = None, library: bool = False) -> tuple[ast.File, Findings]:
        """What can be parsed of a file, and what is wrong.  CslError if it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            raise CslError.at(span, f"{path} cannot be read: {reason}") from None
        findings = Findings()
        return parse(Source(shown_path(path), text, library), findings), findings

    def functions(self) -> dict[str, list[tuple[int, int, str]]]:
        """First line, last line and name of the functions of each file, in order."""
        return {
            file.source.path: sorted(
                (file.source.place(decl.span.start)[0], file.source.place(decl.body.span.end - 1)[0], decl.name)
                for decl in file.decls.values()
                if isinstance(decl, ast.FnDecl) and decl.body is not None
            )
            for file in self.files.values()
        }

    def find(self, name: str, importer: ast.File, span: Span) -> tuple[Path, bool]:
        """The file of an import, and whether it belongs to the library."""
        if name.startswith("<") and name.endswith(">"):
            if name in UNSUPPORTED:
                raise CslError.at(span, f"{name} is not supported: {UNSUPPORTED[name]}")
            path = LIBRARY / f"{name[1:-1]}.csl"
            if ".." in name or not path.is_file():
                known = [str(p.relative_to(LIBRARY).with_suffix("")) for p in LIBRARY.rglob("*.csl")]
                raise CslError.at(span, f"there is no library {name}{did_you_mean(name[1:-1], known)}")
            return path, True
        beside_top = [self.top.parent] if self.top is not None and not importer.source.library else []
        folders = list(dict.fromkeys([Path(importer.source.path).parent, *beside_top, *self.import_paths]))
        for folder in folders:
            try:
                if (folder / name).is_file():
                    return folder / name, importer.source.library
            except (OSError, ValueError):  # a name that is none
                break
        library = f"; the library is <{name}>" if (LIBRARY / f"{name}.csl").is_file() and ".." not in name else ""
        raise CslError.at(span, f"{name} is not found; looked in {', '.join(map(str, folders))}{library}")


def shown_path(path: Path) -> str:
    """Relative to where we are, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class _Evaluating:
    def __init__(self, span: Span):
        self.span = span


class Instance:
    """A module with its parameters and its own variables.  prefix: of the symbols of its variables."""

    def __init__(self, unit: Any, file: ast.File, params: dict[str, Val], prefix: str = "", span: Span | None = None):
        self.unit, self.file, self.params, self.prefix, self.span = unit, file, params, prefix, span
        self.entries: dict[str, Any] = {}
        self.depth = 0
        self.parent: Instance | None = None

    def __repr__(self) -> str:
        return f"<module {self.file.source.path}>"

    @property
    def library(self) -> bool:
        return self.file.source.library

    def resolve(self, name: str) -> Val | GlobalVar | None:
        """The value or variable that a name of the module stands for; None if it declares no such name."""
        found = self.entries.get(name)
        if found is not None:
            if isinstance(found, _Evaluating):
                raise CslError.at(found.span, f"the value of {name} depends on itself")
            return found
        decl = self.file.decls.get(name)
        if decl is None:
            return None
        if isinstance(decl, ast.FnDecl):
            made: Val | GlobalVar = Val(t.FUNCTION, FnRef(decl, self))
            self.entries[name] = made
            return made
        self.entries[name] = _Evaluating(decl.name_span)
        try:
            self.entries[name] = made = self.evaluate(decl)
        except BaseException as error:
            del self.entries[name]
            if isinstance(error, CslError) and self.span is not None and self.parent is not None:
                self.note_import(error)
            raise
        return made

    def note_import(self, error: CslError) -> None:
        """Says how the module was reached, once."""
        sentence = f"{Path(self.file.source.path).name} is imported here"
        if not any(sentence == note for d in error.diagnostics for _, note in d.notes):
            error.note(self.span, sentence)

    def evaluate(self, decl: ast.VarDecl) -> Val | GlobalVar:
        frame = Frame(self.unit, self)
        if decl.kind == "param":
            return self.parameter(decl, frame)
        kind = frame.type(decl.type) if decl.type is not None else None
        if decl.extern:
            return self.extern(decl, kind, frame)
        value = None
        if decl.init is not None:
            value = frame.expr(decl.init, kind)
            if kind is not None:
                value = frame.coerce(value, kind, decl.init.span)
            if not isinstance(value, Val):
                raise CslError.at(decl.init.span, f"the value of {decl.name} is not known at compile time")
            if value.type is t.UNDEFINED:
                value = None
        if decl.kind == "const" and not decl.export:
            if value is None:
                raise CslError.at(decl.span, f"constant {decl.name} has no value")
            named(value, decl.name)
            if (decl.align is None and decl.linksection is None) or value.type.is_comptime:
                return copy_of(value)
        kind = kind or (value.type if value is not None else None)
        if kind is None:
            raise CslError.at(decl.span, f"{decl.name} needs a type")
        if kind in (t.VOID, t.RANGE) and value is not None and not decl.export:
            return value
        if decl.kind == "var" and kind.is_comptime and not decl.export:
            message = f"{decl.name} of type {kind} does not exist at run time: {t.absence(kind)}, or write const"
            raise CslError.at(decl.name_span, message)
        var = self.variable(decl, kind, copy_of(value) if value is not None else zero(kind), frame)
        var.undefined = value is None
        return var

    def variable(self, decl: ast.VarDecl, kind: Type, value: Val | None, frame: Frame) -> GlobalVar:
        align = frame.alignment(decl.align)
        linkname = link_name(frame, decl.linkname, "a linkname")
        name = f"export.{linkname or decl.name}" if decl.export or linkname else self.prefix + decl.name
        symbol = self.unit.unique(name)
        var = GlobalVar(kind, value, symbol, decl.name, decl.name_span, decl.kind == "var", align)
        var.section = self.unit.section(frame, decl)
        if decl.export or linkname:
            self.unit.share_symbol(linkname or decl.name, var, decl.export)
        if decl.export:
            self.unit.check_storage(kind, "export", decl)
            self.unit.export_variable(linkname or decl.name, var)
        self.unit.by_symbol[symbol] = var
        return var

    def extern(self, decl: ast.VarDecl, kind: Type | None, frame: Frame) -> GlobalVar:
        if kind is None:
            raise CslError.at(decl.span, f"extern {decl.name} needs a type")
        self.unit.check_storage(kind, "extern", decl)
        name = link_name(frame, decl.linkname, "a linkname") or decl.name
        symbol = f"export.{name}"
        var = GlobalVar(kind, None, symbol, decl.name, decl.name_span, decl.kind == "var", extern=True)
        self.unit.share_symbol(name, var, True)
        self.unit.externs.append(var)
        self.unit.by_symbol.setdefault(symbol, var)
        return var

    def parameter(self, decl: ast.VarDecl, frame: Frame) -> Val:
        kind = frame.type(decl.type) if decl.type is not None else None
        value = self.params.get(decl.name)
        if value is None:
            if decl.init is None:
                note = (self.span, "the module is imported here") if self.span is not None else (None, self.needs(decl))
                raise CslError.at(decl.name_span, f"param {decl.name} has no value", note)
            value = frame.known(decl.init, kind)
            span: Span | None = decl.init.span
        else:
            span = decl.name_span
        if kind is None or kind is t.ANYTYPE:
            return value
        if isinstance(kind, t.IdType) and value.type is t.COMPTIME_INT and self.parent is None:
            return explicit(value, kind, span)
        try:
            return frame.coerce(value, kind, span)
        except CslError as error:
            if value is not self.params.get(decl.name):
                raise
            place = (self.span, "the value is given here") if self.span is not None else (None, "as given")
            raise CslError.at(span, f"param {decl.name}: {error.diagnostics[0].message}", place) from None

    def needs(self, decl: ast.VarDecl) -> str:
        return f"give it one with --params={decl.name}:VALUE, or a default"


def link_name(frame: Frame, node: ast.Node | None, what: str) -> str | None:
    """The argument of linkname(...) or linksection(...)."""
    if node is None:
        return None
    value = frame.known(node)
    if value.type is not t.STRING:
        raise CslError.at(node.span, f"{what} is a comptime_string, not {describe(value)}")
    if not value.data:
        raise CslError.at(node.span, f"{what} is not empty")
    return str(concrete(value))


def takes_number(file: ast.File, name: str) -> bool:
    """Whether the file declares the param with an integer type: the form of SDK 2.10 for colors from outside."""
    decl = file.decls.get(name)
    return isinstance(decl, ast.VarDecl) and isinstance(decl.type, ast.Ident) and decl.type.name in t.INTS


def named(value: Val, name: str) -> None:
    """A type that has no name yet gets that of the constant it is the value of."""
    kind = value.data
    if (
        value.type is t.TYPE
        and isinstance(kind, t.EnumType | t.StructType)
        and kind.name.split("(")[0] in ("enum", "struct", "union")
    ):
        kind.name = name
