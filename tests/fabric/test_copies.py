"""wse/fabric/copies.py: copies between arrays of the host and memories of PEs; registers."""

import numpy as np
import pytest
from says import says

import wse
from wse import Fabric, Program, ProgramError


def arrays(width=3, height=2, **options):
    p = Program(width, height, **options)
    pe = p.pe_class("worker")
    pe.array("f", (2, 2), "f32")
    pe.array("h", 3, "f16")
    pe.array("i", 3, "i16", init=[1, -2, 3])
    pe.array("b", 5, "u8", align=1)
    pe.array("s", (), "f32", init=2.5)
    pe.array("none", 0, "f32")
    p.place(pe)
    return p


def test_write_and_read():
    fab = Fabric(arrays())
    values = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 2, 2)
    fab.write("f", values)
    assert np.array_equal(fab.read("f"), values) and fab.read("f").dtype == np.float32
    assert np.array_equal(fab.read("f", 1, 1, 2, 1), values[1:, 1:])
    fab.write("f", -values[:1, :2], x=1, y=1)
    values[1:, 1:] = -values[:1, :2]
    assert np.array_equal(fab.read("f"), values)


def test_initial_values():
    fab = Fabric(arrays())
    assert (fab.read("i") == [1, -2, 3]).all() and fab.read("i").shape == (2, 3, 3) and fab.read("i").dtype == np.int16
    assert (fab.read("s") == 2.5).all() and fab.read("s").shape == (2, 3)
    assert (fab.read("h") == 0).all()
    assert fab.read("none").shape == (2, 3, 0)


@pytest.mark.parametrize("fp16", ["f16", "bf16", "cb16"])
def test_16_bit_floats(fp16):
    fab = Fabric(arrays(fp16=fp16))
    values = np.array([1.5, -(2.0**-7), 1e30], np.float32)
    fab.fill("h", values)
    bits = fab.read("h", 0, 0, 1, 1, raw=True)
    ones = {"f16": [0x3E00, 0xA000, 0x7C00], "bf16": [0x3FC0, 0xBC00, 0x714A], "cb16": [0x5500, 0xC600, 0x7E00]}
    assert bits.dtype == np.uint16 and bits[0, 0].tolist() == ones[fp16]
    back = fab.read("h", 2, 1)[0, 0]
    assert back.dtype == np.float32 and back[0] == 1.5 and back[1] == -(2.0**-7)
    assert np.isinf(back[2]) == (fp16 != "bf16")
    fab.write("h", np.full((1, 1, 3), 0x1234, np.uint16))
    assert (fab.read("h", 0, 0, 1, 1, raw=True) == 0x1234).all()


