"""Vectors of parameters: gains and biases from the edge into memory, and their gradients to the edge.

A gain or bias of f features is an f32 vector [fx] in each PE, the PE's part of the features; elements beyond f are
zero.  It is transferred in the policy's storage type.  Gradients are f32 vectors [fx] that are summed up the column.
"""

from __future__ import annotations

import numpy as np

from .region import NORTH, Region, memory, memory_dsr
from .tiles import owned
from .transfers import ZERO, GradientTransfer, Order, WeightTransfer


def receive(region: Region, to: str, features: int, role: str = "gain") -> WeightTransfer:
    """Add a call that receives the PE's part of a vector into the f32 [fx] at `to`.

    The transfer has one role, float [features].
    """
    region.uses("weights")
    region.subroutine("receive_vector", _receive(region))
    region.code(f"    mov r8, {to}\n    mov r9, {region.features(features)}\n    call receive_vector")
    own = owned(features, region.width)
    parts = ((role, Order.of(np.where(own < 0, ZERO, own))),)
    return region.takes(WeightTransfer(f"{role} of {features}", region.policy.storage, parts))


def _receive(region: Region) -> str:
    """The subroutine: convert r9 weights from the stream to f32 at r8."""
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
    """Add a call that sends the f32 [fx] at `at`, sums over a PE's tokens, north, summed over the PEs of a column.

    The transfer has one role, float32 [features].
    """
    own = owned(features, region.width)
    send(region, at, own.shape[1])
    return region.gives(GradientTransfer(f"gradient of {role} {features}", ((role, Order.of(own), (features,)),)))


def send(region: Region, at: str, n: int) -> None:
    """Add a call that sends n f32 from `at` north, added to those of the PEs below."""
    region.uses("north")
    region.outbox(n)
    region.subroutine("north_vector", NORTH_VECTOR)
    region.code(f"    mov r16, {region.span(at, n)}\n    call north_vector")


def next_outbox(label: str) -> list[str]:
    """Return code that sets r7 to the address of the next of two outboxes.

    An outbox is in use until the send of the other one has been issued, because a microthread begins an operation when
    its previous one has ended.  So the next outbox is always free.
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
