"""How host arrays hold what goes to and comes from a rectangle of PEs.

A copy moves a tensor [h][w][l], l elements for each of h x w PEs.  The host's array is flat, 32 bits an element:
row-major, l fastest, then w, then h; or column-major, h fastest, then w, then l.  With 16-bit elements only the low
half of a host's word counts in memory, while a stream carries the whole word.
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from ..errors import ConfigError
from . import arguments


class MemcpyDataType(Enum):
    """Size of an element on the PE."""

    MEMCPY_16BIT = 0
    MEMCPY_32BIT = 1

    @property
    def bytes(self) -> int:
        return 2 if self is MemcpyDataType.MEMCPY_16BIT else 4


class MemcpyOrder(Enum):
    """Which index of [h][w][l] is fastest: the last (ROW_MAJOR) or the first (COL_MAJOR)."""

    ROW_MAJOR = 0
    COL_MAJOR = 1


def check_options(data_type: object, order: object, streaming: object, nonblock: object) -> None:
    """ConfigError unless the options of a copy are of their enumerations, or true or false."""
    for what, value in (("streaming", streaming), ("nonblock", nonblock)):
        if not isinstance(value, bool | int | np.bool_):
            raise ConfigError(f"{what} is True or False, not {arguments.shown(value)}")
    if not isinstance(data_type, MemcpyDataType):
        raise ConfigError(f"data_type is MemcpyDataType.MEMCPY_16BIT or MEMCPY_32BIT, not {data_type!r}")
    if not isinstance(order, MemcpyOrder):
        raise ConfigError(f"order is MemcpyOrder.ROW_MAJOR or COL_MAJOR, not {order!r}")


def flat(array: object, count: int, what: str) -> np.ndarray:
    """The array's words as uint32 [count], a view."""
    if not isinstance(array, np.ndarray):
        raise ConfigError(f"{what} is a NumPy array, not {type(array).__name__}")
    if array.dtype.itemsize != 4:
        raise ConfigError(
            f"{what} has elements of {array.dtype.itemsize * 8} bits ({array.dtype}); the host's arrays have 32: "
            "see sdk_utils.input_array_to_u32 and memcpy_view"
        )
    if array.dtype.kind not in "iuf" or not array.dtype.isnative:
        raise ConfigError(f"{what} has elements of type {array.dtype}; integers or floats of 32 bits were expected")
    if array.size != count:
        raise ConfigError(f"{what} has {array.size} elements, but height x width x elements per PE is {count}")
    if not array.flags.c_contiguous:
        raise ConfigError(f"{what} is not contiguous in memory: pass array.ravel() of a contiguous array")
    return array.reshape(-1).view(np.uint32)


def to_tensor(words: np.ndarray, h: int, w: int, n: int, order: MemcpyOrder) -> np.ndarray:
    """[h, w, n] of a flat array in this order."""
    return words.reshape((h, w, n), order="C" if order is MemcpyOrder.ROW_MAJOR else "F")


def from_tensor(tensor: np.ndarray, order: MemcpyOrder) -> np.ndarray:
    """The flat array of [h, w, n]."""
    return tensor.ravel(order="C" if order is MemcpyOrder.ROW_MAJOR else "F")


def to_bytes(tensor: np.ndarray, data_type: MemcpyDataType) -> np.ndarray:
    """The memory of each PE, uint8 [h, w, bytes]."""
    words = tensor.astype("<u2" if data_type is MemcpyDataType.MEMCPY_16BIT else "<u4")
    return np.ascontiguousarray(words).view(np.uint8)


def from_bytes(memory: np.ndarray, data_type: MemcpyDataType) -> np.ndarray:
    """The reverse: uint32 [h, w, n]."""
    return memory.view("<u2" if data_type is MemcpyDataType.MEMCPY_16BIT else "<u4").astype(np.uint32)
