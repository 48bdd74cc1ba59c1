"""Programs that exercise one part of the engine each: routers, scalar code, short operations, the task picker.

Each has a method `check` that verifies the memory of all PEs and the counters after a run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _engine
from ..errors import WseError
from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..kernels import data
from ..machine import numerics
from ..machine.parameters import Machine
from ..program.dsd import fabin, mem1d
from ..program.program import Program
from ..records import dataclass


class WrongResult(WseError):
    """The result of a benchmark is wrong."""


def require(right: bool, what: str) -> None:
    """Raise WrongResult with the message `what` unless `right`."""
    if not right:
        raise WrongResult(what)


# --- streams ----------------------------------------------------------------------------------------------------------

ROW, COLUMN = 0, 1  # colors, and bit 31 of their wavelets
_LAST = ("row_word", "column_word")  # arrays for the last wavelet of each color
_INDEX_BITS = 17  # low bits of a wavelet: its number in the stream; the bits above: number of the row or column
_IN_FLIGHT = 16  # largest number of wavelets between two routers, or between a router and memory


@dataclass
class Streams:
    """Multicast streams in rows and columns of the fabric, from the west and the north edge.

    Each router forwards each wavelet, and passes it down the ramp, where a microthread stores it.  The stored word of a
    PE is the last wavelet that arrived; it contains their number.  rows, columns: integers [n] with a stream.  length:
    wavelets of a stream.
    """

    fabric: Fabric
    rows: np.ndarray
    columns: np.ndarray
    length: int

    @classmethod
    def program(
        cls, width: int, height: int, machine: Machine, rows: np.ndarray, columns: np.ndarray, length: int
    ) -> Program:
        """The program for streams of `length` wavelets in these rows and columns."""
        p = Program(width, height, machine)
        colors = [p.color("row", ROW), p.color("column", COLUMN)]
        words = [p.shared_array(name, 1, "u32") for name in _LAST]
        for kinds in ((ROW,), (COLUMN,), (ROW, COLUMN)):
            pe = p.pe_class("_".join(colors[k].name for k in kinds))
            code = ["main:"]
            for k in kinds:
                name = colors[k].name
                pe.queue_in(2 + k, colors[k])
                pe.dsd(f"{name}_in", fabin(2 + k, length, color=colors[k]))
                pe.dsd(f"{name}_to", mem1d(words[k], length, stride=0))
                code += [f"dsr d{k}, {name}_to", f"dsr a{k}, {name}_in", f"mov32 d{k}, a{k} {{async}}"]
            pe.code("\n".join([*code, "done\n"]))
            pe.local_task("main", 9, active=True)
            if ROW in kinds and COLUMN in kinds:
                p.place(pe, *(grid.ravel() for grid in np.meshgrid(columns, rows)))
            elif ROW in kinds:
                p.place(pe, y=rows)
            else:
                p.place(pe, x=columns)
        for color, lines, axis, size, back, on in (
            (colors[ROW], rows, "x", width, "W", "E"),
            (colors[COLUMN], columns, "y", height, "N", "S"),
        ):
            along = {"y" if axis == "x" else "x": lines}
            p.route(color, back, on + "R", **{axis: slice(0, size - 1)}, **along)
            p.route(color, back, "R", **{axis: size - 1}, **along)
        return p

    @classmethod
    def load(cls, program: Program, rows: np.ndarray, columns: np.ndarray, length: int, **options) -> Streams:
        """Load the program, with the data of its streams.  options: of Fabric."""
        fabric = Fabric(program, **options)
        streams = cls(fabric, rows, columns, length)
        for y in rows.tolist():
            fabric.stream_in(0, y, "W", "row", streams.words(ROW, y))
        for x in columns.tolist():
            fabric.stream_in(x, 0, "N", "column", streams.words(COLUMN, x))
        return streams

    def words(self, kind: int, line: int) -> np.ndarray:
        """uint32 [length]: the stream of a row (kind ROW) or column (COLUMN)."""
        return np.arange(1, self.length + 1, dtype=np.uint32) + np.uint32(_base(kind, line))

    def check(self, run: Run) -> int:
        """Compare the words stored by all PEs with the counts of their routers and compute elements.

        The comparison is exact if the streams have ended; otherwise wavelets may be in flight.  Returns the number of
        stored wavelets.  Raises WrongResult.
        """
        done = run.ended == "done"
        slack = 0 if done else _IN_FLIGHT
        arrived = np.zeros((run.height, run.width), np.int64)
        for kind, lines in ((ROW, self.rows), (COLUMN, self.columns)):
            if not lines.size:
                continue
            got = self.counts(kind)
            passed = (run.links[_engine.E] if kind == ROW else run.links[_engine.S].T)[lines].astype(np.int64)
            what = f"streams of {('rows', 'columns')[kind]}"
            require(
                bool((got >= 0).all() and (got <= self.length).all()),
                f"{what}: a PE stored a wavelet of another stream",
            )
            require(bool((np.diff(got) <= slack).all()), f"{what}: a PE received more than its neighbor forwarded")
            lost = passed[:, :-1] - got[:, 1:]
            require(bool((abs(lost) <= slack).all()), f"{what}: wavelets were lost or duplicated on a link")
            require(not done or bool((got == self.length).all()), f"{what} ended before all had arrived")
            if kind == ROW:
                arrived[lines] += got
            else:
                arrived[:, lines] += got.T
        counted = arrived - run.counters["wavelets_in"].astype(np.int64)
        require(bool((abs(counted) <= slack).all()), "compute elements counted other wavelets than they stored")
        return int(arrived.sum())

    def counts(self, kind: int) -> np.ndarray:
        """int64 [rows or columns, PEs]: wavelets that each PE of the rows (kind ROW) or columns (COLUMN) has stored."""
        lines = self.rows if kind == ROW else self.columns
        fabric, size = self.fabric, (self.fabric.width, self.fabric.height)[kind]
        if lines.size == (fabric.height, fabric.width)[kind]:
            plane = fabric.read(_LAST[kind])[..., 0]
            words = plane if kind == ROW else plane.T
        elif kind == ROW:
            words = np.array([fabric.read(_LAST[kind], 0, line, size, 1).ravel() for line in lines.tolist()])
        else:
            words = np.array([fabric.read(_LAST[kind], line, 0, 1, size).ravel() for line in lines.tolist()])
        bases = np.array([_base(kind, line) for line in lines.tolist()])
        return np.where(words == 0, 0, words.astype(np.int64) - bases[:, None])


def _base(kind: int, line: int) -> int:
    return kind << 31 | line << _INDEX_BITS


# --- scalar loop ------------------------------------------------------------------------------------------------------

_SCALAR = """
main:
    ld32 r3, [state]
    ld32 r5, [total]
    ld32 r6, [mixed]
    mov r4, {trips}
    mov r9, 0.5s
