"""The axes of an activation while a program reshapes and permutes it: which tokens and features each dimension holds.

On the fabric an activation is [tokens][features]; reshapes and permutations move nothing there.  A dimension is a
tuple of Pieces.  A Piece is a part of a root: "f", the features, or "t0", "t1" ..., the dimensions of the tokens as
they entered.  An index along a dimension counts its pieces like digits, the last one fastest; the sum of index x stride
of the pieces of a root is the index in that root.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..records import dataclass

FEATURES = "f"


class Unmappable(Exception):
    """A change of axes that has no counterpart on the fabric; its text says why."""


class Piece(NamedTuple):
    """A part of a root: `size` indices, `stride` apart."""

    root: str
    stride: int
    size: int


Dimension = tuple[Piece, ...]


def merged(pieces: Sequence[Piece]) -> Dimension:
    """The same dimension in the fewest pieces."""
    made: list[Piece] = []
    for piece in pieces:
        if piece.size == 1:
            continue
        last = made[-1] if made else None
        if last is not None and last.root == piece.root and last.stride == piece.stride * piece.size:
            made[-1] = Piece(piece.root, piece.stride, last.size * piece.size)
        else:
            made.append(piece)
    return tuple(made)


def size_of(dimension: Dimension) -> int:
    """Indices of a dimension."""
    return math.prod(piece.size for piece in dimension)


@dataclass(frozen=True)
class Axes:
    """The dimensions of an activation.  offset: index of the first feature.  picked: roots of tokens of which one index
    is left, or all of whose indices hold the same value: (root, index)."""

    dims: tuple[Dimension, ...]
    offset: int = 0
    picked: tuple[tuple[str, int], ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """As in PyTorch."""
        return tuple(map(size_of, self.dims))

    def pieces(self, features: bool) -> Iterator[Piece]:
        """Those of the features, or of the tokens, in the order of the dimensions."""
        return (piece for dim in self.dims for piece in dim if (piece.root == FEATURES) == features)

    def reshaped(self, shape: Sequence[int]) -> Axes:
        """torch.reshape.  Raises Unmappable if a dimension would begin within a piece that does not divide."""
        total = math.prod(self.shape)
        known = math.prod(n for n in shape if n >= 0)
        shape = [total // known if n < 0 else n for n in shape]
        rest = [piece for dim in self.dims for piece in dim]
        dims: list[Dimension] = []
        for n in shape:
            taken: list[Piece] = []
            while n > 1:
                piece = rest.pop(0)
                if n % piece.size == 0:
                    taken.append(piece)
                    n //= piece.size
                elif piece.size % n == 0:
                    inner = piece.size // n
                    taken.append(Piece(piece.root, piece.stride * inner, n))
                    rest.insert(0, Piece(piece.root, piece.stride, inner))
                    n = 1
                else:
                    raise Unmappable(f"it divides {piece.size} indices into groups of {n}")
            dims.append(merged(taken))
        return replace(self, dims=tuple(dims))

    def permuted(self, order: Sequence[int]) -> Axes:
        """torch.permute."""
        return replace(self, dims=tuple(self.dims[i] for i in order))

    def expanded(self, shape: Sequence[int]) -> Axes:
        """torch.expand: a repetition is a piece of the features with stride 0, which attention takes as shared
        heads."""
        dims = ((),) * (len(shape) - len(self.dims)) + self.dims
        have = [size_of(dim) for dim in dims]
        want = [n if wanted == -1 else wanted for n, wanted in zip(have, shape, strict=True)]
        repeated = [dim if n == w else (Piece(FEATURES, 0, w),) for dim, n, w in zip(dims, have, want, strict=True)]
        return replace(self, dims=tuple(repeated))

    def selected(self, dim: int, index: int) -> Axes:
        """torch.select: one index of a dimension, which goes."""
        rest = self.dims[:dim] + self.dims[dim + 1 :]
        index %= self.shape[dim]
        offset, picked = self.offset, dict(self.picked)
        for piece in reversed(self.dims[dim]):
            digit, index = index % piece.size, index // piece.size
            if piece.root == FEATURES:
                offset += digit * piece.stride
            else:
                picked[piece.root] = picked.get(piece.root, 0) + digit * piece.stride
        return Axes(rest, offset, tuple(picked.items()))

    def sliced(self, dim: int, start: int, stop: int) -> Axes:
        """torch.slice of a dimension of features, with step 1."""
        n = self.shape[dim]
        start, stop = (min(max(i + n if i < 0 else i, 0), n) for i in (start, stop))
        if (start, stop) == (0, n):
            return self
        if len(self.dims[dim]) != 1 or self.dims[dim][0].root != FEATURES:
            raise Unmappable("it takes a part of the tokens")
        piece = self.dims[dim][0]
        made = merged([Piece(FEATURES, piece.stride, stop - start)])
        return replace(
            self, dims=(*self.dims[:dim], made, *self.dims[dim + 1 :]), offset=self.offset + start * piece.stride
        )

    def indices(self) -> np.ndarray:
        """int64 [features that are left]: which of the activation's features these are, in ascending order."""
        found = np.array([self.offset])
        for piece in sorted(self.pieces(True), key=lambda piece: -piece.stride):
            if not piece.stride:
                break  # a repetition
            found = (found[:, None] + piece.stride * np.arange(piece.size)).ravel()
        return found

    def compacted(self) -> Axes:
        """The axes of an activation that has only these features, in their order."""
        strides: dict[Piece, Piece] = {}
        inner = 1
        for piece in sorted(self.pieces(True), key=lambda piece: piece.stride):
            if not piece.stride:
                continue
            strides[piece] = Piece(FEATURES, inner, piece.size)
            inner *= piece.size
        dims = tuple(merged([strides.get(piece, piece) for piece in dim]) for dim in self.dims)
        return Axes(dims, 0, self.picked)

    @property
    def rows(self) -> tuple[Dimension, ...]:
        """The dimensions but the last."""
        return self.dims[:-1]

    def vectors(self, features: int) -> bool:
        """Whether the last dimension holds all of so many features of one token, in their order."""
        whole = merged([Piece(FEATURES, 1, features)])
        return (
            self.offset == 0
            and bool(self.dims)
            and self.dims[-1] == whole
            and all(piece.root != FEATURES for dim in self.rows for piece in dim)
        )
