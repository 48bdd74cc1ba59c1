"""A decoder on the fabric: bit for bit what its arithmetic says, close to float64, over prompts, caches and shapes.

Covers: wse/execute/strip_layout.py wse/execute/strip_weights.py wse/operators/strip.py wse/operators/decoder.py
    wse/operators/layer_shape.py wse/operators/cached_attention.py wse/operators/vocabulary.py
    wse/operators/routed_experts.py
"""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.execute import generation, strip_layout
from wse.models.config import published
from wse.models.weights import Weights

from .decoder_reference import Machine, exact, small

IDS = [5, 96, 3, 3, 77, 50, 2, 64, 0]


def decoder(weights, storage="f16", context=30, width=3, group=2, **more):
    return generation.Decoder(weights, strip_layout.layout(weights.config, context, width, group), storage, **more)


@pytest.mark.parametrize("storage", generation.FORMATS)
@pytest.mark.parametrize("tied", [True, False])
def test_logits_to_the_bit(storage, tied):
    weights = small(tied=tied)
    made = decoder(weights, storage)
    oracle = Machine(weights, made.layout, storage)
    for i, token in enumerate(IDS):
        made.step([token])
        wanted = oracle.token(token)
        assert made.logits().tobytes() == wanted.tobytes(), f"token {i}"
        assert made.greatest == wanted.argmax()


@pytest.mark.parametrize("numerics", [(), (("norm_topk_prob", True),)])
@pytest.mark.parametrize("storage", generation.FORMATS)
def test_experts_to_the_bit(storage, numerics):
    """Five experts over four rows, of which tokens choose different ones."""
    weights = small(d=20, f=33, experts=5, active_experts=3, numerics=numerics)
    made = decoder(weights, storage)
    oracle = Machine(weights, made.layout, storage)
    chosen = set()
    for i, token in enumerate(IDS[:5]):
        made.step([token])
        assert made.logits().tobytes() == oracle.token(token).tobytes(), f"token {i}"
        chosen.add(tuple(made.fabric.read("chosen", 0, made.layout.top(0), 1, 1).ravel()))
    assert len(chosen) > 2


GREEDY, GROUPS, BIASED = "greedy", "group_limited_greedy", "noaux_tc"
ROUTES = [  # topk_method, experts, of a token, groups, of them chosen, features of the MLP beside them, norm_topk_prob
    (GREEDY, 5, 2, 1, 1, 22, True),
    (GROUPS, 12, 3, 4, 2, 0, False),
    (BIASED, 6, 3, 1, 1, 30, True),
    (BIASED, 12, 4, 3, 2, 11, True),
    (BIASED, 8, 3, 4, 3, 0, False),
]


@pytest.mark.parametrize("method, experts, active, groups, limit, shared, normed", ROUTES)
def test_routers_to_the_bit(method, experts, active, groups, limit, shared, normed):
    """Groups of experts, scores with a correction, a MLP beside the experts, and a layer without experts."""
    numerics = {"topk_method": method, "n_group": groups, "topk_group": limit, "routed_scaling_factor": 1.7}
    weights = small(
        seed=5, d=20, f=33, layers=3, experts=experts, active_experts=active, d_expert=11, d_shared=shared,
        expert_layers=(False, True, True), numerics=(*numerics.items(), ("norm_topk_prob", normed)),
    )  # fmt: skip
    storage = "bf16" if shared == 11 else "f16"
    made = decoder(weights, storage)
    oracle, chosen = Machine(weights, made.layout, storage), set()
    for i, token in enumerate(IDS[:5]):
        made.step([token])
        assert made.logits().tobytes() == oracle.token(token).tobytes(), f"token {i}"
        chosen.add(tuple(made.fabric.read("chosen", 0, made.layout.top(1), 1, 1).ravel()))
    assert len(chosen) > 2


# Widths that do not divide d_model or the vocabulary; one row a head; one query head per key-value head; a head's
# features over all rows; more columns than tokens.
SHAPES = [
    (dict(d=20, vocab=97, f=33), 3, 2),
    (dict(kv=6, heads=6), 4, 1),
    (dict(kv=2, heads=4), 2, 4),
    (dict(kv=1, heads=3, d_head=16), 12, 8),
    (dict(d=24, heads=2, kv=2, d_head=20, layers=3), 5, 5),
]


@pytest.mark.parametrize("kv, group", [(1, 2), (2, 1)])
def test_many_heads_share_their_code(kv, group):
    weights = small(seed=4, d=20, heads=18 * kv, kv=kv, d_head=6 - 2 * (kv == 1), layers=1, f=11)
    made = decoder(weights, "f16", 24, 3, group)
    assert made.layout.layer.queries > 16
    oracle = Machine(weights, made.layout, "f16")
    for token in IDS[:7]:
        made.step([token])
        assert np.array_equal(made.logits(), oracle.token(token))


