"""Common parts of all pictures: figures, colors, planes over the grid, axes, saving.

Figures are matplotlib.figure.Figure objects, saved through the Agg, SVG and PDF backends.  pyplot and its global state
are not used, so that several threads may draw at the same time.
"""

import io

import numpy as np
from matplotlib.colors import Normalize, PowerNorm, to_rgb
from matplotlib.figure import Figure, FigureBase
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from .. import files
from ..errors import ConfigError
from . import text

LINES = ("#0072B2", "#D55E00", "#117733", "#CC79A7")
HEAT, LOAD = "viridis", "cividis"
_MARKS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)  # ticks of a scale of 0 to 1
INK, FAINT = "#222222", "#BBBBBB"
_DPI = 150
# A grid whose sides differ by more than this factor is stretched: with square PEs it would be too thin.
ELONGATED = 6


class Picture(Figure):
    """A figure that notebooks show."""

    def _repr_png_(self):
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=100)
        return data.getvalue()


def canvas(width, height, ax=None):
    """What to draw a picture into: a new figure of width x height inches, or a SubFigure in the place of `ax`."""
    return new(width, height) if ax is None else panel_of(ax)


def axes_of(place):
    """Axes in a Figure or SubFigure; axes are their own."""
    return place.add_subplot() if isinstance(place, FigureBase) else place


def panel_of(place):
    """A SubFigure in the place of axes, which are removed; a Figure or SubFigure is its own."""
    if isinstance(place, FigureBase):
        return place
    cell = place.get_subplotspec()
    if cell is None:
        raise ConfigError("this picture consists of several axes: ax must be of a grid of subplots, or a figure")
    parent = place.get_figure(root=False)
    place.remove()
    return parent.add_subfigure(cell)


def new(width, height, run=None):
    """An empty figure of width x height inches; with a run, titled with its configuration and duration."""
    figure = Picture(
        figsize=(width, height), dpi=_DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08), facecolor="white"
    )
    if run is not None:
        figure.suptitle(f"{text.title(run)}\n{text.duration(run)}", fontsize=11, color=INK)
    return figure


def save(figure, path):
    """Write a figure to a file (a Path) in the format of its ending.  Raises ConfigError if that fails."""
    import matplotlib

    ending = path.suffix.lower()
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending)
    try:
        # The salt makes ids in SVG files the same every time, so that equal runs give equal files.
        with matplotlib.rc_context({"svg.hashsalt": "wse"}), files.replacing(path) as file:
            figure.savefig(file, format=ending[1:], metadata=metadata)
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def fit(run, longest, least=2.2):
    """(width, height) in inches of a panel for the grid: the longer side is `longest`, the other at least `least`."""
    if max(run.width, run.height) > ELONGATED * min(run.width, run.height):
        return (longest, max(least, longest / 3)) if run.width >= run.height else (max(least, longest / 3), longest)
    scale = longest / max(run.width, run.height)
    return max(least, run.width * scale), max(least, run.height * scale)


def whole_scale():
    """The scale of colors for numbers of 0 to 1, the same in every picture.

    The color goes with the square root, so that a few percent can be told from none.
    """
    return PowerNorm(0.5, vmin=0, vmax=1)


