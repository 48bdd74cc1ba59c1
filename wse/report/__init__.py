"""Pictures of a Run.  matplotlib is imported in this package only, when a picture is drawn.

    plot(run, "run.png")                    a page: heat map, stall causes, links, time series
    plot(run, "run.svg", kind="heatmap")    a single picture; the file's ending selects PNG, SVG or PDF
    plot(run, "run.gif")                    an animation of the activity; GIF, or MP4 if ffmpeg is installed
    plot(run, "run.html")                   the explorer: an interactive page of a run
    explore([before, after], "both.html")   the explorer of two runs, and their difference
    draw(run, "heatmap", ax)                a single picture, into matplotlib axes; what Run.plot calls

The module `text` formats figures for pictures and the terminal, without matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..fabric.run import Run

# Modules of this package.  Each has functions figure(run) and draw(place, run); animation has write(run, path) instead.
KINDS = ("summary", "heatmap", "stalls", "links", "timeline", "schedule", "animation")
SINGLE = ("heatmap", "stalls", "schedule")  # are drawn into axes, the others into a figure or subfigure
STILL = (".png", ".svg", ".pdf")
MOVING = (".gif", ".mp4")
ENDINGS = (*STILL, ".html", *MOVING)


def plot(run: Run, path: str | Path, kind: str | None = None) -> Path:
    """Write a picture of a run to a file; returns its path.

    path: its ending selects the format.  kind: one of KINDS; None: an animation for .gif and .mp4, else the summary.
    Raises ConfigError as `check`, if the run lacks what the picture shows, and if the file cannot be written.
    """
    path = Path(path)
    kind = check(path, kind)
    if path.suffix.lower() == ".html":
        from . import page

        page.write([run], path)
    elif kind == "animation":
        from . import animation

        animation.write(run, path)
    else:
        from .figure import save

        save(import_module(f".{kind}", __name__).figure(run), path)
    return path


def explore(runs: Sequence[Run], path: str | Path) -> Path:
    """Write the explorer of one run, or of two that are compared, to a file; returns its path.

    The page works in a browser without a network.  Code and routes need a run of Fabric(..., detail=True), timelines a
    traced run.  Raises ConfigError as `check`, if the name does not end in .html, for another number of runs, and if
    the file cannot be written.
    """
    from . import page

    path = Path(path)
    check(path)
    if path.suffix.lower() != ".html":
        raise ConfigError(f"the explorer is a page, and {str(path)!r} does not end in .html")
    if not 1 <= len(runs) <= 2:
        raise ConfigError(f"the explorer shows one run, or two that are compared, not {len(runs)}")
    page.write(runs, path)
    return path


def draw(run: Run, kind: str = "summary", ax: Any = None) -> Any:
    """Draw a picture of a run into matplotlib axes, or into a new figure.  Returns the matplotlib Figure.

    kind: one of KINDS, but animation.  ax: Axes, or a Figure or SubFigure; pictures of several axes take the place of
    Axes, which must be of a grid of subplots.  Raises ConfigError for an unknown kind, for a run that lacks what the
    picture shows, and for axes that a picture cannot take the place of.
    """
    if kind not in KINDS or kind == "animation":
        known = [name for name in KINDS if name != "animation"]
        raise ConfigError(f"there is no picture {str(kind)!r} of a run: {did_you_mean(str(kind), known)}")
    module = import_module(f".{kind}", __name__)
    if ax is None:
        return module.figure(run)
    from .figure import axes_of, panel_of

    whole = ax.get_figure(root=True)
    module.draw(axes_of(ax) if kind in SINGLE else panel_of(ax), run)
    return whole


def check(path: str | Path, kind: str | None = None) -> str:
    """The kind of picture that `plot` would write.  Quick, for use before a long run.

    Raises ConfigError for an unknown ending or kind, a kind that the format cannot show, and a folder that does not
    exist.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(
            f"cannot tell the picture's format from {str(path)!r}: the name must end in {', '.join(ENDINGS)}"
        )
    if kind is None:
        kind = "animation" if ending in MOVING else "summary"
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of picture {kind!r}: choose one of {', '.join(KINDS)}")
    if (kind == "animation") != (ending in MOVING):
        fitting = MOVING if kind == "animation" else STILL
        raise ConfigError(f"a picture of kind {kind!r} cannot be written as {ending}: use {', '.join(fitting)}")
    if ending == ".html" and kind != "summary":
        raise ConfigError(
            f"{str(path)!r} is the explorer, which has no kinds: write a {kind!r} picture as {', '.join(STILL)}"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    return kind
