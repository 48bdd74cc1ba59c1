"""The picture of a training run: loss, gradient norm and loss scale, streams and compute of a step, phases of a step.

The functions take any objects with the named attributes.
"""

from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter

from . import text
from .figure import FAINT, INK, LINES, canvas, ink_on, save, tidy

CAUSES = {"dram": "#D55E00", "network": "#E69F00", "edge": "#CC79A7", "fabric": "#332288", "compute": "#0072B2"}
_OTHER = "#999999"


def draw(history, spans, waits, title, path, reference=None, clock_hz=None):
    """Write `figure` to `path`; its ending selects the format.  Raises ConfigError if the file cannot be written."""
    save(figure(history, spans, waits, title, reference, clock_hz), Path(path))


def figure(history, spans, waits, title, reference=None, clock_hz=None, ax=None):
    """The picture as a Figure.

    history: one per step: .step, .loss, .norm, .scale, .skipped.  spans: of one pass: .track, .name, .phase, .begin,
    .end (cycles), .bound_by.  waits: cycles by phase and cause.  reference: losses of the same training in PyTorch.
    clock_hz: for a scale in seconds.  ax: matplotlib Axes of a grid of subplots whose place the picture takes; None: a
    new figure.
    """
    made = canvas(11, 8.5, ax)
    grid = made.add_gridspec(3, 2, height_ratios=(1.2, 1, 0.8))
    draw_loss(made.add_subplot(grid[0, 0]), history, reference)
    _draw_loop(made.add_subplot(grid[0, 1]), history)
    draw_spans(made.add_subplot(grid[1, :]), spans, clock_hz)
    _draw_phases(made.add_subplot(grid[2, :]), waits)
    made.suptitle(title, fontsize=11, color=INK)
    return made.get_figure(root=True)


def draw_loss(axes, history, reference):
    """Draw the loss of each step; mark skipped steps."""
    steps = [h.step for h in history]
    axes.plot(steps, [h.loss for h in history], color=LINES[0], linewidth=1.2, label="on the fabric")
    if reference is not None:
        axes.plot(np.arange(len(reference)), reference, color=LINES[1], linewidth=0.8, label="PyTorch, float32")
    skipped = [h for h in history if h.skipped]
    if skipped:
        axes.plot([h.step for h in skipped], [h.loss for h in skipped], "x", color=LINES[2], label="skipped")
    axes.set_xlabel("step", fontsize=9)
    axes.set_ylabel("loss, nats", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)


def _draw_loop(axes, history):
    """Draw the norm of the gradient and the loss scale of each step."""
    steps = [h.step for h in history]
    norms = [h.norm if np.isfinite(h.norm) else np.nan for h in history]
    axes.semilogy(steps, norms, color=LINES[0], linewidth=1, label="norm of the gradient")
    axes.semilogy(steps, [h.scale for h in history], color=LINES[3], linewidth=1, label="loss scale")
    axes.set_xlabel("step", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)


def draw_spans(axes, spans, clock_hz):
    """Draw spans as bars, one row per track, colored by what bounds them."""
    tracks = list(dict.fromkeys(span.track for span in spans))
    begin = min((span.begin for span in spans), default=0)
    for row, track in enumerate(tracks):
        own = [span for span in spans if span.track == track]
        bars = [(span.begin - begin, max(span.end - span.begin, 1)) for span in own]
        colors = [CAUSES.get(span.bound_by, _OTHER) for span in own]
        axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=colors, edgecolor="white", linewidth=0.3)
    axes.set_yticks(range(len(tracks)), tracks, fontsize=8)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text.si(value)))
    clock = f"; {text.si(1e3 / clock_hz * 1e3, 's')} are 1 M" if clock_hz else ""
    axes.set_xlabel(f"cycles of one pass{clock}", fontsize=9)
    known = [cause for cause in CAUSES if any(span.bound_by == cause for span in spans)]
    for cause in known:
        axes.plot([], [], "s", color=CAUSES[cause], label=f"bound by {cause}")
    if known:
        axes.legend(fontsize=8, frameon=False, ncols=len(known), loc="lower right", bbox_to_anchor=(1, 1))
    tidy(axes)


def _draw_phases(axes, waits):
    """Draw a bar for each phase, with its cycles by cause."""
    longest = max((sum(causes.values()) for causes in waits.values()), default=0)
    for row, (_, causes) in enumerate(waits.items()):
        left = 0
        for cause, cycles in causes.items():
            color = CAUSES.get(cause, _OTHER)
            axes.barh(row, cycles, left=left, height=0.6, color=color)
            if cycles > 0.07 * longest:  # wide enough for the label
                axes.text(left + cycles / 2, row, cause, ha="center", va="center", fontsize=7, color=ink_on(color))
            left += cycles
    axes.set_yticks(range(len(waits)), list(waits), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("cycles", fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text.si(value)))
    axes.grid(axis="x", color=FAINT, linewidth=0.4)
    tidy(axes)
