"""Two PEs that send each other elements leave the same in memory at every optimisation level as a plain evaluator.

random_streams.py makes the programs, and compares hundreds of them from the command line.

Covers: wse/csl/codegen/select_vector.py
"""

import pytest

from csl import vector_model
from csl.random_streams import differences, program
from csl.vector_model import Dsd, State, Stream, execute


@pytest.mark.parametrize("seed", range(4))
def test_code_and_evaluator_agree(seed, tmp_path):
    arch = "wse2" if seed % 2 else "wse3"
    assert differences(seed, tmp_path, arches=(arch,), levels=(0, 2)) == []


def test_programs_hold_all_forms():
    texts = ["".join(program(seed)[0]) for seed in range(30)]
    for word in (
        "@set_dsd_length(out, ", "@set_dsd_length(to, ", "@set_dsd_length(in, ", "@set_dsd_length(from, ", "fabin_dsd, .{",
        ".async = true", ".activate = t3", "@activate(t3)", "@map(", "(&g_f32, ", "for (@range(u16, 3)) |_| { @",
    ):  # fmt: skip
        assert any(word in text for text in texts), word


def test_the_evaluator_passes_elements_in_order():
    state = State({"a": ("f32", [1.0, 2.0]), "s": ("f32", [5.0])})
    wire: list[bytes] = []
    execute(state, "fmuls", Stream(wire, 2), [Dsd("a", 0, 2), [3.0]], None)
    execute(state, "fadds", ("s", 0), [("s", 0), Stream(wire, 1)], None)
    assert state.load("s", 0, "f32") == 8.0
    execute(state, "fsubs", Dsd("a", 0, 0), [Stream(wire, 1), Dsd("a", 4, 1)], None)
    assert state.load("a", 0, "f32") == 4.0 and not wire


def test_a_difference_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_model, "address", lambda dsd, i, size: dsd.at)
    assert any(differences(seed, tmp_path, ("wse3",), (2,)) for seed in range(3))
