"""Functions that call each other: each set of them becomes one function without calls to itself.

Variables of functions have fixed places, and the code generator needs to know the callees of what it translates.
Functions that reach each other by calls (a strongly connected component of the call graph) are therefore joined:

* A call whose result is returned at once, a tail call, becomes a jump.  The caller's variables are not needed any more,
  unless their addresses have been given away: such a call is none.
* Any other call stores what the caller still needs in a frame on a stack, with the number of the call, and jumps.  A
  return jumps to the place behind the call whose number lies in the frame.  Variables in memory lie in the frame, too.

The stack takes the memory that the rest of the program leaves (Global.end_symbol); a call beyond its end is a fault.
The functions themselves remain, as calls of the joined one: what calls them from outside does not change.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from ...records import dataclass
from . import ir
from .ir import Addr, Bin, Block, Branch, Call, Const, Copy, Fill, Function, Instr, Jump, Load, Map, Reg, Return, Store
from .registers import copy_instr, read, targets, written

LABEL_BYTES = 4  # of a frame: the number of the call that made it
LEAST_FRAMES = 8  # that a stack must hold


def resolve(unit: ir.Unit) -> None:
    """Replaces the functions of a unit that call themselves, directly or through others."""
    functions = {function.name: function for function in unit.functions}
    moved: dict[str, Function] = {}
    for names in cycles(functions):
        moved |= join(unit, [functions[name] for name in names], functions)
    if moved:
        check_moved(unit, moved)


def cycles(functions: dict[str, Function]) -> list[list[str]]:
    """Sets of functions that call each other, each in the order of the unit (Tarjan's algorithm, without recursion)."""
    calls = {name: [c for c in called(function) if c in functions] for name, function in functions.items()}
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_names: list[str] = []
    is_open: set[str] = set()
    found = []
    for root in functions:
        if root in number:
            continue
        path = [(root, iter(calls[root]))]
        number[root] = low[root] = len(number)
        open_names.append(root)
        is_open.add(root)
        while path:
            name, rest = path[-1]
            callee = next(rest, None)
            if callee is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[name])
                if low[name] == number[name]:
                    at = open_names.index(name)
                    members = open_names[at:]
                    del open_names[at:]
                    is_open.difference_update(members)
                    if len(members) > 1 or name in calls[name]:
                        found.append(sorted(members, key=list(functions).index))
            elif callee not in number:
                number[callee] = low[callee] = len(number)
                open_names.append(callee)
                is_open.add(callee)
                path.append((callee, iter(calls[callee])))
            elif callee in is_open:
                low[name] = min(low[name], number[callee])
    return found


def called(function: Function) -> list[str]:
    """Functions that it calls, by Call or Map."""
    return [i.function for block in function.blocks for i in block.code if isinstance(i, Call | Map)]


def join(unit: ir.Unit, members: list[Function], functions: dict[str, Function]) -> dict[str, Function]:
    """Joins functions that call each other.  Returns the variables that moved to the stack, with their functions."""
    names = {function.name for function in members}
    for function in members:
        for instr in (i for block in function.blocks for i in block.code):
            if isinstance(instr, Map) and instr.function in names:
                raise ir.Unsupported(
                    f"@map calls {functions[instr.function].display}, which calls {function.display} again: "
                    "a function must not be active twice through @map",
                    instr.at,
                )
    entered = {task.function for task in unit.tasks} | {export.function for export in unit.exports if export.function}
    entered |= {instr.function for instr in unit.startup if isinstance(instr, Call | Map)}
    for function in unit.functions:
        if function.name not in names:
            entered |= set(called(function))
    entries = [function for function in members if function.name in entered]
    moved: dict[str, Function] = {}
    if not entries:
        return moved
    kinds: list[str | None] = [*dict.fromkeys(f.result for f in entries if f.result is not None)] or [None]
    for i, kind in enumerate(kinds):  # a joined function has one type of result
        chosen = [f for f in entries if f.result == kind or (i == 0 and f.result is None)]
        joined = Joined(unit, members, chosen, kind)
        unit.functions.append(joined.build())
        for function in chosen:
            joined.stub(function)
        moved |= joined.moved
    unit.functions = [f for f in unit.functions if f.name not in names or f.name in entered]
    return moved


