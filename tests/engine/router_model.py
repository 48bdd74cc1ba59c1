"""An independent, simple model of the fabric: routers, ramps, streams and simple operations.

The model has no fast paths: in every cycle, every router examines every color, and every PE every thread.  The rules are those
in the header comments of csrc/router/router.c, switch.c, stream.c and csrc/pe/ce.c, the figures those of machine.def.  The code
is independent of the engine's.

A cycle: the fill of each buffer is recorded; then streams at the edge act, then PEs, then routers.  A sender compares with the
fill of the receiver's buffer at the start of the cycle.  A PE acts before its router: the router can use a slot that the PE has
freed in an input queue in the same cycle.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

PORTS = "NESWR"
STEP = {"N": (0, -1), "E": (1, 0), "S": (0, 1), "W": (-1, 0)}
OPPOSITE = {"N": "S", "E": "W", "S": "N", "W": "E"}
NOP, ADVANCE, RESET, TEARDOWN = range(4)
NO_ENTRY = 31
MAIN = 8  # the main thread among the threads of a PE

Place = tuple[int, int]


@dataclass(frozen=True)
class Wavelet:
    data: int
    control: bool = False
    advance: bool = False  # it advances the switch of its own router
    ready: int = 0  # the first cycle in which it may go on


def commands(word: int) -> list[tuple[int, bool]]:
    """The eight commands of a control word: opcode, and whether the compute element is not to see it."""
    bits = [word >> i & 1 for i in (*range(22, 30), *range(16))]
    return [(bits[3 * k] | bits[3 * k + 1] << 1, bool(bits[3 * k + 2])) for k in range(8)]


def control_word(listed: Iterable[tuple[int, bool]], entry: int = NO_ENTRY) -> int:
    """A control word of up to eight commands; the rest are NOPs that no compute element sees."""
    listed = [*listed]
    word = entry << 16
    for k, (opcode, hidden) in enumerate(listed + [(NOP, True)] * (8 - len(listed))):
        for i, bit in enumerate((opcode & 1, opcode >> 1, hidden)):
            word |= int(bit) << [*range(22, 30), *range(16)][3 * k + i]
    return word


@dataclass
class Filter:
    kind: str
    count_data: bool = True
    count_control: bool = False
    filter_control: bool = False
    min_index: int = 0
    max_index: int = 0
    init_counter: int = 0
    limit1: int = 0
    limit2: int = 0
    max_counter: int = 0

    def __post_init__(self):
        self.counter = self.init_counter
        self.limits = [limit for limit in (self.limit1, self.limit2) if limit]  # of a sparse counter, that are left

    def passes(self, w: Wavelet) -> bool:
        if self.kind == "range":
            return w.control or self.min_index <= w.data >> 16 <= self.max_index
        if w.control and not self.filter_control:
            return True
        if self.kind == "sparse" and not (self.limit1 and self.limits):
            return True
        return self.counter == self.max_counter if w.control else self.counter <= self.max_counter

    def count(self, w: Wavelet) -> None:
        if self.kind != "range" and (self.count_control if w.control else self.count_data):
            if self.kind == "counter":
                self.counter = 0 if self.counter >= self.limit1 else self.counter + 1
            elif self.limits and self.counter >= self.limits[0]:
                self.counter = 0
                self.limits.pop(0)
            else:
                self.counter += 1


@dataclass
class Route:
    """A router's configuration of one color: positions (rx, tx) over "NESWR"."""

    positions: list[tuple[str, str]]
    position: int = 0
    ring: bool = False
    pop: str = "no_pop"
    teardown: bool = False
    swap_x: bool = False
    swap_y: bool = False
    filter: Filter | None = None

    @property
    def rx(self) -> str:
        return self.positions[self.position][0]

    @property
    def tx(self) -> str:
        return self.positions[self.position][1]

    def apply(self, opcode: int) -> None:
        last = len(self.positions) - 1
        if opcode == ADVANCE:
            self.position = self.position + 1 if self.position < last else 0 if self.ring else last
        if opcode == RESET:
            self.position = 0
        if opcode == TEARDOWN:
            self.teardown = True

    def leaving(self, w: Wavelet) -> int:
        """The word of a wavelet as the next router sees it."""
        if not w.control:
            return w.data
        listed = commands(w.data)
        moves = self.ring or self.position < len(self.positions) - 1  # else the command is there for the next router
        advances = moves and listed[0][0] == ADVANCE
        if self.pop == "always_pop" or (self.pop == "pop_on_advance" and advances):
            listed = listed[1:] + [(NOP, False)]
        elif self.pop == "pop_on_advance_nop" and advances:
            listed = [(NOP, listed[0][1]), *listed[1:]]
        else:
            return w.data
        kept = w.data & 0xC03F0000  # what is no command
        return kept | control_word(listed, 0)

    def color(self, color: int, port: str) -> int:
        swaps = self.swap_x if port in "EW" else self.swap_y if port in "NS" else False
        return color ^ 1 if swaps else color