def whole_ticks(axis, share):
    """Sets the ticks of an axis of 0 to 1: in percent if they are shares."""
    axis.set_major_locator(FixedLocator(_MARKS))
    axis.set_minor_locator(FixedLocator([]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %" if share else f"{value:g}"))


def extremes(plane, words):
    """The mean and the maximum of a plane as text.  words: writes one number."""
    plane = np.asarray(plane, dtype=float)
    return f"mean {words(plane.mean() if plane.size else 0.0)}, maximum {words(plane.max(initial=0))}"


def cell_side(shape, pixels):
    """PEs per side of a cell, so that a plane of this shape has at most `pixels` rows and columns of cells."""
    return max(1, -(-max(shape) // max(1, pixels)))


def cell_words(side, most):
    """What a cell of side x side PEs shows, for a label: ""; their mean; their maximum, if `most`."""
    return f"{'maximum' if most else 'mean'} of {side} x {side} PEs a cell" if side > 1 else ""


def shrink(plane, step, most=False):
    """The plane [h, w] with a cell for each square of `step` x `step` PEs: their mean, or their maximum."""
    height, width = plane.shape
    if step == 1:
        return plane
    join = np.maximum if most else np.add
    cells = join.reduceat(join.reduceat(plane, np.arange(0, height, step), axis=0), np.arange(0, width, step), axis=1)
    if most:
        return cells
    tall = np.diff(np.append(np.arange(0, height, step), height))
    wide = np.diff(np.append(np.arange(0, width, step), width))
    return cells / np.outer(tall, wide)


def draw_plane(
    axes, plane, label, *, cmap=HEAT, vmax=None, share=False, most=False, pixels=1000, bar=True, small=False
):
    """Draw a plane [h, w] of one number per PE as an image, with the north-west PE at the top left.

    label: of the color bar, which bar=False omits.  vmax: number of the highest color; None: the scale of 0 to 1.
    share: show numbers in percent, and in the cells if the grid is small.  pixels: largest number of cells per side; a
    cell of several PEs is their mean, or the maximum if `most` is set.  small: use small fonts.  A long grid that is
    one PE wide is drawn as a line instead.
    """
    height, width = plane.shape
    if min(width, height) == 1 and max(width, height) > 16:
        return _draw_line(axes, plane.ravel(), label, "x" if height == 1 else "y", share=share)
    step = cell_side(plane.shape, pixels)
    cells = shrink(np.asarray(plane, dtype=float), step, most)
    image = axes.imshow(
        cells,
        cmap=cmap,
        norm=whole_scale() if vmax is None else Normalize(0, vmax),
        interpolation="none",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        aspect="auto" if max(width, height) > ELONGATED * min(width, height) else "equal",
    )
    grid_axes(axes, width, height, small)
    if bar:
        label = "; ".join(filter(None, (label, cell_words(step, most))))
        colorbar = axes.figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02, aspect=30)
        colorbar.set_label(label, fontsize=7 if small else 9)
        colorbar.ax.tick_params(labelsize=7 if small else 8)
        if vmax is None:
            whole_ticks(colorbar.ax.yaxis, share)
    if share and max(width, height) <= 16:
        annotate(axes, cells, image)
    return image


def _draw_line(axes, values, label, axis, *, share=False):
    """Draw the values of a grid that is one PE wide over the position.  axis: "x" or "y"."""
    places = np.arange(len(values) + 1) - 0.5
    axes.stairs(values, places, fill=True, color=LINES[0], alpha=0.35)
    axes.stairs(values, places, color=LINES[0], linewidth=1)
    axes.set_xlim(-0.5, len(values) - 0.5)
    top = float(np.max(values, initial=0)) or 1.0
    axes.set_ylim(0, min(1.0, 1.05 * top) if share else 1.05 * top)
    if share:
        axes.yaxis.set_major_formatter(percent_ticks(top))
    axes.set_xlabel(f"{axis} of the PE", fontsize=9)
    axes.set_ylabel(label, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axes)
    return None


def annotate(axes, cells, image):
    """Write the share of each cell in percent into the cell."""
    height, width = cells.shape
    size = min(11.0, 90 / max(width, height))
    for y, x in np.ndindex(cells.shape):
        words = text.percent(cells[y, x]) if width <= 6 else f"{100 * cells[y, x]:.0f}"
        axes.text(x, y, words, ha="center", va="center", fontsize=size, color=ink_on(image.to_rgba(cells[y, x])))


def ink_on(color):
    """ "white" or "black", whichever is legible on the color, in any form that matplotlib takes."""
    red, green, blue = to_rgb(color)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "black"


def grid_axes(axes, width, height, small=False):
    """Label axes with PEs: x to the east, y to the south, integers."""
    size = 7 if small else 9
    axes.set_xlabel("x (PE, to the east)" if not small else "x", fontsize=size)
    axes.set_ylabel("y (PE, to the south)" if not small else "y", fontsize=size)
    axes.tick_params(labelsize=size - 1)
    for axis, n in ((axes.xaxis, width), (axes.yaxis, height)):
        if n <= 8:
            axis.set_major_locator(FixedLocator(range(n)))
        else:
            crowded = 2 if small and axis is axes.yaxis and width > 2 * height else 4
            axis.set_major_locator(MaxNLocator(nbins=crowded if small else 8, integer=True, min_n_ticks=1))


def percent_ticks(whole):
    """A formatter of shares in percent, with digits for an axis that ends at the share `whole`."""
    digits = 0 if whole >= 0.05 else 1 if whole >= 0.005 else 3
    return FuncFormatter(lambda value, _: f"{100 * value:.{digits}f} %")


def si_ticks(axis):
    """Set tick labels with SI prefixes, such as 20 k."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: text.si(value) if value else "0"))


def tidy(axes):
    """Remove the upper and right spines, and add a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.grid(True, color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
