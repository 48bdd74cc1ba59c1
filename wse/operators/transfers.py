"""Transfers over the north edge of a region: weights in, gradients out.

An operator that reads weights returns a WeightTransfer, one that makes gradients a GradientTransfer.  Both consist of
index arrays that are computed once, so that packing or unpacking a step is one NumPy gather or scatter per operator.

A wavelet of a 16-bit weight has its bits in the lower half and, in a sparse transfer, an index in the upper half.  An
f32 weight is one wavelet, in a sparse transfer after a wavelet with its index.  CONTROL is the control wavelet that
ends a row of weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..machine import numerics
from ..records import dataclass

# The control task that a region's control wavelets name.  It is blocked, so that only `mapstep` takes them.
ROW_END = 40
CONTROL = np.uint32(ROW_END << 16)
END, ZERO = -1, -2  # special values of an index: a control wavelet, a zero


class Column(NamedTuple):
    """Wavelets for one column of a region.  words: uint32 [n].  control: bool [n], which are control wavelets."""

    words: np.ndarray
    control: np.ndarray


@dataclass(frozen=True, eq=False)
class WeightTransfer:
    """Weights of one operator, in the order in which the columns of a region take them.

    what        a description such as "linear forward 32 -> 128"
    storage     of the policy: f16, bf16, cb16 or f32
    parts       (role, order), sent one after the other.  role names an array that `pack` is given; order, int64
                [width, n], holds for each wavelet of each column the flat index into that array, END or ZERO
    offsets     of sparse parts, by role: uint16 of the shape of order, the index that is sent with the weight; weights
                that are 0 are not sent
    """

    what: str
    storage: str
    parts: tuple[tuple[str, np.ndarray], ...]
    offsets: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the arrays that it carries."""
        return tuple(role for role, _ in self.parts)

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.parts[0][1].shape[0]

    def reading(self, indices: Mapping[str, np.ndarray]) -> WeightTransfer:
        """The same transfer from arrays of which it takes several copies: by role, int64, the index of each of its
        elements in the array that `pack` is given."""
        parts = tuple((role, _through(order, indices.get(role))) for role, order in self.parts)
        return replace(self, parts=parts)

    def pack(self, values: Mapping[str, np.ndarray]) -> list[Column]:
        """Pack values into the wavelets of each column.

        values: arrays by role, of any shape, float or uint16 bits of the storage type.  Raises ConfigError if a role or
        a number of values is wrong.
        """
        for role in self.roles:
            if role not in values:
                raise ConfigError(f"{self.what} streams {', '.join(self.roles)}: there are no values for {role}")
        packed = [self._part(role, order, values[role]) for role, order in self.parts]
        return [
            Column(
                np.concatenate([part[x].words for part in packed]), np.concatenate([part[x].control for part in packed])
            )
            for x in range(self.width)
        ]

    def _part(self, role: str, order: np.ndarray, values: np.ndarray) -> list[Column]:
        bits = as_bits(values, self.storage)
        if order.size and order.max() + 1 != bits.size:
            raise ConfigError(f"{self.what} takes {order.max() + 1} values of {role}, not {bits.size}")
        bits = np.append(bits, np.array([0, CONTROL], np.uint32))  # addressed by ZERO and END
        words, control = bits[order], order == END
        if role not in self.offsets:
            return [Column(w, c) for w, c in zip(words, control, strict=True)]
        sign = np.uint32(0x7FFFFFFF if self.storage == "f32" else 0x7FFF)
        sent = control | (words & sign != 0)
        offsets = self.offsets[role].astype(np.uint32)
        columns = []
        for w, c, at, keep in zip(words, control, offsets, sent, strict=True):
            w, c, at = w[keep], c[keep], at[keep]
            if self.storage != "f32":
                columns.append(Column(np.where(c, w, w | at << 16), c))
                continue
            pairs = np.stack([at, w], axis=1)
            valid = np.ones(pairs.shape, bool)
            valid[c, 0] = False  # a control wavelet has no index before it
            columns.append(Column(pairs[valid], np.stack([np.zeros_like(c), c], axis=1)[valid]))
        return columns


@dataclass(frozen=True, eq=False)
class GradientTransfer:
    """Gradients of one operator, in the order in which they leave the columns of a region.

    what        a description
    parts       (role, order, shape): order, int64 [width, n], holds the flat index of each wavelet in an array of that
                shape; a negative index is padding and dropped, the values of a repeated index are summed
    storage     of the wavelets: "f32", or a 16-bit format with two elements per wavelet (order then counts elements)
    """

    what: str
    parts: tuple[tuple[str, np.ndarray, tuple[int, ...]], ...]
    storage: str = "f32"

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the parameters, in the order of the stream."""
        return tuple(role for role, _, _ in self.parts)

    def adding(self, indices: Mapping[str, np.ndarray]) -> GradientTransfer:
        """The same transfer to arrays of which it gives several copies, which `unpack` adds up.  indices: as in
        WeightTransfer.reading; the arrays of these roles are flat."""
        parts = tuple(
            (role, _through(order, indices.get(role)), (int(indices[role].max()) + 1,) if role in indices else shape)
            for role, order, shape in self.parts
        )
        return replace(self, parts=parts)

    @property
    def wavelets(self) -> int:
        """Number of wavelets that leave each column."""
        n = sum(order.shape[1] for _, order, _ in self.parts)
        return n if self.storage == "f32" else n // 2

    def unpack(self, columns: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Unpack uint32 [wavelets] of each column into float32 arrays by role.

        Raises ConfigError if a column has another number of wavelets.
        """
        for x, words in enumerate(columns):
            if len(words) != self.wavelets:
                raise ConfigError(f"{self.what} gives {self.wavelets} wavelets in column {x}, not {len(words)}")
        values = np.stack([np.ascontiguousarray(words, dtype=np.uint32) for words in columns])
        numbers = (
            values.view(np.float32) if self.storage == "f32" else numerics.from_bits(values.view("<u2"), self.storage)
        )
        result, at = {}, 0
        for role, order, shape in self.parts:
            part = numbers[:, at : at + order.shape[1]]
            at += order.shape[1]
            kept = order >= 0
            flat = np.zeros(int(np.prod(shape)), np.float32)
            np.add.at(flat, order[kept], part[kept])
            result[role] = flat.reshape(shape)
        return result


def _through(order: np.ndarray, indices: np.ndarray | None) -> np.ndarray:
    """Indices of copies as those of what is copied; special values stay."""
    return order if indices is None else np.where(order < 0, order, indices[order])


def as_bits(values: np.ndarray, storage: str) -> np.ndarray:
    """Values as wavelets, uint32 [n].  values: float, or uint16 bits of the storage type."""
    values = np.asarray(values)
    if values.dtype == np.uint16:
        return values.ravel().astype(np.uint32)
    if storage == "f32":
        return np.ascontiguousarray(values, np.float32).ravel().view(np.uint32)
    return numerics.to_bits(values.ravel(), storage).astype(np.uint32)


def joined(packed: Sequence[Sequence[Column]]) -> list[Column]:
    """Concatenate packed transfers, column by column."""
    return [
        Column(np.concatenate([c.words for c in columns]), np.concatenate([c.control for c in columns]))
        for columns in zip(*packed, strict=True)
    ]
