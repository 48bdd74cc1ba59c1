"""Low-rank adapters (LoRA): y = W x becomes y = W x + B (A x); W is frozen, A [rank, inputs] and B [outputs, rank] are
trained.

An adapter is two products and an addition, operators as any other.  There is no factor in front of B (A x): in PEFT's
terms lora_alpha is the rank.  A begins random, B at zero, so that training begins with the model as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from .graph import Graph, Operator, Parameter, Tensor
from .names import entries, row_order
from .tensor_files import write_safetensors

A, B = ".lora_a.weight", ".lora_b.weight"
TARGETS = ("attention.q", "attention.v")  # PEFT's own choice for most models


def is_adapter(name: str) -> bool:
    """Whether a parameter is of an adapter."""
    return name.endswith((A, B))


def adapted(graph: Graph, rank: int, targets: tuple[str, ...] = TARGETS) -> Graph:
    """A graph with an adapter at each product whose name ends with one of `targets`.

    Raises ConfigError if there is none, or if the rank is not below the features of a product.
    """
    operators: list[Operator] = []
    tensors = dict(graph.tensors)
    for o in graph.operators:
        if o.kind != "linear" or not o.name.endswith(tuple(f".{target}" for target in targets)):
            operators.append(o)
            continue
        inputs, outputs = o.features
        if not 0 < rank < min(inputs, outputs):
            raise ConfigError(f"an adapter of {o.name}, {inputs} -> {outputs}, has a rank below both, not {rank}")
        plain, low, change = (f"{o.name}.{part}" for part in ("plain", "low", "change"))
        tensors |= {plain: Tensor(plain, outputs), low: Tensor(low, rank), change: Tensor(change, outputs)}
        a = Parameter(o.name + A, (rank, inputs), "normal", 1 / math.sqrt(3 * inputs))
        b = Parameter(o.name + B, (outputs, rank))
        add = (2 * outputs, outputs)
        operators += [
            replace(o, outputs=(plain,)),
            _product(o, a, o.inputs, low, (inputs, rank)),
            _product(o, b, (low,), change, (rank, outputs)),
            Operator(f"{o.name}.lora", "residual", o.group, o.layer, (plain, change), o.outputs, add),
        ]
    if len(operators) == len(graph.operators):
        raise ConfigError(f"{graph.model.name} has no product {' or '.join(targets)} for an adapter")
    return Graph(graph.model, tuple(operators), tensors)


def _product(
    o: Operator, weight: Parameter, inputs: tuple[str, ...], output: str, features: tuple[int, int]
) -> Operator:
    name = weight.name.removesuffix(".weight")
    return Operator(name, "linear", o.group, o.layer, inputs, (output,), features, {"weight": weight})


def merged(graph: Graph, weights: Callable[[str], np.ndarray]) -> Callable[[str], np.ndarray]:
    """Weights of the model without adapters: W + B A.  graph: with them.  weights: name -> float32 array."""

    def read(name: str) -> np.ndarray:
        stem = name.removesuffix(".weight")
        if stem + A not in graph.parameters:
            return weights(name)
        return weights(name) + weights(stem + B) @ weights(stem + A)

    return read


def export_adapter(folder: Path, graph: Graph, weights: Callable[[str], np.ndarray], type: str, base: str) -> None:
    """Writes adapters as PEFT has them: adapter_config.json and adapter_model.safetensors, float32.

    graph: with adapters.  weights: name -> float32 array.  type: the model_type of Hugging Face.  base: the model's
    name or path.  Raises ConfigError for a model that keeps an adapted product in a tensor with others.
    """
    theirs: Mapping[str, str] = {e.ours[0]: e.name for e in entries(plain(graph), type) if len(e.ours) == 1}
    tensors: dict[str, np.ndarray] = {}
    modules = set()
    rank = 0
    for name, p in graph.parameters.items():
        if not is_adapter(name):
            continue
        stem, kind = (name.removesuffix(A), "lora_A") if name.endswith(A) else (name.removesuffix(B), "lora_B")
        if f"{stem}.weight" not in theirs:
            raise ConfigError(
                f"{type} keeps {stem} in a tensor with other products, which has no adapter of its own in PEFT: "
                "export the merged model"
            )
        module = theirs[f"{stem}.weight"].removesuffix(".weight")
        modules.add(module.rpartition(".")[2])
        value = np.asarray(weights(name), np.float32)
        order = row_order(graph, type, re.sub(r"^layers\.\d+\.", "", stem))
        if kind == "lora_B" and order is not None:
            value = value[np.argsort(order)]
        tensors[f"base_model.model.{module}.{kind}.weight"] = value
        rank = p.shape[0] if kind == "lora_A" else rank
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "target_modules": sorted(modules),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def plain(graph: Graph) -> Graph:
    """The operators that have parameters of the model itself, for its parameters."""
    operators = [o for o in graph.operators if not any(is_adapter(p.name) for p in o.parameters.values())]
    return Graph(graph.model, tuple(operators), graph.tensors)
