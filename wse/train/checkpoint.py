"""Checkpoints: starting a run in a new store, and resuming it bit for bit from a saved one.

A checkpoint is the content of MemoryX: float32 master weights and optimizer state as safetensors files, and meta.json
with the history, the loss scaler, the settings, and the other inputs of the run (`about`: model, text, mode ...).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..machine.digest import check_digest
from ..memoryx.store import Store
from ..models import Graph
from ..tensors import Tensors
from .loop import Settings, Step, initial_tensors, masks
from .scaler import Scaler


def begin(
    directory: Path | None, graph: Graph, settings: Settings, weights: Mapping[str, np.ndarray] | None = None
) -> Store:
    """Creates a store with these weights, float32 by name, or with initial ones.

    directory: where to create it; None: in unnamed temporary files.
    """
    chosen = masks(graph, settings.sparsity, settings.seed)
    if weights is None:
        weights = initial_tensors(graph, settings.seed, chosen)
    elif chosen:
        weights = Tensors({name: partial(_masked, weights, chosen, name) for name in weights})
    slots = dict.fromkeys(slot for optimizer in settings.optimizers() for slot in optimizer.slots)
    return Store.create(directory, weights, slots)


def _masked(weights: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return weights[name] * masks[name] if name in masks else weights[name]


def resume(checkpoint: Path, directory: Path | None, settings: Settings, about: Mapping[str, Any]) -> Store:
    """Creates a store that continues from a checkpoint, which is only read.  directory: as in `begin`.

    Raises ConfigError if the checkpoint is damaged, belongs to another run, or was made with other tables of
    instructions or machine parameters.  The message names the difference.
    """
    saved = Store.open(checkpoint)
    train = saved.meta.get("train")
    if train is None:
        raise ConfigError(f"{checkpoint} is a store, but no checkpoint of a training run")
    check_digest(
        train.get("tables") if isinstance(train, dict) else None,
        f"checkpoint {checkpoint}",
        "the run would not go on to the bit; resume it with the wse that saved it, or train again",
    )
    train = _checked(checkpoint, train)
    for what, before, now in (
        ("", train["about"], json.loads(json.dumps(dict(about)))),
        # Settings that a checkpoint of an older version does not have were as by default.
        ("setting ", _settings(Settings()) | train["settings"], _settings(settings)),
    ):
        for key in before.keys() | now.keys():
            if before.get(key) != now.get(key):
                raise ConfigError(
                    f"{checkpoint} is of another run: its {what}{key} is {before.get(key)!r}, not {now.get(key)!r}; "
                    f"a new run from its weights, with other data or settings, is --init {checkpoint}"
                )
    return saved.copy(directory)


def _settings(settings: Settings) -> dict[str, Any]:
    """As JSON has them."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return found


def steps(checkpoint: Path) -> int | None:
    """The number of completed steps in a checkpoint; None if there is no complete checkpoint at the path."""
    try:
        return len(_checked(checkpoint, Store.open(checkpoint).meta.get("train"))["history"])
    except ConfigError:
        return None


def _checked(checkpoint: Path, train: Any) -> dict[str, Any]:
    """The training section of meta.json, after a check of its types.  Raises ConfigError if it is damaged."""
    try:
        good = all(isinstance(train[key], dict) for key in ("settings", "about", "scaler"))
        good = good and _has_types(train["scaler"], Scaler) and isinstance(train["history"], list)
        good = good and all(_has_types(step, Step, {"busiest"}) for step in train["history"])
        good = good and [step["step"] for step in train["history"]] == list(range(len(train["history"])))
    except (KeyError, TypeError):
        good = False
    if not good:
        raise ConfigError(f"{checkpoint} is damaged: meta.json does not describe a training run")
    return train


_JSON_TYPES: dict[str, Any] = {"int": int, "float": int | float, "bool": bool}


def _has_types(values: Any, kind: type, optional: Collection[str] = ()) -> bool:
    """Whether a JSON object has exactly the fields of a dataclass of numbers and booleans, with their types; those that
    are optional may be missing."""
    types = {f.name: str(f.type) for f in fields(kind)}
    return (
        isinstance(values, dict)
        and types.keys() - optional <= values.keys() <= types.keys()
        and all(
            isinstance(value, _JSON_TYPES[types[name]]) and (type(value) is bool) == (types[name] == "bool")
            for name, value in values.items()
        )
    )
