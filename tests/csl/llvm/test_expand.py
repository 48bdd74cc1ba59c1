"""LLVM's intrinsics and integers of other widths, raised from text and run, against Python.

Covers: wse/csl/llvm/expand.py, wse/csl/llvm/raising.py
"""

from __future__ import annotations

import math
import struct

import pytest

from csl.backend import Pe
from wse.csl.ir.ir import Addr, Bin, Block, Call, Const, Function, Reg, Return, Store
from wse.csl.llvm.lower import Module
from wse.csl.llvm.raising import raise_module

TYPES = {"i8": "u8", "i16": "u16", "i32": "u32", "i64": "u64", "float": "f32", "half": "f16", "i1": "bool"}


def raised(body: str, type: str, number: int, result: str | None = None) -> Function:
    """The function of %a, %b .., `number` parameters of a type, whose lines are `body`."""
    params = ", ".join(f"{type} %{'abc'[i]}" for i in range(number))
    text = f"define {result or type} @f.0({params}) {{\nentry:\n{body}\n}}\n"
    shell = Function("f", [Reg(TYPES[type]) for _ in range(number)], TYPES[result or type], [Block(0, [])])
    (function,) = raise_module(Module(functions=[shell]), text)
    return function


def run(body: str, type: str, cases: list[tuple], result: str | None = None) -> list[int]:
    """What `body`, the lines of a function of %a, %b of a type, returns for each case; executed on one PE."""
    kind, out = TYPES[type], TYPES[result or type]
    function = raised(body, type, len(cases[0]), result)
    main = Function("main", [], None, [Block(0, [])])
    size = {"u8": 1, "bool": 1, "u16": 2, "f16": 2, "u32": 4, "f32": 4, "u64": 8}[out]
    for i, case in enumerate(cases):
        got = Reg(out)
        main.blocks[0].code += [
            Call(got, "f", [Const(kind, value) for value in case]),
            Store(Addr("out"), got, i * size),
        ]
    main.blocks[0].code.append(Return())
    pe = Pe([function, main], {"out": (out, [0] * len(cases))}, level=0)
    pe.call("main")
    return pe.read("out").tolist()


def call(name: str, type: str, *args: str) -> str:
    return f"  %r = call {type} @llvm.{name}.{type}({', '.join(f'{type} {a}' for a in args)})\n  ret {type} %r"


PAIRS = [(0, 0), (1, 0xFFFF), (0x8000, 1), (0x7FFF, 0x8000), (300, 40000), (65535, 65535), (5, 3)]


def signed(value: int, bits: int = 16) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("smax", lambda a, b: max(a, b, key=signed)),
        ("smin", lambda a, b: min(a, b, key=signed)),
        ("umax", max),
        ("umin", min),
        ("uadd.sat", lambda a, b: min(a + b, 65535)),
        ("usub.sat", lambda a, b: max(a - b, 0)),
        ("sadd.sat", lambda a, b: max(min(signed(a) + signed(b), 32767), -32768) & 0xFFFF),
        ("ssub.sat", lambda a, b: max(min(signed(a) - signed(b), 32767), -32768) & 0xFFFF),
        ("ucmp", lambda a, b: ((a > b) - (a < b)) & 0xFFFF),
        ("scmp", lambda a, b: ((signed(a) > signed(b)) - (signed(a) < signed(b))) & 0xFFFF),
    ],
)
def test_of_two_numbers(name, wanted):
    assert run(call(name, "i16", "%a", "%b"), "i16", PAIRS) == [wanted(a, b) for a, b in PAIRS]


