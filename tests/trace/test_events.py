"""wse/trace/events.py: names, spans, text; whatever the events are, what comes out nests."""

import numpy as np
import pytest
from hypothesis import given
from says import says
from synthetic import garbage, make_events, make_run, spans

import wse
from wse import trace
from wse.errors import ConfigError
from wse.fabric.run import COUNTERS
from wse.machine import isa
from wse.trace import events

FMACS = isa.INSTRUCTION["fmacs"].opcode
FADDH = isa.INSTRUCTION["faddh"].opcode


def test_spans_of_tasks_operations_and_microthreads():
    run = make_run(
        events=make_events(
            (0, 1, "TASK_START", 9, 0),
            (2, 1, "OP_START", FADDH, 3),
            (3, 1, "OP_START", FMACS, 255),
            (8, 1, "OP_END", FMACS, 255),
            (10, 1, "TASK_END", 9, 0),
            (12, 1, "OP_END", FADDH, 3),
        )
    )
    assert list(spans(run)) == [
        (1, events.MAIN, 3, 8, "fmacs", "operation"),
        (1, events.MAIN, 0, 10, "task 9", "task"),
        (1, 3, 2, 12, "faddh", "operation"),
    ]


def test_waits_lie_within_their_operation_and_end_with_it():
    cause = COUNTERS.index("stall_input")
    run = make_run(
        events=make_events(
            (1, 0, "OP_START", FADDH, 3),
            (2, 0, "OP_START", FMACS, 255),
            (3, 0, "WAIT_START", cause, 3),
            (4, 0, "WAIT_START", cause + 1, 255),
            (6, 0, "WAIT_END", cause + 1, 255),
            (8, 0, "OP_END", FMACS, 255),
            (9, 0, "OP_END", FADDH, 3),
            (10, 0, "WAIT_END", cause, 3),
        )
    )
    assert list(spans(run)) == [
        (0, events.MAIN, 4, 6, "wait: output", "wait"),
        (0, events.MAIN, 2, 8, "fmacs", "operation"),
        (0, 3, 3, 9, "wait: input", "wait"),
        (0, 3, 1, 9, "faddh", "operation"),
    ]
    text = "".join(events.lines(run))
    assert "wait start  input  microthread 3" in text and "wait end  output  main" in text


def test_what_never_ends_ends_with_the_run():
    run = make_run(cycles=50, events=make_events((5, 0, "TASK_START", 9, 0), (7, 0, "OP_START", FMACS, 255)))
    assert list(spans(run)) == [(0, -1, 7, 50, "fmacs", "operation"), (0, -1, 5, 50, "task 9", "task")]


def test_an_end_without_its_begin_is_dropped():
    run = make_run(events=make_events((5, 0, "TASK_END", 9, 0), (6, 0, "OP_END", FMACS, 255)))
    assert list(events.actions(run)) == []


def test_the_end_of_a_task_ends_the_operation_in_it():
    rows = (5, 0, "TASK_START", 9, 0), (6, 0, "OP_START", FMACS, 255), (8, 0, "TASK_END", 9, 0)
    assert [span[3] for span in spans(make_run(events=make_events(*rows)))] == [8, 8]


def test_instants_carry_their_value():
    rows = (1, 0, "LAND", 3, 77), (2, 0, "LAND", 3 + 32, 78), (3, 0, "MARK", 0, 5), (4, 0, "HOSTSIG", 0, 6)
    run = make_run(events=make_events(*rows), meta={"colors": {"red": 3}})
    assert [(action.lane, action.name, action.value) for action in events.actions(run)] == [
        (events.WAVELETS, "red (color 3)", 77),
        (events.WAVELETS, "red (color 3), control", 78),
        (events.MAIN, "mark", 5),
        (events.MAIN, "hostsig", 6),
    ]


@pytest.mark.parametrize("names", [{"main": 9}, {"9": "main"}])
def test_task_names_come_from_the_program(names):
    assert events.Names(make_run(meta={"tasks": names})).task(9) == "main"


@pytest.mark.parametrize("names", [None, 7, [1], {"x": "y"}, {"9": None}])
def test_damaged_names_are_numbers(names):
    assert events.Names(make_run(meta={"tasks": names, "colors": names})).task(9) == "task 9"


