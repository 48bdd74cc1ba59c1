"""`wse map MODEL`: places a transformer on the wafer: a floor plan (pipelined), or tiles and memory (streaming)."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import click

from ..costs import vendor_compiler as compiler
from ..costs.cycles import ExecutedCosts, operator_cycles
from ..machine.parameters import Machine
from ..models import Graph, graph, load
from ..plan import floorplan
from ..plan.tiles import streaming
from . import common, types
from .output import Pairs, Table, number, show, text

# Figures of the machine that the models use.
FIGURES = ("clock_hz", "fabric_width", "fabric_height", "sram_bytes")

COSTS = {
    "compiler": "modelled: calibrated on the vendor's compile report of GPT-2 small, not executed",
    "executed": "modelled: fitted to executed kernels of this package (wse costs)",
}


@click.command("map")
@click.argument("model", type=types.MODEL)
@common.option(
    "--mode",
    type=types.Choice(["pipelined", "streaming"]),
    default="pipelined",
    help="Pipelined: all layers at once, each on its own PEs.  Streaming: a layer at a time on all PEs.",
)
@common.option("--grid", type=types.Grid(), help="PEs to use.  [default: the wafer; gpt2 pipelined: as published]")
@common.option("--arch", type=types.ARCH, help="Machine.  [default: wse3; gpt2 pipelined: wse2, as published]")
@common.model_options
@common.option("--sequence", type=types.COUNT, help="Tokens of a sequence.  [default: the model's]")
@common.option(
    "--by",
    type=types.Choice(["kernel", "half"]),
    default="kernel",
    help="What is a region (pipelined): a kernel, or half a layer.",
)
@common.option(
    "--rate",
    type=types.Number(0, 1e12, above=True),
    help="Sequences per second to size regions for (pipelined).  [default: the highest]",
)
@common.option("--batch", type=types.BATCH, help="Sequences of a step (streaming).  [default: what memory holds]")
@common.option(
    "--costs",
    type=types.Choice(list(COSTS)),
    default="compiler",
    help="Costs of kernels (pipelined): calibrated on the vendor's compiler, or fitted to executed runs.",
)
@common.option("--plot", type=types.OUTPUT, help=f"{common.PICTURE}  Pipelined only.")
@common.json_option
def command(
    model: str,
    mode: str,
    grid: tuple[int, int] | None,
    arch: str | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    sequence: int | None,
    by: str,
    rate: float | None,
    batch: int | None,
    costs: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Place MODEL, a name or a Hugging Face config.json, on a grid of PEs.

    Pipelined: every kernel has a rectangle of its own, sized so that all work at one rate.  Streaming: one layer at a
    time on the whole grid; weights come in from the edge.
    """
    transformer = load(model)
    if plot is not None:
        from ..report import validation

        validation.check(plot)
    if mode == "streaming":
        common.refuse("draws floor plans: in streaming mode a layer has the whole grid", "plot")
        common.refuse("is of --mode pipelined", "by", "rate", "costs")
        machine = common.model_machine(arch, settings, file, FIGURES, "wse map")
        plan = streaming(
            transformer, check_grid(grid or wafer(machine), machine), operator_cycles, machine, sequence, batch
        )
        show(plan.document(), STREAMING, as_json, plan=plan)
        return
    common.refuse("is of --mode streaming", "batch")
    as_published = (
        transformer.name == compiler.MODEL
        and (arch or "wse2") == "wse2"
        and grid in (None, compiler.GRID)
        and not (settings or file)
    )
    machine = common.model_machine("wse2" if as_published else arch, settings, file, FIGURES, "wse map")
    made = graph(transformer)
    priced = compiler.calibrated() if costs == "compiler" else ExecutedCosts(machine.name)
    grid = check_grid(grid or (compiler.GRID if as_published else wafer(machine)), machine)
    placed = floorplan.plan(made, grid, machine, priced, sequence, by, rate)
    compared = None
    if as_published and by == "kernel" and sequence in (None, transformer.sequence):
        compared = compare(made, machine)
    if plot is not None:
        from ..report.floorplan import draw

        draw(placed, plot)
    show(document(placed, machine.name, costs, compared, plot), PIPELINED, as_json, plan=placed)


def check_grid(grid: tuple[int, int], machine: Machine) -> tuple[int, int]:
    """The grid; UsageError if the machine has no such rectangle of PEs."""
    width, height = wafer(machine)
    if grid[0] > width or grid[1] > height:
        raise click.UsageError(f"a grid of {machine.name} is at most {width}x{height} PEs, not {grid[0]}x{grid[1]}")
    return grid


def wafer(machine: Machine) -> tuple[int, int]:
    return machine.fabric_width, machine.fabric_height


def compare(made: Graph, machine: Machine) -> list[dict[str, Any]]:
    """PEs by kernel at the published rate: computed, published, and as executed kernels would need."""
    rate = compiler.SAMPLES_PER_SECOND
    plan = floorplan.plan(made, compiler.GRID, machine, compiler.calibrated(), rate=rate).by_kernel()
    own = floorplan.plan(made, wafer(machine), machine, ExecutedCosts(machine.name), rate=rate).by_kernel()
    return [
        {
            "kernel": kernel,
            "published_pes": pes,
            "pes": plan[kernel][1],
            "error_pct": 100 * (plan[kernel][1] / pes - 1),
            "from": compiler.ORIGIN[kernel],
            "executed_pes": own[kernel][1],
        }
        for kernel, (_, pes) in compiler.published().items()
    ]


