"""Views: the state of a PE and of the run as text."""

from __future__ import annotations

from collections import Counter

from .. import _engine
from ..errors import ConfigError, did_you_mean
from ..fabric.probe import MAIN, Queue, Wavelet
from ..machine import isa
from ..program import route
from ..program.assembler import disassemble_word
from .debugger import Debugger
from .values import shown, word

LINES = 11  # of a listing
_PES = 4096  # PEs that `info pes` counts
_ROWS = 40  # of a table
_KINDS = ("none", "mem1d", "mem4d", "circular", "FIFO", "fabin", "fabout")


def cycle(debugger: Debugger) -> str:
    """`cycle 1,234`, and the cycle of the host if it is another."""
    history = debugger.current.history
    past = f" (the host is at cycle {history.present:,})" if debugger.is_past else ""
    return f"cycle {debugger.cycle:,}{past}"


def position(debugger: Debugger) -> str:
    """The place of the PE in focus, with the line of source."""
    x, y = debugger.focus
    if debugger.target is None:
        return f"PE ({x}, {y}); the program is not loaded yet"
    place = f"PE ({x}, {y}), {cycle(debugger)}"
    try:
        index, image = debugger.class_at(x, y)
    except ConfigError:
        return f"{place}: no program"
    thread = debugger.thread()
    if thread.state == "idle":
        return f"{place}: no task runs" + _microthreads(thread.microthreads)
    pc = thread.pc - (thread.state == "operation")
    where = debugger.lines.where(index, pc)
    task = debugger.task_name(image, thread.task)
    waits = "".join(f", {o.name} waits ({o.waits.removeprefix('stall_')})" for o in _main(debugger))
    lines = [f"{place}: {debugger.lines.describe(where, pc)}, task {task}{waits}" + _microthreads(thread.microthreads)]
    if text := debugger.lines.line(where.file, where.line).rstrip():
        lines.append(f"{where.line}\t{text}")
    return "\n".join(lines)


def _microthreads(bits: int) -> str:
    numbers = [str(i) for i in range(8) if bits >> i & 1]
    return f"; microthread{'s' if len(numbers) > 1 else ''} {', '.join(numbers)} under way" if numbers else ""


def _main(debugger: Debugger) -> list:
    return [o for o in debugger.current.history.probe.operations(*debugger.focus) if o.thread == MAIN]


