"""DDR5: the share of a channel's peak bandwidth that a sequence of accesses reaches.

A channel is a DIMM with two sub-channels of 32 bits; a burst of 16 beats moves 64 bytes.  The model simulates a memory
controller.  It places the commands of every access (precharge, activate, read or write, refresh) at the earliest cycle
that the device's timings allow.  Of a window of accesses it issues the one whose data can come first.  Writes are
collected and drained in batches, because turning the bus between reads and writes costs time.  The losses of a
sequence follow: row changes, busy banks, bus turns and refresh.

Figures of the device: JESD79-5 (speed bins as quoted in the DRAM simulator Ramulator 2).  Figures of the controller
(window, batch of writes, the hash of banks) are ours; `Controller` has them.
"""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from .jit import compiled

BURST = 64  # bytes: 16 beats of 32 bits
SUBCHANNELS = 2
GROUPS = {4: 8, 8: 8, 16: 4}  # bank groups of a rank, by the width of its devices
BANKS = {8: 2, 16: 4, 24: 4, 32: 4}  # banks of a group, by density in Gb
PAGE = {4: 1024, 8: 1024, 16: 2048}  # bytes of a device's row
SPEEDS = (3200, 3600, 4000, 4400, 4800, 5200, 5600, 6000, 6400, 7200, 8000, 8400, 8800)  # MT/s that are sold
REFRESH_NS = {8: 195.0, 16: 295.0, 24: 410.0, 32: 410.0}  # tRFC1 by density in Gb; 24 Gb as 32 Gb
REFRESH_INTERVAL_NS = 3900.0  # tREFI
SAME_BANK_NS = {8: 115.0, 16: 130.0, 24: 190.0, 32: 190.0}  # tRFCsb; 24 Gb as 32 Gb
# CL = tRCD = tRP in ns, by the highest speed that has them: 26, 36, 40 and 46 cycles at 3200, 4800, 5600, 6400.
_LATENCY_NS = ((3200, 16.25), (4800, 15.0), (5600, 14.2857), (6400, 14.375), (8800, 14.375))


@dataclass(frozen=True)
class Controller:
    """The memory controller of a sub-channel.

    window  reads among which it chooses
    batch   writes that it collects before it turns the bus; it drains them down to a quarter
    hashed  the bank depends on the row's bits too, so that parallel arrays do not collide in one bank

    Raises ConfigError for a window or batch that is not 1 to 4096.
    """

    window: int = 32
    batch: int = 24
    hashed: bool = True

    def __post_init__(self) -> None:
        for name in ("window", "batch"):
            value = getattr(self, name)
            if not 1 <= value <= 4096:
                raise ConfigError(f"the {name} of a memory controller is 1 to 4096 accesses, not {value}")


