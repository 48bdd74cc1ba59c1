"""wse/memoryx/jit.py: compiled loops where no folder can hold Numba's cache."""

import os
import subprocess
import sys

import pytest
from documents import PACKAGES
from numba.core import caching

from wse.memoryx.jit import compiled


def double(x):
    return 2 * x


@pytest.mark.parametrize("locators", [None, []])
def test_it_compiles_with_and_without_a_place_for_the_cache(monkeypatch, locators):
    if locators is not None:
        monkeypatch.setattr(caching.CacheImpl, "_locator_classes", locators)
    assert compiled(nogil=True)(double)(21) == 42


@compiled(inline="always")
def _twice(x):
    return 2 * x


@compiled()
def _four_times(x):
    return _twice(_twice(x))


def test_compiled_functions_call_each_other():
    assert _four_times(3) == 12 and _twice(4) == 8


def test_numba_is_imported_by_the_first_call():
    code = """
import sys
import wse.memoryx, wse.system.stations
before = "numba" in sys.modules
import numpy as np
from wse.memoryx.optimizer import measure
print(before, measure([np.ones(4, np.float32)]).norm, "numba" in sys.modules)
"""
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("False 2.0") and done.stdout.endswith("True\n"), done.stderr
