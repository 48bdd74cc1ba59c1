"""`wse debug DIR SCRIPT -- ARGUMENTS`: the debugger of compiled CSL programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..csl.artifact import Artifact
from ..debug import protocol
from ..debug.breakpoint import Quit, Stopped
from ..debug.debugger import Debugger
from ..debug.host import Attached
from ..debug.shell import Shell
from ..errors import ConfigError
from ..sdk import recorder
from ..sdk.interpreter import environment
from ..sdk.region import thread_count
from . import common, host, types


@click.command("debug", context_settings={"allow_interspersed_args": True})
@common.option("-x", "files", type=types.FILE, multiple=True, help="Read commands from this file first; repeatable.")
@common.flag("--dap", help="Speak the Debug Adapter Protocol with an editor, which names DIR and SCRIPT.")
@common.host_run_options
@click.argument("directory", metavar="DIR", type=types.FILE, required=False)
@click.argument("script", metavar="SCRIPT", type=types.FILE, required=False)
@click.argument("words", metavar="[-- ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
def command(
    files: tuple[Path, ...],
    dap: bool,
    threads: int | None,
    max_cycles: int | None,
    profile: str | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    directory: Path | None,
    script: Path | None,
    words: tuple[str, ...],
) -> int:
    """Debug the compiled program in DIR while its host program SCRIPT runs: docs/debugger.md.

    Commands are read from standard input and have the names of gdb; `help` lists them.  ARGUMENTS as in `wse csl run`.
    Exit status: that of SCRIPT; 0 with --dap, and if the session ended before SCRIPT did.
    """
    threads = None if threads is None else thread_count(threads, "--threads")
    if dap and (directory is not None or files):
        raise click.UsageError("--dap takes no DIR, SCRIPT or -x: the editor's launch request names the program")
    if not dap and (directory is None or script is None):
        raise click.UsageError("DIR and SCRIPT are missing: the folder that cslc wrote, and its host program")
    os.environ.update(environment())
    host.environment(profile, settings, file)
    if dap:
        return serve(threads, max_cycles)
    assert directory is not None and script is not None
    program = Artifact.load(directory)
    given = host.arguments(directory, script, words)
    for path in files:
        if not path.is_file():
            raise ConfigError(f"there is no file of commands {str(path)!r}")
    shell = Shell(files, directory=directory)
    progress = common.ProgressLine(notes_to_stderr=True)

    def ask(stopped: Stopped) -> None:
        progress.clear()
        shell.ask(stopped)

    folders = (script.resolve().parent, directory.resolve().parent)
    debugger = shell.debugger = Debugger(program, ask, folders, shell.interactive, progress)
    return run(debugger, shell.begin, given, threads, max_cycles)


def serve(threads: int | None, max_cycles: int | None) -> int:
    """Serves an editor on standard input and output.  Output of the host program is sent as events."""
    out, given = os.fdopen(os.dup(1), "wb"), sys.stdin.buffer
    os.dup2(2, 1)  # standard output carries messages only
    connection = protocol.Connection(given, out)
    sys.stdout = protocol.Output(connection, "stdout")
    words: list[str] = []

    def prepare(launch: dict[str, Any], adapter: protocol.Adapter) -> Debugger:
        program, directory, script, arguments = protocol.artifact_of(launch)
        words.extend(host.arguments(directory, script, arguments))
        if launch.get("cwd"):
            os.chdir(launch["cwd"])
        folders = (script.resolve().parent, directory.resolve().parent)
        return Debugger(program, adapter.ask, folders, progress=adapter.progress)

    adapter = protocol.Adapter(connection, prepare)
    try:
        adapter.begin()
    except Quit:
        return 0
    adapter.end(run(adapter.debugger, lambda: None, words, threads, max_cycles))
    return 0


def run(
    debugger: Debugger, begin: Callable[[], None], given: list[str], threads: int | None, max_cycles: int | None
) -> int:
    """Runs the host program under the debugger when the user starts it; returns its exit status."""
    recorder.current = Attached(debugger, threads, max_cycles)
    status = 0
    try:
        begin()
        status, _ = host.execute(given)
        debugger.end(f"the host program has ended with status {status}")
    except Quit as end:
        sys.last_value = end  # then SdkRuntime prints no error about a missing stop()
    finally:
        recorder.current = recorder.Recorder()
    return status
