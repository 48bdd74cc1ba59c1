"""Another name for what is declared: the edits, or why it cannot have that name.

The edited program is looked at before the edits are given: every place must mean the same declaration as before, no
other may mean it, and the compiler must find nothing that it did not find before.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..csl.sema import types as t
from ..csl.sema.frame import PREDEFINED
from ..csl.syntax.errors import Span
from ..csl.syntax.lexer import KEYWORDS
from ..csl.syntax.scopes import Declaration
from ..errors import WseError
from .analysis import Analyser, Stopped, within
from .navigation import places
from .sources import Parsed, Sources
from .view import View

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECONDS = 3.0  # that the check may take


class CannotRename(WseError):
    """Why a name cannot be changed, in one sentence."""


def renamed_place(view: View, offset: int) -> Span:
    """The place of the name at an offset.  CannotRename if it is none that can be changed."""
    thing = view.at(offset)
    if thing is None:
        raise CannotRename("no name stands here")
    if thing.kind == "builtin":
        raise CannotRename(f"{thing.text} is a builtin of the language")
    if thing.declared is None:
        if thing.text in PREDEFINED or t.int_named_or_none(thing.text) is not None:
            raise CannotRename(f"{thing.text} is a name of the language")
        raise CannotRename(f"it is not known where {thing.text} is declared")
    parsed, declaration = thing.declared
    if parsed.source.library:
        raise CannotRename(f"{thing.text} belongs to the library, in {parsed.path.name}")
    if declaration.kind == "field":
        raise CannotRename(f"{thing.text} is a field: literals name fields without saying of which struct")
    if declaration.kind == "param" and view.analysis is not None:
        options = view.analysis.options
        if parsed.path == options.layout and declaration.text in {**options.params, **options.colors}:
            raise CannotRename(
                f"{declaration.text} is given its value by {options.origin}, which would have to be changed, too"
            )
    return thing.span


def rename(view: View, offset: int, name: str) -> dict[Path, list[tuple[int, int]]]:
    """The places that get the new name, (start, end) by file.  CannotRename says why not."""
    renamed_place(view, offset)
    if not NAME.fullmatch(name):
        raise CannotRename(f"{name!r} is no name: letters, digits and _, not beginning with a digit")
    if name == "_" or name in KEYWORDS:
        raise CannotRename(f"{name} is a word of the language")
    if name in PREDEFINED or t.int_named_or_none(name) is not None:
        raise CannotRename(f"{name} is a name of the language")
    thing = view.at(offset)
    assert thing is not None and thing.declared is not None
    parsed, declaration = thing.declared
    if declaration.text == name:
        return {}
    found: dict[Path, list[tuple[int, int]]] = {}
    for span in places(view, parsed, declaration):
        found.setdefault(Path(span.source.path), []).append((span.start, span.end))
    edited = {path: sorted(spans) for path, spans in found.items()}
    check(view, parsed, declaration, edited, name)
    return edited


def applied(text: str, spans: list[tuple[int, int]], name: str) -> tuple[str, list[int]]:
    """The text with another name at these places, and where the places begin in it."""
    parts, starts, at, length = [], [], 0, 0
    for start, end in spans:
        parts += [text[at:start], name]
        length += start - at
        starts.append(length)
        length += len(name)
        at = end
    return "".join([*parts, text[at:]]), starts


def check(
    view: View, parsed: Parsed, declaration: Declaration, edited: dict[Path, list[tuple[int, int]]], name: str
) -> None:
    """CannotRename if the program would not mean the same with the new name."""
    texts: dict[Path, str] = {}
    starts: dict[Path, list[int]] = {}
    for path, spans in edited.items():
        texts[path], starts[path] = applied(view.project.sources.text(path) or "", spans, name)
    sources = view.project.sources.over(texts)
    for path in edited:
        now, before = sources.parsed(path), view.project.sources.parsed(path)
        known = {one.message for one in before.findings.errors} if before is not None else set()
        for one in now.findings.errors if now is not None else ():
            if one.message not in known:
                raise CannotRename(f"{path.name} would be wrong: {one.message}")
    after = sources.parsed(parsed.path)
    assert after is not None
    own = next(i for i, span in enumerate(edited[parsed.path]) if span[0] == declaration.name.start)
    place = starts[parsed.path][own]
    meant = next((one for one in after.names.declarations() if one.name.start == place), None)
    if meant is None:
        raise CannotRename(f"{name} would not be declared in {parsed.path.name}")
    uses = {use.span.start for use in after.names.uses if use.declaration is meant}
    uses |= {given.name.start for given in after.names.given} | {at.start for _, at in after.names.members}
    wanted = set(starts[parsed.path]) - {place}
    hidden = wanted - uses
    captured = {use.span.start for use in after.names.uses if use.declaration is meant} - wanted
    for offset in sorted(hidden | captured):
        line = after.source.place(offset)[0]
        raise CannotRename(f"{name} would mean another declaration in line {line} of {parsed.path.name}")
    compiled(view, sources, name)


def compiled(view: View, sources: Sources, name: str) -> None:
    """CannotRename if the compiler finds what it did not find before."""
    before = view.analysis
    if before is None or not before.complete:
        return
    known = sorted(d.message for d in before.diagnostics() if d.severity == "error")
    try:
        for after in Analyser(sources, before.options, None, within(SECONDS)).run():
            if after.complete:
                break
    except Stopped:
        return
    for diagnostic in after.diagnostics():
        if diagnostic.severity == "error" and diagnostic.message not in known:
            raise CannotRename(f"with {name} the program would be wrong: {diagnostic.message}")
