"""The feeder: arrivals against chunks that are read and sent one by one, and waits that are executed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wse
from wse.memoryx import Feeder, MemoryX, Network, Stalls, Transfer, account
from wse.memoryx.feeder import DRAM_LATENCY, Link, Plan, Saturation

MACHINE = wse.WSE3
PLENTY = MemoryX()
ONE_CHANNEL = MemoryX(channels=1, nodes=1)  # 35 GB/s, below the network's 147


def test_a_column_sees_the_same_whatever_the_rectangle():
    plans = [
        Feeder(PLENTY, columns, MACHINE).plan([Transfer("a", 10_000 * columns), Transfer("b", 500 * columns)])
        for columns in (1, 4, 755)
    ]
    for plan in plans[1:]:
        assert plan.window == plans[0].window
        for got, expected in zip(plan.arrivals, plans[0].arrivals, strict=True):
            assert got.begin == pytest.approx(expected.begin) and got.end == pytest.approx(expected.end)


def test_the_whole_wafer_sees_the_machine():
    feeder = Feeder(PLENTY, 755, MACHINE)
    assert feeder.network_rate() * MACHINE.clock_hz == pytest.approx(PLENTY.network.bandwidth)
    assert feeder.dram_rate() * MACHINE.clock_hz == pytest.approx(PLENTY.bandwidth())
    # One 16-bit weight in about nine cycles and column.
    assert 1 / (feeder.network_rate() / 755 / 2) == pytest.approx(9.0, abs=0.1)


def test_the_network_bounds_what_plenty_of_memory_sends():
    feeder = Feeder(PLENTY, 4, MACHINE)
    plan = feeder.plan([Transfer("a", 40_000), Transfer("b", 40_000)])
    first, second = plan.arrivals
    each = 80_000 / feeder.network_rate()
    assert first.cause == second.cause == "network"
    assert first.begin == pytest.approx(feeder.latency + DRAM_LATENCY * MACHINE.clock_hz)
    assert first.end - first.begin == pytest.approx(each) and second.begin == pytest.approx(first.end)
    assert plan.end == second.end


def test_the_memory_bounds_one_channel():
    feeder = Feeder(ONE_CHANNEL, 4, MACHINE)
    (arrival,) = feeder.plan([Transfer("a", 40_000)]).arrivals
    assert arrival.cause == "dram"
    assert arrival.end - arrival.begin == pytest.approx(80_000 / feeder.dram_rate(), rel=0.02)


def test_gradients_that_are_written_take_from_the_reading():
    feeder = Feeder(ONE_CHANNEL, 4, MACHINE)
    alone, shared = (feeder.plan([Transfer("a", 40_000, written=written)]).arrivals[0] for written in (0, 4))
    slower = feeder.dram_rate(1, 0) / (feeder.dram_rate(1, 1) / 3)
    assert (shared.end - shared.begin) / (alone.end - alone.begin) == pytest.approx(slower, rel=0.02)
    assert feeder.drain().rate < Feeder(PLENTY, 4, MACHINE).drain().rate
    assert feeder.drain(2).rate == 2 * feeder.drain(4).rate
    assert feeder.drain().cause == "dram" and Feeder(PLENTY, 4, MACHINE).drain().cause == "network"
    wide = Feeder(MemoryX(network=Network(links=240, gbps=800)), 4, MACHINE).drain()
    assert wide.rate == 1 and wide.cause == "edge"


def test_what_is_ready_late_is_read_late_and_the_rest_is_read_ahead():
    feeder = Feeder(ONE_CHANNEL, 4, MACHINE)
    plan = feeder.plan([Transfer("a", 1000), Transfer("b", 1000, ready=100_000), Transfer("c", 1000)])
    a, b, c = plan.arrivals
    assert b.read == 100_000 and b.begin >= 100_000 + feeder.latency and a.end < b.begin < c.begin


def by_chunks(feeder, transfers, chunk, buffers):
    """(begin, end) of each transfer, from chunks that are read into `buffers` buffers and sent from there."""
    read_free, sent_free = 0.0, 0.0
    lag = DRAM_LATENCY * feeder.machine.clock_hz
    sent_at, ends = [], []
    for transfer in transfers:
        left, begin = transfer.elements * transfer.bytes_each, None
        while left > 1e-9:
            size = min(chunk, left)
            left -= size
            room = sent_at[-buffers] if len(sent_at) >= buffers else 0.0
            start = max(read_free, transfer.ready, room)
            read_free = start + size / feeder.dram_rate()
            go = max(sent_free, read_free + lag)
            begin = go if begin is None else begin
            sent_free = go + size / feeder.network_rate()
            sent_at.append(sent_free)
        ends.append((begin, sent_free))
    return ends


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1000, 60_000), min_size=1, max_size=5),
    gaps=st.lists(st.sampled_from([0, 0, 30_000]), min_size=5, max_size=5),
    memory=st.sampled_from([PLENTY, ONE_CHANNEL, MemoryX(channels=4, nodes=1), MemoryX(channels=5, nodes=1)]),
)
def test_the_plan_is_the_limit_of_small_chunks(sizes, gaps, memory):
    """Chunks of 64 bytes through as many buffers as the prefetch holds give the same times within 2 % and a chunk."""
    feeder = Feeder(memory, 4, MACHINE)
    transfers, ready = [], 0
    for size, gap in zip(sizes, gaps, strict=False):
        ready += gap
        transfers.append(Transfer(str(len(transfers)), size, ready=ready))
    chunk = 64
    expected = by_chunks(feeder, transfers, chunk, max(2, int(feeder.memoryx.buffer * feeder.share / chunk)))
    for got, (_, end) in zip(feeder.plan(transfers).arrivals, expected, strict=True):
        assert got.end - feeder.latency == pytest.approx(end, rel=0.02, abs=2 * chunk / feeder.dram_rate() + 1)


# --- segments ---------------------------------------------------------------------------------------------------------------


def test_segments_of_a_column():
    plan = Feeder(PLENTY, 4, MACHINE).plan([Transfer("a", 4000), Transfer("b", 40)])
    by_name = plan.segments({"a": 1000, "b": 0})
    assert by_name == plan.segments([1000, 0])
    assert [segment.count for segment in by_name] == [1000, 0]
    arrival = plan.arrivals[0]
    assert by_name[0].cycle == int(np.ceil(arrival.begin))
    assert by_name[0].rate == pytest.approx(1000 / (arrival.end - arrival.begin))
    assert plan.causes([1000, 0]) == ["network", "network"]
    crowded = plan.segments({"a": 10**6, "b": 1})[0]
    assert crowded.rate == 1 and plan.causes([10**6, 1])[0] == "edge"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda f, p: p.segments({"a": 3}), "no number of wavelets is given for b"),
        (lambda f, p: p.segments([3]), "2 transfers have 1 numbers of wavelets"),
        (lambda f, p: f.plan([Transfer("z", -1)]), "z cannot be -1 elements of 2 bytes"),
        (lambda f, p: Feeder(PLENTY, 756, MACHINE), "a rectangle has 1 to 755 columns, not 756"),
    ],
)
def test_what_is_no_plan(call, message):
    feeder = Feeder(PLENTY, 4, MACHINE)
    plan = feeder.plan([Transfer("a", 40), Transfer("b", 40)])
    with pytest.raises(wse.ConfigError, match=f"^{message}$"):
        call(feeder, plan)


# --- executed ---------------------------------------------------------------------------------------------------------------


def axpys(columns: int, tokens: int) -> wse.Fabric:
    """One row: every PE multiplies each weight that comes from the north with its tokens and adds that up, in float32."""
    p = wse.Program(columns, 1, MACHINE)
    p.color("weights", 0)
    p.route("weights", rx="N", tx="R")
    pe = p.pe_class("pe")
    pe.queue_in(2, "weights")
    pe.data_task("take", 2)
    pe.dsd("xs", wse.mem1d(pe.array("x", tokens, "f32", offset=8)))
    pe.dsd("ys", wse.mem1d(pe.array("y", tokens, "f32")))
    pe.local_task("main", 9, active=True)
    pe.code(
        """
        main:
            dsr d0, ys
            dsr a0, ys
            dsr b0, xs
            done
        take:
            fmacs d0, a0, b0, r0
            done"""
    )
    p.place(pe)
    fabric = wse.Fabric(p)
    fabric.fill("x", 1.0)
    return fabric


def fed(memory: MemoryX, tokens: int, columns=4, weights=300) -> tuple[wse.Run, Plan, Stalls, np.ndarray]:
    """The run, its plan, where its cycles went, and what the PEs added up."""
    fabric = axpys(columns, tokens)
    plan = Feeder(memory, columns, MACHINE).plan([Transfer("w", columns * weights)])
    segments = plan.segments({"w": weights})
    values = np.full(weights, 0.5, np.float32)
    into = [
        fabric.stream_in(x, 0, "N", "weights", values, segments=segments, window=plan.window) for x in range(columns)
    ]
    run = fabric.run()
    return run, plan, account(plan, [(stream, [weights]) for stream in into], run), fabric.read("y")


NARROW = MemoryX(network=Network(links=3))  # a weight in 36 cycles and column


def test_few_tokens_wait_for_the_network_and_many_compute():
    few, plan, few_stalls, few_sums = fed(NARROW, 2)
    many, _, many_stalls, many_sums = fed(NARROW, 60)
    assert (few_sums == 150).all() and (many_sums == 150).all()
    assert few_stalls.bound == "network" and many_stalls.bound == "compute"
    for run, stalls in ((few, few_stalls), (many, many_stalls)):
        assert stalls.total == pytest.approx(run.cycles)
        assert min(vars(stalls).values()) >= -1e-9
    # Bound by the network, the run ends when the last weight is there and used; by compute, each weight takes its time,
    # and only the first is waited for.
    assert plan.end - 40 <= few.cycles <= plan.end + 60
    assert many_stalls.compute > 300 * 60 and many_stalls.network == pytest.approx(plan.arrivals[0].begin, abs=20)
    assert few_stalls.network > 0.7 * few.cycles


def test_one_channel_waits_for_memory():
    run, plan, stalls, _ = fed(ONE_CHANNEL, 2)
    assert stalls.bound == "dram" and 0.7 * plan.latency < stalls.network <= plan.latency  # the first weight's way
    assert plan.end - 40 <= run.cycles <= plan.end + 60
    assert fed(ONE_CHANNEL, 60)[2].bound == "compute"  # a weight in 38 cycles is hidden behind 60


@pytest.mark.parametrize("tokens", [1, 4, 8, 40, 64])
def test_the_knee_lies_where_a_weight_arrives_as_fast_as_it_is_used(tokens):
    """Twice the memory halves the time where a PE uses weights faster than both send them, and changes nothing where it
    is slower than both."""
    memories = [MemoryX(channels=channels, nodes=1) for channels in (1, 2)]
    runs = [fed(memory, tokens) for memory in memories]
    single, double = (run.cycles - plan.arrivals[0].begin for run, plan, _, _ in runs)
    slow, fast = (8 / Feeder(memory, 4, MACHINE).dram_rate() for memory in memories)  # cycles a weight and column
    used = runs[0][2].compute / 300
    assert used < fast or used > slow  # the cases are clear
    assert single / double == pytest.approx(2 if used < fast else 1, rel=0.03)


def test_a_wide_network_is_bound_by_the_edge():
    """With links enough a column would get more than a wavelet a cycle: one enters."""
    wide = MemoryX(network=Network(links=240, gbps=800, latency_us=0.1))
    run, plan, stalls, _ = fed(wide, 1)
    assert plan.segments({"w": 300})[0].rate == 1 and plan.causes([300]) == ["edge"]
    assert stalls.network == 0 and stalls.dram == 0


def test_an_account_needs_the_plan_of_the_streams():
    fabric = axpys(1, 1)
    into = fabric.stream_in(0, 0, "N", "weights", np.ones(3, np.float32))
    run = fabric.run()
    plan = Feeder(PLENTY, 1, MACHINE).plan([Transfer("a", 3)])
    with pytest.raises(wse.ConfigError, match=r"^a stream has 0 segments, the plan 1 transfers$"):
        account(plan, [(into, [3])], run)


def test_gradients_that_cannot_leave():
    """PEs that send more than the way out takes wait for it, and not for the fabric; one that is quick enough costs
    nothing."""
    for memory, cause in ((NARROW, "network"), (ONE_CHANNEL, "dram"), (MemoryX(network=Network(240, 800)), "edge")):
        feeder = Feeder(memory, 1, MACHINE)
        n = 400
        p = wse.Program(1, 1, MACHINE)
        p.color("up", 0)
        p.route("up", rx="R", tx="N")
        pe = p.pe_class("pe")
        pe.queue_out(2, "up")
        pe.dsd("out", wse.fabout(2, "up", n))
        pe.dsd("gs", wse.mem1d(pe.array("g", n, "f32")))
        pe.local_task("main", 9, active=True)
        pe.code("main: dsr d0, out\n dsr a0, gs\n mov32 d0, a0\n done")
        p.place(pe)
        fabric = wse.Fabric(p)
        drain = feeder.drain()
        out = fabric.stream_out(0, 0, "N", "up", rate=drain.rate)
        run = fabric.run()
        left = Saturation(drain.rate)
        for part in np.array_split(out.cycles, 3):
            left.add(part)
        stalls = account(feeder.plan([]), [], run, drain, [left.cycles])
        assert drain.cause == cause and stalls.total == pytest.approx(run.cycles)
        if cause == "edge":
            assert stalls.leaving < 20
        else:
            assert run.cycles >= (n - 16) / drain.rate
            assert stalls.leaving > 0.9 * run.cycles and stalls.fabric < 0.05 * run.cycles
            assert getattr(stalls, cause) >= stalls.leaving and stalls.bound == cause


def test_a_plan_goes_on_where_the_one_before_ended():
    """In one list or in two, transfers arrive at the same cycles."""
    feeder = Feeder(MemoryX(), columns=8, machine=wse.WSE3)
    transfers = [Transfer(str(i), 100 * i + 7, 2, written=4.0 * (i % 2)) for i in range(6)]
    whole, link = feeder.plan(transfers), Link()
    parts = [feeder.plan(some, link) for some in (transfers[:2], transfers[2:])]
    assert parts[0].arrivals + parts[1].arrivals == whole.arrivals
    assert parts[1].after(50).arrivals[0].begin == whole.arrivals[2].begin - 50
    assert (link.network + feeder.latency) == pytest.approx(whole.end)


def test_later_transfers_pass_one_that_is_not_ready():
    feeder = Feeder(MemoryX(), columns=8, machine=wse.WSE3)
    late = Transfer("late", 1000, 4, ready=1e6, passed=True)
    plain, passed, behind = (
        feeder.plan([Transfer("a", 1000), *between, Transfer("b", 1000)]).arrivals
        for between in ([], [late], [replace(late, passed=False)])
    )
    assert passed[1].begin > 1e6
    assert passed[2].end == pytest.approx(plain[1].end + 4000 / feeder.network_rate())  # the link's time is taken
    assert behind[2].begin >= behind[1].end
