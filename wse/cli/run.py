"""`wse run KERNEL`: runs a kernel, verifies it, prints the figures, writes the picture.

The options of a kernel are made from its PARAMETERS, so that kernels know nothing of click.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from .. import kernels, report, trace
from ..errors import ConfigError, WseError
from ..fabric.errors import RunError
from ..kernels import KERNELS, Parameter, Result, RunOptions
from ..report import text
from . import LazyGroup, common, types
from .output import Pairs, plain, print_json, show


class Kernels(LazyGroup):
    """The kernels as commands."""

    def load(self, name: str) -> click.Command:
        module = kernels.load(name)
        options = [option(parameter) for parameter in module.PARAMETERS.values()]

        @common.options(common.run_options, common.machine_options, common.output_options)
        def execute(**given: Any) -> int:
            config = {parameter: given.pop(parameter) for parameter in module.PARAMETERS}
            return run(name, module, config, **given)

        made = click.command(name, help=(inspect.getdoc(module) or self.table[name][1]).split("\n\n")[0])(execute)
        made.params = [*options, *made.params]
        for parameter in made.params:
            if parameter.name == "grid" and isinstance(parameter, click.Option):
                parameter.help = "Width and height in PEs.  [default: {}x{}]".format(*module.GRID)
        return made


def option(parameter: Parameter) -> click.Option:
    """A click option for a kernel's parameter."""
    long = "--" + parameter.name.replace("_", "-")
    names = [parameter.flag] if parameter.flag else []
    if parameter.type is bool:
        names += [f"{long}/--no-{long[2:]}"]
    elif len(parameter.name) > 1 or not names:
        names.append(long)
    return click.Option(
        [*names, parameter.name],
        type=type_of(parameter),
        default=parameter.default,
        help=parameter.help,
        show_default=parameter.default is not None,
    )


def type_of(parameter: Parameter) -> click.ParamType | None:
    """The type of a parameter's option; None for a switch.  Ranges beyond these are the kernel's to check."""
    if parameter.choices:
        return types.Choice(parameter.choices)
    known: dict[type, click.ParamType] = {int: types.Integer(-types.HIGHEST), float: types.Number(), str: types.WORD}
    return known.get(parameter.type)


command = Kernels(
    name="run",
    table=KERNELS,
    noun="kernel",
    help="Run a kernel on an emulated fabric, verify it against its reference model, and draw a picture.  Exit "
    "status 1: the result is wrong, or the program deadlocked or did what the machine forbids.",
)


def run(
    name: str,
    module: Any,
    config: dict[str, Any],
    *,
    grid: tuple[int, int] | None,
    seed: int,
    threads: int,
    max_cycles: int | None,
    plot: Path | None,
    no_plot: bool,
    trace: Path | None,
    save: Path | None,
    as_json: bool,
    **machine: Any,
) -> int:
    """Runs a kernel and prints its results; returns the exit status."""
    outputs = Outputs(name, plot, no_plot, trace, save, as_json)
    progress = common.ProgressLine(notes_to_stderr=as_json)
    options = RunOptions(
        machine=common.machine(**machine),
        grid=grid,
        seed=seed,
        threads=threads,
        max_cycles=max_cycles,
        trace=outputs.events,
        activity=outputs.moving,
        progress=progress,
    )
    try:
        result = module.run(config, options)
    except RunError as error:
        if error.run is not None:  # what was measured until then helps to see why
            outputs.write(error.run)
            if as_json:
                failed = Result(name, config, error.run, verified=False)
                print_json(document(failed, grid, seed, outputs) | {"error": str(error)})
        raise
    except KeyboardInterrupt as interrupt:
        progress.clear()
        outputs.interrupted(interrupt)
        raise
    finally:
        progress.clear()
    result.run.meta.setdefault("kernel", name)
    result.run.meta.setdefault("parameters", plain(result.parameters))
    result.run.meta.setdefault("command", ["wse", *sys.argv[1:]])
    outputs.write(result.run)
    show(document(result, grid, seed, outputs), VIEW, as_json, result=result, run=result.run, outputs=outputs)
    return 0 if result.verified else 1


