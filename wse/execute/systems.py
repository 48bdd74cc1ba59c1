"""Data-parallel training on several emulated wafers, each in its own process, with MemoryX and SwarmX.

A step's sequences are divided into parts of one pass each.  The weights are broadcast to all systems.  Each system
executes the passes of its parts in sequence.  The gradients are reduced by the SwarmX tree, whose nodes add those of up
to four children.  Because float32 sums depend on the order of additions, the order is fixed: pairwise, ((a + b) +
(c + d)), within a system and within a node.  If the number of parts P and the number of systems N are powers of two, a
step gives the same bits for every N; otherwise results differ by the rounding of float32 sums.

The result of a system depends only on the weights and its sequences.  If a worker dies, another one repeats its work
and nothing is lost.  `Systems` implements Execution, so the training loop is the same for any number of systems.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, WseError
from ..memoryx import Network
from ..records import dataclass
from .execution import Execution, Pass, handed

if TYPE_CHECKING:
    from distributed import Client

Make = Callable[..., Execution]  # picklable, such as functools.partial(function of a module, ...)
TRIES = 4  # attempts per step if workers die
WAIT_SECONDS = 60  # for the replacement of a dead worker

_held: dict[str, tuple[Execution, list[str]]] = {}  # of this process: the execution, and which weights it has


@dataclass
class Sum:
    """The reduced results of several parts.

    gradients: sums over the passes.  losses: in the order of the parts.  cycles: of the slowest system.  drained: over
    all systems.  last, others: the first system's last pass, and the sums that it received.
    """

    gradients: dict[str, np.ndarray]
    losses: list[float]
    cycles: int
    drained: int
    last: Pass
    others: dict[str, int] = field(default_factory=dict)


def pairwise(sums: Sequence[Sum]) -> Sum:
    """The pairwise sum: adds neighbors, then their sums, and so on; an unpaired value moves to the next round."""
    level = list(sums)
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [_add(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def _add(a: Sum, b: Sum) -> Sum:
    with np.errstate(over="ignore", invalid="ignore"):  # gradients that overflowed are found by the loop
        gradients = {name: a.gradients[name] + b.gradients[name] for name in a.gradients}
    return Sum(gradients, a.losses + b.losses, max(a.cycles, b.cycles), a.drained + b.drained, a.last, a.others)


# --- in the workers --------------------------------------------------------------------------------------------------


def _hold(key: str, make: Make) -> tuple[Execution, list[str]]:
    """The execution of this process, built at first use.  It replaces those of another run.

    key: of the run, with "/" and the slowness of a straggler.
    """
    if key not in _held:
        for other in [held for held in _held if held.split("/")[0] != key.split("/")[0]]:
            del _held[other]
        _held[key] = make(), [""]
    return _held[key]


def _describe(key: str, make: Make) -> dict[str, Any]:
    execution, _ = _hold(key, make)
    names = ("graph", "batch", "sequence", "updates", "clock_hz", "grid")
    return {name: getattr(execution, name) for name in names}


def _loaded(key: str, make: Make, weights: Mapping[str, np.ndarray], version: str) -> Execution:
    execution, has = _hold(key, make)
    if has[0] != version:
        execution.load(weights)
        has[0] = version
    return execution


def _passes(
    key: str,
    make: Make,
    weights: Mapping[str, np.ndarray],
    version: str,
    ids: np.ndarray,
    labels: np.ndarray,
    scale: float,
    draw: int | None = None,
) -> Sum:
    """Executes the parts of a system in sequence.  ids, labels: int [parts, batch, sequence].  draw: of the first part,
    the next one of the next; None: nothing is dropped."""
    execution = _loaded(key, make, weights, version)
    sums = []
    for part, (some_ids, some_labels) in enumerate(zip(ids, labels, strict=True)):
        more: dict[str, Any] = {} if draw is None else {"draw": draw + part}
        done = execution.run(some_ids, some_labels, scale, **more)
        gradients = {name: np.array(g, np.float32) for name, g in done.gradients.items()}
        others = {"sent": done.sent, "dense": done.dense}
        done.gradients = {}
        sums.append(Sum(gradients, [done.loss], done.cycles, done.drained, done, others))
    whole = pairwise(sums)
    slow = float(key.partition("/")[2] or 1)
    whole.cycles = round(slow * sum(part.cycles for part in sums))
    whole.others = {name: sum(part.others[name] for part in sums) for name in ("sent", "dense")}
    whole.last = sums[-1].last
    return whole


def _losses(
    key: str, make: Make, weights: Mapping[str, np.ndarray], version: str, ids: np.ndarray, labels: np.ndarray
) -> list[float]:
    execution = _loaded(key, make, weights, version)
    return [execution.evaluate(*part) for part in zip(ids, labels, strict=True)]


def _node(*children: Sum) -> Sum:
    """A SwarmX node: the sum of its children."""
    return pairwise(children)


# --- the run's side --------------------------------------------------------------------------------------------------


class Systems(Execution):
    """`systems` wafers as one Execution.

    client: of a Dask cluster with a worker process for each system (cluster.workers), or None: this process does the
    systems' work in turn, with the same bits.  make: makes a system's Execution, in its process.  sequences: of a step
    on all systems together; a multiple of what one pass holds times the systems.  network: of SwarmX, for its time.
    slow: stragglers, by number of the system: the factor by which its clock is slower.  make(slow=factor) makes such a
    system, in whose cycles weights arrive sooner; its cycles count as so many of the others'.  late: gradients take
    SwarmX's latency upwards at the end of a step; make has to see to the latency downwards.
    ConfigError where the sequences cannot be divided, the systems update their weights themselves, or a straggler is
    none of the systems or faster than they are.
    """

    def __init__(
        self,
        client: Client | None,
        make: Make,
        systems: int,
        sequences: int,
        network: Network | None = None,
        name: str = "run",
        slow: Mapping[int, float] | None = None,
        late: bool = False,
    ):
        if systems < 1:
            raise ConfigError(f"a run has at least one system, not {systems}")
        self.client, self.make, self.systems = client, make, systems
        self.network = network or Network()
        self.slow, self.late = dict(slow or {}), late
        for system, factor in self.slow.items():
            if not 0 <= system < systems or not factor >= 1:
                raise ConfigError(
                    f"straggler {system} with factor {factor}: stragglers are among systems 0 to {systems - 1}, "
                    "their factors at least 1"
                )
        self.key = f"{np.random.default_rng().integers(1 << 62):x}"
        self._given = self._loads = 0  # pieces of work, versions of the weights
        self._weights: dict[str, np.ndarray] = {}
        self._sent: Any = None
        about = self._call(lambda: self._submit(_describe, 0)).copy()
        self.graph, self.clock_hz, self.grid = about["graph"], about["clock_hz"], about["grid"]
        self.sequence, self.updates = about["sequence"], about["updates"]
        self.part = about["batch"]
        self.batch = sequences
        if self.updates != "memoryx":
            raise ConfigError("a pipelined system updates its weights itself: only weight streaming has several")
        if sequences < 1 or sequences % (self.part * systems):
            raise ConfigError(
                f"{sequences} sequences a step cannot be divided among {systems} systems of {self.part} a pass: "
                f"give a multiple of {self.part * systems}"
            )

    @property
    def parts(self) -> int:
        """Passes of a step on all systems."""
        return self.batch // self.part

    @property
    def swarmx_cycles(self) -> float:
        """The modelled latency of the tree, down and up, in fabric cycles; its nodes add at line rate."""
        return 2 * self.network.depth(self.systems) * self.network.hop * self.clock_hz

    def load(self, weights: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None = None) -> None:
        """Sets the weights that the next pass broadcasts."""
        self._weights = {name: np.array(weight, np.float32) for name, weight in weights.items()}
        self._loads += 1
        self._sent = None

    def run(
        self,
        ids: np.ndarray,
        labels: np.ndarray,
        scale: float = 1.0,
        gradients: MutableMapping[str, np.ndarray] | None = None,
        draw: int | None = None,
    ) -> Pass:
        """Runs a step.  ids, labels: int [batch, sequence].  Returns the mean loss and its gradients, as one Pass."""
        cut = self._cut(ids), self._cut(labels)
        each = self.parts // self.systems
        draws = [None if draw is None else draw + i * each for i in range(self.systems)]

        def step() -> Any:
            level = [self._submit(_passes, i, cut[0][i], cut[1][i], scale, draws[i]) for i in range(self.systems)]
            fan_out = self.network.fan_out
            while len(level) > 1:
                level = [self._combine(level[i : i + fan_out]) for i in range(0, len(level), fan_out)]
            return level[0]

        whole: Sum = self._call(step)
        mean = np.float32(1 / self.parts)
        found = {name: g * mean for name, g in whole.gradients.items()} if self.parts > 1 else whole.gradients
        last = whole.last
        return Pass(
            loss=float(np.mean(whole.losses)),
            gradients=handed(found, gradients),
            cycles=whole.cycles + (round(self.swarmx_cycles / 2) if self.late else 0),
            sent=whole.others["sent"],
            dense=whole.others["dense"],
            drained=whole.drained,
            spans=last.spans,
            waits=last.waits,
        )

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """The mean loss over any number of passes, which are divided among the systems."""
        if len(ids) % self.part:
            raise ConfigError(f"{len(ids)} sequences are no passes of {self.part}")
        cut = [np.asarray(values).reshape(-1, self.part, self.sequence) for values in (ids, labels)]
        shares = [share for share in np.array_split(np.arange(len(cut[0])), self.systems) if share.size]
        found: list[list[float]] = self._call(
            lambda: [self._submit(_losses, i, cut[0][share], cut[1][share]) for i, share in enumerate(shares)]
        )
        return float(np.mean([loss for losses in found for loss in losses]))

    def update(self, rate: float, momentum: float, factor: float) -> int:
        """Raises ConfigError: MemoryX updates the weights of several systems."""
        raise ConfigError("several systems do not update their weights: MemoryX does")

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Raises ConfigError: the weights of several systems are in MemoryX."""
        raise ConfigError("several systems hold no weights: MemoryX does")

    # Work for workers, or for this process.

    def _cut(self, values: np.ndarray) -> np.ndarray:
        """Reshapes [batch, sequence] to [system, part, sequences per pass, sequence]."""
        values = np.asarray(values)
        if values.shape != (self.batch, self.sequence):
            raise ConfigError(f"a step has tokens [{self.batch}, {self.sequence}], not {list(values.shape)}")
        return values.reshape(self.systems, self.parts // self.systems, self.part, self.sequence)

    def _submit(self, work: Callable, system: int, *arguments: Any) -> Any:
        """Submits the work of a system, to its own worker if that is alive."""
        factor = self.slow.get(system, 1.0)
        given: tuple[Any, ...] = (self.key, self.make)
        if factor != 1:
            given = f"{self.key}/{factor!r}", partial(self.make, slow=factor)
        if arguments:
            given += (self._broadcast(), f"{self._loads}", *arguments)
        if self.client is None:
            return work(*given)
        self._given += 1
        workers = sorted(self.client.nthreads())
        return self.client.submit(
            work,
            *given,
            key=f"{work.__name__}-{self.key}-{self._given}",
            workers=[workers[system % len(workers)]] if workers else None,
            allow_other_workers=True,
            pure=False,
        )

    def _combine(self, children: list[Any]) -> Any:
        if self.client is None:
            return _node(*children)
        return self.client.submit(_node, *children, pure=False)

    def _broadcast(self) -> Any:
        """The weights, sent once; workers have them from each other.

        A task's result, not scattered data: Dask makes it again if the worker that held it dies, where to scatter to
        a worker that has just died may never end.
        """
        if self.client is None:
            return self._weights
        if self._sent is None:
            self._sent = self.client.submit(_Weights, self._weights, pure=False)
        return self._sent

    def _call(self, step: Callable[[], Any]) -> Any:
        """Waits for the futures of step().  Data or work lost with a dead worker is sent or executed again."""
        if self.client is None:
            return step()
        from distributed import TimeoutError as Late
        from distributed.scheduler import KilledWorker

        for left in reversed(range(TRIES)):
            futures = None
            try:
                self.client.wait_for_workers(1, timeout=WAIT_SECONDS)
                futures = step()
                return self.client.gather(futures)
            except (KilledWorker, CancelledError, OSError, Late) as error:
                if not left:
                    raise WseError(f"workers died in {TRIES} tries of a step: {error}") from None
                if futures is not None:
                    self.client.cancel(futures, force=True)
                self._sent = None
        raise AssertionError  # the last try returns or raises


class _Weights(dict):
    """Wraps the weights in one object, so that a task's result is a single future."""
