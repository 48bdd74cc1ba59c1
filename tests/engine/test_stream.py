"""Streams of segments: a link that delivers in its own time, and an edge with room for a few wavelets.

Covers: csrc/router/stream.c
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wse
from wse import Segment
from wse.fabric.stream import TIMING

archs = pytest.mark.parametrize("arch", wse.machine.parameters.MACHINES)


def pipe(arch="wse3", width=1, **options) -> wse.Fabric:
    """A fabric that leads what comes in at the west out at the east."""
    p = wse.Program(width, 1, arch)
    p.color("line", 0)
    p.route("line", rx="W", tx="E")
    p.place(p.pe_class("pe"))
    return wse.Fabric(p, **options)


def flow(segments, window=0, out_rate=1, arch="wse3", **options):
    """The cycles in which each wavelet entered (as it left, less the way) and the timing of the segments."""
    fabric = pipe(arch, **options)
    n = sum(segment.count for segment in segments)
    into = fabric.stream_in(0, 0, "W", "line", np.arange(n, dtype=np.uint32), segments=segments, window=window)
    out = fabric.stream_out(fabric.width - 1, 0, "E", "line", capacity=n + 1, rate=out_rate)
    fabric.run()
    data, _, cycles = out.take()
    assert data.tolist() == list(range(n)) and into.sent == n
    return cycles.astype(int), into.timing


@archs
def test_a_segment_arrives_at_its_cycle_and_rate(arch):
    cycles, timing = flow([Segment(4, 100), Segment(3, 200, 0.25), Segment(2, 0, 1)], arch=arch)
    way = int(cycles[0]) - 100
    assert (cycles - way).tolist() == [100, 101, 102, 103, 200, 204, 208, 212, 213]
    assert timing.dtype == TIMING
    assert timing["passed"].tolist() == [4, 3, 2]
    assert timing["first"].tolist() == [100, 200, 212] and timing["last"].tolist() == [103, 208, 213]
    # From cycle 0 to 100, from 104 to 200 and three between each two at a quarter; then three more behind the last.
    assert timing["starved"].tolist() == [100, 96 + 3 + 3, 3]
    assert timing["blocked"].tolist() == [0, 0, 0]


def test_segments_of_nothing_are_passed_over():
    cycles, timing = flow([Segment(0, 7), Segment(2, 10), Segment(0, 500), Segment(1, 20), Segment(0)])
    assert np.diff(cycles).tolist() == [1, 9]
    assert timing["passed"].tolist() == [0, 2, 0, 1, 0]


def passes(segments, window, taken_from):
    """When each wavelet enters, one after the other.  The link sends a wavelet when the one before has arrived and there
    is room for it, which is when the one `window` + 1 before it has entered; taken_from(cycle): when the fabric takes
    one that could enter in this cycle."""
    arrived, entered = [], []
    period = 0
    for segment in segments:
        for first in [True] + [False] * (segment.count - 1) if segment.count else []:
            k = len(arrived)
            sent = max(arrived[k - 1] if k else -period, entered[k - 1 - window] if k > window else 0)
            arrived.append(max(sent + period, segment.cycle if first else 0) if k else segment.cycle)
            entered.append(taken_from(max(arrived[k], entered[k - 1] + 1 if k else 0)))
            period = round(1 / segment.rate)
    return entered


@settings(max_examples=60, deadline=None)
@given(
    segments=st.lists(
        st.builds(Segment, st.integers(0, 12), st.integers(0, 80), st.sampled_from([1.0, 0.5, 0.25, 0.125])),
        min_size=1,
        max_size=4,
    ),
)
def test_an_idle_fabric_takes_what_arrives(segments):
    n = sum(segment.count for segment in segments)
    cycles, timing = flow(segments, window=3)
    expected = passes(segments, 3, lambda cycle: cycle)
    assert np.diff(cycles).tolist() == np.diff(expected).tolist()
    assert int(timing["passed"].sum()) == n and int(timing["blocked"].sum()) == 0
    if n:
        kept = timing[timing["passed"] > 0]
        assert kept["first"][0] == expected[0] and kept["last"][-1] == expected[-1]
        assert int(timing["starved"].sum()) == expected[-1] + 1 - n  # all else is a wavelet a cycle


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 60),
    period=st.sampled_from([1, 2, 3, 5]),
    window=st.sampled_from([0, 1, 4, 16]),
    out=st.sampled_from([1, 2, 3, 4, 7]),
)
def test_every_cycle_is_accounted_for(count, period, window, out):
    """Until the last wavelet entered, a cycle moves a wavelet, waits for the link or waits for the fabric."""
    _, timing = flow([Segment(count, 5, 1 / period)], window, out_rate=1 / out)
    row = timing[0]
    assert int(row["starved"]) + int(row["blocked"]) + count == int(row["last"]) + 1
    # What arrives is never ahead of the link, and never slower than the slower of link and fabric.
    assert int(row["last"]) >= 5 + (count - 1) * period
    assert int(row["last"]) <= 5 + (count - 1) * max(period, out)
    if out <= period:
        assert int(row["blocked"]) == 0


def late_reader(n: int, busy: int) -> wse.Fabric:
    """A PE that adds `busy` numbers and then stores n wavelets, one a cycle."""
    p = wse.Program(1, 1)
    p.color("line", 0)
    p.route("line", rx="W", tx="R")
    pe = p.pe_class("pe")
    pe.queue_in(2, "line")
    pe.dsd("in", wse.fabin(2, n))
    pe.dsd("kept", wse.mem1d(pe.array("stored", n, "u32")))
    pe.dsd("sums", wse.mem1d(pe.array("numbers", busy, "f32")))
    pe.local_task("main", 9, active=True)
    pe.code("main: dsr d0, sums\n dsr a0, sums\n fadds d0, a0, a0\n dsr d0, kept\n dsr a0, in\n mov32 d0, a0\n done")
    p.place(pe)
    return wse.Fabric(p)


@pytest.mark.parametrize("window", [0, 1, 6, 20, 1000])
@pytest.mark.parametrize("period", [2, 4])
def test_what_waits_at_the_edge_is_what_the_window_holds(window, period):
    """While the PE is busy the link fills the router and then the window; what the window held passes one a cycle, and
    those behind it come at the link's pace: as a queue that is stepped cycle by cycle says."""
    n, busy = 60, 150
    fabric = late_reader(n, busy)
    one_by_one = [Segment(1, 0, 1 / period)] * n
    into = fabric.stream_in(0, 0, "W", "line", np.arange(n, dtype=np.uint32), segments=one_by_one, window=window)
    fabric.run()
    assert fabric.read("stored").ravel().tolist() == list(range(n))
    entered = into.timing["first"].astype(int)
    stopped = int(np.flatnonzero(np.diff(entered) > 60)[0]) + 1  # the first that found no room
    assert entered[:stopped].tolist() == [period * k for k in range(stopped)]
    assert stopped + 20 < n and entered[stopped] > 100
    expected = passes(
        [Segment(n, 0, 1 / period)],
        window,
        lambda cycle: cycle if cycle < period * stopped or cycle > entered[stopped] else int(entered[stopped]),
    )
    assert entered.tolist() == expected
    caught_up = int((np.diff(entered[stopped:]) == 1).sum())
    assert caught_up >= window if period * window < 60 else caught_up > 20
    # The same in one segment: where the cuts lie does not matter.
    whole = late_reader(n, busy)
    told = whole.stream_in(
        0, 0, "W", "line", np.arange(n, dtype=np.uint32), segments=[Segment(n, 0, 1 / period)], window=window
    )
    whole.run()
    for field in ("passed", "starved", "blocked"):
        assert told.timing[field][0] == into.timing[field].sum()
    assert told.timing["last"][0] == entered[-1]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("tile", [1, 8])
