"""Descriptors of the IR as the bytes of a DSR and an XDSR, with relocations for the addresses in them."""

from __future__ import annotations

from ...machine import isa
from ...program.dsd import pack_circle, pack_dsr, pack_on_control, pack_options, pack_tensor
from ..ir.ir import NO_OPTIONS, SIMD_MODES, Addr, Const, Dsd, Then

Relocations = list[tuple[int, str, int]]
ANY_COLOR = 0xFF
_KINDS = {
    "mem1d": isa.DSD_MEM1D,
    "mem4d": isa.DSD_MEM4D,
    "circular": isa.DSD_CIRCULAR,
    "fifo": isa.DSD_FIFO,
    "fabin": isa.DSD_FABIN,
    "fabout": isa.DSD_FABOUT,
}
BASE, LENGTH, STRIDE, OPTIONS, INDEX = 4, 6, 8, 10, 14  # bytes of the fields
EXTENDED = ("mem4d", "circular")  # kinds with an XDSR


def image(dsd: Dsd, then: Then = NO_OPTIONS, xdsr: int = 0) -> tuple[bytes, Relocations]:
    """The initial memory of a DsdVar that holds the descriptor, 16 bytes or 32 with the XDSR's, and its relocations."""
    base, relocations = 0, []
    match dsd.base:
        case Addr(symbol, offset):
            relocations.append((BASE, symbol, offset))
        case Const(_, value):
            base = int(value) & 0xFFFF
    control = pack_on_control(*dsd.on_control) if dsd.on_control else isa.ON_CONTROL_NONE
    color = 0 if dsd.kind not in ("fabin", "fabout") else ANY_COLOR if dsd.color is None else dsd.color
    first = pack_dsr(
        *(_KINDS[dsd.kind], flags(dsd), dsd.queue, color),
        *(base, dsd.length & 0xFFFF, stride(dsd), options(then)),
        *(xdsr | simd_mode(dsd.simd), control),
    )
    if dsd.kind not in EXTENDED:
        return first, relocations
    if dsd.kind == "mem4d":
        return first + pack_tensor(dsd.extents, dsd.strides), relocations
    assert dsd.circle is not None
    start, size = dsd.circle
    relocations.append((16, start.symbol, start.offset))
    return first + pack_circle(0, size), relocations


def in_elements(dsd: Dsd) -> bool:
    """Whether the stride is kept in elements: an operation on elements of another size then walks over those."""
    return dsd.kind == "mem1d" and dsd.stride % dsd.item == 0


def stride(dsd: Dsd) -> int:
    return dsd.stride // dsd.item if in_elements(dsd) else dsd.stride


def flags(dsd: Dsd) -> int:
    bits = isa.DSD_ELEMENTS if in_elements(dsd) else 0
    for wanted, bit in (
        (dsd.control, isa.DSD_CONTROL),
        (dsd.save_address, isa.DSD_SAVE_ADDRESS),
        (dsd.advance_switch, isa.DSD_ADVANCE_SWITCH),
        (dsd.index, isa.DSD_INDEX),
        (dsd.simd is not None, isa.DSD_SIMD),
        (dsd.binds, isa.DSD_BINDS),
        (dsd.item == 4, isa.DSD_WIDE),
        (dsd.transform, isa.DSD_TRANSFORM),
        (dsd.zero == "first_source", isa.DSD_ZERO_FIRST),
        (dsd.zero == "second_source", isa.DSD_ZERO_SECOND),
    ):
        bits |= bit if wanted else 0
    return bits


def simd_mode(mode: str | None) -> int:
    """The bits of a SIMD mode in the byte of the XDSR's number."""
    return SIMD_MODES.index(mode) << isa.SIMD_MODE if mode is not None else 0


def options(then: Then) -> int:
    """Options of an operation, as its instruction and its DSR hold them."""
    return pack_options(then.async_, then.ut, then.activate, then.unblock)
