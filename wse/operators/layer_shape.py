"""A transformer layer with resident weights on a region of PEs: what kind of layer, its sizes, what lies where.

A group of rows holds one key-value head and the query heads that read it.  A row of a group has `dr` of the head's
features, for all these heads: pairs that RoPE turns are in one row.  decoder.py has the program.
"""

from __future__ import annotations

from dataclasses import field

import numpy as np

from ..errors import ConfigError
from ..records import dataclass

FINE = 32  # positions between two entries of the coarse table of angles
# What a region is told of a run: `count` tokens of a sequence from `position` on, which is in the `slot` of the column
# `turn`; `silent` of them are not given on; `base`: bytes of the cache before the sequence's; place of the last token.
RUN = ("count", "silent", "slot", "turn", "position", "base", "last_slot", "last_turn")


@dataclass(frozen=True)
class Latent:
    """Latent attention: all heads share one cached vector of a token, its features that RoPE turns and its latent.

    q_rank: features of the latent of queries, 0: none.  kv_rank: of keys and values.  rope: features that are turned.
    d_query: of a head's queries, those that are turned last.  d_value: of a head's values.
    """

    q_rank: int
    kv_rank: int
    rope: int
    d_query: int
    d_value: int


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a layer consists of.

    norm          "rms" or "layer": as models.config; so are norm_at, gated, qk_norm, parallel and causal
    activation    "silu", "gelu" (by the error function), "gelu_tanh", "relu", "relu2"
    qkv_bias, output_bias, mlp_bias    biases of the products
    turns         some layer turns queries and keys (RoPE)
    windows       some layer sees a window of the positions
    alibi         scores have ALiBi's bias
    sinks         a softmax has a further score of each head, without a value
    experts       MLPs of a layer, of which a token's router chooses `active`; shared: further ones that every token
                  visits, with weight 1
    scoring       "softmax" or "sigmoid", of the router's logits.  By a softmax the greatest logits are chosen and the
                  weights are shares in it: of the chosen ones alone if `gates_of_chosen`.  By a sigmoid the greatest
                  sums of score and correction are chosen and the weights are the scores, divided by the sum of the
                  chosen ones' if `gates_of_chosen`
    groups        of as many experts each, of which those of `active_groups` groups may be chosen: the greatest by
                  their greatest logit, or by the sum of their two greatest sums of score and correction
    factor        of the weights
    clamp         (alpha, limit): gate and up are cut at the limit, the MLP is (up + 1) gate sigmoid(alpha gate)
    latent        of latent attention; None: keys and values are cached for each key-value head
    clip          queries, keys and values are cut at it, above and below; 0: they stay
    softcap       scores become softcap tanh(scores / softcap); 0: they stay
    """

    norm: str = "rms"
    norm_at: str = "before"
    activation: str = "silu"
    gated: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    turns: bool = True
    qk_norm: str = "none"
    windows: bool = False
    alibi: bool = False
    parallel: bool = False
    causal: bool = True
    softcap: float = 0.0
    clip: float = 0.0
    sinks: bool = False
    experts: int = 1
    active: int = 1
    shared: int = 0
    scoring: str = "softmax"
    groups: int = 1
    active_groups: int = 1
    factor: float = 1.0
    gates_of_chosen: bool = False
    clamp: tuple[float, float] | None = None
    latent: Latent | None = None

    @property
    def norms(self) -> tuple[int, ...]:
        """Numbers of the layer's norms, as in the names of their gains."""
        return (1, 2, 3, 4) if self.norm_at == "both" else (1, 2)

    @property
    def mlps(self) -> int:
        """MLPs of a layer: experts and shared ones."""
        return self.experts + self.shared


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """Sizes of a layer on its region.

    d_model, heads, kv_heads, d_head, d_ff: of the model; of latent attention one key-value head with the cached
    features.  eps: of its norms.  width: columns.  group: rows of a
    key-value head.  slots: positions of a sequence that a column caches.  sequences: that are cached.  scale: of the
    scores, 0: 1 / sqrt d_head.  kind: what the layer consists of.
    """

    d_model: int
    heads: int
    kv_heads: int
    d_head: int
    d_ff: int
    eps: float
    width: int
    group: int
    slots: int
    sequences: int = 1
    scale: float = 0.0
    kind: Kind = field(default_factory=Kind)

    def __post_init__(self) -> None:
        if not self.scale:
            object.__setattr__(self, "scale", self.d_head**-0.5)
        if self.heads % self.kv_heads:
            raise ConfigError(f"{self.heads} heads are no multiple of {self.kv_heads} key-value heads")
        if self.d_head % 2 or self.d_head // 2 % self.group:
            raise ConfigError(
                f"a head of {self.d_head} features does not divide over {self.group} rows: the rows of a key-value "
                f"head must divide {self.d_head // 2}, half its features"
            )

    @property
    def height(self) -> int:
        """Rows of the region."""
        return self.kv_heads * self.group

    @property
    def kx(self) -> int:
        """Features of the residual stream in a column."""
        return -(-self.d_model // self.width)

    @property
    def queries(self) -> int:
        """Query heads that read one key-value head."""
        return self.heads // self.kv_heads

    @property
    def dr(self) -> int:
        """Features of a head in a row."""
        return self.d_head // self.group

    @property
    def turned(self) -> int:
        """Features of a row's queries and keys in the first halves of their heads."""
        return (self.queries + 1) * self.dr // 2

    @property
    def nq(self) -> int:
        """Queries, keys and values of a row; of latent attention the row's part of the queries' latent and the key."""
        return (self.queries + 2) * self.dr if self.kind.latent is None else self.low + self.dr

    @property
    def low(self) -> int:
        """Of latent attention: features of the queries' latent in a row, or of all queries if they have none."""
        latent = self._latent
        return -(-(latent.q_rank or self.heads * latent.d_query) // self.height)

    @property
    def kq(self) -> int:
        """Of latent attention: features of all heads' queries in a column."""
        return -(-self.heads * self._latent.d_query // self.width)

    @property
    def kv(self) -> int:
        """Of latent attention: features of all heads' values in a column."""
        return -(-self.heads * self._latent.d_value // self.width)

    @property
    def rx(self) -> int:
        """Of latent attention: features of its result in a row."""
        return -(-self.d_model // self.height)

    @property
    def _latent(self) -> Latent:
        assert self.kind.latent is not None
        return self.kind.latent

    def value_parts(self, column: int) -> list[tuple[int, int, int]]:
        """Of latent attention: (head, first, number) of the heads whose values a column has; first: in the column."""
        d, start = self._latent.d_value, column * self.kv
        end = min(start + self.kv, self.heads * d)
        return [
            (h, max(h * d, start) - start, min((h + 1) * d, end) - max(h * d, start))
            for h in range(start // d, -(-end // d))
        ]

    @property
    def most_value_parts(self) -> int:
        """Of latent attention: heads whose values a column has at most."""
        return max(len(self.value_parts(column)) for column in range(self.width))

    @property
    def ny(self) -> int:
        """Features of the MLP in a row."""
        return -(-self.d_ff // self.height)

    @property
    def hidden(self) -> int:
        """Sums of a row in front of the MLP's activation: of gate and up, or of up alone."""
        return self.ny * (2 if self.kind.gated else 1)

    @property
    def router(self) -> int:
        """Experts whose logits a row makes."""
        return -(-self.kind.experts // self.height)

    @property
    def routed(self) -> int:
        """Logits of all rows: those beyond the experts are never chosen."""
        return self.router * self.height

    @property
    def context(self) -> int:
        """Positions that the region caches of a sequence."""
        return self.slots * self.width

    @property
    def coarse(self) -> int:
        """Entries of the coarse table of angles."""
        return -(-self.context // FINE)

    @property
    def weights(self) -> int:
        """Weights of a PE in the four products, padding included."""
        kx, dr = self.kx, self.queries * self.dr
        mlp = (self.hidden + self.ny) * kx * self.kind.mlps + (self.router * kx if self.kind.experts > 1 else 0)
        if (latent := self.kind.latent) is not None:
            queries = (self.low * self.kq if latent.q_rank else 0) + self.kq * self.dr
            return self.nq * kx + queries + self.kv * (self.dr + self.rx) + mlp
        return self.nq * kx + dr * kx + mlp

    @property
    def cached(self) -> int:
        """Features that are cached of a token: keys and values, or what latent attention has of both."""
        return self.kv_heads * self.d_head * (2 if self.kind.latent is None else 1)


def angles(s: LayerShape, frequency: np.ndarray, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of a group's rows: float32 coarse [group, coarse, 2, dr / 2], fine [group, FINE, 2, dr / 2].

    frequency: radians a position of the pairs of a head, [d_head / 2], 0 for a pair that is not turned.  factor: of
    cosines and sines of turned pairs.
    """
    by_row = frequency.reshape(s.group, 1, s.dr // 2)

    def table(positions: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
        angle = positions[None, :, None] * by_row
        return np.stack([np.cos(angle) * scale, np.sin(angle) * scale], axis=2).astype(np.float32)

    scale = np.where(by_row != 0, factor, 1.0)
    return table(np.arange(s.coarse) * float(FINE), scale), table(np.arange(float(FINE)), 1.0)


def pairs(s: LayerShape, rotary: int) -> np.ndarray:
    """The features of a head in the order of the rows: int [2, d_head / 2], turned with each other one above the other.

    rotary: the features that RoPE turns, the first ones of the head; 0: none.
    """
    turned, others = np.arange(rotary), np.arange(rotary, s.d_head)
    return np.concatenate([turned.reshape(2, -1), others.reshape(2, -1)], axis=1)


def row_features(s: LayerShape, row: int, rotary: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of the queries [queries, dr], of the keys [dr] and of the values [dr] of a row: rows of their matrices.

    Of queries and keys, the first half of dr and the second are turned with each other.
    """
    group, j = divmod(row, s.group)
    half = s.dr // 2
    dims = pairs(s, rotary)[:, j * half : (j + 1) * half].ravel()
    heads = group * s.queries + np.arange(s.queries)
    return heads[:, None] * s.d_head + dims, group * s.d_head + dims, group * s.d_head + dims


def qkv_order(s: LayerShape, row: int, rotary: int) -> np.ndarray:
    """Rows of the stacked matrices of queries, keys and values that are the outputs of a row of PEs: int [nq].

    First halves of [queries of heads..., keys], their second halves, values.
    """
    q, k, v = row_features(s, row, rotary)
    keys, values, half = s.heads * s.d_head, (s.heads + s.kv_heads) * s.d_head, s.dr // 2
    turned = np.concatenate([q, k[None] + keys])
    return np.concatenate([turned[:, :half].ravel(), turned[:, half:].ravel(), v + values])
