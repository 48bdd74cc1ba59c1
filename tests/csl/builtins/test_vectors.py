"""Vector operations, descriptors and @map from hand-built IR, run on the engine.

Covers: wse/csl/codegen/select_vector.py, wse/csl/ir/descriptor.py
"""

import numpy as np
import pytest

from csl.backend import Builder, Pe
from wse.csl.ir import ir
from wse.csl.ir.descriptor import image
from wse.csl.ir.ir import Addr, Const, Deref, Dsd, DsdVar, Dsr, Reg, Sys, Then, Vector


def mem(name, length, item=4, offset=0, stride=None, **more):
    return Dsd("mem1d", Addr(name, offset), length, item if stride is None else stride, item, **more)


def test_elementwise_with_constant_descriptors():
    f = Builder("main")
    f.add(Vector("fadds", mem("c", 4), mem("a", 4), mem("b", 4)))
    f.add(Vector("fmuls", mem("d", 4), mem("c", 4), Const("f32", 2.0)))
    f.add(Vector("fmacs", mem("c", 4), mem("c", 4), mem("b", 4), f.load(Addr("a"), "f32", 4)))
    f.add(Vector("fmovs", mem("e", 2, stride=8), mem("d", 2, offset=4)))
    pe = Pe(
        [f.done()],
        {"a": ("f32", [1, 2, 3, 4]), "b": ("f32", [10, 20, 30, 40]), **{n: ("f32", [0] * 4) for n in "cde"}},
    )
    pe.call("main")
    assert pe.read("c").tolist() == [31, 62, 93, 124]
    assert pe.read("d").tolist() == [22, 44, 66, 88]
    assert pe.read("e").tolist() == [44, 0, 66, 0]


def test_reductions_into_pointers():
    f = Builder("main")
    f.add(Vector("fadds", Deref(Addr("sum"), "f32"), Deref(Addr("sum"), "f32"), mem("a", 5)))
    f.add(Vector("fmaxs", Deref(Addr("most"), "f32"), Deref(Addr("most"), "f32"), mem("a", 5)))
    p = f.var(Addr("half"))
    f.add(Vector("faddh", Deref(p, "f16"), Deref(p, "f16"), mem("h", 3, 2)))
    f.add(Vector("fmovs", Deref(Addr("one"), "f32"), Const("f32", 7.0)))
    pe = Pe(
        [f.done()],
        {
            "a": ("f32", [1, -2, 9, 3, 4]), "h": ("f16", [1, 2, 3.5]), "sum": ("f32", [100]), "most": ("f32", [-5]),
            "half": ("f16", [1]), "one": ("f32", [0]),
        },
    )  # fmt: skip
    pe.call("main")
    assert pe.read("sum")[0] == 115
    assert pe.read("most")[0] == 9
    assert pe.read("half")[0] == 7.5
    assert pe.read("one")[0] == 7


def _variable(name: str, dsd: Dsd) -> ir.Global:
    contents, relocations = image(dsd)
    return ir.Global(name, dsd.size, 4, contents, relocations)


def test_descriptors_in_memory_change():
    """y += A[:, i] x[i], column by column, with @increment_dsd_offset and @set_dsd_length."""
    f = Builder("main")
    a = DsdVar("mem1d", Addr("a_dsd"))

    def body(i):
        x = f.load(f.bin("add", f.bin("mul", i, Const("u16", 4)), Addr("x"), "ptr"), "f32")
        f.add(Vector("fmacs", mem("y", 3), mem("y", 3), a, x))
        f.add(ir.DsdSet(a, "advance", Const("i16", 12)))

    f.loop(Const("u16", 4), body)
    local = DsdVar("mem1d", Addr("local"))
    f.add(ir.DsdCopy(local, mem("y", 3)))
    f.add(ir.DsdSet(local, "length", Const("u16", 2)))
    f.add(ir.DsdSet(local, "base", Addr("y", 4)))
    f.add(Vector("fmovs", local, Const("f32", -1.0)))
    f.add(ir.DsdCopy(DsdVar("mem1d", Addr("other")), local))
    f.add(ir.DsdSet(DsdVar("mem1d", Addr("other")), "stride", Const("i16", -1)))
    f.add(Vector("fmovs", DsdVar("mem1d", Addr("other")), mem("x", 2)))
    pe = Pe(
        [f.done()],
        {"a": ("f32", list(range(12))), "x": ("f32", [1, 2, 3, 4]), "y": ("f32", [0] * 3)},
        more=[_variable("a_dsd", mem("a", 3)), ir.Global("local", 16, 4), ir.Global("other", 16, 4)],
    )
    pe.call("main")
    want = (np.arange(12.0).reshape(4, 3).T @ [1, 2, 3, 4]).tolist()
    assert pe.read("y").tolist() == [2, 1, -1]
    assert want[0] == 60


