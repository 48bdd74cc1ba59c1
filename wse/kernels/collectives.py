"""Collectives on rows and columns: routes and code for reduces and broadcasts, and closed forms for their cycles.

A reduce along a line of PEs follows a tree.  Each PE except the first (the root) adds the vectors of its children to
its own and sends the sum to its parent, a PE nearer to the root.  The parity of the depth in the tree selects one of
two colors, so that a PE never receives on the color on which it sends.  A vector that crosses other PEs on its way to
its parent passes through their routers only.  A crossed router first serves its own PE; after the PE's last vector its
switch advances to the position that forwards traffic.

    star        every PE sends to the first PE, one after the other
    chain       every PE sends to the PE before it, which adds element by element as wavelets arrive
    tree        PE p sends to p with its lowest set bit cleared: ceil(log2 P) rounds of doubling distance, for any P
    two-phase   chains within groups of S PEs, then a chain of the first PEs of the groups, through the routers between

All four are those of Luczynski et al., "Near-Optimal Wafer-Scale Reduce" (HPDC 2024, arXiv 2404.15888), and so are the
closed forms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..program import dsd
from ..program.pe_class import PEClass
from ..program.program import Program
from ..records import dataclass

ALGORITHMS = ("star", "chain", "tree", "two-phase")

# --- closed forms -----------------------------------------------------------------------------------------------------
#
# Symbols, for one line of PEs unless said otherwise:
#     P  PEs in the line          M, N  rows and columns of a grid
#     B  length of a vector in wavelets (two 16-bit elements to a wavelet)
#     S  PEs in a group           D  depth: the number of dependent stages
#     T_R  cycles between router and compute element, one way: 2 on WSE-2 [HPDC'24]
#     hop  cycles from router to router: 1 on WSE-2 [HPDC'24], 2 on WSE-3 [machine.def]
# The paper models WSE-2.  With T_R and hop of another machine (`costs`), the same model applies:
#     T = max(C, E / links + hop L) + (2 T_R + 1) D
# C: contention, the largest number of wavelets that one PE sends or receives.  E: energy, in wavelet-hops.  L: the
# longest distance, in hops.


class Costs(NamedTuple):
    """The parameters of a machine, in cycles.  t_r: T_R, router to compute element, one way.  hop: one hop."""

    t_r: float = 2
    hop: int = 1

    @property
    def stage(self) -> float:
        """Cycles of one stage, 2 T_R + 1: up the ramp, one element, down the ramp."""
        return 2 * self.t_r + 1


WSE2_COSTS = Costs()


def costs(machine: Machine) -> Costs:
    """The parameters of `machine`.  A stage takes ramp_in_cycles + ramp_out_cycles."""
    return Costs((machine.ramp_in_cycles + machine.ramp_out_cycles - 1) / 2, machine.hop_cycles)


def star(P: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a star reduce: the first PE receives all vectors one after the other."""
    return B * (P - 1) + c.stage


