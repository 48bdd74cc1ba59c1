"""A whole job: checkpoints, failures, energy, GPUs."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wse.memoryx import MemoryX
from wse.system import operation
from wse.system.parts import NETWORK, System

SYSTEM = System()


def operate(system=SYSTEM, systems=16, parameters=1e12, tokens=1e12, step=60.0, per_step=655_360.0):
    return operation.operate(system, systems, parameters, tokens, step, per_step)


def test_checkpoints_are_those_published():
    rows = {name: error for name, _, _, error, _ in operation.checkpoints()}
    assert rows["Llama 2 7B"] == 0
    assert abs(rows["GPT-J 6B"]) < 20 and abs(rows["DiT-2B"]) < 20
    assert operation.checkpoint_seconds(6.738e9) == 464


@pytest.mark.parametrize("written, mean", [(10.0, 1e4), (464.0, 5e5)])
def test_young_s_interval_loses_least(written, mean):
    def lost(interval):
        return written / (interval + written) + (interval + written) / 2 / mean

    best = operation.between_checkpoints(written, mean)
    assert lost(best) == pytest.approx(min(lost(best * 2 ** (i / 40)) for i in range(-80, 81)), rel=0.02)


@settings(deadline=None)
@given(systems=st.integers(1, 2048), parameters=st.floats(1e8, 1e13), step=st.floats(0.1, 1e4))
def test_what_is_lost_is_lost_once(systems, parameters, step):
    found = operate(systems=systems, parameters=parameters, step=step)
    assert 0 <= found.productive < 1
    if found.productive:
        assert found.days == pytest.approx(found.computing_days / found.productive)
        assert found.joules_per_token == pytest.approx(found.watts * found.days * 86_400 / found.tokens)
    else:
        assert found.days == math.inf


def test_more_boxes_fail_more_often_and_take_more_power():
    one, many = operate(systems=1), operate(systems=16)
    assert one.wafer_side_hours == pytest.approx(16 * many.wafer_side_hours)
    assert one.memoryx_hours == many.memoryx_hours
    assert many.watts - one.watts == pytest.approx(15 * (23e3 + 2 * operation.figure("node_watts")))
    small = operate(System(memoryx=MemoryX.of(12e12, network=NETWORK)))
    assert small.memoryx_hours > many.memoryx_hours and small.written_seconds > many.written_seconds


def test_figures_have_sources():
    for name, (value, unit, source) in operation.FIGURES.items():
        assert value > 0 and unit and len(source) > 5, name
    assert 900 < operation.figure("node_watts") < 1200
    assert 6000 < operation.figure("box_hours") < 6500


def test_gpus_by_speed_and_by_memory():
    h100, b200 = operation.on_gpus(6e12, 18e12, 10_000.0)
    assert h100.by_speed == pytest.approx(10_000 * 6e12 / 400e12) and h100.by_memory == math.ceil(18e12 / 64e9)
    assert b200.by_speed < h100.by_speed and b200.by_memory < h100.by_memory
    assert h100.joules_per_token == pytest.approx(h100.by_memory * 1275 / 10_000)  # more for memory than for speed
