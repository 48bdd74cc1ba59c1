"""What a model's graph becomes before it is trained on the fabric or in the PyTorch reference."""

from __future__ import annotations

from .experts import separated
from .graph import Graph
from .latent import unfolded
from .scales import scaled


def executable(graph: Graph) -> Graph:
    """The graph of operators that kernels execute: factors as operators (scales.py), heads of one size (latent.py),
    each expert by itself (experts.py).  The same graph if it has none of these."""
    return separated(unfolded(scaled(graph)))
