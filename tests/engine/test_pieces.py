"""A run in pieces is the same run."""

import numpy as np
import pytest

import wse


def received(piece: int, machine: str) -> tuple[list, list]:
    """Two PEs: one sends, the other stores operation by operation; runs in pieces of so many cycles."""
    p = wse.Program(2, 1, machine=machine)
    red = p.color("red")
    p.route(red, "R", "E", x=0)
    p.route(red, "W", "R", x=1)
    for name, x in (("sender", 0), ("receiver", 1)):
        pe = p.pe_class(name)
        data = pe.array("data", 40, "u32", init=np.arange(40) if x == 0 else None)
        pe.dsd("part", wse.mem1d(data, length=10, save_address=True))
        if x == 0:
            pe.queue_out(2, red)
            pe.dsd("fabric", wse.fabout(2, red, 10))
            pe.code("main:\n dsr d0, fabric\n dsr a0, part\n" + "mov32 d0, a0\n" * 4 + " done")
        else:
            pe.queue_in(2, red)
            pe.dsd("fabric", wse.fabin(2, 10, red))
            pe.array("stamps", 4, "u16")
            pe.code("""
main:
    dsr d0, part
    dsr a0, fabric
    mov r5, stamps
again:
    mov32 d0, a0 {async, activate=next}
    done
next:
    tsc r1, 0
    st16 r1, [r5]
    iadd16 r5, r5, 2
    iltu16 r2, r5, stamps+8
    bnz r2, again
    done
""")
            pe.local_task("next", 10)
        pe.local_task("main", 9, active=True)
        p.place(pe, x=x)
    fabric = wse.Fabric(p)
    while fabric.run(max_cycles=piece).ended == "limit":
        pass
    return fabric.read("data", 1, 0, 1, 1)[0, 0].tolist(), fabric.read("stamps", 1, 0, 1, 1)[0, 0].tolist()


@pytest.mark.parametrize("machine", ["wse2", "wse3"])
def test_pieces_of_any_length(machine):
    whole = received(10**6, machine)
    assert whole[0] == list(range(40))
    for piece in range(1, 60):
        assert received(piece, machine) == whole, piece
