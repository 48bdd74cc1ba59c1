"""Options that several commands share, the machine that they describe, progress on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..kernels import Progress
from ..machine.parameters import Machine
from ..report.text import si
from . import types

PICTURE = "Write a picture: .png, .svg or .pdf."
POLICY = "Precision of sums of 16-bit products: POL0 f32, POL1 mixed, POL2 16 bits."
SCHEDULER = "Dask scheduler whose workers to use, such as tcp://host:8786."
MODEL = "Name of a model, or path of a Hugging Face config.json."


def options(*decorators: Callable) -> Callable:
    """Several option decorators as one, in this order in the help."""

    def decorate(function: Callable) -> Callable:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def given(*names: str) -> list[str]:
    """Those of these parameters that are on the command line, as options: ["--rate"]."""
    ctx = click.get_current_context()
    on_line = [name for name in names if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return [param.opts[0] for param in ctx.command.params if param.name in on_line]


def refuse(why: str, *names: str) -> None:
    """UsageError if one of these parameters is on the command line: it would have no effect."""
    if found := given(*names):
        raise click.UsageError(f"{found[0]} {why}")


def refused(table: Mapping[str, str], switches: Container[str] = ()) -> Callable:
    """Hidden options that are refused, each with its reason; switches: those that take no value."""

    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value not in (None, False):
            raise click.UsageError(f"{param.opts[0]} {table[param.opts[0]]}")

    more: dict[str, Any] = {"hidden": True, "expose_value": False, "callback": refuse}
    return options(*(click.option(name, is_flag=name in switches, type=None, **more) for name in table))


def option(*names: str, help: str, **more: Any) -> Callable:
    """A click option whose help shows its default, if it has one."""
    return click.option(*names, help=help, show_default=more.get("default") is not None, **more)


def flag(*names: str, help: str) -> Callable:
    """A switch."""
    return click.option(*names, is_flag=True, help=help)


json_option = flag("--json", "as_json", help="Print JSON instead of text.")
THREADS = "Host threads; results do not depend on them."
threads_option = option("--threads", type=types.THREADS, default=1, help=THREADS)
cycles_option = option("--max-cycles", type=types.Integer(1), help="End the run after so many cycles.")

# Of commands that execute nothing: a model has no profile, and uses some figures only (see model_machine).
model_options = options(
    option(
        "--set", "settings", type=types.Setting(), multiple=True, help="Change a figure of the machine; repeatable."
    ),
    option("--machine", "file", type=types.FILE, help="TOML file that changes figures of the machine."),
)

# Of host programs: the program was compiled for an architecture.
timing_options = options(
    option(
        "--profile",
        type=types.PROFILE,
        help="Timing of the vendor's simulator, or as measured on silicon.  [default: simulator]",
    ),
    model_options,
)

machine_options = options(
    option("--arch", type=types.ARCH, help="Machine to emulate.  [default: wse3]"), timing_options
)

run_options = options(
    option("--grid", type=types.Grid(), help="PEs to use.  [default: the kernel's own]"),
    option("--seed", type=types.SEED, default=0, help="Seed of the random inputs."),
    threads_option,
    cycles_option,
)

state_options = options(
    option(
        "--checkpoint",
        type=types.OUTPUT,
        help="Save the state of the run to this file every ten minutes, and when it is interrupted.",
    ),
    option("--restore", type=types.FILE, help="Go on from a state that --checkpoint saved, of the same kernel."),
)

plot_option = option(
    "--plot", type=types.OUTPUT, help="Write a picture: .png, .svg, .pdf or .html, or over time .gif or .mp4."
)
file_options = options(
    option(
        "--report", type=types.OUTPUT, help="Write the explorer, an interactive page of the run for a browser: .html."
    ),
    option(
        "--trace",
        type=types.OUTPUT,
        help="Write the events: .pftrace (for ui.perfetto.dev), .json, .txt, .log, .parquet or .npz.",
    ),
    option(
        "--trace-pes", type=types.Rectangle(), multiple=True, help="Trace these PEs only: 3,0 or 0:4,2:8; repeatable."
    ),
    option("--trace-window", type=types.Window(), help="Trace these cycles only: 1000:2000, 1000: or :2000."),
    option("--save", type=types.OUTPUT, help="Write all measurements, for `wse plot` and NumPy: .npz."),
    json_option,
)
output_options = options(plot_option, flag("--no-plot", help="Write no picture."), file_options)

check_options = options(
    flag(
        "--check",
        help="Report mistakes of the program, such as reads of memory never written; see docs/check.md.",
    ),
    option("--suppress", type=types.FILE, help="File of known findings, which --check leaves out."),
)

host_run_options = options(
    option("--threads", type=types.THREADS, help=f"{THREADS}  [default: as many as are worth it]"),
    cycles_option,
    timing_options,
)
host_options = options(
    host_run_options,
    plot_option,
    file_options,
    check_options,
)


def machine(arch: str | None, profile: str | None, settings: Iterable[tuple[str, str]], file: Path | None) -> Machine:
    """The Machine that the options describe: the file's, then --arch and --profile, then --set."""
    base = Machine.load(file) if file is not None else Machine()
    overrides = dict(base.overrides) | dict(settings)
    return Machine(arch or base.name, profile or base.profile, overrides)


