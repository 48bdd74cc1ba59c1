"""Pictures of a Run.  matplotlib lives here and nowhere else, and is imported only when a picture is drawn.

    plot(run, "run.png")                    one page: heat map, stall causes, links, time series
    plot(run, "run.svg", kind="heatmap")    one picture; PNG, SVG or PDF by the file's ending
    plot(run, "run.gif")                    activity over time; GIF, or MP4 where ffmpeg is installed
    plot(run, "run.html")                   a self-contained page with the pictures and a table of figures

`text` holds the words and numbers that pictures and terminal share, without matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..errors import ConfigError
from ..fabric.run import Run

# Each is a module here: with figure(run), the animation with write(run, path).
KINDS = ("summary", "heatmap", "stalls", "links", "timeline", "schedule", "animation")
STILL = (".png", ".svg", ".pdf")
MOVING = (".gif", ".mp4")
ENDINGS = (*STILL, ".html", *MOVING)


def plot(run: Run, path: str | Path, kind: str | None = None) -> Path:
    """Writes a picture of `run` to `path` and returns the path.  kind None: what the file's ending suggests."""
    path = Path(path)
    kind = check(path, kind)
    if path.suffix.lower() == ".html":
        from . import page

        page.write(run, path, None if kind == "summary" else [kind])
    elif kind == "animation":
        from . import animation

        animation.write(run, path)
    else:
        from .figure import save

        save(import_module(f".{kind}", __name__).figure(run), path)
    return path


def check(path: str | Path, kind: str | None = None) -> str:
    """The kind of picture that `path` and `kind` ask for, or ConfigError; cheap to ask before a long run."""
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
        fitting = MOVING if kind == "animation" else (*STILL, ".html")
        raise ConfigError(f"a picture of kind {kind!r} cannot be written as {ending}: use {', '.join(fitting)}")
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    return kind
