"""FIFOs in memory: order, a full and an empty one, tasks that they activate."""

import struct

import pytest
from harness import ARCHS, NORTH, WEST, Dsr, Ran, Xdsr, bench, events, fabin, fabout, fifo, loads, mem, run

import wse
from wse.machine import isa

archs = pytest.mark.parametrize("arch", ARCHS)


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values)


def stored(ran: Ran, register: int) -> Dsr:
    return Dsr.decode(struct.pack("<4I", *ran.r[register : register + 4]))


def state(ran: Ran, register: int) -> tuple[int, ...]:
    """head, count, was full, was empty of the XDSR in registers."""
    data = struct.unpack("<HHHHBBBB4x", struct.pack("<4I", *ran.r[register : register + 4]))
    return data[2], data[3], data[6], data[7]


@archs
def test_what_goes_in_comes_out_in_order(arch):
    dsrs = {"d0": fifo(1), "a0": mem(0, 4), "d1": mem(100, 4), "a1": fifo(1)}
    code = "mov16 d0, a0\nmov16 d1, a1\nstxd x1, r1"
    ran = run(code, arch, memory=words(1, 2, 3, 4) + bytes(200), dsrs=dsrs, xdsrs={"x1": Xdsr(start=50, size=6)})
    assert ran.array("<u2", 100, 5) == [1, 2, 3, 4, 0]
    assert state(ran, 1) == (4, 0, 0, 0)


@archs
def test_it_goes_round_in_its_array(arch):
    # three times in and out of an array of five
    dsrs = {"d0": fifo(1), "a0": mem(0, 3, flags=isa.DSD_SAVE_ADDRESS), "a1": fifo(1),
            "d1": mem(100, 3, flags=isa.DSD_SAVE_ADDRESS)}  # fmt: skip
    code = "mov16 d0, a0\nmov16 d1, a1\n" * 3 + "stxd x1, r1"
    memory = words(*range(1, 10)) + bytes(200)
    ran = run(code, arch, memory=memory, dsrs=dsrs, xdsrs={"x1": Xdsr(start=50, size=5)})
    assert ran.array("<u2", 100, 9) == list(range(1, 10))
    assert state(ran, 1)[:2] == (4, 0)
    assert ran.array("<u2", 48, 7) == [0, 6, 7, 8, 9, 5, 0]  # nothing outside its five words


@archs
def test_words_of_32_bits(arch):
    dsrs = {"d0": fifo(1), "a0": mem(0, 3, 4), "d1": mem(100, 3, 4), "a1": fifo(1)}
    memory = struct.pack("<3I", 1 << 20, 2 << 20, 3 << 20) + bytes(200)
    ran = run("mov32 d0, a0\nmov32 d1, a1", arch, memory=memory, dsrs=dsrs, xdsrs={"x1": Xdsr(start=50, size=3)})
    assert ran.array("<u4", 100, 3) == [1 << 20, 2 << 20, 3 << 20]


@archs
def test_a_synchronous_operation_ends_at_a_full_one(arch):
    dsrs = {"d0": fifo(1), "a0": mem(0, 5)}
    code = "mov16 d0, a0\nstds d0, r1\nstxd x1, r5\nmov16 d0, a0\nstds d0, r9"
    ran = run(code, arch, memory=words(1, 2, 3, 4, 5) + bytes(100), dsrs=dsrs, xdsrs={"x1": Xdsr(start=50, size=3)})
    assert ran.array("<u2", 50, 4) == [1, 2, 3, 0]
    assert stored(ran, 1).length == 2  # what it did not do
    assert state(ran, 5) == (0, 3, 1, 0)
    assert stored(ran, 9).length == 5
    assert ran.counter("elements") == 3


