"""Breakpoints and watchpoints, and how messages name them; why a run has stopped."""

from __future__ import annotations

from typing import NamedTuple

from ..records import dataclass
from .lines import Location


@dataclass(eq=False)
class Breakpoint:
    """A breakpoint or watchpoint.

    - kind: "line" (any location in code), "task", "wavelet", "watch" or "cycle".
    - text: the place in the user's words.
    - pe: (x, y) if it is limited to one PE, else None.
    - condition: an expression over the PE's variables, or "".
    - location: of "line".  value: the color of "wavelet", the cycle of "cycle".
    - trouble: why the condition had no value when it was last tested, or "".
    - place: (byte address, bytes) of "watch"; old: their content when it was last read.
    """

    number: int
    kind: str
    text: str
    pe: tuple[int, int] | None = None
    condition: str = ""
    temporary: bool = False
    enabled: bool = True
    hits: int = 0
    location: Location | None = None
    value: int = -1
    place: tuple[int, int] = (0, 0)
    old: bytes = b""
    trouble: str = ""

    def describe(self) -> str:
        """`breakpoint 1 at pe.csl:12`"""
        where = f" of PE ({self.pe[0]}, {self.pe[1]})" if self.pe is not None else ""
        when = f" if {self.condition}" if self.condition else ""
        what = {"line": "at", "task": "at the start of task", "wavelet": "at wavelets of color", "cycle": "at cycle"}
        name = f"watchpoint {self.number} on" if self.kind == "watch" else f"breakpoint {self.number} {what[self.kind]}"
        place = self.location.name if self.location is not None else self.text
        return f"{'temporary ' if self.temporary else ''}{name} {place}{where}{when}"

    @property
    def title(self) -> str:
        """`describe`, with a capital letter."""
        words = self.describe()
        return words[0].upper() + words[1:]


class Quit(BaseException):
    """The user has ended the session.  Ends the host program."""


class Pause(KeyboardInterrupt):
    """Stops a run as an interrupt does.  resumes: the run continues at once, with the present breakpoints."""

    def __init__(self, resumes: bool = False):
        super().__init__()
        self.resumes = resumes


class Stopped(NamedTuple):
    """Why the fabric has stopped.

    - reason: "breakpoint", "step", "cycle", "fault", "interrupt", "begin", "history" (at the first cycle of the
      history) or "ended" (the host program has ended).
    - words: a message for the user, or "".
    - numbers: of the breakpoints.
    """

    reason: str
    words: str = ""
    numbers: tuple[int, ...] = ()
