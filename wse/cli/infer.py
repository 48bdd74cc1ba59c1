"""`wse infer`: time to first token and tokens per second of a model resident in SRAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ..costs import recorded
from ..errors import ConfigError
from ..models import load
from ..system import inference
from . import common, types
from .output import Pairs, Table, number, show, text

# Figures of the machine that the model uses.
FIGURES = ("clock_hz", "fabric_width", "fabric_height", "usable_pes", "wafer_bytes", "sram_bytes")


@click.command("infer")
@common.option("--model", type=types.MODEL, default="llama3-8b", help=common.MODEL)
@common.option("--context", type=types.COUNT, default=1024, help="Tokens in the key-value cache.")
@common.option("--prompt", type=types.COUNT, help="Tokens of the prompt.  [default: the context]")
@common.option("--wafers", type=types.Integer(1, 2048), help="CS-3 systems.  [default: what holds the weights]")
@common.model_options
@common.json_option
def command(
    model: str,
    context: int,
    prompt: int | None,
    wafers: int | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    as_json: bool,
) -> None:
    """Predict decoding for one user, weights resident in SRAM.

    Kernels' times come from cost models of executed kernels (`wse costs`), with sums of products in 16 or 32 bits.
    Nothing is fitted to published speeds; the table compares them with the predictions.
    """
    machine = common.model_machine(None, settings, file, FIGURES, "wse infer")
    if machine.name != "wse3":
        raise ConfigError(
            f"decoding is modelled for wse3 only: there are no cost models of its kernels on {machine.name}"
        )
    transformer = load(model)
    made = {sums: inference.decode(transformer, context, wafers, sums, machine) for sums in inference.GEMV}
    show(document(made, prompt or context), VIEW, as_json)


def compare(published: inference.Published) -> dict[str, Any]:
    """A published speed beside the predictions."""
    model = load(published.model)
    made = {sums: inference.decode(model, inference.CONTEXT, published.systems, sums) for sums in inference.GEMV}
    return {
        "model": published.model,
        "wafers": made["f16"].wafers,
        "published": published.tokens_per_second,
        "method": published.method,
        "source": published.source,
        "tokens_per_second": {sums: d.tokens_per_second for sums, d in made.items()},
        "error_pct": {sums: 100 * (d.tokens_per_second / published.tokens_per_second - 1) for sums, d in made.items()},
    }


def document(made: dict[str, inference.Decoding], prompt: int) -> dict[str, Any]:
    """The predictions in JSON; keys are stable."""
    one = made["f16"]
    return {
        "model": one.model,
        "wafers": one.wafers,
        "region": list(one.region),
        "context": one.context,
        "prompt": prompt,
        "clock_hz": one.clock_hz,
        "weight_bytes": one.weight_bytes,
        "kv_bytes": one.kv_bytes,
        "sums": {
            sums: {
                "tokens_per_second": d.tokens_per_second,
                "first_token_seconds": d.first_token_seconds(prompt),
                "layer_seconds": d.layer_seconds,
                "layer": operations(d.layer),
                "kinds": [{"layers": count, "layer": operations(layer)} for count, layer in d.kinds],
                "head": operations(d.head),
            }
            for sums, d in made.items()
        },
        "cost_models": {
            name: {"held_worst_pct": recorded.fitted(name).worst_pct, "held_mean_pct": recorded.fitted(name).mean_pct}
            for name in (*inference.GEMV.values(), inference.ALLREDUCE)
        },
        "published": [compare(p) for p in inference.published()],
    }


def operations(made: Iterable[inference.Operation]) -> list[dict[str, Any]]:
    return [{"name": o.name, "cycles": o.latency, "interval": o.interval} for o in made]


def kernels(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows for the kernels of a layer and of the head, with both types of sums."""
    f16, f32 = ([*of_kinds(made["kinds"]), *made["head"]] for made in document["sums"].values())
    return [{"name": a["name"], "f16": a, "f32": b} for a, b in zip(f16, f32, strict=True)]


def of_kinds(kinds: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of all layers; if some are made in other ways, with their number."""
    for kind in kinds:
        for row in kind["layer"]:
            yield row | ({"name": f"{row['name']} ({kind['layers']} layers)"} if len(kinds) > 1 else {})


def errors(document: Mapping[str, Any]) -> str:
    worst = ", ".join(f"{name} {model['held_worst_pct']:.1f} %" for name, model in document["cost_models"].items())
    return f"modelled, fitted to executed kernels; worst error on held-out runs: {worst}"


def wafers(number: int) -> str:
    return f"{number} wafer{'s' if number > 1 else ''}"


def speed(sums: str) -> tuple[str, str]:
    """A line about decoding with one type of sums."""
    key = f"sums[{sums}]"
    return (
        f"sums in {sums}",
        f"{{{key}[tokens_per_second]:,.0f}} tokens/s, {{{key}[layer_seconds]:si s}} a layer, first token of a prompt "
        f"of {{prompt:,}} after {{{key}[first_token_seconds]:si s}}",
    )


VIEW = [
    Table(
        kernels,
        [
            text("kernel of a layer, head", "{name}"),
            number("f16 sums: cycles", "{f16[cycles]:,.0f}"),
            number("next token after", "{f16[interval]:,.0f}"),
            number("f32 sums: cycles", "{f32[cycles]:,.0f}"),
            number("next token after", "{f32[interval]:,.0f}"),
        ],
    ),
    Pairs(
        [
            (
                "model",
                lambda d: (
                    f"{d['model']} on {d['wafers']} wafer{'s' if d['wafers'] > 1 else ''}, 16-bit weights in SRAM"
                ),
            ),
            ("memory", "weights {weight_bytes:si B}, what layers store of the context {kv_bytes:si B}, of one user"),
            ("region", "{region:x} PEs a layer; {context:,} tokens of context"),
            ("costs", errors),
            *map(speed, inference.GEMV),
        ]
    ),
    Table(
        "published",
        [
            text("model", "{model}"),
            number("wafers", "{wafers}"),
            number("published", "{published:,.0f}"),
            number("f16 sums", "{tokens_per_second[f16]:,.0f}"),
            number("error", "{error_pct[f16]:+.0f} %"),
            number("f32 sums", "{tokens_per_second[f32]:,.0f}"),
            number("error", "{error_pct[f32]:+.0f} %"),
            text("how, source", "{method}; {source}"),
        ],
        notes=["tokens/s of one user; speculative decoding yields several tokens a pass and is not modelled"],
    ),
]
