"""A transformer on a rectangle, weights streamed in: its loss and every gradient against PyTorch, and what passes.

Covers: wse/execute/emitter.py, wse/execute/execution.py
"""

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("torch")

from layer_bounds import gradient_errors, pass_against_pytorch, random_tokens, random_weights
from operator_cases import BOTH, DROPOUT, REFUSED, STREAMING, WIDE

from wse import Machine
from wse.errors import ConfigError
from wse.execute.streaming import Streaming
from wse.memoryx import Ddr5, MemoryX, Network
from wse.models import graph, load
from wse.models.dropout import Rates, dropped
from wse.models.experts import balanced, separated
from wse.train import loop, reference

SMALL = load("nano-1").but(sequence=8)
MOE = load("nano-moe").but(sequence=8)


def build(model, batch, system=None, **options):
    return Streaming(graph(model), batch, Machine("wse3"), system or MemoryX(), **options)


# Two layers each; f32 takes twice the memory, so half the sequence.
CASES = {
    "bf16": (load("nano"), 4, 2e-2),
    "f16": (load("nano"), 4, 2e-2),
    "cb16": (load("nano"), 4, 2e-2),
    "f32": (load("nano").but(sequence=16), 2, 1e-5),
    "tied f32": (load("nano").but(sequence=16, tied=True), 2, 1e-5),
    "alibi f32": (load("nano-1").but(sequence=16, positions="alibi"), 2, 1e-5),
    "exact gelu f32": (load("nano-1").but(sequence=16, exact=True), 2, 1e-5),
    "llama bf16": (load("nano-llama").but(sequence=16), 2, 2e-2),
    "llama f32": (load("nano-llama").but(sequence=8), 2, 1e-5),
}
# Sequences over two and four rows of PEs each.
SPREAD = {
    "bf16": (load("nano"), 2, (4, 4), 2e-2),
    "f32": (load("nano").but(sequence=16), 1, (4, 4), 1e-5),
    "llama f16": (load("nano-llama"), 2, (4, 4), 2e-2),
    "alibi f32": (load("nano-1").but(sequence=16, positions="alibi"), 2, (4, 4), 1e-5),
}


@pytest.mark.parametrize("case", SPREAD)
def test_sequences_over_several_rows(case):
    model, batch, grid, bound = SPREAD[case]
    check_gradients(model, batch, bound, dtype=case.split()[-1], grid=grid)


@pytest.mark.parametrize("case", CASES)
def test_every_gradient_is_that_of_pytorch(case):
    model, batch, bound = CASES[case]
    check_gradients(model, batch, bound, dtype=case.split()[-1])


@pytest.mark.parametrize("case", [*BOTH, *STREAMING])
def test_operators_of_public_models(case):
    check_gradients((BOTH | STREAMING)[case], 2, 1e-5, dtype="f32")


@pytest.mark.parametrize("case, what", [("cap of scores", "a cap of scores"), ("sinks", "sinks")])
def test_scores_over_several_rows_that_are_refused(case, what):
    with pytest.raises(ConfigError, match=f"has {what}, executed where a row of PEs holds whole sequences"):
        build(BOTH[case], 1, dtype="f32", grid=(2, 2))


DROPPED = {
    "experts": (MOE, {"grid": (4, 2)}, Rates(0.1, 0.2, 0.3)),
    "embedding": (SMALL, {}, Rates(embedding=0.5)),
    "residual": (SMALL, {}, Rates(residual=0.3)),
    "attention": (SMALL, {}, Rates(attention=0.4)),
    "all, two layers": (load("nano").but(sequence=16), {}, Rates(0.1, 0.2, 0.3)),
    "two sequences a row": (SMALL, {"grid": (2, 2)}, Rates(0.1, 0.2, 0.3)),
    "more columns than keys": (load("nano-llama").but(sequence=8, kv_heads=2), {"grid": (4, 4)}, Rates(0.1, 0.2, 0.3)),
    "sequences over rows": (SMALL, {"grid": (4, 8)}, Rates(0.1, 0.2)),
    **{case: (model, {}, rates) for case, (model, rates) in DROPOUT.items()},
    **{
        case: (BOTH[case], {}, Rates(0.1, 0.2, 0.3))
        for case in (
            "no positions",
            "norm after the addition",
            "norm before and after",
            "embedding narrower than d_model",
        )
        + (
            "attention and MLP in parallel, two norms",
            "sliding window",
            "ALiBi",
            "sinks",
            "cap of scores",
            "no causal mask",
        )
    },
}


