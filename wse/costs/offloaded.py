"""Cycles of a step whose activations leave the wafer (wse.execute.offloading), from cost models and rates of streams.

No constant is fitted to whole steps.  A task is its calls, one after the other.  A call takes as long as its computing
(the operators' models) or its stream, whichever is longer.  A product backward alternates between a product, to which
weights come, and weight gradients, which leave; neither stream flows during the other part, because only a few hundred
wavelets may wait at the edge.  Streams have the rates of MemoryX and network for the columns of the rectangle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..execute.emitter import EdgeTransfer
from ..execute.offloading import Offloading, Task
from ..execute.schedule import BACKWARD, FORWARD, TOKENS, Call, in_turns
from ..memoryx.feeder import DRAM_LATENCY
from ..operators.embedding import Embedding
from ..records import dataclass
from . import recorded
from .cycles import operator_cycles
from .operators import linear_name

CALL = 30  # cycles of a call without a model, such as one that only moves a stream


@dataclass(frozen=True)
class Predicted:
    """Cycles of a call of a task.

    computing: of the PEs, (what needs what enters, what makes what leaves).  entering, leaving: of the wavelets of a
    column at the rates of its streams, without what had arrived before.
    """

    call: Call
    computing: tuple[float, float]
    entering: float
    leaving: float

    @property
    def cycles(self) -> float:
        """Of both parts."""
        return max(self.computing[0], self.entering) + max(self.computing[1], self.leaving)


def passes(execution: Offloading) -> Iterator[tuple[Task, int]]:
    """The tasks of a pass, forward and backward, and how often each runs."""
    times: dict[str, int] = {}
    for segment in execution.segments:
        number = execution.kinds[segment.kind][0]
        for phase in (FORWARD, BACKWARD):
            times[f"{phase}{number}"] = times.get(f"{phase}{number}", 0) + 1
    parts = len(execution.head.parts)
    times |= {f"head_{name}": parts if name in ("take", "gradient") else 1 for name in execution.head.tasks}
    return ((execution.tasks[name], n) for name, n in times.items())


def predict(execution: Offloading, task: Task) -> tuple[float, list[Predicted]]:
    """(cycles of waiting for what is on its way, the calls) of a task.

    The first task of a pass waits for its weights; a later one finds as many as may wait at the edge.  An activation
    that left with the task before comes back from MemoryX: at once in the forward pass, in the backward pass while the
    segment is computed again.
    """
    feeder = execution.feeder
    sizes = {"weights": float(execution.policy.size), "rows": 4.0}
    rate = {
        kind: min(1.0, min(feeder.network_rate(), feeder.dram_rate()) / size / feeder.columns)
        for kind, size in sizes.items()
    }
    lag = DRAM_LATENCY * execution.clock_hz
    out, window = feeder.drain().rate, float(execution.into["weights"][0].window)
    number, _ = execution.kinds[execution.segments[0].kind]
    waits = feeder.latency + lag if task.name == f"{FORWARD}{number}" else 0.0
    arrived = dict.fromkeys(sizes, 0.0 if waits else window)
    calls: list[Predicted] = []
    for call in in_turns(task.calls):
        enters, leaves, kind = 0.0, 0.0, "weights"
        for feed in task.feeds:
            if _is(feed, call):
                enters += _wavelets(execution, feed.transfer)
                kind = "rows" if isinstance(feed.transfer, Embedding) else kind
                if not feed.parameters and not (task.name.startswith(BACKWARD) and call.what == "input.forward"):
                    before = sum(one.cycles for one in calls)
                    waits += max(0.0, 2 * feeder.latency + lag - before)
                    arrived["rows"] = 0.0
        for drain in task.drains:
            if _is(drain, call):
                leaves += drain.transfer.wavelets
        late = max(0.0, enters - arrived[kind]) / rate[kind]
        made = Predicted(call, _computing(execution, call), late, leaves / out)
        # What comes while the call needs nothing: as much as may wait at the edge.
        arrived[kind] = max(0.0, arrived[kind] - enters)
        for name in arrived:
            arrived[name] = min(window, arrived[name] + (made.cycles - late) * rate[name])
        calls.append(made)
    return waits, calls


def step(execution: Offloading) -> dict[str, float]:
    """Cycles of a pass by phase and operator as in `wse train --json`, and "all" with the waiting of the tasks."""
    found: dict[str, float] = {"all": 0.0}
    for task, times in passes(execution):
        waits, calls = predict(execution, task)
        found["all"] += times * waits
        for one in calls:
            name = f"{one.call.phase} {one.call.what}"
            found[name] = found.get(name, 0.0) + times * one.cycles
            found["all"] += times * one.cycles
    return found


def _is(sent: EdgeTransfer, call: Call) -> bool:
    """Whether a stream is that of a call, in a loop in the same turn."""
    return sent.call is call or (bool(call.each) and sent.call == call)


def _wavelets(execution: Offloading, transfer: object) -> float:
    if isinstance(transfer, Embedding):
        return float(transfer.sizes()[0, 0])
    return float(transfer.sizes({})[0, 0])  # type: ignore[attr-defined]


def _computing(execution: Offloading, call: Call) -> tuple[float, float]:
    """Cycles of the PEs for a call: for the part that takes a stream, and for the part that makes one."""
    whole = _whole(execution, call)
    if call.what.startswith("linear.backward"):
        product = min(whole, _linear(execution, call, "forward"))  # as many multiply-adds as forward
        return product, whole - product
    return whole, 0.0


def _linear(execution: Offloading, call: Call, phase: str) -> float:
    inputs, outputs = call.operator.features
    shape = {"w": execution.grid[0], "inputs": inputs, "outputs": outputs, "tokens": execution.tokens}
    return recorded.fitted(linear_name(phase, execution.machine.name, execution.policy.level)).cycles(**shape)


def _whole(execution: Offloading, call: Call) -> float:
    width, tokens, arch = execution.grid[0], execution.tokens, execution.machine.name
    kind, phase = call.what.split(".")[:2]
    # What is computed again is a call of its own.
    operator = replace(call.operator, attributes=call.operator.attributes | {"again": False})
    if kind == "linear":
        return _linear(execution, call, "forward" if phase == "forward" else "chunkwise backward")
    if kind == "parts":
        rows = -(-operator.features[1] // width)
        if phase in ("take", "gradient"):
            return recorded.fitted("loss").cycles(rows=rows, tokens=tokens)
        return CALL
    if kind in ("vector", "input", "output", "embedding", "positions"):
        return CALL
    costs = operator_cycles(operator, width, tokens, execution.sequence, arch, level=execution.policy.level)
    if kind == "residual":
        rows = max(b.features for b in call.buffers.values() if b.kind != TOKENS)
        return recorded.fitted("residual").cycles(n=-(-rows // width) * tokens)
    return costs[0] if phase == "forward" else costs[1]


__all__ = ["Predicted", "passes", "predict", "step"]
