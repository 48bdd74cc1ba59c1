"""Decoding with weights resident in SRAM: time to first token, tokens per second, and what speculation must yield.

Layers have adjacent regions of equal size, cut at layer boundaries across wafers; each holds its weights in 16 bits and
its share of the keys and values.  A token passes the regions one after the other.  In a region it takes matrix-vector
products, sums for norms and softmax, and attention over the stored context.  Nothing is fitted to a published speed.

Three laws give the cycles of an operation:

    f16, f32   the cost models of executed kernels (costs/recorded.py), with sums in 16 or in 32 bits
    bound      what no kernel can undercut: an operation is started once, partial sums cross the region's row and the
               result its column at the cycles of a hop, and a PE reads each of its weights once, 8 in a cycle

An operation's cycles are divided into launch, hops and work, so that it can be said what bounds a token.  The clock is
that of models of whole wafers (peak_clock_hz), as in `wse system`.

Speculation: a draft proposes k tokens, one after the other; the model checks them in one pass, in which the positions
follow each other at the interval of the slowest kernel.  With the probability a that a proposed token is accepted, all
before it being accepted, a pass yields 1 + a + ... + a^k tokens.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Protocol

from ..costs import recorded
from ..errors import ConfigError
from ..machine.parameters import WSE3, Machine
from ..models import Operator, Transformer, graph
from ..plan.microbatch import FREE
from ..records import dataclass

TABLE = Path(__file__).with_name("cs3_inference.csv")
WEIGHT_BYTES = KV_BYTES = 2
GEMV = {"f16": "gemv, f16", "f32": "gemv, f16 with f32 sums"}
BOUND = "bound"
LAWS = (*GEMV, BOUND)
ALLREDUCE = "allreduce, f32"
WEIGHTS_A_CYCLE = 8  # 16-bit weights through two read ports of 64 bits
DRAFTED = 4  # tokens of a draft, unless given: what published speeds use is not public
WAFERS_LINK_SECONDS = 5e-6  # between wafers, and to the host: "below 5 microseconds" (Hot Chips 2024)
CONTEXT = 1024  # of comparisons: what published speeds were measured with is not said


@dataclass(frozen=True)
class Operation:
    """A kernel of a layer: cycles from entry to result, and cycles until the next token may enter.

    launch, hops: cycles of the latency that start operations, and in which wavelets cross the region; the rest is work.
    """

    name: str
    latency: float
    interval: float
    launch: float = 0.0
    hops: float = 0.0


@dataclass(frozen=True)
class Decoding:
    """Decoding for one user.

    kinds: (number of layers, their operations) for the layers of each make; head: operations of the head.
    """

    model: str
    wafers: int
    region: tuple[int, int]
    context: int
    clock_hz: int
    kinds: tuple[tuple[int, tuple[Operation, ...]], ...]
    head: tuple[Operation, ...]
    between: float  # cycles from a region to the next
    sums: str
    weight_bytes: int
    kv_bytes: int  # keys and values, latents or states of all layers, of one sequence

    @property
    def layers(self) -> int:
        """Number of layers."""
        return sum(count for count, _ in self.kinds)

    @property
    def layer(self) -> tuple[Operation, ...]:
        """The operations of the first layer."""
        return self.kinds[0][1]

    @property
    def layer_seconds(self) -> float:
        """Seconds that a token takes in a layer, on average over the layers."""
        cycles = sum(count * sum(o.latency for o in layer) for count, layer in self.kinds) / self.layers
        return (cycles + self.between) / self.clock_hz

    @property
    def token_seconds(self) -> float:
        """Seconds that a token takes in all layers, the head and the links between wafers."""
        head = sum(o.latency for o in self.head) / self.clock_hz
        return self.layers * self.layer_seconds + head + (self.wafers + 1) * WAFERS_LINK_SECONDS

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second of one sequence, one after the other."""
        return 1 / self.token_seconds

    @property
    def slowest_seconds(self) -> float:
        """Seconds after which the next position may follow: the interval of the slowest kernel."""
        return (
            max(o.interval for part in (*(layer for _, layer in self.kinds), self.head) for o in part) / self.clock_hz
        )

    def shares(self) -> dict[str, float]:
        """The shares of a token's seconds: launch, hops, work, between (regions) and links (of wafers)."""
        whole = [(count, o) for count, layer in self.kinds for o in layer] + [(1, o) for o in self.head]
        cycles = {
            "launch": sum(count * o.launch for count, o in whole),
            "hops": sum(count * o.hops for count, o in whole),
            "work": sum(count * (o.latency - o.launch - o.hops) for count, o in whole),
            "between": self.layers * self.between,
        }
        found = {name: value / self.clock_hz / self.token_seconds for name, value in cycles.items()}
        return found | {"links": (self.wafers + 1) * WAFERS_LINK_SECONDS / self.token_seconds}

    @property
    def draft_seconds(self) -> float:
        """Seconds of a drafted token if the draft is one more layer and the head (multi-token prediction)."""
        return self.layer_seconds + sum(o.latency for o in self.head) / self.clock_hz

    def pass_seconds(self, drafted: int, draft_seconds: float | None = None) -> float:
        """Seconds of a pass that checks so many drafted tokens, the draft's own included.

        draft_seconds: of a drafted token; None: those of a layer and the head.
        """
        each = self.draft_seconds if draft_seconds is None else draft_seconds
        return self.token_seconds + drafted * (self.slowest_seconds + each)

    def implied_acceptance(
        self, tokens_per_second: float, drafted: int = DRAFTED, draft_seconds: float | None = None
    ) -> float | None:
        """The acceptance that gives a speed; None if no acceptance from 0 to 1 does."""
        wanted = tokens_per_second * self.pass_seconds(drafted, draft_seconds)
        if not 1 <= wanted <= drafted + 1:
            return None
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if tokens_of_pass(middle, drafted) < wanted else (low, middle)
        return (low + high) / 2

    def first_token_seconds(self, prompt: int) -> float:
        """Seconds until the first token: the prompt's tokens enter at the rate of the slowest kernel; the last one
        passes all layers."""
        return self.token_seconds + (prompt - 1) * self.slowest_seconds


