"""Microthreads: asynchronous operations, and how they share the slots of a compute element with each other and the task.

Elements are seen when they leave the fabric: an element that runs in cycle t leaves its router in t + ramp_out_cycles.

Covers: csrc/pe/issue.c
"""

import pytest
from harness import ARCHS, events, fabin, mem, run

import wse

archs = pytest.mark.parametrize("arch", ARCHS)
OUT = "ENWS"


class Ops:
    """A program of one PE with operations that send `n` words each, by color, output queue and microthread i to edge OUT[i].

    slots[i]: the cycles in which elements of operation i ran, from the first slot of all.
    """

    def __init__(self, code: str, lengths: list[int], arch="wse3", tasks: dict[str, int] | None = None, **options):
        m = wse.Machine(arch)
        p = wse.Program(1, 1, m)
        pe = p.pe_class("pe")
        loads = ""
        for i, n in enumerate(lengths):
            color = p.color(f"c{i}")
            p.route(color, "R", OUT[i])
            pe.queue_out(i, color)
            pe.dsd(f"out{i}", wse.fabout(i, color, n))
            pe.dsd(f"from{i}", wse.mem1d(pe.array(f"words{i}", n, "u32", init=[i << 16 | k for k in range(n)])))
            loads += f"dsr d{i}, out{i}\ndsr a{i}, from{i}\n"
        pe.array("x", 64, "u16")
        pe.array("y", 64, "u16")
        pe.dsd("mx", wse.mem1d(pe.symbols["x"]))
        pe.dsd("my", wse.mem1d(pe.symbols["y"]))
        # the DSRs of an operation in memory: d8 = a8, 64 elements, 16 or 8 slots
        loads += "dsr d8, my\ndsr a8, mx\nnop\nnop\nnop\nnop\n"
        pe.code(f"main:\n{loads}\nmark 1\n{code}\n")
        pe.local_task("main", 9, active=True)
        for name, id in (tasks or {}).items():
            pe.local_task(name, id, **options.get(name, {}))
        p.place(pe)
        self.fabric = wse.Fabric(p, trace=1000)
        outs = [self.fabric.stream_out(0, 0, OUT[i], f"c{i}") for i in range(len(lengths))]
        self.run = self.fabric.run(max_cycles=100_000, on_deadlock="return")
        self.cycles = [[int(c) - m.ramp_out_cycles for c in out.cycles] for out in outs]
        for i, out in enumerate(outs):
            assert out.data.tolist() == [i << 16 | k % lengths[i] for k in range(len(out))]
        self.start = min((c for cycles in self.cycles for c in cycles), default=0)
        self.slots = [[c - self.start for c in cycles] for cycles in self.cycles]
        self.marks = {value: cycle for cycle, _, value in events(self.run, "MARK")}
        self.op_ends = {thread: cycle for cycle, _, thread in events(self.run, "OP_END")}
        self.tasks = {task: cycle for cycle, task, _ in events(self.run, "TASK_START")}


def send(i: int, more: str = "") -> str:
    return f"mov32 d{i}, a{i} {{async, ut={i}{more}}}\n"


@archs
def test_an_asynchronous_operation_runs_beside_the_task(arch):
    ops = Ops(send(0) + "mark 2\nmark 3\ndone", [5], arch)
    dispatch = ops.marks[1] + 1
    assert ops.marks[2] == dispatch + 1 and ops.marks[3] == dispatch + 2
    assert ops.cycles == [[dispatch + 4 + k for k in range(5)]]
    assert ops.op_ends == {0: dispatch + 8}
    assert ops.run.total("busy_micro") == 5 and ops.run.total("busy_vector") == 0


@archs
def test_two_operations_take_turns(arch):
    ops = Ops(send(0) + send(1) + "done", [6, 6], arch)
    assert ops.slots == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]


@archs
def test_what_one_leaves_the_other_gets(arch):
    ops = Ops(send(0) + send(1) + "done", [3, 6], arch)
    assert ops.slots == [[0, 2, 4], [1, 3, 5, 6, 7, 8]]


@archs
def test_three_operations_take_turns(arch):
    # the second is dispatched a cycle later than the first, the third two
    ops = Ops(send(0) + send(1) + send(2) + "done", [4, 4, 4], arch)
    assert ops.slots == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    ops = Ops(send(2) + send(0) + send(1) + "done", [4, 4, 4], arch)
    assert ops.slots == [[1, 4, 7, 10], [2, 5, 8, 11], [0, 3, 6, 9]]


