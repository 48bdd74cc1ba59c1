"""The picture of a sweep: one quantity over an option, a line for each value of another."""

from matplotlib.ticker import MaxNLocator

from . import figure as common
from .text import OTHER_COLORS

_MOST = 12  # largest number of lines
_MARKERS = "osD^v<>PX*hp"


def figure(shown, title="", ax=None):
    """A figure of a sweep.

    shown: .x, .y (names of the axes), .lines ((x, mean, least, most) in order of x, by label), and .log ("", "x", "y"
    or "xy": logarithmic axes).  A line shows the mean of the points that share an x, a band their range.
    ax: matplotlib Axes of a grid of subplots whose place the picture takes; None: a new figure.  Returns the Figure.
    """
    made = common.canvas(8, 5, ax)
    axes = made.add_subplot()
    colors = (*common.LINES, *OTHER_COLORS)
    for number, (label, points) in enumerate(list(shown.lines.items())[:_MOST]):
        x, middle, least, most = zip(*points, strict=True)
        color = colors[number % len(colors)]
        axes.plot(x, middle, color=color, marker=_MARKERS[number % len(_MARKERS)], markersize=4, label=label)
        if least != middle or most != middle:
            axes.fill_between(x, least, most, color=color, alpha=0.15, linewidth=0)
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        if name in shown.log:
            getattr(axes, f"set_{name}scale")("log")
        elif name == "x" and all(float(at).is_integer() for points in shown.lines.values() for at, *_ in points):
            axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(shown.x)
    axes.set_ylabel(shown.y)
    axes.grid(color=common.FAINT, linewidth=0.5)
    left_out = len(shown.lines) - _MOST
    if len(shown.lines) > 1:
        axes.legend(fontsize=8, title=f"{left_out} more are not drawn" if left_out > 0 else None)
    made.suptitle(title, fontsize=11, color=common.INK)
    return made.get_figure(root=True)
