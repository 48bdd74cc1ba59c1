"""`wse system`: how a training job runs on one or more CS-3: does it fit, how long is a step, what bounds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..costs import calibrate
from ..errors import ConfigError
from ..memoryx import MemoryX, Network
from ..memoryx.system import DIMM_96GB
from ..models import load
from ..plan import microbatch
from ..plan.workload import Workload, workload
from ..report import text
from ..system import capacity, gpu, predict
from ..system.parts import UPDATES, System, size
from . import common

# The only published figure of how a CS-3 cluster scales: Sandia's 1T model on 16.  Compared with, never fitted to.
PUBLISHED = ("1t", 16, 15.3)


# Figures of the machine that the model uses: of memory, and of computing times by what they follow from.
MEMORY_FIGURES = ("usable_pes", "wafer_bytes", "sram_bytes")
COMPUTE_FIGURES = {"kernels": ("fabric_width", "peak_clock_hz"), "peak": ("peak_clock_hz", "pe_flops_milli")}


class Systems(click.ParamType):
    """1,2,4."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(sorted({int(word) for word in value.split(",")}))
        except ValueError:
            found = (0,)
        if found[0] < 1 or found[-1] > 2048:
            self.fail(f"{value!r} is no list of numbers of systems, 1 to 2048, such as 1,2,4", param, ctx)
        return found


class Size(click.ParamType):
    """55TB."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return size(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


@click.command("system")
@click.option("--model", default="1t", show_default=True, help="A name, or a Hugging Face config.json.")
@click.option("--systems", type=Systems(), default="1,2,4,8,16", show_default=True, help="Numbers of systems.")
@click.option("--memoryx", type=Size(), default="55TB", show_default=True, help="Size of MemoryX.")
@click.option("--nodes", type=click.IntRange(1), help="Of MemoryX.  [default: what the size takes in 96 GB DIMMs]")
@click.option("--channels", type=click.IntRange(1), default=12, show_default=True, help="DDR5 channels per node.")
@click.option("--ddr5", type=click.Choice(["3200", "4800", "5600", "6400"]), default="4800", show_default=True)
@click.option(
    "--link", type=click.FloatRange(1), default=1200.0, show_default=True, help="Gb/s to a wafer and from it."
)
@click.option("--arch", type=click.Choice(common.ARCHS), help="Wafer.  [default: wse3]")
@common.model_options
@click.option(
    "--batch", type=click.IntRange(1), help="Sequences per step.  [default: what fills the largest cluster once]"
)
@click.option("--micro-batch", type=click.IntRange(1), help="Sequences per pass and system.  [default: by memory]")
@click.option("--sequence", type=click.IntRange(1), help="Tokens of a sequence.  [default: the model's]")
@click.option(
    "--update", type=click.Choice(list(UPDATES)), default="serial", show_default=True, help="When weights change."
)
@click.option("--gradient-bytes", type=click.Choice(["2", "4"]), default="4", show_default=True, help="On the wire.")
@click.option("--density", type=click.FloatRange(0, 1, min_open=True), default=1.0, help="Share of weights not zero.")
@click.option("--jitter", type=click.FloatRange(0, 0.5), default=0.0, help="Spread of a wafer's time for a pass.")
@click.option(
    "--compute",
    type=click.Choice(list(calibrate.FAMILIES)),
    default="kernels",
    show_default=True,
    help="What computing times follow from: executed kernels, or flops.",
)
@click.option(
    "--mechanisms/--no-mechanisms", default=None, help="Why not perfect: each cause alone.  [default: for 1t on 16]"
)
@click.option("--plot", type=click.Path(path_type=Path), help="Picture to write: .png .svg .pdf.")
@common.json_option
def command(
    model: str,
    systems: tuple[int, ...],
    memoryx: float,
    nodes: int | None,
    channels: int,
    ddr5: str,
    link: float,
    arch: str | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    batch: int | None,
    micro_batch: int | None,
    sequence: int | None,
    update: str,
    gradient_bytes: str,
    density: float,
    jitter: float,
    compute: str,
    mechanisms: bool | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Predict training on CS-3 systems: memory, step time and its parts, scaling, intervals.

    Modelled, not executed: an event-driven simulation of MemoryX, SwarmX and wafers whose compute times are calibrated
    on published CS-2 runs.  Intervals follow from the stated uncertainty of each input (system/priors.toml).
    """
    if plot is not None:
        from ..report import validation

        validation.check(plot)
    used = (*MEMORY_FIGURES, *COMPUTE_FIGURES[compute])
    machine = common.model_machine(arch, settings, file, used, f"wse system --compute {compute}")
    transformer = load(model)
    s = sequence or transformer.sequence
    if batch is None:
        batch = (micro_batch or whole(microbatch.room(transformer, s, machine), transformer.name, s)) * systems[-1]
    work = workload(transformer, batch, s, density)
    part = replace(DIMM_96GB, speed=int(ddr5))
    network = Network(links=1, gbps=link, framing=0)
    system = System(
        machine=machine,
        memoryx=MemoryX.of(memoryx, part, channels, nodes, network=network),
        gradient_bytes=float(gradient_bytes),
        update=update,
        jitter=jitter,
    )
    constants = calibrate.calibrated(compute)
    held = capacity.capacity(work.parameters, memoryx)
    rows = predict.predict(work, system, systems, constants, micro_batch)
    causes = []
    if mechanisms or (mechanisms is None and (transformer.name, systems[-1]) == PUBLISHED[:2]):
        if systems[-1] < 2:
            raise ConfigError("--mechanisms compares one system with several: give --systems with more than 1")
        causes = predict.mechanisms(
            lambda b: workload(transformer, b, s, density),
            batch,
            system,
            systems[-1],
            constants,
            PUBLISHED[2] / 16 * systems[-1],
        )
    if plot is not None:
        picture(work, system, rows, constants, plot)
    if as_json:
        common.print_json(document(work, system, constants, micro_batch, held, rows, causes, plot))
    else:
        show(work, system, constants, micro_batch, held, rows, causes, plot)


