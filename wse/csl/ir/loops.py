"""The loops of a function, with a block before each that what they share can be put into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...records import dataclass
from .ir import Block, Branch, Function, Jump
from .registers import targets


@dataclass
class Loop:
    """head: the block through which it is entered.  blocks: all of it.  before: the one block from which it is entered,
    which goes nowhere else."""

    head: int
    blocks: set[int]
    before: int = -1


def loops(function: Function) -> list[Loop]:
    """The natural loops of a function, those around others first.  A block is put before a loop that has none."""
    successors = {block.id: targets(block.code[-1]) for block in function.blocks}
    made = natural_loops(successors, function.blocks[0].id)
    before = predecessors(successors)
    for loop in made:
        _enter(function, loop, before[loop.head] - loop.blocks, made)
    return made


def natural_loops(successors: Mapping[int, Iterable[int]], first: int) -> list[Loop]:
    """The natural loops of a graph of blocks, those around others first."""
    before = predecessors(successors)
    dominators = _dominators(list(successors), first, before)
    bit = {block: 1 << i for i, block in enumerate(successors)}
    found: dict[int, Loop] = {}
    for block, following in successors.items():
        for target in following:
            if dominators[block] & bit[target]:
                loop = found.setdefault(target, Loop(target, {target}))
                left = [block]
                while left:
                    here = left.pop()
                    if here not in loop.blocks:
                        loop.blocks.add(here)
                        left += before[here]
    return sorted(found.values(), key=lambda loop: -len(loop.blocks))


def predecessors(successors: Mapping[int, Iterable[int]]) -> dict[int, set[int]]:
    before: dict[int, set[int]] = {block: set() for block in successors}
    for block, following in successors.items():
        for target in following:
            before[target].add(block)
    return before


def _dominators(blocks: list[int], first: int, before: dict[int, set[int]]) -> dict[int, int]:
    """Per block, the mask of the blocks on every way to it, itself among them; bits in the order of `blocks`."""
    bit = {block: 1 << i for i, block in enumerate(blocks)}
    found = dict.fromkeys(blocks, (1 << len(blocks)) - 1)
    found[first] = bit[first]
    changed = True
    while changed:
        changed = False
        for block in blocks:
            if block == first or not before[block]:
                continue
            now = -1
            for source in before[block]:
                now &= found[source]
            now |= bit[block]
            if now != found[block]:
                found[block] = now
                changed = True
    return found


def _enter(function: Function, loop: Loop, sources: set[int], all_loops: list[Loop]) -> None:
    """Finds or makes the block before a loop."""
    by_id = {block.id: block for block in function.blocks}
    if len(sources) == 1:
        (only,) = sources
        if isinstance(by_id[only].code[-1], Jump):
            loop.before = only
            return
    new = Block(max(by_id) + 1, [Jump(loop.head, at=by_id[loop.head].code[0].at)])
    for source in sources:
        end = by_id[source].code[-1]
        assert isinstance(end, Jump | Branch)
        for name in ("to", "then", "other"):
            if getattr(end, name, None) == loop.head:
                setattr(end, name, new.id)
    at = next(i for i, block in enumerate(function.blocks) if block.id == loop.head)
    function.blocks.insert(at, new)
    for other in all_loops:
        if other is not loop and loop.head in other.blocks and other.head != loop.head:
            other.blocks.add(new.id)
    loop.before = new.id
