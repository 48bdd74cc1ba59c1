"""wse.program.program and wse.program.dsd: declarations, layout, and each check with its sentence.

Covers: wse/program/dsd.py, wse/program/pe_class.py, wse/program/symbol.py
"""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from says import here, says

import wse
from wse import AsmError, MemoryOverflow, Program, ProgramError, RouteError, _engine
from wse.machine import isa


def one(machine="wse3", **options):
    """A program of one placed class with a color on two queues and an array."""
    p = Program(4, 2, machine, **options)
    red = p.color("red", 3)
    pe = p.pe_class("worker")
    a = pe.array("A", (4, 4), "f32")
    p.place(pe)
    return p, pe, red, a


# --- what it says of itself -------------------------------------------------------------------------------------------


def test_reprs_say_what_they_are():
    p, pe, red, a = one()
    p.shared_array("S", 8, "f32")
    assert repr(p) == "Program(4 x 2 PEs of wse3, f16; classes: worker on 8; colors: red 3; shared arrays: S)"
    assert repr(pe) == "PEClass(worker: arrays A of 64 bytes; no code)"
    pe.dsd("all", wse.mem1d(a))
    pe.code("main:\n // nothing\n nop\nagain: done")
    pe.local_task("main", 9)
    assert repr(pe) == "PEClass(worker: tasks main 9; arrays A of 64 bytes; 2 lines of code)"
    p.pe_class("other")
    assert "classes: worker on 8, other on 0;" in repr(p)
    for i in range(9):
        p.color(f"c{i}")
    assert "colors: red 3, c0 0, c1 1, c2 2, c3 4, c4 5, c5 6, c6 7, ... 2 more;" in repr(p)
    assert repr(Program(2, 3, "wse2", fp16="bf16")) == "Program(2 x 3 PEs of wse2, bf16)"


# --- layout -----------------------------------------------------------------------------------------------------------


def test_code_comes_first_then_arrays_in_order():
    p, pe, red, a = one()
    b = pe.array("B", 3, "u16", align=2)
    c = pe.array("C", 3, "u8", align=1)
    d = pe.array("D", 3, "f16", align=16, offset=6)
    pe.code("nop\n" * 5 + "done")
    p.layout()
    assert (pe.code_bytes, a.address, b.address, c.address, d.address) == (24, 32, 96, 102, 118)
    assert (a.size, a.nbytes, a.itemsize, a.shape) == (16, 64, 4, (4, 4))
    pe.code("nop\n" * 3)
    p.layout()
    assert a.address == 48


def test_shared_arrays_have_one_address():
    p, pe, red, a = one()
    other = p.pe_class("other")
    other.code("nop\n" * 100)
    shared = p.shared_array("S", 8, "f32")
    b = other.array("B", 8, "f32")
    p.layout()
    assert shared.address == 400 and a.address == b.address == 432


def test_address_before_layout():
    p, pe, red, a = one()
    with says(
        ProgramError,
        "the address of A is not known before the program is laid out: "
        "write A in the code, or call Program.layout() when all code is given",
    ):
        _ = a.address


@given(
    st.lists(st.tuples(st.integers(0, 70), st.sampled_from(["u8", "f16", "f32"]), st.integers(2, 6), st.integers(0, 5)))
)
def test_arrays_never_overlap(arrays):
    p, pe, red, a = one()
    for i, (size, dtype, align, offset) in enumerate(arrays):
        pe.array(f"X{i}", size, dtype, align=1 << align, offset=4 * offset)
    p.layout()
    end = pe.code_bytes
    for symbol in pe.symbols.values():
        assert symbol.address >= end and symbol.address % symbol.align == symbol.offset % symbol.align
        end = symbol.address + symbol.nbytes


def test_memory_overflow_shows_the_map():
    p, pe, red, a = one()
    pe.array("B", 24000, "f16")
    pe.code("main: nop\ndone")
    pe.dsd("a", wse.mem1d(a))
    pe.array("last", 1200, "u8")
    with says(
        MemoryOverflow,
        "class worker needs 49296 bytes of the 49152 that a PE has, 144 too many:\n"
        "       0      8      8 B  code  (2 instructions)\n"
        "      16     80     64 B  A  (f32 4 x 4)\n"
        "      80  48080  48000 B  B  (f16 24000)\n"
        "   48080  48096     16 B  a  (descriptor)\n"
        "   48096  49296   1200 B  last  (u8 1200)",
    ):
        p.check()


# --- descriptors ------------------------------------------------------------------------------------------------------


def dsr(**fields):
    order = "kind flags queue color base length stride options xdsr on_control index".split()
    return struct.pack("<BBBBHHhHBBH", *(fields.get(name, 0) for name in order))


