"""Figures of a Run as text, for pictures, pages and the terminal.  Uses NumPy only."""

import math

import numpy as np

PORTS = ("north", "east", "south", "west", "ramp")
BUSY, _STALL, _IDLE = "busy_", "stall_", "idle"

# Colors of Okabe and Ito, and of Tol's muted scheme: distinguishable with color blindness, and by lightness in grey.
CAUSE_COLORS = {
    "busy_scalar": "#88CCEE",
    "busy_vector": "#0072B2",
    "busy_micro": "#332288",
    "stall_input": "#D55E00",
    "stall_output": "#E69F00",
    "stall_bank": "#CC79A7",
    "stall_start": "#117733",
    "stall_branch": "#999933",
    "stall_latency": "#882255",
    "stall_task": "#F0E442",
    "idle": "#DDDDDD",
}
OTHER_COLORS = ("#44AA99", "#AA4499", "#DDCC77", "#661100", "#6699CC")

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}


def si(value, unit=""):
    """A number with three digits, an SI prefix and the unit: 1234567 -> '1.23 M'."""
    if value is None or not math.isfinite(value):
        return f"- {unit}".rstrip()
    exponent = 0
    if value:
        exponent = 3 * math.floor(math.log10(abs(value)) / 3)
        exponent = min(max(exponent, -15), 18)
        if abs(float(f"{value / 10.0**exponent:.3g}")) >= 1000 and exponent < 18:
            exponent += 3
    scaled = float(f"{value / 10.0**exponent:.3g}")
    number = f"{scaled:.0f}" if abs(scaled) >= 100 or (isinstance(value, int) and exponent == 0) else f"{scaled:g}"
    return f"{number} {_PREFIXES[exponent]}{unit}".rstrip()


def percent(share):
    """A share in percent: 0.1234 -> '12.3 %'."""
    return f"{100 * share:.1f} %"


def _is_cause(name):
    """Whether a counter is a category of cycles; the categories of a PE add up to its cycles (counters.def)."""
    return name.startswith((BUSY, _STALL)) or name == _IDLE


def cause_words(name):
    """The name of a category of cycles as text: 'stall_input' -> 'stall: input'."""
    group, _, rest = name.partition("_")
    return f"{group}: {rest}" if rest else group


def cause_color(name):
    """The color of a category of cycles.  A counter that is not in CAUSE_COLORS has one of OTHER_COLORS."""
    return CAUSE_COLORS.get(name) or OTHER_COLORS[sum(name.encode()) % len(OTHER_COLORS)]


def causes(run):
    """Cycles [h, w] by category, in the order of counters.def.  Their sum is the cycles of each PE."""
    return {name: plane for name, plane in run.counters.items() if _is_cause(name)}


def shares(run):
    """Shares of all PE-cycles by category, largest first, without those that are 0."""
    totals = {name: int(plane.sum(dtype=np.uint64)) for name, plane in causes(run).items()}
    whole = sum(totals.values()) or 1
    found = {name: total / whole for name, total in totals.items() if total}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def busy(run):
    """float [h, w]: the share of the run's cycles in which each PE issued an instruction or an element."""
    plane = np.zeros((run.height, run.width))
    for name, cycles in causes(run).items():
        if name.startswith(BUSY):
            plane += cycles
    return plane / max(run.cycles, 1)


def bin_lengths(run):
    """int64 [bins]: cycles of each bin of the series that the run reached.  The last one ends with the run."""
    bins = len(run.series)
    starts = np.arange(bins, dtype=np.int64) * int(run.bin_cycles)
    lengths = np.clip(int(run.cycles) - starts, 0, int(run.bin_cycles))
    return lengths[lengths > 0]


def name_of(run):
    """The name of the kernel that was run, or 'run' if it is not recorded."""
    return str(run.meta.get("kernel") or "run")


def title(run):
    """A line with kernel, machine and grid."""
    return f"{name_of(run)} on {run.machine} ({run.profile}), {run.width} x {run.height} PEs"


def duration(run):
    """A line with cycles, time at the clock, and why the run ended if the program did not finish."""
    seconds = run.cycles / run.clock_hz if run.clock_hz else math.nan
    words = f"{run.cycles:,} cycles, {si(seconds, 's')} at {si(run.clock_hz, 'Hz')}"
    return words if run.ended == "done" else f"{words}, ended: {run.ended}"


def headline(run):
    """A line with utilization, flop/s and traffic."""
    flops = run.counters.get("flops")
    seconds = run.cycles / run.clock_hz if run.clock_hz else 0
    words = [
        f"utilization {percent(float(busy(run).mean()))}",
        f"{si(int(run.links[:4].sum(dtype=np.uint64)))} wavelet-hops",
    ]
    if flops is not None and seconds:
        words.insert(1, si(float(flops.sum(dtype=np.uint64)) / seconds, "flop/s"))
    return ", ".join(words)


def figures(run):
    """The main figures of a run, as (name, value) rows of text."""
    seconds = run.cycles / run.clock_hz if run.clock_hz else math.nan
    total = {name: int(plane.sum(dtype=np.uint64)) for name, plane in run.counters.items()}
    hops = int(run.links[:4].sum(dtype=np.uint64))
    ramp = int(run.links[4].sum(dtype=np.uint64))
    flops = total.get("flops", 0)
    rows = [
        ("cycles", f"{run.cycles:,}"),
        (f"time at {si(run.clock_hz, 'Hz')}", si(seconds, "s")),
        ("ended", run.ended),
        ("PEs", f"{run.width * run.height:,} ({run.width} x {run.height})"),
        ("utilization (busy share of PE-cycles)", percent(float(busy(run).mean()) if run.cycles else 0.0)),
        ("flops", f"{flops:,}"),
        ("flop/s at the clock", si(flops / seconds if seconds else math.nan, "flop/s")),
        ("wavelet-hops", f"{hops:,}"),
        ("wavelets down the ramp", f"{ramp:,}"),
        ("busiest link", f"{int(run.links[:4].max(initial=0)):,} wavelets"),
    ]
    for name in ("scalars", "vectors", "tasks", "elements", "sram_read", "sram_write"):
        if name in total:
            unit = " B" if name.startswith("sram") else ""
            rows.append((name.replace("_", " "), f"{total[name]:,}{unit}"))
    if run.wall_seconds:
        rate = run.cycles * run.width * run.height / run.wall_seconds
        rows += [("wall time", si(run.wall_seconds, "s")), ("PE-cycles per second", si(rate))]
    return rows


def pe_name(pe, width):
    """Coordinates of a PE from its flat index: '(x, y)'."""
    return f"({pe % width}, {pe // width})"
