"""Random programs that use every feature of the engine at once, as plans that can be made smaller.

A plan says what each class of PEs runs, which class lies where, how colors are routed and what the streams at the edge
carry.  Nothing is known about what a plan does: it may compute, wait for ever, or do what the machine forbids.  But it
must do the same however it is run; engine/differential.py compares.

    plan = Plan.of_seed(17)
    fabric, streams = plan.fabric(plan.program(), threads=2)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

import wse
from wse.machine import isa

WORDS = 64  # elements of each array
GRIDS = ((1, 1), (2, 1), (2, 3), (5, 2), (3, 6), (4, 4), (66, 2), (65, 3), (130, 1), (2, 25))
LOCAL = {"main": 9, "other": 10, "third": 11, "fourth": 12}
CONTROL = {"told": 40, "asked": 41}
TORN_DOWN = 29  # the task that the engine activates when a color is torn down
NO_ENTRY = 31  # a control wavelet for routers only
SCALARS = [row for row in isa.INSTRUCTIONS if row.kind == "scalar"]
VECTORS = [row for row in isa.INSTRUCTIONS if row.kind == "vector" and row.types[0] != "NONE"]
COPIES = {"4": ("mov32", "fmovs"), "2": ("mov16", "fmovh")}
BYTES = {"H": "2", "W": "2", "S": "4", "D": "4"}
LINES = {"E": ("W", "x"), "W": ("E", "x"), "S": ("N", "y"), "N": ("S", "y")}  # direction: where it comes from, the axis


@dataclass
class Kind:
    """A class of PEs.  tasks: statements by task, each a list of lines that belong together."""

    name: str
    queues_in: dict[int, int] = field(default_factory=dict)  # color by queue
    queues_out: dict[int, int] = field(default_factory=dict)
    descriptors: dict[str, tuple[str, tuple, dict[str, Any]]] = field(default_factory=dict)
    tasks: dict[str, list[list[str]]] = field(default_factory=dict)
    flags: dict[str, dict[str, Any]] = field(default_factory=dict)  # of tasks
    data_tasks: dict[str, int] = field(default_factory=dict)  # queue by task

    @property
    def text(self) -> str:
        lines = []
        for name, statements in self.tasks.items():
            lines += [f"{name}:", *(line for statement in statements for line in statement), "done"]
        return "\n".join(lines)


@dataclass
class Plan:
    """A program, its data and its streams.  `seed` makes the data."""

    seed: int
    machine: str
    profile: str
    overrides: dict[str, int]
    fp16: str
    width: int
    height: int
    colors: list[int]
    routes: list[tuple[int, dict[str, Any]]]  # color and arguments of Program.route
    kinds: list[Kind]
    places: list[tuple[int, int, int]]  # kind, x, y
    inputs: list[tuple[int, int, str, int, list[tuple[int, bool]], float]]  # x, y, port, color, wavelets, rate
    outputs: list[tuple[int, int, str, int, int, float]]  # x, y, port, color, capacity, rate
    max_cycles: int

    @classmethod
    def of_seed(cls, seed: int) -> Plan:
        for attempt in range(1000):
            plan = _Planner(seed, attempt).plan
            try:  # a class none of whose PEs can use a descriptor is refused
                wse.Fabric(plan.program())
            except wse.ProgramError:
                continue
            return plan
        raise AssertionError(f"no program of seed {seed} is accepted")

    def program(self) -> wse.Program:
        p = wse.Program(
            self.width, self.height, wse.Machine(self.machine, self.profile, self.overrides), fp16=self.fp16
        )
        for color in self.colors:
            p.color(f"c{color}", color)
        p.shared_array("half", WORDS, "f16")
        p.shared_array("word", WORDS, "u32", offset=self.seed % 3 * 4)
        p.shared_array("saved", 32, "u32")
        for kind in self.kinds:
            self._class(p, kind)
        for kind_index, x, y in self.places:
            p.place(p.classes[self.kinds[kind_index].name], x, y)
        for color, route in self.routes:
            p.route(color, **route)
        return p

    @staticmethod
    def _class(p: wse.Program, kind: Kind) -> None:
        pe = p.pe_class(kind.name)
        for queue, color in kind.queues_in.items():
            pe.queue_in(queue, color)
        for queue, color in kind.queues_out.items():
            pe.queue_out(queue, color)
        text = kind.text
        for name, (what, arguments, options) in kind.descriptors.items():
            if not re.search(rf"\b{name}\b", text):
                continue
            options = dict(options)
            xdsr = options.pop("xdsr", None)
            arguments = tuple(p.shared[a] if a in ("half", "word") else a for a in arguments)
            pe.dsd(name, getattr(wse, what)(*arguments, **options), xdsr=xdsr)
        for name, task in {**LOCAL, "torn": TORN_DOWN}.items():
            if name in kind.tasks:
                pe.local_task(name, task, **kind.flags.get(name, {}))
        for name, task in CONTROL.items():
            if name in kind.tasks:
                pe.control_task(name, task)
        for name, queue in kind.data_tasks.items():
            if name in kind.tasks:
                pe.data_task(name, queue)
        pe.code(text)

    def fabric(self, program: wse.Program, **options) -> tuple[wse.Fabric, list]:
        """The program on an engine with its data and streams, and the streams that leave."""
        image = program.image()
        for pe in image.classes:
            pe.thread_priority = (0, 0, 0x5555, 0xD75D)[self.seed % 4]  # medium, low, several
        fabric = wse.Fabric(image, **options)
        values = np.random.default_rng(self.seed)
        words = values.integers(0, 1 << 32, (self.height, self.width, WORDS), dtype=np.uint32)
        floats = values.normal(size=(self.height, self.width, WORDS)).astype(np.float32)
        mixed = np.where(words % 3 == 0, words, floats.view(np.uint32))
        for _, x, y in self.places:
            fabric.write("word", mixed[y : y + 1, x : x + 1], x, y)
            fabric.write("half", floats[y : y + 1, x : x + 1], x, y)
        for x, y, port, color, wavelets, rate in self.inputs:
            data = np.array([word for word, _ in wavelets], np.uint32)
            control = np.array([is_control for _, is_control in wavelets], bool)
            fabric.stream_in(x, y, port, color, data, control, rate)
        return fabric, [fabric.stream_out(*output) for output in self.outputs]

    def describe(self) -> str:
        """The plan for a reader: machine, routes, code of the classes in use, streams."""
        lines = [f"{self.machine} {self.profile} {self.overrides} {self.fp16}, {self.width} x {self.height} PEs, "]
        lines[0] += f"{self.max_cycles} cycles"
        lines += [f"route c{color} {route}" for color, route in self.routes]
        for index, kind in enumerate(self.kinds):
            at = [(x, y) for i, x, y in self.places if i == index]
            if not at:
                continue
            lines.append(f"\nclass {kind.name} at {at}: in {kind.queues_in} out {kind.queues_out}")
            text = kind.text
            lines += [f"  {n}: {d}" for n, d in kind.descriptors.items() if re.search(rf"\b{n}\b", text)]
            lines += [f"  {name}: {flags}" for name, flags in kind.flags.items() if name in kind.tasks]
            lines += [f"  {name} takes queue {queue}" for name, queue in kind.data_tasks.items() if name in kind.tasks]
            lines += ["    " + line for line in text.splitlines()]
        lines += [
            f"stream in ({x}, {y}) {port} c{color} rate {rate}: {len(wavelets)} wavelets {wavelets[:6]}"
            for x, y, port, color, wavelets, rate in self.inputs
        ]
        lines += [f"stream out {output}" for output in self.outputs]
        return "\n".join(lines)


class _Planner:
    def __init__(self, seed: int, attempt: int):
        self.rng = rng = Random(f"{seed} {attempt}")
        machine = rng.choice(["wse2", "wse3", "wse3"])
        profile = "silicon" if machine == "wse3" and rng.random() < 0.25 else "simulator"
        width, height = rng.choice(GRIDS)
        self.plan = Plan(
            *(seed, machine, profile, self.figures(), rng.choice(list(isa.FP16)), width, height),
            *([], [], [], [], [], []),
            max_cycles=rng.choice([300, 700, 1500]),
        )
        self.reconfigures = rng.random() < 0.15
        self.wild = rng.random() < 0.3  # may fault
        self.lines()
        for index in range(rng.randint(1, 3)):
            self.plan.kinds.append(_Writer(self, f"kind{index}").kind)
        for y in range(height):
            for x in range(width):
                if rng.random() < 0.95:
                    self.plan.places.append((rng.randrange(len(self.plan.kinds)), x, y))

    def figures(self) -> dict[str, int]:
        rng, figures = self.rng, {}
        if rng.random() < 0.7:
            return {}
        ranges = {
            "hop_cycles": (1, 3),
            "router_depth": (1, 7),
            "ramp_in_cycles": (1, 4),
            "ramp_out_cycles": (2, 5),
            "link_bubble_every": (0, 4),
            "iq2_depth": (1, 4),
            "oq2_depth": (1, 3),
            "op_start_cycles": (1, 8),
            "op_drain_cycles": (0, 4),
            "op_restart_cycles": (0, 9),
            "write_to_read_cycles": (0, 20),
            "write_drain_cycles": (0, 20),
            "load_latency": (1, 3),
            "offset_cycles": (0, 3),
            "dsr_to_op_cycles": (1, 8),
            "fp_latency": (1, 4),
            "int_latency": (1, 2),
            "branch_taken": (1, 8),
            "task_start_cycles": (1, 4),
            "task_after_op_cycles": (1, 3),
            "task_switch_cycles": (1, 3),
            "bank_conflict_factor": (1, 3),
            "reduce_fp_cycles": (1, 3),
        }
        for name in rng.sample(sorted(ranges), rng.randint(1, 4)):
            figures[name] = rng.randint(*ranges[name])
        return figures

    # Routes.  Each color goes along the rows or columns in one direction, or stays in its PE.

    def lines(self) -> None:
        rng, plan = self.rng, self.plan
        plan.colors = sorted(rng.sample(range(8), rng.randint(2, 6)))
        if plan.machine == "wse2" and rng.random() < 0.3:
            plan.colors = sorted({*plan.colors, rng.choice([9, 20])})
        for color in plan.colors:
            pattern = rng.choice(["line", "line", "line", "pair", "loop", "gather", "from_edge"])
            getattr(self, pattern)(color)

    def route(self, color: int, rx: str, tx: str, switch=(), **more) -> None:
        rng = self.rng
        options: dict[str, Any] = {"rx": rx, "tx": tx, **more}
        if switch:
            options |= {"switch": list(switch), "ring": rng.random() < 0.5, "position": rng.choice([0, 0, 0, 1])}
            options["pop"] = rng.choice(["no_pop", "always_pop", "pop_on_advance", "pop_on_advance_nop"])
        if "R" in tx and rng.random() < 0.12:
            kind, low = rng.choice(["range", "counter", "sparse"]), rng.choice([0, 1 << 14])
            counts = {n: rng.randint(0, 4) for n in ("init_counter", "limit1", "limit2", "max_counter")}
            flags = {n: rng.random() < 0.5 for n in ("count_data", "count_control", "filter_control")}
            flags["filter_control"] &= kind == "counter"
            options["filter"] = wse.Filter(kind, min_index=low, max_index=low + (1 << 14), **flags, **counts)
        if rng.random() < 0.02:
            options["teardown"] = True
        self.plan.routes.append((color, options))

    def ends(self, to: str) -> tuple[int, int]:
        """The first and last coordinate of a line in this direction."""
        length = self.plan.width if to in "EW" else self.plan.height
        return (0, length - 1) if to in "ES" else (length - 1, 0)

    def across(self, to: str) -> range:
        return range(self.plan.height if to in "EW" else self.plan.width)

    @staticmethod
    def at(to: str, along: int, across: int) -> tuple[int, int]:
        return (along, across) if to in "EW" else (across, along)

    def stream(self, color: int, place: tuple[int, int], port: str) -> None:
        rng = self.rng
        n = rng.choice([0, 1, 5, 40, 40, 200])
        wavelets = []
        for _ in range(n):
            if rng.random() < rng.choice([0, 0, 0.1]):
                entry = rng.choice([NO_ENTRY, NO_ENTRY, *CONTROL.values()] + [50] * self.wild)
                command = rng.choice([0, 1, 1, 2] + [3] * (rng.random() < 0.1)) | rng.choice([0, 4])
                wavelets.append((entry << 16 | command << 22 | rng.choice([0, 1]) << 25, True))
            else:
                wavelets.append((rng.getrandbits(32), False))
        rate = rng.choice([1, 1, 1, 1 / 2, 2 / 3, 1 / 9, 1 / 60])
        self.plan.inputs.append((*place, port, color, wavelets, rate))

    def leaves(self, color: int, place: tuple[int, int], port: str) -> None:
        self.plan.outputs.append((*place, port, color, self.rng.choice([1000, 1000, 5]), self.rng.choice([1, 1 / 3])))

    def line(self, color: int, from_edge: bool = False) -> None:
        """From the first PE of each row or column, or from outside, to all or some of it."""
        rng = self.rng
        to = rng.choice("EWSN")
        came, axis = LINES[to]
        first, last = self.ends(to)
        out = rng.random() < 0.4
        middle = rng.choice([to + "R", to + "R", to])
        switch = [(came, to + "R"), (came, to)][: rng.randint(0, 2)] if rng.random() < 0.3 else []
        self.route(color, came, middle, switch)
        if rng.random() < 0.4 and middle == to and first != last:
            self.route(color, came, to + "R", **{axis: slice(min(first, last), max(first, last) + 1, 2)})
        self.route(color, came, to + "R" if out else "R", **{axis: last})
        if not from_edge and first != last:
            self.route(color, "R", rng.choice([to, to + "R"]), **{axis: first})
        if not from_edge and first == last:
            self.route(color, "R", to + "R" if out else "R", **{axis: first})
        for across in self.across(to):
            if from_edge:
                self.stream(color, self.at(to, first, across), came)
            if out:
                self.leaves(color, self.at(to, last, across), to)

    def from_edge(self, color: int) -> None:
        self.line(color, from_edge=True)

    def pair(self, color: int) -> None:
        to = self.rng.choice("EWSN")
        came, axis = LINES[to]
        self.route(color, "R", "R")
        length = self.plan.width if axis == "x" else self.plan.height
        if length > 1:
            first = 0 if to in "ES" else 1
            evens, odds = slice(0, length - length % 2, 2), slice(1, length, 2)
            senders, receivers = (evens, odds) if first == 0 else (odds, evens)
            self.route(color, "R", to, [("R", "R")] if self.rng.random() < 0.2 else [], **{axis: senders})
            self.route(color, came, "R", **{axis: receivers})

    def loop(self, color: int) -> None:
        self.route(color, "R", "R")

    def gather(self, color: int) -> None:
        """Every PE sends and passes on what comes: by a switch, or on WSE-2 by several inputs at once."""
        rng = self.rng
        to = rng.choice("EWSN")
        came, axis = LINES[to]
        first, last = self.ends(to)
        several = self.plan.machine == "wse2" and rng.random() < 0.4
        if first == last:
            self.route(color, "R", "R")
            return
        if several:
            self.route(color, "R" + came, to)
        else:
            self.route(color, "R", to, [(came, rng.choice([to, to + "R"]))])
        self.route(color, "R", to, **{axis: first})
        self.route(color, came, "R", **{axis: last})


def _ports(route: dict[str, Any], side: int) -> str:
    """All that a route takes (0) or sends by (1), in any position."""
    return route[("rx", "tx")[side]] + "".join(position[side] for position in route.get("switch", ()))


class _Writer:
    """Writes a class."""

    def __init__(self, planner: _Planner, name: str):
        self.planner, self.rng, self.labels = planner, planner.rng, 0
        self.machine = planner.plan.machine
        self.kind = kind = Kind(name)
        self.walks: dict[str, list[str]] = {"2": [], "4": []}
        self.ins: list[str] = []
        self.outs: list[str] = []
        rng, plan = self.rng, planner.plan
        takes, sends = (
            [c for c in plan.colors if any(c == color and "R" in _ports(route, i) for color, route in plan.routes)]
            for i in (1, 0)
        )
        for queue, color in zip(rng.sample(range(8), 8), rng.sample(takes, len(takes)), strict=False):
            kind.queues_in[queue] = color
        queues = range(6 if self.machine == "wse2" else 8)
        chosen = rng.sample(queues, min(len(sends), len(queues)))
        for queue, color in zip(chosen, rng.sample(sends, len(sends)), strict=False):
            kind.queues_out[queue] = color
        for size, array in (("2", "half"), ("4", "word")):
            for i in range(5):
                self.walk(array, f"m{size}_{i}")
        tasks = [*LOCAL][: rng.randint(2, 4)]
        for task in (*CONTROL, "torn"):
            if rng.random() < 0.3:
                tasks.append(task)
        self.tasks = [task for task in tasks if task in LOCAL]
        if kind.queues_in and rng.random() < 0.4:
            kind.data_tasks["arrived"] = rng.choice([*kind.queues_in])
            tasks.append("arrived")
        for queue, color in kind.queues_in.items():
            if queue in kind.data_tasks.values() and rng.random() < 0.8:
                continue
            for i in range(2):
                self.fabin(f"in{queue}_{i}", queue, color)
        for queue, color in kind.queues_out.items():
            for i in range(2):
                self.fabout(f"out{queue}_{i}", queue, color)
        for i, task in enumerate(tasks):
            kind.tasks[task] = self.task(rng.randint(2, 9) if task in LOCAL else rng.randint(0, 3))
            if task in LOCAL:
                blocked, active = i > 0 and rng.random() < 0.3, i == 0 or rng.random() < 0.3
                kind.flags[task] = {"active": active, "blocked": blocked, "priority": rng.choice(["low", "high"])}

    # Descriptors.

    def walk(self, array: str, name: str) -> None:
        """A descriptor over memory; in `walks`, the lines that load it into the DSR `{0}`."""
        rng = self.rng
        kind = rng.choice(["mem1d", "mem1d", "mem1d", "mem4d", "circular", "fifo"])
        save = rng.random() < 0.3
        load = f"dsr {{0}}, {name}"
        if kind == "mem1d":
            stride = rng.choice([1, 1, 1, 0, 2, 3, -1])
            length = rng.randint(0, WORDS // max(1, abs(stride)) - 1)
            offset = WORDS - 1 if stride < 0 else 0 if abs(stride) > 1 else rng.randint(0, WORDS - max(1, length))
            self.kind.descriptors[name] = "mem1d", (array, length, stride, offset), {"save_address": save}
        else:
            number = rng.randint(0, 15)
            load = f"xdsr x{number}, {name}.x\n{load}"
            if kind == "mem4d":
                extents, strides = (rng.randint(1, 3), 4), (rng.choice([4, 8, 16]), 1)
                options = {"save_address": save, "xdsr": number}
                self.kind.descriptors[name] = "mem4d", (array, extents, strides), options
            elif kind == "circular":
                length, stride, offset = rng.randint(1, 2 * WORDS), rng.choice([1, 3]), rng.randint(0, 9)
                self.kind.descriptors[name] = "circular", (array, length, stride, offset), {"xdsr": number}
            else:
                push, pop = (rng.choice([None, "main", "other"]) for _ in range(2))
                options = {"activate_push": push, "activate_pop": pop, "xdsr": number}
                self.kind.descriptors[name] = "fifo", (array,), options
        self.walks["2" if array == "half" else "4"].append(load)

    def fabin(self, name: str, queue: int, color: int) -> None:
        rng = self.rng
        task = rng.choice([*LOCAL][:2])
        control = rng.choice([None, None, None, "terminate", ("activate", task), ("unblock", task)])
        length = rng.choice([1, 4, 9, 30, 30, 60, 120] + [None] * (rng.random() < 0.2))
        options: dict[str, Any] = {"color": color, "simd": rng.random() < 0.2, "on_control": control}
        arguments = (queue,) if length is None else (queue, length)
        self.kind.descriptors[name] = "fabin", arguments, options
        self.ins.append(name)

    def fabout(self, name: str, queue: int, color: int) -> None:
        rng = self.rng
        index = rng.choice([False, False, False, 5])
        simd = index is False and rng.random() < 0.2
        control = index is False and not simd and rng.random() < 0.05
        options = {"advance_switch": rng.random() < 0.3, "index": index, "simd": simd, "control": control}
        self.kind.descriptors[name] = "fabout", (queue, color, rng.choice([1, 4, 9, 30, 60])), options
        self.outs.append(name)

    # Statements.

    def task(self, statements: int) -> list[list[str]]:
        kinds = [self.scalar, self.memory, self.loop, self.system, self.vector, self.mixed, self.mixed, self.map]
        kinds += [self.fabric, self.fabric, self.fabric, self.store, self.store, self.call]
        written = [self.rng.choice(kinds)() for _ in range(statements)]
        saves = [f"st32 r{r}, [saved+{4 * r}]" for r in self.rng.sample(range(24), 4)]
        if self.planner.wild and self.rng.random() < 0.2:
            written.append([self.rng.choice(["jmp 4000", "trap 3", "jr r5", "bnz r3, 4000"])])
        return [*written, saves]

    def register(self) -> str:
        return f"r{self.rng.randint(0, 23)}"

    def source(self) -> str:
        values = ("0", "1", "-7", "3000", "0x7fff", "1.5h", "-0.25s", "0x80000000", "1.0e9s")
        return self.register() if self.rng.random() < 0.7 else self.rng.choice(values)

    def label(self, name: str) -> str:
        self.labels += 1
        return f".{name}{self.labels}"

    def scalar(self) -> list[str]:
        row = self.rng.choice(SCALARS)
        match row.form:
            case "RRX":
                return [f"{row.name} {self.register()}, {self.register()}, {self.source()}"]
            case "RX":
                return [f"{row.name} {self.register()}, {self.source()}"]
            case "RRRR":
                return [f"{row.name} {', '.join(self.register() for _ in range(4))}"]
        return self.memory()

    def memory(self) -> list[str]:
        name, size = self.rng.choice([("8", 1), ("16", 2), ("32", 4)])
        at = size * self.rng.randint(0, 4 * WORDS // size - 1)
        return [f"{self.rng.choice(['ld', 'st'])}{name} {self.register()}, [word+{at}]"]

    def some_scalars(self, most: int) -> list[str]:
        n = self.rng.randint(1, most)
        return [line for _ in range(n) for line in self.rng.choice((self.scalar, self.memory))()]

    def loop(self) -> list[str]:
        label, trips, body = self.label("loop"), self.rng.randint(1, 9), self.some_scalars(3)
        if self.rng.random() < 0.5:
            skip = self.label("skip")
            body = [f"{self.rng.choice(['bz', 'bnz'])} {self.register()}, {skip}", *body, f"{skip}:"]
        return [f"mov r24, {trips}", f"{label}:", *body, "isub32 r24, r24, 1", f"bnz r24, {label}"]

    def call(self) -> list[str]:
        name, after = self.label("routine"), self.label("after")
        return [f"jmp {after}", f"{name}:", *self.some_scalars(2), "ret", f"{after}:", f"call {name}"]

    def system(self) -> list[str]:
        rng, task = self.rng, self.rng.choice(self.tasks)
        color = rng.choice(self.planner.plan.colors)
        choices: list[list[str]] = [
            *([f"{what} {task}"] for what in ("activate", "block", "unblock")),
            *([f"tsc {self.register()}, {rng.randint(0, 2)}"], [f"tscset {rng.randint(0, 2)}"]),
            *([f"coord {self.register()}, {rng.randint(0, 1)}"], [f"rand {self.register()}"]),
            *([f"mark {self.source()}"], [f"hostsig {self.source()}"], [f"say {self.register()}, {self.register()}"]),
            *([f"mainprio {rng.randint(0, 3)}"], [f"utprio {rng.randint(0, 7)}, {rng.randint(0, 2)}"]),
            *([f"iqempty {self.register()}, {rng.randint(0, 7)}"], [f"oqempty {self.register()}, {rng.randint(0, 5)}"]),
            *(["nop"], ["nop"] * 5),
            [f"utblock {rng.randint(0, 7)}", *self.some_scalars(4), f"utunblock {rng.randint(0, 7)}"],
            [f"colorld r4, {color}"],
            [f"cfgld r4, {rng.choice([0x7F20, 0x7F40]) + color}"],
        ]
        if self.planner.reconfigures:
            choices += [[f"colorld r4, {color}", f"colorst r4, {color}"]] * 2
            register = rng.choice([0x7F20, 0x7F40]) + color
            choices += [[f"cfgld r4, {register}", f"cfgst r4, {register}"]] * 2
            choices.append([f"tdexit {color}"])
        if self.planner.wild:
            queue = rng.randint(0, 7)
            choices += [[f"iqbind {queue}, {color}"], [f"oqbind {rng.randint(0, 5)}, {color}"]]
        return rng.choice(choices)

    def options(self, most: float = 0.8) -> str:
        """Of an operation that may be asynchronous."""
        rng = self.rng
        words = [
            *(["async"] if rng.random() < most else []),
            *([f"ut={rng.randint(0, 7)}"] if rng.random() < 0.5 else []),
            *rng.choice([[], [], [f"activate={rng.choice(self.tasks)}"], [f"unblock={rng.choice(self.tasks)}"]]),
        ]
        if self.machine == "wse2" or "async" not in words:
            words = [word for word in words if not word.startswith("ut=")]
        return f" {{{', '.join(words)}}}" if words else ""

    def load(self, size: str) -> str:
        return self.rng.choice(self.walks[size])

    def vector(self, dst: str = "", src: str = "") -> list[str]:
        """An operation over memory; dst or src: a fabric descriptor instead."""
        rng = self.rng
        row = rng.choice(VECTORS)
        lines, operands = [], []
        first = next(i for i, kind in enumerate(row.types) if i in (1, 2) and kind != "NONE")
        for i, (kind, file) in enumerate(zip(row.types[:3], "dab", strict=True)):
            if kind == "NONE":
                continue
            fabric = dst if i == 0 else src if i == first else ""
            if not fabric and rng.random() < (0.08 if i == 0 else 0.2):
                operands.append(self.register())
                continue
            operands.append(f"{file}{rng.randint(0, 15)}")
            lines += (f"dsr {{0}}, {fabric}" if fabric else self.load(BYTES[kind])).format(operands[-1]).split("\n")
        if row.types[3] != "NONE":
            operands.append(self.register())
        options = self.options() if (dst or src) and not operands[0].startswith("r") else ""
        return [*lines, *[f"{row.name} {', '.join(operands)}{options}"] * rng.choice([1, 1, 2])]

    def fabric(self) -> list[str]:
        out = self.rng.random() < 0.5
        names = self.outs if out else self.ins
        return self.vector(**{"dst" if out else "src": self.rng.choice(names)}) if names else []

    def store(self) -> list[str]:
        """Copies of wavelets to memory by several microthreads at once."""
        rng, lines, starts = self.rng, [], []
        for i, name in enumerate(rng.sample(self.ins, min(len(self.ins), rng.randint(1, 3)))):
            size = rng.choice(["4", "2"])
            walk = rng.choice([load for load in self.walks[size] if "xdsr" not in load] or self.walks[size])
            lines += [*walk.format(f"d{i}").split("\n"), f"dsr a{i}, {name}"]
            starts += [f"{rng.choice(COPIES[size])} d{i}, a{i}{self.options(1)}"]
            starts += self.some_scalars(2) if rng.random() < 0.2 else []
        return lines + starts

    def mixed(self) -> list[str]:
        """Operations that follow each other on DSRs that are kept: over memory, from and to the fabric."""
        rng = self.rng
        size = rng.choice("24")
        lines = [line for file in "dab" for line in self.load(size).format(f"{file}0").split("\n")]
        names = ["d0"]
        if self.outs:
            lines.append(f"dsr d1, {rng.choice(self.outs)}")
            names.append("d1")
        fabric = ""
        if self.ins and rng.random() < 0.7:
            lines.append(f"dsr a1, {rng.choice(self.ins)}")
            fabric = "a1"
        rows = [row for row in VECTORS if all(BYTES[t] == size for t in row.types[:3] if t != "NONE")]
        for _ in range(rng.randint(2, 6)):
            row = rng.choice(rows)
            dst = rng.choice(names + [self.register()] * (rng.random() < 0.2))
            first = fabric if fabric and rng.random() < 0.3 else rng.choice(["a0", "a0", self.register()])
            operands = [dst, first, *(["b0"] if row.types[2] != "NONE" else [])]
            operands += [self.register()] if row.types[3] != "NONE" else []
            if rng.random() < 0.15:
                lines += self.some_scalars(2)
            has_fabric = dst == "d1" or first == "a1"
            options = self.options(0.5) if has_fabric and not dst.startswith("r") else ""
            lines.append(f"{row.name} {', '.join(operands)}{options}")
        return lines

    def map(self) -> list[str]:
        """A loop of the operations' sequencer over the elements of a descriptor."""
        rng = self.rng
        size = rng.choice("24")
        lines = [line for file in "da" for line in self.load(size).format(f"{file}2").split("\n")]
        over = f"dsr b2, {rng.choice(self.ins)}" if self.ins and rng.random() < 0.5 else self.load(size).format("b2")
        lines += over.split("\n")
        memory = [load for load in self.walks[size] if "fifo" not in self.kind.descriptors[load.split()[-1]][0]]
        puts = bool(memory) and rng.random() < 0.3
        if puts:
            lines += rng.choice(memory).format("d3").split("\n")
        begin, end = self.label("next"), self.label("end")
        rows = [row for row in VECTORS if all(BYTES[t] == size for t in row.types[:2]) and row.types[2] == "NONE"]
        body: list[str] = []
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            body += rng.choice([[f"{rng.choice(rows).name} d2, a2"], self.some_scalars(2), ["mapput d3, r1"] * puts])
        return [*lines, f"{begin}: mapstep r1, b2, {end}", *body, f"maploop {begin}", f"{end}: nop"]