def built(pe):
    """Encoded data of a class by symbol."""
    pe.program.layout()
    data = dict(pe.build().data)
    return {name: data[s.address] for name, s in pe.symbols.items() if s.address in data}


def test_descriptor_bytes():
    p, pe, red, a = one()
    h = pe.array("H", 8, "f16")
    pe.local_task("end", 9)
    pe.code("end: done")
    pe.queue_in(2, red)
    pe.queue_out(5, red)
    pe.dsd("column", wse.mem1d(a, length=4, stride=4, offset=1))
    pe.dsd("half", wse.mem1d(h, save_address=True, options=wse.async_(ut=3, activate="end")))
    pe.dsd("tensor", wse.mem4d(a, (4, 4), (1, 4), xdsr=2))
    pe.dsd("ring", wse.circular(h, offset=2), xdsr=3)
    pe.dsd("fifo", wse.fifo(h, activate_push="end"), xdsr=4)
    pe.dsd("input", wse.fabin(2, 7, red, simd=True, on_control=("activate", "end")))
    pe.dsd("output", wse.fabout(5, red, control=True, advance_switch=True))
    pe.dsd("indexed", wse.fabout(5, red, length=3, index=True, options=wse.async_(unblock=9)))
    data = built(pe)
    a_at, h_at = a.address, h.address
    assert data["column"] == dsr(kind=isa.DSD_MEM1D, flags=isa.DSD_WIDE, base=a_at + 4, length=4, stride=16)
    then = (
        isa.OPT_ASYNC | isa.OPT_UT_GIVEN | 3 << isa.OPT_UT | isa.OPT_THEN_ACTIVATE << isa.OPT_THEN | 9 << isa.OPT_TASK
    )
    assert data["half"] == dsr(
        kind=isa.DSD_MEM1D, flags=isa.DSD_SAVE_ADDRESS, base=h_at, length=8, stride=2, options=then
    )
    assert data["tensor"] == dsr(kind=isa.DSD_MEM4D, flags=isa.DSD_WIDE, base=a_at, length=16, xdsr=2)
    assert data["tensor.x"] == struct.pack("<4H4h", 1, 1, 4, 4, 16, 16, 4, 16)
    assert data["ring"] == dsr(
        kind=isa.DSD_CIRCULAR, flags=isa.DSD_SAVE_ADDRESS, base=h_at + 4, length=8, stride=2, xdsr=3
    )
    assert data["ring.x"] == struct.pack("<HH12x", h_at, 16)
    assert data["fifo"] == dsr(kind=isa.DSD_FIFO, base=h_at, length=isa.LENGTH_INFINITE, stride=2, xdsr=4)
    assert data["fifo.x"] == struct.pack("<HHHHBB6x", h_at, 8, 0, 0, 9, 255)
    assert data["input"] == dsr(
        kind=isa.DSD_FABIN, flags=isa.DSD_SIMD, queue=2, color=3, length=7, on_control=isa.ON_CONTROL_ACTIVATE | 9 << 2
    )
    control = isa.DSD_CONTROL | isa.DSD_ADVANCE_SWITCH
    assert data["output"] == dsr(kind=isa.DSD_FABOUT, flags=control, queue=5, color=3, length=isa.LENGTH_INFINITE)
    unblock = isa.OPT_ASYNC | isa.OPT_THEN_UNBLOCK << isa.OPT_THEN | 9 << isa.OPT_TASK
    assert data["indexed"] == dsr(kind=isa.DSD_FABOUT, flags=isa.DSD_INDEX, queue=5, color=3, length=3, options=unblock)


