"""The heat map of a run: for each PE, the share of cycles in which it issued an instruction or an element."""

from . import figure as base
from . import text

_LABEL = "busy share of the run's cycles"


def figure(run):
    """A figure with the heat map; large grids have at least one pixel per PE."""
    width, height = base.fit(run, 7.5)
    fig = base.new(width + 2.0, height + 1.4, run)
    draw(fig.add_subplot(), run)
    return fig


def draw(axes, run, *, pixels=1000, small=False):
    """Draw the heat map into axes.  pixels: largest number of cells per side.  small: use small fonts."""
    plane = text.busy(run)
    whole = min(1.0, float(plane.max(initial=0)) or 1.0)
    base.draw_plane(axes, plane, _LABEL, vmax=whole, share=True, pixels=pixels, small=small)