def check_moved(unit: ir.Unit, moved: dict[str, Function]) -> None:
    """Variables on a stack have no fixed address, which something else than their function may still name."""

    def refuse(symbol: str, at: ir.At | None) -> None:
        display = next((g.display for g in unit.globals if g.name == symbol), symbol)
        owner = moved[symbol].display
        raise ir.Unsupported(
            f"the address of {display}, a local variable of {owner}, is fixed at compile time, but {owner} calls "
            f"itself and has one for each call: declare {display} outside of the function",
            at,
        )

    inside = {id(function) for function in moved.values()}
    for function in unit.functions:
        for block in function.blocks:
            for instr in block.code:
                for symbol in symbols(vars(instr)):
                    if symbol in moved and id(function) not in inside and not is_argument(instr, moved[symbol], symbol):
                        refuse(symbol, instr.at)
    for g in unit.globals:
        for _, symbol, _ in g.relocations:
            if symbol in moved and g.name not in moved:
                refuse(symbol, g.at or moved[symbol].at)


def is_argument(instr: Instr, function: Function, symbol: str) -> bool:
    """Whether it writes, or copies to the frame, what the function gets as a parameter: that place is fixed."""
    return symbol in function.memory_params and isinstance(instr, Store | Fill)


_NO_SYMBOLS = {ir.Reg, ir.Const, ir.At, str, int, bool, type(None)}


def symbols(value: Any) -> list[str]:
    """Names of globals in an instruction's operands."""
    if type(value) in _NO_SYMBOLS:  # most of what there is
        return []
    if isinstance(value, Addr):
        return [value.symbol]
    if isinstance(value, ir.Dsd):
        found = symbols(value.base)
        return found + symbols(value.circle[0]) if value.circle is not None else found
    if isinstance(value, ir.DsdVar | ir.Deref):
        return symbols(value.addr)
    if isinstance(value, ir.DsdValue):
        return symbols(value.fields)
    if isinstance(value, dict):
        return symbols(list(value.values()))
    if isinstance(value, list | tuple):
        return [symbol for item in value if type(item) not in _NO_SYMBOLS for symbol in symbols(item)]
    return []


@dataclass(eq=False)
class Member:
    """A function among those that are joined, with registers and blocks of its own.  frame: bytes; offsets: places of
    its variables in the frame; tails: calls that become jumps."""

    function: Function
    params: list[Reg]
    blocks: list[Block]
    tails: set[int] = field(default_factory=set)
    live: dict[int, list[Reg]] = field(default_factory=dict)  # by the id of a call: registers needed after it
    offsets: dict[str, int] = field(default_factory=dict)
    places: dict[Reg, int] = field(default_factory=dict)
    frame: int = 0


