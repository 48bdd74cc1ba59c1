"""Code generation from hand-built IR, run on one PE.

Covers: wse/csl/codegen/mir.py, wse/csl/codegen/context.py, wse/csl/codegen/select_wide.py
"""

import numpy as np
import pytest

from csl.backend import Builder, Pe, evaluate
from wse.csl.ir import ir
from wse.csl.ir.ir import Addr, Branch, Const, Jump, Reg, Return, Store, Trap


@pytest.mark.parametrize("type", ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"])
@pytest.mark.parametrize("op", ["add", "sub", "mul", "and", "or", "xor", "shl", "shr"])
def test_integer_arithmetic(type, op):
    bits = ir.BITS[type]
    info = np.iinfo(type.replace("i", "int").replace("uint", "uint") if type[0] == "i" else "uint" + type[1:])
    for a, b in ((7, 3), (info.max, 2), (info.min, 5), (-3 & info.max if info.min == 0 else -3, bits - 1)):
        got = evaluate(type, lambda f, a=a, b=b: f.bin(op, f.load(_put(f, type, a), type), f.var(Const(type, b))))
        if op in ("shl", "shr"):
            want = a << b if op == "shl" else a >> b
        else:
            want = {"add": a + b, "sub": a - b, "mul": a * b, "and": a & b, "or": a | b, "xor": a ^ b}[op]
        want &= (1 << bits) - 1
        assert int(got) & (1 << bits) - 1 == want, (type, op, a, b)


def _put(f: Builder, type: str, value: int) -> Addr:
    """A value that the optimizer does not know."""
    f.store(Addr("out"), Const(type, value))
    return Addr("out")


@pytest.mark.parametrize("type", ["i8", "u16", "i16", "i32", "u32", "i64", "u64", "f16", "f32"])
@pytest.mark.parametrize("op", sorted(ir.COMPARE))
def test_comparisons(type, op):
    pairs = [(1, 2), (2, 1), (2, 2)] + ([(-1, 1), (1, -1)] if type[0] != "u" else [])
    for a, b in pairs:
        for constant in (False, True):

            def build(f, a=a, b=b, constant=constant):
                f.store(Addr("a"), Const(type, a))
                x = f.load(Addr("a"), type)
                return f.bin(op, x, Const(type, b) if constant else f.var(Const(type, b)))

            f = Builder("main")
            f.store(Addr("out"), build(f))
            taken, other, end = f.new_block(), f.new_block(), f.new_block()
            f.add(Branch(build(f), taken.id, other.id))
            f.go(taken)
            f.store(Addr("went"), Const("u16", 1))
            f.add(Jump(end.id))
            f.go(other)
            f.store(Addr("went"), Const("u16", 2))
            f.add(Jump(end.id))
            f.go(end)
            pe = Pe([f.done()], {"out": ("bool", [0]), "went": ("u16", [0]), "a": (type, [0])})
            pe.call("main")
            want = {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[op]
            assert pe.read("out")[0] == want, (a, b)
            assert pe.read("went")[0] == (1 if want else 2), (a, b)


@pytest.mark.parametrize(
    "have, value, want, result",
    [
        ("i8", -3, "i16", -3), ("i8", -3, "u32", 2**32 - 3), ("u8", 253, "i32", 253), ("i32", -70000, "i16", -4464),
        ("i16", -2, "f32", -2.0), ("u16", 65535, "f32", 65535.0), ("f32", -2.75, "i16", -2), ("f32", 3e9, "u32",
        3000000000), ("f32", 1.5, "f16", 1.5), ("f16", 0.25, "f32", 0.25), ("i32", -5, "i64", -5), ("u32", 2**32 - 1,
        "u64", 2**32 - 1), ("i64", -5, "i16", -5), ("i64", -(2**40), "f32", -(2.0**40)), ("u16", 7, "bool", 1),
        ("f32", 0.0, "bool", 0), ("bool", 1, "u16", 1), ("f16", 100.5, "u8", 100),
    ],
)  # fmt: skip
def test_conversions(have, value, want, result):
    f = Builder("main")
    f.store(Addr("in"), Const(have, value))
    f.store(Addr("out"), f.convert(f.load(Addr("in"), have), want))
    pe = Pe([f.done()], {"in": (have, [0]), "out": (want, [0])})
    pe.call("main")
    assert pe.read("out")[0] == result


def test_division_and_unary():
    wide = [("i64", -(10**15), 7), ("u64", 2**64 - 1, 10**10), ("i64", 10**17, -(10**9)), ("u64", 3, 5)]
    for type, a, b in (("i16", -7, 2), ("u32", 4000000000, 7), ("i32", -100, 9), ("u8", 200, 7), *wide):
        for op in ("div", "rem"):
            quotient = abs(a) // abs(b) * (1 if a * b > 0 else -1)
            want = quotient if op == "div" else a - quotient * b
            got = evaluate(type, lambda f, t=type, o=op, a=a, b=b: f.bin(o, f.load(_put(f, t, a), t), Const(t, b)))
            assert got == want
    assert evaluate("i16", lambda f: f.un("neg", f.load(_put(f, "i16", 5), "i16"))) == -5
    assert evaluate("i16", lambda f: f.un("abs", f.load(_put(f, "i16", -5), "i16"))) == 5
    assert evaluate("u8", lambda f: f.un("not", f.load(_put(f, "u8", 5), "u8"))) == 250
    assert evaluate("f32", lambda f: f.un("neg", f.load(_put(f, "f32", 1.5), "f32"))) == -1.5
    assert evaluate("f16", lambda f: f.un("abs", f.load(_put(f, "f16", -1.5), "f16"))) == 1.5
    assert evaluate("f32", lambda f: f.un("sqrt", f.load(_put(f, "f32", 2.0), "f32"))) == np.sqrt(np.float32(2))
    assert evaluate("bool", lambda f: f.un("lnot", f.load(_put(f, "bool", 1), "bool"))) == 0
    assert evaluate("i64", lambda f: f.un("neg", f.load(_put(f, "i64", 2**35), "i64"))) == -(2**35)


def test_a_sum_over_an_array_and_calls():
    """sum(a, n) calls scale(x, k); arguments from the host."""
    x, k = Reg("i32", "x"), Reg("i32", "k")
    scale = Builder("scale", [x, k], "i32")
    for _ in range(20):  # too long to be inlined
        scale.store(Addr("junk"), x)
    f_scale = scale.done(scale.bin("mul", x, k))

    n, factor = Reg("u16", "n"), Reg("i32", "factor")
    f = Builder("main", [n, factor])
    total = f.var(Const("i32", 0))

    def body(i):
        address = f.bin("add", f.bin("mul", i, Const("u16", 4)), Addr("a"), "ptr")
        element = f.load(address, "i32")
        scaled = Reg("i32")
        f.add(ir.Call(scaled, "scale", [element, factor]))
        again = Reg("i32")
        f.add(ir.Call(again, "scale", [scaled, Const("i32", 1)]))
        f.add(ir.Copy(total, f.bin("add", total, again)))

    f.loop(n, body)
    f.store(Addr("out"), total)
    pe = Pe([f.done(), f_scale], {"a": ("i32", list(range(10))), "out": ("i32", [0]), "junk": ("i32", [0])})
    pe.call("main", 10, -3)
    assert pe.read("out")[0] == -135
    pe.call("main", 4, 2)
    assert pe.read("out")[0] == 12


def test_more_values_than_registers():
    f = Builder("main")
    values = [f.load(Addr("a"), "i32", 4 * i) for i in range(40)]
    total = values[0]
    for value in reversed(values[1:]):
        total = f.bin("add", f.bin("mul", total, Const("i32", 3)), value)
    for i, value in enumerate(values):
        f.store(Addr("b"), value, 4 * i)
    f.store(Addr("out"), total)
    a = list(range(5, 45))
    pe = Pe([f.done()], {"a": ("i32", a), "b": ("i32", [0] * 40), "out": ("i32", [0])})
    pe.call("main")
    want = a[0]
    for value in reversed(a[1:]):
        want = (want * 3 + value) & 0xFFFFFFFF
    assert int(pe.read("out")[0]) & 0xFFFFFFFF == want
    assert pe.read("b").tolist() == a


def test_values_live_across_calls_and_nesting():
    """Each level keeps values across calls of the level below."""
    functions = []
    for level in range(6):
        x = Reg("i32")
        f = Builder(f"f{level}", [x], "i32")
        kept = [f.bin("add", x, Const("i32", i)) for i in range(8)]
        if level:
            result = Reg("i32")
            f.add(ir.Call(result, f"f{level - 1}", [kept[3]]))
            second = Reg("i32")
            f.add(ir.Call(second, f"f{level - 1}", [result]))
        else:
            second = x
        total = second
        for value in kept:
            total = f.bin("add", total, value)
        functions.append(f.done(total))
    main = Builder("main")
    result = Reg("i32")
    main.add(ir.Call(result, "f5", [Const("i32", 1)]))
    main.store(Addr("out"), result)

    def model(level, x):
        second = model(level - 1, model(level - 1, x + 3)) if level else x
        return (second + sum(x + i for i in range(8))) & 0xFFFFFFFF

    pe = Pe([main.done(), *functions], {"out": ("u32", [0])})
    pe.call("main")
    assert pe.read("out")[0] == model(5, 1)


def test_a_loop_that_swaps():
    """Registers are variables: a parallel assignment through a temporary."""
    f = Builder("main")
    a, b = f.var(Const("u32", 0)), f.var(Const("u32", 1))

    def body(i):
        temporary = f.var(b)
        f.add(ir.Copy(b, f.bin("add", a, b)))
        f.add(ir.Copy(a, temporary))

    f.loop(Const("u16", 30), body)
    f.store(Addr("out"), a)
    pe = Pe([f.done()], {"out": ("u32", [0])})
    pe.call("main")
    assert pe.read("out")[0] == 832040


def test_fill_and_select():
    f = Builder("main")
    f.add(ir.Fill(Addr("b"), 150, Addr("a")))
    f.add(ir.Fill(Addr("c"), 150))
    f.add(ir.Fill(Addr("d"), 7, Addr("a")))
    chosen = Reg("u16")
    f.add(ir.Select(chosen, f.bin("lt", f.load(Addr("a"), "u8"), Const("u8", 9)), Const("u16", 4), Const("u16", 5)))
    f.store(Addr("out"), chosen)
    a = list(range(1, 161))
    pe = Pe(
        [f.done()],
        {"a": ("u8", a), "b": ("u8", [0] * 160), "c": ("u8", [9] * 160), "d": ("u8", [0] * 8), "out": ("u16", [0])},
    )
    pe.call("main")
    assert pe.read("b").tolist() == a[:150] + [0] * 10
    assert pe.read("c").tolist() == [0] * 150 + [9] * 10
    assert pe.read("d").tolist() == [*a[:7], 0]
    assert pe.read("out")[0] == 4


def test_a_trap_names_the_source():
    from wse.fabric.errors import FabricFault

    f = Builder("main")
    f.add(Trap("index out of range"))
    pe = Pe([f.function], {"out": ("u16", [0])})
    with pytest.raises(FabricFault, match=r"index out of range.*t\.csl:2"):
        pe.call("main")


def test_a_task_is_filled_from_its_wavelet_and_startup_runs_first():
    task = Builder("hear", [Reg("i16", "low"), Reg("i16", "high")])
    low, high = task.function.params
    task.store(Addr("out"), task.bin("sub", high, low))
    go = Builder("go")
    go.store(Addr("out"), go.load(Addr("a"), "i16"), 2)
    unit = {
        "tasks": [ir.Task("local", 9, "go")],
        "active": {9},
        "startup": [Store(Addr("a"), Const("i16", 7))],
    }
    pe = Pe([go.done()], {"a": ("i16", [0]), "out": ("i16", [0, 0])}, **unit)
    pe.run()
    assert pe.read("out").tolist() == [0, 7]
    assert task.done() is task.function


def test_what_does_not_fit_is_named():
    from wse.errors import MemoryOverflow

    f = Builder("main")
    f.store(Addr("big"), Const("u16", 1))
    with pytest.raises(MemoryOverflow, match=r"too many(.|\n)*50000 B  big"):
        Pe([f.done()], {"big": ("u16", [0] * 25000), "small": ("u16", [0])})


def test_unreachable_blocks_and_constant_branches_vanish():
    f = Builder("main")
    dead, live = f.new_block(), f.new_block()
    f.add(Branch(Const("bool", 0), dead.id, live.id))
    f.go(dead)
    f.add(Trap("never"))
    f.go(live)
    f.store(Addr("out"), Const("u16", 3))
    f.add(Return())
    pe = Pe([f.function], {"out": ("u16", [0])})
    pe.call("main")
    assert pe.read("out")[0] == 3
    assert not pe.image.messages


def test_router_registers_are_memory():
    """Words 0x7f20 + color and 0x7f40 + color, as programs that reach into the router address them."""
    f = Builder("main")
    word = f.load(Const("ptr", 2 * 0x7F23), "u16")
    f.store(Addr("out"), word)
    f.store(Const("ptr", 2 * 0x7F23), f.bin("or", word, Const("u16", 1 << 12)))
    f.store(Addr("out"), f.load(Const("ptr", 2 * 0x7F23), "u16"), 2)
    pe = Pe([f.done()], {"out": ("u16", [0, 0])}, routes={3: ir.ColorConfig("R", "R")})
    pe.call("main")
    assert pe.read("out").tolist() == [16 | 16 << 5, 16 | 16 << 5 | 1 << 12]
