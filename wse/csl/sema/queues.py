"""The queues of a unit and the colors they serve; what its explicit DSRs are loaded with.

WSE-3 binds each queue to one color.  On WSE-2 a descriptor says the color: an output queue serves several, and an
operation binds an input queue to the color of its descriptor while it runs.  A color of a data task that no descriptor
reads, comes to the compute element by a queue that is left, or, if there is none, by an input of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..ir import ir
from ..syntax.errors import CslError, Span

QUEUES = {"wse2": (8, 6), "wse3": (8, 8)}  # input, output
BY_DEFAULT = (0, 7, 6, 5, 4, 3, 2, 1)  # of descriptors without a queue
ARRIVING = (2, 3, 4, 5, 6, 7, 1, 0)  # of colors of data tasks
MEMCPY_QUEUES = {True: (0, 1), False: (0,)}  # of WSE-3, by whether they lead into the CE
MEMCPY_COLORS = (21, 22, 23)
REBINDS = ("iqbind", "oqbind", "cfgst")


class Queues:
    """uses: colors of the descriptors of each queue (into the CE or not, number).  colorless: queues of descriptors
    that name no color.  opened: colors that a comptime @unblock names: control wavelets are to come.  unblocks: whether
    any @unblock or .unblock names a channel."""

    def __init__(self, unit: Any):
        self.unit = unit  # sema.unit.Unit
        self.uses: dict[tuple[bool, int], dict[int, Span]] = {}
        self.colorless: dict[tuple[bool, int], Span] = {}
        self.spans: dict[tuple[bool, int], Span] = {}
        self.chosen: dict[int, int] = {}
        self.initialized: dict[tuple[bool, int], Span] = {}  # by @initialize_queue
        self.opened: set[int] = set()
        self.unblocks = False

    def bound(self, into: bool) -> dict[int, int]:
        return self.unit.out.queues_in if into else self.unit.out.queues_out

    def for_color(self, into: bool, color: int) -> int:
        """The queue of a descriptor that names a color only."""
        queue = next((queue for queue, known in self.bound(into).items() if known == color), None)
        if queue is not None or not into or self.unit.program.arch != "wse2":
            return queue or 0
        if color not in self.chosen:
            free = [q for q in BY_DEFAULT if q not in self.bound(True) and (True, q) not in self.uses]
            self.chosen[color] = free[0] if free else 0
        return self.chosen[color]

    def use(self, into: bool, queue: int, color: int | None, span: Span) -> None:
        """Notes a descriptor."""
        if color is None:
            self.colorless.setdefault((into, queue), span)
        else:
            self.uses.setdefault((into, queue), {}).setdefault(color, span)

    # ---- at the end ----

    def bind(self) -> None:
        """Binds the queues that only descriptors name, and the colors of data tasks."""
        wse2 = self.unit.program.arch == "wse2"
        if wse2 and not self.rebinds():
            self.one_queue_a_color()
        must = [task.id for task in self.unit.out.tasks if task.kind == "data"] + sorted(self.opened)
        for (into, queue), colors in self.uses.items():
            if wse2 and not into:
                continue
            bound = self.bound(into)
            if wse2:
                own = [c for c in colors if c in must] or (list(colors) if len(colors) == 1 else [])
                if queue not in bound and own and own[0] not in bound.values():
                    bound[queue] = own[0]
            else:
                self.bind_to_one(into, queue, colors)
        if wse2:
            self.bind_arriving(must)
        elif not self.rebinds():
            self.one_queue_a_color()
        self.check_colorless()
        self.check_reserved()

    def one_queue_a_color(self) -> None:
        """A color comes by one input queue: by the one that is used, if several are bound to it.  Where the program
        initializes none of them, it may use a number for colors that a PE does not have."""
        bound = self.bound(True)
        tasks = {task.id for task in self.unit.out.tasks if task.kind == "data"}
        for color in set(bound.values()):
            queues = [queue for queue, known in bound.items() if known == color]
            used = [q for q in queues if color in self.uses.get((True, q), ()) or (True, q) in self.colorless]
            if self.unit.program.arch == "wse3":
                used = [q for q in queues if q in used or q in tasks]
            used.sort(key=lambda queue: (True, queue) not in self.initialized)
            if sum((True, queue) in self.initialized for queue in used) > 1:
                first, second = (self.spans.get((True, queue)) or self.uses[True, queue][color] for queue in used[:2])
                what = f"color {color} comes by {named(True, used[0])}: another queue gets nothing of it"
                self.report(CslError.at(second, what, (first, "bound here")))
            for queue in queues:
                if queue not in (used or queues)[:1]:
                    del bound[queue]

    def bind_to_one(self, into: bool, queue: int, colors: dict[int, Span]) -> None:
        bound = self.bound(into)
        first = bound.setdefault(queue, next(iter(colors)))
        other = next((color for color in colors if color != first), None)
        if other is not None and not self.rebinds():
            where = self.spans.get((into, queue)) or colors.get(first)
            self.report(
                CslError.at(
                    colors[other],
                    f"this descriptor is of color {other}, but {named(into, queue)} is bound to color {first}: "
                    "on wse3 a queue serves one color",
                    (where, "bound here"),
                )
            )

    def bind_arriving(self, must: list[int]) -> None:
        """On WSE-2 whatever comes down the ramp has a place: colors of data tasks, unblocked ones, those routed
        there."""
        queues = self.unit.out.queues_in
        read = {color for (into, _), colors in self.uses.items() if into for color in colors}
        rebinds = self.rebinds()  # then such a color waits until code gives it a queue
        may = [
            c
            for c, (config, _) in self.unit.colors.items()
            if c not in read and not rebinds and "R" in config.tx + "".join(tx or "" for _, tx in config.switch)
        ]
        direct = QUEUES["wse2"][0]
        for color in dict.fromkeys(must + may):
            if color in queues.values():
                continue
            free = [queue for queue in ARRIVING if queue not in queues and (True, queue) not in self.uses]
            if free:
                queues[free[0]] = color
            elif color in must:
                queues[direct] = color
                direct += 1

    def check_colorless(self) -> None:
        """A queue without a color is an error if it has none in any PE's code: a PE may have operations that it does
        not run."""
        unit = self.unit
        unit.program.bound_queues |= {(into, queue) for into in (True, False) for queue in self.bound(into)}
        for (into, queue), span in self.colorless.items():
            if queue not in self.bound(into) and not self.rebinds():
                what = "@initialize_queue(queue, .{ .color = ... }) in a comptime block binds it"
                if self.unit.program.arch == "wse2":
                    what = "give the descriptor a .fabric_color"
                error = CslError.at(span, f"{named(into, queue)} is bound to no color: {what}")
                unit.program.unbound_queues.setdefault((into, queue), error)

    def check_reserved(self) -> None:
        """Colors of the memcpy library, and on WSE-3 its queues."""
        if not self.unit.memcpy:
            return
        found = {color: span for colors in self.uses.values() for color, span in colors.items()}
        for (into, queue), span in self.spans.items():
            found.setdefault(self.bound(into).get(queue, -1), span)
        for color in MEMCPY_COLORS:
            if color in found:
                self.report(CslError.at(found[color], reserved_color(color)))
        if self.unit.program.arch != "wse3":
            return
        named_by = {key: next(iter(colors.values())) for key, colors in self.uses.items()} | self.colorless | self.spans
        for (into, queue), span in named_by.items():
            if queue in MEMCPY_QUEUES[into]:
                left = (
                    f"{max(MEMCPY_QUEUES[into]) + 1} to {QUEUES['wse3'][0 if into else 1] - 1} are left to the program"
                )
                self.report(CslError.at(span, f"{named(into, queue)} belongs to the memcpy library: {left}"))

    def rebinds(self) -> bool:
        """Whether code binds queues while it runs."""
        return any(
            isinstance(instr, ir.Sys) and instr.op in REBINDS
            for function in self.unit.out.functions
            for block in function.blocks
            for instr in block.code
        )

    def report(self, error: CslError) -> None:
        self.unit.program.findings.add(error)


def reserved_color(color: int) -> str:
    return f"color {color} is reserved: colors 21 to 23 belong to the memcpy library"


def named(into: bool, queue: int) -> str:
    return f"{'input' if into else 'output'} queue {queue}"


class Load(NamedTuple):
    """What a DSR is loaded with.  kind: of the descriptor."""

    kind: str
    async_: bool
    single_step: bool
    indexed: bool
    span: Span
    simd: str | None = None


class Dsrs:
    """The explicit DSRs of a unit: all loads of each, by file and number."""

    def __init__(self) -> None:
        self.loads: dict[tuple[str, int], list[Load]] = {}

    def load(self, file: str, number: int, load: Load) -> None:
        self.loads.setdefault((file, number), []).append(load)

    def of(self, operand: object) -> list[Load]:
        return self.loads.get((operand.file, operand.number), []) if isinstance(operand, ir.Dsr) else []