def model_machine(
    arch: str | None, settings: Iterable[tuple[str, str]], file: Path | None, used: Iterable[str], what: str
) -> Machine:
    """The Machine of a command that executes nothing.  ConfigError if a figure was changed that is not among `used`."""
    made = machine(arch, None, settings, file)
    made.check_overrides(used, what)
    return made


class StatusLine:
    """A line of a terminal that is overwritten.  is_terminal: whether standard error is a terminal."""

    def __init__(self) -> None:
        self.width = 0
        self.is_terminal = sys.stderr.isatty()

    def put(self, line: str) -> None:
        click.echo(f"\r{line.ljust(self.width)}", nl=False, err=True)
        self.width = len(line)

    def clear(self) -> None:
        """Removes the line."""
        if self.width:
            click.echo(f"\r{' ' * self.width}\r", nl=False, err=True)
            self.width = 0


class Working(StatusLine):
    """Says what is being done; a context manager that removes the line in the end."""

    def __call__(self, what: str) -> None:
        if self.is_terminal:
            self.put(what[: shutil.get_terminal_size().columns - 1])

    def __enter__(self) -> Working:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


class Steps(StatusLine):
    """Shows how many steps of a job are done, and the time that the others will take at this pace.

    what: the steps in one word, such as "points".  A context manager that removes the line in the end.
    """

    WIDTH = 30  # characters of the bar

    def __init__(self, what: str = "") -> None:
        super().__init__()
        self.what = f" {what}" if what else ""
        self.started = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        if self.first is None:
            self.first = done
        if not self.is_terminal:
            return
        filled = self.WIDTH * done // max(1, total)
        left = time_left(done - self.first, total - self.first, time.monotonic() - self.started)
        bar = "#" * filled + "." * (self.WIDTH - filled)
        line = f"[{bar}] {100 * done // max(1, total):3} %  {done}/{total}{self.what}{note}{left}"
        self.put(line[: shutil.get_terminal_size().columns - 1])

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


def time_left(done: int, total: int, elapsed: float) -> str:
    """Words for the time that is left, after so many of so many equal steps; none before the first."""
    if not 0 < done < total:
        return ""
    seconds = round(elapsed / done * (total - done))
    minutes, hours = seconds // 60, seconds // 3600
    words = f"{seconds} s" if seconds < 120 else f"{minutes} min" if hours < 2 else f"{hours} h {minutes % 60} min"
    return f"  {words} left"


class ProgressLine(StatusLine, Progress):
    """Shows simulated cycles, their rate and the elapsed time, once a run takes longer than two seconds; the share that
    is done and the time left, of a kernel that tells its parts."""

    AFTER, EVERY = 2.0, 0.2  # seconds

    def __init__(self, notes_to_stderr: bool = False):
        super().__init__()
        self.share = ""
        self.started = time.monotonic()
        self.shown = 0.0
        self.before = self.last = 0
        self.notes_to_stderr = notes_to_stderr

    def __call__(self, cycle: int) -> None:
        if cycle < self.last:  # another run of the same kernel: cycles start again
            self.before += self.last
        self.last = cycle
        now = time.monotonic()
        elapsed = now - self.started
        if self.is_terminal and elapsed > self.AFTER and now - self.shown > self.EVERY:
            self.shown = now
            self.show(self.before + cycle, elapsed)

    def show(self, cycles: int, elapsed: float) -> None:
        self.put(f"{cycles:,} cycles  {si(cycles / elapsed)} cycles/s  {elapsed:.0f} s{self.share}")

    def part(self, done: int, total: int) -> None:
        left = time_left(done, total, time.monotonic() - self.started)
        self.share = f"  {100 * done // total} %{left}"

    def note(self, line: str) -> None:
        self.clear()
        click.echo(line, err=self.notes_to_stderr)
