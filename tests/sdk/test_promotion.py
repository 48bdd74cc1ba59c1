"""NumPy 1's promotion of scalars: results as NumPy 1.26 gives them."""

from __future__ import annotations

import numpy as np
import pytest

from wse.sdk.promotion import rewrite


def value(text: str, **names):
    """The value of an expression in a rewritten program."""
    scope = {"np": np, **names}
    exec(rewrite(f"result = {text}", "host.py"), scope)
    return scope["result"]


W = np.array([5, 2, 1], np.uint16)

CASES = [
    ("w[0] + (w[1] << 16)", 131077, np.int64),
    ("w[0] + (w[1] << 16) + (w[2] << 32)", 131077 + (1 << 32), np.int64),
    ("np.uint8(1) + 2", 3, np.int64),
    ("np.uint8(1) + 300", 301, np.int64),
    ("np.uint8(200) + np.uint8(100)", 44, np.uint8),
    ("np.float32(3) + 3.", 6.0, np.float64),
    ("np.float32(1) + 3e100", 3e100, np.float64),
    ("np.float32(3) * np.float32(2)", 6.0, np.float32),
    ("np.array(5, np.uint16) << 16", 5 << 16, np.int64),
    ("-np.int16(3) * 100000", -300000, np.int64),
    ("np.uint64(1) + np.int64(1)", 2.0, np.float64),
    ("np.int16(7) // 2", 3, np.int64),
]
ARRAYS = [
    ("np.array([1], np.uint8) + np.int64(1)", np.uint8),
    ("np.array([1], np.uint8) + 300", np.uint16),
    ("np.array([1], np.int8) + 100", np.int8),
    ("np.array([1], np.int8) + 128", np.int16),
    ("np.array([1], np.int32) * 2.5", np.float64),
    ("np.array([1], np.float32) + np.float64(1)", np.float32),
    ("np.array([1], np.float32) + 3e100", np.float64),
    ("np.array([1], np.float32) * 2", np.float32),
    ("np.array([1], np.float32) + 1j", np.complex64),
    ("2 * np.array([1], np.uint16)", np.uint16),
    ("np.array([1], np.uint16) - 1", np.uint16),
    ("np.array([1], np.uint16) + np.array([1], np.int32)", np.int32),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("text", "expected", "kind"), CASES)
def test_scalars(text, expected, kind):
    made = value(text, w=W)
    assert made == expected and made.dtype == kind


@pytest.mark.parametrize(("text", "kind"), ARRAYS)
def test_arrays_with_scalars(text, kind):
    assert value(text).dtype == kind


def test_comparisons():
    assert not value("np.float32(0.1) == 0.1")
    assert value("np.array([0.1], np.float32) == np.float64(0.1)").all()
    assert value("np.uint8(1) < 300") and value("1 < np.uint8(2) < 300")


def test_what_has_no_numbers_of_numpy_is_python():
    assert value("'%d' % 3") == "3" and value("[1] + [2]") == [1, 2] and value("1 << 100") == 2**100
    assert value("7 in [7]") and value("None == np.float32(1)") == False  # noqa: E712
    assert value("{1} | {2}") == {1, 2}


def test_assignments_with_an_operator():
    scope = {"np": np}
    text = """
total = np.uint16(5)
total += np.uint16(2) << 16
array = np.array([1, 2], np.uint16)
same = array
array += 1
array[0] -= 1
count = 0
count += 1
words = ["a"]
words += ["b"]
"""
    exec(rewrite(text, "host.py"), scope)
    assert scope["total"] == 131077
    assert scope["same"] is scope["array"] and scope["array"].dtype == np.uint16 and scope["array"].tolist() == [1, 3]
    assert scope["count"] == 1 and scope["words"] == ["a", "b"]


def test_docstrings_and_future_imports_stay_first():
    scope: dict = {}
    exec(rewrite('"""Text."""\nfrom __future__ import annotations\nx: Unknown = 1 + 1\n', "host.py"), scope)
    assert scope["__doc__"] == "Text." and scope["x"] == 2


def test_errors_name_the_line():
    with pytest.raises(ZeroDivisionError) as caught:
        exec(rewrite("a = 0\n\nb = 1 // a\n", "host.py"), {})
    lines = [frame.lineno + 1 for frame in caught.traceback if str(frame.path).endswith("host.py")]
    assert lines == [3]
