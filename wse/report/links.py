"""Pictures of the traffic per link: utilization, and cycles that wavelets waited for the link.

A small grid is drawn as a map: PEs as squares, an arrow for each link from a PE to its neighbor, and the ramp as the
color of the square.  A large grid is drawn as one image per direction, a grid that is one PE wide as one line per
direction.
"""

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from . import figure as base
from . import text

_MAP, SMALL_MAP = 32, 16  # longest side of a grid that is drawn with arrows: as a figure, in a panel
# Cells per side of an image, at most: each has two pixels of the picture, so that a single busy row is not lost.
_PIXELS, _PANEL_PIXELS = 300, 120
_WRITTEN = 5  # longest side of a grid whose arrows are labelled with numbers
STEP = ((0, -1), (1, 0), (0, 1), (-1, 0))  # N E S W
# In PEs: half the side of a square, distance of an arrow from the center line, thickness of an arrow.
_ROOMY, _DENSE = (0.24, 0.085, 0.055), (0.16, 0.11, 0.13)
LOAD = "load: wavelets per cycle"
WAIT = "backpressure: wavelets waiting, mean"


def figure(run):
    """A figure of the load and the backpressure of all links."""
    planes = ((run.links, LOAD), (run.blocked, WAIT))
    if is_map(run):
        flat = run.width > 2 * run.height
        scale = (11.0 if flat else 6.0) / max(run.width, run.height)
        width, height = max(run.width * scale, 3.0), max(run.height * scale, 1.6)
        fig = base.new(*((width + 1.6, 2 * height + 2.2) if flat else (2 * width + 2.8, height + 1.6)), run)
        panels = fig.subplots(2, 1) if flat else fig.subplots(1, 2)
        for axes, (plane, label) in zip(panels, planes, strict=True):
            _draw_map(axes, rate(run, plane), label)
    elif min(run.width, run.height) == 1:
        fig = base.new(11, 7, run)
        for axes, (plane, label) in zip(fig.subplots(2, 1, sharex=True), planes, strict=True):
            _draw_lines(axes, rate(run, plane), label)
    else:
        width, height = base.fit(run, 4.2, least=1.6)
        fig = base.new(5 * width + 1.6, 2 * height + 2.0, run)
        rows = fig.subplots(2, 5, sharex=True, sharey=True)
        for axes, (plane, label) in zip(rows, planes, strict=True):
            _draw_images(axes, rate(run, plane), label, pixels=_PIXELS)
    return fig


def busiest(run):
    """The mean and the maximum load of the links between PEs, as text."""
    return base.extremes(rate(run, run.links[:4]), number)


def is_map(run, longest=_MAP):
    """Whether the grid is small enough to be drawn with arrows."""
    return max(run.width, run.height) <= longest


def rate(run, plane):
    """Counts [5, h, w] divided by the cycles of the run."""
    return plane / max(run.cycles, 1)


def draw(panel, run, flat=False):
    """Draw the load of all links into a panel, a SubFigure.  flat: it is much wider than high."""
    load = rate(run, run.links)
    if is_map(run, SMALL_MAP):
        _draw_map(panel.add_subplot(), load, LOAD, small=True)
    elif min(run.width, run.height) == 1:
        _draw_lines(panel.add_subplot(), load, LOAD)
    else:
        rows, columns = (1, 4) if flat else (4, 1) if run.width > 2 * run.height else (2, 2)
        cells = panel.subplots(rows, columns, sharex=True, sharey=True)
        _draw_images(cells.ravel(), load[:4], LOAD, pixels=_PANEL_PIXELS, small=True)


def _draw_map(axes, load, label, small=False):
    """Draw a load [5, h, w] as squares and arrows into axes."""
    _, height, width = load.shape
    written = max(width, height) <= _WRITTEN
    half, lane, thick = _ROOMY if written else _DENSE
    norm = _scale(load, label)
    tails, vectors, values = arrows(load, half, lane)
    idle = values == 0
    head = 2.6 if written else 2.0
    style = {"angles": "xy", "scale_units": "xy", "scale": 1, "units": "xy", "zorder": 2, "headwidth": head}
    style |= {"headlength": head, "headaxislength": head}
    axes.quiver(*tails[idle].T, *vectors[idle].T, color="#E0E0E0", width=thick / 3, **style)
    if not idle.all():
        axes.quiver(*tails[~idle].T, *vectors[~idle].T, values[~idle], cmap=base.LOAD, norm=norm, width=thick, **style)
    ys, xs = np.mgrid[:height, :width]
    corners = zip(xs.ravel() - half, ys.ravel() - half, strict=True)
    squares = [Rectangle(corner, 2 * half, 2 * half) for corner in corners]
    ramps = PatchCollection(squares, cmap=base.LOAD, norm=norm, edgecolor="#777777", linewidth=0.5, zorder=3)
    ramps.set_array(load[4].ravel())
    axes.add_collection(ramps)
    if written:
        _write_numbers(axes, load, tails, vectors, values, ramps, 6.5 if small else 8)
    heads = tails + vectors
    margin = half + 0.1
    axes.set_xlim(min(-margin, heads[:, 0].min(initial=0)), max(width - 1 + margin, heads[:, 0].max(initial=0)))
    axes.set_ylim(max(height - 1 + margin, heads[:, 1].max(initial=0)), min(-margin, heads[:, 1].min(initial=0)))
    axes.set_aspect("equal")
    base.grid_axes(axes, width, height, small)
    axes.spines[:].set_visible(False)
    _color_bar(ramps, axes, label, "squares: ramp", below=width > 2 * height, small=small)


