"""SdkRuntime on artifacts written by hand.

Covers: wse/sdk/commands.py, wse/sdk/simlog.py, wse/sdk/utils.py
"""

import itertools
import json

import numpy as np
import pytest
from sdk import hand

import wse
from wse.program import dsd
from wse.sdk import runtime, simlog
from wse.sdk.debug import debug_util
from wse.sdk.runtime import SdkRuntime
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder

W, H, N = 3, 2, 4
B16, B32 = MemcpyDataType.MEMCPY_16BIT, MemcpyDataType.MEMCPY_32BIT
ROW, COL = MemcpyOrder.ROW_MAJOR, MemcpyOrder.COL_MAJOR
archs = pytest.mark.parametrize("arch", wse.machine.parameters.MACHINES)

CODE = (
    hand.RPC
    + f"""
fn1:  dsr a0, ad                // add(x): data[i] += x, and counts
      dsr d0, ad
      ld32 r3, [{hand.RPC_ARGUMENTS}]
      fadds d0, a0, r3
      jmp over
fn2:  ld32 r4, [{hand.RPC_ARGUMENTS}]   // keep(a, b): small[0..1] = a, b
      st16 r4, [small]
      ld32 r4, [{hand.RPC_ARGUMENTS + 4}]
      st16 r4, [small + 2]
over: ld32 r5, [calls]
      iadd32 r5, r5, 1
      st32 r5, [calls]
      hostsig r5
      done
"""
)


def adder(arch: str, silent_at: tuple[int, int] | None = None) -> wse.Program:
    """add(x: f32) and keep(a: i16, b: u16) on every PE; `silent_at` does not release its command stream."""
    p = wse.Program(W, H, arch)
    for name, code in (("pe", CODE), ("silent", CODE.replace("hostsig r5", "nop"))):
        pe = p.pe_class(name)
        pe.array("pad", 9 if name == "silent" else 1, "u32")
        data = pe.array("data", N, "f32")
        pe.array("small", 4, "u16")
        pe.array("calls", 1, "u32")
        pe.dsd("ad", dsd.mem1d(data))
        pe.code(code)
        hand.bind_rpc(pe)
        p.place(pe) if name == "pe" else silent_at and p.place(pe, *silent_at)
    return p


def start(program, directory="out", **options) -> SdkRuntime:
    artifact_options = {k: options.pop(k) for k in ("functions", "hidden", "host_colors", "strings") if k in options}
    hand.artifact(program, **artifact_options).save(directory)
    runner = SdkRuntime(directory, **options)
    runner.load()
    runner.run()
    return runner


ADDER = {"functions": {"add": ["f32"], "keep": ["i16", "u16"]}, "hidden": ("calls",)}


@archs
@pytest.mark.parametrize("order", MemcpyOrder)
def test_copies_launches_and_back(arch, order):
    runner = start(adder(arch, silent_at=None), **ADDER)
    data = runner.get_id("data")
    tensor = np.arange(H * W * N, dtype=np.float32).reshape(H, W, N)
    flat = tensor.ravel(order="C" if order is ROW else "F")
    common = {"streaming": False, "data_type": B32, "order": order}
    runner.memcpy_h2d(data, flat, 0, 0, W, H, N, nonblock=True, **common)
    runner.launch("add", np.float32(0.5), nonblock=False)
    runner.launch("add", np.float32(2), nonblock=True)
    got = np.zeros(H * W * N, np.float32)
    runner.memcpy_d2h(got, data, 0, 0, W, H, N, nonblock=False, **common)
    assert np.array_equal(got, flat + 2.5)
    part = np.zeros(2 * N, np.float32)
    runner.memcpy_d2h(part, data, 1, 0, 1, 2, N, streaming=False, data_type=B32, order=ROW, nonblock=False)
    assert np.array_equal(part.reshape(2, N), tensor[:, 1] + 2.5)
    runner.stop()
    assert runner.read_symbol(4 + 2, 1 + 1, "calls", "uint32").tolist() == [2]
    assert debug_util("out").get_symbol(4, 1, "calls", np.uint32).tolist() == [2]


