"""An assembler for operators on tiles: emits vector operations together with the DSR loads that they need.

A subroutine receives its operands as byte addresses in registers, so its descriptors cannot be prepared in memory.
`Code` builds them in registers r28..r31.  It tracks the contents of registers and DSRs and emits only the loads that
change them; a typical descriptor takes two instructions.

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
from dataclasses import replace

from ..machine import isa
from ..program.fragments import f32
from ..records import dataclass

# The register convention of all operators: the registers that a subroutine may overwrite.
FIRST_OPERAND = 8  # r8 and following hold the addresses of the operands
VALUES = ("r2", "r3", "r4", "r5", "r6", "r7")  # immediates
COUNTERS = ("r1", "r25")  # the current element of a loop and of a nested loop
LINK = "r26"  # the saved link register of a subroutine that calls others
DSRS = 5  # DSRs 0..4 of each file hold operands; b5 and b6 are loop counters


@dataclass(frozen=True)
class Vec:
    """n elements in memory from the byte address `at` ("r8", "work", ...) + offset bytes, `stride` elements apart.

    n = 0: `at` is a register that holds a span, address | elements << 16.  size: 4 for f32 (or i32), 2 for 16-bit
    elements.  save: the DSR keeps the address where an operation ends, and the next operation continues there.
    """

    at: str
    n: int
    size: int = 4
    offset: int = 0
    stride: int = 1
    save: bool = False

    def part(self, first: int, n: int) -> Vec:
        """The n elements from index `first` on."""
        return replace(self, offset=self.offset + first * self.stride * self.size, n=n)

    def rows(self, n: int) -> Vec:
        """Successive rows of n elements: each operation on the DSR processes one row.  ValueError if the vector is no
        number of rows."""
        if self.n % n:
            raise ValueError(f"rows of {n} elements in a vector of {self.n}")
        return replace(self, n=n, save=True)

    def halves(self, high: bool) -> Vec:
        """The upper (`high`) or lower 16 bits of each f32 element."""
        return replace(self, size=2, offset=self.offset + 2 * high, stride=2 * self.stride)

    @property
    def bytes(self) -> int:
        """Bytes from the first element to the end of the last stride."""
        return self.n * self.size * self.stride


Operand = Vec | str | float


class Code:
    """A builder for the text of a subroutine.  Calling it, code(line), appends an instruction verbatim."""

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
        """The code as text."""
        return "\n".join(self.lines) + "\n"

    def forget(self) -> None:
        """Discards what is known about the contents of registers and DSRs, except DSRs pinned by `hold`."""
        self._words: dict[int, str] = {}
        self._loaded = None
        self._values: dict[str, str] = {}
        self._held: dict[str, dict[int, Vec | None]] = {"d": {}, "a": {}, "b": {}}
        self._order: dict[str, list[int]] = {file: list(range(DSRS)) for file in "dab"}

    def label(self, name: str) -> None:
        """Defines a label.  Discards what is known about registers and DSRs, because control flow joins here."""
        self.lines.append(f"{name}:")
        self.forget()

    def new_label(self) -> str:
        """A local label that is not in use."""
        self._labels += 1
        return f".l{self._labels}"

    def call(self, name: str) -> None:
        """Call a subroutine; contents of DSRs and registers are unknown afterwards."""
        self(f"call {name}")
        self.forget()

    # --- operations ---------------------------------------------------------------------------------------------------

    def op(self, name: str, dst: Vec | str, *sources: Operand) -> None:
        """Emits a vector operation.

        A source may be a Vec, a register, or a number: an f32 scalar that is used for every element.
        """
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
        """A register that holds the immediate `bits`, loaded if necessary.

        used: registers that must keep their values, because the current operation reads them.
        """
        used = set() if used is None else used
        for register, held in self._values.items():
            if held == bits:
                used.add(register)
                return register
        free = [register for register in VALUES if register not in self._values and register not in used]
        register = free[0] if free else next(r for r in self._values if r not in used)
        self._values.pop(register, None)
        self._values[register] = bits  # the oldest value is evicted first
        used.add(register)
        self(f"mov {register}, {bits}")
        return register

    def clobber(self, *registers: str) -> None:
        """Marks registers as overwritten by instructions that the caller emits."""
        for register in registers:
            self._values.pop(register, None)

    def dsr(self, file: str, vec: Vec) -> str:
        """A DSR of the file ("d", "a" or "b") that describes the vector, loaded if necessary.  Eviction is LRU."""
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
        """Emits the load of a DSR with the descriptor of the vector."""
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
        """Emits register = at + offset.  at: a register or a symbol."""
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
        """The source as f32: the source itself, or its conversion to f32 in the buffer."""
        if source.size == 4:
            return source
        self.op("fh2s", buffer, source)
        return buffer

    def narrow(self, dst: Vec, name: str, buffer: Vec, *sources: Operand) -> None:
        """Emits an f32 operation whose result is rounded to the size of dst, through the buffer if that is 16 bits."""
        if dst.size == 4:
            self.op(name, dst, *sources)
            return
        self.op(name, buffer, *sources)
        self.op("fs2h", dst, buffer)

    def square(self, dst: Vec, source: Vec, buffer: Vec) -> None:
        """Emits dst = source^2, f32.  The buffer holds a copy, because two equal sources would have bank conflicts."""
        self.op("fmovs", buffer, source)
        self.op("fmuls", dst, source, buffer)

    # --- loops --------------------------------------------------------------------------------------------------------

    @contextmanager
    def hold(self, **operands: Vec) -> Iterator[tuple[str, ...]]:
        """Loads DSRs and pins them for the duration of the block.  Yields their names.

        Keywords begin with the file: d=, a=, b=, or d2= for a second DSR of that file.  DSRs of vectors with `save`
        advance with each operation.
        """
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
        """Emits a loop over n elements in equal chunks of at most `most`.  Yields the current chunk of each operand.

        operands: name -> (address register, bytes of an element).
        """
        chunk = divisor(n, most)
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
        """Emits a loop that executes the body n times.  Yields the DSRs of hold(**operands).

        over: a vector whose elements r1 (r25 in a nested loop) holds in turn.
        """
        counter, dsr = COUNTERS[self._depth], f"b{DSRS + self._depth}"
        self._depth += 1
        with self.hold(**operands) as names:
            # Without `over`, the loop counts by a descriptor with stride 0, whose values are not used.
            self.load(dsr, replace(over, n=n) if over is not None else Vec(f"r{FIRST_OPERAND}", n, 2, stride=0))
            top, end = self.new_label(), self.new_label()
            self.label(top)
            self(f"mapstep {counter}, {dsr}, {end}")
            yield names
            self(f"maploop {top}")
            self.label(end)
        self._depth -= 1


def divisor(n: int, most: int) -> int:
    """The largest divisor of n that is at most `most`."""
    return next(m for m in range(min(n, most), 0, -1) if n % m == 0)


class Work:
    """An allocator for the work space at `work`, which all operators of a class share.

    It places each vector in a chosen memory bank, so that the sources of an operation have no bank conflicts.
    """

    def __init__(self, at: str = "work") -> None:
        self.at, self.bytes = at, 0

    def take(self, n: int, size: int = 4, bank: int = 0) -> Vec:
        """Allocates n elements of `size` bytes that begin in the given bank, 0 to 7."""
        self.bytes += (2 * bank - self.bytes) % 16
        vec = Vec(self.at, n, size, self.bytes)
        self.bytes += n * size
        return vec


@dataclass(frozen=True)
class Routine:
    """A subroutine.  `call name` expects the byte address of operand k in register r8 + k.

    operands: names of the operands.  work: bytes of the work space (symbol `work`) that it uses.  text: its assembler
    text.
    """

    name: str
    operands: tuple[str, ...]
    work: int
    text: str

    def call(self, **addresses: str | int) -> str:
        """The assembler text of a call.  addresses: symbol, number or sum of them for each operand.

        Raises TypeError if the names differ from `operands`.
        """
        if set(addresses) != set(self.operands):
            raise TypeError(f"{self.name} takes {', '.join(self.operands)}, not {', '.join(addresses)}")
        lines = [f"    mov r{FIRST_OPERAND + k}, {addresses[name]}" for k, name in enumerate(self.operands)]
        return "\n".join([*lines, f"    call {self.name}\n"])


def routine(name: str, operands: tuple[str, ...], code: Code, work: int, calls: bool = False) -> Routine:
    """Makes a Routine from code.  calls: whether it calls other subroutines, and so must save its link in r26."""
    before = f"    mov {LINK}, r27\n" if calls else ""
    return Routine(name, operands, work, f"{name}:\n{before}{code.text}    jr {LINK if calls else 'r27'}\n")


def register(operands: tuple[str, ...], name: str) -> str:
    """The register that holds the address of an operand."""
    return f"r{FIRST_OPERAND + operands.index(name)}"
