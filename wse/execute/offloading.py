"""Weight streaming in which activations leave the wafer: one segment of the model is on the PEs at a time.

An activation between two segments (segments.py: half layers) leaves at the north edge and is kept in MemoryX.  In the
backward pass it comes back, the segment is computed once more, and its gradients are made.  So the PEs hold the
activations of one half layer, whatever the number of layers, and equal layers share code.  The head takes the
vocabulary in parts (head_in_parts.py), and products backward keep two chunks of a row's gradients at a time
(operators/linear.py).  The host starts a task for each segment and part.  MemoryX knows their order: it sends the next
task's weights behind those of the present one, and as many as may wait at the edge are there when the task begins.  An
activation is sent back when all of it has reached MemoryX.

Weights of products that are computed again are streamed three times, those of the head as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import ConfigError, ProgramError
from ..fabric.fabric import Fabric
from ..memoryx import Transfer
from ..memoryx.feeder import Link, Plan
from ..models import Graph, experts
from ..models.dropout import refuse
from ..models.graph import Operator
from ..operators.embedding import Embedding
from ..operators.transfers import Column
from ..program.program import Program
from ..records import dataclass
from . import emitter, head_in_parts
from .arena import Arena, allocate
from .emitter import EdgeTransfer
from .execution import Pass, Span
from .head_in_parts import PART, Head, PartsEmitter
from .schedule import BACKWARD, FORWARD, Call
from .segments import Segment, cut, passes
from .streaming import Moved, Streaming

LABELS_MOST = 1 << 16
CODE = 20 << 10  # bytes of a PE that are left for code and tables when the parts of the head are chosen


@dataclass(frozen=True)
class Task:
    """A task of the program, with its calls and their streams."""

    name: str
    calls: list[Call]
    feeds: list[EdgeTransfer]
    drains: list[EdgeTransfer]


@dataclass(frozen=True)
class Kept:
    """An activation in MemoryX.  rows: float32 [tokens, features].  left: the cycle in which its last wavelet left."""

    rows: np.ndarray
    left: float = 0.0


# Called after each task: what passed, the task, and the names of its operators by those of the first of its kind.
Note = Callable[[Moved, Task, Mapping[str, str]], None]


@dataclass
class Total:
    """What the tasks of a pass took together."""

    cycles: int = 0
    sent: int = 0
    dense: int = 0
    drained: int = 0
    activations: int = 0


class Offloading(Streaming):
    """An Execution.  part: entries of the vocabulary of a part of the head, None: as many as fit.  report: is called
    with the name of each segment or part that is done, and the cycles of the pass so far.  The other arguments are
    those of Streaming."""

    def __init__(
        self,
        *arguments: Any,
        part: int | None = None,
        report: Callable[[str, int], object] = lambda name, cycles: None,
        **named: Any,
    ):
        self.part, self.report = part, report
        self._rows: Mapping[str, Kept] = {}  # activations that enter, by what takes them
        self._link = Link()  # of MemoryX, in cycles of the fabric
        self._begin = 0.0  # of the pass, from which its weights may be sent
        self._slice: tuple[int, int] | None = None  # (first entry, entries) of the part of the head
        super().__init__(*arguments, **named)

    def _accept(self, graph: Graph) -> None:
        super()._accept(graph)
        refuse(graph, "--offload")
        experts.refuse(graph, "--offload")

    def _made(
        self, executed: Graph, copies: Mapping[str, np.ndarray], sparse: bool, load: Callable[[Program], Fabric]
    ) -> Fabric:
        """See Streaming; the program has a task for each kind of segments and for each part of the head's work."""
        self.segments, top = cut(executed)
        features = {name: tensor.features for name, tensor in executed.tensors.items()}
        table = [o.features[1] for o in executed.operators if o.kind == "embedding"]
        self._widest = max([features[s.gives] for s in self.segments] + table)
        self._copies, self._sparse = copies, sparse
        self.kinds: dict[tuple, tuple[int, Segment]] = {}  # by kind, its number and its first segment
        for segment in self.segments:
            self.kinds.setdefault(segment.kind, (len(self.kinds), segment))
        self._planned: list[tuple[str, list[Call], Arena]] = []
        try:
            self._plan(features, top)
            return load(self.program)
        except ProgramError as error:
            width, height = self.grid
            largest = max(self._planned, key=lambda task: task[2].bytes, default=None)
            needs = "" if largest is None else f" needs {largest[2].bytes:,} bytes in each PE for {largest[0]}"
            raise type(error)(
                f"{self.graph.model.name} with {self.tokens} tokens a row on {width} columns{needs}: "
                f"{str(error).splitlines()[0].rstrip(':')}.  Use fewer tokens a row, that is fewer sequences or more "
                f"rows than {height}, or more columns"
            ) from None

    @property
    def has_costs(self) -> bool:
        """Whether the cost models (wse.costs.offloaded) are of this machine and these numerics: WSE-3 as the vendor's
        simulator, 16-bit elements, no zeros left out."""
        m = self.machine
        plain = (m.name, m.profile) == ("wse3", "simulator") and not m.overrides
        return plain and not self._sparse and not self.policy.wide

    # --- the program --------------------------------------------------------------------------------------------------

    def _plan(self, features: dict[str, int], top: Operator) -> None:
        """Makes the program: the tasks of each kind of segments, and those of the head `top`."""
        width, _ = self.grid
        for number, segment in self.kinds.values():
            made = passes(segment, features, self._widest, self.tokens < self.sequence)
            for name, calls in ((FORWARD, made.forward), (BACKWARD, made.backward)):
                self._planned.append((f"{name}{number}", calls, self._arena(calls)))
        self.head = self._head(top, max(arena.bytes for _, _, arena in self._planned))
        arena = self.head.arena(width, self.tokens, self.policy.size, self._works(self.head.calls))
        self._planned += [(f"head_{name}", self.head.tasks[name], arena) for name in head_in_parts.TASKS]
        self.region = self._region(self.tokens)
        self.program = self.region.program
        self.tasks = self._emit(self._planned)
        self.region.finish()

    def _works(self, calls: list[Call]) -> list[int]:
        return emitter.works(calls, self._region(self.tokens), self.sequence, self._sparse, PartsEmitter)

    def _arena(self, calls: list[Call]) -> Arena:
        return allocate(calls, self.grid[0], self.tokens, self.policy.size, work=self._works(calls))

    def _head(self, operator: Operator, others: int) -> Head:
        """The head in as few parts as need no more memory than the segments, or than a PE has."""
        width, _ = self.grid

        def made(entries: int) -> Head:
            return head_in_parts.head(operator, entries, width, self.policy, self._widest)

        def fits(entries: int) -> bool:
            one = made(entries)
            try:
                works = self._works(one.calls)
            except ProgramError:  # an operation is longer than a descriptor says
                return False
            memory = one.arena(width, self.tokens, self.policy.size, works).bytes
            return memory <= max(others, self.machine.sram_bytes - CODE)

        vocab = operator.features[1]
        if vocab > LABELS_MOST:
            raise ConfigError(
                f"{operator.name} has {vocab:,} entries: a label on the PEs has 16 bits, {LABELS_MOST:,} at most"
            )
        return made(head_in_parts.fitting(vocab, width, fits) if self.part is None else self.part)

    def _emit(self, planned: list[tuple[str, list[Call], Arena]]) -> dict[str, Task]:
        """Emits all tasks, and gives them by name."""
        region = self.region
        largest = max((arena for _, _, arena in planned), key=lambda arena: arena.bytes)
        made = self.emitter = PartsEmitter(region, largest, self.sequence, self._sparse, replicas=self._copies)
        made.declare()
        region.uses("ids", "weights", "north")
        region.array(PART, 2, "u32")
        for array in (emitter.SCALE, emitter.LABELS, PART):
            made.received(array)
        received = {
            "head_begin": ((emitter.SCALE, "mov32"), (emitter.LABELS, "mov16")),
            "head_take": ((PART, "mov32"),),
            "head_gradient": ((PART, "mov32"),),
        }
        tasks = {}
        for number, (name, calls, arena) in enumerate(planned, self.machine.local_task_first):
            made.arena, made.feeds, made.drains = arena, [], []
            with region.task(name, number):
                for array, move in received.get(name, ()):
                    region.code(f"    dsr a0, ids_in\n{emitter.take(array, move)}")
                made.emit(calls)
                made.mark(None)
            tasks[name] = Task(name, calls, made.feeds, made.drains)
        return tasks

    # --- Execution ----------------------------------------------------------------------------------------------------

    def run(
        self,
        ids: np.ndarray,
        labels: np.ndarray,
        scale: float = 1.0,
        gradients: MutableMapping[str, np.ndarray] | None = None,
        draw: int | None = None,
    ) -> Pass:
        """See Execution."""
        if not scale > 0:
            raise ConfigError(f"a loss scale is above 0, not {scale}")
        found: MutableMapping[str, np.ndarray] = {} if gradients is None else gradients
        total, spans, waits = Total(), [], {}  # type: ignore[var-annotated]

        def note(moved: Moved, task: Task, renamed: Mapping[str, str]) -> None:
            own = [replace(span, name=_renamed(span.name, renamed)) for span in self._spans(moved)]
            spans.extend(own)
            for phase, causes in (self._waits(moved, own) if task.feeds else {}).items():
                kept = waits.setdefault(phase, dict.fromkeys(causes, 0))
                for cause, cycles in causes.items():
                    kept[cause] += cycles
            total.cycles += moved.run.cycles
            passed = sum(int(self._sizes(feed)[:, 0].sum()) for feed in task.feeds if not feed.parameters)
            left = sum(drain.transfer.wavelets * self.grid[0] for drain in task.drains if not drain.parameters)
            total.activations += passed + left
            total.sent += moved.sent - passed
            total.dense += sum(self._dense(feed) for feed in task.feeds if feed.parameters)
            total.drained += moved.outgoing.wavelets - left

        entered = self._forward(ids, labels, scale, note)
        gradient = self._head_backward(ids, found, note)
        for segment, kept in zip(reversed(self.segments), reversed(entered), strict=True):
            rows = {"output.gradient": gradient, "input.forward": kept}
            drained = self._segment(BACKWARD, segment, rows, ids, note, found)
            gradient = drained.get("input", gradient)
        spans.sort(key=lambda span: (span.begin, span.track))
        return Pass(loss=self._loss(), gradients=found, spans=spans, waits=waits, **vars(total))

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """See Execution.  Forward only."""
        self._forward(ids, labels, 1.0, lambda moved, task, renamed: None)
        self.fabric.said()
        return self._loss()

    def arrivals(self) -> list:
        """Raises ConfigError: the weights of a task come behind those of the one before it, not in one list."""
        raise ConfigError("weights of a model whose activations leave the wafer are asked for task by task")

    # --- a pass -------------------------------------------------------------------------------------------------------

    def _forward(self, ids: np.ndarray, labels: np.ndarray, scale: float, note: Note) -> list[Kept]:
        """The forward pass and the loss.  Returns the activation that entered each segment."""
        self._begin = float(self.fabric.cycle)
        self._link = Link(self._begin, self._begin)
        entered, rows = [], Kept(np.zeros((0, 0), np.float32))
        for segment in self.segments:
            entered.append(rows)
            rows = self._segment(FORWARD, segment, {"input.forward": rows}, ids, note, {})["output"]
        height = self.grid[1]
        factor = np.full((height, 1), scale / labels.size, np.float32).view(np.uint32)
        words = np.concatenate([factor, labels.reshape(height, -1).astype(np.uint32)], axis=1)
        self._part("begin", words, ids, note, rows)
        for part in self.head.parts:
            self._part("take", np.tile(np.array(part, np.uint32), (height, 1)), ids, note, part=part)
        self._part("finish", None, ids, note)
        return entered

    def _head_backward(self, ids: np.ndarray, found: MutableMapping[str, np.ndarray], note: Note) -> Kept:
        """The gradients of the head.  Returns that of its activation."""
        whole = {
            p.name: np.zeros(self.graph.parameters[p.name].shape, np.float32)
            for p in self.head.operator.parameters.values()
        }
        for part in self.head.parts:
            first, entries = part
            words = np.tile(np.array(part, np.uint32), (self.grid[1], 1))
            for name, made in self._part("gradient", words, ids, note, part=part).items():
                whole[name][first : first + entries] = made.rows[:entries]
        found.update(whole)
        return self._part("end", None, ids, note)["input"]

    def _segment(
        self,
        direction: str,
        segment: Segment,
        rows: Mapping[str, Kept],
        ids: np.ndarray,
        note: Note,
        found: MutableMapping[str, np.ndarray],
    ) -> dict[str, Kept]:
        """Runs a task of a segment.  rows: what enters.  Returns what leaves, by "input", the gradient of what entered,
        and "output"."""
        number, first = self.kinds[segment.kind]
        names = dict(zip(first.parameters, segment.parameters, strict=True))
        renamed = {old.name: new.name for old, new in zip(first.operators, segment.operators, strict=True)}
        left: dict[str, Kept] = {}

        def done(sent: EdgeTransfer, arrays: dict[str, np.ndarray]) -> None:
            if sent.parameters:
                self._collect(found, sent, arrays, ids)
            else:
                left[sent.call.operator.kind] = Kept(arrays["dx"], float(self.fabric.cycle))

        task = self.tasks[f"{direction}{number}"]
        streams = [
            [replace(one, parameters={role: names[name] for role, name in one.parameters.items()}) for one in all]
            for all in (task.feeds, task.drains)
        ]
        own = Task(task.name, task.calls, *streams)
        self._do(own, rows, ids, lambda: self.fabric.launch(task.name), done, note, renamed)
        self.report(f"{direction} {segment.operators[0].name}", self.fabric.cycle)
        return left

    def _part(
        self,
        name: str,
        words: np.ndarray | None,
        ids: np.ndarray,
        note: Note,
        rows: Kept | None = None,
        part: tuple[int, int] | None = None,
    ) -> dict[str, Kept]:
        """Runs a task of the head.  words: uint32 [rows of PEs, n], what each row receives at the west edge.  Returns
        what leaves: gradients by parameter, that of the activation as "input"."""
        task = self.tasks[f"head_{name}"]
        left: dict[str, Kept] = {}

        def start() -> None:
            for stream, own in zip(self.ids, () if words is None else words, strict=words is not None):
                stream.put(own)
            self.fabric.launch(task.name)

        def done(sent: EdgeTransfer, arrays: dict[str, np.ndarray]) -> None:
            now = float(self.fabric.cycle)
            if not sent.parameters:
                left["input"] = Kept(arrays["dx"], now)
            left.update({name: Kept(arrays[role], now) for role, name in sent.parameters.items()})

        self._slice = part
        self._do(task, {} if rows is None else {"input.forward": rows}, ids, start, done, note, {})
        self._slice = None
        self.report(f"head {name} {'' if part is None else part[0]}".strip(), self.fabric.cycle)
        return left

    def _do(
        self,
        task: Task,
        rows: Mapping[str, Kept],
        ids: np.ndarray,
        start: Callable[[], None],
        done: Callable[[EdgeTransfer, dict[str, np.ndarray]], None],
        note: Note,
        renamed: Mapping[str, str],
    ) -> None:
        self._rows = rows
        self.emitter.feeds, self.emitter.drains = task.feeds, task.drains
        note(self._move(task.feeds, task.drains, ids, ids, start, done), task, renamed)

    def _columns(self, feed: EdgeTransfer, ids: np.ndarray) -> Iterable[Column]:
        if isinstance(feed.transfer, Embedding) and not feed.parameters:
            rows = self._rows[feed.call.what].rows
            return feed.transfer.pack(rows, np.arange(len(rows)))
        return super()._columns(feed, ids)

    def _waits(self, moved: Moved, spans: list[Span]) -> dict[str, dict[str, int]]:
        """See Streaming; with waiting for an activation with which the task begins."""
        found, first = super()._waits(moved, spans), self.emitter.feeds[0]
        if not first.parameters:
            late = int(self.into["embedding"][0].timing[0]["starved"])
            own, cause = found[first.call.phase], moved.plan.arrivals[0].cause
            late = min(late, own["fabric"])
            own["fabric"] -= late
            own[cause] += late
        return found

    def _planned_at(self, begin: int, transfers: Sequence[Transfer]) -> Plan:
        return self.feeder.plan(transfers, self._link).after(begin)

    def _transfer(self, feed: EdgeTransfer, sizes: np.ndarray) -> Transfer:
        made = super()._transfer(feed, sizes)
        if feed.parameters:
            return replace(made, ready=self._begin)
        return replace(made, ready=self._rows[feed.call.what].left + self.feeder.latency, passed=True)

    def _values(self, feed: EdgeTransfer) -> dict[str, np.ndarray]:
        values = super()._values(feed)
        if self._slice is None:
            return values
        first, entries = self._slice
        short = self.head.entries - entries
        return {
            role: np.pad(array[first : first + entries], ((0, short), *((0, 0),) * (array.ndim - 1)))
            for role, array in values.items()
        }


def _renamed(name: str, names: Mapping[str, str]) -> str:
    """A span's name, whose last word is the operator's, with the operator of another segment."""
    before, space, last = name.rpartition(" ")
    return f"{before}{space}{names.get(last, last)}"