@pytest.mark.parametrize("case", DROPPED)
def test_dropout(case):
    """Every gradient is PyTorch's with the same masks, in f32 to 1e-5."""
    model, options, rates = DROPPED[case]
    execution = Streaming(dropped(graph(model), rates), 4, Machine("wse3"), MemoryX(), dtype="f32", **options)
    pass_against_pytorch(execution, 4, 1e-5, 1.0, draw=0xABCD_EF01_2345)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_dropout_in_sixteen_bits(dtype):
    made = dropped(graph(load("nano").but(sequence=16)), Rates(0.1, 0.1, 0.1))
    execution = Streaming(made, 2, Machine("wse3"), MemoryX(), dtype=dtype)
    pass_against_pytorch(execution, 2, 3e-2, 2.0**10, draw=7)


def test_without_a_draw_nothing_is_dropped():
    """Evaluations, and passes without one, are those of the model without dropout to the bit."""
    plain = build(SMALL, 2, dtype="bf16")
    dropping = Streaming(dropped(graph(SMALL), Rates(0.5, 0.5, 0.5)), 2, Machine("wse3"), MemoryX(), dtype="bf16")
    tokens, weights = random_tokens(SMALL, 2), random_weights(plain.graph)
    losses = []
    for execution in (plain, dropping):
        execution.load(weights)
        losses.append((execution.evaluate(*tokens), execution.run(*tokens).loss))
    assert losses[0] == losses[1]
    drawn = [dropping.run(*tokens, draw=draw).loss for draw in (1, 2, 1)]
    assert drawn[0] == drawn[2] != drawn[1] and losses[0][0] not in drawn
    assert dropping.evaluate(*tokens) == losses[0][0]


def test_more_tokens_than_masks_have_positions_for():
    with pytest.raises(ConfigError, match="positions for 65,536 tokens in a pass, not 65,544"):
        Streaming(dropped(graph(SMALL), Rates(0.1)), 8193, Machine("wse3"), MemoryX(), grid=(4, 8193))


def test_a_rate_that_nothing_in_the_graph_applies_is_refused():
    with pytest.raises(ConfigError, match=r"has resid_pdrop 0\.1, which the fabric does not execute"):
        build(SMALL.but(numerics=(("resid_pdrop", 0.1),)), 2)


def test_dropped_weights_of_attention_over_several_rows_are_refused():
    with pytest.raises(ConfigError, match="has dropout, executed where a row of PEs holds whole sequences"):
        Streaming(dropped(graph(SMALL), Rates(attention=0.1)), 1, Machine("wse3"), MemoryX(), grid=(2, 2))


@pytest.mark.parametrize("dtype, cap", [("f16", 0.3), ("bf16", 3.0)])
def test_caps_in_sixteen_bits(dtype, cap):
    caps = (("attn_logit_softcapping", cap), ("final_logit_softcapping", cap))
    check_gradients(BOTH["cap of scores"].but(numerics=caps), 2, 2e-2, dtype=dtype)


@pytest.mark.parametrize("case", WIDE)
def test_columns_that_share_heads_of_keys_and_values(case):
    model, columns = WIDE[case]
    check_gradients(model, 2, 1e-5, dtype="f32", grid=(columns, 2))


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_kernel_executes_is_named(case):
    model, words = REFUSED[case]
    with pytest.raises(ConfigError, match=f"({words}).* which the fabric does not execute"):
        build(model, 2)


def test_copies_in_a_sparse_stream():
    """Zeros of a copied weight are left out of each copy."""
    model, columns = WIDE["grouped queries, a column for each head of queries"]
    tokens, found = random_tokens(model, 2), []
    weights = random_weights(graph(model))
    weights["layers.0.attention.k.weight"][::2] = 0
    for sparse in (False, True):
        execution = build(model, 2, grid=(columns, 2), sparse=sparse)
        execution.load(weights)
        found.append(execution.run(*tokens, 2.0**10))
    dense, sparse = found
    assert dense.sent - sparse.sent == 2 * 2 * weights["layers.0.attention.k.weight"].size // 2  # 2 passes, 2 copies
    assert sparse.dense == dense.dense
    for name, gradient in dense.gradients.items():
        assert np.linalg.norm(sparse.gradients[name] - gradient) < 2e-2 * np.linalg.norm(gradient), name