def test_strides_count_elements_of_the_operation():
    """A descriptor over a placeholder of 16-bit elements, bound to an array of f32."""
    f = Builder("main")
    var = DsdVar("mem1d", Addr("var"))
    f.add(ir.DsdSet(var, "base", Addr("a")))
    f.add(Vector("fmovs", mem("b", 3), var))
    f.add(ir.DsdSet(var, "stride", Const("i16", 2)))
    f.add(ir.DsdSet(var, "length", Const("i16", 2)))
    f.add(Vector("fmovs", mem("c", 2), var))
    pe = Pe(
        [f.done()],
        {"h": ("i16", [0]), "a": ("f32", [1, 2, 3]), "b": ("f32", [0] * 3), "c": ("f32", [0] * 2)},
        more=[_variable("var", mem("h", 3, 2))],
    )
    pe.call("main")
    assert pe.read("b").tolist() == [1, 2, 3]
    assert pe.read("c").tolist() == [1, 3]


def test_descriptors_in_memory_and_their_copies():
    """Base, length, stride at run time; copies; loads of explicit DSRs."""
    n, at = Reg("u16", "n"), Reg("u16", "at")
    f = Builder("main", [n, at])
    d, e = DsdVar("mem1d", Addr("d")), DsdVar("mem1d", Addr("e"))
    f.add(ir.DsdCopy(d, mem("a", 8)))
    f.add(ir.DsdSet(d, "length", n))
    f.add(Vector("fmovs", d, Const("f32", 7.0)))
    f.add(ir.DsdSet(d, "base", f.bin("add", f.bin("mul", at, Const("u16", 4)), Addr("b"), "ptr")))
    f.add(ir.DsdCopy(e, d))
    f.add(ir.DsdSet(e, "stride", f.convert(n, "i16")))
    f.add(ir.DsdSet(e, "length", Const("u16", 2)))
    f.add(Vector("fadds", e, mem("a", 2), Const("f32", 1.0)))
    f.add(ir.DsdSet(d, "advance", Const("i16", 4)))
    f.add(ir.DsdCopy(DsdVar("mem1d", Addr("kept")), d))
    f.add(Vector("fmovs", mem("c", 3), d))
    f.add(ir.LoadDsr(Dsr("src0", 3), d, save_address=True))
    f.add(Vector("fmovs", mem("c", 2, offset=12), Dsr("src0", 3)))
    f.add(ir.DsdCopy(e, DsdVar("mem1d", Addr("kept"))))
    f.add(ir.DsdSet(e, "length", Const("u16", 1)))
    f.add(Vector("fmovs", mem("c", 1, offset=20), e))
    variables = [ir.Global(name, 16, 4) for name in "de"] + [ir.Global("kept", 16, 4)]
    values = {"a": ("f32", list(range(8))), "b": ("f32", list(range(10, 22))), "c": ("f32", [0] * 6)}
    pe = Pe([f.done()], values, more=variables)
    pe.call("main", 3, 2)
    assert pe.read("a").tolist() == [7, 7, 7, 3, 4, 5, 6, 7]
    assert pe.read("b").tolist() == [10, 11, 8, 13, 14, 8, 16, 17, 18, 19, 20, 21]
    assert pe.read("c").tolist() == [13, 14, 8, 13, 14, 13]


def test_mem4d_constant_and_variable():
    f = Builder("main")
    block = Dsd("mem4d", Addr("a"), 4, item=2, extents=(2, 2), strides=(8, 2))
    f.add(Vector("mov16", mem("b", 4, 2), block))
    var = DsdVar("mem4d", Addr("var"))
    f.add(ir.DsdSet(var, "advance", Const("i16", 4)))
    f.add(Vector("mov16", mem("c", 4, 2), var))
    pe = Pe(
        [f.done()],
        {"a": ("i16", list(range(16))), "b": ("i16", [0] * 4), "c": ("i16", [0] * 4)},
        more=[_variable("var", block)],
    )
    pe.call("main")
    assert pe.read("b").tolist() == [0, 1, 4, 5]
    assert pe.read("c").tolist() == [2, 3, 6, 7]


