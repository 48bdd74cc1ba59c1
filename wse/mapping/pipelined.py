"""Pipelined execution: every group of operators has a region of its own, with its weights above it, on one fabric.

    embedding | attention | MLP | attention | MLP | ... | norm, head, loss        each on `height` rows of PEs

Regions stand side by side in the order of the graph.  All are as high, a row of PEs holds the same sequences in each of
them, and their widths follow their work, so that they take about as long.  Micro-batches flow east through the
regions, their gradients back west; all regions run at once.  Weights stay in a row of PEs above (kernels/layer/
resident.py), which also sum up gradients and do SGD with momentum: the host only reads the gradients' norm and sets
the coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..errors import ConfigError
from ..fabric import Fabric
from ..kernels.layer.policy import Policy
from ..kernels.layer.transport import Line
from ..machine import Machine
from ..models import Graph
from ..program import Program
from ..run import Run
from . import emitter
from .execution import Pass, Span
from .schedule import BACKWARD, FORWARD
from .stage import LABELS, Shape, Stage

MICRO_BATCHES = 4  # at most, where nothing else is asked for


class Pipelined:
    """An Execution (see execution.py).

    batch: sequences of a step, which `micro_batches` divide.  grid: (columns of an attention region, rows); the others'
    widths follow.  dtype, policy: numerics.
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
        micro_batches: int | None = None,
    ):
        self.graph, self.batch, self.sequence = graph, batch, graph.model.sequence
        self.machine, self.clock_hz, self.policy = machine, machine.clock_hz, Policy(dtype, policy)
        width, height, self.batches = _shape(graph, batch, grid, micro_batches)
        tokens = batch // self.batches // height * self.sequence
        widths = stage_widths(graph, width)
        self.grid = sum(widths), height + 1
        self.program = Program(*self.grid, machine, fp16=self.policy.fp16)
        line = Line(self.program, ys=slice(1, height + 1))
        groups = list(graph.layers())
        self.stages = []
        x = 0
        for number, ((group, layer, operators), own) in enumerate(zip(groups, widths, strict=True)):
            name = group if layer is None else f"{group}{layer}"
            first, last = number == 0, number == len(groups) - 1
            shape = Shape(name, operators, x, own, height, tokens, self.sequence, self.batches, first, last)
            self.stages.append(Stage(shape, graph, self.program, self.policy, line))
            x += own
        shared = [name for s, t in pairwise(self.stages) for name in s.parameters.keys() & t.parameters.keys()]
        if shared or len({n for s in self.stages for n in s.parameters}) != sum(len(s.parameters) for s in self.stages):
            raise ConfigError(
                "a tied head shares its weight with the embedding, which is in another region: pipelined execution "
                "takes models whose head has a weight of its own"
            )
        self.fabric = Fabric(self.program, threads=threads)
        rows, colors = range(1, height + 1), self.program.colors
        self.ids = [self.fabric.stream_in(0, y, "W", colors["ids"], [], segments=[]) for y in rows]
        self.labels = [self.fabric.stream_in(0, y, "W", colors[LABELS], [], segments=[]) for y in rows]
        for stage in self.stages:
            for name, table in stage.emitter.tables.items():
                s = stage.shape
                self.fabric.fill(name, table, s.x, 1, s.width, s.height)
        self._before: Run | None = None

    # --- Execution ----------------------------------------------------------------------------------------------------

    def load(self, weights: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None = None) -> None:
        """See Execution."""
        for stage in self.stages:
            stage.write(self.fabric, weights)
            if momentum is not None:
                stage.write(self.fabric, momentum, "velocity")

    def run(self, ids: np.ndarray, labels: np.ndarray, scale: float = 1.0) -> Pass:
        """See Execution.  All micro-batches."""
        begin = self.fabric.cycle
        timed, before = self._execute("step", ids, labels, scale)
        gradients: dict[str, np.ndarray] = {}
        for stage in self.stages:
            gradients |= stage.read(self.fabric, "gradient")
        spans = self._spans()
        feeds = [feed for stage in self.stages for feed in stage.emitter.feeds]
        sent = sum(order.size for feed in feeds for _, order in feed.stream.parts)
        drains = [drain for stage in self.stages for drain in stage.emitter.drains]
        return Pass(
            loss=self._loss(),
            gradients=gradients,
            cycles=timed.cycles - begin,
            sent=sent,
            dense=sent,
            drained=sum(order.size for drain in drains for _, order, _ in drain.stream.parts),
            spans=spans,
            waits=_waits(before, timed, begin),
        )

    def evaluate(self, ids: np.ndarray, labels: np.ndarray) -> float:
        """See Execution."""
        self._execute("evaluate", ids, labels, 1.0)
        self.fabric.said()
        return self._loss()

    def update(self, rate: float, momentum: float, factor: float) -> int:
        """See Execution."""
        begin = self.fabric.cycle
        for stage in self.stages:
            stage.resident.set(self.fabric, momentum, factor, rate)
        self.fabric.launch("update", y=0, h=1)
        self._before = self.fabric.run()
        return self._before.cycles - begin

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """See Execution."""
        weights: dict[str, np.ndarray] = {}
        momentum: dict[str, np.ndarray] = {}
        for stage in self.stages:
            weights |= stage.read(self.fabric)
            momentum |= stage.read(self.fabric, "velocity")
        return weights, momentum

    # --- a step -------------------------------------------------------------------------------------------------------

    def _execute(self, task: str, ids: np.ndarray, labels: np.ndarray, scale: float) -> tuple[Run, Run | None]:
        """Runs a task over the tokens; the run so far and as it was before."""
        shape = (self.batch, self.sequence)
        if ids.shape != shape or labels.shape != shape:
            raise ConfigError(f"ids and labels are [{self.batch}, {self.sequence}], not {ids.shape} and {labels.shape}")
        last = self.stages[-1].shape
        for streams, values in ((self.ids, ids), (self.labels, labels)):
            # Micro-batch after micro-batch, of each the row's sequences.
            rows = values.reshape(self.batches, last.height, -1).transpose(1, 0, 2).reshape(last.height, -1)
            for stream, row in zip(streams, rows, strict=True):
                stream.put(row.astype(np.uint32))
        factor = np.full(1, scale / ids.size, np.float32)
        self.fabric.fill(emitter.SCALE, factor, last.x, 1, last.width, last.height)
        before, self._before = self._before, None
        self.fabric.launch(task)
        self._before = self.fabric.run()
        return self._before, before

    def _loss(self) -> float:
        """The mean over all tokens: each row has sums over its own, for each micro-batch."""
        last = self.stages[-1].shape
        sums = self.fabric.read(emitter.LOSS, last.x, 1, 1, last.height)
        return float(sums.sum(dtype=np.float64)) / (self.batch * self.sequence)

    def _spans(self) -> list[Span]:
        """Of the calls of each region's first PE."""
        said, spans = self.fabric.said(), []
        said = said[said["kind"] == emitter.MARK]
        for stage in self.stages:
            own = said[said["pe"] == self.grid[0] + stage.shape.x]
            for event, following in pairwise(own):
                call = stage.emitter.marks[int(event["b"])]
                name = f"{call.what} {call.operator.name}"
                edges = int(event["cycle"]), int(following["cycle"])
                spans.append(Span(stage.shape.name, name, call.phase, *edges, "compute"))
        return sorted(spans, key=lambda span: (span.begin, span.track))


