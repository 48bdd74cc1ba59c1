"""Register allocation: graph colouring, function by function, those that are called first.

No function calls itself (ir/recursion.py), so what a function changes is known when its callers are done: a value that
lives across a call gets a register the callee leaves alone, and only if there is none does it go to memory.  Frames are
static.
"""

from __future__ import annotations

from .mir import PHYSICAL, SCRATCH, Ins, MBlock, MFunction, Sym, V

COLORS = (1 << SCRATCH) - 1


def allocate(function: MFunction) -> None:
    """Gives every register of the function a number; what does not fit goes to its frame."""
    for _ in range(64):
        spilled = _color(function)
        if not spilled:
            break
        for v in spilled:
            function.spilled[v] = function.slots
            function.slots += 4
        _spill(function)
    else:
        raise AssertionError(f"{function.name}: no registers are left")
    _drop_moves(function)
    mask = 0
    for block in function.blocks:
        for ins in block.code:
            mask |= ins.clobbers
            for v in ins.defs():
                assert v.color is not None
                mask |= 1 << v.color
    if function.link is not None:
        for group in function.params:
            for v in group:
                mask |= 1 << v.color if v.color is not None else 0
        if function.link.color is not None:
            mask |= 1 << function.link.color
    function.clobbers = mask & COLORS


Rows = list[tuple[Ins, tuple[V, ...], tuple[V, ...]]]  # instructions of a block, with what each writes and reads


def _rows(function: MFunction) -> dict[int, Rows]:
    """The instructions of each block, by its label."""
    return {b.label: [(ins, tuple(ins.defs()), tuple(ins.uses())) for ins in b.code] for b in function.blocks}


def _number(function: MFunction, code: dict[int, Rows]) -> list[V]:
    """Registers in use, numbered; the machine's own first."""
    seen: dict[V, None] = dict.fromkeys(PHYSICAL[:SCRATCH])
    for block in function.blocks:
        for _, defs, uses in code[block.label]:
            for v in (*defs, *uses):
                if v.color is None or v.color < SCRATCH:
                    seen[v] = None
    for v in _entry(function):
        seen[v] = None
    nodes = list(seen)
    for i, v in enumerate(nodes):
        v.number = i
        if not v.fixed:
            v.color = None
    return nodes


def _entry(function: MFunction) -> list[V]:
    """Registers that have a value when the function begins."""
    found = [v for group in function.params for v in group]
    if function.link is not None:
        found.append(function.link)
    return [v for v in found if v not in function.spilled]


def _live(function: MFunction, code: dict[int, Rows]) -> dict[int, int]:
    """Masks of what lives at the end of each block."""
    ins_use: dict[int, tuple[int, int]] = {}
    blocks = {block.label: block for block in function.blocks}
    live_in = dict.fromkeys(blocks, 0)
    live_out = dict.fromkeys(blocks, 0)
    for block in function.blocks:
        used = defined = 0
        for _, defs, uses in reversed(code[block.label]):
            for v in defs:
                used &= ~(1 << v.number)
                defined |= 1 << v.number
            for v in uses:
                used |= 1 << v.number
        ins_use[block.label] = used, defined
    changed = True
    while changed:
        changed = False
        for block in reversed(function.blocks):
            out = 0
            for successor in block.successors:
                out |= live_in[successor]
            used, defined = ins_use[block.label]
            into = used | (out & ~defined)
            if out != live_out[block.label] or into != live_in[block.label]:
                live_out[block.label], live_in[block.label] = out, into
                changed = True
    return live_out


def _sweep(function: MFunction, code: dict[int, Rows], live_out: dict[int, int]) -> bool:
    """Removes pure instructions whose results are not read; True if there were any."""
    removed = False
    for block in function.blocks:
        live, kept = live_out[block.label], []
        for row in reversed(code[block.label]):
            ins, defs, uses = row
            if ins.is_pure and not any(
                live >> v.number & 1 or (v.color is not None and v.color >= SCRATCH) for v in defs
            ):
                removed = True
                continue
            for v in defs:
                live &= ~(1 << v.number)
            for v in uses:
                live |= 1 << v.number
            kept.append(row)
        if len(kept) < len(block.code):
            code[block.label] = kept[::-1]
            block.code = [ins for ins, _, _ in code[block.label]]
    return removed


