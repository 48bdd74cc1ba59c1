"""Norms, those that are written out too, and activations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from .values import Lazy, Root, Value
from .walk import Walk, aten, handles


@handles(aten.layer_norm.default)
def layer_norm(
    walk: Walk, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, _: Any = None
) -> Value:
    """Of all features of a token."""
    return norm(walk, "layernorm", x, shape, weight, bias, eps)


@handles(aten.rms_norm.default)
def rms_norm(walk: Walk, x: Any, shape: Any, weight: Any = None, eps: float | None = None) -> Value:
    """Of all features of a token."""
    return norm(walk, "rmsnorm", x, shape, weight, None, torch.finfo(torch.float32).eps if eps is None else eps)


def norm(walk: Walk, kind: str, x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Value:
    value = walk.vectors(x)
    if list(shape) != [value.features]:
        raise walk.refuse(f"a norm over {list(shape)} of {value.features} features")
    n = value.features
    gain = walk.expression(weight) if weight is not None else lambda env: torch.ones(n)
    weights = {"gain": ((n,), gain)}
    if bias is not None:
        weights["bias"] = ((n,), walk.expression(bias))
    return walk.like(value, walk.emit(kind, (str(value.tensor),), n, weights, eps=eps), n)


@handles(aten.pow.Tensor_Scalar)
def power(walk: Walk, x: Any, exponent: Any) -> Root:
    """A square, of which a mean is taken."""
    if exponent != 2:
        raise walk.refuse(f"powers of {exponent}")
    value = walk.tensor(walk.value(x))
    if not value.axes.vectors(value.features):
        raise walk.refuse("squares are executed in RMS norms, of all features of a token")
    return Root(value, "square")


@handles(aten.rsqrt.default)
def rsqrt(walk: Walk, x: Any) -> Root:
    """1 / sqrt(mean of squares + eps)."""
    found = walk.values.get(x)
    if not isinstance(found, Root) or found.stage != "mean":
        raise walk.refuse("it is executed in RMS norms, of the mean of squares")
    return replace(found, stage="inverse")


def normed(walk: Walk, root: Root, x: Value) -> Value:
    value = walk.tensor(x)
    if root.stage != "inverse" or (value.tensor, value.axes) != (root.x.tensor, root.x.axes):
        raise walk.refuse("x rsqrt(mean(x^2) + eps) is executed, with the same x twice")
    n = value.features
    lazy = Lazy("rmsnorm", walk.node.name, str(value.tensor), n, attributes={"eps": root.eps})
    lazy.weight = lambda env: torch.ones(n)
    return walk.like(value, lazy, n)


def gained(walk: Walk, x: Value, weight: Node) -> Value:
    """A norm that is written out, times its gain."""
    lazy = x.tensor
    if not isinstance(lazy, Lazy) or lazy.kind != "rmsnorm" or lazy.made or walk.shape(weight)[-1:] != (x.features,):
        raise walk.refuse("products with a weight are executed as the gain of an RMS norm")
    gain, given, n = lazy.weight, walk.expression(weight), x.features
    assert gain is not None
    changed = replace(lazy, made={}, weight=lambda env: gain(env) * given(env).reshape(n))
    return replace(x, tensor=changed)


@handles(aten.gelu.default)
def gelu(walk: Walk, x: Any, approximate: str = "none") -> Value:
    """Exact, or in the tanh form."""
    return activation(walk, "gelu", x, exact=approximate == "none")


@handles(aten.silu.default)
def silu(walk: Walk, x: Any) -> Value:
    """x sigmoid(x)."""
    return activation(walk, "silu", x)


@handles(aten.relu.default)
def relu(walk: Walk, x: Any) -> Value:
    """max(x, 0)."""
    return activation(walk, "relu", x)


def activation(walk: Walk, kind: str, x: Any, **attributes: Any) -> Value:
    value = walk.tensor(walk.value(x))
    lazy = Lazy(kind, walk.node.name, str(value.tensor), value.features, attributes=attributes)
    return replace(value, tensor=lazy)
