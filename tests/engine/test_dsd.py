"""Descriptors: lengths, walks, saved addresses, what fabric operands do beside carrying elements, and what is refused."""

import struct

import numpy as np
import pytest
from engine.router_model import control_word
from harness import (
    ARCHS,
    EAST,
    LOOP,
    NORTH,
    WEST,
    Dsr,
    Xdsr,
    bench,
    circular,
    fabin,
    fabout,
    loads,
    mem,
    mem4d,
    run,
)  # fmt: skip

import wse
from wse.machine import isa

archs = pytest.mark.parametrize("arch", ARCHS)
INFINITE = isa.LENGTH_INFINITE
SAVE = isa.DSD_SAVE_ADDRESS


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values)


def stored(ran, register: int) -> Dsr:
    """The DSR that `stds` put into registers from this one."""
    return Dsr.decode(struct.pack("<4I", *ran.r[register : register + 4]))


COUNT = words(*range(100))


# --- lengths -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dst", "src0", "src1", "n"),
    [(5, 3, 4, 3), (3, 5, 4, 5), (5, 0, 4, 4), (5, 0, 0, 5), (0, 0, 0, 1), (0, 4, 0, 4), (9, 0, 2, 2)],
)
def test_the_first_length_decides_sources_first(dst, src0, src1, n):
    ran = run("add16 d0, a0, b0", memory=COUNT, dsrs={"d0": mem(100, dst), "a0": mem(0, src0), "b0": mem(2, src1)})
    assert ran.array("<u2", 100, 10) == [2 * i + 1 for i in range(n)] + list(range(50 + n, 60))
    assert ran.counter("elements") == n


@archs
@pytest.mark.parametrize(("dst", "src", "n"), [(5, INFINITE, 5), (5, 0, 5), (5, 3, 3), (INFINITE, 4, 4), (0, 2, 2)])
def test_a_fabric_operand_without_end_takes_the_others_length(arch, dst, src, n):
    to = mem(0, dst) if dst != INFINITE else fabout(INFINITE)
    ran = run("mov16 d0, a0", arch, memory=bytes(40), dsrs={"d0": to, "a0": fabin(src)}, inputs={WEST: range(1, n + 1)})
    got = ran.out.data.tolist() if dst == INFINITE else ran.array("<u2", 0, n)
    assert got == list(range(1, n + 1))


def test_a_length_of_0x7fff_is_only_without_end_for_the_fabric():
    ran = run("mov16 d0, a0", dsrs={"d0": mem(0, INFINITE, 0), "a0": mem(0, INFINITE, 0)}, memory=bytes(2))
    assert ran.counter("elements") == INFINITE


# --- walks --------------------------------------------------------------------------------------------------------------------


def copied(walk: Dsr, xdsr: Xdsr | None = None, n: int = 12, fmt="<u2", memory=COUNT, **more) -> list[int]:
    """What a walk reads."""
    op = "mov16" if fmt == "<u2" else "mov32"
    size = {"<u2": 2, "<u4": 4}[fmt]
    ran = run(
        f"{op} d0, a0",
        memory=memory + bytes(4 * n),
        dsrs={"d0": mem(len(memory), n, size), "a0": walk},
        xdsrs={f"x{walk.x}": xdsr} if xdsr else {},
        **more,
    )
    return ran.array(fmt, len(memory), n)


def test_strides():
    assert copied(mem(0, 4), n=4) == [0, 1, 2, 3]
    assert copied(mem(0, 4, 6), n=4) == [0, 3, 6, 9]
    assert copied(mem(20, 4, -2), n=4) == [10, 9, 8, 7]
    assert copied(mem(20, 4, 0), n=4) == [10] * 4
    assert copied(mem(1, 2), n=2) == [1 << 8, 2 << 8]  # an odd address is as good as another
    assert copied(mem(0, 3, 4), n=3, fmt="<u4") == [1 << 16, 2 | 3 << 16, 4 | 5 << 16]


