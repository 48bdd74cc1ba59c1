"""`wse profile DIR [run.py ARGUMENTS]`: cycles of a compiled CSL program by line, cause and class of PEs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ..errors import ConfigError
from . import common, types
from .output import print_json


class BeforeScript(click.Command):
    """A command that ends with a host program and its arguments.  Its own options stand anywhere before that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {name: param for param in self.get_params(ctx) for name in param.opts if name.startswith("-")}
        left = sum(isinstance(param, click.Argument) and param.nargs == 1 for param in self.params)
        options, directories, at = [], [], 0
        while at < len(args):
            name, given, _ = args[at].partition("=")
            if name in known:
                count = 1 if given or getattr(known[name], "is_flag", False) else 2
                options += args[at : at + count]
            elif name.startswith("-") or not left:
                break
            else:
                count, left = 1, left - 1
                directories.append(args[at])
            at += count
        return super().parse_args(ctx, [*options, *directories, *args[at:]])


SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("profile", cls=BeforeScript, context_settings=SETTINGS)
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

    if script:
        run_profiled(script)
    profiles = profile.load(directory)
    if as_json:
        print_json({"classes": [asdict(p) for p in profiles]})
    else:
        click.echo(profile.text(profiles, lines), nl=False)
    return 0


def check_script(script: Sequence[str]) -> None:
    """ConfigError if an option stands where the host program should."""
    if script[0].startswith("-"):
        raise ConfigError(f"{script[0]} is no option of this command, and stands where a host program is expected")


def run_profiled(script: Sequence[str]) -> None:
    """Runs a host program, as cs_python does, so that it leaves a profile."""
    from ..csl import profile
    from .cs_python import environment

    check_script(script)
    # what it prints is not part of this command's document
    command = [sys.executable, "-m", "wse.sdk.script", *script]
    ran = subprocess.run(command, env=environment() | {profile.VARIABLE: "1"}, stdout=sys.stderr, check=False)
    if ran.returncode:
        click.echo(f"note: {os.path.basename(script[0])} ended with status {ran.returncode}", err=True)
