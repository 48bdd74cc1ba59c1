"""How many sequences a pass of weight streaming takes: as many as one layer's activations leave room for.

If not one fits, one is taken, and what memory does not hold leaves the wafer (system.analytic.stash_bytes).

The wafer holds one layer at a time, and of it every tensor that its backward pass needs again, in 16 bits.  Counted on
the graph that is 36 bytes per token and feature of a GPT layer (18 tensors of the width d, the MLP's hidden ones four
times as wide), so a 40 GB wafer of which 0.9 is free for data takes 1.0e9 / (sequence x d) sequences.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..models import Operator, Transformer, graph
from ..records import dataclass
from .region import ACTIVATION_BYTES

# Free for activations: the rest is code, buffers of weights that pass, stack.  As in floorplan.USABLE_MEMORY.
FREE = 0.9

TABLE = Path(__file__).with_name("micro_batches_cs2.csv")


def kept(operator: Operator) -> int:
    """Features per token that an operator keeps for its backward pass: its result, and what its experts make of a token
    inside: of each active one the products, the activation and the output."""
    result = operator.features[1]
    if operator.kind != "experts":
        return result
    shapes = {role: p.shape for role, p in operator.parameters.items() if len(p.shape) == 3}
    widths = [wide for wide, _ in (shape[1:] for shape in shapes.values())]
    hidden = max(wide for wide, deep in (shape[1:] for shape in shapes.values()) if deep == operator.features[0])
    router = int(operator.attributes["experts"])
    return result + router + int(operator.attributes["active"]) * (sum(widths) + hidden)


@cache
def token_bytes(model: Transformer) -> float:
    """Bytes per token that the widest layer keeps between forward and backward: every tensor it makes, in 16 bits."""
    made = graph(model)
    features: dict[int, int] = {}
    for operator in made.operators:
        if operator.layer is not None and not operator.once:
            features[operator.layer] = features.get(operator.layer, 0) + kept(operator)
    # The kept results of the layer before stand in for its own last one, so nothing is counted twice.
    return float(max(features.values()) * ACTIVATION_BYTES)


@dataclass(frozen=True)
class MicroBatch:
    """The division of a batch into passes of whole sequences.

    batch: sequences of a step on all systems.  passes: of a step, the same on each system.  room: sequences that memory
    would take, with a fraction.
    """

    batch: int
    systems: int
    passes: int
    room: float

    @property
    def share(self) -> int:
        """Sequences of the busiest system in a step."""
        return -(-self.batch // self.systems)

    @property
    def sequences(self) -> int:
        """Sequences of the largest pass."""
        return -(-self.share // self.passes)

    @property
    def mean(self) -> float:
        """Sequences of a pass of the busiest system, on average."""
        return self.share / self.passes

    def mix(self) -> tuple[tuple[int, float], ...]:
        """(sequences, share of the passes) of the passes of the busiest system, which differ by one at most."""
        small, more = divmod(self.share, self.passes)
        shares = ((small, 1 - more / self.passes), (small + 1, more / self.passes))
        return tuple((size, share) for size, share in shares if share)

    def sizes(self) -> np.ndarray:
        """int64 [passes, systems]: sequences of each pass; they add up to the batch and differ by one at most on a
        system.

        The first systems and the first passes have one more where the division leaves a remainder.
        """
        shares = self.batch // self.systems + (np.arange(self.systems) < self.batch % self.systems)
        return shares // self.passes + (np.arange(self.passes)[:, None] < shares % self.passes)


@cache
def operator_bytes(model: Transformer) -> float:
    """Bytes per token of the operator with the largest inputs and result, in 16 bits: they are on the wafer at once.
    The result of an operator that works element by element takes the place of an input."""
    whole = ("linear", "experts", "attention", "conv", "scan")
    own = (
        o.features[0] + kept(o) if o.kind in whole else max(o.features)
        for o in graph(model).operators
        if o.layer is not None and not o.once
    )
    return float(max(own) * ACTIVATION_BYTES)


def room(model: Transformer, sequence: int, machine: str | Machine = "wse3", pes: int | None = None) -> float:
    """Sequences whose activations fit: on the whole wafer of the machine, or on so many of its PEs."""
    machine = Machine.of(machine)
    memory = machine.wafer_memory if pes is None else pes * machine.sram_bytes
    return FREE * memory / (token_bytes(model) * sequence)


def tokens_of(model: Transformer, sequence: int | None) -> str:
    """Words for messages: the tokens of a sequence, and where the number is from."""
    if sequence is None:
        return f"{model.sequence:,} tokens (the model's own length; --sequence takes another)"
    return f"{sequence:,} tokens"


def choose(
    model: Transformer,
    batch: int,
    systems: int = 1,
    sequence: int | None = None,
    machine: str | Machine = "wse3",
    micro_batch: int | None = None,
    pes: int | None = None,
) -> MicroBatch:
    """The micro-batch for a global batch of `batch` sequences on `systems` wafers.

    Passes are as few as memory allows, of whole sequences and of sizes that differ by one at most; the vendor's
    automatic choice is a divisor of batch / systems.  micro_batch: the user's own; not more than the share of the
    batch.
    """
    if batch < 1 or systems < 1:
        raise ConfigError(f"a batch of {batch} sequences on {systems} systems: both must be 1 or more")
    if batch < systems:
        raise ConfigError(f"a batch of {batch} sequences leaves some of {systems} systems without any")
    share = -(-batch // systems)
    most = room(model, sequence or model.sequence, machine, pes)
    if micro_batch is None:
        micro_batch = least(most, model, sequence, machine, pes)
    elif micro_batch < 1 or micro_batch > share:
        raise ConfigError(f"micro-batch {micro_batch}: it is 1 to {share}, the share of a system of the batch {batch}")
    return MicroBatch(batch, systems, -(-share // micro_batch), most)


def least(
    most: float, model: Transformer, sequence: int | None, machine: str | Machine = "wse3", pes: int | None = None
) -> int:
    """The sequences of the largest pass: as many as `most`, the room, says; one, if it says less than one, and on the
    whole wafer an operator's inputs and result have room.  Raises ConfigError if not."""
    if most >= 1:
        return int(most)
    machine = Machine.of(machine)
    fits = most * token_bytes(model) / operator_bytes(model)  # sequences of which one operator has room
    if pes is None and fits >= 1:
        return 1
    of = "" if pes is not None else f", one operator's inputs and result {fits:.2f}"
    raise ConfigError(
        f"{model.name}: not one sequence of {tokens_of(model, sequence)} fits on the wafer "
        f"(room for {most:.2f}{of}); take shorter sequences"
    )


@dataclass(frozen=True)
class Compared:
    """A published micro-batch and the law's."""

    model: str
    published: int
    computed: int

    @property
    def error_pct(self) -> float:
        """Error of the computed micro-batch, in percent of the published one."""
        return 100 * (self.computed - self.published) / self.published


def published() -> Iterator[Compared]:
    """The ten micro-batches of the vendor's documentation (sequences of 2,048 tokens, CS-2), and the law's."""
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    for row in csv.DictReader(lines):
        d, heads = int(row["d_model"]), int(row["heads"])
        model = Transformer(
            name=row["model"],
            layers=int(row["layers"]),
            d_model=d,
            heads=heads,
            kv_heads=heads,
            d_ff=4 * d,
            vocab=50257,
            sequence=2048,
        )
        yield Compared(row["model"], int(row["micro_batch"]), int(room(model, 2048, "wse2")))
