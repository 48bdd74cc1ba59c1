"""Decoding with weights resident in SRAM: time to first token and tokens per second, from executed kernels.

Layers have adjacent regions of equal size, cut at layer boundaries across wafers; each holds its weights in 16 bits and
its share of the keys and values.  A token passes the regions one after the other.  In a region it takes matrix-vector
products, sums for norms and softmax, and attention over the stored context, with the times of the cost models of the
executed kernels (costs/recorded.py), with sums in 16 or in 32 bits.  Nothing is fitted to a published speed.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ..costs import recorded
from ..errors import ConfigError
from ..machine.parameters import WSE3, Machine
from ..models import Operator, Transformer, graph
from ..plan.microbatch import FREE
from ..records import dataclass

TABLE = Path(__file__).with_name("cs3_inference.csv")
WEIGHT_BYTES = KV_BYTES = 2
GEMV = {"f16": "gemv, f16", "f32": "gemv, f16 with f32 sums"}
ALLREDUCE = "allreduce, f32"
WAFERS_LINK_SECONDS = 5e-6  # between wafers, and to the host: "below 5 microseconds" (Hot Chips 2024)
CONTEXT = 1024  # of comparisons: what published speeds were measured with is not said


@dataclass(frozen=True)
class Operation:
    """A kernel of a layer: cycles from entry to result, and cycles until the next token may enter."""

    name: str
    latency: float
    interval: float


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
        """Tokens per second of one sequence."""
        return 1 / self.token_seconds

    def first_token_seconds(self, prompt: int) -> float:
        """Seconds until the first token: the prompt's tokens enter at the rate of the slowest kernel; the last one
        passes all layers."""
        operations = (o for part in (*(layer for _, layer in self.kinds), self.head) for o in part)
        slowest = max(o.interval for o in operations) / self.clock_hz
        return self.token_seconds + (prompt - 1) * slowest


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
    """Model the decoding of one user with `context` tokens of context.  sums: "f16" or "f32", of the products.

    wafers: None: as many as hold the weights.  ConfigError if those given do not.  machine: its memory, its PEs and its
    clock are used; cycles of kernels are those of a WSE-3.
    """
    if not model.decodes:
        raise ConfigError(f"model {model.name} predicts no next token: decoding is of decoders, and it is none")
    if context > model.sequence and model.body != "state-space":  # which has no longest sequence
        raise ConfigError(
            f"model {model.name} has sequences of at most {model.sequence:,} tokens: "
            f"it cannot decode with {context:,} tokens of context"
        )
    if sums not in GEMV:
        raise ConfigError(f"sums of products are f16 or f32, not {sums!r}")
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
    kinds: dict[tuple[Operation, ...], int] = {}
    parts = made.parts()
    for number in model.first_like:
        own = tuple(_layer(model, parts[f"layers.{number}"], min(context, model.block(number).window or context),
                           side, sums))  # fmt: skip
        kinds[own] = kinds.get(own, 0) + 1
    layers = tuple((count, own) for own, count in kinds.items())
    head = (
        _norm("norm", head_side),
        _product("head", model.vocab, model.d_model, head_side, sums),
        _reduction("choice of the token", head_side, 2),
    )
    between = float(side[0] + math.ceil(model.d_model / side[1]))
    memory = made.weights * WEIGHT_BYTES, model.kv_numbers(context) * KV_BYTES
    return Decoding(model.name, wafers, side, context, machine.clock_hz, layers, head, between, sums, *memory)


def _side(pes: float, machine: Machine) -> tuple[int, int]:
    side = max(2, int(math.sqrt(pes)))
    return min(side, machine.fabric_width), min(
        max(2, int(pes / min(side, machine.fabric_width))), machine.fabric_height
    )


def _layer(
    model: Transformer, operators: list[Operator], context: int, side: tuple[int, int], sums: str
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
            yield _norm(f"norm {norms}", side)
        elif o.kind == "linear" and (together := products.pop(o.inputs[0], None)):
            rows = sum(p.features[1] for p in together)
            yield _product(", ".join(p.name.rpartition(".")[2] for p in together), rows, o.features[0], side, sums)
        elif o.kind == "experts":
            yield from _experts(o, side, sums)
        elif o.kind == "scan":
            yield _scan(o, side)
        elif o.kind == "attention":
            yield from _attention(model, o, context, side, sums)


def _scan(o: Operator, side: tuple[int, int]) -> Operation:
    """A step of the state, which lies on all PEs: three passes over it."""
    elements = o.attributes["heads"] * o.attributes["d_head"] * o.attributes["state"]
    cycles = 3 * recorded.fitted("residual").cycles(n=math.ceil(elements / (side[0] * side[1])))
    return Operation("scan", cycles, cycles)


def _experts(o: Operator, side: tuple[int, int], sums: str) -> Iterator[Operation]:
    """The active experts of a token, as one MLP of all their features."""
    active, d = int(o.attributes["active"]), o.features[0]
    ups = [role for role in ("up", "gate") if role in o.parameters]
    wide = active * o.parameters["up"].shape[1]
    yield _product(", ".join(ups), wide * len(ups), d, side, sums)
    yield _product("down", d, wide, side, sums)


def _product(name: str, rows: int, columns: int, side: tuple[int, int], sums: str) -> Operation:
    """A product; the next token may enter when a PE is done with its columns and sums."""
    w, h = side
    fit = recorded.fitted(GEMV[sums])
    latency = fit.cycles(M=rows, K=columns, w=w, h=h)
    # Without the way along row and column, and without the start: what the busiest PE works.
    constants = dict(zip(fit.model.terms, fit.constants, strict=True))
    way = constants["a PE along the row"] * w + constants["a PE down the column"] * h + constants["start"]
    return Operation(name, latency, max(latency - way, 1.0))


def _norm(name: str, side: tuple[int, int]) -> Operation:
    return _reduction(name, side, 2)


def _reduction(name: str, side: tuple[int, int], length: int) -> Operation:
    """A sum over a row of the region, to all of it."""
    fit = recorded.fitted(ALLREDUCE)
    latency = fit.cycles(w=side[0], h=1, length=length)
    return Operation(name, latency, length * 10.0)


def _attention(model: Transformer, o: Operator, context: int, side: tuple[int, int], sums: str) -> Iterator[Operation]:
    """Heads of keys side by side, each in columns of its own: scores, softmax (maximum, sum), weighted sum."""
    w, h = side
    across = max(2, w // model.kv_heads)
    group = model.heads // model.kv_heads
    rounds = math.ceil(model.kv_heads / max(1, w // across))
    scores = _product("scores", context, model.d_head, (across, h), sums)
    mixed = _product("weighted sum", int(o.attributes.get("d_value", model.d_head)), context, (across, h), sums)
    times = group * rounds
    yield Operation(scores.name, scores.latency + (times - 1) * scores.interval, times * scores.interval)
    yield _reduction("softmax: maximum", (h, 1), group)
    yield _reduction("softmax: sum", (h, 1), group)
    yield Operation(mixed.name, mixed.latency + (times - 1) * mixed.interval, times * mixed.interval)


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
