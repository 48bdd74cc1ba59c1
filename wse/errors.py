"""Errors of programs and input.  A message says what is wrong, where (PE, color, queue, task, source line), what was
expected and what to do.  Errors of a run are in wse.fabric.errors."""

from __future__ import annotations


class WseError(Exception):
    """Base class of every error that this package raises on purpose."""


class ConfigError(WseError):
    """An option, a file or a machine description that cannot be used."""


class ProgramError(WseError):
    """A program that cannot be built."""


class AsmError(ProgramError):
    """Text that is not a valid program; `line` is the line of the text, counted from 1 (0: unknown)."""

    def __init__(self, message: str, line: int = 0):
        super().__init__(message)
        self.line = line


class MemoryOverflow(ProgramError):
    """A PE's code and data exceed its memory; the message holds the memory map."""


class RouteError(ProgramError):
    """A route that cannot work; `x`, `y`, `color` say where."""

    def __init__(self, message: str, x: int = -1, y: int = -1, color: int = -1):
        super().__init__(message)
        self.x, self.y, self.color = x, y, color
