"""Transformers as data: configurations, and the graph of operators that one makes.

    load("gpt2")                   a configuration by name, from families.toml
    load("path/to/config.json")    or from a Hugging Face configuration; families.py has the rules of each family
    graph(model)                   its operators, tensors and parameters, with flops and bytes

The package is independent of the machine.
"""

from .bodies import graph
from .config import NAMES, Transformer, published
from .graph import Graph, Operator, Parameter, Tensor
from .load import from_hugging_face, load

__all__ = [
    "NAMES",
    "Graph",
    "Operator",
    "Parameter",
    "Tensor",
    "Transformer",
    "from_hugging_face",
    "graph",
    "load",
    "published",
]
