"""Messages of the findings that the engine records in a checked run (csrc/observe/check.c)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..fabric.checked import KINDS
from ..fabric.diagnosis import code_at, color_name, instruction, plural, source_line, task_name
from ..fabric.probe import MAIN
from ..program.image import Image, PEImage, Region
from .finding import Finding


def finding(image: Image, record: np.void) -> Finding:
    """The finding of a record, which is an element of an array of wse.fabric.checked.FINDING."""
    y, x = divmod(int(record["pe"]), image.width)
    name, pe, pc = KINDS[record["kind"]], image.class_at(x, y), int(record["pc"])
    message, advice = _WORDS[name](image, pe, record)
    where = _place(pe, pc)
    if record["task"] >= 0 and pc >= 0 and (task := _running(pe, int(record["task"]))):
        where = f"{where}, {task}"
    return Finding(
        *(name.lower(), x, y, int(record["cycle"]), where, message, advice),
        line=source_line(pe, pc),
        count=int(record["count"]),
    )


def _place(pe: PEImage | None, pc: int) -> str:
    return f"{instruction(pe, pc)} at {code_at(pe, pc)}" if pc >= 0 else ""


def _running(pe: PEImage | None, task: int) -> str:
    return task_name(pe, task) if pe is not None and task in pe.tasks.values() else ""


def element(pe: PEImage | None, address: int) -> str:
    """The element at an address of a PE: `x[3]`."""
    region = pe.region_at(address) if pe is not None else None
    if region is not None and region.code:
        return f"the code at {address:#06x}"
    return region.at(address) if region is not None else f"address {address:#06x}, which belongs to no variable"


def extent(region: Region) -> str:
    """A region with its size: `x (f32, 40 bytes)`."""
    words = f"{region.type}, " if region.type and not region.type.endswith("bytes") else ""
    return f"{region.name} ({words}{region.bytes} bytes)"


def _before(pe: PEImage | None, record: np.void) -> str:
    """Where and when the earlier event was."""
    place = _place(pe, int(record["before_pc"]))
    return f"cycle {int(record['before_cycle']):,}" + (f", {place}" if place else "")


def _unwritten(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    name = element(pe, int(record["address"]))
    return f"{name} is read, and nothing has written it", "give it an initial value, or write it before"


def _bounds(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    region = pe.region(int(record["what"])) if pe is not None else None
    began = extent(region) if region is not None else "an array"
    return (
        f"an operand begins in {began} and goes on to {element(pe, int(record['address']))}",
        "its length, stride or offset does not fit the array",
    )


def _outside(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    does = "writes to" if record["writes"] else "reads"
    return f"it {does} address {int(record['address']):#06x}, where no variable is", "check the index or the pointer"


def _code(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    at = int(record["address"])
    region = pe.region(int(record["what"])) if pe is not None else None
    what = f"the {region.name} is" if region is not None and region.stack else "the code of the PE is"
    return f"it writes to address {at:#06x}, where {what}", "check the index, pointer or descriptor"


def _thread(thread: int) -> str:
    return "the main thread" if thread == MAIN else f"microthread {thread}"


def _race(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    name = element(pe, int(record["address"]))
    now, then = _thread(int(record["thread"])), _thread(int(record["before_thread"]))
    does, did = ("writes" if writes else "reads" for writes in (record["writes"], record["before_writes"]))
    did = did.replace("writes", "wrote").replace("reads", "read")
    return (
        f"{now} {does} {name}, which {then} {did} ({_before(pe, record)}): nothing but timing orders the two",
        "use the data in the task that the end of the operation activates",
    )


def _interleaved(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    first, second = (_pe(image, sender) for sender in record["sender"])
    router = int(record["router"])
    where = (
        f" at the router of {_pe(image, router)} in cycle {int(record['before_cycle']):,}" if router < _NOWHERE else ""
    )
    senders = f"two operations of {first}" if first == second else f"{first} and {second}"
    color = color_name(image, int(record["what"]))
    receives = (
        f"a task stores the wavelets of {color} in order of arrival, and gets"
        if record["writes"]
        else (f"one operation receives {color}")
    )
    return (
        f"{receives}{' them' if record['writes'] else ''} from {senders} in turn: their messages are mixed{where}",
        "let one send after the other, or give each its own color",
    )


_NOWHERE = 2**32 - 1


def _pe(image: Image, pe: int) -> str:
    return f"PE ({int(pe) % image.width}, {int(pe) // image.width})"


def _activated(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    since = f"since {_before(pe, record)}" if record["before_cycle"] or record["before_pc"] >= 0 else "since the start"
    return (
        f"{task_name(pe, int(record['what']))} is activated, and has been active {since}: it runs once",
        "activate it when it has run, or count what it has to do",
    )


def _fifo(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    name, left = element(pe, int(record["address"])), int(record["left"])
    what = plural("word", left) + " of 16 bits" if record["writes"] else plural("element", left)
    return f"the FIFO in {name.split('[')[0]} holds {left} {what} at the end", "read as many elements as are written"


def _position(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    return (
        f"the switch of {color_name(image, int(record['what']))} is in position {int(record['left'])} when the host "
        f"launches the function again: at the first launch it was in {int(record['address'])}",
        "reset it with a control wavelet at the end of the function",
    )


def _filter(image: Image, pe: PEImage | None, record: np.void) -> tuple[str, str]:
    return (
        f"the filter of {color_name(image, int(record['what']))} is at count {int(record['left'])} when the host "
        f"launches the function again: at the first launch it was at {int(record['address'])}",
        "send as many wavelets as its period has",
    )


_WORDS: dict[str, Callable[[Image, PEImage | None, np.void], tuple[str, str]]] = {
    "UNWRITTEN": _unwritten,
    "BOUNDS": _bounds,
    "OUTSIDE": _outside,
    "CODE": _code,
    "RACE": _race,
    "INTERLEAVED": _interleaved,
    "ACTIVATED": _activated,
    "FIFO": _fifo,
    "POSITION": _position,
    "FILTER": _filter,
}
