"""Arrays of a fabric's PEs: copies between them and arrays of the host."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .. import _engine
from ..errors import ProgramError
from ..program.image import NO_CLASS, Image, PEImage, values_in
from ..program.symbol import DTYPES, Symbol


class HostCopies:
    """The methods of `Fabric` that copy between memories of PEs and arrays of the host.

    Coordinates are (x, y), x to the east, y to the south; arrays over PEs are indexed [y, x].  Methods take rectangles:
    the first PE (x, y), width w and height h; None for w or h: up to the edge.  They raise ProgramError for a rectangle
    outside the fabric.
    """

    image: Image
    width: int
    height: int
    _engine: _engine.Engine

    def write(self, symbol: str, values, x: int = 0, y: int = 0) -> None:
        """Copies values to an array of the w x h PEs from (x, y).

        - symbol: name of the array.
        - values: [h, w, *shape of the array].  Floats are rounded to the array's type; for a 16-bit float type, uint16
          values are taken as bits.

        Raises ProgramError if a PE has no such array, if the array differs between classes of the rectangle, or if the
        values have another shape or do not fit the type.
        """
        values = np.asarray(values)
        shape = self._find(symbol, x, y, 1, 1).shape
        if values.ndim != 2 + len(shape) or values.shape[2:] != shape:
            raise ProgramError(f"values for {symbol} have shape {values.shape}; expected [h, w, {_text(shape)}]")
        h, w = values.shape[:2]
        found = self._find(symbol, x, y, w, h)
        self._put(found, found.to_bits(values), x, y, w, h)

    def fill(self, symbol: str, values, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None) -> None:
        """Copies the same values to an array of every PE of a rectangle.

        values: [*shape of the array], or a scalar.  Conversion and errors as `write`.
        """
        w, h = self._extent(x, y, w, h)
        found = self._find(symbol, x, y, w, h)
        self._engine.fill(x, y, w, h, found.address, found.to_bytes(values, f"array {symbol}"))

    def read(
        self, symbol: str, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None, raw: bool = False
    ) -> np.ndarray:
        """A copy of an array of a rectangle's PEs: [h, w, *shape of the array], in the array's type.

        16-bit floats are returned as float32, which represents them exactly; with raw=True, as their bits in uint16.
        Raises ProgramError if a PE has no such array, or if the array differs between classes of the rectangle.
        """
        w, h = self._extent(x, y, w, h)
        found = self._find(symbol, x, y, w, h)
        values = np.empty((h, w, *found.shape), DTYPES[found.dtype])
        self._get(found, values, x, y, w, h)
        return values if raw else found.from_bits(values)

    def copy_to(
        self,
        symbol: str,
        flat,
        x: int,
        y: int,
        w: int,
        h: int,
        order: Literal["row", "column"] = "row",
        bits: Literal[16, 32] = 32,
    ) -> None:
        """Copies a flat host array to an array of a rectangle's PEs, as `memcpy_h2d` of the SDK.

        - flat: h * w * n elements, where n is the number of elements per PE.  Bits are copied without conversion.
        - order: "row": the element index varies fastest, then x, then y; "column": y, then x, then the element index.
        - bits: size of the array's elements, 16 or 32.  With 16, `flat` may have 32-bit words; the low half is copied.

        Raises ProgramError if `flat` has another size or element size, or the array does not have elements of `bits`.
        """
        found = self._find(symbol, x, y, w, h)
        self._check_copy(found, order, bits)
        flat = np.ascontiguousarray(flat).reshape(-1)
        if flat.size != h * w * found.size:
            raise ProgramError(
                f"{symbol} of {w} x {h} PEs has {h * w * found.size} elements, but {flat.size} are given"
            )
        if flat.dtype.itemsize == 4 and bits == 16:
            words = flat.view(np.uint32).astype(np.uint16)
        elif flat.dtype.itemsize * 8 == bits:
            words = flat.view(_WORDS[bits])
        else:
            raise ProgramError(
                f"a copy of {bits}-bit elements takes an array of them or of 32-bit words, not of {flat.dtype}"
            )
        if order == "column":
            words = words.reshape((h, w, found.size), order="F")
        self._put(found, words, x, y, w, h)

    def copy_from(
        self,
        symbol: str,
        x: int,
        y: int,
        w: int,
        h: int,
        order: Literal["row", "column"] = "row",
        bits: Literal[16, 32] = 32,
    ) -> np.ndarray:
        """The reverse of `copy_to`: a flat array [h * w * n] of uint16 or uint32, the bits of the elements."""
        found = self._find(symbol, x, y, w, h)
        self._check_copy(found, order, bits)
        words = np.empty((h, w, found.size), _WORDS[bits])
        self._get(found, words, x, y, w, h)
        return words.ravel(order="F" if order == "column" else "C")

    def set_register(
        self, register: int, values, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None
    ) -> None:
        """Sets register `register` (0 to 31) of a rectangle's PEs.  values: a scalar or uint32 [h, w]."""
        w, h = self._extent(x, y, w, h)
        if not 0 <= register < _engine.REGISTERS:
            raise ProgramError(f"a register is 0 to {_engine.REGISTERS - 1}, not {register}")
        words = np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.uint32), (h, w)))
        self._engine.set_register(x, y, w, h, register, words)

    def read_bytes(
        self, address: int, size: int, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None
    ) -> np.ndarray:
        """uint8 [h, w, size]: `size` bytes of a rectangle's PEs, from a byte address.

        Raises ProgramError if they are not within a PE's memory.
        """
        w, h = self._extent(x, y, w, h)
        self._check_bytes(address, size)
        memory = np.empty((h, w, size), np.uint8)
        if size:
            self._engine.read(x, y, w, h, address, memory.reshape(-1))
        return memory

    def write_bytes(self, address: int, memory, x: int = 0, y: int = 0) -> None:
        """Writes uint8 [h, w, size] to the memory of the w x h PEs from (x, y), from a byte address.

        Raises ProgramError for another type or dimension, and for bytes outside a PE's memory.
        """
        memory = np.ascontiguousarray(memory)
        if memory.ndim != 3 or memory.dtype != np.uint8:
            raise ProgramError(f"bytes to write are uint8 [h, w, size], not {memory.dtype} {list(memory.shape)}")
        h, w, size = memory.shape
        self._extent(x, y, w, h)
        self._check_bytes(address, size)
        if size:
            self._engine.write(x, y, w, h, address, memory.reshape(-1))

    def _check_bytes(self, address: int, size: int) -> None:
        if not 0 <= address <= address + size <= _engine.SRAM:
            raise ProgramError(
                f"{size} bytes from address {address} on are not in the {_engine.SRAM} bytes of a PE's memory"
            )

    def _extent(self, x: int, y: int, w: int | None, h: int | None) -> tuple[int, int]:
        w = self.width - x if w is None else w
        h = self.height - y if h is None else h
        if x < 0 or y < 0 or w < 1 or h < 1 or x + w > self.width or y + h > self.height:
            raise ProgramError(
                f"the rectangle of {w} x {h} PEs at ({x}, {y}) is not in 0:{self.width} x 0:{self.height}"
            )
        return w, h

    def _classes(self, x: int, y: int, w: int, h: int, what: str) -> list[PEImage]:
        self._extent(x, y, w, h)
        found = values_in(self.image.class_of_pe[y : y + h, x : x + w])
        if found[-1] == NO_CLASS:
            where = self.image.class_of_pe[y : y + h, x : x + w] == NO_CLASS
            dy, dx = divmod(int(np.argmax(where)), w)
            raise ProgramError(f"PE ({x + dx}, {y + dy}) has no class, and so no {what}: place one there")
        return [self.image.classes[i] for i in found]

    def _find(self, symbol: str, x: int, y: int, w: int, h: int) -> Symbol:
        """The array of that name; ProgramError if address, type or shape differ between classes of the rectangle."""
        found: Symbol | None = None
        for pe in self._classes(x, y, w, h, f"array {symbol}"):
            have = pe.symbols.get(symbol) or self.image.shared.get(symbol)
            if have is None:
                raise ProgramError(f"{pe.label} has no array {symbol!r}: it has {', '.join(pe.symbols) or 'none'}")
            if found is None:
                found = have
            elif (found.address, found.dtype, found.shape) != (have.address, have.dtype, have.shape):
                raise ProgramError(
                    f"array {symbol} is {_where(found)} in {found.owner.label} "
                    f"and {_where(have)} in {have.owner.label}: "
                    "declare it with Program.shared_array, or copy class by class"
                )
        assert found is not None  # the rectangle has a PE, and each PE a class
        return found

    def _put(self, symbol: Symbol, bits: np.ndarray, x: int, y: int, w: int, h: int) -> None:
        if symbol.nbytes:
            self._engine.write(x, y, w, h, symbol.address, np.ascontiguousarray(bits).reshape(-1).view(np.uint8))

    def _get(self, symbol: Symbol, values: np.ndarray, x: int, y: int, w: int, h: int) -> None:
        if symbol.nbytes:
            self._engine.read(x, y, w, h, symbol.address, values.reshape(-1).view(np.uint8))

    def _check_copy(self, symbol: Symbol, order: str, bits: int) -> None:
        if order not in ("row", "column"):
            raise ProgramError(f'order is "row" or "column", not {order!r}')
        if bits not in _WORDS or symbol.itemsize * 8 != bits:
            raise ProgramError(f"array {symbol.name} has elements of {symbol.itemsize * 8} bits; bits is {bits!r}")


_WORDS: dict[int, np.dtype] = {16: np.dtype(np.uint16), 32: np.dtype(np.uint32)}


def _text(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _where(symbol: Symbol) -> str:
    return f"{symbol.dtype} [{_text(symbol.shape)}] at {symbol.address}"
