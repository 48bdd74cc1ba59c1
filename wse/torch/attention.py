"""Attention: scaled_dot_product_attention, or written out as scores, mask, softmax and product."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from .axes import FEATURES, Piece, merged
from .host import Host
from .layouts import moved
from .values import Scores, Value
from .walk import Walk, aten, handles


@handles(aten.scaled_dot_product_attention.default)
def attention(
    walk: Walk,
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    scale: Any = None,
    enable_gqa: bool = False,
) -> Value:
    """scaled_dot_product_attention."""
    if dropout:
        raise walk.refuse(f"dropout of {dropout}: set it to 0, or call eval() on the module before wafer()")
    value, key, v = walk.value(q), walk.value(k), walk.value(v)
    if enable_gqa and len(key.axes.dims) > 2:
        n = value.axes.shape[-3] // key.axes.shape[-3]
        key, v = (repeated(walk, one, n) for one in (key, v))
    scores = Scores(
        value,
        key,
        1 / math.sqrt(value.axes.shape[-1]) if scale is None else float(scale),
        value.axes.rows,
        is_causal,
    )
    if mask is not None:
        scores = masked(walk, scores, mask, allowed=True)
    return weighted(walk, replace(scores, softmax=True), v)


def repeated(walk: Walk, value: Value, n: int) -> Value:
    """Heads that n queries share."""
    return moved(walk, aten.repeat_interleave.self_int, value, n, len(value.axes.dims) - 3)


@handles(aten.softmax.int, aten._softmax.default)
def softmax(walk: Walk, x: Any, dim: int, dtype: Any = None, half: Any = None) -> Scores:
    """Of scores, over the keys."""
    found = walk.values.get(x)
    if not isinstance(found, Scores) or found.softmax or dim not in (-1, len(found.rows)):
        raise walk.refuse("softmax is executed of the scores of attention, over their last dimension")
    return replace(found, softmax=True)


@handles(aten.masked_fill.Scalar)
def masked_fill(walk: Walk, x: Any, mask: Any, value: Any) -> Scores:
    """Scores with a mask; true is left out."""
    found = walk.values.get(x)
    if not isinstance(found, Scores) or found.softmax or not float(value) <= -1e4:
        raise walk.refuse("masks are executed on the scores of attention, with minus infinity")
    return masked(walk, found, mask, allowed=False)


def masked(walk: Walk, scores: Scores, mask: Any, allowed: bool | None = None) -> Scores:
    """A constant mask: causal, or none.  allowed: what true means; a float mask is added."""
    if not isinstance(mask, Node) or mask in walk.values or walk.kind[mask] != "constant" or scores.softmax:
        raise walk.refuse("a mask of attention must be a constant")
    given = constant(walk, mask)
    keep = given == 0 if given.dtype != torch.bool else given == (allowed is not False)
    n = scores.k.axes.shape[-2]
    square = keep.reshape(-1, *keep.shape[-2:]) if keep.dim() >= 2 else keep.reshape(1, 1, -1)
    square = torch.broadcast_to(square, (square.shape[0], n, n)) if square.shape[-2:] != (n, n) else square
    if given.dtype != torch.bool and not bool((given[~keep] <= -1e4).all()):
        raise walk.refuse("a mask that is added must be 0 or minus infinity")
    if bool(square.all()):
        return scores
    if bool((square == torch.ones(n, n, dtype=torch.bool).tril()).all()):
        return replace(scores, causal=True)
    raise walk.refuse("masks of attention are executed if they are causal")


def constant(walk: Walk, node: Node) -> torch.Tensor:
    """The value of a node that depends on constants."""
    return Host(walk.exported)[node]


def weighted(walk: Walk, scores: Scores, v: Value) -> Value:
    """The product of softmax(scores) with the values."""
    if not scores.softmax:
        raise walk.refuse("a product of scores without softmax")
    d = scores.q.axes.shape[-1]
    if not math.isclose(scores.scale, d**-0.5, rel_tol=1e-6):  # the kernel's own; the rest goes into the queries
        scores = replace(scores, q=walk.times(scores.q, scores.scale * d**0.5))
    q, k, v = (walk.tensor(value) for value in (scores.q, scores.k, v))
    if len({value.axes.shape for value in (q, k, v)}) != 1 or k.axes.dims != v.axes.dims:
        raise walk.refuse("queries, keys and values must have the same heads, tokens and features")
    axes = q.axes
    roots = walk.roots(axes.dims[-2])
    walk.is_sequence(roots)
    heads, kv_heads = q.features // d, k.features // d
    shared = [Piece(FEATURES, d, kv_heads), *([Piece(FEATURES, 0, heads // kv_heads)] if heads > kv_heads else [])]
    others = [piece for dim in k.axes.dims[:-2] for piece in dim]
    if (
        k.axes.dims[-2:] != axes.dims[-2:]
        or merged([p for p in others if p.root == FEATURES]) != merged(shared)
        or [p for p in others if p.root != FEATURES] != [p for d in axes.dims[:-2] for p in d if p.root != FEATURES]
    ):
        raise walk.refuse("keys and values take [.., heads, tokens, features of a head] with the queries' tokens")
    own = [piece for dim in axes.dims[:-2] for piece in dim]
    batch = [piece.root for piece in own if piece.root != FEATURES]
    if (
        axes.dims[-1] != merged([Piece(FEATURES, 1, d)])
        or merged([p for p in own if p.root == FEATURES]) != merged([Piece(FEATURES, d, heads)])
        or sorted([*batch, *roots])
        != sorted(root for root, n in walk.tokens.items() if n > 1 and root not in dict(axes.picked))
    ):
        raise walk.refuse("attention takes [.., heads, tokens, features of a head]")
    inputs = [str(value.tensor) for value in (q, k, v)]
    made = walk.emit(
        "attention", inputs, q.features, heads=heads, kv_heads=kv_heads, d_head=d, causal=scores.causal, alibi=False
    )
    return replace(q, tensor=made)
