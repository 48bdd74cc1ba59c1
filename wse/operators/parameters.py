"""Vectors of parameters: from the edge into memory, and their gradients to the edge.

A gain or bias of f features is an f32 vector [fx] in each PE, its part of the features; zeros beyond f.  On the wire it
has the policy's storage type.  Gradients are f32 vectors [fx] that are summed up along the column on their way north.
"""

from __future__ import annotations

import numpy as np

from .region import NORTH, Region, memory, memory_dsr
from .tiles import owned
from .transfers import ZERO, GradientTransfer, WeightTransfer


def receive(region: Region, to: str, features: int, role: str = "gain") -> WeightTransfer:
    """Adds to the sequence: the PE's part of a vector of so many features comes into the f32 [fx] at `to`.

    Its stream has one role, float [features].
    """
    region.uses("weights")
    region.subroutine("receive_vector", _receive(region))
    region.code(f"    mov r8, {to}\n    mov r9, {region.features(features)}\n    call receive_vector")
    own = owned(features, region.width)
    what = f"{role} of {features}"
    return region.takes(WeightTransfer(what, region.policy.storage, ((role, np.where(own < 0, ZERO, own)),)))


def _receive(region: Region) -> str:
    """r9 weights become f32 at r8."""
    return "\n".join(
        [
            "receive_vector:",
            f"    mov r28, {memory(4):#x}",
            "    mov r29, r8",
            "    mov r30, 4",
            "    mov r31, 0",
            "    ldds d0, r28",
            "    dsr a6, weights_in",
            ".next:",
            "    mapstep r1, a6, .next",
            *([] if region.policy.wide else ["    h2s r1, r1"]),
            "    mapput d0, r1",
            "    isub32 r9, r9, 1",
            "    bnz r9, .next",
            "    ret\n",
        ]
    )


def gradient(region: Region, at: str, features: int, role: str = "gain") -> GradientTransfer:
    """Adds to the sequence: the f32 [fx] at `at`, the sum over the tokens of a PE, goes north and is summed up on its
    way.  Its drain has one role, float32 [features]."""
    own = owned(features, region.width)
    send(region, at, own.shape[1])
    return region.gives(GradientTransfer(f"gradient of {role} {features}", ((role, own, (features,)),)))


def send(region: Region, at: str, n: int) -> None:
    """Adds to the sequence: n f32 from `at` go north, summed up with those of the PEs below."""
    region.uses("north")
    region.outbox(n)
    region.subroutine("north_vector", NORTH_VECTOR)
    region.code(f"    mov r16, {region.span(at, n)}\n    call north_vector")


def next_outbox(label: str) -> list[str]:
    """Code: r7 = address of the outbox that comes next, of two.

    What lies in an outbox is on its way until the next has been sent off, for a microthread begins an operation when
    the one before has ended: so the one that comes next is free.
    """
    return ["    ld32 r7, [outbox_next]", f"    bnz r7, .{label}", "    mov r7, outbox0", f".{label}:"]


def sent_off() -> list[str]:
    """Code: the outbox at r7 has been sent off; changes r4..r7."""
    return [
        "    ieq32 r6, r7, outbox0",
        "    mov r5, outbox1",
        "    mov r4, outbox0",
        "    sel r7, r6, r5, r4",
        "    st32 r7, [outbox_next]",
    ]


NORTH_VECTOR = "\n".join(
    [
        "north_vector:",
        *next_outbox("begun"),
        "    iand r1, r16, 0xffff0000",
        "    ior r1, r1, r7",
        *memory_dsr("a0", 4, "r16, 0"),
        "    mov r29, r1",
        "    ldds d0, r28",
        "    ldds a10, r28",
        "    fmovs d0, a0",
        "    dsr d10, north_out",
        "    dsr b10, south_in",
        f"    fadds d10, a10, b10 {{async, ut={NORTH}}}",
        *sent_off(),
        "    ret\n",
    ]
)
