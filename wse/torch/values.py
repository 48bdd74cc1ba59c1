"""What a node of the graph stands for while it is mapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

import torch

from ..records import dataclass
from .axes import Axes
from .host import Host

Expression = Callable[[Host], torch.Tensor]  # of a parameter, or of the input


@dataclass
class Lazy:
    """A linear layer or an activation that is not an operator yet: how depends on what reads it.

    kind: of graph.KINDS.  source: of its input.  weight, bias: [outputs, inputs], [outputs] or None.  made: tensor
    names by the features that were asked for."""

    kind: str
    name: str
    source: str
    features: int
    weight: Expression | None = None
    bias: Expression | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    made: dict[bytes, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Value:
    """An activation on the fabric.  tensor: its name in the graph, or what will make it.  features: of the whole."""

    tensor: str | Lazy
    features: int
    axes: Axes


@dataclass(frozen=True)
class Scores:
    """Attention that is written out, before its product with the values: queries and keys, and what was applied since.

    axes: of the scores, whose last dimension is that of the keys' tokens."""

    q: Value
    k: Value
    scale: float
    rows: tuple[Any, ...]
    causal: bool = False
    softmax: bool = False


@dataclass(frozen=True)
class Root:
    """An RMS norm that is written out, x rsqrt(mean(x^2) + eps): the part of it that is computed so far.

    stage: "square", "mean" or "inverse"."""

    x: Value
    stage: str
    eps: float = 0.0
