"""Compute times of a whole wafer, from the cost models of executed kernels (recorded.py).

Features are distributed along x and tokens along y, as in wse.operators; each PE has a tile of both.  The cycles of
each operator of a layer are those of its cost model at this tile.  The efficiency of the vendor's compiler is not
modelled, but calibrated (calibrate.py).

The models are extrapolated beyond executed shapes: to tiles with hundreds of tokens (executed tiles have as few
features, but fewer tokens), to attention over more rows with heads divided among columns without loss, and to sums over
hundreds of PEs.  For a WSE-2, the models of linear layers are fitted to runs on a WSE-2; those of the other operators
are those of a WSE-3.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..machine.parameters import Machine
from ..models import Operator, Transformer, graph
from ..plan.workload import Layer, Workload, predicted
from .cycles import operator_cycles

# A row of the wafer may be divided into this many shorter rows, each with all features of its own tokens.  768 features
# on 757 columns take two features per PE, nearly half of which is padding; on 8 rows of 94 PEs, there is little
# padding.
GROUPS = range(1, 25)


def terms(
    work: Workload, layer: Layer, tokens: float, machine: str | Machine, level: str, routed: bool = True
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The factors of the constants of the family "kernels" (calibrate.py) for a layer: (forward, backward).

    Each holds the seconds of all kernels but attention, the seconds of attention, and the layer's share of the overhead
    (one third forward, two thirds backward).  tokens: of the pass.  machine: its usable_pes, fabric_width and
    peak_clock_hz are used.  level: of the policy of precision.
    routed: experts wait for the row of PEs with most of their tokens; else no row waits.
    """
    machine = Machine.of(machine)
    tokens = math.ceil(tokens * predicted(work.model, layer.name))
    cycles = _cycles(work.model, layer.like, work.sequence, tokens, machine, work.density, level, routed)
    found = cycles / machine.peak_clock_hz
    (forward, forward_attention), (backward, backward_attention) = found.tolist()
    return (
        (forward, forward_attention, layer.depth / 3),
        (backward, backward_attention, 2 * layer.depth / 3),
    )


@cache
def _parts(model: Transformer) -> dict[str, list[Operator]]:
    return graph(model).parts()


@cache
def _cycles(
    model: Transformer,
    name: str,
    sequence: int,
    tokens: int,
    machine: Machine,
    density: float,
    level: str,
    routed: bool,
) -> np.ndarray:
    """float64 [2, 2]: cycles [forward, backward][other kernels, attention] of a layer, the embedding or the head, for
    the fastest of the divisions `GROUPS`."""
    whole = machine.fabric_width
    best = np.full((2, 2), np.inf)
    for groups in GROUPS:
        width = whole // groups
        tile = max(1, math.ceil(tokens * whole / (machine.usable_pes * groups)))
        rows = max(1, machine.usable_pes // width) if routed else None
        found = np.zeros((2, 2))
        for operator in _parts(model)[name]:
            cycles = operator_cycles(
                operator, width, tile, sequence, machine.name, density, level, in_parts=True, rows_in_step=rows
            )
            found[:, int(operator.kind == "attention")] += cycles
        if found.sum() < best.sum():
            best = found
    return best