@archs
def test_classes_may_keep_a_name_at_different_addresses(arch):
    p = adder(arch, silent_at=(1, 1))
    runner = start(p, **ADDER)
    images = runner.artifact.classes
    assert images[0].variables["data"].address != images[1].variables["data"].address
    data = runner.get_id("data")
    flat = np.arange(H * W * N, dtype=np.uint32)
    runner.memcpy_h2d(data, flat, 0, 0, W, H, N, streaming=False, data_type=B32, order=COL, nonblock=False)
    got = np.zeros_like(flat)
    runner.memcpy_d2h(got, data, 0, 0, W, H, N, streaming=False, data_type=B32, order=COL, nonblock=False)
    assert np.array_equal(got, flat)


def test_sixteen_bit_copies_take_the_low_half():
    runner = start(adder("wse3"), **ADDER)
    small = runner.get_id("small")
    words = np.arange(W * H * 4, dtype=np.uint32) | np.uint32(0xABCD0000)
    runner.memcpy_h2d(small, words, 0, 0, W, H, 4, streaming=False, data_type=B16, order=ROW, nonblock=False)
    got = np.zeros(W * H * 4, np.uint32)
    runner.memcpy_d2h(got, small, 0, 0, W, H, 4, streaming=False, data_type=B16, order=ROW, nonblock=False)
    assert np.array_equal(got, words & 0xFFFF)
    as_words = np.zeros(W * H * 2, np.uint32)
    runner.memcpy_d2h(as_words, small, 0, 0, W, H, 2, streaming=False, data_type=B32, order=ROW, nonblock=False)
    assert np.array_equal(as_words.view(np.uint16), words.astype(np.uint16))


def test_broadcasts():
    runner = start(adder("wse3"), **ADDER)
    data, got = runner.get_id("data"), np.zeros(H * W * N, np.float32)
    common = {"streaming": False, "data_type": B32, "nonblock": False}
    for order, back in itertools.product(MemcpyOrder, MemcpyOrder):
        letter = "C" if order is ROW else "F"
        rows = np.random.default_rng(1).random((H, 1, N), dtype=np.float32)
        runner.memcpy_h2d_rowbcast(data, rows.ravel(order=letter), 0, 0, W, H, N, order=order, **common)
        runner.memcpy_d2h(got, data, 0, 0, W, H, N, order=back, **common)
        assert np.array_equal(got.reshape((H, W, N), order="C" if back is ROW else "F"), rows.repeat(W, axis=1))
        columns = np.random.default_rng(2).random((1, W, N), dtype=np.float32)
        runner.memcpy_h2d_colbcast(data, columns.ravel(order=letter), 0, 0, W, H, N, order=order, **common)
        runner.memcpy_d2h(got, data, 0, 0, W, H, N, order=back, **common)
        assert np.array_equal(got.reshape((H, W, N), order="C" if back is ROW else "F"), columns.repeat(H, axis=0))


@pytest.mark.parametrize("order", MemcpyOrder)
def test_strided_copies(order):
    runner = start(adder("wse3"), **ADDER)
    data, got = runner.get_id("data"), np.zeros(H * W * N, np.uint32)
    tensor = np.arange(1, 2 * N + 1, dtype=np.uint32).reshape(1, 2, N)
    flat = tensor.ravel(order="C" if order is ROW else "F")
    runner.memcpy_h2d_stride(
        data, flat, 0, 1, 3, 1, N, 2, 1, streaming=False, data_type=B32, order=order, nonblock=False
    )
    runner.memcpy_d2h(got, data, 0, 0, W, H, N, streaming=False, data_type=B32, order=ROW, nonblock=False)
    expected = np.zeros((H, W, N), np.uint32)
    expected[1, ::2] = tensor[0]
    assert np.array_equal(got.reshape(H, W, N), expected)
    with pytest.raises(wse.ConfigError, match="row_stride is at least 1"):
        runner.memcpy_h2d_stride(data, flat, 0, 0, 3, 1, N, 0, 1)


