"""DDR5: short orders to the clock, long ones against published efficiencies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wse
from wse.memoryx.ddr5 import (
    BURST,
    SPEEDS,
    Controller,
    Ddr5,
    efficiency,
    order,
    scattered,
    sequential,
    streams,
)

PLAIN = Controller(hashed=False)
PART = Ddr5(4800, ranks=1, controller=PLAIN)
T = PART.cycles()
GROUPS, BANKS = PART.banks
PAGE = PART.page // BURST  # blocks of a row
NEXT_BANK = GROUPS * PAGE
NEXT_ROW = NEXT_BANK * BANKS


def clocks(blocks, writes=False, part=PART):
    return efficiency(part, order(np.array(blocks), np.array(writes))).clocks


# --- the device -----------------------------------------------------------------------------------------------------------


def test_peaks_and_capacities():
    """GB/s of a DIMM as vendors print them; 64 GB is two ranks of sixteen devices of 16 Gb."""
    peaks = {3200: 25.6, 4000: 32, 4400: 35.2, 4800: 38.4, 5200: 41.6, 5600: 44.8, 6000: 48, 6400: 51.2, 7200: 57.6}
    assert {speed: Ddr5(speed).peak / 1e9 for speed in peaks} == pytest.approx(peaks)
    assert Ddr5(8800).peak / 1e9 == pytest.approx(70.4)
    assert Ddr5().capacity == 64 * 2**30
    assert Ddr5(density=24).capacity == 96 * 2**30 and Ddr5(ranks=1, width=8).capacity == 16 * 2**30


@pytest.mark.parametrize("density, loss", [(8, 0.050), (16, 0.076), (32, 0.105)])
def test_refresh_takes_its_published_share(density, loss):
    """Of one rank, read in order, nothing else is lost: the share is what refresh leaves."""
    part = Ddr5(4800, ranks=1, density=density)
    assert part.refresh_loss == pytest.approx(loss, abs=5e-4)
    share = efficiency(part, streams(1, 0, length=100_000)).share
    assert 1 - loss - 0.012 < share <= 1 - loss + 1e-3


@pytest.mark.parametrize("speed, faw", [(3200, 20.0), (3600, 17.777), (4000, 16.0), (4400, 14.545), (4800, 13.333),
                                        (5200, 12.307), (5600, 11.428), (6000, 10.666), (6400, 10.0)])  # fmt: skip
def test_four_activates_take_the_nanoseconds_of_their_speed_bin(speed, faw):
    """JESD79-5 gives 32 clocks or these nanoseconds for rows of 1 KiB, 40 clocks or 5/4 of them for rows of 2 KiB."""
    for width, times in ((4, 1), (8, 1), (16, 1.25)):
        part = Ddr5(speed, width=width)
        assert part.cycles()["FAW"] * part.clock_ns == pytest.approx(times * faw, abs=0.002)


@pytest.mark.parametrize("width, apart", [(4, 32), (16, 40)])
def test_the_fifth_activate_waits_for_the_window(width, apart):
    """Five rows of one rank in bank groups of their own, and one in the first group's next bank."""
    part = Ddr5(4800, ranks=1, width=width, controller=PLAIN)
    groups, _ = part.banks
    rows = part.page // BURST * groups
    t = part.cycles()
    assert groups == (8 if width == 4 else 4)
    blocks = [0, 1, 2, 3, rows + 0]  # activates at 0, 8, 16, 24 clocks; the fifth in another bank of the first group
    assert clocks(blocks, part=part) == apart + t["RCD"] + t["CL"] + t["BL"]


def test_devices_of_16_bits():
    part = Ddr5(width=16)
    assert part.banks == (4, 4) and part.capacity == Ddr5(width=4).capacity / 4
    assert part.page == 4096 and Ddr5(width=8).page == 4096
    random = scattered(1 / 3)
    assert efficiency(part, random).share < efficiency(Ddr5(width=8), random).share  # half the groups, longer windows


def test_devices_of_8_gb_have_two_banks_in_a_group():
    assert Ddr5(density=8).banks == (8, 2) and Ddr5(density=16).banks == (8, 4)
    random = scattered()
    assert efficiency(Ddr5(density=8), random).rows >= efficiency(Ddr5(density=16), random).rows


@pytest.mark.parametrize("density, loss", [(16, 0.067), (32, 0.097)])
def test_same_bank_refresh_leaves_the_other_banks(density, loss):
    """A stream waits for the bank in its way as long as before; accesses at random go to the other banks."""
    every, one = (Ddr5(ranks=1, density=density, refresh=refresh) for refresh in ("all", "same"))
    assert one.refresh_loss == pytest.approx(loss, abs=1e-3)
    assert one.cycles()["REFI"] * one.banks[1] * 2 == pytest.approx(every.cycles()["REFI"], abs=8)
    random = scattered(1 / 3, length=1 << 15)
    shares = [efficiency(part, random).share for part in (every, one)]
    assert shares[1] > 1.01 * shares[0]
    order_of_one = streams(1, 0, length=100_000)
    assert efficiency(one, order_of_one).share == pytest.approx(efficiency(every, order_of_one).share, abs=0.02)


