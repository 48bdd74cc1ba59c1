"""Cycles of an executed training step, compared with the sum of the cost models of its operators.

No constant is fitted to whole steps.  The step is executed by weight streaming on random ids, with a MemoryX that is
fast enough never to stall it.  The cycles of an operator are those between its marks in the trace of the step.
"""

from __future__ import annotations

import numpy as np

from ..execute.streaming import Streaming
from ..machine.parameters import Machine
from ..memoryx import MemoryX, Network
from ..models import Graph
from ..records import dataclass
from .cycles import operator_cycles

_NODES, _GBPS = 512, 1e5  # nodes of MemoryX and rate of its links, Gbit/s: more than any executed rectangle consumes


@dataclass(frozen=True)
class Compared:
    """Cycles of all operators of a kind in a phase.  modelled: from cost models; nan if the kind has none."""

    kind: str
    phase: str
    executed: int
    modelled: float

    @property
    def error_pct(self) -> float:
        """Error of the model, in percent of the executed cycles."""
        return 100 * (self.modelled / self.executed - 1)


def compare(graph: Graph, batch: int = 8, dtype: str = "f16", seed: int = 0) -> list[Compared]:
    """Execute one training step and compare its cycles with the cost models.

    graph: of the model.  batch: sequences.  dtype: storage type of elements.  seed: of weights and ids.  Returns a row
    for each kind and phase, in order of execution, and a last row for the whole step, in which kinds without a model
    count as 0.
    """
    memory = MemoryX(nodes=_NODES, network=Network(gbps=_GBPS, latency_us=0))
    job = Streaming(graph, batch, Machine("wse3"), memory, dtype)
    random = np.random.default_rng(seed)
    job.load(
        {
            name: (random.normal(size=p.shape) * p.std if p.initial == "normal" else np.ones(p.shape)).astype(
                np.float32
            )
            for name, p in graph.parameters.items()
        }
    )
    ids, labels = random.integers(0, graph.model.vocab, (2, batch, graph.model.sequence))
    done = job.run(ids, labels, 1.0)
    width, height = job.grid
    tokens = batch * graph.model.sequence // height
    kinds = {operator.name: operator.kind for operator in graph.operators}
    executed: dict[tuple[str, str], int] = {}
    for span in done.spans:
        if span.track == "compute":
            key = kinds[span.name.split()[-1]], span.phase
            executed[key] = executed.get(key, 0) + span.end - span.begin
    modelled: dict[tuple[str, str], float] = {}
    for operator in graph.operators:
        cycles = operator_cycles(operator, width, tokens, graph.model.sequence, "wse3")
        for phase, value in zip(("forward", "backward"), cycles, strict=True):
            if value:
                key = operator.kind, phase
                modelled[key] = modelled.get(key, 0.0) + value
    rows = [Compared(*key, cycles, modelled.get(key, float("nan"))) for key, cycles in executed.items()]
    rows.append(Compared("all", "", sum(executed.values()), sum(modelled.values())))
    return rows
