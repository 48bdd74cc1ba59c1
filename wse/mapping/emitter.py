"""Calls of a schedule as code of a region: each operator's subroutine once, its calls in order, markers between them.

What crosses the north edge stands in two lists in the order in which the calls take it: `feeds`, streams of weights, and
`drains`, gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from ..kernels.layer import activation, embedding, linear, parameters, residual
from ..kernels.layer.attention import Attention
from ..kernels.layer.code import Routine
from ..kernels.layer.loss import Loss
from ..kernels.layer.norm import Norm
from ..kernels.layer.region import Region
from ..kernels.layer.rotary import Rotary
from ..models.graph import Operator
from .schedule import Arena, Buffer, Call

ARENA = "arena"  # the array that holds all buffers
IDS, LABELS, SCALE = "ids", "labels", "scale"  # u16 [t], u16 [t], f32 [1]: loss scale / tokens of the batch
LOSS = "loss"  # f32 [1]: sum of the losses of the row's tokens
MARK = 1  # the kind of `say` that tells that a call begins: its number


@dataclass(frozen=True)
class Feed:
    """Weights that a call takes: parameters by role, packed by its stream for each column."""

    call: Call
    stream: Any
    parameters: dict[str, str]


@dataclass
class Emitter:
    """Adds calls to a region.  sequence: tokens of one; batch tokens are told by the host as `scale`."""

    region: Region
    arena: Arena
    sequence: int
    sparse: bool = False
    feeds: list[Feed] = field(default_factory=list)
    drains: list[Feed] = field(default_factory=list)
    marks: list[Call] = field(default_factory=list)
    _routines: dict[str, Routine] = field(default_factory=dict)
