"""Tasks: which one runs, and when.

Covers: csrc/pe/task.c, csrc/pe/ce.c
"""

import pytest
from engine.router_model import ADVANCE, control_word
from harness import ARCHS, WEST, Ran, bench, events, fabin, mem

import wse

archs = pytest.mark.parametrize("arch", ARCHS)


def ran_tasks(ran: Ran) -> list[int]:
    """Ids of the tasks in the order they ran."""
    return [task for _, task, _ in ran.events("TASK_START")]


def local(code: str, arch="wse3", tasks: dict[str, int] | None = None, options: dict | None = None, **more) -> Ran:
    """Local tasks by name and id; `main` (9) is active unless told otherwise."""

    def declare(pe):
        for name, id in ({"main": 9} | (tasks or {})).items():
            pe.local_task(name, id, **{"active": name == "main"} | (options or {}).get(name, {}))

    return bench(code, arch, declare=declare, trace=1000, **more)


@archs
def test_a_task_starts_and_the_next_one_follows(arch):
    ran = local("main: activate a\nactivate b\ndone\na: nop\ndone\nb: done", arch, {"a": 10, "b": 11})
    # eligible in cycle 0; first instruction in 2; one after the other without a gap
    assert [(cycle, task) for cycle, task, _ in ran.events("TASK_START")] == [(0, 9), (5, 10), (7, 11)]
    assert [(cycle, task) for cycle, task, _ in ran.events("TASK_END")] == [(4, 9), (6, 10), (7, 11)]
    assert ran.run.cycles == 8
    assert ran.counter("tasks") == 3 and ran.counter("stall_task") == 2


@archs
def test_a_task_that_was_activated_while_idle(arch):
    ran = local("main: done\na: done", arch, {"a": 10})
    f, start = ran.fabric, ran.fabric.cycle
    f.launch("a")
    starts = events(f.run(), "TASK_START")
    assert [(cycle, task) for cycle, task, _ in starts] == [(0, 9), (start, 10)]
    ends = events(f.run(), "TASK_END")
    assert ends[-1][0] == start + 2


def test_activations_are_not_counted():
    assert ran_tasks(local("main: activate a\nactivate a\nactivate a\ndone\na: done", tasks={"a": 10})) == [9, 10]


def test_a_task_may_activate_itself():
    code = "main: iadd16 r1, r1, 1\nilts16 r2, r1, 4\nbz r2, end\nactivate main\nend: done"
    assert ran_tasks(local(code)) == [9] * 4


def test_tasks_run_to_their_end():
    ran = local("main: activate a\nnop\nnop\ndone\na: done", tasks={"a": 10}, options={"a": {"priority": "high"}})
    assert [(cycle, task) for cycle, task, _ in ran.events("TASK_END")] == [(5, 9), (6, 10)]


def test_high_priority_first_then_the_next_id_in_the_circle():
    code = "main: activate a\nactivate b\nactivate c\nactivate d\ndone\na: activate e\ndone\nb: done\nc: done\nd: done\ne: done"
    ids = {"a": 12, "b": 8, "c": 20, "d": 10, "e": 11}
    assert ran_tasks(local(code, tasks=ids)) == [9, 10, 12, 20, 8, 11]
    assert ran_tasks(local(code, tasks=ids, options={"c": {"priority": "high"}})) == [9, 20, 8, 10, 12, 11]
    high = {"priority": "high"}
    assert ran_tasks(local(code, tasks=ids, options={"b": high, "d": high, "e": high})) == [9, 10, 8, 12, 11, 20]


def test_the_first_of_all_is_the_lowest():
    code = "main: done\na: done\nb: done"
    options = {name: {"active": True} for name in "ab"}
    assert ran_tasks(local(code, tasks={"a": 8, "b": 30}, options=options)) == [8, 9, 30]


def test_a_blocked_task_waits_to_be_unblocked():
    code = "main: activate a\nactivate b\ndone\na: done\nb: unblock a\ndone"
    ran = local(code, tasks={"a": 10, "b": 11}, options={"a": {"blocked": True}})
    assert ran_tasks(ran) == [9, 11, 10]
    ran = local("main: block a\nactivate a\ndone\na: done", tasks={"a": 10})
    assert ran_tasks(ran) == [9] and ran.run.ended == "done"  # a task that waits for ever is no deadlock
    code = "main: activate a\nblock a\nunblock a\ndone\na: block a\nactivate a\nunblock a\nblock a\ndone"
    assert ran_tasks(local(code, tasks={"a": 10})) == [9, 10]


