"""Data structure descriptors (DSDs): the operands of vector operations.

A descriptor names the elements of one operand: where they lie or which queue they pass, how many there are, and the
stride.  It occupies 16 bytes of a PE's memory (layout: csrc/tables/isa.h); `dsr d0, name` loads it into a DSR.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ProgramError
from ..machine import isa
from ..records import dataclass
from .symbol import Symbol

BYTES = 16  # of a descriptor, and of the contents of an XDSR
NO_TASK = 255


@dataclass(frozen=True)
class Then:
    """Options of an operation that its destination descriptor holds.

    - asynchronous: the operation runs on a microthread, not on the main thread.
    - ut: microthread, 0 to 7; None: the number of the queue of a fabric operand, else the first free microthread.
    - activate, unblock: task (name or number) that is activated or unblocked when the operation ends.
    """

    asynchronous: bool = True
    ut: int | None = None
    activate: Any = None
    unblock: Any = None

    def encode(self, task: Callable[[Any], int]) -> int:
        """The option bits.  task: returns the id of a task from its name or number."""
        tasks = [None if which is None else task(which) for which in (self.activate, self.unblock)]
        return pack_options(self.asynchronous, self.ut, *tasks)


def async_(ut: int | None = None, activate=None, unblock=None) -> Then:
    """Options for a descriptor whose operation runs asynchronously, on a microthread.

    - ut: microthread, 0 to 7.  None: the microthread is chosen as for an instruction with `async` but without `ut`.
    - activate: task (name or number) to activate when the operation ends.
    - unblock: task (name or number) to unblock when the operation ends.

    Raises ProgramError if both tasks are given, or if `ut` is out of range.

        >>> import wse
        >>> descriptor = wse.fabin(queue=2, length=64, options=wse.async_(ut=1, activate="finish"))
    """
    if activate is not None and unblock is not None:
        raise ProgramError("an operation ends with activate or with unblock, not with both")
    if ut is not None and not 0 <= ut <= 7:
        raise ProgramError(f"a microthread is 0 to 7, not {ut}")
    return Then(True, ut, activate, unblock)


@dataclass(frozen=True)
class Descriptor:
    """A descriptor whose addresses and task numbers are not known yet.

    Made by `mem1d`, `mem4d`, `circular`, `fifo`, `fabin` and `fabout`; `PEClass.dsd` places it in memory.  Lengths and
    extents are in elements, offsets and strides in bytes.  `kind` and `flags` are DSD_ constants of wse.machine.isa.
    """

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
        """The 16 bytes of the DSR.  task: maps a task's name or number to its number."""
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
        """The 16 bytes of the XDSR; None if this kind of descriptor has none.  task: as for `encode`."""
        if self.kind == isa.DSD_MEM4D:
            return pack_tensor(self.extents, self.strides)
        if self.array is None:
            return None
        if self.kind == isa.DSD_CIRCULAR:
            return pack_circle(self.array.address, self.array.nbytes)
        if self.kind == isa.DSD_FIFO:
            tasks = [None if which is None else task(which) for which in (self.activate_push, self.activate_pop)]
            return pack_fifo(self.array.address, self.array.size, tasks[0], tasks[1])
        return None

    @property
    def has_xdsr(self) -> bool:
        """Whether this kind of descriptor needs an XDSR: mem4d, circular and fifo."""
        return self.kind in (isa.DSD_MEM4D, isa.DSD_CIRCULAR, isa.DSD_FIFO)


# The formats of csrc/tables/isa.h.  No other code packs them.

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
    """The option bits of an operation, as its instruction or DSR holds them.  ut: microthread; activate, unblock: task
    numbers."""
    bits = isa.OPT_ASYNC if asynchronous else 0
    if ut is not None:
        bits |= isa.OPT_UT_GIVEN | ut << isa.OPT_UT
    if activate is not None:
        bits |= isa.OPT_THEN_ACTIVATE << isa.OPT_THEN | activate << isa.OPT_TASK
    if unblock is not None:
        bits |= isa.OPT_THEN_UNBLOCK << isa.OPT_THEN | unblock << isa.OPT_TASK
    return bits


def pack_on_control(what: str, task: int | None) -> int:
    """The encoded effect of a control wavelet on the operation that reads it.

    what: "terminate", "activate" or "unblock"; task: number of the task, None for "terminate".
    """
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
    """The XDSR of a circular buffer.  start: byte address; size: in bytes."""
    return struct.pack("<HH12x", start, size)


def pack_fifo(
    start: int, capacity: int, activate_push: int | None, activate_pop: int | None, empty: int = 0, full: int = 0
) -> bytes:
    """The XDSR of an empty FIFO.

    start: byte address; capacity: in elements; activate_push, activate_pop: task numbers, None for no task.  empty,
    full: what an operation does there, FIFO_ of csrc/tables/isa.h.
    """
    tasks = [NO_TASK if task is None else task for task in (activate_push, activate_pop)]
    return struct.pack("<HHHHBBxxBB2x", start, capacity, 0, 0, *tasks, empty, full)