@archs
@pytest.mark.parametrize(
    ("priorities", "first", "second"),
    [
        ((1, 1), [0, 2, 4, 6], [1, 3, 5, 7]),
        ((2, 1), [0, 1, 2, 3], [4, 5, 6, 7]),
        ((1, 2), [0, 5, 6, 7], [1, 2, 3, 4]),
        ((0, 1), [0, 5, 6, 7], [1, 2, 3, 4]),
        ((0, 0), [0, 2, 4, 6], [1, 3, 5, 7]),
        ((2, 2), [0, 2, 4, 6], [1, 3, 5, 7]),
        ((0, 2), [0, 5, 6, 7], [1, 2, 3, 4]),
    ],
)
def test_priorities_of_microthreads(arch, priorities, first, second):
    code = "".join(f"utprio {i}, {priority}\n" for i, priority in enumerate(priorities))
    ops = Ops(code + send(0) + send(1) + "done", [4, 4], arch)
    assert ops.slots == [first, second]


def test_registers_name_microthreads():
    ops = Ops("mov r1, 1\nmov r2, 2\nutprio r1, r2\n" + send(0) + send(1) + "done", [4, 4])
    assert ops.slots == [[0, 5, 6, 7], [1, 2, 3, 4]]


# --- against the main thread ----------------------------------------------------------------------------------------------


def without(taken: set[int], n: int, first: int = 0) -> list[int]:
    """The first n slots, from `first`, that are not taken."""
    return [slot for slot in range(first, first + n + len(taken)) if slot not in taken][:n]


@archs
@pytest.mark.parametrize(
    ("code", "main"),
    [
        # main: medium low; the microthread, medium, comes first
        ("", [6, 7, 8, 9]),
        ("mainprio 0\n", [6, 7, 8, 9]),
        ("mainprio 1\n", [1, 3, 5, 7]),
        ("mainprio 2\n", [1, 2, 3, 4]),
        ("mainprio 3\n", [1, 2, 3, 4]),
        ("utprio 0, 0\n", [1, 2, 3, 4]),
        ("utprio 0, 2\nmainprio 2\n", [6, 7, 8, 9]),
        ("utprio 0, 2\nmainprio 3\n", [1, 3, 5, 7]),
    ],
)
def test_a_synchronous_operation_against_a_microthread(arch, code, main):
    ops = Ops(code + send(0) + "mov32 d1, a1\ndone", [6, 4], arch)
    done = main[-1] + 1 + wse.Machine(arch).op_drain_cycles  # takes a slot too
    assert ops.slots == [without({*main, done}, 6), main]
    assert (ops.run.total("busy_micro"), ops.run.total("busy_vector")) == (6, 4)


@archs
@pytest.mark.parametrize(
    ("code", "slots"),
    [
        ("", lambda n: [*range(6, 6 + n)]),
        ("mainprio 1\n", lambda n: [1, 3, 5, 7, 9, *range(11, 6 + n)]),
        ("mainprio 2\n", lambda n: [*range(1, n + 1)]),
    ],
)
def test_an_operation_in_memory_against_a_microthread(arch, code, slots):
    # its slots are not seen one by one, but those of the microthread and its end are
    n = 64 // {"wse2": 4, "wse3": 8}[arch]
    ops = Ops(code + send(0) + "mov16 d8, a8\nmark 2\ndone", [6], arch)
    mark = slots(n)[-1] + 1 + wse.Machine(arch).op_drain_cycles
    assert ops.marks[2] - ops.start == mark
    assert ops.slots == [without({*slots(n), mark, mark + 1}, 6)]
    assert ops.run.total("busy_vector") == n and ops.run.total("busy_micro") == 6


@archs
def test_scalar_instructions_and_microthreads(arch):
    code = send(0) + "nop\n" * 4 + "mark 2\nmark 3\ndone"
    ops = Ops(code, [6], arch)
    # three instructions before the first element; then the microthread takes six slots
    assert ops.slots == [[*range(6)]]
    assert [ops.marks[i] - ops.start for i in (2, 3)] == [7, 8]
    ops = Ops("mainprio 1\n" + code, [6], arch)
    assert ops.slots == [[0, 2, 4, 6, 8, 9]]  # with one nop, two marks and done
    assert [ops.marks[i] - ops.start for i in (2, 3)] == [3, 5]
    ops = Ops("mainprio 2\n" + code, [6], arch)
    assert ops.slots == [[*range(6)]]
    assert [ops.marks[i] - ops.start for i in (2, 3)] == [-3, -2]  # all before the first element


# --- waiting ---------------------------------------------------------------------------------------------------------------


@archs
def test_a_busy_microthread_makes_the_task_wait(arch):
    ops = Ops(send(0) + send(0) + "mark 2\ndone", [5], arch)
    # the second operation is dispatched in the cycle after the last element of the first
    second = ops.op_ends[0] - 4
    assert ops.slots[0] == [0, 1, 2, 3, 4, *range(second - ops.start, second - ops.start + 5)]
    assert second == ops.start + 4 + 1 + 4
    assert ops.marks[2] == ops.start + 6


def test_a_microthread_is_named_by_ut_on_wse3_and_by_the_queue_on_wse2():
    def started(arch: str, options: str) -> int:
        ops = Ops("mov32 d1, a1 {" + options + "}\ndone", [2, 2], arch)
        ((_, _, thread),) = events(ops.run, "OP_START")
        return thread

    assert started("wse3", "async, ut=5") == 5
    assert started("wse3", "async") == 1
    assert started("wse2", "async, ut=5") == 1
    assert started("wse2", "async") == 1


