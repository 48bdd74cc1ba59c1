"""Attention of random queries, keys and values, forward and backward.

Data layout.  A PE holds whole heads of whole sequences: q, o [heads d_head][tokens], k, v [kv_heads d_head][tokens],
tokens contiguous; with fewer heads of keys and values than of queries, several share one.

Program.  The scores of a head and a sequence lie as S[j][i], key j and query i, so that what softmax takes over keys
are operations on rows, and each product is a multiply-add of a row by one number: S[j][:] += k[c][j] q[c][:], o[c][:]
+= v[c][j] P[j][:].  Under a causal mask keys come in four blocks whose rows begin at the block's first key, which
saves 6/16 of everything.  Forward keeps of each query the greatest score and 1 / the sum, from which backward makes P
again.  Sums and softmax are f32; 16-bit factors are rounded.  With `half` scores and sums of products have 16 bits.

With `alibi` scores fall with the distance of the tokens.  A sequence may be spread over several rows of PEs: then keys
and values go round its rows, one step for each, and in backward their gradients with them, to come home in the end.

What bounds it.  Multiply-adds of 16-bit factors to f32 sums, 1.3 a cycle as two operands share memory banks (f32: 1;
16-bit sums: 4), two products forward and five backward; then exp, 7 cycles a score.

The result is verified against float64, to 24 half units of the last place; with `half` to 48.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..operators.attention import Attention, reference, slopes
from ..operators.attention_over_rows import Spread
from . import Parameter, Result, RunOptions
from . import single as alone
from .single import DTYPE, Alone, Tensor

PARAMETERS = {
    p.name: p
    for p in (
        Parameter("heads", int, 1, "Heads of a PE."),
        Parameter("kv_heads", int, 1, "Heads of keys and values of a PE; divides heads."),
        Parameter("d_head", int, 8, "Features of a head."),
        Parameter("sequence", int, 32, "Tokens of a sequence."),
        Parameter("sequences", int, 1, "Sequences of a row of PEs."),
        Parameter("rows", int, 1, "Rows of PEs that a sequence is spread over."),
        Parameter("causal", bool, True, "A token sees none after it."),
        Parameter("alibi", bool, False, "Scores fall with distance, in each head by another slope."),
        Parameter("half", bool, False, "16-bit sums and scores, as in POL2."),
        DTYPE,
    )
}
GRID = (2, 2)
UNITS = 24  # of rounding: probabilities and dS are factors of 16 bits; differences of gradients cancel
HALF_UNITS = 48  # sums over all features and tokens are rounded at each step


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    sizes = ("heads", "kv_heads", "d_head", "sequence", "sequences", "rows")
    policy = alone.begin("attention", PARAMETERS, config, *sizes)
    heads, kv_heads, d_head, sequence, sequences, rows = (config[name] for name in sizes)
    job = Alone(options, (GRID[0], max(GRID[1], rows)))
    width, height = job.grid
    _check(config, height)
    t = sequence * sequences // rows
    shape, more = (heads, kv_heads, d_head), (config["causal"], config["half"], config["alibi"])
    whole = Attention(*shape, sequence, sequence * sequences, policy.size, *more)
    region = job.region(policy, t)
    made: Attention | Spread = whole
    if rows > 1:
        made = Spread(*shape, rows, t, policy.size, *more)
        made.declare(region)
    features = {"q": heads * d_head, "k": kv_heads * d_head, "v": kv_heads * d_head, "do": heads * d_head}
    rng, groups = np.random.default_rng(options.seed), height // rows
    # [group of rows, column, features, tokens of all of its rows]
    values = {n: alone.rounded(rng.normal(0, 1, (groups, width, f, rows * t)), policy) for n, f in features.items()}
    tensors = {}
    for name, value in values.items():
        by_row = value.reshape(groups, width, -1, rows, t).transpose(0, 3, 1, 2, 4)
        tensors[name] = Tensor((features[name], t), by_row.reshape(height, width, -1, t))
    tensors |= {name: Tensor((features[of], t)) for name, of in (("o", "q"), ("dq", "q"), ("dk", "k"), ("dv", "v"))}
    tensors["stash"] = Tensor((made.stash,), dtype="f32")
    steep = slopes(heads) if config["alibi"] else None
    if steep is not None:
        tensors["slopes"] = Tensor((heads,), steep, "f32")
    outcome = job.execute(region, [made.forward("forward"), made.backward("backward")], tensors)
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("o", "dq", "dk", "dv")}
    for y in range(groups):
        for x in range(width):
            q, k, v, do = (values[name][y, x] for name in ("q", "k", "v", "do"))
            for name, wanted in zip(found, reference(q, k, v, whole, do, steep), strict=True):
                found[name].append(wanted)
    compared = {}
    for name, tiles in found.items():
        got = outcome.arrays[name].reshape(groups, rows, width, -1, t).transpose(0, 2, 3, 1, 4)
        compared[name] = (got, np.reshape(tiles, got.shape))
    return alone.result("attention", config, outcome, compared, HALF_UNITS if config["half"] else UNITS)


def _check(config: Mapping[str, Any], height: int) -> None:
    """ConfigError for sizes that do not go together."""
    rows, sequence = config["rows"], config["sequence"]
    if config["heads"] % config["kv_heads"]:
        raise ConfigError(f"kv_heads of attention must divide heads {config['heads']}, not be {config['kv_heads']}")
    if height % rows:
        raise ConfigError(f"rows of attention must divide the {height} rows of the grid, not be {rows}")
    if sequence % (2 * rows) or (rows > 1 and config["sequences"] > 1):
        raise ConfigError(
            f"attention needs an even number of tokens in a row of PEs, of one sequence where it is spread over "
            f"{rows} of them: sequence {sequence} and sequences {config['sequences']} do not give that"
        )