def tokens_of_pass(acceptance: float, drafted: int) -> float:
    """Tokens that a pass yields on average: 1 + a + ... + a^drafted."""
    return sum(acceptance**i for i in range(drafted + 1))


def wafers_needed(model: Transformer, context: int, users: int = 1, machine: Machine = WSE3) -> int:
    """Number of wafers whose SRAM holds the weights in 16 bits and the users' keys and values."""
    made = graph(model)
    kv = model.kv_numbers(context) * users * KV_BYTES
    return math.ceil((made.weights * WEIGHT_BYTES + kv) / (FREE * machine.wafer_memory))


def decode(
    model: Transformer,
    context: int = CONTEXT,
    wafers: int | None = None,
    sums: str = "f16",
    machine: Machine = WSE3,
) -> Decoding:
    """Model the decoding of one user with `context` tokens of context.  sums: a law of LAWS.

    wafers: None: as many as hold the weights.  ConfigError if those given do not.  machine: its memory, its PEs and
    its clock are used; cycles of kernels are those of a WSE-3.  A context beyond the model's sequence is an error for
    a table of positions; rotary and other positions are assumed to be extended, as those of Llama 3.1 are.
    """
    if not model.decodes:
        raise ConfigError(f"model {model.name} predicts no next token: decoding is of decoders, and it is none")
    if context > model.sequence and model.positions == "learned" and model.body != "state-space":
        raise ConfigError(
            f"model {model.name} has sequences of at most {model.sequence:,} tokens: "
            f"it cannot decode with {context:,} tokens of context"
        )
    if sums not in LAWS:
        raise ConfigError(f"sums of products are f16 or f32, or {BOUND} for the bound, not {sums!r}")
    needed = wafers_needed(model, context, machine=machine)
    if wafers is None:
        wafers = needed
    elif wafers < needed:
        raise ConfigError(f"{model.name} needs {needed} wafers for its weights and {context} tokens, not {wafers}")
    made = graph(model)
    head_weights = model.vocab * model.d_model
    block = (made.weights - head_weights * (1 if model.tied else 2)) / model.layers
    # A region's share of all PEs is its share of the weights that are multiplied by.
    pes = wafers * machine.fabric_width * machine.fabric_height * FREE
    share = pes / (model.layers * block + head_weights)
    side = _side(share * block, machine)
    head_side = _side(min(share * head_weights, machine.fabric_width * machine.fabric_height), machine)
    law = _law(sums, machine)
    kinds: dict[tuple[Operation, ...], int] = {}
    parts = made.parts()
    for number in model.first_like:
        seen = min(context, model.block(number).window or context)
        own = tuple(_layer(model, parts[f"layers.{number}"], seen, side, law))
        kinds[own] = kinds.get(own, 0) + 1
    layers = tuple((count, own) for own, count in kinds.items())
    head = (
        law.reduction("norm", head_side, 2),
        law.product("head", model.vocab, model.d_model, head_side),
        law.reduction("choice of the token", head_side, 2),
    )
    between = float(side[0] + math.ceil(model.d_model / side[1]))
    memory = made.weights * WEIGHT_BYTES, model.kv_numbers(context) * KV_BYTES
    return Decoding(model.name, wafers, side, context, machine.peak_clock_hz, layers, head, between, sums, *memory)


