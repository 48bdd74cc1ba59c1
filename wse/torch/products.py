"""Products with weights: linear layers, and convolutions of patches that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from . import attention
from .values import Lazy, Scores, Value
from .walk import Expression, Walk, aten, handles


@handles(aten.linear.default)
def linear(walk: Walk, x: Any, weight: Any, bias: Any = None) -> Value:
    """x weight^T + bias."""
    return linear_layer(walk, walk.vectors(x), walk.expression(weight), walk.shape(weight), bias_of(walk, bias))


def bias_of(walk: Walk, bias: Any) -> Expression | None:
    return None if bias is None else walk.expression(bias)


def linear_layer(walk: Walk, x: Value, weight: Expression, shape: tuple[int, ...], bias: Expression | None) -> Value:
    if len(shape) != 2 or shape[1] != x.features:
        raise walk.refuse(f"a weight of shape {list(shape)} for {x.features} features")
    return walk.like(x, Lazy("linear", walk.node.name, str(x.tensor), shape[0], weight, bias), shape[0])


@handles(aten.matmul.default, aten.mm.default, aten.bmm.default)
def matmul(walk: Walk, x: Any, y: Any) -> Any:
    """By a weight [inputs, outputs], or of queries with keys, or of their scores with values."""
    if walk.is_weight(y):
        return by_columns(walk, x, y, None)
    if isinstance(walk.values.get(x), Scores):
        return attention.weighted(walk, walk.values[x], walk.value(y))
    q, k = walk.value(x), walk.value(y)
    if len(k.axes.dims) < 2:
        raise walk.refuse()
    swapped = [*range(len(k.axes.dims) - 2), len(k.axes.dims) - 1, len(k.axes.dims) - 2]
    return Scores(q, replace(k, axes=k.axes.permuted(swapped)), 1.0, q.axes.rows)


@handles(aten.addmm.default)
def addmm(walk: Walk, bias: Any, x: Any, y: Any) -> Value:
    """bias + x y."""
    return by_columns(walk, x, y, walk.expression(bias))


def by_columns(walk: Walk, x: Any, y: Any, bias: Expression | None) -> Value:
    """x y + bias, with a weight [inputs, outputs]."""
    weight, shape = walk.expression(y), walk.shape(y)
    return linear_layer(walk, walk.vectors(x), lambda env: weight(env).transpose(-1, -2), shape[::-1], bias)


@handles(aten.conv2d.default, aten.conv1d.default)
def convolution(
    walk: Walk,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    """Of patches that do not overlap: the host cuts the image, a linear layer follows."""
    out, into, *kernel = walk.shape(weight)
    rank = len(kernel)
    strides = [stride] * rank if isinstance(stride, int) else list(stride) * (rank if len(stride) == 1 else 1)
    pads = [padding] * rank if isinstance(padding, int) else list(padding)
    if strides != kernel or any(pads) or groups != 1 or x in walk.values or walk.kind.get(x) != "input":
        raise walk.refuse("only patches of an input that do not overlap are: stride = kernel, without padding")
    batch, _, *space = walk.shape(x)
    counts = [n // k for n, k in zip(space, kernel, strict=True)]
    features = into * math.prod(kernel)
    flat = walk.begin(lambda env: cut(env[x], kernel), (batch, math.prod(counts)), features)
    given = walk.expression(weight)
    made = linear_layer(walk, flat, lambda env: given(env).flatten(1), (out, features), bias_of(walk, bias))
    spatial = made.axes.reshaped([batch, *counts, out])
    return replace(made, axes=spatial.permuted([0, rank + 1, *range(1, rank + 1)]))


def cut(image: torch.Tensor, kernel: Sequence[int]) -> torch.Tensor:
    """[batch, patches, features] of an image [batch, channels, ...] in patches that do not overlap."""
    for i, k in enumerate(kernel):
        image = image.unfold(2 + i, k, k)
    n = len(kernel)
    return image.movedim(1, 1 + n).flatten(1 + n).flatten(1, n)
