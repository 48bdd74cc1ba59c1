"""GPUs with the same tokens per second, and with the same memory, from Megatron-LM's table.

Assumptions: A100 of 80 GB; the published flop/s per GPU of the nearest size (between rows, in the logarithm of the
parameters); it counts the forward pass twice, as activations are recomputed; perfect scaling; sequences of any length
at the flop/s of 2,048.  Memory: weights, gradients, optimiser state at 18 bytes per parameter in 0.8 of each GPU.
"""

from __future__ import annotations

import csv
import math
from functools import cache
from pathlib import Path

import numpy as np

from ..plan.workload import Workload
from ..records import dataclass
from .parts import STATE

TABLE = Path(__file__).with_name("megatron_a100.csv")
MEMORY, USABLE = 80e9, 0.8
ASSUMPTIONS = "A100 80 GB, Megatron-LM's published flop/s per GPU with recomputed activations, perfect scaling"


@dataclass(frozen=True)
class Gpus:
    """by_speed: GPUs for these tokens per second.  by_memory: GPUs that hold the state.  tokens_per_second: of one."""

    by_speed: float
    by_memory: int
    tokens_per_second: float
    tflops: float


@cache
def table() -> list[dict[str, float]]:
    """The rows of the table of published runs on GPUs."""
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(lines)]


def equivalent(work: Workload, tokens_per_second: float) -> Gpus:
    """GPUs that reach the same tokens per second on a workload."""
    sizes = [math.log(row["parameters"]) for row in table()]
    tflops = float(np.interp(math.log(work.parameters), sizes, [row["tflops"] for row in table()]))
    each = tflops * 1e12 / (work.flops_per_token() * 4 / 3)
    memory = math.ceil(work.parameters * sum(STATE.values()) / (MEMORY * USABLE))
    return Gpus(tokens_per_second / each, memory, each, tflops)