def listing(debugger: Debugger, text: str, page: int) -> str:
    """Lines around a place; "" means that of the PE in focus.  page: number of listings before this one."""
    near = None
    if debugger.target is not None:
        near = debugger.where()
        if near.file < 0:
            near = None
    if text or near is None:
        location = debugger.lines.find(text) if text else None
        if location is not None and location.file < 0:
            mine = int(debugger.artifact.class_of[debugger.focus[1], debugger.focus[0]])
            index = mine if mine in location.starts else next(iter(location.starts))
            where = debugger.lines.where(index, location.starts[index][0])
            file, line = where.file, where.line
        elif location is not None:
            file, line = location.file, location.line
        else:
            file = next((f for f in range(len(debugger.artifact.files)) if debugger.lines.has_code(f)), -1)
            line = LINES // 2 + 1
    else:
        file, line = near.file, near.line
    if file < 0:
        raise ConfigError("no source is known for this place")
    lines = debugger.lines.text(file)
    if not lines:
        raise ConfigError(f"{debugger.artifact.files[file]} is not found: start from the folder of the sources")
    first = max(1, line - LINES // 2) + page * LINES
    if first > len(lines):
        raise ConfigError(f"{debugger.lines.name(file)} has {len(lines)} lines")
    marked = {
        number
        for b in debugger.breakpoints.values()
        if b.location and b.location.file == file
        for number in [b.location.line]
    }
    rows = []
    for number in range(first, min(first + LINES, len(lines) + 1)):
        here = "=>" if near is not None and (file, number) == (near.file, near.line) else "  "
        rows.append(f"{'*' if number in marked else ' '}{here} {number:4}  {lines[number - 1]}".rstrip())
    return "\n".join(rows)


def disassembly(debugger: Debugger, pc: int | None = None, count: int = LINES) -> str:
    """Instructions of the PE in focus, with the lines they belong to."""
    index, image = debugger.class_at(*debugger.focus)
    thread = debugger.thread()
    first = max(0, thread.pc - LINES // 3) if pc is None else pc
    if not 0 <= first < len(image.code):
        raise ConfigError(f"the class {image.name} has instructions 0 to {len(image.code) - 1}")
    rows, last = [], None
    for at in range(first, min(first + max(1, count), len(image.code))):
        where = debugger.lines.where(index, at)
        if where[:2] != last and where.file >= 0:
            text = debugger.lines.line(where.file, where.line).strip()
            rows.append(f"   {debugger.lines.name(where.file)}:{where.line}  {text}".rstrip())
        last = where[:2]
        here = "=>" if at == thread.pc and thread.state != "idle" else "  "
        rows.append(f"{here} {at:5}  {disassemble_word(int(image.code[at]))}")
    return "\n".join(rows)


def printed(debugger: Debugger, text: str) -> str:
    """`u: [12]f32 = [...]`; an expression without its type."""
    values = debugger.values()
    value = values.evaluate(text)
    if text in values.variables:
        variable = values.variables[text]
        words = shown(value, not variable.scalar)
        return f"{text}: {variable.type} =" + ("\n" if "\n" in words else " ") + words
    if text.startswith("$r") and isinstance(value, int):
        return f"{text} = {word(value)}"
    return f"{text} = {shown(value)}"


def memory(debugger: Debugger, address: int, size: int) -> str:
    """Bytes in rows of 16."""
    if not (0 <= address < _engine.SRAM and 1 <= size <= _engine.SRAM - address):
        raise ConfigError(f"a PE has bytes 0 to {_engine.SRAM - 1:,}")
    data = debugger.current.fabric.read_bytes(address, size, *debugger.focus, 1, 1).tobytes()
    return "\n".join(f"{address + at:6}  {data[at : at + 16].hex(' ', 2)}" for at in range(0, size, 16))


def info(debugger: Debugger, text: str) -> str:
    """What `info WHAT` prints."""
    name, _, rest = text.partition(" ")
    found = [view for view in VIEWS if view.startswith(name)] if name else []
    if name not in VIEWS and len(found) != 1:
        near = did_you_mean(name, VIEWS, most=len(VIEWS)) if name else f"known: {', '.join(VIEWS)}"
        raise ConfigError(f"info about what? {near}")
    return VIEWS[name if name in VIEWS else found[0]](debugger, rest.strip()) or f"no {found[0]}"


def _breakpoints(debugger: Debugger, rest: str) -> str:
    rows = []
    for b in debugger.breakpoints.values():
        off = "" if b.enabled else ", disabled"
        hits = f", hit {b.hits} time{'s' if b.hits != 1 else ''}" if b.hits else ""
        rows.append(f"{b.number:3}  {b.describe()}{hits}{off}")
    return "\n".join(rows)


def _wavelets(wavelets: list[Wavelet]) -> str:
    return " ".join(f"{w.data:08x}{'c' if w.control else ''}{'>' if w.advances else ''}" for w in wavelets)


def _queues(debugger: Debugger, rest: str) -> str:
    probe = debugger.current.history.probe

    def rows(queues: list[Queue], way: str) -> list[str]:
        found = []
        for q in queues:
            color = "no color" if q.color is None else f"color {debugger.color_name(q.color)}"
            held = f": {_wavelets(q.wavelets)}" if q.wavelets else ""
            found.append(f"{way} {q.number}  {color}, {len(q.wavelets)} of {q.capacity} wavelets{held}")
        return found

    return "\n".join(
        rows(probe.input_queues(*debugger.focus), "input ") + rows(probe.output_queues(*debugger.focus), "output")
    )


def _ports(bits: int) -> str:
    return " ".join(route.PORTS[i] for i in range(_engine.PORTS) if bits >> i & 1) or "-"


def _routes(debugger: Debugger, rest: str) -> str:
    probe, (x, y) = debugger.current.history.probe, debugger.focus
    colors = [debugger.color_number(rest)] if rest else range(_engine.COLORS)
    rows = []
    for color in colors:
        config = probe.route(x, y, color)
        buffers = probe.buffers(x, y, color)
        if not config and not buffers:
            continue
        config = config or 0
        at, last = config >> _engine.ROUTE_POS & 3, config >> _engine.ROUTE_LAST & 3
        rx, tx = config >> 10 * at + _engine.ROUTE_RX & 31, config >> 10 * at + _engine.ROUTE_TX & 31
        switch = f", position {at} of 0 to {last}" if last else ""
        teardown = ", in teardown" if config >> _engine.ROUTE_TEARDOWN & 1 else ""
        rows.append(f"{debugger.color_name(color):12} {_ports(rx):>9} -> {_ports(tx):9}{switch}{teardown}".rstrip())
        for port, wavelets in buffers.items():
            rows.append(f"{'':12} from {port}: {_wavelets(wavelets)}")
    return "\n".join(rows)


def _tasks(debugger: Debugger, rest: str) -> str:
    image = debugger.class_at(*debugger.focus)[1]
    thread = debugger.thread()
    rows = []
    for task in sorted(image.tasks, key=lambda task: task.id):
        states = [
            word
            for word, is_so in (
                ("runs", thread.state != "idle" and thread.task == task.id),
                ("active", thread.active >> task.id & 1),
                ("blocked", thread.blocked >> task.id & 1),
            )
            if is_so
        ]
        rows.append(f"{task.id:3}  {task.name:20} {task.kind:8} {', '.join(states)}".rstrip())
    return "\n".join(rows)


def _registers(debugger: Debugger, rest: str) -> str:
    values = debugger.current.history.probe.registers(*debugger.focus)
    return "\n".join(
        "  ".join(f"{f'r{n}':>3} {values[n]:08x}" for n in range(row, row + 8)) for row in range(0, len(values), 8)
    )


def _dsrs(debugger: Debugger, rest: str) -> str:
    probe, rows = debugger.current.history.probe, []
    for number in range(len(isa.DSR_FILES) * isa.DSRS):
        d = probe.dsr(*debugger.focus, number)
        if d["kind"] == isa.DSD_NONE:
            continue
        name = f"{isa.DSR_FILES[number // isa.DSRS]}{number % isa.DSRS}"
        if d["kind"] in (isa.DSD_FABIN, isa.DSD_FABOUT):
            what = f"queue {d['queue']}, color {debugger.color_name(d['color'])}"
        else:
            unit = "elements" if d["flags"] & isa.DSD_ELEMENTS else "B"
            what = f"at {d['base']}{_owner(debugger, d['base'])}, stride {d['stride']} {unit}"
        length = "without an end" if d["length"] == isa.LENGTH_INFINITE else f"{d['length']} elements"
        rows.append(f"{name:4} {_KINDS[d['kind']] if d['kind'] < len(_KINDS) else d['kind']:8} {length}, {what}")
    return "\n".join(rows)


def _owner(debugger: Debugger, address: int) -> str:
    for variable in debugger.values().variables.values():
        if variable.address <= address < variable.address + variable.bytes:
            offset = address - variable.address
            return f" ({variable.name}{f' + {offset}' if offset else ''})"
    return ""


def _operations(debugger: Debugger, rest: str) -> str:
    index = debugger.class_at(*debugger.focus)[0]
    rows = []
    for o in debugger.current.history.probe.operations(*debugger.focus):
        who = "main thread" if o.thread == MAIN else f"microthread {o.thread}"
        place = debugger.lines.describe(debugger.lines.where(index, o.pc), o.pc)
        left = "without an end" if o.left is None else f"{o.left} left"
        rows.append(f"{who}: {o.name} at {place}, {o.done} elements done, {left}")
    return "\n".join(rows)


def _pes(debugger: Debugger, rest: str) -> str:
    artifact, count, found = debugger.current.artifact, 0, Counter[str]()
    first: dict[str, str] = {}
    for y in range(artifact.height):
        for x in range(artifact.width):
            count += 1
            if count > _PES:
                break
            try:
                index, image = debugger.class_at(x, y)
            except ConfigError:
                continue
            thread = debugger.thread((x, y))
            pc = thread.pc - (thread.state == "operation")
            place = debugger.lines.describe(debugger.lines.where(index, pc), pc)
            state = (
                "no task runs" if thread.state == "idle" else f"{place}, task {debugger.task_name(image, thread.task)}"
            )
            found[state] += 1
            first.setdefault(state, f"({x}, {y})")
    rows = [f"{n:6} PE{'s' if n > 1 else ' '}  {state}; first {first[state]}" for state, n in found.most_common(_ROWS)]
    if len(found) > _ROWS:
        rows.append(f"and {len(found) - _ROWS} more places")
    if count > _PES:
        rows.append(f"of the first {_PES:,} PEs")
    return "\n".join(rows)


def _variables(debugger: Debugger, rest: str) -> str:
    found = sorted(debugger.values().variables.values(), key=lambda v: v.address)
    return "\n".join(f"{v.address:6} {v.bytes:6} B  {v.name}: {v.type}" for v in found)


def _history(debugger: Debugger, rest: str) -> str:
    history = debugger.current.history
    return f"cycles {history.first:,} to {history.present:,}; now {debugger.cycle:,}"


VIEWS = {
    "breakpoints": _breakpoints,
    "queues": _queues,
    "routes": _routes,
    "tasks": _tasks,
    "registers": _registers,
    "dsrs": _dsrs,
    "operations": _operations,
    "pes": _pes,
    "variables": _variables,
    "history": _history,
}
