"""What a program left in memory."""

from ..debug.debug_util import debug_util

__all__ = ["debug_util"]
