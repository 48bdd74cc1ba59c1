"""Transformers as data: configurations, and the graph of operators that one makes.

    load("gpt2")                   a configuration by name, from families.toml
    load("path/to/config.json")    or from a Hugging Face configuration
    graph(model)                   its operators, tensors and parameters, with flops and bytes

The package is independent of the machine.
"""

from .config import NAMES, Transformer, load, published
from .graph import Graph, Operator, Parameter, Tensor, graph

__all__ = ["NAMES", "Graph", "Operator", "Parameter", "Tensor", "Transformer", "graph", "load", "published"]
