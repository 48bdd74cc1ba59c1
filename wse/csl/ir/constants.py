"""Constants of the IR: their values modulo the width, their bits."""

from __future__ import annotations

import numpy as np

from ... import _engine
from ...machine import isa
from .ir import BITS, SIGNED, Const


def wrap(type: str, value: int) -> int:
    """An integer modulo the type's width, signed if the type is."""
    if type == "bool":
        return int(bool(value))
    bits = BITS[type]
    value = int(value) & ((1 << bits) - 1)
    return value - (1 << bits) if type in SIGNED and value >> (bits - 1) else value


def bits_of(constant: Const, fp16: str = "f16") -> int:
    """The bits of a constant as an unsigned integer."""
    type, value = constant.type, constant.value
    if type == "f32":
        with np.errstate(over="ignore"):
            return int(np.array(value, np.float32).view(np.uint32))
    if type == "f16":
        with np.errstate(over="ignore"):
            if fp16 == "f16":
                return int(np.array(value, np.float16).view(np.uint16))
            return int(_engine.s2h(isa.FP16[fp16], np.array([value], np.float32))[0])
    return int(value) & ((1 << BITS[type]) - 1)