@archs
def test_suspended_microthreads(arch):
    ops = Ops("utblock 0\n" + send(0) + send(1) + "nop\n" * 20 + "mark 2\nutunblock 0\ndone", [3, 3], arch)
    assert ops.slots[1] == [0, 1, 2]
    assert ops.cycles[0] == [ops.marks[2] + 2 + k for k in range(3)]
    ops = Ops("utblock 0\n" + send(0) + "done", [3], arch)
    assert ops.slots == [[]] and ops.run.ended == "deadlock"


@archs
def test_a_microthread_is_suspended_on_its_way(arch):
    code = send(0) + "nop\n" * 4 + "mark 2\nutblock 0\nmark 3\nnop\nutunblock 0\nmark 4\ndone"
    ops = Ops(code, [12], arch)
    assert ops.slots == [[*range(12)]]  # the task gets no slot before the microthread has ended
    ops = Ops("mainprio 1\n" + code, [12], arch)
    # one after the other, until utblock in slot 5; in 6, 7 and 8 the task is alone
    assert [ops.marks[i] - ops.start for i in (2, 3, 4)] == [3, 6, 10]
    assert ops.slots == [[0, 2, 4, 9, 11, *range(13, 20)]]


@archs
@pytest.mark.parametrize("how", ["activate", "unblock"])
def test_completion(arch, how):
    m = wse.Machine(arch)
    options = {"fin": {"active": True, "blocked": True}} if how == "unblock" else {}
    code = send(0, f", {how}=fin") + "done\nfin: mark 7\ndone"
    ops = Ops(code, [5], arch, {"fin": 20}, **options)
    last = ops.cycles[0][-1]
    assert ops.tasks == {9: 0, 20: last}
    assert ops.marks[7] == last + m.task_after_op_cycles
    assert m.task_after_op_cycles == {"wse2": 2, "wse3": 1}[arch]


@archs
def test_completion_while_a_task_runs(arch):
    code = send(0, ", activate=fin") + "nop\n" * 40 + "mark 2\ndone\nfin: mark 7\ndone"
    ops = Ops(code, [5], arch, {"fin": 20})
    assert ops.marks[7] == ops.marks[2] + 2  # right after the task


@archs
def test_completion_of_a_synchronous_operation(arch):
    for code in ("mov32 d0, a0 {activate=fin}\n", "mov16 d8, a8 {activate=fin}\n"):
        ops = Ops(code + "mark 2\ndone\nfin: mark 7\ndone", [5], arch, {"fin": 20})
        assert ops.marks[7] == ops.marks[2] + 2


@archs
@pytest.mark.parametrize("code", [send(0, ", activate=30"), "mov32 d0, a0 {activate=30}", "mov16 d8, a8 {activate=30}"])
def test_completion_of_an_operation_activates_no_task_without_code(code, arch):
    with pytest.raises(wse.FabricFault) as caught:
        Ops(code + "\ndone", [5], arch)
    fault = caught.value
    assert (fault.kind, fault.detail, fault.task, fault.pc >= 0) == ("BAD_TASK", 30, -1, True)


def test_settings_of_a_dsr_make_its_operations_asynchronous():
    p = wse.Program(1, 1, "wse3")
    c = p.color("c")
    p.route(c, "R", "E")
    pe = p.pe_class("pe")
    pe.queue_out(2, c)
    pe.dsd("out", wse.fabout(2, c, 3, options=wse.async_(ut=6, activate="fin")))
    pe.dsd("from", wse.mem1d(pe.array("words", 3, "u32", init=[4, 5, 6])))
    pe.code("main: dsr d0, out\ndsr a0, from\nmov32 d0, a0\nmark 1\ndone\nfin: mark 2\ndone")
    pe.local_task("main", 9, active=True)
    pe.local_task("fin", 10)
    p.place(pe)
    f = wse.Fabric(p, trace=100)
    out = f.stream_out(0, 0, "E", c)
    run_ = f.run()
    assert out.data.tolist() == [4, 5, 6]
    (start, _, thread), (end, _, _) = events(run_, "OP_START")[0], events(run_, "OP_END")[0]
    assert thread == 6 and end == start + 4 + 2
    assert [cycle for cycle, _, _ in events(run_, "MARK")] == [start + 1, end + 1]


@pytest.mark.parametrize("code", ["mov16 d0, a0 {async}", "fadds r1, r1, b0 {async}"])
def test_what_cannot_be_asynchronous(code):
    dsrs = {"d0": mem(0, 4), "a0": mem(8, 4), "b0": fabin(4)}
    with pytest.raises(wse.FabricFault) as caught:
        run(code, dsrs=dsrs, memory=bytes(32))
    assert caught.value.kind == "ASYNC"
