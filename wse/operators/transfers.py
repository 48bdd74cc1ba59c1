"""Transfers over the north edge of a region: weights in, gradients out.

An operator that reads weights returns a WeightTransfer, one that makes gradients a GradientTransfer.  Both consist of
orders: which weight each wavelet of a column carries.  An order is computed column by column when a transfer is packed
or unpacked, because all of it takes more memory than the weights.

A wavelet of a 16-bit weight has its bits in the lower half and, in a sparse transfer, an index in the upper half.  An
f32 weight is one wavelet, in a sparse transfer after a wavelet with its index.  CONTROL is the control wavelet that
ends a row of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..machine import numerics
from ..records import dataclass

# The control task that a region's control wavelets name.  It is blocked, so that only `mapstep` takes them.
ROW_END = 40
CONTROL = np.uint32(ROW_END << 16)
_PART = 1 << 20  # elements that are rounded at a time
END, ZERO = -1, -2  # special values of an index: a control wavelet, a zero


class Column(NamedTuple):
    """Wavelets for one column of a region.  words: uint32 [n].  control: bool [n], which are control wavelets."""

    words: np.ndarray
    control: np.ndarray


@dataclass(frozen=True, eq=False)
class Order:
    """Which element of an array each wavelet of each column of a region carries.

    width   number of columns
    n       wavelets of a column
    column  number of a column -> int64 [n]: flat indices into the array, or special values, which are negative
    """

    width: int
    n: int
    column: Callable[[int], np.ndarray]

    @classmethod
    def of(cls, whole: np.ndarray) -> Order:
        """An order that is held in memory: int64 [width, n]."""
        width, n = whole.shape
        return cls(width, n, whole.__getitem__)

    def whole(self) -> np.ndarray:
        """int64 [width, n]."""
        return np.stack([self.column(x) for x in range(self.width)])

    def through(self, indices: np.ndarray | None) -> Order:
        """The order of an array of which this one's array has copies: int64, the index of each of its elements there.
        Special values stay."""
        if indices is None:
            return self

        def column(x: int) -> np.ndarray:
            order = self.column(x)
            return np.where(order < 0, order, indices[order])

        return Order(self.width, self.n, column)

    @property
    def elements(self) -> int:
        """Wavelets of all columns that carry an element."""
        return int(self._summary[:, 0].sum())

    @property
    def ends(self) -> np.ndarray:
        """int64 [width]: control wavelets of each column."""
        return self._summary[:, 1]

    @property
    def size(self) -> int:
        """Elements of the array: one more than the largest index."""
        return int(self._summary[:, 2].max()) + 1

    @cached_property
    def _summary(self) -> np.ndarray:
        found = np.empty((self.width, 3), np.int64)
        for x, row in enumerate(found):
            index = self.column(x)
            row[:] = np.count_nonzero(index >= 0), np.count_nonzero(index == END), index.max(initial=-1)
        return found


@dataclass(frozen=True, eq=False)
class WeightTransfer:
    """Weights of one operator, in the order in which the columns of a region take them.

    what        a description such as "linear forward 32 -> 128"
    storage     of the policy: f16, bf16, cb16 or f32
    parts       (role, order), sent one after the other.  role names an array that `pack` is given; the special values
                of the order are END and ZERO
    offsets     of sparse parts, by role: uint16 [width, n], the index that is sent with the weight; weights that are 0
                are not sent
    """

    what: str
    storage: str
    parts: tuple[tuple[str, Order], ...]
    offsets: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the arrays that it carries."""
        return tuple(role for role, _ in self.parts)

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.parts[0][1].width

    def reading(self, indices: Mapping[str, np.ndarray]) -> WeightTransfer:
        """The same transfer from arrays of which it takes several copies: by role, int64, the index of each of its
        elements in the array that `pack` is given."""
        return replace(self, parts=tuple((role, order.through(indices.get(role))) for role, order in self.parts))

    def pack(self, values: Mapping[str, np.ndarray]) -> list[Column]:
        """The wavelets of all columns; see `columns`."""
        return list(self.columns(values))

    def columns(self, values: Mapping[str, np.ndarray]) -> Iterator[Column]:
        """Pack values into the wavelets of each column, one column after the other.

        values: arrays by role, of any shape, float or uint16 bits of the storage type.  Raises ConfigError if a role or
        a number of values is wrong.
        """
        bits = {}
        for role, order in self.parts:
            if role not in values:
                raise ConfigError(f"{self.what} streams {', '.join(self.roles)}: there are no values for {role}")
            bits[role] = stored(values[role], self.storage)
            if order.n and order.size != bits[role].size:
                raise ConfigError(f"{self.what} takes {order.size} values of {role}, not {bits[role].size}")
        for x in range(self.width):
            packed = [self._part(role, order, bits[role], x) for role, order in self.parts]
            yield packed[0] if len(packed) == 1 else joined([[part] for part in packed])[0]

    def sizes(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """int64 [width, 2]: the wavelets of each column that `columns` gives, and how many of them are control
        wavelets."""
        if self.offsets:
            columns = self.columns(values)
            return np.array([(c.words.size, np.count_nonzero(c.control)) for c in columns], np.int64)
        ends = np.sum([order.ends for _, order in self.parts], axis=0)
        return np.stack([np.full(self.width, sum(order.n for _, order in self.parts)), ends], axis=1)

    @property
    def weights(self) -> int:
        """Elements that it carries if none is left out, without padding."""
        return sum(order.elements for _, order in self.parts)

    def _part(self, role: str, order: Order, bits: np.ndarray, x: int) -> Column:
        """Column x of a part.  bits: of all its elements, uint16 or uint32 [n]."""
        index = order.column(x)
        words = bits[np.maximum(index, 0)].astype(np.uint32)
        control = index == END
        words[index < 0] = 0
        words[control] = CONTROL
        if role not in self.offsets:
            return Column(words, control)
        sign = np.uint32(0x7FFFFFFF if self.storage == "f32" else 0x7FFF)
        keep = control | (words & sign != 0)
        at = self.offsets[role][x][keep].astype(np.uint32)
        words, control = words[keep], control[keep]
        if self.storage != "f32":
            return Column(np.where(control, words, words | at << 16), control)
        pairs = np.stack([at, words], axis=1)
        valid = np.ones(pairs.shape, bool)
        valid[control, 0] = False  # a control wavelet has no index before it
        return Column(pairs[valid], np.stack([np.zeros_like(control), control], axis=1)[valid])


@dataclass(frozen=True, eq=False)
class GradientTransfer:
    """Gradients of one operator, in the order in which they leave the columns of a region.

    what        a description
    parts       (role, order, shape): the order of an array of that shape; a negative index is padding and dropped, the
                values of a repeated index are summed
    storage     of the wavelets: "f32", or a 16-bit format with two elements per wavelet (order then counts elements)
    """

    what: str
    parts: tuple[tuple[str, Order, tuple[int, ...]], ...]
    storage: str = "f32"

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the parameters, in the order of the stream."""
        return tuple(role for role, _, _ in self.parts)

    def adding(self, indices: Mapping[str, np.ndarray]) -> GradientTransfer:
        """The same transfer to arrays of which it gives several copies, which `unpack` adds up.  indices: as in
        WeightTransfer.reading; the arrays of these roles are flat."""
        parts = tuple(
            (role, order.through(indices.get(role)), (int(indices[role].max()) + 1,) if role in indices else shape)
            for role, order, shape in self.parts
        )
        return replace(self, parts=parts)

    @property
    def wavelets(self) -> int:
        """Number of wavelets that leave each column."""
        n = sum(order.n for _, order, _ in self.parts)
        return n if self.storage == "f32" else n // 2

    def unpack(self, columns: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Unpack uint32 [wavelets] of each column into float32 arrays by role.

        Raises ConfigError if a column has another number of wavelets.
        """
        for x, words in enumerate(columns):
            if len(words) != self.wavelets:
                raise ConfigError(f"{self.what} gives {self.wavelets} wavelets in column {x}, not {len(words)}")
        result = {role: np.zeros(shape, np.float32) for role, _, shape in self.parts}
        for x, words in enumerate(columns):
            values, at = np.ascontiguousarray(words, dtype=np.uint32), 0
            wide = self.storage == "f32"
            numbers = values.view(np.float32) if wide else numerics.from_bits(values.view("<u2"), self.storage)
            for role, order, _ in self.parts:
                index, part = order.column(x), numbers[at : at + order.n]
                at += order.n
                kept = index >= 0
                np.add.at(result[role].reshape(-1), index[kept], part[kept])
        return result


def stored(values: np.ndarray, storage: str) -> np.ndarray:
    """Values as bits of the storage type, [n], in as many bytes as it has: uint16, or uint32 of f32."""
    values = np.asarray(values)
    if values.dtype == np.uint16:
        return values.ravel()
    if storage == "f32":
        return np.ascontiguousarray(values, np.float32).ravel().view(np.uint32)
    flat = values.ravel()
    bits = np.empty(flat.size, np.uint16)
    for at in range(0, flat.size, _PART):  # whose intermediate results are several times as large
        bits[at : at + _PART] = numerics.to_bits(flat[at : at + _PART], storage)
    return bits


def as_bits(values: np.ndarray, storage: str) -> np.ndarray:
    """Values as wavelets, uint32 [n].  values: float, or uint16 bits of the storage type."""
    return stored(values, storage).astype(np.uint32)


def joined(packed: Sequence[Sequence[Column]]) -> list[Column]:
    """Concatenate packed transfers, column by column."""
    return [
        Column(np.concatenate([c.words for c in columns]), np.concatenate([c.control for c in columns]))
        for columns in zip(*packed, strict=True)
    ]
