"""Where a predicted number comes from: a tree of figures down to inputs and their sources.

A node has a value, how it follows from its inputs, and the inputs; one without inputs has a source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from ..costs import calibrate, policies
from ..machine.parameters import PARAMETER, Machine
from ..memoryx import ddr5
from ..plan import microbatch
from ..plan.workload import Workload
from ..records import dataclass
from .parts import OPTIMIZER, System
from .predict import Row

KEYS = ("step_seconds", "tokens_per_second", "speedup")


@dataclass(frozen=True)
class Node:
    """A figure.  how: the rule, of a figure with inputs; source: of one without."""

    name: str
    value: float
    unit: str
    how: str = ""
    source: str = ""
    inputs: tuple[Node, ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """The node in JSON."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "how": self.how,
            "source": self.source,
            "inputs": [node.document() for node in self.inputs],
        }

    def lines(self, depth: int = 0) -> Iterator[str]:
        """A line for each node, inputs indented below what follows from them."""
        said = self.how or f"source: {self.source}"
        yield f"{'  ' * depth}{self.name} = {self.value:,.5g} {self.unit}".rstrip() + f"  [{said}]"
        for node in self.inputs:
            yield from node.lines(depth + 1)


def explain(key: str, work: Workload, system: System, row: Row, one: Row, constants: calibrate.Constants) -> Node:
    """The tree of a number of a row.  key: of KEYS.  one: the row of one system."""
    step = step_seconds(work, system, row, constants)
    if key == "step_seconds":
        return step
    if key == "tokens_per_second":
        tokens = Node("tokens", work.tokens, "", "batch x tokens of a sequence", inputs=(_batch(work), _sequence(work)))
        return Node(key, work.tokens / row.outcome.seconds, "1/s", "tokens / step_seconds", inputs=(tokens, step))
    alone = step_seconds(work, system, one, constants)
    how = "step_seconds of 1 system / step_seconds, at most the number of systems"
    return Node(key, row.speedup, "", how, inputs=(alone, step))


def step_seconds(work: Workload, system: System, row: Row, constants: calibrate.Constants) -> Node:
    """The step of a row and its parts."""
    o = row.outcome
    computed = _pass(work, system, row, constants)
    passes = _passes(work, system, row)
    link, streams = _link(system), _streams(work, system)
    network, jitter = system.network, Node("jitter", system.jitter, "", source="--jitter, or the middle of priors.toml")
    return Node(
        f"step_seconds of {row.systems} systems",
        o.seconds,
        "s",
        "simulated event by event: forward + backward + starved + blocked + drain + updating + fill",
        inputs=(
            Node(
                "forward",
                o.forward,
                "s",
                "passes x a third of the computing, or the stash / link",
                inputs=(passes, computed),
            ),
            Node("backward", o.backward, "s", "passes x two thirds of the computing, or the stash / link"),
            Node(
                "starved",
                o.starved_forward + o.starved_backward,
                "s",
                "waiting for weights: streamed bytes / link, where it is longer than computing",
                inputs=(*streams, link),
            ),
            Node("blocked", o.blocked, "s", "waiting for a buffer of gradients"),
            Node(
                "drain", o.drain, "s", "last gradients to MemoryX, and the wait for the slowest wafer", inputs=(jitter,)
            ),
            Node(
                "updating",
                o.updating,
                "s",
                f"what the update ({system.update}) exposes",
                inputs=(_update(work, system),),
            ),
            Node(
                "fill",
                o.fill,
                "s",
                "first layer's weights to the wafers",
                inputs=(
                    Node(
                        "tiers",
                        network.depth(row.systems),
                        "",
                        source="SwarmX nodes have four children (vendor's glossary)",
                    ),
                    Node("hop", network.hop, "s", source="assumption: 2 to 10 us, priors.toml"),
                ),
            ),
        ),
    )


def _batch(work: Workload) -> Node:
    return Node("batch", work.batch, "sequences", source="--batch, or what fills the largest cluster once")


def _sequence(work: Workload) -> Node:
    return Node("sequence", work.sequence, "tokens", source=f"--sequence, or model {work.model.name}")


def _passes(work: Workload, system: System, row: Row) -> Node:
    machine, division = system.machine, row.division
    room = Node(
        "room",
        division.room,
        "sequences",
        f"{microbatch.FREE} x memory / (bytes of a token x sequence)",
        inputs=(
            Node("memory", machine.wafer_memory, "B", source=PARAMETER["wafer_bytes"].source),
            Node(
                "bytes of a token", microbatch.token_bytes(work.model), "B", source="tensors of a layer, 16 bits each"
            ),
            _sequence(work),
        ),
    )
    share = Node("share", division.share, "sequences", "batch / systems, rounded up", inputs=(_batch(work),))
    return Node("passes", division.passes, "", "share / room, rounded up, or --micro-batch", inputs=(share, room))


