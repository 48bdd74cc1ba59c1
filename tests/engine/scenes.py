"""Random fabrics for Hypothesis: routes, streams and small programs, built for the engine and for the model alike."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count

import numpy as np
from engine import router_model as rm
from engine.router_model import OPPOSITE, STEP, Place, Route, Wavelet
from hypothesis import strategies as st

import wse


@dataclass
class Send:
    """A PE sends these words on a color; a relay sends what it receives."""

    color: int
    words: list[int]
    control: bool = False
    advance: bool = False
    relays: int | None = None  # the color that it receives


@dataclass
class Read:
    """A PE takes n wavelets of a color: one a cycle beside the main thread, or one in two cycles on it."""

    color: int
    n: int
    slowly: bool = False


@dataclass
class Scene:
    width: int
    height: int
    machine: wse.Machine
    routes: dict[tuple[Place, int], Route] = field(default_factory=dict)
    inputs: dict[tuple[Place, str, int], tuple[list[Wavelet], Fraction]] = field(default_factory=dict)
    outputs: dict[tuple[Place, str, int], tuple[int, Fraction]] = field(default_factory=dict)
    programs: dict[Place, list[Send | Read]] = field(default_factory=dict)
    bound: dict[Place, list[int]] = field(default_factory=dict)  # colors with an input queue and no reader
    delays: dict[Place, int] = field(default_factory=dict)  # cycles before a PE's first operation
    rows: dict[Place, int] = field(
        default_factory=dict
    )  # first queue of a PE's operations: which microthreads they get

    @property
    def colors(self) -> list[int]:
        return sorted({color for _, color in self.routes})

    # The engine.

    def fabric(self, **options) -> tuple[wse.Fabric, dict]:
        """The scene on the engine, and its output streams."""
        p = wse.Program(self.width, self.height, self.machine)
        named = {color: p.color(f"c{color}", color) for color in self.colors}
        for ((x, y), color), r in self.routes.items():
            f = r.filter and wse.Filter(**{k: v for k, v in vars(r.filter).items() if k not in ("counter", "limits")})
            p.route(
                *(named[color], *r.positions[0], x, y, r.positions[1:]),
                ring=r.ring,
                pop=r.pop,
                position=r.position,
                teardown=r.teardown,
                filter=f,
                swap_x=r.swap_x,
                swap_y=r.swap_y,
            )
        for place in self.places:
            self._class(p, place, named)
        f = wse.Fabric(p, **options)
        for ((x, y), port, color), (wavelets, rate) in self.inputs.items():
            words, control = [w.data for w in wavelets], [w.control for w in wavelets]
            f.stream_in(x, y, port, named[color], np.array(words, np.uint32), control, rate)
        outputs = {
            ((x, y), port, color): f.stream_out(x, y, port, named[color], capacity, rate)
            for ((x, y), port, color), (capacity, rate) in self.outputs.items()
        }
        return f, outputs

    @property
    def places(self) -> list[Place]:
        return list(dict.fromkeys([*self.programs, *self.bound]))

    def queues(self, place: Place) -> list[tuple[Send | Read, int]]:
        """The operations of a PE with the number of their queues, which are their microthreads too."""
        return list(zip(self.programs.get(place, []), count(self.rows.get(place, 0)), strict=False))

    def binds(self, place: Place) -> dict[int, int]:
        """Input queue by color."""
        binds = {}
        for op, queue in self.queues(place):
            color = op.color if isinstance(op, Read) else op.relays
            if color is not None:
                binds[color] = queue
        return binds | {color: 7 - i for i, color in enumerate(self.bound.get(place, []))}

    def _class(self, p: wse.Program, place: Place, named: dict) -> None:
        pe = p.pe_class("pe_{}_{}".format(*place))
        p.place(pe, *place)
        for color, queue in self.binds(place).items():
            pe.queue_in(queue, named[color])
        loads, starts = [], []
        for op, q in self.queues(place):
            option = f"{{async, ut={q}}}"
            if isinstance(op, Send):
                pe.queue_out(q, named[op.color])
                flags = {"control": op.control, "advance_switch": op.advance}
                pe.dsd(f"out{q}", wse.fabout(q, named[op.color], len(op.words), **flags))
                if op.relays is None:
                    pe.dsd(f"from{q}", wse.mem1d(pe.array(f"words{q}", len(op.words), "u32", init=op.words)))
                else:
                    pe.dsd(f"from{q}", wse.fabin(q, len(op.words)))
                loads += [f"dsr d{q}, out{q}", f"dsr a{q}, from{q}"]
                starts.append(f"mov32 d{q}, a{q} {option}")
            elif op.slowly:
                pe.dsd(f"in{q}", wse.fabin(q, op.n))
                loads.append(f"dsr b{q}, in{q}")
                starts.append(f"fadds r1, r1, b{q}")
            else:
                pe.dsd(f"in{q}", wse.fabin(q, op.n))
                pe.dsd(f"to{q}", wse.mem1d(pe.array(f"got{q}", op.n, "u32")))
                loads += [f"dsr d{q}, to{q}", f"dsr a{q}, in{q}"]
                starts.append(f"mov32 d{q}, a{q} {option}")
        pe.code("\n".join(["main:", *["nop"] * self.delays.get(place, 0), *loads, *starts, "done"]))
        pe.local_task("main", 9, active=True)

    # The model.

    def model(self) -> rm.Model:
        m = rm.Model(self.width, self.height, self.machine.params)
        m.routes = {where: replace(r, filter=r.filter and replace(r.filter)) for where, r in self.routes.items()}
        for (place, port, color), (wavelets, rate) in self.inputs.items():
            m.stream_in(place, port, color, wavelets, rate)
        for (place, port, color), (capacity, rate) in self.outputs.items():
            m.stream_out(place, port, color, capacity, rate)
        for place in self.places:
            m.pes[place] = self._pe(place)
        return m

    def _pe(self, place: Place) -> rm.PE:
        p = self.machine
        ops = self.queues(place)
        loads = sum(1 if isinstance(op, Read) and op.slowly else 2 for op, _ in ops)
        # a DSR takes four loads and ldds, one cycle each
        last = p.task_start_cycles + self.delays.get(place, 0) + 5 * loads - 1
        dispatch = last + p.dsr_to_op_cycles if loads else last + 1
        threads, first = {}, dispatch + p.op_start_cycles
        for i, (op, q) in enumerate(ops):
            if isinstance(op, Send):
                source = q if op.relays is not None else op.words
                threads[q] = rm.Operation(first + i, len(op.words), source, q, op.color, op.control, op.advance)
            elif op.slowly:
                threads[rm.MAIN] = rm.Operation(first + i, op.n, q, period=p.reduce_fp_cycles)
            else:
                threads[q] = rm.Operation(first + i, op.n, q)
        slow = any(isinstance(op, Read) and op.slowly for op, _ in ops)
        return rm.PE(self.binds(place), threads, 1 << 60 if slow else dispatch + len(ops) + 1)


# --- random ones --------------------------------------------------------------------------------------------------------------

RATES = [Fraction(1), Fraction(1, 2), Fraction(2, 3), Fraction(1, 7), Fraction(9, 10)]
rates = st.sampled_from(RATES)


@st.composite
def machines(draw) -> wse.Machine:
    """A machine, most often as it is."""
    name = draw(st.sampled_from(wse.machine.parameters.MACHINES))
    profile = "silicon" if name == "wse3" and draw(st.integers(0, 3)) == 0 else "simulator"
    overrides = {}
    if draw(st.booleans()):
        for figure, least, most in (
            *(("hop_cycles", 1, 3), ("router_depth", 1, 7), ("ramp_in_cycles", 1, 4), ("ramp_out_cycles", 2, 5)),
            *(("link_bubble_every", 0, 4), ("iq0_depth", 1, 4), ("oq0_depth", 1, 3), ("oq1_depth", 1, 2)),
        ):
            overrides[figure] = draw(st.integers(least, most))
    return wse.Machine(name, profile, overrides)


@st.composite
def words(draw, color: int, most: int = 40) -> list[int]:
    """Words that say which they are."""
    return [color << 24 | i for i in range(draw(st.integers(1, most)))]


def _commands(draw) -> int:
    opcodes = st.sampled_from([rm.ADVANCE] * 3 + [rm.NOP, rm.RESET] + [rm.TEARDOWN] * (draw(st.integers(0, 9)) == 0))
    return rm.control_word(draw(st.lists(st.tuples(opcodes, st.booleans()), min_size=1, max_size=8)))


def _traffic(draw, color: int) -> list[Wavelet]:
    wavelets = [Wavelet(word) for word in draw(words(color))]
    for i in draw(st.lists(st.integers(0, len(wavelets) - 1), max_size=4)):
        wavelets[i] = Wavelet(_commands(draw), control=True)
    return wavelets


def _some(draw, letters: str) -> str:
    chosen = draw(st.lists(st.sampled_from(letters), min_size=1, unique=True))
    return "".join(letter for letter in rm.PORTS if letter in chosen)


class _Tree:
    """A color's tree under construction: how it comes into each router and leaves it."""

    def __init__(self, scene: Scene, color: int):
        self.scene, self.color = scene, color
        self.came: dict[Place, str] = {}
        self.leaves: dict[Place, set[str]] = {}

    def beyond(self, place: Place, port: str) -> Place | None:
        x, y = place[0] + STEP[port][0], place[1] + STEP[port][1]
        return (x, y) if 0 <= x < self.scene.width and 0 <= y < self.scene.height else None

    def add(self, place: Place, came: str) -> None:
        self.came[place], self.leaves[place] = came, set()

    def grow(self, place: Place, port: str) -> None:
        to = self.beyond(place, port)
        if port == self.came[place] or (to is not None and to in self.came):
            return
        self.leaves[place].add(port)
        if to is not None:
            self.add(to, OPPOSITE[port])


