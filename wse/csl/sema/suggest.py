"""What a misspelt name may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from .frame import PREDEFINED, Frame


def suggestion(frame: Frame, name: str) -> str:
    """`: did you mean x?` from what can be seen in the frame, or nothing."""
    seen = {known for scope in frame.names for known in scope} | set(frame.instance.file.decls) | set(PREDEFINED)
    return did_you_mean(name, seen)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 1, 0.7)
    return f": did you mean {close[0]}?" if close else ""
