"""Orders of host arrays, 16-bit data, traces."""

import numpy as np
import pytest

import wse
from wse.sdk import debug, transfer
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder
from wse.sdk.utils import calculate_cycles, cast_uint32, float_to_hex, input_array_to_u32, make_u48, memcpy_view

H, W, L = 2, 3, 4


@pytest.mark.parametrize("order", MemcpyOrder)
def test_orders(order):
    flat = np.arange(H * W * L, dtype=np.uint32)
    tensor = transfer.to_tensor(flat, H, W, L, order)
    for at, (h, w, l) in enumerate(np.ndindex(H, W, L)):
        if order is MemcpyOrder.COL_MAJOR:  # h fastest, then w, then l
            at = h + H * (w + W * l)
        assert tensor[h, w, l] == flat[at]
    assert np.array_equal(transfer.from_tensor(tensor, order), flat)


@pytest.mark.parametrize("data_type", MemcpyDataType)
def test_memory(data_type):
    tensor = np.arange(H * W * L, dtype=np.uint32).reshape(H, W, L) * 70000
    memory = transfer.to_bytes(tensor, data_type)
    assert memory.shape == (H, W, L * data_type.bytes)
    mask = 0xFFFF if data_type.bytes == 2 else 0xFFFFFFFF
    assert np.array_equal(transfer.from_bytes(memory, data_type), tensor & mask)
    assert memory[0, 1, 0] == tensor[0, 1, 0] & 255


def test_views_of_the_low_half():
    array = np.zeros(3, np.uint32)
    halves = memcpy_view(array, np.dtype(np.float16))
    halves[:] = [1, 2, 3]
    assert array.tolist() == [0x3C00, 0x4000, 0x4200]
    assert memcpy_view(array.reshape(3, 1), np.uint16).shape == (3, 1)
    assert memcpy_view(array, np.float32).base is not None
    assert memcpy_view(array, np.uint8).tolist() == [0, 0, 0]
    with pytest.raises(wse.ConfigError, match="8, 16 or 32 bits of 32-bit elements, not uint16 of float64"):
        memcpy_view(np.zeros(2), np.uint16)


def test_arrays_for_streams():
    values = np.array([[1, -1], [2, -2]], np.int16)
    assert input_array_to_u32(values, None, 1).tolist() == [1, 0xFFFF, 2, 0xFFFE]
    assert input_array_to_u32(values, 0, 3).tolist() == [1, 0x1FFFF, 0x20002, 0xFFFE]
    single = np.array([1.5], np.float32)
    assert input_array_to_u32(single, None, 1).tolist() == [0x3FC00000]
    for wrong, words in ((np.zeros(2), "16 or 32 bits"), (values, "at least 1")):
        with pytest.raises(wse.ConfigError, match=words):
            input_array_to_u32(wrong, 0, 0)


def test_cycles_of_packed_timestamps():
    start, end = 0x1234_5678_9ABC, 0x1234_6000_0001
    words = [start & 0xFFFF, start >> 16 & 0xFFFF, start >> 32, end & 0xFFFF, end >> 16 & 0xFFFF, end >> 32]
    packed = np.array(words, np.uint16).view(np.uint32)
    assert calculate_cycles(packed) == calculate_cycles(packed.view(np.float32)) == end - start
    with pytest.raises(wse.ConfigError, match="3 words"):
        calculate_cycles(packed[:2])


def test_small_things():
    assert make_u48(np.array([1, 2, 3], np.uint16)) == 1 | 2 << 16 | 3 << 32
    assert float_to_hex(1.5) == "0x3fc00000"
    values = [np.int16(-1), np.float16(1.5), np.float32(1.5), np.uint32(7), 1.5, -1]
    assert [int(cast_uint32(v)) for v in values] == [0xFFFF, 0x3E00, 0x3FC00000, 7, 0x3FC00000, 0xFFFFFFFF]
    with pytest.raises(wse.ConfigError, match="16 or 32 bits, not float64"):
        cast_uint32(np.float64(1))


def test_records_of_traces():
    words = [1, 1, 2, 1, 3, 255, 4, 0xFF, 5, 65535, 6, 0xFFFE, 7, 0x3E00, 8, 1, 2, 9, 0xFFFF, 0xFFFF, 10, 0, 0x3FC0]
    words += [11, 1, 2, 3]
    buffer = np.array([len(words), *words, 99, 99], np.uint16)
    expected = ["b", True, 255, -1, 65535, -2, 1.5, 0x20001, -1, 1.5, 1 | 2 << 16 | 3 << 32]
    assert debug.decode(buffer, ["a", "b"]) == expected
    assert debug.decode(np.zeros(4, np.uint16), []) == []
