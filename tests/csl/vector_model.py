"""What operations over descriptors do to memory: the evaluator of random_vectors.py.

It walks every operation element by element over bytes.  It shares nothing with the compiler or the engine.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any, NamedTuple

from csl.random_functions import apply, rounded

CODES = {"i16": "<h", "u16": "<H", "f16": "<e", "i32": "<i", "u32": "<I", "f32": "<f"}
SIZE = {"i16": 2, "u16": 2, "f16": 2, "i32": 4, "u32": 4, "f32": 4}
MOST = 30_000  # elements that a program works on
# Operations: types of the destination, the sources and the factor.  W: 16 bits, D: 32 bits, H: f16, S: f32.
OPERATIONS = {
    "add16": "WWW", "sub16": "WWW", "and16": "WWW", "or16": "WWW", "xor16": "WWW", "sll16": "WWW", "slr16": "WWW",
    "sar16": "WWW", "clz": "WW", "ctz": "WW", "popcnt": "WW", "mov16": "WW", "mov32": "DD", "fmovh": "HH",
    "fmovs": "SS", "faddh": "HHH", "fsubh": "HHH", "fmulh": "HHH", "fmaxh": "HHH", "fadds": "SSS", "fsubs": "SSS",
    "fmuls": "SSS", "fmaxs": "SSS", "fmach": "HHHH", "fmacs": "SSSS", "fmachs": "SSHH", "faddhs": "SSH",
    "fabsh": "HH", "fnegh": "HH", "fabss": "SS", "fnegs": "SS", "fh2s": "SH", "fs2h": "HS", "fh2xp16": "WH",
    "fs2xp16": "WS", "xp162fh": "HW", "xp162fs": "SW",
}  # fmt: skip


class Unsuitable(Exception):
    """The program goes beyond an array, or does too much: another one is drawn."""


class Dsd(NamedTuple):
    """A descriptor.  steps: (extent, stride in elements) of each index, outermost first, of a mem4d_dsd.  circle: first
    byte and bytes of the buffer of a circbuf_dsd."""

    array: str
    at: int  # bytes
    length: int
    stride: int = 1  # elements
    steps: tuple = ()
    item: int = 2
    circle: tuple[int, int] | None = None


class Stream(NamedTuple):
    """A descriptor of the fabric: the elements that are on their way, as bytes."""

    words: list[bytes]
    length: int


WALKED = (Dsd, Stream)


class State:
    """Memory: the arrays, scalars among them, as bytes, and the DSRs: [descriptor, save_address]."""

    def __init__(self, arrays: dict[str, tuple[str, list]]):
        self.kinds = {name: kind for name, (kind, _) in arrays.items()}
        self.bytes = {
            name: bytearray(b"".join(struct.pack(CODES[kind], value) for value in values))
            for name, (kind, values) in arrays.items()
        }
        self.dsds: dict[str, Any] = {}
        self.dsrs: dict[str, list] = {}
        self.work = 0

    def load(self, array: str, at: int, kind: str) -> Any:
        if not 0 <= at <= len(self.bytes[array]) - SIZE[kind] or at % SIZE[kind]:
            raise Unsuitable
        return struct.unpack_from(CODES[kind], self.bytes[array], at)[0]

    def store(self, array: str, at: int, kind: str, value: Any) -> None:
        if not 0 <= at <= len(self.bytes[array]) - SIZE[kind] or at % SIZE[kind]:
            raise Unsuitable
        struct.pack_into(CODES[kind], self.bytes[array], at, value)

    def take(self, walk: Dsd | Stream, i: int, kind: str) -> Any:
        """Element i of a descriptor."""
        if isinstance(walk, Stream):
            return struct.unpack(CODES[kind], walk.words.pop(0))[0]
        return self.load(walk.array, address(walk, i, SIZE[kind]), kind)

    def give(self, walk: Dsd | Stream, i: int, kind: str, value: Any) -> None:
        if isinstance(walk, Stream):
            walk.words.append(struct.pack(CODES[kind], value))
        else:
            self.store(walk.array, address(walk, i, SIZE[kind]), kind, value)

    def step(self) -> None:
        self.work += 1
        if self.work > MOST:
            raise Unsuitable


def address(dsd: Dsd, i: int, size: int) -> int:
    if dsd.circle is not None:
        start, size_of_all = dsd.circle
        return start + (dsd.at - start + i * dsd.item) % size_of_all
    if not dsd.steps:
        return dsd.at + i * dsd.stride * size
    if i >= dsd.length:
        raise Unsuitable
    at = dsd.at
    for extent, stride in reversed(dsd.steps):
        at += i % extent * stride * dsd.item
        i //= extent
    return at


def integer(value: float) -> int:
    """As @fs2xp16 rounds."""
    if math.isnan(value):
        return 0
    return int(
        min(max(value, -32768.0), 32767.0) if not math.isfinite(value) else max(-32768, min(32767, round(value)))
    )


def larger(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return b if math.isnan(a) else a
    if a == b == 0:
        return a if math.copysign(1, a) > 0 else b
    return max(a, b)


def signed(value: int) -> int:
    return (value & 0xFFFF ^ 0x8000) - 0x8000


def fused(kind: str, a: float, b: float, x: float) -> float:
    """a + b * x, rounded once."""
    if all(map(math.isfinite, (a, b, x))):
        exact = Fraction(a) + Fraction(b) * Fraction(x)
        return rounded(kind, exact) if exact else a + b * x
    return a + b * x


def element(name: str, a: Any, b: Any, x: Any) -> Any:
    """The result for one element; integers are taken mod 2^16."""
    match name:
        case "add16":
            return a + b
        case "sub16":
            return a - b
        case "and16":
            return a & b
        case "or16":
            return a | b
        case "xor16":
            return a ^ b
        case "sll16":
            return 0 if b & 0xFFFF > 15 else a << (b & 0xFFFF)
        case "slr16":
            return 0 if b & 0xFFFF > 15 else (a & 0xFFFF) >> (b & 0xFFFF)
        case "sar16":
            return signed(a) >> min(b & 0xFFFF, 15)
        case "clz":
            return 16 - (a & 0xFFFF).bit_length()
        case "ctz":
            return next((i for i in range(16) if a >> i & 1), 16)
        case "popcnt":
            return (a & 0xFFFF).bit_count()
        case "fmach":
            return fused("f16", a, b, x)
        case "fmacs":
            return apply("+", "f32", a, apply("*", "f32", b, x))
        case "fmachs":
            return fused("f32", a, b, x)
        case "faddhs":
            return apply("+", "f32", a, b)
        case "fh2xp16" | "fs2xp16":
            return integer(a)
        case "xp162fh":
            return rounded("f16", signed(a))
        case "xp162fs":
            return float(signed(a))
        case "fs2h":
            return rounded("f16", a)
        case "mov16" | "mov32" | "fmovh" | "fmovs" | "fh2s":
            return a
    kind = "f16" if name[-1] == "h" else "f32"
    if name[1:4] in ("add", "sub", "mul"):
        return apply({"add": "+", "sub": "-", "mul": "*"}[name[1:4]], kind, a, b)
    if name[1:4] == "max":
        return larger(a, b)
    return abs(a) if name[1:4] == "abs" else -a


def mismatch(kind: str, want: bytes, got: bytes) -> str:
    """Where two arrays differ, for a message; one NaN is as good as another."""
    if want == got:
        return ""
    pairs = zip(struct.iter_unpack(CODES[kind], want), struct.iter_unpack(CODES[kind], got), strict=True)
    for i, ((should,), (was,)) in enumerate(pairs):
        if struct.pack(CODES[kind], should) != struct.pack(CODES[kind], was) and not (should != should and was != was):
            return f"[{i}] is {was}, not {should}"
    return ""


def kind_of(code: str) -> str:
    """How the elements of an operation are read and written."""
    return {"W": "u16", "D": "u32", "H": "f16", "S": "f32"}[code]


def execute(state: State, name: str, dst: Any, sources: list, x: Any) -> None:
    """An operation.  Operands: a Dsd, a Stream, the name of a DSR, a pointer (array, byte), or [value]."""
    codes = OPERATIONS[name]
    operands = [*sources, dst]
    walked = [state.dsrs[o][0] if isinstance(o, str) else o for o in operands]
    length = next((d.length for d in walked if isinstance(d, WALKED) and d.length), 1)
    kinds = [kind_of(code) for code in (*codes[1 : 1 + len(sources)], codes[0])]
    scalars: list[Any] = [None, None]
    running = None  # the source that the result of a reduction begins with
    for i, operand in enumerate(walked[:-1]):
        if isinstance(operand, WALKED):
            continue
        scalars[i] = state.load(*operand, kinds[i]) if isinstance(operand, tuple) else operand[0]
        if isinstance(dst, tuple) and not isinstance(dst, WALKED) and codes[1 + i] == codes[0] and running is None:
            running = i
    total = None
    for i in range(length):
        state.step()
        values = []
        for k, operand in enumerate(walked[:-1]):
            if isinstance(operand, WALKED):
                values.append(state.take(operand, i, kinds[k]))
            else:
                values.append(total if k == running and total is not None else scalars[k])
        result = element(name, values[0], values[1] if len(values) > 1 else None, x)
        if result != result and name[1:4] not in ("mov", "neg", "abs"):
            result = math.nan  # the machine makes one NaN only, with sign and payload 0
        if codes[0] in "WD":
            result &= 0xFFFF if codes[0] == "W" else 0xFFFFFFFF
        if isinstance(walked[-1], WALKED):
            state.give(walked[-1], i, kinds[-1], result)
        total = result
    if not isinstance(walked[-1], WALKED):
        state.store(*dst, kinds[-1], total)
    for operand, kind in zip(operands, kinds, strict=True):
        if isinstance(operand, str) and state.dsrs[operand][1]:
            dsd = state.dsrs[operand][0]
            state.dsrs[operand][0] = dsd._replace(at=address(dsd, length, SIZE[kind]))
