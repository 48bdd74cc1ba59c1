"""`wse profile DIR [run.py ARGUMENTS]`: cycles of a compiled CSL program by line of its source and class of PEs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import click

from . import common


@click.command("profile", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--lines", type=click.IntRange(1), default=20, show_default=True, help="Lines shown of each class.")
@common.json_option
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("script", metavar="[SCRIPT ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
def command(lines: int, as_json: bool, directory: Path, script: tuple[str, ...]) -> int:
    """Cycles of the compiled program in DIR, by line of CSL and class of PEs.

    With a host program it is run first, as by cs_python: `wse profile out run.py --name out`.  Otherwise the profile is
    that of the last run in whose environment WSE_PROFILE was 1.  Cycles are the main thread's: a line counts from its
    first instruction to the next line's, with the elements of synchronous operations and with waits.
    """
    from ..csl import profile
    from .cs_python import environment

    if script:
        ran = subprocess.run([sys.executable, *script], env=environment() | {profile.VARIABLE: "1"}, check=False)
        if ran.returncode:
            click.echo(f"note: {os.path.basename(script[0])} ended with status {ran.returncode}", err=True)
    profiles = profile.load(directory)
    if as_json:
        common.print_json({"classes": [asdict(p) for p in profiles]})
    else:
        click.echo(profile.text(profiles, lines), nl=False)
    return 0
