"""What figures depend on: groups give what single runs give, bounds are where points fail."""

import pytest

from wse.machine.parameters import PARAMETERS
from wse.validation import read, within
from wse.validation.sensitivity import Emulator, Side, _open, free, leave_one_out, slopes, timing

POINTS = [
    p for p in read() if p.id in ("fma16-4096-while", "message-8-receive-done", "dsd-f32-1028-clean", "hop", "copy-f16")
]
WSE3 = [p for p in read() if p.column == "wse3"]


@pytest.fixture(scope="module")
def emulator():
    return Emulator()


def test_timing_parameters_are_those_with_a_unit_of_time_or_capacity():
    names = {row.name for row in timing()}
    assert {"hop_cycles", "router_depth", "sram_write_milli", "bank_conflict_factor", "link_bubble_every"} <= names
    assert not names & {"clock_hz", "colors", "sram_banks", "microthreads", "stride_rule"}


def test_free_parameters_are_not_documented_ones_but_for_measured_derates():
    assert {row.confidence for row in free("wse2")} == {"SIM", "INF", "ASM", "HW"}
    assert [row.name for row in free("silicon") if row.confidence == "DOC"] == ["sram_read2_milli", "sram_write_milli"]


def test_slopes_are_those_of_single_runs(emulator):
    """Groups of parameters that change nothing are only a shortcut."""
    found = {(slope.point, slope.parameter): slope for slope in slopes(POINTS, emulator)}
    assert {point for point, _ in found} == set(POINTS)
    for point in POINTS:
        base = point.time(point.emulate())
        for row in timing():
            value = getattr(row, point.column)
            if not value:
                assert (point, row.name) not in found
                continue
            step = max(1, round(value / 10))
            slope = found.get((point, row.name))
            for sign, got in ((1, slope and slope.up_pct), (-1, slope and slope.down_pct)):
                if value + sign * step <= 0:
                    continue
                figure = emulator.figure(point, {row.name: value + sign * step})
                if figure is None:
                    assert got is None
                    continue
                expected = sign * 100 * (point.time(figure) / base - 1) * value / (10 * step)
                assert (got or 0) == pytest.approx(expected)


def test_a_hop_is_proportional_to_itself(emulator):
    hops = [slope for slope in slopes(POINTS, emulator) if slope.point.id == "hop"]
    assert [(s.parameter, s.up_pct) for s in hops] == [("hop_cycles", pytest.approx(10.0))] * len(hops) and len(
        hops
    ) == 2


def test_the_larger_side_counts(emulator):
    slope = next(s for s in slopes(POINTS, emulator) if (s.point.id, s.parameter) == ("copy-f16", "sram_write_milli"))
    assert slope.pct == slope.down_pct < slope.up_pct < 0


@pytest.fixture(scope="module")
def determined(emulator):
    return {row.parameter.name: row for row in leave_one_out(WSE3, emulator)}


def test_bounds_are_where_points_fail(determined, emulator):
    for name, row in determined.items():
        for side, end in ((row.low, row.allowed[0]), (row.high, row.allowed[1])):
            assert all(holds(emulator, point, name, end) for point in WSE3), name
            if end != side.limit:
                beyond = end + (1 if side is row.high else -1)
                assert not all(holds(emulator, point, name, beyond) for point in WSE3), name


def test_leaving_a_point_out_frees_what_it_says(determined, emulator):
    assert determined["write_to_read_cycles"].without
    for name, row in determined.items():
        for point, values in row.without.items():
            others = [p for p in WSE3 if p != point]
            for side, end in ((row.low, values[0]), (row.high, values[1])):
                assert all(holds(emulator, p, name, end) for p in others), name
                if end != side.limit:
                    beyond = end + (1 if side is row.high else -1)
                    assert not all(holds(emulator, p, name, beyond) for p in others), name


def test_a_point_that_frees_nothing_is_not_named(determined, emulator):
    """Every point that is not named leaves the ends as they are."""
    for name, row in determined.items():
        for point in WSE3:
            if point in row.without:
                continue
            others = [p for p in WSE3 if p != point]
            for side, end in ((row.low, row.allowed[0]), (row.high, row.allowed[1])):
                if end != side.limit:
                    beyond = end + (1 if side is row.high else -1)
                    assert not all(holds(emulator, p, name, beyond) for p in others), (name, point.id)


def holds(emulator, point, name, value):
    figure = emulator.figure(point, {name: value})
    return figure is not None and within(point, figure)


def test_points_that_miss_say_nothing(emulator):
    from dataclasses import replace

    wrong = replace(next(p for p in WSE3 if p.id == "fma16-4096-map"), published=1.0)
    rows = {row.parameter.name: row for row in leave_one_out([wrong], emulator)}
    assert rows["write_to_read_cycles"].allowed == rows["write_to_read_cycles"].searched


def test_what_cannot_be_built_is_no_bound(emulator):
    rows = {row.parameter.name: row for row in leave_one_out([WSE3[0]], emulator)}
    assert rows["hop_cycles"].low.limit == 1 and rows["hop_cycles"].high.limit < 20
    assert rows["router_depth"].low.limit == 1


def test_nothing_is_run_twice():
    said = []
    emulator = Emulator(report=said.append)
    point = next(p for p in POINTS if p.id == "copy-f16")
    first = slopes([point], emulator)
    runs = len(said)
    assert slopes([point], emulator) == first and len(said) == runs
    assert said[0] == "silicon copy-f16" and len(set(said)) == runs
    assert runs < 2 * len(PARAMETERS)


def test_a_machine_that_cannot_be_is_no_figure(emulator):
    point = next(p for p in POINTS if p.id == "copy-f16")
    assert emulator.figure(point, {"hop_cycles": 0}) is None


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("idiv_latency", 1, 2 * 36),
        ("op_drain_cycles", 0, 2 + 16),
        ("branch_taken", 1, 6 + 16),
        ("sram_write_milli", 1000, 4 * 16000),
        ("router_depth", 1, 7),  # no fabric has deeper buffers
    ],
)
def test_limits_of_the_search(name, low, high):
    """Twice a number of cycles, at least 16 more, four times a rate; no further than a fabric can be made."""
    opened = _open(next(row for row in PARAMETERS if row.name == name), "wse3")
    assert (opened.low.limit, opened.high.limit) == (low, high)


def test_the_second_end_is_the_second_nearest():
    side = Side(10, 30)
    assert (side.end(), side.second()) == (30, 30)
    first, second = POINTS[:2]
    side.ends[first] = 20
    assert (side.end(), side.end(first), side.second()) == (20, 30, 30)
    side.ends[second] = 14
    assert (side.end(), side.end(second), side.second()) == (14, 20, 20)
