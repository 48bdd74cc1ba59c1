"""Orders become walks, and walks give the order back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wse.operators.strided_walks import DIMENSIONS, LENGTH, Walk, walks


def rejoined(found):
    return np.concatenate([walk.elements() for walk in found]) if found else np.zeros(0, int)


@given(st.lists(st.integers(-40, 40), max_size=200))
def test_any_order_comes_back(order):
    found = walks(np.array(order, int))
    assert rejoined(found).tolist() == order
    assert all(1 <= len(walk.extents) <= DIMENSIONS and min(walk.extents) >= 1 for walk in found)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (np.arange(60), [Walk(0, (60,), (1,))]),
        (np.arange(60).reshape(6, 10).T.ravel(), [Walk(0, (10, 6), (1, 10))]),
        (np.arange(120).reshape(4, 5, 6)[::-1].transpose(0, 2, 1).ravel(), [Walk(90, (4, 6, 5), (-30, 1, 6))]),
        (np.zeros(7, int), [Walk(0, (7,), (0,))]),
        ([5], [Walk(5, (1,), (1,))]),
        ([], []),
    ],
)
def test_nested_loops_are_one_walk(order, expected):
    assert walks(np.array(order, int)) == expected


def test_a_rotation_is_two_walks():
    order = np.roll(np.arange(256), -64)
    assert [walk.length for walk in walks(order)] == [192, 64]


def test_no_walk_is_longer_than_an_operation():
    found = walks(np.arange(100_000))
    assert max(walk.length for walk in found) <= LENGTH and rejoined(found).tolist() == list(range(100_000))
