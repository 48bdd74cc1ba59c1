"""Initial memory: the bytes of values known at compile time, with relocations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...machine import numerics
from ..ir import descriptor, ir
from ..sema import types as t
from ..sema.convert import bits_of
from ..sema.types import Type
from ..sema.values import FnRef, GlobalVar, Ptr, Sym, Val
from ..syntax.errors import CslError


class InitialMemory:
    """The initial memory of one variable.  varying: (offset, type, Sym) of parts that differ from PE to PE."""

    def __init__(self, unit: Any, size: int):
        self.unit = unit
        self.data = bytearray(size)
        self.relocations: list[tuple[int, str, int]] = []
        self.varying: list[tuple[int, Type, Sym]] = []

    def write(self, at: int, value: Val) -> None:
        """Stores the value at an offset."""
        kind, data = value.type, value.data
        if isinstance(data, np.ndarray):
            self.write_array(at, kind, data)
        elif isinstance(data, Sym):
            self.varying.append((at, kind, data))
        elif isinstance(kind, t.StructType):
            for name, offset in kind.offsets.items():
                self.write(at + offset, data[name])
        elif isinstance(data, ir.Dsd):
            made, relocations = descriptor.image(data)
            self.data[at : at + len(made)] = made
            self.relocations += [(at + offset, symbol, addend) for offset, symbol, addend in relocations]
        elif isinstance(data, Ptr):
            if isinstance(data.target, GlobalVar):
                self.relocations.append((at, self.unit.use(data.target), data.offset))
            elif data.target is None:
                self.data[at : at + 2] = (data.offset & 0xFFFF).to_bytes(2, "little")
            else:
                raise CslError.at(None, "a pointer to a compile-time variable cannot be stored in memory")
        elif isinstance(data, FnRef):
            assert isinstance(kind, t.PointerType)
            number = self.unit.pointers.number(data, kind.elem, None)
            self.data[at : at + 2] = number.to_bytes(2, "little")
        else:
            bits = bits_of(value)
            if bits is None or kind.size is None:
                raise CslError.at(None, f"a value of type {kind} cannot be stored in memory")
            if isinstance(data, int) and data < 0:
                bits = data & ((1 << 8 * kind.size) - 1)  # with the sign in all bits of the place
            self.data[at : at + kind.size] = bits.to_bytes(kind.size, "little")

    def write_array(self, at: int, kind: Type, data: np.ndarray) -> None:
        assert isinstance(kind, t.ArrayType)
        elem = kind.elem
        if elem in (t.BF16, t.CB16):
            data = numerics.to_bits(data, elem.name)
        elif data.dtype == object:
            size = elem.size or 0
            for i, item in enumerate(data.reshape(-1)):
                self.write(at + i * size, Val(elem, item.item() if isinstance(item, np.generic) else item))
            return
        made = np.ascontiguousarray(data).astype(data.dtype.newbyteorder("<")).tobytes()
        self.data[at : at + len(made)] = made


def sym_words(kind: Type, values: np.ndarray) -> np.ndarray:
    """The values of a Sym in the type's own format, for ir.PerPe."""
    if isinstance(kind, t.IntType):
        return values.astype(np.int64).astype(f"{'i' if kind.signed else 'u'}{kind.size}")
    if kind is t.F32:
        return values.astype(np.float32)
    if kind is t.F16:
        return values.astype(np.float16)
    if kind in (t.BF16, t.CB16):
        return numerics.to_bits(values, kind.name)
    if kind is t.BOOL:
        return values.astype(np.uint8)
    return values.astype(np.uint16)
