"""The middle end: from what the front end has lowered to what the code generator takes."""

from __future__ import annotations

from ..ir import divide, float_to_wide
from ..ir.calls import drop_unneeded, roots_of
from ..ir.dsd_values import promote
from ..ir.ir import Unit
from ..ir.recursion import resolve
from . import passes
from .lower import lower
from .raising import raise_module

LEVEL = 2  # of optimisation, where nothing else is said


def optimize(unit: Unit, level: int = LEVEL, fp16: str = "f16") -> None:
    """Optimises the functions of a unit, in place; drops those that are not needed.  level: 1 to 3 as LLVM's; 0 does
    only what the code generator needs."""
    resolve(unit)
    divide.expand(unit)
    float_to_wide.expand(unit)
    drop_unneeded(unit)
    if level == 0 or not unit.functions:
        return
    promote(unit, roots_of(unit))
    made = lower(unit, roots_of(unit), fp16)
    unit.functions = raise_module(made, passes.run(made.text, level))
    divide.expand(unit)  # divisions of 64 bits that LLVM has made of others