def test_places_and_cores(tmp_path):
    runner = start(adder("wse3"), **ADDER)
    assert runner.coord_logical_to_physical((2, 1)) == (6, 2)
    data = runner.get_id("data")
    runner.memcpy_h2d(data, np.full(N, 7, np.uint32), 1, 1, 1, 1, N)
    runner.dump_core("corefile.cs1")
    memory = np.load("corefile.cs1")["memory"]
    address = runner.artifact.classes[0].variables["data"].address
    assert memory.shape == (H, W, 49152)
    assert memory[1, 1, address : address + 4 * N].view(np.uint32).tolist() == [7] * N


def test_arguments_of_a_launch():
    runner = start(adder("wse3"), **ADDER)
    runner.launch("keep", np.int16(-2), np.uint16(65535), nonblock=False)
    got = np.zeros(W * H * 2, np.uint32)
    small = runner.get_id("small")
    runner.memcpy_d2h(got, small, 0, 0, W, H, 2, streaming=False, data_type=B16, order=ROW, nonblock=False)
    assert np.array_equal(got.reshape(-1, 2), [[0xFFFE, 0xFFFF]] * (W * H))
    runner.call("keep", [1, 2])
    runner.memcpy_d2h(got, small, 0, 0, W, H, 2, streaming=False, data_type=B16, order=ROW, nonblock=False)
    assert np.array_equal(got.reshape(-1, 2), [[1, 2]] * (W * H))
    for args, words in [
        ((np.float32(1),), "keep of pe takes 2 arguments, not 1"),
        ((np.int32(1), np.int16(1)), "argument 1 of keep is of type i16, not int32"),
        (("x", 1), "argument 1 of keep is a number of type i16, not 'x'"),
    ]:
        with pytest.raises(wse.ConfigError, match=words):
            runner.launch("keep", *args)
    with pytest.raises(wse.ConfigError, match="no PE publishes a function 'other'"):
        runner.launch("other")


def test_a_pe_that_does_not_release_its_command_stream():
    runner = start(adder("wse3", silent_at=(2, 1)), **ADDER)
    task = runner.launch("add", np.float32(1), nonblock=False)
    assert not runner.is_task_done(task)
    with pytest.raises(
        wse.DeadlockError, match=r"launch of keep waits for the end of the launch of add: PE \(2, 1\) has not"
    ):
        runner.launch("keep", 1, 2)
    with pytest.raises(wse.DeadlockError, match=r"stop\(\) waits for the end of the launch of add"):
        runner.stop()


# --- streams --------------------------------------------------------------------------------------------------------------


def streamer(arch: str) -> wse.Program:
    """PEs add 1 to what streams in and send it back, N at a time for ever; `count` is what a data task would count."""
    p = wse.Program(W, H, arch)
    p.color("down", 5)
    up = p.color("up", 7)
    pe = p.pe_class("pe")
    pe.array("count", 1, "u32")
    pe.queue_in(2, "down")
    pe.queue_out(2, "up")
    pe.dsd("from", dsd.fabin(2, N))
    pe.dsd("to", dsd.fabout(2, up, N))
    pe.local_task("main", 9, active=True)
    pe.code(
        """
        main: dsr a0, from
              dsr d0, to
              iadd32 r2, r9, 1
              add16 d0, a0, r2 {async, ut=2, activate=main}
              ld32 r1, [count]
              iadd32 r1, r1, 1
              st32 r1, [count]
              done
        """
    )
    p.place(pe)
    return p


STREAMS = {"host_colors": {"MEMCPYH2D_1": 5, "MEMCPYD2H_1": 7}}