def _pass(work: Workload, system: System, row: Row, constants: calibrate.Constants) -> Node:
    machine = system.machine
    tokens = row.division.mean * work.sequence
    terms = calibrate.pass_terms(constants.family, work, tokens, machine, constants.level)
    names = {"peak": ("products with weights", "attention"), "kernels": ("kernels without attention", "attention")}
    units = {"peak": "at peak", "kernels": "of executed kernels"}[constants.family]
    fitted = "fitted to twelve published runs on CS-2 (wse/costs/cs2_points.csv, wse validate --system)"
    inputs = [
        Node(
            name,
            term * value,
            "s",
            "seconds x factor",
            inputs=(
                Node(f"seconds {units}", term, "s", "of a pass's tokens", inputs=_rates(machine, constants, tokens)),
                Node("factor", value, "", source=fitted),
                *_policy(work, machine, tokens, constants, term, i),
            ),
        )
        for i, (name, term, value) in enumerate(zip(names[constants.family], terms, constants.values, strict=False))
    ]
    inputs.append(
        Node(
            "overhead",
            terms[-1] * constants.values[-1],
            "s",
            "layers, scaled as above, x seconds",
            inputs=(
                Node("layers", work.depth, "", source=f"model {work.model.name}"),
                Node("seconds of a layer in a pass", constants.values[-1], "s", source=fitted),
            ),
        )
    )
    return Node("computing of a pass", float(terms @ constants.values), "s", "sum of", inputs=tuple(inputs))


def _policy(
    work: Workload, machine: Machine, tokens: float, constants: calibrate.Constants, term: float, which: int
) -> tuple[Node, ...]:
    """What the policy of precision changes in the seconds of one kind of operators, and what bounds products."""
    found = []
    if constants.family == "peak":
        sparse = work.density + (1 + work.density)  # of a forward product and two backward
        flops = 2 * work.matmul * sparse if which == 0 else sum(layer.mixing for layer in work.layers)
        times = 1.0 if machine.name == calibrate.ARCH else calibrate.slack()
        plain = tokens * flops / machine.peak_flops * times
        if plain and abs(term / plain - 1) > 1e-9:
            source = (
                f"executed kernels: {constants.level} over {policies.DEFAULT}, and experts, whose weights pass at the "
                "pace of the row with most of their tokens (wse costs); is in the seconds"
            )
            found.append(Node("ratio of kernels", term / plain, "", source=source))
    if which == 0:
        least = policies.floor(work, tokens, machine, constants.level)
        source = f"ports of a PE's memory, {constants.level}: sums read and written for each weight"
        found.append(Node("bound of products", least, "s", source=source))
    return tuple(found)


def _rates(machine: Machine, constants: calibrate.Constants, tokens: float) -> tuple[Node, ...]:
    count = Node("tokens of a pass", tokens, "", "sequences of a pass x tokens of a sequence")
    if constants.family != "peak":
        return (count, Node("clock", machine.peak_clock_hz, "Hz", source=PARAMETER["peak_clock_hz"].source))
    rows = ("usable_pes", "peak_clock_hz", "pe_flops_milli")
    peak = Node(
        "peak",
        machine.peak_flops,
        "FLOP/s",
        "PEs x clock x FLOP a cycle",
        inputs=tuple(
            Node(name, machine.params[name], PARAMETER[name].unit, source=PARAMETER[name].source) for name in rows
        ),
    )
    if machine.name == calibrate.ARCH:
        return (count, peak)
    pairs = tuple(
        Node(f"of {name}", value, "", source="wse/costs/cs3_pairs.csv") for name, value in calibrate.slacks().items()
    )
    return (count, peak, Node("slack", calibrate.slack(), "", "geometric mean", inputs=pairs))


def _link(system: System) -> Node:
    return Node("link", system.network.bandwidth, "B/s", source="--link, or 12 x 100 GbE (product pages)")


def _streams(work: Workload, system: System) -> tuple[Node, ...]:
    return (
        Node("weights of a pass", work.streamed, "", source=f"model {work.model.name}"),
        Node(
            "bytes of a weight", work.stream_bytes(system.weight_bytes), "B", source="16 bits; with --density, an index"
        ),
        Node("bytes of a gradient", system.gradient_bytes, "B", source="--gradient-bytes, or 4"),
    )


def _update(work: Workload, system: System) -> Node:
    memory = system.memoryx
    arrays = 2 + len(OPTIMIZER.slots)
    share = ddr5.sequential(memory.part, arrays, arrays)
    bandwidth = Node(
        "bandwidth",
        system.update_bandwidth,
        "B/s",
        "channels x peak of a channel x share",
        inputs=(
            Node(
                "channels",
                memory.nodes * memory.channels,
                "",
                source="--memoryx in DIMMs of 96 GB, or --nodes, --channels",
            ),
            Node("peak of a channel", memory.part.peak, "B/s", source=f"DDR5-{memory.part.speed}: 8 bytes a transfer"),
            Node("share", share, "", source=f"simulated accesses, {arrays} arrays read and written (docs/memoryx.md)"),
        ),
    )
    return Node(
        "update",
        system.update_seconds(work.parameters),
        "s",
        "parameters x bytes / bandwidth",
        inputs=(
            Node("parameters", work.parameters, "", source=f"model {work.model.name}"),
            Node(
                "bytes of a parameter",
                sum(OPTIMIZER.traffic),
                "B",
                source="AdamW in f32, read and written, 16-bit copy",
            ),
            bandwidth,
        ),
    )