def _side(pes: float, machine: Machine) -> tuple[int, int]:
    side = max(2, int(math.sqrt(pes)))
    return min(side, machine.fabric_width), min(
        max(2, int(pes / min(side, machine.fabric_width))), machine.fabric_height
    )


def _layer(
    model: Transformer, operators: list[Operator], context: int, side: tuple[int, int], law: Law
) -> Iterator[Operation]:
    """The operations of a layer, in the order of its operators.  context: tokens that its attention sees.

    Products of one input by different weights are one product; what works on single elements takes no time beside it.
    """
    norms = 0
    products: dict[str, list[Operator]] = {}
    for o in operators:
        if o.kind == "linear":
            products.setdefault(o.inputs[0], []).append(o)
    for o in operators:
        if o.kind in ("layernorm", "rmsnorm") and "heads" not in o.attributes:
            norms += 1
            yield law.reduction(f"norm {norms}", side, 2)
        elif o.kind == "linear" and (together := products.pop(o.inputs[0], None)):
            rows = sum(p.features[1] for p in together)
            names = ", ".join(p.name.rpartition(".")[2] for p in together)
            yield law.product(names, rows, o.features[0], side)
        elif o.kind == "experts":
            yield from _experts(o, side, law)
        elif o.kind == "scan":
            yield _scan(o, side)
        elif o.kind == "attention":
            yield from _attention(model, o, context, side, law)


def _scan(o: Operator, side: tuple[int, int]) -> Operation:
    """A step of the state, which lies on all PEs: three passes over it."""
    elements = o.attributes["heads"] * o.attributes["d_head"] * o.attributes["state"]
    cycles = 3 * recorded.fitted("residual").cycles(n=math.ceil(elements / (side[0] * side[1])))
    return Operation("scan", cycles, cycles)


def _experts(o: Operator, side: tuple[int, int], law: Law) -> Iterator[Operation]:
    """The active experts of a token, as one MLP of all their features."""
    active, d = int(o.attributes["active"]), o.features[0]
    ups = [role for role in ("up", "gate") if role in o.parameters]
    wide = active * o.parameters["up"].shape[1]
    yield law.product(", ".join(ups), wide * len(ups), d, side)
    yield law.product("down", d, wide, side)


class Law(Protocol):
    """The cycles of operations on a region of `side` (width, height) PEs."""

    def product(self, name: str, rows: int, columns: int, side: tuple[int, int]) -> Operation:
        """A matrix-vector product; the next token may enter when a PE is done with its columns and sums."""

    def reduction(self, name: str, side: tuple[int, int], length: int) -> Operation:
        """A sum of `length` numbers over a row of the region, to all of it."""


