"""Division by constants, executed, against Python.

Covers: wse/csl/llvm/reciprocal.py
"""

import random

import pytest

from csl.llvm.test_expand import raised, run
from wse.csl.ir.ir import Bin
from wse.csl.llvm.reciprocal import signed_magic, unsigned_magic


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("signed", [False, True])
def test_quotients_and_remainders(bits, signed):
    rng = random.Random(bits + signed)
    most = (1 << bits) - 1
    divisors = {1, 2, 3, 5, 7, 10, 100, 127, 128, most, most - 1, most >> 1, (most >> 1) + 1, (most >> 1) + 2}
    divisors |= {rng.randrange(1, most) for _ in range(10)}
    numbers = [0, 1, 2, most, most - 1, most >> 1, (most >> 1) + 1, (most >> 1) + 2]
    numbers += [rng.randrange(most) for _ in range(6)]
    kind = "s" if signed else "u"

    def value(n: int) -> int:
        return n - (1 << bits) if signed and n >> bits - 1 else n

    for divisor in sorted(divisors):
        d = value(divisor)
        near = [n % (1 << bits) for k in (1, 3, most // divisor) for n in (k * divisor - 1, k * divisor)]
        cases = [(n,) for n in numbers + near if not (d == -1 and value(n) == -(1 << bits - 1))]
        for op in ("div", "rem"):
            body = f"  %r = {kind}{op} i{bits} %a, {divisor}\n  ret i{bits} %r"
            got = run(body, f"i{bits}", cases)
            for (n,), found in zip(cases, got, strict=True):
                quotient = abs(value(n)) // abs(d) * (1 if (value(n) < 0) == (d < 0) else -1)
                wanted = quotient if op == "div" else value(n) - quotient * d
                assert found == wanted & most, (op, value(n), d)


@pytest.mark.parametrize("bits", [8, 10])
def test_all_of_few_bits(bits):
    for divisor in range(3, 1 << bits):
        m, shift = unsigned_magic(divisor, bits)
        assert m >> bits + 1 == 0
        assert all(n * m >> shift == n // divisor for n in range(1 << bits))
        if divisor < 1 << bits - 1 and divisor & (divisor - 1):
            m, shift = signed_magic(divisor, bits)
            for n in range(-(1 << bits - 1), 1 << bits - 1):
                assert (n * m >> shift) + (n < 0) == int(n / divisor)


@pytest.mark.parametrize("op", ["udiv", "sdiv", "urem", "srem"])
@pytest.mark.parametrize("divisor, divides", [(10, False), (8, False), (1, False), (0, True)])
def test_no_division_is_left(op, divisor, divides):
    """A division by a constant is a multiplication; one by zero stays what it is."""
    function = raised(f"  %r = {op} i16 %a, {divisor}\n  ret i16 %r", "i16", 1)
    ops = [inst.op for block in function.blocks for inst in block.code if isinstance(inst, Bin)]
    assert any(name in ("div", "rem") for name in ops) == divides
