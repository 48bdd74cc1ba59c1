"""Code generation for a region: each operator's subroutine once, the calls of a schedule in order, marks between them.

`feeds` and `drains` list the streams that enter and leave at the north edge, in the order of the calls, each with its
call and its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..models.config import ACTIVATIONS
from ..models.experts import loop_of
from ..models.graph import GATES, Operator, Parameter
from ..models.rope import frequencies
from ..operators import activation, dropout, embedding, linear, parameters, partial, residual, ring, rotary
from ..operators.attention import Attention
from ..operators.attention_over_rows import AttentionOverRows
from ..operators.attention_reference import slopes
from ..operators.code import Routine
from ..operators.dropout import Dropout
from ..operators.embedding import Embedding
from ..operators.heads import Join, Resize
from ..operators.loss import Loss
from ..operators.mean import Mean
from ..operators.norm import Norm
from ..operators.region import Region, Tile
from ..operators.rotary import Rotary
from ..operators.routing import Routing, Weighing
from ..program import dsd
from ..records import dataclass
from .arena import Arena
from .schedule import TILE, TOKENS, VECTOR, WHOLE, Buffer, Call, loops

ARENA = "work"  # the array of operators' work space, which holds all buffers as well
LABELS = "labels"  # u16 [batches, t]
SCALE = "scale"  # f32 [1]: loss scale / tokens of all batches
BALANCE = "balance"  # f32 [experts]: the gradient of the loss of load balance by an expert's share of a token
LOSS = "losses"  # f32 [batches]: sum of the losses of the row's tokens
TURN = "turn"  # u32 [1]: of a loop
MARK = 1  # kind of the messages that announce the start of a call; the host reads those of the first PE


@dataclass(frozen=True)
class EdgeTransfer:
    """A stream at the north edge.  parameters: name by role, as the stream's pack or unpack takes them.  after: of one
    that enters, the loads of experts that have left before."""

    call: Call
    transfer: Any
    parameters: dict[str, str]
    after: int = 0


class Noting(Region):
    """A region that records the largest work space requested since `asked` was set to 0, in bytes, and counts loops."""

    asked = 0
    loops = 0

    def work(self, bytes: int) -> str:
        """As `Region.work`, and records the largest request."""
        self.asked = max(self.asked, bytes)
        return super().work(bytes)


@dataclass
class Emitter:
    """Appends calls to a region whose buffers are in `arena`.

    sequence: tokens per sequence.  batches: micro-batches per step.  batch: the current micro-batch.
    """

    region: Noting
    arena: Arena
    sequence: int
    sparse: bool = False
    batches: int = 1
    batch: int = 0
    replicas: Mapping[str, np.ndarray] = field(default_factory=dict)  # see replicas.py
    feeds: list[EdgeTransfer] = field(default_factory=list)
    drains: list[EdgeTransfer] = field(default_factory=list)
    marks: list[Call] = field(default_factory=list)
    works: list[int] = field(default_factory=list)  # bytes of work space that each call uses
    tables: dict[str, np.ndarray] = field(default_factory=dict)  # arrays [h, 1, ...] that the host writes once

    def declare(self) -> None:
        """Declares the arrays that all calls share.  Called once, before the first call."""
        r = self.region
        r.work(self.arena.bytes)
        r.array(LABELS, (self.batches, r.tokens), "u16")
        r.array(SCALE, 1, "f32")
        r.array(LOSS, self.batches, "f32")

    def declare_draws(self) -> None:
        """Declares what masks of dropout share, once."""
        if not self.draws:
            dropout.declare(self.region)
            self.draws = True

    def received(self, array: str) -> None:
        """Declares the descriptor of an array that the west edge sends, for `take`."""
        self.region.dsd(f"all_{array}", lambda role, pe: dsd.mem1d(pe.symbols[array]))

    def write(self, fabric: Fabric) -> None:
        """Writes the constant tables to the PEs of the region."""
        r = self.region
        for name, table in self.tables.items():
            own = np.broadcast_to(table, (r.height, r.width, *table.shape[2:]))
            fabric.write(name, own, r.x, r.y)

    def mark(self, call: Call | None) -> None:
        """Emits the message that a call begins (None: that all calls have ended)."""
        number = len(self.marks)
        if call is not None:
            self.marks.append(call)
        self.region.code(f"    say {MARK}, {number if call is not None else 0xFFFF}")

    def emit(self, calls: Sequence[Call]) -> None:
        """Appends the code of calls, loops as loops."""
        for numbers in loops(calls):
            body = [calls[number] for number in numbers]
            if body[0].each:
                self._loop(body)
            else:
                self.mark(body[0])
                self._call(body[0])

    def _loop(self, body: list[Call]) -> None:
        """Appends a loop.  Its streams and marks are in the order of the turns."""
        r, first, turns = self.region, len(self.marks), len(body[0].each)
        feeds, drains, self.feeds, self.drains = self.feeds, self.drains, [], []
        if not r.loops:
            r.array(TURN, 1, "u32")
        r.loops += 1
        label = f"loop{r.loops}"
        r.code(f"    mov r1, 0\n    st32 r1, [{TURN}]\n{label}:")
        if wanted := self.wanted.get(body[0].operator.attributes["loop"]):
            r.code(f"    ld32 r1, [{TURN}]\n    iadd32 r1, r1, r1\n    iadd32 r1, r1, {wanted}\n    ld16 r1, [r1]")
            r.code(f"    bz r1, {label}_next")
        for number, call in enumerate(body, first):
            r.code(f"    ld32 r1, [{TURN}]\n    imul32 r1, r1, {len(body)}\n    iadd32 r1, r1, {number}")
            r.code(f"    mov r2, {MARK}\n    say r2, r1")
            self._call(call)
        r.code(f"{label}_next:\n    ld32 r1, [{TURN}]\n    iadd32 r1, r1, 1\n    st32 r1, [{TURN}]")
        r.code(f"    isub32 r1, r1, {turns}\n    bnz r1, {label}")
        own = self.feeds, self.drains
        self.feeds, self.drains = feeds, drains
        for turn in range(turns):
            self.marks += [replace(call, operator=call.each[turn]) for call in body]
            for sent, ours in zip(own, (feeds, drains), strict=True):
                ours += [self._in_turn(one, turn) for one in sent]

    def _in_turn(self, sent: EdgeTransfer, turn: int) -> EdgeTransfer:
        """A stream of the first turn, as it is in another one."""
        operator = sent.call.each[turn]
        names = self._named(operator, tuple(sent.parameters))
        return replace(sent, call=replace(sent.call, operator=operator), parameters=names)

    def _call(self, call: Call) -> None:
        """Appends the code of one call."""
        kind = call.what.split(".")[0]
        method = self.elementwise if kind in ACTIVATIONS else self.gate if kind in GATES else getattr(self, kind, None)
        if method is None:
            raise ConfigError(f"no kernel executes {call.what} of {call.operator.name}")
        self.region.asked = 0
        method(call)
        self.works.append(self.region.asked)

    # --- operands -----------------------------------------------------------------------------------------------------

    def at(self, buffer: Buffer) -> str:
        """The address of a buffer as an assembler expression."""
        return f"{ARENA}+{self.arena.offsets[buffer]}"

    def tile(self, buffer: Buffer) -> Tile:
        """The tile of a buffer."""
        return Tile(self.at(buffer), buffer.features)

    def rows(self, features: int) -> int:
        """Features of a PE, for an activation of so many features."""
        return self.region.features(features)

    def elements(self, features: int) -> int:
        """Elements of a tile."""
        return self.rows(features) * self.region.tokens

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return self.region.policy.size

    def run(self, name: str, make: Callable[[str], Routine], call: Call, **more: str) -> None:
        """Emits a call of a routine with the call's buffers by role and additional operands."""
        routine = self._made.get(name)
        if routine is None:
            routine = self._made[name] = make(name)
            self.region.subroutine(name, routine.text)
        self.region.work(routine.work)
        known = {role: self.at(buffer) for role, buffer in call.buffers.items()} | more
        self.region.code(routine.call(**{operand: known[operand] for operand in routine.operands}))

    chunkwise = False  # products backward keep two chunks of a row's gradients at a time
    table: Embedding | None = None
    has_rings: bool = False  # of rows of PEs that share sequences
    draws: bool = False  # masks of dropout
    wanted: dict[str, str] = field(default_factory=dict)  # by name of a loop, the array of the turns that are taken
    _made: dict[str, Routine] = field(default_factory=dict)
    _ropes: dict[tuple[Any, ...], int] = field(default_factory=dict)  # the numbers of tables of cos and sin

    def feed(self, call: Call, stream: Any, *roles: str) -> None:
        """Record the weight stream of a call.  roles: of the operator's parameters."""
        names = self._named(call.operator, roles)
        if indices := self._indices(names):
            stream = stream.reading(indices)
        self.feeds.append(EdgeTransfer(call, stream, names, len(self.wanted)))

    def drain(self, call: Call, drain: Any, *roles: str) -> None:
        """Record the gradient stream of a call.  roles: of the operator's parameters."""
        names = self._named(call.operator, roles)
        if indices := self._indices(names):
            drain = drain.adding(indices)
        self.drains.append(EdgeTransfer(call, drain, names))

    def _indices(self, names: Mapping[str, str]) -> dict[str, np.ndarray]:
        """By role, the indices of parameters that are copied."""
        return {role: self.replicas[name] for role, name in names.items() if name in self.replicas}

    @staticmethod
    def _named(operator: Operator, roles: tuple[str, ...]) -> dict[str, str]:
        return {role: operator.parameters[role].name for role in roles if role in operator.parameters}

    def allreduce(self, op: str) -> str:
        """The code of an all-reduce over a row of the region; see ring.allreduce."""
        return ring.allreduce(self.region, op)

    def own(self, array: str) -> str:
        """The address of the current micro-batch's row in an array of labels or losses."""
        row = 4 if array == LOSS else 2 * self.region.tokens
        return f"{array}+{row * self.batch}" if self.batch else array

    def part(self, call: Call) -> str:
        """The second part of the name of a call, such as "forward"."""
        return call.what.split(".")[1]

    # --- operators ----------------------------------------------------------------------------------------------------

    def vector(self, call: Call) -> None:
        """Receive a vector parameter, or send its gradient."""
        _, action, role = call.what.split(".")
        buffer = call.buffers[role]
        if action == "receive":
            self.feed(call, parameters.receive(self.region, self.at(buffer), buffer.features, role), role)
        else:
            self.drain(call, parameters.gradient(self.region, self.at(buffer), buffer.features, role), role)
        if role == "load":
            self._ask(call.operator)

    def _ask(self, route: Operator) -> None:
        """Receives a u16 for each expert, 0 for those that no token of the pass chooses."""
        name = self.region.array(f"wanted{len(self.wanted)}", route.features[1], "u16")
        self.received(name)
        self.region.code(f"    dsr a0, ids_in\n{take(name, 'mov16')}")
        self.wanted[loop_of(route)] = name

    def embedding(self, call: Call) -> None:
        """Table rows arrive token by token: the host packs them by id and sums their gradients by id."""
        if self.table is None:
            widest = int(call.operator.attributes.get("widest", 0))
            self.table = Embedding(self.region, call.operator.features[1], widest)
        if self.part(call) == "forward":
            self.table.forward(self.tile(call.writes["x"]))
            self.feed(call, self.table, "weight")
        else:
            self.drain(call, self.table.gradient(self.tile(call.reads["dx"])), "weight")

    def input(self, call: Call) -> None:
        """Rows of an activation arrive from the host, or those of its gradient leave."""
        if self.part(call) == "forward":
            self._rows(call, call.writes["x"], arrive=True)
        else:
            self._rows(call, call.reads["dx"], arrive=False)

    def output(self, call: Call) -> None:
        """Rows of an activation leave to the host, or those of its gradient arrive."""
        if self.part(call) == "forward":
            self._rows(call, call.reads["y"], arrive=False)
        else:
            self._rows(call, call.writes["dy"], arrive=True)

    def _rows(self, call: Call, buffer: Buffer, arrive: bool) -> None:
        rows = Embedding(self.region, buffer.features, int(call.operator.attributes["widest"]))
        if arrive:
            rows.forward(self.tile(buffer))
            self.feed(call, rows)
        else:
            self.drain(call, rows.gradient(self.tile(buffer)))

    def mean(self, call: Call) -> None:
        """The mean over the tokens of each sequence, forward or backward."""
        made = Mean(self.elements(call.operator.features[1]), self.sequence, self.region.tokens, self.size)
        self.run(f"mean_{made.n}", made.routine, call)

    def positions(self, call: Call) -> None:
        """Add position embeddings, or send their gradient."""
        if self.part(call) == "forward":
            self.feed(call, embedding.positions(self.region, self.tile(call.reads["x"]), self.sequence), "weight")
        else:
            dx = self.tile(call.reads["dx"])
            self.drain(call, embedding.positions_gradient(self.region, dx, self.sequence), "weight")

    def linear(self, call: Call) -> None:
        """A linear layer, forward or backward."""
        bias = "bias" in call.operator.parameters
        if self.part(call) == "forward":
            x, y = self.tile(call.reads["x"]), self.tile(call.writes["y"])
            self.feed(call, partial.forward(self.region, x, y, bias=bias, sparse=self.sparse), "weight", "bias")
        else:
            dy, x, dx = (self.tile(call.buffers[role]) for role in ("dy", "x", "dx"))
            adds = call.what.endswith(".add")
            wide = call.buffers["dx"].kind == TOKENS
            stream, drain = linear.backward(
                self.region, x, dy, dx, bias, self.sparse, adds, chunkwise=self.chunkwise, wide=wide
            )
            self.feed(call, stream, "weight")
            self.drain(call, drain, "weight", "bias")

    def norm(self, call: Call) -> Norm:
        """The shape of the norm of a call."""
        o = call.operator
        d = o.features[1]
        kind = o.kind.removesuffix("norm")
        r = self.region
        bias = "bias" in o.parameters
        return Norm(kind, d, self.rows(d), r.tokens, r.width, self.size, float(o.attributes["eps"]), bias)

    def layernorm(self, call: Call) -> None:
        """A layer norm or RMS norm, forward, backward or recomputed, of all features or of each head's."""
        if "heads" in call.operator.attributes:
            self._head_norm(call)
            return
        norm, part = self.norm(call), self.part(call)
        name = f"{call.operator.kind}_{part}_{norm.features}"
        self.run(name, lambda name: getattr(norm, part)(name, self.allreduce), call)

    rmsnorm = layernorm

    def _head_norm(self, call: Call) -> None:
        """The norm of each head's features: one call for each head of a column, which has whole heads."""
        o, t = call.operator, self.region.tokens
        heads, part = int(o.attributes["heads"]), self.part(call)
        d = o.features[1] // heads
        kind, bias = o.kind.removesuffix("norm"), "bias" in o.parameters
        norm = Norm(kind, d, d, t, 1, self.size, float(o.attributes["eps"]), bias)
        step = {TILE: d * t * self.size, VECTOR: 4 * d, TOKENS: 4 * t}
        for head in range(self._heads(o, heads)):
            at = {role: f"{self.at(buffer)}+{head * step[buffer.kind]}" for role, buffer in call.buffers.items()}
            self.run(f"{o.kind}_head_{part}_{d}", lambda name: getattr(norm, part)(name), call, **at)

    def elementwise(self, call: Call) -> None:
        """An activation, forward or backward."""
        n, function = self.elements(call.operator.features[1]), _function(call.operator)
        if self.part(call) == "forward":
            self.run(f"{function}_{n}", lambda name: activation.forward(function, n, self.size, name), call)
        else:
            self.run(f"activation_backward_{n}", lambda name: activation.backward(n, self.size, name), call)

    def gate(self, call: Call) -> None:
        """A gated activation, forward or backward."""
        o = call.operator
        n, function = self.elements(o.features[1]), _function(o)
        if self.part(call) == "forward" and "limit" in o.attributes:
            alpha, limit = (float(o.attributes[key]) for key in ("alpha", "limit"))
            self.run(f"cut_gate_{n}", lambda name: activation.cut_gate_forward(alpha, limit, n, self.size, name), call)
        elif self.part(call) == "forward":
            self.run(f"{function}_gate_{n}", lambda name: activation.gate_forward(function, n, self.size, name), call)
        else:
            self.run(f"gate_backward_{n}", lambda name: activation.gate_backward(n, self.size, name), call)

    def rotary(self, call: Call) -> None:
        """Rotary embedding, forward or backward."""
        o, r = call.operator, self.region
        heads, d_head, turned = (int(o.attributes[key]) for key in ("heads", "d_head", "rotary"))
        made = Rotary(self._heads(o, heads), d_head, turned, r.tokens, self.size)
        theta = float(o.attributes["theta"])
        scaling = o.attributes.get("scaling", ())
        number = self._ropes.setdefault((turned, theta, scaling), len(self._ropes))
        names = [f"{table}_{number}" for table in ("cos", "sin")]
        if names[0] not in self.tables:
            positions = np.arange(r.height * r.tokens) % self.sequence
            angles, factor = frequencies(turned, theta, scaling, self.sequence)
            for name, table in zip(names, rotary.tables(angles, positions, factor), strict=True):
                by_row = table.reshape(len(table), r.height, r.tokens).swapaxes(0, 1)
                self.tables[name] = by_row[:, None]
                r.array(name, by_row.shape[1:], "f32")
        part = self.part(call)
        x = f"{self.at(call.buffers['x'])}+{int(o.attributes.get('first', 0)) * r.tokens * self.size}"
        more = {"x": x, "cos": names[0], "sin": names[1]}
        self.run(f"rotary_{part}_{made.heads}_{d_head}_{turned}", getattr(made, part), call, **more)

    def attention(self, call: Call) -> None:
        """Attention, forward or backward."""
        part, shape, more = self._attention(call)
        tokens = self.region.tokens
        window = int(call.operator.attributes.get("window", 0))
        window = window if window < self.sequence else 0
        cap = float(call.operator.attributes.get("softcap", 0))
        rate = float(call.operator.attributes.get("dropout", 0))
        if rate:
            self._keys(call.operator)
            more |= {"dropout": rate, "all_heads": int(call.operator.attributes["heads"])}
        made = Attention(
            *shape,
            self.sequence,
            tokens,
            self.size,
            **more,
            window=window,
            cap=cap,
            sinks="sinks" in call.operator.parameters,
        )
        name = f"{made.label}_{part}"
        self.run(name, getattr(made, part), call, **self._slopes(call.operator))

    def attention_over_rows(self, call: Call) -> None:
        """Attention of sequences that lie over several rows of PEs."""
        part, shape, more = self._attention(call)
        tokens = self.region.tokens
        if 0 < int(call.operator.attributes.get("window", 0)) < self.sequence:
            raise ConfigError(
                f"{call.operator.name} sees {call.operator.attributes['window']} of {self.sequence} tokens: a window "
                "is executed where a row of PEs holds whole sequences; use at most as many rows as sequences"
            )
        what = "a cap of scores" if "softcap" in call.operator.attributes else ""
        what = "sinks" if "sinks" in call.operator.parameters else what
        what = "dropout" if "dropout" in call.operator.attributes else what
        if what:
            raise ConfigError(
                f"{call.operator.name} has {what}, executed where a row of PEs holds whole sequences: use at most as "
                "many rows as sequences"
            )
        made = AttentionOverRows(*shape, self.sequence // tokens, tokens, self.size, **more)
        if not self.has_rings:
            made.declare(self.region)
            self.has_rings = True
        name = f"attention_over_rows_{part}_{'_'.join(map(str, shape))}"
        self.run(name, getattr(made, part), call, **self._slopes(call.operator))

    def _attention(self, call: Call) -> tuple[str, tuple[int, int, int], dict[str, Any]]:
        """(part, (heads, kv_heads, d_head) of a column, options)."""
        o, policy = call.operator, self.region.policy
        heads, kv = (self._heads(o, int(o.attributes[key])) for key in ("heads", "kv_heads"))
        more: dict[str, Any] = {
            "causal": bool(o.attributes["causal"]),
            "half": policy.level == "POL2" and not policy.wide,
        }
        more["alibi"] = bool(o.attributes["alibi"])
        return self.part(call), (heads, kv, int(o.attributes["d_head"])), more

    def _slopes(self, operator: Operator) -> dict[str, str]:
        """Of alibi: the table of the heads of each column."""
        if not operator.attributes["alibi"]:
            return {}
        heads, width = int(operator.attributes["heads"]), self.region.width
        name = f"slopes_{heads}"
        if name not in self.tables:
            self.tables[name] = slopes(heads).reshape(1, width, heads // width)
            self.region.array(name, heads // width, "f32")
        return {"slopes": name}

    def _heads(self, operator: Operator, heads: int) -> int:
        """Of a column, which holds whole ones."""
        if heads % self.region.width:
            raise ConfigError(
                f"{operator.name} has {heads} heads for {self.region.width} columns: "
                "executed attention has whole heads in a column, so the columns must divide the heads"
            )
        return heads // self.region.width

    def residual(self, call: Call) -> None:
        """A residual addition."""
        n = self.elements(next(iter(call.writes.values())).features)
        self.run(f"add_{n}", lambda name: residual.add(n, self.size, name), call)

    def dropout(self, call: Call) -> None:
        """What is dropped of an activation, or of its gradient."""
        o, x = call.operator, next(iter(call.reads.values()))
        self._keys(o)
        made = Dropout(self.rows(x.features), self.region.tokens, self.size, float(o.attributes["rate"]))
        y = next(iter(call.writes.values()))
        self.run(made.label, made.routine, call, y=self.at(y))

    def route(self, call: Call) -> None:
        """The choice of experts, forward or backward."""
        o, r = call.operator, self.region
        count, active = (int(o.attributes[key]) for key in ("experts", "active"))
        choices = {key: bool(o.attributes.get(key)) for key in ("of_chosen", "counted")}
        balanced = {"balance": BALANCE} if "balance" in o.attributes else {}
        made = Routing(
            count, active, self.rows(count), r.tokens, r.width, self.size, balanced=bool(balanced), **choices
        )
        part = self.part(call)
        more = balanced if part == "backward" else {}
        self.run(f"{made.label}_{part}", lambda name: getattr(made, part)(name, self.allreduce), call, **more)

    def weigh(self, call: Call) -> None:
        """An activation times the weight of the expert whose turn it is, forward or backward."""
        t, part = self.region.tokens, self.part(call)
        made = Weighing(self.rows(call.operator.features[1]), t, self.size)
        row = {}
        for register, role in (("r20", "gate"), ("r21", "dgate")):
            if all_of := call.buffers.get(f"{role}s"):
                row[role] = register
                self.region.code(f"    ld32 {register}, [{TURN}]\n    imul32 {register}, {register}, {4 * t}")
                self.region.code(f"    iadd32 {register}, {register}, {self.at(all_of)}")
        self.run(f"{made.label}_{part}", getattr(made, part), call, **row)

    def concat(self, call: Call) -> None:
        """Heads joined with features that all heads share, forward or backward."""
        o, part = call.operator, self.part(call)
        heads = self._heads(o, int(o.attributes["heads"]))
        shared = self.rows(call.buffers["y" if part == "forward" else "dy"].features)
        own = self.rows(o.features[1]) // heads - shared
        made = Join(heads, own, shared, self.region.tokens, self.size)
        self.run(f"join_{part}_{heads}_{own}_{shared}", getattr(made, part), call)

    def resize(self, call: Call) -> None:
        """Heads of another size."""
        x, y = call.reads["x"], call.writes["y"]
        heads = self._heads(call.operator, int(call.operator.attributes["heads"]))
        before, after = (self.rows(buffer.features) // heads for buffer in (x, y))
        made = Resize(heads, before, after, self.region.tokens, self.size)
        self.run(f"resize_{heads}_{before}_{after}", made.routine, call)

    def times(self, call: Call) -> None:
        """An activation, or its gradient, times a factor."""
        n, factor = self.elements(call.operator.features[1]), float(call.operator.attributes["factor"])
        name = f"times_{n}_{int(np.float32(factor).view(np.uint32)):x}"
        self.run(name, lambda name: residual.times(n, self.size, factor, name), call)

    def zeros(self, call: Call) -> None:
        """A buffer becomes 0."""
        (buffer,) = call.writes.values()
        whole = buffer.kind == WHOLE
        n = buffer.features * self.region.tokens if whole else self.elements(buffer.features)
        size = 4 if whole else self.size
        self.run(f"zeros_{n}_{size}", lambda name: residual.zeros(n, size, name), call)

    def _keys(self, operator: Operator) -> None:
        """Makes the keys of an operator's mask."""
        self.declare_draws()
        self.region.code(f"    mov r7, {int(operator.attributes['stream'])}\n    call draw_keys")

    def loss(self, call: Call) -> None:
        """The loss and the gradient of the logits."""
        r, features = self.region, call.reads["logits"].features
        cap = float(call.operator.attributes.get("softcap", 0))
        made = Loss(features, self.rows(features), r.tokens, r.width, self.size, cap)
        known = {"labels": self.own(LABELS), "scale": SCALE, "loss": self.own(LOSS)}
        self.run("loss_and_gradient", lambda name: made.routine(name, self.allreduce), call, **known)


def take(array: str, move: str) -> str:
    """Code: an array from the stream in DSR a0, ids_in.  move: of its elements."""
    return f"    dsr d0, all_{array}\n    {move} d0, a0"


def _function(operator: Operator) -> str:
    """The name in wse.operators.activation of an activation, gated or not."""
    kind = GATES.get(operator.kind, operator.kind)
    return "gelu_tanh" if kind == "gelu" and not operator.attributes["exact"] else kind


def gradients(
    sent: EdgeTransfer, made: Mapping[str, np.ndarray], parameters: Mapping[str, Parameter]
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, float32 gradient of the parameter's shape) of each array that a drain unpacked, by role; rows of a table
    of positions that no token has are 0."""
    for role, name in sent.parameters.items():
        shape, gradient = parameters[name].shape, made[role]
        if "extra" in sent.call.operator.attributes:
            gradient = np.pad(gradient.ravel(), (0, parameters[name].size - gradient.size))
        yield name, gradient.reshape(shape)


def works(
    calls: list[Call], region: Noting, sequence: int, sparse: bool = False, kind: type[Emitter] = Emitter
) -> list[int]:
    """Bytes of work space of each call, for `allocate`.  region: of a program that is not executed."""
    nowhere = Arena({buffer: 0 for call in calls for buffer in call.buffers.values()}, 0)
    made = kind(region, nowhere, sequence, sparse)
    made.declare()
    with region.task("measured", region.program.machine.local_task_first):
        made.emit(calls)
    return made.works


def named(sent: EdgeTransfer, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a transfer by role; of a table of positions, the rows that tokens have."""
    rows = int(sent.call.operator.attributes["sequence"]) if "extra" in sent.call.operator.attributes else None
    return {role: weights[name][:rows] for role, name in sent.parameters.items()}
