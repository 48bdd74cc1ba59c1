"""Text as ids of characters, and the tokens that a step sees.

Nothing is shipped: text is a file of the user's, or the source text of the Python standard library that runs this.
Which tokens a step sees depends on (seed, step) alone, so a run that is resumed sees what it would have seen.
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError

STDLIB = "stdlib"
# Parts of the library's folder that are no part of it, or that some distributions leave out.
_ELSEWHERE = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
HELD_OUT = 10  # one character in so many, from the end, is not trained on


@dataclass(frozen=True)
class Text:
    """A text as ids.

    ids         uint16 [characters]
    characters  what each id stands for; the last one may stand for all rarer ones, as `rest` says
    digest      SHA-256 of the text: a checkpoint is resumed with the text it was made with
    """

    ids: np.ndarray
    characters: str
    rest: bool
    digest: str

    @property
    def vocab(self) -> int:
        return len(self.characters)

    @property
    def split(self) -> int:
        """Where the held-out part begins."""
        return len(self.ids) - len(self.ids) // HELD_OUT

    def decode(self, ids: np.ndarray) -> str:
        return "".join(self.characters[i] for i in ids)


def read(source: str, vocab: int) -> Text:
    """The text of a file, or of the standard library for "stdlib", with at most `vocab` different characters."""
    if source == STDLIB:
        return encode(standard_library(), vocab)
    try:
        text = Path(source).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(
            f"data {source}: {error.strerror}; give a text file, or {STDLIB!r} for the source of Python's library"
        ) from None
    return encode(text, vocab)


def standard_library() -> str:
    """The source text of the standard library of this Python, file after file in the order of their names."""
    root = Path(sysconfig.get_path("stdlib"))
    files = [path for path in root.rglob("*.py") if not _ELSEWHERE & set(path.relative_to(root).parts)]
    if not files:
        raise ConfigError(f"there is no source text of the standard library in {root}; give a text file as data")
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(files))


def encode(text: str, vocab: int) -> Text:
    """Ids by how often a character occurs, ties by its code; what is rarer than the vocabulary holds shares the last
    id."""
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


@dataclass(frozen=True)
class Batches:
    """Sequences drawn from a text.  batch, sequence: sequences of a step, tokens of each."""

    text: Text
    batch: int
    sequence: int
    seed: int

    def __post_init__(self) -> None:
        if self.text.split <= self.sequence or len(self.text.ids) - self.text.split <= self.sequence:
            raise ConfigError(
                f"the text has {len(self.text.ids):,} characters; sequences of {self.sequence} need at least "
                f"{(self.sequence + 1) * HELD_OUT:,}"
            )

    def step(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """(ids, labels), uint16 [batch, sequence]: labels are the characters that follow.  step: from 0."""
        return self._draw((self.seed, 0, step), 0, self.text.split)

    def held_out(self, batches: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The same batches every time, from the part that is not trained on."""
        return [self._draw((0, 1, i), self.text.split, len(self.text.ids)) for i in range(batches)]

    def _draw(self, key: tuple[int, int, int], begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        starts = np.random.default_rng(key).integers(begin, end - self.sequence, self.batch)
        taken = self.text.ids[starts[:, None] + np.arange(self.sequence + 1)]
        return taken[:, :-1], taken[:, 1:]
