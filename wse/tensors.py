"""Tensors by name that are read or computed when they are asked for, so that one at a time is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np


class Tensors(Mapping[str, np.ndarray]):
    """Tensors by name.  make: by name, what returns the tensor; it is called at each access."""

    def __init__(self, make: Mapping[str, Callable[[], np.ndarray]]):
        self._make = make

    def __getitem__(self, name: str) -> np.ndarray:
        return self._make[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)

    def __contains__(self, name: object) -> bool:
        return name in self._make
