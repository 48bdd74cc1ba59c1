"""Random functions give the same at compile time, as code of every optimisation level, and by a plain evaluator.

random_functions.py makes them, and compares thousands of them from the command line.

Covers: wse/csl/sema/arith.py, wse/csl/sema/exprs.py, wse/csl/llvm/optimize.py
"""

import math
from fractions import Fraction

import pytest

from csl import random_functions
from csl.random_functions import apply, convert, differences, program, rounded


@pytest.mark.parametrize("seed", [*range(5), 1037])
def test_compile_time_run_time_and_evaluator_agree(seed, tmp_path):
    assert differences(seed, tmp_path) == []


def test_programs_hold_all_types_and_statements():
    texts = [program(seed).text for seed in range(40)]
    for word in (
        "i8",
        "i3",
        "u50",
        "u64",
        "@bitcast",
        "f16",
        "f32",
        "bool",
        "switch",
        "while",
        "for",
        "break",
        "continue",
        "_in(n - 1",
        ".*",
        "var s",
    ):
        assert any(word in text for text in texts), word


@pytest.mark.parametrize(
    "op, kind, a, b, want",
    [
        ("+", "i8", 127, 1, -128),
        ("*", "u16", 300, 300, 90000 & 0xFFFF),
        ("/", "i16", -7, 2, -3),
        ("%", "i16", -7, 2, -1),
        ("/", "i8", -128, -1, -128),
        (">>", "i32", -8, 1, -4),
        ("<<", "u64", 1 << 63, 1, 0),
        ("<<", "u5", 1, 40, 0),
        (">>", "i13", -1, 40, -1),
        ("+", "i3", 3, 1, -4),
        ("/", "f32", 1.0, -0.0, -math.inf),
        ("-", "f16", 65504.0, -65504.0, math.inf),
        ("<", "f32", 1.0, 2.0, True),
    ],
)
def test_the_evaluator_knows_the_language(op, kind, a, b, want):
    assert apply(op, kind, a, b) == want


def test_the_evaluator_rounds_once():
    assert convert("i64", "f32", (1 << 62) + (1 << 38) + 1) == 2.0**62 + 2.0**39
    assert convert("u64", "f16", 65519) == 65504.0
    assert (
        convert("f32", "i16", -2.9) == -2 and convert("f32", "u5", 1e30) == 31 and convert("f16", "i64", math.nan) == 0
    )
    assert rounded("f16", Fraction(1, 3)) == 0.333251953125 and rounded("f32", 1e39) == math.inf


def test_a_difference_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(random_functions, "wrap", lambda kind, value: value)
    assert any(differences(seed, tmp_path) for seed in range(3))
