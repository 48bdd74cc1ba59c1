"""The picture of a sweep of the bandwidth of MemoryX: cycles of a pass, executed and modelled."""

from . import figure as common

_PHASE_COLORS = {"forward": common.LINES[0], "backward": common.LINES[1]}


def figure(knee, title="", ax=None):
    """A figure of a sweep.

    knee: .points (.bandwidth in bytes/s, .cycles, .law, .streaming by phase), .computing (cycles) and .knees (bytes/s)
    by phase; see costs/knee.py.  ax: matplotlib Axes of a grid of subplots whose place the picture takes; None: a new
    figure.  Returns the Figure.
    """
    made = common.canvas(8, 5, ax)
    axes = made.add_subplot()
    points = sorted(knee.points, key=lambda point: point.bandwidth)
    x = [point.bandwidth / 1e9 for point in points]
    axes.loglog(
        x, [point.law for point in points], color=common.FAINT, linewidth=4, label="model: the longer by operator"
    )
    axes.loglog(x, [point.cycles for point in points], "o", color=common.INK, label="executed")
    for phase, color in _PHASE_COLORS.items():
        axes.loglog(x, [point.streaming[phase] for point in points], "--", color=color, linewidth=1)
        axes.axhline(knee.computing[phase], color=color, linewidth=1)
        at = knee.knees[phase] / 1e9
        axes.axvline(at, color=color, linewidth=0.8, linestyle=":")
        axes.annotate(
            f"{phase}: {at:,.0f} GB/s",
            (at, knee.computing[phase]),
            (4, 4),
            textcoords="offset points",
            fontsize=8,
            color=color,
        )
    axes.plot([], [], color=common.INK, linewidth=1, label="computing alone, by phase")
    axes.plot([], [], "--", color=common.INK, linewidth=1, label="streaming alone, by phase")
    axes.set_xlabel("bandwidth of MemoryX's memory for a whole wafer, GB/s")
    axes.set_ylabel("cycles")
    axes.grid(color=common.FAINT, linewidth=0.4, which="both")
    axes.legend(fontsize=8)
    made.suptitle(title, fontsize=11, color=common.INK)
    return made.get_figure(root=True)
