"""`wse run KERNEL`: runs a kernel, verifies it, prints the figures, writes the picture.

The options of a kernel are made from its PARAMETERS, so that kernels know nothing of click.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
from pathlib import Path
from typing import Any

import click

from .. import kernels, report, trace
from ..errors import ConfigError, WseError
from ..fabric.errors import RunError
from ..kernels import KERNELS, Parameter, Result, RunOptions
from ..report import text
from . import LazyGroup, common


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
                parameter.help = "PEs to use.  [default: {}x{}]".format(*module.GRID)
        return made


def option(parameter: Parameter) -> click.Option:
    """A click option for a kernel's parameter."""
    long = "--" + parameter.name.replace("_", "-")
    names = [parameter.flag] if parameter.flag else []
    if parameter.type is bool:
        names += [f"{long}/--no-{long[2:]}"]
        return click.Option([*names, parameter.name], default=parameter.default, help=parameter.help, show_default=True)
    if len(parameter.name) > 1 or not names:
        names.append(long)
    kind: Any = parameter.type
    if parameter.choices:
        # Choices of a number stay numbers: the text that was matched is converted back.
        kind = Choice(parameter)
    elif kind is str:
        kind = click.STRING
    shown = parameter.default is not None
    return click.Option(
        [*names, parameter.name], type=kind, default=parameter.default, help=parameter.help, show_default=shown
    )


class Choice(click.Choice):
    """A choice among values of the parameter's own type."""

    def __init__(self, parameter: Parameter):
        super().__init__([str(choice) for choice in parameter.choices or ()])
        self.type = parameter.type

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return self.type(super().convert(str(value), param, ctx))


command = Kernels(
    name="run",
    table=KERNELS,
    noun="kernel",
    help="Run a kernel on an emulated fabric, verify it against its reference model, and draw what happened.",
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
    """Runs a kernel and tells about it; returns the exit status."""
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
                common.print_json(document(failed, grid, seed, outputs) | {"error": str(error)})
        raise
    except KeyboardInterrupt as interrupt:
        progress.clear()
        outputs.interrupted(interrupt)
        raise
    finally:
        progress.clear()
    result.run.meta.setdefault("kernel", name)
    result.run.meta.setdefault("parameters", common.plain(result.parameters))
    result.run.meta.setdefault("command", ["wse", *sys.argv[1:]])
    outputs.write(result.run)
    if as_json:
        common.print_json(document(result, grid, seed, outputs))
    else:
        show(result, outputs)
    return 0 if result.verified else 1


class Outputs:
    """The files that a run leaves: names are checked before it starts, as it may be long."""

    def __init__(
        self, kernel: str, plot: Path | None, no_plot: bool, events: Path | None, save: Path | None, as_json: bool
    ):
        if plot is not None and no_plot:
            raise ConfigError("--plot and --no-plot exclude each other")
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
        if save is not None and (save.suffix != ".npz" or not save.parent.is_dir()):
            raise ConfigError(f"cannot save to {str(save)!r}: the name must end in .npz, and its folder must exist")
        self.plot, self.trace, self.save = plot, events, save
        self.moving = plot is not None and plot.suffix.lower() in report.MOVING
        self.events = trace.CAPACITY if events is not None else 0

    def interrupted(self, interrupt: KeyboardInterrupt) -> None:
        """Writes the files that were asked for by name from what was measured until the interrupt, and says so."""
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
        """Writes what was asked for."""
        if self.save is not None:
            run.save(self.save)
        if self.trace is not None:
            trace.write(run, self.trace)
        if self.plot is not None:
            report.plot(run, self.plot)


def document(result: Result, grid: tuple[int, int] | None, seed: int, outputs: Outputs) -> dict[str, Any]:
    """What --json prints; keys are stable."""
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


def show(result: Result, outputs: Outputs) -> None:
    """The figures for people."""
    run = result.run
    seconds = run.cycles / run.clock_hz
    clock = text.si(run.clock_hz, "Hz")
    parameters = " ".join(f"{name}={value}" for name, value in result.parameters.items())
    causes = ", ".join(f"{text.cause_words(name)} {text.percent(share)}" for name, share in text.shares(run).items())
    pairs = [
        (result.kernel, parameters),
        ("machine", f"{run.machine} ({run.profile}), {run.width} x {run.height} PEs"),
        ("verified", verdict(result)),
        ("cycles", f"{run.cycles:,}"),
        ("time", f"{text.si(seconds, 's')} at {clock}"),
    ]
    if run.wall_seconds:
        rate = run.cycles * run.width * run.height / run.wall_seconds
        pairs.append(("emulated in", f"{text.si(run.wall_seconds, 's')}, {text.si(rate)} PE-cycles/s"))
    pairs += [
        ("utilization", text.percent(run.utilization)),
        ("PE-cycles", causes),
        ("wavelet-hops", f"{run.wavelet_hops:,}"),
        ("flops", f"{run.flops:,}" + (f", {text.si(run.flops / seconds, 'flop/s')} at {clock}" if run.flops else "")),
    ]
    if outputs.plot is not None or outputs.note:
        pairs.append(("picture", str(outputs.plot or outputs.note)))
    if outputs.trace is not None:
        dropped = f" ({run.events_dropped:,} events more than were kept)" if run.events_dropped else ""
        pairs.append(("trace", f"{outputs.trace}{dropped}"))
    if outputs.save is not None:
        pairs.append(("saved", str(outputs.save)))
    for line in result.text:
        click.echo(line)
    common.print_pairs(pairs)


def verdict(result: Result) -> str:
    """Whether the result is right, in words."""
    if result.run.ended != "done":
        return f"no: the run ended before its result was there ({result.run.ended})"
    error = "" if math.isnan(result.max_error) else f"max error {result.max_error:.3g}"
    if result.verified:
        return f"yes, {'to the bit' if result.max_error == 0 else error}".rstrip(", ")
    return f"NO: the result differs from the reference model, {error}".rstrip(", ")
