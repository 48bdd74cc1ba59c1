"""`wse map MODEL`: where a transformer lies on the wafer: a floor plan (pipelined), or tiles and memory (streaming)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..costs import vendor_compiler as compiler
from ..costs.cycles import ExecutedCosts, operator_cycles
from ..errors import ConfigError
from ..models import Graph, graph, load
from ..plan import floorplan
from ..plan.tiles import streaming
from ..report import text
from . import common


@click.command("map")
@click.argument("model")
@click.option("--mode", type=click.Choice(["pipelined", "streaming"]), default="pipelined", show_default=True)
@click.option("--grid", type=common.Grid(), help="PEs to use.  [default: gpt2 pipelined: as published; else the wafer]")
@click.option("--arch", type=click.Choice(common.ARCHS), help="[default: wse2 for gpt2 as published, else wse3]")
@common.model_options
@click.option("--sequence", type=click.IntRange(1), help="Tokens of a sequence.  [default: the model's]")
@click.option(
    "--by", type=click.Choice(["kernel", "half"]), default="kernel", show_default=True, help="What is a region."
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Sequences/s to size for.  [default: the highest]"
)
@click.option("--batch", type=click.IntRange(1), help="Sequences per step (streaming).  [default: what memory takes]")
@click.option(
    "--costs",
    type=click.Choice(["compiler", "executed"]),
    default="compiler",
    show_default=True,
    help="Of kernels: calibrated on the vendor's compiler, or fitted to executed runs.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Picture to write: .png .svg .pdf.")
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
    """Map MODEL (a name, or a Hugging Face config.json) onto a grid of PEs.

    Pipelined: every layer has a rectangle of its own, sized so that all work at one rate.  Streaming: one layer at a
    time on the whole grid; weights come in from the edge.
    """
    transformer = load(model)
    if plot is not None:
        from ..report import validation

        validation.check(plot)
    if mode == "streaming":
        if plot is not None:
            raise ConfigError(
                "--plot draws floor plans: there is none in streaming mode, where a layer has the whole grid"
            )
        machine = common.model_machine(arch, settings, file, FIGURES, "wse map")
        tiles = streaming(transformer, grid or wafer(machine), operator_cycles, machine, sequence, batch)
        show_streaming(tiles, as_json)
        return
    as_published = (
        transformer.name == compiler.MODEL
        and (arch or "wse2") == "wse2"
        and grid in (None, compiler.GRID)
        and not (settings or file)
    )
    machine = common.model_machine("wse2" if as_published else arch, settings, file, FIGURES, "wse map")
    arch = machine.name
    grid = grid or (compiler.GRID if as_published else wafer(machine))
    made = graph(transformer)
    plan = floorplan.plan(made, grid, machine, priced(costs, arch), sequence, by, rate)
    compared = None
    if as_published and by == "kernel" and sequence in (None, transformer.sequence):
        compared = compare(made, machine, arch)
    if plot is not None:
        from ..report.floorplan import draw

        draw(plan, plot)
    if as_json:
        common.print_json(document(plan, arch, costs, compared, plot))
    else:
        show(plan, arch, costs, compared, plot)


def priced(costs: str, arch: str) -> floorplan.Costs:
    """The kernels' costs by name."""
    if costs == "compiler":
        return compiler.calibrated()
    return ExecutedCosts(arch)


# Figures of the machine that the models use.
FIGURES = ("clock_hz", "fabric_width", "fabric_height", "sram_bytes")

COSTS = {
    "compiler": "modelled: calibrated on the vendor's compile report of GPT-2 small, not executed",
    "executed": "modelled: fitted to executed kernels of this package (wse costs)",
}


def wafer(machine: Any) -> tuple[int, int]:
    return machine.fabric_width, machine.fabric_height