.loop:
    imul32 r3, r3, 1664525
    iadd32 r3, r3, 1013904223
    ishr32 r7, r3, 16
    u2s r10, r7
    iand r8, r7, 1
    sfma r5, r10, r5, r9
    bz r8, .even
    ixor r6, r6, r7
    jmp .next
.even:
    iadd32 r6, r6, r7
.next:
    isub32 r4, r4, 1
    bnz r4, .loop
    st32 r3, [state]
    st32 r5, [total]
    st32 r6, [mixed]
    done
"""


@dataclass
class Scalar:
    """A loop of integer and float instructions and a branch that depends on data, different in every PE."""

    fabric: Fabric
    trips: int

    CODE = _SCALAR
    ARRAYS = ("state", "total", "mixed")

    @classmethod
    def program(cls, width: int, height: int, machine: Machine, trips: int) -> Program:
        """The program; a launch executes the loop `trips` times."""
        p = Program(width, height, machine)
        pe = p.pe_class("loop")
        for name in cls.ARRAYS:
            pe.array(name, 1, "f32" if name == "total" else "u32")
        pe.code(cls.CODE.format(trips=trips))
        pe.local_task("main", 9)
        p.place(pe)
        return p

    @classmethod
    def load(cls, program: Program, trips: int, **options) -> Scalar:
        """Load the program.  options: of Fabric."""
        return cls(Fabric(program, **options), trips)

    def seeds(self) -> np.ndarray:
        """uint32 [h, w]: the initial state of each PE."""
        y, x = np.mgrid[: self.fabric.height, : self.fabric.width].astype(np.uint32)
        return y * np.uint32(65537) + x

    def run(self) -> Run:
        """Launch the loop with a seed for each PE, and run to its end."""
        for name in self.ARRAYS:
            self.fabric.fill(name, 0)
        self.fabric.write("state", self.seeds()[..., None])
        self.fabric.launch("main")
        return self.fabric.run()

    def check(self, run: Run) -> None:
        """Compare the state of all PEs after a launch with NumPy.  Raises WrongResult."""
        for name, values in self.expected().items():
            got = self.fabric.read(name)[..., 0]
            require(got.tobytes() == values.tobytes(), f"the scalar loop left another {name} than NumPy's")
        require(run.ended == "done", "the scalar loop did not end")

    def expected(self) -> dict[str, np.ndarray]:
        """The arrays [h, w] after a launch, by name."""
        state = self.seeds()
        total, mixed = np.zeros(state.shape, np.float32), np.zeros(state.shape, np.uint32)
        for _ in range(self.trips):
            state = state * np.uint32(1664525) + np.uint32(1013904223)
            high = state >> np.uint32(16)
            total = high.astype(np.float32) + total * np.float32(0.5)
            mixed = np.where(high & np.uint32(1), mixed ^ high, mixed + high)
        return {"state": state, "total": total, "mixed": mixed}


# In each round a PE takes one of eight ways, two of which are loops of one to eight rounds.
_BRANCHES = """
main:
    ld32 r3, [state]
    ld32 r6, [mixed]
    mov r4, {trips}
