"""`wse system`: predicts training on one or more CS-3: memory, step time, bottlenecks, scaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..costs import calibrate, policies
from ..errors import ConfigError
from ..memoryx import MemoryX, Network
from ..memoryx.system import DIMM_96GB
from ..models import load
from ..plan import microbatch
from ..plan.workload import Workload, workload
from ..report.text import si
from ..system import analytic, capacity, explain, gpu, operation, predict
from ..system.events import simulate
from ..system.parts import UPDATES, System
from . import common, types
from .output import Lines, Pairs, Table, Words, number, pair_lines, show, text

# The only published figure of how a CS-3 cluster scales: Sandia's 1T model on 16.  Compared with, never fitted to.
PUBLISHED = ("1t", 16, 15.3)


# Figures of the machine that the model uses: of memory, and of computing times by what they follow from.
MEMORY_FIGURES = ("usable_pes", "wafer_bytes", "sram_bytes")
COMPUTE_FIGURES = {"kernels": ("fabric_width", "peak_clock_hz"), "peak": ("peak_clock_hz", "pe_flops_milli")}
# Options that give an uncertain input of priors.toml: what the command line gives is known and not drawn.
GIVEN = {"update": "exposed", "jitter": "jitter", "nodes": "dram", "link": "link", "gradient_bytes": "gradient_bytes"}
JITTER = 0.01  # the middle of its range


@click.command("system")
@common.option("--model", type=types.MODEL, default="1t", help=common.MODEL)
@common.option(
    "--systems",
    type=types.Integers(1, 2048, "numbers of systems"),
    default="1,2,4,8,16",
    help="Numbers of CS-3 systems to compare.",
)
@common.option("--memoryx", type=types.Bytes(1e9, 1e18), default="55TB", help="Size of MemoryX.")
@common.option(
    "--nodes", type=types.Integer(1, 1_000_000), help="Nodes of MemoryX.  [default: what the size takes in 96 GB DIMMs]"
)
@common.option("--channels", type=types.Integer(1, 1024), default=12, help="DDR5 channels of a node, one DIMM each.")
@common.option("--ddr5", type=types.Choice([3200, 4800, 5600, 6400]), default=4800, help="Speed of DDR5, MT/s.")
@common.option("--link", type=types.Number(1, 1e6), help="Gb/s to a wafer, and from it.  [default: 1200]")
@common.option("--arch", type=types.ARCH, help="Wafer.  [default: wse3]")
@common.model_options
@common.option("--batch", type=types.BATCH, help="Sequences of a step.  [default: what fills the largest cluster once]")
@common.option("--micro-batch", type=types.BATCH, help="Sequences of a pass of one system.  [default: by memory]")
@common.option("--sequence", type=types.COUNT, help="Tokens of a sequence.  [default: the model's]")
@common.option(
    "--update",
    type=types.Choice(list(UPDATES)),
    help="When MemoryX updates: a layer as its gradient arrives; in order, or all, after the last gradient.  "
    "[default: serial]",
)
@common.option("--gradient-bytes", type=types.Choice([2, 4]), help="Bytes of a gradient on the wire.  [default: 4]")
@common.option(
    "--density", type=types.Number(0, 1, above=True), default=1.0, help="Share of the weights that are not 0."
)
@common.option(
    "--jitter",
    type=types.Number(0, 0.5),
    help=f"Relative standard deviation of a wafer's time for a pass.  [default: {JITTER:g}]",
)
@common.option(
    "--compute",
    type=types.Choice(list(calibrate.FAMILIES)),
    default="peak",
    help="Source of computing times: peak flop/s, or executed kernels.",
)
@common.option(
    "--policy",
    type=types.POLICY,
    default=policies.DEFAULT,
    help=common.POLICY + "  Published runs are assumed to be of the default.",
)
@click.option(
    "--mechanisms/--no-mechanisms",
    default=None,
    help="Also evaluate each cause of imperfect scaling alone.  [default: for 1t on 16 systems]",
)
@common.option(
    "--explain",
    "explained",
    type=types.Choice(list(explain.KEYS)),
    help="Print where a number of the largest cluster comes from, down to inputs and sources.",
)
@common.option(
    "--tokens", type=types.Number(1, 1e18), help="Tokens of the whole job.  [default: 20 for each parameter]"
)
@common.option("--plot", type=types.OUTPUT, help=common.PICTURE)
@common.json_option
def command(
    model: str,
    systems: tuple[int, ...],
    memoryx: float,
    nodes: int | None,
    channels: int,
    ddr5: int,
    link: float | None,
    arch: str | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    batch: int | None,
    micro_batch: int | None,
    sequence: int | None,
    update: str | None,
    gradient_bytes: int | None,
    density: float,
    jitter: float | None,
    compute: str,
    policy: str,
    mechanisms: bool | None,
    explained: str | None,
    tokens: float | None,
    plot: Path | None,
    as_json: bool,
) -> int:
    """Predict training on CS-3 systems: memory, step time and its parts, scaling, intervals.

    Modelled, not executed: an event-driven simulation of MemoryX, SwarmX and wafers whose computing times are
    calibrated on published CS-2 runs.  Intervals (5 to 95 %) follow from the stated uncertainty of each input that no
    option gives (wse/system/priors.toml).  Exit status 1: the model does not fit MemoryX.
    """
    if plot is not None:
        from ..report import validation

        validation.check(plot)
    systems = tuple(sorted(systems))
    used = (*MEMORY_FIGURES, *COMPUTE_FIGURES[compute])
    machine = common.model_machine(arch, settings, file, used, f"wse system --compute {compute}")
    transformer = load(model)
    s = sequence or transformer.sequence
    if batch is None:
        room = microbatch.room(transformer, s, machine)
        batch = (micro_batch or microbatch.least(room, transformer, sequence, machine)) * systems[-1]
    work = workload(transformer, batch, s, density)
    part = replace(DIMM_96GB, speed=ddr5)
    given = {"update": update, "jitter": jitter, "nodes": nodes, "link": link, "gradient_bytes": gradient_bytes}
    known = [prior for name, prior in GIVEN.items() if given[name] is not None]
    network = Network(links=1, gbps=1200.0 if link is None else link, framing=0)
    system = System(
        machine=machine,
        memoryx=MemoryX.of(memoryx, part, channels, nodes, network=network),
        gradient_bytes=float(gradient_bytes or 4),
        update=update or "serial",
        jitter=JITTER if jitter is None else jitter,
    )
    draws = predict.draw(machine.name, known=known)
    with common.Working() as working:
        working("calibrating computing times")
        constants = calibrate.calibrated(compute, policy)
    held = capacity.capacity(work.parameters, memoryx)
    with common.Steps("numbers of systems") as bar:
        bar(0, len(systems))
        rows = predict.predict(work, system, systems, constants, micro_batch, draws, progress=bar)
    causes = []
    if mechanisms or (mechanisms is None and (transformer.name, systems[-1]) == PUBLISHED[:2]):
        if systems[-1] < 2:
            raise ConfigError("--mechanisms compares one system with several: give --systems with more than 1")
        with common.Steps("speed-ups of single causes") as bar:
            causes = predict.mechanisms(
                lambda b: workload(transformer, b, s, density),
                batch,
                system,
                systems[-1],
                constants,
                PUBLISHED[2] / 16 * systems[-1],
                progress=bar,
            )
    if plot is not None:
        picture(work, system, rows, constants, plot)
    made = document(work, system, constants, micro_batch, draws, held, rows, causes, plot)
    made["job"] = job(work, system, rows, tokens or 20.0 * work.parameters, held.needed)
    tree = None
    if explained is not None:
        alone = (
            rows[0] if rows[0].systems == 1 else predict.predict(work, system, (1,), constants, micro_batch, draws)[0]
        )
        tree = explain.explain(explained, work, system, rows[-1], alone, constants)
    made["explained"] = None if tree is None else tree.document()
    lines = None if tree is None else "\n".join(tree.lines())
    show(made, VIEW, as_json, system=system, memory=held, calibrated=constants.words(), rows=rows, tree=lines)
    return 0 if held.fits else 1


def picture(work: Workload, system: System, rows: list[predict.Row], constants: Any, path: Path) -> None:
    last = rows[-1].systems
    spans = simulate(work, system, last, constants, spans=True, prefix=1, chunks=1).timeline.spans
    known = (last, PUBLISHED[2]) if (work.model.name, last) == PUBLISHED[:2] else None
    title = (
        f"{work.model.name}, {work.parameters / 1e9:,.0f} billion parameters, batch {work.batch} x {work.sequence}, "
        f"{system.memoryx.capacity / 1e12:g} TB of MemoryX: modelled"
    )
    from ..report.system import draw

    draw(title, rows, spans, path, known)


def published_in(work: Workload, rows: list[predict.Row]) -> tuple[predict.Row, float] | None:
    """The row that corresponds to the published figure, if it is among these."""
    if work.model.name != PUBLISHED[0]:
        return None
    return next(((row, PUBLISHED[2]) for row in rows if row.systems == PUBLISHED[1]), None)


def document(
    work: Workload,
    system: System,
    constants: calibrate.Constants,
    own: int | None,
    draws: dict[str, np.ndarray],
    held: Any,
    rows: list[predict.Row],
    causes: list[predict.Mechanism],
    plot: Path | None,
) -> dict[str, Any]:
    """The document in JSON; keys are stable."""
    known = published_in(work, rows)
    return {
        "model": work.model.name,
        "parameters": work.parameters,
        "sequence": work.sequence,
        "batch": work.batch,
        "arch": system.machine.name,
        "overrides": dict(system.machine.overrides),
        "density": work.density,
        "policy": constants.level,
        "memoryx": {
            "bytes": system.memoryx.capacity,
            "nodes": system.memoryx.nodes,
            "channels": system.memoryx.channels,
            "dimms": system.memoryx.nodes * system.memoryx.channels,
            "dimm_gib": system.memoryx.part.capacity / 2**30,
            "bytes_per_second": system.update_bandwidth,
            "components": held.components,
            "needed": held.needed,
            "with_staging": held.staged,
        },
        "fits": held.fits,
        "seconds": rows[-1].outcome.seconds,  # of a step of the largest number of systems
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
                "micro_batch": row.division.sequences,
                "passes": row.division.passes,
                "activations": activations(work, system, row),
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
                work, system, rows[-1].systems, constants, draws, own
            ).items()
        },
        "mechanisms": [
            {
                "name": c.name,
                "how": c.how,
                "speedups": dict(c.rows),
                "would_need": c.needed,
                "apart": None if np.isnan(c.apart).any() else list(c.apart),
            }
            for c in causes
        ],
        "uncertainties": predict.priors(),
        "calibration": {"compute": constants.family, "constants": constants.values},
        "modelled": True,
        "plot": plot,
    }


def activations(work: Workload, system: System, row: predict.Row) -> dict[str, float]:
    """Bytes of a layer in a mean pass: what it makes, and what leaves the wafer, in JSON."""
    tokens = row.division.mean * work.sequence
    out = analytic.stash_bytes(work, tokens, system.machine)
    return {"layer": tokens * microbatch.token_bytes(work.model), "leaving": out}


def job(work: Workload, system: System, rows: list[predict.Row], tokens: float, state: float) -> dict[str, Any]:
    """The whole job in JSON: estimates, with the figures that they are based on."""
    return {
        "tokens": tokens,
        "systems": [
            {"n": row.systems}
            | vars(operation.operate(system, row.systems, work.parameters, tokens, row.outcome.seconds, work.tokens))
            | {
                "gpus": [
                    {"name": g.gpu.name, "tokens_per_second": g.tokens_per_second, "by_speed": g.by_speed,
                     "by_memory": g.by_memory, "joules_per_token": g.joules_per_token, "source": g.gpu.source}
                    for g in operation.on_gpus(work.flops_per_token(), state, work.tokens / row.outcome.seconds)
                ]
            }
            for row in rows
        ],
        "figures": {
            name: {"value": value, "unit": unit, "source": source}
            for name, (value, unit, source) in operation.FIGURES.items()
        },
    }  # fmt: skip


def span(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"


def on_gpus(row: Mapping[str, Any]) -> str:
    """The GPUs of each kind that reach the speed."""
    return ", ".join(f"{g['by_speed']:,.0f} {g['name']}" for g in row["gpus"])


def verdict(d: Mapping[str, Any]) -> str:
    """Whether the state fits, and staging with it."""
    memory = d["memory"]
    if not memory.fits:
        return "DOES NOT FIT"
    return "fits" if memory.comfortable else "fits, without room for staging"


def leaving(d: Mapping[str, Any]) -> str | None:
    """What leaves the wafer, of one system with the largest pass."""
    row = max(d["systems"], key=lambda row: row["activations"]["leaving"])
    own, out = row["activations"]["layer"], row["activations"]["leaving"]
    if not out:
        return None
    return f"{si(out, 'B')} a layer leave the wafer and come back; a layer makes {si(own, 'B')}"


def compared(d: Mapping[str, Any]) -> str | None:
    """A line with the published speedup and the predicted interval."""
    if (known := d["published"]) is None:
        return None
    row = next(row for row in d["rows"] if row.systems == known["n"])
    low, middle, high = row.speedup_interval.low, row.speedup_interval.middle, row.speedup_interval.high
    return (
        f"Published: {known['speedup']} times on {known['n']} systems, "
        f"{'inside' if known['in_interval'] else 'OUTSIDE'} the predicted interval {low:.2f} to {high:.2f} "
        f"(median {middle:.2f}).  Its batch is not public: over batches of "
        f"{', '.join(f'{b:g}' for b in predict.BATCHES)} times this one the interval is "
        "{:.2f} to {:.2f}.  Nothing here is fitted to it.".format(*known["interval_over_batches"])
    )


def gpus(d: Mapping[str, Any]) -> str:
    """Lines with the equivalent of the first and last number of systems in GPUs."""
    rows = d["systems"][:: max(1, len(d["systems"]) - 1)]
    lines = [
        f"{plural(row['n'])}: the tokens/s of {row['gpus']['by_speed']:,.0f} A100; their memory alone takes "
        f"{row['gpus']['by_memory']:,}"
        for row in rows
    ]
    return "\n".join([*lines, f"({gpu.ASSUMPTIONS})"])


def plural(systems: int) -> str:
    return f"{systems} system{'s' if systems > 1 else ''}"


def scaling(d: Mapping[str, Any]) -> str | None:
    """Each mechanism alone."""
    parts = []
    for cause in d["mechanisms"]:
        parts += [f"{cause['name']} alone ({cause['how']}):"]
        parts += pair_lines([(f"  {name}", f"{value:.2f}") for name, value in cause["speedups"].items()])
        parts += [f"  the published ratio from this alone: {cause['would_need']}"]
        if (apart := cause["apart"]) is not None:
            parts += [
                f"  it would then be {apart[0]:.2f} on a quarter of the systems, {apart[1]:.2f} with twice the batch"
            ]
        parts += [""]
    return "\n".join(parts[:-1]) if parts else None


def part(key: str, spec: str = ",.4g") -> Words:
    """A cell of the breakdown, as `spec`."""
    return f"{{breakdown[{key}]:{spec}}}"


VIEW = [
    Pairs(
        [
            ("model", "{model}, {parameters:,} parameters; batch {batch} x {sequence} tokens"),
            (
                "MemoryX",
                "{memoryx[bytes]:si B}: {memoryx[nodes]} nodes x {memoryx[channels]} channels of DDR5-"
                "{system.memoryx.part.speed}, {memoryx[dimms]} DIMMs of {memoryx[dimm_gib]:.0f} "
                "GiB, {memoryx[bytes_per_second]:si B/s} during an update",
            ),
            (
                "memory",
                lambda d: (
                    f"{verdict(d)}: {si(d['memory'].needed, 'B')} needed, {si(d['memory'].staged, 'B')} with staging"
                ),
            ),
            (
                "",
                lambda d: (
                    "TB: " + ", ".join(f"{name} {size / 1e12:,.2f}" for name, size in d["memory"].components.items())
                ),
            ),
            ("activations", leaving),
            (
                "modelled",
                lambda d: f"event by event, nothing executed; calibrated on CS-2 runs: {d['calibrated']}",
            ),
        ]
    ),
    Table(
        "systems",
        [
            number("systems", "{n}"),
            number("passes", "{micro_batch:g} x {passes}"),
            number("step, s", "{step_seconds:,.4g}"),
            number("5 - 95 %", "{interval[0]:,.4g} - {interval[1]:,.4g}"),
            number("forward", part("forward")),
            number("backward", part("backward")),
            number(
                "starved",
                lambda row: f"{row['breakdown']['starved_forward'] + row['breakdown']['starved_backward']:,.3g}",
            ),
            number("blocked", part("gradient_backpressure", ",.3g")),
            number("drain", part("gradient_reduction", ",.3g")),
            number("update", part("update", ",.3g")),
            number("fill", part("fill", ",.3g")),
            number("tokens/s", "{tokens_per_second:,.0f}"),
            number("speed-up", "{speedup:.2f}"),
            number("5 - 95 %", "{speedup_interval[0]:.2f} - {speedup_interval[1]:.2f}"),
            number("efficiency", "{efficiency:share}"),
            text("bound by", "{bound_by}"),
        ],
        notes=[
            "step and its parts: seconds, of the system as given; 5 - 95 %: of draws of what is not "
            "known; the figure need not be their middle"
        ],
    ),
    Lines([gpus]),
    Table(
        lambda d: [{"name": name} | alone for name, alone in d["inputs_alone"].items()],
        [
            text("input", "{name}"),
            number("step, s", "{step_seconds[0]:,.4g} - {step_seconds[1]:,.4g}"),
            number("speed-up", "{speedup[0]:.2f} - {speedup[1]:.2f}"),
        ],
        title=lambda d: (
            f"Interval of {plural(d['systems'][-1]['n'])}, each input alone (sources: wse/system/priors.toml):"
        ),
    ),
    Lines([compared]),
    Lines([scaling]),
    Table(
        lambda d: d["job"]["systems"],
        [
            number("systems", "{n}"),
            number("days", "{computing_days:,.4g}"),
            number("with failures", "{days:,.4g}"),
            number("productive", "{productive:share}"),
            number("failures", "{failures:,.3g}"),
            number("a checkpoint", lambda row: span(row["checkpoint_seconds"])),
            number("by all nodes", lambda row: span(row["written_seconds"])),
            number("every", lambda row: span(row["between_checkpoints"])),
            number("kW", lambda row: f"{row['watts'] / 1e3:,.0f}"),
            number("MWh", "{megawatt_hours:,.4g}"),
            number("J/token", "{joules_per_token:,.3g}"),
            number("energy, $", "{electricity:,.3g}"),
            number("systems, $", "{systems_share:,.3g}"),
            text("same speed", on_gpus),
        ],
        title=lambda d: f"A job of {d['job']['tokens']:.4g} tokens, estimated (sources: wse/system/operation.py):",
        notes=[
            "a checkpoint: at the rate of the published 464 s of a 7B model; by all nodes: if each node of MemoryX "
            "writes at that rate, as the days assume",
        ],
    ),
    Lines(["{tree}"]),
    Pairs([("picture", "{plot}")]),
]
