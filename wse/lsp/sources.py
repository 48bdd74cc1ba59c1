"""Texts of CSL files: what is open in the editor, else what is on disk, parsed once for each version."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from ..csl.sema.modules import LIBRARY, Loader
from ..csl.syntax import ast, scopes
from ..csl.syntax.errors import CslError, Findings, Source, Span
from ..csl.syntax.parser import parse


class Parsed:
    """A version of a text with its tree.  findings: errors of syntax; the tree holds what could be parsed."""

    def __init__(self, path: Path, text: str):
        self.path, self.text = path, text
        self.findings = Findings()
        self.file: ast.File = parse(Source(path, text, is_library(path)), self.findings)

    @cached_property
    def names(self) -> scopes.Names:
        return scopes.names(self.file)

    @property
    def source(self) -> Source:
        return self.file.source


def is_library(path: Path) -> bool:
    """Whether a file belongs to the library of the compiler."""
    return path.is_relative_to(LIBRARY)


class Sources:
    """open: texts in the editor, by resolved path.  A file on disk is read again when its time or size changes."""

    def __init__(self) -> None:
        self.open: dict[Path, str] = {}
        self._parsed: dict[Path, tuple[object, Parsed]] = {}

    def text(self, path: Path) -> str | None:
        """The text of a file, None if it cannot be read."""
        if path in self.open:
            return self.open[path]
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def parsed(self, path: Path) -> Parsed | None:
        """A file with its tree, None if it cannot be read."""
        version = self.version(path)
        known = self._parsed.get(path)
        if known is not None and known[0] == version:
            return known[1]
        text = self.text(path)
        if text is None:
            return None
        made = Parsed(path, text)
        self._parsed[path] = version, made
        return made

    def version(self, path: Path) -> object:
        """Equal for equal texts of a file."""
        if path in self.open:
            return self.open[path]
        try:
            found = path.stat()
        except (OSError, ValueError):
            return None
        return found.st_mtime_ns, found.st_size

    def over(self, texts: dict[Path, str]) -> Sources:
        """These sources with other texts for some files, which are not written."""
        made = Sources()
        made.open = self.open | texts
        made._parsed = {path: known for path, known in self._parsed.items() if path not in texts}
        return made


class OpenLoader(Loader):
    """A loader of the compiler over Sources.  A file with errors of syntax gives what could be parsed.

    used: the versions of the files that were loaded.
    """

    def __init__(self, sources: Sources, import_paths: list[Path] | None = None, top: Path | None = None):
        super().__init__(import_paths, top)
        self.sources = sources
        self.used: dict[Path, Parsed] = {}

    def load(self, path: Path, span: Span | None = None, library: bool = False) -> ast.File:
        path = path.resolve()
        if path not in self.files:
            found = self.sources.parsed(path)
            if found is None:
                raise CslError.at(span, f"{path} cannot be read")
            self.used[path], self.files[path] = found, found.file
        return self.files[path]

    def unchanged(self) -> bool:
        """Whether the files that were loaded are still those of the sources."""
        return all(self.sources.parsed(path) is found for path, found in self.used.items())
