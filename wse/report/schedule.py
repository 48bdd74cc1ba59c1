"""The schedule of a traced run: tasks, operations and their waits as bars over time."""

from collections import Counter

import numpy as np

from ..errors import ConfigError
from ..trace import events, intervals
from . import figure as base
from . import text

_LANES = 40  # main threads and microthreads that a figure shows
BARS = 20_000
Bar = tuple[int, int, int, str]  # row, first cycle, cycles, name
_PALETTE = (
    "#0072B2",
    "#E69F00",
    "#117733",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#999933",
    "#332288",
    "#882255",
    "#44AA99",
)


def figure(run):
    """A figure of the first PEs with events.  Raises ConfigError if the run has no events."""
    fig = base.new(13, max(3.0, 1.8 + 0.26 * len(_shown(run))), run)
    axes = fig.add_subplot()
    draw(axes, run)
    if (legend := axes.get_legend()) is not None:
        handles, labels = axes.get_legend_handles_labels()
        legend.remove()
        fig.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    return fig


def _shown(run):
    """The lanes of a figure.  Raises ConfigError if the run has no events."""
    if run.events is None or not len(run.events):
        raise ConfigError(
            "this run has no events: trace it (`wse run ... --trace FILE.npz`, or Fabric(program, trace=N))"
        )
    return sorted(lane for lane in events.lanes(run) if lane[1] != events.WAVELETS)[:_LANES]


def draw(axes, run):
    """Draw into axes.  Tasks are tall grey bars, operations are colored by instruction, their waits are hatched."""
    shown = _shown(run)
    rows = {lane: row for row, lane in enumerate(shown)}
    tasks: list[Bar] = []
    waits: list[Bar] = []
    operations: dict[str, list[Bar]] = {}
    names: Counter[str] = Counter()
    count = 0
    table, words, _ = intervals.intervals(run)
    pes = np.unique([pe for pe, _ in shown])
    table = table[np.isin(table["pe"], pes) & (table["kind"] != intervals.LANDING)]
    table = table[np.argsort(table["start"], kind="stable")]
    columns = [table[name].tolist() for name in ("pe", "lane", "start", "end", "name", "kind")]
    for pe, lane, start, end, name, kind in zip(*columns, strict=True):
        row = rows.get((pe, events.MAIN if lane == intervals.MAIN else lane))
        if row is None:
            continue
        count += 1
        if count > BARS:
            break
        bar = (row, start, max(end - start, 1), words[name])
        match intervals.KINDS[kind]:
            case events.WAIT:
                waits.append(bar)
            case events.TASK:
                tasks.append(bar)
            case _:
                operations.setdefault(words[name], []).append(bar)
                names[words[name]] += bar[2]
    _draw_bars(axes, tasks, 0.86, "#D9D9D9", "tasks")
    for i, (name, _) in enumerate(names.most_common()):
        color = _PALETTE[i] if i < len(_PALETTE) else "#777777"
        _draw_bars(axes, operations[name], 0.5, color, name if i < len(_PALETTE) else None)
    _draw_bars(axes, waits, 0.5, "#FFFFFF", "waits", hatched=True)
    for row, start, length, name in tasks:
        if length > run.cycles / 25:
            axes.text(start, row - 0.34, f" {name}", fontsize=6, va="center", color="#555555", clip_on=True)
    axes.set_yticks(
        range(len(shown)), [f"{text.pe_name(pe, run.width)} {events.lane_name(lane)}" for pe, lane in shown]
    )
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, max(run.cycles, 1))
    left_out = f"; only the first {BARS:,} bars" if count > BARS else ""
    left_out += f"; {run.events_dropped:,} later events were not recorded" if run.events_dropped else ""
    axes.set_xlabel(f"cycle{left_out}", fontsize=9)
    base.tidy(axes)
    axes.tick_params(axis="y", labelsize=7)
    base.si_ticks(axes.xaxis)
    if tasks or operations:
        axes.legend(fontsize=8, frameon=False)


def _draw_bars(axes, bars, height, color, label, hatched=False):
    """Draw bars of one color as one collection; hatched: grey lines over them."""
    from matplotlib.collections import PolyCollection

    if not bars:
        return
    corners = []
    for row, start, length, _ in bars:
        top, bottom = row - height / 2, row + height / 2
        corners.append([(start, top), (start + length, top), (start + length, bottom), (start, bottom)])
    edge, hatch = ("#999999", "////") if hatched else ("white", None)
    axes.add_collection(
        PolyCollection(corners, facecolor=color, edgecolor=edge, linewidth=0.3, label=label, hatch=hatch)
    )
