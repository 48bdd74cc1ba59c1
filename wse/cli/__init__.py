"""The command line: `wse COMMAND`.  A command's module is imported when the command is called: `wse --help` is quick.

Exit status: 0 done and verified; 1 ran, but the result is wrong, or the program deadlocked or did what the machine
forbids; 2 bad input, with a message of one line that begins with `error:`; 70 an error in wse itself; 128 + n after
signal n: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from .. import bug, signals
from .._version import __version__
from ..errors import WseError, did_you_mean
from ..files import written

# name: (module, what it does in one line); the module has `command`
COMMANDS = {
    "run": ("wse.cli.run", "Run a kernel on an emulated fabric, verify it, draw a picture."),
    "plot": ("wse.cli.plot", "Draw pictures or write traces of a saved run."),
    "view": ("wse.cli.view", "Write an interactive page of a saved run, or of two compared."),
    "critical": ("wse.cli.critical", "Print the chain of work and waits that sets a saved run's length."),
    "train": ("wse.cli.train", "Train a transformer on the emulated wafer."),
    "map": ("wse.cli.map", "Place a transformer on the wafer: floor plan, tiles, memory."),
    "system": ("wse.cli.system", "Predict training on one or more CS-3: memory, step time, scaling."),
    "generate": ("wse.cli.generate", "Generate text with a language model on the emulated wafer."),
    "embed": ("wse.cli.embed", "Compute vectors of sentences with an encoder on the emulated wafer."),
    "infer": ("wse.cli.infer", "Predict decoding with weights in SRAM."),
    "models": ("wse.cli.models", "List the transformers whose names other commands take."),
    "costs": ("wse.cli.costs", "Print cost models of kernels, and their errors on held-out runs."),
    "knee": ("wse.cli.knee", "Execute a training pass with increasing memory bandwidth."),
    "sweep": ("wse.cli.sweep", "Run a command over a grid of options; make a table and a picture."),
    "validate": ("wse.cli.validate", "Compare emulated with published cycle counts."),
    "bench": ("wse.cli.bench", "Measure the speed of the engine on this computer."),
    "csl": ("wse.cli.csl", "Run CSL programs, check their sources, run a checkout of examples."),
    "debug": ("wse.cli.debug", "Debug a CSL program: stop, step forward and back, print memory."),
    "lsp": ("wse.cli.lsp", "Serve an editor of CSL: errors, types, completion, names."),
    "profile": ("wse.cli.profile", "Print the cycles of a CSL program by source line and cause."),
    "compare": ("wse.cli.compare", "Print where two CSL programs or versions differ in cycles."),
    "isa": ("wse.cli.isa", "Print the instruction reference."),
    "arch": ("wse.cli.arch", "Print the figures of the machine with their sources and confidence."),
    "asm": ("wse.cli.asm", "Assemble text into instruction words."),
    "disasm": ("wse.cli.disasm", "Disassemble instruction words."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; the table has their help lines."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], noun: str = "command", **kwargs: Any):
        kwargs |= {"callback": _help_if_alone, "invoke_without_command": True}
        super().__init__(*args, **kwargs)
        self.table = table
        self.noun = noun

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            words = did_you_mean(cmd_name[:60], self.table, most=len(self.table))
            ctx.fail(f"there is no {self.noun} {cmd_name[:60]!r}: {words}")
        return self.load(cmd_name)

    def load(self, name: str) -> click.Command:
        return import_module(self.table[name][0]).command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(f"{self.noun.capitalize()}s"):
            formatter.write_dl([(name, words) for name, (_, words) in self.table.items()])


def _help_if_alone() -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


class Reports(click.Command):
    """A command that turns whatever goes wrong into a line and an exit status."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
        **kwargs: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name or self.name, standalone_mode=False, **kwargs)
        written.clear()
        try:
            with signals.raising():
                status = super().main(args, prog_name or self.name, standalone_mode=False, **kwargs)
                _flush()
        except BrokenPipeError:
            _close_stdout()
            status = 1
        except _Passed as passed:
            status = _report(passed.interrupt)
        except (Exception, KeyboardInterrupt) as error:
            status = _report(error)
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Hides a KeyboardInterrupt from click, which would print a newline and replace it by an Abort."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise _Passed(interrupt) from interrupt


