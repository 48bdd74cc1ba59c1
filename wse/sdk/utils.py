"""sdk_utils: 16-bit data in the host's 32-bit arrays."""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError


def memcpy_view(array: np.ndarray, datatype: np.dtype) -> np.ndarray:
    """A view of the low 8 or 16 bits of a 32-bit array's elements with another type, or of all 32."""
    dtype = np.dtype(datatype)
    if array.dtype.itemsize != 4 or dtype.itemsize not in (1, 2, 4):
        raise ConfigError(f"memcpy_view makes 8, 16 or 32 bits of 32-bit elements, not {dtype} of {array.dtype}")
    if dtype.itemsize == 4:
        return array.view(dtype)
    return array.view(dtype).reshape(*array.shape, 4 // dtype.itemsize)[..., 0]  # the low bits come first


def input_array_to_u32(np_arr: np.ndarray, sentinel: int | None, fast_dim_sz: int) -> np.ndarray:
    """16-bit data as 32-bit words: zero above them, or with a sentinel, the index of the element modulo fast_dim_sz.

    The words are in the order of np_arr's memory; 32-bit data come back as they are.
    """
    array = np.ascontiguousarray(np_arr).reshape(-1)
    if array.dtype.itemsize == 4:
        return array.view(np.uint32)
    if array.dtype.itemsize != 2:
        raise ConfigError(f"input_array_to_u32 takes elements of 16 or 32 bits, not {array.dtype}")
    words = array.view(np.uint16).astype(np.uint32)
    if sentinel is None:
        return words
    if fast_dim_sz < 1:
        raise ConfigError(f"fast_dim_sz is at least 1, not {fast_dim_sz}")
    return words | (np.arange(words.size, dtype=np.uint32) % np.uint32(fast_dim_sz)) << np.uint32(16)


def make_u48(words) -> int:
    """The number of three 16-bit words, the low one first: a timestamp."""
    return int(words[0]) | int(words[1]) << 16 | int(words[2]) << 32


def float_to_hex(value: float) -> str:
    """The bits of a number as f32, in hexadecimal."""
    return hex(int(np.float32(value).view(np.uint32)))


def cast_uint32(value) -> np.uint32:
    """The bits of a number of 16 or 32 bits as a 32-bit word; those of Python are taken as 32 bits."""
    if not isinstance(value, np.generic):
        value = np.float32(value) if isinstance(value, float) else np.uint32(value & 0xFFFFFFFF)
    if value.dtype.itemsize not in (2, 4):
        raise ConfigError(f"cast_uint32 takes numbers of 16 or 32 bits, not {value.dtype}")
    return np.uint32(value.view(f"u{value.dtype.itemsize}"))


def calculate_cycles(timestamp_buf: np.ndarray) -> np.int64:
    """Cycles between two timestamps of three 16-bit words each, packed into three 32-bit words."""
    words = np.ascontiguousarray(timestamp_buf).reshape(-1).view(np.uint32)
    if words.size != 3:
        raise ConfigError(f"calculate_cycles takes 3 words of 32 bits, not {words.size}")
    low, high = words & np.uint32(0xFFFF), words >> np.uint32(16)
    start = int(low[0]) | int(high[0]) << 16 | int(low[1]) << 32
    end = int(high[1]) | int(low[2]) << 16 | int(high[2]) << 32
    return np.int64(end - start)
