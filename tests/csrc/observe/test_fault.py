"""csrc/observe/fault.c: the fault of a run is the earliest one, then that of the lowest PE, on any number of threads."""

import pytest

import wse

ARCHS = ("wse2", "wse3")


def faults(arch, delays, threads=1):
    """The fault of a column of PEs, each of which leaves its code after so many `nop`s; None: it does not."""
    p = wse.Program(1, len(delays), arch)
    for y, delay in enumerate(delays):
        pe = p.pe_class(f"pe{y}")
        pe.code("main:\n" + "nop\n" * (delay or 0) + ("done\n" if delay is None else "jmp 4000\n"))
        pe.local_task("main", 9, active=True)
        p.place(pe, x=0, y=y)
    with pytest.raises(wse.FabricFault) as caught:
        wse.Fabric(p, threads=threads).run()
    return caught.value


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize(
    ("delays", "y"),
    [
        ([None, None, 3, None], 2),
        ([5, 9, 3, 7], 2),  # the earliest
        ([5, 3, 3, 3], 1),  # of equal cycles, the first
        ([None] * 30 + [2] + [3] * 33, 30),  # in several bands of threads
        ([3] * 31 + [2] + [3] * 32, 31),
    ],
)
def test_the_first_fault(arch, threads, delays, y):
    fault = faults(arch, delays, threads)
    assert (fault.kind, fault.x, fault.y, fault.task) == ("BAD_PC", 0, y, 9)
    alone = faults(arch, [delays[y]])
    assert (fault.cycle, fault.pc) == (alone.cycle, alone.pc)


@pytest.mark.parametrize("arch", ARCHS)
def test_a_later_fault_is_one_cycle_later(arch):
    assert faults(arch, [6]).cycle == faults(arch, [5]).cycle + 1
