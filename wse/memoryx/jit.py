"""Compilation of hot loops by Numba, with its cache on the disk where there is a place for one.

Numba is imported when such a loop is first called: it takes longer to import than many commands that only need other
names of the same module take in all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any


def compiled(**options: Any) -> Callable[[Callable], Callable]:
    """numba.njit with these options, at the first call.

    Machine code is cached beside the source or in the user's cache folder (NUMBA_CACHE_DIR).  Where neither can be
    written to, each process compiles again, which takes a few seconds.
    """
    return lambda function: _Compiled(function, options)


class _Compiled:
    """A function that becomes one of Numba's when it is called."""

    def __init__(self, function: Callable, options: dict[str, Any]):
        self._function, self._options = function, options
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        return self._numba(*arguments)

    @cached_property
    def _numba(self) -> Callable:
        # the functions that it may call: Numba looks them up by their names when it compiles this one
        names = self._function.__globals__
        for name, value in list(names.items()):
            if isinstance(value, _Compiled):
                names[name] = value._made
        return self._made

    @cached_property
    def _made(self) -> Callable:
        import numba

        try:
            return numba.njit(cache=True, **self._options)(self._function)
        except RuntimeError:  # "no locator available": no folder can be written to
            return numba.njit(**self._options)(self._function)
