"""The summary of a run on one page: heat map, cycles by category, links, time series.  The default of `wse run`."""

from . import figure as base
from . import heatmap, links, stalls, text, timeline


def figure(run):
    """A figure of the page."""
    fig = base.new(14, 10)
    fig.suptitle("\n".join((text.title(run), text.duration(run), text.headline(run))), fontsize=11, color=base.INK)
    draw(fig, run)
    return fig


def draw(panel, run):
    """Draw the page into a panel, a Figure or SubFigure."""
    heat, causes, wires, series = _panels(panel, run)
    heatmap.draw(heat, run, pixels=1000 if max(run.height, run.width) > 500 else 500, small=True)
    _heading(heat, f"Utilization: {heatmap.busiest(run)}")
    stalls.draw(causes, run)
    _heading(causes, "Where the PE-cycles went")
    wires.suptitle(f"Links: {links.busiest(run)}", x=0.02, ha="left", fontsize=10, color=base.INK, fontweight="bold")
    links.draw(wires, run, flat=_is_tall(run))
    _draw_series(panel, series, run)


def _is_tall(run):
    """Whether the heat map has the whole height of the page."""
    return not links.is_map(run, links.SMALL_MAP) and 3 * run.width >= run.height >= 0.75 * run.width


def _panels(fig, run):
    """(axes of the heat map, axes of the categories, subfigure of the links, cell of the time series).

    The heat map of a large grid that is not flat has the whole height of the page, for at least one pixel per PE.
    """
    if _is_tall(run):
        grid = fig.add_gridspec(3, 2, width_ratios=[1, 1], height_ratios=[1, 0.95, 1.1])
        return fig.add_subplot(grid[:, 0]), fig.add_subplot(grid[0, 1]), fig.add_subfigure(grid[1, 1]), grid[2, 1]
    grid = fig.add_gridspec(2, 2, width_ratios=[1.05, 1])
    return fig.add_subplot(grid[0, 0]), fig.add_subplot(grid[0, 1]), fig.add_subfigure(grid[1, 0]), grid[1, 1]


def _draw_series(fig, where, run):
    """Draw the time series, or a note if the run has none."""
    if run.series is None or not len(run.series) or not len(text.bin_lengths(run)):
        axes = fig.add_subplot(where)
        axes.axis("off")
        axes.text(0.5, 0.5, "no time series was recorded", ha="center", va="center", fontsize=9, color="#666666")
        return
    cells = where.subgridspec(3, 1, hspace=0.05)
    first = fig.add_subplot(cells[0])
    rest = [fig.add_subplot(cells[i], sharex=first) for i in (1, 2)]
    timeline.lines([first, *rest], run, small=True)
    _heading(first, "Over time")


def _heading(axes, words):
    """Write the title of a panel."""
    axes.set_title(words, fontsize=10, loc="left", color=base.INK, fontweight="bold")
