"""`wse embed`: vectors of sentences from an encoder on the emulated wafer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..errors import ConfigError
from . import common, strips, types
from .output import Pairs, Table, number, show, text

SHOWN = 60  # characters of a sentence in the table


@click.command("embed")
@common.option(
    "--model",
    type=types.FILE,
    required=True,
    help="A folder with config.json, *.safetensors and tokenizer.json, or its .safetensors file.",
)
@common.option("--text", "texts", type=types.Prompt(), multiple=True, help="A sentence; repeatable.")
@common.option("--file", "lines", type=types.FILE, help="A text file with a sentence on each line.")
@common.option("--dtype", type=types.Choice(["f16", "bf16"]), default="f16", help="Weights and what enters products.")
@common.option("--pool", type=types.Choice(["mean", "first"]), help="Vector of a sentence.  [default: the model's]")
@common.option("--context", type=types.COUNT, help="Tokens to reserve memory for.  [default: the longest sentence]")
@common.flag("--truncate", help="Cut sentences that are longer than the model takes.  [default: an error]")
@common.option("--columns", type=types.Integer(2, 4096), help="Columns of the strip.  [default: chosen]")
@common.option("--rows", type=types.Integer(1, 4096), help="Rows of a head.  [default: chosen]")
@common.option("--out", type=types.OUTPUT, help="Write the vectors, float32 [sentences, d_model]: .npy.")
@common.timing_options
@common.threads_option
@common.option("--plot", type=types.OUTPUT, help=f"{common.PICTURE}  The wafer, and how busy its PEs were.")
@common.json_option
def command(as_json: bool, **options: Any) -> None:
    """Compute vectors of sentences with an encoder of BERT's kind, weights resident in SRAM.

    Embedding, layers, pooling and normalisation are executed by PEs of the emulated fabric; sentences follow each other
    through the layers.  Printed are the most similar sentences, cycles and speed; the vectors are in --out and --json.
    """
    if options["plot"] is not None:
        from .. import report

        report.check(options["plot"])
    if options["out"] is not None and options["out"].suffix != ".npy":
        raise ConfigError(f"--out {options['out']}: vectors are written as .npy")
    show(embed(options), VIEW, as_json)


def embed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the vectors, and return the document."""
    from ..costs import encoding as costs
    from ..execute.encoding import Encoder
    from ..execute.strip_layout import layout
    from ..models import tokenizer, weights
    from ..models.sentences import read_sentences

    texts = sentences(options)
    machine = common.machine("wse3", options["profile"], options["settings"], options["file"])
    with common.Working() as working:
        working(f"reading {options['model']}")
        model = weights.read_encoder(options["model"])
        place = strips.folder(options["model"])
        words, how = tokenizer.from_folder(place), read_sentences(place)
        longest = min(how.longest or model.config.sequence, options["context"] or model.config.sequence)
        ids = []
        for line in texts:
            ids.append(words.sentence(line.lower() if how.lower else line, longest if options["truncate"] else 0))
            if not ids[-1]:
                raise ConfigError(f"sentence {len(ids)} has no token")
            if len(ids[-1]) > longest:
                raise ConfigError(
                    f"sentence {len(ids)} has {len(ids[-1])} tokens, more than {longest}: shorten it or give --truncate"
                )
            strips.check_ids(ids[-1], model)
        context = options["context"] or max(map(len, ids))
        pool = options["pool"] or how.pool
        made = layout(
            model.config, context, options["columns"] or 0, options["rows"] or 0, machine, pool=pool, unit=how.unit
        )
        working(f"loading {made.pes:,} PEs")
        encoder = Encoder(model, made, options["dtype"], machine, options["threads"])
        working(f"{len(ids)} sentences")
        started = time.perf_counter()
        result = encoder.encode(ids)
        wall = time.perf_counter() - started
    if options["out"] is not None:
        np.save(options["out"], result.vectors)
    strips.draw(encoder, machine, options["plot"])
    fitted = costs.is_fitted(made) and strips.is_published(machine)
    predicted = sum(costs.predict(made, [len(i) for i in part])[-1] for part in parts(ids, result.steps))
    phases = encoder.phases()
    return {
        **strips.document(model, encoder, machine, options["dtype"]),
        "pool": pool,
        "unit": how.unit,
        "sentences": [
            {"text": line, "tokens": len(i), "ids": i, "finished": int(at), **near}
            for line, i, at, near in zip(texts, ids, result.finished, nearest(result.vectors), strict=True)
        ],
        "vectors": result.vectors.tolist(),
        "embedding_region": [made.width, made.table.rows],
        "steps": list(result.steps),
        "cycles": result.cycles,
        "sentence_cycles": result.cycles / len(ids),
        "sentences_per_second": machine.clock_hz * len(ids) / result.cycles,
        "tokens": sum(map(len, ids)),
        "predicted": {"cycles": predicted, "error_pct": 100 * (predicted / result.cycles - 1)} if fitted else None,
        "wall_seconds": wall,
        "phases": strips.phases(phases, max(1, sum(phases.values()))),
    }


def sentences(options: Mapping[str, Any]) -> list[str]:
    """The sentences of --text and --file."""
    found = list(options["texts"])
    if options["lines"] is not None:
        path: Path = options["lines"]
        try:
            read = path.read_text(encoding="utf-8-sig").splitlines()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}") from None
        found += [line for line in read if line.strip()]
    if not found:
        raise ConfigError("there is no sentence: give --text, or --file with a sentence on each line")
    return found


def parts(ids: list[list[int]], steps: tuple[int, ...]) -> Iterator[list[list[int]]]:
    """The sentences of each step."""
    first = 0
    for count in steps:
        yield ids[first : first + count]
        first += count


def nearest(vectors: np.ndarray) -> list[dict[str, Any]]:
    """Of each vector, the other one with the greatest cosine: its number, counted from 1, and the cosine."""
    if len(vectors) < 2:
        return [{} for _ in vectors]
    lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    cosines = (vectors @ vectors.T) / np.outer(lengths, lengths)
    np.fill_diagonal(cosines, -np.inf)
    return [{"nearest": int(row.argmax()) + 1, "cosine": float(row.max())} for row in cosines]


def rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of sentences."""
    made = []
    for number_, sentence in enumerate(document["sentences"], 1):
        line = " ".join(sentence["text"].split())
        made.append(sentence | {"number": number_, "text": line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."})
    return made


VIEW = [
    Table(
        rows,
        [
            number("", "{number}"),
            text("sentence", "{text}"),
            number("tokens", "{tokens}"),
            number("complete at cycle", "{finished:,}"),
            number("nearest", "{nearest}"),
            number("cosine", "{cosine:.3f}"),
        ],
    ),
    strips.PHASES,
    Pairs(
        [
            ("model", strips.MODEL),
            ("strip", f"{strips.STRIP}, embedding {{embedding_region:x}}"),
            (
                "vectors",
                lambda d: (
                    f"{'mean of the tokens' if d['pool'] == 'mean' else 'first token'}"
                    f"{', of length 1' if d['unit'] else ''}"
                ),
            ),
            (
                "speed",
                "{cycles:,} cycles for {tokens:,} tokens, {sentence_cycles:,.0f} a sentence: "
                "{sentences_per_second:,.0f} sentences/s on the device at {clock_hz:si Hz}",
            ),
            ("predicted", "{predicted[cycles]:,.0f} cycles ({predicted[error_pct]:+.1f} %)"),
            ("emulation", "{wall_seconds:,.1f} s"),
        ]
    ),
]
