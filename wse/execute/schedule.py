"""The calls that PEs execute in one pass of an operator graph, and memory for their operands.

A pass is straight-line: forward in the graph's order, then backward from its end.  A Call is one operator of
wse.operators with buffers as operands; `schedule` makes the list, `allocate` gives buffers addresses in one arena,
where buffers that live at different times share memory.  Both modes make their programs from this: weight streaming
from the whole list, pipelined from the list of each region.

A tensor's gradient is made by the operators that read it, one part each, which are added up.  Where an operator has
no effect on a gradient (residual), the gradient's buffer is passed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import ConfigError
from ..models.graph import Operator

FORWARD, BACKWARD = "forward", "backward"

# What a buffer holds on each PE, for f features in all, of which fx lie in a column, and t tokens in a row.
TILE = "tile"  # [fx][t] elements of the policy's storage type
VECTOR = "vector"  # [fx] f32: gains, biases and their gradients
TOKENS = "tokens"  # [fx][t] f32: numbers for each token, such as statistics of it; one at least in every column


@dataclass(frozen=True)
class Buffer:
    """Memory for an operand.  kind: TILE, VECTOR or TOKENS; features: f there."""

    name: str
    features: int
    kind: str = TILE

    def bytes(self, columns: int, tokens: int, itemsize: int) -> int:
        """On each PE of so many columns, with so many tokens in a row, storage of so many bytes."""
        share = -(-self.features // columns)
        return share * {TILE: itemsize * tokens, VECTOR: 4, TOKENS: 4 * tokens}[self.kind]


@dataclass(frozen=True)
class Call:
    """One operator on its buffers.

    what      the operator and its part, such as "linear.forward", "layernorm.backward"
    reads     role -> buffer that must hold its values when the call begins
    writes    role -> buffer that holds its values when it has ended; a buffer in both is changed in place
    operator  of the graph, with its parameters
    phase     FORWARD or BACKWARD
    """

    what: str
    operator: Operator
    phase: str
    reads: dict[str, Buffer] = field(default_factory=dict)
    writes: dict[str, Buffer] = field(default_factory=dict)

    @property
    def buffers(self) -> dict[str, Buffer]:
        """All operands by role."""
        return self.reads | self.writes


@dataclass
class Schedule:
    """The calls of a pass over some operators of a graph.

    inputs, outputs   activations that come in before, and are there after the forward calls (of other regions)
    gradients_in, gradients_out   the same of the backward calls: gradients of outputs, of inputs
    """

    forward: list[Call] = field(default_factory=list)
    backward: list[Call] = field(default_factory=list)
    inputs: list[Buffer] = field(default_factory=list)
    outputs: list[Buffer] = field(default_factory=list)
    gradients_in: list[Buffer] = field(default_factory=list)
    gradients_out: list[Buffer] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        return self.forward + self.backward


def schedule(operators: Iterable[Operator], features: dict[str, int], over_rows: bool = False) -> Schedule:
    """The calls of consecutive operators of a graph.  features: of each tensor; spread: sequences lie over several rows
    of PEs, for which attention keeps more."""
    return _Scheduler(list(operators), features, over_rows).made


class _Scheduler:
    """tiles: tensor -> buffer; parts: tensor -> buffers that hold parts of its gradient."""

    def __init__(self, operators: list[Operator], features: dict[str, int], over_rows: bool = False):
        self.features, self.made, self.over_rows = features, Schedule(), over_rows
        self.tiles: dict[str, Buffer] = {}
        self.parts: dict[str, list[Buffer]] = {}
        self.products: set[Buffer] = set()  # parts that a linear layer made, which nobody else has
        self.numbers = 0
        self.operator = operators[0]
        written = {name for operator in operators for name in operator.outputs}
        for name in dict.fromkeys(name for operator in operators for name in operator.inputs):
            if name not in written and name != "ids":
                self.made.inputs.append(self.tile(name))
        for self.operator in operators:
            self.part("forward", self.operator)
        last = operators[-1]
        if last.kind != "loss":
            for name in last.outputs:
                self.made.outputs.append(self.tile(name))
                incoming = self.buffer(f"d.{name}", features[name])
                self.made.gradients_in.append(incoming)
                self.parts[name] = [incoming]
        for self.operator in reversed(operators):
            self.part("backward", self.operator)
        self.made.gradients_out = [self.gradient(buffer.name) for buffer in self.made.inputs]

    # --- buffers ------------------------------------------------------------------------------------------------------

    def tile(self, tensor: str) -> Buffer:
        return self.tiles.setdefault(tensor, Buffer(tensor, self.features[tensor]))

    def buffer(self, name: str, features: int, kind: str = TILE) -> Buffer:
        """A new one."""
        self.numbers += 1
        return Buffer(f"{name}.{self.numbers}", features, kind)

    def add_part(self, tensor: str, part: Buffer) -> None:
        self.parts.setdefault(tensor, []).append(part)

    def gradient(self, tensor: str) -> Buffer:
        """Of a tensor, when all that read it have made their parts, which are added up here."""
        parts = self.parts.get(tensor)
        if not parts:
            raise ConfigError(f"nothing makes a gradient of {tensor}, which {self.operator.name} needs")
        total = parts[0]
        for part in parts[1:]:
            both = self.buffer(f"d.{tensor}", self.features[tensor])
            self.call("residual.forward", BACKWARD, {"x": total, "y": part}, {"z": both})
            total = both
        self.parts[tensor] = [total]
        return total

    def call(self, what: str, phase: str, reads: dict[str, Buffer], writes: dict[str, Buffer]) -> None:
        calls = self.made.forward if phase == FORWARD else self.made.backward
        calls.append(Call(what, self.operator, phase, reads, writes))

    # --- operators ----------------------------------------------------------------------------------------------------

    def part(self, phase: str, operator: Operator) -> None:
        name = f"{_FAMILY.get(operator.kind, operator.kind)}_{phase}"
        method = getattr(self, name, None)
        if method is None:
            known = ", ".join(sorted(kind for kind in _EXECUTED))
            raise ConfigError(f"{operator.name} is of kind {operator.kind}, which no kernel executes; known: {known}")
        method(operator)

    def x(self, place: int = 0) -> Buffer:
        return self.tile(self.operator.inputs[place])

    @property
    def y(self) -> Buffer:
        return self.tile(self.operator.outputs[0])

    def dx(self, place: int = 0) -> Buffer:
        """A new part of the gradient of an input."""
        tensor = self.operator.inputs[place]
        part = self.buffer(f"d.{tensor}", self.features[tensor])
        self.add_part(tensor, part)
        return part

    @property
    def dy(self) -> Buffer:
        return self.gradient(self.operator.outputs[0])

    def embedding_forward(self, o: Operator) -> None:
        self.call("embedding.forward", FORWARD, {}, {"x": self.y})

    def embedding_backward(self, o: Operator) -> None:
        self.call("embedding.gradient", BACKWARD, {"dx": self.dy}, {})

    def positions_forward(self, o: Operator) -> None:
        """In place."""
        self.tiles[o.outputs[0]] = self.x()
        self.call("positions.forward", FORWARD, {"x": self.x()}, {"x": self.x()})

    def positions_backward(self, o: Operator) -> None:
        dy = self.dy
        self.call("positions.gradient", BACKWARD, {"dx": dy}, {})
        self.add_part(o.inputs[0], dy)

    def norm_forward(self, o: Operator) -> None:
        d, reads = o.features[1], {"x": self.x()}
        for role in o.parameters:
            vector = self.buffer(f"{o.name}.{role}", d, VECTOR)
            self.call(f"vector.receive.{role}", FORWARD, {}, {role: vector})
            reads[role] = vector
        self.stash(o, "xhat", self.buffer(f"{o.name}.xhat", d))
        self.stash(o, "rstd", self.buffer(f"{o.name}.rstd", 1, TOKENS))
        self.call(f"{o.kind}.forward", FORWARD, reads, {"y": self.y, **self.stashed(o)})

    def norm_backward(self, o: Operator) -> None:
        d, dy = o.features[1], self.dy
        gain = self.buffer(f"{o.name}.gain", d, VECTOR)
        self.call("vector.receive.gain", BACKWARD, {}, {"gain": gain})
        gradients = {f"d{role}": self.buffer(f"{o.name}.d{role}", d, VECTOR) for role in o.parameters}
        reads = {"dy": dy, "gain": gain, **self.stashed(o)}
        self.call(f"{o.kind}.backward", BACKWARD, reads, {"dx": self.dx(), **gradients})
        for role in o.parameters:
            self.call(f"vector.send.{role}", BACKWARD, {role: gradients[f"d{role}"]}, {})

    def linear_forward(self, o: Operator) -> None:
        self.call("linear.forward", FORWARD, {"x": self.x()}, {"y": self.y})

    def linear_backward(self, o: Operator) -> None:
        """Gradients of weight, bias and input, with the weights streamed once.  Where another linear layer has made a
        part of the input's gradient, this one adds to it."""
        reads = {"dy": self.dy, "x": self.x()}
        parts = self.parts.get(o.inputs[0], [])
        if parts and parts[-1] in self.products:
            self.call("linear.backward.add", BACKWARD, reads | {"dx": parts[-1]}, {"dx": parts[-1]})
            return
        dx = self.dx()
        self.products.add(dx)
        self.call("linear.backward", BACKWARD, reads, {"dx": dx})

    def rotary_forward(self, o: Operator) -> None:
        """In place: nobody needs what it was."""
        self.tiles[o.outputs[0]] = self.x()
        self.call("rotary.forward", FORWARD, {"x": self.x()}, {"x": self.x()})

    def rotary_backward(self, o: Operator) -> None:
        dy = self.dy
        self.call("rotary.backward", BACKWARD, {"x": dy}, {"x": dy})
        self.add_part(o.inputs[0], dy)

    def attention_forward(self, o: Operator) -> None:
        """The stash has for each head two numbers of a token; spread over rows, the output in f32 as well."""
        numbers = 2 + self.over_rows * int(o.attributes["d_head"])
        self.stash(o, "stash", self.buffer(f"{o.name}.stash", numbers * int(o.attributes["heads"]), TOKENS))
        reads = {role: self.x(place) for place, role in enumerate("qkv")}
        what = "attention_over_rows.forward" if self.over_rows else "attention.forward"
        self.call(what, FORWARD, reads, {"o": self.y, **self.stashed(o)})

    def attention_backward(self, o: Operator) -> None:
        reads = {"do": self.dy, **{role: self.x(place) for place, role in enumerate("qkv")}}
        reads |= self.stashed(o)
        what = "attention_over_rows.backward" if self.over_rows else "attention.backward"
        self.call(what, BACKWARD, reads, {f"d{role}": self.dx(i) for i, role in enumerate("qkv")})

    def activation_forward(self, o: Operator) -> None:
        """x becomes what backward needs of it, in its place."""
        self.call(f"{o.kind}.forward", FORWARD, {"x": self.x()}, {"y": self.y, "x": self.x()})

    def activation_backward(self, o: Operator) -> None:
        self.call(f"{o.kind}.backward", BACKWARD, {"dy": self.dy, "x": self.x()}, {"dx": self.dx()})

    def gate_forward(self, o: Operator) -> None:
        both = {"gate": self.x(0), "up": self.x(1)}
        self.call(f"{o.kind}.forward", FORWARD, both, {"y": self.y, **both})

    def gate_backward(self, o: Operator) -> None:
        reads = {"dy": self.dy, "gate": self.x(0), "up": self.x(1)}
        self.call(f"{o.kind}.backward", BACKWARD, reads, {"dgate": self.dx(0), "dup": self.dx(1)})

    def residual_forward(self, o: Operator) -> None:
        self.call("residual.forward", FORWARD, {"x": self.x(0), "y": self.x(1)}, {"z": self.y})

    def residual_backward(self, o: Operator) -> None:
        dy = self.dy
        for tensor in o.inputs:
            self.add_part(tensor, dy)

    def loss_forward(self, o: Operator) -> None:
        """Also its backward: the gradient of the logits."""
        loss = self.buffer("loss", 1, VECTOR)
        self.call("loss.forward", FORWARD, {"logits": self.x()}, {"dlogits": self.dx(), "loss": loss})

    def loss_backward(self, o: Operator) -> None:
        pass

    def stash(self, o: Operator, role: str, buffer: Buffer) -> None:
        self.tiles[f"{o.name}/{role}"] = buffer

    def stashed(self, o: Operator) -> dict[str, Buffer]:
        prefix = f"{o.name}/"
        return {name.removeprefix(prefix): b for name, b in self.tiles.items() if name.startswith(prefix)}