class _Passed(BaseException):
    """Carries a KeyboardInterrupt through click."""

    def __init__(self, interrupt: KeyboardInterrupt):
        super().__init__()
        self.interrupt = interrupt


class Reporting(Reports):
    """A command of its own, beside `wse`."""


class Main(Reports, LazyGroup):
    """The root."""


def _report(error: BaseException) -> int:
    """Prints what went wrong to stderr; returns the exit status."""
    from ..fabric.errors import RunError

    if os.environ.get("WSE_DEBUG", "0") not in ("", "0") and not isinstance(error, click.exceptions.Exit):
        import traceback

        traceback.print_exception(error)
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            files = f"written before: {', '.join(written)}" if written else "no file was written"
            notes = getattr(error, "__notes__", None) or [files]
            return _fail("; ".join(["interrupted", *notes]), 128 + getattr(error, "signum", signal.SIGINT))
        case click.UsageError():
            where = f" (see: {error.ctx.command_path} --help)" if error.ctx else ""
            return _fail(f"{usage(error)}{where}", 2)
        case click.ClickException():
            return _fail(_one_line(error.format_message()), 2)
        case RunError():
            return _fail(str(error), 1)
        case WseError():
            found = getattr(error, "diagnostics", None)  # of a CslError
            return _findings(str(error)) if found and found[0].span is not None else _fail(str(error), 2)
        case OSError():
            name = f"{error.filename}: " if error.filename is not None else ""
            return _fail(f"{name}{error.strerror or error}", 2)
        case MemoryError():
            return _fail("there is not enough memory for this", 1)
    return _fail(bug.message(error), bug.STATUS)


def usage(error: click.UsageError) -> str:
    """What is wrong with a command line, in one line."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return _one_line(error.format_message())
    names = [name for param in error.ctx.command.params for name in (*param.opts, *param.secondary_opts)]
    options = [name for name in (*names, *error.ctx.help_option_names) if name.startswith("-")]
    near = did_you_mean(error.option_name, options, most=0)
    return _one_line(f"there is no option {error.option_name[:60]}{f': {near}' if near else ''}")


def _fail(words: str, status: int) -> int:
    _say(f"error: {words}")
    return status


def _findings(text: str) -> int:
    """Prints diagnostics, which name their place and severity themselves."""
    _say(text)
    return 2


def _say(words: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is closed: only the exit status is left
        click.echo(words, err=True)


def _one_line(words: str) -> str:
    return " ".join(words.split())


def _flush() -> None:
    """Output that cannot be written is an error of this command, not of the interpreter's shutdown."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _close_stdout()
        raise OSError(error.errno, error.strerror, "standard output") from None


def _close_stdout() -> None:
    """Sends what is still buffered to /dev/null: the reader of the output has gone."""
    with contextlib.suppress(OSError, ValueError):  # stdout is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


main = Main(
    name="wse",
    table=COMMANDS,
    help="An emulator of the Cerebras wafer-scale engine: fabric, processing elements, kernels, pictures.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=lambda ctx, _, value: _print_version(ctx) if value and not ctx.resilient_parsing else None,
            help="Show the version and exit.",
        )
    ],
)


def parse(words: Sequence[str]) -> None:
    """Parses the words of a command line behind `wse`, and runs nothing.

    UsageError for a command or option that there is not, or a value that is refused; also if a command is missing.
    """
    command: click.Command = main
    context, rest = click.Context(main, info_name="wse"), list(words)
    while isinstance(command, LazyGroup):
        if rest and rest[0] in context.help_option_names:
            return
        if not rest or rest[0].startswith("-"):
            raise click.UsageError(f"the {command.noun} is missing", context)
        name = rest.pop(0)
        command = command.get_command(context, name) or main
        context = click.Context(command, info_name=name, parent=context)
    with contextlib.suppress(click.exceptions.Exit):  # by --help
        command.make_context(context.info_name, rest, parent=context.parent)


def _print_version(ctx: click.Context) -> NoReturn:
    click.echo(f"wse {__version__}")
    ctx.exit()
