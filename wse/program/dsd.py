"""Descriptors (DSDs): what a vector operation walks over.  They are built here and lie in a PE's memory as 16 bytes,
from where `dsr d0, name` loads them; csrc/tables/isa.h has their layout."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ProgramError
from ..machine import isa
from .symbol import Symbol

BYTES = 16  # of a descriptor, and of the contents of an XDSR
NO_TASK = 255


@dataclass(frozen=True)
class Then:
    """What an explicit DSR's operation does: runs beside the main thread, then activates or unblocks a task."""

    asynchronous: bool = True
    ut: int | None = None
    activate: Any = None
    unblock: Any = None

    def encode(self, task: Callable[[Any], int]) -> int:
        tasks = [None if which is None else task(which) for which in (self.activate, self.unblock)]
        return pack_options(self.asynchronous, self.ut, *tasks)


def async_(ut: int | None = None, activate=None, unblock=None) -> Then:
    """Options kept in a descriptor: asynchronous on microthread `ut`, then activate or unblock a task (name or
    number)."""
    if activate is not None and unblock is not None:
        raise ProgramError("an operation ends with activate or with unblock, not with both")
    if ut is not None and not 0 <= ut <= 7:
        raise ProgramError(f"a microthread is 0 to 7, not {ut}")
    return Then(True, ut, activate, unblock)


@dataclass(frozen=True)
class Descriptor:
    """A descriptor before addresses and tasks are known.  Lengths in elements, offsets and strides in bytes."""

    kind: int
    array: Symbol | None = None
    offset: int = 0
    length: int = isa.LENGTH_INFINITE
    stride: int = 0
    flags: int = 0
    queue: int = 0
    color: int | None = None
    options: Then | None = None
    xdsr: int | None = None
    on_control: tuple[str, Any] | None = None
    index: int = 0
    extents: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    activate_push: Any = None
    activate_pop: Any = None

    def encode(self, task: Callable[[Any], int]) -> bytes:
        """The 16 bytes of the DSR.  task: number of a task given by name or number."""
        base = self.array.address + self.offset if self.array is not None else 0
        options = self.options.encode(task) if self.options else 0
        control = isa.ON_CONTROL_NONE
        if self.on_control:
            what, which = self.on_control
            control = pack_on_control(what, None if which is None else task(which))
        return pack_dsr(
            *(self.kind, self.flags, self.queue, self.color or 0),
            *(base, self.length, self.stride, options),
            *(self.xdsr or 0, control, self.index),
        )

    def encode_xdsr(self, task: Callable[[Any], int]) -> bytes | None:
        """The 16 bytes of the XDSR, None if the kind has none."""
        if self.kind == isa.DSD_MEM4D:
            return pack_tensor(self.extents, self.strides)
        if self.array is None:
            return None
        if self.kind == isa.DSD_CIRCULAR:
            return pack_circle(self.array.address, self.array.nbytes)
        if self.kind == isa.DSD_FIFO:
            tasks = [None if which is None else task(which) for which in (self.activate_push, self.activate_pop)]
            return pack_fifo(self.array.address, self.array.size, *tasks)
        return None

    @property
    def has_xdsr(self) -> bool:
        return self.kind in (isa.DSD_MEM4D, isa.DSD_CIRCULAR, isa.DSD_FIFO)


# The formats of csrc/tables/isa.h; nothing else packs them.

_ON_CONTROL = {
    "terminate": isa.ON_CONTROL_TERMINATE,
    "activate": isa.ON_CONTROL_ACTIVATE,
    "unblock": isa.ON_CONTROL_UNBLOCK,
}


def pack_dsr(
    kind: int,
    flags: int,
    queue: int,
    color: int,
    base: int,
    length: int,
    stride: int,
    options: int,
    xdsr: int = 0,
    control: int = isa.ON_CONTROL_NONE,
    index: int = 0,
) -> bytes:
    """The 16 bytes of a DSR.

    base: byte address.  length: elements.  stride: elements with DSD_ELEMENTS in flags, else bytes.
    """
    return struct.pack(
        "<BBBBHHHHBBH", kind, flags, queue, color, base, length, stride & 0xFFFF, options, xdsr, control, index
    )


