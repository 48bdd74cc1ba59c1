"""Pipelined execution: every half of a layer has its own region with resident weights; micro-batches flow through.

Regions are side by side.  Their height is that of the grid minus one row; their widths balance the load (widths.py).
The row of PEs above a region stores its weights, sends them down the columns for every micro-batch as the edge does in
weight streaming, accumulates the gradients that arrive from the south, and updates the weights in place
(wse.operators.resident).  Activations move east from region to region, row by row; their gradients move west
(wse.operators.transport).

Step.  All micro-batches pass forward through all regions, then backward.  Every PE executes one task with a fixed order
of operations; regions synchronize only by the data that they exchange.  A step is one run of the fabric.

Host (MemoryX).  The host stores the tables of tokens and positions, whose rows enter and whose gradients leave above
the first region.  It copies ids and labels to the PEs, checks that gradients are finite, and computes their norm and so
the scale of the update.  If the head shares the token table, the host sums the two gradients.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import field
from itertools import groupby, pairwise, product
from math import gcd

import numpy as np

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..machine.numerics import to_bits
from ..machine.parameters import Machine
from ..models import Graph, experts
from ..models.dropout import refuse
from ..models.lowering import executable
from ..operators import resident, transport
from ..operators.policy import Policy
from ..operators.resident import Part, Resident, Tasks
from ..operators.transfers import WeightTransfer, joined
from ..plan.region import Region as Group
from ..plan.region import regions
from ..program.program import Program
from ..records import dataclass
from . import emitter
from .arena import allocate
from .emitter import Arena, EdgeTransfer, Noting
from .execution import CAUSES, Pass, Span, handed
from .handover import PipelineEmitter, micro_batches
from .replicas import replicated
from .schedule import BACKWARD, FORWARD, Call, schedule
from .widths import widths

TASKS = Tasks(step=8, evaluate=9, update=10, collected=11)
TOP = 1  # the first row of PEs that compute
MICRO_BATCHES = 4  # most micro-batches per step by default


@dataclass
class Stage:
    """A region of the pipeline.

    feeds, drains: what its first micro-batch's calls take, by phase, and give; numbers: of each parameter, the places
    of its weights among the region's.
    """

    group: Group
    region: Noting
    emitters: dict[str, PipelineEmitter] = field(default_factory=dict)
    feeds: dict[str, list[EdgeTransfer]] = field(default_factory=dict)
    drains: list[EdgeTransfer] = field(default_factory=list)
    resident: Resident | None = None
    numbers: dict[str, slice] = field(default_factory=dict)

    @property
    def weights(self) -> int:
        """Number of weights."""
        return max((numbers.stop for numbers in self.numbers.values()), default=0)

    @property
    def fed(self) -> bool:
        """Whether its weights come from the edge."""
        return self.group.operators[0].kind == "embedding"

    def parts(self, phase: str) -> list[Part]:
        """The streams of a pass, as orders of the region's weights.

        Raises ConfigError for sparse streams, whose rows end with control wavelets.
        """
        found = []
        for feed in self.feeds.get(phase, []):
            for role, order in feed.transfer.parts:
                if order.ends.any():
                    raise ConfigError(
                        f"{feed.transfer.what} has rows that end by control wavelets: weight PEs send none"
                    )
                found.append(Part(self._placed(order.whole(), feed.parameters[role]), feed.transfer.storage == "f32"))
        return found

    def gradients(self) -> np.ndarray:
        """The numbers of the weights in the order in which their gradients arrive: int64 [columns, n]."""
        parts = [(order, drain.parameters[role]) for drain in self.drains for role, order, _ in drain.transfer.parts]
        return np.concatenate([self._placed(order.whole(), name) for order, name in parts], axis=1)

    def _placed(self, order: np.ndarray, parameter: str) -> np.ndarray:
        return np.where(order < 0, resident.ZERO, order + self.numbers[parameter].start)

    def flat(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The region's weights, concatenated: f32."""
        flat = np.zeros(self.weights, np.float32)
        for name, numbers in self.numbers.items():
            flat[numbers] = np.asarray(values[name], np.float32).ravel()
        return flat


