"""Event traces of runs as files.

    write(run, "run.pftrace")   Perfetto's format, for ui.perfetto.dev
    write(run, "run.json")      the Chrome format, which this viewer and others read
    write(run, "run.txt")       one line per event
    write(run, "run.log")       in the lines of the vendor's simulator, for viewers of these
    write(run, "run.parquet")   a table of the events, for DuckDB, pandas and others; needs pyarrow
    write(run, "run.npz")       the whole Run with its events, for `wse plot` and NumPy

Viewers show one cycle as one nanosecond.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import files
from ..errors import ConfigError
from ..fabric.run import Run
from . import chrome, events, parquet, perfetto, simulator

ENDINGS = (".pftrace", ".json", ".txt", ".log", ".parquet", ".npz")
CAPACITY = 1_000_000  # default capacity of the event trace, in events


def write(run: Run, path: str | Path) -> Path:
    """Write the events of a run; returns the path.

    path: its ending, one of ENDINGS, selects the format.  Raises ConfigError as `check`, if the run has no events, and
    if the file cannot be written.
    """
    path = check(path)
    if run.events is None:
        raise ConfigError("this run has no events: trace it (`wse run ... --trace FILE`, or Fabric(program, trace=N))")
    try:
        if path.suffix == ".npz":
            run.save(path)
        elif path.suffix == ".parquet":
            with files.replacing_path(path) as fresh:
                parquet.write(run, fresh)
        elif path.suffix == ".pftrace":
            with files.replacing(path) as file:
                file.writelines(perfetto.packets(run))
        else:
            with files.replacing(path, "w", encoding="utf-8") as file:
                file.writelines(_TEXT[path.suffix].lines(run))
    except OSError as error:
        raise ConfigError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
    return path


_TEXT: dict[str, Any] = {".json": chrome, ".txt": events, ".log": simulator}


def check(path: str | Path) -> Path:
    """The path.  Raises ConfigError for an unknown ending or a missing folder.  Quick, for use before a long run."""
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ConfigError(
            f"cannot tell the trace's format from {str(path)!r}: the name must end in {', '.join(ENDINGS)}"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    if path.suffix == ".parquet":
        parquet.check()
    return path