def check_gradients(model, batch, bound, **options):
    scale = 1.0 if options["dtype"] == "f32" else 2.0**10
    _, _, found = pass_against_pytorch(build(model, batch, **options), batch, bound, scale)
    assert {name: c for name, (_, c) in found.items() if c < 0.9999} == {}


def test_fewer_bits_in_sums_are_faster_and_less_exact():
    tokens, cycles, worst = random_tokens(SMALL, 2), [], []
    for level in ("POL0", "POL1", "POL2"):
        execution = build(SMALL, 2, dtype="bf16", policy=level)
        weights = random_weights(execution.graph)
        execution.load(weights)
        done = execution.run(*tokens, 2.0**10)
        _, expected = reference.gradients(execution.graph, weights, *tokens)
        got = {name: g / np.float32(2.0**10) for name, g in done.gradients.items()}
        found = gradient_errors(got, {name: g for name, g in expected.items() if not name.endswith("k.bias")})
        cycles.append(done.cycles)
        worst.append(max(error for error, _ in found.values()))
    assert cycles[0] > cycles[1] > cycles[2]
    assert worst[0] < worst[1] < worst[2] < 6e-2


def test_a_pass_does_not_depend_on_those_before():
    execution, other = build(SMALL, 2, dtype="f16"), build(SMALL, 2, dtype="f16")
    tokens, weights = [random_tokens(SMALL, 2, seed) for seed in range(3)], random_weights(graph(SMALL))
    execution.load(weights)
    execution.run(*tokens[0], 2.0**12)
    evaluated = execution.evaluate(*tokens[1])
    execution.run(*tokens[2], 2.0**10)
    after = execution.run(*tokens[1], 2.0**10)
    other.load(weights)
    alone = other.run(*tokens[1], 2.0**10)
    assert evaluated == alone.loss == after.loss
    for name, gradient in alone.gradients.items():
        assert gradient.tobytes() == after.gradients[name].tobytes(), name
    assert abs(after.cycles - alone.cycles) < 0.001 * alone.cycles  # where in its cycle a link is


def test_rows_and_threads_do_not_change_gradients():
    tokens, weights, found = random_tokens(SMALL, 4), random_weights(graph(SMALL)), []
    for grid, threads in (((4, 4), 1), ((4, 4), 2), ((4, 2), 1), ((2, 4), 1)):
        execution = build(SMALL, 4, dtype="f32", grid=grid, threads=threads)
        execution.load(weights)
        found.append(execution.run(*tokens).gradients)
    for name, gradient in found[0].items():
        assert gradient.tobytes() == found[1][name].tobytes()
        for other in found[2:]:
            assert (
                np.abs(gradient - other[name]).max() < 1e-5 * np.abs(found[0][name.replace("k.bias", "q.bias")]).max()
            )


def test_zeros_are_not_sent_and_save_time():
    done, tokens = {}, random_tokens(SMALL, 2)
    for share in (0.0, 0.5, 0.9):
        execution = build(SMALL, 2, dtype="bf16", sparse=True)
        masks = loop.masks(execution.graph, share, 0)
        weights = {name: w * masks.get(name, 1) for name, w in random_weights(execution.graph).items()}
        execution.load(weights)
        done[share] = execution.run(*tokens, 2.0**10)
        _, expected = reference.gradients(execution.graph, weights, *tokens)
        for name, (error, _) in gradient_errors(done[share].gradients, expected).items():
            got = done[share].gradients[name] / 2.0**10
            assert name.endswith("k.bias") or np.linalg.norm(got - expected[name]) < 2e-2 * np.linalg.norm(
                expected[name]
            ), (name, error)
    for share, p in done.items():  # each zero is left out forward and backward
        zeros = sum(int(mask.size * share) for mask in loop.masks(graph(SMALL), 0.5, 0).values())
        assert p.sent == p.dense - 2 * zeros and (zeros > 5_000 or not share)
    assert done[0.9].cycles < done[0.5].cycles < done[0.0].cycles


