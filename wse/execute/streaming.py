"""Weight streaming: one rectangle of PEs executes all operators in turn; weights enter at its north edge in every pass.

At the start of a pass, ids, labels and the loss scale enter at the west edge.  For each operator, in the forward and
again in the backward pass, the weights stream down the columns at the times at which MemoryX, network and edge deliver
them (wse.memoryx.feeder); PEs do not keep them.  Weight gradients leave at the north edge as they are computed.
Activations stay on the PEs between the forward and the backward pass.  The host updates the weights between passes; the
time of the update is not modelled here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import field, replace
from functools import partial
from itertools import pairwise

import numpy as np

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..fabric.stream import Segment, StreamIn
from ..machine.parameters import Machine
from ..memoryx import Feeder, MemoryX, Transfer, account
from ..memoryx.feeder import Plan, Timed, TransferTime
from ..models import Graph
from ..models.dropout import drops
from ..models.experts import counted, factor, loop_of, routes
from ..models.lowering import executable
from ..operators import dropout
from ..operators.embedding import Embedding
from ..operators.policy import Policy
from ..operators.transfers import Column
from ..program.program import Program
from ..records import dataclass
from . import edge_streams, emitter
from .arena import allocate
from .edge_streams import Incoming, Outgoing
from .emitter import EdgeTransfer, Emitter, Noting
from .execution import Pass, Span
from .replicas import replicated
from .schedule import BACKWARD, FORWARD, schedule

TASK, STEP = "step", 8
LOAD = "vector.send.load"  # the calls that send the load of experts
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


@dataclass
class Moved:
    """What passed the edge in a part of a run that began in cycle `begin`.

    outgoing: what left.  loads: of experts by loop, in order, float32 [experts], no numbers if the router gave none.
    feeds: what entered.  sent: weight wavelets without control wavelets.  Of the parts between loads of experts: plans,
    when weights arrive, in cycles from `begin`; counts, wavelets by color, int64 [columns, feeds]; timing, by color and
    column, of the streams.  run: what the fabric measured.
    """

    begin: int
    outgoing: Outgoing
    loads: dict[str, np.ndarray]
    feeds: list[EdgeTransfer] = field(default_factory=list)
    sent: int = 0
    plans: list[Plan] = field(default_factory=list)
    counts: dict[str, list[np.ndarray]] = field(default_factory=dict)
    timing: dict[str, list[list[np.ndarray]]] = field(default_factory=lambda: defaultdict(list))
    run: Run = field(init=False)

    def wants(self, stream: EdgeTransfer) -> bool:
        """Whether a stream passes: not that of an expert whose load is known to be 0."""
        turn = stream.call.operator.attributes
        load = self.loads.get(turn.get("loop", ""))
        return load is None or bool(load[turn["expert"]] != 0)

    @property
    def plan(self) -> Plan:
        """Of all feeds."""
        arrivals = tuple(arrival for plan in self.plans for arrival in plan.arrivals)
        return replace(self.plans[0], arrivals=arrivals)

    def wavelets(self, path: str) -> np.ndarray:
        """int64 [columns, feeds]: those of a color."""
        return np.concatenate(self.counts[path], axis=1)

    def timed(self, path: str) -> list[Timed]:
        """Of each column's stream of a color, for all feeds."""
        return [Timed(np.concatenate(parts)) for parts in zip(*self.timing[path], strict=True)]


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
        graph = executable(graph)
        self._accept(graph)
        self.graph, self.batch, self.sequence = graph, batch, graph.model.sequence
        self.grid = grid_of(graph, batch, grid)
        self.machine, self.clock_hz = machine, machine.clock_hz
        self.policy = Policy(dtype, policy)
        self.tokens = batch * self.sequence // self.grid[1]  # of a row of PEs
        if drops(graph):
            features = max((o.features[1] for o in graph.operators if o.kind == "dropout"), default=0)
            heads = max((int(o.attributes["heads"]) for o in graph.operators if "dropout" in o.attributes), default=0)
            dropout.check_positions(batch * self.sequence, features, batch * heads)
        executed, copies = replicated(graph, self.grid[0])
        load = partial(Fabric, threads=threads, trace=trace, portable=portable)
        self.fabric = self._made(executed, copies, sparse, load)
        self.feeder = Feeder(system, self.grid[0], machine)
        self._attach()
        self._weights: Mapping[str, np.ndarray] = {}
        self._before: Run | None = None

    # --- the program --------------------------------------------------------------------------------------------------

    def _made(
        self, executed: Graph, copies: Mapping[str, np.ndarray], sparse: bool, load: Callable[[Program], Fabric]
    ) -> Fabric:
        """Makes the region, its program and its emitter, and loads the program.  executed, copies: of `replicated`."""
        width, tokens, executed = self.grid[0], self.tokens, counted(executed)
        features = {name: tensor.features for name, tensor in executed.tensors.items()}
        self.schedule = schedule(executed.operators, features, over_rows=tokens < self.sequence)
        work = emitter.works(self.schedule.calls, self._region(tokens), self.sequence, sparse)
        arena = allocate(self.schedule.calls, width, tokens, self.policy.size, work=work)
        self.region = self._region(tokens)
        self.program = self.region.program
        self.emitter = Emitter(self.region, arena, self.sequence, sparse, replicas=copies)
        self._code()
        self.region.finish()
        return load(self.program)

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
        received = {emitter.SCALE: "mov32"}
        if drops(self.graph):
            made.declare_draws()
            received[dropout.DRAW] = "mov16"
        received[emitter.LABELS] = "mov16"
        for array in received:
            made.received(array)
        with region.task(TASK, STEP):
            region.code("    dsr a0, ids_in")
            for array, move in received.items():
                region.code(emitter.take(array, move))
            made.emit(self.schedule.forward)
            region.code(f"    ld32 r1, [{emitter.SCALE}]\n    bz r1, end_of_step")
            if factor(self.graph):
                made.received(region.array(emitter.BALANCE, routes(self.graph)[0].features[1], "f32"))
                region.code(f"    dsr a0, ids_in\n{emitter.take(emitter.BALANCE, 'mov32')}")
            made.emit(self.schedule.backward)
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
        self.ahead = edge_streams.ahead(width)
        self.out = [
            self.fabric.stream_out(x, 0, "N", colors["north0"], capacity=self.ahead, rate=rate) for x in range(width)
        ]
        self.emitter.write(self.fabric)

    # --- Execution ----------------------------------------------------------------------------------------------------

    def load(self, weights: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None = None) -> None:
        """See Execution.  The mapping is kept, not copied: weights are read in each pass, operator by operator."""
        self._weights = weights

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
        made = self.emitter
        moved = self._move(
            made.feeds,
            made.drains,
            ids,
            labels,
            lambda: self._start(labels, scale, draw),
            lambda sent, arrays: self._collect(found, sent, arrays, ids),
            scale,
        )
        for drain in made.drains:
            if not moved.wants(drain):
                for name in drain.parameters.values():
                    found[name] = np.zeros(self.graph.parameters[name].shape, np.float32)
        spans = self._spans(moved)
        return Pass(
            loss=self._loss(),
            gradients=found,
            cycles=moved.run.cycles,
            sent=moved.sent,
            dense=sum(self._dense(feed) for feed in moved.feeds),
            drained=moved.outgoing.wavelets,
            spans=spans,
            waits=self._waits(moved, spans),
            load=np.nan_to_num(np.stack([*moved.loads.values()])).astype(np.int64) if moved.loads else None,
        )

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """See Execution.  Forward only."""
        forward, loads = (
            [one for one in all if one.call.phase == FORWARD] for all in (self.emitter.feeds, self.emitter.drains)
        )
        self._move(forward, loads, ids, labels, lambda: self._start(labels, 0.0))
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
        cycles from the pass's begin, and its wavelets in the first column.  Of the weights that are loaded."""
        feeds = self.emitter.feeds
        sizes = [self._sizes(feed) for feed in feeds]
        plan = self.feeder.plan(self._transfer(feed, size) for feed, size in zip(feeds, sizes, strict=True))
        return [(feed, at, int(size[0, 0])) for feed, at, size in zip(feeds, plan.arrivals, sizes, strict=True)]

    # --- a pass -------------------------------------------------------------------------------------------------------

    def _move(
        self,
        feeds: Sequence[EdgeTransfer],
        drains: Sequence[EdgeTransfer],
        ids: np.ndarray,
        labels: np.ndarray,
        start: Callable[[], None],
        done: Callable[[EdgeTransfer, dict[str, np.ndarray]], None] = lambda sent, arrays: None,
        scale: float = 0.0,
    ) -> Moved:
        """Starts a task, sends it the feeds, and gives each drain to `done`.

        Where PEs send the loads of experts, they wait for the answer, and weights go on behind it, without those of
        experts that no token chooses.  scale: see _answer.
        """
        if not self._weights:
            raise ConfigError("there are no weights: load some first")
        shape = (self.batch, self.sequence)
        if ids.shape != shape or labels.shape != shape:
            raise ConfigError(f"ids and labels are [{self.batch}, {self.sequence}], not {ids.shape} and {labels.shape}")
        loads: dict[str, np.ndarray] = {}

        def take(sent: EdgeTransfer, arrays: dict[str, np.ndarray]) -> None:
            if sent.call.what == LOAD:
                loads[loop_of(sent.call.operator)] = arrays["load"]
            else:
                done(sent, arrays)

        begin, before, latency = self.fabric.cycle, self._before, int(self.feeder.latency)
        asked = [drain for drain in drains if drain.call.what == LOAD]
        outgoing = Outgoing(self.out, asked, self.feeder.drain().rate, take)
        moved = Moved(begin, outgoing, loads)
        now = begin
        for number in range(len(asked) + 1):
            last = number == len(asked)
            if number:
                self._answer([*loads.values()], now + latency, scale if last else 0.0)
            if last:
                outgoing.expect(d for d in drains if d.call.what != LOAD and moved.wants(d))
            chosen = [feed for feed in feeds if feed.after == number and moved.wants(feed)]
            incoming = self._incoming(moved, chosen, now, ids)
            if not number:
                self._before = None
                start()
            pause = None if last else number + 1
            edge_streams.move(self.fabric, incoming, outgoing, self.ahead, pause, max(1, 2 * latency))
            for path in moved.counts:
                moved.timing[path].append([stream.timing.copy() for stream in self.into[path]])
            if len(loads) <= number and not last:
                break  # the fabric has stopped, which its run explains
            now = begin if last else outgoing.edges[number][1] + latency
        self._before = self.fabric.run()
        moved.run = since(before, self._before, begin)
        return moved

    def _incoming(self, moved: Moved, feeds: list[EdgeTransfer], now: int, ids: np.ndarray) -> list[Incoming]:
        """The streams of feeds that MemoryX sends from a cycle on, noted in `moved`."""
        sizes = [self._sizes(feed) for feed in feeds]
        plan = self._planned_at(now, [self._transfer(feed, size) for feed, size in zip(feeds, sizes, strict=True)])
        moved.feeds += feeds
        moved.plans.append(plan.after(moved.begin - now))
        moved.sent += sum(int((size[:, 0] - size[:, 1]).sum()) for size in sizes)
        incoming = []
        for path, streams in self.into.items() if feeds else ():
            own = [path_of(feed) == path for feed in feeds]
            counts = np.stack([size[:, 0] * mine for size, mine in zip(sizes, own, strict=True)], axis=1)
            moved.counts.setdefault(path, []).append(counts)
            segments = [
                [replace(segment, cycle=segment.cycle + now) for segment in plan.segments(wavelets)]
                for wavelets in counts.tolist()
            ]
            incoming.append(Incoming(streams, counts, segments, lambda i: self._columns(feeds[i], ids)))
        return incoming

    def _answer(self, loads: list[np.ndarray], cycle: int, scale: float) -> None:
        """Sends which experts of the last load are wanted, and, if scale is not 0, the gradient of the loss of load
        balance by the experts' shares, times the scale."""
        words = (loads[-1] != 0).astype(np.uint32)
        if scale and factor(self.graph):
            total, choices = np.stack(loads).sum(axis=0, dtype=np.float64), len(loads) * self.batch * self.sequence
            gradient = scale * factor(self.graph) * len(total) * total / choices**2
            words = np.concatenate([words, gradient.astype(np.float32).view(np.uint32)])
        for stream in self.ids:
            stream.put(words, None, [Segment(len(words), cycle)])

    def _planned_at(self, begin: int, transfers: Sequence[Transfer]) -> Plan:
        """When the transfers of a task that begins in a cycle arrive, in cycles from there."""
        return self.feeder.plan(transfers)

    def _columns(self, feed: EdgeTransfer, ids: np.ndarray) -> Iterable[Column]:
        """The wavelets of a feed, column by column."""
        values = self._values(feed)
        if isinstance(feed.transfer, Embedding):
            return feed.transfer.pack(values["weight"], ids)
        return feed.transfer.columns(values)

    def _sizes(self, feed: EdgeTransfer) -> np.ndarray:
        """int64 [columns, 2]: wavelets of a feed, and how many of them are control wavelets."""
        if isinstance(feed.transfer, Embedding):
            return feed.transfer.sizes()
        return feed.transfer.sizes(self._values(feed) if feed.transfer.offsets else {})

    def _values(self, feed: EdgeTransfer) -> dict[str, np.ndarray]:
        """The weights of a feed, by role."""
        return emitter.named(feed, self._weights)

    def _dense(self, feed: EdgeTransfer) -> int:
        """Wavelets that a feed would have without zeros left out."""
        if isinstance(feed.transfer, Embedding):
            return feed.transfer.words * self.grid[1] * self.grid[0]
        return int(feed.transfer.weights)

    def _transfer(self, feed: EdgeTransfer, sizes: np.ndarray) -> Transfer:
        """A stream as MemoryX sends it: without control wavelets, 16-bit weights with their index if sparse."""
        elements = int((sizes[:, 0] - sizes[:, 1]).sum())
        if isinstance(feed.transfer, Embedding):
            size = 4.0  # two 16-bit elements, or an f32
        elif feed.transfer.offsets and self.policy.wide:
            size = 3.0  # of weight and index, one wavelet each
        else:
            size = self.policy.size + (2.0 if feed.transfer.offsets else 0.0)
        written = 4.0 if feed.call.phase == BACKWARD else 0.0
        return Transfer(feed.call.operator.name, elements, size, written=written)

    def _start(self, labels: np.ndarray, scale: float, draw: int | None = None) -> None:
        """Sends the tokens of a pass and starts the task."""
        rows = self.grid[1]
        factor = np.full((rows, 1), scale / labels.size, np.float32).view(np.uint32)
        drawn = dropout.words(draw) if drops(self.graph) else np.zeros(0, np.uint16)
        words = [factor, np.tile(drawn.astype(np.uint32), (rows, 1)), labels.reshape(rows, -1).astype(np.uint32)]
        for stream, row in zip(self.ids, np.concatenate(words, axis=1), strict=True):
            stream.put(row)
        self.fabric.launch(TASK)

    def _loss(self) -> float:
        """The mean loss over all tokens, in nats; each row holds the sum over its own tokens."""
        sums = self.fabric.read(emitter.LOSS, x=0, y=0, w=1)[:, 0, 0]
        return float(sums.sum(dtype=np.float64)) / (self.batch * self.sequence)

    def _collect(
        self, found: MutableMapping[str, np.ndarray], sent: EdgeTransfer, made: dict[str, np.ndarray], ids: np.ndarray
    ) -> None:
        """Adds the gradients of a drain to those found; those of a tied table are summed."""
        if sent.call.what == "embedding.gradient":
            table = self.graph.parameters[sent.parameters["weight"]]
            assert self.emitter.table is not None  # it made the call
            made["weight"] = self.emitter.table.rows(made["dx"], ids, table.shape[0])
        for name, g in emitter.gradients(sent, made, self.graph.parameters):
            found[name] = found[name] + g if name in found else g

    # --- what happened ------------------------------------------------------------------------------------------------

    def _spans(self, moved: Moved) -> list[Span]:
        """The intervals of the first PE's calls and of the first column's streams."""
        plan = moved.plan
        made, said = self.emitter, self.fabric.said()
        first = said[(said["pe"] == 0) & (said["kind"] == emitter.MARK)]
        marks = [(int(e["b"]), int(e["cycle"])) for e in first]
        last = next((i for i, (number, _) in enumerate(marks) if number == END), len(marks) - 1)
        spans = []
        for (number, at), (_, until) in pairwise(marks[: last + 1]):
            call = made.marks[number]
            spans.append(Span("compute", f"{call.what} {call.operator.name}", call.phase, at, until, "compute"))
        for path in moved.counts:
            sent = moved.wavelets(path)
            timing, causes = moved.timed(path)[0].timing, plan.causes(sent[0].tolist())
            if not sent.any():
                continue
            for feed, row, cause in zip(moved.feeds, timing, causes, strict=True):
                if row["passed"]:
                    bound = cause if row["starved"] > row["blocked"] else "compute"  # whose queues are full
                    edges = int(row["first"]), int(row["last"]) + 1
                    spans.append(Span(f"{path} in", feed.call.operator.name, feed.call.phase, *edges, bound))
        for number, (first, last) in moved.outgoing.edges.items():
            drain = moved.outgoing.drains[number].call
            spans.append(Span("gradients out", drain.operator.name, drain.phase, first, last + 1))
        return sorted(spans, key=lambda span: (span.begin, span.track))

    def _waits(self, moved: Moved, spans: list[Span]) -> dict[str, dict[str, int]]:
        """Cycles of each phase by cause.  What the PEs did and waited for is measured over the whole pass and shared
        out by the lengths of the phases, but waits for weights by the streams' own times, and waits for gradients to
        leave are the backward pass's."""
        path, drain = "weights", self.feeder.drain()
        columns = list(zip(moved.timed(path), moved.wavelets(path).tolist(), strict=True))
        saturated = [saturation.cycles for saturation in moved.outgoing.saturation]
        whole = account(moved.plan, columns, moved.run, drain, saturated)
        computing = [span for span in spans if span.track == "compute"]
        lengths = {
            phase: sum(span.end - span.begin for span in computing if span.phase == phase)
            for phase in (FORWARD, BACKWARD)
        }
        starved = dict.fromkeys(lengths, 0.0)
        for feed, row in zip(moved.feeds, columns[0][0].timing, strict=True):
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
