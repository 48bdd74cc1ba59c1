"""What the functions of a unit share while code is generated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...machine import isa
from ..ir import ir
from .mir import MFunction

THREADS = 8
NEEDS_XDSR = "FIFOs and descriptors of several dimensions or over circular buffers"
MAP_DSRS, LEAST_DSRS = 5, 4  # of a file: kept from functions that @map calls; left for them
DEFAULT_PRIORITY = 0  # of microthreads: low [SDK: microthread priority]


def load_priority(load: ir.LoadDsr) -> int | None:
    """The priority that the load of a DSR gives to its microthread."""
    source = load.source
    if not load.then.async_ or not isinstance(source, ir.Dsd) or source.kind not in ("fabin", "fabout"):
        return None
    return source.priority if load.then.priority is None else load.then.priority


class Context:
    """What functions of a unit share: the callees that are selected already, names of DSRs, messages of traps."""

    def __init__(self, arch: str, fp16: str = "f16"):
        self.arch, self.fp16 = arch, fp16
        self.functions: dict[str, ir.Function] = {}
        self.selected: dict[str, MFunction] = {}
        self.fifos: dict[str, ir.Fifo] = {}
        self.fifo_xdsr: dict[str, int] = {}
        self.fifo_dsr: dict[str, int] = {}  # of FIFOs that keep their DSRs: the number in both files
        self.dsr_ut: set[tuple[str, int]] = set()  # explicit DSRs whose load says the microthread
        self.reserved: dict[str, set[int]] = {"dest": set(), "src0": set(), "src1": set()}
        self.indexed: set[tuple[str, int]] = set()  # explicit DSRs with `.wavelet_index_offset`
        self.queues_out: dict[int, int] = {}
        self.startup: list[ir.Instr] = []  # what runs before the first task, beside what the unit says
        self.messages: list[str] = []
        self.dsr_priority: dict[tuple[str, int], int] = {}
        self.dsr_async: set[tuple[str, int]] = set()
        self.dsr_kinds: dict[
            tuple[str, int], set[str]
        ] = {}  # kinds of the descriptors that explicit DSRs are loaded with
        self.priorities: dict[int, set[int]] = {}  # by microthread: those of its operations
        self.thread_priorities: dict[int, int] = {}  # at the start, where they are not DEFAULT_PRIORITY
        self.dsr_thread: dict[tuple[str, int], int] = {}
        self.map_depth: dict[str, int] = {}  # how many @map are under way when a function is called
        self.xdsrs: list[Any] = []  # what each XDSR holds all the time; None: not the same all the time
        self.xdsr_keys: dict[Any, int] = {}
        self.own_xdsrs = isa.DSRS  # the others are shared: one for each file of DSRs

    def note_maps(self, order: list[str]) -> None:
        """Finds the functions that @map calls in its steps.  order: functions, those that are called first."""
        for name in reversed(order):
            depth = self.map_depth.get(name, 0)
            for callee, more in self._calls(self.functions[name]):
                self.map_depth[callee] = max(self.map_depth.get(callee, 0), depth + more)

    def _calls(self, function: ir.Function) -> Iterator[tuple[str, int]]:
        for block in function.blocks:
            for instr in block.code:
                if isinstance(instr, ir.Call):
                    yield instr.function, 0
                elif isinstance(instr, ir.Map):
                    yield from ((callee, more + 1) for callee, more in self._calls(self.functions[instr.function]))

    def dsr_limit(self, function: str) -> int:
        """DSRs of a file that a function takes, from the first on: others are for the operands of each @map around."""
        return max(isa.DSRS - MAP_DSRS * self.map_depth.get(function, 0), LEAST_DSRS)

    def plan_xdsrs(self, lasting: dict[Any, Any], others: dict[Any, Any]) -> None:
        """Gives XDSRs to descriptors: key and contents.  lasting: those that are in use beyond an operation that waits
        for its end.  If there are too many for all to have one, these come first, and three are shared."""
        if len(self.xdsrs) + len(lasting | others) > isa.DSRS:
            self.own_xdsrs = isa.DSRS - len(self.reserved)
        for key, words in [*lasting.items(), *others.items()]:
            if key not in self.xdsr_keys and len(self.xdsrs) < self.own_xdsrs:
                self.xdsr_keys[key] = len(self.xdsrs)
                self.xdsrs.append(words)

    def xdsr_for(self, key: Any, words: Any, file: str = "dest") -> int:
        """The XDSR of a descriptor: its own, or the one that all in DSRs of this file share."""
        if key not in self.xdsr_keys:
            if len(self.xdsrs) >= self.own_xdsrs:
                if self.own_xdsrs == isa.DSRS:
                    raise ir.Unsupported(f"no XDSR is left: {NEEDS_XDSR} have all {isa.DSRS}")
                return self.own_xdsrs + list(self.reserved).index(file)
            self.xdsr_keys[key] = len(self.xdsrs)
            self.xdsrs.append(words)
        return self.xdsr_keys[key]

    def lasts(self, instr: ir.Instr) -> bool:
        """Whether the descriptors of an instruction are in use when the next one begins."""
        if not isinstance(instr, ir.Vector):
            return True
        operands = (instr.dst, instr.src0, instr.src1)
        loaded = {(operand.file, operand.number) for operand in operands if isinstance(operand, ir.Dsr)}
        return instr.then.async_ or not loaded.isdisjoint(self.dsr_async)

    def is_shared(self, xdsr: int) -> bool:
        return xdsr >= self.own_xdsrs

    def held_by(self, xdsr: int) -> Any:
        """What an XDSR holds all the time, if it is the same all the time."""
        return None if self.is_shared(xdsr) else self.xdsrs[xdsr]

    def note_thread(self, load: ir.LoadDsr) -> None:
        """Notes the microthread of operations on an explicit DSR, which the load says, or the queue; its priority."""
        place, then = (load.dsr.file, load.dsr.number), load.then
        self.dsr_kinds.setdefault(place, set()).add(getattr(load.source, "kind", "fifo"))
        if then.async_:
            self.dsr_async.add(place)
        priority = load_priority(load)
        if priority is not None:
            self.dsr_priority[place] = priority
        if self.arch != "wse2" and (then.ut is not None or load.ut is not None):
            self.dsr_ut.add(place)
            if then.ut is not None:
                self.dsr_thread[place] = then.ut
        elif isinstance(load.source, ir.Dsd) and load.source.kind in ("fabin", "fabout"):
            self.dsr_thread.setdefault(place, load.source.queue)

    def load_names_thread(self, instr: ir.Vector) -> bool:
        """Whether the load of an explicit DSR says the microthread: of the operands that have one, the first one
        counts, and the `.ut_id` of the operation is that of those that are no DSRs [SDK: microthreads]."""
        for operand in (instr.dst, instr.src0, instr.src1):
            if isinstance(operand, ir.Dsr) and (operand.file, operand.number) in self.dsr_ut:
                return True
            if isinstance(operand, ir.Dsd | ir.DsdVar | ir.DsdValue | ir.FifoRef):
                return False
        return False

    def thread_of(self, instr: ir.Vector) -> int | None:
        """The microthread of an operation, if it is known."""
        operands = (instr.dst, instr.src0, instr.src1)
        places = [(o.file, o.number) if isinstance(o, ir.Dsr) else None for o in operands]
        loaded = [self.dsr_thread.get(place) for place in places if place in self.dsr_ut]
        if self.arch != "wse2":
            if instr.then.ut is not None and not self.load_names_thread(instr):
                return instr.then.ut
            if loaded:
                return loaded[0]
        for operand, place in zip(operands, places, strict=True):
            if isinstance(operand, ir.Dsd) and operand.kind in ("fabin", "fabout"):
                return operand.queue
            if place is not None and place in self.dsr_thread:
                return self.dsr_thread[place]
        return None

    def first_priorities(self) -> int:
        """The priorities of all microthreads at the start, in the form of an image."""
        priorities = [self.thread_priorities.get(thread, DEFAULT_PRIORITY) for thread in range(THREADS)]
        return sum((priority ^ 1) << 2 * thread for thread, priority in enumerate(priorities))

    def priority_of(self, instr: ir.Vector) -> int | None:
        """The priority that an operation or its operands say."""
        if instr.then.priority is not None or not instr.then.async_:
            return instr.then.priority
        operands = (instr.dst, instr.src0, instr.src1)
        known = [self.fifos[o.name] if isinstance(o, ir.FifoRef) else o for o in operands]
        given = [o.priority for o in known if isinstance(o, ir.Dsd | ir.Fifo) and o.priority is not None]
        return given[0] if given else None

    def priority_otherwise(self, instr: ir.Vector) -> int | None:
        """The priority of an asynchronous operation that says none: that of the load of a DSR, else the first one."""
        places = [(o.file, o.number) for o in (instr.dst, instr.src0, instr.src1) if isinstance(o, ir.Dsr)]
        for place in places:
            if place in self.dsr_priority:
                return self.dsr_priority[place]
        if not instr.then.async_ and not self.dsr_async.intersection(places):
            return None
        thread = self.thread_of(instr)
        return None if thread is None else self.thread_priorities.get(thread, DEFAULT_PRIORITY)

    def note_priorities(self, instructions: list[ir.Instr]) -> None:
        """Notes the priorities that the operations of each microthread have."""
        for instr in instructions:
            if not isinstance(instr, ir.Vector):
                continue
            thread, priority = self.thread_of(instr), self.priority_of(instr)
            if priority is None:
                priority = self.priority_otherwise(instr)
            if thread is not None and priority is not None:
                self.priorities.setdefault(thread, set()).add(priority)

    def message(self, text: str) -> int:
        if text not in self.messages:
            self.messages.append(text)
        return self.messages.index(text)
