"""Suppression files: lists of known findings.

A line has a kind, or * for all, then PEs (`3,0`, `0:4,2:8`), then a place in the source (`pe.csl:12`, `pe.csl`).
PEs and place are optional.  A finding is left out if it matches every part of a line.  # begins a comment.

    bounds  pe.csl:40        # the halo is read on purpose
    queue   0:1,0:8
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import ConfigError, did_you_mean
from ..records import dataclass
from .finding import KINDS, Finding

_PES = re.compile(r"(\d+)(?::(\d+))?,(\d+)(?::(\d+))?")


@dataclass
class Suppression:
    """A line.  kind, place: "" matches any.  pes: (x, y, end of x, end of y); None matches any.

    used: number of findings that matched.
    """

    line: int
    kind: str
    pes: tuple[int, int, int, int] | None
    place: str
    used: int = 0

    def fits(self, one: Finding) -> bool:
        if self.kind and one.kind != self.kind:
            return False
        if self.pes is not None:
            x, y, right, bottom = self.pes
            if not (x <= one.x < right and y <= one.y < bottom):
                return False
        return not self.place or re.search(rf"(?:^|[\s/]){re.escape(self.place)}(?![\w.])", one.where) is not None


class Suppressions:
    """The lines of a file."""

    def __init__(self, lines: list[Suppression] | None = None, path: str = ""):
        self.lines, self.path = lines or [], path

    @classmethod
    def load(cls, path: Path) -> Suppressions:
        """Reads a file.  ConfigError if it cannot be read or a line is not valid."""
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not a text file"
            raise ConfigError(f"suppression file {path}: {why}") from None
        lines = []
        for number, line in enumerate(text.splitlines(), 1):
            if words := line.partition("#")[0].split():
                lines.append(_line(words, number, f"{path}:{number}"))
        return cls(lines, str(path))

    def left(self, found: list[Finding]) -> list[Finding]:
        """The findings that no line matches."""
        left = []
        for one in found:
            fits = [line for line in self.lines if line.fits(one)]
            for line in fits:
                line.used += 1
            if not fits:
                left.append(one)
        return left

    def unused(self) -> list[str]:
        """A message for each line that matched no finding."""
        return [f"{self.path}:{line.line} matches no finding" for line in self.lines if not line.used]


def _line(words: list[str], number: int, where: str) -> Suppression:
    kind, *rest = words
    if kind != "*" and kind not in KINDS:
        raise ConfigError(f"{where}: there is no kind {kind!r} of findings: {did_you_mean(kind, KINDS, most=20)}")
    pes = None
    if rest and (match := _PES.fullmatch(rest[0])):
        x, right, y, bottom = (None if part is None else int(part) for part in match.groups())
        pes = (x or 0, y or 0, right or (x or 0) + 1, bottom or (y or 0) + 1)
        if pes[0] >= pes[2] or pes[1] >= pes[3]:
            raise ConfigError(f"{where}: {rest[0]} holds no PE; 0:4,2:8 has columns 0 to 3 and rows 2 to 7")
        rest = rest[1:]
    if len(rest) > 1:
        raise ConfigError(
            f"{where}: a line is KIND [PES] [PLACE], such as `bounds 0:4,2:8 pe.csl:12`, not {' '.join(words)!r}"
        )
    return Suppression(number, "" if kind == "*" else kind, pes, rest[0] if rest else "")
