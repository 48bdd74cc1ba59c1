"""`wse infer`: time to first token and tokens per second of a model resident in SRAM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..costs import recorded
from ..errors import ConfigError
from ..models import load
from ..report import text
from ..system import inference
from . import common

# Figures of the machine that the model uses.
FIGURES = ("clock_hz", "fabric_width", "fabric_height", "usable_pes", "wafer_bytes", "sram_bytes")


@click.command("infer")
@click.option("--model", default="llama3-8b", show_default=True, help="A name, or a Hugging Face config.json.")
@click.option("--context", type=click.IntRange(1), default=1024, show_default=True, help="Tokens in the cache.")
@click.option("--prompt", type=click.IntRange(1), help="Tokens of the prompt.  [default: the context]")
@click.option("--wafers", type=click.IntRange(1), help="CS-3 systems.  [default: what holds the weights]")
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
    Nothing is fitted to published speeds; they stand beside, with the error.
    """
    machine = common.model_machine(None, settings, file, FIGURES, "wse infer")
    if machine.name != "wse3":
        raise ConfigError(f"decoding is modelled on a WSE-3: its kernels' costs are, and {machine.name} has none")
    transformer = load(model)
    made = {sums: inference.decode(transformer, context, wafers, sums, machine) for sums in inference.GEMV}
    beside = [compare(p) for p in inference.published()]
    if as_json:
        common.print_json(document(made, prompt or context, beside))
    else:
        show(made, prompt or context, beside)


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


def document(made: dict[str, inference.Decoding], prompt: int, beside: list[dict]) -> dict:
    """What --json prints; keys are stable."""
    one = made["f16"]
    return {
        "model": one.model,
        "wafers": one.wafers,
        "region": list(one.region),
        "context": one.context,
        "prompt": prompt,
        "clock_hz": one.clock_hz,
        "sums": {
            sums: {
                "tokens_per_second": d.tokens_per_second,
                "first_token_seconds": d.first_token_seconds(prompt),
                "layer_seconds": d.layer_seconds,
                "layer": [{"name": o.name, "cycles": o.latency, "interval": o.interval} for o in d.layer],
                "head": [{"name": o.name, "cycles": o.latency, "interval": o.interval} for o in d.head],
            }
            for sums, d in made.items()
        },
        "cost_models": {
            name: {"held_worst_pct": recorded.fitted(name).worst_pct, "held_mean_pct": recorded.fitted(name).mean_pct}
            for name in (*inference.GEMV.values(), inference.ALLREDUCE)
        },
        "published": beside,
    }


def show(made: dict[str, inference.Decoding], prompt: int, beside: list[dict]) -> None:
    one, careful = made["f16"], made["f32"]
    rows = [
        (a.name, f"{a.latency:,.0f}", f"{a.interval:,.0f}", f"{b.latency:,.0f}", f"{b.interval:,.0f}")
        for a, b in zip((*one.layer, *one.head), (*careful.layer, *careful.head), strict=True)
    ]
    head = ("kernel of a layer, head", "f16 sums: cycles", "next token after", "f32 sums: cycles", "next token after")
    common.print_table(head, rows, right=(1, 2, 3, 4))
    errors = ", ".join(
        f"{name} {recorded.fitted(name).worst_pct:.1f} %" for name in (*inference.GEMV.values(), inference.ALLREDUCE)
    )
    click.echo()
    pairs = [
        ("model", f"{one.model} on {one.wafers} wafer{'s' if one.wafers > 1 else ''}, weights in SRAM, 16 bits"),
        ("region", f"{one.region[0]} x {one.region[1]} PEs a layer; {one.context:,} tokens of context"),
        ("costs", f"modelled, fitted to executed kernels; worst error on runs held out: {errors}"),
    ]
    for sums, d in made.items():
        pairs.append(
            (
                f"sums in {sums}",
                f"{d.tokens_per_second:,.0f} tokens/s, {text.si(d.layer_seconds, 's')} a layer, first token of a "
                f"prompt of {prompt:,} after {text.si(d.first_token_seconds(prompt), 's')}",
            )
        )
    common.print_pairs(pairs)
    click.echo()
    table = [
        (
            b["model"],
            str(b["wafers"]),
            f"{b['published']:,.0f}",
            *(
                cell
                for sums in made
                for cell in (f"{b['tokens_per_second'][sums]:,.0f}", f"{b['error_pct'][sums]:+.0f} %")
            ),
            f"{b['method']}; {b['source']}",
        )
        for b in beside
    ]
    names = ("model", "wafers", "published", "f16 sums", "error", "f32 sums", "error", "how, source")
    common.print_table(names, table, right=(1, 2, 3, 4, 5, 6))
    click.echo("tokens/s of one user; speculative decoding yields several tokens a pass and is not modelled")
