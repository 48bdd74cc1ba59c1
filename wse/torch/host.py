"""The nodes of an exported graph that the host evaluates, with PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.fx import Node
from torch.fx.node import map_arg


class Host(dict[Node, Any]):
    """Values by node, evaluated when they are first asked for; autograd follows.

    program: a torch.export.ExportedProgram.  module: whose parameters and buffers are used; without it only nodes of
    constants have values.  inputs: of a call of the module.
    """

    def __init__(
        self, program: Any, module: torch.nn.Module | None = None, inputs: Sequence[torch.Tensor] = ()
    ) -> None:
        super().__init__()
        signature = program.graph_signature
        self.given = dict(zip(signature.user_inputs, inputs, strict=False))
        state: Mapping[str, Any] = program.state_dict
        for name, path in {**signature.inputs_to_parameters, **signature.inputs_to_buffers}.items():
            self.given[name] = (
                owner(module, path) if module is not None else state.get(path, program.constants.get(path))
            )
        for name, path in signature.inputs_to_lifted_tensor_constants.items():
            self.given[name] = program.constants[path]

    def __missing__(self, node: Node) -> Any:
        if node.op == "placeholder":
            value = self.given[node.name]
        else:
            args, kwargs = map_arg((node.args, node.kwargs), self.__getitem__)
            value = node.target(*args, **kwargs)  # type: ignore[operator]
        self[node] = value
        return value


def owner(module: torch.nn.Module, path: str) -> Any:
    """The parameter or buffer of that path."""
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name)
    return found