def test_stacked_dies_are_ranks_without_idle_clocks_between_them():
    flat, stacked = Ddr5(ranks=2), Ddr5(ranks=1, stack=2)
    assert stacked.capacity == flat.capacity and Ddr5(ranks=2, stack=4).capacity == 4 * flat.capacity
    idle = replace(PART, ranks=2), replace(PART, stack=2)
    other = PART.page // BURST * GROUPS * BANKS  # the same place of the other rank
    assert clocks([0, other], part=idle[0]) - clocks([0, other], part=idle[1]) in (0, T["RANK"])
    both = [value for i in range(8) for value in (i * GROUPS, other + i * GROUPS)]
    assert clocks(both, part=idle[1]) < clocks(both, part=idle[0])


@pytest.mark.parametrize("speed, latency", [(3200, 26), (4800, 36), (5600, 40), (6400, 46)])
def test_latencies_are_those_of_the_speed_bins(speed, latency):
    t = Ddr5(speed).cycles()
    assert t["CL"] == t["RCD"] == t["RP"] == latency


def test_timings_of_4800():
    assert (T["WR"], T["CCD_L"], T["BL"]) == (72, 12, 8)
    assert T["RAS"] + T["RP"] == 113  # nRC


@pytest.mark.parametrize("speed", SPEEDS)
def test_every_speed_has_timings(speed):
    t = Ddr5(speed).cycles()
    assert all(value > 0 for value in t.values())
    assert 13 < t["RCD"] * Ddr5(speed).clock_ns < 17


# --- to the clock ---------------------------------------------------------------------------------------------------------


def test_one_access():
    assert clocks([0]) == T["RCD"] + T["CL"] + T["BL"]
    assert clocks([0], True) == T["RCD"] + T["CWL"] + T["BL"]


def test_a_second_access():
    first = T["RCD"] + T["CL"] + T["BL"]
    assert clocks([0, GROUPS]) == first + T["CCD_L"]  # the same row
    assert clocks([0, 1]) == first + T["CCD_S"]  # another bank group, opened meanwhile
    assert clocks([0, NEXT_BANK]) == first + max(T["RRD_L"], T["CCD_L"])  # another bank of the group
    assert clocks([0, NEXT_ROW]) == first + max(T["RAS"], T["RCD"] + T["RTP"]) + T["RP"]  # another row of the bank


def test_writes_are_apart_and_turn_the_bus():
    one_write = T["RCD"] + T["CWL"] + T["BL"]
    assert clocks([0, GROUPS], True) == one_write + T["CCD_L_WR"]
    assert clocks([0, 1], True) == one_write + T["CCD_S"]
    assert clocks([0, 1], [0, 1]) == T["RCD"] + T["RTW"] + T["CWL"] + T["BL"]
    # A row is closed only when what was written is in it.
    assert clocks([0, NEXT_ROW], True) == 2 * one_write + T["WR"] + T["RP"]


def test_a_read_after_a_write_waits_for_it():
    """A write, and a read in the same row: with a batch of one the write is first."""
    part = Ddr5(4800, ranks=1, controller=Controller(window=1, batch=1, hashed=False))
    got = clocks([0, GROUPS], [1, 0], part)
    assert got == T["RCD"] + T["WTR_L"] + T["CL"] + T["BL"]
    assert clocks([0, 1], [1, 0], part) == T["RCD"] + max(T["WTR_S"], T["RRD_S"]) + T["CL"] + T["BL"]


def test_four_activates():
    """The fifth bank group waits until the first of four activates is old."""
    assert clocks(range(5)) == max(4 * T["RRD_S"], T["FAW"]) + T["RCD"] + T["CL"] + T["BL"]


def test_activates_of_one_group_are_further_apart():
    """Two banks are opened, then the second one's row changes, RAS after it was opened: when that was shows in the end."""
    change = T["RAS"] + T["RP"] + T["RCD"] + T["CL"] + T["BL"]
    same_group = [0, NEXT_BANK, NEXT_BANK + NEXT_ROW]
    assert T["RRD_L"] > T["RRD_S"]
    assert clocks(same_group) == T["RRD_L"] + change
    other_group = [0, 1 + NEXT_BANK, 1 + NEXT_BANK + NEXT_ROW]
    assert clocks(other_group) == T["RRD_S"] + change


