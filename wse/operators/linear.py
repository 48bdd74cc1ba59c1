"""Linear layers: y = W x + b, and back: the gradients of x, W and b.

Forward is partial.py: every column of PEs takes the weights of its own inputs k, and partial sums go round the row.
Backward takes the same weights of a column, so that weights may stay where they are.

The gradient of x, dx[k] = sum of W[n, k] dy[n].  Tiles of dy go round the ring of a row, so that every PE sees all of
dy, a chunk at a time: that of column (x - s) mod W at step s.  For each weight W[n, k] that comes down the column, n
one of the chunk, a PE adds dy[n] W[n, k] to dx[k].  Chunks are passed on between steps: a PE executes one element a
slot, so that nothing would hide the slots that it takes.

    dense    the stream has, for each n of the chunk, W[n, k] of the own k, padding included
    sparse   for each own k, W[n, k] of those n of the chunk where it is not 0, each with the place of dy[n] as its
             index, then a control wavelet; a weight costs some seven cycles more

The gradient of W (weight_gradient.py) uses what that has left: all of dy.  It is transposed to [t][N], and for each own
k the row g[k] = sum over tokens of x[k, token] dy^T[token] is made by t vector operations of N elements; rows go north
one after the other while the next is computed, and are summed up on their way, f32.

Rounding of dx by policy (policy.py), sums in the order in which the weights come:

    f32      every product and sum rounded to f32
    exact    products exact, each sum rounded to f32; dx rounded to 16 bits
    mixed    multiply-adds rounded to 16 bits within a chunk; chunks added in f32; dx rounded to 16 bits
    half     multiply-adds rounded to 16 bits

What bounds it.  A weight costs t / rate + 1 cycles, rate 2 a cycle for f32 sums of 16-bit elements (4 for 16-bit sums,
1 for f32), and a row of weights some 15 more; a gathered element one slot to take and one to pass on, two 16-bit
elements at a time.
"""

from __future__ import annotations

import numpy as np

from .partial import forward
from .product import Gathered, call
from .region import Region, Tile
from .transfers import GradientTransfer, WeightTransfer
from .weight_gradient import weight_gradient


def backward(
    region: Region, x: Tile, dy: Tile, dx: Tile, bias: bool = False, sparse: bool = False, add: bool = False
) -> tuple[WeightTransfer, GradientTransfer]:
    """Adds dx = W^T dy (add: dx += W^T dy) and the gradients of W, and with bias of b, to the sequence.

    Its stream has the role "weight", float [dy.features, x.features]; its drain "weight" of that shape and "bias"
    [dy.features]: sums over all tokens of the region.
    """
    made = Gathered(region.policy, region.width, region.tokens, dy.features, dx.features, sparse)
    region.uses("weights", "ring")
    region.work(made.work)
    name = f"gathered{'_sparse' if sparse else ''}"
    region.code(f"    mov r11, {int(add)}")
    call(region, name, made.text(name), f"{name}_{dy.features}_{dx.features}", made.table, dy, dx)
    flat = np.arange(dy.features * dx.features, dtype=np.int64).reshape(dy.features, dx.features)
    offsets = {"weight": made.places(made.width)} if sparse else {}
    what = f"linear backward {dy.features} -> {dx.features}"
    stream = region.takes(WeightTransfer(what, region.policy.storage, (("weight", made.order(flat.T)),), offsets))
    return stream, weight_gradient(region, made, x, dy, bias)


__all__ = ["backward", "forward"]
