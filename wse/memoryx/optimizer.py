"""Optimisers of MemoryX: SGD with momentum and AdamW over float32 master weights, at the speed of memory.

One pass per tensor reads gradient, weight and state, writes weight and state, and writes the 16-bit copy to be
streamed.  The formulas are those of PyTorch's SGD and AdamW in float32.  Elements are independent, so results do not
depend on threads or on the order of tensors.  Stochastic rounding draws from (seed, step, tensor, index).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, ClassVar, NamedTuple
from zlib import crc32

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from .jit import compiled
from .rounding import U32, U64, fields, narrow, noise

F32 = np.float32
BLOCK = 1 << 18  # elements of a thread's unit of work
CACHED = 1 << 10  # elements that stay in the L1 cache during the update


class Traffic(NamedTuple):
    """Bytes of DRAM traffic for the update of one parameter."""

    read: int
    written: int


@dataclass(frozen=True)
class Optimizer:
    """rate: learning rate.  weight_decay: decoupled in AdamW, added to the gradient in SGD, as in PyTorch."""

    rate: float
    weight_decay: float = 0.0

    slots: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            for number in value if isinstance(value, tuple) else (value,):
                if not (np.isfinite(number) and number >= 0):
                    raise ConfigError(f"{name} of an optimiser is at least 0, not {value!r}")

    @property
    def traffic(self) -> Traffic:
        """Gradient, weight and state are read; weight, state and the 16-bit copy written."""
        state = 4 * len(self.slots)
        return Traffic(8 + state, 4 + state + 2)

    def constants(self, rate: float, step: int) -> tuple[float, ...]:
        """Constants of the update in a step, in the order that its loop expects.  rate: learning rate."""
        raise NotImplementedError

    def update(
        self,
        weight: np.ndarray,
        gradient: np.ndarray,
        slots: Mapping[str, np.ndarray],
        step: int,
        *,
        rate: float | None = None,
        scale: float = 1.0,
        copy: np.ndarray | None = None,
        format: str = "bf16",
        stochastic: bool = False,
        seed: int = 0,
        name: str = "",
    ) -> None:
        """Updates weight (float32, any shape, contiguous) and slots (the same shape each, by name) in place.

        gradient: float32 of that shape, multiplied by `scale` (1 / loss scale x clipping) before use.  step: from 1.
        rate: instead of the optimiser's own.  copy: uint16 of that shape, receives the weights rounded to `format`;
        stochastic: at random, from seed, step and the tensor's `name`.  ConfigError where shapes or types do not fit.
        """
        arrays = {"weight": weight, "gradient": gradient} | {slot: slots.get(slot) for slot in self.slots}
        for what, array in arrays.items():
            if array is None or array.dtype != F32 or array.shape != weight.shape or not array.flags.c_contiguous:
                found = "missing" if array is None else f"{array.dtype} {list(array.shape)}"
                raise ConfigError(
                    f"{what} of {name or 'a tensor'} is contiguous float32 {list(weight.shape)}, not {found}"
                )
        if copy is not None and (copy.dtype != np.uint16 or copy.shape != weight.shape or not copy.flags.c_contiguous):
            raise ConfigError(
                f"copy of {name or 'a tensor'} is contiguous uint16 {list(weight.shape)}, not {copy.dtype}"
            )
        if step < 1:
            raise ConfigError(f"steps are counted from 1, not {step}")
        flat = [np.asarray(array).reshape(-1) for array in arrays.values()]
        out = np.empty(0, np.uint16) if copy is None else copy.reshape(-1)
        constants = [F32(value) for value in (scale, *self.constants(self.rate if rate is None else rate, step))]
        draw = U64(crc32(f"{name} {step} {seed}".encode()) << 32 | seed & 0xFFFFFFFF)
        rounding = (*fields(format), stochastic, draw)

        def block(start: int) -> None:
            part = slice(start, start + BLOCK)
            _LOOPS[type(self)](*(a[part] for a in flat), out[part], *constants, *rounding, U64(start))

        starts = range(0, weight.size, BLOCK)
        if len(starts) > 1:
            list(_pool().map(block, starts))
        elif starts:
            block(0)


@dataclass(frozen=True)
class SGD(Optimizer):
    """v = momentum v + g + decay w;  w = w - rate v.  From v = 0, as PyTorch without dampening."""

    momentum: float = 0.0

    slots = ("momentum",)

    def constants(self, rate: float, step: int) -> tuple[float, ...]:
        """Learning rate, momentum, weight decay."""
        return rate, self.momentum, self.weight_decay


@dataclass(frozen=True)
class AdamW(Optimizer):
    """w = (1 - rate decay) w;  m, v: moving averages of g and g g;  w = w - rate m^ / (sqrt(v^) + eps), where ^ makes
    up for the averages' start from 0."""

    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8

    slots = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (len(self.betas) == 2 and max(self.betas) < 1):
            raise ConfigError(f"betas of AdamW are two numbers from 0 to below 1, not {self.betas!r}")

    def constants(self, rate: float, step: int) -> tuple[float, ...]:
        """Decay of weights, factors of both moments, step size with bias corrections, epsilon."""
        first, second = self.betas
        return (
            *(1 - rate * self.weight_decay, first, 1 - first, second, 1 - second),
            *(rate / (1 - first**step), (1 - second**step) ** 0.5, self.eps),
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adamw": AdamW}


@compiled(nogil=True)
def _narrow_all(words, copy, mantissa, bias, stochastic, draw, base):
    for i in range(copy.size):
        random = noise(draw, base + U64(i)) if stochastic else U32(0)
        copy[i] = narrow(words[i], mantissa, bias, stochastic, random)


@compiled(nogil=True)
def _sgd(weight, gradient, speed, copy, scale, rate, momentum, decay, mantissa, bias, stochastic, draw, base):
    for at in range(0, weight.size, CACHED):
        end = min(at + CACHED, weight.size)
        for i in range(at, end):
            speed[i] = momentum * speed[i] + (gradient[i] * scale + decay * weight[i])
            weight[i] -= rate * speed[i]
        # Two simple loops over what is in the cache become vector instructions, one of both does not.
        _narrow_all(weight[at:end].view(U32), copy[at:end], mantissa, bias, stochastic, draw, base + U64(at))


@compiled(nogil=True)
def _adamw(
    weight,
    gradient,
    mean,
    square,
    copy,
    scale,
    keep,
    b1,
    c1,
    b2,
    c2,
    rate,
    root,
    eps,
    mantissa,
    bias,
    stochastic,
    draw,
    base,
):
    for at in range(0, weight.size, CACHED):
        end = min(at + CACHED, weight.size)
        for i in range(at, end):
            g = gradient[i] * scale
            mean[i] = b1 * mean[i] + c1 * g
            square[i] = b2 * square[i] + c2 * (g * g)
            weight[i] = keep * weight[i] - rate * (mean[i] / (np.sqrt(square[i]) / root + eps))
        _narrow_all(weight[at:end].view(U32), copy[at:end], mantissa, bias, stochastic, draw, base + U64(at))


_LOOPS: dict[type[Optimizer], Any] = {SGD: _sgd, AdamW: _adamw}


@compiled(nogil=True)
def _squares(values):
    total = 0.0
    for i in range(values.size):
        total += np.float64(values[i]) * np.float64(values[i])
    return total


class Size(NamedTuple):
    """Of all gradients together.  norm: Euclidean, NaN or infinite if a gradient is."""

    norm: float
    finite: bool


def measure(gradients: Iterable[np.ndarray]) -> Size:
    """Norm of float32 gradients, summed in float64 in their order, and whether all are finite."""
    total = 0.0
    for gradient in gradients:
        flat = np.asarray(gradient).reshape(-1)
        starts = range(0, flat.size, BLOCK)
        parts = _pool().map(lambda at: _squares(flat[at : at + BLOCK]), starts) if len(starts) > 1 else ()  # noqa: B023
        for part in parts or [_squares(flat)]:
            total += part
    return Size(total**0.5, bool(np.isfinite(total)))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0))), thread_name_prefix="memoryx")
