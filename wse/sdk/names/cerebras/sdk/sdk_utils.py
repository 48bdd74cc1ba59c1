"""16-bit data in 32-bit arrays."""

from wse.sdk.utils import calculate_cycles, input_array_to_u32, memcpy_view

__all__ = ["calculate_cycles", "input_array_to_u32", "memcpy_view"]
