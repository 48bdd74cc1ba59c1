"""NumPy 1's promotion of scalars: results as NumPy 1.26 gives them.

Covers: wse/sdk/rewriting.py
"""

from __future__ import annotations

import csv
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from wse.sdk.rewriting import rewrite


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


RESULTS = list(csv.DictReader((Path(__file__).parent / "numpy1.csv").read_text().splitlines()))


class Box:
    """Something with attributes."""


def same_value(got: str, wanted: str, kind: str) -> bool:
    """Equal as text, or within two units in the last place: NumPy's functions round by the instruction set."""
    if got == wanted or not kind.startswith(("float", "complex")):
        return got == wanted
    values = [np.asarray(eval(text, {"nan": math.nan, "inf": math.inf})) for text in (got, wanted)]
    eps = np.finfo(kind if kind[-1].isdigit() else float).eps
    return np.allclose(*values, rtol=2 * eps, atol=0, equal_nan=True)


@pytest.mark.parametrize("start", range(0, len(RESULTS), 40))
def test_results_of_numpy_1(start):
    """numpy1.csv holds what NumPy 1.26.4 computes, without rewriting; error: an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in RESULTS[start : start + 40]:
            scope = {"np": np, "math": math, "Box": Box}
            try:
                exec(rewrite(row["program"], "host.py"), scope)
                made = scope["r"]
                known = isinstance(made, np.generic | np.ndarray)
                got = (str(made.dtype), str(made.tolist())) if known else (type(made).__name__, str(made))
            except (TypeError, ValueError, OverflowError, ZeroDivisionError):
                got = ("error", "")
            assert got[0] == row["type"] and same_value(got[1], row["value"], got[0]), (
                row["program"],
                got,
                row["value"],
            )


def run(text: str, **names) -> dict:
    scope = {"np": np, **names}
    exec(rewrite(text, "host.py"), scope)
    return scope


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_assignments_to_attributes_and_elements():
    scope = run(
        """
order = []
def told(name, value):
    order.append(name)
    return value
class Count:
    __hidden = np.uint16(5)
    def __init__(self): self.total = np.uint16(5)
    def more(self):
        self.total += np.uint16(2) << 16
        self.__hidden += np.uint16(2) << 16
        return self.__hidden
count = Count()
hidden = count.more()
told("owner", [np.uint16(5), [1]])[told("index", 0)] += told("value", 1)
table = {"a": np.uint16(40000)}
table["a"] += np.uint16(40000)
table["a"] += 1
matrix = np.zeros((2, 3), np.uint16)
matrix[1, ::2] += 7
matrix[:, 0] -= np.int64(1)
matrix[0, 1] = 70000
words = [1, 2, 3]
words[1:] += [4]
left, right = np.eye(2), np.eye(2) * 2
left @= right
"""
    )
    assert scope["count"].total == 131077 and scope["hidden"] == 131077
    assert scope["order"] == ["owner", "index", "value"]
    assert scope["table"]["a"] == 40000 + 40000 - 65536 + 1 and scope["table"]["a"].dtype == np.int64
    assert scope["matrix"].dtype == np.uint16 and scope["matrix"].tolist() == [[65535, 4464, 0], [6, 0, 7]]
    assert scope["words"] == [1, 2, 3, 4] and scope["left"].tolist() == [[2, 0], [0, 2]]


def test_chains_evaluate_each_operand_once_and_stop():
    scope = run(
        """
seen = []
def told(value):
    seen.append(value)
    return value
first = told(1) < told(3) < told(2) < told(9)
second = told(np.float32(0.1)) == 0.1 == told(5)
third = None is not told(2) in (2,)
class Body:
    limit = 3
    inside = 0 < limit < 4
def f(x): return [y for y in range(5) if 0 < y < x]
some = f(3)
def g():
    got = 0 < (yield 1) < 5
    yield got
steps = g()
fourth = [next(steps), steps.send(3)]
array = np.array([1, 2])
try:
    0 < array < 5
    ambiguous = False
except ValueError:
    ambiguous = True
"""
    )
    assert scope["seen"] == [1, 3, 2, np.float32(0.1), 2]
    assert (bool(scope["first"]), bool(scope["second"]), scope["third"]) == (False, False, True)
    assert scope["Body"].inside and scope["some"] == [1, 2] and scope["fourth"] == [1, True] and scope["ambiguous"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_calls_that_look_at_their_frame():
    scope = run(
        """
import functools, operator
class Base:
    def name(self): return "base"
class Derived(Base):
    def name(self): return super().name() + str("self" in locals())
def f(a, b): return sorted(locals())
made = Derived().name(), f(1, 2), eval("f(1, 2)"), "Base" in globals()
total = functools.reduce(lambda a, b: a + b, [np.uint16(40000)] * 3)
direct = operator.add(np.uint16(40000), np.uint16(40000)), operator.add(np.uint16(40000), 40000)
sums = sum([np.uint16(40000)] * 2), sum([1, 2]), sum([[1], [2]], []), sum(x for x in [np.uint8(200)] * 2)
"""
    )
    assert scope["made"] == ("baseTrue", ["a", "b"], ["a", "b"], True)
    assert scope["total"] == 120000 - 65536 and scope["direct"] == (80000 - 65536, 80000)
    assert scope["sums"] == (80000, 3, [1, 2], 400)


def test_functions_keep_their_other_arguments():
    scope = run(
        """
out = np.zeros(2, np.float32)
made = np.add(np.array([1, 2], np.float32), np.float64(0.5), out=out)
clipped = np.array([1, 5], np.float32).clip(2, 3.0), np.clip(np.array([1, 5]), None, 3), np.clip([1, 5], a_min=2, a_max=4)
where = np.where(np.array([True, False]))
typed = np.add(1, 2, dtype=np.float32)
power = pow(3, 4, 5)
grown = np.array([1, 2], dtype=np.uint8, ndmin=2)
"""
    )
    assert scope["made"] is scope["out"] and scope["out"].tolist() == [1.5, 2.5]
    first, second, third = scope["clipped"]
    assert (
        first.dtype == np.float32
        and first.tolist() == [2, 3]
        and second.tolist() == [1, 3]
        and third.tolist() == [2, 4]
    )
    assert scope["where"][0].tolist() == [0] and scope["typed"].dtype == np.float32 and scope["power"] == 1
    assert scope["grown"].shape == (1, 2)
