"""wse/memoryx/jit.py: compiled loops where no folder can hold Numba's cache."""

import pytest
from numba.core import caching

from wse.memoryx.jit import compiled


def double(x):
    return 2 * x


@pytest.mark.parametrize("locators", [None, []])
def test_it_compiles_with_and_without_a_place_for_the_cache(monkeypatch, locators):
    if locators is not None:
        monkeypatch.setattr(caching.CacheImpl, "_locator_classes", locators)
    assert compiled(nogil=True)(double)(21) == 42
