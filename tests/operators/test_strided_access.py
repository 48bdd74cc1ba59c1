"""Orders become walks, and walks give the order back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wse.operators.strided_access import DIMENSIONS, LENGTH, StridedAccess, strided_accesses


def rejoined(found):
    return np.concatenate([access.elements() for access in found]) if found else np.zeros(0, int)


@given(st.lists(st.integers(-40, 40), max_size=200))
def test_any_order_comes_back(order):
    found = strided_accesses(np.array(order, int))
    assert rejoined(found).tolist() == order
    assert all(1 <= len(access.extents) <= DIMENSIONS and min(access.extents) >= 1 for access in found)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (np.arange(60), [StridedAccess(0, (60,), (1,))]),
        (np.arange(60).reshape(6, 10).T.ravel(), [StridedAccess(0, (10, 6), (1, 10))]),
        (np.arange(120).reshape(4, 5, 6)[::-1].transpose(0, 2, 1).ravel(), [StridedAccess(90, (4, 6, 5), (-30, 1, 6))]),
        (np.zeros(7, int), [StridedAccess(0, (7,), (0,))]),
        ([5], [StridedAccess(5, (1,), (1,))]),
        ([], []),
    ],
)
def test_nested_loops_are_one_walk(order, expected):
    assert strided_accesses(np.array(order, int)) == expected


def test_a_rotation_is_two_walks():
    order = np.roll(np.arange(256), -64)
    assert [access.length for access in strided_accesses(order)] == [192, 64]


def test_no_walk_is_longer_than_an_operation():
    found = strided_accesses(np.arange(100_000))
    assert max(access.length for access in found) <= LENGTH and rejoined(found).tolist() == list(range(100_000))
