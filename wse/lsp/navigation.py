"""Where a thing is declared, and where it is used, in all files of the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..csl.syntax.errors import Span
from ..csl.syntax.scopes import Declaration
from .sources import Parsed
from .view import View


def definition(view: View, offset: int) -> list[Span]:
    """The declaration of what stands at an offset; of the name of a file, its beginning."""
    thing = view.at(offset)
    if thing is None:
        return []
    if thing.declared is not None:
        return [thing.declared[1].name]
    if thing.file is not None:
        parsed = view.project.sources.parsed(thing.file)
        return [Span(parsed.source, 0, 0)] if parsed is not None else []
    return []


def references(view: View, offset: int, with_declaration: bool = True) -> list[Span]:
    """The places of what is declared, or used, at an offset."""
    thing = view.at(offset)
    if thing is None or thing.declared is None:
        return []
    parsed, declaration = thing.declared
    found = places(view, parsed, declaration)
    return found if with_declaration else [span for span in found if not same(span, declaration.name)]


def places(view: View, parsed: Parsed, declaration: Declaration) -> list[Span]:
    """Where a declared name stands, the declaration first."""
    found = [declaration.name]
    owner = view if parsed is view.parsed else view.of(parsed.path)
    if owner is None:
        return found
    found += [use.span for use in parsed.names.uses if use.declaration is declaration]
    if declaration.kind == "field":
        found += fields(owner, declaration)
    elif parsed.names.top.get(declaration.text) is declaration:
        for path in files(view, parsed.path):
            other = view if path == view.parsed.path else view.of(path)
            if other is not None:
                found += from_outside(other, parsed.path, declaration)
    unique = {(span.source.path, span.start): span for span in found}
    return list(unique.values())


def files(view: View, path: Path) -> Iterator[Path]:
    """Files that may use what a file declares: those of the workspace, and those of the analysed program."""
    known = list(view.project.files())
    if view.analysis is not None:
        known += [one for one, parsed in view.analysis.used().items() if not parsed.source.library]
    yield from dict.fromkeys([path, *known])


def from_outside(view: View, path: Path, declaration: Declaration) -> Iterator[Span]:
    """Where a file names what another one declares: as a member of a module, or as a param that it is given."""
    if declaration.text not in view.parsed.text:
        return
    for node, place in view.parsed.names.members:
        if node.name == declaration.text and view.module_of(node.base) == path:
            yield place
    for given in view.parsed.names.given:
        if given.node.name == declaration.text and declaration.kind == "param":
            declared = view.field(given).declared
            if declared is not None and declared[0].path == path and same(declared[1].name, declaration.name):
                yield given.name


def fields(view: View, declaration: Declaration) -> Iterator[Span]:
    """Members of values whose type declares a field."""
    for node, place in view.parsed.names.members:
        if node.name == declaration.text:
            thing = view.member(node, place)
            if thing.declared is not None and same(thing.declared[1].name, declaration.name):
                yield place


def same(one: Span, other: Span) -> bool:
    return one.source.path == other.source.path and one.start == other.start