def mem1d(
    array: Symbol,
    length: int | None = None,
    stride: int = 1,
    offset: int = 0,
    save_address: bool = False,
    options: Then | None = None,
) -> Descriptor:
    """Descriptor of a vector in memory: elements of `array` at a constant stride.

    - array: of 16- or 32-bit elements.
    - length: elements, 0 to 32766; default: as many as fit between `offset` and the end of the array.
    - stride: distance of successive elements, in elements; may be 0 or negative.
    - offset: index of the first element.
    - save_address: the DSR keeps the address that follows the last element, and the next operation starts there.
    - options: see `async_`.

    Raises ProgramError if the array has 8-bit elements, if the length is out of range, if the stride does not fit into
    16 bits of bytes, or if an element of the first operation lies outside the array.

        >>> import wse
        >>> A = wse.Program(1, 1).pe_class("worker").array("A", (3, 4), "f32")
        >>> wse.mem1d(A).length, wse.mem1d(A, length=3, stride=4).stride  # all of A; a column of A, stride in bytes
        (12, 16)
    """
    array.check_vector()
    if length is None:
        length = max(0, -(-(array.size - offset) // (abs(stride) or 1)))
    _check_length(length, array.name)
    _check_extent(array, offset, [length], [stride])
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
    """Descriptor of a tensor of up to four dimensions in memory.  It needs an XDSR.

    - array: of 16- or 32-bit elements.
    - extents: 1 to 4 extents in elements, the slowest dimension first; their product is at most 32766.
    - strides: as many strides, in elements.
    - offset: index of the first element.
    - save_address: the next operation starts at the saved address, one whole access further.
    - options: see `async_`.
    - xdsr: number of the XDSR, here or in `PEClass.dsd`.

    Raises ProgramError if the numbers of extents and strides differ or are not 1 to 4, and as `mem1d`.

        >>> import wse
        >>> A = wse.Program(1, 1).pe_class("worker").array("A", (3, 4), "f32")
        >>> wse.mem4d(A, extents=(4, 3), strides=(1, 4), xdsr=0).length  # A transposed
        12
    """
    array.check_vector()
    if not 1 <= len(extents) <= 4 or len(extents) != len(strides):
        raise ProgramError(f"a mem4d descriptor has 1 to 4 extents and as many strides, not {extents} and {strides}")
    _check_length(math.prod(extents), array.name)
    _check_extent(array, offset, extents, strides)
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
    """Descriptor of a circular buffer: an access that wraps around at the end of `array`.  It needs an XDSR.

    - length: elements of one operation, 0 to 32766; default: the size of the array.
    - stride: in elements.
    - offset: index of the first element.
    - save_address: the next operation starts where this one ended.  True by default.
    - options, xdsr: as for `mem4d`.

    Raises ProgramError if `offset` is not an index of the array, and as `mem1d` for element type, length and stride.
    """
    array.check_vector()
    length = array.size if length is None else length
    _check_length(length, array.name)
    if not 0 <= offset < array.size:
        raise ProgramError(
            f"the circular descriptor starts at element {offset}, outside {array.name}, which has 0 to {array.size - 1}"
        )
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
    """Descriptor of a FIFO whose elements are stored in `array`.  It needs an XDSR.

    An operation pushes if the FIFO is its destination, and pops if it is a source.  A synchronous operation ends when
    the FIFO is full or empty; an asynchronous one waits.

    - array: its size is the capacity.
    - xdsr: as for `mem4d`.
    - activate_push, activate_pop: tasks (name or number) that each push and each pop activates.
    - length: elements of one operation; default: as many as the other operands have.
    - options: see `async_`.

    Raises ProgramError if the array has 8-bit elements.
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
    """Descriptor of a fabric input: wavelets of an input queue.

    - queue: number of the input queue; `PEClass.queue_in` binds it to a color.
    - length: elements; default: as many as the other operands have.
    - color: name or number.  If given, `Program.check` verifies that the queue is bound to it.
    - simd: each wavelet holds two 16-bit elements.
    - on_control: effect of a control wavelet on the operation: "terminate", ("activate", task) or ("unblock", task).
    - wide: `mapstep` takes all 32 bits of a wavelet; otherwise the lower 16.
    - options: see `async_`.

    Raises ProgramError if `on_control` is none of these.
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
    """Descriptor of a fabric output: wavelets that enter the fabric through an output queue.

    - queue: number of the output queue; on WSE-3 `PEClass.queue_out` binds it to a color.
    - color: name or number of the wavelets' color.
    - length: elements; default: as many as the other operands have.
    - control: the wavelets are control wavelets.
    - advance_switch: the last wavelet advances the switch of the PE's own router.
    - index: each wavelet holds a 16-bit index in its upper half, counted from this value (True: from 0).
    - simd: each wavelet holds two 16-bit elements.
    - options: see `async_`.

    Raises ProgramError if both `simd` and `index` are given.
    """
    length = isa.LENGTH_INFINITE if length is None else length
    flags = isa.DSD_CONTROL if control else 0
    flags |= isa.DSD_ADVANCE_SWITCH if advance_switch else 0
    flags |= isa.DSD_INDEX if index is not False else 0
    flags |= isa.DSD_SIMD if simd else 0
    if simd and index is not False:
        raise ProgramError("a wavelet holds two elements (simd) or one element and its index, not both")
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


def _check_extent(array: Symbol, offset: int, extents: Sequence[int], strides: Sequence[int]) -> None:
    if 0 in extents:
        return
    steps = [(extent - 1) * stride for extent, stride in zip(extents, strides, strict=True)]
    first = offset + sum(step for step in steps if step < 0)
    last = offset + sum(step for step in steps if step > 0)
    if first < 0 or last >= array.size:
        raise ProgramError(
            f"the descriptor covers elements {first} to {last} of {array.name}, which has 0 to {array.size - 1}"
        )
