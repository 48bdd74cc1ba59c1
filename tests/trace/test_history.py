"""wse/trace/history.py: what one PE did, by cycle."""

from collections import Counter

from synthetic import make_events

from wse.fabric.run import COUNTERS
from wse.trace import events
from wse.trace.history import history, latest

MAIN = 255
INPUT = COUNTERS.index("stall_input")
RECORDED = make_events(
    (2, 0, "TASK_START", 9, 0),
    (4, 0, "OP_START", 7, 3),
    (6, 0, "WAIT_START", INPUT, 3),
    (7, 0, "LAND", 32 | 5, 0),
    (9, 0, "LAND", 5, 0),
    (10, 0, "WAIT_END", INPUT, 3),
    (11, 0, "OP_START", 8, MAIN),
    (12, 0, "LAND", 6, 0),
    (13, 0, "OP_END", 7, 3),
    (14, 0, "OP_END", 8, MAIN),
    (15, 0, "TASK_END", 9, 0),
    (16, 0, "OP_START", 7, 3),
)
KNOWN = history(RECORDED, 40)


def test_tasks_operations_and_waits():
    assert [(task.number, task.start, task.end) for task in KNOWN.tasks] == [(9, 2, 15)]
    assert list(KNOWN.operations) == [3, events.MAIN]
    first, second = KNOWN.operations[3]
    assert (first.number, first.start, first.end) == (7, 4, 13) and (second.start, second.end) == (16, 40)
    assert [(wait.number, wait.start, wait.end) for wait in first.waits] == [(INPUT, 6, 10)] and not second.waits


def test_landings():
    assert KNOWN.landings == [(7, 5), (9, 5), (12, 6)]
    assert KNOWN.landings_of(5) == [7, 9] and KNOWN.landings_of(4) == []
    assert list(KNOWN.landings_between(7, 11)) == [(9, 5), (7, 5)] and not list(KNOWN.landings_between(10, 11))


def test_the_last_cycle_of_work():
    worked = {cycle: KNOWN.worked(3, cycle)[0] for cycle in (3, 4, 5, 6, 9, 10, 13, 15, 17)}
    assert worked == {3: -1, 4: 4, 5: 5, 6: 5, 9: 5, 10: 10, 13: 13, 15: 13, 17: 17}
    assert KNOWN.worked(4, 10) == (-1, None)
    assert KNOWN.worked(events.MAIN, 12)[1].number == 8


def test_the_end_of_an_operation():
    assert [cycle for cycle in range(20) if KNOWN.ends_at(3, cycle)] == [13]
    assert latest(KNOWN.tasks, 2) is None and latest(KNOWN.tasks, 3) is KNOWN.tasks[0]


def test_which_operation_fits_to_wavelets():
    """The one that works when they leave, and no longer: not another that works all the time."""
    rows = [(0, 0, "OP_START", 1, MAIN), (99, 0, "OP_END", 1, MAIN), (20, 0, "OP_START", 2, 3), (29, 0, "OP_END", 2, 3)]
    known = history(make_events(*sorted(rows)), 100)
    assert known.at_work(range(20, 30)) == Counter({(3, 2): 10, (events.MAIN, 1): 1})
    assert known.at_work([]) == Counter()


def test_what_is_missing_in_damaged_events():
    rows = [(3, "OP_END", 1, 3), (4, "WAIT_START", INPUT, 3), (5, "TASK_END", 9, 0), (6, "OP_START", 1, 3)]
    rows += [(8, "WAIT_END", INPUT, 3), (8, "WAIT_START", INPUT, 3), (9, "OP_START", 2, 3)]
    known = history(make_events(*((cycle, 0, *row) for cycle, *row in rows)), 20)
    first, second = known.operations[3]
    assert (first.end, second.end) == (8, 20) and [(wait.start, wait.end) for wait in first.waits] == [(8, 8)]
    assert not known.tasks
