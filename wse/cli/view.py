"""`wse view RUN [OTHER]`: the explorer of a saved run, or of two and their difference."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from .. import report
from . import common, types
from .common import Working
from .plot import load


@click.command("view")
@click.argument("file", metavar="RUN", type=types.FILE)
@click.argument("other", metavar="[OTHER]", type=types.FILE, required=False)
@common.option("-o", "--out", type=types.OUTPUT, help="Page to write: .html.  [default: RUN's name, in this folder]")
@common.flag("--open", "opens", help="Open the page in the browser of this computer.")
def command(file: Path, other: Path | None, out: Path | None, opens: bool) -> None:
    """Write the explorer, an interactive page of a run, and print its name.  With OTHER: of both and their difference.

    RUN and OTHER are files of --save FILE.npz, or of --trace FILE.npz for the timelines of PEs.  The page is one file
    that needs no network.  It shows a map of the PEs (utilization, stalls, counts, links, routes; over time), the
    counts, timeline and code of a PE with cycles per line, and the waits of a deadlock.  --report FILE.html of a run
    writes the same page.
    """
    if out is None:
        out = Path(file.stem + (f"-{other.stem}" if other is not None else "") + ".html")
    report.check(out)
    with Working() as working:
        runs = []
        for path in (file, other):
            if path is not None:
                working(f"reading {path}")
                runs.append(load(path))
        working(f"writing {out}")
        report.explore(runs, out)
    click.echo(out)
    if opens and not webbrowser.open(out.absolute().as_uri()):
        click.echo("note: no browser was found: open the page yourself", err=True)