@given(garbage())
def test_whatever_the_events_are_the_actions_nest(rows):
    run = make_run(events=rows)
    known = set(events.lanes(run))
    stacks, last = {}, 0
    for what, cycle, pe, lane, name, _, _ in events.actions(run):
        assert (pe, lane) in known
        if what == events.BEGIN:
            stacks.setdefault((pe, lane), []).append(name)
        elif what == events.END:
            assert stacks[pe, lane].pop() == name
        if what != events.END:
            assert cycle >= last
            last = cycle
    assert not any(stacks.values())


@given(garbage())
def test_the_text_has_a_line_per_event(rows):
    assert len(list(events.lines(make_run(events=rows)))) == 1 + len(rows)


def test_lines_of_text():
    rows = (
        (0, 5, "TASK_START", 9, 4),
        (2, 5, "OP_START", FMACS, 255),
        (3, 5, "OP_END", FMACS, 2),
        (10, 5, "LAND", 33, 255),
        (11, 5, "MARK", 0, 12),
        (11, 5, "TASK_END", 9, 0),
    )
    run = make_run(4, 4, events=make_events(*rows), events_dropped=2)
    assert list(events.lines(run)) == [
        "# 6 events, 2 dropped: cycle, PE (x, y), what\n",
        " 0  (1, 1)  task start  task 9  at instruction 4\n",
        " 2  (1, 1)  op start  fmacs  main\n",
        " 3  (1, 1)  op end  fmacs  microthread 2\n",
        "10  (1, 1)  land  color 1, control  0x000000ff\n",
        "11  (1, 1)  mark  12\n",
        "11  (1, 1)  task end  task 9\n",
    ]


def test_a_run_that_was_not_traced_is_said(tmp_path):
    with says(
        ConfigError, "this run has no events: trace it (`wse run ... --trace FILE`, or Fabric(program, trace=N))"
    ):
        trace.write(make_run(), tmp_path / "run.pftrace")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "run.vcd",
            r"^cannot tell the trace's format from '.*run\.vcd': the name must "
            r"end in \.pftrace, \.json, \.txt, \.log, \.parquet, \.npz$",
        ),
        ("no/run.txt", r"^cannot write '.*no/run\.txt': there is no folder '.*no'$"),
    ],
)
def test_bad_names(tmp_path, name, sentence):
    with pytest.raises(ConfigError, match=sentence):
        trace.write(make_run(events=make_events()), tmp_path / name)


def test_npz_holds_the_run(tmp_path):
    run = make_run(events=make_events((0, 0, "MARK", 0, 5)))
    assert wse.Run.load(trace.write(run, tmp_path / "run.npz")).same(run)


def test_a_real_run(fabric_run):
    """Two PEs: one sends eight f32 numbers by a microthread, the other adds them up as they come."""
    operations = [(pe, lane, name) for pe, lane, _, _, name, kind in spans(fabric_run) if kind == "operation"]
    assert {pe: name for pe, _, name in operations} == {0: "fmovs", 1: "fadds"} and len(operations) == 2
    assert [lane for _, lane, name in operations if name == "fmovs"] == [1]
    lands = [action for action in events.actions(fabric_run) if action.lane == events.WAVELETS]
    assert [action.value for action in lands] == np.arange(8, dtype=np.float32).view(np.uint32).tolist()
    assert {action.pe for action in lands} == {1}


@pytest.fixture
def fabric_run():
    program = wse.Program(width=2, height=1, machine="wse3")
    east = program.color("east", 3)
    sender, adder = program.pe_class("sender"), program.pe_class("adder")
    numbers = sender.array("A", 8, "f32", init=np.arange(8, dtype=np.float32))
    sender.dsd("numbers", wse.mem1d(numbers, length=8))
    sender.dsd("out", wse.fabout(queue=2, color=east, length=8))
    sender.queue_out(2, east)
    sender.code("main: dsr a0, numbers\n dsr d0, out\n fmovs d0, a0 {async, ut=1}\n done")
    total = adder.array("y", 8, "f32", init=np.zeros(8, np.float32))
    adder.dsd("total", wse.mem1d(total, length=8))
    adder.dsd("in", wse.fabin(queue=2, color=east, length=8))
    adder.queue_in(2, east)
    adder.code("main: dsr b0, in\n dsr d0, total\n dsr a0, total\n fadds d0, a0, b0\n done")
    for pe in (sender, adder):
        pe.local_task("main", 9, entry="main", active=True)
    program.place(sender, x=0, y=0)
    program.place(adder, x=1, y=0)
    program.route(east, rx="R", tx="E", x=0, y=0)
    program.route(east, rx="W", tx="R", x=1, y=0)
    return wse.Fabric(program, trace=1000).run(max_cycles=1000)