.loop:
    imul32 r3, r3, 1664525
    iadd32 r3, r3, 1013904223
    ishr32 r7, r3, 16
    ishr32 r9, r7, 13
    iadd32 r9, r9, 1
    iand r8, r7, 1
    bnz r8, .odd
    iand r8, r7, 2
    bnz r8, .two
    iand r8, r7, 4
    bnz r8, .four
    iadd32 r6, r6, r7
    jmp .next
.four:
    ixor r6, r6, r7
    iadd32 r6, r6, 5
    jmp .next
.two:
    iand r8, r7, 4
    bnz r8, .six
.adds:
    iadd32 r6, r6, r7
    isub32 r9, r9, 1
    bnz r9, .adds
    jmp .next
.six:
    isub32 r6, r6, r7
    jmp .next
.odd:
    iand r8, r7, 2
    bnz r8, .three
    iand r8, r7, 4
    bnz r8, .five
    imul32 r6, r6, 3
    jmp .next
.five:
    imul32 r6, r6, 5
    ixor r6, r6, r7
    jmp .next
.three:
    iand r8, r7, 4
    bnz r8, .seven
.doubles:
    iadd32 r6, r6, r6
    iadd32 r6, r6, 1
    isub32 r9, r9, 1
    bnz r9, .doubles
    jmp .next
.seven:
    ishr32 r6, r6, 1
    ixor r6, r6, r7
.next:
    isub32 r4, r4, 1
    bnz r4, .loop
    st32 r3, [state]
    st32 r6, [mixed]
    done
"""


@dataclass
class Branches(Scalar):
    """A loop in which every PE takes branches of its own."""

    CODE = _BRANCHES
    ARRAYS = ("state", "mixed")

    def expected(self) -> dict[str, np.ndarray]:
        """The arrays [h, w] after a launch, by name."""
        state = self.seeds()
        mixed = np.zeros(state.shape, np.uint32)
        for _ in range(self.trips):
            state = state * np.uint32(1664525) + np.uint32(1013904223)
            high = state >> np.uint32(16)
            rounds = (high >> np.uint32(13)) + np.uint32(1)
            power = np.uint32(1) << rounds
            ways = [
                mixed + high,
                mixed * np.uint32(3),
                mixed + rounds * high,
                mixed * power + (power - np.uint32(1)),
                (mixed ^ high) + np.uint32(5),
                (mixed * np.uint32(5)) ^ high,
                mixed - high,
                (mixed >> np.uint32(1)) ^ high,
            ]
            mixed = np.choose(high & np.uint32(7), ways)
        return {"state": state, "mixed": mixed}


# --- short operations -------------------------------------------------------------------------------------------------

_SHORT = """
main:
    mov r4, {trips}
    ld16 r1, [a]
.loop:
    dsr d0, walk_y
    dsr a0, walk_y
    dsr b0, walk_x
    fmach d0, a0, b0, r1
    isub32 r4, r4, 1
    bnz r4, .loop
    done
