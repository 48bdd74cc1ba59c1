"""Coordinates of layouts."""

from wse.sdk.geometry import IntRectangle, IntVector

__all__ = ["IntRectangle", "IntVector"]
