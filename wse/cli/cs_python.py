"""`cs_python [OPTIONS] FILE ARGUMENTS`: Python as host programs of the SDK need it, with options to measure their runs.

Without options the host program is run by wse.sdk.interpreter, without this module (wse/start.py).
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from ..sdk import interpreter
from ..sdk.interpreter import environment
from . import Reporting, host

__all__ = ["environment", "main"]


class Command(Reporting):
    """Options of Python itself may stand between the command's own; what follows them is the host program's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, pythons, program = self.sorted_words(args)
        ctx.meta["own"] = own
        return super().parse_args(ctx, [*own, "--", *pythons, *program])

    def sorted_words(self, args: list[str]) -> tuple[list[str], list[str], list[str]]:
        """(options of this command, options of Python, the program and its arguments)."""
        takes = {name: not getattr(option, "is_flag", False) for option in self.params for name in option.opts}
        own: list[str] = []
        pythons: list[str] = []
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] != "-" and args[at][:2] not in ("-c", "-m"):
            name, _, value = args[at].partition("=")
            if name.startswith("--") and name not in interpreter.PYTHONS:
                count, to = 1 + (takes.get(name, False) and not value), own
            else:
                count, to = 1 + (name in ("-W", "-X", "--check-hash-based-pycs")), pythons
            to += args[at : at + count]
            at += count
        return own, pythons, args[at:]


@click.command("cs_python", cls=Command, context_settings={"max_content_width": 110})
@host.options
@click.argument("words", metavar="[PYTHON OPTIONS] FILE [ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
def command(words: tuple[str, ...], **options: Any) -> int:
    """Run the host program FILE, with the names of the Cerebras SDK and the types of NumPy 1.

    The options apply to every run that FILE makes with SdkRuntime.  A second run is written to NAME-2.png, and so on.
    Figures are printed on standard error if a file is asked for.  Python's own options (-u, -W, -c, -m, - ...) stand
    before FILE.

    Exit status: that of FILE; 1 if it is 0 and --check has findings.
    """
    before = interpreter.arguments(list(words))
    if before[:2] == interpreter.SCRIPT:
        os.environ.update(environment())
        return host.run(before[2:], prints=False, **options)
    if interpreter.SCRIPT[1] not in before:
        left = " ".join(words) or "standard input"
        raise click.UsageError(f"options stand before a host program, and there is none: {left} is left to Python")
    at = before.index(interpreter.SCRIPT[1]) - 1
    pythons, program, own = before[:at], before[at + 2 :], click.get_current_context().meta["own"]
    sys.stdout.flush()
    again = [sys.executable, *pythons, "-m", "wse.cli.cs_python", *own, *program]
    os.execve(sys.executable, again, environment())


def main() -> None:
    """The command; options that begin with two dashes are its own, all others Python's."""
    if interpreter.is_measured(sys.argv[1:]):
        command()
    else:
        interpreter.main()


if __name__ == "__main__":
    main()