@dataclass(frozen=True)
class Ddr5:
    """One channel: a DIMM of DDR5.

    speed    MT/s
    ranks    1, 2 or 4
    density  of a device in Gb: 8, 16, 24 or 32
    width    of a device in bits: 4, 8 or 16; devices of 4 bits read before they write, which delays writes to a bank
             group; those of 16 have half the bank groups and rows of twice the size
    stack    dies of a device, one above the other (3DS): 1, 2, 4 or 8 logical ranks of each rank, which share the bus
             without idle clocks between them
    refresh  "all": all banks of a rank at once, every 3.9 us; "same": one bank of each group in turn

    Raises ConfigError for other values.
    """

    speed: int = 4800
    ranks: int = 2
    density: int = 16
    width: int = 4
    stack: int = 1
    refresh: str = "all"
    controller: Controller = field(default_factory=Controller)

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[Any, ...]] = {
            "speed": SPEEDS,
            "ranks": (1, 2, 4),
            "density": tuple(REFRESH_NS),
            "width": tuple(GROUPS),
            "stack": (1, 2, 4, 8),
            "refresh": ("all", "same"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ConfigError(f"{name} of DDR5 is one of {', '.join(map(str, values))}, not {getattr(self, name)}")

    @property
    def peak(self) -> float:
        """Bytes per second of the channel: 8 bytes per transfer."""
        return 8e6 * self.speed

    @property
    def clock_ns(self) -> float:
        """Duration of a clock of the memory, in nanoseconds."""
        return 2000 / self.speed

    @property
    def capacity(self) -> float:
        """Bytes of the DIMM."""
        return self.ranks * self.stack * self.density * 2**30 / 8 * (64 // self.width)

    @property
    def page(self) -> int:
        """Bytes of a sub-channel's row, over all of its devices."""
        return PAGE[self.width] * (32 // self.width)

    @property
    def banks(self) -> tuple[int, int]:
        """(bank groups of a rank, banks of a group)."""
        return GROUPS[self.width], BANKS[self.density]

    @property
    def refresh_loss(self) -> float:
        """Share of a bank's time that refresh takes: tRFC / tREFI; of same-bank refresh, tRFCsb / (tREFI / 2)."""
        if self.refresh == "same":
            return SAME_BANK_NS[self.density] / (REFRESH_INTERVAL_NS / 2)
        return REFRESH_NS[self.density] / REFRESH_INTERVAL_NS

    def cycles(self) -> dict[str, int]:
        """The timings in clocks, by the names of JESD79-5 without t.

        tFAW: the standard gives clocks and nanoseconds, of which the longer holds: 32 clocks (40 for rows of 2 KiB)
        and, for each speed bin, as many nanoseconds as these clocks take in it (20 at 3200, 13.333 at 4800, 10 at
        6400).  So it is the clocks at every speed; one number of nanoseconds for all speeds would be wrong.
        """
        ns = self.clock_ns
        latency_ns = next(value for speed, value in _LATENCY_NS if self.speed <= speed)

        def clocks(nanoseconds: float, least: int = 0) -> int:
            return max(least, ceil(nanoseconds / ns - 0.01))

        cl = 2 * ceil(latency_ns / ns / 2 - 0.01)
        rcd = clocks(latency_ns)
        cwl, bl = cl - 2, 8
        long = clocks(5.0, 8)
        return {
            "BL": bl,
            "CL": cl,
            "CWL": cwl,
            "RCD": rcd,
            "RP": rcd,
            "RAS": clocks(32.0),
            "WR": clocks(30.0),
            "RTP": clocks(7.5, 12),
            "CCD_S": 8,
            "CCD_L": long,
            # Devices of 4 bits correct errors over twice what a burst writes: they read it first.
            "CCD_L_WR": clocks(20.0, 32) if self.width == 4 else clocks(10.0, 16),
            "RRD_S": 8,
            "RRD_L": long,
            "FAW": 40 if PAGE[self.width] > 1024 else 32,
            "WTR_S": cwl + bl + clocks(2.5, 4),
            "WTR_L": cwl + bl + clocks(10.0, 16),
            "RTW": cl - cwl + bl + 2,
            "RANK": 2,  # idle clocks of the bus between ranks
            # Fine granularity refreshes each bank twice as often, and the banks of a group one after the other.
            "REFI": clocks(
                REFRESH_INTERVAL_NS / (2 * self.banks[1]) if self.refresh == "same" else REFRESH_INTERVAL_NS
            ),
            "RFC": clocks((SAME_BANK_NS if self.refresh == "same" else REFRESH_NS)[self.density]),
        }


# --- orders of accesses: of one sub-channel, as blocks of 64 bytes and whether they are written -----------------------


def order(blocks: np.ndarray, writes: np.ndarray | bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return a sequence of accesses for `efficiency`: blocks int64 [n], writes uint8 [n].

    blocks: numbers of 64-byte blocks of one sub-channel, from 0.  writes: whether they are written.
    """
    blocks = np.ascontiguousarray(blocks, np.int64)
    return blocks, np.ascontiguousarray(np.broadcast_to(np.asarray(writes, np.uint8), blocks.shape))


def streams(reads: int, writes: int, length: int = 1 << 14, apart: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A sequence that reads `reads` arrays and writes `writes` arrays in step, one block of each in turn.

    length: accesses in all.  apart: blocks between the starts of the arrays; default: that of arrays of gigabytes, at
    no special distance.
    """
    total = reads + writes
    apart = (1 << 22) + 12_347 if apart is None else apart
    starts = np.arange(total, dtype=np.int64) * apart
    blocks = starts[None, :] + np.arange(max(1, length // total), dtype=np.int64)[:, None]
    kinds = np.zeros(total, np.uint8)
    kinds[reads:] = 1
    return order(blocks.ravel(), np.broadcast_to(kinds, blocks.shape).ravel())


def scattered(writes: float = 0.0, length: int = 1 << 14, seed: int = 0, run: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A sequence of `run` consecutive blocks at random addresses; the share `writes` of them is written."""
    rng = np.random.default_rng(seed)
    count = max(1, length // run)
    places = rng.integers(0, 1 << 24, count)[:, None] * run + np.arange(run)
    return order(places.ravel(), np.repeat(rng.random(count) < writes, run))


@dataclass(frozen=True)
class Efficiency:
    """Result of a sequence.  share: of the peak.  rows: activates per access.  turns: of the bus.  clocks: in all."""

    share: float
    rows: float
    turns: int
    clocks: int


def efficiency(part: Ddr5, accesses: tuple[np.ndarray, np.ndarray]) -> Efficiency:
    """Simulate one sub-channel that is given these accesses as fast as it takes them.

    All sub-channels behave alike.  Raises ConfigError for an empty sequence.
    """
    blocks, writes = accesses
    if blocks.size == 0:
        raise ConfigError("an order of accesses has at least one")
    c = part.cycles()
    timings = np.array([c[name] for name in _NAMES], np.int64)
    controller = part.controller
    clocks, activates, turns = _serve(
        *(blocks, writes, timings, part.ranks, part.stack, *part.banks, part.refresh == "same", part.page // BURST),
        *(controller.window, controller.batch, controller.hashed),
    )
    return Efficiency(blocks.size * c["BL"] / clocks, activates / blocks.size, turns, clocks)


@lru_cache(maxsize=256)
def sequential(part: Ddr5, reads: int = 1, writes: int = 0) -> float:
    """Share of the peak for arrays that are read and written in step; see `streams`."""
    return efficiency(part, streams(reads, writes)).share


_NAMES = (
    *("BL", "CL", "CWL", "RCD", "RP", "RAS", "WR", "RTP", "CCD_S", "CCD_L", "CCD_L_WR", "RRD_S", "RRD_L", "FAW"),
    *("WTR_S", "WTR_L", "RTW", "RANK", "REFI", "RFC"),
)
_LONG_AGO = -(1 << 40)


@compiled()
def _serve(blocks, writes, timings, packages, stack, GROUPS, BANKS, same, page, window, batch, hashed):
    """Clocks until all data have passed, activates, turns of the bus.

    packages: ranks on the bus, of `stack` logical ranks each.  same: refresh takes one bank of each group in turn.
    """
    ranks = packages * stack
    BL, CL, CWL, RCD, RP, RAS, WR, RTP, CCD_S, CCD_L, CCD_L_WR, RRD_S, RRD_L, FAW = timings[:14]
    WTR_S, WTR_L, RTW, RANK, REFI, RFC = timings[14:20]
    n, banks = blocks.size, GROUPS * BANKS * ranks
    row_of = np.full(banks, -1, np.int64)
    closed_at = np.zeros(banks, np.int64)  # when the row may be closed
    open_at = np.zeros(banks, np.int64)  # when a row may be opened, if none is
    column_at = np.zeros(banks, np.int64)  # when a column command may come
    acts = np.full((ranks, 4), _LONG_AGO, np.int64)  # the last four activates of a rank
    act_group = np.full((ranks, GROUPS), _LONG_AGO, np.int64)
    read_at = np.full((ranks, GROUPS), _LONG_AGO, np.int64)  # last column commands
    write_at = np.full((ranks, GROUPS), _LONG_AGO, np.int64)
    refresh_due = np.array([REFI * (r + 1) // ranks for r in range(ranks)])  # ranks take turns
    refresh_bank = np.zeros(ranks, np.int64)
    # Waiting accesses: reads and writes separately, in the order of their arrival.
    waiting = np.zeros((2, window + batch + 1), np.int64)
    count = np.zeros(2, np.int64)
    limit = np.array([window, batch])
    arrived = np.zeros(n, np.int64)
    given = served = activates = turns = 0
    mode, now, end = 0, 0, 0  # mode 1: writes are drained; now: the last column command
    while served < n:
        while given < n and count[writes[given]] < limit[writes[given]]:
            kind = writes[given]
            waiting[kind, count[kind]] = given
            count[kind] += 1
            arrived[given] = now
            given += 1
        before = mode
        if mode == 1:
            if count[1] <= batch // 4 and (count[0] > 0 or given < n):
                mode = 0
            if count[1] == 0:
                mode = 0
        if mode == 0 and (count[1] >= batch or count[0] == 0) and count[1] > 0:
            mode = 1
        turns += mode != before
        # Choose the access whose data can come first; among equals, the oldest.
        best, best_column, best_act, best_rank = -1, 1 << 60, -1, 0
        for i in range(count[mode]):
            block = blocks[waiting[mode, i]]
            group, bank, rank, row = _place(block, ranks, GROUPS, BANKS, page, hashed)
            b = (rank * GROUPS + group) * BANKS + bank
            came = arrived[waiting[mode, i]]
            act = -1
            column = max(column_at[b], came)
            if row_of[b] != row:
                act = open_at[b] if row_of[b] < 0 else max(closed_at[b], came) + RP
                act = max(act, max(open_at[b], came))
                act = max(act, acts[rank, 0] + FAW)
                act = max(act, acts[rank, 3] + RRD_S)
                act = max(act, act_group[rank, group] + RRD_L)
                column = act + RCD
            for r in range(ranks):
                for g in range(GROUPS):
                    other = r // stack != rank // stack
                    far = RANK if other else 0
                    near = r == rank and g == group
                    if mode == 0:
                        column = max(column, read_at[r, g] + (CCD_L if near else CCD_S + far))
                        turn = CWL - CL + BL + RANK if other else (WTR_L if near else WTR_S)
                        column = max(column, write_at[r, g] + turn)
                    else:
                        column = max(column, write_at[r, g] + (CCD_L_WR if near else CCD_S + far))
                        column = max(column, read_at[r, g] + RTW + far)
            if column < best_column:
                best, best_column, best_act, best_rank = i, column, act, rank
        # Refresh a rank before an access to it that would be issued after the refresh is due.
        if best_column >= refresh_due[best_rank]:
            r = best_rank
            idle = refresh_due[r]
            first, step = (refresh_bank[r], BANKS) if same else (0, 1)
            for b in range(r * GROUPS * BANKS + first, (r + 1) * GROUPS * BANKS, step):
                if row_of[b] >= 0:
                    idle = max(idle, closed_at[b] + RP)
            for b in range(r * GROUPS * BANKS + first, (r + 1) * GROUPS * BANKS, step):
                row_of[b] = -1
                open_at[b] = max(open_at[b], idle + RFC)
            refresh_bank[r] = (refresh_bank[r] + 1) % BANKS
            refresh_due[r] += REFI
            turns -= mode != before
            mode = before
            continue
        access = waiting[mode, best]
        for i in range(best, count[mode] - 1):
            waiting[mode, i] = waiting[mode, i + 1]
        count[mode] -= 1
        group, bank, rank, row = _place(blocks[access], ranks, GROUPS, BANKS, page, hashed)
        b = (rank * GROUPS + group) * BANKS + bank
        if best_act >= 0:
            activates += 1
            row_of[b] = row
            for i in range(3):
                acts[rank, i] = acts[rank, i + 1]
            acts[rank, 3] = max(acts[rank, 2], best_act)
            act_group[rank, group] = best_act
            open_at[b] = best_act + RAS + RP
            closed_at[b] = best_act + RAS
            column_at[b] = best_act + RCD
        if mode == 0:
            read_at[rank, group] = best_column
            closed_at[b] = max(closed_at[b], best_column + RTP)
            end = max(end, best_column + CL + BL)
        else:
            write_at[rank, group] = best_column
            closed_at[b] = max(closed_at[b], best_column + CWL + BL + WR)
            end = max(end, best_column + CWL + BL)
        now = max(now, best_column)
        served += 1
    return end, activates, turns


@compiled(inline="always")
def _place(block, ranks, GROUPS, BANKS, page, hashed):
    """(bank group, bank, rank, row): consecutive blocks go to the bank groups in turn, then through their rows."""
    group = block % GROUPS
    rest = block // GROUPS // page
    bank = rest % BANKS
    rest //= BANKS
    rank = rest % ranks
    row = rest // ranks
    if hashed:
        digits = row
        while digits:  # all of the row's bits, so that no power of two brings two arrays into one bank
            group ^= digits % GROUPS
            bank ^= digits % BANKS
            digits //= BANKS
    return group, bank, rank, row
