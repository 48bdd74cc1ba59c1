"""Axes of activations against NumPy: random reshapes, permutations and slices.

Covers: wse/torch/axes.py
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wse.torch.axes import FEATURES, Axes, Piece, Unmappable, merged


def start(*sizes):
    """Tokens of these sizes but the last, which are features."""
    names = [*(f"t{i}" for i in range(len(sizes) - 1)), FEATURES]
    return Axes(tuple(merged([Piece(name, 1, n)]) for name, n in zip(names, sizes, strict=True)))


def numbers(axes, sizes):
    """For each element, its index in the array of `sizes` that the axes began with."""
    strides = dict(
        zip([*(f"t{i}" for i in range(len(sizes) - 1)), FEATURES], np.cumprod([1, *sizes[:0:-1]])[::-1], strict=True)
    )
    found = np.full((), axes.offset + sum(strides[root] * i for root, i in axes.picked))
    for dim in axes.dims:
        line = np.zeros((1,), np.int64)
        for piece in dim:
            line = (line[:, None] + strides[piece.root] * piece.stride * np.arange(piece.size)).ravel()
        found = found[..., None] + line
    return found


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_changes_are_those_of_numpy(data):
    sizes = data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=2, max_size=4))
    axes, array = start(*sizes), np.arange(np.prod(sizes)).reshape(sizes)
    for _ in range(data.draw(st.integers(1, 6))):
        rank = array.ndim
        change = data.draw(st.sampled_from(["permute", "split", "join", "one", "select", "slice"]))
        if change == "permute":
            order = data.draw(st.permutations(range(rank)))
            axes, array = axes.permuted(order), array.transpose(order)
        elif change == "one":
            at = data.draw(st.integers(0, rank))
            shape = (*array.shape[:at], 1, *array.shape[at:])
            axes, array = axes.reshaped(shape), array.reshape(shape)
        elif change == "join" and rank > 1:
            at = data.draw(st.integers(0, rank - 2))
            shape = (*array.shape[:at], array.shape[at] * array.shape[at + 1], *array.shape[at + 2 :])
            axes, array = axes.reshaped(shape), array.reshape(shape)
        elif change == "split":
            at = data.draw(st.integers(0, rank - 1))
            n = array.shape[at]
            inner = data.draw(st.sampled_from([k for k in range(1, n + 1) if n % k == 0]))
            shape = (*array.shape[:at], n // inner, inner, *array.shape[at + 1 :])
            try:
                axes, array = axes.reshaped(shape), array.reshape(shape)
            except Unmappable:
                continue
        elif change == "select" and rank > 1:
            at = data.draw(st.integers(0, rank - 1))
            index = data.draw(st.integers(0, array.shape[at] - 1))
            axes, array = axes.selected(at, index), array.take(index, at)
        elif change == "slice":
            at = data.draw(st.integers(0, rank - 1))
            first = data.draw(st.integers(0, array.shape[at] - 1))
            last = data.draw(st.integers(first + 1, array.shape[at]))
            try:
                axes = axes.sliced(at, first, last)
            except Unmappable:
                continue
            array = array.take(np.arange(first, last), at)
        assert axes.shape == array.shape
    np.testing.assert_array_equal(numbers(axes, sizes), array)


def test_the_features_that_are_left():
    """Head 1 of two, of the second of three parts."""
    axes = start(4, 24).reshaped((4, 3, 2, 4)).selected(1, 1).selected(1, 1)
    assert axes.indices().tolist() == [12, 13, 14, 15] and axes.shape == (4, 4)
    assert axes.compacted().vectors(4) and not axes.vectors(24)
    swapped = start(4, 24).reshaped((4, 3, 8)).permuted((1, 0, 2)).selected(0, 2)
    assert swapped.indices().tolist() == list(range(16, 24)) and swapped.compacted() == start(4, 8)


def test_repetitions_share_features():
    axes = start(5, 8).reshaped((5, 2, 1, 4)).expanded((-1, 2, 3, 4)).reshaped((5, 6, 4))
    assert axes.shape == (5, 6, 4) and axes.indices().tolist() == list(range(8))
    assert not axes.reshaped((5, 24)).vectors(8)


def test_what_divides_no_piece():
    with pytest.raises(Unmappable, match="divides 3 indices into groups of 2"):
        start(3, 4).reshaped((2, 6))
    with pytest.raises(Unmappable, match="a part of the tokens"):
        start(3, 4).sliced(0, 1, 3)
