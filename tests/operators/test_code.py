"""The assembler of operators: what it loads, what it remembers, how it loops."""

import numpy as np
import pytest

from wse.kernels import single
from wse.kernels.single import Tensor
from wse.operators.code import Code, Vec, Work, routine


def run(code, **arrays):
    """The arrays (f32) after a routine that has them as operands, in this order."""
    made = routine("f", tuple(arrays), code, 64)
    tensors = {name: Tensor(np.shape(v), np.asarray(v, np.float32), "f32") for name, v in arrays.items()}
    return {name: v[0, 0] for name, v in single.on_one([made], tensors, "f32").arrays.items()}


def test_operations_and_immediates():
    c = Code()
    x, y = Vec("r8", 4), Vec("r9", 4)
    c.op("fmuls", y, x, 2.0)
    c.op("fadds", y, y, x)
    c.op("fmacs", y, y, x, -0.5)
    assert run(c, x=[1, 2, 3, 4], y=np.zeros(4))["y"].tolist() == [2.5, 5, 7.5, 10]


def test_what_a_dsr_holds_is_loaded_once():
    c = Code()
    x = Vec("r8", 4)
    for _ in range(3):
        c.op("fadds", x, x, 1.0)
    loads = [line for line in c.lines if "ldds" in line]
    assert len(loads) == 2  # a destination and a source
    assert sum("mov r" in line and "0x3f800000" in line for line in c.lines) == 1
    c.label("again")
    c.op("fadds", x, x, 1.0)
    assert len([line for line in c.lines if "ldds" in line]) == 4  # after a label, no DSR contents are known


def test_more_vectors_than_dsrs():
    c = Code()
    parts = [Vec("r8", 2).part(2 * i, 2) for i in range(9)]
    for i, part in enumerate(parts):
        c.op("fadds", part, part, float(i))
    for part in parts:
        c.op("fmuls", part, part, 2.0)
    got = run(c, x=np.ones(18))["x"]
    assert got.tolist() == np.repeat(2.0 * (1 + np.arange(9)), 2).tolist()


def test_a_loop_in_a_loop():
    """Rows of y = sum over i of a[i] b[j], each of the rows' length."""
    c = Code()
    y, a, b = Vec("r8", 12), Vec("r9", 2), Vec("r10", 3)
    with c.loop(2, over=a), c.loop(3, over=b, d=y.rows(4), a=y.rows(4)) as (to, source):
        c("smul r2, r1, r25", f"fadds {to}, {source}, r2")
    got = run(c, y=np.zeros(12), a=[2, 3], b=[1, 10, 100])["y"]
    assert got.tolist() == np.repeat([5.0, 50, 500], 4).tolist()


@pytest.mark.parametrize("n, most", [(12, 5), (12, 12), (7, 3)])
def test_chunks(n, most):
    c = Code()
    with c.chunks(n, most, {"x": ("r8", 4), "y": ("r9", 4)}) as tile:
        assert tile["x"].n <= most
        c.op("fadds", tile["y"], tile["x"], 1.0)
    got = run(c, x=np.arange(n), y=np.zeros(n))["y"]
    assert got.tolist() == (np.arange(n) + 1).tolist()


def test_halves_are_the_words_of_a_number():
    c = Code()
    x = Vec("r8", 3)
    c.op("and16", x.halves(True), x.halves(True), c.value("0x7fff"))
    assert run(c, x=[-1.5, 2, -0.0])["x"].tolist() == [1.5, 2, 0]


def test_places_in_work_space():
    work = Work()
    first, second, third = work.take(3, bank=4), work.take(5, 2), work.take(1, bank=4)
    assert [vec.offset % 16 for vec in (first, second, third)] == [8, 0, 8]
    assert first.offset + first.bytes <= second.offset
    assert second.offset + second.bytes <= third.offset
    assert work.bytes == third.offset + 4


def test_a_call_needs_all_operands():
    made = routine("f", ("x", "y"), Code(), 0)
    assert made.call(x="a", y="b+4").split("\n")[:3] == ["    mov r8, a", "    mov r9, b+4", "    call f"]
    with pytest.raises(TypeError, match=r"^f takes x, y, not x, z$"):
        made.call(x="a", z="b")