@dataclass
class Buffer:
    wavelets: deque[Wavelet] = field(default_factory=deque)
    sent: set[str] = field(default_factory=set)  # outputs that have taken the first one already
    first_since: int = 0  # the cycle from which it is the first


@dataclass
class Stream:
    """A stream at the edge.  A rate below 1 spaces wavelets out; one that had to wait does not make up for it."""

    rate: Fraction
    wavelets: list[Wavelet] = field(default_factory=list)  # that will enter, or have left
    capacity: int = 0
    passed: int = 0
    next: int = 0
    start: int = 0

    def moves(self, now: int) -> None:
        step = 1 / self.rate
        if self.passed == 0 or self.next < now:
            self.start = now - floor(self.passed * step)
        self.passed += 1
        self.next = self.start + ceil(self.passed * step)


@dataclass
class Operation:
    """n elements, one at a time: from an input queue or a list, to an output queue or a list."""

    first: int  # cycle of the first element
    n: int
    source: int | list[int]
    queue: int | None = None  # of the output
    color: int = 0
    control: bool = False
    advance: bool = False  # the last wavelet advances switches
    period: int = 1
    got: list[int] = field(default_factory=list)
    done: int = 0

    def __post_init__(self):
        self.next = self.first


@dataclass
class PE:
    """The part of a compute element that its router depends on.

    binds: input queue of a color.  threads: operations by microthread, MAIN the main thread's.  idle_from: the cycle from which
    no task runs; from then on, control wavelets without a task are dropped on arrival.
    """

    binds: Mapping[int, int] = field(default_factory=dict)
    threads: dict[int, Operation] = field(default_factory=dict)
    idle_from: int = 0

    def __post_init__(self):
        self.input = {queue: deque() for queue in self.binds.values()}
        self.output = {op.queue: deque() for op in self.threads.values() if op.queue is not None}
        self.turn = self.output_turn = 0


class FaultRaised(Exception):
    """kind, x, y, color, cycle"""