def test_the_bus_turns_between_ranks():
    part = Ddr5(4800, ranks=2, controller=PLAIN)
    other_rank = NEXT_ROW  # above the banks
    read, write = T["RCD"] + T["CL"] + T["BL"], T["RCD"] + T["CWL"] + T["BL"]
    assert clocks([0, other_rank], False, part) == read + T["CCD_S"] + T["RANK"]
    assert clocks([0, other_rank], True, part) == write + T["CCD_S"] + T["RANK"]
    assert clocks([0, other_rank], [0, 1], part) == write + T["RTW"] + T["RANK"]
    after_write = T["CWL"] - T["CL"] + T["BL"] + T["RANK"]  # its data are off the bus; the other rank has no WTR
    assert after_write < T["WTR_S"]
    write_first = replace(part, controller=Controller(batch=1, hashed=False))
    assert clocks([0, other_rank], [1, 0], write_first) == read + after_write


def test_turns_of_the_bus_are_counted():
    def turns(writes, batch=24):
        part = Ddr5(4800, ranks=1, controller=Controller(batch=batch, hashed=False))
        return efficiency(part, order(np.arange(len(writes)), np.array(writes))).turns

    assert turns([0, 0, 0]) == 0
    assert turns([1, 1, 1]) == 1  # from reading, in which it begins
    assert turns([0, 1]) == turns([1, 0]) == 1  # reads are first
    assert turns([1, 0], batch=1) == 2
    # A refresh that is due just when the bus would turn puts the turn off: it is counted once.
    reads = T["REFI"] // T["BL"]
    assert [turns([0] * n + [1]) for n in range(reads - 12, reads + 4)] == [1] * 16


def test_rows_of_one_bank():
    n = 50
    each = max(T["RAS"], T["RCD"] + T["RTP"]) + T["RP"]
    assert clocks(np.arange(n) * NEXT_ROW) == (n - 1) * each + T["RCD"] + T["CL"] + T["BL"]


def test_refresh_stops_a_rank():
    n = T["REFI"] // T["BL"] + 100
    blocks = np.arange(n) % (GROUPS * PAGE)
    quiet = n * T["BL"] + T["RCD"] + T["CL"]
    assert quiet < clocks(blocks) <= quiet + T["RFC"] + T["RP"] + 2 * T["RCD"] + T["RTP"] + T["FAW"]
    assert clocks(blocks[: T["REFI"] // T["BL"] - 20]) == (T["REFI"] // T["BL"] - 20) * T["BL"] + T["RCD"] + T["CL"]


# --- orders ---------------------------------------------------------------------------------------------------------------

PUBLISHED = {3200: 0.89, 4800: 0.82, 5600: 0.77, 6400: 0.73}


@pytest.mark.parametrize("speed", PUBLISHED)
def test_scattered_accesses_get_what_was_published(speed):
    """Effective bandwidth of server modules, simulated by a vendor (182.5 of 204.8 GB/s at 3200, 250.9 of 307.2 at 4800,
    298.2 of 409.6 at 6400): blocks of 64 B at random, a third of them written.  Within 6 %."""
    share = efficiency(Ddr5(speed), scattered(1 / 3)).share
    assert share == pytest.approx(PUBLISHED[speed], rel=0.06)


def test_stream_gets_what_was_measured():
    """STREAM on twelve channels of DDR5-4800: 378 of 460.8 GB/s.  Its threads, some tens, each have a part of three
    arrays of their own."""
    for threads in (16, 32, 64):
        triad = efficiency(Ddr5(4800), streams(2 * threads, threads, 1 << 15)).share
        assert 12 * Ddr5(4800).peak * triad == pytest.approx(378e9, rel=0.04)


def test_what_the_order_changes():
    part = Ddr5(4800)
    shares = {
        "in order": sequential(part),
        "three streams": sequential(part, 2, 1),
        "runs of 16": efficiency(part, scattered(0, run=16)).share,
        "scattered": efficiency(part, scattered(0)).share,
        "scattered, written": efficiency(part, scattered(0.5)).share,
    }
    assert shares["in order"] > shares["three streams"] > shares["scattered, written"]
    assert shares["in order"] > shares["scattered"]
    rows = [efficiency(part, accesses).rows for accesses in (streams(1, 0), scattered(0, run=16), scattered(0))]
    assert rows[0] < 0.02 < rows[1] < 0.6 < rows[2] <= 1


def test_what_the_part_and_the_controller_change():
    slow, fast = (efficiency(Ddr5(speed), scattered(1 / 3)).share for speed in (3200, 6400))
    assert slow > fast + 0.05
    assert Ddr5(6400).peak * fast > Ddr5(3200).peak * slow  # and yet more
    random = scattered(1 / 3)
    assert efficiency(Ddr5(ranks=2), random).share > efficiency(Ddr5(ranks=1), random).share
    short, long = (efficiency(Ddr5(controller=Controller(w, b)), random).share for w, b in ((8, 8), (64, 48)))
    assert long > short + 0.1
    # Two arrays a power of two apart meet in one bank unless row bits choose banks.
    for apart in (1, 4, 64, 1024):
        meeting = streams(2, 0, apart=NEXT_ROW * 2 * apart)
        plain, hashed = (
            efficiency(Ddr5(controller=Controller(window=4, hashed=on)), meeting).share for on in (False, True)
        )
        assert hashed > 1.5 * plain


@settings(max_examples=40, deadline=None)
@given(
    blocks=st.lists(st.integers(0, 1 << 20), min_size=1, max_size=60),
    share=st.floats(0, 1),
    speed=st.sampled_from(SPEEDS),
    ranks=st.sampled_from([1, 2, 4]),
)
def test_nothing_is_faster_than_the_bus(blocks, share, speed, ranks):
    part = Ddr5(speed, ranks=ranks)
    writes = np.random.default_rng(len(blocks)).random(len(blocks)) < share
    got = efficiency(part, order(np.array(blocks), writes))
    t = part.cycles()
    assert got.clocks >= t["RCD"] + t["CWL"] + len(blocks) * t["BL"]
    each = t["RCD"] + t["CL"] + t["BL"] + t["RP"] + t["RAS"] + t["WR"] + t["WTR_L"]
    assert got.clocks <= len(blocks) * each + t["RFC"] * ranks * (1 + len(blocks) * each // t["REFI"])
    assert 0 < got.rows <= 1 and 0 <= got.turns <= 2 * len(blocks)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Ddr5(4801), "speed of DDR5 is one of 3200, 3600, 4000, .*, 8800, not 4801"),
        (lambda: Ddr5(ranks=3), "ranks of DDR5 is one of 1, 2, 4, not 3"),
        (lambda: Ddr5(density=12), "density of DDR5 is one of 8, 16, 24, 32, not 12"),
        (lambda: Controller(0), "the window of a memory controller is 1 to 4096 accesses, not 0"),
        (lambda: efficiency(Ddr5(), order(np.array([], int))), "an order of accesses has at least one"),
    ],
)
def test_what_is_no_memory(call, message):
    with pytest.raises(wse.ConfigError, match=f"^{message}$"):
        call()