@pytest.mark.parametrize("sizes, width, group", SHAPES)
def test_shapes(sizes, width, group):
    weights = small(seed=3, **sizes)
    made = decoder(weights, "f16", 24, width, group)
    oracle = Machine(weights, made.layout, "f16")
    wanted = exact(weights, IDS, "f16")
    for i, token in enumerate(IDS[:6]):
        made.step([token])
        assert np.array_equal(made.logits(), oracle.token(token))
        assert np.abs(made.logits() - wanted[i]).max() < 2e-2 * np.abs(wanted[i]).max()


@pytest.mark.parametrize("tied", [True, False])
def test_a_prompt_gives_what_its_tokens_give_one_by_one(tied):
    weights = small(tied=tied)
    one, all_ = decoder(weights), decoder(weights)
    alone = [one.step([token]) for token in IDS]
    cycles = all_.step(IDS)
    assert np.array_equal(one.logits(), all_.logits())
    assert cycles < 0.75 * sum(alone)  # layers work on different tokens at the same time
    for each in (one, all_):
        each.step([9])
    assert np.array_equal(one.logits(), all_.logits())


def test_a_prompt_longer_than_a_step_takes():
    weights = small()
    ids = np.random.default_rng(1).integers(0, 101, 64 + 5).tolist()
    weights = Weights(weights.config.but(sequence=100), *list(weights.__dict__.values())[1:])
    made = decoder(weights, context=70)
    made.step(ids)
    wanted = exact(weights, ids, "f16")[-1]
    assert np.abs(made.logits() - wanted).max() < 1e-2 * np.abs(wanted).max()


def test_after_a_reset_nothing_is_left():
    weights = small()
    made = decoder(weights)
    made.step(IDS[:4])
    first = made.logits()
    made.step(IDS[4:])
    made.reset()
    made.step(IDS[:4])
    assert np.array_equal(first, made.logits())


def test_equal_logits_give_the_first():
    weights = small(vocab=80)
    weights.embedding[:] = 0.5
    made = decoder(weights)
    made.step([3])
    assert made.greatest == 0


def test_the_last_entry_can_win():
    weights = small(tied=False)
    weights.head[:] = 0
    weights.head[100] = weights.gains
    made = decoder(weights)
    made.step([3])
    logits = made.logits()
    assert made.greatest == logits.argmax()
    weights.head[100] *= -1
    made = decoder(weights)
    made.step([3])
    assert {made.greatest, int(made.logits().argmax())} <= {0, 100}
    assert 100 in (made.logits().argmax(), logits.argmax())


def test_the_cache_is_full():
    made = decoder(small(), context=6)
    made.step([1] * 6)
    with pytest.raises(ConfigError, match="6 tokens are cached and 1 more come, but there is room for 6"):
        made.step([1])


@pytest.mark.parametrize("ids, error", [([], "at least one"), ([101], "0 to 100, not 101"), ([-1], "0 to 100, not -1")])
def test_wrong_ids(ids, error):
    with pytest.raises(ConfigError, match=error):
        decoder(small()).step(ids)


def test_weights_beyond_f16():
    weights = small()
    weights.layers[1]["up"][0, 0] = 1e6
    with pytest.raises(ConfigError, match=r"layer 1: up has a weight of 1e\+06, beyond the range of f16: use bf16"):
        decoder(weights)
    decoder(weights, "bf16").step([1])


def test_values_beyond_f16():
    weights = small()
    for name in ("gate", "up"):
        weights.layers[0][name][::2] = 6e4
        weights.layers[0][name][1::2] = -6e4
    made = decoder(weights)
    made.step([1])
    with pytest.raises(ConfigError, match="range of f16; use --dtype bf16"):
        _ = made.greatest


def test_keys_beyond_f16():
    weights = small()
    weights.layers[1]["k"][:] = 6e4
    made = decoder(weights)
    with pytest.raises(ConfigError, match="a query or key of layer 1 exceeded the range of f16; use --dtype bf16"):
        made.step(IDS)
    made.reset()
    decoder(weights, "bf16").step([1])


@pytest.mark.parametrize(
    "context, width, group, error",
    [
        (0, 0, 0, "1 to 64 tokens, not 0"),
        (65, 0, 0, "1 to 64 tokens, not 65"),
        (8, 3, 3, "must divide 4"),
        (8, 800, 1, "the wafer has 762"),
    ],
)
def test_layouts_that_cannot_be(context, width, group, error):
    with pytest.raises(ConfigError, match=error):
        strip_layout.layout(small().config, context, width, group)


