"""The head of a model whose vocabulary passes in parts: its calls, their memory, and their code.

Tasks: `begin` takes the activation, labels and the loss scale; `take`, for each part, makes the logits of the part and
notes what the softmax needs of them; `finish` makes the loss; `gradient`, for each part, makes the logits once more,
their gradient, and from it those of the part's weights and of the activation; `end` gives the latter.  The weights of
the head are therefore streamed three times.  The gradient of the activation is summed over the parts in f32, or in 16
bits by policy POL2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..errors import MemoryOverflow
from ..models.graph import Operator
from ..operators.code import Code, Vec, register, routine
from ..operators.loss_in_parts import STATISTICS, LossInParts
from ..operators.policy import Policy
from ..records import dataclass
from .arena import Arena, allocate
from .emitter import LABELS, LOSS, SCALE, Emitter
from .schedule import BACKWARD, FORWARD, TILE, TOKENS, Buffer, Call

PART = "part"  # u32 [2]: the first entry of the vocabulary that a part has, and their number
TASKS = ("begin", "take", "finish", "gradient", "end")


class PartsEmitter(Emitter):
    """An Emitter that also knows the calls `parts` of a head, and whose backward products keep two chunks."""

    chunkwise = True

    def parts(self, call: Call) -> None:
        """A call of a head in parts."""
        r, part = self.region, self.part(call)
        if part in ("clear", "narrow"):
            self._sums(call, part)
            return
        made = LossInParts(self.rows(call.operator.features[1]), r.tokens, self.size)
        known = {"labels": LABELS, "scale": SCALE, "loss": self.own(LOSS), "part": PART}
        arguments = (self.allreduce,) if part == "finish" else ()
        self.run(f"parts_{part}", lambda name: getattr(made, part)(name, *arguments), call, **known)

    def _sums(self, call: Call, part: str) -> None:
        """Clears the sums of the activation's gradient, or rounds them to the storage type."""
        (sums,) = (call.writes if part == "clear" else call.reads).values()
        n, size = self.elements(sums.features), 4 if sums.kind == TOKENS else self.size
        c, operands = Code(), ("dy",) if part == "clear" else ("dy", "dx")
        at = [register(operands, operand) for operand in operands]
        if part == "clear":
            c.op("fmovs" if size == 4 else "fmovh", Vec(at[0], n, size), 0.0)
        else:
            move = "fs2h" if size > self.size else "fmovs" if size == 4 else "fmovh"
            c.op(move, Vec(at[1], n, self.size), Vec(at[0], n, size))
        name = f"parts_{part}"
        self.run(name, lambda name: routine(name, operands, c, 0), call)


@dataclass(frozen=True)
class Head:
    """A head in parts of `entries` of the vocabulary.  tasks: calls by name of TASKS."""

    operator: Operator
    entries: int
    tasks: dict[str, list[Call]]
    kept: tuple[Buffer, ...]  # from the first to the last task

    @property
    def vocab(self) -> int:
        """Entries of the vocabulary."""
        return self.operator.features[1]

    @property
    def parts(self) -> list[tuple[int, int]]:
        """(first entry, entries) of each part."""
        return [(at, min(self.entries, self.vocab - at)) for at in range(0, self.vocab, self.entries)]

    def arena(self, columns: int, tokens: int, size: int, works: list[int]) -> Arena:
        """The memory of all tasks.  works: bytes of work space of each call, in order."""
        return allocate(self.calls, columns, tokens, size, self.kept, works)

    @property
    def calls(self) -> list[Call]:
        """All calls in order."""
        return [call for name in TASKS for call in self.tasks[name]]


def head(operator: Operator, entries: int, columns: int, policy: Policy, widest: int) -> Head:
    """The calls of a head.  operator: as in the graph.  entries: of a part.  widest: see Embedding."""
    d = operator.features[0]
    shapes = {role: (entries, *p.shape[1:]) for role, p in operator.parameters.items()}
    parameters = {role: replace(p, shape=shapes[role]) for role, p in operator.parameters.items()}
    part = replace(operator, features=(d, entries), parameters=parameters)
    ends = {"widest": widest}
    enter = Operator("input of head", "input", "head", None, (), operator.inputs, (d, d), {}, ends)
    x, dx = Buffer("head.x", d), Buffer("head.dx", d)
    logits, again, dlogits = (Buffer(f"head.{name}", entries) for name in ("logits", "again", "dlogits"))
    statistics = Buffer("head.statistics", STATISTICS * columns, TOKENS)
    dy = Buffer("head.dy", d, TILE if policy.products == "half" else TOKENS)
    kept = {"statistics": statistics}
    tasks = {
        "begin": [
            Call("input.forward", enter, FORWARD, {}, {"x": x}),
            Call("parts.begin", part, FORWARD, {}, kept),
        ],
        "take": [
            Call("linear.forward", part, FORWARD, {"x": x}, {"y": logits}),
            Call("parts.take", part, FORWARD, {"logits": logits} | kept, kept),
        ],
        "finish": [
            Call("parts.finish", part, FORWARD, kept, kept),
            Call("parts.clear", part, FORWARD, {}, {"dy": dy}),
        ],
        "gradient": [
            Call("linear.forward", part, BACKWARD, {"x": x}, {"y": again}),
            Call("parts.gradient", part, BACKWARD, {"logits": again} | kept, {"dlogits": dlogits}),
            Call("linear.backward.add", part, BACKWARD, {"dy": dlogits, "x": x, "dx": dy}, {"dx": dy}),
        ],
        "end": [
            Call("parts.narrow", part, BACKWARD, {"dy": dy}, {"dx": dx}),
            Call("input.gradient", enter, BACKWARD, {"dx": dx}, {}),
        ],
    }
    return Head(operator, entries, tasks, (x, statistics, dy))


def fitting(vocab: int, columns: int, fits: Callable[[int], bool]) -> int:
    """The entries of a part: as few parts as fit, of one size, a multiple of the columns.

    fits: of a number of entries, whether a part of so many fits.  Raises MemoryOverflow if not even one of each column
    does.
    """
    low, high = 0, -(-vocab // columns)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle * columns):
            low = middle
        else:
            high = middle - 1
    if not low:
        raise MemoryOverflow("the head does not fit into the PEs with one logit of each token: use fewer tokens a row")
    parts = -(-vocab // (low * columns))
    return -(-vocab // (parts * columns)) * columns
