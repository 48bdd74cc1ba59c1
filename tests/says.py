"""Asserts whole error messages: their text is part of the interface."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def says(error: type[Exception], message: str) -> Iterator[pytest.ExceptionInfo]:
    """Asserts that the block raises this type of error, not a subclass, with this message."""
    with pytest.raises(error) as caught:
        yield caught
    assert caught.type is error
    assert str(caught.value) == message


def here(lines: int = 0) -> str:
    """`file:line` of the caller, plus a number of lines."""
    frame = sys._getframe(1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno + lines}"
