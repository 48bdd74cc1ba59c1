"""`wse debug DIR SCRIPT -- ARGUMENTS`: the debugger of compiled CSL programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from ..csl.artifact import Artifact
from ..debug.debugger import Debugger, Quit, Stopped
from ..debug.host import Attached
from ..debug.shell import Shell
from ..errors import ConfigError
from ..sdk import recorder
from ..sdk.interpreter import environment
from ..sdk.region import thread_count
from . import common, host, types


@click.command("debug", context_settings={"allow_interspersed_args": True})
@common.option("-x", "files", type=types.FILE, multiple=True, help="Read commands from this file first; repeatable.")
@common.host_run_options
@click.argument("directory", metavar="DIR", type=types.FILE)
@click.argument("script", metavar="SCRIPT", type=types.FILE)
@click.argument("words", metavar="[-- ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
def command(
    files: tuple[Path, ...],
    threads: int | None,
    max_cycles: int | None,
    profile: str | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    directory: Path,
    script: Path,
    words: tuple[str, ...],
) -> int:
    """Debug the compiled program in DIR while its host program SCRIPT runs: docs/debugger.md.

    Commands are read from standard input, and named as gdb names them; `help` lists them.  ARGUMENTS as in
    `wse csl run`.  Exit status: that of SCRIPT, 0 if the session ended before it.
    """
    program = Artifact.load(directory)
    given = host.arguments(directory, script, words)
    for path in files:
        if not path.is_file():
            raise ConfigError(f"there is no file of commands {str(path)!r}")
    os.environ.update(environment())
    host.environment(profile, settings, file)
    threads = None if threads is None else thread_count(threads, "--threads")
    shell = Shell(files)
    progress = common.ProgressLine(notes_to_stderr=True)

    def ask(stopped: Stopped) -> None:
        progress.clear()
        shell.ask(stopped)

    folders = (script.resolve().parent, directory.resolve().parent)
    debugger = shell.debugger = Debugger(program, ask, folders, shell.interactive, progress)
    return run(debugger, shell.begin, given, threads, max_cycles)


def run(debugger: Debugger, begin: Any, given: list[str], threads: int | None, max_cycles: int | None) -> int:
    """Runs the host program under the debugger, from the user's word on; its exit status."""
    recorder.current = Attached(debugger, threads, max_cycles)
    status = 0
    try:
        begin()
        status, _ = host.execute(given)
        debugger.end(f"the host program has ended with status {status}")
    except Quit as end:
        sys.last_value = end  # runs without stop() are no error of the program's
    finally:
        recorder.current = recorder.Recorder()
    return status
