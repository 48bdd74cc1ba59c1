"""Weight streaming: one rectangle of PEs executes all operators in turn; weights enter at its north edge in every pass.

At the start of a pass, ids, labels and the loss scale enter at the west edge.  For each operator, in the forward and
again in the backward pass, the weights stream down the columns at the times at which MemoryX, network and edge deliver
them (wse.memoryx.feeder); PEs do not keep them.  Weight gradients leave at the north edge as they are computed.
Activations stay on the PEs between the forward and the backward pass.  The host updates the weights between passes; the
time of the update is not modelled here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..fabric.stream import StreamIn
from ..machine.numerics import to_bits
from ..machine.parameters import Machine
from ..memoryx import Feeder, MemoryX, Transfer, account
from ..memoryx.feeder import Plan, TransferTime
from ..models import Graph
from ..operators.embedding import Embedding
from ..operators.policy import Policy
from ..operators.transfers import Column, joined
from ..program import dsd
from ..program.program import Program
from . import emitter
from .emitter import EdgeTransfer, Emitter, Noting
from .execution import Pass, Span
from .replicas import replicated
from .schedule import BACKWARD, FORWARD, allocate, schedule

TASK, STEP = "step", 8
END = 0xFFFF  # the mark after the last call


def grid_of(graph: Graph, batch: int, grid: tuple[int, int] | None) -> tuple[int, int]:
    """The grid (width, height): as given, or a column for each head of keys and values and a row for each sequence.

    Raises ConfigError if a row has neither whole sequences nor an equal part of one.
    """
    heads = min((int(o.attributes["kv_heads"]) for o in graph.operators if o.kind == "attention"), default=1)
    width, height = grid or (heads, batch)
    if batch % height and (height % batch or batch * graph.model.sequence % (2 * height)):
        raise ConfigError(
            f"{height} rows of PEs for {batch} sequences of {graph.model.sequence}: executed attention has whole "
            "sequences in a row, or a sequence in equal parts of an even number of tokens over rows"
        )
    return width, height


class Streaming:
    """An Execution (see execution.py).  batch: sequences of a pass; grid: of the rectangle; dtype, policy: numerics;
    system: the MemoryX; sparse: streams carry indices, and zeros are not sent; portable: see Fabric."""

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
        portable: bool = False,
    ):
        self._accept(graph)
        self.graph, self.batch, self.sequence = graph, batch, graph.model.sequence
        self.grid = grid_of(graph, batch, grid)
        self.machine, self.clock_hz = machine, machine.clock_hz
        self.policy = Policy(dtype, policy)
        width, height = self.grid
        tokens = batch * self.sequence // height
        executed, copies = replicated(graph, width)
        features = {name: tensor.features for name, tensor in executed.tensors.items()}
        self.schedule = schedule(executed.operators, features, over_rows=tokens < self.sequence)
        work = emitter.works(self.schedule.calls, self._region(tokens), self.sequence, sparse)
        arena = allocate(self.schedule.calls, width, tokens, self.policy.size, work=work)
        self.region = self._region(tokens)
        self.program = self.region.program
        self.emitter = Emitter(self.region, arena, self.sequence, sparse, replicas=copies)
        self._code()
        self.region.finish()
        self.fabric = Fabric(self.program, threads=threads, trace=trace, portable=portable)
        self.feeder = Feeder(system, width, machine)
        self._attach()
        self._weights: dict[str, np.ndarray] = {}
        self._packed: list[list[Column]] = []
        self._before: Run | None = None

    # --- the program --------------------------------------------------------------------------------------------------

    def _accept(self, graph: Graph) -> None:
        """ConfigError for a graph that has what no kernel executes."""
        graph.check_plain("the fabric")

    def _region(self, tokens: int) -> Noting:
        """Builds the program of the pass."""
        return Noting(Program(*self.grid, self.machine, fp16=self.policy.fp16), self.policy, tokens)

    def _code(self) -> None:
        """Emits the task.  A loss scale of 0 ends it after the forward calls."""
        region, made = self.region, self.emitter
        made.declare()
        region.uses("ids", "weights", "north")
        for array in (emitter.SCALE, emitter.LABELS):
            region.dsd(f"all_{array}", lambda role, pe, array=array: dsd.mem1d(pe.symbols[array]))  # type: ignore[misc]
        with region.task(TASK, STEP):
            region.code("    dsr a0, ids_in")
            for array, move in ((emitter.SCALE, "mov32"), (emitter.LABELS, "mov16")):
                region.code(f"    dsr d0, all_{array}\n    {move} d0, a0")
            for call in self.schedule.forward:
                made.call(call)
            region.code(f"    ld32 r1, [{emitter.SCALE}]\n    bz r1, end_of_step")
            for call in self.schedule.backward:
                made.call(call)
            region.code("end_of_step:")
            made.mark(None)

    def _attach(self) -> None:
        width, height = self.grid
        colors, rate = self.program.colors, self.feeder.drain().rate
        rows = range(height if "ids" in colors else 0)
        self.ids = [self.fabric.stream_in(0, y, "W", colors["ids"], [], segments=[]) for y in rows]
        window = self.feeder.plan([Transfer("all", 1)]).window
        self.into: dict[str, list[StreamIn]] = {
            path: [self.fabric.stream_in(x, 0, "N", colors[path], [], segments=[], window=window) for x in range(width)]
            for path in ("weights", "embedding")
            if path in colors
        }
        drained = sum(sent.transfer.wavelets for sent in self.emitter.drains)
        self.out = [
            self.fabric.stream_out(x, 0, "N", colors["north0"], capacity=2 * drained, rate=rate) for x in range(width)
        ]
        self.emitter.write(self.fabric)

    # --- Execution ----------------------------------------------------------------------------------------------------

    def load(self, weights: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None = None) -> None:
        """See Execution.  The weights are rounded to the storage type once."""
        fmt = self.policy.storage
        self._weights = {
            name: np.array(w, np.float32) if fmt == "f32" else to_bits(w, fmt) for name, w in weights.items()
        }
        self._packed = []

    def run(self, ids: np.ndarray, labels: np.ndarray, scale: float = 1.0) -> Pass:
        """See Execution."""
        if not scale > 0:
            raise ConfigError(f"a loss scale is above 0, not {scale}")
        made, begin = self.emitter, self.fabric.cycle
        plan, packed, counts = self._feed(made.feeds, ids, labels, begin)
        timed, before = self._execute(labels, scale)
        taken = [stream.take() for stream in self.out]
        gradients = self._gradients([words for words, _, _ in taken], ids)
        spans = self._spans(begin, plan, counts, [cycles for _, _, cycles in taken])
        run = since(before, timed, begin)
        return Pass(
            loss=self._loss(),
            gradients=gradients,
            cycles=run.cycles,
            sent=sum(column.words.size - int(column.control.sum()) for columns in packed for column in columns),
            dense=sum(self._dense(feed) for feed in made.feeds),
            drained=sum(words.size for words, _, _ in taken),
            spans=spans,
            waits=self._waits(plan, counts, run, spans, [cycles for _, _, cycles in taken]),
        )

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """See Execution.  Forward only."""
        forward = [feed for feed in self.emitter.feeds if feed.call.phase == FORWARD]
        self._feed(forward, ids, labels, self.fabric.cycle)
        self._execute(labels, 0.0)
        self.fabric.said()
        return self._loss()

    def update(self, rate: float, momentum: float, factor: float) -> int:
        """Raises ConfigError: MemoryX updates streamed weights."""
        raise ConfigError("streamed weights are updated in MemoryX")

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Raises ConfigError: streamed weights are in MemoryX."""
        raise ConfigError("streamed weights are in MemoryX, not on the fabric")

    def arrivals(self) -> list[tuple[EdgeTransfer, TransferTime, int]]:
        """What MemoryX sends in a pass, in order, if the wafer takes all at once: each stream, when it arrives in
        cycles from the pass's begin, and its wavelets in the first column.  After a pass; of its weights."""
        feeds = self.emitter.feeds
        plan = self.feeder.plan(self._transfer(f, columns) for f, columns in zip(feeds, self._packed, strict=True))
        sizes = [len(columns[0].words) for columns in self._packed]
        return list(zip(feeds, plan.arrivals, sizes, strict=True))

    # --- a pass -------------------------------------------------------------------------------------------------------

    def _feed(
        self, feeds: list[EdgeTransfer], ids: np.ndarray, labels: np.ndarray, begin: int
    ) -> tuple[Plan, list[list[Column]], dict[str, np.ndarray]]:
        """Puts weights on their way.  Returns when they arrive, what each feed sends down the columns, and numbers of
        wavelets by way, [column, feed]."""
        if not self._weights:
            raise ConfigError("there are no weights: load some first")
        shape = (self.batch, self.sequence)
        if ids.shape != shape or labels.shape != shape:
            raise ConfigError(f"ids and labels are [{self.batch}, {self.sequence}], not {ids.shape} and {labels.shape}")
        if not self._packed:
            self._packed = [self._pack(feed, ids) for feed in self.emitter.feeds]
        packed = [
            self._pack(feed, ids) if isinstance(feed.transfer, Embedding) else columns
            for feed, columns in zip(self.emitter.feeds, self._packed, strict=True)
            if any(feed is one for one in feeds)
        ]
        plan = self.feeder.plan(self._transfer(f, columns) for f, columns in zip(feeds, packed, strict=True))
        counts: dict[str, np.ndarray] = {}
        for path, streams in self.into.items():
            own = [path_of(feed) == path for feed in feeds]
            counts[path] = np.array(
                [[len(cs[x].words) * mine for cs, mine in zip(packed, own, strict=True)] for x in range(self.grid[0])]
            )
            columns = joined([cs for cs, mine in zip(packed, own, strict=True) if mine])
            for stream, column, wavelets in zip(streams, columns, counts[path], strict=True):
                segments = [replace(s, cycle=s.cycle + begin) for s in plan.segments(wavelets.tolist())]
                stream.put(column.words, column.control, segments)
        return plan, packed, counts

    def _pack(self, feed: EdgeTransfer, ids: np.ndarray) -> list[Column]:
        values = emitter.named(feed, self._weights)
        if isinstance(feed.transfer, Embedding):
            return feed.transfer.pack(values["weight"], ids)
        return feed.transfer.pack(values)

    def _dense(self, feed: EdgeTransfer) -> int:
        """Wavelets that a feed would have without zeros left out."""
        if isinstance(feed.transfer, Embedding):
            return feed.transfer.words * self.grid[1] * self.grid[0]
        return sum(int((order >= 0).sum()) for _, order in feed.transfer.parts)

    def _transfer(self, feed: EdgeTransfer, columns: list[Column]) -> Transfer:
        """A stream as MemoryX sends it: without control wavelets, 16-bit weights with their index if sparse."""
        elements = sum(column.words.size - int(column.control.sum()) for column in columns)
        if isinstance(feed.transfer, Embedding):
            size = 4.0  # two 16-bit elements, or an f32
        elif feed.transfer.offsets and self.policy.wide:
            size = 3.0  # of weight and index, one wavelet each
        else:
            size = self.policy.size + (2.0 if feed.transfer.offsets else 0.0)
        written = 4.0 if feed.call.phase == BACKWARD else 0.0
        return Transfer(feed.call.operator.name, elements, size, written=written)

    def _execute(self, labels: np.ndarray, scale: float) -> tuple[Run, Run | None]:
        """Runs the task over the tokens; the run so far and as it was before."""
        rows = self.grid[1]
        factor = np.full((rows, 1), scale / labels.size, np.float32).view(np.uint32)
        words = np.concatenate([factor, labels.reshape(rows, -1).astype(np.uint32)], axis=1)
        for stream, row in zip(self.ids, words, strict=True):
            stream.put(row)
        before, self._before = self._before, None
        self.fabric.launch(TASK)
        self._before = self.fabric.run()
        return self._before, before

    def _loss(self) -> float:
        """The mean loss over all tokens, in nats; each row holds the sum over its own tokens."""
        sums = self.fabric.read(emitter.LOSS, x=0, y=0, w=1)[:, 0, 0]
        return float(sums.sum(dtype=np.float64)) / (self.batch * self.sequence)

    def _gradients(self, words: list[np.ndarray], ids: np.ndarray) -> dict[str, np.ndarray]:
        """The gradients, from the wavelets that left each column; those of a tied table are summed."""
        found: dict[str, np.ndarray] = {}
        at = 0
        for sent in self.emitter.drains:
            n = sent.transfer.wavelets
            made = sent.transfer.unpack([column[at : at + n] for column in words])
            at += n
            if sent.call.what == "embedding.gradient":
                table = self.graph.parameters[sent.parameters["weight"]]
                assert self.emitter.table is not None  # it made the call
                made["weight"] = self.emitter.table.rows(made["dx"], ids, table.shape[0])
            for name, g in emitter.gradients(sent, made, self.graph.parameters):
                found[name] = found[name] + g if name in found else g
        return found

    # --- what happened ------------------------------------------------------------------------------------------------

    def _spans(self, begin: int, plan: Plan, counts: dict[str, np.ndarray], left: list) -> list[Span]:
        """The intervals of the first PE's calls and of the first column's streams."""
        made, said = self.emitter, self.fabric.said()
        first = said[(said["pe"] == 0) & (said["kind"] == emitter.MARK)]
        marks = [(int(e["b"]), int(e["cycle"])) for e in first]
        last = next((i for i, (number, _) in enumerate(marks) if number == END), len(marks) - 1)
        spans = []
        for (number, at), (_, until) in pairwise(marks[: last + 1]):
            call = made.marks[number]
            spans.append(Span("compute", f"{call.what} {call.operator.name}", call.phase, at, until, "compute"))
        for path, streams in self.into.items():
            timing, causes = streams[0].timing, plan.causes(counts[path][0].tolist())
            if not counts[path].any():
                continue
            for feed, row, cause in zip(made.feeds, timing, causes, strict=True):
                if row["passed"]:
                    bound = cause if row["starved"] > row["blocked"] else "compute"  # whose queues are full
                    edges = int(row["first"]), int(row["last"]) + 1
                    spans.append(Span(f"{path} in", feed.call.operator.name, feed.call.phase, *edges, bound))
        at = 0
        for sent in made.drains:
            cycles = left[0][at : at + sent.transfer.wavelets]
            at += sent.transfer.wavelets
            if len(cycles):
                edges = int(cycles[0]), int(cycles[-1]) + 1
                spans.append(Span("gradients out", sent.call.operator.name, BACKWARD, *edges))
        return sorted(spans, key=lambda span: (span.begin, span.track))

    def _waits(
        self, plan: Plan, counts: dict[str, np.ndarray], run: Run, spans: list[Span], left: list[np.ndarray]
    ) -> dict[str, dict[str, int]]:
        """Cycles of each phase by cause.  What the PEs did and waited for is measured over the whole pass and shared
        out by the lengths of the phases, but waits for weights by the streams' own times, and waits for gradients to
        leave are the backward pass's."""
        path, drain = "weights", self.feeder.drain()
        columns = list(zip(self.into[path], counts[path].tolist(), strict=True))
        whole = account(plan, columns, run, drain, left)
        computing = [span for span in spans if span.track == "compute"]
        lengths = {
            phase: sum(span.end - span.begin for span in computing if span.phase == phase)
            for phase in (FORWARD, BACKWARD)
        }
        starved = dict.fromkeys(lengths, 0.0)
        for feed, row in zip(self.emitter.feeds, self.into[path][0].timing, strict=True):
            starved[feed.call.phase] += float(row["starved"])
        found: dict[str, dict[str, int]] = {}
        late = ("dram", "network", "edge")
        for phase, cycles in lengths.items():
            share = starved[phase] / (sum(starved.values()) or 1)
            waits = {c: (getattr(whole, c) - whole.leaving * (c == drain.cause)) * share for c in late}
            if phase == BACKWARD:
                waits[drain.cause] += whole.leaving
            rest = max(0.0, cycles - sum(waits.values()))
            busy = whole.compute + whole.fabric or 1.0
            waits |= {cause: rest * getattr(whole, cause) / busy for cause in ("fabric", "compute")}
            found[phase] = {cause: round(cycles) for cause, cycles in waits.items()}
        return found


def path_of(feed: EdgeTransfer) -> str:
    """The color by which a stream enters."""
    return "embedding" if isinstance(feed.transfer, Embedding) else "weights"


def since(before: Run | None, run: Run, begin: int) -> Run:
    """What a run measured since another of the same fabric, which went on at cycle `begin`: counters and cycles."""
    counters = run.counters
    if before is not None:
        counters = {name: plane - before.counters[name] for name, plane in counters.items()}
    return replace(run, counters=counters, cycles=run.cycles - begin)
