"""Selection of 64-bit integers as pairs of registers, low word first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir import ir
from ..ir.ir import BITS, SIGNED, Bin, Const, Reg, Value
from .mir import Imm, Ins, V

WIDE = ("i64", "u64")


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


class WideSelector:
    """The part of the Selector that deals with 64-bit integers."""

    at: ir.At | None

    def pair(self, value: Value) -> tuple[V | Imm, V | Imm]:
        """The two words of a value."""
        if isinstance(value, Reg):
            return self.v(value), self.high(value)
        assert isinstance(value, Const)
        bits = int(value.value) & (1 << 64) - 1
        return _signed(bits), _signed(bits >> 32)

    def word(self, part: V | Imm) -> V:
        return part if isinstance(part, V) else self.constant(part)

    def op(self, name: str, dst: V, a: V | Imm, b: V | Imm) -> None:
        self.emit(name, dst, self.word(a), **({"c": b} if isinstance(b, V) else {"imm": b}))

    def move(self, dst: V, a: V | Imm) -> None:
        self.emit("mov", dst, None, **({"c": a} if isinstance(a, V) else {"imm": a}))

    def wide(self, instr: ir.Instr) -> bool:
        """Selects the instruction if it deals with 64 bits; False if not."""
        dst = getattr(instr, "dst", None)
        operand = getattr(instr, "a", None) or getattr(instr, "value", None)
        types = [getattr(v, "type", None) for v in (dst, operand)]
        if isinstance(instr, ir.Call | ir.Return | ir.Vector | ir.DsdSet) or not any(t in WIDE for t in types):
            return False
        done = getattr(self, "wide_" + type(instr).__name__.lower(), None)
        if done is None:
            raise ir.Unsupported(f"{type(instr).__name__.lower()} of 64-bit integers is not supported", self.at)
        done(instr)
        return True

    def wide_copy(self, instr: ir.Copy) -> None:
        low, high = self.pair(instr.a)
        self.move(self.v(instr.dst), low)
        self.move(self.high(instr.dst), high)

    wide_bitcast = wide_copy

    def wide_load(self, instr: ir.Load) -> None:
        low = V("low")
        for part, at in ((low, 0), (self.high(instr.dst), 4)):
            base, imm = self.memory(instr.addr, instr.offset + at)
            self.emit("ld32", part, base, imm=imm)
        self.move(self.v(instr.dst), low)

    def wide_store(self, instr: ir.Store) -> None:
        for part, at in zip(self.pair(instr.value), (0, 4), strict=True):
            base, imm = self.memory(instr.addr, instr.offset + at)
            self.emit("st32", self.word(part), base, imm=imm)

    def wide_select(self, instr: ir.Select) -> None:
        cond = self.reg(instr.cond)
        parts = [(self.word(a), self.word(b)) for a, b in zip(self.pair(instr.a), self.pair(instr.b), strict=True)]
        low, high = V("low"), V("high")
        for dst, (a, b) in zip((low, high), parts, strict=True):
            self.emit("sel", dst, cond, a, b)
        self.move(self.v(instr.dst), low)
        self.move(self.high(instr.dst), high)

    def wide_un(self, instr: ir.Un) -> None:
        if instr.op == "not":
            for dst, part in zip((self.v(instr.dst), self.high(instr.dst)), self.pair(instr.a), strict=True):
                self.op("ixor", dst, part, -1)
            return
        if instr.op != "neg":
            raise ir.Unsupported(f"{instr.op} of 64-bit integers is not supported", self.at)
        kind = instr.type or instr.a.type
        self.wide_bin(Bin("sub", instr.dst, Const(kind, 0), instr.a, kind, at=instr.at))

    def wide_convert(self, instr: ir.Convert) -> None:
        have, want = instr.type or instr.a.type, instr.dst.type
        if have in WIDE and want in WIDE:
            self.wide_copy(ir.Copy(instr.dst, instr.a))
        elif want in WIDE:
            if have in ir.FLOAT:
                raise ir.Unsupported(f"conversion of {have} to {want} is not supported", self.at)
            source = self.extended(instr.a, have)
            if have in SIGNED:
                self.emit("isar32", self.high(instr.dst), source, imm=31)
            else:
                self.move(self.high(instr.dst), 0)
            self.move(self.v(instr.dst), source)
        elif want in ir.FLOAT:
            self.wide_to_float(instr)
        else:
            low, high = self.pair(instr.a)
            if want == "bool":
                either = V("either")
                self.op("ior", either, low, high)
                self.op("ine32", self.v(instr.dst), either, 0)
            elif BITS[want] < 32:
                self.emit(f"zext{BITS[want]}", self.v(instr.dst), None, self.word(low))
            else:
                self.move(self.v(instr.dst), low)

    def wide_to_float(self, instr: ir.Convert) -> None:
        """An integer of 64 bits as a float, rounded once.

        The magnitude is shifted left until its upper word has at least 26 significant bits; the lower word, if it is
        not 0, sets the last bit of the upper one (sticky bit).  The upper word then rounds as the whole would, and the
        multiplication by a power of two is exact.  A magnitude below 2^32 is its lower word alone.
        """
        low, high = (self.word(part) for part in self.pair(instr.a))
        signed, format = (instr.type or instr.a.type) in SIGNED, "s" if instr.dst.type == "f32" else "h"
        negative = V("negative")
        if signed:
            negative, low, high = self.wide_magnitude(low, high)
        small = V("small")
        self.emit(f"u2{format}", small, None, low)
        is_small = V("is_small")
        self.op("ieq32", is_small, high, 0)
        shift = V("shift")
        self.move(shift, 0)
        for step in (16, 8, 4):
            by, moved, rest, crossing, lower = (V(n) for n in ("by", "moved", "rest", "crossing", "lower"))
            self.op("iltu32", by, high, 1 << 32 - step)
            self.op("ishl32", by, by, step.bit_length() - 1)
            self.op("ishl32", moved, high, by)
            self.op("isub32", rest, 31, by)
            self.op("ishr32", crossing, low, 1)
            self.op("ishr32", crossing, crossing, rest)
            self.op("ior", moved, moved, crossing)
            self.op("ishl32", lower, low, by)
            self.op("iadd32", shift, shift, by)
            high, low = moved, lower
        sticky, scale, large, result = (V(n) for n in ("sticky", "scale", "large", "result"))
        self.op("ine32", sticky, low, 0)
        self.op("ior", sticky, sticky, high)
        self.emit(f"u2{format}", large, None, sticky)
        self.op("isub32", scale, 31, shift)
        self.op("ishl32", scale, 1, scale)
        self.emit(f"u2{format}", scale, None, scale)
        self.op(f"{format}mul", large, large, scale)
        self.op(f"{format}add", large, large, large)
        self.emit("sel", result, is_small, small, large)
        if signed:
            self.op("ishl32", negative, negative, 31 if format == "s" else 15)
            self.op("ixor", result, result, negative)
        self.move(self.v(instr.dst), result)

    def wide_magnitude(self, low: V, high: V) -> tuple[V, V, V]:
        """Whether a signed integer of 64 bits is negative (1 or 0), and its absolute value, low word and high word."""
        mask, negative, carry = V("mask"), V("negative"), V("carry")
        lower, upper = V("lower"), V("upper")
        self.op("isar32", mask, high, 31)
        self.op("ishr32", negative, high, 31)
        self.op("ixor", lower, low, mask)
        self.op("iadd32", lower, lower, negative)
        self.op("ieq32", carry, lower, 0)
        self.op("iand", carry, carry, negative)
        self.op("ixor", upper, high, mask)
        self.op("iadd32", upper, upper, carry)
        return negative, lower, upper

    def wide_bin(self, instr: ir.Bin) -> None:
        op = instr.op
        if op in ("shl", "shr"):
            self.wide_shift(instr)
            return
        (a, ah), (b, bh) = self.pair(instr.a), self.pair(instr.b)
        if op in ir.COMPARE:
            self.wide_compare(op, instr.type or instr.a.type, self.v(instr.dst), (a, ah), (b, bh))
            return
        dst, dsth, low, high = self.v(instr.dst), self.high(instr.dst), V("low"), V("high")
        match op:
            case "and" | "or" | "xor":
                name = {"and": "iand", "or": "ior", "xor": "ixor"}[op]
                self.op(name, low, a, b)
                self.op(name, high, ah, bh)
            case "add":
                carry = V("carry")
                self.op("iadd32", low, a, b)
                self.op("iltu32", carry, low, a)
                self.op("iadd32", high, ah, bh)
                self.op("iadd32", high, high, carry)
            case "sub":
                borrow = V("borrow")
                self.op("iltu32", borrow, a, b)
                self.op("isub32", low, a, b)
                self.op("isub32", high, ah, bh)
                self.op("isub32", high, high, borrow)
            case "mul":
                self.multiply(low, high, (a, ah), (b, bh))
            case _:
                raise ir.Unsupported("division of 64-bit integers is not supported", self.at)
        self.move(dst, low)
        self.move(dsth, high)

    def multiply(self, low: V, high: V, a: Any, b: Any) -> None:
        """The lower 64 bits of the product, from products of halves."""
        x, y = self.word(a[0]), self.word(b[0])
        x0, x1, y0, y1, mid, top, cross, carry = (
            V(n) for n in ("x0", "x1", "y0", "y1", "mid", "top", "cross", "carry")
        )
        for word, lower, upper in ((x, x0, x1), (y, y0, y1)):
            self.emit("zext16", lower, None, word)
            self.emit("ishr32", upper, word, imm=16)
        self.op("imul32", mid, x0, y0)
        self.op("ishr32", mid, mid, 16)
        self.op("imul32", cross, x1, y0)
        self.op("iadd32", mid, mid, cross)
        self.op("iltu32", carry, mid, cross)
        self.op("imul32", cross, x0, y1)
        self.op("iadd32", mid, mid, cross)
        self.op("iltu32", top, mid, cross)
        self.op("iadd32", carry, carry, top)
        self.op("ishl32", carry, carry, 16)
        self.op("imul32", high, x1, y1)
        self.op("iadd32", high, high, carry)
        self.op("ishr32", mid, mid, 16)
        self.op("iadd32", high, high, mid)
        for p, q in ((x, b[1]), (y, a[1])):
            part = V("part")
            self.op("imul32", part, p, q)
            self.op("iadd32", high, high, part)
        self.op("imul32", low, x, y)

    def wide_compare(self, op: str, type: str, dst: V, a: Any, b: Any) -> None:
        if op in ("gt", "ge"):
            a, b, op = b, a, "lt" if op == "gt" else "le"
        if op in ("eq", "ne"):
            low, high = V("low"), V("high")
            self.op("ixor", low, a[0], b[0])
            self.op("ixor", high, a[1], b[1])
            self.op("ior", low, low, high)
            self.op(f"i{op}32", dst, low, 0)
            return
        same, less, below = V("same"), V("less"), V("below")
        self.op("ieq32", same, a[1], b[1])
        self.op(f"ilt{'s' if type in SIGNED else 'u'}32", less, a[1], b[1])
        self.op(f"i{op}u32", below, a[0], b[0])
        self.emit("sel", dst, same, below, less)

    def wide_shift(self, instr: ir.Bin) -> None:
        """By any count: what crosses the words is shifted by 32 - n, which gives nothing for n = 0 as two shifts."""
        a, ah = (self.word(part) for part in self.pair(instr.a))
        left, n, rest, over, cross, big = instr.op == "shl", V("n"), V("rest"), V("over"), V("cross"), V("big")
        low, high = V("low"), V("high")
        count = self.pair(instr.b)[0] if BITS[instr.b.type] == 64 else self.operand(instr.b)
        self.move(n, count)
        thirty_one = self.constant(31)
        self.op("isub32", rest, thirty_one, n)
        self.op("isub32", over, n, 32)
        self.op("iltu32", big, thirty_one, n)
        right = "isar32" if (instr.type or instr.a.type) in SIGNED else "ishr32"
        one, far, fill = V("one"), V("far"), V("fill")
        if left:
            self.op("ishr32", one, a, 1)
            self.op("ishr32", cross, one, rest)
            self.op("ishl32", low, a, n)
            self.op("ishl32", high, ah, n)
            self.op("ior", high, high, cross)
            self.op("ishl32", far, a, over)
            self.emit("sel", high, big, far, high)
        else:
            self.op("ishl32", one, ah, 1)
            self.op("ishl32", cross, one, rest)
            self.op("ishr32", low, a, n)
            self.op("ior", low, low, cross)
            self.op(right, far, ah, over)
            self.emit("sel", low, big, far, low)
            self.op(right, fill, ah, n)
            self.move(high, fill)
        self.move(self.v(instr.dst), low)
        self.move(self.high(instr.dst), high)

    if TYPE_CHECKING:  # what the Selector has

        def emit(self, op: str, *fields: Any, **more: Any) -> Ins: ...
        def __getattr__(self, name: str) -> Any: ...
