"""Sentences as vectors: an encoder with weights resident in SRAM.

The tokens of a sentence follow each other through the layers.  A layer takes all of them before each attends to all and
goes on to the next layer; the sentences of a step follow each other.  Sentences are not padded: the mask is that of the
columns whose last slot of the cache is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import ConfigError
from ..operators import decoder
from ..records import dataclass
from .generation import Run, Strip
from .strip_layout import Layout


@dataclass(frozen=True, eq=False)
class Encoded:
    """Vectors float32 [sentences, d_model], and the cycles from the start of its step to each sentence's vector [n]."""

    vectors: np.ndarray
    finished: np.ndarray
    steps: tuple[int, ...]  # sentences of each step
    cycles: int


def steps(layout: Layout, lengths: Sequence[int]) -> list[list[int]]:
    """Sentences of so many tokens, in order, in the steps that the program of an encoder's layout takes."""
    assert layout.pooling is not None
    made: list[list[int]] = []
    for tokens in lengths:
        if not made or len(made[-1]) == layout.pooling.sentences or sum(made[-1]) + tokens > layout.table.ids:
            made.append([])
        made[-1].append(tokens)
    return made


class Encoder(Strip):
    """An encoder that is loaded into a fabric.  Arguments as of Strip."""

    def encode(self, sentences: Sequence[Sequence[int]]) -> Encoded:
        """The vectors of sentences of ids.

        ConfigError for an unknown id, an empty sentence, one that is longer than the context, and values that exceed
        the range of the storage.
        """
        s = self.layout.layer
        for ids in sentences:
            self._check_ids(ids)
            if not 0 < len(ids) <= s.context:
                raise ConfigError(f"a sentence has 1 to {s.context} tokens, not {len(ids)}: use a larger --context")
        self.forget()
        vectors, finished, steps, total = [], [], [], 0
        for part in self._steps(sentences):
            start = self.fabric.cycle
            self._launch(part)
            total += self.fabric.last_activity - start
            made, at = self._results(len(part))
            vectors.append(made)
            finished += [(int(cycle) - start) % 2**32 for cycle in at]
            steps.append(len(part))
        self._check()
        values = np.concatenate(vectors) if vectors else np.zeros((0, s.d_model), np.float32)
        if not np.isfinite(values).all():
            raise ConfigError(f"a value of the sentences exceeded the range of {self.storage}{self._advice}")
        return Encoded(values, np.array(finished, np.int64), tuple(steps), total)

    def _steps(self, sentences: Sequence[Sequence[int]]) -> Iterator[list[list[int]]]:
        """The sentences of each step."""
        first = 0
        for count in map(len, steps(self.layout, [len(ids) for ids in sentences])):
            yield [list(ids) for ids in sentences[first : first + count]]
            first += count

    @property
    def _pooling(self):
        made = self.layout.pooling
        assert made is not None
        return made

    def _launch(self, part: list[list[int]]) -> None:
        most = self._pooling.sentences
        lengths = [len(ids) for ids in part] + [0] * (most - len(part))
        self._fill("lengths", lengths, self.layout.end_top, self.layout.end_height)
        self._start([Run(0, ids, 0, 0) for ids in part])

    def _results(self, sentences: int) -> tuple[np.ndarray, np.ndarray]:
        layout = self.layout
        made = self.fabric.read("vectors", 0, layout.end_top, layout.width, 1)[0, :, :sentences]
        at = self.fabric.read("finished", layout.width - 1, layout.end_top + layout.end_height - 1, 1, 1)[0, 0]
        return made.transpose(1, 0, 2).reshape(sentences, -1)[:, : layout.layer.d_model].copy(), at[:sentences]

    def phases(self) -> dict[str, int]:
        """Cycles of the last token by what the layers did, their sum; waits for a region before are left out."""
        stamps = self._stamps()
        spent = np.diff(stamps[:, : decoder.KEPT], axis=1).astype(np.int64)
        result = dict(zip(decoder.PHASES, spent.sum(axis=0).tolist(), strict=True))
        result["RoPE, cache"] = int((stamps[:, decoder.KEPT] - stamps[:, 2]).astype(np.int64).sum())
        return {name: cycles for name, cycles in result.items() if not name.startswith("wait")}
