"""What a program left in memory."""

from wse.sdk.debug import debug_util

__all__ = ["debug_util"]
