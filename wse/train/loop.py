"""The training loop: the host's part of a step, around the passes over the fabric.

A step: the pass (or passes, where a step has several micro-batches), the norm of the gradients, the decision whether
all are finite, clipping, the update.  Where updates is "memoryx" (weight streaming) the optimisers of wse.memoryx
update the master weights in the store; where it is "fabric" (pipelined) the weight PEs do, with the coefficients of
the loop.  A run is given by its Settings, text and seed: it can be stopped and resumed to the bit.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import asdict, field
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np

from ..errors import ConfigError
from ..execute.execution import Execution, Pass
from ..machine.digest import tables_digest
from ..machine.numerics import from_bits
from ..memoryx.optimizer import SGD, AdamW, Optimizer, measure
from ..memoryx.rounding import to_bits
from ..memoryx.store import Store
from ..models import Graph
from ..models.dropout import drops
from ..records import dataclass
from ..tensors import Tensors
from .data import Batches
from .scaler import Scaler

SCHEDULES = ("cosine", "linear", "constant")
SLICE = 1 << 21  # elements of a tensor that are updated at a time; a multiple of the optimisers' blocks


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that, with the model, the text and the mode, determine the results of a run.

    steps: total number of steps.  warmup: steps in which the learning rate rises.  schedule: "cosine" or "linear",
    which decay from the first step to the last to the share `final` of the rate, or "constant".  micro_batches: passes
    per step, whose gradients are averaged.  rate: peak learning rate.  momentum: of SGD.  betas: of AdamW.  decay:
    weight decay of matrices.  frozen: patterns of names of parameters that are not updated, as of the shell.  clip:
    largest norm of the gradient, 0 for no clipping.  loss_scale: "dynamic", "none" or a number.  mean_over: the number
    of tokens over which the wafer averages the loss, 0 for those of a pass; a larger number shows the effect of a
    larger batch on 16-bit gradients, which are scaled back afterwards. stochastic: round streamed weights to 16 bits
    stochastically.  sparsity: fraction of the weights of linear layers that is zero and stays zero.  Raises ConfigError
    for a value out of range.
    """

    steps: int = 300
    warmup: int = 20
    schedule: str = "cosine"
    final: float = 0.1
    micro_batches: int = 1
    optimizer: str = "adamw"
    rate: float = 3e-3
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.95)
    decay: float = 0.0
    clip: float = 1.0
    dtype: str = "bf16"
    loss_scale: str = "dynamic"
    mean_over: int = 0
    stochastic: bool = False
    sparsity: float = 0.0
    seed: int = 0
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"schedule must be one of {', '.join(SCHEDULES)}, not {self.schedule!r}")
        for name, value in (("steps", self.steps), ("micro_batches", self.micro_batches)):
            if value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
        if self.mean_over < 0:
            raise ConfigError(f"mean_over must be a number of tokens, or 0, not {self.mean_over}")
        if not 0 <= self.sparsity < 1:
            raise ConfigError(f"sparsity is a share from 0 to below 1, not {self.sparsity}")
        if not 0 <= self.final <= 1:
            raise ConfigError(f"final is a share of the learning rate, from 0 to 1, not {self.final}")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum is from 0 to below 1, not {self.momentum}")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.schedule == "constant":
            return self.rate * rise
        progress = min(1.0, step / max(1, self.steps - 1))
        left = 1 - progress if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
        return self.rate * rise * (self.final + (1 - self.final) * left)

    def optimizers(self) -> tuple[Optimizer, Optimizer]:
        """The optimizers (for matrices, for other parameters); the second has no weight decay."""
        if self.optimizer == "adamw":
            return AdamW(self.rate, self.decay, self.betas), AdamW(self.rate, 0.0, self.betas)
        if self.optimizer == "sgd":
            return SGD(self.rate, self.decay, self.momentum), SGD(self.rate, 0.0, self.momentum)
        raise ConfigError(f"optimizer is sgd or adamw, not {self.optimizer!r}")