def test_a_tensor_is_walked_with_its_last_dimension_first():
    # 2 x 3 x 2 elements of a 4-dimensional one: strides of 20, 6 and 2 words
    x = Xdsr([1, 2, 3, 2], [0, 40, 12, 4])
    expected = [20 * i + 6 * j + 2 * k for i in range(2) for j in range(3) for k in range(2)]
    assert copied(mem4d(0, 12, 1), x) == expected
    assert copied(mem4d(2, 12, 1), x) == [v + 1 for v in expected]
    # negative strides; a length beyond the extents goes on in the slowest dimension
    assert copied(mem4d(80, 4, 1), Xdsr([1, 1, 2, 2], [0, 0, -20, 2]), n=4) == [40, 41, 30, 31]
    assert copied(mem4d(0, 6, 1), Xdsr([2, 1, 1, 2], [20, 0, 0, 2]), n=6) == [0, 1, 10, 11, 20, 21]


def test_a_circular_walk_goes_round():
    whole = Xdsr(start=10, size=8)  # words 5 to 8
    assert copied(circular(10, 7, 2, 1), whole, n=7) == [5, 6, 7, 8, 5, 6, 7]
    assert copied(circular(14, 4, 2, 1), whole, n=4) == [7, 8, 5, 6]
    assert copied(circular(14, 4, -2, 1), whole, n=4) == [7, 6, 5, 8]
    assert copied(circular(10, 4, 6, 1), whole, n=4) == [5, 8, 7, 6]


def test_saved_addresses():
    whole = Xdsr(start=10, size=8)
    for walk, x, first, second in (
        (mem(0, 3, flags=SAVE), None, [0, 1, 2], [3, 4, 5]),
        (mem(60, 3, -4, flags=SAVE), None, [30, 28, 26], [24, 22, 20]),
        (mem(0, 3), None, [0, 1, 2], [0, 1, 2]),
        (circular(10, 3, 2, 1, flags=SAVE), whole, [5, 6, 7], [8, 5, 6]),
        (circular(10, 3, 2, 1), whole, [5, 6, 7], [5, 6, 7]),
        (mem4d(0, 4, 1, flags=SAVE), Xdsr([2, 1, 1, 2], [20, 0, 0, 2]), [0, 1, 10, 11], [20, 21, 30, 31]),
    ):
        n = len(first)
        ran = run(
            "mov16 d0, a0\nmov16 d0, a0",
            memory=COUNT + bytes(40),
            dsrs={"d0": mem(200, n, flags=SAVE), "a0": walk},
            xdsrs={"x1": x} if x else {},
        )
        assert ran.array("<u2", 200, 2 * n) == first + second, walk


