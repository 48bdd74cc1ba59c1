"""Sums and products of two values: residual connections, gates, masks, biases, and numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .attention import masked
from .norms import gained, normed, power
from .tokens import positions
from .values import Lazy, Root, Scores
from .walk import Walk, aten, handles

GATES = {"gelu": "gelu_gate", "silu": "silu_gate", "relu": "relu_gate"}


@handles(aten.mul.Tensor)
def multiply(walk: Walk, x: Any, y: Any) -> Any:
    """A gate times a value, or anything that is linear so far by a number."""
    if isinstance(y, int | float):
        return scaled(walk, x, float(y))
    if isinstance(x, int | float):
        return scaled(walk, y, float(x))
    if x is y:
        return power(walk, x, 2)
    for one, other in ((x, y), (y, x)):
        if isinstance(walk.values.get(one), Root):
            return normed(walk, walk.values[one], walk.value(other))
        if walk.is_weight(other):
            return gained(walk, walk.value(one), other)
    a, b = walk.value(x), walk.value(y)
    if not (isinstance(a.tensor, Lazy) and a.tensor.kind in GATES):
        a, b = b, a
    if not (isinstance(a.tensor, Lazy) and a.tensor.kind in GATES) or a.tensor.made:
        raise walk.refuse("products are executed of an activation (gelu, silu) with what it gates")
    up = walk.tensor(b)
    if up.axes != a.axes:
        raise walk.refuse("the two factors have other tokens or features")
    gate = a.tensor
    name = walk.emit(GATES[gate.kind], (gate.source, str(up.tensor)), a.features, **gate.attributes)
    return replace(a, tensor=name)


@handles(aten.div.Tensor)
def divide(walk: Walk, x: Any, y: Any) -> Any:
    """By a number."""
    if not isinstance(y, int | float):
        raise walk.refuse("a division by an activation")
    return scaled(walk, x, 1 / float(y))


def scaled(walk: Walk, x: Any, factor: float) -> Any:
    found = walk.values.get(x)
    if isinstance(found, Scores) and not found.softmax:
        return replace(found, scale=found.scale * factor)
    return walk.times(walk.value(x), factor)


@handles(aten.add.Tensor)
def add(walk: Walk, x: Any, y: Any, alpha: float = 1) -> Any:
    """A residual connection, rows added to the tokens of a sequence, or a mask of scores."""
    if alpha != 1:
        raise walk.refuse(f"alpha is {alpha}")
    if isinstance(found := walk.values.get(x), Root) and isinstance(y, int | float):
        if found.stage != "mean" or found.eps:
            raise walk.refuse("x rsqrt(mean(x^2) + eps) is executed")
        return replace(found, eps=float(y))
    for one, other in ((x, y), (y, x)):
        if isinstance(walk.values.get(one), Scores):
            return masked(walk, walk.values[one], other)
    for one, other in ((x, y), (y, x)):
        if walk.is_weight(other):
            return positions(walk, walk.value(one), other)
    a, b = walk.tensor(walk.value(x)), walk.tensor(walk.value(y))
    if a.axes != b.axes:
        raise walk.refuse("the two summands have other tokens or features")
    return replace(a, tensor=walk.emit("residual", (str(a.tensor), str(b.tensor)), a.features))