def compare(made: Graph, machine: Any, arch: str) -> list[dict[str, Any]]:
    """PEs by kernel at the published rate, beside the published ones, and those that executed kernels would take."""
    rate = compiler.SAMPLES_PER_SECOND
    plan = floorplan.plan(made, compiler.GRID, machine, compiler.calibrated(), rate=rate).by_kernel()
    wide = (machine.fabric_width, machine.fabric_height)
    own = floorplan.plan(made, wide, machine, ExecutedCosts(arch), rate=rate).by_kernel()
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
) -> Any:
    """What --json prints; keys are stable."""
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


def show(
    plan: floorplan.FloorPlan, arch: str, costs: str, compared: list[dict[str, Any]] | None, plot: Path | None
) -> None:
    rows = []
    for kernel, (number, pes) in plan.by_kernel().items():
        own = [p for p in plan.placed if p.region.kernel == kernel]
        rates = [p.rate for p in own]
        rows.append(
            (
                kernel,
                str(number),
                f"{pes:,}",
                f"{own[0].rectangle.width}x{own[0].rectangle.height}",
                f"{min(rates):,.0f}" if min(rates) == max(rates) else f"{min(rates):,.0f} - {max(rates):,.0f}",
                text.si(float(max(p.memory / p.pes for p in own)), "B"),
                own[0].bound,
            )
        )
    head = ("kernel", "regions", "PEs", "first is", "sequences/s", "memory/PE", "sized by")
    common.print_table(head, rows, right=(1, 2, 3, 4, 5))
    click.echo()
    pairs = [
        ("model", f"{plan.model}, sequences of {plan.sequence}, pipelined, every layer resident"),
        ("machine", f"{arch}, {plan.grid[0]} x {plan.grid[1]} PEs at {text.si(plan.clock_hz, 'Hz')}"),
        ("rate", f"{plan.rate:,.1f} sequences/s, {plan.rate * plan.sequence:,.0f} tokens/s; bound by {plan.bound}"),
        ("PEs at work", f"{plan.pes:,}, {text.percent(plan.active)}"),
        (
            "wires",
            f"{len(plan.wires)}, {1 + max((w.color for w in plan.wires), default=-1)} colors; the chain's middles are "
            f"{floorplan.wire_length(plan):,.0f} hops apart in all",
        ),
        ("costs", COSTS[costs]),
    ]
    if plot is not None:
        pairs.append(("picture", str(plot)))
    common.print_pairs(pairs)
    if compared is not None:
        click.echo(f"\nAt the published rate, {compiler.SAMPLES_PER_SECOND} sequences/s:")
        table = [
            (
                r["kernel"],
                f"{r['published_pes']:,}",
                f"{r['pes']:,}",
                f"{r['error_pct']:+.1f} %",
                f"{r['executed_pes']:,}",
                r["from"],
            )
            for r in compared
        ]
        common.print_table(
            ("kernel", "published", "computed", "error", "executed kernels", "computed from"), table, (1, 2, 3, 4)
        )
        free = 100 * (plan.rate / compiler.SAMPLES_PER_SECOND - 1)
        if abs(plan.rate - compiler.SAMPLES_PER_SECOND) > 1:
            click.echo(
                f"All {compiler.USABLE_PES:,} usable PEs would give {plan.rate:,.0f} sequences/s ({free:+.1f} % of the "
                "published rate, where 8 % of the PEs were idle)."
            )


def show_streaming(plan: Any, as_json: bool) -> None:
    if as_json:
        common.print_json(plan.document())
        return
    rows = [
        (
            layer.name,
            f"{layer.features[0]} -> {layer.features[1]}",
            f"{layer.tile[0]} x {layer.tile[1]}",
            f"{layer.weights:,}",
            text.si(float(layer.stream_bytes), "B"),
            " + ".join(f"{cycles:,.0f}" for cycles in layer.cycles),
            " + ".join(f"{cycles:,.0f}" for cycles in layer.streaming),
            layer.bound,
        )
        for layer in plan.layers
    ]
    head: tuple[str, ...] = ("operator", "features", "tile: features x tokens", "weights", "streamed per pass")
    head += ("computing, cycles", "streaming, cycles", "bound by")
    common.print_table(head, rows, right=range(1, 7))
    click.echo()
    common.print_pairs(plan.words())