def test_registers_name_tasks():
    code = "main: mov r1, 10\nactivate r1\nmov r2, 11\nunblock r2\nblock r1\ndone\na: done\nb: unblock a\ndone"
    ran = local(code, tasks={"a": 10, "b": 11}, options={"b": {"blocked": True, "active": True}})
    assert ran_tasks(ran) == [9, 11, 10]


@pytest.mark.parametrize(
    ("code", "kind", "detail"),
    [
        ("activate 10", "BAD_TASK", 10),
        ("activate 64", "BAD_TASK", 64),
        ("block 64", "BAD_TASK", 64),
        ("unblock -1", "BAD_TASK", 2**32 - 1),
        ("trap 77", "TRAP", 77),
    ],
)
def test_faults_of_tasks(code, kind, detail):
    with pytest.raises(wse.FabricFault) as caught:
        local(f"main: nop\n{code}\ndone")
    fault = caught.value
    assert (fault.kind, fault.detail, fault.task, fault.pc, fault.cycle) == (kind, detail, 9, 1, 3)


def test_blocking_a_task_that_is_not_bound_is_allowed():
    # the SDK's programs block queues and colors by these ids
    assert ran_tasks(local("main: block 3\nunblock 3\ndone")) == [9]


def test_control_that_leaves_the_code():
    for code in ("main: nop", "main: jmp 1000", "main: mov r1, -1\njr r1"):
        with pytest.raises(wse.FabricFault) as caught:
            local(code)
        assert caught.value.kind == "BAD_PC"


# --- data tasks ----------------------------------------------------------------------------------------------------------


def data(code: str, arch, words, declare=None, blocked=False, **more) -> Ran:
    """A data task `recv` on the color WEST, which appends r0 to memory at r1."""

    def all_of(pe):
        pe.data_task("recv", 2, blocked=blocked)
        if declare:
            declare(pe)

    text = "recv: st32 r0, [r1+memory]\niadd16 r1, r1, 4\ndone\n"
    return bench(text + code, arch, declare=all_of, inputs={WEST: words}, memory=bytes(256), trace=1000, **more)


@archs
def test_a_data_task_runs_for_each_wavelet(arch):
    m = wse.Machine(arch)
    ran = data("", arch, [5, 6, 0xFFFFFFFF])
    assert ran.array("<u4", 0, 4) == [5, 6, 0xFFFFFFFF, 0]
    # bound to the color (0) or to the input queue (2)
    assert ran_tasks(ran) == [{"wse2": 0, "wse3": 2}[arch]] * 3
    ready = [cycle + m.ramp_in_cycles for cycle, _, _ in ran.events("LAND")]
    starts = [cycle for cycle, _, _ in ran.events("TASK_START")]
    ends = [cycle for cycle, _, _ in ran.events("TASK_END")]
    assert starts == [ready[0], ends[0] + 1, ends[1] + 1]
    each = 3 + m.offset_cycles
    assert ends == [ready[0] + 4 + m.offset_cycles + n * each for n in range(3)]
    assert ran.counter("wavelets_in") == 3


@archs
def test_a_blocked_data_task_leaves_the_wavelets(arch):
    ran = data("main: done", arch, [5], lambda pe: pe.local_task("main", 9), blocked=True, on_deadlock="return")
    assert ran.run.ended == "deadlock" and ran_tasks(ran) == []
    unblock = "main: nop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nunblock recv\ndone"
    ran = data(unblock, arch, [5, 6], lambda pe: pe.local_task("main", 9, active=True), blocked=True)
    assert ran.array("<u4", 0, 2) == [5, 6] and ran_tasks(ran)[0] == 9
    again = "main: block recv\nunblock recv\ndone"
    ran = data(again, arch, [5, 6], lambda pe: pe.local_task("main", 9, active=True))
    assert ran.array("<u4", 0, 2) == [5, 6]


@archs
def test_an_operation_takes_the_wavelets_before_the_data_task(arch):
    def declare(pe):
        pe.local_task("main", 9, active=True)

    code = "main: dsr d0, of_d0\ndsr a0, of_a0\nmov32 d0, a0 {async}\ndone"
    dsrs = {"d0": mem(128, 3, 4), "a0": fabin(3)}
    ran = data(code, arch, [1, 2, 3, 4, 5], declare, dsrs=dsrs)
    # main's loads take so long that the data task, which main keeps waiting, sees the queue only when the operation reads
    assert ran.array("<u4", 128, 3) == [1, 2, 3] and ran.array("<u4", 0, 3) == [4, 5, 0]