def pack_options(asynchronous: bool, ut: int | None, activate: int | None, unblock: int | None) -> int:
    """Options of an operation, as its instruction and its DSR hold them.  ut: microthread; the others are task ids."""
    bits = isa.OPT_ASYNC if asynchronous else 0
    if ut is not None:
        bits |= isa.OPT_UT_GIVEN | ut << isa.OPT_UT
    if activate is not None:
        bits |= isa.OPT_THEN_ACTIVATE << isa.OPT_THEN | activate << isa.OPT_TASK
    if unblock is not None:
        bits |= isa.OPT_THEN_UNBLOCK << isa.OPT_THEN | unblock << isa.OPT_TASK
    return bits


def pack_on_control(what: str, task: int | None) -> int:
    """What a control wavelet does to the operation that reads it: "terminate", or "activate" or "unblock" a task."""
    return _ON_CONTROL[what] | (task or 0) << 2


def pack_tensor(extents: Sequence[int], strides: Sequence[int]) -> bytes:
    """The XDSR of a mem4d: up to four extents in elements and strides in bytes, the slowest index first.

    Missing dimensions have extent 1; their stride is the length of the whole access, by which a saved address advances.
    """
    missing = 4 - len(extents)
    whole = extents[0] * strides[0] if extents else 0
    words = [*(1,) * missing, *extents, *(whole,) * missing, *strides]
    return struct.pack("<8H", *(word & 0xFFFF for word in words))


def pack_circle(start: int, size: int) -> bytes:
    """The XDSR of a circular buffer: byte address and bytes."""
    return struct.pack("<HH12x", start, size)


def pack_fifo(start: int, capacity: int, activate_push: int | None, activate_pop: int | None) -> bytes:
    """The XDSR of an empty FIFO: byte address, capacity in elements, tasks that a push or a pop activates."""
    tasks = [NO_TASK if task is None else task for task in (activate_push, activate_pop)]
    return struct.pack("<HHHHBB6x", start, capacity, 0, 0, *tasks)


