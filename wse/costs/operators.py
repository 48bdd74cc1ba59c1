"""Cost models of the operators of a transformer (wse.operators), with 16-bit elements, by precision policy.

Linear layers have a model for each level of a policy; attention has one with f32 sums (POL0, POL1) and one with 16-bit
sums (POL2); the other operators compute in f32 at every level.  Operators without communication are executed on one PE.
Norms and the loss are executed on one PE as well; the cost of their sums over a row of PEs is that of an all-reduce
(kernels.py).  Linear layers are executed on a row of PEs with streamed weights.

Sizes of shapes: rows and tokens are those of a tile (rows: features of a PE), w is the width of a row in PEs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from ..fabric.fabric import Fabric
from ..kernels import single
from ..machine.parameters import Machine
from ..operators import activation, linear, partial, residual
from ..operators.attention import Attention
from ..operators.edge import Edge
from ..operators.loss import Loss
from ..operators.norm import Norm
from ..operators.policy import LEVELS, Policy
from ..operators.region import Region
from ..operators.weight_gradient import LEAST
from ..program.program import Program
from .fit import Model, Shape
from .kernels import library

SIZE, _FORMAT = 2, "f16"  # bytes and type of an element
_EPS = 1e-5  # of norms

PHASES = ("forward", "backward")
LINEAR_PHASES = (*PHASES, "chunkwise backward")

Terms = dict[str, Callable[[Shape], float]]
Made = tuple[list[Any], dict[str, tuple[tuple[int, ...], str]]]  # routines; (shape, type) of each operand


def layer_models() -> list[Model]:
    """The cost models of all operators."""
    return [
        *_elementwise("gelu", lambda n: _activation("gelu_tanh", n)),
        *_elementwise("silu gate", _gate),
        _model("residual", "add", ("n",), _BY_ELEMENT, lambda s: _residual(s["n"]), _ELEMENTS, _MORE_ELEMENTS),
        *(_norm(kind, phase) for kind in ("layer", "rms") for phase in PHASES),
        _model("loss", "loss", ("rows", "tokens"), _BY_ROW, _loss, _TILES, _MORE_TILES),
        *(_attention(phase, level) for level in ("POL0", "POL2") for phase in PHASES),
        *(_attention_over_rows(phase, level) for level in ("POL0", "POL2") for phase in PHASES),
        *(_linear(phase, arch, level) for level in LEVELS for arch in ("wse3", "wse2") for phase in LINEAR_PHASES),
    ]


def _model(
    name: str,
    routine: str,
    sizes: tuple[str, ...],
    terms: Terms,
    make: Callable[[Shape], Made],
    fitted: tuple[tuple[int, ...], ...],
    held: tuple[tuple[int, ...], ...],
) -> Model:
    """A model whose runs execute the routines that `make` returns, and measure the one named `routine`."""

    def run(shape: Shape, machine: Machine) -> int:
        routines, tensors = make(shape)
        random = np.random.default_rng(0)
        given: dict[str, Any] = {}
        for tensor, (size, dtype) in tensors.items():
            whole = np.zeros(size, np.uint16) if dtype == "u16" else random.normal(size=size).astype(np.float32)
            given[tensor] = single.Tensor(size, whole, dtype)
        return single.on_one(routines, given, _FORMAT, machine=machine).cycles[routine]

    return Model(name, sizes, terms, run, fitted, held)


# --- element-wise operators ----------------------------------------------------------------------------------------

_BY_ELEMENT: Terms = {
    "start": lambda s: 1.0,
    "an element": lambda s: s["n"],
    "a chunk": lambda s: -(-s["n"] // activation.CHUNK),
}
_ELEMENTS = tuple((n,) for n in (32, 64, 128, 256, 384, 512, 1024))
_MORE_ELEMENTS = tuple((n,) for n in (48, 160, 320, 768, 2048))


def _elementwise(name: str, make: Callable[[int], Made]) -> list[Model]:
    return [
        _model(f"{name} {phase}", phase, ("n",), _BY_ELEMENT, lambda s: make(s["n"]), _ELEMENTS, _MORE_ELEMENTS)
        for phase in PHASES
    ]


def _activation(function: str, n: int) -> Made:
    tile = ((n,), _FORMAT)
    forward = activation.forward(function, n, SIZE, "forward")
    backward = activation.backward(n, SIZE, "backward")
    return [forward, backward], dict.fromkeys({*forward.operands, *backward.operands}, tile)


def _gate(n: int) -> Made:
    tile = ((n,), _FORMAT)
    forward = activation.gate_forward("silu", n, SIZE, "forward")
    backward = activation.gate_backward(n, SIZE, "backward")
    return [forward, backward], dict.fromkeys({*forward.operands, *backward.operands}, tile)


def _residual(n: int) -> Made:
    made = residual.add(n, SIZE, "add")
    return [made], dict.fromkeys(made.operands, ((n,), _FORMAT))


# --- norms and the loss, without the sums over a row of PEs --------------------------------------------------------

_BY_ROW: Terms = {
    "start": lambda s: 1.0,
    "an element": lambda s: s["rows"] * s["tokens"],
    "a row": lambda s: s["rows"],
    "a token": lambda s: s["tokens"],
}
_TILES = tuple(product((4, 8, 16, 24), (8, 16, 32, 64)))
_MORE_TILES = ((6, 24), (12, 48), (20, 40), (28, 64), (5, 128))


def _norm(kind: str, phase: str) -> Model:
    def make(s: Shape) -> Made:
        rows, tokens = s["rows"], s["tokens"]
        made = Norm(kind, rows, rows, tokens, 1, SIZE, _EPS, bias=kind == "layer")
        tile, by_row, by_token = ((rows, tokens), _FORMAT), ((rows,), "f32"), ((tokens,), "f32")
        tensors: dict[str, tuple[tuple[int, ...], str]] = dict.fromkeys(("x", "y", "xhat", "dy", "dx"), tile)
        tensors |= dict.fromkeys(("gain", "bias", "dgain", "dbias"), by_row) | {"rstd": by_token}
        return [made.forward("forward"), made.backward("backward")], tensors

    return _model(f"{kind} norm {phase}", phase, ("rows", "tokens"), _BY_ROW, make, _TILES, _MORE_TILES)


def _loss(s: Shape) -> Made:
    rows, tokens = s["rows"], s["tokens"]
    tile = ((rows, tokens), _FORMAT)
    tensors = {"logits": tile, "dlogits": tile, "labels": ((tokens,), "u16"), "scale": ((1,), "f32")}
    tensors |= {"loss": ((1,), "f32")}
    return [Loss(rows, rows, tokens, 1, SIZE).routine("loss")], tensors


# --- attention -----------------------------------------------------------------------------------------------------


def _pairs(s: Shape) -> int:
    return s["heads"] * s["sequence"] ** 2


_BY_PAIR: Terms = {
    "start": lambda s: 1.0,
    "a pair of tokens and feature": lambda s: _pairs(s) * s["d_head"],
    "a pair of tokens": _pairs,
    "a token and feature": lambda s: s["heads"] * s["sequence"] * s["d_head"],
    "a token": lambda s: s["heads"] * s["sequence"],
    "a feature": lambda s: s["heads"] * s["d_head"],
    "a head": lambda s: s["heads"],
}
_HEADS = (
    *product((1,), (4, 8, 16, 32), (8, 16, 24)),
    (1, 4, 32), (1, 8, 32), (1, 16, 32), (2, 8, 16), (2, 16, 16), (4, 8, 16), (1, 64, 8),
)  # fmt: skip
_HALF_HEADS = ((1, 8, 12), (1, 16, 20), (1, 8, 28), (1, 8, 36), (1, 8, 48), (2, 8, 20), (1, 16, 40), (1, 8, 64))
_MORE_HEADS = ((1, 12, 20), (1, 24, 16), (2, 8, 24), (3, 8, 16), (1, 8, 40), (1, 32, 32))


def _apart(per: str, pairs: Callable[[Shape], int], length: Callable[[Shape], int]) -> Terms:
    """What vectors of 16-bit sums cost in addition if they do not begin at whole words of the memory or vectors of the
    lanes: 8 and 16 bytes."""
    return {
        f"{per}, not in words": lambda s: pairs(s) * s["d_head"] * (length(s) % 4 != 0),
        f"{per}, not in vectors": lambda s: pairs(s) * s["d_head"] * (length(s) % 8 != 0),
    }


def attention_name(phase: str, level: str, rows: bool = False) -> str:
    """The name of the model of attention.  phase: of PHASES.  level: of a policy.  rows: over several rows of PEs."""
    return f"attention {'over rows ' if rows else ''}{phase}" + (", POL2" if level == "POL2" else "")


def _attention(phase: str, level: str) -> Model:
    def make(s: Shape) -> Made:
        heads, d_head, sequence = s["heads"], s["d_head"], s["sequence"]
        made = Attention(heads, heads, d_head, sequence, sequence, SIZE, half=level == "POL2")
        tile = ((heads * d_head, sequence), _FORMAT)
        tensors = dict.fromkeys(("q", "k", "v", "o", "do", "dq", "dk", "dv"), tile)
        return [made.forward("forward"), made.backward("backward")], tensors | {"stash": ((made.stash,), "f32")}

    sizes = ("heads", "d_head", "sequence")
    terms, shapes = _BY_PAIR, _HEADS
    if level == "POL2":
        terms = terms | _apart("a pair of tokens and feature", _pairs, lambda s: s["sequence"] // 4)
        shapes += _HALF_HEADS
    return _model(attention_name(phase, level), phase, sizes, terms, make, shapes, _MORE_HEADS)


# A sequence on several rows of PEs: keys and values circulate among the rows, one step per row.
_BY_STEP: Terms = {
    "start": lambda s: 1.0,
    "a step": lambda s: s["rows"],
    "a step's pair and feature": lambda s: s["rows"] * s["tokens"] ** 2 * s["d_head"],
    "a step's pair": lambda s: s["rows"] * s["tokens"] ** 2,
    "a step's token and feature": lambda s: s["rows"] * s["tokens"] * s["d_head"],
    "a step's token": lambda s: s["rows"] * s["tokens"],
    "a step's feature": lambda s: s["rows"] * s["d_head"],
}
_STEPS = (*product((2, 4), (4, 8, 16), (8, 16, 24)), (8, 8, 8), (8, 8, 16), (8, 16, 16), (2, 32, 8), (2, 32, 16))
_HALF_STEPS = ((2, 8, 12), (4, 8, 20), (2, 16, 12), (2, 16, 20), (8, 8, 12), (4, 8, 28), (2, 8, 18), (4, 16, 14))
_MORE_STEPS = ((3, 12, 20), (6, 8, 12), (12, 8, 16), (4, 24, 16), (16, 8, 24), (4, 12, 28))


def _attention_over_rows(phase: str, level: str) -> Model:
    def run(s: Shape, machine: Machine) -> int:
        given: dict[str, Any] = {"heads": 1, "kv_heads": 1, "d_head": s["d_head"], "rows": s["rows"]}
        given |= {"sequence": s["rows"] * s["tokens"], "dtype": _FORMAT, "half": level == "POL2"}
        return library("attention", machine, (1, s["rows"]), **given).extra["phase_cycles"][phase]

    sizes = ("rows", "d_head", "tokens")
    terms, shapes = _BY_STEP, _STEPS
    if level == "POL2":
        terms = terms | _apart(
            "a step's pair and feature", lambda s: s["rows"] * s["tokens"] ** 2, lambda s: s["tokens"]
        )
        shapes += _HALF_STEPS
    return Model(attention_name(phase, level, rows=True), sizes, terms, run, shapes, _MORE_STEPS)


# --- linear layers: products with streamed weights, and their gradients --------------------------------------------

_ROWS = 2  # height of the executed rectangles; all rows take the same time, but for a few cycles per row for gradients


def _weights(s: Shape) -> int:
    """Number of weights that a PE multiplies by, with padding: its own inputs (or outputs) times all of the others."""
    return s["w"] * -(-s["inputs"] // s["w"]) * -(-s["outputs"] // s["w"])


def _whole(s: Shape, side: str) -> int:
    """Number of inputs or outputs, with padding to whole tiles."""
    return s["w"] * -(-s[side] // s["w"])


_PRODUCT: Terms = {
    "start": lambda s: 1.0,
    "a weight and token": lambda s: _weights(s) * s["tokens"],
    "a weight": _weights,
}
# In the forward pass, partial sums of outputs circulate in the row (operators/partial.py).
FORWARD = _PRODUCT | {
    "a partial sum and token": lambda s: _whole(s, "outputs") * s["tokens"],
    "a row of weights": lambda s: _whole(s, "inputs"),
    "a column": lambda s: s["w"],
}
# In the backward pass, gradients of outputs are gathered, and rows of weight gradients are sent north (linear.py).
BACKWARD = _PRODUCT | {
    "a gathered gradient and token": lambda s: _whole(s, "outputs") * s["tokens"],
    "a gathered gradient": lambda s: _whole(s, "outputs"),
    "an input and token": lambda s: _whole(s, "inputs") // s["w"] * s["tokens"],
    "a column": lambda s: s["w"],
}


# Chunkwise, each column's gradients make rows of weight gradients of their own: a multiply-add for each token, which
# takes no less than its latency (LEAST elements).
def _chunkwise(level: str, arch: str) -> Terms:
    least = LEAST[Policy(_FORMAT, level).gradients]
    vector = 8 if (level, arch) == ("POL2", "wse3") else 4  # sums that lanes or ports take at once

    def rows(s: Shape) -> int:
        return -(-s["outputs"] // s["w"])

    terms = _PRODUCT | {
        "a gathered gradient and token": lambda s: _whole(s, "outputs") * s["tokens"],
        "a gathered gradient": lambda s: _whole(s, "outputs"),
        "a column": lambda s: s["w"],
        "a row of a chunk's weight gradients": lambda s: _whole(s, "inputs"),
        "its token": lambda s: _whole(s, "inputs") * s["tokens"],
        "an element less than the latency hides": lambda s: _whole(s, "inputs") * s["tokens"] * max(0, least - rows(s)),
    }
    if level == "POL0":
        return terms
    return terms | {
        "its token, of rows longer than two": lambda s: _whole(s, "inputs") * s["tokens"] * (rows(s) > 2),
        "its token, of rows that are not vectors": lambda s: (
            _whole(s, "inputs") * s["tokens"] * (rows(s) > 2 and rows(s) % vector != 0)
        ),
    }


_LINEAR = (
    *product((2, 4, 8), (16, 32), (16, 64), (16, 32)),
    (4, 64, 16, 16), (4, 128, 32, 32), (4, 32, 128, 32), (4, 32, 32, 64), (8, 64, 64, 8), (2, 32, 32, 48),
    (4, 64, 64, 32), (4, 32, 32, 8), (8, 128, 64, 16),
)  # fmt: skip
# Few tokens and many features, as of GPT-2 on 12 columns.
_CHUNKWISE = (
    *product((2, 4, 12), (24, 48), (24, 96), (4, 8, 16)),
    (12, 96, 96, 32), (4, 96, 96, 8), (4, 48, 192, 16), (4, 192, 48, 16), (12, 24, 384, 8), (12, 384, 24, 8),
    (2, 64, 64, 48),
)  # fmt: skip
_LONG_CHUNKWISE = (
    (4, 48, 128, 8),
    (12, 96, 384, 8),
    (4, 96, 256, 8),
    (4, 96, 128, 16),
    (4, 64, 128, 32),
    (6, 96, 96, 12),
)
_MORE_CHUNKWISE = (
    (12, 192, 192, 8), (6, 96, 48, 12), (12, 192, 384, 8), (4, 64, 96, 24), (8, 128, 64, 16), (4, 256, 256, 32),
    (4, 128, 128, 80),
)  # fmt: skip
_MORE_LINEAR = ((4, 48, 48, 24), (8, 96, 32, 32), (4, 96, 24, 16), (6, 48, 96, 32), (4, 32, 96, 40), (16, 128, 128, 16))
_FULL = ((4, 256, 256, 32), (4, 128, 128, 64), (4, 64, 64, 112))  # tiles that fill a PE


def _linear(phase: str, arch: str, level: str) -> Model:
    def run(s: Shape, machine: Machine) -> int:
        policy = Policy(_FORMAT, level)
        region = Region(Program(s["w"], _ROWS, machine, fp16=policy.fp16), policy, tokens=s["tokens"])
        x, y = (region.activation(name, s[side]) for name, side in (("x", "inputs"), ("y", "outputs")))
        weight = np.random.default_rng(0).normal(size=(s["outputs"], s["inputs"]))
        if phase == "forward":
            with region.task("step", 8):
                stream = partial.forward(region, x, y, bias=True)
            values = {"weight": weight, "bias": weight[:, 0]}
        else:
            dx = region.activation("dx", s["inputs"])
            with region.task("step", 8):
                stream, _ = linear.backward(region, x, y, dx, bias=True, chunkwise=phase != "backward")
            values = {"weight": weight}
        region.finish()
        fabric = Fabric(region.program)
        Edge(fabric, region).feed("step", {stream: values})
        fabric.launch("step")
        return int(fabric.run().cycles)

    sizes = ("w", "inputs", "outputs", "tokens")
    name = linear_name(phase, arch, level)
    match phase:
        case "forward":
            return Model(name, sizes, FORWARD, run, _LINEAR, _MORE_LINEAR + _FULL, arch)
        case "backward":
            return Model(name, sizes, BACKWARD, run, _LINEAR, _MORE_LINEAR, arch)
    shapes = _CHUNKWISE if level == "POL0" else _CHUNKWISE + _LONG_CHUNKWISE
    return Model(name, sizes, _chunkwise(level, arch), run, shapes, _MORE_CHUNKWISE, arch)


def linear_name(phase: str, arch: str, level: str = "POL0") -> str:
    """The name of the model of a linear layer.

    phase: of LINEAR_PHASES.  arch: "wse3" or "wse2".  level: of a policy, "POL0" to "POL2".
    """
    return f"linear {phase}" + ("" if level == "POL0" else f", {level}") + ("" if arch == "wse3" else f", {arch}")
