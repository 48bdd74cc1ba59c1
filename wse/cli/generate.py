"""`wse generate`: a language model answers from the emulated wafer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import click

from ..errors import ConfigError
from ..execute.generation import Decoder
from ..execute.sampling import Sampler
from . import common, strips, types
from .output import Pairs, show

SAMPLED = "is of sampling: give --temperature"


@click.command("generate")
@common.option(
    "--model",
    type=types.FILE,
    required=True,
    help="A .gguf file, a .safetensors file beside its config.json, or a folder with either.",
)
@common.option(
    "--prompt",
    "prompts",
    type=types.Prompt(),
    required=True,
    multiple=True,
    help="What the user says; repeatable: all are answered together.",
)
@common.option("--batch", type=types.BATCH, default=1, help="Answers to each prompt, drawn at random.")
@common.flag("--raw", help="Continue the prompt as it is, without the model's chat template.")
@common.option("--tokens", type=types.COUNT, default=64, help="Tokens to generate at most.")
@common.option("--dtype", type=types.Choice(["f16", "bf16"]), default="f16", help="Weights and what enters products.")
@common.option(
    "--temperature",
    type=types.Number(0, 1e6, above=True),
    help="Draw tokens at random from the logits.  [default: the greatest logit]",
)
@common.option("--top-k", type=types.COUNT, help="Draw from so many greatest logits.  [default: all]")
@common.option("--top-p", type=types.Number(0, 1, above=True), help="Draw from the tokens that reach this probability.")
@common.option("--seed", type=types.SEED, default=0, help="Seed of the draws.")
@common.option(
    "--context",
    type=types.COUNT,
    help="Tokens to reserve memory for.  [default: prompt and --tokens, if the model can]",
)
@common.option("--columns", type=types.Integer(2, 4096), help="Columns of the strip.  [default: chosen]")
@common.option("--rows", type=types.Integer(1, 4096), help="Rows of a key-value head.  [default: chosen]")
@common.timing_options
@common.threads_option
@common.option("--plot", type=types.OUTPUT, help=f"{common.PICTURE}  The wafer, and how busy its PEs were.")
@common.json_option
def command(as_json: bool, **options: Any) -> int:
    """Generate text with a language model, weights resident in SRAM.

    Embedding, layers, head and the search of the greatest logit are executed by PEs of the emulated fabric, token after
    token; to draw at random, the host reads the logits out.  The text is printed as it comes; then speed, cycles and
    memory.
    """
    if options["temperature"] is None:
        common.refuse(SAMPLED, "top_k", "top_p", "seed")
        if options["batch"] > 1:
            raise ConfigError("--batch draws several answers to a prompt: give --temperature, else they are the same")
    if options["plot"] is not None:
        from .. import report

        report.check(options["plot"])
    document = generate(options, (lambda piece: None) if as_json else said)
    show(document, VIEW, as_json, ends=[one["ended"] for one in document["sequences"]])
    return 0


def said(piece: str) -> None:
    """Print a piece of the text at once."""
    click.echo(piece, nl=False)


def generate(options: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """Generate, and return the document.  say: called with each piece of the text."""
    from ..costs import decoding
    from ..execute import generation, strip_layout
    from ..models import tokenizer, weights

    machine = common.machine("wse3", options["profile"], options["settings"], options["file"])
    with common.Working() as working:
        working(f"reading {options['model']}")
        model = weights.read_weights(options["model"])
        if model.metadata:
            words = tokenizer.from_metadata(model.metadata)
        else:
            words = tokenizer.from_folder(strips.folder(options["model"]))
        asked = [
            words.begins + words.encode(prompt) if options["raw"] else words.chat(prompt)
            for prompt in options["prompts"]
        ]
        for ids in asked:
            if not ids:
                raise ConfigError("the prompt has no token: give a --prompt that is not empty")
            strips.check_ids(ids, model)
        most, longest = model.config.sequence, max(map(len, asked))
        context = options["context"] or max(longest, min(most, longest + options["tokens"] - 1))
        if options["context"] and context < longest:
            raise ConfigError(f"the prompt has {longest} tokens, more than --context {context}")
        answers = [
            Answer(ids, words.stream(), sampler(options, k))
            for k, ids in enumerate(ids for ids in asked for _ in range(options["batch"]))
        ]
        size = (options["columns"] or 0, options["rows"] or 0)
        layout = strip_layout.layout(
            model.config, context, *size, machine, len(answers), keeps=options["temperature"] is not None
        )
        working(f"loading {layout.pes:,} PEs")
        decoder = generation.Decoder(model, layout, options["dtype"], machine, options["threads"])
        working(f"{sum(len(answer.prompt) for answer in answers)} tokens of prompts")
        started = time.perf_counter()
        first = decoder.step({k: answer.prompt for k, answer in enumerate(answers)})
    alone = len(answers) == 1
    cycles: list[int] = []
    try:
        active = list(range(len(answers)))
        while True:
            for k in active:
                piece = answers[k].take(decoder, k, words.ends, options["tokens"])
                if alone:
                    say(piece)
            active = [k for k in active if not answers[k].ended]
            if not active:
                break
            cycles.append(decoder.step({k: [answers[k].ids[-1]] for k in active}))
    finally:
        for answer in answers if not alone else ():
            say(answer.text + "\n\n")
        say("\n\n" if alone else "")
    wall = time.perf_counter() - started
    phases = decoder.phases()
    last = cycles[-1] if cycles else first
    clock = machine.clock_hz
    prompt_tokens = sum(len(answer.prompt) for answer in answers)
    later = sum(len(answer.ids) - 1 for answer in answers)  # tokens behind the first ones
    mean = sum(cycles) / later if cycles else None
    used = sum(decoder.used)
    strips.draw(decoder, machine, options["plot"])
    per_position = layout.cache_bytes
    predicted = sum(decoding.predict(layout, decoder.used[0] - 1).values()) if cycles else None
    predicted_prompt = decoding.predict_prompt(layout, len(answers[0].prompt))
    whole = last if alone else sum(phases.values())
    fitted = decoding.is_fitted(layout) and strips.is_published(machine)
    return {
        **strips.document(model, decoder, machine, options["dtype"]),
        **(answers[0].document() if alone else {}),
        "sequences": [answer.document() for answer in answers],
        "vocabulary_region": [layout.width, layout.table.rows],
        "prompt_cycles": first,
        "token_cycles": cycles,
        "mean_token_cycles": mean,
        "predicted": {
            "prompt_cycles": predicted_prompt,
            "prompt_error_pct": 100 * (predicted_prompt / first - 1),
            "token_cycles": predicted,
            "token_error_pct": None if predicted is None else 100 * (predicted / last - 1),
        }
        if fitted
        else None,
        "tokens": later,
        "prompt_tokens": prompt_tokens,
        "tokens_per_second": clock / mean if mean else None,
        "prompt_tokens_per_second": clock * prompt_tokens / first,
        "wall_seconds": wall,
        "wall_seconds_per_token": wall / (prompt_tokens + later),
        "phases": strips.phases(phases, whole)
        + [
            {
                "phase": "embedding, ways between regions",
                "cycles": last - sum(phases.values()),
                "share": 1 - sum(phases.values()) / last,
            }
        ][: int(alone)],  # of several tokens in flight, the rest of a step is waiting too
        "cache": {
            "bytes_per_token": per_position,
            "tokens": used,
            "room": layout.layer.context * len(answers),
            "bytes_used": per_position * used,
            "bytes_left": per_position * (layout.layer.context * len(answers) - used),
        },
        "sampling": "greatest logit, found by the fabric"
        if options["temperature"] is None
        else "drawn by the host from the logits",
    }


class Answer:
    """A sequence that is generated.  prompt: its ids.  stream: ids -> text.  sampler: None for the greatest logit."""

    def __init__(self, prompt: list[int], stream: Callable[[int], str], sampler: Sampler | None) -> None:
        self.prompt, self._stream, self._sampler = prompt, stream, sampler
        self.ids: list[int] = []
        self.text, self.ended = "", ""

    def take(self, decoder: Decoder, sequence: int, ends: Collection[int], most: int) -> str:
        """Choose the next token from the results of the last step, and return the text that it completes."""
        if self._sampler is None:
            token = decoder.best(sequence)
        else:
            token = self._sampler.choose(decoder.logits(sequence))
        self.ids.append(token)
        if token in ends:
            self.ended = "end of the answer"
            return ""
        piece = self._stream(token)
        self.text += piece
        if len(self.ids) == most:
            self.ended = "tokens"
        elif decoder.used[sequence] == decoder.layout.layer.context:
            self.ended = "context"
        return piece

    def document(self) -> dict[str, Any]:
        """Its part of the document."""
        return {"prompt_ids": self.prompt, "ids": self.ids, "text": self.text, "ended": self.ended}


def sampler(options: Mapping[str, Any], sequence: int) -> Sampler | None:
    """The draws of a sequence, each with a seed of its own."""
    if options["temperature"] is None:
        return None
    seed = options["seed"] + sequence
    return Sampler(options["temperature"], options["top_k"] or 0, options["top_p"] or 1.0, seed)


def answers(document: Mapping[str, Any]) -> str:
    mean, sequences = document["mean_token_cycles"], len(document["sequences"])
    if mean is None:
        return "one token, made from the prompt"
    return (
        f"{document['tokens']} tokens after the first{f' ones of {sequences} answers' if sequences > 1 else ''}, "
        f"{mean:,.0f} cycles each: "
        f"{document['tokens_per_second']:,.0f} tokens/s on the device"
    )


VIEW = [
    strips.PHASES,
    Pairs(
        [
            ("model", strips.MODEL),
            ("strip", f"{strips.STRIP}, vocabulary {{vocabulary_region:x}}"),
            (
                "prompt",
                lambda d: (
                    f"{d['prompt_tokens']} tokens in {d['prompt_cycles']:,} cycles: "
                    f"{d['prompt_tokens_per_second']:,.0f} tokens/s on the device"
                ),
            ),
            ("answer", answers),
            (
                "predicted",
                "prompt {predicted[prompt_cycles]:,.0f} cycles ({predicted[prompt_error_pct]:+.1f} %), last token "
                "{predicted[token_cycles]:,.0f} ({predicted[token_error_pct]:+.1f} %)",
            ),
            ("next token", "{sampling}; ended by: {ends:list}"),
            ("clock", "{clock_hz:si Hz}"),
            ("emulation", "{wall_seconds:,.1f} s, {wall_seconds_per_token:.2f} s a token"),
            (
                "KV cache",
                lambda d: (
                    f"{d['cache']['bytes_per_token']:,} bytes a token; {d['cache']['tokens']} tokens, "
                    f"{d['cache']['bytes_used']:,} bytes used; "
                    f"room for {d['cache']['room'] - d['cache']['tokens']} more, "
                    f"{d['cache']['bytes_left']:,} bytes"
                ),
            ),
        ]
    ),
]
