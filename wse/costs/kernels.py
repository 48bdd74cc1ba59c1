"""Cost models of single kernels of wse.kernels: matrix-vector products and all-reduces."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import kernels
from ..fabric.errors import RunError
from ..machine.parameters import Machine
from .fit import Model, Shape


def library(name: str, machine: Machine, grid: tuple[int, int], **config: Any) -> kernels.Result:
    """Run a kernel of wse.kernels.  Raises RunError if its result is wrong, because its time is then meaningless."""
    result = kernels.run(name, config, kernels.RunOptions(machine=machine, grid=grid))
    if not result.verified:
        raise RunError(f"{name} on {grid[0]}x{grid[1]} PEs with {config} computed a wrong result")
    return result


def _cycles(result: kernels.Result) -> int:
    """Cycles of a run: those that the kernel measures itself, without the program's start-up, if it does."""
    return int(result.extra.get("measured_cycles", result.run.cycles))


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def gemv(accumulate: str) -> Model:
    """The cost model of a matrix-vector product in f16 (kernels/gemv.py), M x K on w x h PEs.

    accumulate: "same" for f16 sums, or "f32".  A PE holds m rows and k columns of the matrix.
    """

    def run(s: Shape, machine: Machine) -> int:
        return _cycles(
            library("gemv", machine, (s["w"], s["h"]), M=s["M"], K=s["K"], dtype="f16", accumulate=accumulate)
        )

    rate = 0.25 if accumulate == "same" else 0.75  # cycles per element

    def m(s: Shape) -> int:
        return _ceil(_ceil(s["M"], s["h"]), 8) * 8

    def k(s: Shape) -> int:
        return _ceil(s["K"], s["w"])

    terms: dict[str, Callable[[Shape], float]] = {
        "start": lambda s: 1.0,
        "a column": k,
        # The next column reads the sums of a column, write_to_read_cycles + 1 after they are written at the earliest.
        "a cycle of waiting for sums": lambda s: k(s) * max(0.0, 12 - rate * m(s)),
        "an element of a column": lambda s: k(s) * m(s),
        "an element of the sum": m,
        "a PE along the row": lambda s: s["w"],
        "a PE down the column": lambda s: s["h"],
    }
    fitted = (
        (64, 64, 4, 4), (128, 128, 4, 4), (256, 64, 4, 4), (64, 256, 4, 4), (512, 512, 8, 8), (256, 256, 8, 8),
        (1024, 256, 8, 8), (256, 1024, 8, 8), (512, 512, 16, 16), (1024, 1024, 16, 16), (2048, 512, 16, 16),
        (512, 2048, 16, 16), (512, 512, 32, 16), (512, 512, 16, 32), (1024, 1024, 32, 32), (512, 512, 64, 16),
        (512, 512, 16, 64), (256, 256, 64, 64), (2048, 1024, 48, 48),
    )  # fmt: skip
    held = (
        (384, 384, 8, 8), (768, 768, 16, 16), (768, 3072, 32, 32), (3072, 768, 32, 32), (1024, 1024, 64, 64),
        (2048, 2048, 64, 64), (1536, 1536, 96, 96), (640, 320, 40, 20), (2048, 2048, 128, 128),
    )  # fmt: skip
    name = "gemv, f16" + ("" if accumulate == "same" else " with f32 sums")
    return Model(name, ("M", "K", "w", "h"), terms, run, fitted, held)


def allreduce() -> Model:
    """The cost model of a two-phase all-reduce of `length` f32 per PE on w x h PEs (kernels/allreduce.py)."""

    def run(s: Shape, machine: Machine) -> int:
        return _cycles(
            library("allreduce", machine, (s["w"], s["h"]), algorithm="two-phase", length=s["length"], dtype="f32")
        )

    def groups(n: int) -> float:
        return math.sqrt(n)

    terms: dict[str, Callable[[Shape], float]] = {
        "start": lambda s: 1.0,
        "a hop": lambda s: s["w"] + s["h"],
        "a PE that adds": lambda s: groups(s["w"]) + groups(s["h"]),
        "an element": lambda s: s["length"],
        "an element that a PE adds": lambda s: s["length"] * (groups(s["w"]) + groups(s["h"])),
    }
    fitted = tuple((w, h, n) for w, h in ((8, 8), (16, 16), (32, 16), (36, 36), (64, 64)) for n in (1, 4, 16, 64))
    held = ((12, 12, 8), (24, 24, 2), (48, 48, 1), (48, 32, 32), (81, 81, 1), (100, 100, 4), (100, 64, 16))
    return Model("allreduce, f32", ("w", "h", "length"), terms, run, fitted, held)
