"""Instructions that the machine does not have: calls of routines, which are added to the units that need them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .ir import Function, Instr, Unit


def expand(
    unit: Unit,
    replacement: Callable[[Instr], tuple[list[Instr], Iterable[str]] | None],
    make: Callable[[str], Function],
) -> None:
    """Replaces instructions of all functions of a unit.

    replacement: the code in the place of an instruction and the names of the routines that it needs, None if the
    instruction stays.  make: the routine of a name; called for those that the unit does not have.
    """
    needed: set[str] = set()
    for function in unit.functions:
        for block in function.blocks:
            code: list[Instr] = []
            for instr in block.code:
                found = replacement(instr)
                if found is None:
                    code.append(instr)
                else:
                    code += found[0]
                    needed.update(found[1])
            block.code = code
    have = {function.name for function in unit.functions}
    unit.functions += [make(name) for name in sorted(needed - have)]