class Pipelined:
    """An Execution (see execution.py).

    batch: sequences of a step, which go through in `micro_batches` (0: as many as divide it, 4 at most); grid: columns
    and rows of PEs without the row of weights, a row for each sequence of a micro-batch unless given; dtype, policy:
    numerics.  ConfigError for what does not divide, MemoryOverflow for what does not fit a PE.
    """

    updates = "fabric"

    def __init__(
        self,
        graph: Graph,
        batch: int,
        machine: Machine,
        dtype: str = "bf16",
        policy: str = "POL0",
        grid: tuple[int, int] | None = None,
        threads: int = 1,
        trace: int = 0,
        micro_batches: int = 0,
    ):
        graph = executable(graph)
        graph.check_plain("the fabric")
        refuse(graph, "--mode pipelined")
        experts.refuse(graph, "--mode pipelined")
        self.graph, self.batch, self.sequence = graph, batch, graph.model.sequence
        self.machine, self.clock_hz = machine, machine.clock_hz
        self.policy = Policy(dtype, policy)
        self.micro_batches = micro_batches or gcd(batch, MICRO_BATCHES)
        if batch % self.micro_batches:
            raise ConfigError(f"{batch} sequences do not make {self.micro_batches} equal micro-batches")
        executed, copies = replicated(graph, 1)
        if copies:
            raise ConfigError(
                f"{next(iter(copies))} is one gain for all heads, which lie in several columns: a pipelined region has "
                "each weight once; use streaming mode"
            )
        groups = _connected(regions(executed, by="half"))
        columns, self.rows = grid or (0, batch // self.micro_batches)
        if batch // self.micro_batches % self.rows:
            raise ConfigError(
                f"{self.rows} rows do not divide the {batch // self.micro_batches} sequences of a micro-batch: "
                "executed attention has whole sequences in a row"
            )
        self.tokens = batch // self.micro_batches // self.rows * self.sequence
        wide = self._widths(groups, columns)
        self.grid = sum(wide), self.rows + TOP
        self.program = Program(*self.grid, machine, fp16=self.policy.fp16)
        self.line = transport.Line(self.program, ys=slice(TOP, None))
        self.stages = [
            self._stage(group, sum(wide[:i]), width, i == 0, i == len(groups) - 1)
            for i, (group, width) in enumerate(zip(groups, wide, strict=True))
        ]
        for stage in self.stages:
            self._weights(stage)
        self.fabric = Fabric(self.program, threads=threads, trace=trace)
        self._attach()
        self.tables: dict[str, np.ndarray] = {}
        self.velocities: dict[str, np.ndarray] = {}
        self._gradients: dict[str, np.ndarray] = {}

    # --- the program --------------------------------------------------------------------------------------------------

    def _widths(self, groups: list[Group], columns: int) -> list[int]:
        """The widths of the regions.  By default, the grid is wide enough for one column of attention per head."""
        heads = gcd(
            *(int(o.attributes[key]) for g in groups for o in g.operators if o.kind == "attention" for key in _HEADS)
        )
        work, allowed = [], []
        for group in groups:
            flops = group.matmul_flops() + group.score_flops(self.sequence)
            work.append(flops or group.elements())
            attends = any(o.kind == "attention" for o in group.operators)
            # Without padding weight PEs send long walks; with it they would need a descriptor for each row.
            whole = heads if attends else gcd(*(f for o in group.operators for f in o.features if f > 1))
            if whole == 1 and not attends:
                whole = self.graph.model.d_model
            allowed.append([n for n in range(1, whole + 1) if whole % n == 0])
        if not columns:
            attention = [
                w for w, g in zip(work, groups, strict=True) if any(o.kind == "attention" for o in g.operators)
            ]
            columns = sum(max(1, round(w / max(attention) * heads)) for w in work)
        return widths(work, allowed, columns)

    def _stage(self, group: Group, x: int, width: int, first: bool, last: bool) -> Stage:
        features = {name: tensor.features for name, tensor in self.graph.tensors.items()}
        stage = Stage(group, self._region(self.program, group.name, x, TOP, width))
        forward, backward = micro_batches(schedule(group.operators, features), self.micro_batches, first, last)
        calls = [call for _, call in (*forward, *backward)]
        trial = self._region(Program(width, self.rows, self.machine, fp16=self.policy.fp16), "trial", 0, 0, width)
        work = emitter.works(calls, trial, self.sequence, kind=PipelineEmitter)
        arena = allocate(calls, width, self.tokens, self.policy.size, work=work)
        for role, pe in stage.region.classes.items():
            dx = next(
                i for i in range(width) if (role.first, role.last, role.odd_x) == (i == 0, i == width - 1, i % 2 == 1)
            )
            self.line.declare(pe, x + dx)
        self._emit(stage, arena, "step", TASKS.step, [*forward, *backward])
        self._emit(stage, arena, "evaluate", TASKS.evaluate, forward)
        stage.region.finish()
        return stage

    def _region(self, program: Program, name: str, x: int, y: int, width: int) -> Noting:
        return Noting(program, self.policy, self.tokens, x, y, width, self.rows, name.replace(".", "_"))

    def _emit(self, stage: Stage, arena: Arena, name: str, id: int, calls: list[tuple[int, Call]]) -> None:
        made = PipelineEmitter(stage.region, arena, self.sequence, batches=self.micro_batches)
        if not stage.emitters:
            made.declare()
        else:  # its tables are there already
            made.table, made.tables = stage.emitters["step"].table, stage.emitters["step"].tables
        stage.emitters[name] = made
        with stage.region.task(name, id):
            for (made.batch, phase), run in groupby(calls, lambda pair: (pair[0], pair[1].phase)):
                fed, drained = len(made.feeds), len(made.drains)
                made.emit([call for _, call in run])
                if name == "step" and made.batch == 0:
                    stage.feeds.setdefault(phase, []).extend(made.feeds[fed:])
                    stage.drains += made.drains[drained:]
            made.mark(None)

    def _weights(self, stage: Stage) -> None:
        """Places the row of PEs above a region: its weight PEs, or routes that forward the streams of the edge."""
        r, colors = stage.region, self.program.colors
        if stage.fed:
            columns = slice(r.x, r.x + r.width)
            for path in self._paths():
                self.program.route(colors[path], "N", "S", x=columns, y=0)
            self.program.route(colors["north0"], "S", "N", x=columns, y=0)
            return
        at = 0
        for name in dict.fromkeys(name for drain in stage.drains for name in drain.parameters.values()):
            size = self.graph.parameters[name].size
            stage.numbers[name] = slice(at, at + size)
            at += size
        stage.resident = Resident(
            self.program,
            r.x,
            0,
            stage.parts(FORWARD),
            stage.parts(BACKWARD),
            stage.gradients(),
            self.micro_batches,
            TASKS,
            f"{r.name}_weights",
        )
        stage.resident.build(colors["weights"], colors["north0"])

    def _paths(self) -> list[str]:
        """The colors of the streams that enter above the first region."""
        feeds = self.stages[0].feeds[FORWARD]
        return sorted({"weights" if isinstance(feed.transfer, WeightTransfer) else "embedding" for feed in feeds})

    def _attach(self) -> None:
        """The edge above the first region."""
        first = self.stages[0]
        colors, xs = self.program.colors, range(first.region.x, first.region.x + first.region.width)
        self.into = {
            path: [self.fabric.stream_in(x, 0, "N", colors[path], [], segments=[]) for x in xs]
            for path in self._paths()
        }
        drained = self.micro_batches * sum(drain.transfer.wavelets for drain in first.drains)
        self.out = [self.fabric.stream_out(x, 0, "N", colors["north0"], capacity=2 * drained) for x in xs]
        for stage in self.stages:
            stage.emitters["step"].write(self.fabric)

    # --- Execution ----------------------------------------------------------------------------------------------------

    def load(self, weights: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None = None) -> None:
        """See Execution.  Without `momentum`, velocities are 0."""
        names = {name for feeds in self.stages[0].feeds.values() for f in feeds for name in f.parameters.values()}
        moving = {name: np.zeros(w.shape, np.float32) for name, w in weights.items()} | dict(momentum or {})
        self.tables = {name: np.array(weights[name], np.float32) for name in sorted(names)}
        self.velocities = {name: np.array(moving[name], np.float32) for name in sorted(names)}
        for stage in self.stages:
            if stage.resident is not None:
                for array, values in (("master", weights), ("velocity", moving)):
                    stage.resident.write(self.fabric, stage.flat(values), array)

    def run(
        self,
        ids: np.ndarray,
        labels: np.ndarray,
        scale: float = 1.0,
        gradients: MutableMapping[str, np.ndarray] | None = None,
        draw: int | None = None,
    ) -> Pass:
        """See Execution."""
        begin = self.fabric.cycle
        self._feed(ids, labels, scale, (FORWARD, BACKWARD))
        run = self._launch("step")
        spans = self._spans(begin)
        self._gradients = self._collect(ids)
        kept = [stage.resident for stage in self.stages if stage.resident is not None]
        sent = sum(part.order.size for r in kept for part in (*r.forward, *r.backward))
        return Pass(
            loss=self._loss(),
            gradients=handed(self._gradients, gradients),
            cycles=run.cycles - begin,
            sent=self.micro_batches * sent,
            dense=self.micro_batches * sent,
            drained=self.micro_batches * sum(r.gradients.size for r in kept),
            spans=spans,
            waits=_waits(spans),
        )

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """See Execution."""
        self._feed(ids, labels, 1.0, (FORWARD,))
        self._launch("evaluate")
        self.fabric.said()
        return self._loss()

    def update(self, rate: float, momentum: float, factor: float) -> int:
        """See Execution.  Weight PEs update the resident weights, the host its tables, with the same operations."""
        begin = self.fabric.cycle
        for stage in self.stages:
            if stage.resident is None:
                continue
            if any(name in self.tables for name in stage.numbers):  # the sum of both gradients
                stage.resident.write(self.fabric, stage.flat(self._gradients), "gradient")
            stage.resident.set(self.fabric, momentum, factor, rate)
            self.fabric.launch("update", stage.region.x, 0, stage.region.width, 1)
        for name, table in self.tables.items():
            self.tables[name], self.velocities[name] = resident.updated(
                table, self.velocities[name], self._gradients[name], momentum, factor, rate
            )
        self.fabric.run()
        return self.fabric.cycle - begin

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """See Execution."""
        weights, moving = ({k: v for s in self.stages for k, v in self._kept(s, a).items()} for a in _STATE)
        return weights | self.tables, moving | self.velocities

    # --- a step -------------------------------------------------------------------------------------------------------

    def _feed(self, ids: np.ndarray, labels: np.ndarray, scale: float, phases: tuple[str, ...]) -> None:
        """Copies labels to the PEs and starts the streams of table rows and of other weights of the first region."""
        shape = (self.batch, self.sequence)
        if ids.shape != shape or labels.shape != shape:
            raise ConfigError(f"ids and labels are [{self.batch}, {self.sequence}], not {ids.shape} and {labels.shape}")
        if not self.tables:
            raise ConfigError("there are no weights: load some first")
        last = self.stages[-1].region
        rows = labels.reshape(self.micro_batches, self.rows, self.tokens).transpose(1, 0, 2)[:, None]
        copies = np.broadcast_to(rows, (self.rows, last.width, self.micro_batches, self.tokens))
        self.fabric.write(emitter.LABELS, copies, last.x, last.y)
        self.fabric.fill(emitter.SCALE, scale / ids.size, last.x, last.y, last.width, last.height)
        fmt = self.policy.storage
        bits = {name: w if fmt == "f32" else to_bits(w, fmt).reshape(w.shape) for name, w in self.tables.items()}
        packed: dict[str, list] = {path: [] for path in self.into}
        for phase, tokens in product(phases, ids.reshape(self.micro_batches, -1)):
            for feed in self.stages[0].feeds.get(phase, []):
                if isinstance(feed.transfer, WeightTransfer):
                    packed["weights"].append(feed.transfer.pack(emitter.named(feed, bits)))
                else:
                    packed["embedding"].append(feed.transfer.pack(bits[feed.parameters["weight"]], tokens))
        for path, columns in packed.items():
            for stream, column in zip(self.into[path], joined(columns), strict=True):
                stream.put(column.words, column.control)

    def _launch(self, task: str) -> Run:
        for stage in self.stages:
            r = stage.region
            self.fabric.launch(task, r.x, r.y, r.width, r.height)
            if stage.resident is not None:
                self.fabric.launch(task, r.x, 0, r.width, 1)
        return self.fabric.run()

    def _loss(self) -> float:
        """The mean loss over all tokens, in nats; each row of the last region holds the sums over its own tokens."""
        r = self.stages[-1].region
        sums = self.fabric.read(emitter.LOSS, r.x, r.y, 1, r.height)
        return float(sums.sum(dtype=np.float64)) / (self.batch * self.sequence)

    def _kept(self, stage: Stage, array: str) -> dict[str, np.ndarray]:
        """Reads an array of the weight PEs of a region, by parameter name."""
        if stage.resident is None:
            return {}
        flat = stage.resident.read(self.fabric, stage.weights, array)
        return {name: flat[at].reshape(self.graph.parameters[name].shape) for name, at in stage.numbers.items()}

    def _collect(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """Reads the gradients of all parameters."""
        found: dict[str, np.ndarray] = {}

        def add(name: str, gradient: np.ndarray) -> None:
            found[name] = found[name] + gradient if name in found else gradient

        for stage in self.stages:
            for name, gradient in self._kept(stage, "gradient").items():
                add(name, gradient)
        columns, at = [stream.take()[0] for stream in self.out], 0
        table = self.stages[0].emitters["step"].table
        for tokens in ids.reshape(self.micro_batches, -1):
            for drain in self.stages[0].drains:
                n = drain.transfer.wavelets
                made = drain.transfer.unpack([words[at : at + n] for words in columns])
                at += n
                if drain.call.what == "embedding.gradient" and table is not None:
                    shape = self.graph.parameters[drain.parameters["weight"]].shape
                    made["weight"] = table.rows(made["dx"], tokens, shape[0])
                for name, gradient in emitter.gradients(drain, made, self.graph.parameters):
                    add(name, gradient)
        return found

    def _spans(self, begin: int) -> list[Span]:
        """The intervals of the first PE of each region: its calls, and its transfers to and waits for other regions."""
        said = self.fabric.said()
        found = []
        for stage in self.stages:
            r, marks = stage.region, stage.emitters["step"].marks
            own = said[(said["pe"] == r.y * self.grid[0] + r.x) & (said["kind"] == emitter.MARK)]
            times = [(int(e["b"]), int(e["cycle"])) for e in own if e["cycle"] >= begin]
            for (number, at), (_, until) in pairwise(times):
                if number >= len(marks):
                    continue
                call = marks[number]
                crosses = call.what.startswith("transport")
                words = call.what.split(".")[1:] if crosses else [call.what, call.operator.name]
                bound = "fabric" if crosses else "compute"
                found.append(Span(stage.group.name, " ".join(words), call.phase, at, until, bound))
        return sorted(found, key=lambda span: (span.begin, span.track))


def _connected(groups: list[Group]) -> list[Group]:
    """Groups of which each passes one tensor on, to the next one only: neighbours that share more become one.

    A region receives one tile from the west, and returns one gradient.  Attention and MLP that read the same tensors,
    as in a parallel block, therefore share a region.
    """
    found: list[Group] = []
    for group in groups:
        found.append(group)
        while len(found) > 1:
            made = {name for o in found[-1].operators for name in o.outputs}
            taken = {name for o in found[-1].operators for name in o.inputs} - made
            if taken == set(found[-2].operators[-1].outputs):
                break
            last = found.pop()
            before = found.pop()
            name = f"{before.name}_{last.name.rpartition('.')[2]}"
            found.append(Group(name, before.kernel, (*before.operators, *last.operators)))
    return found


_HEADS = ("heads", "kv_heads")
_STATE = ("master", "velocity")


def _waits(spans: list[Span]) -> dict[str, dict[str, int]]:
    """Cycles of each phase in the busiest region: in its calls, and in transfers and waits."""
    busy: dict[str, int] = {}
    for span in spans:
        if span.bound_by == "compute":
            busy[span.track] = busy.get(span.track, 0) + span.end - span.begin
    slowest = max(busy, key=lambda track: busy[track])
    found = {phase: dict.fromkeys(CAUSES, 0) for phase in (FORWARD, BACKWARD)}
    for span in spans:
        if span.track == slowest:
            found[span.phase][span.bound_by] += span.end - span.begin
    return found