@st.composite
def scenes(draw, joins: bool = True) -> Scene:
    """Colors that each spread over a tree of routers, with switches, filters and everything that feeds or empties them.

    joins: on WSE-2 a router may also take the color from its ramp or from the edge beside the tree; then two may collide.
    A fabric of 66 columns is used in its last four: the engine keeps 64 routers of a row together.  One of 25 rows is used in
    its middle: two or three threads have a border there.
    """
    machine = draw(machines())
    scene = Scene(draw(st.sampled_from([1, 2, 3, 4, 4, 66])), draw(st.sampled_from([1, 2, 3, 4, 4, 25])), machine)
    north, south = (0, scene.height - 1) if scene.height <= 4 else (7, 17)
    taps: list[tuple[Place, int]] = []
    sources: list[tuple[Place, int]] = []
    for color in range(draw(st.integers(1, 4))):
        tree = _Tree(scene, color)
        root = draw(st.integers(max(0, scene.width - 4), scene.width - 1)), draw(st.integers(north, south))
        edges = [port for port in "NESW" if tree.beyond(root, port) is None]
        tree.add(root, draw(st.sampled_from([*edges, "R"])))
        for _ in range(draw(st.integers(0, 9))):
            tree.grow(draw(st.sampled_from(list(tree.came))), draw(st.sampled_from("NESW")))
        for place in tree.came:
            _router(draw, scene, tree, place, taps, sources, joins and machine.rx_directions > 1)
    _programs(draw, scene, taps, sources)
    return scene


