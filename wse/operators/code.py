"""Assembler for operators on tiles: vector operations by operand, with the DSR loads that they need.

A subroutine gets its operands as byte addresses in registers, so its descriptors cannot lie in memory ready to load.
`Code` makes them in registers r28..r31 (two instructions each, the first word and the strides are seldom reloaded),
remembers which DSR holds what, and so loads only what changed.

    c = Code()
    x, y = Vec("r8", 256), Vec("work", 256)
    c.op("fmuls", y, x, 2.0)                # y = 2 x, 256 f32
    c.op("fadds", y, y, 1.0)
    with c.loop(8, over=Vec("r9", 8), d=y.rows(32), a=y.rows(32)) as (d, a):
        c(f"fmuls {d}, {a}, r1")            # each row of 32 with its own factor
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..machine import isa
from ..program.fragments import f32

# What an operator may change: the convention of the package, here in one place.
FIRST_OPERAND = 8  # r8.. hold the operands' addresses
VALUES = ("r2", "r3", "r4", "r5", "r6", "r7")  # immediates
COUNTERS = ("r1", "r25")  # the element that a loop is at, and a loop in a loop
LINK = "r26"  # where a subroutine that calls others keeps its own link
DSRS = 5  # 0..4 of each file hold operands, b5 and b6 count


@dataclass(frozen=True)
class Vec:
    """n elements in memory from the byte address `at` ("r8", "work", ...) + offset bytes, `stride` elements apart.

    n = 0: `at` is a register with a span, address | elements << 16.  size: 4 for f32 (or i32), 2 for 16-bit elements.
    save: the next operation on the same DSR goes on where this ended.
    """

    at: str
    n: int
    size: int = 4
    offset: int = 0
    stride: int = 1
    save: bool = False

    def part(self, first: int, n: int) -> Vec:
        """n elements from the one numbered `first`."""
        return replace(self, offset=self.offset + first * self.stride * self.size, n=n)

    def rows(self, n: int) -> Vec:
        """Rows of n elements, one after the other, one for each operation on the DSR."""
        return replace(self, n=n, save=True)

    def halves(self, high: bool) -> Vec:
        """The upper or lower 16 bits of each f32."""
        return replace(self, size=2, offset=self.offset + 2 * high, stride=2 * self.stride)

    @property
    def bytes(self) -> int:
        return self.n * self.size * self.stride


Operand = Vec | str | float


class Code:
    """Text of a subroutine under way.  c(line) appends an instruction as it is."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._labels = self._depth = 0
        self._loaded: Vec | None = None
        self._pinned: dict[str, set[int]] = {"d": set(), "a": set(), "b": set()}
        self.forget()

    def __call__(self, *lines: str) -> None:
        self._loaded = None
        self.lines += [f"    {line}" for line in lines]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def forget(self) -> None:
        """What registers and DSRs hold is not known any more, but for those held."""
        self._words: dict[int, str] = {}
        self._loaded = None
        self._values: dict[str, str] = {}
        self._held: dict[str, dict[int, Vec | None]] = {"d": {}, "a": {}, "b": {}}
        self._order: dict[str, list[int]] = {file: list(range(DSRS)) for file in "dab"}

    def label(self, name: str) -> None:
        """A place that is jumped to."""
        self.lines.append(f"{name}:")
        self.forget()

    def new_label(self) -> str:
        self._labels += 1
        return f".l{self._labels}"

    def call(self, name: str) -> None:
        self(f"call {name}")
        self.forget()

    # --- operations ---------------------------------------------------------------------------------------------------

    def op(self, name: str, dst: Vec | str, *sources: Operand) -> None:
        """A vector operation.  A source may be a Vec, a register, or a number: an f32 that stands for every element."""
        row = isa.INSTRUCTION[name]
        used: set[str] = set()
        texts = []
        for place, operand in enumerate((dst, *sources)):
            if isinstance(operand, Vec):
                texts.append(self.dsr("dab"[place], operand))
            elif isinstance(operand, str):
                texts.append(operand)
            else:
                texts.append(self.value(f32(operand), used))
        assert len(texts) == sum(type != "NONE" for type in row.types), f"{name} with {len(texts)} operands"
        self(f"{name} {', '.join(texts)}")

    def value(self, bits: str, used: set[str] | None = None) -> str:
        """A register that holds the immediate."""
        used = set() if used is None else used
        for register, held in self._values.items():
            if held == bits:
                used.add(register)
                return register
        free = [register for register in VALUES if register not in self._values and register not in used]
        register = free[0] if free else next(r for r in self._values if r not in used)
        self._values.pop(register, None)
        self._values[register] = bits  # the last one in is the last one out
        used.add(register)
        self(f"mov {register}, {bits}")
        return register

    def clobber(self, *registers: str) -> None:
        """These registers are used by hand."""
        for register in registers:
            self._values.pop(register, None)

    def dsr(self, file: str, vec: Vec) -> str:
        """A DSR of the file that holds the vector."""
        for number, held in self._held[file].items():
            if held == vec and not vec.save:
                self._order[file].remove(number)
                self._order[file].append(number)
                return f"{file}{number}"
        number = next(n for n in self._order[file] if n not in self._pinned[file])
        self._order[file].remove(number)
        self._order[file].append(number)
        self._held[file][number] = vec
        self.load(f"{file}{number}", vec)
        return f"{file}{number}"

    def load(self, dsr: str, vec: Vec) -> None:
        """Loads a DSR."""
        if self._loaded == vec:  # its descriptor is still in the registers
            self(f"ldds {dsr}, r28")
            self._loaded = vec
            return
        flags = (isa.DSD_SAVE_ADDRESS if vec.save else 0) | (isa.DSD_WIDE if vec.size == 4 else 0)
        self._word(28, isa.DSD_MEM1D | flags << 8)
        self._word(30, vec.stride * vec.size & 0xFFFF)
        self._word(31, 0)
        self.address("r29", vec.at, (vec.n << 16) + vec.offset)
        self(f"ldds {dsr}, r28")
        self._loaded = vec

    def address(self, register: str, at: str, offset: int) -> None:
        """register = at + offset."""
        if at.startswith("r") and at[1:].isdecimal():
            self(f"iadd32 {register}, {at}, {offset:#x}" if offset else f"mov {register}, {at}")
        else:
            self(f"mov {register}, {at}+{offset:#x}")

    def _word(self, register: int, value: int) -> None:
        text = f"{value:#x}"
        if self._words.get(register) != text:
            self._words[register] = text
            self(f"mov r{register}, {text}")

    def widened(self, source: Vec, buffer: Vec) -> Vec:
        """The source as f32: itself, or converted into the buffer."""
        if source.size == 4:
            return source
        self.op("fh2s", buffer, source)
        return buffer

    def narrow(self, dst: Vec, name: str, buffer: Vec, *sources: Operand) -> None:
        """An f32 operation whose result is stored as dst, rounded to its size (by the buffer, if 16 bits)."""
        if dst.size == 4:
            self.op(name, dst, *sources)
            return
        self.op(name, buffer, *sources)
        self.op("fs2h", dst, buffer)

    def square(self, dst: Vec, source: Vec, buffer: Vec) -> None:
        """dst = source^2 of f32, by a copy in the buffer: sources in one place would meet in its banks."""
        self.op("fmovs", buffer, source)
        self.op("fmuls", dst, source, buffer)

    # --- loops --------------------------------------------------------------------------------------------------------

    @contextmanager
    def hold(self, **operands: Vec) -> Iterator[tuple[str, ...]]:
        """DSRs that keep their vectors to the end: names by file, such as d=, a=, b=, or d2= for another of that file.
        They go on by themselves if `save` is set."""
        names = []
        for key, vec in operands.items():
            file = key[0]
            number = next(n for n in self._order[file] if n not in self._pinned[file])
            self._held[file].pop(number, None)
            self._pinned[file].add(number)
            self.load(f"{file}{number}", vec)
            names.append(f"{file}{number}")
        yield tuple(names)
        for name in names:
            self._pinned[name[0]].discard(int(name[1:]))

    @contextmanager
    def chunks(self, n: int, most: int, operands: Mapping[str, tuple[str, int]]) -> Iterator[dict[str, Vec]]:
        """n elements in equal chunks of at most `most`: yields one chunk of each operand, name: (register, size)."""
        chunk = next(m for m in range(min(n, most), 0, -1) if n % m == 0)
        if chunk == n:
            yield {name: Vec(at, n, size) for name, (at, size) in operands.items()}
            return
        at = {name: f"r{16 + k}" for k, name in enumerate(operands)}
        for name, (register, _) in operands.items():
            self(f"mov {at[name]}, {register}")
        self(f"mov r24, {n // chunk}")
        top = self.new_label()
        self.label(top)
        yield {name: Vec(at[name], chunk, size) for name, (_, size) in operands.items()}
        for name, (_, size) in operands.items():
            self(f"iadd32 {at[name]}, {at[name]}, {chunk * size}")
        self("isub32 r24, r24, 1", f"bnz r24, {top}")
        self.forget()

    @contextmanager
    def loop(self, n: int, over: Vec | None = None, **operands: Vec) -> Iterator[tuple[str, ...]]:
        """The body n times.  over: r1 (in a loop in a loop r25) holds its elements one after the other.

        Yields the DSRs of hold(**operands).
        """
        counter, dsr = COUNTERS[self._depth], f"b{DSRS + self._depth}"
        self._depth += 1
        with self.hold(**operands) as names:
            # Any memory will do to count by.
            self.load(dsr, replace(over, n=n) if over is not None else Vec(f"r{FIRST_OPERAND}", n, 2, stride=0))
            top, end = self.new_label(), self.new_label()
            self.label(top)
            self(f"mapstep {counter}, {dsr}, {end}")
            yield names
            self(f"maploop {top}")
            self.label(end)
        self._depth -= 1