def chain(P: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a chain reduce: every PE is a pipeline stage."""
    return B + (c.stage + c.hop) * (P - 1)


def tree(P: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a tree reduce, ceil(log2 P) rounds: C = B log2 P; E = B P / 2 log2 P over P - 1 links."""
    rounds = math.ceil(math.log2(P)) if P > 1 else 0
    return max(B * rounds, B * P / (2 * max(P - 1, 1)) * rounds + c.hop * (P - 1)) + c.stage * rounds


def two_phase(P: int, B: int, S: int | None = None, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a two-phase reduce with groups of S PEs (by default default_group(P)).

    C = 2 B, D = S - 1 + P / S - 1, E = B (P - P / S) + B (P - S).
    """
    S = min(S or default_group(P), P)
    groups = math.ceil(P / S)
    contention = (2 if groups > 1 and S > 1 else 1) * B
    energy = B * (P - groups) + B * S * (groups - 1)
    return max(contention, energy / max(P - 1, 1) + c.hop * (P - 1)) + c.stage * (S - 1 + groups - 1)


def broadcast(P: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a multicast from the first PE of a line to all others: B + P + 2 T_R on WSE-2."""
    return broadcast_from(P - 1, B, c)


def broadcast_2d(M: int, N: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a multicast from a corner of a grid to all others: B + M + N - 2 + 2 T_R + 1 on WSE-2."""
    return broadcast_from(M + N - 2, B, c)


def broadcast_from(L: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a multicast to PEs at most L hops away."""
    return B + c.hop * L + c.stage


def reduce(algorithm: str, P: int, B: int, S: int | None = None, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a reduce along a line by the named algorithm (one of ALGORITHMS); 0 for a single PE."""
    if P == 1:
        return 0
    if algorithm == "two-phase":
        return two_phase(P, B, S, c)
    return {"star": star, "chain": chain, "tree": tree}[algorithm](P, B, c)


def reduce_2d(algorithm: str, M: int, N: int, B: int, S: int | None = None, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a reduce of M rows of N PEs each, followed by a reduce of the M sums in the first column."""
    return reduce(algorithm, N, B, S, c) + reduce(algorithm, M, B, S, c)


def allreduce(algorithm: str, M: int, N: int, B: int, S: int | None = None, c: Costs = WSE2_COSTS) -> float:
    """Cycles of an all-reduce on a grid: a reduce to a corner, followed by a broadcast from there."""
    return reduce_2d(algorithm, M, N, B, S, c) + broadcast_2d(M, N, B, c)


def ring_allreduce(P: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """Cycles of a ring all-reduce (reduce-scatter and all-gather).  A model only: there is no program for it."""
    return 2 * (P - 1) * B / P + c.hop * (4 * P - 6) + 2 * (P - 1) * c.stage


def lower_bound(P: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """A lower bound on the cycles of any reduce along a line.

    It is the minimum over the depth D of B E*(P, D) / (P - 1) + hop (P - 1) + (2 T_R + 1) D.  E*(P, D) is the least
    energy of a reduce of single wavelets with depth at most D.  It follows by dynamic programming: the last message to
    the first PE comes from some PE i, which has reduced PEs i .. P - 1 in depth D - 1.
    """
    if P == 1:
        return 0
    depth = np.arange(P)
    return float(np.min(B * _least_energy(P)[P] / (P - 1) + c.hop * (P - 1) + c.stage * depth))


@cache
def _least_energy(P: int) -> np.ndarray:
    """E*(p, D) for p <= P and D < P, float64 [P + 1, P]; infinite where no tree of that depth exists."""
    energy = np.full((P + 1, P), np.inf)
    energy[1] = 0
    for p in range(2, P + 1):
        i = np.arange(1, p)
        # PEs before i in depth D, PEs from i on in depth D - 1, and i hops for the message from PE i
        energy[p, 1:] = (energy[i, 1:] + energy[p - i, :-1] + i[:, None]).min(axis=0)
    return energy


def lower_bound_2d(M: int, N: int, B: int, c: Costs = WSE2_COSTS) -> float:
    """A lower bound on the cycles of any reduce on a grid: max(B, B / 8 + M + N - 1) + 2 T_R + 1 on WSE-2.

    Every vector but one must leave its PE, which has at most eight links, and one must travel the longest distance.
    """
    return max(B, B / 8 + c.hop * (M + N - 2) + 1) + c.stage


def published_chain(P: int, B: int) -> int:
    """Cycles of the chain reduce on the vendor's WSE-2 simulator, by the authors' logs.  Exact for all logged runs."""
    return B + 6 * (P - 1) + 56


def published_two_phase(P: int, B: int, S: int) -> int:
    """Cycles of the two-phase reduce on the vendor's WSE-2 simulator, within 2 cycles for all 22 logged runs.

    The last term is the wait for the sum of the last group, when it arrives after the second phase has started.
    """
    return 2 * B + 6 * (S - 1) + (math.ceil(P / S) - 2) * (S + 5) + 77 + max(0, S - B - 13)


# --- plans ------------------------------------------------------------------------------------------------------------

NOTHING, ADVANCE, CONTROL = range(3)


class Role(NamedTuple):
    """The part of a PE in a reduce.  PEs with the same role execute the same code.

    received: the number of vectors that it receives and adds.  color: the index (0 or 1) of the color on which it
    sends; it receives on the other.  sends: true for all PEs except the first.  tail: the switch command after its
    vector: NOTHING; ADVANCE, which advances the PE's own router; or CONTROL, a control wavelet that advances the
    routers of the PE and of its parent.
    """

    received: int
    color: int
    sends: bool
    tail: int


@dataclass(frozen=True, eq=False)
class Plan:
    """A reduce along a line of `size` PEs.  All arrays are indexed by the position of a PE.

    parent: int [size], the PE to which a PE sends; -1 for the first.  received, color, tail: int [size], see Role.
    crossed: bool [2, size], whether vectors for other PEs cross a PE on each color.
    """

    algorithm: str
    parent: np.ndarray
    received: np.ndarray
    color: np.ndarray
    crossed: np.ndarray
    tail: np.ndarray

    @property
    def size(self) -> int:
        """Number of PEs."""
        return len(self.parent)

    def roles(self) -> Iterator[tuple[Role, np.ndarray]]:
        """Yields each role that occurs and the positions of the PEs that have it."""
        sends = self.parent >= 0
        rows = np.stack([self.received, self.color, sends, self.tail], axis=1)
        unique, which = np.unique(rows, axis=0, return_inverse=True)
        for i, (received, color, sends_it, tail) in enumerate(unique.tolist()):
            yield Role(received, color, bool(sends_it), tail), np.flatnonzero(which.ravel() == i)

    def total(self, values: np.ndarray, add: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """The reference model: the sum of values [..., size, n] over the PEs, in the order of the program.

        add: the rounded addition of two arrays [..., n].  Returns [..., n].
        """
        sums = [values[..., p, :] for p in range(self.size)]
        children: list[list[int]] = [[] for _ in sums]
        for child in range(1, self.size):
            children[self.parent[child]].append(child)
        for p in range(self.size - 1, -1, -1):
            for child in children[p]:
                sums[p] = add(sums[p], sums[child])
        return sums[0]


def default_group(P: int) -> int:
    """The default group size of two-phase for P PEs: near the square root of P, where the depth is least."""
    return max(2, round(math.sqrt(P)))


def plan(algorithm: str, size: int, group: int | None = None) -> Plan:
    """Plans the reduce of a line of `size` PEs into the first.

    algorithm: one of ALGORITHMS; raises ConfigError for any other.  group: PEs per group of two-phase, by default
    default_group(size).
    """
    p = np.arange(size)
    match algorithm:
        case "star":
            parent, depth = np.zeros_like(p), np.minimum(p, 1)
        case "chain":
            parent, depth = p - 1, p
        case "tree":
            parent, depth = p & (p - 1), np.bitwise_count(p).astype(p.dtype)
        case "two-phase":
            group = group or default_group(size)
            first = p % group == 0
            parent, depth = np.where(first, p - group, p - 1), p // group + p % group
        case _:
            raise ConfigError(f"unknown reduce algorithm {algorithm!r}: use one of {', '.join(ALGORITHMS)}")
    parent[0] = -1
    senders, parents = p[1:], parent[1:]
    color = (depth + 1) % 2
    received = np.bincount(parents, minlength=size)
    crossed = np.zeros((2, size + 1), np.int64)
    np.add.at(crossed, (color[senders], parents + 1), 1)
    np.add.at(crossed, (color[senders], senders), -1)
    is_crossed = np.cumsum(crossed, axis=1)[:, :size] > 0
    last = np.zeros(size, np.int64)
    np.maximum.at(last, parents, senders)
    tail = np.full(size, NOTHING)
    tail[senders] = np.where(is_crossed[color[senders], senders], ADVANCE, NOTHING)
    tail[senders[(last[parents] == senders) & is_crossed[color[senders], parents]]] = CONTROL
    return Plan(algorithm, parent, received, color, is_crossed, tail)


# --- programs ---------------------------------------------------------------------------------------------------------

# By axis: the ports by which a vector enters and leaves a router on its way to the first PE.
_PORTS = {"x": ("E", "W"), "y": ("S", "N")}
_NO_ENTRY, _ADVANCE_UNSEEN = 31, 0b101  # no task; SWITCH_ADV, not forwarded to the compute element
_CONTROL_WORD = _NO_ENTRY << 16 | _ADVANCE_UNSEEN << 22
_UNROLLED = 32  # additions per loop iteration

Axis = Literal["x", "y"]


class Element(NamedTuple):
    """An element type of vectors: its array dtype and the mnemonics of its add and move operations."""

    dtype: str
    add: str
    move: str

    @property
    def simd(self) -> bool:
        """Whether a wavelet carries two elements."""
        return self.dtype != "f32"


F32 = Element("f32", "fadds", "fmovs")
F16 = Element("f16", "faddh", "fmovh")  # in the program's 16-bit format


def element(dtype: str) -> Element:
    """The Element of a dtype: f32, f16, bf16 or cb16."""
    return F32 if dtype == "f32" else F16


def wavelets(dtype: str, length: int) -> int:
    """The number of wavelets that carry a vector of `length` elements."""
    return -(-length // 2) if element(dtype).simd else length


class Reduce:
    """A plan as part of a program: the routes of its lines and the code of its roles.

    The constructor declares two colors and their routes.  axis: "x" reduces every row into its PE at x = 0; "y" reduces
    column x = 0 into its PE at y = 0.  name: prefix of its colors, descriptors and labels.  vector: the name of the
    descriptor of the operand, which every PE class declares; at the end that of the first PE holds the sum.  queue: the
    index of the input and the output queue that it uses.  The code uses d0, d1, a0, b0 and r2.
    """

    def __init__(self, program: Program, plan: Plan, axis: Axis, name: str, vector: str, of: Element, queue: int):
        self.plan, self.axis, self.name, self.vector, self.of, self.queue = plan, axis, name, vector, of, queue
        self.colors = [program.color(f"{name}{i}") for i in range(2)]
        self._route(program)

    def at(self, positions: np.ndarray) -> dict[str, Any]:
        """The PEs at the given positions of the lines, as arguments x and y of Program.place and Program.route."""
        return {"x": positions, "y": None} if self.axis == "x" else {"x": 0, "y": positions}

    def _route(self, program: Program) -> None:
        far, near = _PORTS[self.axis]
        plan, sends = self.plan, self.plan.parent >= 0
        for i, color in enumerate(self.colors):
            out = sends & (plan.color == i)
            into = (plan.color != i) & (plan.received > 0)
            crossed = plan.crossed[i]
            # (PEs, input port, output port, the switch position that forwards the vectors of other PEs)
            for who, rx, tx, switch in (
                (out & ~crossed, "R", near, ()),
                (out & crossed, "R", near, ((far, None),)),
                (into & ~crossed, far, "R", ()),
                (into & crossed, far, "R", ((None, near),)),
                (crossed & ~out & ~into, far, near, ()),
            ):
                if who.any():
                    program.route(color, rx, tx, switch=switch, **self.at(np.flatnonzero(who)))

    def add(self, pe: PEClass, role: Role) -> None:
        """Adds the queues, descriptors and code of a role to a class.  The code falls through to what is added next."""
        name, queue = self.name, self.queue
        code = []
        sent, read = self.colors[role.color], self.colors[1 - role.color]
        if role.received:
            pe.queue_in(queue, read)
            pe.dsd(f"{name}_in", dsd.fabin(queue, color=read, simd=self.of.simd))
            code += [f"dsr a0, {self.vector}", f"dsr b0, {name}_in"]
        added = role.received - role.sends
        if added > 0:
            code += [f"dsr d0, {self.vector}", *self._repeated(f"{self.of.add} d0, a0, b0", added)]
        if role.sends:
            pe.queue_out(queue, sent)
            advance = role.tail == ADVANCE
            pe.dsd(f"{name}_out", dsd.fabout(queue, sent, advance_switch=advance, simd=self.of.simd))
            code.append(f"dsr d0, {name}_out")
            if role.received:
                code.append(f"{self.of.add} d0, a0, b0")
            else:
                code += [f"dsr a0, {self.vector}", f"{self.of.move} d0, a0"]
        if role.tail == CONTROL:
            pe.dsd(f"{name}_ctl", dsd.fabout(queue, sent, length=1, control=True))
            code += [f"dsr d1, {name}_ctl", f"mov r2, {_CONTROL_WORD:#x}", "mov32 d1, r2"]
        pe.code("\n".join(["", *code, ""]))

    def _repeated(self, instruction: str, times: int) -> list[str]:
        loops, rest = divmod(times, _UNROLLED)
        code = [instruction] * rest
        if loops:
            label = f".{self.name}"
            body = [instruction] * _UNROLLED
            code += [f"mov r2, {loops}", f"{label}:", *body, "isub16 r2, r2, 1", f"bnz r2, {label}"]
        return code


class Broadcast:
    """Broadcast of the vector of the PE at `root` (x, y) to all PEs of a program.

    One multicast runs along the row of the root and, from every PE of that row, along its column.  The other parameters
    are those of Reduce.  distance: hops to the farthest PE.  The code uses d0 and a0.
    """

    def __init__(
        self, program: Program, name: str, vector: str, of: Element, queue: int, root: tuple[int, int] = (0, 0)
    ):
        self.name, self.vector, self.of, self.queue, self.root = name, vector, of, queue, root
        self.color = program.color(name)
        self.distance = max(root[0], program.width - 1 - root[0]) + max(root[1], program.height - 1 - root[1])
        self._route(program)

    def _route(self, program: Program) -> None:
        (x, y), width, height = self.root, program.width, program.height
        down = ("N" if y > 0 else "") + ("S" if y < height - 1 else "")
        lines: list[tuple[str, str, Any, Any]] = [  # input, outputs, x, y: inner PEs, then the last PE
            ("W", "RE" + down, slice(x + 1, width - 1), y),
            ("W", "R" + down, slice(max(x + 1, width - 1), width), y),
            ("E", "RW" + down, slice(1, x), y),
            ("E", "R" + down, slice(0, min(x, 1)), y),
            ("N", "RS", None, slice(y + 1, height - 1)),
            ("N", "R", None, slice(max(y + 1, height - 1), height)),
            ("S", "RN", None, slice(1, y)),
            ("S", "R", None, slice(0, min(y, 1))),
        ]
        for rx, tx, xs, ys in lines:
            program.route(self.color, rx, tx, x=xs, y=ys)
        out = ("E" if x < width - 1 else "") + ("W" if x > 0 else "") + down
        program.route(self.color, "R", out, x=x, y=y)

    def add(self, pe: PEClass, root: bool) -> None:
        """Adds the queues, descriptors and code to a class.  root: whether it sends the vector or receives it."""
        name, queue = self.name, self.queue
        if root:
            pe.queue_out(queue, self.color)
            pe.dsd(f"{name}_out", dsd.fabout(queue, self.color, simd=self.of.simd))
            to, source = f"{name}_out", self.vector
        else:
            pe.queue_in(queue, self.color)
            pe.dsd(f"{name}_in", dsd.fabin(queue, color=self.color, simd=self.of.simd))
            to, source = self.vector, f"{name}_in"
        pe.code(f"\ndsr d0, {to}\ndsr a0, {source}\n{self.of.move} d0, a0\n")
