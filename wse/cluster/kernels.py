"""Compute times from executed kernels: the cost models of mapping/cost.py at the size of a wafer.

Features lie along x, tokens along y, as in the executed kernels (kernels/layer), each PE with a tile of both.  The
cycles of every operator of a layer, forward and backward, are those of its cost model at that tile.  What the fabric
model cannot know is how the vendor's compiler does: that is calibrated (calibrate.py).

Taken beyond what is executed: tiles of a wafer (a few features by hundreds of tokens; executed ones are as narrow and
shorter), attention over thousands of tokens with its heads divided among PEs without loss, sums along hundreds of PEs.
On a WSE-2 products are executed as such; what lies between them is a WSE-3's.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..machine import Machine
from ..mapping import cost
from ..mapping.layer_costs import linear_name
from ..models import Graph, Operator, Transformer, graph
from .workload import Layer, Workload

# PEs that the vendor's software uses: of 757 x 996 and 762 x 1172 that a program may use, rows as many as give these.
PES = {"wse2": 850_000, "wse3": 900_000}
PHASES = ("forward", "backward")
# The clock that the vendor's peak figures imply (parts.PEAK).
CLOCK_HZ = 1.1e9
# The executed attention is causal: in four blocks it works on 10 of 16 parts of the square.
NOT_CAUSAL = 16 / 10
# A row of the wafer may be so many shorter rows, each with all features of its own tokens: 768 features on 757 columns
# would leave half of a second feature's place empty, in eight rows of 94 hardly any.
GROUPS = range(1, 25)


def terms(work: Workload, layer: Layer, tokens: float, arch: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(forward, backward): seconds of all kernels but attention, of attention, and 1 for a layer in thirds."""
    one = "layers.0" if layer.depth else layer.name
    found = _cycles(work.model, one, work.sequence, math.ceil(tokens), arch) / CLOCK_HZ
    (forward, forward_attention), (backward, backward_attention) = found.tolist()
    return (
        (forward, forward_attention, layer.depth / 3),
        (backward, backward_attention, 2 * layer.depth / 3),
    )


@cache
def _graph(model: Transformer) -> Graph:
    return graph(model.but(layers=1))


@cache
def _cycles(model: Transformer, name: str, sequence: int, tokens: int, arch: str) -> np.ndarray:
    """[forward, backward][all but attention, attention] of the operators of a layer, or of the embedding's or the
    head's, in the best of its divisions (`GROUPS`)."""
    whole = Machine(arch).fabric_width
    best = np.full((2, 2), np.inf)
    for groups in GROUPS:
        width = whole // groups
        tile = max(1, math.ceil(tokens * whole / (PES[arch] * groups)))
        found = np.zeros((2, 2))
        for operator in _graph(model).operators:
            own = operator.group if operator.layer is None else f"layers.{operator.layer}"
            if own == name:
                cycles = operator_cycles(operator, width, tile, sequence, tokens, arch)
                found[:, int(operator.kind == "attention")] += cycles
        if found.sum() < best.sum():
            best = found
    return best


def operator_cycles(
    operator: Operator, width: int, tile: int, sequence: int, tokens: int, arch: str
) -> tuple[float, ...]:
    """(forward, backward) cycles of an operator on rows of `width` PEs with `tile` tokens each."""
    inputs, outputs = operator.features
    rows = math.ceil(outputs / width)
    match operator.kind:
        case "linear":
            shape = {"w": width, "inputs": inputs, "outputs": outputs, "tokens": tile}
            return tuple(_cost(linear_name(phase, arch), **shape) for phase in PHASES)
        case "layernorm" | "rmsnorm":
            kind = operator.kind.removesuffix("norm")
            sums = _row_sum(width, tile)
            times = 2 if kind == "layer" else 1
            return (
                _cost(f"{kind} norm forward", rows=rows, tokens=tile) + times * sums,
                _cost(f"{kind} norm backward", rows=rows, tokens=tile) + times * sums,
            )
        case "gelu" | "silu":
            return _both("gelu", n=rows * tile)
        case "silu_gate" | "gelu_gate":
            return _both("silu gate", n=rows * tile)
        case "residual":
            return _cost("residual", n=rows * tile), 0.0
        case "loss":
            features = math.ceil(inputs / width)
            return _cost("loss", rows=features, tokens=tile) + 2 * _row_sum(width, tile), 0.0
        case "attention":
            # Heads of whole sequences, shared out among the PEs.
            heads = operator.attributes["heads"] * tokens / sequence / PES[arch]
            if not operator.attributes["causal"]:
                heads *= NOT_CAUSAL
            f, b = _both("attention", heads=1, d_head=int(operator.attributes["d_head"]), sequence=sequence)
            return heads * f, heads * b
        case "experts":
            active = int(operator.attributes["active"])
            found = [0.0, 0.0]
            for role, parameter in operator.parameters.items():
                if role != "router":
                    _, wide, deep = parameter.shape
                    shape = {"w": width, "inputs": deep, "outputs": wide, "tokens": tile}
                    for i, phase in enumerate(PHASES):
                        found[i] += active * _cost(linear_name(phase, arch), **shape)
            return found[0], found[1]
    return 0.0, 0.0  # rows of tables by ids, rotations: little beside products


def _cost(name: str, **shape: int) -> float:
    return cost.fitted(name).cycles(**shape)


def _both(name: str, **shape: int) -> tuple[float, float]:
    return _cost(f"{name} forward", **shape), _cost(f"{name} backward", **shape)


def _row_sum(width: int, tokens: int) -> float:
    """An f32 sum of a vector of tokens along the row, to all of it."""
    return _cost("allreduce, f32", w=width, h=1, length=tokens)