def reverse(value: int, bits: int) -> int:
    return int(f"{value:0{bits}b}"[::-1], 2)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize(
    "name, wanted",
    [
        ("ctpop", lambda a, bits: a.bit_count()),
        ("bitreverse", reverse),
        ("bswap", lambda a, bits: int.from_bytes(a.to_bytes(bits // 8, "little"), "big")),
        ("cttz", lambda a, bits: (a & -a).bit_length() - 1 if a else bits),
        ("ctlz", lambda a, bits: bits - a.bit_length()),
        ("abs", lambda a, bits: abs(signed(a, bits)) & (1 << bits) - 1),
    ],
)
def test_of_one_number(name, wanted, bits):
    if name == "bswap" and bits == 8:
        pytest.skip("LLVM has no such intrinsic")
    type = f"i{bits}"
    cases = [(value & (1 << bits) - 1,) for value in (0, 1, 2, 0x55AA55AA12345678, -1, -2, 1 << bits - 1, 77)]
    more = ", i1 false" if name in ("cttz", "ctlz", "abs") else ""
    body = f"  %r = call {type} @llvm.{name}.{type}({type} %a{more})\n  ret {type} %r"
    assert run(body, type, cases) == [wanted(a, bits) for (a,) in cases]


@pytest.mark.parametrize("name", ["fshl", "fshr"])
@pytest.mark.parametrize("by", ["%c", "5", "0"])
def test_funnel_shifts(name, by):
    cases = [(0x1234, 0xABCD, n) for n in (0, 1, 15, 16, 17, 31)]
    got = run(call(name, "i16", "%a", "%b", by), "i16", cases)
    for (a, b, c), value in zip(cases, got, strict=True):
        n = (c if by == "%c" else int(by)) % 16
        whole = a << 16 | b
        assert value == ((whole << n) >> 16 if name == "fshl" else whole >> n) & 0xFFFF


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("name", ["uadd", "usub", "sadd", "ssub", "umul", "smul"])
def test_overflow(name, bits):
    type, most = f"i{bits}", (1 << bits) - 1
    cases = [(0, 0), (1, most), (most, most), (1 << bits - 1, 1), (1 << bits - 1, most), (3, 5), (most >> 1, 2)]
    whole = f"{{ {type}, i1 }}"
    head = f"  %t = call {whole} @llvm.{name}.with.overflow.{type}({type} %a, {type} %b)\n"
    values = run(f"{head}  %r = extractvalue {whole} %t, 0\n  ret {type} %r", type, cases)
    flags = run(f"{head}  %r = extractvalue {whole} %t, 1\n  ret i1 %r", type, cases, "i1")
    for (a, b), value, flag in zip(cases, values, flags, strict=True):
        x, y = (signed(a, bits), signed(b, bits)) if name[0] == "s" else (a, b)
        exact = {"add": x + y, "sub": x - y, "mul": x * y}[name[1:]]
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if name[0] == "s" else (0, most)
        assert value == exact & most
        assert flag == (not low <= exact <= high)


FLOATS = [0.0, -0.0, 1.0, -2.5, 1e-40, -1e-40, math.inf, -math.inf, 3e38]


def bits_of(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


@pytest.mark.parametrize("mask", [3, 0x60, 0x204, 0x108, 0x90, 0x3FF, 0])
def test_classes_of_floats(mask):
    def kind(value: float) -> int:
        negative = math.copysign(1, value) < 0
        if math.isinf(value):
            return 2 if negative else 9
        if value == 0:
            return 5 if negative else 6
        if abs(value) < 2.0**-126:
            return 4 if negative else 7
        return 3 if negative else 8

    numbers = [(value,) for value in FLOATS]
    body = f"  %r = call i1 @llvm.is.fpclass.f32(float %a, i32 {mask})\n  ret i1 %r"
    assert run(body, "float", numbers, "i1") == [mask >> kind(a) & 1 for (a,) in numbers]
    nans = [(0x7FC00000,), (0xFFC00001,), (0x7F800001,)]
    body = f"  %x = bitcast i32 %a to float\n{body.replace('%a', '%x')}"
    assert run(body, "i32", nans, "i1") == [mask >> 1 & 1, mask >> 1 & 1, mask & 1]


def test_signs_of_floats():
    cases = [(a, b) for a in FLOATS for b in FLOATS[:4]]
    got = run("  %r = call float @llvm.copysign.f32(float %a, float %b)\n  ret float %r", "float", cases)
    assert [bits_of(v) for v in got] == [bits_of(math.copysign(a, b)) for a, b in cases]
    got = run("  %r = call float @llvm.fabs.f32(float %a)\n  ret float %r", "float", [(a,) for a in FLOATS])
    assert [bits_of(v) for v in got] == [bits_of(abs(a)) for a in FLOATS]


@pytest.mark.parametrize("test, wanted", [
    ("ueq", lambda a, b: not (a < b or a > b)), ("one", lambda a, b: a < b or a > b),
    ("ult", lambda a, b: not a >= b), ("uge", lambda a, b: not a < b), ("ugt", lambda a, b: not a <= b),
    ("ule", lambda a, b: not a > b), ("ord", lambda a, b: a == a and b == b),
    ("uno", lambda a, b: a != a or b != b), ("une", lambda a, b: a != b), ("oeq", lambda a, b: a == b),
])  # fmt: skip
def test_comparisons_with_nan(test, wanted):
    values = {0x7FC00000: math.nan, 0: 0.0, 0x3F800000: 1.0, 0xBF800000: -1.0}
    cases = [(a, b) for a in values for b in values]
    body = (
        f"  %x = bitcast i32 %a to float\n  %y = bitcast i32 %b to float\n  %r = fcmp {test} float %x, %y\n  ret i1 %r"
    )
    assert run(body, "i32", cases, "i1") == [int(wanted(values[a], values[b])) for a, b in cases]


EXACT = {
    "add": lambda x, y, sx, sy: x + y, "sub": lambda x, y, sx, sy: x - y, "mul": lambda x, y, sx, sy: x * y,
    "lshr": lambda x, y, sx, sy: x >> y, "ashr": lambda x, y, sx, sy: sx >> y, "shl": lambda x, y, sx, sy: x << y,
    "icmp slt": lambda x, y, sx, sy: sx < sy, "icmp ult": lambda x, y, sx, sy: x < y,
    "sdiv": lambda x, y, sx, sy: int(math.copysign(abs(sx) // abs(sy), sx * sy)),
    "urem": lambda x, y, sx, sy: x % y,
}  # fmt: skip


@pytest.mark.parametrize("width", [3, 5, 13, 24, 33, 50])
@pytest.mark.parametrize("op", EXACT)
def test_other_widths(op, width):
    cases = [(a * 0x9E3779B97F4A7C15 & (1 << 64) - 1, 3 + a) for a in range(8)]
    odd, mask = f"i{width}", (1 << width) - 1
    body = f"  %x = trunc i64 %a to {odd}\n  %y = trunc i64 %b to {odd}\n"
    shift = op in ("lshr", "ashr", "shl")
    if shift:
        cases = [(a, b % width) for a, b in cases]
    if op.startswith("icmp"):
        body += f"  %t = {op} {odd} %x, %y\n  %r = zext i1 %t to i64\n  ret i64 %r"
    else:
        body += f"  %t = {op} {odd} %x, %y\n  %r = sext {odd} %t to i64\n  ret i64 %r"
    if op in ("sdiv", "urem") and width > 32:
        pytest.skip("divisions of 64 bits are calls")
    if op in ("sdiv", "urem"):
        cases = [(a, b % 3 + 1) for a, b in cases]
    got = run(body, "i64", cases)
    for (a, b), value in zip(cases, got, strict=True):
        x, y = a & mask, b & mask
        sx, sy = signed(x, width), signed(y, width)
        exact = EXACT[op](x, y, sx, sy)
        wanted = int(exact) if op.startswith("icmp") else signed(exact & mask, width) & (1 << 64) - 1
        assert value == wanted, (hex(a), b)


@pytest.mark.parametrize("width", [2, 5, 11, 20])
@pytest.mark.parametrize("name", ["bitreverse", "ctpop", "cttz", "ctlz", "smax", "umin"])
def test_intrinsics_of_other_widths(name, width):
    odd, mask = f"i{width}", (1 << width) - 1
    cases = [(a * 2654435761 & 0xFFFFFFFF, a * 40503 & 0xFFFFFFFF) for a in range(9)]
    args = f"{odd} %x, {odd} %y" if name in ("smax", "umin") else f"{odd} %x"
    args += ", i1 false" if name[:2] == "ct" and name != "ctpop" else ""
    body = (
        f"  %x = trunc i32 %a to {odd}\n  %y = trunc i32 %b to {odd}\n"
        f"  %t = call {odd} @llvm.{name}.{odd}({args})\n  %r = zext {odd} %t to i32\n  ret i32 %r"
    )
    got = run(body, "i32", cases)
    for (a, b), value in zip(cases, got, strict=True):
        x, y = a & mask, b & mask
        wanted = {
            "bitreverse": reverse(x, width), "ctpop": x.bit_count(), "ctlz": width - x.bit_length(),
            "cttz": (x & -x).bit_length() - 1 if x else width, "umin": min(x, y),
            "smax": max(x, y, key=lambda v: signed(v, width)),
        }[name]  # fmt: skip
        assert value == wanted & mask, (hex(a), hex(b))


@pytest.mark.parametrize("elem, op", [("i16", "shl"), ("i32", "shl"), ("[3 x i16]", "mul")])
def test_strides_of_addresses(elem, op):
    """An index is scaled by a shift where the stride is a power of two."""
    body = f"  %p = getelementptr {elem}, ptr %a, i16 %i\n  %v = load i16, ptr %p\n  ret i16 %v"
    body = body.replace("%i", "%b").replace("ptr %a", "ptr %q")
    function = raised(f"  %q = inttoptr i16 %a to ptr\n{body}", "i16", 2)
    assert [inst.op for block in function.blocks for inst in block.code if isinstance(inst, Bin)][:1] == [op]


def test_a_stored_constant_is_copied_only_to_change_its_type():
    body = "  %q = inttoptr i16 %a to ptr\n  store i16 7, ptr %q\n  ret i16 7"
    function = raised(body, "i16", 1)
    (store,) = [inst for block in function.blocks for inst in block.code if isinstance(inst, Store)]
    assert isinstance(store.value, Const)
