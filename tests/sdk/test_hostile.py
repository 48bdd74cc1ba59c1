"""Host programs that pass anything: every call ends with its result or with an error of this package.

Covers: wse/sdk/arguments.py
"""

import random

import numpy as np
import pytest
from sdk.test_runtime import ADDER, adder, start

import wse
from wse.sdk.debug import debug_util
from wse.sdk.runtime import SdkRuntime
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder

BAD = [
    None, -1, 0, 1, 3, 10**6, 2**31, 2**63, 2**70, -(2**70), 1.5, float("nan"), float("inf"), "x", "data", "add", "", b"x",
    [], [1], (1, 2), {}, True, np.int64(3), np.float32(2), np.uint8(1), np.zeros(3), np.zeros(24, np.uint32),
    np.zeros(0, np.uint32), np.zeros(4, np.float32), np.zeros(4), np.zeros((2, 2), np.uint32).T, np.array("x"),
    np.array([None] * 4), object(), MemcpyDataType.MEMCPY_16BIT, MemcpyOrder.COL_MAJOR, len, 3 + 4j, type,
    np.zeros(4, [("a", "u4")]), np.broadcast_to(np.uint32(1), 4), np.zeros(4, ">u4"), np.zeros(4, bool), np.zeros(4, "U1"),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore")
def test_calls_with_anything(seed):
    runner, pick = start(adder("wse3"), **ADDER), random.Random(seed)
    data, debug = runner.get_id("data"), debug_util("out")

    def some(*good):
        return pick.choice(good) if pick.random() < 0.75 else pick.choice(BAD)

    def array():
        return some(np.zeros(4, np.uint32), np.zeros(24, np.uint32), np.zeros(8, np.float32))

    def place():
        return some(0, 1), some(0, 1), some(1, 2, 3), some(1, 2), some(1, 2, 4)

    def options():
        return {
            "streaming": some(False), "data_type": some(*MemcpyDataType), "order": some(*MemcpyOrder),
            "nonblock": some(True, False),
        }  # fmt: skip

    calls = [
        lambda: runner.memcpy_h2d(some(data), array(), *place(), **options()),
        lambda: runner.memcpy_d2h(array(), some(data), *place(), **options()),
        lambda: runner.memcpy_h2d_rowbcast(some(data), array(), *place(), **options()),
        lambda: runner.memcpy_h2d_colbcast(some(data), array(), *place(), **options()),
        lambda: runner.memcpy_h2d_stride(some(data), array(), *place(), some(1, 2), some(1, 2), **options()),
        lambda: runner.launch(some("add", "keep"), *[some(np.float32(1), 1, 2) for _ in range(pick.randrange(3))]),
        lambda: runner.call(some("add", "keep"), some([1], [1, 2], [])),
        lambda: runner.get_id(some("data")),
        lambda: runner.read_symbol(some(4, 5), some(1, 2), some("data", "calls"), some("uint32", "u1")),
        lambda: debug.get_symbol(some(4, 5), some(1, 2), some("data", "calls"), some(np.uint32, "u2")),
        lambda: debug.get_symbol_rect(some(((4, 1), (2, 2)), ((4, 1), (1, 1))), some("data"), some(np.uint32)),
        lambda: debug.read_trace(some(4), some(1), some("x")),
        lambda: runner.coord_logical_to_physical(some((0, 0))),
        lambda: runner.task_wait(some(None)),
        lambda: runner.is_task_done(some(None)),
        lambda: runner.get_port_id(some("x")),
        lambda: runner.send(some("x", 0), array(), some(1)),
        lambda: SdkRuntime(some("nowhere")),
        lambda: debug_util(some("nowhere")),
    ]
    done = refused = 0
    for _ in range(400):
        try:
            pick.choice(calls)()
            done += 1
        except wse.WseError as error:
            assert str(error)
            refused += 1
    assert done > 20 and refused > 100


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda r, a: r.memcpy_h2d(r.get_id("data"), a, 0.5, 0, 1, 1, 4), "px is an integer, not 0.5"),
        (lambda r, a: r.memcpy_h2d(r.get_id("data"), a, 0, 0, 1, 1, 2.0), "elem_per_pe is an integer, not 2.0"),
        (lambda r, a: r.memcpy_h2d(r.get_id("data"), a, 0, 0, 1, 1, -4), "elem_per_pe is at least 0, not -4"),
        (lambda r, a: r.memcpy_h2d(r.get_id("data"), a, 0, 0, 1, 1, 4, streaming="no"), "streaming is True or False"),
        (lambda r, a: r.memcpy_h2d(r.get_id("data"), a.astype(">u4"), 0, 0, 1, 1, 4), "elements of type >u4; integers or"),
        (lambda r, a: r.memcpy_h2d(r.get_id("add"), a, 0, 0, 1, 1, 4), "add is exported as a function, and no variable"),
        (lambda r, a: r.get_id("dta"), "did you mean data"),
        (lambda r, a: r.launch("ad", 1.0), "did you mean add"),
        (lambda r, a: r.launch(3), "the function of launch is a string, not 3"),
        (lambda r, a: r.call("add", 1.0), "the arguments of call are a list, not 1.0"),
        (lambda r, a: r.read_symbol(4, 1, "cals"), "did you mean calls"),
        (lambda r, a: r.read_symbol(4, 1, "data", "what"), "dtype of data is a type of numbers, such as np.float32"),
        (lambda r, a: r.task_wait(7), "task_wait takes what a command returned, not 7"),
        (lambda r, a: r.coord_logical_to_physical(3), "logical_coords is a tuple of two, not 3"),
        (lambda r, a: debug_util("out").get_symbol(0, 0, "data", "u4"), r"PE \(0, 0\) of the fabric is not in the program"),
        (lambda r, a: debug_util("out").get_symbol_rect(((6, 1), (2, 1)), "data", "u4"), r"PE \(7, 1\) of the fabric"),
        (lambda r, a: debug_util("out").read_trace(4, 1, "none"), "no symbol 'trace.none'"),
        (lambda r, a: debug_util("never"), "never was not run by this process"),
        (lambda r, a: debug_util("out", "10.0.0.1:9000"), "there is no system"),
    ],
)  # fmt: skip
def test_what_is_said(do, words):
    with pytest.raises(wse.WseError, match=words):
        do(start(adder("wse3"), **ADDER), np.zeros(4, np.uint32))