@dataclass(frozen=True)
class Executed:
    """Cost models of executed kernels.  sums: "f16" or "f32"."""

    sums: str

    def product(self, name: str, rows: int, columns: int, side: tuple[int, int]) -> Operation:
        """See Law."""
        w, h = side
        fit = recorded.fitted(GEMV[self.sums])
        latency = fit.cycles(M=rows, K=columns, w=w, h=h)
        constants = dict(zip(fit.model.terms, fit.constants, strict=True))
        hops = constants["a PE along the row"] * w + constants["a PE down the column"] * h
        launch = constants["start"]
        return Operation(name, latency, max(latency - hops - launch, 1.0), launch, hops)

    def reduction(self, name: str, side: tuple[int, int], length: int) -> Operation:
        """See Law."""
        fit = recorded.fitted(ALLREDUCE)
        latency = fit.cycles(w=side[0], h=1, length=length)
        constants = dict(zip(fit.model.terms, fit.constants, strict=True))
        hops = constants["a hop"] * (side[0] + 1)
        return Operation(name, latency, length * 10.0, constants["start"], hops)


@dataclass(frozen=True)
class Bound:
    """What no kernel on the machine can undercut."""

    machine: Machine

    @property
    def start(self) -> int:
        """Cycles from a router to the first element of the operation that a wavelet starts, and back to the router."""
        m = self.machine
        return m.ramp_in_cycles + m.task_start_cycles + m.op_start_cycles + m.ramp_out_cycles

    def product(self, name: str, rows: int, columns: int, side: tuple[int, int]) -> Operation:
        """See Law."""
        w, h = side
        work = math.ceil(rows * columns / (w * h)) / WEIGHTS_A_CYCLE
        return Operation(name, self.start + (w + h) * self.machine.hop_cycles + work, max(work, 1.0), self.start,
                         (w + h) * self.machine.hop_cycles)  # fmt: skip

    def reduction(self, name: str, side: tuple[int, int], length: int) -> Operation:
        """See Law: to the middle of the row and back."""
        hops = side[0] * self.machine.hop_cycles
        return Operation(name, self.start + hops + length, float(length), self.start, hops)


def _law(sums: str, machine: Machine) -> Law:
    return Bound(machine) if sums == BOUND else Executed(sums)


def _attention(model: Transformer, o: Operator, context: int, side: tuple[int, int], law: Law) -> Iterator[Operation]:
    """Heads of keys side by side, each in columns of its own: scores, softmax (maximum, sum), weighted sum.

    The context lies along the rows or the columns of a head's PEs, whichever is faster.
    """
    w, h = side
    across = max(2, w // model.kv_heads)
    group = model.heads // model.kv_heads
    times = group * math.ceil(model.kv_heads / max(1, w // across))
    d_value = int(o.attributes.get("d_value", model.d_head))

    def faster(name: str, rows: int, columns: int) -> Operation:
        both = (law.product(name, rows, columns, at) for at in ((across, h), (h, across)))
        return _repeated(min(both, key=lambda made: made.latency + (times - 1) * made.interval), times)

    yield faster("scores", context, model.d_head)
    yield law.reduction("softmax: maximum", (h, 1), group)
    yield law.reduction("softmax: sum", (h, 1), group)
    yield faster("weighted sum", d_value, context)


def _repeated(o: Operation, times: int) -> Operation:
    """An operation for several heads, one after the other."""
    return replace(o, latency=o.latency + (times - 1) * o.interval, interval=times * o.interval)


@dataclass(frozen=True)
class Published:
    """A published speed."""

    model: str
    systems: int | None
    tokens_per_second: float
    method: str
    source: str


@cache
def published() -> tuple[Published, ...]:
    """The published speeds, in the order of the table."""
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return tuple(
        Published(
            row["model"],
            int(row["systems"]) if row["systems"] else None,
            float(row["tokens_per_second"]),
            row["method"],
            row["source"],
        )
        for row in csv.DictReader(lines)
    )
