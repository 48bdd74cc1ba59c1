"""What an editor shows of the thing under the cursor: Markdown with its declaration, value and documentation."""

from __future__ import annotations

import re
from functools import cache

from ..csl.builtins.table import BUILTINS, LIBRARY_PREFIX
from ..csl.features.table import Feature, chapters
from ..csl.sema import types as t
from ..csl.sema.frame import PREDEFINED
from ..csl.sema.modules import LIBRARY
from ..csl.sema.values import Val
from ..csl.syntax import ast
from ..csl.syntax.scopes import Declaration
from .sources import Parsed
from .view import MOST_TEXT, Thing, View, known_value, type_of

COMMENT = re.compile(r"[ \t]*//[ \t]?(.*)")


def hover(view: View, offset: int) -> tuple[str, tuple[int, int]] | None:
    """Markdown about what stands at an offset, and the place of it."""
    thing = view.at(offset)
    if thing is None:
        return None
    words = about(view, thing)
    return (words, (thing.span.start, thing.span.end)) if words else None


def about(view: View, thing: Thing) -> str:
    """Markdown about a thing; nothing if nothing is known of it."""
    if thing.kind == "builtin":
        return builtin(thing.text)
    if thing.kind == "file":
        return f"`{thing.file}`" if thing.file is not None else ""
    if thing.declared is not None:
        parsed, declaration = thing.declared
        owner = view if parsed is view.parsed else view.of(parsed.path) or view
        value = thing.value if thing.kind != "field" else owner.value(declaration)
        line = signature(parsed, declaration, value, hidden=thing.varies)
        parts = [code(line), documentation(parsed, declaration)]
        if declaration.kind == "param":
            parts.append(given_by(owner, declaration))
        return "\n\n".join(part for part in parts if part)
    if thing.text in PREDEFINED or t.int_named_or_none(thing.text) is not None:
        return predefined(thing.text)
    kind, value = type_of(thing.value), known_value(thing.value)
    if kind is None:
        return ""
    return code(f"{thing.text}: {kind}" + (f" = {value}" if value is not None else ""))


def code(text: str) -> str:
    return f"```csl\n{text}\n```"


# ---- declarations ----


def signature(parsed: Parsed, declaration: Declaration, value: object, hidden: bool = False) -> str:
    """A declaration in one line, with the type and the value that are known.  hidden: without the value."""
    node = declaration.node
    if isinstance(node, ast.FnDecl):
        return " ".join(parsed.text[node.span.start : node.result.span.end].split())
    kind, known = type_of(value), None if hidden else known_value(value)
    if kind is None:
        kind = written_type(parsed, node)
    head = declaration.text if declaration.kind in ("parameter", "capture", "index", "field") else ""
    head = head or f"{declaration.kind} {declaration.text}"
    if kind is not None and not (isinstance(value, Val) and value.type in (t.TYPE, t.MODULE)):
        head += f": {kind}"
    init = getattr(node, "init", None)
    if isinstance(value, Val) and value.type is t.MODULE and init is not None:
        return f"{head} = {parsed.text[init.span.start : init.span.end]}"
    if isinstance(init, ast.StructType | ast.EnumType):
        written = " ".join(parsed.text[init.span.start : init.span.end].split())
        return f"{head} = {written}" if len(written) < MOST_TEXT else head
    return f"{head} = {known}" if known is not None else head


def written_type(parsed: Parsed, node: ast.Node) -> str | None:
    """The type as the declaration has it."""
    kind = getattr(node, "type", None)
    return " ".join(parsed.text[kind.span.start : kind.span.end].split()) if isinstance(kind, ast.Node) else None