class Outputs:
    """The files that a run writes.  Their names are checked before the run starts."""

    def __init__(
        self, kernel: str, plot: Path | None, no_plot: bool, events: Path | None, save: Path | None, as_json: bool
    ):
        if plot is not None and no_plot:
            raise click.UsageError("--plot and --no-plot exclude each other")
        self.note = ""
        self.default = plot is None  # the picture's name is not the user's
        if plot is None and not no_plot and not as_json:
            plot = Path(f"wse-{kernel}.png")
            if not os.access(".", os.W_OK):
                plot, self.note = None, "not written: this folder cannot be written to (--plot FILE)"
        if plot is not None:
            report.check(plot)
        if events is not None:
            trace.check(events)
        if save is not None and save.suffix != ".npz":
            raise ConfigError(f"cannot save to {str(save)!r}: the name must end in .npz")
        self.plot, self.trace, self.save = plot, events, save
        self.moving = plot is not None and plot.suffix.lower() in report.MOVING
        self.events = trace.CAPACITY if events is not None else 0

    def interrupted(self, interrupt: KeyboardInterrupt) -> None:
        """Writes the files that options name, with the measurements up to the interrupt, and prints a note."""
        run = getattr(interrupt, "run", None)
        if run is None:
            interrupt.add_note("no file was written")
            return
        if self.default:
            self.plot = None
        named = [str(path) for path in (self.save, self.trace, self.plot) if path is not None]
        kept = f"{', '.join(named)} hold{'s' if len(named) == 1 else ''} what was measured until then"
        try:
            self.write(run)
        except (WseError, OSError) as error:
            kept = f"not all files were written: {error}"
        interrupt.add_note(f"at cycle {run.cycles:,}; {kept if named else 'no file was written'}")

    def write(self, run: Any) -> None:
        """Writes the files that the options name."""
        if self.save is not None:
            run.save(self.save)
        if self.trace is not None:
            trace.write(run, self.trace)
        if self.plot is not None:
            report.plot(run, self.plot)


def document(result: Result, grid: tuple[int, int] | None, seed: int, outputs: Outputs) -> dict[str, Any]:
    """A run in JSON; keys are stable."""
    run = result.run
    pe_cycles = run.cycles * run.width * run.height
    return {
        "kernel": result.kernel,
        "arch": run.machine,
        "profile": run.profile,
        "grid": list(grid or (run.width, run.height)),
        "parameters": result.parameters,
        "cycles": run.cycles,
        "device_seconds": run.cycles / run.clock_hz,
        "clock_hz": run.clock_hz,
        "wall_seconds": run.wall_seconds,
        "pe_cycles_per_second": pe_cycles / run.wall_seconds if run.wall_seconds else None,
        "verified": bool(result.verified),
        "max_error": result.max_error,
        "utilization": run.utilization,
        "stalls": run.stalls,
        "wavelet_hops": run.wavelet_hops,
        "flops": run.flops,
        "plot": outputs.plot,
        "trace": outputs.trace,
        "ended": run.ended,
        "seed": seed,
    } | result.extra


def verdict(d: Mapping[str, Any]) -> str:
    """Text that states whether the result is correct."""
    result: Result = d["result"]
    if result.run.ended != "done":
        return f"no: the run ended before its result was there ({result.run.ended})"
    error = "" if math.isnan(result.max_error) else f"max error {result.max_error:.3g}"
    if result.verified:
        return f"yes, {'to the bit' if result.max_error == 0 else error}".rstrip(", ")
    return f"NO: the result differs from the reference model, {error}".rstrip(", ")


def causes(d: Mapping[str, Any]) -> str:
    """The shares of PE-cycles by category, largest first."""
    shares = text.shares(d["run"]).items()
    return ", ".join(f"{text.cause_words(name)} {text.percent(share)}" for name, share in shares)


def flops(d: Mapping[str, Any]) -> str:
    seconds, clock = d["device_seconds"], text.si(d["clock_hz"], "Hz")
    return f"{d['flops']:,}" + (f", {text.si(d['flops'] / seconds, 'flop/s')} at {clock}" if d["flops"] else "")


def events(d: Mapping[str, Any]) -> str | None:
    dropped = d["run"].events_dropped
    return d["trace"] and f"{d['trace']}{f' ({dropped:,} events more than were kept)' if dropped else ''}"


VIEW = [
    Pairs(
        [
            ("{kernel}", lambda d: " ".join(f"{name}={value}" for name, value in d["parameters"].items())),
            ("machine", "{arch} ({profile}), {run.width} x {run.height} PEs"),
            ("verified", verdict),
            ("cycles", "{cycles:,}"),
            ("time", "{device_seconds:si s} at {clock_hz:si Hz}"),
            (
                "emulated in",
                lambda d: (
                    f"{text.si(d['wall_seconds'], 's')}, {text.si(d['pe_cycles_per_second'])} PE-cycles/s"
                    if d["wall_seconds"]
                    else None
                ),
            ),
            ("utilization", "{utilization:share}"),
            ("PE-cycles", causes),
            ("wavelet-hops", "{wavelet_hops:,}"),
            ("flops", flops),
            ("picture", lambda d: d["plot"] or d["outputs"].note or None),
            ("trace", events),
            ("saved", "{outputs.save}"),
        ],
        above=lambda d: d["result"].text,
    )
]
