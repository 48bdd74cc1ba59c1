"""PE-cycles by category: busy, stalled by cause, idle.  Each cycle of each PE belongs to exactly one category."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from . import figure as base
from . import text

GROUPS = 200  # largest number of bars in a panel
_SINGLE = 64  # largest number of PEs with a bar each


def figure(run):
    """A figure: the whole fabric as one stacked bar; below, bars by PE, or by column and row of a larger grid."""
    one_each = run.width * run.height <= _SINGLE
    fig = base.new(10.5, 6.2 if one_each else 8.2, run)
    rows = fig.subplots(2 if one_each else 3, 1, height_ratios=[1, 3.2] if one_each else [1, 2.4, 2.4])
    whole(rows[0], run)
    planes = text.causes(run)
    if one_each:
        labels = [text.pe_name(pe, run.width) for pe in range(run.width * run.height)]
        stack(rows[1], {name: plane.ravel() for name, plane in planes.items()}, "PE (x, y)", labels)
    else:
        stack(rows[1], {name: plane.sum(axis=0) for name, plane in planes.items()}, "x: mean over each column of PEs")
        stack(rows[2], {name: plane.sum(axis=1) for name, plane in planes.items()}, "y: mean over each row of PEs")
    found = text.shares(run)
    handles = [_handle(name, f"{text.cause_words(name)}  {text.percent(share)}") for name, share in found.items()]
    fig.legend(
        handles=handles,
        loc="outside right upper",
        fontsize=9,
        frameon=False,
        title="share of PE-cycles",
        alignment="left",
    )
    return fig


def _handle(name, label):
    """A legend entry."""
    return Patch(facecolor=text.cause_color(name), edgecolor="#888888", linewidth=0.4, label=label)


def whole(axes, run):
    """Draw the shares of the whole fabric as one stacked bar.  Wide parts are labelled."""
    left = 0.0
    found = text.shares(run)
    for name in text.causes(run):
        share = found.get(name, 0.0)
        if not share:
            continue
        color = text.cause_color(name)
        axes.barh(0, share, left=left, height=0.8, color=color, edgecolor="white", linewidth=0.8)
        if share >= 0.08:
            words = text.cause_words(name).replace(": ", ":\n")
            axes.text(
                left + share / 2, 0, words, ha="center", va="center", fontsize=8, color=base.ink_on(to_rgb(color))
            )
        left += share
    axes.set_xlim(0, max(left, 1e-9))
    axes.set_yticks([])
    axes.set_xlabel("share of all PE-cycles", fontsize=9)
    axes.xaxis.set_major_formatter(base.percent_ticks(1))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw(axes, run):
    """Draw one bar per category, longest first, for a small panel."""
    found = text.shares(run)
    names = list(found)[:9]
    rest = sum(list(found.values())[9:])
    values = [found[name] for name in names] + ([rest] if rest else [])
    labels = [text.cause_words(name) for name in names] + (["others"] if rest else [])
    colors = [text.cause_color(name) for name in names] + (["#AAAAAA"] if rest else [])
    places = np.arange(len(values))
    axes.barh(places, values, color=colors, edgecolor="#888888", linewidth=0.4)
    axes.set_yticks(places, labels, fontsize=8)
    axes.invert_yaxis()
    top = max(values, default=1.0)
    for place, value in zip(places, values, strict=True):
        axes.text(value + 0.012 * top, place, text.percent(value), va="center", fontsize=8, color=base.INK)
    axes.set_xlim(0, top * 1.16)
    axes.set_xlabel("share of PE-cycles", fontsize=9)
    axes.xaxis.set_major_formatter(base.percent_ticks(top))
    base.tidy(axes)
    axes.grid(False, axis="y")


def stack(axes, lines, label, labels=None):
    """Draw stacked shares along an axis of the grid.

    lines: cycles [n] by category, for n PEs, columns or rows.  More than GROUPS are summed in groups.  label: of the
    axis.  labels: of the bars.
    """
    names = [name for name, values in lines.items() if np.any(values)]
    if not names:
        names = list(lines)[:1]
    table = np.array([lines[name] for name in names], dtype=float)
    count = table.shape[1]
    step = max(1, -(-count // GROUPS))
    table = np.add.reduceat(table, np.arange(0, count, step), axis=1)
    total = table.sum(axis=0)
    table = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    edges = np.append(np.arange(0, count, step), count) - 0.5
    base_line = np.zeros(table.shape[1])
    for name, values in zip(names, table, strict=True):
        color = text.cause_color(name)
        if len(values) <= _SINGLE:
            axes.bar(
                edges[:-1],
                values,
                np.diff(edges),
                bottom=base_line,
                align="edge",
                color=color,
                edgecolor="white",
                linewidth=0.5,
            )
        else:
            axes.stairs(base_line + values, edges, baseline=base_line, fill=True, color=color, linewidth=0)
        base_line = base_line + values
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(0, 1)
    axes.set_xlabel(label if step == 1 else f"{label}, {step} to a bar", fontsize=9)
    axes.set_ylabel("share of cycles", fontsize=9)
    axes.yaxis.set_major_formatter(base.percent_ticks(1))
    axes.tick_params(labelsize=8)
    if labels is not None:
        axes.set_xticks(np.arange(count), labels, rotation=90 if count > 12 else 0, fontsize=7 if count > 32 else 8)
    axes.spines[["top", "right"]].set_visible(False)
