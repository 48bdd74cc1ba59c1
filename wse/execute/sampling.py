"""Choosing the next token from logits at random, on the host."""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError


class Sampler:
    """Draws tokens with the probabilities softmax(logits / temperature), cut as follows.

    temperature: above 0.  top_k: of the greatest so many logits; 0: of all.  top_p: of the most probable tokens whose
    probabilities reach this sum, 0 < top_p <= 1, after top_k.  seed: of the generator.
    """

    def __init__(self, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 0) -> None:
        if not temperature > 0 or not 0 < top_p <= 1 or top_k < 0:
            raise ConfigError(
                f"sampling takes a temperature above 0, a top-k of 0 or more and a top-p above 0 up to 1, not "
                f"{temperature:g}, {top_k} and {top_p:g}"
            )
        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self._random = np.random.default_rng(seed)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The probabilities of all tokens: float64 of the shape of `logits`, float32 [vocab].

        ConfigError if a logit is no finite number.
        """
        if not np.isfinite(logits).all():
            raise ConfigError("a logit is no finite number: a value exceeded the range of f16; use --dtype bf16")
        scaled = logits.astype(np.float64) / self.temperature
        order = np.argsort(-scaled, kind="stable")
        if self.top_k:
            order = order[: self.top_k]
        p = np.exp(scaled[order] - scaled[order[0]])
        p /= p.sum()
        kept = int(np.searchsorted(np.cumsum(p), self.top_p * (1 - 1e-12))) + 1
        result = np.zeros(len(logits))
        result[order[:kept]] = p[:kept] / p[:kept].sum()
        return result

    def choose(self, logits: np.ndarray) -> int:
        """Draw a token."""
        return int(self._random.choice(len(logits), p=self.probabilities(logits)))
