"""The end of SSA: phis become registers that the predecessors of their block assign.

The assignments of an edge stand before the end of its first block, if that block has no other successor that reads
what they change; else in a block of their own between the two.  They happen at once: one that would overwrite what
another reads comes after it, and a ring of them goes through a register of its own.
"""

from __future__ import annotations

from ..ir.ir import BITS, Bin, Block, Branch, Const, Copy, Instr, Jump, Reg, Value
from ..ir.registers import read, written
from .text import Inst

Moves = list[tuple[Reg, Value]]
CHAIN = 4  # cases of a switch that are compared one after the other


class Edges:
    """The phis of a function that is raised."""

    def __init__(self, raising):
        self.raising = raising
        self.moves: dict[tuple[int, int], Moves] = {}  # by the edge's two blocks
        self.results: dict[int, set[Reg]] = {}

    def phi(self, block: str, dst: Reg, inst: Inst) -> None:
        to = self.raising.numbers[block]
        self.results.setdefault(to, set()).add(dst)
        done = set()
        for value, source in zip(inst.args[::2], inst.args[1::2], strict=True):
            edge = self.raising.numbers[source], to
            if edge not in done:
                done.add(edge)
                self.moves.setdefault(edge, []).append((dst, self.raising.value(value, inst.type)))

    def finish(self, blocks: list[Block]) -> list[Block]:
        """The blocks with the assignments in place and switches as branches."""
        live = self.live(blocks)
        made: list[Block] = []
        for block in blocks:
            end = block.code[-1]
            targets = list(dict.fromkeys(successors(end)))
            here = {to: self.moves[block.id, to] for to in targets if (block.id, to) in self.moves}
            split = {to for to in here if self.must_split(end, to, targets, here, live)}
            joint = [move for to, moves in here.items() if to not in split for move in moves]
            block.code[-1:] = [*in_order(joint), end]
            changed = {}
            for to in split:
                middle = Block(self.raising.next_block, [*in_order(here[to]), Jump(to)])
                self.raising.next_block += 1
                changed[to] = middle.id
                made.append(middle)
            retarget(end, changed)
            if not isinstance(end, Jump | Branch) and successors(end):
                made += self.branches(block, end)
        return blocks + made

    def must_split(self, end: Instr, to: int, targets: list[int], here: dict[int, Moves], live: dict[int, set]) -> bool:
        if len(targets) == 1:
            return False
        if not isinstance(end, Branch):
            return True
        changed = {dst for dst, _ in here[to]}
        if changed & set(read(end)):
            return True
        return any(other != to and changed & live[other] for other in targets)

    def live(self, blocks: list[Block]) -> dict[int, set[Reg]]:
        """Registers whose values are read at the start of each block or later; what its phis assign is not."""
        used: dict[int, set[Reg]] = {}
        defined: dict[int, set[Reg]] = {}
        for block in blocks:
            reads: set[Reg] = set()
            writes = set(self.results.get(block.id, ()))
            for instr in block.code:
                reads.update(reg for reg in end_reads(instr) if reg not in writes)
                writes.update(written(instr))
            used[block.id], defined[block.id] = reads, writes
        incoming: dict[int, set[Reg]] = {block.id: set() for block in blocks}
        for (source, _), moves in self.moves.items():
            incoming[source].update(value for _, value in moves if isinstance(value, Reg))
        live = {block.id: set(used[block.id]) for block in blocks}
        changed = True
        while changed:
            changed = False
            for block in reversed(blocks):
                out = set(incoming[block.id])
                for to in successors(block.code[-1]):
                    out |= live[to]
                now = used[block.id] | (out - defined[block.id])
                if now != live[block.id]:
                    live[block.id] = now
                    changed = True
        return live

    def branches(self, block: Block, switch) -> list[Block]:
        """The end of a block with many targets as comparisons: a chain of a few, else halves."""
        block.code.pop()
        made: list[Block] = []
        cases = sorted(switch.cases, key=lambda case: int(case[0].value) & (1 << BITS[switch.type]) - 1)

        def fresh() -> Block:
            made.append(Block(self.raising.next_block, []))
            self.raising.next_block += 1
            return made[-1]

        def write(here: Block, part: list[tuple[Const, int]]) -> None:
            if len(part) > CHAIN:
                middle = len(part) // 2
                low, high, test = fresh(), fresh(), Reg("bool")
                here.code += [
                    Bin("lt", test, switch.value, part[middle][0], switch.type, at=switch.at),
                    Branch(test, low.id, high.id, at=switch.at),
                ]
                write(low, part[:middle])
                write(high, part[middle:])
                return
            for n, (value, to) in enumerate(part):
                after = fresh() if n + 1 < len(part) else None
                test = Reg("bool")
                here.code += [
                    Bin("eq", test, switch.value, value, switch.type, at=switch.at),
                    Branch(test, to, after.id if after else switch.default, at=switch.at),
                ]
                here = after or here
            if not part:
                here.code.append(Jump(switch.default, at=switch.at))

        write(block, cases)
        return made


def end_reads(instr: Instr) -> list[Reg]:
    value = getattr(instr, "cases", None)
    if value is not None:
        return [instr.value] if isinstance(instr.value, Reg) else []  # type: ignore[attr-defined]
    return read(instr)


def successors(end: Instr) -> list[int]:
    if isinstance(end, Jump):
        return [end.to]
    if isinstance(end, Branch):
        return [end.then, end.other]
    cases = getattr(end, "cases", None)
    return [end.default, *(to for _, to in cases)] if cases is not None else []  # type: ignore[attr-defined]


def retarget(end: Instr, changed: dict[int, int]) -> None:
    for name in ("to", "then", "other", "default"):
        if type(getattr(end, name, None)) is int:
            setattr(end, name, changed.get(getattr(end, name), getattr(end, name)))
    if getattr(end, "cases", None) is not None:
        end.cases = [(value, changed.get(to, to)) for value, to in end.cases]  # type: ignore[attr-defined]


def in_order(moves: Moves) -> list[Instr]:
    """Assignments that happen at once, one after the other."""
    left = [(dst, value) for dst, value in moves if dst is not value]
    code: list[Instr] = []
    while left:
        read_still = [value for _, value in left]
        ready = next((n for n, (dst, _) in enumerate(left) if all(dst is not v for v in read_still)), None)
        if ready is not None:
            code.append(Copy(*left.pop(ready)))
            continue
        dst, _ = left[0]
        held = Reg(dst.type)
        code.append(Copy(held, dst))
        left = [(d, held if v is dst else v) for d, v in left]
    return code