def test_saved_addresses_of_a_program():
    p = wse.Program(1, 1)
    pe = p.pe_class("pe")
    tensor = pe.array("tensor", (6, 5), "u16", init=np.arange(30).reshape(6, 5))
    pe.dsd("two_rows", wse.mem4d(tensor, (2, 3), (5, 1), save_address=True), xdsr=2)
    pe.dsd("row", wse.mem4d(tensor, (3,), (1,), save_address=True), xdsr=3)
    pe.dsd("to", wse.mem1d(pe.array("got", 18, "u16"), length=6, save_address=True))
    pe.dsd("to3", wse.mem1d(pe.array("got3", 6, "u16"), length=3, save_address=True))
    pe.code("main: xdsr x2, two_rows.x\nxdsr x3, row.x\ndsr a0, two_rows\ndsr a1, row\ndsr d0, to\ndsr d1, to3")
    pe.code("mov16 d0, a0\nmov16 d0, a0\nmov16 d0, a0\nmov16 d1, a1\nmov16 d1, a1\ndone")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    f = wse.Fabric(p)
    f.run()
    assert f.read("got")[0, 0].tolist() == [5 * i + j for i in range(6) for j in range(3)]
    assert f.read("got3")[0, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_dsr_that_is_source_and_destination_is_saved_once():
    dsrs = {"a0": mem(0, 3, flags=SAVE), "b0": mem(100, 3)}
    ran = run("add16 a0, a0, b0\nstds a0, r1", memory=COUNT, dsrs=dsrs)
    assert ran.array("<u2", 0, 4) == [50, 52, 54, 3]
    assert stored(ran, 1).base == ran.origin + 6


def test_an_index_moves_a_memory_operand_by_words():
    ran = run(
        "mov r1, 3\ndsindex a0, r1\nmov16 d0, a0\nstds a0, r2",
        memory=COUNT + bytes(8),
        dsrs={"d0": mem(200, 4), "a0": mem(10, 4)},
    )
    assert ran.array("<u2", 200, 4) == [8, 9, 10, 11]
    assert (stored(ran, 2).base, stored(ran, 2).index) == (ran.origin + 10, 3)


def test_memory_ends_at_48_kib_and_addresses_wrap_at_64():
    top = mem(49152 - 4, 4, absolute=True)
    ran = run("mov16 d0, a0\nmov16 d1, d0", memory=COUNT + bytes(8),
              dsrs={"d0": top, "a0": mem(2, 4), "d1": mem(200, 4)})  # fmt: skip
    assert ran.array("<u2", 200, 4) == [1, 2, 0, 0]  # what lies beyond is not stored, and reads as 0
    ran = run("mov32 d0, a0\nmov32 d1, d0", memory=COUNT + bytes(8),
              dsrs={"d0": mem(49150, 2, 4, absolute=True), "a0": mem(2, 2, 4), "d1": mem(200, 2, 4)})  # fmt: skip
    assert ran.array("<u4", 200, 2) == [1, 0]
    # from 65534 on: two elements of nothing, then the code, which begins at address 0
    ran = run("mov16 d0, a0", memory=bytes(8), dsrs={"d0": mem(0, 3), "a0": mem(65532, 3, absolute=True)})
    assert ran.array("<u2", 0, 2) == [0, 0]


# --- fabric operands ------------------------------------------------------------------------------------------------------------


@archs
def test_halves_of_wavelets(arch):
    inputs = {WEST: [0x11112222, 0x33334444]}
    ran = run("mov16 d0, a0", arch, memory=bytes(8), dsrs={"d0": mem(0, 2), "a0": fabin(2)}, inputs=inputs)
    assert ran.array("<u2", 0, 2) == [0x2222, 0x4444]
    ran = run("mov32 d0, a0", arch, memory=bytes(8), dsrs={"d0": mem(0, 2, 4), "a0": fabin(2)}, inputs=inputs)
    assert ran.array("<u4", 0, 2) == inputs[WEST]
    ran = run("mov16 d0, a0", arch, memory=words(5, 6), dsrs={"d0": fabout(2), "a0": mem(0, 2)})
    assert ran.out.data.tolist() == [5, 6]


SIMD = isa.DSD_SIMD


@archs
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_two_elements_to_a_wavelet(arch, n):
    values = list(range(1, n + 1))
    pairs = [values[i] | (values[i + 1] if i + 1 < n else 0) << 16 for i in range(0, n, 2)]
    ran = run("mov16 d0, a0", arch, memory=words(*values), dsrs={"d0": fabout(n, flags=SIMD), "a0": mem(0, n)})
    assert ran.out.data.tolist() == pairs
    ran = run("mov16 d0, a0", arch, memory=bytes(2 * n), dsrs={"d0": mem(0, n), "a0": fabin(n, flags=SIMD)},
              inputs={WEST: pairs})  # fmt: skip
    assert ran.array("<u2", 0, n) == values
    # through the operation: both sides in pairs
    dsrs = {"d0": fabout(n, flags=SIMD), "a0": fabin(n, flags=SIMD), "b0": mem(0, n)}
    ran = run("add16 d0, a0, b0", arch, memory=words(*values), dsrs=dsrs, inputs={WEST: pairs})
    assert ran.out.data.tolist() == [2 * pair for pair in pairs]
    # only one side in pairs: one element to a wavelet on both
    ran = run("mov16 d0, a0", arch, dsrs={"d0": fabout(n), "a0": fabin(n, flags=SIMD)}, inputs={WEST: values})
    assert ran.out.data.tolist() == values
    # elements of 32 bits are never paired
    ran = run("mov32 d0, a0", arch, memory=bytes(4 * n), dsrs={"d0": fabout(n, flags=SIMD), "a0": mem(0, n, 4)})
    assert len(ran.out) == n


def test_pairs_into_memory_are_done_in_order():
    # each sum is the next one's operand
    dsrs = {"d0": mem(2, 4), "a0": fabin(4, flags=SIMD), "b0": mem(0, 4)}
    ran = run("add16 d0, a0, b0", memory=words(7, 0, 0, 0, 0), dsrs=dsrs, inputs={WEST: [1 | 2 << 16, 3 | 4 << 16]})
    assert ran.array("<u2", 0, 5) == [7, 8, 10, 13, 17]
    # and so are pairs that a register accumulates
    dsrs = {"b0": fabin(4, flags=SIMD)}
    ran = run("add16 r1, r1, b0", dsrs=dsrs, inputs={WEST: [1 | 2 << 16, 3 | 4 << 16]}, registers={1: 100})
    assert ran.r[1] == 110


def test_an_index_in_the_upper_half_of_a_wavelet():
    code = "mov16 d0, a0\nmov r1, 7\ndsindex d0, r1\nmov16 d0, a0"
    ran = run(code, memory=words(5, 6), dsrs={"d0": fabout(2, flags=isa.DSD_INDEX, index=3), "a0": mem(0, 2)})
    assert ran.out.data.tolist() == [5 | 3 << 16, 6 | 3 << 16, 5 | 7 << 16, 6 | 7 << 16]


def test_control_wavelets():
    word = control_word([(0, True)])
    ran = run("mov32 d0, r1", dsrs={"d0": fabout(2, flags=isa.DSD_CONTROL)}, registers={1: word})
    assert ran.out.data.tolist() == [word] * 2 and ran.out.control.tolist() == [True] * 2


@archs
def test_two_fabric_inputs_are_for_wse2(arch):
    dsrs = {"d0": mem(0, 3), "a0": fabin(3, 2), "b0": fabin(3, 3)}
    inputs = {WEST: [1, 2, 3], NORTH: [10, 20, 30]}
    if arch == "wse2":
        ran = run("add16 d0, a0, b0", arch, memory=bytes(6), dsrs=dsrs, inputs=inputs)
        assert ran.array("<u2") == [11, 22, 33]
    else:
        with pytest.raises(wse.FabricFault) as caught:
            run("add16 d0, a0, b0", arch, memory=bytes(6), dsrs=dsrs, inputs=inputs)
        assert caught.value.kind == "FABRIC_INPUTS"


# --- control wavelets that an operation meets ----------------------------------------------------------------------------------


TERMINATE, ACTIVATE, UNBLOCK = (isa.ON_CONTROL_TERMINATE, isa.ON_CONTROL_ACTIVATE, isa.ON_CONTROL_UNBLOCK)
END = control_word([(0, False)], 40)


@archs
@pytest.mark.parametrize("length", [INFINITE, 10])
def test_a_control_wavelet_ends_an_operation(arch, length):
    inputs = {WEST: ([1, 2, 3, END, 4, 5], [0, 0, 0, 1, 0, 0])}
    dsrs = {"d0": mem(0, 0, flags=SAVE), "a0": fabin(length, on_control=TERMINATE), "a1": fabin(2)}
    ran = run("mov16 d0, a0\nmov16 d0, a1", arch, memory=bytes(20), dsrs=dsrs, inputs=inputs)
    assert ran.array("<u2", 0, 6) == [1, 2, 3, 4, 5, 0]
    assert ran.counter("elements") == 5


@archs
def test_a_control_wavelet_ends_an_operation_and_starts_a_task(arch):
    inputs = {WEST: ([1, 2, END, 4], [0, 0, 1, 0])}
    code = loads(dsrs := {"d0": mem(0, 9), "a0": fabin(9, on_control=ACTIVATE | 20 << 2)}, {})
    code = f"main: {code}mov16 d0, a0 {{async}}\ndone\nfin: mark 7\ndone"

    def declare(pe):
        pe.local_task("main", 9, active=True)
        pe.local_task("fin", 20)

    ran = bench(
        code, arch, declare=declare, memory=bytes(20), dsrs=dsrs, inputs=inputs, trace=100, on_deadlock="return"
    )
    assert ran.array("<u2", 0, 3) == [1, 2, 0]
    assert [value for _, _, value in ran.events("MARK")] == [7]


@archs
def test_a_control_wavelet_ends_an_operation_and_unblocks_a_task(arch):
    inputs = {WEST: ([1, 2, END], [0, 0, 1])}
    code = loads(dsrs := {"d0": mem(0, 9), "a0": fabin(9, on_control=UNBLOCK | 20 << 2)}, {})
    code = f"main: {code}mov16 d0, a0 {{async}}\ndone\nfin: mark 7\ndone"

    def declare(pe):
        pe.local_task("main", 9, active=True)
        pe.local_task("fin", 20, active=True, blocked=True)

    ran = bench(code, arch, declare=declare, memory=bytes(20), dsrs=dsrs, inputs=inputs, trace=100)
    assert [value for _, _, value in ran.events("MARK")] == [7] and ran.run.ended == "done"


@archs
def test_an_operation_passes_over_control_wavelets_for_routers(arch):
    inputs = {WEST: ([1, control_word([(0, False)]), 2, 3], [0, 1, 0, 0])}
    ran = run("mov16 d0, a0", arch, memory=bytes(6), dsrs={"d0": mem(0, 3), "a0": fabin(3)}, inputs=inputs)
    assert ran.array("<u2") == [1, 2, 3]


@archs
def test_an_operation_waits_for_the_task_of_a_control_wavelet(arch):
    inputs = {WEST: ([1, END, 2, 3], [0, 1, 0, 0])}
    code = loads(dsrs := {"d0": mem(0, 3), "a0": fabin(3)}, {})
    code = f"main: {code}mov16 d0, a0 {{async}}\ndone\nctl: mark 1\ndone"

    def declare(pe):
        pe.local_task("main", 9, active=True)
        pe.control_task("ctl", 40)

    ran = bench(code, arch, declare=declare, memory=bytes(6), dsrs=dsrs, inputs=inputs, trace=100)
    assert ran.array("<u2") == [1, 2, 3] and len(ran.events("MARK")) == 1


@archs
def test_dropping_data_until_control_wavelets_have_come(arch):
    control = control_word([(0, False)])
    inputs = {WEST: ([1, 2, control, 3, control, 4, 5], [0, 0, 1, 0, 1, 0, 0])}
    dsrs = {"a0": fabin(2), "d0": mem(0, 2), "a1": fabin(2)}
    ran = run("dfilt a0\nmov16 d0, a1", arch, memory=bytes(4), dsrs=dsrs, inputs=inputs)
    assert ran.array("<u2") == [4, 5]


# --- what is refused ---------------------------------------------------------------------------------------------------------------


def word(op: str, a=0xFF, b=0xFF, c=0xFF, d=0xFF) -> str:
    """A vector instruction with these operand bytes."""
    return f".word {isa.encode(isa.INSTRUCTION[op].opcode, a, b, c | d << 8)}"


@archs
@pytest.mark.parametrize(
    ("code", "dsrs", "kind"),
    [
        ("mov16 d0, a0", {"a0": mem(0, 1)}, "BAD_DSR"),  # d0 was never loaded
        ("mov16 d0, a0", {"d0": mem(0, 1)}, "BAD_DSR"),
        ("mov16 d0, a0", {"d0": fabin(1), "a0": mem(0, 1)}, "BAD_DSR"),
        ("mov16 d0, a0", {"d0": mem(0, 1), "a0": fabout(1)}, "BAD_DSR"),
        ("mov16 d0, a0", {"d0": mem(0, 1), "a0": Dsr(7)}, "BAD_DSR"),
        ("mov16 d0, a0", {"d0": mem(0, 1), "a0": mem4d(0, 1, 48)}, "BAD_DSR"),
        ("dfilt a0", {"a0": mem(0, 1)}, "BAD_DSR"),
        ("mov16 d0, a0", {"d0": mem(0, 1), "a0": fabin(1, 5)}, "BAD_QUEUE"),  # bound to no color
        ("mov16 d0, a0", {"d0": mem(0, 1), "a0": fabin(1, 8)}, "BAD_QUEUE"),
        ("mov16 d0, a0", {"d0": fabout(1, 8), "a0": mem(0, 1)}, "BAD_QUEUE"),
        ("mov16 d0, a0", {"d0": fabout(1, 2, LOOP), "a0": mem(0, 1)}, "BAD_QUEUE"),  # bound to another
        ("mov16 d0, a0", {"d0": fabout(1, 0, 9), "a0": mem(0, 1)}, "BAD_COLOR"),  # no color of the program
        (word("mov16", 0x30, 0), {}, "BAD_OPERAND"),
        (word("mov16", 0x40, 0xFF), {}, "BAD_OPERAND"),
        (word("mov16", 0xFF, 0x40), {}, "BAD_OPERAND"),
        (word("mov16", 0x40, 0x41, 0x42), {}, "BAD_OPERAND"),
        (word("mov16", 0x40, 0x60), {}, "BAD_OPERAND"),
        (word("fmach", 0x40, 0x41, 0x42), {}, "BAD_OPERAND"),
        (word("fmach", 0x40, 0x41, 0x42, 0), {}, "BAD_OPERAND"),
        (word("mov16", 0x40, 0x41, 0xFF, 0x42), {}, "BAD_OPERAND"),
    ],
)
def test_operands_that_cannot_be(arch, code, dsrs, kind):
    with pytest.raises(wse.FabricFault) as caught:
        run(code, arch, dsrs=dsrs, memory=bytes(4))
    fault = caught.value
    assert (fault.kind, fault.task, fault.x, fault.y) == (kind, 9, 0, 0)
    assert fault.pc == 5 * len(dsrs) + 5 and fault.run.ended == "fault"


def test_on_wse2_an_output_queue_serves_several_colors():
    code = "mov16 d0, a0\nmov16 d1, a0\nmov16 d0, a0"
    dsrs = {"d0": fabout(2, 0, EAST), "d1": fabout(1, 0, LOOP), "a0": mem(0, 0)}
    ran = run(code, "wse2", memory=words(5, 6), dsrs=dsrs, on_deadlock="return", trace=100)
    assert ran.out.data.tolist() == [5, 6, 5, 6]
    assert [(color, data) for _, color, data in ran.events("LAND")] == [(LOOP, 5)]


@pytest.mark.parametrize("color", [23, 24, 255])
def test_a_loop_over_wavelets_of_a_color_that_the_program_does_not_have(color):
    from_nowhere = fabin(3, color=color, flags=isa.DSD_BINDS)
    with pytest.raises(wse.FabricFault, match="mapstep"):
        run(".next: mapstep r1, b1, .end\nmaploop .next\n.end: nop", dsrs={"b1": from_nowhere})
