"""Text as character ids, and the batches of a step.

No text is shipped: the source is a file, or the source code of the running Python's standard library.  The batch of a
step depends only on (seed, step), so a resumed run sees the same batches as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections import Counter
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import ConfigError
from ..records import dataclass

STDLIB = "stdlib"
# Folders to skip: third-party packages, and parts that some distributions omit.
_ELSEWHERE = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
HELD_OUT = 10  # the last 1 / HELD_OUT of the characters is held out for evaluation


@dataclass(frozen=True)
class Text:
    """A text as ids.

    ids         uint16 [characters]
    characters  the character of each id
    rest        whether the last id stands for all rarer characters
    digest      SHA-256 of the text, by which `resume` checks that the text is the same
    """

    ids: np.ndarray
    characters: str
    rest: bool
    digest: str

    @property
    def vocab(self) -> int:
        """Size of the vocabulary."""
        return len(self.characters)

    @property
    def split(self) -> int:
        """The index at which the held-out part begins."""
        return len(self.ids) - len(self.ids) // HELD_OUT

    def decode(self, ids: np.ndarray) -> str:
        """The text of ids [n]."""
        return "".join(self.characters[i] for i in ids)


def read(source: str, vocab: int) -> Text:
    """Reads a text file, or the standard library's source for "stdlib", with at most `vocab` different characters.

    Raises ConfigError if the file cannot be read or is empty.
    """
    return encode(source_text(source), vocab)


def source_text(source: str) -> str:
    """The text of a file, or the standard library's source for "stdlib".  Raises ConfigError if it cannot be read."""
    if source == STDLIB:
        return standard_library()
    try:
        return Path(source).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(
            f"data {source}: {error.strerror}; give a text file, or {STDLIB!r} for the source of Python's library"
        ) from None


def standard_library() -> str:
    """The source code of this Python's standard library, all files concatenated in the order of their names."""
    root = Path(sysconfig.get_path("stdlib"))
    files = [path for path in root.rglob("*.py") if not _ELSEWHERE & set(path.relative_to(root).parts)]
    if not files:
        raise ConfigError(f"there is no source text of the standard library in {root}; give a text file as data")
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(files))


def encode(text: str, vocab: int) -> Text:
    """Encodes a text.  Ids are ordered by descending frequency of the characters, then by code point.

    If the text has more than `vocab` different characters, the rarest share the last id.  Raises ConfigError if `vocab`
    is below 2 or the text is empty.
    """
    if vocab < 2:
        raise ConfigError(f"a vocabulary has at least 2 characters, not {vocab}")
    points = np.frombuffer(text.encode("utf-32-le", errors="replace"), np.uint32)
    if not points.size:
        raise ConfigError("the text is empty")
    found = Counter(dict(zip(*(a.tolist() for a in np.unique(points, return_counts=True)), strict=True)))
    order = sorted(found, key=lambda point: (-found[point], point))
    rest = len(order) > vocab
    kept = order[: vocab - 1] if rest else order
    table = np.full(max(order) + 1, len(kept), np.uint16)
    table[kept] = np.arange(len(kept), dtype=np.uint16)
    characters = "".join(map(chr, kept)) + ("\N{REPLACEMENT CHARACTER}" if rest else "")
    return Text(table[points], characters, rest, hashlib.sha256(text.encode(errors="replace")).hexdigest())


class Ids(Protocol):
    """Data of a training run.  ids: uint16 [tokens].  vocab: size of the vocabulary.  digest: of data and vocabulary.
    split: index at which the held-out part begins."""

    @property
    def ids(self) -> np.ndarray: ...

    @property
    def vocab(self) -> int: ...

    @property
    def digest(self) -> str: ...

    @property
    def split(self) -> int: ...


@dataclass(frozen=True)
class Batches:
    """Random sequences from a text.  batch: sequences per step.  sequence: tokens per sequence.

    Raises ConfigError if the text is too short.
    """

    text: Ids
    batch: int
    sequence: int
    seed: int

    def __post_init__(self) -> None:
        if self.text.split <= self.sequence or len(self.text.ids) - self.text.split <= self.sequence:
            raise ConfigError(
                f"the text has {len(self.text.ids):,} tokens; sequences of {self.sequence} need at least "
                f"{(self.sequence + 1) * HELD_OUT:,}"
            )

    def step(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The batch of a step (from 0): (ids, labels), uint16 [batch, sequence]; a label is the next character."""
        return self._draw((self.seed, 0, step), 0, self.text.split)

    def held_out(self, batches: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Fixed batches from the held-out part, as (ids, labels)."""
        return [self._draw((0, 1, i), self.text.split, len(self.text.ids)) for i in range(batches)]

    def _draw(self, key: tuple[int, int, int], begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        starts = np.random.default_rng(key).integers(begin, end - self.sequence, self.batch)
        taken = self.text.ids[starts[:, None] + np.arange(self.sequence + 1)]
        return taken[:, :-1], taken[:, 1:]