_FAMILY = {
    "layernorm": "norm",
    "rmsnorm": "norm",
    "gelu": "activation",
    "silu": "activation",
    "silu_gate": "gate",
}
_EXECUTED = {*_FAMILY, "embedding", "positions", "linear", "rotary", "attention", "residual", "loss"}


# --- memory -----------------------------------------------------------------------------------------------------------


# Results that may lie on an operand (written role, read role), where that is not needed any more: see the operators.
IN_PLACE = {
    "residual.forward": (("z", "x"), ("z", "y")),
    "layernorm.backward": (("dx", "dy"),),
    "rmsnorm.backward": (("dx", "dy"),),
    "gelu.backward": (("dx", "dy"),),
    "silu.backward": (("dx", "dy"),),
    "silu_gate.backward": (("dup", "dy"), ("dgate", "up")),
    "gelu_gate.backward": (("dup", "dy"), ("dgate", "up")),
    "attention.backward": (("dq", "q"), ("dk", "k"), ("dv", "v")),
    "loss.forward": (("dlogits", "logits"),),
}


@dataclass(frozen=True)
class Arena:
    """offsets: bytes from the arena's begin, by buffer; bytes: its size."""

    offsets: dict[Buffer, int]
    bytes: int


ALIGN = 16  # a turn of the memory banks


