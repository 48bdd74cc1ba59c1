"""Packing and unpacking at the edge."""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.machine import numerics
from wse.operators.transfers import CONTROL, END, ZERO, Column, GradientTransfer, Order, WeightTransfer, as_bits, joined

ORDER = Order.of(np.array([[0, 2, END, 4], [1, ZERO, END, 3]]))


def test_a_dense_stream():
    stream = WeightTransfer("a layer", "bf16", (("bias", Order.of(np.array([[0], [1]]))), ("weight", ORDER)))
    weight, bias = np.array([1.0, -2.0, 0.0, 3.0, 0.5]), np.array([4.0, 8.0])
    first, second = stream.pack({"weight": weight, "bias": bias})
    bits = numerics.to_bits(weight, "bf16").astype(np.uint32)
    of_bias = numerics.to_bits(bias, "bf16").astype(np.uint32)
    assert first.words.tolist() == [of_bias[0], bits[0], bits[2], CONTROL, bits[4]]
    assert second.words.tolist() == [of_bias[1], bits[1], 0, CONTROL, bits[3]]
    assert first.control.tolist() == second.control.tolist() == [False, False, False, True, False]
    assert stream.roles == ("bias", "weight")


def test_bits_go_as_they_are():
    assert as_bits(np.array([7, 65535], np.uint16), "f16").tolist() == [7, 65535]
    assert as_bits(np.array([1.5]), "f32").tolist() == [np.array(1.5, np.float32).view(np.uint32)]


@pytest.mark.parametrize("storage", ["f16", "f32"])
def test_a_sparse_stream_leaves_zeros_out(storage):
    places = np.array([[10, 20, 0, 30], [40, 50, 0, 60]], np.uint16)
    stream = WeightTransfer("a layer", storage, (("weight", ORDER),), {"weight": places})
    first, second = stream.pack({"weight": np.array([1.0, -0.0, 0.0, 3.0, 2.0])})  # -0.0 is 0, too
    one, two, three = (int(as_bits(np.array([v]), storage)[0]) for v in (1.0, 2.0, 3.0))
    if storage == "f16":
        assert first.words.tolist() == [one | 10 << 16, CONTROL, two | 30 << 16]
        assert second.words.tolist() == [CONTROL, three | 60 << 16]
    else:
        assert first.words.tolist() == [10, one, CONTROL, 30, two]
        assert second.words.tolist() == [CONTROL, 60, three]
    assert first.words[first.control].tolist() == [CONTROL]


def test_a_drain():
    order = Order.of(np.array([[0, 2, -1], [1, 1, 3]]))
    drain = GradientTransfer("gradients", (("weight", order, (2, 2)), ("bias", Order.of(np.array([[0], [1]])), (2,))))
    columns = [np.array(values, np.float32).view(np.uint32) for values in ([1, 2, 99, 5], [3, 4, 6, 7])]
    got = drain.unpack(columns)
    assert got["weight"].tolist() == [[1, 7], [2, 6]]  # what goes to one place is summed, padding dropped
    assert got["bias"].tolist() == [5, 7]
    assert (drain.roles, drain.wavelets) == (("weight", "bias"), 4)


def test_a_drain_of_pairs():
    drain = GradientTransfer("rows", (("dx", Order.of(np.array([[0, 1, 2, -1]])), (3,)),), "f16")
    halves = numerics.to_bits(np.array([0.5, 1.5, -2.0, 9.0]), "f16").astype(np.uint32)
    assert drain.wavelets == 2
    assert drain.unpack([halves[0::2] | halves[1::2] << 16])["dx"].tolist() == [0.5, 1.5, -2.0]


def test_joined_keeps_the_order():
    one = [Column(np.array([1, 2], np.uint32), np.array([False, True]))]
    two = [Column(np.array([3], np.uint32), np.array([False]))]
    (column,) = joined([one, two])
    assert column.words.tolist() == [1, 2, 3] and column.control.tolist() == [False, True, False]


def test_what_is_refused():
    stream = WeightTransfer("a layer", "f16", (("weight", ORDER),))
    with pytest.raises(ConfigError, match=r"^a layer streams weight: there are no values for weight$"):
        stream.pack({"bias": np.zeros(5)})
    with pytest.raises(ConfigError, match=r"^a layer takes 5 values of weight, not 6$"):
        stream.pack({"weight": np.zeros(6)})
    drain = GradientTransfer("gradients", (("weight", Order.of(np.array([[0, 1]])), (2,)),))
    with pytest.raises(ConfigError, match=r"^gradients gives 2 wavelets in column 0, not 3$"):
        drain.unpack([np.zeros(3, np.uint32)])


def test_copies_are_packed_from_one_array_and_added_up():
    copies = np.array([2, 0, 2, 1, 2])  # five elements of three
    stream = WeightTransfer("a layer", "f32", (("weight", ORDER),)).reading({"weight": copies})
    first, second = stream.pack({"weight": np.array([1.0, 2.0, 3.0])})
    assert first.words[[0, 1, 3]].view(np.float32).tolist() == [3, 3, 3] and first.words[2] == CONTROL
    assert second.words[[0, 1, 3]].view(np.float32).tolist() == [1, 0, 2]
    order = Order.of(np.array([[0, 2, -1], [1, 3, 4]]))
    drain = GradientTransfer("a gradient", (("weight", order, (5,)),)).adding({"weight": copies})
    columns = [np.array(values, np.float32).view(np.uint32) for values in ([1, 2, 99], [4, 8, 16])]
    assert drain.unpack(columns)["weight"].tolist() == [4, 8, 1 + 2 + 16]
    assert stream.reading({}).parts[0][1] is stream.parts[0][1]