@archs
def test_a_synchronous_operation_ends_at_an_empty_one(arch):
    dsrs = {"d0": mem(100, 5), "a0": fifo(1)}
    code = "mov16 d0, a0\nstds a0, r1\nstxd x1, r5"
    ran = run(code, arch, memory=words(7, 8) + bytes(200), dsrs=dsrs, xdsrs={"x1": Xdsr(size=4, count=2)})
    assert ran.array("<u2", 100, 3) == [7, 8, 0]
    assert stored(ran, 1).length == 3
    assert state(ran, 5) == (2, 0, 0, 1)


@archs
@pytest.mark.parametrize("n", [2, 3])
def test_pairs_need_two_elements_or_two_places(arch, n):
    # a wavelet carries two elements: with one in the FIFO, or one place, the operation ends before it
    pairs = {"flags": isa.DSD_SIMD}
    dsrs = {"d0": fabout(4, **pairs), "a0": fifo(1)}
    ran = run("mov16 d0, a0\nstds a0, r1\nstxd x1, r5", arch, memory=words(7, 8, 9) + bytes(20), dsrs=dsrs,
              xdsrs={"x1": Xdsr(size=4, count=n)})  # fmt: skip
    assert ran.out.data.tolist() == [7 | 8 << 16]
    assert stored(ran, 1).length == 2 and state(ran, 5)[1] == n - 2
    dsrs = {"d0": fifo(1), "a0": fabin(4, **pairs)}
    ran = run("mov16 d0, a0\nstds d0, r1\nstxd x1, r5", arch, memory=bytes(20), dsrs=dsrs,
              xdsrs={"x1": Xdsr(size=n)}, inputs={WEST: [1 | 2 << 16, 3 | 4 << 16]}, on_deadlock="return")  # fmt: skip
    assert ran.array("<u2", 0, 4) == [1, 2, 0, 0]
    assert stored(ran, 1).length == 2 and state(ran, 5)[1] == 2


# --- asynchronous ---------------------------------------------------------------------------------------------------------------


def both(code: str, arch, capacity: int, n: int, more: str = "", **options) -> Ran:
    """n words from the north through a FIFO to the east."""
    dsrs = {"d0": fifo(1), "a0": fabin(n, 3), "d1": fabout(n), "a1": fifo(1)}
    xdsrs = {"x1": Xdsr(start=0, size=capacity, **options.pop("state", {}))}

    def declare(pe):
        pe.local_task("main", 9, active=True)
        for name, id in (("filled", 20), ("drained", 21), ("fin", 22)):
            if f"{name}:" in more:
                pe.local_task(name, id)

    text = f"main: {loads(dsrs, xdsrs)}{code}\ndone\n{more}"
    inputs = {NORTH: list(range(1, n + 1))}
    return bench(text, arch, declare=declare, dsrs=dsrs, xdsrs=xdsrs, memory=bytes(4 * capacity), inputs=inputs,
                 trace=1000, **options)  # fmt: skip


@archs
@pytest.mark.parametrize("capacity", [1, 2, 7, 40])
def test_asynchronous_operations_wait_for_each_other(arch, capacity):
    reader_first = "mov32 d1, a1 {async, ut=5}\nmov32 d0, a0 {async, ut=4}"
    writer_first = "mov32 d0, a0 {async, ut=4}\nmov32 d1, a1 {async, ut=5}"
    for code in (reader_first, writer_first):
        ran = both(code, arch, capacity, 30)
        assert ran.out.data.tolist() == list(range(1, 31)) and ran.run.ended == "done"
        # element after element, or one for one: both take a slot for each of their elements
        assert ran.counter("busy_micro") == 60


@archs
def test_a_full_one_suspends_its_writer(arch):
    ran = both("mov32 d0, a0 {async, ut=4}", arch, 5, 8, on_deadlock="return")
    assert ran.array("<u4", 0, 5) == [1, 2, 3, 4, 5] and ran.counter("elements") == 5
    assert ran.run.ended == "deadlock" and ran.counter("stall_output") == 0  # the compute element is idle by then


@archs
def test_an_empty_one_suspends_its_reader(arch):
    ran = both("mov32 d1, a1 {async, ut=4}", arch, 5, 3, state={"count": 2}, on_deadlock="return")
    assert ran.counter("elements") == 2 and ran.run.ended == "deadlock"


