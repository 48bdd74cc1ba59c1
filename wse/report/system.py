"""The picture of `wse system`: scaling over systems with intervals, parts of a step, timeline of a step.

The functions take any objects with the named attributes.
"""

from pathlib import Path

import numpy as np

from .figure import FAINT, INK, LINES, canvas, save, tidy

_PARTS = (
    ("forward", "#0072B2"),
    ("backward", "#332288"),
    ("starved_forward", "#E69F00"),
    ("starved_backward", "#D55E00"),
    ("blocked", "#CC79A7"),
    ("drain", "#117733"),
    ("updating", "#999933"),
    ("fill", "#88CCEE"),
)
PHASES = {"forward": "#0072B2", "backward": "#332288", "weights": "#E69F00", "update": "#999933"}


def draw(title, rows, spans, path, published=None):
    """Write `figure` to `path`; its ending selects the format.  Raises ConfigError if the file cannot be written."""
    save(figure(title, rows, spans, published), Path(path))


def figure(title, rows, spans, published=None, ax=None):
    """The picture as a Figure.

    rows: one per number of systems: .systems, .speedup, .speedup_interval (.low, .high), .outcome (seconds of a step,
    and of each of `_PARTS`).  spans: (station, phase, layer, begin, end) in seconds.  published: (systems, speedup) to
    mark, or None.  ax: matplotlib Axes of a grid of subplots whose place the picture takes; None: a new figure.
    """
    made = canvas(11, 7, ax)
    panels = made.subplot_mosaic([["scaling", "parts"], ["timeline", "timeline"]], height_ratios=(1.5, 1))
    _draw_scaling(panels["scaling"], rows, published)
    _draw_parts(panels["parts"], rows)
    _draw_timeline(panels["timeline"], spans)
    made.suptitle(title, fontsize=11, color=INK)
    return made.get_figure(root=True)


def _draw_scaling(axes, rows, published):
    """Draw efficiency over the number of systems."""
    systems = np.array([row.systems for row in rows])
    axes.axhline(100, color=FAINT, linewidth=1, label="perfect")
    low = [100 * row.speedup_interval.low / row.systems for row in rows]
    high = [100 * row.speedup_interval.high / row.systems for row in rows]
    axes.fill_between(systems, low, high, color=LINES[0], alpha=0.2, linewidth=0, label="5 to 95 %")
    axes.plot(
        systems,
        [100 * row.speedup / row.systems for row in rows],
        "o-",
        color=LINES[0],
        markersize=4,
        label="simulated",
    )
    if published is not None:
        axes.plot(
            published[0], 100 * published[1] / published[0], "*", color=LINES[1], markersize=11, label="published"
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(systems, [str(n) for n in systems])
    axes.set_xlabel("systems", fontsize=9)
    axes.set_ylabel("efficiency, % of a linear speedup", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)


def _draw_parts(axes, rows):
    """Draw the shares of a step, a bar for each number of systems."""
    names = [str(row.systems) for row in rows]
    left = np.zeros(len(rows))
    for part, color in _PARTS:
        share = np.array([100 * getattr(row.outcome, part) / row.outcome.seconds for row in rows])
        axes.barh(names, share, left=left, color=color, label=part.replace("_", ", "), height=0.65)
        left += share
    axes.invert_yaxis()
    axes.set_xlabel("% of a step", fontsize=9)
    axes.set_ylabel("systems", fontsize=9)
    axes.legend(fontsize=7.5, frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    tidy(axes)


def _draw_timeline(axes, spans):
    """Draw the spans, one row per station, colored by phase."""
    stations = list(dict.fromkeys(span[0] for span in spans))
    for phase, color in PHASES.items():
        own = [span for span in spans if span[1] == phase]
        for station in stations:
            bars = [(span[3], span[4] - span[3]) for span in own if span[0] == station]
            if bars:
                axes.broken_barh(bars, (stations.index(station) - 0.38, 0.76), color=color, linewidth=0)
        if own:
            axes.barh([0], [0], color=color, label=phase)
    axes.set_yticks(range(len(stations)), stations, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("seconds; two steps of the largest cluster", fontsize=9)
    axes.legend(fontsize=7.5, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes)
