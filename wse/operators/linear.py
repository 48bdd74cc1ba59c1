"""Linear layers: y = W x + b and its backward pass, the gradients of x, W and b.

Forward pass (partial.py).  Each column of PEs receives the weights of its own inputs k; partial sums circulate around
the ring of a row.  The backward pass uses the same weights in the same column, so weights may stay resident there.

Gradient of x, dx[k] = sum over n of W[n, k] dy[n].  Tiles of dy circulate around the ring of a row (an all-gather), so
that every PE receives all of dy, one chunk at a time: at step s, column x has the chunk of column (x - s) mod W.  For
each weight W[n, k] that arrives from the north, with n in the current chunk, a PE adds dy[n] W[n, k] to dx[k].  Chunks
move between steps, not during them: a PE executes one element per slot, so overlapping would not save slots.

    dense    for each n of the chunk, the stream holds W[n, k] of the column's k, including padding
    sparse   for each k of the column, the stream holds the nonzero W[n, k] of the chunk, each with the position of
             dy[n] as its index, followed by a control wavelet; a weight takes about seven cycles more than when dense

By default all of dy is gathered, because the weight gradient needs it again.  Chunkwise, a PE keeps two chunks: it
uses each for dx and then for the rows of the weight gradient, while the next one arrives.  The results are the same to
the bit; a weight's gradient takes more cycles where chunks have few features.

Gradient of W (weight_gradient.py).  The gathered dy is transposed to [t][N].  For each k of the column, t vector
operations of N elements compute the row g[k] = sum over tokens of x[k, token] dy^T[token].  A microthread sends each
row north while the next is computed; the PEs of a column sum the rows in f32 on the way.

Rounding of dx by policy (policy.py).  Sums are formed in the order of the weight stream:

    f32      every product and sum rounded to f32
    exact    products exact, each sum rounded to f32; dx rounded to 16 bits
    mixed    multiply-adds rounded to 16 bits within a chunk; chunks added in f32; dx rounded to 16 bits
    half     multiply-adds rounded to 16 bits

Performance.  A weight takes t / rate + 1 cycles for t tokens.  The rate is 2 elements per cycle for f32 sums of 16-bit
elements, 4 for 16-bit sums and 1 for f32.  A row of weights takes about 15 cycles more.  A gathered element takes one
slot to receive and one to forward; 16-bit elements share a slot in pairs.
"""

from __future__ import annotations

from .partial import forward
from .product import STATE, STATE_WORDS, Chunkwise, Gathered, call, order
from .region import Region, Tile
from .transfers import GradientTransfer, WeightTransfer
from .weight_gradient import chunk_gradient, sent, weight_gradient


def backward(
    region: Region,
    x: Tile,
    dy: Tile,
    dx: Tile,
    bias: bool = False,
    sparse: bool = False,
    add: bool = False,
    chunkwise: bool = False,
    wide: bool = False,
) -> tuple[WeightTransfer, GradientTransfer]:
    """Appends the backward pass of a linear layer to the region's sequence of operations.

    Computes dx = W^T dy (with `add`, dx += W^T dy) and the gradients of W and, with `bias`, of b.  sparse: the stream
    holds nonzero weights only.  chunkwise: a PE keeps two chunks of dy at a time, not all.  wide: dx is the sums
    themselves, f32 unless the policy's sums have 16 bits.

    Returns the transfer of the weights, whose role "weight" is float [dy.features, x.features], and the transfer of the
    gradients: "weight" with the same shape and, with `bias`, "bias" [dy.features], both summed over all tokens of the
    region.
    Raises ProgramError if the transposed dy exceeds the length field of a descriptor.
    """
    kind = Chunkwise if chunkwise else Gathered
    made = kind(region.policy, region.width, region.tokens, dy.features, dx.features, sparse, wide)
    region.uses("weights", "ring")
    region.work(made.work)
    name = f"{'chunkwise' if chunkwise else 'gathered'}{'_sparse' if sparse else ''}{'_wide' if wide else ''}"
    region.code(f"    mov r11, {int(add)}")
    if isinstance(made, Chunkwise):
        region.constants(STATE, [0] * STATE_WORDS)
        region.code(f"    mov r12, {x.at}\n    mov r13, {chunk_gradient(region, made, x, dy)}")
    call(region, name, made.text(name), f"{name}_{dy.features}_{dx.features}", made.table, dy, dx)
    offsets = {"weight": made.places(made.width)} if sparse else {}
    what = f"linear backward {dy.features} -> {dx.features}"
    stream = region.takes(WeightTransfer(what, region.policy.storage, (("weight", order(made)),), offsets))
    gradients = sent(region, made, x, dy, bias) if chunkwise else weight_gradient(region, made, x, dy, bias)
    return stream, gradients


__all__ = ["backward", "forward"]
