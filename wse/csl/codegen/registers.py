"""Register allocation: graph colouring, function by function, those that are called first.

No function calls itself (ir/recursion.py), so what a function changes is known when its callers are done: a value that
lives across a call gets a register the callee leaves alone, and only if there is none does it go to memory.  Frames are
static.

A colour is a word of words.py; a value of 32 bits takes an even word and the next.  A value in memory is loaded before
each use and stored after each assignment; a constant is made again instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..ir.ir import At
from . import words
from .mir import PHYSICAL, SCRATCH, Ins, Kind, MBlock, MFunction, Sym, V
from .operands import prepare

ADDRESSED = ("ld8", "ld16", "ld32", "st8", "st16", "st32")


def allocate(function: MFunction) -> None:
    """Gives every register of the function a number; what does not fit goes to its frame."""
    prepare(function.blocks, _entry(function))
    for _ in range(64):
        spilled = _color(function)
        if not spilled:
            break
        constants = _constants(function)
        for v in spilled:
            if v not in constants:
                function.spilled[v] = function.slots
                function.slots += 4
        _spill(function, {v: constants[v] for v in spilled if v in constants})
    else:
        raise AssertionError(f"{function.name}: no registers are left")
    _drop_moves(function)
    mask = 0
    for block in function.blocks:
        for ins in block.code:
            mask |= ins.clobbers
            for v in ins.defs():
                assert v.color is not None
                mask |= words.span(v.color, v.kind)
    if function.link is not None:
        for group in function.params:
            for v in group:
                mask |= words.span(v.color, v.kind) if v.color is not None else 0
        if function.link.color is not None:
            mask |= 1 << function.link.color
    function.clobbers = mask & (words.ALL | words.OTHERS)


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
    _set_kinds(function, nodes)
    count = len(nodes)
    everything = (1 << count) - 1
    adjacent, forbidden, weight = [0] * count, [0] * count, [0.0] * count
    hints: list[list[V]] = [[] for _ in range(count)]
    moves: dict[tuple[int, int], float] = {}
    depth = _depths(function)
    kinds = _masks(nodes)
    addresses: list[int] = []  # what lives while the sum of a register and a constant is made

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
            if ins.op in ADDRESSED and ins.b is not None and ins.imm != 0:  # it takes a constant and a sum before
                held = live & ~kinds[Kind.OTHER]
                if held.bit_count() + (held & kinds[Kind.WIDE]).bit_count() > words.WORDS - 3:
                    addresses.append(held)
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
    for live in addresses:
        v = V("address", temporary=True)
        v.number = len(nodes)
        nodes.append(v)
        adjacent.append(live)
        forbidden.append(0)
        weight.append(1e9)
        hints.append([])
    count = len(nodes)
    for i in range(count):
        mask = adjacent[i]
        while mask:
            low = mask & -mask
            adjacent[low.bit_length() - 1] |= 1 << i
            mask ^= low
    fixed = (1 << SCRATCH) - 1  # numbers of the machine's own registers are their colours
    for i in range(SCRATCH, count):
        taken = adjacent[i] & fixed
        forbidden[i] |= taken | (taken & words.EVEN) << 1  # what passes through an even one may be a pair
        adjacent[i] &= ~fixed
    graph = _Graph(nodes, adjacent, forbidden, weight, hints)
    graph.coalesce(moves)
    spilled = graph.assign(graph.order())
    for root, others in graph.members.items():
        for i in others:
            nodes[i].color = nodes[root].color
    return [nodes[i] for v in spilled for i in (v.number, *graph.members.get(v.number, ()))]


def _set_kinds(function: MFunction, nodes: list[V]) -> None:
    """What the registers hold; the copy of a value in memory is as wide as the value."""
    code = [ins for block in function.blocks for ins in block.code]
    wide = words.wide_registers(code)
    others = words.parts_of_descriptors(code) | words.flags(block.code for block in function.blocks)
    for v in nodes:
        if not v.temporary:
            v.kind = Kind.OTHER if v in others else Kind.WIDE if v in wide else Kind.NARROW


def _masks(nodes: list[V]) -> list[int]:
    """The registers of each kind."""
    return [sum((v.kind == kind) << i for i, v in enumerate(nodes)) for kind in Kind]


class _Graph:
    """Registers by number, and what lives at the same time.

    adjacent: masks of registers.  forbidden: masks of colours.  wide: mask of the registers that take pairs.
    members: what was joined to which register; the lists describe the joint one.
    """

    def __init__(
        self,
        nodes: list[V],
        adjacent: list[int],
        forbidden: list[int],
        weight: list[float],
        hints: list[list[V]],
    ):
        self.nodes, self.adjacent, self.forbidden, self.weight, self.hints = nodes, adjacent, forbidden, weight, hints
        self.wide = _masks(nodes)[Kind.WIDE]
        self.members: dict[int, list[int]] = {}

    def room(self, i: int, forbidden: int) -> int:
        """How many colours a register may have."""
        return words.colors(self.nodes[i].kind, forbidden).bit_count()

    def blocked(self, i: int, neighbours: int) -> int:
        """How many of a register's colours its neighbours may take at most."""
        count = neighbours.bit_count()
        return count if self.nodes[i].kind == Kind.WIDE else count + (neighbours & self.wide).bit_count()

    def crowded(self, i: int) -> bool:
        """Whether its neighbours may take all of its colours."""
        return self.blocked(i, self.adjacent[i]) >= self.room(i, self.forbidden[i])

    def coalesce(self, moves: dict[tuple[int, int], float]) -> None:
        """Joins the two registers of a move that do not interfere, the most frequent moves first, where the joint one
        can be coloured all the same (Briggs' test)."""
        adjacent, forbidden, members = self.adjacent, self.forbidden, self.members
        into: dict[int, int] = {}

        def root(i: int) -> int:
            while i in into:
                i = into[i]
            return i

        high = 0  # mask of those that are crowded
        for i in range(len(adjacent)):
            high |= self.crowded(i) << i

        for a, c in sorted(moves, key=lambda move: -moves[move]):
            a, c = root(a), root(c)
            if a == c or adjacent[a] >> c & 1 or self.nodes[a].kind != self.nodes[c].kind:
                continue
            neighbours = adjacent[a] | adjacent[c]
            if self.blocked(a, neighbours & high) >= self.room(a, forbidden[a] | forbidden[c]):
                continue
            left = adjacent[c]
            while left:
                low = left & -left
                n = low.bit_length() - 1
                adjacent[n] = adjacent[n] & ~(1 << c) | 1 << a
                high = high & ~low | self.crowded(n) << n
                left ^= low
            adjacent[a], adjacent[c] = neighbours, 0
            forbidden[a] |= forbidden[c]
            high = high & ~(1 << a) | self.crowded(a) << a
            self.weight[a] += self.weight[c]
            self.hints[a] += self.hints[c]
            into[c] = a
            members.setdefault(a, []).extend([c, *members.pop(c, [])])

    def order(self) -> list[int]:
        """In which order registers are taken out of the graph: first those that find a colour whatever the others
        get, else the one that costs least in memory."""
        joined = {i for others in self.members.values() for i in others}
        left = {i for i in range(SCRATCH, len(self.nodes)) if i not in joined}
        remaining = sum(1 << i for i in left)
        room = {i: self.room(i, self.forbidden[i]) for i in left}
        taken = {i: self.blocked(i, self.adjacent[i]) for i in left}
        simple = [i for i in left if taken[i] < room[i]]
        queued = set(simple)
        order: list[int] = []
        while left:
            if simple:
                i = simple.pop()
                if i not in left:
                    continue
            else:
                i = min(left, key=lambda n: (self.nodes[n].temporary, self.weight[n] / (taken[n] + 1)))
            left.discard(i)
            remaining &= ~(1 << i)
            order.append(i)
            mask, wide = self.adjacent[i] & remaining, self.nodes[i].kind == Kind.WIDE
            while mask:
                low = mask & -mask
                n = low.bit_length() - 1
                taken[n] -= 1 + (wide and self.nodes[n].kind != Kind.WIDE)
                if taken[n] < room[n] and n not in queued and n in left:
                    queued.add(n)
                    simple.append(n)
                mask ^= low
        return order

    def assign(self, order: list[int]) -> list[V]:
        """Colours the registers; returns those that must go to memory.  A word has the register without a partner
        first or last, whichever costs less."""
        best: tuple[float, list[V], list[int | None]] | None = None
        for first in (True, False):
            for i in order:
                self.nodes[i].color = None
            spilled = self.color(order, first)
            cost = sum(self.weight[v.number] for v in spilled)
            if best is None or cost < best[0]:
                best = cost, spilled, [self.nodes[i].color for i in order]
            if not spilled:
                break
        assert best is not None
        for i, color in zip(order, best[2], strict=True):
            self.nodes[i].color = color
        return best[1]

    def color(self, order: list[int], first: bool) -> list[V]:
        nodes, spilled = self.nodes, []
        for i in reversed(order):
            taken, mask, kind = self.forbidden[i], self.adjacent[i], nodes[i].kind
            while mask:
                low = mask & -mask
                n = low.bit_length() - 1
                color = nodes[n].color
                if color is not None:
                    taken |= words.span(color, nodes[n].kind)
                mask ^= low
            available = words.colors(kind, taken)
            if not available:
                victim = self.victim(i)
                available = words.OTHERS & ~taken if victim is None else 0
                if victim is not None:
                    spilled.append(victim)
                    continue
            wanted = [h.color for h in self.hints[i] if h.color is not None and available >> h.color & 1]
            if kind == Kind.NARROW and not wanted:  # rather the half of a pair whose other half is taken
                half = available & (taken << 1 & words.ODD | taken >> 1 & words.EVEN)
                single = available & words.SINGLE
                available = (single if first else 0) or half or available & ~words.SINGLE or single
            elif kind == Kind.OTHER:  # rather not one of the words
                available = available & words.OTHERS or available
            nodes[i].color = wanted[0] if wanted else (available & -available).bit_length() - 1
        return self.fewest(spilled)

    def fewest(self, failed: list[V]) -> list[V]:
        """Of the registers that found no colour, the cheapest, and those that live at other times than these: with
        them in memory, the others may find one."""
        chosen: list[V] = []
        mask = 0
        for v in sorted(dict.fromkeys(failed), key=lambda v: self.weight[v.number]):
            if not self.adjacent[v.number] & mask:
                chosen.append(v)
                mask |= 1 << v.number
        return chosen

    def victim(self, i: int) -> V | None:
        """What goes to memory when a register finds no colour: a neighbour if it is the copy of what is in memory.
        None if there is no such neighbour."""
        if not self.nodes[i].temporary:
            return self.nodes[i]
        others = [n for n in range(SCRATCH, len(self.nodes)) if self.adjacent[i] >> n & 1]
        kept = [n for n in others if not self.nodes[n].temporary and self.nodes[n].color is not None]
        cost = {n: self.weight[n] / (self.adjacent[n].bit_count() + 1) for n in kept}
        return self.nodes[min(kept, key=cost.__getitem__)] if kept else None


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