def test_default_lengths():
    p, pe, red, a = one()
    assert wse.mem1d(a).length == 16
    assert wse.mem1d(a, stride=4).length == 4 and wse.mem1d(a, stride=4, offset=1).length == 4
    assert wse.mem1d(a, stride=3).length == 6
    assert wse.mem1d(a, length=3, stride=0, offset=15).length == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p, pe, a: wse.mem1d(a, length=5, stride=4), "the descriptor covers elements 0 to 16 of A, which has 0 to 15"),
        (lambda p, pe, a: wse.mem1d(a, length=2, stride=-1), "the descriptor covers elements -1 to 0 of A, which has 0 to 15"),
        (lambda p, pe, a: wse.mem1d(a, length=0x7FFF, stride=0), "a descriptor over A has 0 to 32766 elements, not 32767"),
        (lambda p, pe, a: wse.mem1d(a, length=1, stride=8192), "a stride of 8192 elements of A is 32768 bytes: beyond 16 bits"),
        (lambda p, pe, a: wse.mem1d(pe.array("b", 4, "u8")), "vector operations have no 8-bit elements: b is of u8"),
        (lambda p, pe, a: wse.mem4d(a, (4, 5), (1, 4)), "the descriptor covers elements 0 to 19 of A, which has 0 to 15"),
        (lambda p, pe, a: wse.mem4d(a, (4,), (1, 4)), "a mem4d descriptor has 1 to 4 extents and as many strides, not (4,) and (1, 4)"),
        (lambda p, pe, a: wse.circular(a, offset=16), "the circular descriptor starts at element 16, outside A, which has 0 to 15"),
        (lambda p, pe, a: pe.dsd("t", wse.mem4d(a, (4, 4), (1, 4))), "descriptor t of class worker needs an XDSR: xdsr=0 to 15, not None"),
        (lambda p, pe, a: pe.dsd("t", wse.mem4d(a, (4, 4), (1, 4)), xdsr=16), "descriptor t of class worker needs an XDSR: xdsr=0 to 15, not 16"),
        (lambda p, pe, a: pe.dsd("o", wse.fabout(2, 7)), "there is no color 7 in the program: known: red"),
        (lambda p, pe, a: pe.dsd("o", wse.fabout(8, 3)), "output queue 8 of class worker does not exist: wse3 has 0 to 7"),
        (lambda p, pe, a: pe.dsd("i", wse.fabin(-1)), "input queue -1 of class worker does not exist: wse3 has 0 to 7"),
        (lambda p, pe, a: wse.fabout(2, 3, index=True, simd=True), "a wavelet holds two elements (simd) or one element and its index, not both"),
        (lambda p, pe, a: wse.fabin(2, on_control="stop"), 'on_control is "terminate", ("activate", task) or ("unblock", task), not (\'stop\', None)'),
        (lambda p, pe, a: wse.async_(activate=1, unblock=2), "an operation ends with activate or with unblock, not with both"),
        (lambda p, pe, a: wse.async_(ut=8), "a microthread is 0 to 7, not 8"),
        (lambda p, pe, a: p.pe_class("o").dsd("d", wse.mem1d(a)), "descriptor d of class o is over <A: f32 [4, 4] in class worker>, an array of another class"),
    ],
)  # fmt: skip
def test_descriptors_refused(make, message):
    p, pe, red, a = one()
    with says(ProgramError, message):
        make(p, pe, a)


