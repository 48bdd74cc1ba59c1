"""A graph cut into segments between which one activation passes, so that they can be executed one at a time.

GPT-2 gives: embedding and positions; for each layer, attention and MLP with norms and residual additions; the last
norm.  Segments of the same operators and sizes, such as those of equal layers, are of one kind and share a program.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import ConfigError
from ..models.graph import Graph, Operator
from ..records import dataclass
from .schedule import BACKWARD, FORWARD, Buffer, Call, schedule


@dataclass(frozen=True)
class Segment:
    """Consecutive operators.  takes: the tensor that enters, "" if tokens do.  gives: the tensor that leaves."""

    operators: tuple[Operator, ...]
    takes: str
    gives: str

    @property
    def parameters(self) -> list[str]:
        """The names of its parameters, in order; those of segments of one kind correspond."""
        return [p.name for o in self.operators for p in o.parameters.values()]

    @property
    def kind(self) -> tuple:
        """What segments that can share a program have in common."""
        numbers: dict[str, int] = {}

        def local(names: Iterable[str]) -> tuple[int, ...]:
            return tuple(numbers.setdefault(name, len(numbers)) for name in names)

        return tuple(
            (
                o.kind,
                local(o.inputs),
                local(o.outputs),
                o.features,
                tuple((role, p.shape) for role, p in o.parameters.items()),
                tuple(sorted((key, repr(value)) for key, value in o.attributes.items())),
            )
            for o in self.operators
        )


def cut(graph: Graph) -> tuple[list[Segment], Operator]:
    """The segments before the head, and the head: the linear operator that makes the logits.

    Raises ConfigError if the graph does not end with a head and a loss, and for a cap of the logits.
    """
    *body, head, loss = graph.operators
    if head.kind != "linear" or loss.inputs != head.outputs:
        raise ConfigError(f"{graph.model.name} does not end with a linear layer that makes the logits of its loss")
    if "softcap" in loss.attributes:
        raise ConfigError(
            f"{graph.model.name} has a cap of logits, which is executed where the PEs hold the logits of all entries: "
            "without --offload"
        )
    last = {name: number for number, o in enumerate((*body, head)) for name in o.inputs}
    pieces: list[Segment] = []
    begin, takes = 0, ""
    living: set[str] = set()
    for number, o in enumerate(body):
        living = {name for name in living | set(o.outputs) if last.get(name, -1) > number}
        if len(living) == 1:
            (gives,) = living
            pieces.append(Segment(tuple(body[begin : number + 1]), takes, gives))
            begin, takes = number + 1, gives
    if begin < len(body) or pieces[-1].gives != head.inputs[0]:
        raise ConfigError(f"the head of {graph.model.name} needs more than the activation of its last layer")
    joined: list[Segment] = []
    for piece in pieces:
        if joined and not _has_products(joined[-1]) and not _has_products(piece):
            before = joined.pop()
            piece = Segment((*before.operators, *piece.operators), before.takes, piece.gives)
        joined.append(piece)
    return joined, head


def _has_products(segment: Segment) -> bool:
    return any(o.kind == "linear" for o in segment.operators)


@dataclass(frozen=True)
class Passes:
    """The calls of a segment.  forward: it takes the activation that enters and gives the one that leaves.  backward:
    it takes the activation that enters once more, computes what the gradients need, takes the gradient of what left,
    and gives that of what entered."""

    forward: list[Call]
    backward: list[Call]


def passes(segment: Segment, features: dict[str, int], widest: int, over_rows: bool) -> Passes:
    """The calls of a segment.  features: of each tensor.  widest: see Embedding.  Errors as `schedule`."""
    ends = {"widest": widest}
    operators = [replace(o, attributes=o.attributes | ends) if o.kind == "embedding" else o for o in segment.operators]
    operators.append(_end("output", segment.gives, features, ends))
    if segment.takes:
        operators.insert(0, _end("input", segment.takes, features, ends))
    made = schedule(operators, features, over_rows)
    return Passes(made.forward, [*needed(made.forward, made.backward), *made.backward])


def _end(kind: str, tensor: str, features: dict[str, int], attributes: dict[str, int]) -> Operator:
    """An operator by which an activation enters or leaves."""
    ends: tuple[str, ...] = (tensor,)
    inputs, outputs = ((), ends) if kind == "input" else (ends, ())
    return Operator(
        f"{kind} of {tensor}", kind, "", None, inputs, outputs, (features[tensor],) * 2, {}, dict(attributes)
    )


def needed(forward: Sequence[Call], backward: Sequence[Call]) -> list[Call]:
    """Of the forward calls, those whose results the backward calls read, directly or not."""
    written: set[Buffer] = set()
    living: set[Buffer] = set()
    for call in backward:
        living |= set(call.reads.values()) - written
        written |= set(call.writes.values())
    kept = []
    for call in reversed(forward):
        if living & set(call.writes.values()):
            living |= set(call.reads.values())
            kept.append(replace(call, phase=BACKWARD))
    return kept[::-1]


__all__ = ["BACKWARD", "FORWARD", "Passes", "Segment", "cut", "needed", "passes"]