@pytest.mark.parametrize("arch, published", [("wse2", 772), ("wse3", 780)])
def test_single_tile_product_takes_as_long_as_published(arch, published):
    """y = A x for N = 25, columns padded to 28: @map of fmacs over explicit DSRs."""
    n, padded = 25, 28
    x = Reg("f32", "x")
    step = Builder("step", [x])
    step.add(Vector("fmacs", Dsr("dest", 0), Dsr("src0", 0), Dsr("src1", 0), x))
    f = Builder("main")
    for i in range(3):
        t = Reg("u16")
        f.add(Sys("tsc", t, [Const("u16", i)]))
        f.store(Addr("start"), t, 2 * i)
    variables = {"y": mem("y", padded), "a": mem("a", padded, offset=4), "x": mem("x", n)}
    y, a = DsdVar("mem1d", Addr("y_local")), DsdVar("mem1d", Addr("a_local"))
    f.add(ir.DsdCopy(a, DsdVar("mem1d", Addr("a_dsd"))))
    f.add(ir.DsdCopy(y, DsdVar("mem1d", Addr("y_dsd"))))
    f.add(ir.LoadDsr(Dsr("dest", 0), y))
    f.add(ir.LoadDsr(Dsr("src0", 0), y))
    f.add(ir.LoadDsr(Dsr("src1", 0), a, save_address=True))
    f.add(ir.Map("step", [DsdVar("mem1d", Addr("x_dsd"))], ["f32"]))
    for i in range(3):
        t = Reg("u16")
        f.add(Sys("tsc", t, [Const("u16", i)]))
        f.store(Addr("end"), t, 2 * i)
    matrix = np.random.default_rng(1).random((n, padded), np.float32)
    vector = np.arange(n, dtype=np.float32)
    globals = [
        ir.Global(name, size * 4, 16, element="f32") for name, size in (("a", n * padded + 1), ("y", padded), ("x", n))
    ]
    globals += [_variable(f"{name}_dsd", dsd) for name, dsd in variables.items()]
    globals += [ir.Global("y_local", 16, 4), ir.Global("a_local", 16, 4)]
    pe = Pe([f.done(), step.done()], {"start": ("u16", [0] * 3), "end": ("u16", [0] * 3)}, arch, more=globals)
    where = pe.artifact.classes[0].addresses
    pe.write(where["a"] + 4, matrix.tobytes())
    pe.write(where["x"], vector.tobytes())
    pe.call("main")
    cycles = int(pe.read("end")[0]) - int(pe.read("start")[0])
    assert abs(cycles / published - 1) < 0.03, cycles
    got = np.frombuffer(pe.bytes(where["y"], 4 * padded), np.float32)
    np.testing.assert_allclose(got, matrix.T @ vector, rtol=1e-5)


def test_map_with_results():
    """out[i] = a[i] * k + b[i]; then a sum into a scalar; then a function with a branch."""
    a, b, k = Reg("f32"), Reg("f32"), Reg("f32")
    f1 = Builder("axpy", [a, b, k], "f32")
    f1_done = f1.done(f1.bin("add", f1.bin("mul", a, k), b))
    acc, x = Reg("f32"), Reg("f32")
    f2 = Builder("sum", [acc, x], "f32")
    f2_done = f2.done(f2.bin("add", acc, x))
    v = Reg("i16")
    f3 = Builder("clip", [v], "i16")
    low, high = f3.new_block(), f3.new_block()
    f3.add(ir.Branch(f3.bin("lt", v, Const("i16", 0)), low.id, high.id))
    f3.go(low)
    f3.add(ir.Return(Const("i16", 0)))
    f3.go(high)
    f3_done = f3.done(v)

    f = Builder("main")
    factor = f.load(Addr("k"), "f32")
    f.add(ir.Map("axpy", [mem("a", 5), mem("b", 5), factor], ["f32"] * 3, mem("out", 5), "f32"))
    total = Deref(Addr("total"), "f32")
    f.add(ir.Map("sum", [total, mem("out", 5)], ["f32"] * 2, total, "f32"))
    f.add(ir.Map("clip", [mem("h", 4, 2)], ["i16"], mem("g", 4, 2), "i16"))
    pe = Pe(
        [f.done(), f1_done, f2_done, f3_done],
        {
            "a": ("f32", [1, 2, 3, 4, 5]), "b": ("f32", [10] * 5), "out": ("f32", [0] * 6), "k": ("f32", [3]),
            "total": ("f32", [1]), "h": ("i16", [-3, 4, -5, 6]), "g": ("i16", [9] * 5),
        },
    )  # fmt: skip
    pe.call("main")
    assert pe.read("out").tolist() == [13, 16, 19, 22, 25, 0]
    assert pe.read("total")[0] == 96
    assert pe.read("g").tolist() == [0, 4, 0, 6, 9]


