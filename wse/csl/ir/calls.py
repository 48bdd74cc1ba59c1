"""The calls of a unit's functions: the order to translate them in, which are needed, a body in the place of a call."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from . import ir
from .ir import Block, Branch, Call, Copy, Function, Instr, Jump, Map, Reg, Return, Unit
from .recursion import called
from .registers import copy_instr, rename, targets


def roots_of(unit: Unit) -> set[str]:
    """Functions that are entered from outside: tasks, exports, what the startup and @map call."""
    roots = {task.function for task in unit.tasks} | {e.function for e in unit.exports if e.function}
    roots |= {instr.function for instr in unit.startup if isinstance(instr, Call | Map)}
    return roots | {
        instr.function
        for function in unit.functions
        for block in function.blocks
        for instr in block.code
        if isinstance(instr, Map)
    }


def drop_unneeded(unit: Unit) -> None:
    """Drops functions that nobody calls, and blocks that nobody reaches."""
    by_name = {function.name: function for function in unit.functions}
    needed: set[str] = set()
    left = list(roots_of(unit))
    while left:
        name = left.pop()
        if name not in needed and name in by_name:
            needed.add(name)
            left += called(by_name[name])
    unit.functions = [function for function in unit.functions if function.name in needed]
    for function in unit.functions:
        for block in function.blocks:
            _trim(block)
        _reachable(function)


def call_order(functions: dict[str, Function], roots: set[str]) -> list[str]:
    """Names, what is called before what calls it.  No function calls itself any more."""
    order: dict[str, None] = {}
    state: dict[str, int] = {}
    for root in (*sorted(roots), *functions):
        stack = [(root, iter(called(functions[root])))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            name, rest = stack[-1]
            for callee in rest:
                if callee not in state and callee in functions:
                    state[callee] = 1
                    stack.append((callee, iter(called(functions[callee]))))
                    break
            else:
                order[name] = None
                stack.pop()
    return list(order)


def body_of(
    callee: Function, args: list[ir.Value], dst: Reg | None, after: int, next_id: int, at: ir.At | None
) -> tuple[list[Block], int]:
    """The callee's blocks with registers and ids of their own; returns become jumps to `after`."""
    regs: dict[Reg, Reg] = {}
    ids = {block.id: next_id + i for i, block in enumerate(callee.blocks)}
    next_id += len(callee.blocks)

    def fresh(reg: Reg) -> Reg:
        if reg not in regs:
            regs[reg] = Reg(reg.type, reg.name)
        return regs[reg]

    blocks = []
    for block in callee.blocks:
        code: list[Instr] = []
        for instr in block.code:
            if isinstance(instr, Return):
                if dst is not None and instr.value is not None:
                    code.append(Copy(dst, rename(instr.value, fresh), at=instr.at))
                code.append(Jump(after, at=instr.at))
            else:
                new = copy_instr(instr, fresh)
                for name in ("to", "then", "other"):
                    if isinstance(new, Jump | Branch) and hasattr(new, name):
                        setattr(new, name, ids[getattr(new, name)])
                code.append(new)
        blocks.append(Block(ids[block.id], code))
    blocks[0].code[:0] = [Copy(fresh(p), a, at=at) for p, a in zip(callee.params, args, strict=True)]
    return blocks, next_id


def _trim(block: Block) -> None:
    """Drops what follows a terminator."""
    for i, instr in enumerate(block.code):
        if isinstance(instr, ir.TERMINATORS):
            del block.code[i + 1 :]
            return
    block.code.append(Return())


def _reachable(function: Function) -> None:
    """Drops blocks that nobody reaches."""
    by_id = {block.id: block for block in function.blocks}
    seen, left = {function.blocks[0].id}, [function.blocks[0]]
    while left:
        for target in targets(left.pop().code[-1]):
            if target not in seen:
                seen.add(target)
                left.append(by_id[target])
    kept = [block for block in function.blocks if block.id in seen]
    function.blocks = kept


def check(function: Function) -> None:
    """AssertionError where a function breaks the rules of the IR."""
    ids = {block.id for block in function.blocks}
    assert len(ids) == len(function.blocks), f"{function.name}: block ids repeat"
    for block in function.blocks:
        for i, instr in enumerate(block.code):
            assert is_dataclass(instr) and fields(instr), f"{function.name}: {instr!r} is no instruction"
            last = i + 1 == len(block.code)
            assert isinstance(instr, ir.TERMINATORS) == last, (
                f"{function.name}, block {block.id}: {type(instr).__name__}"
            )
            assert not isinstance(instr, Jump | Branch) or set(targets(instr)) <= ids
        assert block.code, f"{function.name}: block {block.id} is empty"
