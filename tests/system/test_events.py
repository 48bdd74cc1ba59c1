"""The event-driven step: back-pressure, stragglers, updates, repeatability, where time goes."""

from dataclasses import replace

import pytest

from wse.costs import calibrate
from wse.memoryx import MemoryX, Network
from wse.models import load
from wse.plan.workload import workload
from wse.system.events import simulate
from wse.system.parts import System

# The analytic model and figures of published analyses are in terms of peak flops.
CONSTANTS = calibrate.calibrated("peak")
WORK = workload(load("1t"), 320)


def run(system=None, systems=16, work=WORK, **options):
    return simulate(work, system or System(), systems, CONSTANTS, **({"prefix": 3} | options))


def test_the_parts_add_up_to_the_step():
    for systems in (1, 16):
        o = run(systems=systems)
        parts = o.forward + o.backward + o.starved_forward + o.starved_backward + o.blocked + o.cross
        assert parts == pytest.approx(o.seconds, rel=2e-3)
        assert o.drain + o.updating + o.fill == pytest.approx(o.cross)
        assert min(o.drain, o.updating, o.fill) > 0


def test_the_exposed_update_is_the_optimiser_s_time():
    assert run().updating == pytest.approx(run().update, rel=1e-6)
    assert run(System(update="arriving")).updating < 0.02 * run().update
    spread = run(System(jitter=0.05))
    assert spread.drain > 5 * run().drain  # it waits for the slowest wafer


def test_updates_that_wait_cost_time():
    seconds = {update: run(System(update=update)).seconds for update in ("arriving", "ordered", "serial")}
    assert seconds["arriving"] <= seconds["ordered"] < seconds["serial"]
    exposed = run(System(update="serial"))
    assert seconds["serial"] - seconds["arriving"] == pytest.approx(exposed.update, rel=0.02)


def test_a_slow_link_starves_the_wafer():
    slow = run(System(memoryx=MemoryX(network=Network(gbps=160 / 12, framing=0))))
    assert slow.starved_forward > slow.forward
    assert slow.bound in ("weight stream", "gradient stream")
    assert run().starved_forward < 0.01 * run().forward


def test_slow_memory_starves_it_too_and_is_felt_upstream_of_the_link():
    small = MemoryX(nodes=1, channels=2)
    slow = run(System(memoryx=small, update="arriving"), systems=1, work=workload(load("gpt3-13b"), 16))
    fast = run(System(update="arriving"), systems=1, work=workload(load("gpt3-13b"), 16))
    assert slow.seconds > 1.5 * fast.seconds


def test_the_slowest_wafer_sets_the_pace():
    quiet, spread = run(System(update="arriving")), run(System(update="arriving", jitter=0.05))
    assert 1.03 < spread.seconds / quiet.seconds < 1.15
    work = workload(load("1t"), 960)  # three passes: in which of them a wafer is slow is drawn
    seeds = [run(System(update="arriving", jitter=0.05), work=work, seed=seed).seconds for seed in (0, 1)]
    assert seeds[0] != seeds[1]
    assert seeds[0] == pytest.approx(seeds[1], rel=0.02)  # how slow is not
    assert run(System(update="arriving", jitter=0.05)).seconds == spread.seconds


def test_sequences_that_do_not_divide_take_their_own_time():
    """17 sequences on 16 systems: one has two, and all wait for it."""
    seconds = {
        batch: run(System(update="arriving"), work=workload(load("gpt3-13b"), batch)).seconds for batch in (16, 17, 32)
    }
    assert seconds[16] < seconds[17] == pytest.approx(seconds[32], rel=0.01)


def test_passes_in_the_middle_are_alike():
    work = workload(load("gpt3-13b"), 600)
    whole, short = run(systems=1, work=work, prefix=None), run(systems=1, work=work)
    assert whole.passes == short.passes > 4
    assert short.seconds == pytest.approx(whole.seconds, rel=1e-3)
    assert short.chunks < whole.chunks


def test_nothing_changes_but_the_number_of_systems():
    """Perfect parts: no update, no fill, no latency leave no more than the first chunk's way."""
    ideal = System(update="arriving", memoryx=MemoryX.of(55e12, network=Network(framing=0, latency_us=0, hop_us=0)))
    one, many = run(ideal, systems=1).seconds, run(ideal, systems=16).seconds
    assert one / many == pytest.approx(16, rel=0.005)


def test_the_timeline_has_both_stations_and_two_steps():
    o = run(spans=True, prefix=1, chunks=1)
    assert {span[0] for span in o.timeline.spans} == {"wafer 0", "memoryx"}
    assert {span[1] for span in o.timeline.spans} == {"forward", "backward", "weights", "update"}
    layers = [span[2] for span in o.timeline.spans if span[:2] == ("wafer 0", "forward")]
    assert layers == list(range(len(WORK.layers))) * 2
    assert all(start <= end for *_, start, end in o.timeline.spans)
    assert not run(prefix=1).timeline.spans


def test_a_layer_waits_for_its_weights_update():
    o = run(replace(System(), memoryx=MemoryX(nodes=1, channels=12)), spans=True, prefix=1, chunks=1)
    updates = [end for station, phase, _, _, end in o.timeline.spans if (station, phase) == ("memoryx", "update")]
    starts = [
        start
        for station, phase, layer, start, _ in o.timeline.spans
        if (station, phase, layer) == ("wafer 0", "forward", 0)
    ]
    first_step = updates[: len(WORK.layers)]
    assert starts[1] >= max(first_step)
