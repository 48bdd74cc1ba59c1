"""`csdb [DIR] [COMMAND]`: compiled programs and core files, by the commands of the SDK's debugger of that name."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from ..debug import csdb
from ..debug.shell import read
from ..errors import ConfigError, WseError, did_you_mean
from . import Reporting, types

PROMPT = "(csdb) "


def _help() -> str:
    rows = [f"  {name} {arguments}".rstrip() + f"\n      {words}" for name, (arguments, words) in csdb.COMMANDS.items()]
    return "\n".join([*rows, "  help\n      print this"])


@click.command(
    "csdb",
    cls=Reporting,
    context_settings={
        "allow_interspersed_args": False,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
    },
    epilog="Commands:\n\n\b\n" + _help(),
)
@click.argument("folder", metavar="[DIR]", type=types.FILE, default=".")
@click.argument("words", metavar="[COMMAND]", nargs=-1, type=click.UNPROCESSED)
def command(folder: Path, words: tuple[str, ...]) -> int:
    """Look into the compiled CSL programs in the folder DIR and into core files of their memory.

    Obeys COMMAND, or else the commands on standard input.  A core file is what SdkRuntime.dump_core writes.  Places are
    those of the fabric, addresses count words of 16 bits.  `wse debug` runs programs, stops them and has these commands
    as well.

    Exit status: 2 if a command failed, and nobody typed it at a prompt.
    """
    session = csdb.Offline(folder)
    if words:
        name, *rest = words
        click.echo(obey(session, name, shlex.join(rest)))
        return 0
    interactive, status = sys.stdin.isatty(), 0
    if session.directory is not None:
        click.echo(session.obey("context", "show"))
    else:
        click.echo(f"{len(session.contexts)} compiled programs: `context select DIR` chooses one")
        click.echo(session.obey("context", "list"))
    for line in read(PROMPT, (), interactive, lambda words: csdb.following(words) if words else list(csdb.COMMANDS)):
        name, _, text = line.strip().partition(" ")
        if name in ("exit", "quit", "q"):
            break
        if not name or name.startswith("#"):
            continue
        try:
            click.echo(obey(session, name, text))
        except (WseError, OSError) as error:
            click.echo(f"error: {error}")
            status = 0 if interactive else 2
        sys.stdout.flush()
    return status


def obey(session: csdb.Offline, name: str, rest: str) -> str:
    """What a command prints; ConfigError for one that there is not."""
    if name == "help":
        return _help()
    if name == "exit":
        return ""
    if name in csdb.INSTEAD:
        raise ConfigError(f"there is no command {name!r} here: {csdb.INSTEAD[name]}")
    if name not in csdb.COMMANDS:
        near = did_you_mean(name, csdb.COMMANDS, most=len(csdb.COMMANDS))
        raise ConfigError(f"there is no command {name!r}: {near}; `wse debug DIR SCRIPT` runs a program and stops it")
    return session.obey(name, rest.strip())


def main() -> None:
    command()


if __name__ == "__main__":
    main()
