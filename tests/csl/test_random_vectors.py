"""Random functions over descriptors leave the same in memory at every optimisation level as a plain evaluator.

random_vectors.py makes them, and compares thousands of them from the command line.

Covers: wse/csl/codegen/keep.py, wse/csl/codegen/select_vector.py, wse/csl/ir/dsd_values.py
"""

import math

import pytest

from csl import vector_model
from csl.random_vectors import differences, program
from csl.vector_model import OPERATIONS, Dsd, State, element, execute


@pytest.mark.parametrize("seed", range(6))
def test_code_and_evaluator_agree(seed, tmp_path):
    made = program(seed)
    assert differences(made, tmp_path, arches=("wse2" if seed % 2 else "wse3",)) == []


def test_programs_hold_all_forms():
    texts = [program(seed).text for seed in range(60)]
    for word in (
        "mem4d_dsd", "circbuf_dsd", "var e", "@increment_dsd_offset", "@set_dsd_length", "@set_dsd_stride", "@set_dsd_base_addr", "@map",
        "save_address", "Pair{", "[3]mem1d_dsd", "inline fn", "break", "continue", "switch", "while", "for (@range",
        "return;", ".extent = 0,", ".stride = -2", "@fadds(&", "(&g_f32, &g_f32, ",
        *(f"@{name}(" for name in OPERATIONS),
    ):  # fmt: skip
        assert any(word in text for text in texts), word


def memory() -> State:
    return State({"a": ("f32", [1.0, 2.0, 3.0, 4.0]), "b": ("f32", [0.0, 0.0]), "w": ("u16", [1, 2, 3, 4])})


def values(state: State, name: str) -> list:
    return memoryview(bytes(state.bytes[name])).cast({"f32": "f", "u16": "H"}[state.kinds[name]]).tolist()


@pytest.mark.parametrize(
    "name, dst, sources, x, array, wanted",
    [
        ("fadds", ("b", 0), [("b", 0), Dsd("a", 0, 4)], None, "b", [10, 0]),
        ("fadds", ("b", 4), [[100.0], Dsd("a", 0, 4)], None, "b", [0, 110]),
        ("fmovs", ("b", 4), [Dsd("a", 4, 3)], None, "b", [0, 4]),
        ("fmovs", Dsd("a", 4, 0), [Dsd("a", 0, 3)], None, "a", [1, 1, 1, 1]),
        ("fadds", Dsd("a", 12, 0, -1), [Dsd("a", 0, 0), [1.0]], None, "a", [1, 2, 3, 2]),
        ("fmacs", Dsd("b", 0, 7), [Dsd("a", 0, 2), [3.0]], 2.0, "b", [7, 8]),
        ("mov16", Dsd("w", 0, 3, 1), [Dsd("w", 6, 3, -1)], None, "w", [4, 3, 3, 4]),
        ("sub16", Dsd("w", 0, 1), [[0], Dsd("w", 0, 0)], None, "w", [65535, 2, 3, 4]),
        ("fmovs", Dsd("a", 0, 0), [Dsd("a", 8, 2, 1, ((2, -1), (1, 1)), 4)], None, "a", [3, 2, 3, 4]),
    ],
)
def test_the_evaluator_walks_as_documented(name, dst, sources, x, array, wanted):
    state = memory()
    execute(state, name, dst, sources, x)
    assert values(state, array) == wanted


def test_the_evaluator_saves_addresses():
    state = memory()
    state.dsrs = {"to": [Dsd("b", 0, 1), True], "from": [Dsd("a", 0, 1), False]}
    for _ in range(2):
        execute(state, "fmovs", "to", ["from"], None)
    assert values(state, "b") == [1, 1] and state.dsrs["to"][0].at == 8 and state.dsrs["from"][0].at == 0


@pytest.mark.parametrize(
    "name, a, b, x, want",
    [
        ("sar16", 0x8000, 99, None, -1),
        ("slr16", 0xFFFF, 15, None, 1),
        ("sll16", 1, 16, None, 0),
        ("clz", 1, None, None, 15),
        ("ctz", 0, None, None, 16),
        ("fs2xp16", 2.5, None, None, 2),
        ("fh2xp16", math.inf, None, None, 32767),
        ("xp162fs", 0xFFFE, None, None, -2.0),
        ("fmaxs", math.nan, 1.0, None, 1.0),
        ("fmacs", 1.0, 1.0 + 2.0**-12, 1.0 + 2.0**-12, 2.0 + 2.0**-11),
        ("fmachs", 1.0, 1.0 + 2.0**-10, 1.0 + 2.0**-10, 2.0 + 2.0**-9 + 2.0**-20),
        ("fs2h", 65519.0, None, None, 65504.0),
    ],
)
def test_the_evaluator_knows_the_operations(name, a, b, x, want):
    assert element(name, a, b, x) == want


def test_a_difference_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_model, "address", lambda dsd, i, size: dsd.at)
    assert any(differences(program(seed), tmp_path, levels=(2,)) for seed in range(3))
