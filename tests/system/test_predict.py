"""Predictions: intervals, the 1T table, mechanisms one at a time.

Covers: wse/system/capacity.py, wse/system/gpu.py, wse/system/parts.py
"""

import numpy as np
import pytest

from wse.costs import calibrate
from wse.errors import ConfigError
from wse.memoryx import MemoryX
from wse.models import load
from wse.plan.workload import workload
from wse.schema import size
from wse.system import capacity, gpu, predict
from wse.system.parts import NETWORK, System

# The analytic model and figures of published analyses are in terms of peak flops.
CONSTANTS = calibrate.calibrated("peak")
ONE_T = load("1t")
WORK = workload(ONE_T, 320)


@pytest.fixture(scope="module")
def rows():
    return {row.systems: row for row in predict.predict(WORK, System(), (1, 2, 16), CONSTANTS)}


def test_the_table_is_that_of_the_system_facts(rows):
    assert rows[1].outcome.seconds == pytest.approx(995, rel=0.03)
    assert rows[16].outcome.seconds == pytest.approx(66.1, rel=0.06)  # there with slower memory
    assert WORK.tokens / rows[1].outcome.seconds == pytest.approx(659, rel=0.03)
    assert 1.97 < rows[2].speedup <= 2


def test_intervals_hold_their_middle(rows):
    for row in rows.values():
        i = row.speedup_interval
        assert i.low <= i.middle <= i.high <= row.systems
        assert row.seconds_interval.low < row.outcome.seconds < row.seconds_interval.high
    wide, narrow = rows[16].any_batch_interval, rows[16].speedup_interval
    assert wide.low < narrow.low and wide.high > narrow.high


def test_every_prior_moves_the_interval_or_says_why_it_is_there():
    base = float(predict.seconds_of(WORK, System(), 16, CONSTANTS, {}))
    draws = predict.draw(count=200)
    assert set(draws) == set(predict.priors())
    for name, values in draws.items():
        moved = [predict.seconds_of(workload(ONE_T, b), System(), 16, CONSTANTS, {name: values}) for b in (64, 320)]
        assert max(np.ptp(seconds) for seconds in moved) > 0, name
        assert len(predict.priors()[name]["why"]) > 30
    assert base > 0


def test_mechanisms_alone():
    told = []
    made = predict.mechanisms(
        lambda b: workload(ONE_T, b), 320, System(), 16, CONSTANTS, 15.3, 1, lambda *step: told.append(step)
    )
    steps = sum(len(m.rows) for m in made)
    assert told == [(done, steps) for done in range(1, steps + 1)]
    by_name = {m.name: dict(m.rows) for m in made}
    exposed = list(by_name["exposed optimiser"].values())
    assert exposed == sorted(exposed, reverse=True)
    assert exposed[0] == pytest.approx(15.56, rel=0.01) and exposed[-1] == pytest.approx(14.29, rel=0.01)
    small = by_name["small batch"]
    assert small["batch 64"] < 7 and small["batch 192"] == pytest.approx(14.4, rel=0.03) and small["batch 1280"] > 15.9
    spread = list(by_name["stragglers"].values())
    assert spread[0] > 15.9 and spread == sorted(spread, reverse=True)


def test_capacity():
    held = capacity.capacity(WORK.parameters, 55e12)
    assert 14e12 <= held.needed <= 18.5e12
    assert held.fits and held.comfortable
    assert not capacity.capacity(WORK.parameters, 12e12).fits
    per = {name: round(per) for name, per, *_ in capacity.configurations()}
    assert [per[name] for name in ("24 TB", "36 TB", "120 TB", "1,200 TB", "55 TB")] == [50, 50, 50, 50, 55]


def test_gpus_from_the_published_table():
    found = gpu.equivalent(WORK, 61_000)  # what 3,072 of them reached
    assert found.by_speed == pytest.approx(3072, rel=0.02)
    assert found.tokens_per_second == pytest.approx(20, rel=0.02)


def test_sizes_and_systems():
    assert (size("55TB"), size("1.5 tb"), size("900G")) == (55e12, 1.5e12, 900e9)
    assert MemoryX.of(55e12).nodes == 48
    assert System().memoryx == MemoryX.of(55e12, network=NETWORK)
    with pytest.raises(ConfigError, match="is no size"):
        size("many")
    with pytest.raises(ConfigError, match="update is 'never'"):
        System(update="never")


def test_each_input_alone():
    found = predict.intervals_by_input(WORK, System(), 16, CONSTANTS)
    assert set(found) == set(predict.priors())
    spans = {name: speedup.high - speedup.low for name, (_, speedup) in found.items()}
    assert spans["dram"] > 10 * spans["hop"]
    assert max(found, key=lambda name: found[name][0].high - found[name][0].low) == "speed"  # of the step's time


def test_of_a_cs2_only_the_scatter_is_uncertain():
    assert predict.draw("wse2")["speed"].max() < 1.16 < predict.draw("wse3")["speed"].max()
    assert (predict.draw("wse2")["dram"] == predict.draw("wse3")["dram"]).all()


def test_a_micro_batch_of_ones_own_is_in_the_interval_too():
    told = []
    (row,) = predict.predict(WORK, System(), (4,), CONSTANTS, micro_batch=5, progress=lambda *step: told.append(step))
    assert told == [(1, 1)]
    assert row.outcome.passes == 16 and row.micro_batch == 5
    forms = [float(predict.seconds_of(WORK, System(), 4, CONSTANTS, {}, micro_batch)) for micro_batch in (None, 5)]
    assert forms[1] == pytest.approx(float(row.analytic.seconds))
    assert forms[1] > forms[0]  # four times as many passes, which the streams bound
