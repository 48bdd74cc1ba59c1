"""What a model's graph becomes before it is trained on the fabric or in the PyTorch reference."""

from __future__ import annotations

from .experts import separated
from .graph import Graph
from .scales import scaled


def executable(graph: Graph) -> Graph:
    """The graph of operators that kernels execute: factors as operators (scales.py), each expert by itself
    (experts.py).  The same graph if it has neither.  Errors as `separated`."""
    return separated(scaled(graph))
