"""`wse profile DIR [run.py ARGUMENTS]`: cycles of a compiled CSL program by line, cause and class of PEs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import click

from . import common, types
from .output import print_json


@click.command("profile", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@common.option("--lines", type=types.Integer(1, 1_000_000), default=20, help="Lines shown of each class of PEs.")
@common.json_option
@click.argument("directory", metavar="DIR", type=types.FILE)
@click.argument("script", metavar="[SCRIPT ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
def command(lines: int, as_json: bool, directory: Path, script: tuple[str, ...]) -> int:
    """Print the cycles of the compiled program in DIR, by line of CSL and class of PEs.

    A host program is run first, as by cs_python: `wse profile out run.py --name out`.  Without one the profile is that
    of the last run in whose environment WSE_PROFILE was 1.  Each cycle has one cause.  A stall counts at the line that
    waits, a slot of a microthread at the line that started its operation.
    """
    from ..csl import profile
    from .cs_python import environment

    if script:
        ran = subprocess.run([sys.executable, *script], env=environment() | {profile.VARIABLE: "1"}, check=False)
        if ran.returncode:
            click.echo(f"note: {os.path.basename(script[0])} ended with status {ran.returncode}", err=True)
    profiles = profile.load(directory)
    if as_json:
        print_json({"classes": [asdict(p) for p in profiles]})
    else:
        click.echo(profile.text(profiles, lines), nl=False)
    return 0
