"""The enumerations of copies."""

from wse.sdk.transfer import MemcpyDataType, MemcpyOrder

__all__ = ["MemcpyDataType", "MemcpyOrder"]
