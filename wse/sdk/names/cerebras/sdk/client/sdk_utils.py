"""16-bit data in 32-bit arrays."""

from ..sdk_utils import calculate_cycles, cast_uint32, float_to_hex, input_array_to_u32, make_u48, memcpy_view

__all__ = ["calculate_cycles", "cast_uint32", "float_to_hex", "input_array_to_u32", "make_u48", "memcpy_view"]