def _scale(load, label):
    """The scale of colors: of a load 0 to 1, else up to the largest."""
    return base.whole_scale() if label == LOAD else Normalize(0, float(load.max(initial=0)) or 1.0)


def _color_bar(shown, axes, label, note, below, small):
    """Add a color bar to the right, or below."""
    where = {"location": "bottom", "shrink": 0.7, "aspect": 45, "pad": 0.03} if below else {"shrink": 0.9, "pad": 0.02}
    first = np.ravel(axes)[0]
    bar = first.figure.colorbar(shown, ax=axes if axes is first else list(axes), **where)
    bar.set_label(f"{label}; {note}" if note else label, fontsize=7 if small else 9)
    if label == LOAD:
        base.whole_ticks(bar.ax.xaxis if below else bar.ax.yaxis, share=False)
    bar.ax.tick_params(labelsize=7 if small else 8)


def arrows(load, half, lane):
    """(tails [n, 2], vectors [n, 2], values [n]) of links: all inside the grid, those off its edge with traffic."""
    _, height, width = load.shape
    ys, xs = np.mgrid[:height, :width]
    tails, vectors, values = [], [], []
    for port, (dx, dy) in enumerate(STEP):
        inside = (xs + dx >= 0) & (xs + dx < width) & (ys + dy >= 0) & (ys + dy < height)
        shown = inside | (load[port] > 0)
        x, y = xs[shown], ys[shown]
        # Shift to the right of the direction: (dx, dy) rotated by 90 degrees, y to the south.
        tails.append(np.stack([x + dx * half - dy * lane, y + dy * half + dx * lane], axis=1))
        length = np.where(inside[shown], 1 - 2 * half, 0.5)
        vectors.append(np.stack([dx * length, dy * length], axis=1))
        values.append(load[port][shown])
    return np.concatenate(tails), np.concatenate(vectors), np.concatenate(values)


def _write_numbers(axes, load, tails, vectors, values, ramps, size):
    """Write the value of each link beside its arrow, and of each ramp into its square."""
    for (x, y), (dx, dy), value in zip(tails, vectors, values, strict=True):
        if value:
            # On the outer side of the arrow.
            side = np.array([-np.sign(dy), np.sign(dx)]) * 0.075
            place = (x + dx / 2 + side[0], y + dy / 2 + side[1])
            align = (
                {"ha": "center", "va": "top" if dx > 0 else "bottom"}
                if dx
                else {"ha": "right" if dy > 0 else "left", "va": "center"}
            )
            axes.text(*place, number(value), fontsize=size, color=base.INK, **align)
    for y, x in np.ndindex(load[4].shape):
        value = load[4, y, x]
        ink = base.ink_on(ramps.to_rgba(value))
        axes.text(x, y, number(value), ha="center", va="center", fontsize=size, color=ink, zorder=4)


def number(value):
    """A short form of a value: two decimals, without a leading zero."""
    if value == 0:
        return "0"
    if value < 0.005:
        return "<.01"
    words = f"{value:.2f}" if value < 10 else f"{value:.0f}"
    return words[1:] if words.startswith("0.") else words


def _draw_images(axes, load, label, pixels, small=False):
    """Draw one image per port, with a common color scale."""
    vmax = None if label == LOAD else float(load.max(initial=0)) or 1.0
    for i, (cell, plane) in enumerate(zip(axes, load, strict=True)):
        image = base.draw_plane(
            cell, plane, label, cmap=base.LOAD, vmax=vmax, most=True, pixels=pixels, bar=False, small=True
        )
        words = text.PORTS[i] if i == 4 else f"to the {text.PORTS[i]}"
        cell.set_title(f"{words}\n{base.extremes(plane, number)}", fontsize=7 if small else 9, pad=3)
        cell.label_outer()
    height, width = plane.shape
    note = base.cell_words(base.cell_side(plane.shape, pixels), most=True)
    _color_bar(image, axes, label, note, below=small or width > 2 * height, small=small)


def _draw_lines(axes, load, label):
    """Draw one line per port over the position in a row or a column of PEs."""
    _, height, width = load.shape
    edges = np.arange(max(width, height) + 1) - 0.5
    styles = ("-", "-", "--", "--", ":")
    colors = (base.LINES[2], base.LINES[0], base.LINES[3], base.LINES[1], "#555555")
    for port, plane in enumerate(load):
        if plane.any():
            axes.stairs(
                plane.ravel(), edges, baseline=None, color=colors[port], linestyle=styles[port], label=text.PORTS[port]
            )
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, (float(load.max(initial=0)) or 1.0) * 1.05)
    axes.set_xlabel(f"{'x' if height == 1 else 'y'} of the PE", fontsize=9)
    axes.set_ylabel(label, fontsize=9)
    base.tidy(axes)
    if load.any():
        axes.legend(fontsize=8, frameon=False, ncols=5, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