def whole(room: float, name: str, sequence: int) -> int:
    if room < 1:
        raise ConfigError(f"{name}: not one sequence of {sequence} tokens fits on the wafer; take shorter sequences")
    return int(room)


def picture(work: Workload, system: System, rows: list[predict.Row], constants: Any, path: Path) -> None:
    from ..report.system import draw
    from ..system.events import simulate

    last = rows[-1].systems
    spans = simulate(work, system, last, constants, spans=True, prefix=1, chunks=1).timeline.spans
    known = (last, PUBLISHED[2]) if (work.model.name, last) == PUBLISHED[:2] else None
    title = (
        f"{work.model.name}, {work.parameters / 1e9:,.0f} billion parameters, batch {work.batch} x {work.sequence}, "
        f"{system.memoryx.capacity / 1e12:g} TB of MemoryX: modelled"
    )
    draw(title, rows, spans, path, known)


def published_in(work: Workload, rows: list[predict.Row]) -> tuple[predict.Row, float] | None:
    """The row that the published figure is about, if it is among these."""
    if work.model.name != PUBLISHED[0]:
        return None
    return next(((row, PUBLISHED[2]) for row in rows if row.systems == PUBLISHED[1]), None)


def document(
    work: Workload,
    system: System,
    constants: calibrate.Constants,
    own: int | None,
    held: Any,
    rows: list[predict.Row],
    causes: list[predict.Mechanism],
    plot: Path | None,
) -> dict[str, Any]:
    """What --json prints; keys are stable."""
    known = published_in(work, rows)
    return {
        "model": work.model.name,
        "parameters": work.parameters,
        "sequence": work.sequence,
        "batch": work.batch,
        "arch": system.machine.name,
        "overrides": dict(system.machine.overrides),
        "density": work.density,
        "memoryx": {
            "bytes": system.memoryx.capacity,
            "nodes": system.memoryx.nodes,
            "channels": system.memoryx.channels,
            "bytes_per_second": system.update_bandwidth,
            "components": held.components,
            "needed": held.needed,
            "with_staging": held.staged,
        },
        "fits": held.fits,
        "systems": [
            {
                "n": row.systems,
                "step_seconds": row.outcome.seconds,
                "interval": [row.seconds_interval.low, row.seconds_interval.high],
                "closed_form_seconds": float(row.analytic.seconds),
                "tokens_per_second": work.tokens / row.outcome.seconds,
                "speedup": row.speedup,
                "speedup_interval": [row.speedup_interval.low, row.speedup_interval.high],
                "efficiency": row.efficiency,
                "micro_batch": row.micro_batch,
                "passes": row.outcome.passes,
                "bound_by": row.outcome.bound,
                "breakdown": {
                    "forward": row.outcome.forward,
                    "backward": row.outcome.backward,
                    "starved_forward": row.outcome.starved_forward,
                    "starved_backward": row.outcome.starved_backward,
                    "gradient_backpressure": row.outcome.blocked,
                    "cross_iteration": row.outcome.cross,
                    "gradient_reduction": row.outcome.drain,
                    "update": row.outcome.updating,
                    "fill": row.outcome.fill,
                    "optimizer_alone": row.outcome.update,
                },
                "gpus": vars(gpu.equivalent(work, work.tokens / row.outcome.seconds)),
            }
            for row in rows
        ],
        "published": None
        if known is None
        else {
            "n": known[0].systems,
            "speedup": known[1],
            "interval_over_batches": [known[0].any_batch_interval.low, known[0].any_batch_interval.high],
            "in_interval": known[0].speedup_interval.low <= known[1] <= known[0].speedup_interval.high,
        },
        "inputs_alone": {
            name: {"step_seconds": [seconds.low, seconds.high], "speedup": [speedup.low, speedup.high]}
            for name, (seconds, speedup) in predict.intervals_by_input(
                work, system, rows[-1].systems, constants, micro_batch=own
            ).items()
        },
        "mechanisms": [
            {"name": c.name, "how": c.how, "speedups": dict(c.rows), "would_need": c.needed} for c in causes
        ],
        "uncertainties": predict.priors(),
        "calibration": {"compute": constants.family, "constants": constants.values},
        "modelled": True,
        "plot": plot,
    }


