"""Synthetic Runs for tests of pictures, traces and commands, with real shapes and consistent sums, without the engine."""

from __future__ import annotations

import numpy as np

from wse.fabric.run import COUNTERS, EVENT, Run


def make_run(width=4, height=4, cycles=12_345, bins=64, activity=False, events=None, **changes) -> Run:
    """A run whose PEs are busiest near the middle, with traffic mostly to the east and the south."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:height, :width]
    near = np.exp(-(((x - width / 2) / width) ** 2 + ((y - height / 3) / height) ** 2) * 6)
    counters = share_out(cycles, 0.3 + 0.6 * near, rng)
    links = (np.array([0.1, 0.6, 0.45, 0.02, 0.5])[:, None, None] * near * cycles).astype(np.uint64)
    links[0, 0] = links[1, :, -1] = links[2, -1] = links[3, :, 0] = 0  # no wavelet leaves the grid
    bin_cycles = 1
    while bins and bin_cycles * bins < cycles:
        bin_cycles *= 2
    fields = {
        "machine": "wse3",
        "profile": "simulator",
        "width": width,
        "height": height,
        "clock_hz": 875_000_000,
        "cycles": cycles,
        "ended": "done",
        "counters": counters,
        "links": links,
        "blocked": (links * rng.uniform(0, 0.6, links.shape)).astype(np.uint64),
        "colors": np.zeros((24, 5, 2), np.uint64),
        "opcodes": {"fmach": 100, "mov": 7},
        "series": make_series(width * height, cycles, bins, bin_cycles),
        "bin_cycles": bin_cycles,
        "activity": make_activity(near, cycles, bins, bin_cycles) if activity else None,
        "events": events,
        "wall_seconds": 1.25,
        "meta": {"kernel": "gemm"},
    }
    return Run(**fields | changes)


def share_out(cycles, busy, rng):
    """uint64 [h, w] by name of counters.def.  The categories of cycles of each PE add up to `cycles`.

    busy: float [h, w], the busy share of each PE.
    """
    counters = {name: np.zeros(busy.shape, np.uint64) for name in COUNTERS}
    left = np.full(busy.shape, cycles, np.uint64)
    for name, part in {"busy_scalar": 0.05, "busy_vector": 0.75, "busy_micro": 0.2}.items():
        counters[name] = (busy * part * cycles).astype(np.uint64)
        left -= counters[name]
    rest = left.copy()
    for name in COUNTERS:
        if name.startswith("stall_"):
            counters[name] = (rest * rng.uniform(0.02, 0.13, busy.shape)).astype(np.uint64)
            left -= counters[name]
    counters["idle"] = left
    for name in ("flops", "elements", "sram_read"):
        counters[name] = counters["busy_vector"] * np.uint64(4)
    return counters


def make_series(pes, cycles, bins, bin_cycles):
    """uint64 [bins, 4]: a series that rises, stays level and falls."""
    series = np.zeros((bins, 4), np.uint64)
    used = -(-cycles // bin_cycles) if bins else 0
    for i in range(used):
        length = min(bin_cycles, cycles - i * bin_cycles)
        level = min(1.0, (i + 1) / 5, (used - i) / 8)
        series[i] = [pes * length * level * rate for rate in (0.8, 1.3, 6.0, 0.15)]
    return series


def make_activity(near, cycles, bins, bin_cycles):
    """uint64 [bins, h, w]: in each bin, the busy share of a PE is `near`."""
    lengths = np.clip(cycles - np.arange(bins) * bin_cycles, 0, bin_cycles)
    return (lengths[:, None, None] * near).astype(np.uint64)


def make_events(*rows) -> np.ndarray:
    """An array of events from rows (cycle, pe, name of the kind, a, b)."""
    from wse.trace.events import kinds

    numbers = {row[0]: number for number, row in enumerate(kinds())}
    return np.array([(cycle, pe, numbers[kind], a, b) for cycle, pe, kind, a, b in rows], EVENT)


def spans(run):
    """(pe, lane, start, end, name, kind) of the tasks, operations and waits of a run, from its begins and ends."""
    from wse.trace import events

    begun = {}
    for what, cycle, pe, lane, name, kind, _ in events.actions(run):
        if what == events.BEGIN:
            begun.setdefault((pe, lane), []).append(cycle)
        elif what == events.END:
            yield pe, lane, begun[pe, lane].pop(), cycle, name, kind


def garbage(last=2**64 - 1):
    """A strategy of hypothesis: arrays of events that no fabric records, at cycles up to `last`."""
    from hypothesis import strategies as st

    return st.lists(
        st.tuples(
            st.integers(0, last) | st.integers(0, 20),
            st.integers(0, 2**32 - 1) | st.integers(0, 3),
            st.integers(0, 2**16 - 1) | st.integers(0, 6),
            st.integers(0, 2**16 - 1) | st.integers(0, 3),
            st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 255]),
        ),
        max_size=40,
    ).map(lambda rows: np.array(rows, EVENT))