class Model:
    """A fabric with these figures.  Set routes, streams and pes, then run."""

    def __init__(self, width: int, height: int, figures: Mapping[str, int]):
        self.width, self.height, self.figures = width, height, figures
        self.routes: dict[tuple[Place, int], Route] = {}
        self.inputs: dict[tuple[Place, str, int], Stream] = {}
        self.outputs: dict[tuple[Place, str, int], Stream] = {}
        self.pes: dict[Place, PE] = {}
        self.buffers: dict[tuple[Place, int, str], Buffer] = {}
        self.pointers: Counter = Counter()  # by place and port: the color whose turn it is
        self.busy_since: dict[tuple[Place, str], int] = {}  # a link's last unbroken row of cycles
        self.busy_last: dict[tuple[Place, str], int] = {}
        self.left: dict[tuple[Place, str, int], list[tuple[int, int, bool]]] = {}  # cycle, data, control
        self.landed: list[tuple[int, Place, int, int, bool]] = []  # cycle, place, color, data, control
        self.links: Counter = Counter()  # wavelets by port and place
        self.waited: Counter = Counter()  # cycles
        self.now = 0

    def stream_in(self, place: Place, port: str, color: int, wavelets: list[Wavelet], rate=1) -> None:
        self.inputs[place, port, color] = Stream(Fraction(rate), wavelets)

    def stream_out(self, place: Place, port: str, color: int, capacity: int, rate=1) -> None:
        self.outputs[place, port, color] = Stream(Fraction(rate), capacity=capacity)
        self.left[place, port, color] = []

    def run(self, cycles: int) -> None:
        """So many more cycles, or to the first fault, which it raises."""
        for _ in range(cycles):
            self.cycle()

    def cycle(self) -> None:
        self.began = {where: len(buffer.wavelets) for where, buffer in self.buffers.items()}
        for (place, port, color), stream in self.inputs.items():
            self.enter(place, port, color, stream)
        for place, pe in self.pes.items():
            self.inject(place, pe)
            self.slot(pe)
        faults = []
        for place in sorted({place for place, _ in self.routes}, key=lambda place: place[::-1]):  # row by row
            try:
                self.router(place)
            except FaultRaised as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        self.now += 1

    # Into a router.

    def has_room(self, place: Place, color: int, port: str) -> bool:
        return self.began.get((place, color, port), 0) < self.figures["router_depth"]

    def push(self, place: Place, color: int, port: str, w: Wavelet, after: int) -> None:
        buffer = self.buffers.setdefault((place, color, port), Buffer())
        buffer.wavelets.append(Wavelet(w.data, w.control, w.advance, self.now + after))

    def enter(self, place: Place, port: str, color: int, stream: Stream) -> None:
        if stream.passed == len(stream.wavelets) or stream.next > self.now or not self.has_room(place, color, port):
            return
        self.push(place, color, port, stream.wavelets[stream.passed], self.figures["hop_cycles"])
        stream.moves(self.now)

    def inject(self, place: Place, pe: PE) -> None:
        """One wavelet a cycle from the output queues, queues in turn."""
        for queue in [*range(pe.output_turn, 8), *range(pe.output_turn)]:
            waiting = pe.output.get(queue)
            if not waiting or waiting[0][0].ready > self.now:
                continue
            w, color = waiting[0]
            if self.has_room(place, color, "R"):
                waiting.popleft()
                self.push(place, color, "R", w, 1)
                pe.output_turn = (queue + 1) % 8
                return

    # A compute element.

    def slot(self, pe: PE) -> None:
        """One element of one thread, threads in turn."""
        if self.now >= pe.idle_from:
            for queue in pe.input.values():
                self.drop(queue)
        for thread in [*range(pe.turn, MAIN + 1), *range(pe.turn)]:
            operation = pe.threads.get(thread)
            if (
                operation
                and operation.done < operation.n
                and operation.next <= self.now
                and self.element(pe, operation)
            ):
                pe.turn = (thread + 1) % (MAIN + 1)
                if thread == MAIN and operation.done == operation.n:  # then the task ends
                    pe.idle_from = self.now + 2 + self.figures["op_drain_cycles"]
                return

    def drop(self, queue: deque[Wavelet]) -> None:
        """Control wavelets that had commands for routers only."""
        while queue and queue[0].ready <= self.now and queue[0].control and queue[0].data >> 16 & 63 == NO_ENTRY:
            queue.popleft()

    def element(self, pe: PE, op: Operation) -> bool:
        queue = pe.input[op.source] if isinstance(op.source, int) else None
        if queue is not None:
            self.drop(queue)
            if not queue or queue[0].ready > self.now or queue[0].control:
                return False
        if op.queue is not None and len(pe.output[op.queue]) >= self.figures[f"oq{op.queue}_depth"]:
            return False
        word = op.source[op.done] if queue is None else queue.popleft().data
        op.done += 1
        op.next = self.now + op.period
        if op.queue is None:
            op.got.append(word)
        else:
            leaves = self.now + self.figures["ramp_out_cycles"] - 1
            w = Wavelet(word, op.control, op.advance and op.done == op.n, leaves)
            pe.output[op.queue].append((w, op.color))
        return True

    # A router.

    def router(self, place: Place) -> None:
        heads: dict[int, tuple[Route, str, Buffer]] = {}
        asking: dict[str, list[int]] = {port: [] for port in PORTS}
        for color in sorted({color for _, color in self.routes}):
            route = self.routes.get((place, color))
            if route is None or route.teardown:
                continue
            port = self.choose(place, color, route)
            if port is None:
                continue
            buffer = self.buffers[place, color, port]
            heads[color] = route, port, buffer
            for to in PORTS:
                if (
                    to in route.tx
                    and to not in buffer.sent
                    and self.accepts(place, color, route, to, buffer.wavelets[0])
                ):
                    asking[to].append(color)
        for to in PORTS:
            if asking[to] and not self.rests(place, to):
                pointer = self.pointers[place, to]
                color = min(asking[to], key=lambda c: (c < pointer, c))  # at or after the pointer, then from 0
                self.pointers[place, to] = color + 1
                self.send(place, color, to, *heads[color])
        for color, (route, _, buffer) in heads.items():
            if buffer.sent >= set(route.tx):
                w = buffer.wavelets.popleft()
                buffer.sent, buffer.first_since = set(), self.now + 1
                if w.control or w.advance:
                    route.apply(commands(w.data)[0][0] if w.control else ADVANCE)

    def choose(self, place: Place, color: int, route: Route) -> str | None:
        """The input whose turn it is: one that has begun, else the one whose first wavelet has been ready the longest."""
        buffers = {port: self.buffers.get((place, color, port), Buffer()) for port in PORTS if port in route.rx}
        landing = [port for port, b in buffers.items() if any(w.ready == self.now for w in b.wavelets)]
        if len(landing) > 1:
            raise FaultRaised("COLLISION", *place, color, self.now)
        ready = [port for port, b in buffers.items() if b.wavelets and b.wavelets[0].ready <= self.now]
        order = {
            port: (
                not buffers[port].sent,
                max(buffers[port].wavelets[0].ready, buffers[port].first_since),
                PORTS.index(port),
            )
            for port in ready
        }
        return min(ready, key=order.__getitem__, default=None)

    def accepts(self, place: Place, color: int, route: Route, port: str, w: Wavelet) -> bool:
        """Whether what lies behind a port has room for the wavelet."""
        if port == "R":
            if self.dropped(route, w):
                return True
            pe = self.pes.get(place)
            queue = pe.binds.get(color) if pe else None
            if queue is None:
                return False
            return len(pe.input[queue]) < self.figures[f"iq{queue}_depth"] + self.figures["ramp_in_cycles"] - 1
        to, leaves = self.beyond(place, port), route.color(color, port)
        if to is not None:
            return self.has_room(to, leaves, OPPOSITE[port])
        stream = self.outputs.get((place, port, leaves))
        if stream is None:
            raise FaultRaised("OFF_EDGE", *place, color, self.now)
        return stream.passed < stream.capacity and (stream.passed == 0 or stream.next <= self.now)

    def beyond(self, place: Place, port: str) -> Place | None:
        x, y = place[0] + STEP[port][0], place[1] + STEP[port][1]
        return (x, y) if 0 <= x < self.width and 0 <= y < self.height else None

    def dropped(self, route: Route, w: Wavelet) -> bool:
        """The ramp takes the wavelet, and the compute element never sees it."""
        return (w.control and commands(w.data)[0][1]) or (route.filter is not None and not route.filter.passes(w))

    def rests(self, place: Place, port: str) -> bool:
        """A link that was busy for so many cycles in a row has to rest for one."""
        every = self.figures["link_bubble_every"]
        if not every or port == "R":
            return False
        if self.busy_last.get((place, port)) != self.now - 1:
            self.busy_since[place, port] = self.now
        if self.now - self.busy_since[place, port] >= every:
            return True
        self.busy_last[place, port] = self.now
        return False

    def send(self, place: Place, color: int, port: str, route: Route, came: str, buffer: Buffer) -> None:
        w = buffer.wavelets[0]
        self.links[port, place] += 1
        self.waited[port, place] += self.now - max(w.ready, buffer.first_since)
        buffer.sent.add(port)
        if port == "R":
            drops = self.dropped(route, w)
            if route.filter is not None:
                route.filter.count(w)
            if not drops:
                pe = self.pes[place]
                ready = self.now + self.figures["ramp_in_cycles"]
                pe.input[pe.binds[color]].append(Wavelet(w.data, w.control, False, ready))
                self.landed.append((self.now, place, color, w.data, w.control))
            return
        to, leaves = self.beyond(place, port), route.color(color, port)
        w = Wavelet(route.leaving(w), w.control)
        if to is not None:
            self.push(to, leaves, OPPOSITE[port], w, self.figures["hop_cycles"])
            return
        stream = self.outputs[place, port, leaves]
        stream.moves(self.now)
        self.left[place, port, leaves].append((self.now, w.data, w.control))
