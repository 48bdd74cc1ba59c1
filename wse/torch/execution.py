"""Streaming whose activations come from the host and go back to it: a forward and a backward task.

The forward task receives the rows of the input at the north edge and sends those of the output.  What the backward pass
needs stays in the PEs.  The backward task receives the gradient of the output, and sends that of the input after those
of the weights.  Weights are streamed in both, as in wse.execute.streaming.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..errors import ConfigError, MemoryOverflow
from ..execute.emitter import EdgeTransfer, gradients
from ..execute.schedule import BACKWARD, FORWARD
from ..execute.streaming import Streaming
from ..machine.parameters import Machine
from ..memoryx import MemoryX
from ..models import Graph
from ..operators.embedding import Embedding
from ..operators.transfers import Column
from ..records import dataclass

TASKS = {"forward": 8, "backward": 9}  # name: local task id


@dataclass(frozen=True)
class Phase:
    """What a task did.  cycles: fabric cycles.  sent, drained: wavelets into and out of the north edge."""

    cycles: int
    sent: int
    drained: int


def default_grid(graph: Graph, batch: int, sequence: int) -> tuple[int, int]:
    """(width, height): a column for each head that attention needs whole, else at most 8; as many rows, at most 64,
    each with whole sequences and an even number of tokens.

    Raises ConfigError if no rows have an even number of tokens.
    """
    heads = [int(o.attributes["kv_heads"]) for o in graph.operators if o.kind == "attention"]
    widest = max(tensor.features for tensor in graph.tensors.values())
    width = min(heads) if heads else min(8, -(-widest // 2))
    rows = [h for h in range(1, min(64, batch) + 1) if batch % h == 0 and batch // h * sequence % 2 == 0]
    if not rows:
        raise ConfigError(f"a pass over {batch} x {sequence} tokens has an odd number of them: use an even batch")
    return max(1, width), max(rows)


class Exchange(Streaming):
    """A graph that begins with an operator `input` and ends with one `output`.

    batch: sequences of a pass.  The other arguments are those of Streaming.
    """

    def __init__(
        self,
        graph: Graph,
        batch: int,
        machine: Machine,
        dtype: str = "f16",
        policy: str = "POL0",
        grid: tuple[int, int] | None = None,
        threads: int = 1,
    ) -> None:
        grid = grid or default_grid(graph, batch, graph.model.sequence)
        try:
            super().__init__(graph, batch, machine, MemoryX(), dtype, policy, grid, threads)
        except MemoryOverflow as error:
            kept = ", with one sequence in a row already" if grid[1] == batch else ""
            raise MemoryOverflow(
                f"{graph.model.name} with {batch} sequences of {graph.model.sequence} tokens on {grid[0]} x {grid[1]} "
                f"PEs{kept}: {str(error).splitlines()[0]}; use a smaller batch, more rows or more columns"
            ) from None
        self._rows = np.zeros((0, 0), np.float32)

    def _accept(self, graph: Graph) -> None:
        """Captured graphs have what kernels execute."""

    def _code(self) -> None:
        region, made = self.region, self.emitter
        made.declare()
        region.uses("weights", "north")
        for (name, number), calls in zip(TASKS.items(), (self.schedule.forward, self.schedule.backward), strict=True):
            with region.task(name, number):
                made.emit(calls)
                made.mark(None)

    def forward(self, rows: np.ndarray, weights: Mapping[str, np.ndarray]) -> tuple[np.ndarray, Phase]:
        """The output of a pass, float32 [tokens, features], and what it took.

        rows: float32 [tokens, features], of each sequence one token after the other.  weights: float32 by parameter.
        Both are rounded to the storage type.
        """
        self.load(weights)
        found, phase = self._task("forward", rows)
        return found["output"], phase

    def backward(self, gradient: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray], Phase]:
        """The gradients of the input and of each parameter, float32, of the last pass forward, which must not be that
        of an earlier call of this.  gradient: of the output, float32 [tokens, features]."""
        found, phase = self._task("backward", gradient)
        return found.pop("input"), found, phase

    def _columns(self, feed: EdgeTransfer, ids: np.ndarray) -> Iterable[Column]:
        if isinstance(feed.transfer, Embedding):
            return feed.transfer.pack(self._rows, np.arange(len(self._rows)))
        return super()._columns(feed, ids)

    def _task(self, name: str, rows: np.ndarray) -> tuple[dict[str, np.ndarray], Phase]:
        """Runs a task; what it drains: arrays by parameter, or by the kind of operator."""
        made = self.emitter
        phase = FORWARD if name == "forward" else BACKWARD
        self._rows = np.ascontiguousarray(rows, np.float32)
        order = np.arange(self.batch * self.sequence).reshape(self.batch, self.sequence)
        feeds, drains = ([one for one in all if one.call.phase == phase] for all in (made.feeds, made.drains))
        found: dict[str, np.ndarray] = {}

        def done(sent: EdgeTransfer, arrays: dict[str, np.ndarray]) -> None:
            if not sent.parameters:
                found[sent.call.operator.kind] = arrays["dx"]
            found.update(gradients(sent, arrays, self.graph.parameters))

        moved = self._move(feeds, drains, order, order, lambda: self.fabric.launch(name), done)
        self.fabric.said()
        words = sum(int(counts.sum()) for parts in moved.counts.values() for counts in parts)
        return found, Phase(moved.run.cycles, words, moved.outgoing.wavelets)
