"""Factors of a configuration as operators.

Covers: wse/models/lowering.py
"""

import pytest

from wse.models import graph, load
from wse.models.lowering import executable
from wse.models.scales import SETTINGS, scale_of_embedding, scale_of_logits, scale_of_scores, scaled

LLAMA = load("nano-llama")


def factors(model):
    """Name -> factor of the operators that multiply."""
    return {o.name: o.attributes["factor"] for o in scaled(graph(model)).operators if o.kind == "times"}


@pytest.mark.parametrize(
    "numerics, wanted",
    [
        ({"embedding times": 6.0}, {"embedding.times": 6.0}),
        ({"logit_scale": 0.5}, {"loss.times": 0.5}),
        ({"query_pre_attn_scalar": 2.0}, {f"layers.{i}.attention.scores.times": 2.0 for i in range(2)}),
        ({"scale_attn_weights": False}, {f"layers.{i}.attention.scores.times": 8**0.5 for i in range(2)}),
        ({"scale_qk_dot_by_d": True}, {f"layers.{i}.attention.scores.times": 8**-0.5 for i in range(2)}),
        ({"scale_attn_by_inverse_layer_idx": True}, {"layers.1.attention.scores.times": 0.5}),
        ({"embeddings_scale": 3.0, "mup_embeddings_scale": 2.0}, {"embedding.times": 6.0}),
        ({"width_scale": 0.5, "mup_output_alpha": 3.0}, {"loss.times": 1.5}),
        ({"query_pre_attn_scalar": 8.0, "logit_scale": 1.0}, {}),
    ],
)
def test_operators_for_factors(numerics, wanted):
    model = LLAMA.but(numerics=tuple(numerics.items()))
    assert factors(model) == pytest.approx(wanted)
    made = scaled(graph(model))
    assert not {key for key, _ in made.model.numerics} & SETTINGS and made.parameters == graph(model).parameters
    written = {"ids"}
    for o in made.operators:  # each tensor is written once, before it is read
        assert set(o.inputs) <= written and not set(o.outputs) & written
        written |= set(o.outputs)
    made.check_plain("the fabric")
    assert executable(made) is made


def test_a_model_without_factors_stays_as_it_is():
    made = graph(LLAMA)
    assert scaled(made) is made and executable(made) is made
    assert scale_of_embedding(LLAMA) == scale_of_logits(LLAMA) == 1 and scale_of_scores(LLAMA) == 8**-0.5


def test_a_factor_of_a_sum_with_positions_stays_a_setting():
    model = load("nano").but(numerics=(("embeddings_scale", 2.0), ("logit_scale", 3.0)))
    made = scaled(graph(model))
    assert made.model.numerics == (("embeddings_scale", 2.0),) and factors(model) == {"loss.times": 3.0}