def mem1d(
    array: Symbol,
    length: int | None = None,
    stride: int = 1,
    offset: int = 0,
    save_address: bool = False,
    options: Then | None = None,
) -> Descriptor:
    """A vector in memory: `length` elements (default: all from `offset`), `stride` elements apart.

    save_address: the next operation goes on where this one ended.  The first walk must lie within the array.
    """
    array.check_vector()
    if length is None:
        length = max(0, -(-(array.size - offset) // (abs(stride) or 1)))
    _check_length(length, array.name)
    _check_walk(array, offset, [length], [stride])
    return Descriptor(
        isa.DSD_MEM1D,
        array,
        offset * array.itemsize,
        length,
        _stride(array, stride),
        _flags(array, save_address),
        options=options,
    )


def mem4d(
    array: Symbol,
    extents: Sequence[int],
    strides: Sequence[int],
    offset: int = 0,
    save_address: bool = False,
    options: Then | None = None,
    xdsr: int | None = None,
) -> Descriptor:
    """A tensor of up to four dimensions in memory, slowest first; strides in elements.  It needs an XDSR."""
    array.check_vector()
    if not 1 <= len(extents) <= 4 or len(extents) != len(strides):
        raise ProgramError(f"a mem4d descriptor has 1 to 4 extents and as many strides, not {extents} and {strides}")
    _check_length(math.prod(extents), array.name)
    _check_walk(array, offset, extents, strides)
    return Descriptor(
        isa.DSD_MEM4D,
        array,
        offset * array.itemsize,
        math.prod(extents),
        0,
        _flags(array, save_address),
        options=options,
        xdsr=xdsr,
        extents=tuple(extents),
        strides=tuple(_stride(array, stride) for stride in strides),
    )


def circular(
    array: Symbol,
    length: int | None = None,
    stride: int = 1,
    offset: int = 0,
    save_address: bool = True,
    options: Then | None = None,
    xdsr: int | None = None,
) -> Descriptor:
    """A walk over the whole array that starts at `offset` and goes round at its end.  It needs an XDSR."""
    array.check_vector()
    length = array.size if length is None else length
    _check_length(length, array.name)
    if not 0 <= offset < array.size:
        raise ProgramError(f"the circular walk starts at element {offset}, outside {array.name} of {array.size}")
    return Descriptor(
        isa.DSD_CIRCULAR,
        array,
        offset * array.itemsize,
        length,
        _stride(array, stride),
        _flags(array, save_address),
        options=options,
        xdsr=xdsr,
    )


def fifo(
    array: Symbol,
    xdsr: int | None = None,
    activate_push=None,
    activate_pop=None,
    length: int | None = None,
    options: Then | None = None,
) -> Descriptor:
    """A FIFO in the array: pushes as a destination, pops as a source.  It needs an XDSR.

    A synchronous operation ends at an empty or full FIFO, an asynchronous one waits.  activate_push, activate_pop:
    tasks that a push and a pop activate.
    """
    array.check_vector()
    length = isa.LENGTH_INFINITE if length is None else length
    return Descriptor(
        isa.DSD_FIFO,
        array,
        0,
        length,
        array.itemsize,
        _flags(array, False),
        options=options,
        xdsr=xdsr,
        activate_push=activate_push,
        activate_pop=activate_pop,
    )


def fabin(
    queue: int,
    length: int | None = None,
    color: int | None = None,
    simd: bool = False,
    on_control: str | tuple[str, Any] | None = None,
    wide: bool = False,
    options: Then | None = None,
) -> Descriptor:
    """Wavelets from an input queue; without `length` as many as the operation's other operands have.

    color: the color the queue must be bound to, for the program's checks.  simd: two 16-bit elements to a wavelet.
    on_control: "terminate", ("activate", task) or ("unblock", task): what a control wavelet does.  wide: mapstep
    takes all 32 bits of a wavelet, not its lower half.
    """
    length = isa.LENGTH_INFINITE if length is None else length
    if isinstance(on_control, str):
        on_control = (on_control, None)
    if on_control and (on_control[0] not in _ON_CONTROL or (on_control[1] is None) != (on_control[0] == "terminate")):
        raise ProgramError(f'on_control is "terminate", ("activate", task) or ("unblock", task), not {on_control!r}')
    return Descriptor(
        isa.DSD_FABIN,
        length=length,
        flags=(isa.DSD_SIMD if simd else 0) | (isa.DSD_WIDE if wide else 0),
        queue=queue,
        color=color,
        options=options,
        on_control=on_control,
    )


def fabout(
    queue: int,
    color: int,
    length: int | None = None,
    control: bool = False,
    advance_switch: bool = False,
    index: bool | int = False,
    simd: bool = False,
    options: Then | None = None,
) -> Descriptor:
    """Wavelets into an output queue, of a color.

    control: control wavelets.  advance_switch: the last one advances the switch of its own router.  index: a 16-bit
    index in the upper half of each wavelet, counting from this value (True: from 0).  simd: two 16-bit elements to a
    wavelet.
    """
    length = isa.LENGTH_INFINITE if length is None else length
    flags = isa.DSD_CONTROL if control else 0
    flags |= isa.DSD_ADVANCE_SWITCH if advance_switch else 0
    flags |= isa.DSD_INDEX if index is not False else 0
    flags |= isa.DSD_SIMD if simd else 0
    if simd and index is not False:
        raise ProgramError("a wavelet has room for two elements (simd) or for one and its index, not for both")
    return Descriptor(
        isa.DSD_FABOUT,
        length=length,
        flags=flags,
        queue=queue,
        color=color,
        options=options,
        index=0 if isinstance(index, bool) else index & 0xFFFF,
    )


def _flags(array: Symbol, save_address: bool) -> int:
    return (isa.DSD_SAVE_ADDRESS if save_address else 0) | (isa.DSD_WIDE if array.itemsize == 4 else 0)


def _stride(array: Symbol, elements: int) -> int:
    stride = elements * array.itemsize
    if not -(1 << 15) <= stride < 1 << 15:
        raise ProgramError(f"a stride of {elements} elements of {array.name} is {stride} bytes: beyond 16 bits")
    return stride


def _check_length(length: int, name: str) -> None:
    if not 0 <= length < isa.LENGTH_INFINITE:
        raise ProgramError(f"a descriptor over {name} has 0 to {isa.LENGTH_INFINITE - 1} elements, not {length}")


def _check_walk(array: Symbol, offset: int, extents: Sequence[int], strides: Sequence[int]) -> None:
    if 0 in extents:
        return
    steps = [(extent - 1) * stride for extent, stride in zip(extents, strides, strict=True)]
    first = offset + sum(step for step in steps if step < 0)
    last = offset + sum(step for step in steps if step > 0)
    if first < 0 or last >= array.size:
        raise ProgramError(
            f"the descriptor walks over elements {first} to {last} of {array.name}, which has 0 to {array.size - 1}"
        )
