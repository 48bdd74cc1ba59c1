"""The analytic model: its parts, its threshold, and that the event-driven model comes to it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wse.costs import calibrate
from wse.machine.parameters import Machine
from wse.memoryx import MemoryX, Network
from wse.models import load
from wse.plan import microbatch
from wse.plan.workload import workload
from wse.system import analytic
from wse.system.events import simulate
from wse.system.parts import System
from wse.system.predict import BUILDS

# The analytic model and figures of published analyses are in terms of peak flops.
CONSTANTS = calibrate.calibrated("peak")
ONE_T = load("1t")


def both(work, system, systems, **options):
    form = analytic.step(analytic.inputs(work, system, systems, CONSTANTS))
    return simulate(work, system, systems, CONSTANTS, prefix=3, **options), form


@pytest.mark.parametrize("systems", [1, 2, 5, 16])
@pytest.mark.parametrize("update, exposed", [("serial", 1.0), ("arriving", 0.0)])
def test_events_come_to_the_analytic_model_when_compute_bounds(systems, update, exposed):
    outcome, form = both(workload(ONE_T, 320), System(update=update), systems)
    assert outcome.seconds == pytest.approx(float(form.seconds), rel=0.005)
    assert outcome.bound == "compute"


@pytest.mark.parametrize("gradient_bytes", [2.0, 4.0])
def test_and_when_the_link_bounds(gradient_bytes):
    work = workload(ONE_T, 16)  # a sequence per system and pass: streams take far longer than products
    system = System(update="arriving", gradient_bytes=gradient_bytes)
    outcome, form = both(work, system, 16, buffer=64)
    streams = (2 + max(2, gradient_bytes)) * work.streamed / system.network.bandwidth
    assert float(form.seconds) == pytest.approx(streams, rel=0.02)
    assert outcome.seconds == pytest.approx(streams, rel=0.06)
    assert outcome.bound in ("weight stream", "gradient stream")


def test_more_buffers_come_nearer():
    work = workload(load("gpt3-6_7b"), 64)
    form = float(analytic.step(analytic.inputs(work, System(update="arriving"), 1, CONSTANTS)).seconds)
    errors = [
        abs(simulate(work, System(update="arriving"), 1, CONSTANTS, chunks=n, buffer=4 * n).seconds / form - 1)
        for n in (1, 16)
    ]
    assert errors[1] < 0.01
    assert errors[1] < errors[0]


def test_forward_hides_the_weights_above_the_threshold():
    """12.6 thousand tokens for products alone on a CS-2; what layers cost besides makes it less."""
    system = System(machine=Machine("wse2"))
    model = load("gpt3-13b")
    tokens = analytic.threshold(CONSTANTS, workload(model, 1, 128), system)
    assert 7e3 < tokens < 12.6e3
    least = int(tokens / 128)
    stream = system.weight_bytes * workload(model, 1).streamed / system.network.bandwidth

    def forward(sequences):
        work = workload(model, sequences, 128)
        return float(analytic.step(analytic.inputs(work, system, 1, CONSTANTS)).forward)

    assert forward(least // 2) == forward(least) == pytest.approx(stream)
    assert stream < forward(least + 1) < 1.02 * stream
    assert forward(2 * least) > 1.5 * stream


def test_the_exposed_update_is_dram_time():
    work = workload(ONE_T, 320)
    memory = BUILDS["12 one-socket nodes"]
    form = analytic.step(analytic.inputs(work, System(memoryx=memory), 16, CONSTANTS))
    assert float(form.cross) == pytest.approx(30 * work.parameters / memory.bandwidth(4, 4))
    assert float(form.cross) == pytest.approx(8.0, rel=0.06)  # system facts, 8.5


# A wafer that computes for 3 s a pass; 1 GB of weights in 10 layers over links of 10 GB/s; no update, no jitter.
PLAIN = analytic.Inputs(
    parameters=1e9, streamed=1e9, layers=10, tokens=1000, passes=2, systems=16, compute=3.0, stash=0.0, link=10e9,
    weight_bytes=2.0, gradient_bytes=4.0, dram=1e12, exposed=0.0, depth=2, hop=0.0, jitter=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    "change, forward, backward",
    [
        ({}, 1.0, 2.0),  # compute, a third of it forward
        ({"weight_bytes": 15.0}, 1.5, 2.0),  # weights in, 1.5 s, bound the forward pass only
        ({"weight_bytes": 25.0}, 2.5, 2.5),  # or both
        ({"gradient_bytes": 30.0}, 1.0, 3.0),  # gradients out bound the backward pass only
        ({"stash": 15e9}, 1.5, 2.0),  # the stash leaves in the forward pass,
        ({"stash": 50e9}, 5.0, 5.2),  # and comes back in the backward pass, by the link that weights come by
    ],
)
def test_what_bounds_a_pass(change, forward, backward):
    form = analytic.step(replace(PLAIN, **change))
    assert (form.forward, form.backward) == pytest.approx((2 * forward, 2 * backward))


def test_the_fill_has_the_hops_of_both_ways():
    """A layer's weights in and gradients out, and the tree's tiers down and up."""
    layer = (2 + 4) * 1e9 / 10e9 / 10
    assert analytic.step(PLAIN).fill == pytest.approx(layer)
    assert analytic.step(replace(PLAIN, hop=0.25)).fill == pytest.approx(layer + 4 * 0.25)
    assert analytic.step(replace(PLAIN, hop=0.25, depth=0)).fill == pytest.approx(layer)


def test_events_have_the_hops_of_both_ways():
    """Long hops: a step takes the tiers of 16 systems down and up longer, and MemoryX's link both ways."""
    work = workload(ONE_T, 320)

    def seconds(**network):
        memory = MemoryX.of(55e12, network=Network(framing=0, **network))
        return simulate(work, System(update="arriving", memoryx=memory), 16, CONSTANTS, prefix=3).seconds

    quick = seconds(latency_us=0, hop_us=0)
    assert seconds(latency_us=0, hop_us=2e4) - quick == pytest.approx(2 * 2 * 0.02, rel=0.01)
    assert seconds(latency_us=2e4, hop_us=0) - quick == pytest.approx(2 * 0.02, rel=0.01)


