"""Comparisons of a loop's counter, after LLVM's passes and before its instructions are raised.

A loop that counts by more than one keeps the comparison of the counter before its step: `i < 4080` and `next = i + 16`
in one block.  Both values are then needed at the end of the block, which costs a copy in every round.  `next < 4096`
says the same where the step does not overflow.
"""

from __future__ import annotations

from .text import Inst, TextFunction


def compare_after_step(function: TextFunction) -> None:
    """Rewrites comparisons of a phi with a constant as comparisons of the next value of the phi, if that is a sum which
    was computed before in the same block; in place."""
    defs = {inst.name: inst for block in function.blocks for inst in block.code if inst.name}
    for block in function.blocks:
        before: set[str] = set()
        for inst in block.code:
            if inst.op == "icmp":
                _compare_sum(inst, defs, before)
            before.add(inst.name)


def _compare_sum(test: Inst, defs: dict[str, Inst], before: set[str]) -> None:
    counter = defs.get(test.args[0])
    limit = _integer(test.args[1])
    if counter is None or counter.op != "phi" or limit is None or not test.type.startswith("i"):
        return
    bits = int(test.type[1:])
    for name in counter.args[::2]:
        step = defs.get(name)
        if step is None or step.op != "add" or name not in before or step.args[0] != test.args[0]:
            continue
        by = _integer(step.args[1])
        if by is None:
            continue
        if test.detail in ("eq", "ne"):
            moved = _signed(limit + by, bits)  # holds modulo 2^bits
        elif test.detail[0] == "u" and "nuw" in step.flags:
            moved = limit % (1 << bits) + by % (1 << bits)
            if moved >= 1 << bits:
                continue
            moved = _signed(moved, bits)
        elif test.detail[0] == "s" and "nsw" in step.flags:
            moved = limit + by
            if moved != _signed(moved, bits):
                continue
        else:
            continue
        test.args = [name, str(moved)]
        return


def _integer(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdigit() else None


def _signed(value: int, bits: int) -> int:
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value
