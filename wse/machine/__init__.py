"""The machine as tables: parameters, instructions and number formats.

parameters  figures of csrc/tables/machine.def, with units, ranges and sources; overrides
isa         instructions of csrc/tables/isa.def: words, operands, reference
numerics    IEEE half, bf16, cb16 and f32 arithmetic in NumPy, bit for bit as the engine's
"""

from .parameters import WSE2, WSE3, Machine

__all__ = ["WSE2", "WSE3", "Machine"]