def documentation(parsed: Parsed, declaration: Declaration) -> str:
    """The comment in the lines before a declaration; of the library, what the table of features says, too."""
    if declaration.kind in ("parameter", "capture", "index", "field"):
        return ""
    source = parsed.source
    line = source.place(declaration.name.start)[0] - 1
    lines: list[str] = []
    while line > 0 and (found := COMMENT.fullmatch(source.line(line))):
        lines.insert(0, found[1])
        line -= 1
    words = [] if line == 0 and lines and not declared_first(parsed, declaration) else ["\n".join(lines)]
    if source.library and declaration.function is None:
        library = parsed.path.relative_to(LIBRARY).with_suffix("").as_posix()
        words += [noted(row) for row in features(f"lib_{library.split('/')[0]}", declaration.text)]
    return "\n\n".join(word for word in words if word)


def declared_first(parsed: Parsed, declaration: Declaration) -> bool:
    """Whether a comment at the top of a file is of the declaration, and not of the file: they are not to be told apart
    if one follows the other."""
    return next(iter(parsed.names.top.values()), None) is declaration and not parsed.source.library


def given_by(view: View, declaration: Declaration) -> str:
    """Where the value of a param comes from."""
    analysis = view.analysis
    if analysis is None:
        return ""
    options = analysis.options
    if view.parsed.path == options.layout:
        if declaration.text in options.params or declaration.text in options.colors:
            return f"Value from {options.origin}."
        return ""
    values: dict[str, None] = {}
    for instance in analysis.modules(view.parsed.path):
        found = instance.params.get(declaration.text)
        words = known_value(found) if found is not None else None
        if words is not None:
            values[words] = None
    if len(values) > 1:
        return f"Given other values, too: {', '.join(list(values)[:8])}{' ...' * (len(values) > 8)}."
    return ""


# ---- builtins and types ----


def builtin(name: str) -> str:
    """The signature and the meaning of a builtin, with what the table of features says of it."""
    row = BUILTINS.get(name)
    if row is None:
        return ""
    parts = [code(row.signature), row.meaning]
    if row.architectures != BUILTINS["@as"].architectures:
        parts.append(f"Of {', '.join(row.architectures)} only.")
    if not name.startswith(LIBRARY_PREFIX):
        parts += [noted(feature) for feature in features("", name)]
    return "\n\n".join(part for part in parts if part)


@cache
def rows() -> dict[tuple[str, str], tuple[Feature, ...]]:
    """The rows of the table of features that name something, by chapter and name; by "" and name for builtins."""
    found: dict[tuple[str, str], list[Feature]] = {}
    for chapter in chapters():
        for row in chapter.features:
            head = row.name.split(":")[0]
            for name in re.findall(r"`(@?\w+)`", head):
                found.setdefault(("" if name[0] == "@" else chapter.key, name), []).append(row)
    return {key: tuple(features) for key, features in found.items()}


def features(chapter: str, name: str) -> tuple[Feature, ...]:
    """The rows about a name."""
    return rows().get((chapter, name), ())


def noted(row: Feature) -> str:
    """What a row says beyond names; nothing if that is nothing."""
    words = "" if re.fullmatch(r"`@?\w+`(, `@?\w+`)*", row.name) else f"{row.name}."
    release = "" if row.releases == "both" else f"SDK {row.releases}."
    state = "" if row.state == "works" else f"{row.state.capitalize()}."
    note = row.note if not row.note or row.note.endswith(".") else f"{row.note}."
    said = " ".join(part for part in (words, state, release, note) if part)
    return f"- {said}" if said else ""


def predefined(name: str) -> str:
    """A type or value that every program has."""
    value = PREDEFINED.get(name)
    if value is not None and value.type is t.DIRECTION:
        return code(f"{name}: direction") + "\n\nA side of a router, or its ramp to the compute element."
    kind = value.data if value is not None else t.int_named_or_none(name)
    assert isinstance(kind, t.Type)
    where = "exists at compile time only" if kind.size is None else f"{kind.size} bytes at run time"
    return code(f"{name}: type") + f"\n\n{where[0].upper()}{where[1:]}."