# --- declarations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p, pe: pe.array("A", 3, "f32"), "A of class worker is declared twice: class worker has it already"),
        (lambda p, pe: p.shared_array("A", 3, "f32"), "A of the program is declared twice: class worker has it already"),
        (lambda p, pe: pe.array("r1", 3, "f32"), "'r1' is no name for an array: letters, digits and _, and no register"),
        (lambda p, pe: pe.array("a b", 3, "f32"), "'a b' is no name for an array: letters, digits and _, and no register"),
        (lambda p, pe: pe.array("B", 3, "f23"), "array B of class worker has an unknown element type 'f23': did you mean f32?"),
        (lambda p, pe: pe.array("B", 3, "bf16"), "array B of class worker is of bf16, but the program's 16-bit floats are f16: say Program(..., fp16='bf16')"),
        (lambda p, pe: pe.array("B", -3, "f32"), "array B of class worker has a negative extent: (-3,)"),
        (lambda p, pe: pe.array("B", 3, "f32", align=12), "array B of class worker: align is a power of two and offset 0 or more, not 12 and 0"),
        (lambda p, pe: pe.array("B", 3, "f32", align=2), "array B of class worker: align 2 and offset 0 must keep its 4-byte elements whole"),
        (lambda p, pe: pe.array("B", 3, "f32", init=[1, 2]), "array B of class worker has shape (3,), but its initial values have (2,)"),
        (lambda p, pe: pe.array("B", 3, "i8", init=[1, 2, 128]), "array B of class worker do not fit its type i8: int64 from 1 to 128"),
        (lambda p, pe: pe.array("B", 3, "i8", init=1.5), "array B of class worker do not fit its type i8: float64 from 1.5 to 1.5"),
        (lambda p, pe: pe.array("B", 3, "i8", init="x"), "array B of class worker are numbers, not <U1"),
        (lambda p, pe: p.pe_class("worker"), "class worker is declared twice"),
        (lambda p, pe: p.color("red"), "color red is declared twice"),
        (lambda p, pe: p.color("blue", 3), "color blue has id 3, which color red has already"),
        (lambda p, pe: p.color("blue", 24), "color blue has id 24: routable colors of wse3 are 0 to 23"),
        (lambda p, pe: p.color("b-1"), "'b-1' is no name for a color: letters, digits and _, not beginning with a digit"),
        (lambda p, pe: [p.color(f"c{i}") for i in range(24)], "color c23: all 24 colors of wse3 are taken"),
        (lambda p, pe: pe.queue_in(8, 3), "input queue 8 of class worker does not exist: wse3 has 0 to 7"),
        (lambda p, pe: pe.queue_out(-1, 3), "output queue -1 of class worker does not exist: wse3 has 0 to 7"),
        (lambda p, pe: pe.queue_in(1, 7), "there is no color 7 in the program: known: red"),
        (lambda p, pe: [pe.queue_in(1, 3), pe.queue_in(2, 3)], "color red (3) is bound to input queue 1 of class worker already"),
        (lambda p, pe: [pe.queue_in(1, 3), pe.queue_in(1, p.color("blue", 5))], "input queue 1 of class worker is bound to color red (3) already, and cannot be to color blue (5); rebind it in code when it is empty"),
        (lambda p, pe: pe.local_task("t", 7), "local task t of class worker has id 7: local tasks of wse3 are 8 to 30"),
        (lambda p, pe: pe.local_task("t", 31), "local task t of class worker has id 31: local tasks of wse3 are 8 to 30"),
        (lambda p, pe: pe.local_task("1", 9), "'1' is no name for a task: letters, digits and _, not beginning with a digit"),
        (lambda p, pe: pe.local_task("t", 9, priority="top"), "task t of class worker has priority 'top': low and high are known"),
        (lambda p, pe: [pe.local_task("t", 9), pe.local_task("t", 10)], "task t of class worker is bound twice"),
        (lambda p, pe: pe.control_task("t", 64), "control task t of class worker has id 64: control tasks are 0 to 63"),
        (lambda p, pe: pe.data_task("t", 2), "data task t of class worker is for input queue 2, which is bound to no color: call queue_in first"),
        (lambda p, pe: pe.data_task("t", p.colors["red"]), "data task t of class worker is for color red (3), to which no input queue is bound: call queue_in first"),
        (lambda p, pe: p.place(Program(1, 1).pe_class("x")), "class x belongs to another program"),
        (lambda p, pe: p.place(pe, 4), "place of class worker: x = 4 is outside 0 to 3"),
        (lambda p, pe: Program(0, 1), "a program for wse3 has 1 x 1 to 762 x 1172 PEs, not 0 x 1"),
        (lambda p, pe: Program(763, 1), "a program for wse3 has 1 x 1 to 762 x 1172 PEs, not 763 x 1"),
        (lambda p, pe: Program(1, 1, fp16="f8"), "fp16 is one of f16, bf16, cb16, not 'f8'"),
    ],
)  # fmt: skip
def test_declarations_refused(make, message):
    p, pe, red, a = one()
    with says(ProgramError, message):
        make(p, pe)


def test_tasks_with_one_id_name_both():
    p, pe, red, a = one()
    pe.local_task("first", 9)
    at = here(-1)
    with says(ProgramError, f"task second of class worker has id 9, which task first has (bound at {at})"):
        pe.control_task("second", 9)


def test_wse2_queues():
    p, pe, red, a = one("wse2")
    with says(ProgramError, "output queue 6 of class worker does not exist: wse2 has 0 to 5"):
        pe.queue_out(6, red)


@pytest.mark.parametrize(("machine", "id"), [("wse2", 3), ("wse3", 2)])
def test_data_tasks_follow_color_or_queue(machine, id):
    for source in (2, "red"):
        p, pe, red, a = one(machine)
        pe.queue_in(2, red)
        pe.code("recv: done")
        assert pe.data_task("recv", red if source == "red" else source) == id
        p.check()
        assert pe.built.kinds[id] == _engine.TASK_DATA and pe.built.kinds.sum() == _engine.TASK_DATA


def test_tasks_as_the_engine_takes_them():
    p, pe, red, a = one()
    pe.code("nop\nmain: done\nctl: done")
    pe.local_task("start", 10, entry="main", active=True)
    pe.local_task("main", 11, blocked=True, priority="high")
    pe.control_task("ctl", 40)
    p.check()
    b = pe.built
    assert {i: int(k) for i, k in enumerate(b.kinds) if k} == {
        10: _engine.TASK_LOCAL, 11: _engine.TASK_LOCAL, 40: _engine.TASK_CONTROL
    }  # fmt: skip
    assert (b.entries[10], b.entries[11], b.entries[40]) == (1, 1, 2)
    assert (b.active, b.blocked, b.priorities.sum(), b.priorities[11]) == (1 << 10, 1 << 11, 1, 1)