def test_a_fifo_between_two_operations():
    """A synchronous push of three, then an asynchronous pop that activates a task."""
    f, g = Builder("main"), Builder("after")
    f.add(Vector("mov16", ir.FifoRef("q"), mem("a", 3, 2)))
    f.add(Vector("mov16", mem("b", 3, 2), ir.FifoRef("q"), then=Then(async_=True, activate=9)))
    g.store(Addr("done"), Const("u16", 1))
    pe = Pe(
        [f.done(), g.done()],
        {"a": ("u16", [5, 6, 7]), "b": ("u16", [0] * 3), "done": ("u16", [0])},
        more=[ir.Global("ring", 16, 4)],
        fifos=[ir.Fifo("q", "ring", 2, 8)],
        tasks=[ir.Task("local", 9, "after")],
    )
    pe.run()
    pe.call("main")
    assert pe.read("b").tolist() == [5, 6, 7]
    assert pe.read("done")[0] == 1


def test_a_synchronous_operation_ends_at_the_end_of_a_fifo():
    f = Builder("main")
    for name, length, step in (("a", 3, "pushed"), ("a", 6, "full"), ("b", 2, "popped")):
        operands = (ir.FifoRef("q"), mem(name, length, 2)) if name == "a" else (mem(name, length, 2), ir.FifoRef("q"))
        done = Reg("bool")
        f.add(Vector("mov16", *operands, result=done))
        f.store(Addr(step), done)
    pe = Pe(
        [f.done()],
        {
            "a": ("u16", list(range(5, 11))),
            "b": ("u16", [0] * 4),
            **{n: ("bool", [9]) for n in ("pushed", "full", "popped")},
        },
        more=[ir.Global("ring", 10, 4)],
        fifos=[ir.Fifo("q", "ring", 2, 5)],
    )
    pe.run()
    pe.call("main")
    assert [pe.read(name)[0] for name in ("pushed", "full", "popped")] == [1, 0, 1]
    assert pe.read("b").tolist() == [5, 6, 0, 0]


def test_a_saved_address_is_not_kept_from_operation_to_operation():
    """A descriptor's value does not change by its use."""
    f = Builder("main")
    for at in (0, 8):
        f.add(Vector("fmovs", mem("b", 2, offset=at), mem("a", 2, save_address=True)))
    pe = Pe([f.done()], {"a": ("f32", [1, 2, 3, 4]), "b": ("f32", [0] * 4)})
    pe.call("main")
    assert pe.read("b").tolist() == [1, 2, 1, 2]


LOOP = {"queues_out": {4: 3}, "queues_in": {2: 3}}
OUT, IN = Dsd("fabout", queue=4, color=3, length=4, item=4), Dsd("fabin", queue=2, length=4, item=4)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_an_asynchronous_sum_into_a_pointer(arch):
    """A microthread has no register to add up in: the scalar is a walk of stride zero."""
    f, g = Builder("main"), Builder("after")
    where = f.load(Addr("pointer"), "ptr")
    total = Deref(where, "f32")
    f.add(
        Vector(
            "fadds", total, total, IN, then=Then(async_=True, activate=9, priority=2, ut=3 if arch == "wse3" else None)
        )
    )
    f.add(Vector("fmovs", OUT, mem("a", 4), then=Then(async_=True, priority=0)))
    g.store(Addr("done"), Const("u16", 1))
    pe = Pe(
        [f.done(), g.done()],
        {"a": ("f32", [1, 2, 3, 4]), "sum": ("f32", [100]), "done": ("u16", [0])},
        arch,
        {3: ir.ColorConfig("R", "R")},
        tasks=[ir.Task("local", 9, "after")],
        more=[ir.Global("pointer", 2, 2, bytes(2), [(0, "sum", 0)])],
        **LOOP,
    )
    pe.call("main")
    assert pe.read("sum")[0] == 110
    assert pe.read("done")[0] == 1


