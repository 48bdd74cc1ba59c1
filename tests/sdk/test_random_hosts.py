"""Random host programs against a model of them in NumPy: copies of any rectangle and order, launches, streams."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdk.test_runtime import ADDER, B16, B32, STREAMS, H, N, W, adder, start, streamer

from wse.sdk.transfer import MemcpyOrder

quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # each example writes the same directory
archs, orders = st.sampled_from(["wse2", "wse3"]), st.sampled_from(list(MemcpyOrder))


@st.composite
def rectangles(draw):
    x, y = draw(st.integers(0, W - 1)), draw(st.integers(0, H - 1))
    return x, y, draw(st.integers(1, W - x)), draw(st.integers(1, H - y))


def letter(order: MemcpyOrder) -> str:
    return "C" if order is MemcpyOrder.ROW_MAJOR else "F"


COMMANDS = st.lists(
    st.tuples(st.sampled_from(["in", "out", "add", "row", "column"]), rectangles(), orders, st.booleans()), max_size=8
)


@quick
@given(archs, COMMANDS)
def test_copies_and_launches(arch, commands):
    runner = start(adder(arch), **ADDER)
    data, memory = runner.get_id("data"), np.zeros((H, W, N), np.float32)
    value = 0
    for kind, (x, y, w, h), order, nonblock in commands:
        here = memory[y : y + h, x : x + w]
        common = {"streaming": False, "data_type": B32, "order": order, "nonblock": nonblock}
        if kind == "add":
            runner.launch("add", np.float32(0.5), nonblock=nonblock)
            memory += np.float32(0.5)
            continue
        if kind == "out":
            got = np.zeros(h * w * N, np.float32)
            runner.memcpy_d2h(got, data, x, y, w, h, N, **common)
            assert np.array_equal(got.reshape((h, w, N), order=letter(order)), here)
            continue
        shape = {"in": (h, w, N), "row": (h, 1, N), "column": (1, w, N)}[kind]
        values = np.arange(value, value + np.prod(shape), dtype=np.float32).reshape(shape)
        value += values.size
        copy = {"in": runner.memcpy_h2d, "row": runner.memcpy_h2d_rowbcast, "column": runner.memcpy_h2d_colbcast}[kind]
        copy(data, values.ravel(order=letter(order)), x, y, w, h, N, **common)
        here[:] = values
    runner.stop()
    for y, x in np.ndindex(H, W):
        variable, stored = runner.device.symbol(x, y, "data")
        assert np.array_equal(np.frombuffer(stored, np.float32), memory[y, x])


@quick
@given(archs, st.lists(st.tuples(rectangles(), st.integers(1, 3), orders, st.booleans()), max_size=5), st.booleans())
def test_streams_come_back_in_order(arch, sends, asks_first):
    """Each send is of whole rounds of N wavelets to each PE, which come back one larger; nothing is asked for twice."""
    runner = start(streamer(arch), **STREAMS)
    expected, results, value = [], [], 0

    def ask() -> None:
        for (x, y, w, h), rounds, order, _ in sends:
            got = np.zeros(h * w * N * rounds, np.uint32)
            results.append(got)
            runner.memcpy_d2h(got, 7, x, y, w, h, N * rounds, streaming=True, data_type=B16, order=order, nonblock=True)

    if asks_first:
        ask()
    for (x, y, w, h), rounds, order, wait in sends:
        values = np.arange(value, value + h * w * N * rounds, dtype=np.uint32)
        value += values.size
        expected.append(values + 1)
        # without room at the host only a few wavelets are accepted: then it must not wait for them
        nonblock = not (wait and asks_first)
        runner.memcpy_h2d(
            5, values, x, y, w, h, N * rounds, streaming=True, data_type=B16, order=order, nonblock=nonblock
        )
    if not asks_first:
        ask()
    runner.stop()
    for got, values in zip(results, expected, strict=True):
        assert np.array_equal(got, values)
