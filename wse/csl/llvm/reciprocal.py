"""Division of integers by constants: a multiplication by the reciprocal, and shifts.

The method is that of Granlund and Montgomery, "Division by Invariant Integers using Multiplication" (PLDI 1994).  The
machine multiplies 32 bits by 32 bits to the lower 32 of the product, which is the whole product of 16 bits by 16; the
upper half of a product of 32 bits is put together from four of those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir.ir import BITS, SIGNED, Const, Convert, Copy, Instr, Reg, Un, Value

MOST = 32  # bits of a dividend


def unsigned_magic(divisor: int, bits: int) -> tuple[int, int]:
    """m and s with n // divisor == n * m >> s for all n of so many bits; m may have one bit more."""
    for shift in range(bits, 2 * bits + 1):
        m = -(-(1 << shift) // divisor)
        if m * divisor - (1 << shift) <= 1 << shift - bits:
            return m, shift
    raise AssertionError(divisor)


def signed_magic(divisor: int, bits: int) -> tuple[int, int]:
    """m and s with (n * m >> s) + (n < 0) the quotient toward zero; divisor > 2 and no power of two."""
    shift = bits + (divisor - 1).bit_length() - 1
    return (1 << shift) // divisor + 1, shift


class Reciprocals:
    """The part of the raising that divides."""

    def by_constant(self, op: str, dst: Reg, a: Value, divisor: int, type: str) -> bool:
        """Emits dst = a op divisor, op div or rem; False if it stays a division.  type: of both, unsigned or signed."""
        bits = BITS[type]
        divisor &= (1 << bits) - 1
        if bits > MOST or divisor == 0 or isinstance(a, Const):
            return False
        signed = type in SIGNED
        negative = signed and divisor >> bits - 1 == 1
        size = (1 << bits) - divisor if negative else divisor
        unsigned = type.replace("i", "u")
        if size == 1:
            quotient: Value = a
        elif size & (size - 1) == 0:
            quotient = self.by_power(a, size.bit_length() - 1, type)
        else:
            quotient = self.signed_quotient(a, size, type) if signed else self.unsigned_quotient(a, size, type)
        if op == "rem":
            self.op("sub", a, self.op("mul", quotient, Const(unsigned, size), unsigned), unsigned, dst)
        elif negative:
            self.emit(Un("neg", dst, quotient, unsigned))
        else:
            self.emit(Copy(dst, quotient))
        return True

    def by_power(self, a: Value, power: int, type: str) -> Reg:
        """The quotient by 2^power: negative dividends are rounded up."""
        bits, unsigned = BITS[type], type.replace("i", "u")
        if type not in SIGNED:
            return self.op("shr", a, Const(unsigned, power), unsigned)
        sign = self.op("shr", a, Const(unsigned, bits - 1), type, self.new(unsigned))
        up = self.op("shr", sign, Const(unsigned, bits - power), unsigned)
        return self.op("shr", self.op("add", a, up, unsigned), Const(unsigned, power), type, self.new(unsigned))

    def unsigned_quotient(self, a: Value, divisor: int, type: str) -> Reg:
        bits = BITS[type]
        m, shift = unsigned_magic(divisor, bits)
        if bits < MOST:
            wide, found = self.converted_to(a, type, "u32"), self.new(type)
            if m >> 16:  # n * (2^16 + m) >> s, without the carry: (high + (n - high) / 2) >> s - 17
                high = self.op("shr", self.op("mul", wide, Const("u32", m & 0xFFFF), "u32"), Const("u32", 16), "u32")
                rest = self.op("shr", self.op("sub", wide, high, "u32"), Const("u32", 1), "u32")
                quotient = self.op("shr", self.op("add", rest, high, "u32"), Const("u32", shift - 17), "u32")
            else:
                quotient = self.op("shr", self.op("mul", wide, Const("u32", m), "u32"), Const("u32", shift), "u32")
            self.emit(Convert(found, quotient, "u32"))
            return found
        high = self.upper(a, m & 0xFFFFFFFF)
        if m >> 32:
            rest = self.op("shr", self.op("sub", a, high, "u32"), Const("u32", 1), "u32")
            return self.op("shr", self.op("add", rest, high, "u32"), Const("u32", shift - 33), "u32")
        return self.op("shr", high, Const("u32", shift - 32), "u32")

    def signed_quotient(self, a: Value, divisor: int, type: str) -> Reg:
        bits = BITS[type]
        m, shift = signed_magic(divisor, bits)
        if bits < MOST:
            wide = self.converted_to(a, type, "u32")
            product = self.op("mul", wide, Const("u32", m), "u32")
            near = self.op("shr", product, Const("u32", shift), "i32", self.new("u32"))
            sign = self.op("shr", wide, Const("u32", 31), "u32")
            quotient, found = self.op("add", near, sign, "u32"), self.new(type.replace("i", "u"))
            self.emit(Convert(found, quotient, "u32"))
            return found
        sign = self.op("shr", a, Const("u32", 31), "i32", self.new("u32"))
        high = self.op("sub", self.upper(a, m), self.op("and", sign, Const("u32", m), "u32"), "u32")
        near = self.op("shr", high, Const("u32", shift - 32), "i32", self.new("u32"))
        return self.op("sub", near, sign, "u32")

    def upper(self, a: Value, m: int) -> Reg:
        """The upper 32 bits of a * m, from the products of their halves."""
        low, high = Const("u32", m & 0xFFFF), Const("u32", m >> 16)
        half, mask = Const("u32", 16), Const("u32", 0xFFFF)
        a_low, a_high = self.op("and", a, mask, "u32"), self.op("shr", a, half, "u32")
        first = self.op("shr", self.op("mul", a_low, low, "u32"), half, "u32")
        second = self.op("add", self.op("mul", a_high, low, "u32"), first, "u32")
        third = self.op("add", self.op("mul", a_low, high, "u32"), self.op("and", second, mask, "u32"), "u32")
        most = self.op("add", self.op("mul", a_high, high, "u32"), self.op("shr", second, half, "u32"), "u32")
        return self.op("add", most, self.op("shr", third, half, "u32"), "u32")

    def converted_to(self, a: Value, type: str, to: str) -> Reg:
        wide = self.new(to)
        self.emit(Convert(wide, a, type))
        return wide

    if TYPE_CHECKING:

        def emit(self, instr: Instr) -> None: ...
        def op(self, op: str, a: Value, b: Value, type: str, dst: Reg | None = None) -> Reg: ...
        def new(self, type: str, name: str = "") -> Reg: ...
        def __getattr__(self, name: str) -> Any: ...