@archs
@pytest.mark.parametrize("order", MemcpyOrder)
@pytest.mark.parametrize("nonblock", [False, True])
def test_streams(arch, order, nonblock):
    runner = start(streamer(arch), **STREAMS)
    words = np.arange(W * H * N, dtype=np.uint32)
    common = {"streaming": True, "data_type": B16, "order": order}
    got, more = np.zeros(W * H * N, np.uint32), np.zeros(2 * N, np.uint32)
    if nonblock:
        runner.memcpy_d2h(got, 7, 0, 0, W, H, N, nonblock=True, **common)
    runner.memcpy_h2d(5, words, 0, 0, W, H, N, nonblock=nonblock, **common)
    if not nonblock:
        runner.memcpy_d2h(got, 7, 0, 0, W, H, N, nonblock=False, **common)
        assert np.array_equal(got, words + 1)
    runner.memcpy_h2d(5, words[: 2 * N], 1, 0, 1, 2, N, nonblock=True, **common)
    task = runner.memcpy_d2h(more, 7, 1, 0, 1, 2, N, nonblock=True, **common)
    assert not runner.is_task_done(task)
    runner.stop()
    assert np.array_equal(got, words + 1) and np.array_equal(more, words[: 2 * N] + 1)
    assert runner.is_task_done(task)


def test_a_copy_sees_what_was_streamed_before():
    runner = start(streamer("wse3"), **STREAMS)
    got, back, count = np.zeros(5 * N, np.uint32), np.zeros(W * H, np.uint32), runner.get_id("count")
    common = {"data_type": B32, "order": ROW, "nonblock": True}
    runner.memcpy_h2d(5, np.zeros(5 * N, np.uint32), 0, 0, 1, 1, 5 * N, streaming=True, **common)
    runner.memcpy_d2h(got, 7, 0, 0, 1, 1, 5 * N, streaming=True, **common)
    runner.memcpy_d2h(back, count, 0, 0, W, H, 1, streaming=False, **common)
    runner.stop()
    assert back.tolist() == [6] + [1] * 5
    assert got.tolist() == [1] * (5 * N)


def test_a_stream_that_never_ends():
    runner = start(streamer("wse3"), **STREAMS)
    got = np.zeros(N, np.uint32)
    with pytest.raises(wse.DeadlockError, match=r"(?s)memcpy_d2h of 4 .* 4 wavelets are still to come.*input queue 2"):
        runner.memcpy_d2h(got, 7, 0, 0, 1, 1, N, streaming=True, data_type=B32, order=ROW, nonblock=False)
    task = runner.memcpy_h2d(5, np.zeros(99, np.uint32), 0, 0, 1, 1, 99, streaming=True, nonblock=True)
    with pytest.raises(wse.DeadlockError, match=r"memcpy_h2d of 99 wavelets .* does not end"):
        runner.task_wait(task)


# --- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r, a: r.memcpy_h2d(0, a, 0, 0, W, H, 2), "src has 4 elements, but height x width x elements per PE is 12"),
        (lambda r, a: r.memcpy_h2d(0, a, 0, 0, 4, 1, 1), r"4 x 1 PEs at \(0, 0\) are not in the program's 3 x 2"),
        (lambda r, a: r.memcpy_h2d(0, a.astype(np.float16), 0, 0, 1, 1, 4), "elements of 16 bits"),
        (lambda r, a: r.memcpy_h2d(0, a.reshape(2, 2).T, 0, 0, 1, 1, 4), "not contiguous"),
        (lambda r, a: r.memcpy_h2d(0, [1], 0, 0, 1, 1, 1), "src is a NumPy array, not list"),
        (lambda r, a: r.memcpy_h2d(17, a, 0, 0, 1, 1, 4), "17 is no exported variable"),
        (lambda r, a: r.memcpy_h2d(3, a, 0, 0, 1, 1, 4, streaming=True), "3 is no host-to-device color .* it has none"),
        (lambda r, a: r.memcpy_h2d(0, a, 0, 0, 1, 1, 4, order="row"), "order is MemcpyOrder"),
        (lambda r, a: r.memcpy_h2d(0, a, 0, 0, 1, 1, 4, data_type=32), "data_type is MemcpyDataType"),
        (lambda r, a: r.memcpy_h2d(0, np.zeros(49152, np.uint32), 0, 0, 1, 1, 49152), "has 4 bytes .1 x u32., but the copy is of 196608 bytes"),
        (lambda r, a: r.get_id("x"), "exports no 'x' .*: known: ad, add, data, keep, pad, small"),
        (lambda r, a: r.read_symbol(4, 1, "x"), "no symbol 'x'"),
        (lambda r, a: r.read_symbol(4, 1, "pad", "uint64"), "4 bytes, which are no array of uint64"),
    ],
)  # fmt: skip
def test_what_is_refused(call, words):
    runner = start(adder("wse3"), **ADDER)
    with pytest.raises(wse.WseError, match=words):
        call(runner, np.arange(4, dtype=np.uint32))