def test_results_do_not_depend_on_how_it_is_stepped(threads, tile):
    segments = [Segment(20, 3, 0.3), Segment(30, 90, 0.7)]
    cycles, timing = flow(segments, 4, 0.4, width=5, threads=threads, tile=tile)
    expected, told = flow(segments, 4, 0.4, width=5)
    assert cycles.tolist() == expected.tolist() and timing.tolist() == told.tolist()


def test_more_is_put_on_the_same_stream():
    fabric = pipe()
    into = fabric.stream_in(0, 0, "W", "line", [1, 2], segments=[Segment(2, 10)])
    out = fabric.stream_out(0, 0, "E", "line")
    fabric.run()
    assert into.timing["first"].tolist() == [10]
    start = fabric.cycle + 50
    into.put([3, 4, 5], control=[False, False, True], segments=[Segment(1, start), Segment(2, start + 20, 0.5)])
    fabric.run()
    data, control, cycles = out.take()
    assert data.tolist() == [1, 2, 3, 4, 5] and control.tolist() == [False] * 4 + [True]
    assert np.diff(cycles).tolist()[2:] == [20, 2]
    assert into.sent == 5 and into.size == 5
    assert into.timing["passed"].tolist() == [1, 2] and into.timing["first"].tolist() == [start, start + 20]
    assert len(out) == 0 and out.take()[0].size == 0
    into.put([6], segments=[Segment(1, fabric.cycle + 100)])
    into.put([7])  # behind one that is still to come
    fabric.run()
    assert out.take()[0].tolist() == [6, 7]
    assert into.timing["passed"].tolist() == [1, 1]