def test_speeds_are_steps_of_the_standard():
    """JESD79-5 has speeds in steps of 400 MT/s, from 3200 to 8800."""
    assert all(speed % 400 == 0 and 3200 <= speed <= 8800 for speed in SPEEDS)
    assert list(SPEEDS) == sorted(set(SPEEDS))


# Shares of the peak by Ramulator 2.1 (commit c5b1c3a), for these accesses at these places: FR-FCFS, open rows, refresh of
# all banks, queues of 32; its timings, but tFAW and tRRD_S in clocks as JESD79-5 has them.  AdamW: four arrays read and
# four written.
SIMULATED = {
    # speed, ranks, width, density: one array read, AdamW, at random, at random with a third written
    (3200, 1, 4, 16): (0.920, 0.780, 0.918, 0.823),
    (3200, 2, 4, 16): (0.920, 0.845, 0.921, 0.884),
    (4800, 1, 4, 16): (0.918, 0.716, 0.916, 0.748),
    (4800, 1, 8, 16): (0.918, 0.713, 0.916, 0.746),
    (4800, 1, 16, 16): (0.917, 0.561, 0.731, 0.576),
    (4800, 1, 4, 32): (0.892, 0.689, 0.891, 0.723),
    (4800, 2, 4, 16): (0.918, 0.818, 0.913, 0.849),
    (4800, 2, 4, 32): (0.892, 0.795, 0.887, 0.826),
    (5600, 2, 4, 16): (0.923, 0.813, 0.923, 0.832),
    (6400, 1, 4, 16): (0.920, 0.602, 0.903, 0.667),
    (6400, 2, 4, 16): (0.920, 0.796, 0.912, 0.813),
}


@pytest.mark.parametrize("key", SIMULATED)
def test_another_simulator_gives_nearly_the_same(key):
    """Ramulator refreshes both ranks at once; here they take turns, so that accesses at random wait for either."""
    speed, ranks, width, density = key
    part = Ddr5(speed, ranks=ranks, width=width, density=density)
    orders = (streams(1, 0), streams(4, 4), scattered(), scattered(1 / 3))
    found = [efficiency(part, accesses).share for accesses in orders]
    errors = [own / other - 1 for own, other in zip(found, SIMULATED[key], strict=True)]
    one, adam, random, mixed = map(abs, errors)
    assert one < 0.014
    assert adam < (0.035 if ranks == 2 else 0.1 if width < 16 else 0.26)  # with one rank, the order of writes decides
    assert max(random, mixed) < (0.025 if ranks == 1 else 0.08)
