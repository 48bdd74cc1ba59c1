"""Errors of programs and input.  A message says what is wrong, where (PE, color, queue, task, source line), what was
expected and what to do.  Errors of a run are in wse.fabric.errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WseError(Exception):
    """Base class of all errors that this package raises for wrong input or a failed run."""


class ConfigError(WseError):
    """An invalid option, file or machine description."""


class ProgramError(WseError):
    """An invalid program: a declaration that is impossible, or a program that cannot be laid out or loaded."""


class AsmError(ProgramError):
    """Assembler text that is invalid.  line: line of the text, from 1 (0: unknown)."""

    def __init__(self, message: str, line: int = 0):
        super().__init__(message)
        self.line = line


class MemoryOverflow(ProgramError):
    """Code and data of a class exceed a PE's memory.  The message contains the memory map."""


class RouteError(ProgramError):
    """An invalid route.  x, y: a router concerned; color: number of the color; -1 where unknown."""

    def __init__(self, message: str, x: int = -1, y: int = -1, color: int = -1):
        super().__init__(message)
        self.x, self.y, self.color = x, y, color


def did_you_mean(name: str, known: Iterable[str], most: int = 12) -> str:
    """The end of a message about an unknown name: up to three matches that are about equally close, else all names
    if there are at most `most`, else their number; nothing if `most` is 0.  Case counts little."""
    known = sorted(set(known))
    found = sorted(((_likeness(name, other), other) for other in known), reverse=True)
    near = 0.01 if found and found[0][0] > 0.99 else 0.1  # a name in the other case stands alone
    close = [other for likeness, other in found[:3] if likeness >= 0.6 and likeness > found[0][0] - near]
    if not close and len(name) > 1:
        lower = name.lower()
        close = [other for other in known if other.lower().startswith(lower) or other.lower().endswith(lower)][:3]
    if close:
        return f"did you mean {' or '.join(close)}?"
    if most == 0:
        return ""
    return f"known: {', '.join(known)}" if 0 < len(known) <= most else f"{len(known) or 'no'} names are known"


def _likeness(name: str, other: str) -> float:
    """0 to 1: the share of letters in common, in order; a letter in the other case is nearly the same letter."""
    matcher = difflib.SequenceMatcher(None, other.lower(), name.lower())
    if matcher.real_quick_ratio() < 0.6 or matcher.quick_ratio() < 0.6:
        return 0.0
    return matcher.ratio() - 0.001 * (other != name and other.lower() == name.lower())
