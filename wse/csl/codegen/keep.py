"""What loops keep in DSRs: constant descriptors that their operations use are loaded once, before the loop."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...machine import isa
from ..ir import descriptor, ir
from ..ir.descriptor import EXTENDED
from ..ir.ir import Dsd, DsdValue, DsdVar
from ..ir.loops import loops
from .context import Context
from .mir import Imm, Sym

FILES = ("dest", "src0", "src1")
KEPT_MOST = 10  # DSRs of a file that hold descriptors over loops
FREE_LEAST = 3  # DSRs of a file that are left for others
Words = tuple[Imm, Imm, Imm, Imm]


def signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def words_of(dsd: Dsd, then: ir.Then = ir.NO_OPTIONS, xdsr: int = 0) -> Words:
    """The four words of a descriptor, as immediates."""
    image, relocations = descriptor.image(dsd, then, xdsr)
    words: list[Imm] = [signed(w) for w in struct.unpack("<4I", image[:16])]
    for at, symbol, addend in relocations:
        if at == descriptor.BASE:
            words[1] = Sym(symbol, addend, more=int(words[1]) & 0xFFFF0000)  # type: ignore[arg-type]
    return tuple(words)  # type: ignore[return-value]


def xdsr_words(dsd: Dsd) -> Words:
    """The words of a descriptor's XDSR."""
    image, relocations = descriptor.image(dsd)
    words: list[Imm] = [signed(w) for w in struct.unpack("<4I", image[16:32])]
    for at, symbol, addend in relocations:
        if at == 16:
            words[0] = Sym(symbol, addend, more=int(words[0]) & 0xFFFF0000)  # type: ignore[arg-type]
    return tuple(words)  # type: ignore[return-value]


def xdsr_of(operand: Any) -> tuple[Any, Words | None] | None:
    """The key and the constant contents of an operand's XDSR; None if it needs none."""
    if not isinstance(operand, Dsd | DsdVar) or operand.kind not in EXTENDED:
        return None
    if isinstance(operand, DsdVar):
        return ("variable", operand.addr), None
    words = xdsr_words(operand)
    return words, words


def plan_xdsrs(instructions: Iterable[ir.Instr], context: Context) -> None:
    """Decides which descriptors of a unit have an XDSR of their own."""
    lasting: dict[Any, Any] = {}
    others: dict[Any, Any] = {}
    for instr in instructions:
        operands: list[Any] = []
        if isinstance(instr, ir.Vector):
            operands = [instr.dst, instr.src0, instr.src1]
        elif isinstance(instr, ir.Map):
            operands = [*instr.inputs, instr.out]
        elif isinstance(instr, ir.LoadDsr):
            operands = [instr.source]
        for found in filter(None, map(xdsr_of, operands)):
            (lasting if context.lasts(instr) else others)[found[0]] = found[1]
    context.plan_xdsrs(lasting, others)