def test_events_have_the_stash_in_both_passes():
    """A wafer that computes nothing, whose stash does not fit: it leaves and comes back, at the link's rate."""

    class Instant:
        def layer(self, work, layer, tokens, machine):
            return 0.0, 0.0

    work = workload(load("gpt3-13b"), 600)
    outcome = simulate(work, System(update="arriving"), 1, Instant(), micro_batch=600)
    stash = work.depth * analytic.stash_bytes(work, work.tokens, System().machine) / System().network.bandwidth
    assert stash > 0
    weights = sum(layer.weights for layer in work.layers if layer.depth) * 2 / System().network.bandwidth
    assert (outcome.forward, outcome.backward) == pytest.approx((stash, stash + weights))


def test_sparse_weights_stream_less():
    work = workload(ONE_T, 16)
    dense = analytic.step(analytic.inputs(work, System(update="arriving"), 16, CONSTANTS))
    sparse = analytic.step(analytic.inputs(workload(ONE_T, 16, density=0.1), System(update="arriving"), 16, CONSTANTS))
    assert float(sparse.forward) == pytest.approx(0.2 * float(dense.forward))


def test_depth_is_the_tree_s():
    network = Network()
    assert [network.depth(n) for n in (1, 2, 4, 5, 16, 17, 64, 2048)] == [0, 1, 1, 2, 2, 3, 3, 6]
    assert all(network.depth(n) == math.ceil(math.log(n, 4) - 1e-9) for n in range(1, 300))


def test_the_slowest_of_many():
    random = np.random.default_rng(0).standard_normal((20_000, 16))
    assert analytic.slowest(16) == pytest.approx(random.max(axis=1).mean(), rel=0.01)
    assert analytic.slowest(1) == 0
    assert analytic.slowest(2048) < math.sqrt(2 * math.log(2048))


def test_what_memory_does_not_hold_of_a_layer_leaves():
    machine = System().machine
    for tokens, leaves in ((40_960, False), (1_000_000, True)):
        work = workload(load("gpt3-13b").but(layers=1), 500)
        own = tokens * microbatch.token_bytes(work.model) - microbatch.FREE * machine.wafer_memory
        stash = tokens * work.model.d_model * 2
        kept = stash if stash > 0.1 * machine.wafer_memory else 0
        assert (own > 0) == leaves
        assert analytic.stash_bytes(work, tokens, machine) == pytest.approx(kept + max(0, own))