def test_slow_memory_is_what_a_pass_waits_for():
    tokens, found = random_tokens(SMALL, 2), {}
    for name, system in (("plenty", MemoryX()), ("little", MemoryX(part=Ddr5(3200), channels=1, nodes=1))):
        execution = build(SMALL, 2, system)
        execution.load(random_weights(execution.graph))
        found[name] = execution.run(*tokens, 2.0**10)
    plenty, little = found["plenty"], found["little"]
    assert little.cycles > 1.2 * plenty.cycles
    assert all(np.array_equal(little.gradients[name], g) for name, g in plenty.gradients.items())
    assert max(little.waits["forward"], key=little.waits["forward"].get) == "dram"
    assert plenty.waits["backward"]["dram"] == 0
    for done in found.values():
        assert set(done.waits) == {"forward", "backward"}
        assert sum(sum(causes.values()) for causes in done.waits.values()) == pytest.approx(done.cycles, rel=0.1)


def test_spans_tell_what_was_when():
    execution = build(SMALL, 2)
    execution.load(random_weights(execution.graph))
    execution.run(*random_tokens(SMALL, 2), 2.0**10)
    done = execution.run(*random_tokens(SMALL, 2), 2.0**10)
    computing = [span for span in done.spans if span.track == "compute"]
    assert [span.name for span in computing] == [f"{c.what} {c.operator.name}" for c in execution.schedule.calls]
    assert all(a.end == b.begin for a, b in pairwise(computing))
    assert {span.track for span in done.spans} == {"compute", "weights in", "embedding in", "gradients out"}
    streams = [span for span in done.spans if span.track != "compute"]
    assert min(s.begin for s in streams) >= computing[0].begin - 100 and all(s.begin < s.end for s in streams)
    assert sum(span.end - span.begin for span in computing) == pytest.approx(done.cycles, rel=0.02)


def test_what_is_refused():
    with pytest.raises(ConfigError, match=r"^3 columns do not divide 4 heads: executed"):
        build(SMALL, 2, grid=(3, 2))
    with pytest.raises(ConfigError, match=r"^3 columns do not divide 6 heads and 2 heads of keys"):
        build(SMALL.but(heads=6, kv_heads=2, d_head=4), 2, grid=(3, 2))
    with pytest.raises(ConfigError, match=r"scores sees 3 of 8 tokens: a window is executed where a row"):
        build(SMALL.but(windows=(3,)), 2, grid=(4, 4))
    with pytest.raises(ConfigError, match=r"^3 rows of PEs for 2 sequences of 8: executed attention has"):
        build(SMALL, 2, grid=(4, 3))
    execution = build(SMALL, 2)
    with pytest.raises(ConfigError, match=r"^there are no weights: load some first$"):
        execution.run(*random_tokens(SMALL, 2))
    execution.load(random_weights(execution.graph))
    with pytest.raises(ConfigError, match=r"^a loss scale is above 0, not 0$"):
        execution.run(*random_tokens(SMALL, 2), 0)
    with pytest.raises(ConfigError, match=r"^ids and labels are \[2, 8\], not \(4, 8\) and \(4, 8\)$"):
        execution.run(*random_tokens(SMALL, 4))


@pytest.mark.parametrize(
    "model, grid, dtype, bound",
    [
        (MOE, (4, 2), "f32", 1e-5),
        (MOE.but(numerics=(), experts=5, active_experts=3), (4, 4), "f32", 1e-5),
        (MOE.but(layers=1), (2, 1), "f32", 1e-5),
    ],
)
def test_a_loss_of_load_balance(model, grid, dtype, bound):
    """Every gradient is PyTorch's; the loss of the pass is the cross-entropy; the load is counted."""
    made = balanced(separated(graph(model)), 0.7)
    execution = Streaming(made, 2, Machine("wse3"), MemoryX(), dtype=dtype, grid=grid)
    done, tokens, _ = pass_against_pytorch(execution, 2, bound, 2.0)
    assert done.load.shape == (model.layers, model.experts)
    assert (done.load.sum(axis=1) == 2 * 8 * model.active_experts).all()
    assert execution.evaluate(*tokens) == done.loss
    again, third = (execution.run(*tokens, 2.0) for _ in range(2))
    assert (again.loss, again.cycles) == (done.loss, third.cycles) and (again.load == done.load).all()


