"""`wse models [NAME ...]`: the transformers whose names other commands take, with their sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import ConfigError, did_you_mean
from ..models import graph, load, published
from ..models.config import Transformer
from ..schema import shown
from . import common, types
from .output import Table, number, show, text


@click.command("models")
@click.argument("names", metavar="[NAME]...", type=types.MODEL, nargs=-1)
@common.json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the transformers whose names other commands take: all, or those whose names contain a NAME.

    NAME may also be the path of a Hugging Face config.json.
    """
    found = {model.name: model for name in names for model in matching(name)} if names else published()
    show({"models": [document(model) for model in found.values()]}, VIEW, as_json)


def matching(name: str) -> list[Transformer]:
    """The models whose names contain the text, or that of a configuration file.  ConfigError if there is none."""
    if Path(name).suffix == ".json":
        return [load(name)]
    known, part = published(), name.lower().replace(".", "_")
    found = [model for other, model in known.items() if part in other]
    if not found:
        raise ConfigError(f"no name of a model contains {shown(name)}: {did_you_mean(part, known, most=0) or LIST}")
    return found


LIST = "`wse models` lists all"


def document(model: Transformer) -> dict[str, Any]:
    """A model in JSON; keys are stable."""
    made = graph(model)
    return {
        "name": model.name,
        "parameters": made.weights,
        "layers": model.layers,
        "d_model": model.d_model,
        "heads": model.heads,
        "kv_heads": model.kv_heads,
        "d_ff": model.d_ff,
        "vocab": model.vocab,
        "sequence": model.sequence,
        "experts": model.experts,
        "active_experts": model.active_experts,
        "norm": model.norm,
        "activation": model.activation,
        "gated": model.gated,
        "positions": model.positions,
        "body": model.body,
        "windows": list(model.windows),
        "numerics": dict(model.numerics),
        "source": model.source,
    }


VIEW = [
    Table(
        "models",
        [
            text("model", "{name}"),
            number("parameters", "{parameters:si}"),
            number("layers", "{layers}"),
            number("d_model", "{d_model}"),
            number("heads", "{heads}"),
            number("kv", "{kv_heads}"),
            number("d_ff", "{d_ff}"),
            number("vocabulary", "{vocab}"),
            number("sequence", "{sequence}"),
            number("experts", lambda row: f"{row['active_experts']} of {row['experts']}" if row["experts"] > 1 else ""),
            text("activation", lambda row: f"{row['activation']}{', gated' if row['gated'] else ''}"),
            text("positions", "{positions}"),
        ],
        notes=["kv: heads of keys and values.  `--json` also has the norm and the source of each."],
    )
]
