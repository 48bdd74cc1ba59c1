"""Placement: no overlap, inside the grid, large enough, in the order of the chain."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wse.errors import ConfigError
from wse.plan.place import Rectangle, place


def check(needs, grid, placed):
    assert len(placed) == len(needs)
    for need, r in zip(needs, placed, strict=True):
        assert r.pes >= need
        assert r.x >= 0 and r.y >= 0 and r.x + r.width <= grid[0] and r.y + r.height <= grid[1]
    for i, a in enumerate(placed):
        assert not any(a.overlaps(b) for b in placed[:i])


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(4, 60), st.integers(4, 60))
@settings(max_examples=80, deadline=None)
def test_what_is_placed_fits(needs, width, height):
    placed = place(needs, (width, height))
    if placed is not None:
        check(needs, (width, height), placed)


def test_little_is_wasted():
    needs = [8788, 36, 3500, 1085, 3500, 36] * 12
    total = sum(needs)
    height = 400
    assert place(needs, (int(1.04 * total / height), height)) is not None


def test_more_than_the_grid_has_no_place():
    assert place([50, 51], (10, 10)) is None
    assert place([50, 50], (10, 10)) is not None


def test_small_neighbors_stand_on_top_of_each_other():
    placed = place([3, 3, 3, 3], (1, 12), strips=1)
    assert placed == [Rectangle(0, 3 * i, 1, 3) for i in range(4)]


def test_two_strips_hold_what_one_cannot():
    assert place([200, 200, 200, 201], (40, 20)) is None
    placed = place([200, 200, 200, 200], (40, 20), strips=2)
    check([200] * 4, (40, 20), placed)
    assert max(r.y for r in placed) >= 10


def test_nothing_is_no_region():
    with pytest.raises(ConfigError, match="must be 1 or more"):
        place([0], (4, 4))