def _router(draw, scene: Scene, tree: _Tree, place: Place, taps: list, sources: list, joins: bool) -> None:
    color, came = tree.color, tree.came[place]
    rx = came
    if came == "R":
        sources.append((place, color))
    if joins and draw(st.integers(0, 5)) == 0:
        more = [port for port in "NESW" if tree.beyond(place, port) is None and port not in tree.leaves[place] | {came}]
        port = draw(st.sampled_from([*more, *([] if came == "R" else ["R"])] or [came]))
        rx += port if port != came else ""
        if port == "R" != came:
            sources.append((place, color))
    if not tree.leaves[place] or draw(st.integers(0, 2)) == 0:
        tree.leaves[place].add("R")
    tx = "".join(port for port in rm.PORTS if port in tree.leaves[place])
    positions = [(rx, tx)]
    if draw(st.integers(0, 2)) == 0 and scene.machine.has_switch(color):
        extra = [(rx, _some(draw, tx)) for _ in range(draw(st.integers(1, 3)))]
        if came != "R" and draw(st.booleans()):
            extra[-1] = ("R", extra[-1][1])  # the last position is for what the PE itself sends
            sources.append((place, color))
        positions = [(rx, _some(draw, tx)) if draw(st.booleans()) else positions[0], *extra]
    route = Route(
        *(positions, draw(st.integers(0, len(positions) - 1)), draw(st.booleans())),
        pop=draw(st.sampled_from(wse.program.route.POP)),
        filter=_filter(draw) if "R" in tx and draw(st.integers(0, 4)) == 0 else None,
    )
    scene.routes[place, color] = route
    if any("R" in leaves for _, leaves in positions):
        taps.append((place, color))
    for port in {port for comes, _ in positions for port in comes} & set("NESW"):
        if tree.beyond(place, port) is None:
            scene.inputs[place, port, color] = _traffic(draw, color), draw(rates)
    for port in {port for _, leaves in positions for port in leaves} & set("NESW"):
        if tree.beyond(place, port) is None:
            scene.outputs[place, port, color] = draw(st.sampled_from([1000, 1000, 5])), draw(rates)


