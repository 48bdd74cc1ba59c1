"""The heat map of a run: for each PE, the share of cycles in which it issued an instruction or an element."""

import numpy as np

from . import figure as base
from . import text

_LABEL = "busy share of the run's cycles"


def figure(run):
    """A figure with the heat map; large grids have at least one pixel per PE."""
    width, height = base.fit(run, 7.5)
    fig = base.new(width + 2.0, height + 1.4, run)
    axes = fig.add_subplot()
    draw(axes, run)
    axes.set_title(busiest(run), fontsize=10, color=base.INK)
    return fig


def busiest(run):
    """The mean and the maximum over the PEs, as text."""
    return base.extremes(text.busy(run), text.percent)


def draw(axes, run, *, pixels=1000, small=False):
    """Draw the heat map into axes.  pixels: largest number of cells per side.  small: use small fonts."""
    base.draw_plane(axes, np.minimum(text.busy(run), 1.0), _LABEL, share=True, pixels=pixels, small=small)
