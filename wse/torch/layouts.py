"""Reshapes, permutations and slices: they change the axes of an activation, and move nothing."""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from typing import Any

import numpy as np
from torch.fx import Node

from .axes import Axes, Unmappable
from .values import Root, Scores, Value
from .walk import Walk, aten, handles

UNCHANGED = {
    aten.dropout.default, aten.contiguous.default, aten.clone.default, aten.to.dtype, aten._to_copy.default,
    aten.type_as.default, aten.alias.default,
}  # fmt: skip


@handles(
    aten.view.default,
    aten.reshape.default,
    aten.permute.default,
    aten.transpose.int,
    aten.t.default,
    aten.contiguous.default,
    aten.clone.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.unsqueeze.default,
    aten.squeeze.dim,
    aten.select.int,
    aten.slice.Tensor,
    aten.chunk.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.unbind.int,
    aten.alias.default,
    aten._unsafe_view.default,
    aten.detach.default,
    aten.squeeze.default,
    aten.squeeze.dims,
    aten.expand.default,
    aten.dropout.default,
    aten.split.sizes,
    aten.repeat_interleave.self_int,
    aten.type_as.default,
    aten.to.dtype,
    aten.to.dtype_layout,
    aten._to_copy.default,
    aten.movedim.int,
    aten.swapaxes.default,
)
def layout(walk: Walk, x: Any, *args: Any, **kwargs: Any) -> Any:
    """A reshape, permutation or slice."""
    found = walk.values.get(x)
    if isinstance(found, tuple):
        raise walk.refuse()
    if isinstance(found, Root | Scores):
        if walk.node.target not in UNCHANGED:
            raise walk.refuse("the parts of attention and of norms that are written out are not reshaped")
        no_dropout(walk, *args, **kwargs)
        return found
    return moved(walk, walk.node.target, walk.value(x), *args, **kwargs)


def no_dropout(walk: Walk, p: Any = 0.0, train: Any = False, *_: Any, **__: Any) -> None:
    """ConfigError if the current node drops elements."""
    if walk.node.target is aten.dropout.default and p and train:
        raise walk.refuse(f"dropout of {p}: set it to 0, or call eval() on the module before wafer()")


def moved(walk: Walk, target: Any, value: Value, *args: Any, **kwargs: Any) -> Any:
    """The value behind an operation that moves nothing, or a tuple of its parts."""
    axes = value.axes
    rank = len(axes.dims)
    name = target._schema.name.split("::")[-1]

    def at(i: int, beyond: int = 0) -> int:
        return i % (rank + beyond) if rank + beyond else 0

    def with_axes(made: Axes) -> Value:
        return replace(value, axes=made)

    match name:
        case "contiguous" | "clone" | "alias" | "detach" | "to" | "_to_copy" | "type_as":
            if name == "detach":
                raise walk.refuse("gradients are not stopped within the fabric")
            return value
        case "dropout":
            no_dropout(walk, *args, **kwargs)
            return value
        case "view" | "reshape" | "_unsafe_view":
            return with_axes(axes.reshaped([int(n) for n in args[0]]))
        case "permute":
            return with_axes(axes.permuted([at(i) for i in args[0]]))
        case "transpose" | "swapaxes":
            order = list(range(rank))
            a, b = at(args[0]), at(args[1])
            order[a], order[b] = order[b], order[a]
            return with_axes(axes.permuted(order))
        case "t":
            return with_axes(axes.permuted(range(rank)[::-1]))
        case "movedim":
            order = [i for i in range(rank) if i != at(args[0])]
            order.insert(at(args[1]), at(args[0]))
            return with_axes(axes.permuted(order))
        case "flatten":
            first, last = at(args[0] if args else 0), at(args[1] if len(args) > 1 else -1)
            shape = axes.shape
            joined = math.prod(shape[first : last + 1])
            return with_axes(axes.reshaped([*shape[:first], joined, *shape[last + 1 :]]))
        case "unflatten":
            d, shape = at(args[0]), axes.shape
            sizes = list(args[1])
            if -1 in sizes:
                sizes[sizes.index(-1)] = shape[d] // -math.prod(sizes)
            return with_axes(axes.reshaped([*shape[:d], *sizes, *shape[d + 1 :]]))
        case "unsqueeze":
            d, shape = at(args[0], 1), axes.shape
            return with_axes(axes.reshaped([*shape[:d], 1, *shape[d:]]))
        case "squeeze":
            given = range(rank) if not args else [args[0]] if isinstance(args[0], int) else args[0]
            gone = {at(d) for d in given}
            kept = [n for i, n in enumerate(axes.shape) if i not in gone or n != 1]
            return with_axes(axes.reshaped(kept))
        case "expand":
            return with_axes(axes.expanded(args[0]))
        case "repeat_interleave":
            d, n = at(args[1]), int(args[0])
            spread = axes.reshaped([*axes.shape[: d + 1], 1, *axes.shape[d + 1 :]])
            made = spread.expanded([*axes.shape[: d + 1], n, *axes.shape[d + 1 :]])
            return with_axes(made.reshaped([*axes.shape[:d], axes.shape[d] * n, *axes.shape[d + 1 :]]))
        case "select":
            return with_axes(axes.selected(at(args[0]), int(args[1])))
        case "slice":
            d = at(args[0] if args else 0)
            start, stop = [*args[1:3], None, None][:2]
            if len(args) > 3 and args[3] != 1:
                raise Unmappable("it has a step")
            return with_axes(axes.sliced(d, start or 0, axes.shape[d] if stop is None else stop))
        case "unbind":
            d = at(args[0] if args else 0)
            return tuple(with_axes(axes.selected(d, i)) for i in range(axes.shape[d]))
        case "chunk" | "split" | "split_with_sizes":
            d = at(args[1] if len(args) > 1 else kwargs.get("dim", 0))
            n, sizes = axes.shape[d], args[0]
            if isinstance(sizes, int):
                step = -(-n // sizes) if name == "chunk" else sizes
                sizes = [min(step, n - i) for i in range(0, n, step)]
            ends = np.cumsum(sizes)
            return tuple(with_axes(axes.sliced(d, int(e) - s, int(e))) for s, e in zip(sizes, ends, strict=True))
    raise walk.refuse()


@handles(operator.getitem)
def getitem(walk: Walk, of: Node, index: int) -> Value:
    """A part of a chunk or split."""
    return walk.values[of][index]