def test_the_order_of_a_run():
    hand.artifact(adder("wse3"), **ADDER).save("out")
    with pytest.raises(wse.ConfigError, match="this is the emulator"):
        SdkRuntime("out", cmaddr="10.0.0.1:9000")
    with pytest.raises(TypeError, match="no option bogus"):
        SdkRuntime("out", bogus=1)
    with pytest.raises(wse.ConfigError, match="nowhere holds no compiled program"):
        SdkRuntime("nowhere")
    runner = SdkRuntime("out", cmaddr=None, suppress_simfab_trace=True)
    with pytest.raises(wse.ConfigError, match="load"):
        runner.launch("add", 1)
    runner.load()
    with pytest.raises(wse.ConfigError, match=r"between run\(\) and stop\(\)"):
        runner.launch("add", 1)
    runner.run()
    runner.launch("add", 1)
    runner.stop()
    runner.stop()
    with pytest.raises(wse.ConfigError, match="between"):
        runner.launch("add", 1)
    with SdkRuntime("out") as again:
        again.launch("add", 1)
    assert again.read_symbol(4, 1, "calls", np.uint32) == [1]
    with pytest.raises(wse.ConfigError, match="is not in the program, which has 3 x 2 PEs at"):
        debug_util("out").get_symbol(0, 0, "calls", np.uint32)
    with pytest.raises(wse.ConfigError, match="was not run by this process"):
        debug_util("elsewhere")


def test_a_run_leaves_a_line_of_json(monkeypatch, tmp_path):
    monkeypatch.setenv(runtime.RUN_LOG, str(tmp_path / "log"))
    for _ in range(2):
        runner = start(adder("wse2"), **ADDER)
        runner.launch("add", np.float32(1))
        runner.stop()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["arch"], line["grid"]) for line in lines] == [("wse2", [3, 2])] * 2
    assert lines[0]["cycles"] == lines[1]["cycles"] > 0


def test_a_program_without_commands_that_never_rests(capsys, monkeypatch):
    monkeypatch.setattr(runtime, "STOP_CYCLES", 5_000)
    p = wse.Program(1, 1, "wse3")
    pe = p.pe_class("pe")
    pe.local_task("main", 9, active=True)
    pe.code("main: jmp main")
    p.place(pe)
    hand.artifact(p).save("out")
    runner = SdkRuntime("out", memcpy_required=False)
    runner.load()
    runner.run()
    runner.stop()
    assert "note: the program still ran after 5,0" in capsys.readouterr().err


def test_sim_log(tmp_path):
    p = wse.Program(2, 1, "wse3")
    pe = p.pe_class("pe")
    pe.array("x", 1, "u32")
    pe.local_task("main", 9, active=True)
    pe.code(
        """
        main: say 0, 0
              coord r1, 0
              iadd32 r3, r9, 1
              say r3, r1
              say 0, 1
              isub32 r2, r9, 2
        more: iadd32 r3, r3, 1
              ieq32 r4, r3, 2
              bnz r4, more
              say r3, r2
              ieq32 r4, r3, 6
              bz r4, more
              say 7, 0x3fc00000
              say 8, 0x5140
              say 9, 0
              say 0, 2
              done
        """
    )
    p.place(pe)
    runner = start(p, strings=["PE ", ":\n\nnumbers ", "open"])
    runner.stop()
    text = (tmp_path / simlog.NAME).read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in text if line.split(" ", 1)[1]] == [
        *("PE 0:", "PE 1:"),
        *["numbers -2-2FFFEFFFFFFFE1.542.0"] * 2,
    ], "a line that has not ended is lost"
    cycles = [int(line.split(" ")[0][1:]) for line in text]
    assert cycles == sorted(cycles)
