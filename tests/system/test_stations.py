"""wse/system/stations.py against an event queue with the same processes, in SimPy."""

from __future__ import annotations

import random
from dataclasses import fields, replace

import numpy as np
import pytest

from wse.costs import calibrate
from wse.memoryx import MemoryX, Network
from wse.models import load
from wse.plan.workload import workload
from wse.system import stations
from wse.system.events import simulate
from wse.system.parts import UPDATES, System

from . import event_queue

CONSTANTS = calibrate.calibrated("peak")
SMALL = load("gpt3-1.3b")


def assert_equal(work, system, systems, **options):
    found = simulate(work, system, systems, CONSTANTS, spans=True, **options)
    expected = event_queue.simulate(work, system, systems, CONSTANTS, spans=True, **options)
    for field in fields(found):
        if field.name != "timeline":
            assert getattr(found, field.name) == pytest.approx(getattr(expected, field.name), rel=1e-9, abs=1e-9), field
    assert found.timeline.starts == pytest.approx(expected.timeline.starts)
    spans = [sorted(outcome.timeline.spans, key=lambda span: (span[:3], span[4])) for outcome in (found, expected)]
    assert [span[:3] for span in spans[0]] == [span[:3] for span in spans[1]]
    assert [span[3:] for span in spans[0]] == [pytest.approx(span[3:], rel=1e-9, abs=1e-9) for span in spans[1]]


@pytest.mark.parametrize("seed", range(12))
def test_random_systems(seed):
    chance = random.Random(seed)
    network = Network(
        gbps=chance.choice([3.0, 30.0, 100.0]),
        latency_us=chance.choice([0.0, 4.0, 400.0]),
        hop_us=chance.choice([0.0, 5.0]),
        fan_out=chance.choice([2, 3, 4]),
    )
    memory = chance.choice(
        [MemoryX(network=network), MemoryX(nodes=1, channels=chance.choice([1, 4]), network=network)]
    )
    system = System(memoryx=memory, update=chance.choice(list(UPDATES)), jitter=chance.choice([0.0, 0.03, 0.5]))
    options = {
        "steps": chance.choice([1, 2, 3]),
        "prefix": chance.choice([1, 2, 3]),
        "chunks": chance.choice([1, 2, 4]),
        "buffer": chance.choice([1, 2, 8]),
        "seed": seed,
    }
    systems = chance.choice([1, 2, 3, 5, 16])
    assert_equal(workload(SMALL, 64 * systems), system, systems, **options)


def test_a_pass_that_jitter_makes_shorter_than_nothing_takes_no_time():
    assert_equal(workload(SMALL, 32), System(jitter=3.0), 2, prefix=2)


def test_the_tree_has_a_node_for_each_group_of_each_tier():
    first, count = stations.tree(10, 4, 2)
    assert (first.tolist(), count.tolist()) == ([0, 4, 8, 10], [4, 4, 2, 3])
    first, count = stations.tree(1, 4, 0)
    assert first.size == count.size == 0


def test_thousands_of_systems():
    work = workload(load("gpt3-13b"), 4096)
    outcome = simulate(work, replace(System(), jitter=0.01), 2048, CONSTANTS, prefix=1, chunks=1)
    assert np.isfinite(outcome.seconds) and outcome.seconds > outcome.forward + outcome.backward
