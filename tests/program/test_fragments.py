"""Pieces of code that kernels share: to the bit as their NumPy twins, and close to the functions they are named after."""

import numpy as np
import pytest

from wse import Fabric, Machine, Program, mem1d
from wse.kernels import data
from wse.program import fragments


def apply(text, x, arch="wse3", routines=""):
    """A piece that makes `y_all` of `x_all`, on one PE: (y, cycles)."""
    program = Program(1, 1, arch)
    pe = program.pe_class("pe")
    for name, dtype, offset in (("x", "f32", 0), ("y", "f32", 0), ("exponent", "u16", 0), ("rest", "f32", 8)):
        pe.dsd(f"{name}_all", mem1d(pe.array(name, len(x), dtype, offset=offset)))
    pe.code(f"main:\n{text}\n    done\n{routines}")
    pe.local_task("main", 9, active=True)
    program.place(pe)
    fabric = Fabric(program)
    fabric.write("x", np.asarray(x, np.float32)[None, None])
    run = fabric.run()
    return fabric.read("y")[0, 0], run.cycles


EXP = fragments.exp("x_all", "y_all", "exponent_all", "rest_all")
LOG = """
    dsr b0, x_all
    dsr d0, y_all
.next:
    mapstep r1, b0, .end
    call log
    mapput d0, r1
    jmp .next
.end:
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_exp(arch):
    rng = np.random.default_rng(1)
    x = np.concatenate([np.linspace(-87, 88, 1500), rng.uniform(-1, 1, 1000), rng.uniform(-30, 0, 500)])
    x = x.astype(np.float32)
    y, _ = apply(EXP, x, arch)
    assert data.same_bits(y, fragments.exp_model(x))
    assert np.abs(y / np.exp(x.astype(np.float64)) - 1).max() < 1e-7


def test_exp_at_its_ends():
    x = np.array([0, -0.0, -1e-30, 89, 20000, -104, -1e30, -np.inf, np.nan, -87.4, -95, -103.2], np.float32)
    y, _ = apply(EXP, x)
    assert data.same_bits(y, fragments.exp_model(x))
    assert np.array_equal(y[:9], [1, 1, 1, np.inf, np.inf, 0, 0, 0, 0])
    # Subnormal: within a unit of the last place.
    assert np.abs(y[9:] - np.exp(x[9:].astype(np.float64))).max() < 2**-149


def test_exp_is_made_of_whole_vectors():
    """12 cycles an element: 9 operations of one each, 10 of a half or a quarter."""
    (_, few), (_, many) = apply(EXP, np.zeros(100)), apply(EXP, np.zeros(1100))
    assert (many - few) / 1000 == 12


def test_log():
    rng = np.random.default_rng(2)
    x = np.concatenate([np.linspace(1, 10, 1500), np.exp(rng.uniform(-87, 88, 1000)), [1, 2, 0.5]]).astype(np.float32)
    y, cycles = apply(LOG, x, routines=fragments.LOG)
    assert data.same_bits(y, fragments.log_model(x))
    exact = np.log(x.astype(np.float64))
    assert np.all(np.abs(y - exact) <= 2e-7 * np.abs(exact))
    assert y[-3] == 0
    assert cycles / len(x) < 50 + Machine("wse3").fdiv_latency


@pytest.mark.parametrize("dtype, accumulate", [("f16", "f32"), ("bf16", "same"), ("cb16", "f32"), ("f32", "same")])
@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (3, 5, 7), (8, 65, 16)])
def test_product(dtype, accumulate, m, k, n):
    of = data.arithmetic(dtype, accumulate)
    program = Program(1, 1, fp16=of.fp16)
    pe = program.pe_class("pe")
    c, a, b = pe.array("c", (m, n), of.sum), pe.array("a", (m, k), of.element), pe.array("b", (k, n), of.element)
    pe.dsd("c_row", mem1d(c, length=n))
    pe.dsd("a_row", mem1d(a, length=k))
    pe.dsd("b_rows", mem1d(b, length=n, save_address=True))
    call = fragments.call_product("c_row", "a_row", "b_rows", m, n * of.sum_size, k * of.size)
    pe.code(f"main:\n{call}    done\n{fragments.product(of.multiply_add)}")
    pe.local_task("main", 9, active=True)
    program.place(pe)
    fabric = Fabric(program)
    rng = np.random.default_rng(3)
    left, right = data.random(rng, (m, k), of), data.random(rng, (k, n), of)
    fabric.write("a", left[None, None])
    fabric.write("b", right[None, None])
    fabric.run()
    assert data.same_bits(fabric.read("c")[0, 0], of.matmul(left, right))


def test_immediates():
    assert fragments.f32(1) == "0x3f800000"
    assert fragments.f32(-0.1) == "0xbdcccccd"
    assert [fragments.f16(0.9, fmt) for fmt in ("f16", "bf16", "cb16")] == ["0x3b33", "0x3f66", "0x539a"]
