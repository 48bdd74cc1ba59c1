"""What a misspelt name may have meant."""

from __future__ import annotations

from collections.abc import Iterable

from ... import errors
from ..syntax.habits import NAMES
from .frame import PREDEFINED, Frame


def suggestion(frame: Frame, name: str) -> str:
    """`: did you mean x?` from what can be seen in the frame, or nothing."""
    if name in NAMES:
        return f": {NAMES[name]}"
    seen = {known for scope in frame.names for known in scope} | set(frame.instance.file.decls) | set(PREDEFINED)
    return did_you_mean(name, seen)


def did_you_mean(name: str, known: Iterable[str], most: int = 0) -> str:
    """The end of a message, with a colon, or nothing; as errors.did_you_mean, which says what `most` is."""
    words = errors.did_you_mean(name, known, most)
    return f": {words}" if words else ""
