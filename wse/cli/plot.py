"""`wse plot FILE`: pictures and traces of a run that was saved before."""

from __future__ import annotations

import zipfile
from pathlib import Path

import click

from .. import report, trace
from ..errors import ConfigError


@click.command("plot", help="Draw pictures, or write traces, of a run saved with --save FILE.npz or --trace FILE.npz.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="File to write.  [default: FILE's name, .png, in this folder]"
)
@click.option(
    "--kind", type=click.Choice(list(report.KINDS)), help="Which picture.  [default: what the ending of -o suggests]"
)
def command(file: Path, out: Path | None, kind: str | None) -> None:
    if out is None:
        out = Path(file.stem + (".gif" if kind == "animation" else ".png"))
    is_trace = out.suffix in trace.ENDINGS
    if is_trace and kind is not None:
        raise ConfigError(f"--kind {kind} is a picture, and {str(out)!r} names a trace")
    trace.check(out) if is_trace else report.check(out, kind)
    run = load(file)
    trace.write(run, out) if is_trace else report.plot(run, out, kind)
    click.echo(out)


def load(path: Path):
    """The Run in a file; ConfigError for anything else."""
    from ..fabric.run import Run

    if path.suffix in (".pftrace", ".json"):
        raise ConfigError(f"{str(path)!r} is for a trace viewer such as ui.perfetto.dev; plot reads runs saved as .npz")
    if not path.exists():
        raise ConfigError(f"there is no file {str(path)!r}")
    if not zipfile.is_zipfile(path):
        raise ConfigError(f"{str(path)!r} is not a saved run: `wse run ... --save FILE.npz` makes one")
    return Run.load(path)