def _color(function: MFunction) -> list[V]:
    """Colours the graph; returns what must be spilled instead."""
    code = _rows(function)
    while True:
        for v in PHYSICAL[SCRATCH:]:
            v.number = SCRATCH  # shares a bit that nobody looks at
        nodes = _number(function, code)
        for v in PHYSICAL[SCRATCH:]:
            v.number = len(nodes)
        live_out = _live(function, code)
        if not _sweep(function, code, live_out):
            break
    count = len(nodes)
    everything = (1 << count) - 1
    adjacent, forbidden, weight = [0] * count, [0] * count, [0.0] * count
    hints: list[list[V]] = [[] for _ in range(count)]
    moves: dict[tuple[int, int], float] = {}
    depth = _depths(function)

    def interfere(v: V, live: int) -> None:
        adjacent[v.number] |= live & ~(1 << v.number)

    for block in function.blocks:
        live = live_out[block.label] & everything
        cost = 8.0 ** min(depth[block.label], 5)
        for ins, all_defs, uses in reversed(code[block.label]):
            if ins.clobbers:
                after = live
                for v in ins.writes:
                    after &= ~(1 << v.number)
                while after:
                    low = after & -after
                    forbidden[low.bit_length() - 1] |= ins.clobbers
                    after ^= low
            defs = [v for v in all_defs if v.number < count]
            if ins.is_move and ins.c.number < count and defs:
                hints[ins.a.number].append(ins.c)
                hints[ins.c.number].append(ins.a)
                if ins.a.number >= SCRATCH and ins.c.number >= SCRATCH:
                    moves[ins.a.number, ins.c.number] = moves.get((ins.a.number, ins.c.number), 0) + cost
                for v in defs:
                    interfere(v, live & ~(1 << ins.c.number))
            else:
                for v in defs:
                    interfere(v, live)
            for v in defs:
                for w in defs:
                    if v is not w:
                        adjacent[v.number] |= 1 << w.number
                live &= ~(1 << v.number)
                weight[v.number] += cost
            for v in uses:
                if v.number < count:
                    live |= 1 << v.number
                    weight[v.number] += cost
            if ins.repeats:
                for v in defs:
                    interfere(v, live)
        if block is function.blocks[0]:
            entry = _entry(function)
            for v in entry:
                interfere(v, live)
                for w in entry:
                    if v is not w:
                        adjacent[v.number] |= 1 << w.number
    for i in range(count):
        mask = adjacent[i]
        while mask:
            low = mask & -mask
            adjacent[low.bit_length() - 1] |= 1 << i
            mask ^= low
    fixed = (1 << SCRATCH) - 1  # numbers of the machine's own registers are their colours
    for i in range(SCRATCH, count):
        forbidden[i] |= adjacent[i] & fixed
        adjacent[i] &= ~fixed
    members = _coalesce(moves, adjacent, forbidden, weight, hints)
    spilled = _assign(nodes, adjacent, forbidden, weight, hints, members)
    for root, others in members.items():
        for i in others:
            nodes[i].color = nodes[root].color
    return [nodes[i] for v in spilled for i in (v.number, *members.get(v.number, ()))]


def _coalesce(moves: dict[tuple[int, int], float], adjacent, forbidden, weight, hints) -> dict[int, list[int]]:
    """Joins the two registers of a move that do not interfere, the most frequent moves first, where the joint one can
    be coloured all the same (Briggs' test).  Returns what was joined to which; the arrays describe the joint one."""
    into: dict[int, int] = {}
    members: dict[int, list[int]] = {}

    def root(i: int) -> int:
        while i in into:
            i = into[i]
        return i

    def crowded(i: int) -> bool:
        """Whether it has as many neighbours as there are colours for it."""
        return adjacent[i].bit_count() >= SCRATCH - (forbidden[i] & COLORS).bit_count()

    high = 0  # mask of these
    for i in range(len(adjacent)):
        high |= crowded(i) << i

    for a, c in sorted(moves, key=lambda move: -moves[move]):
        a, c = root(a), root(c)
        if a == c or adjacent[a] >> c & 1:
            continue
        neighbours = adjacent[a] | adjacent[c]
        if (neighbours & high).bit_count() >= SCRATCH - ((forbidden[a] | forbidden[c]) & COLORS).bit_count():
            continue
        left = adjacent[c]
        while left:
            low = left & -left
            n = low.bit_length() - 1
            adjacent[n] = adjacent[n] & ~(1 << c) | 1 << a
            high = high & ~low | crowded(n) << n
            left ^= low
        adjacent[a], adjacent[c] = neighbours, 0
        forbidden[a] |= forbidden[c]
        high = high & ~(1 << a) | crowded(a) << a
        weight[a] += weight[c]
        hints[a] += hints[c]
        into[c] = a
        members.setdefault(a, []).extend([c, *members.pop(c, [])])
    return members


