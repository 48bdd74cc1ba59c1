"""wse/errors.py: the classes of errors, and suggestions for misspelt names."""

import pytest

from wse import errors
from wse.errors import did_you_mean


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("hop_cycle", ["hop_cycles", "colors"], "did you mean hop_cycles?"),
        ("gem", ["gemv", "gemm", "axpy"], "did you mean gemv or gemm?"),
        ("cycles", ["hop_cycles", "ramp_in_cycles", "colors"], "did you mean hop_cycles?"),
        ("latency", ["fp_latency", "sram"], "did you mean fp_latency?"),  # a part of the name
        ("cycles", ["a_long_name_cycles", "colors"], "did you mean a_long_name_cycles?"),
        ("ab", ["table", "colors"], "known: colors, table"),  # neither its beginning nor its end
        ("GEMM", ["gemm", "gemv"], "did you mean gemm?"),
        ("FMACS", ["fmacs", "fmachs"], "did you mean fmacs?"),
        ("Hop_Cycle", ["hop_cycles", "colors"], "did you mean hop_cycles?"),
        ("x", ["b", "a"], "known: a, b"),  # one letter is no part
        ("zzz", [], "no names are known"),
        ("zzz", [f"n{i}" for i in range(12)], "known: n0, n1, n10, n11, n2, n3, n4, n5, n6, n7, n8, n9"),
        ("zzz", [f"n{i}" for i in range(13)], "13 names are known"),
    ],
)
def test_suggestions(name, known, words):
    assert did_you_mean(name, known) == words


def test_all_names_are_listed_up_to_the_given_number():
    known = [f"n{i:02}" for i in range(20)]
    assert did_you_mean("zzz", known, most=20) == f"known: {', '.join(known)}"
    assert did_you_mean("zzz", known, most=19) == "20 names are known"
    assert did_you_mean("zzz", known, most=0) == ""


def test_every_error_is_a_wse_error():
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert len(classes) >= 6 and all(issubclass(c, errors.WseError) for c in classes)


def test_places_of_errors():
    assert errors.AsmError("wrong", 7).line == 7 and errors.AsmError("wrong").line == 0
    error = errors.RouteError("wrong", 1, 2, 3)
    assert (str(error), error.x, error.y, error.color) == ("wrong", 1, 2, 3)
    error = errors.RouteError("wrong")
    assert (error.x, error.y, error.color) == (-1, -1, -1)