def test_a_pe_that_is_too_small():
    with pytest.raises(ConfigError, match="does not fit into its PEs: use a smaller --context or more PEs"):
        decoder(small(d=240, f=4000, vocab=9), width=2, group=1)


def test_the_layout_is_chosen():
    weights = small(d=128, heads=8, kv=4, d_head=16, f=512, layers=1)
    made = strip_layout.layout(weights.config, 64)
    assert made.layer.weights <= strip_layout.WEIGHTS_PER_PE
    assert generation.Decoder(weights, made).step([1]) > 0


def test_a_layout_that_fits_the_wafer_is_preferred():
    """Of BERT with its whole context, the region of least PEs would make a strip that is too tall."""
    made = strip_layout.layout(published()["bert-base"], 512)
    assert made.height <= 1172 and made.layer.weights <= strip_layout.WEIGHTS_PER_PE


def test_where_the_cycles_go():
    made = decoder(small())
    cycles = made.step([1])
    phases = made.phases()
    assert all(n > 0 for n in phases.values())
    assert 0.9 * cycles < sum(phases.values()) < cycles
    assert made.layout.cache_bytes == 2 * 2 * 2 * 8 * 2


@pytest.mark.parametrize("threads", [2])
def test_threads_change_nothing(threads):
    one, two = decoder(small()), decoder(small(), threads=threads)
    assert one.step(IDS) == two.step(IDS)
    assert np.array_equal(one.logits(), two.logits())


def test_sequences_together_give_what_they_give_alone():
    weights = small(tied=False)
    prompts = {0: IDS, 1: [7], 2: IDS[:4]}
    made = strip_layout.layout(weights.config, 14, 3, 2, sequences=3)
    together = generation.Decoder(weights, made)
    cycles = together.step(prompts)
    alone, spent = {}, 0
    for k, ids in prompts.items():
        alone[k] = decoder(weights, context=14)
        spent += alone[k].step(ids)
        assert np.array_equal(together.logits(k), alone[k].logits())
        assert together.best(k) == alone[k].greatest
    assert cycles < spent
    for step in ({2: [5], 0: [6]}, {0: [1], 1: [2], 2: [3]}, {1: [9, 10]}):
        together.step(step)
        for k, ids in step.items():
            alone[k].step(ids)
            assert np.array_equal(together.logits(k), alone[k].logits()), (step, k)
            assert together.best(k) == alone[k].greatest
    assert together.used == [11, 4, 6]


def test_prompts_of_several_sequences_longer_than_a_step_takes():
    weights = small(layers=1, tied=True)
    weights = Weights(weights.config.but(sequence=100), *list(weights.__dict__.values())[1:])
    rng = np.random.default_rng(2)
    prompts = {k: rng.integers(0, 101, n).tolist() for k, n in enumerate((40, 50, 3))}
    made = generation.Decoder(weights, strip_layout.layout(weights.config, 60, 3, 2, sequences=3))
    made.step(prompts)
    for k, ids in prompts.items():
        wanted = exact(weights, ids, "f16")[-1]
        assert np.abs(made.logits(k) - wanted).max() < 1e-2 * np.abs(wanted).max()


def test_greatest_logits_alone():
    weights = small(layers=1)
    made = [strip_layout.layout(weights.config, 8, 3, 2, sequences=2, keeps=keeps) for keeps in (True, False)]
    one, other = (generation.Decoder(weights, layout) for layout in made)
    for each in (one, other):
        each.step({0: IDS[:3], 1: IDS[3:5]})
    assert [one.best(k) for k in (0, 1)] == [other.best(k) for k in (0, 1)]
    assert [one.best(k) for k in (0, 1)] == [one.logits(k).argmax() for k in (0, 1)]
    with pytest.raises(ConfigError, match="greatest logits of several sequences only"):
        other.logits(0)
    many = strip_layout.layout(weights.config, 8, 3, 2, sequences=200, keeps=False)
    assert many.table.rows == made[0].table.rows


def test_a_sequence_that_there_is_not():
    weights = small(layers=1)
    made = generation.Decoder(weights, strip_layout.layout(weights.config, 8, 3, 2, sequences=2))
    with pytest.raises(ConfigError, match="a sequence is 0 to 1, not 2"):
        made.step({2: [1]})
    with pytest.raises(ConfigError, match="at least one token"):
        made.step({0: [1], 1: []})