def _assign(nodes, adjacent, forbidden, weight, hints, members) -> list[V]:
    count = len(nodes)
    joined = {i for others in members.values() for i in others}
    remaining = ((1 << count) - 1) & ~((1 << SCRATCH) - 1)
    free = [SCRATCH - (mask & COLORS).bit_count() for mask in forbidden]
    order: list[int] = []
    degree = {i: adjacent[i].bit_count() for i in range(SCRATCH, count) if i not in joined}
    simple = [i for i in degree if degree[i] < free[i]]
    queued = set(simple)
    left = set(degree)
    while left:
        if simple:
            i = simple.pop()
            if i not in left:
                continue
        else:
            i = min(left, key=lambda n: (nodes[n].temporary, weight[n] / (degree[n] + 1)))
        left.discard(i)
        remaining &= ~(1 << i)
        order.append(i)
        mask = adjacent[i] & remaining
        while mask:
            low = mask & -mask
            n = low.bit_length() - 1
            degree[n] -= 1
            if degree[n] < free[n] and n not in queued and n in left:
                queued.add(n)
                simple.append(n)
            mask ^= low
    spilled = []
    for i in reversed(order):
        taken, mask = forbidden[i] & COLORS, adjacent[i]
        while mask:
            low = mask & -mask
            color = nodes[low.bit_length() - 1].color
            if color is not None:
                taken |= 1 << color
            mask ^= low
        available = COLORS & ~taken
        if not available:
            spilled.append(nodes[i])
            continue
        wanted = [h.color for h in hints[i] if h.color is not None and h.color < SCRATCH and available >> h.color & 1]
        nodes[i].color = wanted[0] if wanted else (available & -available).bit_length() - 1
    return spilled


def _depths(function: MFunction) -> dict[int, int]:
    """How deep in loops a block is, roughly: blocks between the target and the origin of a jump backwards."""
    place = {block.label: i for i, block in enumerate(function.blocks)}
    depth = dict.fromkeys(place, 0)
    labels = [block.label for block in function.blocks]
    for i, block in enumerate(function.blocks):
        for successor in block.successors:
            if place[successor] <= i:
                for label in labels[place[successor] : i + 1]:
                    depth[label] += 1
    return depth


def _spill(function: MFunction) -> None:
    """Loads before uses and stores after definitions of what is in the frame."""

    def slot(v: V) -> Sym:
        return Sym(function.frame, function.spilled[v])

    for block in function.blocks:
        code: list[Ins] = []
        for ins in block.code:
            writes, reads = ins.fields()
            after = []
            replaced: dict[V, V] = {}
            for letter in dict.fromkeys(reads + writes):
                v = getattr(ins, letter)
                if type(v) is not V or v not in function.spilled:
                    continue
                if v not in replaced:
                    replaced[v] = V(f"{v.name}.s", temporary=True)
                    if letter in reads or any(getattr(ins, r) is v for r in reads):
                        code.append(Ins("ld32", replaced[v], None, imm=slot(v), at=ins.at))
                if letter in writes:
                    after.append(Ins("st32", replaced[v], None, imm=slot(v), at=ins.at))
                ins.substitute(letter, replaced[v])
            code.append(ins)
            code += after
        block.code = code


def _drop_moves(function: MFunction) -> None:
    for block in function.blocks:
        block.code = [ins for ins in block.code if not (ins.is_move and ins.a.color == ins.c.color)]


def block_order(blocks: list[MBlock]) -> list[MBlock]:
    """Blocks reachable from the first, so that a branch's first successor follows it where it can."""
    by_label = {block.label: block for block in blocks}
    order: list[MBlock] = []
    seen = {blocks[0].label}
    stack = [(blocks[0], iter(reversed(blocks[0].successors)))]
    while stack:
        block, successors = stack[-1]
        for label in successors:
            if label not in seen:
                seen.add(label)
                target = by_label[label]
                stack.append((target, iter(reversed(target.successors))))
                break
        else:
            order.append(block)
            stack.pop()
    return order[::-1]