def _constants(function: MFunction) -> dict[V, Ins]:
    """Registers that are a constant wherever they are used, with the instruction that makes it."""
    found: dict[V, Ins] = {}
    several = {v for group in function.params for v in group} | {function.link}
    for block in function.blocks:
        for ins in block.code:
            for v in ins.defs():
                if v in found or v.fixed or ins.op != "mov" or ins.imm is None:
                    several.add(v)
                found[v] = ins
    return {v: ins for v, ins in found.items() if v not in several}


def _spill(function: MFunction, constants: dict[V, Ins]) -> None:
    """Loads before uses and stores after definitions of what is in the frame."""

    def slot(v: V) -> Sym:
        return Sym(function.frame, function.spilled[v])

    def load(to: V, v: V, at: At | None) -> Iterator[Ins]:
        if v in constants:
            yield Ins("mov", to, None, imm=constants[v].imm, at=at)
        else:
            yield Ins("ld32", to, None, imm=slot(v), at=at)

    def store(source: V, v: V, at: At | None) -> Iterator[Ins]:
        yield Ins("st32", source, None, imm=slot(v), at=at)

    for block in function.blocks:
        code: list[Ins] = []
        for ins in block.code:
            writes, reads = ins.fields()
            after: list[Ins] = []
            replaced: dict[V, V] = {}
            if ins.a in constants and ins is constants[ins.a]:
                continue
            for letter in dict.fromkeys(reads + writes):
                v = getattr(ins, letter)
                if type(v) is not V or (v not in function.spilled and v not in constants):
                    continue
                if v not in replaced:
                    replaced[v] = V(f"{v.name}.s", temporary=True)
                    replaced[v].kind = v.kind
                    if letter in reads or any(getattr(ins, r) is v for r in reads):
                        code += load(replaced[v], v, ins.at)
                if letter in writes:
                    after += store(replaced[v], v, ins.at)
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
