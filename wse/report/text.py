"""The words and numbers of a Run that pictures, pages and the terminal share.  NumPy only."""

import math

import numpy as np

PORTS = ("north", "east", "south", "west", "ramp")
BUSY, STALL, IDLE = "busy_", "stall_", "idle"

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}


def si(value, unit=""):
    """1234567 -> '1.23 M': three digits and a prefix."""
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
    """0.1234 -> '12.3 %'."""
    return f"{100 * share:.1f} %"


def is_cause(name):
    """Whether a counter is one of those that share out a PE's cycles (counters.def)."""
    return name.startswith((BUSY, STALL)) or name == IDLE


def cause_words(name):
    """'stall_input' -> 'stall: input'."""
    group, _, rest = name.partition("_")
    return f"{group}: {rest}" if rest else group


def causes(run):
    """name -> plane [h, w] of cycles, in the order of counters.def.  Their sum is the PE's cycles."""
    return {name: plane for name, plane in run.counters.items() if is_cause(name)}


def shares(run):
    """name -> share of all PE-cycles, largest first; causes that never happened are left out."""
    totals = {name: int(plane.sum(dtype=np.uint64)) for name, plane in causes(run).items()}
    whole = sum(totals.values()) or 1
    found = {name: total / whole for name, total in totals.items() if total}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def busy(run):
    """Plane [h, w]: share of the run's cycles in which each PE issued something."""
    plane = np.zeros((run.height, run.width))
    for name, cycles in causes(run).items():
        if name.startswith(BUSY):
            plane += cycles
    return plane / max(run.cycles, 1)


def bin_lengths(run):
    """Cycles that each bin of the series covers; the last one with something in it is cut at the run's end."""
    bins = len(run.series)
    starts = np.arange(bins, dtype=np.int64) * int(run.bin_cycles)
    lengths = np.clip(int(run.cycles) - starts, 0, int(run.bin_cycles))
    return lengths[lengths > 0]


def name_of(run):
    """The kernel's name, or 'run' if the run does not record one."""
    return str(run.meta.get("kernel") or "run")


def title(run):
    """One line: kernel, machine, grid."""
    return f"{name_of(run)} on {run.machine} ({run.profile}), {run.width} x {run.height} PEs"


def duration(run):
    """One line: cycles, time at the clock, how the run ended unless it was done."""
    seconds = run.cycles / run.clock_hz if run.clock_hz else math.nan
    words = f"{run.cycles:,} cycles, {si(seconds, 's')} at {si(run.clock_hz, 'Hz')}"
    return words if run.ended == "done" else f"{words}, ended: {run.ended}"


def headline(run):
    """One line: utilization, flop/s, traffic."""
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
    """(what, value) rows: the numbers of a run worth a table."""
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
    """Flat index -> '(x, y)'."""
    return f"({pe % width}, {pe // width})"