def test_a_data_task_competes_by_id():
    def declare(pe):
        pe.local_task("main", 9, active=True)
        pe.local_task("other", 10, active=True)

    # both are ready when main ends: 10 comes after 9, then 2
    code = "main: " + "nop\n" * 20 + "done\nother: done"
    assert ran_tasks(data(code, "wse3", [1, 2], declare)) == [9, 10, 2, 2]


# --- control tasks --------------------------------------------------------------------------------------------------------


def control(code: str, arch, words, declare=None, **more) -> Ran:
    def all_of(pe):
        pe.control_task("ctl", 40)
        if declare:
            declare(pe)

    text = "ctl: st32 r0, [r1+memory]\niadd16 r1, r1, 4\ndone\n"
    bits = [word >> 16 & 0xFFFF != 0 for word in words]
    return bench(text + code, arch, declare=all_of, inputs={WEST: (words, bits)}, memory=bytes(256), trace=1000, **more)


SEEN = [(0, False)] * 8


@archs
def test_a_control_wavelet_starts_the_task_that_it_names(arch):
    word = control_word(SEEN, 40)
    ran = control("", arch, [word, word])
    assert ran.array("<u4", 0, 3) == [word, word, 0] and ran_tasks(ran) == [40, 40]
    first = ran.events("LAND")[0][0] + wse.Machine(arch).ramp_in_cycles
    assert ran.events("TASK_START")[0][0] == first


@archs
def test_a_control_wavelet_for_nobody_is_dropped(arch):
    ran = control("", arch, [control_word(SEEN, 31), control_word(SEEN, 40)])
    assert ran_tasks(ran) == [40] and ran.counter("wavelets_in") == 2


@archs
def test_a_control_wavelet_for_a_task_that_is_not_bound(arch):
    with pytest.raises(wse.FabricFault) as caught:
        control("", arch, [control_word(SEEN, 41)])
    fault = caught.value
    m = wse.Machine(arch)
    assert (fault.kind, fault.task, fault.color, fault.queue) == ("BAD_TASK", 41, WEST, 2)
    assert fault.cycle == m.hop_cycles + m.ramp_in_cycles


@archs
def test_a_blocked_control_task_keeps_the_queue_waiting(arch):
    words = [control_word(SEEN, 40), 7]

    def declare(pe):
        pe.data_task("recv", 2)
        pe.local_task("main", 9, active=True)

    code = "recv: st32 r0, [r1+memory]\niadd16 r1, r1, 4\ndone\nmain: block ctl\ndone"
    ran = control(code, arch, words, declare, on_deadlock="return")
    assert ran_tasks(ran) == [9] and ran.run.ended == "deadlock"
    code = code.replace("block ctl", "block ctl\n" + "nop\n" * 20 + "unblock ctl")
    ran = control(code, arch, words, declare)
    assert ran.array("<u4", 0, 2) == words


@archs
def test_blocking_the_data_task_holds_control_wavelets_too(arch):
    def declare(pe):
        pe.data_task("recv", 2, blocked=True)

    ran = control("recv: done", arch, [control_word(SEEN, 40)], declare, on_deadlock="return")
    assert ran_tasks(ran) == [] and ran.run.ended == "deadlock"


@archs
def test_a_control_wavelet_behind_data_waits_for_it(arch):
    ran = control("", arch, [7, control_word(SEEN, 40)], on_deadlock="return")
    assert ran_tasks(ran) == [] and ran.run.ended == "deadlock"


@archs
def test_switch_commands_do_not_keep_a_control_wavelet_from_its_task(arch):
    word = control_word([(ADVANCE, False)], 40)
    assert ran_tasks(control("", arch, [word])) == [40]


@pytest.mark.parametrize("arch", ARCHS)
def test_the_cycles_between_tasks_are_those_of_the_table(arch):
    """Three tasks that wait for each other: two switches, each as long as task_switch_cycles says."""

    def cycles(switch: int) -> int:
        p = wse.Program(1, 1, machine=wse.Machine(arch, overrides={"task_switch_cycles": switch}))
        pe = p.pe_class("all")
        pe.code("main:\n activate 10\n activate 11\n done\nten:\n nop\n done\neleven:\n nop\n done\n")
        pe.local_task("main", 9, entry="main", active=True)
        pe.local_task("ten", 10, entry="ten")
        pe.local_task("eleven", 11, entry="eleven")
        p.place(pe)
        return wse.Fabric(p).run().cycles

    assert [cycles(switch) - cycles(1) for switch in (2, 3, 7)] == [2, 4, 12]
