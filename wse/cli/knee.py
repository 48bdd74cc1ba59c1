"""`wse knee`: executes a training pass over a sweep of MemoryX's bandwidth, to find the crossover."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..costs import knee as crossover
from ..execute.streaming import Streaming
from ..memoryx import Ddr5, MemoryX
from ..memoryx.ddr5 import SPEEDS
from ..models import graph, load
from ..train.loop import initial
from . import common, types
from .output import Lines, Pairs, Table, number, show, text

CHANNELS = "1,2,3,4,5,6,8,12,24,96"


@click.command("knee")
@common.option("--model", type=types.MODEL, default="nano", help=common.MODEL)
@common.option("--batch", type=types.BATCH, default=8, help="Sequences of the pass.")
@common.option("--dtype", type=types.DTYPE, default="bf16", help="Storage type on the PEs.")
@common.option("--policy", type=types.POLICY, default="POL0", help=common.POLICY)
@common.option("--grid", type=types.Grid(), help="PEs to use.  [default: heads x batch]")
@common.option("--seed", type=types.SEED, default=0, help="Seed of weights and tokens.")
@common.machine_options
@common.option("--ddr5", type=types.Choice(SPEEDS), default=4800, help="Speed of MemoryX's DDR5, MT/s.")
@common.option(
    "--channels",
    type=types.Integers(1, 1024, "numbers of channels"),
    default=CHANNELS,
    help="Numbers of DDR5 channels to sweep.",
)
@common.option("--plot", type=types.OUTPUT, help=common.PICTURE)
@common.json_option
def command(
    model: str,
    batch: int,
    seed: int,
    ddr5: int,
    channels: tuple[int, ...],
    plot: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Execute a training pass with increasing bandwidth of MemoryX, and print where streaming ceases to bound it.

    Each point is a forward and a backward pass with so many channels of DDR5 for a whole wafer, of which the PEs used
    have their share.  Beside the executed cycles stands the law T >= eta P / B for each operator.
    """
    if plot is not None:
        from ..report import validation

        validation.check(plot)
    loaded = load(model)
    made = graph(loaded)
    machine = common.machine(*(options.pop(name) for name in ("arch", "profile", "settings", "file")))
    tokens = np.random.default_rng(seed).integers(0, loaded.vocab, (batch, loaded.sequence + 1)).astype(np.uint16)
    memories = [MemoryX(part=Ddr5(ddr5), channels=each, nodes=1) for each in channels]
    make = partial(streaming, graph=made, batch=batch, machine=machine, **options)
    with common.Steps("passes") as bar:
        bar(0, len(memories) + 1)
        found = crossover.sweep(make, memories, initial(made, seed), tokens[:, :-1], tokens[:, 1:], bar)
    if plot is not None:
        from ..report import figure
        from ..report import knee as picture

        figure.save(picture.figure(found, f"{loaded.name}, {found.tokens} tokens a pass, DDR5-{ddr5}"), plot)
    show(document(found, loaded.name, ddr5, plot), VIEW, as_json)


def streaming(memory: MemoryX, **options: Any) -> Streaming:
    return Streaming(system=memory, **options)


def document(found: Any, model: str, ddr5: int, plot: Path | None) -> dict[str, Any]:
    """The sweep in JSON; keys are stable."""
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


def crossings(d: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The bandwidth from which each phase is not bound by streams."""
    knees = d["knee_bytes_per_second"]
    return [(f"knee, {phase}", f"{at / 1e9:,.0f} GB/s of DDR5-{d['ddr5']}") for phase, at in knees.items()]


VIEW = [
    Lines(
        [
            "{model}, {tokens} tokens a pass; computing alone: forward {computing_cycles[forward]:,} cycles, backward "
            "{computing_cycles[backward]:,} (executed)"
        ]
    ),
    Table(
        "points",
        [
            number("channels", "{channels}"),
            number("GB/s", lambda point: f"{point['bytes_per_second'] / 1e9:,.0f}"),
            number("tokens to hide it: forward", "{tokens_to_hide[forward]:,.0f}"),
            number("backward", "{tokens_to_hide[backward]:,.0f}"),
            number("law, cycles", "{law_cycles:,.0f}"),
            number("executed", "{cycles:,}"),
            number("law off by", lambda point: f"{100 * point['error']:+.1f} %"),
            text("bound by", "{bound_by}"),
        ],
    ),
    Pairs(lambda d: [*crossings(d), ("picture", "{plot}")]),
]