def _filter(draw) -> rm.Filter:
    small = st.integers(0, 4)
    kind = draw(st.sampled_from(["range", "counter", "sparse"]))
    flags = [draw(st.booleans()) for _ in range(3)]
    flags[2] &= kind == "counter"
    low = draw(st.sampled_from([0, 1 << 8]))
    return rm.Filter(kind, *flags, low, low + draw(st.sampled_from([0, 1 << 8])), *(draw(small) for _ in range(4)))


def _programs(draw, scene: Scene, taps: list, sources: list) -> None:
    """At most three operations a PE, and one if it is the slow kind, so that all are dispatched before the first runs."""
    for place, color in taps:
        ops = scene.programs.setdefault(place, [])
        what = draw(st.sampled_from(["read", "read", "slow", "relay", "bound", "none"]))
        n = draw(st.integers(1, 60))
        into = [(at, c) for at, c in sources if at == place and c != color]
        if what == "slow" and not ops:
            ops.append(Read(color, n, slowly=True))
        elif what == "relay" and into and not _full(ops):
            sources.remove(into[0])
            ops.append(Send(into[0][1], [0] * n, relays=color))
        elif what in ("read", "relay") and not _full(ops):
            ops.append(Read(color, n))
        elif what != "none":
            scene.bound.setdefault(place, []).append(color)
    for place, color in sources:
        ops = scene.programs.setdefault(place, [])
        if _full(ops):
            continue
        if draw(st.integers(0, 3)) == 0:
            ops.append(Send(color, [_commands(draw) for _ in range(draw(st.integers(1, 5)))], control=True))
        else:
            ops.append(Send(color, draw(words(color)), advance=draw(st.booleans())))
    for place in scene.places:
        scene.delays[place] = draw(st.sampled_from([0, 0, 1, 2, 30]))
        scene.rows[place] = draw(st.integers(0, 2))


def _full(ops: list) -> bool:
    return len(ops) == 3 or any(isinstance(op, Read) and op.slowly for op in ops)
