"""Compilation of hot loops by Numba, with its cache on the disk where there is a place for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """numba.njit with these options.

    Machine code is cached beside the source or in the user's cache folder (NUMBA_CACHE_DIR).  Where neither can be
    written to, each process compiles again, which takes a few seconds.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # "no locator available": no folder can be written to
            return numba.njit(**options)(function)

    return decorate