def _shape(graph: Graph, batch: int, grid: tuple[int, int] | None, micro_batches: int | None) -> tuple[int, int, int]:
    """(columns of an attention region, rows, micro-batches)."""
    heads = min(int(o.attributes["kv_heads"]) for o in graph.operators if o.kind == "attention")
    width = grid[0] if grid else heads
    if heads % width:
        raise ConfigError(
            f"{width} columns do not divide {heads} heads: executed attention has whole heads in a column"
        )
    if grid:
        height = grid[1]
        batches = micro_batches or batch // height
    else:
        batches = micro_batches or next(n for n in range(MICRO_BATCHES, 0, -1) if batch % n == 0)
        height = batch // batches
    if height < 1 or batches < 1 or batch % (height * batches):
        raise ConfigError(
            f"{batch} sequences are no {batches} micro-batches of whole sequences on {height} rows: "
            "rows times micro-batches must divide them"
        )
    return width, height, batches


def stage_widths(graph: Graph, attention: int) -> list[int]:
    """Columns of each group's region: those of attention are given, others have as many as their products ask for, among
    the divisors of d_model: the nearest, the wider one of two."""
    d = graph.model.d_model
    divisors = [n for n in range(1, d + 1) if d % n == 0]
    work = {}
    for number, (group, _, operators) in enumerate(graph.layers()):
        # An embedding of resident weights is a product, too.
        work[number] = group, sum(o.weights for o in operators if o.kind in ("linear", "embedding"))
    unit = max((weights for group, weights in work.values() if group == "attention"), default=0) / attention
    widths = []
    for group, weights in work.values():
        ideal = weights / unit if unit else 1
        widths.append(attention if group == "attention" else min(divisors, key=lambda n: (abs(n - ideal), -n)))
    return widths


def _waits(before: Run | None, run: Run, begin: int) -> dict[str, dict[str, int]]:
    """Cycles of the step by what the mean PE did: forward and backward of different micro-batches overlap.  fabric: it
    waited for wavelets, of neighbours, weight PEs or other regions."""
    cycles = run.cycles - begin
    planes = dict(run.counters)
    if before is not None:
        planes = {name: plane - before.counters[name] for name, plane in planes.items()}
    spent = replace(run, counters=planes, cycles=cycles)
    fabric = sum(spent.total(name) for name in ("stall_input", "stall_output", "idle")) / spent.pes
    return {f"{FORWARD} and {BACKWARD}": {"fabric": round(fabric), "compute": round(cycles - fabric)}}
