"""Event traces: what each PE did, cycle by cycle, as files that viewers open.

    write(run, "run.pftrace")   Perfetto's own format, for ui.perfetto.dev
    write(run, "run.json")      the Chrome format, which the same viewer and others read
    write(run, "run.txt")       one line per event
    write(run, "run.npz")       the whole Run with its events, for `wse plot` and NumPy

One cycle is one nanosecond of a viewer's time, so that its clock reads cycles.
"""

from __future__ import annotations

from pathlib import Path

from .. import files
from ..errors import ConfigError
from ..fabric.run import Run
from . import chrome, events, perfetto

ENDINGS = (".pftrace", ".json", ".txt", ".npz")
CAPACITY = 1_000_000  # events that a traced run keeps unless told otherwise


def write(run: Run, path: str | Path) -> Path:
    """Writes the run's events in the format that the path's ending names; returns the path."""
    path = check(path)
    if run.events is None:
        raise ConfigError("this run has no events: trace it (`wse run ... --trace FILE`, or Fabric(program, trace=N))")
    try:
        if path.suffix == ".npz":
            run.save(path)
        elif path.suffix == ".pftrace":
            with files.replacing(path) as file:
                file.writelines(perfetto.packets(run))
        else:
            with files.replacing(path, "w", encoding="utf-8") as file:
                file.writelines(chrome.lines(run) if path.suffix == ".json" else events.lines(run))
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
    return path


def check(path: str | Path) -> Path:
    """The path, or ConfigError where `write` could not write it; cheap to ask before a long run."""
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ConfigError(
            f"cannot tell the trace's format from {str(path)!r}: the name must end in {', '.join(ENDINGS)}"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    return path
