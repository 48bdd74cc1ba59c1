"""Cycles of a transformer's operators on a row of PEs of any width, from the cost models of executed kernels.

Features are distributed along x and tokens along y, as in wse.operators.  Executed attention has whole heads in a
column of PEs; the model assumes that heads can be divided among any number of columns without loss.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np

from ..models import Operator
from ..operators import activation
from ..operators.dropout import CHUNK
from ..plan.region import Region
from . import recorded
from .operators import attention_name, linear_name

PHASES = ("forward", "backward")
_INDEX_CYCLES = 4  # additional cycles of a sparse weight, for its index
# Executed attention is causal: of 4 x 4 blocks of queries and keys it computes 10.
_NOT_CAUSAL = 16 / 10
# Cycles of a cap, measured: of a score forward and backward, of a logit.  As those of sinks, which are 80 and 10.8 a
# query forward, 12 and 4 backward for a head in a sequence, tests/costs/test_cycles.py compares them with executed
# ones.
_CAPPED_SCORE, _CAPPED_LOSS = (24.0, 27.3), 27.1
# Of a mask of dropout, measured likewise: of the keys of an operator, of a chunk, of an element.
_KEYS, _CHUNK, _DRAWN = 250.0, 470.0, 35.2
# Of a routing, measured likewise, without its sums over the row: once, of an expert, and of an expert and token; and of
# a choice, a token's choice, a choice and expert, and these and a token.
_ROUTE, _CHOICE, _UNROUTE = (500.0, 20.0, 16.3), (57.0, 3.6, 45.0, 4.2), (125.0, 8.4, 5.9)
_TIMES = (80.0, 1.65)  # of a factor: once, of an element
_CUT = (221.0, 16.0)  # of values that a gated activation cuts at a limit, forward: of a chunk, of an element
# Of activations times the weights of an expert: once, of a row of a tile, of an element.
_WEIGH, _UNWEIGH = (93.0, 1.0, 1.5), (146.0, 8.4, 3.45)


def operator_cycles(
    operator: Operator,
    width: int,
    tile: int,
    sequence: int,
    arch: str,
    density: float = 1.0,
    level: str = "POL0",
    in_parts: bool = False,
    rows_in_step: int | None = None,
) -> tuple[float, ...]:
    """(forward, backward) cycles of an operator on rows of `width` PEs, each with `tile` tokens.

    sequence: tokens of a sequence.  density: fraction of weights that are not zero.  level: of the policy of precision,
    "POL0" to "POL2".  in_parts: products backward gather the gradients of a row in parts (chunkwise), as a row of
    hundreds of PEs must.  rows_in_step: rows of PEs that take the same weights; an expert's pass at the pace of the row
    with most of its tokens, which are routed at random.  None: each token meets the weights of its experts only, at no
    loss.  0 for operators without a model.
    """
    if operator.attributes.get("again"):
        once = {key: value for key, value in operator.attributes.items() if key != "again"}
        plain = replace(operator, attributes=once)
        forward, back = operator_cycles(plain, width, tile, sequence, arch, density, level, in_parts, rows_in_step)
        return forward, forward + back
    backward = "chunkwise backward" if in_parts else "backward"
    inputs, outputs = operator.features
    if operator.once:
        tile = math.ceil(tile / sequence)
    rows = math.ceil(outputs / width)
    match operator.kind:
        case "linear":
            shape = {"w": width, "inputs": inputs, "outputs": outputs, "tokens": tile}
            return tuple(_product(phase, arch, density, shape, level) for phase in ("forward", backward))
        case "layernorm" | "rmsnorm":
            kind = operator.kind.removesuffix("norm")
            sums = _row_sum(width, tile)
            times = 2 if kind == "layer" else 1
            if "heads" in operator.attributes:  # sums of each head's features, which a column holds
                sums = 0.0
            return (
                _cost(f"{kind} norm forward", rows=rows, tokens=tile) + times * sums,
                _cost(f"{kind} norm backward", rows=rows, tokens=tile) + times * sums,
            )
        case "gelu" | "silu" | "tanh":
            return _both("gelu", n=rows * tile)
        case "silu_gate" | "gelu_gate" | "relu_gate" | "relu2_gate":
            forward, back = _both("silu gate", n=rows * tile)
            if "limit" in operator.attributes:
                forward += _CUT[0] * math.ceil(rows * tile / activation.CHUNK) + _CUT[1] * rows * tile
            return forward, back
        case "relu" | "relu2":  # one pass over the elements, as a residual addition
            return _cost("residual", n=rows * tile), _cost("residual", n=rows * tile)
        case "conv" | "scan":  # passes over elements: of a tap, or of the state
            pieces = operator.attributes["state"] * 3 if operator.kind == "scan" else operator.attributes["taps"]
            forward = int(pieces) * _cost("residual", n=rows * tile)
            return forward, 2 * forward
        case "dropout":
            return (_KEYS + _masks(rows * tile),) * 2
        case "route":
            e, k = outputs, int(operator.attributes["active"])
            whole, gathered = e * tile, _ring(width, rows * width * tile)
            chosen = sum(a * b for a, b in zip(_CHOICE, (1, tile, e, whole), strict=True))
            forward, back = (sum(a * b for a, b in zip(c, (1, e, whole), strict=True)) for c in (_ROUTE, _UNROUTE))
            return forward + k * chosen + gathered, back + _ring(width, whole)
        case "weigh":
            counts = 1, rows, rows * tile
            return tuple(sum(a * b for a, b in zip(c, counts, strict=True)) for c in (_WEIGH, _UNWEIGH))
        case "concat" | "resize":  # a move of each element
            return (float(rows * tile),) * 2
        case "times":
            return (_TIMES[0] + _TIMES[1] * rows * tile,) * 2
        case "residual" | "token_types" | "modulate" | "zeros":
            return _cost("residual", n=rows * tile), 0.0
        case "loss":
            features = math.ceil(inputs / width)
            capped = _CAPPED_LOSS * features * tile if "softcap" in operator.attributes else 0.0
            return _cost("loss", rows=features, tokens=tile) + 2 * _row_sum(width, tile) + capped, 0.0
        case "attention":
            d_head = int(operator.attributes["d_head"])
            wide = (d_head + operator.attributes.get("d_value", d_head)) / (2 * d_head)
            seen = operator.pairs(sequence, True) / operator.pairs(
                sequence, True, window=False
            )  # below 1 with a window
            across = operator.attributes["heads"] / width * wide * seen
            capped = 0.0  # scores that are capped
            if "softcap" in operator.attributes:
                capped = operator.attributes["heads"] / width * tile * sequence
                capped /= _NOT_CAUSAL if operator.attributes["causal"] else 1
            more_f, more_b = (cycles * capped for cycles in _CAPPED_SCORE)
            if "sinks" in operator.parameters:
                heads, t = operator.attributes["heads"] / width * max(1, tile / sequence), min(tile, sequence)
                more_f, more_b = more_f + heads * (80 + 10.8 * t), more_b + heads * (12 + 4 * t)
            if "dropout" in operator.attributes:
                pairs, heads = min(tile, sequence) * sequence, operator.attributes["heads"] / width
                pairs = math.ceil(pairs / (_NOT_CAUSAL if operator.attributes["causal"] else 1))
                drawn = _KEYS + heads * max(1, tile / sequence) * _masks(pairs)
                more_f, more_b = more_f + drawn, more_b + drawn
            if tile >= sequence:
                whole = across * tile / sequence * (1 if operator.attributes["causal"] else _NOT_CAUSAL)
                shape = {"heads": 1, "d_head": d_head, "sequence": sequence}
                f, b = (_cost(attention_name(phase, level), **shape) for phase in PHASES)
                return whole * f + more_f, whole * b + more_b
            shape = {"rows": math.ceil(sequence / tile), "d_head": d_head, "tokens": tile}
            f, b = (_cost(attention_name(phase, level, rows=True), **shape) for phase in PHASES)
            return across * f + more_f, across * b + more_b
        case "experts":
            number, active = int(operator.attributes["experts"]), int(operator.attributes["active"])
            times, tokens = active, tile
            if rows_in_step is not None:
                times, tokens = number, max(1, round(busiest(tile, active / number, rows_in_step)))
            found = [0.0, 0.0]
            for role, parameter in operator.parameters.items():
                if role != "router" and not role.endswith("bias"):
                    _, wide, deep = parameter.shape
                    shape = {"w": width, "inputs": deep, "outputs": wide, "tokens": tokens}
                    for i, phase in enumerate(("forward", backward)):
                        found[i] += times * _product(phase, arch, density, shape, level)
            return found[0], found[1]
    return 0.0, 0.0  # embeddings and rotations: negligible beside products


@cache
def busiest(tokens: int, share: float, rows: int) -> float:
    """The expected number of an expert's tokens in the row with most of them: the maximum of `rows` binomial numbers of
    `tokens` trials with probability `share`."""
    if share >= 1:
        return float(tokens)
    counts = range(tokens + 1)
    log = [
        math.lgamma(tokens + 1)
        - math.lgamma(n + 1)
        - math.lgamma(tokens - n + 1)
        + n * math.log(share)
        + (tokens - n) * math.log1p(-share)
        for n in counts
    ]
    below = np.minimum(1.0, np.cumsum(np.exp(log)))
    return float(np.sum(1 - below**rows))


def _product(phase: str, arch: str, density: float, shape: dict[str, int], level: str) -> float:
    """Cycles of a linear layer with this density of weights.

    A sparse weight takes INDEX_CYCLES more (operators/linear.py).  The weight gradient, half of the products of the
    backward pass, is dense.
    """
    fit = recorded.fitted(linear_name(phase, arch, level))
    whole = fit.cycles(**shape)
    if density == 1:
        return whole
    terms = dict(zip(fit.model.terms, zip(fit.constants, fit.model.row(shape), strict=True), strict=True))
    multiplying = sum(constant * count for constant, count in (terms["a weight and token"], terms["a weight"]))
    weights = terms["a weight"][1]
    part = 1.0 if phase == "forward" else 0.5
    return whole - part * (1 - density) * multiplying + density * _INDEX_CYCLES * weights


def _masks(elements: int) -> float:
    """Cycles of drawing a mask and applying it."""
    return math.ceil(elements / CHUNK) * _CHUNK + elements * _DRAWN


def _ring(width: int, n: int) -> float:
    """Cycles of the sum of n f32 over a row (operators/ring.py)."""
    return 60 + 10.0 * width + 1.83 * n if width > 1 else 0.0


def _cost(name: str, **shape: int) -> float:
    return recorded.fitted(name).cycles(**shape)


def _both(name: str, **shape: int) -> tuple[float, float]:
    return _cost(f"{name} forward", **shape), _cost(f"{name} backward", **shape)


def _row_sum(width: int, tokens: int) -> float:
    """Cycles of an all-reduce over a row of PEs of one f32 per token."""
    return _cost("allreduce, f32", w=width, h=1, length=tokens)


class ExecutedCosts:
    """Costs for floor plans (floorplan.Costs) from executed kernels.

    A PE is assumed to hold a tile of TILE features by TOKENS tokens.
    """

    TILE, TOKENS = 8, 32

    def __init__(self, arch: str = "wse3"):
        self.arch = arch

    def pe_cycles(self, region: Region, sequence: int) -> float:
        """PE-cycles per token, forward and backward pass added."""
        total = 0.0
        for operator in region.operators:
            # A PE holds several inputs and outputs of a product: circulating partial sums costs as much as weights do.
            side = min(operator.features) if operator.kind == "linear" else max(operator.features)
            width = max(1, math.ceil(side / self.TILE))
            cycles = operator_cycles(operator, width, self.TOKENS, sequence, self.arch)
            total += sum(cycles) * width / self.TOKENS
        return total