def test_an_empty_stream_takes_what_is_put():
    fabric = pipe()
    into = fabric.stream_in(0, 0, "W", "line", [])
    out = fabric.stream_out(0, 0, "E", "line")
    assert fabric.run().ended == "done"
    into.put([9, 8])
    fabric.run()
    assert out.data.tolist() == [9, 8]


def test_the_rate_of_a_stream_out_holds_across_takes():
    fabric = pipe()
    fabric.stream_in(0, 0, "W", "line", np.arange(8, dtype=np.uint32))
    out = fabric.stream_out(0, 0, "E", "line", capacity=1, rate=0.01)
    cycles = []
    for _ in range(8):
        fabric.run(on_deadlock="return")
        cycles += out.take()[2].tolist()
    assert np.diff(cycles).tolist() == [100] * 7


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(segments=[Segment(2)]), "a stream of 3 wavelets has segments for 2"),
        (dict(segments=[Segment(3)], rate=0.5), "a stream has a rate or segments, each with its own rate, not both"),
        (dict(segments=[Segment(3, rate=0)]), "the rate of a stream is above 0 and at most 1 wavelet a cycle, not 0"),
        (
            dict(segments=[Segment(3, rate=1.5)]),
            "the rate of a stream is above 0 and at most 1 wavelet a cycle, not 1.5",
        ),
        (
            dict(segments=[Segment(3, rate=float("nan"))]),
            "the rate of a stream is above 0 and at most 1 wavelet a cycle, not nan",
        ),
        (dict(segments=[Segment(-1), Segment(4)]), "a segment has a count and a cycle of at least 0, not -1 and 0"),
        (dict(segments=[Segment(3, -1)]), "a segment has a count and a cycle of at least 0, not 3 and -1"),
        (dict(segments=[Segment(3)], window=-1), "a window is 0 to 1073741823 wavelets, not -1"),
        (dict(control=[True], segments=[Segment(3)]), "a stream of 3 wavelets has 1 control bits"),
    ],
)
def test_what_is_no_stream(options, message):
    with pytest.raises(wse.ProgramError, match=f"^{message}$"):
        pipe().stream_in(0, 0, "W", "line", [1, 2, 3], **options)


def test_a_stream_with_a_rate_takes_no_more():
    fabric = pipe()
    into = fabric.stream_in(0, 0, "W", "line", [1, 2], rate=0.5)
    with pytest.raises(wse.ProgramError, match=r"^this stream has a rate for all its wavelets: make it with segments"):
        into.put([3])


def test_taking_does_not_change_a_rate_that_goes_on():
    """2 wavelets in 7 cycles, taken at any time: they leave when they would leave if nothing was taken."""
    found = []
    for step in (1000, 1, 5, 13):
        fabric = pipe()
        fabric.stream_in(0, 0, "W", "line", np.arange(40, dtype=np.uint32), rate=0.5)
        out = fabric.stream_out(0, 0, "E", "line", capacity=40, rate=2 / 7)
        cycles = []
        while fabric.advance(step) == "limit":
            cycles += out.take(goes_on=True)[2].tolist()
        found.append(cycles + out.take()[2].tolist())
    assert len(found[0]) == 40 and found[1:] == found[:1] * 3


@settings(max_examples=30)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    cycles=st.lists(st.integers(0, 300), min_size=6, max_size=6),
    window=st.integers(0, 9),
    out_rate=st.sampled_from([1, 0.3, 3 / 7]),
    least=st.integers(2, 30),
)
def test_segments_that_are_put_while_others_pass(counts, cycles, window, out_rate, least):
    """The times are those of a stream that had all its segments at the begin, if it never runs dry."""
    segments = [Segment(n, cycle, 0.5) for n, cycle in zip(counts, cycles, strict=False)]
    entered, timing = flow(segments, window, out_rate)
    fabric = pipe()
    n = sum(counts)
    into = fabric.stream_in(0, 0, "W", "line", [], segments=[], window=window)
    out = fabric.stream_out(0, 0, "E", "line", capacity=n + 1, rate=out_rate)
    left, words = list(segments), list(range(n))
    while True:
        while left and into.size - into.sent < least:
            segment = left.pop(0)
            into.put(np.array([words.pop(0) for _ in range(segment.count)], np.uint32), segments=[segment])
        if fabric.advance(into.size - into.sent - 1 if left else 1 << 40) == "quiet":
            break
    data, _, at = out.take()
    assert data.tolist() == list(range(n)) and at.tolist() == entered.tolist()
    assert into.timing.tolist() == timing.tolist()
