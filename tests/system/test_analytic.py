"""The analytic model: its parts, its threshold, and that the event-driven model comes to it."""

import math

import numpy as np
import pytest

from wse.costs import calibrate
from wse.machine.parameters import Machine
from wse.memoryx import Network
from wse.models import load
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
