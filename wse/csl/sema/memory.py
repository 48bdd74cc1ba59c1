"""Initial memory: the bytes of values known at compile time, with relocations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...machine import numerics
from ..ir import descriptor, ir
from ..sema import types as t
from ..sema.convert import bits_of, fill, from_bits
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
        elif isinstance(kind, t.OptionalType):
            if data is not None:
                self.write(at, data)
                self.data[at + kind.flag] = 1
        elif isinstance(kind, t.StructType) and not kind.packed:
            for name, item in data.items():
                self.write(at + kind.offsets[name], item)
        elif isinstance(kind, t.StructType):
            self.write_packed(at, kind, data)
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

    def write_packed(self, at: int, kind: t.StructType, fields: dict[str, Val]) -> None:
        """The backing integer; pointers to variables get their addresses when the program is placed."""
        bits = 0
        for name, value in fields.items():
            offset = kind.bit_offsets[name]
            if isinstance(value.data, Ptr) and isinstance(value.data.target, GlobalVar):
                if offset % 8:
                    raise CslError.at(None, f"the pointer in field {name} of {kind} does not begin at a byte")
                self.relocations.append((at + offset // 8, self.unit.use(value.data.target), value.data.offset))
                continue
            part = bits_of(value)
            if part is None:
                raise CslError.at(None, f"the value of field {name} of {kind} cannot be stored in memory")
            bits |= part << offset
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


def value_in(kind: Type, data: bytes) -> Val | None:
    """The value that lies in memory; None of a type without one, such as a descriptor."""
    if isinstance(kind, t.ArrayType):
        size = kind.elem.size
        items = [value_in(kind.elem, data[i * size : (i + 1) * size]) for i in range(kind.count)]
        if any(item is None for item in items):
            return None
        return Val(kind, fill(kind, [item.data for item in items if item is not None]))
    if isinstance(kind, t.StructType) and not kind.packed:
        names = list(kind.offsets)[: 1 if kind.union else None]
        parts = {n: value_in(f := kind.fields[n][0], data[(o := kind.offsets[n]) : o + f.size]) for n in names}
        return None if None in parts.values() else Val(kind, parts)
    width = t.bit_width(kind)
    return None if width is None else from_bits(kind, int.from_bytes(data, "little") & ((1 << width) - 1))


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
