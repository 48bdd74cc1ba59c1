"""What host programs pass: each function returns the value as the type that is meant, or raises ConfigError."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..errors import ConfigError

_SHOWN = 60  # characters of a value in a message


def shown(value: object) -> str:
    """A value in a message."""
    if isinstance(value, np.ndarray):
        return f"an array {list(value.shape)} of {value.dtype}"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def integer(value: object, what: str, low: int | None = None) -> int:
    """An integer of Python or NumPy."""
    try:
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(f"{what} is an integer, not {shown(value)}") from None
    if low is not None and number < low:
        raise ConfigError(f"{what} is at least {low}, not {number}")
    return number


def name(value: object, what: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ConfigError(f"{what} is a string, not {shown(value)}")
    return value


def pair(value: object, what: str) -> tuple[Any, Any]:
    """Two values."""
    if isinstance(value, tuple | list) and len(value) == 2:
        return value[0], value[1]
    raise ConfigError(f"{what} is a tuple of two, not {shown(value)}")


def element_type(value: object, what: str) -> np.dtype:
    """A type of numbers."""
    try:
        made = np.dtype(value) if value is not None else None  # type: ignore[call-overload]
    except (TypeError, ValueError):
        made = None
    if made is None or made.kind not in "biufc":
        raise ConfigError(f"{what} is a type of numbers, such as np.float32, not {shown(value)}")
    return made


def elements(data: bytes, kind: object, what: str) -> np.ndarray:
    """A variable's bytes as an array of a type."""
    wanted = element_type(kind, f"dtype of {what}")
    if len(data) % wanted.itemsize:
        raise ConfigError(f"{what} has {len(data)} bytes, which are no array of {wanted}")
    return np.frombuffer(data, wanted).copy()