# --- checks of the whole ----------------------------------------------------------------------------------------------


def test_code_errors_name_class_and_line():
    p, pe, red, a = one()
    with says(AsmError, "code of class worker, line 2: '{' is not an instruction"):
        pe.code("nop\n{")
    pe.code("nop\nmov r1, B\n")
    with says(AsmError, "code of class worker, line 2: unknown name 'B': known: A, red"):
        p.check()


def test_several_texts_are_one_program():
    p, pe, red, a = one()
    pe.code("main: jmp end")
    pe.code("end: done")
    p.check()
    assert pe.built.assembly.lines.tolist() == [1, 2]


def test_an_entry_must_be_a_label():
    p, pe, red, a = one()
    pe.code("main: done")
    pe.local_task("start", 9, entry="mian")
    at = here(-1)
    with says(
        ProgramError,
        f"task start of class worker starts at 'mian', which is no label of its code (bound at {at}): did you mean main?",
    ):
        p.check()


def test_a_descriptor_names_a_task():
    p, pe, red, a = one()
    pe.dsd("d", wse.mem1d(a, options=wse.async_(activate="end")))
    at = here(-1)
    with says(
        ProgramError,
        f"descriptor d of class worker names task 'end', which is not bound (set at {at}): no names are known",
    ):
        p.check()


def test_queues_of_descriptors():
    p, pe, red, a = one()
    pe.dsd("i", wse.fabin(2, color=red))
    at = here(-1)
    with says(
        ProgramError,
        f"descriptor i of class worker reads input queue 2, which is bound to no color (set at {at}): call queue_in",
    ):
        p.check()
    pe.queue_in(2, p.color("blue", 5))
    with says(
        ProgramError,
        "descriptor i of class worker expects color red (3) in input queue 2, "
        f"which is bound to color blue (5) (set at {at})",
    ):
        p.check()
    p, pe, red, a = one()
    pe.dsd("o", wse.fabout(2, red))
    at = here(-1)
    with says(
        ProgramError,
        "descriptor o of class worker sends color red (3) by output queue 2, which is bound to no color "
        f"(set at {at}): call queue_out",
    ):
        p.check()
    pe.queue_out(2, p.color("blue", 5))
    with says(
        ProgramError,
        "descriptor o of class worker sends color red (3) by output queue 2, "
        f"which is bound to color blue (5) (set at {at})",
    ):
        p.check()


def test_an_output_queue_is_free_on_wse2():
    p, pe, red, a = one("wse2")
    pe.dsd("o", wse.fabout(2, red))
    p.route(red, "R", "R")
    assert p.check() == []


def test_ramps():
    p, pe, red, a = one()
    pe.dsd("o", wse.fabout(2, red))
    at = here(-1)
    pe.queue_out(2, red)
    message = (
        "descriptor o of class worker sends color red (3), but the route of PE (0, 0) has no ramp in rx "
        f"(descriptor set at {at}, route at {{}}); add R to rx there"
    )
    with says(RouteError, message.format("no line")):
        p.check()
    p.route(red, "W", "R")
    set_at = here(-1)
    with says(RouteError, message.format(set_at)):
        p.check()
    p.route(red, "R", "R", 1, 1)
    assert message.format(set_at) in p.check()
    p.route(red, "R", "R")
    assert p.check() == []


def test_ramps_of_input():
    p, pe, red, a = one()
    pe.dsd("i", wse.fabin(2))
    at = here(-1)
    pe.queue_in(2, red)
    p.route(red, "R", "S", y=0, switch=[("S", "S")])
    set_at = here(-1)
    p.route(red, "N", "N", y=1, switch=[("N", "N")])
    with says(
        RouteError,
        "descriptor i of class worker reads color red (3), but the route of PE (0, 0) has no ramp in tx "
        f"(descriptor set at {at}, route at {set_at}); add R to tx there",
    ):
        p.check()
    p.route(red, "N", "R", y=1)
    assert sum("has no ramp in tx" in warning for warning in p.check()) == 1


def test_placed_nowhere_is_a_warning():
    p, pe, red, a = one()
    p.pe_class("spare")
    assert p.check() == ["class spare is placed nowhere"]


def test_classes_at():
    p, pe, red, a = one()
    other = p.pe_class("other")
    p.place(other, np.array([0, 3]), np.array([0, 1]))
    assert p.class_of_pe.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]
    assert p.class_at(3, 1) is other and p.class_at(1, 0) is pe
    assert Program(1, 1).class_at(0, 0) is None