def initial(graph: Graph, seed: int, masks: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Initial float32 weights by the distributions of the graph's parameters, masked.

    Each parameter has its own random stream, from (seed, its position).
    """
    return dict(initial_tensors(graph, seed, masks))


def initial_tensors(graph: Graph, seed: int, masks: Mapping[str, np.ndarray] | None = None) -> Tensors:
    """The same, one at a time."""

    def make(place: int, name: str) -> np.ndarray:
        p = graph.parameters[name]
        if p.initial == "normal":
            value = np.random.default_rng((seed, place)).standard_normal(p.shape, np.float32)
            value *= np.float32(p.std)
        else:
            value = np.full(p.shape, {"zeros": 0, "ones": 1}[p.initial], np.float32)
        return value * masks[name] if masks and name in masks else value

    return Tensors({name: partial(make, place, name) for place, name in enumerate(graph.parameters)})


def masks(graph: Graph, sparsity: float, seed: int) -> dict[str, np.ndarray]:
    """Float32 0 and 1 by weight matrix of a linear operator: exactly floor(sparsity x size) zeros, anywhere."""
    made: dict[str, np.ndarray] = {}
    if not sparsity:
        return made
    tables = {p.name for o in graph.operators if o.kind == "embedding" for p in o.parameters.values()}
    for place, operator in enumerate(graph.operators):
        if operator.kind != "linear" or operator.parameters["weight"].name in tables:
            continue
        p = operator.parameters["weight"]
        mask = np.ones(p.size, np.float32)
        mask[np.random.default_rng((seed, 1, place)).permutation(p.size)[: int(sparsity * p.size)]] = 0
        made[p.name] = mask.reshape(p.shape)
    return made


def trained(names: Iterable[str], frozen: Iterable[str]) -> tuple[str, ...]:
    """The names that no pattern of `frozen` matches.  ConfigError for a pattern without a name, or if none is left."""
    names = tuple(names)
    patterns = tuple(frozen)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise ConfigError(f"no parameter matches {pattern!r}, which is to be frozen; the first is {names[0]}")
    left = tuple(name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))
    if not left:
        raise ConfigError(f"all parameters are frozen by {', '.join(map(repr, patterns))}: nothing is left to train")
    return left


class Gradients(MutableMapping[str, np.ndarray]):
    """Gradients of a pass that go to the store's files as they come.  names: those that are kept."""

    def __init__(self, store: Store, names: Iterable[str]):
        self._store, self._names = store, frozenset(names)
        self._there: dict[str, None] = {}

    def __setitem__(self, name: str, gradient: np.ndarray) -> None:
        if name in self._names:
            self._store.gradient(name)[...] = gradient
            self._there[name] = None
            self._store.release()

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._there:
            raise KeyError(name)
        return self._store.gradient(name)

    def __delitem__(self, name: str) -> None:
        del self._there[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._there)

    def __len__(self) -> int:
        return len(self._there)


@dataclass
class Step:
    """The record of a step.

    loss: with the weights before the step, in nats.  norm: of the gradient before clipping, without the loss scale.
    scale: the loss scale of the step.  skipped: whether the update was skipped because of non-finite gradients.
    busiest: the largest of its passes' (see Pass); 0 if loads of experts are not counted.
    """

    step: int
    loss: float
    norm: float
    scale: float
    rate: float
    skipped: bool
    cycles: int
    tokens: int
    sent: int
    dense: int
    drained: int
    busiest: float = 0.0


@dataclass
class Trainer:
    """A run under way.  store: master weights and the optimiser's state; last: the last pass, for reports."""

    execution: Execution
    store: Store
    batches: Batches
    settings: Settings
    masks: dict[str, np.ndarray]
    scaler: Scaler
    history: list[Step] = field(default_factory=list)
    last: Pass | None = None
    trained: tuple[str, ...] = ()  # names of parameters that are updated

    @classmethod
    def start(cls, execution: Execution, store: Store, batches: Batches, settings: Settings) -> Trainer:
        """A run that begins with the store's weights, or continues where the store says that it was saved.

        ConfigError if the execution updates weights on the fabric and the optimizer is not SGD.
        """
        if execution.updates == "fabric" and settings.optimizer != "sgd":
            raise ConfigError(f"updates on the fabric are SGD with momentum, not {settings.optimizer}: use sgd")
        saved = store.meta.get("train")
        scaler = Scaler.restored(saved["scaler"]) if saved else Scaler.of(settings.dtype, settings.loss_scale)
        history = [Step(**step) for step in saved["history"]] if saved else []
        mask = masks(execution.graph, settings.sparsity, settings.seed)
        chosen = trained(store.names, settings.frozen)
        if execution.updates == "fabric" and settings.frozen:
            raise ConfigError("updates on the fabric are of all parameters: freeze some in streaming mode")
        trainer = cls(execution, store, batches, settings, mask, scaler, history, trained=chosen)
        trainer._load(trainer._updates)
        return trainer

    @property
    def step(self) -> int:
        """The number of completed steps."""
        return len(self.history)

    def train(self, until: int, report: Callable[[Step], Any] = lambda step: None) -> None:
        """Does steps until `until` steps are done in all.  report: called after each."""
        while self.step < until:
            report(self.advance())

    def advance(self) -> Step:
        """Does one step: passes, gradients, update.  A KeyboardInterrupt may leave weights half updated: after one,
        continue from a checkpoint."""
        rate, chosen = self.settings.rate_at(self.step), self.scaler.scale
        scale = chosen * self._share
        passes = self._passes(scale)
        size = measure(part for name in self.trained for part in self._slices(self.store.gradient(name)))
        norm = size.norm / scale
        good = self.scaler.after(size.finite)
        cycles = sum(p.cycles for p in passes)
        if good:
            clip = self.settings.clip
            factor = min(1.0, clip / (norm + 1e-6)) / scale if clip else 1 / scale
            cycles += self._update(rate, factor)
        self.last = passes[-1]
        done = Step(
            step=self.step,
            loss=sum(p.loss for p in passes) / len(passes),
            norm=norm,
            scale=chosen,
            rate=rate,
            skipped=not good,
            cycles=cycles,
            tokens=len(passes) * self.execution.batch * self.execution.sequence,
            sent=sum(p.sent for p in passes),
            dense=sum(p.dense for p in passes),
            drained=sum(p.drained for p in passes),
            busiest=max(p.busiest for p in passes),
        )
        self.history.append(done)
        return done

    def held_out(self, batches: int = 8) -> float:
        """The mean loss on held-out text, in nats, computed on the fabric."""
        return float(np.mean([self.execution.evaluate(*batch) for batch in self.batches.held_out(batches)]))

    def save(self, path: Any, about: Mapping[str, Any]) -> None:
        """Saves a checkpoint atomically: weights, optimizer state, loss scaler, history, settings.

        about: what else makes the run (model, text, mode ...), a dict of JSON values that `resume` compares.  Errors of
        Store.save.
        """
        self.collect()
        self.store.meta["train"] = {
            "scaler": self.scaler.state(),
            "history": [asdict(step) for step in self.history],
            "settings": asdict(self.settings),
            "about": dict(about),
            "tables": tables_digest(),
        }
        self.store.save(path)

    def collect(self) -> None:
        """Brings weights and optimiser state that are on the fabric to the store."""
        if self.execution.updates == "fabric":
            for kind, arrays in zip(("weight", "momentum"), self.execution.read(), strict=True):
                for name, array in arrays.items():
                    (self.store.weight(name) if kind == "weight" else self.store.slot(kind, name))[...] = array

    # Parts of a step.

    @property
    def _share(self) -> float:
        """The ratio of the tokens of a pass to `mean_over`."""
        own = self.execution.batch * self.execution.sequence
        return own / self.settings.mean_over if self.settings.mean_over else 1.0

    def _passes(self, scale: float) -> list[Pass]:
        """The step's micro-batches, one pass each; all at once where the execution takes them so, as several systems
        do.  Their mean gradient, masked, is in the store's files."""
        count = self.settings.micro_batches
        ids, labels = self.drawn(self.step)
        if count > 1 and self.execution.batch == count * self.batches.batch:
            count = 1
        passes: list[Pass] = []
        draws = self.draws(self.step)
        parts = zip(np.split(ids, count), np.split(labels, count), strict=True)
        for number, (some_ids, some_labels) in enumerate(parts):
            kept = Gradients(self.store, self.trained)
            own: dict[str, Any] = {"draw": draws[number]} if draws else {}
            done = self.execution.run(some_ids, some_labels, scale, None if passes else kept, **own)
            if lacking := [name for name in self.trained if name not in (done.gradients if passes else kept)]:
                raise ConfigError(
                    f"the execution ({type(self.execution).__name__}) left no gradient of {lacking[0]} "
                    f"({len(lacking)} of {len(self.trained)} are missing): its `run` puts all parameters' gradients "
                    "into the mapping `gradients` that it is given, and into that of its Pass"
                )
            if passes:
                for name in self.trained:
                    self.store.gradient(name)[...] += done.gradients[name]
                    self.store.release()
                done.gradients = {}
            passes.append(done)
        for name in self.trained:
            if count > 1 or name in self.masks:
                gradient = self.store.gradient(name)
                if count > 1:
                    gradient /= count
                if name in self.masks:
                    gradient *= self.masks[name]
                self.store.release()
        return passes

    def drawn(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The sequences of all passes of a step, one after the other: (ids, labels), [sequences, tokens]."""
        count = self.settings.micro_batches
        ids, labels = zip(*(self.batches.step(step * count + number) for number in range(count)), strict=True)
        return np.concatenate(ids), np.concatenate(labels)

    def draws(self, step: int) -> list[int]:
        """The numbers from which the masks of dropout of each pass of a step follow; none without dropout.

        24 bits of each are of the seed, 24 of the pass.  ConfigError for more than 2^24 passes.
        """
        if not drops(self.execution.graph):
            return []
        count = self.settings.micro_batches
        if (step + 1) * count > 1 << 24:
            raise ConfigError(f"a run with dropout has at most {1 << 24:,} passes: step {step} is beyond")
        seed = int(np.random.SeedSequence((self.settings.seed, 2)).generate_state(1)[0]) >> 8
        return [seed << 24 | step * count + number for number in range(count)]

    def _slices(self, array: np.ndarray) -> Iterator[np.ndarray]:
        """Parts of a tensor of the store, [n] each; the memory of a part is given back when the next one is taken."""
        flat = array.reshape(-1)
        for at in range(0, flat.size, SLICE):
            yield flat[at : at + SLICE]
            self.store.release()

    def _update(self, rate: float, factor: float) -> int:
        """Updates the weights by the gradients of the store.  Returns the fabric cycles of the update."""
        if self.execution.updates == "fabric":
            return self.execution.update(rate, self.settings.momentum, factor)
        matrices, rest = self.settings.optimizers()
        updates = self._updates + 1
        for name in self.trained:
            weight, state = self.store.weight(name), self.store.state(name)
            optimizer = matrices if weight.ndim > 1 else rest
            arrays = (weight, self.store.gradient(name), *state.values())
            for part, gradient, *slots in zip(*map(self._slices, arrays), strict=True):
                optimizer.update(
                    part, gradient, dict(zip(state, slots, strict=True)), updates, rate=rate, scale=factor, name=name
                )
        self._load(updates)
        return 0

    @property
    def _updates(self) -> int:
        """The number of updates, which AdamW needs; skipped steps do not count."""
        return sum(not step.skipped for step in self.history)

    def _load(self, updates: int) -> None:
        """Master weights after so many updates, rounded to 16 bits at random where asked for, to the execution."""
        if self.execution.updates == "fabric":
            momentum = {name: self.store.slot("momentum", name) for name in self.store.names}
            self.execution.load(self.store.weights, momentum)
        elif self.settings.stochastic and self.settings.dtype != "f32":
            self.execution.load(Tensors({name: partial(self._rounded, name, updates) for name in self.store.names}))
        else:
            self.execution.load(self.store.weights)

    def _rounded(self, name: str, updates: int) -> np.ndarray:
        weight = self.store.weights[name]
        seed = crc32(f"{name} {updates} {self.settings.seed}".encode()) << 32 | self.settings.seed & 0xFFFFFFFF
        return from_bits(to_bits(weight, self.settings.dtype, True, seed), self.settings.dtype)
