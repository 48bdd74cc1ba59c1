"""The activity of the whole fabric over time: Run.series as rates."""

import numpy as np

from ..errors import ConfigError
from . import figure as base
from . import text


def figure(run):
    """A figure of busy and stalled share, wavelet-hops per cycle and flops per cycle over time."""
    fig = base.new(10.5, 7.5, run)
    lines(fig.subplots(3, 1, sharex=True), run)
    return fig


def draw(panel, run):
    """Draw into a panel, a SubFigure."""
    lines(panel.subplots(3, 1, sharex=True), run, small=True)


def lines(axes, run, small=False):
    """Draw into three axes, one above the other.  small: use small fonts."""
    edges, rates = series(run)
    pes = run.width * run.height
    panels = (
        ((("busy", rates[0] / pes), ("stalled on the fabric", rates[3] / pes)), "share of PEs"),
        ((("wavelet-hops", rates[1]),), "wavelet-hops\nper cycle"),
        ((("flops", rates[2]),), "flops\nper cycle"),
    )
    for i, (cell, (curves, label)) in enumerate(zip(axes, panels, strict=True)):
        for j, (name, values) in enumerate(curves):
            color = base.LINES[j if len(curves) > 1 else i + 1]
            if j == 0:
                cell.stairs(values, edges, fill=True, color=color, alpha=0.25)
            cell.stairs(
                values, edges, color=color, linewidth=1.2, label=name, linestyle="-" if j == 0 else "--", baseline=None
            )
        top = max(float(np.max(values, initial=0)) for _, values in curves)
        cell.set_ylim(0, top * 1.08 or 1.0)
        cell.set_ylabel(label, fontsize=8 if small else 9)
        base.tidy(cell)
        if len(curves) > 1:
            cell.yaxis.set_major_formatter(base.percent_ticks(top))
            cell.legend(
                fontsize=7 if small else 8,
                frameon=False,
                ncols=2,
                loc="lower right",
                bbox_to_anchor=(1, 1),
                borderaxespad=0,
            )
        else:
            base.si_ticks(cell.yaxis)
        if i < 2:
            cell.tick_params(labelbottom=False)
    last = axes[-1]
    last.set_xlim(0, edges[-1])
    base.si_ticks(last.xaxis)
    width, clock = text.si(float(run.bin_cycles)), text.si(run.clock_hz, "Hz")
    last.set_xlabel(
        f"cycle ({width} cycles a bin; {text.si(edges[-1] / run.clock_hz, 's')} at {clock} in all)",
        fontsize=8 if small else 9,
    )


def series(run):
    """(edges [bins + 1] in cycles, rates per cycle [4, bins]) of the bins that the run reached.

    Raises ConfigError if the run has no time series.
    """
    lengths = text.bin_lengths(run) if run.series is not None and len(run.series) else np.array([])
    if not len(lengths):
        raise ConfigError("this run has no time series: it was made with bins=0, or it has no cycles")
    edges = np.append(0, np.cumsum(lengths))
    return edges, run.series[: len(lengths)].T / lengths
