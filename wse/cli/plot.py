"""`wse plot FILE`: pictures and traces of a saved run."""

from __future__ import annotations

import zipfile
from pathlib import Path

import click

from .. import report, trace
from ..errors import ConfigError
from ..fabric.run import Run
from . import common, types


@click.command("plot")
@click.argument("file", type=types.FILE)
@common.option("-o", "--out", type=types.OUTPUT, help="File to write.  [default: FILE's name, .png, in this folder]")
@common.option("--kind", type=types.Choice(list(report.KINDS)), help="Kind of picture.  [default: by the ending of -o]")
def command(file: Path, out: Path | None, kind: str | None) -> None:
    """Draw a picture, or write a trace, of a run that was saved with --save FILE.npz or --trace FILE.npz."""
    if out is None:
        out = Path(file.stem + (".gif" if kind == "animation" else ".png"))
    is_trace = out.suffix in trace.ENDINGS
    if is_trace and kind is not None:
        raise ConfigError(f"--kind {kind} is a picture, and {str(out)!r} names a trace")
    trace.check(out) if is_trace else report.check(out, kind)
    run = load(file)
    trace.write(run, out) if is_trace else report.plot(run, out, kind)
    click.echo(out)


def load(path: Path) -> Run:
    """The Run in a file.  Raises ConfigError if it is no saved run."""
    if path.suffix in (".pftrace", ".json"):
        raise ConfigError(f"{str(path)!r} is for a trace viewer such as ui.perfetto.dev; plot reads runs saved as .npz")
    if not path.exists():
        raise ConfigError(f"there is no file {str(path)!r}")
    if not zipfile.is_zipfile(path):
        raise ConfigError(f"{str(path)!r} is not a saved run: `wse run ... --save FILE.npz` makes one")
    return Run.load(path)
