"""Compute times from executed kernels: the cost models of costs/recorded.py at the size of a wafer.

Features lie along x, tokens along y, as in the executed kernels (wse.operators), each PE with a tile of both.  The
cycles of every operator of a layer, forward and backward, are those of its cost model at that tile.  What the fabric
model cannot know is how the vendor's compiler does: that is calibrated (calibrate.py).

Taken beyond what is executed: tiles of a wafer (a few features by hundreds of tokens; executed ones are as narrow and
shorter), attention over more rows and with heads divided among columns without loss, sums along hundreds of PEs.
On a WSE-2 products are executed as such; what lies between them is a WSE-3's.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..machine.parameters import Machine
from ..models import Graph, Transformer, graph
from ..plan.workload import Layer, Workload
from .cycles import operator_cycles

# A row of the wafer may be so many shorter rows, each with all features of its own tokens: 768 features on 757 columns
# would leave half of a second feature's place empty, in eight rows of 94 hardly any.
GROUPS = range(1, 25)


def terms(
    work: Workload, layer: Layer, tokens: float, machine: str | Machine
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(forward, backward): seconds of all kernels but attention, of attention, and 1 for a layer in thirds.

    machine: its usable_pes, fabric_width and peak_clock_hz are used; cycles are those of executed kernels.
    """
    machine = Machine.of(machine)
    one = "layers.0" if layer.depth else layer.name
    found = _cycles(work.model, one, work.sequence, math.ceil(tokens), machine, work.density) / machine.peak_clock_hz
    (forward, forward_attention), (backward, backward_attention) = found.tolist()
    return (
        (forward, forward_attention, layer.depth / 3),
        (backward, backward_attention, 2 * layer.depth / 3),
    )


@cache
def _graph(model: Transformer) -> Graph:
    return graph(model.but(layers=1))


@cache
def _cycles(model: Transformer, name: str, sequence: int, tokens: int, machine: Machine, density: float) -> np.ndarray:
    """[forward, backward][all but attention, attention] of the operators of a layer, or of the embedding's or the
    head's, in the best of its divisions (`GROUPS`)."""
    whole = machine.fabric_width
    best = np.full((2, 2), np.inf)
    for groups in GROUPS:
        width = whole // groups
        tile = max(1, math.ceil(tokens * whole / (machine.usable_pes * groups)))
        found = np.zeros((2, 2))
        for operator in _graph(model).operators:
            own = operator.group if operator.layer is None else f"layers.{operator.layer}"
            if own == name:
                cycles = operator_cycles(operator, width, tile, sequence, machine.name, density)
                found[:, int(operator.kind == "attention")] += cycles
        if found.sum() < best.sum():
            best = found
    return best
