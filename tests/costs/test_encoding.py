"""Cycles of sentences in the layout of `wse embed`: what is recorded, what is fitted, and MiniLM, to which nothing is."""

from dataclasses import replace

import numpy as np
import pytest

from wse.costs import encoding


def test_held_out_sentences():
    assert encoding.held_out().worst_pct < 5 and encoding.held_out().mean_pct < 2
    assert len(encoding.rows()) == 32 + encoding.HELD_OUT


def test_no_coefficient_is_negative_and_costs_grow():
    fitted = encoding.coefficients()
    assert all((c >= 0).all() and c.any() for c in (*fitted.phases.values(), fitted.rest))
    made = encoding.rows()[0][0]
    alone = [encoding.predict(made, [tokens])[0] for tokens in (1, 4, 9, 10)]
    assert alone == sorted(alone) and alone[-1] < 12 * alone[0]
    two = encoding.predict(made, [6, 6])
    assert two[0] < two[1] < 2 * two[0]  # the second follows through the layers


@pytest.mark.parametrize("number", [2, 31])
def test_the_table_is_what_is_executed(number):
    made, tokens, spent = encoding.rows()[number]
    s, t = made.layer, made.table
    shape = dict(
        layers=made.layers, d_model=s.d_model, heads=s.heads, d_ff=s.d_ff, vocab=t.vocab, width=s.width, group=s.group,
        tokens=tokens,
    )  # fmt: skip
    row = encoding.measure(shape)
    assert {name: row[name] for name in spent} == spent
    assert encoding.place(shape) == made


def test_other_layers_are_not_fitted():
    made = encoding.rows()[0][0]
    assert encoding.is_fitted(made)
    other = replace(made, layer=replace(made.layer, kind=replace(made.layer.kind, activation="relu")))
    assert not encoding.is_fitted(other)


def test_layers_take_turns():
    """With equal times of all tokens: a layer gives on while the next one takes."""
    finished = encoding._finished((1.0, 3.0), 2, [2, 2])
    # Layer 0 takes tokens at 0 and 1, gives them on at 5 and 8; layer 1 is complete at 9 and gives on at 12 and 15.
    # Layer 0 takes the second sentence at 8, could give on at 13, but layer 1 is free at 15: 15 and 18; then 19 + 6.
    assert np.allclose(finished, [15, 25])
