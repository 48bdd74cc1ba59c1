"""`wse run KERNEL`: runs a kernel, verifies it, prints the figures, writes the picture.

The options of a kernel are made from its PARAMETERS, so that kernels know nothing of click.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .. import kernels
from ..fabric.errors import RunError
from ..kernels import KERNELS, Parameter, Result, RunOptions
from . import LazyGroup, checks, common, types
from .output import Pairs, plain, print_json, show
from .outputs import FIGURES, FILES, Outputs, figures, files


class Kernels(LazyGroup):
    """The kernels as commands."""

    def load(self, name: str) -> click.Command:
        module = kernels.load(name)
        options = [option(parameter) for parameter in module.PARAMETERS.values()]

        @common.options(
            common.run_options,
            common.machine_options,
            common.state_options,
            common.check_options,
            common.output_options,
        )
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
    "status 1: the result is wrong, the program deadlocked or faulted, or --check has findings.",
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
    checkpoint: Path | None,
    restore: Path | None,
    check: bool,
    suppress: Path | None,
    no_plot: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Runs a kernel and prints its results; returns the exit status.  given: files and the machine."""
    given["plot"], note = picture(name, given["plot"], no_plot, as_json)
    outputs, machine = Outputs.taken(given), given
    progress = common.ProgressLine(notes_to_stderr=as_json)
    checker = checks.checker(check, suppress)
    options = RunOptions(
        machine=common.machine(**machine),
        grid=grid,
        seed=seed,
        threads=threads,
        max_cycles=max_cycles,
        trace=outputs.events,
        watch=outputs.watch,
        check=checker,
        activity=outputs.moving,
        detail=outputs.detailed,
        progress=progress,
        checkpoint=checkpoint,
        restore=restore,
    )
    for option, state in (("--checkpoint", checkpoint), ("--restore", restore)):
        if state is not None and outputs.trace is not None:
            raise click.UsageError(f"{option} and --trace exclude each other: a trace holds a run from its beginning")
        if checker is not None and state is not None:
            raise click.UsageError(f"{option} and --check exclude each other: a check must see the whole run")
    try:
        result = module.run(config, options)
    except RunError as error:
        found = None if checker is None else checker.findings(ended=False)
        if found is not None and not as_json:
            checks.show(found, sys.stderr)
        if error.run is not None:  # what was measured until then helps to see why
            outputs.write(error.run)
            if as_json:
                failed = Result(name, config, error.run, verified=False)
                print_json(document(failed, grid, seed, outputs) | checks.document(found) | {"error": str(error)})
        raise
    except KeyboardInterrupt as interrupt:
        progress.clear()
        # a picture whose name is not the user's is not written
        named = replace(outputs, plot=outputs.plot if common.given("plot") else None)
        named.interrupted(interrupt, getattr(interrupt, "run", None))
        raise
    finally:
        progress.clear()
    result.run.meta.setdefault("kernel", name)
    result.run.meta.setdefault("parameters", plain(result.parameters))
    result.run.meta.setdefault("command", ["wse", *sys.argv[1:]])
    outputs.write(result.run)
    found = None if checker is None else checker.findings(ended=result.run.ended == "done")
    shown = document(result, grid, seed, outputs) | checks.document(found)
    show(shown, VIEW, as_json, result=result, run=result.run, note=note)
    if checker is not None and found is not None:
        if not as_json:
            checks.show(found, sys.stdout)
        checks.note_unused(checker.suppressions)
    return 0 if result.verified and not found else 1


def picture(kernel: str, plot: Path | None, no_plot: bool, as_json: bool) -> tuple[Path | None, str]:
    """The picture to write, which has a name if the user gives none, and why there is none."""
    if plot is not None and no_plot:
        raise click.UsageError("--plot and --no-plot exclude each other")
    if plot is not None or no_plot or as_json:
        return plot, ""
    if not os.access(".", os.W_OK):
        return None, "not written: this folder cannot be written to (--plot FILE)"
    return Path(f"wse-{kernel}.png"), ""


def document(result: Result, grid: tuple[int, int] | None, seed: int, outputs: Outputs) -> dict[str, Any]:
    """A run in JSON; keys are stable."""
    run = result.run
    return {
        "kernel": result.kernel,
        "arch": run.machine,
        "profile": run.profile,
        "grid": list(grid or (run.width, run.height)),
        "parameters": result.parameters,
        **figures(run),
        "verified": bool(result.verified),
        "max_error": result.max_error,
        **files(outputs),
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


VIEW = [
    Pairs(
        [
            ("{kernel}", lambda d: " ".join(f"{name}={value}" for name, value in d["parameters"].items())),
            ("machine", "{arch} ({profile}), {run.width} x {run.height} PEs"),
            ("verified", verdict),
            *FIGURES,
            *FILES,
        ],
        above=lambda d: d["result"].text,
    )
]
