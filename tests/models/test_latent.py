"""Latent attention in a graph that is executed: heads of one size, turned in their last features."""

from wse.models import graph, load
from wse.models.latent import unfolded
from wse.models.lowering import executable

LATENT = load("nano-llama").but(layers=1, kv_rank=16, d_rope=4, d_value=8, d_head=12)


def test_values_are_padded_and_the_output_is_cut():
    whole = graph(LATENT)
    made = unfolded(whole)
    assert made.parameters == whole.parameters and unfolded(made) is made
    (attention,) = [o for o in made.operators if o.kind == "attention"]
    assert attention.features == (3 * 48, 48) and "d_value" not in attention.attributes
    assert {o.name: o.features for o in made.operators if o.kind == "resize"} == {
        "layers.0.attention.scores.values": (32, 48),
        "layers.0.attention.scores.cut": (48, 32),
    }
    turned = {o.name: o.attributes.get("first", 0) for o in made.operators if o.kind == "rotary"}
    assert turned == {"layers.0.attention.rotary_q": 8, "layers.0.attention.rotary_k": 0}
    written = {"ids"}
    for o in made.operators:  # each tensor is written once, before it is read
        assert set(o.inputs) <= written and not set(o.outputs) & written
        written |= set(o.outputs)
    made.check_plain("the fabric")


def test_the_order_of_rows_in_files_is_kept():
    """Export writes rows of queries in that order again."""
    model = LATENT.but(numerics=(("rope_interleave", False),))
    made = executable(graph(model))
    assert made.model.numerics == model.numerics
    made.check_plain("the fabric")


def test_other_attention_stays_as_it_is():
    made = graph(load("nano-llama"))
    assert unfolded(made) is made


def test_the_scale_of_a_scaling_of_positions_is_one_of_queries():
    """mscale_all_dim m: scores have the factor (0.1 m log(factor) + 1)^2."""
    scaling = (("factor", 4.0), ("mscale", 1.0), ("mscale_all_dim", 1.0), ("rope_type", "yarn"),
               ("beta_fast", 32.0), ("beta_slow", 1.0), ("max_position_embeddings", 8))  # fmt: skip
    made = executable(graph(LATENT.but(rope_scaling=tuple(sorted(scaling)))))
    (times,) = [o for o in made.operators if o.kind == "times"]
    assert abs(times.attributes["factor"] - 1.1386294361**2) < 1e-9 and executable(made) is made
