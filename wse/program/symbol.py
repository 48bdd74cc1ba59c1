"""Symbols of a program: colors, and arrays in a PE's memory."""

from __future__ import annotations

import re
from typing import Any, Protocol

import numpy as np

from .. import _engine
from ..errors import ProgramError, did_you_mean
from ..machine import isa

# Element types of arrays, and the NumPy types that hold them.  A 16-bit float is held as its bits.
DTYPES: dict[str, np.dtype] = {
    "f16": np.dtype("<u2"),
    "bf16": np.dtype("<u2"),
    "cb16": np.dtype("<u2"),
    "f32": np.dtype("<f4"),
    "i8": np.dtype("i1"),
    "u8": np.dtype("u1"),
    "i16": np.dtype("<i2"),
    "u16": np.dtype("<u2"),
    "i32": np.dtype("<i4"),
    "u32": np.dtype("<u4"),
}
FLOAT16 = tuple(isa.FP16)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def some(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f", ... {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


class Color(int):
    """A color: its number, an int, with a `name`.  Made by `Program.color`."""

    name: str

    def __new__(cls, number: int, name: str) -> Color:
        color = super().__new__(cls, number)
        color.name = name
        return color

    def __repr__(self) -> str:
        return f"Color({int(self)}, {self.name!r})"

    def __reduce__(self):
        return Color, (int(self), self.name)


class Formats(Protocol):
    """The part of a program that an array uses."""

    fp16: str


class Owner(Protocol):
    """The owner of an array: a class of PEs or a program."""

    @property
    def label(self) -> str:
        """Description in error messages."""

    @property
    def program(self) -> Formats:
        """The program, which has the 16-bit format."""


class Symbol:
    """A named array (or descriptor) at the same address in all PEs of a class.

    Made by `PEClass.array`, `PEClass.dsd` and `Program.shared_array`.

    Attributes: `name`; `shape`; `dtype`, a key of DTYPES; `size` in elements; `itemsize` and `nbytes` in bytes;
    `owner`; `init`, the initial bytes or None; `align` and `offset`: the address is `offset` bytes beyond a multiple of
    `align`, which determines the memory bank of the first element (address bits 3:1).
    """

    def __init__(self, owner: Owner, name: str, shape: Any, dtype: str, align: int, offset: int, init: Any):
        where = f"array {name} of {owner.label}"
        if dtype not in DTYPES:
            raise ProgramError(f"{where} has an unknown element type {dtype!r}: {did_you_mean(str(dtype), DTYPES)}")
        if dtype in FLOAT16 and dtype not in ("f16", owner.program.fp16):
            raise ProgramError(
                f"{where} is of {dtype}, but the program's 16-bit floats are {owner.program.fp16}: "
                f"say Program(..., fp16={dtype!r})"
            )
        self.owner, self.name, self.dtype = owner, name, dtype
        extents = (shape,) if isinstance(shape, int | np.integer) else shape
        self.shape: tuple[int, ...] = tuple(int(extent) for extent in extents)
        if any(extent < 0 for extent in self.shape):
            raise ProgramError(f"{where} has a negative extent: {self.shape}")
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.itemsize = DTYPES[dtype].itemsize
        self.nbytes = self.size * self.itemsize
        if align < 1 or align & (align - 1) or not offset >= 0:
            raise ProgramError(f"{where}: align is a power of two and offset 0 or more, not {align} and {offset}")
        if align % self.itemsize or offset % self.itemsize:
            raise ProgramError(
                f"{where}: align {align} and offset {offset} must keep its {self.itemsize}-byte elements whole"
            )
        self.align, self.offset = align, offset
        self.init: bytes | None = None if init is None else self.to_bytes(init, where)
        self._address: int | None = None

    @property
    def address(self) -> int:
        """The byte address, assigned by `Program.layout`.  Raises ProgramError before that; code uses the name."""
        if self._address is None:
            raise ProgramError(
                f"the address of {self.name} is not known before the program is laid out: "
                f"write {self.name} in the code, or call Program.layout() when all code is given"
            )
        return self._address

    @property
    def fp16(self) -> str:
        """The 16-bit float format of the array's elements."""
        return self.owner.program.fp16

    def check_vector(self) -> None:
        """Raises ProgramError if vector operations have no elements of the array's type."""
        if self.itemsize == 1:
            raise ProgramError(f"vector operations have no 8-bit elements: {self.name} is of {self.dtype}")

    def to_bits(self, values: Any, where: str = "") -> np.ndarray:
        """Values in the stored form of the array's elements, DTYPES[dtype] of the same shape.

        Floats are rounded to the array's type.  For a 16-bit float type, uint16 values are taken as bits.  Raises
        ProgramError if the values are no numbers, or are floats or too large for an integer type.
        """
        values = np.asarray(values)
        where = where or f"values for {self.name}"
        to = DTYPES[self.dtype]
        if values.dtype.kind not in "fiub":
            raise ProgramError(f"{where} are numbers, not {values.dtype}")
        if self.dtype in FLOAT16:
            if values.dtype == np.uint16:
                return values
            with np.errstate(over="ignore"):
                single = np.ascontiguousarray(values, np.float32)
            return _engine.s2h(isa.FP16[self.fp16], single).reshape(values.shape)  # NumPy made a scalar an array of 1
        if to.kind == "f":
            with np.errstate(over="ignore"):
                return values.astype(to)
        if values.dtype == to:
            return values
        if values.dtype.kind == "f" or (values.size and not _fits(values, to)):
            raise ProgramError(f"{where} do not fit its type {self.dtype}: {_range(values)}")
        return values.astype(to)

    def to_bytes(self, values: Any, where: str) -> bytes:
        """The stored bytes of values [*shape] or a scalar.  Raises ProgramError as `to_bits`, and for another shape."""
        bits = self.to_bits(values, where)
        if bits.shape not in (self.shape, ()):
            raise ProgramError(f"{where} has shape {self.shape}, but its initial values have {bits.shape}")
        return np.ascontiguousarray(np.broadcast_to(bits, self.shape)).tobytes()

    def from_bits(self, bits: np.ndarray) -> np.ndarray:
        """The values of stored elements: 16-bit floats are widened to float32, exactly; other types are returned."""
        if self.dtype in FLOAT16:
            return _engine.h2s(isa.FP16[self.fp16], np.ascontiguousarray(bits))
        return bits

    def __repr__(self) -> str:
        at = f" at {self._address}" if self._address is not None else ""
        return f"<{self.name}: {self.dtype} {list(self.shape)}{at} in {self.owner.label}>"


def _fits(values: np.ndarray, to: np.dtype) -> bool:
    info = np.iinfo(to)
    return bool(values.min() >= info.min and values.max() <= info.max)


def _range(values: np.ndarray) -> str:
    return f"{values.dtype} from {values.min()} to {values.max()}"
