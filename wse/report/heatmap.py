"""Utilization over the grid: which PEs issued something, and in what share of the run's cycles."""

from . import figure as base
from . import text

LABEL = "busy share of the run's cycles"


def figure(run):
    """The heat map alone.  Large grids get a pixel or more per PE."""
    width, height = base.fit(run, 7.5)
    fig = base.new(width + 2.0, height + 1.4, run)
    draw(fig.add_subplot(), run)
    return fig


def draw(axes, run, *, pixels=1000, small=False):
    """The heat map into given axes."""
    plane = text.busy(run)
    whole = min(1.0, float(plane.max(initial=0)) or 1.0)
    base.draw_plane(axes, plane, LABEL, vmax=whole, share=True, pixels=pixels, small=small)