class Work:
    """Places in the memory at `work` that all operators of a class share, so that sources lie in different banks."""

    def __init__(self, at: str = "work") -> None:
        self.at, self.bytes = at, 0

    def take(self, n: int, size: int = 4, bank: int = 0) -> Vec:
        """n elements, from `bank` (0 to 7) on."""
        self.bytes += (2 * bank - self.bytes) % 16
        vec = Vec(self.at, n, size, self.bytes)
        self.bytes += n * size
        return vec


@dataclass(frozen=True)
class Routine:
    """A subroutine: `call name` with the byte address of operand k in r8 + k.

    work: bytes that it uses at the symbol `work`, which all operators of a class share.
    """

    name: str
    operands: tuple[str, ...]
    work: int
    text: str

    def call(self, **addresses: str | int) -> str:
        """Code that calls it with the operands at these addresses: symbols, numbers, or sums of them."""
        if set(addresses) != set(self.operands):
            raise TypeError(f"{self.name} takes {', '.join(self.operands)}, not {', '.join(addresses)}")
        lines = [f"    mov r{FIRST_OPERAND + k}, {addresses[name]}" for k, name in enumerate(self.operands)]
        return "\n".join([*lines, f"    call {self.name}\n"])


def routine(name: str, operands: tuple[str, ...], code: Code, work: int, calls: bool = False) -> Routine:
    """A Routine of code that ends by returning.  calls: it calls others, and so keeps its own link in r26."""
    before = f"    mov {LINK}, r27\n" if calls else ""
    return Routine(name, operands, work, f"{name}:\n{before}{code.text}    jr {LINK if calls else 'r27'}\n")


def register(operands: tuple[str, ...], name: str) -> str:
    """The register that holds the address of an operand."""
    return f"r{FIRST_OPERAND + operands.index(name)}"
