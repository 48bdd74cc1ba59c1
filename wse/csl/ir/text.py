"""The intermediate representation as text, for people."""

from __future__ import annotations

from typing import Any

from .ir import Addr, Const, Deref, Dsd, DsdVar, Dsr, FifoRef, Function, Instr, Layout, Reg, Then, Unit


def text(layout: Layout) -> str:
    """The program for people."""
    lines = [f"layout {layout.arch} {layout.width} x {layout.height} from {layout.file}"]
    for color, (plane, configs) in sorted(layout.routes.items()):
        for i, config in enumerate(configs):
            where = int((plane == i).sum())
            lines.append(f"  color {color}: {config.rx} -> {config.tx} at {where} PEs")
    return "\n".join(lines) + "\n" + "\n".join(unit_text(unit) for unit in layout.units)


def unit_text(unit: Unit) -> str:
    lines = [f"unit {unit.name}  // {unit.file} {unit.params}".rstrip()]
    for q, color in sorted(unit.queues_in.items()):
        lines.append(f"  input queue {q}: color {color}")
    for q, color in sorted(unit.queues_out.items()):
        lines.append(f"  output queue {q}: color {color}")
    for task in unit.tasks:
        state = " active" * (task.id in unit.active) + " blocked" * (task.id in unit.blocked)
        lines.append(f"  {task.kind} task {task.id}: {task.function}{state}")
    for fifo in unit.fifos:
        lines.append(f"  fifo {fifo.name}: {fifo.capacity} x {fifo.item} B over {fifo.buffer}")
    for e in unit.exports:
        lines.append(f"  export {e.name}: {e.function or f'{e.symbol}+{e.offset} {e.type} x {e.count}'}")
    for g in unit.globals:
        lines.append(
            f"  global {g.name}: {g.size} B align {g.align}{'' if g.init is None else ' = ...'}  // {g.element}"
        )
    if unit.startup:
        lines += ["  startup", *("    " + show(i) for i in unit.startup)]
    return "\n".join([*lines, *(function_text(f) for f in unit.functions)]) + "\n"


def function_text(function: Function) -> str:
    namer = _Namer()
    params = ", ".join(f"{namer(p)}: {p.type}" for p in function.params)
    lines = [f"  fn {function.name}({params}) {function.result or 'void'}"]
    for block in function.blocks:
        lines.append(f"  b{block.id}:")
        for instr in block.code:
            where = f"  // {instr.at.line}" if instr.at else ""
            lines.append("    " + show(instr, namer) + where)
    return "\n".join(lines)


class _Namer:
    """Short names for virtual registers, in the order they are seen."""

    def __init__(self):
        self.names: dict[Reg, str] = {}

    def __call__(self, reg: Reg) -> str:
        if reg not in self.names:
            self.names[reg] = f"%{len(self.names)}" + (f".{reg.name}" if reg.name else "")
        return self.names[reg]


def show(instr: Instr, namer: _Namer | None = None) -> str:
    """One instruction as text."""
    namer = namer or _Namer()
    parts = []
    for name, value in vars(instr).items():
        if name == "at" or value is None or value == Then() or value == []:
            continue
        parts.append(f"{name}={_show_value(value, namer)}")
    return f"{type(instr).__name__.lower()} {', '.join(parts)}"


def _show_value(value: Any, namer: _Namer) -> str:
    match value:
        case Reg():
            return f"{namer(value)}:{value.type}"
        case Const():
            return f"{value.value}:{value.type}"
        case Addr():
            return f"&{value.symbol}" + (f"+{value.offset}" if value.offset else "")
        case Deref():
            return f"*{_show_value(value.addr, namer)}:{value.type}"
        case DsdVar():
            return f"{value.kind}@{_show_value(value.addr, namer)}"
        case Dsr():
            return f"{value.file}{value.number}"
        case Dsd():
            shown = [
                f"{k}={_show_value(v, namer)}" for k, v in vars(value).items() if v not in (None, (), False, "mem1d")
            ]
            return f"{value.kind}({' '.join(p for p in shown if not p.startswith('kind='))})"
        case Then():
            return (
                "{" + " ".join(f"{k.rstrip('_')}={v}" for k, v in vars(value).items() if v not in (None, False)) + "}"
            )
        case list():
            return "[" + ", ".join(_show_value(v, namer) for v in value) + "]"
        case FifoRef():
            return f"fifo {value.name}"
        case _:
            return str(value)