@pytest.mark.parametrize("order", ["row", "column"])
@pytest.mark.parametrize(("symbol", "bits"), [("f", 32), ("h", 16), ("i", 16)])
def test_flat_copies(order, symbol, bits):
    fab = Fabric(arrays())
    n = {"f": 4, "h": 3, "i": 3}[symbol]
    cube = np.arange(1, 2 * 2 * n + 1).reshape(2, 2, n)  # [h, w, element]
    flat = np.ravel(cube, order="C" if order == "row" else "F").astype(np.uint32)
    fab.copy_to(symbol, flat, 1, 0, 2, 2, order=order, bits=bits)
    raw = fab.read(symbol, 1, 0, raw=True).reshape(2, 2, n)
    assert np.array_equal(raw.view(np.uint32 if bits == 32 else np.uint16), cube)
    back = fab.copy_from(symbol, 1, 0, 2, 2, order=order, bits=bits)
    assert back.dtype == (np.uint32 if bits == 32 else np.uint16) and np.array_equal(back, flat)
    narrow = (flat + 7).astype(np.uint16 if bits == 16 else np.uint32)
    fab.copy_to(symbol, narrow, 1, 0, 2, 2, order=order, bits=bits)
    assert np.array_equal(fab.copy_from(symbol, 1, 0, 2, 2, order=order, bits=bits), narrow)
    if symbol == "f":
        fab.copy_to("f", np.ones(16, np.float32), 1, 0, 2, 2)
        assert (fab.read("f", 1, 0) == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.write("f", np.zeros((2, 3))), "values for f have shape (2, 3); expected [h, w, 2, 2]"),
        (lambda f: f.write("g", np.zeros((2, 3))), "class worker has no array 'g': it has f, h, i, b, s, none"),
        (lambda f: f.read("g"), "class worker has no array 'g': it has f, h, i, b, s, none"),
        (lambda f: f.read("f", 3), "the rectangle of 0 x 2 PEs at (3, 0) is not in 0:3 x 0:2"),
        (lambda f: f.write("f", np.zeros((2, 3, 2, 2)), x=1), "the rectangle of 3 x 2 PEs at (1, 0) is not in 0:3 x 0:2"),
        (lambda f: f.read("f", -1, 0, 1, 1), "the rectangle of 1 x 1 PEs at (-1, 0) is not in 0:3 x 0:2"),
        (lambda f: f.write("i", np.full((1, 1, 3), 1 << 15)), "values for i do not fit its type i16: int64 from 32768 to 32768"),
        (lambda f: f.fill("f", np.zeros(3)), "array f has shape (2, 2), but its initial values have (3,)"),
        (lambda f: f.copy_to("f", np.zeros(3, "f4"), 0, 0, 1, 1), "f of 1 x 1 PEs has 4 elements, but 3 are given"),
        (lambda f: f.copy_to("f", np.zeros(4), 0, 0, 1, 1), "a copy of 32-bit elements takes an array of them or of 32-bit words, not of float64"),
        (lambda f: f.copy_to("f", np.zeros(4, "f4"), 0, 0, 1, 1, bits=16), "array f has elements of 32 bits; bits is 16"),
        (lambda f: f.copy_from("f", 0, 0, 1, 1, order="rows"), 'order is "row" or "column", not \'rows\''),
        (lambda f: f.set_register(32, 0), "a register is 0 to 31, not 32"),
        (lambda f: f.launch("main"), "class worker has no task 'main'; its tasks are none"),
        (lambda f: f.stream_out(0, 0, "E", 3), "there is no color 3 in the program: no names are known"),
    ],
)  # fmt: skip
def test_copies_refused(call, message):
    with says(ProgramError, message):
        call(Fabric(arrays()))


def test_classes_must_agree_about_an_array():
    p = Program(3, 1)
    one, two = p.pe_class("one"), p.pe_class("two")
    one.array("A", 4, "f32")
    two.array("B", 4, "f32")
    two.array("A", 4, "f32")
    p.shared_array("S", 2, "f32")
    p.place(one, 0)
    p.place(two, 1)
    fab = Fabric(p)
    with says(
        ProgramError,
        "array A is f32 [4] at 16 in class one and f32 [4] at 32 in class two: "
        "declare it with Program.shared_array, or copy class by class",
    ):
        fab.read("A", 0, 0, 2, 1)
    assert fab.read("A", 1, 0, 1, 1).shape == (1, 1, 4)
    fab.fill("S", 3.0, 0, 0, 2, 1)
    assert (fab.read("S", 0, 0, 2, 1) == 3).all()
    with says(ProgramError, "PE (2, 0) has no class, and so no array A: place one there"):
        fab.read("A", 1, 0)


def test_registers():
    p = Program(2, 2)
    pe = p.pe_class("k")
    pe.array("out", 1, "u32")
    pe.code("main: st32 r5, [out]\n done")
    pe.local_task("main", 9)
    p.place(pe)
    fab = Fabric(p)
    fab.set_register(5, [[1, 2], [3, 4]])
    fab.launch("main")
    assert fab.run().ended == "done"
    assert fab.read("out")[:, :, 0].tolist() == [[1, 2], [3, 4]]


def test_an_array_has_the_shape_of_its_own_class():
    program = wse.Program(2, 1)
    for x, size in enumerate((3, 5)):
        pe = program.pe_class(f"c{x}")
        pe.array("a", size, "i16")
        program.place(pe, x=x)
    fabric = wse.Fabric(program)
    fabric.write("a", np.arange(5).reshape(1, 1, 5), x=1)
    assert fabric.read("a", x=1)[0, 0].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(wse.ProgramError, match=r"expected \[h, w, 3\]"):
        fabric.write("a", np.arange(5).reshape(1, 1, 5))
