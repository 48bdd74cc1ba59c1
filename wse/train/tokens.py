"""Tokens of a model's own tokenizer, and the part of its vocabulary that occurs in the data.

The package tokenizers turns text into tokens.  Files of ids (.npy) are taken as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..models import tokenizer
from ..models.pretrained import Pretrained
from ..records import dataclass
from .data import HELD_OUT, source_text

MOST = 1 << 16  # tokens of a vocabulary: a label has 16 bits on the PEs
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class Tokens:
    """Tokens as ids.

    ids     uint16 [tokens]
    vocab   size of the vocabulary
    digest  SHA-256 of ids and vocabulary, by which `resume` checks that the data are the same
    rows    int64 [vocab]: for each id, that of the model's tokenizer; None if they are the same
    """

    ids: np.ndarray
    vocab: int
    digest: str
    rows: np.ndarray | None = None

    @property
    def split(self) -> int:
        """The index at which the held-out part begins."""
        return len(self.ids) - len(self.ids) // HELD_OUT


def read(source: str, pretrained: Pretrained | None, vocab: int, reduced: bool) -> Tokens:
    """The tokens of a text, of "stdlib", or of a .npy file of ids.

    pretrained: the model, whose tokenizer a text needs.  vocab: of the model.  reduced: whether the vocabulary is that
    of the data only.  Raises ConfigError for data that cannot be read, ids beyond the vocabulary, and a vocabulary of
    more than 65,536 tokens.
    """
    if source.endswith(".npy"):
        ids = _ids(Path(source))
    else:
        assert pretrained is not None  # a text has no ids without a tokenizer
        ids = np.array(encoder(pretrained)(source_text(source)), np.int64)
    if not ids.size:
        raise ConfigError(f"data {source} has no tokens")
    if ids.min() < 0 or ids.max() >= vocab:
        raise ConfigError(f"data {source} has the id {ids[(ids < 0) | (ids >= vocab)][0]}; ids are below {vocab:,}")
    rows = None
    if reduced:
        rows, ids = np.unique(ids, return_inverse=True)
        vocab = len(rows)
        if vocab < 2:
            raise ConfigError(f"data {source} has one token only, {rows[0]}: there is nothing to predict")
    if vocab > MOST:
        raise ConfigError(f"a vocabulary has at most {MOST:,} tokens on the fabric, not {vocab:,}: --reduce-vocab")
    digest = hashlib.sha256(ids.astype("<i8").tobytes() + str(vocab).encode())
    if rows is not None:
        digest.update(rows.astype("<i8").tobytes())
    return Tokens(ids.astype(np.uint16), vocab, digest.hexdigest(), rows)


def _ids(path: Path) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"data {path} cannot be read as an array of ids: {error}") from None
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise ConfigError(f"data {path} is {found.dtype} {list(found.shape)}; ids are integers [tokens]")
    return np.asarray(found, np.int64)


def encoder(pretrained: Pretrained) -> Encode:
    """A model's tokenizer, without added tokens at the begin or end of a text.  Errors as of models.tokenizer."""
    if pretrained.folder is None:
        return tokenizer.from_metadata(pretrained.metadata).encode
    return tokenizer.from_folder(pretrained.folder).encode