def lives(calls: list[Call], always: Iterable[Buffer] = ()) -> dict[Buffer, tuple[int, int]]:
    """First and last call that touches each buffer; those in `always` live all the time."""
    found: dict[Buffer, tuple[int, int]] = {}
    for number, call in enumerate(calls):
        for buffer in (*call.reads.values(), *call.writes.values()):
            found[buffer] = found.get(buffer, (number, number))[0], number
    return found | {buffer: (0, len(calls)) for buffer in always}


def places(calls: list[Call], always: Iterable[Buffer] = ()) -> dict[Buffer, Buffer]:
    """For each buffer the one in whose place it lies: itself, or one that ends where it begins (IN_PLACE)."""
    life = lives(calls, always)
    place = {buffer: buffer for buffer in life}
    for number, call in enumerate(calls):
        for written, read in IN_PLACE.get(call.what, ()):
            new, old = call.writes[written], call.reads[read]
            fits = (new.features, new.kind) == (old.features, old.kind)
            begins_here = life[new][0] == number and place[new] is new and written not in call.reads
            if fits and begins_here and life[old][1] == number:
                place[new] = place[old]
                life[old] = life[old][0], number + 1  # taken
    return place


def allocate(
    calls: list[Call],
    columns: int,
    tokens: int,
    itemsize: int,
    always: Iterable[Buffer] = (),
    work: Sequence[int] = (),
) -> Arena:
    """Places all buffers of the calls: one after the other at the lowest address that is free all its life, in the best
    of several orders.

    work: bytes that each call uses from the arena's begin on as work space, where no buffer that lives then may lie.
    Sources of one operation should begin in different banks: buffers begin at multiples of 16 bytes, every second one
    in the order of placing half a turn of the banks further.
    """
    own, place = lives(calls, always), places(calls, always)
    life: dict[Buffer, tuple[int, int]] = {}
    for buffer, (begin, end) in own.items():
        first, last = life.get(place[buffer], (begin, end))
        life[place[buffer]] = min(first, begin), max(last, end)
    size = {buffer: buffer.bytes(columns, tokens, itemsize) for buffer in life}
    floor = {buffer: max(work[begin : end + 1], default=0) for buffer, (begin, end) in life.items()}
    orders = (
        lambda b: (-size[b], life[b], b.name),
        lambda b: (life[b][0] - life[b][1], -size[b], b.name),
        lambda b: (-floor[b], life[b][0] - life[b][1], -size[b], b.name),
        lambda b: (-floor[b], -size[b], life[b], b.name),
    )
    least: tuple[int, dict[Buffer, int]] | None = None
    for order in orders:
        offsets = _place(sorted(life, key=order), life, size, floor)
        top = max((offsets[b] + size[b] for b in offsets), default=0)
        if least is None or top < least[0]:
            least = top, offsets
    assert least is not None
    top = max(least[0], *work, 0)
    return Arena({buffer: least[1][place[buffer]] for buffer in own}, -(-top // ALIGN) * ALIGN)


def _place(
    buffers: list[Buffer], life: dict[Buffer, tuple[int, int]], size: dict[Buffer, int], floor: dict[Buffer, int]
) -> dict[Buffer, int]:
    """Each in its turn at the lowest address that is free all its life."""
    offsets: dict[Buffer, int] = {}
    for number, buffer in enumerate(buffers):
        begin, end = life[buffer]
        taken = sorted(
            (offsets[other], offsets[other] + size[other])
            for other in offsets
            if life[other][0] <= end and begin <= life[other][1]
        )
        shift = ALIGN // 2 * (number % 2)
        offsets[buffer] = _first_gap([(0, floor[buffer]), *taken], size[buffer], shift)
    return offsets


def _first_gap(taken: list[tuple[int, int]], size: int, shift: int) -> int:
    at = shift
    for begin, end in taken:
        if at + size <= begin:
            return at
        if end > at:
            at = -(-(end - shift) // ALIGN) * ALIGN + shift
    return at


def collisions(calls: list[Call], arena: Arena, columns: int, tokens: int, itemsize: int) -> Iterator[tuple[str, str]]:
    """Pairs of buffers that live at once and overlap: none, which tests look at.  Those that may lie in one place,
    where one ends and the other begins, do not count."""
    place = places(calls)
    life = list(lives(calls).items())
    for i, (a, (begin, end)) in enumerate(life):
        for b, (first, last) in life[i + 1 :]:
            if first <= end and begin <= last and place[a] is not place[b]:
                low, high = sorted((a, b), key=arena.offsets.__getitem__)
                if arena.offsets[low] + low.bytes(columns, tokens, itemsize) > arena.offsets[high]:
                    yield low.name, high.name
