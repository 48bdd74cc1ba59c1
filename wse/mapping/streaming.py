"""Weight streaming: one rectangle executes all operators in turn, weights come in at its north edge for every pass.

A pass: ids, labels and the loss scale enter at the west edge; then, for each operator forward and again backward, its
weights enter down the columns when MemoryX, network and edge deliver them (wse.memoryx.feeder), and are not kept;
gradients of weights leave by the north edge as they are made.  Activations stay on the PEs from the forward to the
backward pass.  The host (MemoryX) updates the weights between passes, which takes no time of the fabric here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from .. import dsd
from ..errors import ConfigError
from ..fabric import Fabric
from ..kernels.layer.policy import Policy
from ..kernels.layer.region import Region
from ..kernels.layer.streams import Column, joined
from ..machine import Machine
from ..memoryx import Feeder, MemoryX, Transfer, account
from ..memoryx.feeder import Plan
from ..models import Graph
from ..numerics import to_bits
from ..program import Program
from ..run import Run
from . import emitter
from .emitter import Crossing, Emitter
from .execution import Pass, Span
from .schedule import BACKWARD, FORWARD, Call, allocate, schedule

STEP, EVALUATE = 8, 9  # tasks
END = 0xFFFF  # the mark behind the last call


def grid_of(graph: Graph, batch: int, grid: tuple[int, int] | None) -> tuple[int, int]:
    """The rectangle: as given, or a column for each head and a row for each sequence.  ConfigError for one whose
    columns do not hold whole heads or whose rows do not hold whole sequences."""
    heads = min(int(o.attributes["kv_heads"]) for o in graph.operators if o.kind == "attention")
    width, height = grid or (heads, batch)
    if heads % width:
        raise ConfigError(
            f"{width} columns do not divide {heads} heads: executed attention has whole heads in a column"
        )
    if batch % height:
        raise ConfigError(
            f"{height} rows do not divide {batch} sequences: executed attention has whole sequences in a row"
        )
    return width, height


class Streaming:
    """An Execution (see execution.py).  batch: sequences of a pass; grid: of the rectangle; dtype, policy: numerics;
    system: the MemoryX; sparse: streams carry indices, and zeros are not sent."""

    updates = "memoryx"

    def __init__(
        self,
        graph: Graph,
        batch: int,
        machine: Machine,
        system: MemoryX,
        dtype: str = "bf16",
        policy: str = "POL0",
        grid: tuple[int, int] | None = None,
        threads: int = 1,
        sparse: bool = False,
        trace: int = 0,
    ):
        self.graph, self.batch, self.sequence = graph, batch, graph.model.sequence
        self.grid = grid_of(graph, batch, grid)
        self.machine, self.clock_hz = machine, machine.clock_hz
        self.policy = Policy(dtype, policy)
        width, height = self.grid
        tokens = batch * self.sequence // height
        features = {name: tensor.features for name, tensor in graph.tensors.items()}
        self.schedule = schedule(graph.operators, features)
        arena = allocate(self.schedule.calls, width, tokens, self.policy.size)
        self.program = Program(width, height, machine, fp16=self.policy.fp16)
        self.region = Region(self.program, self.policy, tokens)
        self.region.uses("ids", "weights", "north")
        self.emitters = {
            name: self._task(name, task, Emitter(self.region, arena, self.sequence, sparse), calls, first)
            for name, task, calls, first in (
                ("step", STEP, self.schedule.calls, True),
                ("evaluate", EVALUATE, self.schedule.forward, False),
            )
        }
        self.region.finish()
        self.fabric = Fabric(self.program, threads=threads, trace=trace)
        self.feeder = Feeder(system, width, machine)
        self._attach()
        self._weights: dict[str, np.ndarray] = {}
        self._packed: dict[str, list[list[Column]]] = {}
        self._before: Run | None = None

    # --- the program --------------------------------------------------------------------------------------------------

    def _task(self, name: str, id: int, made: Emitter, calls: list[Call], first: bool) -> Emitter:
        region = self.region
        if first:
            made.declare()
            for array in (emitter.IDS, emitter.LABELS, emitter.SCALE):
                region.dsd(f"all_{array}", lambda role, pe, array=array: dsd.mem1d(pe.symbols[array]))  # type: ignore[misc]
        with region.task(name, id):
            region.code("    dsr a0, ids_in")
            for array, move in ((emitter.SCALE, "mov32"), (emitter.IDS, "mov16"), (emitter.LABELS, "mov16")):
                region.code(f"    dsr d0, all_{array}\n    {move} d0, a0")
            for call in calls:
                made.call(call)
            made.mark(None)
        return made

    def _attach(self) -> None:
        width, height = self.grid
        colors, rate = self.program.colors, self.feeder.drain_rate()
        self.ids = [self.fabric.stream_in(0, y, "W", colors["ids"], [], segments=[]) for y in range(height)]
        window = self.feeder.plan([Transfer("all", 1)]).window
        self.into = {
            way: [self.fabric.stream_in(x, 0, "N", colors[way], [], segments=[], window=window) for x in range(width)]
            for way in ("weights", "embedding")
            if way in colors
        }
        drained = sum(crossing.stream.wavelets for crossing in self.emitters["step"].drains)
        self.out = [
            self.fabric.stream_out(x, 0, "N", colors["north0"], capacity=2 * drained, rate=rate) for x in range(width)
        ]
        for name, table in self.emitters["step"].tables.items():
            self.fabric.fill(name, table)

    # --- Execution ----------------------------------------------------------------------------------------------------

    def load(self, weights: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None = None) -> None:
        """See Execution.  The weights are rounded to the storage type once."""
        fmt = self.policy.storage
        self._weights = {
            name: np.array(w, np.float32) if fmt == "f32" else to_bits(w, fmt) for name, w in weights.items()
        }
        self._packed = {}

    def run(self, ids: np.ndarray, labels: np.ndarray, scale: float = 1.0) -> Pass:
        """See Execution."""
        made = self.emitters["step"]
        begin = self.fabric.cycle
        plan, counts = self._feed("step", begin)
        timed, before = self._execute("step", ids, labels, scale)
        taken = [stream.take() for stream in self.out]
        gradients = self._gradients(made.drains, [words for words, _, _ in taken])
        spans = self._spans(begin, made, plan, counts, [cycles for _, _, cycles in taken])
        run = since(before, timed, begin)
        return Pass(
            loss=self._loss(),
            gradients=gradients,
            cycles=run.cycles,
            sent=sum(c.words.size - int(c.control.sum()) for packed in self._packed["step"] for c in packed),
            dense=sum(self.graph.parameters[name].size for f in made.feeds for name in f.parameters.values()),
            drained=sum(words.size for words, _, _ in taken),
            spans=spans,
            waits=self._waits(plan, counts, run, spans),
        )

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """See Execution.  Forward only."""
        self._feed("evaluate", self.fabric.cycle)
        self._execute("evaluate", ids, labels, 1.0)
        return self._loss()

    def update(self, rate: float, momentum: float, factor: float) -> int:
        raise ConfigError("streamed weights are updated in MemoryX")

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        raise ConfigError("streamed weights are in MemoryX, not on the fabric")

    # --- a pass -------------------------------------------------------------------------------------------------------

    def _feed(self, task: str, begin: int) -> tuple[Plan, dict[str, np.ndarray]]:
        """Puts the task's weights on their way.  Returns when they arrive, and wavelets by way, [column, transfer]."""
        feeds = self.emitters[task].feeds
        if not self._weights:
            raise ConfigError("there are no weights: load some first")
        if task not in self._packed:
            self._packed[task] = [f.stream.pack(emitter.named(f, self._weights)) for f in feeds]
        packed = self._packed[task]
        plan = self.feeder.plan(self._transfer(f, columns) for f, columns in zip(feeds, packed, strict=True))
        counts = {}
        for way, streams in self.into.items():
            own = [i for i, f in enumerate(feeds) if way_of(f) == way]
            counts[way] = np.array([[len(c.words) if i in own else 0 for i, c in enumerate(cs)] for cs in zip(*packed)])  # noqa: B905
            if not own:
                continue
            columns = joined([packed[i] for i in own])
            for stream, column, wavelets in zip(streams, columns, counts[way], strict=True):
                segments = [replace(s, cycle=s.cycle + begin) for s in plan.segments(wavelets.tolist())]
                stream.put(column.words, column.control, segments)
        return plan, counts

    def _transfer(self, feed: Crossing, columns: list[Column]) -> Transfer:
        """A stream as MemoryX sends it: elements without control wavelets, 16-bit ones with their index if sparse."""
        elements = sum(c.words.size - int(c.control.sum()) for c in columns)
        size = self.policy.size + (2 if feed.stream.offsets else 0)
        written = 4.0 if feed.call.phase == BACKWARD else 0.0
        return Transfer(feed.call.operator.name, elements, size, written=written)

    def _execute(self, task: str, ids: np.ndarray, labels: np.ndarray, scale: float) -> tuple[Run, Run | None]:
        """Runs a task over the tokens; the run so far and as it was before."""
        shape = (self.batch, self.sequence)
        if ids.shape != shape or labels.shape != shape:
            raise ConfigError(f"ids and labels are [{self.batch}, {self.sequence}], not {ids.shape} and {labels.shape}")
        rows = self.grid[1]
        factor = np.full((rows, 1), scale / ids.size, np.float32).view(np.uint32)
        words = np.concatenate([factor, ids.reshape(rows, -1), labels.reshape(rows, -1)], axis=1, dtype=np.uint32)
        for stream, row in zip(self.ids, words, strict=True):
            stream.put(row)
        before, self._before = self._before, None
        self.fabric.launch(task)
        self._before = self.fabric.run()
        return self._before, before

    def _loss(self) -> float:
        """The mean over all tokens: each row has the sum over its own."""
        sums = self.fabric.read(emitter.LOSS, x=0, y=0, w=1)[:, 0, 0]
        return float(sums.sum(dtype=np.float64)) / (self.batch * self.sequence)

    def _gradients(self, drains: list[Crossing], words: list[np.ndarray]) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        at = 0
        for crossing in drains:
            n = crossing.stream.wavelets
            made = crossing.stream.unpack([column[at : at + n] for column in words])
            at += n
            for role, name in crossing.parameters.items():
                g = made[role].reshape(self.graph.parameters[name].shape)
                found[name] = found[name] + g if name in found else g
        return found

    # --- what happened ------------------------------------------------------------------------------------------------

    def _spans(self, begin: int, made: Emitter, plan: Plan, counts: dict[str, np.ndarray], left: list) -> list[Span]:
        """Of the first PE's calls, of the first column's streams."""
        said = self.fabric.said()
        first = said[(said["pe"] == 0) & (said["kind"] == emitter.MARK)]
        marks = [(int(e["b"]), int(e["cycle"])) for e in first]
        last = next((i for i, (number, _) in enumerate(marks) if number == END), len(marks) - 1)
        spans = []
        for (number, at), (_, until) in pairwise(marks[: last + 1]):
            call = made.marks[number]
            spans.append(Span("compute", f"{call.what} {call.operator.name}", call.phase, at, until, "compute"))
        for way, streams in self.into.items():
            timing, causes = streams[0].timing, plan.causes(counts[way][0].tolist())
            if not counts[way].any():
                continue
            for feed, row, cause in zip(made.feeds, timing, causes, strict=True):
                if row["passed"]:
                    bound = cause if row["starved"] > row["blocked"] else "fabric"
                    edges = int(row["first"]), int(row["last"]) + 1
                    spans.append(Span(f"{way} in", feed.call.operator.name, feed.call.phase, *edges, bound))
        at = 0
        for crossing in made.drains:
            cycles = left[0][at : at + crossing.stream.wavelets]
            at += crossing.stream.wavelets
            if len(cycles):
                edges = int(cycles[0]), int(cycles[-1]) + 1
                spans.append(Span("gradients out", crossing.call.operator.name, BACKWARD, *edges))
        return sorted(spans, key=lambda span: (span.begin, span.track))

    def _waits(
        self, plan: Plan, counts: dict[str, np.ndarray], run: Run, spans: list[Span]
    ) -> dict[str, dict[str, int]]:
        """Cycles of each phase by cause.  What the PEs did and waited for is measured over the whole pass and shared
        out by the lengths of the phases, but waits for weights by the streams' own times."""
        way = "weights"
        whole = account(plan, list(zip(self.into[way], counts[way].tolist(), strict=True)), run)
        computing = [span for span in spans if span.track == "compute"]
        lengths = {
            phase: sum(span.end - span.begin for span in computing if span.phase == phase)
            for phase in (FORWARD, BACKWARD)
        }
        starved = dict.fromkeys(lengths, 0.0)
        for feed, row in zip(self.emitters["step"].feeds, self.into[way][0].timing, strict=True):
            starved[feed.call.phase] += float(row["starved"])
        found: dict[str, dict[str, int]] = {}
        late = ("dram", "network", "edge")
        for phase, cycles in lengths.items():
            share = starved[phase] / (sum(starved.values()) or 1)
            waits = {cause: getattr(whole, cause) * share for cause in late}
            rest = max(0.0, cycles - sum(waits.values()))
            busy = whole.compute + whole.fabric or 1.0
            waits |= {cause: rest * getattr(whole, cause) / busy for cause in ("fabric", "compute")}
            found[phase] = {cause: round(cycles) for cause, cycles in waits.items()}
        return found


def way_of(feed: Crossing) -> str:
    """By which color a stream comes in."""
    return "embedding" if feed.call.what == "embedding.forward" else "weights"


def since(before: Run | None, run: Run, begin: int) -> Run:
    """What a run measured since another of the same fabric, which went on at cycle `begin`: counters and cycles."""
    counters = run.counters
    if before is not None:
        counters = {name: plane - before.counters[name] for name, plane in counters.items()}
    return replace(run, counters=counters, cycles=run.cycles - begin)
