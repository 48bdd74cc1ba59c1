"""Orders of memory accesses as descriptors: a list of element numbers is split into a few nested strided accesses.

The order in which a column of PEs takes its weights follows from the computation of the products.  PEs that hold the
weights send them in that order by operations with strided operands.  The orders that occur are a few nested loops,
which a greedy search finds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DIMENSIONS = 4  # of a descriptor
LENGTH = 0x7FFE  # elements of an operation, at most


class StridedAccess(NamedTuple):
    """Elements first + i0 s0 + i1 s1 + ..., the last dimension fastest.

    extents, strides: 1 to 4 of each, counted in elements.
    """

    first: int
    extents: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def length(self) -> int:
        """Number of elements."""
        return int(np.prod(self.extents))

    def elements(self) -> np.ndarray:
        """The element numbers, in order: int64 [length]."""
        at = np.full(1, self.first, np.int64)
        for extent, stride in zip(self.extents, self.strides, strict=True):
            at = (at[:, None] + stride * np.arange(extent)).ravel()
        return at


def strided_accesses(order: np.ndarray) -> list[StridedAccess]:
    """Walks that make up an order of element numbers, one after the other: int [n]."""
    order = np.asarray(order, np.int64)
    found, at = [], 0
    while at < len(order):
        access = _longest(order[at : at + LENGTH])
        found.append(access)
        at += access.length
    return found


def _longest(order: np.ndarray) -> StridedAccess:
    """The walk that greedily goes on from the first element: each dimension as often as it repeats."""
    extents: list[int] = []
    strides: list[int] = []
    block = 1  # elements of the dimensions so far
    while len(extents) < DIMENSIONS and 2 * block <= len(order):
        stride = int(order[block] - order[0])
        whole = order[: len(order) // block * block].reshape(-1, block)
        expected = whole[0] + stride * np.arange(len(whole))[:, None]
        same = (whole == expected).all(axis=1)
        times = len(same) if same.all() else int(np.argmin(same))
        if times < 2:
            break
        extents.insert(0, times)
        strides.insert(0, stride)
        block *= times
    if not extents:
        return StridedAccess(int(order[0]), (1,), (1,))
    return StridedAccess(int(order[0]), tuple(extents), tuple(strides))