"""


@dataclass
class Short:
    """y = y + a x over 16 elements of f16, again and again, in every PE."""

    fabric: Fabric
    trips: int
    x: np.ndarray  # [PATTERN, LENGTH]: of PEs whose number has the same rest
    y: np.ndarray
    launched: int = 0

    LENGTH, PATTERN, A = 16, 61, 0.375

    @classmethod
    def program(cls, width: int, height: int, machine: Machine, trips: int) -> Program:
        """The program; a launch executes the operation `trips` times."""
        p = Program(width, height, machine)
        pe = p.pe_class("short")
        pe.array("a", (), "f16", align=4)
        pe.dsd("walk_x", mem1d(pe.array("x", cls.LENGTH, "f16", offset=8)))
        pe.dsd("walk_y", mem1d(pe.array("y", cls.LENGTH, "f16")))
        pe.code(_SHORT.format(trips=trips))
        pe.local_task("main", 9)
        p.place(pe)
        return p

    @classmethod
    def load(cls, program: Program, trips: int, **options) -> Short:
        """Load the program, with random values in each PE.  options: of Fabric."""
        rng, of = np.random.default_rng(0), data.arithmetic("f16")
        x, y = (data.random(rng, (cls.PATTERN, cls.LENGTH), of) for _ in range(2))
        loop = cls(Fabric(program, **options), trips, x, y)
        loop.fabric.fill("a", cls.A)
        loop.fabric.write("x", loop.everywhere(x))
        loop.fabric.write("y", loop.everywhere(y))
        return loop

    def everywhere(self, values: np.ndarray) -> np.ndarray:
        """float32 [h, w, LENGTH]: values [PATTERN, LENGTH] in all PEs."""
        height, width = self.fabric.height, self.fabric.width
        return values[np.arange(height * width) % self.PATTERN].reshape(height, width, -1)

    def run(self) -> Run:
        """Launch the loop, and run to its end."""
        self.fabric.launch("main")
        self.launched += 1
        return self.fabric.run()

    def check(self, run: Run) -> None:
        """Compare y of all PEs with NumPy, to the bit.  Raises WrongResult."""
        y, a = self.y, np.float32(self.A)
        for _ in range(self.trips * self.launched):
            y = numerics.fma16(y, self.x, a, "f16")
        require(data.same_bits(self.fabric.read("y"), self.everywhere(y)), "short operations: a PE's y is wrong")
        require(run.ended == "done", "the loop of short operations did not end")


# --- tasks ------------------------------------------------------------------------------------------------------------

TASK = """
arrived:
    ld32 r1, [total]
    iadd32 r1, r1, r0
    st32 r1, [total]
    done
"""


@dataclass
class Tasks:
    """Every row carries a stream; each of its wavelets is a task of four instructions in every PE of the row."""

    fabric: Fabric
    data: np.ndarray  # [row, wavelet]

    @classmethod
    def program(cls, width: int, height: int, machine: Machine) -> Program:
        """The program: a data task adds each wavelet of a row's stream to a sum."""
        p = Program(width, height, machine)
        row = p.color("row", ROW)
        pe = p.pe_class("counter")
        pe.array("total", 1, "u32")
        pe.queue_in(2, row)
        pe.code(TASK)
        pe.data_task("arrived", row if p.machine.data_task_by_color else 2)
        p.place(pe)
        p.route(row, "W", "ER", x=slice(0, width - 1))
        p.route(row, "W", "R", x=width - 1)
        return p

    @classmethod
    def load(cls, program: Program, length: int, **options) -> Tasks:
        """Load the program, with `length` random wavelets per row.  options: of Fabric."""
        fabric = Fabric(program, **options)
        data = np.random.default_rng(0).integers(0, 1 << 32, (fabric.height, length), dtype=np.uint32)
        for y in range(fabric.height):
            fabric.stream_in(0, y, "W", "row", data[y])
        return cls(fabric, data)

    def check(self, run: Run) -> None:
        """Compare the sums of all PEs and the number of tasks.  Raises WrongResult."""
        require(run.ended == "done", "tasks: the streams did not end")
        totals = self.data.sum(axis=1, dtype=np.uint32)
        require(bool((self.fabric.read("total")[..., 0] == totals[:, None]).all()), "tasks: a PE's sum is wrong")
        require(bool((run.counters["tasks"] == self.data.shape[1]).all()), "tasks: not one per wavelet")


def every(size: int, step: int) -> np.ndarray:
    """int64 [n]: every `step`-th index below `size`, from the middle of the first step; at least one."""
    return np.arange(min(step // 2, size - 1), size, step)


def pages(program: Program, arrays: Sequence[str] = (), page: int = 4096) -> int:
    """Number of pages of SRAM that all PEs touch: those of initial values and descriptors, and of these arrays.

    page: bytes.  The memory of a PE is a whole number of pages.
    """
    total = 0
    for index, pe in enumerate(program.classes.values()):
        symbols = {**program.shared, **pe.symbols}
        spans = [(address, len(data)) for address, data in (pe.built.data if pe.built else ())]
        spans += [(symbols[name].address, symbols[name].nbytes) for name in arrays if name in symbols]
        touched = {at for start, size in spans if size for at in range(start // page, (start + size - 1) // page + 1)}
        total += len(touched) * int((program.class_of_pe == index).sum())
    return total
