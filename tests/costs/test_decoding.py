"""Cycles of a token in the layout of `wse generate`: what is recorded, what is fitted, and SmolLM2, to which nothing is."""

import numpy as np
import pytest

from wse.costs import decoding
from wse.execute.strip_layout import layout
from wse.models.config import Transformer

# SmolLM2-135M as executed: 18 x 816 PEs, f16; the token at position 43, after a prompt of 37 tokens.
SMOLLM2 = {
    "queries, keys, values": 61_430,
    "RoPE, cache": 13_800,
    "scores": 19_530,
    "softmax": 22_740,
    "values": 27_030,
    "attention's output": 29_460,
    "gate, up": 130_620,
    "activation": 49_470,
    "down": 59_910,
    "logits": 13_183,
    "sums of logits": 729,
    "greatest logit": 7_147,
    decoding.REST: 5_922,
}
PROMPT = 936_093


def smollm2():
    model = Transformer(
        name="smollm2", layers=30, d_model=576, heads=9, kv_heads=3, d_ff=1536, vocab=49_152, sequence=8192,
        norm="rms", activation="silu", gated=True, positions="rotary", bias=False, tied=True,
    )  # fmt: skip
    return layout(model, 76)


def test_smollm2_within_5_percent():
    made = smollm2()
    assert (made.width, made.height) == (18, 816)
    predicted = decoding.predict(made, 43)
    assert predicted.keys() == SMOLLM2.keys()
    assert abs(sum(predicted.values()) / sum(SMOLLM2.values()) - 1) < 0.05
    assert abs(decoding.predict_prompt(made, 37) / PROMPT - 1) < 0.05
    for phase, cycles in predicted.items():
        assert abs(cycles / SMOLLM2[phase] - 1) < 0.1, phase


def test_held_out_tokens():
    assert decoding.held_out().worst_pct < 5 and decoding.held_out().mean_pct < 1.5
    assert len(decoding.rows()) == 40 + decoding.HELD_OUT


def test_no_coefficient_is_negative_and_costs_grow():
    assert all((c >= 0).all() and c.any() for c in decoding.coefficients().values())
    made = smollm2()
    totals = [sum(decoding.predict(made, position).values()) for position in (0, 17, 18, 75)]
    assert totals[0] == totals[1] < totals[2] < totals[3]


@pytest.mark.parametrize("number", [0, -1])
def test_the_table_is_what_is_executed(number):
    made, position, spent = decoding.rows()[number]
    s, t = made.layer, made.table
    shape = dict(
        layers=made.layers, d_model=s.d_model, heads=s.heads, kv_heads=s.kv_heads, d_head=s.d_head, d_ff=s.d_ff,
        vocab=t.vocab, width=s.width, group=s.group, slots=s.slots, position=position,
    )  # fmt: skip
    row = decoding.measure(shape)
    assert {name: row[name] for name in spent} == spent
    assert decoding.place(shape) == made


def test_non_negative_least_squares():
    rng = np.random.default_rng(0)
    matrix = rng.uniform(size=(30, 4))
    assert np.allclose(decoding.non_negative(matrix, matrix @ [1, 0, 2, 3]), [1, 0, 2, 3])
    found = decoding.non_negative(matrix, matrix @ [1, -1, 2, 3])
    assert found[1] == 0 and (found >= 0).all()
    slope = matrix.T @ (matrix @ [1, -1, 2, 3] - matrix @ found)
    assert slope.max() < 1e-8 and np.abs(slope[found > 0]).max() < 1e-8
