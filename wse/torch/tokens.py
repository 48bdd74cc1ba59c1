"""What concerns the tokens of a sequence: rows added to them, their mean, trained tokens beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from ..models.graph import Tensor
from .axes import FEATURES, Axes, Piece, merged
from .host import Host
from .values import Lazy, Root, Value
from .walk import Expression, Walk, aten, handles


def positions(walk: Walk, x: Value, table: Node) -> Value:
    """Adds a weight of the shape of a sequence, or of a part of its dimensions."""
    shape = walk.shape(table)
    lazy = x.tensor
    expression = walk.expression(table)
    if shape == (x.features,) and isinstance(lazy, Lazy) and lazy.kind == "linear" and not lazy.made:
        bias = lazy.bias
        changed = replace(lazy, made={})
        changed.bias = expression if bias is None else lambda env: bias(env) + expression(env)
        return replace(x, tensor=changed)
    value = walk.tensor(x)
    dims = value.axes.dims
    shape = (1,) * (len(dims) - len(shape)) + shape
    pieces = [piece for dim, n in zip(dims, shape, strict=True) if n != 1 for piece in dim]
    tokens = [piece for piece in pieces if piece.root != FEATURES]
    missing = [p for d, n in zip(dims, shape, strict=True) if n == 1 for p in d if p.root == FEATURES]
    if missing or any(n not in (1, size) for n, size in zip(shape, value.axes.shape, strict=True)):
        raise walk.refuse("a weight that is added must have all features")
    if tokens:
        walk.is_sequence(tuple(dict.fromkeys(piece.root for piece in tokens)))
    order = sorted(range(len(pieces)), key=lambda i: (pieces[i].root == FEATURES, pieces[i].root, -pieces[i].stride))
    n = math.prod(piece.size for piece in tokens)
    if tokens and n != math.prod(walk.tokens[root] for root in walk.sequence or ()):
        raise walk.refuse("a weight that is added must have all tokens of a sequence, or none")
    sizes = [piece.size for piece in pieces]

    def rows(env: Host) -> torch.Tensor:
        return expression(env).reshape(sizes).permute(order).reshape(n, value.features)

    made = walk.emit("positions", (str(value.tensor),), value.features)
    walk.tables[made] = rows, n
    return replace(value, tensor=made)


@handles(aten.mean.dim)
def mean(walk: Walk, x: Any, dim: Any, keepdim: bool = False, dtype: Any = None) -> Value | Root:
    """Over the tokens of each sequence, or of squares over the features."""
    if isinstance(found := walk.values.get(x), Root):
        last = len(found.x.axes.dims) - 1
        if found.stage != "square" or not keepdim or [d % (last + 1) for d in np.atleast_1d(dim)] != [last]:
            raise walk.refuse("means of squares are executed over the features, with keepdim, in RMS norms")
        return replace(found, stage="mean")
    value = walk.tensor(walk.value(x))
    rank = len(value.axes.dims)
    given = {d % rank for d in ([dim] if isinstance(dim, int) else dim)}
    pieces = [piece for d in sorted(given) for piece in value.axes.dims[d]]
    roots = tuple(dict.fromkeys(piece.root for piece in pieces))
    if FEATURES in roots or math.prod(p.size for p in pieces) != math.prod(walk.tokens[r] for r in roots):
        raise walk.refuse("means are executed over all tokens of a sequence")
    walk.is_sequence(roots)
    left = tuple(() if d in given else one for d, one in enumerate(value.axes.dims) if keepdim or d not in given)
    picked = (*value.axes.picked, *((root, 0) for root in roots))
    made = walk.emit("mean", (str(value.tensor),), value.features)
    return Value(made, value.features, Axes(left, 0, picked))


@handles(aten.cat.default)
def concatenation(walk: Walk, parts: Sequence[Any], dim: int = 0) -> Value:
    """Trained tokens in front of or behind those of a linear layer of the input.

    The input gets a feature that is 1 for its own tokens, which carries the bias, and one for each new token, which
    carries it; and rows for the new tokens that have nothing else.
    """
    values = [one for one in parts if walk.is_activation(one)]
    if len(values) != 1:
        raise walk.refuse("activations are not joined; trained tokens may be, with those of one activation")
    value = walk.value(values[0])
    lazy, d = value.tensor, dim % len(value.axes.dims)
    entry = walk.operators[0].outputs[0] if walk.operators else ""
    first_use = isinstance(lazy, Lazy) and lazy.kind == "linear" and lazy.source == entry and not lazy.made
    if not first_use or len(walk.operators) > 1 or not value.axes.vectors(value.features):
        raise walk.refuse("trained tokens are joined with the tokens of a linear layer of the input, first of all")
    assert isinstance(lazy, Lazy) and lazy.weight is not None and walk.entry is not None
    roots = walk.roots(value.axes.dims[d])
    if len(roots) != 1:
        raise walk.refuse("trained tokens are joined along one dimension of tokens")
    place, before = parts.index(values[0]), 0
    tokens: list[Expression] = []
    for i, one in enumerate(parts):
        if one is values[0]:
            continue
        shape = walk.shape(one)
        shared = all(n == 1 or repeats(walk, one, axis) for axis, n in enumerate(shape[:-1]) if axis != d)
        if len(shape) != len(value.axes.dims) or shape[-1] != value.features or not shared:
            raise walk.refuse("trained tokens must be the same for each sample")
        given = walk.expression(one)
        tokens += [token_of(given, d, j) for j in range(shape[d])]
        before += shape[d] * (i < place)
    n, axis = len(tokens), int(roots[0][1:])
    enter, weight, bias = walk.entry, lazy.weight, lazy.bias
    walk.entry = lambda env: with_tokens(enter(env), axis, before, n)
    walk.tokens[roots[0]] += n
    zero = torch.zeros(value.features, 1)

    def wider(env: Host) -> torch.Tensor:
        columns = [weight(env), zero if bias is None else bias(env)[:, None], *(t(env)[:, None] for t in tokens)]
        return torch.cat(columns, 1)

    features = walk.tensors[entry].features + 1 + n
    walk.tensors[entry] = Tensor(entry, features)
    walk.operators[0] = replace(walk.operators[0], features=(0, features))
    dims = list(value.axes.dims)
    dims[d] = merged([Piece(roots[0], 1, walk.tokens[roots[0]])])
    made = Lazy("linear", walk.node.name, entry, value.features, wider)
    walk.entered.clear()
    return replace(value, tensor=made, axes=replace(value.axes, dims=tuple(dims)))


def repeats(walk: Walk, node: Node, axis: int) -> bool:
    """Whether a weight is the same all along an axis."""
    while node.op == "call_function" and node.target in (aten.expand.default, aten.repeat.default):
        source = node.args[0]
        assert isinstance(source, Node)
        axis -= len(walk.shape(node)) - len(walk.shape(source))
        if axis < 0 or walk.shape(source)[axis] == 1:
            return True
        node = source
    return False


def with_tokens(rows: torch.Tensor, axis: int, before: int, n: int) -> torch.Tensor:
    """rows [.., features] with n rows more along an axis, `before` of them in front: see Capture.concatenation."""
    own = torch.cat([rows, rows.new_ones(*rows.shape[:-1], 1), rows.new_zeros(*rows.shape[:-1], n)], -1)
    shape = list(own.shape)
    shape[axis] = n
    extra = own.new_zeros(shape)
    index = [slice(None)] * len(shape)
    for j in range(n):
        index[axis], index[-1] = j, rows.shape[-1] + 1 + j  # type: ignore[call-overload]
        extra[tuple(index)] = 1.0
    return torch.cat([extra.narrow(axis, 0, before), own, extra.narrow(axis, before, n - before)], axis)


def token_of(expression: Expression, axis: int, j: int) -> Expression:
    """Row j along an axis of [1 .., features]."""
    return lambda env: expression(env).select(axis, j).flatten(0, -2)[0]
