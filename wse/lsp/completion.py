"""What may stand at the cursor: names, members, fields, builtins, files, words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..csl.builtins.table import ARCHITECTURES, BUILTINS, Fields, public
from ..csl.sema import types as t
from ..csl.sema.frame import PREDEFINED
from ..csl.sema.modules import LIBRARY, UNSUPPORTED, Instance
from ..csl.sema.values import Cell, FnRef, GlobalVar, Parts, Val
from ..csl.syntax.lexer import KEYWORDS
from ..csl.syntax.scopes import Declaration
from ..records import dataclass
from .context import Bracket, Context, context
from .hover import builtin, documentation, signature
from .project import csl_files
from .sources import Parsed
from .view import FILE_ARGUMENT, PARAMS_ARGUMENT, View, known_value, type_of


@dataclass(eq=False)
class Proposal:
    """kind: as view.Thing and scopes.Declaration have them, or keyword, type, value.  detail: one line; words:
    Markdown."""

    name: str
    kind: str
    detail: str = ""
    words: str = ""


def complete(view: View, offset: int) -> tuple[list[Proposal], int]:
    """What may stand at an offset, and the offset at which the word begins that it stands for."""
    where = context(view.parsed.path, view.parsed.text, offset)
    if where.comment:
        return [], offset
    if where.string is not None:
        return list(strings(view, where)), offset - len(where.string)
    if where.word.startswith("@"):
        return [
            Proposal(name, "builtin", BUILTINS[name].signature, builtin(name)) for name in sorted(public())
        ], where.start
    if where.behind == "." and where.base is not None:
        return list(members(view, where.base, offset)), where.start
    if where.behind == ".":
        return list(fields(view, where, offset)), where.start
    if where.behind in ("const", "var", "param", "fn", "task"):
        return [], offset
    return list(words(view, offset)), where.start


# ---- names ----


def words(view: View, offset: int) -> Iterator[Proposal]:
    """Names that are seen, names of types and values that every program has, keywords."""
    for declaration in view.parsed.names.visible(offset).values():
        yield declared(view, view.parsed, declaration, view.value(declaration))
    for name, value in PREDEFINED.items():
        yield Proposal(name, "type" if value.type is t.TYPE else "value", str(value.type))
    for name in sorted(KEYWORDS - set(PREDEFINED)):
        yield Proposal(name, "keyword")


def declared(view: View, parsed: Parsed, declaration: Declaration, value: Any) -> Proposal:
    line = signature(parsed, declaration, value)
    kind = declaration.kind
    if isinstance(value, Val) and value.type in (t.TYPE, t.MODULE):
        kind = "type" if value.type is t.TYPE else "module"
    return Proposal(declaration.text, kind, line, documentation(parsed, declaration))


# ---- members ----


def members(view: View, base: str, offset: int) -> Iterator[Proposal]:
    """What a value has behind a `.`."""
    value = view.expression(base, offset) if base else None
    yield from members_of(view, value)


def members_of(view: View, value: Any) -> Iterator[Proposal]:
    if isinstance(value, Cell):
        value = value.value
    if isinstance(value, GlobalVar) and isinstance(value.value, Val) and value.type.is_comptime:
        value = value.value
    kind: Any = getattr(value, "type", None)
    data: Any = getattr(value, "data", None)
    if isinstance(data, Instance):
        yield from module_members(view, data)
    elif isinstance(value, Val) and kind is t.TYPE and isinstance(data, t.EnumType):
        for name, number in data.members.items():
            yield Proposal(name, "member", f"{data}.{name} = {number}")
    elif isinstance(kind, t.StructType):
        yield from struct_members(kind)
    elif isinstance(value, Val) and isinstance(data, dict):
        for name, item in data.items():
            known = known_value(item)
            yield Proposal(name, "field", f"{name}: {type_of(item)}" + (f" = {known}" if known is not None else ""))
    elif isinstance(value, Parts) and kind.names:
        for name, part in zip(kind.names, kind.types, strict=True):
            yield Proposal(name, "field", f"{name}: {part}")
    elif isinstance(kind, t.PointerType) and not kind.many:
        yield Proposal("*", "operator", f"the value of type {kind.elem} that it points to")
    elif isinstance(kind, t.OptionalType):
        yield Proposal("?", "operator", f"the value of type {kind.elem} that it holds")


def struct_members(kind: t.StructType) -> Iterator[Proposal]:
    for name, (field, _) in kind.fields.items():
        yield Proposal(name, "field", f"{name}: {field}")


def module_members(view: View, instance: Instance) -> Iterator[Proposal]:
    """What a module declares."""
    other = view.of(Path(instance.file.source.path))
    if other is None:
        return
    other.instance = instance
    for declaration in other.parsed.names.top.values():
        yield declared(other, other.parsed, declaration, other.top(declaration.text))


# ---- fields of literals ----


def fields(view: View, where: Context, offset: int) -> Iterator[Proposal]:
    """Names behind a `.` that follows no value: fields of the literal around it, or members of the enum meant."""
    inner = where.brackets[-1] if where.brackets else None
    kind = None
    if inner is not None and inner.text == "{" and inner.before and inner.field is None:  # a literal, or a block
        kind = getattr(view.expression(inner.before, offset), "data", None)
    if inner is not None and isinstance(kind, t.StructType):
        yield from (one for one in struct_members(kind) if one.name not in inner.given)
    elif inner is not None and inner.text == ".{" and inner.field is None:
        yield from fields_of_literal(view, where, inner, offset)
    else:
        yield from enum_members(view, offset, where)


def fields_of_literal(view: View, where: Context, inner: Bracket, offset: int) -> Iterator[Proposal]:
    """Fields of a struct that is an argument, without those that it has."""

    def free(found: Iterable[Proposal]) -> Iterator[Proposal]:
        return (one for one in found if one.name not in inner.given)

    call, path = where.call, where.path
    if call is None or path is None:
        return
    row = BUILTINS.get(call.before)
    if row is None:
        yield from free(of_parameter(view, call, path, offset))
        return
    if PARAMS_ARGUMENT.get(row.name) == call.commas and not path:
        yield from free(params_of(view, call))
        return
    names = argument_fields(view, call, path)
    yield from free(Proposal(name, "field", f".{name} of {row.name}") for name in names)


def argument_fields(view: View, call: Bracket, path: list[str]) -> Iterable[str]:
    """The names of the fields of a struct argument of a builtin."""
    row = BUILTINS[call.before]
    names = [parameter.rstrip("?.") for parameter in row.parameters]
    first = view.parsed.text[call.start + 1 :].split(",")[0].strip()
    if not names:
        return ()
    known: Fields | None = row.fields.get(first) or row.fields.get(names[min(call.commas, len(names) - 1)])
    for step in path:
        known = known.get(step) if known else None
    return known or ()


def params_of(view: View, call: Bracket) -> Iterator[Proposal]:
    """The params of the file that a call names."""
    text = view.parsed.text[call.start :]
    names = text.split('"', 2)[1:2]
    path = view.file_named(names[0]) if names else None
    other = view.of(path) if path is not None else None
    if other is None:
        return
    for one in other.parsed.names.top.values():
        if one.kind == "param":
            yield Proposal(one.text, "param", signature(other.parsed, one, None), documentation(other.parsed, one))


def of_parameter(view: View, call: Bracket, path: list[str], offset: int) -> Iterator[Proposal]:
    """The fields of the struct that a parameter of a function takes."""
    value = view.expression(call.before, offset)
    data = getattr(value, "data", None)
    if not isinstance(data, FnRef) or call.commas >= len(data.decl.params):
        return
    kind: Any = getattr(view.evaluated(data.decl.params[call.commas].type, offset), "data", None)
    for step in path:
        kind = kind.fields[step][0] if isinstance(kind, t.StructType) and step in kind.fields else None
    if isinstance(kind, t.StructType):
        yield from struct_members(kind)


def enum_members(view: View, offset: int, where: Context) -> Iterator[Proposal]:
    """Members of the enum of the other side of a comparison or an assignment, or of a declared type."""
    line = view.parsed.text[: where.start - 1]
    line = line[line.rfind("\n") + 1 :].rstrip()
    for operator in ("==", "!=", "="):
        if line.endswith(operator):
            left = line[: -len(operator)].rstrip()
            if ":" in left and operator == "=":
                kind = getattr(view.expression(left.rpartition(":")[2].strip(), offset), "data", None)
            else:
                kind = getattr(view.expression(last_operand(left), offset), "type", None)
            if isinstance(kind, t.EnumType):
                for name, number in kind.members.items():
                    yield Proposal(name, "member", f"{kind}.{name} = {number}")
            return


def last_operand(text: str) -> str:
    """The expression at the end of a line, without what stands before it."""
    at = len(text)
    while at and (text[at - 1].isalnum() or text[at - 1] in "_.[]"):
        at -= 1
    return text[at:]


# ---- strings ----


def strings(view: View, where: Context) -> Iterator[Proposal]:
    """Files and words that the string of an argument may be."""
    call = where.brackets[-1] if where.brackets else None
    if call is None or call.text != "(":
        return
    if call.before == "@is_arch":
        yield from (Proposal(name, "value", "an architecture") for name in ARCHITECTURES)
    if FILE_ARGUMENT.get(call.before) != call.commas:
        return
    if call.before == "@import_module":
        for path in sorted(LIBRARY.rglob("*.csl")):
            name = f"<{path.relative_to(LIBRARY).with_suffix('').as_posix()}>"
            if name not in UNSUPPORTED:
                yield Proposal(name, "file", summary(view, path))
    folder = view.parsed.path.parent
    ending = ".json" if call.before == "@import_comptime_value" else ".csl"
    known = view.project.files() if ending == ".csl" else folder.glob("*.json")
    for path in dict.fromkeys([*known, *(csl_files(folder) if ending == ".csl" else ())]):
        name = Path(os.path.relpath(path, folder)).as_posix()
        if path != view.parsed.path and not name.startswith("../.."):
            yield Proposal(name, "file", summary(view, path))


def summary(view: View, path: Path) -> str:
    """The first line of a file, if it is a comment."""
    text = view.project.sources.text(path) or ""
    first = text.split("\n", 1)[0].strip()
    return first.removeprefix("//").strip() if first.startswith("//") else ""