@pytest.mark.parametrize("variable", [False, True])
def test_map_from_and_to_the_fabric(variable):
    x = Reg("f32")
    double = Builder("double", [x], "f32")
    doubled = double.done(double.bin("add", x, x))
    f = Builder("main")
    out = DsdVar("fabout", Addr("out")) if variable else OUT
    f.add(ir.Map("double", [mem("a", 4)], ["f32"], out, "f32"))
    f.add(ir.Map("double", [IN], ["f32"], mem("b", 4), "f32"))
    pe = Pe(
        [f.done(), doubled],
        {"a": ("f32", [1, 2, 3, 4]), "b": ("f32", [0] * 4)},
        routes={3: ir.ColorConfig("R", "R")},
        more=[_variable("out", OUT)],
        **LOOP,
    )
    pe.call("main")
    assert pe.read("b").tolist() == [4, 8, 12, 16]


def test_more_tensors_than_extended_registers():
    """Sixteen keep their contents; the others share one and are loaded each time."""
    f = Builder("main")
    for _ in range(2):
        for i in range(20):
            tensor = Dsd("mem4d", Addr("a"), 4, item=2, extents=(2, 2), strides=(2 * (i + 1), 2))
            f.add(Vector("mov16", mem("b", 4, 2, offset=8 * i), tensor))
    pe = Pe([f.done()], {"a": ("i16", list(range(64))), "b": ("i16", [0] * 80)})
    pe.call("main")
    assert pe.read("b").reshape(20, 4).tolist() == [[0, 1, i + 1, i + 2] for i in range(20)]


def test_a_circular_walk():
    f = Builder("main")
    ring = Dsd("circular", Addr("a", 4), 5, 2, item=2, circle=(Addr("a"), 8))
    f.add(Vector("mov16", mem("b", 5, 2), ring))
    pe = Pe([f.done()], {"a": ("i16", [1, 2, 3, 4]), "b": ("i16", [0] * 5)})
    pe.call("main")
    assert pe.read("b").tolist() == [3, 4, 1, 2, 3]


def test_explicit_dsrs_of_a_file_run_out():
    f = Builder("main")
    for number in range(16):
        f.add(ir.LoadDsr(Dsr("src1", number), mem("a", 2)))
    f.add(Vector("fadds", mem("a", 2), mem("a", 2), mem("a", 2)))
    with pytest.raises(ir.Unsupported, match="no src1 DSR is left"):
        Pe([f.done()], {"a": ("f32", [1, 2])})


def test_a_loopback_and_index():
    """Words go out and come back to the same PE; a data task takes those of another color."""
    f, hear = Builder("main"), Builder("hear", [Reg("u16"), Reg("u16")])
    out = Dsd("fabout", length=2, item=2, queue=2, color=3, index=True)
    f.add(Vector("mov16", out, mem("a", 2, 2), then=Then(async_=True), index=f.load(Addr("i"), "u16")))
    low, high = hear.function.params
    at = hear.bin("add", hear.bin("mul", hear.load(Addr("n"), "u16"), Const("u16", 4)), Addr("got"), "ptr")
    hear.store(at, low)
    hear.store(at, high, 2)
    hear.store(Addr("n"), hear.bin("add", hear.load(Addr("n"), "u16"), Const("u16", 1)))
    unit = {
        "queues_out": {2: 3}, "queues_in": {2: 3}, "tasks": [ir.Task("data", 2, "hear")],
    }  # fmt: skip
    globals = {"a": ("u16", [8, 9]), "got": ("u16", [0] * 4), "n": ("u16", [0]), "i": ("u16", [70])}
    unit_pe = Pe([f.done(), hear.done()], globals, routes={3: ir.ColorConfig("R", "R")}, **unit)
    unit_pe.call("main")
    assert unit_pe.read("n")[0] == 2
    assert unit_pe.read("got").tolist()[::2] == [8, 9]
    assert unit_pe.read("got")[1] == 70
