"""LLVM's intrinsics, and integers of widths that the machine lacks, with operations that the machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir.ir import BITS, Bin, Bitcast, Const, Convert, Copy, Fill, Instr, Reg, Select, Un, Value
from .text import Inst

BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor", "shl": "shl", "lshr": "shr",
    "ashr": "shr", "udiv": "div", "sdiv": "div", "urem": "rem", "srem": "rem", "fadd": "add", "fsub": "sub",
    "fmul": "mul", "fdiv": "div",
}  # fmt: skip
WIDTHS = ("i1", "i8", "i16", "i32", "i64")
ORDER = {"smax": ("gt", "i"), "smin": ("lt", "i"), "umax": ("gt", "u"), "umin": ("lt", "u")}


class Expansions:
    """The part of the raising that writes one instruction as several."""

    def op(self, op: str, a: Value, b: Value, type: str, dst: Reg | None = None) -> Reg:
        """Emits a op b; the register of the result."""
        dst = dst or self.new("bool" if op in ("eq", "ne", "lt", "le", "gt", "ge") else type.replace("i", "u"))
        self.emit(Bin(op, dst, a, b, type))
        return dst

    def choose(self, cond: Value, a: Value, b: Value, type: str, dst: Reg | None = None) -> Reg:
        dst = dst or self.new(type)
        self.emit(Select(dst, cond, a, b))
        return dst

    # Intrinsics.

    def intrinsic(self, inst: Inst) -> None:
        name = inst.detail.split(".")
        if name[1] in ("memset", "memcpy", "memmove"):
            self.fill(inst, name[1])
            return
        args = self.args(inst)
        done = getattr(self, "call_" + name[1], None)
        if is_odd(inst.type):
            self.odd_intrinsic(inst, name[1], args)
        elif name[1] in ORDER:
            self.call_order(inst, name[1], args)
        elif name[-2:] == ["with", "overflow"] or "overflow" in name:
            self.overflow(inst, name[1], args)
        elif "sat" in name:
            self.saturated(inst, name[1], args)
        elif name[1] == "is":
            self.float_class(inst, args)
        elif done is not None:
            done(inst, args)
        else:
            raise AssertionError(f"LLVM intrinsic {inst.detail}")

    def fill(self, inst: Inst, name: str) -> None:
        to, other, size = self.args(inst)[:3]
        if not isinstance(size, Const) or name == "memmove":
            raise AssertionError(f"LLVM intrinsic {inst.detail} of {size}")
        if name == "memcpy":
            self.emit(Fill(to, int(size.value) & 0xFFFF, other))
        elif isinstance(other, Const) and int(other.value) == 0:
            self.emit(Fill(to, int(size.value) & 0xFFFF))
        else:
            raise AssertionError("memset of a value that is not 0")

    def call_order(self, inst: Inst, name: str, args: list[Value]) -> None:
        test, sign = ORDER[name]
        type = f"{sign}{inst.type[1:]}"
        a, b = args
        self.choose(self.op(test, a, b, type), a, b, "", self.reg(inst))

    def call_abs(self, inst: Inst, args: list[Value]) -> None:
        if inst.type == "i64":
            minus = self.new("u64")
            self.emit(Un("neg", minus, args[0], "u64"))
            negative = self.op("lt", args[0], Const("i64", 0), "i64")
            self.choose(negative, minus, args[0], "", self.reg(inst))
        else:
            self.emit(Un("abs", self.reg(inst), args[0], f"i{inst.type[1:]}"))

    def call_fabs(self, inst: Inst, args: list[Value]) -> None:
        self.emit(Un("abs", self.reg(inst), args[0], "f16" if inst.type == "half" else "f32"))

    def call_copysign(self, inst: Inst, args: list[Value]) -> None:
        type, sign = ("u16", 1 << 15) if inst.type == "half" else ("u32", 1 << 31)
        bits = [self.new(type), self.new(type)]
        for reg, value in zip(bits, args, strict=True):
            self.emit(Bitcast(reg, value))
        size = self.op("and", bits[0], Const(type, sign - 1), type)
        whole = self.op("or", size, self.op("and", bits[1], Const(type, sign), type), type)
        self.emit(Bitcast(self.reg(inst), whole))

    def call_fshl(self, inst: Inst, args: list[Value], left: bool = True) -> None:
        a, b, by = args
        bits, type = int(inst.type[1:]), f"u{inst.type[1:]}"
        if isinstance(by, Const):
            shift: Value = Const(type, int(by.value) % bits)
            back: Value = Const(type, bits - int(by.value) % bits)
        else:
            shift = self.op("and", by, Const(type, bits - 1), type)
            back = self.op("sub", Const(type, bits), shift, type)
        up, down = (shift, back) if left else (back, shift)
        high, low = self.op("shl", a, up, type), self.op("shr", b, down, type)
        self.op("or", high, low, type, self.reg(inst))

    def call_fshr(self, inst: Inst, args: list[Value]) -> None:
        self.call_fshl(inst, args, left=False)

    def swapped(self, value: Value, type: str, step: int) -> Reg:
        """Neighboring groups of `step` bits exchanged."""
        bits = BITS[type]
        mask = sum(((1 << step) - 1) << at for at in range(0, bits, 2 * step))
        low = self.op("shl", self.op("and", value, Const(type, mask), type), Const(type, step), type)
        high = self.op("and", self.op("shr", value, Const(type, step), type), Const(type, mask), type)
        return self.op("or", low, high, type)

    def call_bswap(self, inst: Inst, args: list[Value], least: int = 8) -> None:
        type, value = f"u{inst.type[1:]}", args[0]
        step = BITS[type] // 2
        while step >= least:
            value = self.swapped(value, type, step)
            step //= 2
        self.emit(Copy(self.reg(inst), value))

    def call_bitreverse(self, inst: Inst, args: list[Value]) -> None:
        if inst.type == "i1":  # LLVM narrows to a bit what is compared only
            self.emit(Copy(self.reg(inst), args[0]))
        else:
            self.call_bswap(inst, args, least=1)

    def call_ctpop(self, inst: Inst, args: list[Value]) -> None:
        self.emit(Convert(self.reg(inst), self.ones(args[0], f"u{inst.type[1:]}"), f"u{inst.type[1:]}"))

    def ones(self, value: Value, type: str) -> Value:
        """The number of ones: sums of pairs, of fours, and so on."""
        bits, step = BITS[type], 1
        while step < bits:
            mask = Const(type, sum(((1 << step) - 1) << at for at in range(0, bits, 2 * step)))
            low = self.op("and", value, mask, type)
            high = self.op("and", self.op("shr", value, Const(type, step), type), mask, type)
            value = self.op("add", low, high, type)
            step *= 2
        return value

    def call_cttz(self, inst: Inst, args: list[Value]) -> None:
        """Trailing zeros: the ones below the lowest one."""
        type = f"u{inst.type[1:]}"
        below = self.op("sub", args[0], Const(type, 1), type)
        inverse = self.new(type)
        self.emit(Un("not", inverse, args[0], type))
        self.emit(Copy(self.reg(inst), self.ones(self.op("and", below, inverse, type), type)))

    def call_ctlz(self, inst: Inst, args: list[Value]) -> None:
        """Leading zeros: the zeros left when all bits below the highest one are set."""
        type, value, step = f"u{inst.type[1:]}", args[0], 1
        while step < BITS[type]:
            value = self.op("or", value, self.op("shr", value, Const(type, step), type), type)
            step *= 2
        self.op("sub", Const(type, BITS[type]), self.ones(value, type), type, self.reg(inst))

    def three_way(self, inst: Inst, args: list[Value], sign: str) -> None:
        operands = f"{sign}{inst.types[0][1:]}"
        dst = self.reg(inst)
        a, b = args
        less, more = self.op("lt", a, b, operands), self.op("gt", a, b, operands)
        first = self.choose(more, Const(dst.type, 1), Const(dst.type, 0), dst.type)
        self.choose(less, Const(dst.type, -1), first, dst.type, dst)

    def call_ucmp(self, inst: Inst, args: list[Value]) -> None:
        self.three_way(inst, args, "u")

    def call_scmp(self, inst: Inst, args: list[Value]) -> None:
        self.three_way(inst, args, "i")

    def saturated(self, inst: Inst, name: str, args: list[Value]) -> None:
        type = f"u{inst.type[1:]}"
        a, b = args
        if name == "usub":
            low = self.op("lt", a, b, type)
            self.choose(low, Const(type, 0), self.op("sub", a, b, type), type, self.reg(inst))
        elif name == "uadd":
            total = self.op("add", a, b, type)
            self.choose(self.op("lt", total, a, type), Const(type, -1), total, type, self.reg(inst))
        else:
            bits, signed = BITS[type], f"i{inst.type[1:]}"
            total, over = self.signed_overflow(name, a, b, type)
            limit = self.op("shr", a, Const(type, bits - 1), signed)
            limit = self.op("xor", limit, Const(type, (1 << bits - 1) - 1), type)
            self.choose(over, limit, total, type, self.reg(inst))

    def signed_overflow(self, name: str, a: Value, b: Value, type: str) -> tuple[Reg, Reg]:
        """a + b or a - b of signed integers, and whether the result's sign is wrong."""
        total = self.op(name[1:], a, b, type)
        first = self.op("xor", a, total, type)
        second = self.op("xor", b if name == "sadd" else a, total if name == "sadd" else b, type)
        over = self.op("lt", self.op("and", first, second, type), Const(type, 0), type.replace("u", "i"))
        return total, over

    def overflow(self, inst: Inst, name: str, args: list[Value]) -> None:
        """A result and whether it left the range."""
        width = inst.types[0]
        type, bits = f"u{width[1:]}", int(width[1:])
        a, b = args
        if name == "uadd":
            total = self.op("add", a, b, type)
            over = self.op("lt", total, a, type)
        elif name == "usub":
            total, over = self.op("sub", a, b, type), self.op("lt", a, b, type)
        elif name in ("sadd", "ssub"):
            total, over = self.signed_overflow(name, a, b, type)
        elif bits < 64:
            signed = name == "smul"
            have, wide = type.replace("u", "i") if signed else type, "i64" if signed else "u64"
            parts = [self.new("u64"), self.new("u64")]
            for reg, value in zip(parts, args, strict=True):
                self.emit(Convert(reg, value, have))
            product, total, again = self.op("mul", parts[0], parts[1], "u64"), self.new(type), self.new("u64")
            self.emit(Convert(total, product, "u64"))
            self.emit(Convert(again, total, have))
            over = self.op("ne", again, product, wide)
        else:
            raise AssertionError(f"LLVM intrinsic {inst.detail}")
        self.parts[inst.name] = [total, over]

    def float_class(self, inst: Inst, args: list[Value]) -> None:
        """llvm.is.fpclass: whether a float is of one of the classes of a mask (bits 0 to 9: signaling NaN, quiet NaN,
        then -inf, -normal, -subnormal, -0, +0, +subnormal, +normal, +inf)."""
        half = inst.types[0] == "half"
        type, digits, exponents = ("u16", 10, 0x1F) if half else ("u32", 23, 0xFF)
        mask = int(args[1].value) if isinstance(args[1], Const) else 0
        bits, infinite, normal = self.new(type), exponents << digits, 1 << digits
        sign = 1 << BITS[type] - 1
        self.emit(Bitcast(bits, args[0]))
        ranges = [
            (2, sign | infinite, sign | infinite), (3, sign | normal, (sign | infinite) - 1),
            (4, sign | 1, (sign | normal) - 1), (5, sign, sign), (6, 0, 0), (7, 1, normal - 1),
            (8, normal, infinite - 1), (9, infinite, infinite),
        ]  # fmt: skip
        quiet = 1 << digits - 1
        for low in (infinite, sign | infinite):
            ranges += [(0, low + 1, low + quiet - 1), (1, low + quiet, low + normal - 1)]
        found: Value = Const("bool", 0)
        for n, low, high in ranges:
            if mask >> n & 1:
                off = self.op("sub", bits, Const(type, low), type)
                inside = self.op("le", off, Const(type, high - low), type)
                found = inside if isinstance(found, Const) else self.op("or", found, inside, "bool")
        self.emit(Copy(self.reg(inst), found))

    # Integers of other widths: in the next larger register, the bits above are zero.

    def odd(self, inst: Inst) -> bool:
        """Whether the instruction deals with an integer of another width; it is emitted then."""
        if not any(is_odd(type) for type in (inst.type, *inst.types)):
            return False
        if inst.op in ("zext", "sext", "trunc"):
            have, want = int(inst.types[0][1:]), int(inst.type[1:])
            value = self.value(inst.args[0], inst.types[0])
            if inst.op == "sext":
                value = self.extended(value, have)
            wide = self.new(container(want))
            self.emit(Convert(wide, value, value.type.replace("u", "i") if inst.op == "sext" else value.type))
            self.emit(Copy(self.reg(inst), self.masked(wide, want)))
            return True
        bits = int(inst.type[1:])
        a, b = (self.value(text, inst.type) for text in inst.args)
        type = container(bits)
        if inst.op == "icmp":
            test = inst.detail if inst.detail in ("eq", "ne") else inst.detail[1:]
            if inst.detail[0] == "s":
                a, b, type = self.extended(a, bits), self.extended(b, bits), type.replace("u", "i")
            self.op(test, a, b, type, self.reg(inst))
            return True
        op = BINARY[inst.op]
        if inst.op in ("ashr", "sdiv", "srem"):
            a, signed = self.extended(a, bits), type.replace("u", "i")
            b = b if inst.op == "ashr" else self.extended(b, bits)
            self.emit(Copy(self.reg(inst), self.masked(self.op(op, a, b, signed, self.new(type)), bits)))
        else:
            self.emit(Copy(self.reg(inst), self.masked(self.op(op, a, b, type), bits)))
        return True

    def odd_intrinsic(self, inst: Inst, name: str, args: list[Value]) -> None:
        """An intrinsic of such an integer, by the one of the larger register."""
        bits = int(inst.type[1:])
        type = container(bits)
        more, dst = Const(type, BITS[type] - bits), self.reg(inst)
        whole = Reg(type)
        self.regs[inst.name] = whole
        wide = Inst("call", inst.name, f"i{BITS[type]}", inst.args, inst.types, inst.detail, inst.line)
        if name in ("smax", "smin", "abs"):
            args = [self.extended(arg, bits) for arg in args]
        if name == "cttz":
            args = [self.op("or", args[0], Const(type, 1 << bits), type), *args[1:]]
        if name in ("fshl", "fshr", "bswap") or (name in ORDER) == (
            name in ("bitreverse", "ctlz", "cttz", "ctpop", "abs")
        ):
            raise AssertionError(f"LLVM intrinsic {inst.detail}")
        if name in ORDER:
            self.call_order(wide, name, args)
        else:
            getattr(self, "call_" + name)(wide, args)
        self.regs[inst.name] = dst
        if name == "bitreverse":
            self.op("shr", whole, more, type, dst)
        elif name == "ctlz":
            self.op("sub", whole, more, type, dst)
        else:
            self.emit(Copy(dst, self.masked(whole, bits)))

    def masked(self, value: Reg, bits: int) -> Reg:
        if bits == BITS[value.type]:
            return value
        return self.op("and", value, Const(value.type, (1 << bits) - 1), value.type)

    def extended(self, value: Value, bits: int) -> Value:
        """The value of a signed integer of this many bits in its whole register."""
        type = container(bits)
        if isinstance(value, Const):
            number = int(value.value) & (1 << bits) - 1
            return Const(type, number - (1 << bits) if number >> bits - 1 else number)
        up = Const(type, BITS[type] - bits)
        return self.op("shr", self.op("shl", value, up, type), up, type.replace("u", "i"), self.new(type))

    if TYPE_CHECKING:

        def emit(self, instr: Instr) -> None: ...
        def new(self, type: str, name: str = "") -> Reg: ...
        def reg(self, inst: Inst) -> Reg: ...
        def args(self, inst: Inst) -> list[Value]: ...
        def value(self, text: str, type: str) -> Value: ...
        def __getattr__(self, name: str) -> Any: ...


def is_odd(type: str) -> bool:
    return type[0:1] == "i" and type[1:].isdigit() and type not in WIDTHS


def container(bits: int) -> str:
    """The type of the register that holds an integer of this many bits."""
    return "u8" if bits <= 8 else "u16" if bits <= 16 else "u32" if bits <= 32 else "u64"
