"""wse/trace/intervals.py: the tasks, operations and waits of events.actions, as arrays by PE."""

import numpy as np
from explored import product
from hypothesis import given
from synthetic import garbage, make_events, make_run, spans

from wse.machine import isa
from wse.trace import events, intervals

FADDH = isa.INSTRUCTION["faddh"].opcode
LANES = {intervals.MAIN: events.MAIN, intervals.RAMP: events.WAVELETS}


def rows(run, most=None):
    table, names, _ = intervals.intervals(run, most)
    columns = [table[name].tolist() for name in ("pe", "lane", "start", "end", "name", "kind")]
    for pe, lane, start, end, name, kind in zip(*columns, strict=True):
        yield pe, LANES.get(lane, lane), start, end, names[name], intervals.KINDS[kind]


def test_they_are_the_spans_of_a_run():
    run = product()
    found = sorted(row for row in rows(run) if row[-1] != "landing")
    assert len(found) > 1000 and found == sorted(spans(run))
    landed = [row for row in rows(run) if row[-1] == "landing"]
    lands = [(action.pe, action.lane, action.cycle) for action in events.actions(run) if action.lane == events.WAVELETS]
    assert sorted(row[:3] for row in landed) == sorted(lands) and len(lands) > 1000
    assert {"a (color 0)", "b (color 1)"} <= {row[4] for row in landed}


def test_they_stand_by_pe_and_start():
    table, _, left = intervals.intervals(product())
    assert left == 0 and np.all(np.diff(table["pe"].astype(np.int64)) >= 0)
    for pe in range(16):
        assert np.all(np.diff(table["start"][table["pe"] == pe].astype(np.int64)) >= 0)


def test_what_does_not_end_ends_with_the_run():
    run = make_run(events=make_events((3, 1, "TASK_START", 9, 0), (5, 1, "OP_START", FADDH, 3)))
    assert list(rows(run)) == [
        (1, events.MAIN, 3, run.cycles, "task 9", "task"),
        (1, 3, 5, run.cycles, "faddh", "operation"),
    ]


def test_the_latest_ones_are_left_out():
    table, _, left = intervals.intervals(product(), 100)
    whole, _, _ = intervals.intervals(product())
    assert len(table) == 100 and left == len(whole) - 100
    assert int(table["start"].max()) == int(np.sort(whole["start"])[99])


@given(garbage())
def test_a_damaged_trace_is_no_crash(found):
    run = make_run(events=found)
    table, names, _ = intervals.intervals(run)
    assert np.all(table["pe"] < run.pes) and np.all(table["name"] < max(len(names), 1))
