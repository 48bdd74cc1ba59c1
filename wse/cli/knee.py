"""`wse knee`: a training pass over a sweep of MemoryX's memory: where it stops to be bound by the streams."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..errors import ConfigError
from . import common

CHANNELS = "1,2,3,4,5,6,8,12,24,96"


class Numbers(click.ParamType):
    """1,2,4."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        try:
            numbers = [int(word) for word in value.split(",")]
        except ValueError:
            numbers = []
        if not numbers or min(numbers) < 1:
            self.fail(f"{value!r} is no list of numbers of channels, such as 1,2,4", param, ctx)
        return numbers


@click.command("knee")
@click.option("--model", default="nano", show_default=True, help="Name or Hugging Face config.json.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Sequences of the pass.")
@click.option("--dtype", type=click.Choice(["bf16", "f16", "cb16", "f32"]), default="bf16", show_default=True)
@click.option("--policy", type=click.Choice(["POL0", "POL1", "POL2"]), default="POL0", show_default=True)
@click.option("--grid", type=common.Grid(), help="PEs.  [default: heads x batch]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and tokens.")
@common.machine_options
@click.option("--ddr5", type=int, default=4800, show_default=True, help="Speed grade of MemoryX's DRAM, MT/s.")
@click.option("--channels", type=Numbers(), default=CHANNELS, show_default=True, help="Numbers of channels to sweep.")
@click.option("--plot", type=click.Path(path_type=Path), help="Picture to write: .png .svg .pdf.")
@common.json_option
def command(
    model: str, batch: int, seed: int, ddr5: int, channels: list[int], plot: Path | None, as_json: bool, **options: Any
) -> int:
    """Execute a forward and backward pass with ever more channels of DDR5 (of a whole wafer's MemoryX, of which a
    rectangle has its share), and say where streaming stops to bound it: T >= eta P / B for each operator."""
    from .. import report
    from ..costs import knee as sweep
    from ..execute.streaming import Streaming
    from ..memoryx import Ddr5, MemoryX
    from ..models import graph, load
    from ..train.loop import initial

    if plot is not None and report.check(plot, "summary") and plot.suffix not in report.STILL:
        raise ConfigError(f"cannot write {plot}: this picture is {', '.join(report.STILL)}")
    loaded = load(model)
    made = graph(loaded)
    machine = common.machine(*(options.pop(name) for name in ("arch", "profile", "settings", "file")))
    tokens = np.random.default_rng(seed).integers(0, loaded.vocab, (batch, loaded.sequence + 1)).astype(np.uint16)
    memories = [MemoryX(part=Ddr5(ddr5), channels=number, nodes=1) for number in channels]
    make = partial(streaming, Streaming, graph=made, batch=batch, machine=machine, **options)
    bar = common.ProgressLine(notes_to_stderr=as_json)
    try:
        found = sweep.sweep(make, memories, initial(made, seed), tokens[:, :-1], tokens[:, 1:])
    finally:
        bar.clear()
    if plot is not None:
        from ..report import figure, knee

        figure.save(knee.figure(found, f"{loaded.name}, {found.tokens} tokens a pass, DDR5-{ddr5}"), plot)
    if as_json:
        common.print_json(document(found, loaded.name, ddr5, plot))
    else:
        show(found, loaded.name, ddr5, plot)
    return 0


def streaming(kind: Any, memory: Any, **options: Any) -> Any:
    return kind(system=memory, **options)


def document(found: Any, model: str, ddr5: int, plot: Path | None) -> dict[str, Any]:
    """What --json prints; keys are stable."""
    return {
        "model": model,
        "ddr5": ddr5,
        "tokens": found.tokens,
        "computing_cycles": found.computing,
        "knee_bytes_per_second": found.knees,
        "points": [
            {
                "channels": point.memory.channels,
                "bytes_per_second": point.bandwidth,
                "cycles": point.cycles,
                "law_cycles": point.law,
                "error": point.error,
                "streaming_cycles": point.streaming,
                "tokens_to_hide": {phase: found.tokens_to_hide(point, phase) for phase in found.computing},
                "waits": point.waits,
                "bound_by": point.bound,
            }
            for point in found.points
        ],
        "executed": "passes, PE by PE",
        "modelled": "DDR5 and network; the law",
        "plot": plot,
    }


def show(found: Any, model: str, ddr5: int, plot: Path | None) -> None:
    click.echo(
        f"{model}, {found.tokens} tokens a pass; computing alone: forward {found.computing['forward']:,} cycles, "
        f"backward {found.computing['backward']:,} (executed)"
    )
    head = ("channels", "GB/s", "tokens to hide it: forward", "backward", "law", "executed", "law off by", "bound by")
    rows = [
        (
            str(point.memory.channels),
            f"{point.bandwidth / 1e9:,.0f}",
            f"{found.tokens_to_hide(point, 'forward'):,.0f}",
            f"{found.tokens_to_hide(point, 'backward'):,.0f}",
            f"{point.law:,.0f}",
            f"{point.cycles:,}",
            f"{100 * point.error:+.1f} %",
            point.bound,
        )
        for point in found.points
    ]
    common.print_table(head, rows, right=range(len(head) - 1))
    common.print_pairs(
        [
            *((f"knee, {phase}", f"{at / 1e9:,.0f} GB/s of DDR5-{ddr5}") for phase, at in found.knees.items()),
            *([("picture", str(plot))] if plot else []),
        ]
    )
