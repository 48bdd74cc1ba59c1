"""The sequence of calls that PEs execute in one pass over an operator graph.

A pass is straight-line code: the operators in the graph's order forward, then in reverse order backward.  A Call is one
operator of wse.operators with buffers as operands, whose addresses arena.py assigns.  Both execution modes use it:
weight streaming executes the whole list, a pipelined region the list of its own operators.

Every operator that reads a tensor contributes a part of the tensor's gradient; the parts are summed.  An operator that
leaves a gradient unchanged (residual) passes its buffer on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from itertools import groupby

from ..errors import ConfigError
from ..models.config import ACTIVATIONS
from ..models.graph import GATES, Operator
from ..records import dataclass

FORWARD, BACKWARD = "forward", "backward"

# Kinds of buffers: contents on each PE, for fx features per column and t tokens per row.
TILE = "tile"  # [fx][t] elements of the policy's storage type
VECTOR = "vector"  # [fx] f32: gains, biases and their gradients
TOKENS = "tokens"  # [fx][t] f32: values per token, such as statistics; at least one in every column
WHOLE = "whole"  # [features][t] f32: values per token, all of them in every column


@dataclass(frozen=True)
class Buffer:
    """Memory for an operand.  features: over all columns.  kind: TILE, VECTOR, TOKENS or WHOLE."""

    name: str
    features: int
    kind: str = TILE

    def bytes(self, columns: int, tokens: int, itemsize: int) -> int:
        """Bytes per PE.  columns: of the region.  tokens: per row.  itemsize: bytes of the storage type."""
        share = self.features if self.kind == WHOLE else -(-self.features // columns)
        return share * {TILE: itemsize * tokens, VECTOR: 4, TOKENS: 4 * tokens, WHOLE: 4 * tokens}[self.kind]


@dataclass(frozen=True)
class Call:
    """One operator applied to its buffers.

    what      the operator and its part, such as "linear.forward", "layernorm.backward"
    reads     role -> buffer that the call reads
    writes    role -> buffer that the call writes; a buffer in both is modified in place
    operator  the operator of the graph, with its parameters
    phase     FORWARD or BACKWARD
    each      of a call in a loop, the operators of all its turns, of which `operator` is the first
    """

    what: str
    operator: Operator
    phase: str
    reads: dict[str, Buffer] = field(default_factory=dict)
    writes: dict[str, Buffer] = field(default_factory=dict)
    each: tuple[Operator, ...] = ()

    @property
    def buffers(self) -> dict[str, Buffer]:
        """All operands by role."""
        return self.reads | self.writes


@dataclass
class Schedule:
    """The calls of a pass over consecutive operators of a graph.

    inputs, outputs               activations received before and sent after the forward calls (from and to regions)
    gradients_in, gradients_out   gradients of the outputs, received before, and of the inputs, sent after the backward
                                  calls
    """

    forward: list[Call] = field(default_factory=list)
    backward: list[Call] = field(default_factory=list)
    inputs: list[Buffer] = field(default_factory=list)
    outputs: list[Buffer] = field(default_factory=list)
    gradients_in: list[Buffer] = field(default_factory=list)
    gradients_out: list[Buffer] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        """All calls, forward then backward."""
        return self.forward + self.backward


def schedule(operators: Iterable[Operator], features: dict[str, int], over_rows: bool = False) -> Schedule:
    """Makes the calls of consecutive operators of a graph.

    features: features of each tensor.  over_rows: whether sequences span several rows of PEs, which enlarges the stash
    of attention.  Raises ConfigError for an operator that no kernel executes.
    """
    return _Scheduler(list(operators), features, over_rows).made


class _Scheduler:
    """tiles: tensor -> buffer; parts: tensor -> buffers that hold parts of its gradient."""

    def __init__(self, operators: list[Operator], features: dict[str, int], over_rows: bool = False):
        self.features, self.made, self.over_rows = features, Schedule(), over_rows
        self.tiles: dict[str, Buffer] = {}
        self.parts: dict[str, list[Buffer]] = {}
        self.products: set[Buffer] = set()  # parts that a linear layer made and no other operator uses
        self.numbers = 0
        self.phase = ""  # of calls, if it is not that of their operator's part
        self.turns: dict[str, tuple[Operator, ...]] = {}  # in a loop, its operators by the name of the first one
        self.operator = operators[0]
        written = {name for operator in operators for name in operator.outputs}
        for name in dict.fromkeys(name for operator in operators for name in operator.inputs):
            if name not in written and name != "ids":
                self.made.inputs.append(self.tile(name))
        steps = _steps(operators)
        for turns in steps:
            self.operator = turns[0][0]
            if len(turns[0]) == 1:
                self.part("forward", self.operator)
            else:
                self.loop_forward(turns)
        last = operators[-1]
        if last.kind != "loss":
            for name in last.outputs:
                self.made.outputs.append(self.tile(name))
                incoming = self.buffer(f"d.{name}", features[name])
                self.made.gradients_in.append(incoming)
                self.parts[name] = [incoming]
        for turns in reversed(steps):
            self.operator = turns[0][0]
            if len(turns[0]) == 1:
                self.part("backward", self.operator)
            else:
                self.loop_backward(turns)
        self.made.gradients_out = [self.gradient(buffer.name) for buffer in self.made.inputs]

    # --- buffers ------------------------------------------------------------------------------------------------------

    def tile(self, tensor: str) -> Buffer:
        return self.tiles.setdefault(tensor, Buffer(tensor, self.features[tensor]))

    def buffer(self, name: str, features: int, kind: str = TILE) -> Buffer:
        """A new buffer with a unique name."""
        self.numbers += 1
        return Buffer(f"{name}.{self.numbers}", features, kind)

    def add_part(self, tensor: str, part: Buffer) -> None:
        self.parts.setdefault(tensor, []).append(part)

    def gradient(self, tensor: str) -> Buffer:
        """The gradient of a tensor: the sum of the parts of all its readers, which are scheduled already."""
        parts = self.parts.get(tensor)
        if not parts:
            raise ConfigError(f"no operator computes a gradient of {tensor}, which {self.operator.name} needs")
        total = parts[0]
        for part in parts[1:]:
            both = self.buffer(f"d.{tensor}", self.features[tensor])
            self.call("residual.forward", BACKWARD, {"x": total, "y": part}, {"z": both})
            total = both
        self.parts[tensor] = [total]
        return total

    def call(self, what: str, phase: str, reads: dict[str, Buffer], writes: dict[str, Buffer]) -> None:
        phase = self.phase or phase
        calls = self.made.forward if phase == FORWARD else self.made.backward
        each = self.turns.get(self.operator.name, ())
        calls.append(Call(what, self.operator, phase, reads, writes, each))

    # --- loops --------------------------------------------------------------------------------------------------------

    def loop_forward(self, turns: list[list[Operator]]) -> None:
        """Each turn adds to the sum, which is the buffer of zeros in front of the loop."""
        *body, last = turns[0]
        total = self.tiles[turns[-1][-1].outputs[0]] = self.tile(last.inputs[0])
        self.turns = {each[0].name: each for each in zip(*turns, strict=True)}
        for self.operator in body:
            self.part("forward", self.operator)
        self.operator = last
        self.call("residual.forward", FORWARD, {"x": total, "y": self.x(1)}, {"z": total})
        self.turns = {}

    def loop_backward(self, turns: list[list[Operator]]) -> None:
        """Each turn adds to the gradient of the loop's input, and writes its part of that of the weights of experts."""
        *body, last = turns[0]
        self.operator = last
        self.parts[last.inputs[1]] = [self.gradient(turns[-1][-1].outputs[0])]
        x, gates = (next(o for o in body if o.kind == kind).inputs[-1] for kind in ("linear", "weigh"))
        parts = self.parts.setdefault(x, [])
        begun = [self.buffer(f"d.{gates}", self.features[gates], WHOLE)]
        self.parts[gates] = [begun[0]]
        if not parts or parts[-1] not in self.products:
            begun.append(self.buffer(f"d.{x}", self.features[x]))
            parts.append(begun[1])
            self.products.add(begun[1])
        for buffer in begun:
            self.call("zeros.backward", BACKWARD, {}, {"x": buffer})
        self.turns = {each[0].name: each for each in zip(*turns, strict=True)}
        self.again([o for o in body if o.attributes.get("again")])
        for self.operator in reversed(body):
            self.part("backward", self.operator)
        self.turns = {}

    def again(self, operators: list[Operator]) -> None:
        """Computes the outputs of operators again, in the backward pass, into new buffers."""
        behind, self.phase = self.operator, BACKWARD
        for self.operator in operators:
            for tensor in self.operator.outputs:
                self.tiles[tensor] = self.buffer(tensor, self.features[tensor])
            self.part("forward", self.operator)
        self.operator, self.phase = behind, ""

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
        """A new buffer for this operator's part of the gradient of an input."""
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

    def input_forward(self, o: Operator) -> None:
        """The host sends the activation, and takes its gradient."""
        self.call("input.forward", FORWARD, {}, {"x": self.y})

    def input_backward(self, o: Operator) -> None:
        self.call("input.gradient", BACKWARD, {"dx": self.dy}, {})

    def output_forward(self, o: Operator) -> None:
        """The host takes the activation, and sends its gradient."""
        self.call("output.forward", FORWARD, {"y": self.x()}, {})

    def output_backward(self, o: Operator) -> None:
        self.call("output.gradient", BACKWARD, {}, {"dy": self.dx()})

    def mean_forward(self, o: Operator) -> None:
        self.call("mean.forward", FORWARD, {"x": self.x()}, {"y": self.y})

    def mean_backward(self, o: Operator) -> None:
        """The matrix of the mean is symmetric: its gradient is the mean of the gradient."""
        self.call("mean.backward", BACKWARD, {"x": self.dy}, {"y": self.dx()})

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
        self.stash(o, "rstd", self.buffer(f"{o.name}.rstd", int(o.attributes.get("heads", 1)), TOKENS))
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
        """Gradients of weight, bias and input, with the weights streamed once.

        If another linear layer has already computed a part of the input's gradient, this one accumulates into it.
        """
        reads = {"dy": self.dy, "x": self.x()}
        parts = self.parts.get(o.inputs[0], [])
        if parts and parts[-1] in self.products:
            self.call("linear.backward.add", BACKWARD, reads | {"dx": parts[-1]}, {"dx": parts[-1]})
            return
        dx = self.dx()
        self.products.add(dx)
        self.call("linear.backward", BACKWARD, reads, {"dx": dx})

    def rotary_forward(self, o: Operator) -> None:
        """In place, because no later call needs the original values."""
        self.tiles[o.outputs[0]] = self.x()
        self.call("rotary.forward", FORWARD, {"x": self.x()}, {"x": self.x()})

    def rotary_backward(self, o: Operator) -> None:
        dy = self.dy
        self.call("rotary.backward", BACKWARD, {"x": dy}, {"x": dy})
        self.add_part(o.inputs[0], dy)

    def attention_forward(self, o: Operator) -> None:
        """The stash holds two values per head and token, with sinks three; for sequences over several rows, also the
        output in f32."""
        sinks = "sinks" in o.parameters
        numbers = 2 + sinks + self.over_rows * int(o.attributes["d_head"])
        self.stash(o, "stash", self.buffer(f"{o.name}.stash", numbers * int(o.attributes["heads"]), TOKENS))
        reads = {role: self.x(place) for place, role in enumerate("qkv")}
        if sinks:
            reads["sinks"] = self.buffer(f"{o.name}.sinks", int(o.attributes["heads"]), VECTOR)
            self.call("vector.receive.sinks", FORWARD, {}, {"sinks": reads["sinks"]})
        what = "attention_over_rows.forward" if self.over_rows else "attention.forward"
        self.call(what, FORWARD, reads, {"o": self.y, **self.stashed(o)})

    def attention_backward(self, o: Operator) -> None:
        reads = {"do": self.dy, **{role: self.x(place) for place, role in enumerate("qkv")}}
        reads |= self.stashed(o)
        what = "attention_over_rows.backward" if self.over_rows else "attention.backward"
        writes = {f"d{role}": self.dx(i) for i, role in enumerate("qkv")}
        if "sinks" in o.parameters:
            writes["dsinks"] = self.buffer(f"{o.name}.dsinks", int(o.attributes["heads"]), VECTOR)
        self.call(what, BACKWARD, reads, writes)
        if "sinks" in o.parameters:
            self.call("vector.send.sinks", BACKWARD, {"sinks": writes["dsinks"]}, {})

    def activation_forward(self, o: Operator) -> None:
        """Replaces x in place by the values that the backward pass needs."""
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

    def dropout_forward(self, o: Operator) -> None:
        """In place, because no later call needs what is dropped."""
        self.tiles[o.outputs[0]] = self.x()
        self.call("dropout.forward", FORWARD, {"x": self.x()}, {"x": self.x()})

    def dropout_backward(self, o: Operator) -> None:
        """Into a buffer of its own, because a residual addition passes its gradient on to both sides."""
        self.call("dropout.backward", BACKWARD, {"x": self.dy}, {"y": self.dx()})

    def route_forward(self, o: Operator) -> None:
        gates = self.tiles[o.outputs[0]] = Buffer(o.outputs[0], o.features[1], WHOLE)
        if not o.attributes["of_chosen"] or "balance" in o.attributes:
            self.stash(o, "shares", self.buffer(f"{o.name}.shares", o.features[1], WHOLE))
        writes = {"gates": gates, **self.stashed(o)}
        if "counted" in o.attributes:
            writes["load"] = self.buffer(f"{o.name}.load", o.features[1], VECTOR)
        self.call("route.forward", FORWARD, {"logits": self.x()}, writes)
        if "counted" in o.attributes:
            self.call("vector.send.load", FORWARD, {"load": writes["load"]}, {})

    def route_backward(self, o: Operator) -> None:
        """The gradients of the weights are parts, in each column, that are added up in place."""
        dgates = self.dy
        reads = {"dgates": dgates, "gates": self.y, **self.stashed(o)}
        self.call("route.backward", BACKWARD, reads, {"dgates": dgates, "dlogits": self.dx()})

    def weigh_forward(self, o: Operator) -> None:
        self.call("weigh.forward", FORWARD, {"x": self.x(0), "gates": self.x(1)}, {"y": self.y})

    def weigh_backward(self, o: Operator) -> None:
        """Writes the expert's row of the gradient of the weights of all."""
        (dgates,) = self.parts[o.inputs[1]]
        reads = {"dy": self.dy, "x": self.x(0), "gates": self.x(1), "dgates": dgates}
        self.call("weigh.backward", BACKWARD, reads, {"dx": self.dx(0), "dgates": dgates})

    def concat_forward(self, o: Operator) -> None:
        self.call("concat.forward", FORWARD, {"x": self.x(0), "y": self.x(1)}, {"z": self.y})

    def concat_backward(self, o: Operator) -> None:
        self.call("concat.backward", BACKWARD, {"dz": self.dy}, {"dx": self.dx(0), "dy": self.dx(1)})

    def resize_forward(self, o: Operator) -> None:
        self.call("resize.forward", FORWARD, {"x": self.x()}, {"y": self.y})

    def resize_backward(self, o: Operator) -> None:
        self.call("resize.backward", BACKWARD, {"x": self.dy}, {"y": self.dx()})

    def times_forward(self, o: Operator) -> None:
        self.call("times.forward", FORWARD, {"x": self.x()}, {"y": self.y})

    def times_backward(self, o: Operator) -> None:
        self.call("times.backward", BACKWARD, {"x": self.dy}, {"y": self.dx()})

    def zeros_forward(self, o: Operator) -> None:
        self.call("zeros.forward", FORWARD, {}, {"x": self.y})

    def zeros_backward(self, o: Operator) -> None:
        """It has no gradient."""

    def loss_forward(self, o: Operator) -> None:
        """Also computes the gradient of the logits, so that the backward pass has no call."""
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
    **dict.fromkeys(ACTIVATIONS, "activation"),
    **dict.fromkeys(GATES, "gate"),
}
_EXECUTED = {
    *_FAMILY,
    "embedding",
    "input",
    "output",
    "mean",
    "positions",
    "linear",
    "rotary",
    "attention",
    "residual",
    "dropout",
    "route",
    "weigh",
    "zeros",
    "times",
    "concat",
    "resize",
    "loss",
}


def _steps(operators: list[Operator]) -> list[list[list[Operator]]]:
    """The turns of each loop, and each operator by itself as a loop of one turn of one operator."""
    steps: list[list[list[Operator]]] = []
    for name, run in groupby(operators, lambda o: o.attributes.get("loop")):
        if name is None:
            steps += [[[o]] for o in run]
        else:
            steps.append([list(turn) for _, turn in groupby(run, lambda o: o.attributes["expert"])])
    return steps


def loops(calls: Sequence[Call]) -> list[range]:
    """The numbers of the calls of each loop; calls outside are loops of one call."""
    made: list[range] = []
    for inside, run in groupby(range(len(calls)), lambda number: bool(calls[number].each)):
        numbers = list(run)
        made += [range(numbers[0], numbers[-1] + 1)] if inside else [range(n, n + 1) for n in numbers]
    return made


def in_turns(calls: Sequence[Call]) -> Iterator[Call]:
    """The calls as they are executed: those of a loop once for each of its turns."""
    for numbers in loops(calls):
        for turn in range(max(1, len(calls[numbers[0]].each))):
            for call in (calls[number] for number in numbers):
                yield replace(call, operator=call.each[turn]) if call.each else call