@archs
def test_a_microthread_without_a_queue_is_the_first_free_one(arch):
    dsrs = {"d0": fifo(1), "a0": mem(0, 2), "d1": fifo(2), "a1": mem(0, 2), "d2": fabout(1, 0, 2)}
    xdsrs = {"x1": Xdsr(start=20, size=4), "x2": Xdsr(start=40, size=4)}

    def declare(pe):
        pe.local_task("main", 9, active=True)

    code = "mov16 d0, a0 {async}\nmov16 d1, a1 {async}\n"
    ran = bench(f"main: {loads(dsrs, xdsrs)}{code}done", arch, declare=declare, dsrs=dsrs, xdsrs=xdsrs,
                memory=bytes(100), trace=100)  # fmt: skip
    assert [thread for _, _, thread in ran.events("OP_START")] == [0, 1]


# --- tasks ------------------------------------------------------------------------------------------------------------------------


@archs
def test_the_first_push_after_a_reader_had_to_wait(arch):
    # the reader finds it empty once, for the wavelets come one a cycle and then lie there
    filled = "filled: mark 1\ndone"
    code = "mov32 d1, a1 {async, ut=5}\n" + "nop\n" * 30 + "mov32 d0, a0 {async, ut=4}"
    ran = both(code, arch, 8, 3, filled, state={"on_push": 20})
    assert ran.out.data.tolist() == [1, 2, 3]
    assert len(ran.events("MARK")) == 1
    # no reader waits
    ran = both("mov32 d0, a0 {async, ut=4}", arch, 8, 3, filled, state={"on_push": 20})
    assert ran.events("MARK") == []


@archs
def test_the_first_pop_after_a_writer_had_to_wait(arch):
    code = "mov32 d0, a0 {async, ut=4}\n" + "nop\n" * 40 + "mov32 d1, a1 {async, ut=5}"
    ran = both(code, arch, 3, 8, "drained: mark 2\ndone", state={"on_pop": 21})
    assert ran.out.data.tolist() == list(range(1, 9))
    assert len(ran.events("MARK")) >= 1
    ran = both(code, arch, 8, 8, "drained: mark 2\ndone", state={"on_pop": 21})
    assert ran.events("MARK") == []  # it was never full


def test_a_synchronous_operation_is_continued_by_a_task():
    """What the full FIFO left is done when there is room: the way programs use activate_pop."""
    p = wse.Program(1, 1)
    c = p.color("c")
    p.route(c, "R", "E")
    pe = p.pe_class("pe")
    pe.queue_out(2, c)
    pe.dsd("from", wse.mem1d(pe.array("words", 6, "u32", init=[1, 2, 3, 4, 5, 6]), save_address=True))
    pe.dsd("push", wse.fifo(pe.array("ring", 4, "u32"), xdsr=1, activate_pop="again"))
    pe.dsd("pop", wse.fifo(pe.symbols["ring"], xdsr=1))
    pe.dsd("out", wse.fabout(2, c, 6))
    pe.code("""
    main: xdsr x1, push.x
        dsr d0, push
        dsr a0, from
        mov32 d0, a0           // four of them fit
        dsr d1, out
        dsr a1, pop
        mov32 d1, a1 {async}
        done
    again: mark 1
        stds a0, r1            // its address was saved; its length becomes what the FIFO says is left
        stds d0, r5
        zext16 r2, r2
        ishr32 r6, r6, 16
        ishl32 r6, r6, 16
        ior r2, r2, r6
        ldds a0, r1
        mov32 d0, a0
        done
    """)
    pe.local_task("main", 9, active=True)
    pe.local_task("again", 10)
    p.place(pe)
    f = wse.Fabric(p, trace=100)
    out = f.stream_out(0, 0, "E", c)
    done = f.run()
    assert out.data.tolist() == [1, 2, 3, 4, 5, 6]
    assert 1 <= len(events(done, "MARK")) <= 2
