"""The shape of attention within a PE: heads, tokens, mask, and what follows from them."""

from __future__ import annotations

import math
from typing import ClassVar

from ..errors import ConfigError
from ..program.fragments import f32
from ..records import dataclass
from .dropout import kept

BLOCKS = 4  # most blocks of keys under a causal mask


@dataclass(frozen=True)
class AttentionShape:
    """The shape of an attention operator.

    heads, kv_heads: heads per tile.  d_head: features per head.  sequence: tokens per sequence.  tokens: tokens per
    tile, a multiple of `sequence`.  size: bytes of an element, 2 or 4.  half: 16-bit sums.  window: tokens that a query
    sees, itself and those before; 0: all.  cap: scores become cap tanh(scores / cap); 0: they stay.  sinks: heads have.
    dropout: rate at which what the softmax gives is dropped.  all_heads: heads of the row of PEs, for dropout.
    Raises ConfigError for half with 4-byte elements, for alibi or a window without causal, for a negative window, and
    for a cap below 0 or with alibi, for sinks with alibi, and for a rate that `dropout.kept` refuses.
    """

    heads: int
    kv_heads: int
    d_head: int
    sequence: int
    tokens: int
    size: int
    causal: bool = True
    half: bool = False
    alibi: bool = False
    window: int = 0
    cap: float = 0.0
    sinks: bool = False
    dropout: float = 0.0
    all_heads: int = 0
    masks_itself: ClassVar[bool] = False  # a subclass applies the mask that `causal` would

    @property
    def scale(self) -> float:
        """Factor of the scores: 1 / sqrt(d_head)."""
        return 1 / math.sqrt(self.d_head)

    @property
    def stash(self) -> int:
        """Size of the stash in f32 elements."""
        return (2 + self.sinks) * self.heads * self.tokens

    @property
    def power_scale(self) -> float:
        """Factor of scores in the exponential."""
        return 1.0 if self.cap else self.scale

    @property
    def blocks(self) -> int:
        """Blocks of keys."""
        return next(n for n in range(BLOCKS, 0, -1) if self.sequence % n == 0) if self.causal else 1

    @property
    def keys(self) -> int:
        """Keys in a block."""
        return self.sequence // self.blocks

    @property
    def elements(self) -> int:
        """Elements of a score matrix: the sum over blocks of keys times the queries that may attend to them."""
        skipped = self.keys**2 * self.blocks * (self.blocks - 1) // 2 if self.causal else 0
        return self.sequence**2 - skipped

    @property
    def fewer(self) -> int:
        """The number of queries by which rows become shorter from one block to the next."""
        return self.keys if self.causal else 0

    @property
    def label(self) -> str:
        """Prefix of the labels of the subroutines that forward and backward share."""
        mask = "causal" if self.causal else "full"
        shape = (self.heads, self.kv_heads, self.d_head, self.sequence, self.tokens, self.size)
        return f"attention_{mask}_{'_'.join(map(str, shape))}{'_half' * self.half}{'_alibi' * self.alibi}{self._seen}"

    @property
    def _seen(self) -> str:
        capped = f"_cap_{f32(self.cap)}" if self.cap else ""
        drops = f"_dropout_{kept(self.dropout)}_{self.all_heads}" if self.dropout else ""
        return (f"_window_{self.window}" if self.window else "") + capped + "_sinks" * self.sinks + drops

    @property
    def sum_size(self) -> int:
        """Bytes of a sum of products."""
        return 2 if self.half else 4

    def __post_init__(self) -> None:
        if self.half and self.size == 4:
            raise ConfigError("attention of f32 elements has no 16-bit sums: half=True is for 16-bit storage")
        if self.alibi and not self.causal and not self.masks_itself:
            raise ConfigError("attention with alibi must be causal: its bias is not defined for later keys")
        if self.window < 0 or (self.window and not self.causal):
            raise ConfigError(
                "a window of attention is 0 or more tokens, of causal attention, not "
                f"{self.window} of causal={self.causal}"
            )

        if self.cap < 0 or (self.cap and self.alibi):
            raise ConfigError(f"a cap of scores is above 0, without alibi, or 0 for none, not {self.cap:g}")
        if self.sinks and self.alibi:
            raise ConfigError("attention has sinks or alibi, not both")
        kept(self.dropout)
