"""Simplification of the IR: small functions are inlined, constants and copies propagated, blocks nobody reaches
dropped, loops turned so that their test stands at the end."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from . import divide, float_to_wide, ir
from .fold import fold
from .ir import Block, Branch, Call, Const, Copy, Function, Instr, Jump, Map, Reg, Return, Trap, Unit
from .recursion import called, resolve
from .registers import _WRITTEN, copy_instr, read, rename, targets, written
from .value_numbering import reuse

INLINE_MOST = 14  # instructions of a function that is inlined wherever it is called
ROTATE_MOST = 6  # instructions of a loop's head that are repeated at its end
GROW_MOST = 4000  # instructions beyond which a function takes nothing more in


def optimize(unit: Unit, level: int = 1) -> None:
    """Simplifies all functions of a unit, in place; drops those nobody calls any more.  level: 0 does only what the
    code generator needs, which tests compare with."""
    resolve(unit)
    divide.expand(unit)
    float_to_wide.expand(unit)
    by_name = {function.name: function for function in unit.functions}
    roots = {task.function for task in unit.tasks} | {e.function for e in unit.exports if e.function}
    roots |= {instr.function for instr in unit.startup if isinstance(instr, Call | Map)}
    if level == 0:
        needed = _reached(by_name, roots)
        unit.functions = [function for function in unit.functions if function.name in needed]
        for function in unit.functions:
            for block in function.blocks:
                _trim(block)
            _reachable(function)
        return
    callers = _callers(unit)
    for name in call_order(by_name, roots):
        function = by_name[name]
        simplify(function)
        if _inline_calls(function, by_name, callers):
            callers = _callers(unit)
            simplify(function)
    needed = _reached(by_name, roots)
    unit.functions = [function for function in unit.functions if function.name in needed]
    for function in unit.functions:
        simplify(function)
        while reuse(function):
            simplify(function)
        _rotate(function)


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


def _callers(unit: Unit) -> dict[str, int]:
    count: dict[str, int] = {}
    for function in unit.functions:
        for name in called(function):
            count[name] = count.get(name, 0) + 1
    for task in unit.tasks:
        count[task.function] = count.get(task.function, 0) + 1
    for export in unit.exports:
        if export.function:
            count[export.function] = count.get(export.function, 0) + 1
    return count


def _reached(functions: dict[str, Function], roots: set[str]) -> set[str]:
    seen, left = set(), list(roots)
    while left:
        name = left.pop()
        if name not in seen and name in functions:
            seen.add(name)
            left += called(functions[name])
    return seen


def size(function: Function) -> int:
    return sum(len(block.code) for block in function.blocks)


# --- inlining ---------------------------------------------------------------------------------------------------------


def _inline_calls(function: Function, functions: dict[str, Function], callers: dict[str, int]) -> bool:
    """True if there was a call to take in."""
    done: list[Block] = []
    found = False
    left = list(function.blocks)
    next_id = max(block.id for block in left) + 1
    while left:
        block = left.pop(0)
        done.append(block)
        for i, instr in enumerate(block.code):
            if not isinstance(instr, Call) or instr.function not in functions:
                continue
            callee = functions[instr.function]
            if size(callee) > INLINE_MOST and callers.get(instr.function) != 1:
                continue
            if size(callee) > INLINE_MOST and size(function) > GROW_MOST:
                continue
            after = Block(next_id, block.code[i + 1 :])
            next_id += 1
            body, next_id = body_of(callee, instr.args, instr.dst, after.id, next_id, instr.at)
            block.code[i:] = [Jump(body[0].id, at=instr.at)]
            done += body
            left.insert(0, after)
            found = True
            break
    function.blocks = done
    return found


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


# --- simplification ---------------------------------------------------------------------------------------------------


def simplify(function: Function) -> None:
    """Propagates, folds and drops until nothing changes."""
    for block in function.blocks:
        _trim(block)
    while True:
        changed = _propagate(function)
        changed |= _fold(function)
        changed |= _reachable(function)
        changed |= _merge(function)
        changed |= _drop_unread(function)
        if not changed:
            return


def _propagate(function: Function) -> bool:
    """A register that is assigned once, from a constant or from a register that is never assigned again, is that."""
    count: dict[Reg, int] = dict.fromkeys(function.params, 1)
    source: dict[Reg, ir.Value] = {}
    for block in function.blocks:
        for instr in block.code:
            for reg in written(instr):
                count[reg] = count.get(reg, 0) + 1
            if isinstance(instr, Copy) and instr.dst.type == instr.a.type:
                source[instr.dst] = instr.a
    known = {}
    for reg, value in source.items():
        if count[reg] == 1 and (not isinstance(value, Reg) or count.get(value, 0) == 1):
            known[reg] = value
    if not known:
        return False

    def resolve(reg: Reg) -> ir.Value:
        value: ir.Value = reg
        for _ in range(len(known)):
            if not isinstance(value, Reg) or value not in known:
                break
            value = known[value]
        return value

    changed = False
    for block in function.blocks:
        for instr in block.code:
            if isinstance(instr, Copy) and instr.dst in known:
                continue
            changed |= _substitute(instr, known, resolve)
    for block in function.blocks:
        kept = [i for i in block.code if not (isinstance(i, Copy) and i.dst in known)]
        changed |= len(kept) != len(block.code)
        block.code = kept
    return changed


def _substitute(instr: Instr, known, resolve) -> bool:
    if not any(reg in known for reg in read(instr)):
        return False
    for name, value in vars(instr).items():
        if name in _WRITTEN and isinstance(value, Reg):
            continue
        setattr(instr, name, rename(value, resolve))
    return True


def _fold(function: Function) -> bool:
    changed = False
    for block in function.blocks:
        for i, instr in enumerate(block.code):
            new = fold(instr)
            if new is not None:
                block.code[i] = new
                changed = True
            elif isinstance(instr, Branch) and (isinstance(instr.cond, Const) or instr.then == instr.other):
                taken = instr.then if not isinstance(instr.cond, Const) or instr.cond.value else instr.other
                block.code[i] = Jump(taken, at=instr.at)
                changed = True
    return changed


def _trim(block: Block) -> None:
    """Drops what follows a terminator."""
    for i, instr in enumerate(block.code):
        if isinstance(instr, ir.TERMINATORS):
            del block.code[i + 1 :]
            return
    block.code.append(Return())


def _retarget(instr: Instr, change: dict[int, int]) -> bool:
    changed = False
    for name in ("to", "then", "other"):
        if isinstance(instr, Jump | Branch) and getattr(instr, name, None) in change:
            setattr(instr, name, change[getattr(instr, name)])
            changed = True
    return changed


def _reachable(function: Function) -> bool:
    """Drops blocks that nobody reaches."""
    by_id = {block.id: block for block in function.blocks}
    seen, left = {function.blocks[0].id}, [function.blocks[0]]
    while left:
        for target in targets(left.pop().code[-1]):
            if target not in seen:
                seen.add(target)
                left.append(by_id[target])
    kept = [block for block in function.blocks if block.id in seen]
    changed = len(kept) != len(function.blocks)
    function.blocks = kept
    return changed


def _merge(function: Function) -> bool:
    """Jumps to jumps, and blocks that follow one block only."""
    changed = False
    skip = {}
    for block in function.blocks[1:]:
        if len(block.code) == 1 and isinstance(block.code[0], Jump) and block.code[0].to != block.id:
            skip[block.id] = block.code[0].to
    for start in list(skip):
        seen = {start}
        while skip[start] in skip and skip[start] not in seen:
            seen.add(skip[start])
            skip[start] = skip[skip[start]]
    for block in function.blocks:
        changed |= _retarget(block.code[-1], {k: v for k, v in skip.items() if k != v})
    changed |= _reachable(function)
    by_id = {block.id: block for block in function.blocks}
    entered: dict[int, int] = {function.blocks[0].id: 2}
    for block in function.blocks:
        for target in targets(block.code[-1]):
            entered[target] = entered.get(target, 0) + 1
    gone: set[int] = set()
    for block in function.blocks:
        if block.id in gone:
            continue
        while isinstance(last := block.code[-1], Jump) and entered[last.to] == 1 and last.to != block.id:
            block.code[-1:] = by_id[last.to].code
            gone.add(last.to)
            changed = True
    function.blocks = [block for block in function.blocks if block.id not in gone]
    return changed


_PURE = (ir.Bin, ir.Un, ir.Copy, ir.Convert, ir.Bitcast, ir.Select, ir.Load)


def _drop_unread(function: Function) -> bool:
    """Drops results that no instruction reads."""
    used: set[Reg] = set()
    for block in function.blocks:
        for instr in block.code:
            own = written(instr) if isinstance(instr, _PURE) else ()
            used.update(reg for reg in read(instr) if reg not in own)
    changed = False
    for block in function.blocks:
        kept = [i for i in block.code if not (isinstance(i, _PURE) and i.dst not in used)]
        changed |= len(kept) != len(block.code)
        block.code = kept
    return changed


# --- loops ------------------------------------------------------------------------------------------------------------


def _rotate(function: Function) -> None:
    """A jump back to a small block that ends in a branch becomes that block: one branch less each time round."""
    place = {block.id: i for i, block in enumerate(function.blocks)}
    heads = {b.id: b for b in function.blocks if isinstance(b.code[-1], Branch) and len(b.code) <= ROTATE_MOST}
    reach = _back_edges(function)
    for block in function.blocks:
        last = block.code[-1]
        if isinstance(last, Jump) and last.to in heads and (block.id, last.to) in reach and place[block.id] >= 0:
            block.code[-1:] = [copy_instr(instr, lambda reg: reg) for instr in heads[last.to].code]


def _back_edges(function: Function) -> set[tuple[int, int]]:
    by_id = {block.id: block for block in function.blocks}
    first = function.blocks[0].id
    state, found = {first: 1}, set()
    stack = [(first, iter(targets(by_id[first].code[-1])))]
    while stack:
        here, rest = stack[-1]
        for target in rest:
            if state.get(target) == 1:
                found.add((here, target))
            elif target not in state:
                state[target] = 1
                stack.append((target, iter(targets(by_id[target].code[-1]))))
                break
        else:
            state[here] = 2
            stack.pop()
    return found


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


__all__ = ["Trap", "call_order", "check", "optimize", "read", "simplify", "targets", "written"]
