"""Attention of random queries, keys and values, forward and backward.

Data layout.  A PE holds whole heads of whole sequences: q, o [heads d_head][tokens], k, v [kv_heads d_head][tokens],
tokens contiguous; with fewer heads of keys and values than of queries, several share one.

Program.  The scores of a head and a sequence lie as S[j][i], key j and query i, so that what softmax takes over keys
are operations on rows, and each product is a multiply-add of a row by one number: S[j][:] += k[c][j] q[c][:], o[c][:]
+= v[c][j] P[j][:].  Under a causal mask keys come in four blocks whose rows begin at the block's first key, which saves
6/16 of everything.  Forward keeps of each query the greatest score and 1 / the sum, from which backward makes P again.
Sums and softmax are f32; 16-bit factors are rounded.  With `half` scores and sums of products have 16 bits.

What bounds it.  Multiply-adds of 16-bit factors to f32 sums, 1.3 a cycle as two operands share memory banks (f32: 1;
16-bit sums: 4), two products forward and five backward; then exp, 7 cycles a score.

The result is verified against float64, to 24 half units of the last place; with `half` to 48.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import Parameter, Result
from .layer import alone
from .layer import attention as operator
from .layer.alone import DTYPE, Alone, Tensor

PARAMETERS = {
    p.name: p
    for p in (
        Parameter("heads", int, 1, "Heads of a PE."),
        Parameter("kv_heads", int, 1, "Heads of keys and values of a PE; divides heads."),
        Parameter("d_head", int, 8, "Features of a head."),
        Parameter("sequence", int, 32, "Tokens of a sequence."),
        Parameter("sequences", int, 1, "Sequences of a row of PEs."),
        Parameter("causal", bool, True, "A token sees none after it."),
        Parameter("half", bool, False, "16-bit sums and scores, as in POL2."),
        DTYPE,
    )
}
GRID = (2, 2)
UNITS = 24  # of rounding: probabilities and dS are factors of 16 bits; differences of gradients cancel
HALF_UNITS = 48  # sums over all features and tokens are rounded at each step


def run(config: Mapping[str, Any], *, grid: tuple[int, int] | None = None, seed: int = 0, **options: Any) -> Result:
    """See wse.kernels."""
    policy = alone.begin("attention", PARAMETERS, config, "heads", "kv_heads", "d_head", "sequence", "sequences")
    t = config["sequence"] * config["sequences"]
    heads, kv_heads, d_head = config["heads"], config["kv_heads"], config["d_head"]
    made = operator.Attention(
        heads, kv_heads, d_head, config["sequence"], t, policy.size, config["causal"], config["half"]
    )
    job = Alone(grid=grid or GRID, **options)
    region = job.region(policy, t)
    (width, height), rng = job.grid, np.random.default_rng(seed)
    rows = {"q": heads * d_head, "k": kv_heads * d_head, "v": kv_heads * d_head, "do": heads * d_head}
    values = {name: alone.rounded(rng.normal(0, 1, (height, width, n, t)), policy) for name, n in rows.items()}
    tensors = {name: Tensor((n, t), values[name]) for name, n in rows.items()}
    tensors |= {name: Tensor((rows[of], t)) for name, of in (("o", "q"), ("dq", "q"), ("dk", "k"), ("dv", "v"))}
    tensors["stash"] = Tensor((made.stash,), dtype="f32")
    outcome = job.execute(region, [made.forward("forward"), made.backward("backward")], tensors)
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("o", "dq", "dk", "dv")}
    for y in range(height):
        for x in range(width):
            q, k, v, do = (values[name][y, x] for name in ("q", "k", "v", "do"))
            for name, wanted in zip(found, operator.reference(q, k, v, made, do), strict=True):
                found[name].append(wanted)
    compared = {
        name: (outcome.arrays[name], np.reshape(wanted, outcome.arrays[name].shape)) for name, wanted in found.items()
    }
    return alone.result("attention", config, outcome, compared, HALF_UNITS if config["half"] else UNITS)
