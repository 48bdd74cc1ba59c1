"""`wse csl run DIR SCRIPT -- ARGUMENTS`: runs the host program of a compiled program and prints what was measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..csl.artifact import Artifact
from ..sdk.interpreter import environment
from . import host, types


@click.command("run", context_settings={"allow_interspersed_args": True})
@host.options
@click.argument("directory", metavar="DIR", type=types.FILE)
@click.argument("script", metavar="SCRIPT", type=types.FILE)
@click.argument("words", metavar="[-- ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
def command(directory: Path, script: Path, words: tuple[str, ...], **options: Any) -> int:
    """Run the host program SCRIPT of the compiled program in DIR, as cs_python does, and print what was measured.

    {} in ARGUMENTS stands for DIR.  If it does not occur, and no --name does, `--name DIR` is put in front, as host
    programs of the SDK take it.  Exit status: that of SCRIPT; 1 if it is 0 and --check has findings.

    Figures are those of the whole run, and of each launched function: a copy takes cycles too, in which PEs are idle.
    """
    Artifact.load(directory)
    given = host.arguments(directory, script, words)
    os.environ.update(environment())
    return host.run(given, prints=True, **options)
