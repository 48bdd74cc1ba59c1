"""Options that several commands share, JSON, tables, progress."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ..kernels import Progress

ARCHS = ("wse2", "wse3")
PROFILES = ("simulator", "silicon")


class Grid(click.ParamType):
    """WxH: 16x16."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        width, cross, height = value.lower().partition("x")
        if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
            self.fail(f"{value!r} is not a grid: width x height in PEs, such as 16x16", param, ctx)
        return int(width), int(height)


class Setting(click.ParamType):
    """name=value of a figure of the machine, as text that Machine reads: hop_cycles=1, clock_hz=1.1GHz."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, _, number = (part.strip() for part in value.partition("="))
        if not (name and number):
            self.fail(f"{value!r} is not of the form name=value, such as hop_cycles=1 or clock_hz=1.1GHz", param, ctx)
        return name, number


def options(*decorators: Callable) -> Callable:
    """Several option decorators as one, in this order in the help."""

    def decorate(function: Callable) -> Callable:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

machine_options = options(
    click.option("--arch", type=click.Choice(ARCHS), help="Machine.  [default: wse3]"),
    click.option("--profile", type=click.Choice(PROFILES), help="Ideal or measured timing.  [default: simulator]"),
    click.option(
        "--set", "settings", type=Setting(), multiple=True, help="Change a number of the machine; repeatable."
    ),
    click.option(
        "--machine", "file", type=click.Path(path_type=Path), help="TOML file that changes numbers of the machine."
    ),
)

# Of commands that execute nothing: a model has no profile, and uses some figures only (see model_machine).
model_options = options(
    click.option(
        "--set", "settings", type=Setting(), multiple=True, help="Change a figure of the machine; repeatable."
    ),
    click.option(
        "--machine", "file", type=click.Path(path_type=Path), help="TOML file that changes figures of the machine."
    ),
)

run_options = options(
    click.option("--grid", type=Grid(), help="PEs to use.  [default: the kernel's own]"),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random inputs."),
    click.option(
        "--threads",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Of this computer; results do not depend on it.",
    ),
    click.option("--max-cycles", type=click.IntRange(1), help="End the run there."),
)

output_options = options(
    click.option(
        "--plot",
        type=click.Path(path_type=Path),
        help="Picture to write: .png .svg .pdf .html, or .gif .mp4 over time.",
    ),
    click.option("--no-plot", is_flag=True, help="Write no picture."),
    click.option(
        "--trace",
        type=click.Path(path_type=Path),
        help="Events to write: .pftrace (ui.perfetto.dev), .json, .txt, .npz.",
    ),
    click.option(
        "--save", type=click.Path(path_type=Path), help="Save all measurements (.npz) for `wse plot` and NumPy."
    ),
    json_option,
)


def machine(arch: str | None, profile: str | None, settings: Iterable[tuple[str, str]], file: Path | None):
    """The Machine that the options describe: the file's, then --arch and --profile, then --set."""
    from ..machine.parameters import Machine

    base = Machine.load(file) if file is not None else Machine()
    overrides = dict(base.overrides) | dict(settings)
    return Machine(arch or base.name, profile or base.profile, overrides)


def model_machine(
    arch: str | None, settings: Iterable[tuple[str, str]], file: Path | None, used: Iterable[str], what: str
):
    """The Machine of a command that executes nothing.  ConfigError if a figure was changed that is not among `used`."""
    made = machine(arch, None, settings, file)
    made.check_overrides(used, what)
    return made


def print_json(value: Any) -> None:
    """One JSON document; NumPy numbers as numbers, paths as text, what is not finite as null."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Sequence[int] = (),
    below: Sequence[str] | None = None,
) -> None:
    """Columns aligned, those in `right` to the right.  below: a line for each row, indented under it."""
    table = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    for number, row in enumerate(table):
        pairs = zip(row, widths, strict=True)
        cells = [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(pairs)]
        line = "  ".join(cells).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)
        if below is not None and number:
            click.echo(f"    {below[number - 1]}")


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Two aligned columns: what, value."""
    pairs = list(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}  {value}".rstrip())


class StatusLine:
    """One line of a terminal that is written over; is_terminal: whether standard error is one to show it on."""

    def __init__(self) -> None:
        self.width = 0
        self.is_terminal = sys.stderr.isatty()

    def put(self, line: str) -> None:
        click.echo(f"\r{line.ljust(self.width)}", nl=False, err=True)
        self.width = len(line)

    def clear(self) -> None:
        """Takes the line away."""
        if self.width:
            click.echo(f"\r{' ' * self.width}\r", nl=False, err=True)
            self.width = 0


class ProgressLine(StatusLine, Progress):
    """Simulated cycles, their rate, elapsed time on one line of a terminal, once a run is longer than two seconds."""

    AFTER, EVERY = 2.0, 0.2  # seconds

    def __init__(self, notes_to_stderr: bool = False):
        super().__init__()
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
        from ..report.text import si

        self.put(f"{cycles:,} cycles  {si(cycles / elapsed)} cycles/s  {elapsed:.0f} s")

    def note(self, line: str) -> None:
        self.clear()
        click.echo(line, err=self.notes_to_stderr)
