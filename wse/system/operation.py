"""A whole training job: days, failures, checkpoints, energy and cost, as estimates from public figures.

None of it enters the prediction of a step.  Each figure below has its source; those without a public one are marked as
assumptions.  `FIGURES` is printed by `wse system --json`.

A wafer holds no state between passes.  When a wafer, a SwarmX node or a worker fails, weights and optimiser state are
in MemoryX: the job goes on after the wafers are programmed again, with the loss of half a step on average.  When a
MemoryX node fails, its share of the state is gone: the job goes back to the last checkpoint.  So checkpoints are
written at the interval that is best for failures of MemoryX alone (Young's: the root of twice a checkpoint's seconds
times the mean time between those failures).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..records import dataclass
from .parts import System

HOUR, DAY = 3600.0, 86_400.0
# name: (value, unit, source)
FIGURES: dict[str, tuple[float, str, str]] = {
    "checkpoint_seconds": (464, "s", "ALCF user guide: a checkpoint of Llama 2 7B on a CS-3"),
    "checkpoint_parameters": (6.738e9, "parameters", "Llama 2 7B"),
    "checkpoint_bytes": (12, "bytes/parameter", "weight and two moments in f32"),
    "programming_seconds": (232, "s", "ALCF user guide: programming of a CS-3 for Llama 2 7B"),
    "cs3_watts": (23e3, "W", "CS-3 product pages: 23 kW"),
    "node_watts": (
        (500e3 - 16 * 23e3) / 124,
        "W",
        "Andromeda: 500 kW less 23 kW for each of 16 systems, for 124 nodes of MemoryX, SwarmX and input",
    ),
    "swarmx_nodes": (2, "nodes/system", "ALCF user guide: 8 SwarmX nodes of 4 CS-3"),
    "box_hours": (
        54 * 24 * 16_384 / 8 / 419,
        "h",
        "assumption: every CS-3 and every node fails as often as a server of 8 GPUs in the training of Llama 3 405B, "
        "419 unexpected interruptions in 54 days on 16,384 GPUs (Meta, 2024); of CS-3 nothing is published",
    ),
    "kwh_dollars": (0.1, "$/kWh", "assumption: industrial electricity"),
    "cs3_dollars": (2.5e6, "$", "press, 2 to 3 million per CS-3 with its share of MemoryX; not a list price"),
    "years": (4, "years", "assumption: of use, over which the price is spread evenly"),
}


def figure(name: str) -> float:
    """The value of a figure."""
    return FIGURES[name][0]


@dataclass(frozen=True)
class Operation:
    """A job of so many tokens on a cluster.  Hours, seconds, watts as named.

    computing_days      of steps alone
    days                with checkpoints and what failures cost
    productive          computing_days / days
    checkpoint_seconds  of all state, at the published bytes per second of one job
    written_seconds     of a checkpoint that every node of MemoryX writes at that rate: an assumption, as the published
                        rate of one job would stop a large model for hours
    between_checkpoints seconds between two of these
    wafer_side_hours, memoryx_hours    mean time between failures of wafers and SwarmX, and of MemoryX
    failures            of both in the job
    watts, megawatt_hours, joules_per_token
    electricity, systems_share    dollars of energy, and of the systems' price over the time of the job
    """

    tokens: float
    computing_days: float
    days: float
    productive: float
    checkpoint_seconds: float
    written_seconds: float
    between_checkpoints: float
    wafer_side_hours: float
    memoryx_hours: float
    failures: float
    watts: float
    megawatt_hours: float
    joules_per_token: float
    electricity: float
    systems_share: float


def checkpoint_seconds(parameters: float) -> float:
    """Seconds of writing a checkpoint, in proportion to the published ones."""
    return figure("checkpoint_seconds") * parameters / figure("checkpoint_parameters")


def watts(system: System, systems: int) -> float:
    """Of systems, SwarmX and MemoryX."""
    nodes = system.memoryx.nodes + systems * figure("swarmx_nodes")
    return systems * figure("cs3_watts") + nodes * figure("node_watts")


def operate(
    system: System, systems: int, parameters: float, tokens: float, step_seconds: float, per_step: float
) -> Operation:
    """The job of `tokens` tokens.  per_step: tokens of a step, which takes step_seconds."""
    computing = tokens / per_step * step_seconds
    box = figure("box_hours") * HOUR
    wafer_side = box / (systems * (1 + figure("swarmx_nodes")))
    memoryx = box / system.memoryx.nodes
    written = checkpoint_seconds(parameters) / system.memoryx.nodes
    interval = between_checkpoints(written, memoryx)
    restart = figure("programming_seconds")
    # Shares of time that are lost: writing, then per failure of either kind programming and what is computed again.
    lost = written / (interval + written)
    lost += (restart + step_seconds / 2) / wafer_side
    lost += (restart + written + (interval + written) / 2) / memoryx  # reading takes as long as writing
    productive = max(0.0, 1 - lost)
    whole = computing / productive if productive else math.inf
    power = watts(system, systems)
    energy = power * whole
    return Operation(
        tokens,
        computing / DAY,
        whole / DAY,
        productive,
        checkpoint_seconds(parameters),
        written,
        interval,
        wafer_side / HOUR,
        memoryx / HOUR,
        whole * (1 / wafer_side + 1 / memoryx),
        power,
        energy / 3.6e9,
        energy / tokens,
        energy / 3.6e6 * figure("kwh_dollars"),
        systems * figure("cs3_dollars") * whole / DAY / 365.25 / figure("years"),
    )


def between_checkpoints(written: float, mean: float) -> float:
    """Young's interval: seconds between checkpoints that take `written` seconds, for failures `mean` seconds apart."""
    return math.sqrt(2 * written * mean)