def show(
    work: Workload,
    system: System,
    constants: calibrate.Constants,
    own: int | None,
    held: Any,
    rows: list[predict.Row],
    causes: list[predict.Mechanism],
    plot: Path | None,
) -> None:
    memory = system.memoryx
    verdict = "fits" + ("" if held.comfortable else ", without room for staging") if held.fits else "DOES NOT FIT"
    parts = ", ".join(f"{name} {amount / 1e12:,.2f}" for name, amount in held.components.items())
    common.print_pairs(
        [
            (
                "model",
                f"{work.model.name}, {work.parameters:,} parameters; batch {work.batch} x {work.sequence} tokens",
            ),
            (
                "MemoryX",
                f"{memory.capacity / 1e12:g} TB: {memory.nodes} nodes x {memory.channels} channels of DDR5-"
                f"{memory.part.speed}, {system.update_bandwidth / 1e12:.1f} TB/s during an update",
            ),
            ("memory", f"{verdict}: {held.needed / 1e12:,.2f} TB needed, {held.staged / 1e12:,.2f} TB with staging"),
            ("", f"TB: {parts}"),
            ("modelled", f"event by event, nothing executed; calibrated on CS-2 runs: {constants.words()}"),
        ]
    )
    click.echo()
    table = []
    for row in rows:
        o = row.outcome
        table.append(
            (
                str(row.systems),
                f"{row.micro_batch:g} x {o.passes}",
                f"{o.seconds:,.4g}",
                f"{row.seconds_interval.low:,.4g} - {row.seconds_interval.high:,.4g}",
                f"{o.forward:,.4g}",
                f"{o.backward:,.4g}",
                f"{o.starved_forward + o.starved_backward:,.3g}",
                f"{o.blocked:,.3g}",
                f"{o.drain:,.3g}",
                f"{o.updating:,.3g}",
                f"{o.fill:,.3g}",
                f"{work.tokens / o.seconds:,.0f}",
                f"{row.speedup:.2f}",
                f"{row.speedup_interval.low:.2f} - {row.speedup_interval.high:.2f}",
                text.percent(row.efficiency),
                o.bound,
            )
        )
    head: tuple[str, ...] = (
        "systems",
        "passes",
        "step, s",
        "5 - 95 %",
        "forward",
        "backward",
        "starved",
        "blocked",
        "drain",
        "update",
        "fill",
    )
    head += ("tokens/s", "speed-up", "5 - 95 %", "efficiency", "bound by")
    common.print_table(head, table, right=range(len(head) - 1))
    click.echo("figures: the system as given; 5 - 95 %: draws of what is not known, whose middle it need not be\n")
    for row in rows[:: max(1, len(rows) - 1)]:
        g = gpu.equivalent(work, work.tokens / row.outcome.seconds)
        click.echo(
            f"{row.systems} system{'s' if row.systems > 1 else ''}: the tokens/s of {g.by_speed:,.0f} A100; "
            f"their memory alone takes {g.by_memory:,}"
        )
    click.echo(f"({gpu.ASSUMPTIONS})")
    last = rows[-1]
    plural = "s" if last.systems > 1 else ""
    click.echo(f"\nThe interval of {last.systems} system{plural}, each input alone (system/priors.toml says why):")
    common.print_table(
        ("input", "step, s", "speed-up"),
        [
            (name, f"{seconds.low:,.4g} - {seconds.high:,.4g}", f"{speedup.low:.2f} - {speedup.high:.2f}")
            for name, (seconds, speedup) in predict.intervals_by_input(
                work, system, last.systems, constants, micro_batch=own
            ).items()
        ],
        right=(1, 2),
    )
    if (known := published_in(work, rows)) is not None:
        row, figure = known
        inside = row.speedup_interval.low <= figure <= row.speedup_interval.high
        click.echo(
            f"\nPublished: {figure} times on {row.systems} systems, {'inside' if inside else 'OUTSIDE'} the predicted "
            f"interval {row.speedup_interval.low:.2f} to {row.speedup_interval.high:.2f} (median "
            f"{row.speedup_interval.middle:.2f}). Its batch is not public: over batches of "
            f"{', '.join(f'{b:g}' for b in predict.BATCHES)} times this one the interval is "
            f"{row.any_batch_interval.low:.2f} to {row.any_batch_interval.high:.2f}. Nothing here is fitted to it."
        )
    for cause in causes:
        click.echo(f"\n{cause.name} alone ({cause.how}):")
        common.print_pairs((f"  {name}", f"{value:.2f}") for name, value in cause.rows)
        click.echo(f"  the published ratio from this alone: {cause.needed}")
    if plot is not None:
        click.echo(f"\npicture  {plot}")
