"""Pieces of assembler that kernels put into their code, each with a NumPy twin that gives the same bits.

A piece is entered from above and left below (`exp`), or called and returned from (`PRODUCT`, `LOG`).  Immediate floats
are written as bits, for decimals would be rounded twice.
"""

from __future__ import annotations

import numpy as np

from ..machine.numerics import to_bits


def f32(value: float | np.float32) -> str:
    """An f32 as an immediate."""
    return f"{np.float32(value).view(np.uint32):#x}"


def f16(value: float, fmt: str) -> str:
    """A 16-bit float as an immediate."""
    return f"{int(to_bits(value, fmt)):#x}"


def repeat(times: int, *instructions: str) -> str:
    """The same instructions so many times, as operations over rows whose DSRs go on by themselves."""
    return "".join(f"    {instruction}\n" for instruction in instructions * times)


# --- C += A B ---------------------------------------------------------------------------------------------------------


def product(multiply_add: str) -> str:
    """The subroutine `product`: for each row, C[row] += A[row, k] B[k] for all k, one operation over a row of B each.

    r8..r11, r12..r15: descriptors of the first row of C and of A; r16..r19: of B's first row, which saves its address.
    r20: rows; r21, r22: bytes from a row to the next one of C, of A.  It changes r3, r9, r13, r20, d0, a0, b0, b1.
    """
    return f"""
product:
    ldds d0, r8
    ldds a0, r8
    ldds b1, r12
    ldds b0, r16
.step:
    mapstep r3, b1, .next
    {multiply_add} d0, a0, b0, r3
    maploop .step
.next:
    iadd32 r9, r9, r21
    iadd32 r13, r13, r22
    isub32 r20, r20, 1
    bnz r20, product
    ret
"""


def call_product(c: str, a: str, b: str, rows: int, step_c: int, step_a: int) -> str:
    """Calls `product` with three descriptors in memory.  step_c, step_a: bytes from row to row."""
    loads = [f"ld32 r{first + i}, [{name}+{4 * i}]" for first, name in ((8, c), (12, a), (16, b)) for i in range(4)]
    lines = [*loads, f"mov r20, {rows}", f"mov r21, {step_c}", f"mov r22, {step_a}", "call product"]
    return "".join(f"    {line}\n" for line in lines)


# --- exp --------------------------------------------------------------------------------------------------------------

# e^r = 1 + r + r^2 (c0 + c1 r + ...) on |r| <= ln 2 / 2: least maximal relative error, 3e-9 before rounding to f32.
EXP = tuple(
    np.float32(c)
    for c in (0.0013814467238262296, 0.008368780836462975, 0.04166839271783829, 0.1666651964187622, 0.5, 1, 1)
)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693359375)  # 9 bits: exact times any exponent
LN2_LOW = np.float32(-2.1219444005469057e-4)
EXP_LEAST = np.float32(-104)  # e^x rounds to 0 from here down


def exp(x: str, y: str, exponent: str, rest: str) -> str:
    """y = e^x for a vector of f32: 19 operations over whole vectors, 12 cycles an element on WSE-3.

    x, y, exponent, rest: descriptors of as many elements, exponent's of 16 bits; exponent and rest are work space, and
    rest may lie on x.  Half a row of banks between y and rest avoids conflicts, which cost 7 more.

    x = n ln 2 + r, n an integer, |r| <= ln 2 / 2; a polynomial gives e^r, and fscales multiplies by 2^n.  The relative
    error is below 1e-7 where e^x is normal; otherwise it is rounded to a subnormal number, 0 or infinity.  x is at most
    20000.  A NaN gives 0, for fmaxs prefers numbers.  It changes r3 and DSRs 0 to 3.
    """
    horner = "".join(f"    fmuls d1, a1, b0\n    mov r3, {f32(c)}\n    fadds d1, a1, r3\n" for c in EXP[2:])
    return f"""
    dsr a3, {x}
    dsr d0, {rest}
    dsr a0, {rest}
    dsr b0, {rest}
    dsr d1, {y}
    dsr a1, {y}
    dsr b1, {y}
    dsr d2, {exponent}
    dsr a2, {exponent}
    dsr b2, {exponent}
    mov r3, {f32(EXP_LEAST)}
    fmaxs d0, a3, r3
    mov r3, {f32(LOG2_E)}
    fmuls d1, a0, r3
    fs2xp16 d2, a1
    xp162fs d1, a2
    mov r3, {f32(-LN2_HIGH)}
    fmacs d0, a0, b1, r3
    mov r3, {f32(-LN2_LOW)}
    fmacs d0, a0, b1, r3
    mov r3, {f32(EXP[0])}
    fmuls d1, a0, r3
    mov r3, {f32(EXP[1])}
    fadds d1, a1, r3
{horner}    fscales d1, a1, b2
"""


def exp_model(x: np.ndarray) -> np.ndarray:
    """What `exp` computes, to the bit."""
    rest = np.fmax(np.asarray(x, np.float32), EXP_LEAST)
    n = np.clip(np.rint(rest * LOG2_E), -32768, 32767)
    rest = rest + n * -LN2_HIGH
    rest = rest + n * -LN2_LOW
    y = rest * EXP[0] + EXP[1]
    for c in EXP[2:]:
        y = y * rest + c
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(y.astype(np.float64), n.astype(np.int32)).astype(np.float32)


# --- log --------------------------------------------------------------------------------------------------------------

# log m = 2 atanh s, s = (m - 1) / (m + 1): atanh s = s + s^3 (c0 + c1 s^2 + c2 s^4), with relative error 1e-9.
ATANH = tuple(np.float32(c) for c in (0.14937210083007812, 0.1998872458934784, 0.3333338797092438))
LN2 = np.float32(0.6931471805599453)
_ROOT_HALF = 0x3F3504F3  # bits of the root of 1/2: mantissas are taken from there to the root of 2

# The subroutine `log`: r1 = log r1 for a positive normal f32, with a relative error below 2e-7.  It takes about 95
# cycles, 50 of them for the division, and changes r1 to r4.
LOG = f"""
log:
    isub32 r2, r1, {_ROOT_HALF:#x}
    isar32 r2, r2, 23
    ishl32 r3, r2, 23
    isub32 r1, r1, r3
    i2s r2, r2
    smul r2, r2, {f32(LN2)}
    ssub r3, r1, 1.0s
    sadd r1, r1, 1.0s
    sdiv r1, r3, r1
    smul r3, r1, r1
    smul r4, r3, {f32(ATANH[0])}
    sadd r4, r4, {f32(ATANH[1])}
    smul r4, r4, r3
    sadd r4, r4, {f32(ATANH[2])}
    smul r4, r4, r3
    smul r4, r4, r1
    sadd r4, r4, r1
    sadd r4, r4, r4
    sadd r1, r2, r4
    ret
"""


def log_model(x: np.ndarray) -> np.ndarray:
    """What `LOG` computes, to the bit."""
    bits = np.asarray(x, np.float32).view(np.int32)
    n = (bits - _ROOT_HALF) >> 23
    m = (bits - (n << 23)).view(np.float32)
    one = np.float32(1)
    s = (m - one) / (m + one)
    square = s * s
    p = square * ATANH[0]
    p = (p + ATANH[1]) * square
    p = (p + ATANH[2]) * square
    p = p * s + s
    return n.astype(np.float32) * LN2 + (p + p)
