"""Cycles of a transformer's operators on rows of PEs of any size, from the cost models of executed kernels.

Features lie along x, tokens along y, as in wse.operators.  Attention has whole heads in a column where it is executed;
here heads are shared out among more or fewer columns without loss.
"""

from __future__ import annotations

import math

from ..models import Operator
from ..plan.region import Region
from . import recorded
from .operators import linear_name

PHASES = ("forward", "backward")
INDEX_CYCLES = 4
# The executed attention is causal: in four blocks it works on 10 of 16 parts of the square.
NOT_CAUSAL = 16 / 10


def operator_cycles(
    operator: Operator, width: int, tile: int, sequence: int, arch: str, density: float = 1.0
) -> tuple[float, ...]:
    """(forward, backward) cycles of an operator on rows of `width` PEs with `tile` tokens each.

    density: of the weights.
    """
    inputs, outputs = operator.features
    rows = math.ceil(outputs / width)
    match operator.kind:
        case "linear":
            shape = {"w": width, "inputs": inputs, "outputs": outputs, "tokens": tile}
            return tuple(_product(phase, arch, density, shape) for phase in PHASES)
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
            across = operator.attributes["heads"] / width
            d_head = int(operator.attributes["d_head"])
            if tile >= sequence:
                whole = across * tile / sequence * (1 if operator.attributes["causal"] else NOT_CAUSAL)
                f, b = _both("attention", heads=1, d_head=d_head, sequence=sequence)
                return whole * f, whole * b
            f, b = _both("attention over rows", rows=math.ceil(sequence / tile), d_head=d_head, tokens=tile)
            return across * f, across * b
        case "experts":
            active = int(operator.attributes["active"])
            found = [0.0, 0.0]
            for role, parameter in operator.parameters.items():
                if role != "router":
                    _, wide, deep = parameter.shape
                    shape = {"w": width, "inputs": deep, "outputs": wide, "tokens": tile}
                    for i, phase in enumerate(PHASES):
                        found[i] += active * _product(phase, arch, density, shape)
            return found[0], found[1]
    return 0.0, 0.0  # rows of tables by ids, rotations: little beside products


def _product(phase: str, arch: str, density: float, shape: dict[str, int]) -> float:
    """A linear layer with that share of its weights: a sparse weight takes INDEX_CYCLES more (operators/linear.py);
    the weight gradient, half of what the backward pass multiplies, is dense."""
    fit = recorded.fitted(linear_name(phase, arch))
    whole = fit.cycles(**shape)
    if density == 1:
        return whole
    terms = dict(zip(fit.model.terms, zip(fit.constants, fit.model.row(shape), strict=True), strict=True))
    multiplying = sum(constant * count for constant, count in (terms["a weight and token"], terms["a weight"]))
    weights = terms["a weight"][1]
    part = 1.0 if phase == "forward" else 0.5
    return whole - part * (1 - density) * multiplying + density * INDEX_CYCLES * weights


def _cost(name: str, **shape: int) -> float:
    return recorded.fitted(name).cycles(**shape)


def _both(name: str, **shape: int) -> tuple[float, float]:
    return _cost(f"{name} forward", **shape), _cost(f"{name} backward", **shape)


def _row_sum(width: int, tokens: int) -> float:
    """An f32 sum of a vector of tokens along the row, to all of it."""
    return _cost("allreduce, f32", w=width, h=1, length=tokens)


class ExecutedCosts:
    """Costs of floor plans (floorplan.Costs) from executed kernels, at a tile of TILE features by TOKENS tokens."""

    TILE, TOKENS = 8, 32

    def __init__(self, arch: str = "wse3"):
        self.arch = arch

    def pe_cycles(self, region: Region, sequence: int) -> float:
        """PE-cycles per token, forward and backward."""
        total = 0.0
        for operator in region.operators:
            # Several features of both sides of a product in a PE: sums that go round a row cost as much as weights.
            side = min(operator.features) if operator.kind == "linear" else max(operator.features)
            width = max(1, math.ceil(side / self.TILE))
            cycles = operator_cycles(operator, width, self.TOKENS, sequence, self.arch)
            total += sum(cycles) * width / self.TOKENS
        return total