# --- the same job on GPUs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gpu:
    """A GPU.  flops: of a trained model's products per second, without recomputation.  watts: with its share of a
    server."""

    name: str
    flops: float
    memory: float
    watts: float
    source: str


GPUS = (
    Gpu(
        "H100",
        400e12,
        80e9,
        10.2e3 / 8,
        "380 to 430 TFLOP/s, Llama 3 405B on 16,384 H100 (Meta, 2024); DGX H100: 10.2 kW",
    ),
    Gpu(
        "B200",
        0.4 * 2.25e15,
        180e9,
        14.3e3 / 8,
        "assumption: the H100's 40 % of 2.25 PFLOP/s dense bf16; DGX B200 14.3 kW, 1,440 GB",
    ),
)


@dataclass(frozen=True)
class OnGpus:
    """A job's tokens per second on GPUs of one kind.  by_speed: GPUs that reach it; by_memory: GPUs that hold the
    state; joules_per_token: of as many as the larger of both, at that speed."""

    gpu: Gpu
    tokens_per_second: float
    by_speed: float
    by_memory: int
    joules_per_token: float


def on_gpus(flops_per_token: float, state: float, tokens_per_second: float, usable: float = 0.8) -> list[OnGpus]:
    """The same speed on each kind of GPU.  state: bytes of weights, gradients and optimiser state, in `usable` of
    memory."""
    found = []
    for gpu in GPUS:
        each = gpu.flops / flops_per_token
        speed, memory = tokens_per_second / each, math.ceil(state / (usable * gpu.memory))
        found.append(OnGpus(gpu, each, speed, memory, max(speed, memory) * gpu.watts / tokens_per_second))
    return found


# --- checks -----------------------------------------------------------------------------------------------------------

# (model, parameters, published seconds of a checkpoint, source); the first one gives the rate.
CHECKPOINTS = (
    ("Llama 2 7B", 6.738e9, 464.0, "ALCF user guide"),
    ("GPT-J 6B", 6.05e9, 497.0, "ALCF user guide"),
    ("DiT-2B", 2.281e9, 181.2, "ALCF user guide, October 2025"),
    ("ESM2-35M", 33.5e6, 9.1, "ALCF user guide, October 2025"),
)


def checkpoints(seconds: Callable[[float], float] = checkpoint_seconds) -> list[tuple[str, float, float, float, str]]:
    """(model, published seconds, modelled, error in percent, source)."""
    return [(m, t, seconds(n), 100 * (seconds(n) / t - 1), source) for m, n, t, source in CHECKPOINTS]
