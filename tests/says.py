"""The wording of an error is part of the interface: tests match it whole."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def says(error: type[Exception], message: str) -> Iterator[pytest.ExceptionInfo]:
    """The block raises exactly this error with exactly this message."""
    with pytest.raises(error) as caught:
        yield caught
    assert caught.type is error
    assert str(caught.value) == message


def here(lines: int = 0) -> str:
    """`file:line` of the caller, so many lines on."""
    frame = sys._getframe(1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno + lines}"