class Keeping:
    """The part of the Selector that decides which descriptors stay in DSRs."""

    context: Context
    function: ir.Function
    held: dict[tuple[str, int], Any]
    kept: dict[tuple[str, int], Words]
    locked: set[tuple[str, int]]

    def keep_in_loops(self, function: ir.Function) -> dict[int, list[tuple[tuple[str, int], Words]]]:
        """Decides which constant descriptors the loops of a function keep in DSRs: all operands of a loop that fits,
        else of the loops in it.  Returns what is loaded at the end of which block, before a loop; fills `kept_in`."""
        loads: dict[int, list[tuple[tuple[str, int], Words]]] = {}
        self.kept_in: dict[int, dict[tuple[str, int], Words]] = {}
        self.kept_anywhere: set[tuple[str, int]] = set()
        places: dict[tuple[str, Words], tuple[str, int]] = {}
        for loop in loops(function):
            if any(block in self.kept_in for block in loop.blocks):
                continue  # a loop around has them
            blocks = [block for block in function.blocks if block.id in loop.blocks]
            found = self.keep(self.constant_operands(blocks), self.callee_dsrs(blocks), places)
            if found is None:
                continue
            loads.setdefault(loop.before, []).extend(found.items())
            for block in loop.blocks:
                self.kept_in[block] = found
        return loads

    def keep(
        self, wanted: set[tuple[str, Words]], taken: set[tuple[str, int]], places: dict[tuple[str, Words], Any]
    ) -> dict[tuple[str, int], Words] | None:
        """DSRs for these descriptors, KEPT_MOST of each file; None if there are too many.  places: where descriptors
        are kept already."""
        chosen: dict[tuple[str, Words], tuple[str, int]] = {}
        for file, words in sorted(wanted, key=repr):
            place = places.get((file, words))
            if place is None or place in taken:
                mine = {at for (other, _), at in [*places.items(), *chosen.items()] if other == file}
                free = [
                    n for n in range(self.context.dsr_limit(self.function.name) - 1, -1, -1)
                    if n not in self.context.reserved[file] and (file, n) not in taken | mine | self.locked
                ]  # fmt: skip
                if len(mine) >= KEPT_MOST or len(free) <= FREE_LEAST:
                    return None
                place = file, free[0]
            chosen[file, words] = place
        places |= chosen
        self.kept_anywhere |= set(chosen.values())
        return {place: words for (_, words), place in chosen.items()}

    def constant_operands(self, blocks: list[ir.Block]) -> set[tuple[str, Words]]:
        """Constant descriptors of the operations of these blocks, with the file that each is loaded into."""
        found = set()
        for block in blocks:
            for instr in block.code:
                if isinstance(instr, ir.Map):
                    found |= self.constant_operands(self.context.functions[instr.function].blocks)
                if (
                    not isinstance(instr, ir.Vector)
                    or instr.ut is not None
                    or instr.task is not None
                    or instr.on_control
                ):
                    continue
                for operand, file in zip((instr.dst, instr.src0, instr.src1), FILES, strict=True):
                    if isinstance(operand, Dsd | DsdValue) and self.is_constant(operand):
                        found.add((file, self.constant_words(operand)))
        return found

    def is_constant(self, operand: Dsd | DsdValue) -> bool:
        """Whether a DSR that holds the descriptor is as before after an operation, and needs nothing else loaded."""
        if isinstance(operand, DsdValue):
            words = self.value_words(operand)
            changes = (isa.DSD_SAVE_ADDRESS | isa.DSD_INDEX) << 8
            return words is not None and not operand.index and not int(words[0]) & changes
        if operand.save_address or operand.index:
            return False
        if operand.kind in EXTENDED:
            words = xdsr_words(operand)
            return self.context.held_by(self.context.xdsr_for(words, words)) == words
        return True

    def callee_dsrs(self, blocks: list[ir.Block]) -> set[tuple[str, int]]:
        """DSRs that the functions change which these blocks call."""
        found: set[tuple[str, int]] = set()
        for block in blocks:
            for instr in block.code:
                if isinstance(instr, ir.Call):
                    found |= self.context.selected[instr.function].dsrs
                elif isinstance(instr, ir.Map):
                    found |= self.callee_dsrs(self.context.functions[instr.function].blocks)
        return found

    def hoist_map(self, function: ir.Function) -> dict[tuple[str, int], Words]:
        """Loads what the function of a @map needs in every step; where it is."""
        wanted = self.constant_operands(function.blocks)
        wanted -= {(file, words) for (file, _), words in self.kept.items()}
        found = self.keep(wanted, self.callee_dsrs(function.blocks) | set(self.kept), {})
        if found is None:
            return {}
        self.load_kept(found.items())
        return found

    def load_kept(self, found: Iterable[tuple[tuple[str, int], Words]]) -> None:
        for (file, number), words in found:
            if self.held.get((file, number)) != words:
                self.load_words(words)
                self.load_dsr(self.byte(file, number))
                self.held[file, number] = words

    if TYPE_CHECKING:  # what the Selector has

        def __getattr__(self, name: str) -> Any: ...