class Joined:
    """Builds the function that replaces the members.  entries: those that are called from outside."""

    def __init__(self, unit: ir.Unit, members: list[Function], entries: list[Function], result: str | None):
        self.unit, self.entries, self.result = unit, entries, result
        names = {function.name for function in unit.functions}
        self.name = self.free(f"{(entries or members)[0].name}.joined", names)
        self.display = ", ".join(function.display for function in members[:4]) + (", ..." if len(members) > 4 else "")
        self.next_id = 0
        self.globals = {g.name: g for g in unit.globals}
        self.members = {function.name: self.copy(function) for function in members}
        self.moved: dict[str, Function] = {}
        self.returned: dict[str, Reg] = {}
        self.returns: list[int] = []  # blocks behind calls, by their number less one
        for member in self.members.values():
            self.find_tails(member)
        self.recursive = any(
            id(call) not in member.tails for member in self.members.values() for call in self.calls(member)
        )
        self.frame = Reg("ptr", "frame")
        self.stack = f"{self.name}.stack"
        self.which = Reg("u16", "which")
        if self.recursive:
            self.lay_out()

    @staticmethod
    def free(name: str, names: set[str]) -> str:
        made, number = name, 1
        while made in names:
            number += 1
            made = f"{name}.{number}"
        return made

    def block_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def copy(self, function: Function) -> Member:
        regs: dict[Reg, Reg] = {}

        def fresh(reg: Reg) -> Reg:
            if reg not in regs:
                regs[reg] = Reg(reg.type, reg.name)
            return regs[reg]

        ids = {block.id: self.block_id() for block in function.blocks}
        blocks = []
        for block in function.blocks:
            code = [copy_instr(instr, fresh) for instr in trimmed(block)]
            for instr in code:
                for name in ("to", "then", "other"):
                    if isinstance(instr, Jump | Branch) and hasattr(instr, name):
                        setattr(instr, name, ids[getattr(instr, name)])
            blocks.append(Block(ids[block.id], code))
        return Member(function, [fresh(param) for param in function.params], blocks)

    def calls(self, member: Member) -> list[Call]:
        """Calls of members."""
        return [i for block in member.blocks for i in block.code if isinstance(i, Call) and i.function in self.members]

    # ---- which calls are jumps ----

    def find_tails(self, member: Member) -> None:
        if any(self.escapes(member, symbol) for symbol in (*member.function.locals, *member.function.memory_params)):
            return
        by_id = {block.id: block for block in member.blocks}
        for block in member.blocks:
            for i, instr in enumerate(block.code):
                if isinstance(instr, Call) and instr.function in self.members and self.is_tail(instr, block, i, by_id):
                    member.tails.add(id(instr))

    def is_tail(self, call: Call, block: Block, at: int, by_id: dict[int, Block]) -> bool:
        """Whether nothing follows the call but the return of its result."""
        result: ir.Value | None = call.dst
        seen = {block.id}
        at += 1
        while True:
            instr = block.code[at]
            if isinstance(instr, Copy) and instr.a is result and result is not None:
                result, at = instr.dst, at + 1
            elif isinstance(instr, Jump) and instr.to not in seen:
                block, at = by_id[instr.to], 0
                seen.add(block.id)
            else:
                return isinstance(instr, Return) and (instr.value is None or instr.value is result)

    def escapes(self, member: Member, symbol: str) -> bool:
        """Whether the address of a variable is used for something else than reading and writing it here."""
        for block in member.blocks:
            for instr in block.code:
                others = dict(vars(instr))
                if isinstance(instr, Load | Store):
                    del others["addr"]
                elif isinstance(instr, Fill):
                    del others["addr"], others["source"]
                if symbol in symbols(others):
                    return True
        return False

    # ---- frames ----

    def lay_out(self) -> None:
        """Places of variables and registers in the frames."""
        for member in self.members.values():
            at = LABEL_BYTES
            for symbol in (*member.function.locals, *member.function.memory_params):
                g = self.globals.get(symbol)
                if g is None:  # no code uses it
                    continue
                at += -at % max(g.align, 2)
                member.offsets[symbol] = at
                self.moved[symbol] = member.function
                at += g.size
            self.find_live(member)
            kept = list(dict.fromkeys(reg for regs in member.live.values() for reg in regs))
            for reg in sorted(kept, key=lambda reg: -ir.BITS[reg.type]):
                size = max(2, ir.BITS[reg.type] // 8)
                at += -at % min(size, 4)
                member.places[reg] = at
                at += size
            member.frame = at + -at % 4

    def find_live(self, member: Member) -> None:
        """What is needed after each call that is no jump."""
        into: dict[int, set[Reg]] = {block.id: set() for block in member.blocks}
        changed = True
        while changed:
            changed = False
            for block in reversed(member.blocks):
                live = set().union(*(into[target] for target in targets(block.code[-1])))
                for instr in reversed(block.code):
                    live = (live - set(written(instr))) | set(read(instr))
                changed |= live != into[block.id]
                into[block.id] = live
        for block in member.blocks:
            live = set().union(*(into[target] for target in targets(block.code[-1])))
            for instr in reversed(block.code):
                live -= set(written(instr))
                if isinstance(instr, Call) and instr.function in self.members and id(instr) not in member.tails:
                    member.live[id(instr)] = sorted(live, key=lambda reg: (reg.name, reg.type))
                live |= set(read(instr))

    # ---- code ----

    def build(self) -> Function:
        at = (self.entries or [next(iter(self.members.values())).function])[0].at
        params = self.shared_params()
        self.function = Function(self.name, params, self.result, [], self.display, at)
        self.blocks = self.function.blocks
        self.dispatch = self.block_id()
        self.begin(self.block_id())
        self.at = at
        self.enter(params)
        for member in self.members.values():
            for block in member.blocks:
                self.begin(block.id)
                for instr in block.code:
                    self.instruction(member, instr)
        if self.recursive:
            self.dispatch_returns(at)
            self.add_stack()
        return self.function

    def begin(self, label: int) -> None:
        self.code: list[Instr] = []
        self.blocks.append(Block(label, self.code))

    def emit(self, instr: Instr) -> None:
        instr.at = instr.at or self.at
        self.code.append(instr)

    def shared_params(self) -> list[Reg]:
        """Parameters of the joined function: which member is called, if several are; those of the members by type."""
        self.slots: dict[tuple[str, int], Reg] = {}
        for function in self.entries:
            for key, param in self.keys(function):
                self.slots.setdefault(key, Reg(param.type, param.name))
        return ([self.which] if len(self.entries) > 1 else []) + list(self.slots.values())

    @staticmethod
    def keys(function: Function) -> list[tuple[tuple[str, int], Reg]]:
        """A key for each parameter: its type, and the how many-th of that type it is."""
        count: dict[str, int] = {}
        found = []
        for param in function.params:
            count[param.type] = count.get(param.type, -1) + 1
            found.append(((param.type, count[param.type]), param))
        return found

    def enter(self, params: list[Reg]) -> None:
        """From the start of the joined function to the member that is called."""
        if self.recursive:
            self.emit(Copy(self.frame, Addr(self.stack)))
            self.emit(Store(self.frame, Const("u16", 0)))
            if self.result is not None:
                self.emit(Copy(self.return_register(self.result), Const(self.result, 0)))
        for i, function in enumerate(self.entries):
            if i + 1 < len(self.entries):
                chosen, following, test = self.block_id(), self.block_id(), Reg("bool")
                self.emit(Bin("eq", test, self.which, Const("u16", i)))
                self.emit(Branch(test, chosen, following))
                self.begin(chosen)
            member = self.members[function.name]
            for (key, _), param in zip(self.keys(function), member.params, strict=True):
                self.emit(Copy(param, self.slots[key]))
            self.fill_params(member, self.frame, None)
            self.emit(Jump(member.blocks[0].id))
            if i + 1 < len(self.entries):
                self.begin(following)

    def fill_params(self, callee: Member, frame: ir.Value, caller: Member | None) -> None:
        """Parameters in memory: from where the caller has put them to where the function has them."""
        for symbol, own in callee.function.memory_params.items():
            g = self.globals.get(symbol)
            source = own if caller is callee else symbol
            if g is None or source is None:
                continue
            if self.recursive:
                to = Reg("ptr")
                self.emit(Bin("add", to, frame, Const("ptr", callee.offsets[symbol])))
                self.emit(Fill(to, g.size, Addr(source)))
            elif source != symbol:
                self.emit(Fill(Addr(symbol), g.size, Addr(source)))

    def instruction(self, member: Member, instr: Instr) -> None:
        self.at = instr.at or self.at
        if isinstance(instr, Call) and instr.function in self.members:
            callee = self.members[instr.function]
            if id(instr) in member.tails:
                self.jump(member, callee, instr)
            else:
                self.call(member, callee, instr)
        elif isinstance(instr, Return):
            self.return_(member, instr)
        elif self.code and isinstance(self.code[-1], ir.TERMINATORS):
            return  # behind a tail call
        else:
            self.emit(self.in_frame(member, instr))

    def in_frame(self, member: Member, instr: Instr) -> Instr:
        """The instruction with variables where they lie in the frame."""
        found = [symbol for symbol in symbols(vars(instr)) if symbol in member.offsets]
        if not found:
            return instr
        if isinstance(instr, Load | Store) and isinstance(instr.addr, Addr) and instr.addr.symbol in member.offsets:
            instr.offset += member.offsets[instr.addr.symbol] + instr.addr.offset
            instr.addr = self.frame
        for name, value in list(vars(instr).items()):
            setattr(instr, name, self.framed(member, value, instr))
        return instr

    def framed(self, member: Member, value: Any, instr: Instr) -> Any:
        if isinstance(value, Addr) and value.symbol in member.offsets:
            reg = Reg("ptr")
            self.emit(Bin("add", reg, self.frame, Const("ptr", member.offsets[value.symbol] + value.offset)))
            return reg
        if isinstance(value, ir.DsdVar | ir.Deref) and isinstance(value.addr, Addr):
            addr = self.framed(member, value.addr, instr)
            return value if addr is value.addr else type(value)(**{**vars(value), "addr": addr})
        if isinstance(value, ir.Dsd):
            for symbol in symbols(value):
                if symbol in member.offsets:
                    name = member.function.display
                    display = self.globals[symbol].display
                    raise ir.Unsupported(
                        f"a descriptor names {display}, a local variable of {name}, but {name} calls itself and has "
                        f"a variable {display} for each call: declare it outside of the function",
                        instr.at,
                    )
        if isinstance(value, list):
            return [self.framed(member, item, instr) for item in value]
        return value

    def set_params(self, callee: Member, args: list[ir.Value]) -> None:
        """All arguments are read before the first parameter changes."""
        made = []
        for param, arg in zip(callee.params, args, strict=True):
            if isinstance(arg, Reg) and len(args) > 1:
                copy = Reg(param.type, param.name)
                self.emit(Copy(copy, arg))
                arg = copy
            made.append(arg)
        for param, arg in zip(callee.params, made, strict=True):
            self.emit(Copy(param, arg))

    def jump(self, member: Member, callee: Member, call: Call) -> None:
        args = [self.framed(member, arg, call) for arg in call.args]
        self.set_params(callee, args)
        if self.recursive and callee.frame > member.frame:
            self.check_room(self.frame, callee)
        self.fill_params(callee, self.frame, member)
        self.emit(Jump(callee.blocks[0].id))

    def call(self, member: Member, callee: Member, call: Call) -> None:
        args = [self.framed(member, arg, call) for arg in call.args]
        kept = member.live[id(call)]
        for reg in kept:
            self.emit(Store(self.frame, reg, member.places[reg]))
        new = Reg("ptr", "frame")
        self.emit(Bin("add", new, self.frame, Const("ptr", member.frame)))
        self.check_room(new, callee)
        self.set_params(callee, args)
        self.fill_params(callee, new, member)
        behind = self.block_id()
        self.returns.append(behind)
        self.emit(Copy(self.frame, new))
        self.emit(Store(self.frame, Const("u16", len(self.returns))))
        self.emit(Jump(callee.blocks[0].id))
        self.begin(behind)
        self.emit(Bin("sub", self.frame, self.frame, Const("ptr", member.frame)))
        for reg in kept:
            self.emit(Load(reg, self.frame, member.places[reg]))
        if call.dst is not None:
            self.emit(Copy(call.dst, self.return_register(call.dst.type)))

    def check_room(self, frame: ir.Value, callee: Member) -> None:
        """A fault if the frame of the callee would end behind the stack."""
        beyond, full, room = Reg("bool"), self.block_id(), self.block_id()
        self.emit(Bin("gt", beyond, frame, Addr(f"{self.stack}.end", -callee.frame)))
        self.emit(Branch(beyond, full, room))
        self.begin(full)
        self.emit(
            ir.Trap(
                f"calls of {callee.function.display} nest too deeply: a call takes {callee.frame} bytes, "
                f"and the stack of {{{self.stack}}} bytes is full"
            )
        )
        self.begin(room)

    def return_register(self, kind: str) -> Reg:
        return self.returned.setdefault(kind, Reg(kind, "result"))

    def return_(self, member: Member, instr: Return) -> None:
        if self.code and isinstance(self.code[-1], ir.TERMINATORS):
            return
        if not self.recursive:
            value = instr.value if member.function.result == self.result else None
            if self.result is not None and value is None:
                value = Const(self.result, 0)
            self.emit(Return(value, at=instr.at))
            return
        if instr.value is not None:
            value = self.framed(member, instr.value, instr)
            self.emit(Copy(self.return_register(instr.value.type), value, at=instr.at))
        self.emit(Jump(self.dispatch, at=instr.at))

    def dispatch_returns(self, at: ir.At | None) -> None:
        """Behind the call whose number lies in the frame; 0: to what called from outside."""
        self.at = at
        self.begin(self.dispatch)
        label = Reg("u16", "call")
        self.emit(Load(label, self.frame))
        for number, behind in enumerate(self.returns, start=1):
            is_this, following = Reg("bool"), self.block_id()
            self.emit(Bin("eq", is_this, label, Const("u16", number)))
            self.emit(Branch(is_this, behind, following))
            self.begin(following)
        self.emit(Return(None if self.result is None else self.return_register(self.result)))

    def add_stack(self) -> None:
        frames = [member.frame for member in self.members.values()]
        self.unit.globals.append(
            ir.Global(
                self.stack,
                LEAST_FRAMES * max(frames),
                4,
                display=f"stack of {self.display}",
                element="what is left" if len(frames) > 1 else f"what is left, {frames[0]} bytes a call",
                at=self.function.at,
                end_symbol=f"{self.stack}.end",
            )
        )

    def stub(self, function: Function) -> None:
        """The function itself, for calls from outside."""
        params = [Reg(param.type, param.name) for param in function.params]
        given = dict(zip((key for key, _ in self.keys(function)), params, strict=True))
        args: list[ir.Value] = [given.get(key, Const(key[0], 0)) for key in self.slots]
        if len(self.entries) > 1:
            args.insert(0, Const("u16", self.entries.index(function)))
        result = None if self.result is None else Reg(self.result)
        call = Call(result, self.name, args, at=function.at)
        function.params = params
        function.blocks = [Block(0, [call, Return(None if function.result is None else result, at=function.at)])]


def trimmed(block: Block) -> list[Instr]:
    """The instructions up to the first terminator."""
    for i, instr in enumerate(block.code):
        if isinstance(instr, ir.TERMINATORS):
            return block.code[: i + 1]
    return [*block.code, Return()]