def document(
    plan: floorplan.FloorPlan, arch: str, costs: str, compared: list[dict[str, Any]] | None, plot: Path | None
) -> dict[str, Any]:
    """A floor plan in JSON; keys are stable."""
    return {
        "model": plan.model,
        "mode": "pipelined",
        "arch": arch,
        "grid": list(plan.grid),
        "sequence": plan.sequence,
        "sequences_per_second": plan.rate,
        "bound_by": plan.bound,
        "pes": plan.pes,
        "active": plan.active,
        "wire_hops": floorplan.wire_length(plan),
        "wire_colors": 1 + max((wire.color for wire in plan.wires), default=-1),
        "regions": [
            {
                "name": p.region.name,
                "kernel": p.region.kernel,
                "x": p.rectangle.x,
                "y": p.rectangle.y,
                "width": p.rectangle.width,
                "height": p.rectangle.height,
                "pes": p.need,
                "sequences_per_second": p.rate,
                "memory_bytes": p.memory,
                "memory_bytes_per_pe": p.memory / p.pes,
                "bound_by": p.bound,
            }
            for p in plan.placed
        ],
        "published": compared,
        "costs": COSTS[costs],
        "plot": plot,
    }


def by_kernel(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The regions of a kernel as one row: number, PEs of all, size of the first one, range of rates."""
    rows = []
    for kernel in dict.fromkeys(region["kernel"] for region in document["regions"]):
        own = [region for region in document["regions"] if region["kernel"] == kernel]
        rates = sorted(region["sequences_per_second"] for region in own)
        rows.append(
            own[0]
            | {
                "regions": len(own),
                "pes": sum(region["pes"] for region in own),
                "rates": " - ".join(
                    dict.fromkeys(f"{rate:,.0f}" if isfinite(rate) else "no limit" for rate in (rates[0], rates[-1]))
                ),
                "memory": max(region["memory_bytes_per_pe"] for region in own),
            }
        )
    return rows


def unused(document: Mapping[str, Any]) -> str | None:
    """A line about the PEs that the vendor's placement leaves idle."""
    rate, published = document["sequences_per_second"], compiler.SAMPLES_PER_SECOND
    if abs(rate - published) <= 1:
        return None
    return (
        f"All {compiler.USABLE_PES:,} usable PEs would give {rate:,.0f} sequences/s "
        f"({100 * (rate / published - 1):+.1f} % of the published rate, at which 8 % of the PEs were idle)."
    )


PIPELINED = [
    Table(
        by_kernel,
        [
            text("kernel", "{kernel}"),
            number("regions", "{regions}"),
            number("PEs", "{pes:,}"),
            number("size of the first", "{width}x{height}"),
            number("sequences/s", "{rates}"),
            number("memory/PE", "{memory:si B}"),
            text("sized by", "{bound_by}"),
        ],
    ),
    Pairs(
        [
            ("model", "{model}, sequences of {sequence} tokens, pipelined, every layer resident"),
            ("machine", "{arch}, {grid:x} PEs at {plan.clock_hz:si Hz}"),
            (
                "rate",
                lambda d: (
                    f"{d['sequences_per_second']:,.1f} sequences/s, "
                    f"{d['sequences_per_second'] * d['sequence']:,.0f} tokens/s; bound by {d['bound_by']}"
                ),
            ),
            ("PEs at work", "{pes:,}, {active:share}"),
            (
                "wires",
                lambda d: (
                    f"{len(d['plan'].wires)}, {d['wire_colors']} colors; the centres of connected regions are "
                    f"{d['wire_hops']:,.0f} hops apart in all"
                ),
            ),
            ("costs", "{costs}"),
            ("picture", "{plot}"),
        ]
    ),
    Table(
        "published",
        [
            text("kernel", "{kernel}"),
            number("published", "{published_pes:,}"),
            number("computed", "{pes:,}"),
            number("error", "{error_pct:+.1f} %"),
            number("executed kernels", "{executed_pes:,}"),
            text("computed from", "{from}"),
        ],
        title=f"PEs at the published rate, {compiler.SAMPLES_PER_SECOND} sequences/s:",
        notes=[unused],
    ),
]

STREAMING = [
    Table(
        lambda d: [
            row | {"streamed": layer.stream_bytes} for row, layer in zip(d["operators"], d["plan"].layers, strict=True)
        ],
        [
            text("operator", "{name}"),
            number("features", "{features[0]} -> {features[1]}"),
            number("tile: features x tokens", "{tile:x}"),
            number("weights", "{weights:,}"),
            number("streamed per pass", "{streamed:si B}"),
            number("computing, cycles", lambda row: " + ".join(f"{cycles:,.0f}" for cycles in row["cycles"])),
            number("streaming, cycles", lambda row: " + ".join(f"{cycles:,.0f}" for cycles in row["stream_cycles"])),
            text("bound by", "{bound_by}"),
        ],
    ),
    Pairs(
        [
            ("model", "{model}, sequences of {sequence} tokens, one layer at a time, weights streamed"),
            ("machine", "{arch}, {grid:x} PEs"),
            ("micro-batch", "{micro_batch:g} sequences, {tokens_per_pass:,.0f} tokens a pass"),
            (
                "activations",
                "{activation_bytes_per_pe:,.0f} of {plan.sram_bytes:,} bytes per PE for the widest layer",
            ),
            (
                "cycles",
                "modelled: computing by cost models of executed kernels (wse costs), streams by the link's share; "
                "a layer takes the longer of both",
            ),
            (
                "streamed",
                lambda d: (
                    f"{d['streamed_bytes_per_pass'] / 1e9:,.3f} GB a pass: weights twice (16 bits), gradients once "
                    "(32 bits)"
                ),
            ),
        ]
    ),
]
