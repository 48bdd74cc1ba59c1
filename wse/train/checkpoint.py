"""A run as files: begun in a fresh store, saved, resumed to the bit.

A checkpoint is what MemoryX holds: float32 master weights and the optimiser's state as safetensors files, and in
meta.json the history, the loss scaler, the settings, and what else makes the run (`about`: model, text, mode ...).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..machine.digest import check_digest
from ..memoryx.store import Store
from ..models import Graph
from .loop import Settings, initial, masks


def begin(directory: Path, graph: Graph, settings: Settings) -> Store:
    """A store of fresh weights in a directory that is made."""
    weights = initial(graph, settings.seed, masks(graph, settings.sparsity, settings.seed))
    slots = dict.fromkeys(slot for optimizer in settings.optimizers() for slot in optimizer.slots)
    return Store.create(directory, weights, slots)


def resume(checkpoint: Path, directory: Path, settings: Settings, about: Mapping[str, Any]) -> Store:
    """A store that goes on where a checkpoint ended, in a directory that is made; the checkpoint stays as it is.

    ConfigError where the checkpoint is of another run, or was made with other tables of instructions or machine
    figures: it names what differs.
    """
    Store.open(checkpoint)  # says what is wrong with it
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty: a resumed run needs a store of its own")
    shutil.copytree(checkpoint, directory, dirs_exist_ok=True)
    store = Store.open(directory)
    saved = store.meta.get("train")
    if saved is None:
        raise ConfigError(f"{checkpoint} is a store, but no checkpoint of a training run")
    check_digest(
        saved.get("tables"),
        f"checkpoint {checkpoint}",
        "the run would not go on to the bit; resume it with the wse that saved it, or train again",
    )
    for what, before, now in (
        ("", saved["about"], json.loads(json.dumps(dict(about)))),
        ("setting ", saved["settings"], asdict(settings)),
    ):
        for key in before.keys() | now.keys():
            if before.get(key) != now.get(key):
                raise ConfigError(
                    f"{checkpoint} is of another run: its {what}{key} is {before.get(key)!r}, not {now.get(key)!r}"
                )
    return store
