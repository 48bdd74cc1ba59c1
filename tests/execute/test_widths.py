"""Widths of regions side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wse.errors import ConfigError
from wse.execute.widths import widths

ANY = list(range(1, 33))


def test_work_is_shared_evenly():
    assert widths([1, 2, 4, 1], [ANY] * 4, 16) == [2, 4, 8, 2]


def test_a_region_has_only_widths_it_may_have():
    assert widths([10, 10], [[1, 2, 4], ANY], 8) == [4, 4]
    assert widths([100, 10], [[1, 2, 4], ANY], 20) == [4, 1]  # the first cannot be faster: no use in widening the other


@given(
    st.lists(st.floats(0.1, 100), min_size=1, max_size=8),
    st.integers(8, 64),
)
def test_they_fit_and_none_could_help_the_slowest(work, columns):
    found = widths(work, [ANY] * len(work), columns)
    assert sum(found) <= columns
    slowest = max(w / n for w, n in zip(work, found, strict=True))
    assert sum(found) == columns or any(n == 32 and w / n == slowest for w, n in zip(work, found, strict=True))


def test_too_many_regions():
    with pytest.raises(ConfigError, match="need at least 6 columns"):
        widths([1, 1, 1], [[2, 4]] * 3, 5)
