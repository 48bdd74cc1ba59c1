"""Messages for faults and deadlocks.

A deadlock is analyzed as a wait-for graph.  Its nodes are waits: of an operation, a router buffer, a queue or a task.
Its edges lead to the waits that must end first.  A cycle of the graph is the circular wait.  If there is no cycle, the
report names the roots: waits without an edge, which nothing in the fabric can end.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator
from typing import Any

import numpy as np

from .. import _engine
from ..program import route
from ..program.assembler import disassemble_word
from ..program.image import Image, PEImage
from .errors import DeadlockError, FabricFault

LINES = 20  # of a report

WAIT = np.dtype(
    [
        ("pe", "<u4"),
        ("on_pe", "<u4"),
        ("pc", "<i4"),
        ("who", "<i2"),
        ("id", "<i2"),
        ("why", "<i2"),
        ("color", "<i2"),
        ("port", "<i2"),
        ("queue", "<i2"),
        ("task", "<i2"),
        ("pad", "<i2"),
    ]
)
assert WAIT.itemsize == _engine.WAIT_BYTES

_DRAWN = 2000  # waits that the explorer shows
_MAX_WAITS = 1 << 20  # waits that a report reads from the engine
_BUDGET = 20_000  # waits that the search for a cycle visits
_STEPS = 200_000  # routers that the search visits: about a second
_PORT_NAMES = ("north", "east", "south", "west", "ramp")

# The remedy for a fault, by its row of faults.def.
ADVICE = {
    "BAD_OPCODE": "the code was overwritten, or control ran into data",
    "BAD_PC": "end each task with done, and each function with ret",
    "BAD_OPERAND": "look the instruction up with `wse isa`",
    "BAD_DSR": "load the DSR with `dsr` before, with a descriptor of the kind that the operand needs",
    "BAD_QUEUE": "bind the queue with queue_in or queue_out",
    "BAD_COLOR": "declare the color with Program.color",
    "BAD_TASK": "bind the task in this PE's class",
    "COLLISION": "separate the senders in time, or use two colors",
    "OFF_EDGE": "attach a stream there, or do not route it off the edge",
    "FABRIC_INPUTS": "bring one of the inputs to memory first",
    "ASYNC": "drop async, or give the operation a fabric operand and a DSR as destination",
    "MICROTHREAD": "name another with ut=, or use a queue of a lower number: `wse arch` says how many there are",
    "FIFO": "let the writer or the reader of the FIFO go first, or give the FIFO another action",
    "TRAP": "the code decides what the value means",
}
CSL_ADVICE = {
    "BAD_OPERAND": "this is an error of the compiler",
    "BAD_OPCODE": "the program wrote over its code: check the bounds of arrays and descriptors",
    "BAD_PC": "the program wrote over its code or a pointer to a function",
    "BAD_DSR": "load the DSR before, with @load_to_dsr and a descriptor of the kind that the operand needs",
    "BAD_QUEUE": "bind the queue with @initialize_queue in a comptime block of this PE's code",
    "BAD_COLOR": "give the color a route, with @set_color_config or @set_local_color_config",
    "BAD_TASK": "bind the task in this PE's code: @bind_local_task, @bind_data_task, @bind_control_task",
    "OFF_EDGE": "do not route the color off the rectangle",
    "FABRIC_INPUTS": "move one of the inputs to memory first",
    "ASYNC": "drop .async, or give the operation a fabin_dsd, a fabout_dsd or a FIFO",
    "MICROTHREAD": "give the operation another .ut_id, or a queue of a lower number",
    "FIFO": "let the writer or the reader go first, or give @allocate_fifo another .empty_action or .full_action",
    "TRAP": "",
}


# --- names ------------------------------------------------------------------------------------------------------------


def code_at(pe: PEImage | None, pc: int) -> str:
    """The place of an instruction in its source: `worker:12, main+3`, `pe.csl:12:5 in main`."""
    return pe.describe(pc) if pe is not None else f"instruction {pc}"


def instruction(pe: PEImage | None, pc: int) -> str:
    """The name of an instruction."""
    word = pe.instruction(pc) if pe is not None else None
    return "an operation" if word is None else disassemble_word(word).split(" ", 1)[0]


def color_name(image: Image, color: int) -> str:
    """`color NAME`, or `color NUMBER` if the program does not name it."""
    for known in image.colors.values():
        if known == color and known.name != f"color{color}":
            return f"color {known.name}"
    return f"color {color}"


def source_line(pe: PEImage | None, pc: int) -> str:
    """The line of source of an instruction; empty if it is not known."""
    return pe.source(pc) if pe is not None and pc >= 0 else ""


def task_name(pe: PEImage | None, task: int) -> str:
    """`task NAME`, or `task ID` if the class does not name it."""
    for name, id in pe.tasks.items() if pe else ():
        if id == task:
            return f"task {name}"
    return f"task {task}"


# --- faults -----------------------------------------------------------------------------------------------------------


def fault(image: Image, record: tuple[int, ...]) -> FabricFault:
    """The error for a fault record of the engine."""
    kind, x, y, color, queue, task, port, pc, cycle, detail = record
    name, sentence, _ = _engine.faults()[kind]
    pe = image.class_at(x, y)
    parts = [f"PE ({x}, {y})", f"cycle {cycle}"]
    if pc >= 0:
        parts.append(f"{instruction(pe, pc)} at {code_at(pe, pc)}")
    if task >= 0:
        parts.append(task_name(pe, task))
    if color >= 0:
        parts.append(color_name(image, color))
    if queue >= 0:
        parts.append(f"queue {queue}")
    if port >= 0:
        parts.append(f"port {route.PORTS[port]}")
    if what := _detail(name, detail, pc):
        parts.append(what)
    advice = (ADVICE | CSL_ADVICE if image.language == "csl" else ADVICE)[name]
    if name == "TRAP" and pe is not None and (message := pe.message(detail)):
        sentence, advice = message, ""
        parts.pop()
    line = source_line(pe, pc)
    return FabricFault(
        f"{sentence} ({', '.join(parts)})" + (f"; {advice}" if advice else "") + (f"\n    {line}" if line else ""),
        *(name, x, y, cycle),
        color=color,
        queue=queue,
        task=task,
        port=port,
        pc=pc,
        detail=detail,
    )


def _detail(name: str, detail: int, pc: int) -> str:
    # The meaning of a fault's detail; csrc/pe/system.c and issue.c set it.
    if name == "TRAP":
        return f"value {detail}"
    if name == "BAD_OPCODE":
        return f"opcode {detail}"
    if name == "BAD_TASK" and pc >= 0:
        return f"id {detail}"
    return ""


# --- deadlock ---------------------------------------------------------------------------------------------------------


def deadlock(image: Image, engine: _engine.Engine) -> DeadlockError:
    """The report of a deadlocked fabric."""
    return waiting(image, engine).error()


def waiting(image: Image, engine: _engine.Engine) -> Deadlock:
    """The waits of a deadlocked fabric."""
    return Deadlock(image, *waits_of(engine), engine.last_activity())


def waits_of(engine: _engine.Engine) -> tuple[np.ndarray, int]:
    """The current waits, an array of WAIT with at most _MAX_WAITS of them, and their number."""
    count = engine.waits(np.empty(0, np.uint8))
    waits = np.zeros(min(count, _MAX_WAITS), WAIT)
    engine.waits(waits.view(np.uint8))
    return waits, count


class Deadlock:
    """The wait-for graph.  A node is an index of `waits`; edges are computed on demand."""

    def __init__(self, image: Image, waits: np.ndarray, count: int, cycle: int):
        self.image, self.count, self.cycle = image, count, cycle
        self.waits = waits[np.argsort(waits["pe"], kind="stable")]
        self.pes = self.waits["pe"].astype(np.int64)
        self.steps = 0
        self.edges_of: dict[int, list[int]] = {}
        self._stuck: dict[int, dict[int, list[int]]] = {}
        self._positions: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def error(self) -> DeadlockError:
        """The error that reports the deadlock."""
        waits = self.waits
        kinds = Counter(waits["who"].tolist())
        totals = ", ".join(f"{count} {plural(_WHO[who], count)}" for who, count in sorted(kinds.items()) if who in _WHO)
        pes = len(np.unique(self.pes))
        lines = [
            f"deadlock: nothing has moved since cycle {self.cycle}, and {totals} on {pes} {plural('PE', pes)} wait"
        ]
        cycle = self.find_cycle()
        if cycle:
            steps = [self.line(node, cycle[(i + 1) % len(cycle)]) for i, node in enumerate(cycle)]
            lines.append(f"a cycle of {len(steps)} {plural('wait', len(steps))}:")
            lines += self.drawn(cycle, steps)
            return DeadlockError("\n".join(lines), steps, self.count)
        roots = [f"  {line}" for line in self.roots()]
        searched = "" if len(waits) <= _BUDGET and self.steps < _STEPS else " where the search looked"
        lines.append(f"no cycle{searched}{': nothing in the fabric can end these waits:' if roots else ''}")
        lines += _limited(roots)
        return DeadlockError("\n".join(lines), [], self.count)

    def drawn(self, cycle: list[int], steps: list[str]) -> list[str]:
        """The cycle as lines: each wait, its line of source below it, and an arrow from the last to the first."""
        blocks = [[step] for step in steps]
        for node, block in zip(cycle, blocks, strict=True):
            w = self.waits[node]
            if line := source_line(self.class_of(int(w["pe"])), int(w["pc"])):
                block.append(f"    {line}")
        if len(steps) > LINES:
            blocks[LINES - 2 : -1] = [[f"... and {len(steps) - LINES + 1} more"]]
        lines = [f"  |   {line}" for block in blocks for line in block]
        lines[0] = "  +-> " + lines[0][6:]
        last = len(lines) - len(blocks[-1])
        if last:
            lines[last] = "  +-- " + lines[last][6:]
        return lines[: last + 1] + [f"      {line[6:]}" for line in lines[last + 1 :]]

    def graph(self) -> dict[str, Any]:
        """The waits as JSON values for Detail: those of the circular wait, then the first others."""
        cycle = self.find_cycle()
        among = set(cycle)
        nodes = [*cycle, *(node for node in range(len(self.waits)) if node not in among)][:_DRAWN]
        index = {node: i for i, node in enumerate(nodes)}
        after = {node: cycle[(i + 1) % len(cycle)] for i, node in enumerate(cycle)}
        return {
            "who": [self.line(node, after.get(node)) for node in nodes],
            "pe": [int(self.pes[node]) for node in nodes],
            "edges": [[index[a], index[b]] for a in nodes for b in self.edges(a) if b in index],
            "cycle": [index[node] for node in cycle if node in index],
            "count": self.count,
        }

    # The search.

    def find_cycle(self) -> list[int]:
        """A cycle of the graph; empty if there is none.

        It is the shortest cycle through a node of the first cycle found.
        """
        found = self._any_cycle()
        best = found
        for start in found[:32]:
            shorter = self._shortest(start, len(best))
            if shorter and len(shorter) < len(best):
                best = shorter
        return best

    def _any_cycle(self) -> list[int]:
        state = np.zeros(len(self.waits), np.uint8)  # 0 new, 1 on the path, 2 done
        visited = 0
        for root in range(min(len(self.waits), _BUDGET)):
            if state[root]:
                continue
            path, stack = [root], [iter(self.edges(root))]
            state[root] = 1
            while stack:
                node = next(stack[-1], None)
                if node is None:
                    state[path.pop()] = 2
                    stack.pop()
                elif state[node] == 1:
                    return path[path.index(node) :]
                elif not state[node] and visited <= _BUDGET:
                    visited += 1
                    state[node] = 1
                    path.append(node)
                    stack.append(iter(self.edges(node)))
        return []

    def _shortest(self, start: int, shorter_than: int) -> list[int]:
        came: dict[int, int] = {start: start}
        queue = deque([(start, 1)])
        while queue:
            node, length = queue.popleft()
            if length >= shorter_than:
                return []
            for after in self.edges(node):
                if after == start:
                    path = [node]
                    while path[-1] != start:
                        path.append(came[path[-1]])
                    return path[::-1]
                if after not in came:
                    came[after] = node
                    queue.append((after, length + 1))
        return []

    # The edges.

    def at(self, pe: int, *who: int) -> list[int]:
        """The waits of a PE; with `who`, those of these kinds."""
        low, high = np.searchsorted(self.pes, [pe, pe + 1])
        return [i for i in range(low, high) if not who or self.waits["who"][i] in who]

    def edges(self, node: int) -> list[int]:
        """The waits of which one must end before this one can end."""
        if node not in self.edges_of:
            self.edges_of[node] = [other for other in dict.fromkeys(self._edges(node)) if other != node]
        return self.edges_of[node]

    def _edges(self, node: int) -> Iterable[int]:
        w = self.waits[node]
        pe, why, color = int(w["pe"]), int(w["why"]), int(w["color"])
        running = (_engine.WAIT_MAIN, _engine.WAIT_MICROTHREAD)
        if why == _engine.FOR_WAVELET:
            return self._senders(pe, color)
        if why == _engine.FOR_ROOM:
            return self._holders(w)
        if why == _engine.FOR_READER:  # nothing begins before the main thread goes on
            return self.at(pe, _engine.WAIT_MAIN) or self.at(pe, *running, _engine.WAIT_TASK)
        if why == _engine.FOR_UNBLOCK:
            return self.at(pe, *running, _engine.WAIT_TASK)
        if why == _engine.FOR_MICROTHREAD:
            return [i for i in self.at(pe, _engine.WAIT_MICROTHREAD) if self.waits["id"][i] == w["queue"]]
        if why == _engine.FOR_BINDING:
            return [i for i in self.at(pe, _engine.WAIT_INPUT_QUEUE, *running) if self.waits["queue"][i] == w["queue"]]
        if why == _engine.FOR_FIFO:
            return self.at(pe, *running, _engine.WAIT_TASK)
        return []

    def _holders(self, w: np.void) -> list[int]:
        """The waits that occupy the capacity: of the next router's buffer, of the queue, or of the queue's readers."""
        on, color, port = int(w["on_pe"]), int(w["color"]), int(w["port"])

        def of_color(who: int) -> list[int]:
            return [i for i in self.at(on, who) if self.waits["color"][i] == color]

        if w["who"] in (_engine.WAIT_MAIN, _engine.WAIT_MICROTHREAD):
            return of_color(_engine.WAIT_OUTPUT_QUEUE) or of_color(_engine.WAIT_ROUTER)
        if w["who"] == _engine.WAIT_ROUTER and port == _engine.RAMP:
            queues = of_color(_engine.WAIT_INPUT_QUEUE)
            return queues or self.at(on, _engine.WAIT_MAIN, _engine.WAIT_MICROTHREAD, _engine.WAIT_TASK)
        side = port ^ 2 if w["who"] == _engine.WAIT_ROUTER else _engine.RAMP
        routers = of_color(_engine.WAIT_ROUTER)
        return [i for i in routers if self.waits["id"][i] == side] or routers

    def _senders(self, pe: int, color: int) -> list[int]:
        """Waits upstream of the PE's ramp: wavelets of the color that are blocked on the way, else their senders."""
        stuck = self.stuck(color)
        found = []
        for here, injects in self.upstream(pe, color, stuck):
            if here in stuck:
                found += stuck[here]
            elif injects:
                found += self._injectors(here, color)
        return found

    def stuck(self, color: int) -> dict[int, list[int]]:
        """Waits of router buffers of the color, by PE."""
        if color not in self._stuck:
            found = self._stuck[color] = {}
            for i in np.flatnonzero((self.waits["who"] == _engine.WAIT_ROUTER) & (self.waits["color"] == color)):
                found.setdefault(int(self.pes[i]), []).append(int(i))
        return self._stuck[color]

    def positions(self, color: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The rx and tx masks of the color's switch positions."""
        if color not in self._positions:
            plane = self.image.routes.planes.get(color)
            if plane is None:
                return []
            last = int((plane >> np.uint64(_engine.ROUTE_LAST) & np.uint64(3)).max())
            self._positions[color] = [(route.rx_masks(plane, p), route.tx_masks(plane, p)) for p in range(last + 1)]
        return self._positions[color]

    def upstream(self, pe: int, color: int, until: Container[int] = ()) -> Iterator[tuple[int, bool]]:
        """Breadth-first search from the PE's ramp against the color's routes: (PE, whether its ramp is an input).

        The search does not continue beyond PEs in `until`.  Every switch position counts, because the current position
        is not known here.
        """
        width, height = self.image.width, self.image.height
        seen, queue = {(pe, _engine.RAMP)}, deque([(pe, _engine.RAMP)])
        while queue and self.steps < _STEPS:
            self.steps += 1
            here, leaves = queue.popleft()
            y, x = divmod(here, width)
            injects, before = False, []
            for rx, tx in self.positions(color):
                if not tx[y, x] >> leaves & 1:
                    continue
                injects = injects or bool(rx[y, x] & route.RAMP_BIT)
                for port, (dx, dy) in enumerate(route.STEP):
                    if rx[y, x] >> port & 1 and 0 <= x + dx < width and 0 <= y + dy < height:
                        before.append(((y + dy) * width + x + dx, port ^ 2))
            yield here, injects
            if here in until:
                continue
            for step in before:
                if step not in seen:
                    seen.add(step)
                    queue.append(step)

    def _injectors(self, pe: int, color: int) -> list[int]:
        outputs = [i for i in self.at(pe, _engine.WAIT_OUTPUT_QUEUE) if self.waits["color"][i] == color]
        return outputs or self.at(pe, _engine.WAIT_MAIN, _engine.WAIT_MICROTHREAD, _engine.WAIT_TASK)

    # Sentences.

    def roots(self) -> list[str]:
        """Sentences for the waits without an edge; equal waits of several PEs share a line."""
        groups: dict[tuple, list[int]] = {}
        fields = ("who", "id", "why", "color", "port", "queue", "task", "pc")
        for node in range(min(len(self.waits), _BUDGET)):
            if self.edges(node):
                continue
            w = self.waits[node]
            pe = self.class_of(int(w["pe"]))
            groups.setdefault((pe.name if pe else "", *(int(w[name]) for name in fields)), []).append(node)
        lines = []
        for nodes in groups.values():
            more = f" (and {len(nodes) - 1} more PEs alike)" if len(nodes) > 1 else ""
            w = self.waits[nodes[0]]
            source = source_line(self.class_of(int(w["pe"])), int(w["pc"]))
            lines.append(self.line(nodes[0], None) + more + (f"\n      {source}" if source else ""))
        return lines

    def class_of(self, pe: int) -> PEImage | None:
        """The class of a PE; None if it has none."""
        return self.image.class_at(pe % self.image.width, pe // self.image.width)

    def place(self, pe: int) -> str:
        """Coordinates of a PE as text."""
        return f"PE ({pe % self.image.width}, {pe // self.image.width})"

    def line(self, node: int, after: int | None) -> str:
        """`PE (1, 0) main thread (fmovs, worker:12, main+3) waits for ..., which ... would ...`"""
        return f"{self.who(node)} waits for {self.why(node, after)}"

    def who(self, node: int) -> str:
        """Description of a waiting thread, router, queue or task."""
        w = self.waits[node]
        pe = int(w["pe"])
        who, number, color = int(w["who"]), int(w["id"]), color_name(self.image, int(w["color"]))
        place, code = self.place(pe), self.code(w)
        if who == _engine.WAIT_MAIN:
            return f"{place} main thread{code}"
        if who == _engine.WAIT_MICROTHREAD:  # the task that started its operation may have ended
            return f"{place} microthread {number}{code}"
        if who == _engine.WAIT_ROUTER:
            return f"{place} router, {color}{_from(number)},"
        if who == _engine.WAIT_OUTPUT_QUEUE:
            return f"{place} output queue {number} ({color})"
        if who == _engine.WAIT_INPUT_QUEUE:
            return f"{place} input queue {number} ({color})" if number < _engine.QUEUES else f"{place} input ({color})"
        return f"{place} {task_name(self.class_of(pe), number)}"

    def code(self, w: np.void) -> str:
        """The instruction of a wait and its place, in parentheses; empty if it has none."""
        pe, pc = self.class_of(int(w["pe"])), int(w["pc"])
        if pc < 0:
            return ""
        place, task = code_at(pe, pc), task_name(pe, int(w["task"]))
        known = w["who"] == _engine.WAIT_MAIN and pe is not None and int(w["task"]) in pe.tasks.values()
        named = f", {task}" if known and task.removeprefix("task ") not in re.findall(r"\w+", place) else ""
        return f" ({instruction(pe, pc)}, {place}{named})"

    def why(self, node: int, after: int | None) -> str:
        """Description of what a node waits for.  after: the next node of the cycle, or None."""
        w = self.waits[node]
        why, pe = int(w["why"]), int(w["pe"])
        color, queue, on = color_name(self.image, int(w["color"])), int(w["queue"]), self.place(int(w["on_pe"]))
        if why == _engine.FOR_WAVELET:
            return f"a wavelet in input queue {queue} ({color}){self._sender(pe, int(w['color']), after)}"
        if why == _engine.FOR_ROOM:
            if w["who"] in (_engine.WAIT_MAIN, _engine.WAIT_MICROTHREAD):
                return f"room in output queue {queue} ({color})"
            if int(w["port"]) == _engine.RAMP and w["who"] == _engine.WAIT_ROUTER:
                return f"room in the input queue of {color} at {on}"
            if int(w["color"]) in self.image.host_colors and w["who"] == _engine.WAIT_ROUTER:
                return f"the host to ask for {color}"
            port = int(w["port"])  # by which the wavelet leaves this PE's router, or its ramp
            return f"room in the router of {on} ({color}{_from(port ^ 2 if w['who'] == _engine.WAIT_ROUTER else port)})"
        if why == _engine.FOR_READER:
            return f"an operation that reads {color}, and the PE runs none"
        if why == _engine.FOR_UNBLOCK:
            return "an unblock"
        if why == _engine.FOR_ROUTE:
            return f"a switch: the router's position does not take {color} from there"
        if why == _engine.FOR_QUEUE:
            return f"an input queue: none of {on} is bound to {color}"
        if why == _engine.FOR_TEARDOWN:
            return f"the end of the teardown of {color}"
        if why == _engine.FOR_MICROTHREAD:
            return f"microthread {queue}, which is in use{self._other_microthread(w)}"
        if why == _engine.FOR_BINDING:
            return f"input queue {queue}, which holds wavelets of {color}"
        return "a FIFO that no operation fills or empties" if after is None else "a FIFO"

    def _other_microthread(self, w: np.void) -> str:
        if self.image.language != "csl":
            return ""
        if self.image.machine.microthread_by_queue:
            return ": a microthread has the number of its output queue, else of its input queue; use different numbers"
        return ": give the operations different .ut_id"

    def _sender(self, pe: int, color: int, after: int | None) -> str:
        if after is not None:
            other = self.waits[after]
            if other["who"] == _engine.WAIT_ROUTER:
                return f", which is stuck in the router of {self.place(int(other['pe']))}"
            return f", which {self.place(int(other['pe']))} would send"
        sources = list(dict.fromkeys(here for here, injects in self.upstream(pe, color) if injects))
        if not sources:
            return ", which no PE's route can bring"
        more = f" or {len(sources) - 1} more" if len(sources) > 1 else ""
        return f", which only {self.place(sources[0])}{more} could send, and no task there is left to"


_WHO = {
    _engine.WAIT_MAIN: "main thread",
    _engine.WAIT_MICROTHREAD: "microthread",
    _engine.WAIT_ROUTER: "router buffer",
    _engine.WAIT_OUTPUT_QUEUE: "output queue",
    _engine.WAIT_INPUT_QUEUE: "input queue",
    _engine.WAIT_TASK: "task",
}


def _from(port: int) -> str:
    """By which side of its router a wavelet came; empty if the router's position takes it from none."""
    return f" from {_PORT_NAMES[port]}" if 0 <= port < len(_PORT_NAMES) else ""


def plural(word: str, count: int) -> str:
    return word if count == 1 else word + "s"


def _limited(lines: list[str]) -> list[str]:
    if len(lines) <= LINES:
        return lines
    return [*lines[: LINES - 1], f"  ... and {len(lines) - LINES + 1} more"]
