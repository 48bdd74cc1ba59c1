"""Cost models of the transformer's operators (kernels/layer), executed one at a time on small rectangles."""

from __future__ import annotations

from .cost import Model


def layer_models() -> list[Model]:
    """The operators that have a cost model."""
    return []