@pytest.mark.parametrize("layers", [1, 2])
def test_the_load_goes_to_memoryx_and_back(layers):
    """Each layer with experts waits for two latencies of the network, and the pass for one at its begin."""
    cycles = []
    for us in (1000.0, 2000.0):
        made = separated(graph(MOE.but(layers=layers)))
        system = MemoryX(network=Network(latency_us=us))
        execution = Streaming(made, 2, Machine("wse3"), system, grid=(4, 2))
        execution.load(random_weights(made))
        cycles.append(execution.run(*random_tokens(MOE, 2)).cycles)
    assert cycles[1] - cycles[0] == pytest.approx((1 + 2 * layers) * 1e-3 * Machine("wse3").clock_hz, rel=0.01)


@pytest.mark.parametrize("by", [0.0, 0.5])
def test_experts_that_no_token_chooses_are_not_sent(by):
    """Their gradients are 0, and time and wavelets are saved; the others' gradients are PyTorch's."""
    made = separated(graph(MOE.but(experts=6, router_bias=True)))
    made = balanced(made, by) if by else made
    tokens, weights = random_tokens(MOE, 2), random_weights(made)
    done = {}
    for chosen in ((0, 3), (0, 1, 2, 3, 4, 5)):
        for layer in range(2):
            bias = np.full(6, -50, np.float32)
            bias[list(chosen)] = 0
            weights[f"layers.{layer}.mlp.experts.router.bias"] = bias
        execution = Streaming(made, 2, Machine("wse3"), MemoryX(), dtype="f32", grid=(4, 2))
        execution.load(weights)
        done[chosen] = execution.run(*tokens, 2.0)
        assert done[chosen].loss == execution.evaluate(*tokens)
        _, expected = reference.gradients(made, weights, *tokens)
        for name, e in expected.items():
            got = done[chosen].gradients[name] / 2
            assert np.linalg.norm(got - e) <= 1e-5 * np.linalg.norm(e) + 1e-12, name
        computed = {s.name for s in done[chosen].spans if ".mlp.experts." in s.name and s.track == "compute"}
        numbers = {int(name.split(".experts.")[1][0]) for name in computed if name.split(".experts.")[1][0].isdigit()}
        assert numbers == set(chosen)
    few, all_ = done.values()
    assert set(np.flatnonzero(few.load.sum(axis=0)).tolist()) == {0, 3} and all_.load.all()
    each = 2 * 4 * (3 + 5) * 32 * 64  # of four experts of two layers: three matrices forward, five backward
    assert all_.sent - few.sent == each and few.cycles < 0.6 * all_.cycles


def test_a_router_that_gives_no_numbers_is_not_hidden():
    """Experts whose load is none are sent, so that the loss and gradients are none, either."""
    made = separated(graph(MOE.but(layers=1)))
    tokens, weights = random_tokens(MOE, 2), random_weights(made)
    weights["layers.0.mlp.experts.router.weight"][1] = np.nan
    execution = Streaming(made, 2, Machine("wse3"), MemoryX(), grid=(4, 2))
    execution.load(weights)
    done = execution.run(*tokens)
    assert np.isnan(done.loss) and np.isnan(execution.evaluate(*tokens)) and not done.load.any()
    assert np.isnan(done.gradients["layers.0.mlp.experts.0.up.weight"]).all()


def test_the_code_of_experts_is_a_loop():
    """Of 12 experts there is no more code than of 3; gradients are PyTorch's."""
    sizes = []
    for count in (3, 12):
        made = separated(graph(MOE.but(layers=1, experts=count, active_experts=count // 2 + 1, d_ff=16)))
        execution = Streaming(made, 4, Machine("wse3"), MemoryX(), dtype="f32", grid=(4, 4))
        sizes.append(max(pe.code_bytes for pe in execution.region.classes.values()))
        pass_against_pytorch(execution, 4, 1e-5, 1.0)
    assert sizes[1] - sizes[0] < 100
