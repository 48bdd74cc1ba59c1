"""`wse infer`: time to first token and tokens per second of a model resident in SRAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ..costs import decoding, encoding, recorded
from ..errors import ConfigError
from ..execute import strip_layout
from ..execute.encoding import steps
from ..machine.parameters import Machine
from ..models import Transformer, load
from ..models.weights import differences, encoder_differences, read_gguf_config
from ..records import dataclass
from ..system import inference
from . import common, types
from .output import Pairs, Table, number, show, text

# Figures of the machine that the model uses.
FIGURES = (
    "peak_clock_hz", "fabric_width", "fabric_height", "usable_pes", "wafer_bytes", "sram_bytes", "hop_cycles",
    "ramp_in_cycles", "ramp_out_cycles", "task_start_cycles", "op_start_cycles",
)  # fmt: skip


@click.command("infer")
@common.option("--model", type=types.MODEL, default="llama3-8b", help=f"{common.MODEL}  Or a .gguf file.")
@common.option(
    "--context",
    type=types.COUNT,
    help="Tokens in the key-value cache.  [default: 1024; of an encoder, the longest sentence]",
)
@common.option("--prompt", type=types.COUNT, help="Tokens of the prompt.  [default: the context]")
@common.option(
    "--lengths",
    type=types.Integers(1, 1_000_000, "numbers of tokens", repeats=True),
    help="Of an encoder: tokens of each sentence.  [default: one sentence, of the context or the model's sequence]",
)
@common.option("--wafers", type=types.Integer(1, 2048), help="CS-3 systems.  [default: what holds the weights]")
@common.option(
    "--acceptance", type=types.Number(0, 1), help="Probability that a drafted token is accepted: speculation."
)
@common.option(
    "--drafted", type=types.Integer(1, 64), default=inference.DRAFTED, help="Tokens that the draft proposes for a pass."
)
@common.option("--draft", type=types.MODEL, help="Model of the draft.  [default: one more layer and the head]")
@common.model_options
@common.json_option
def command(
    model: str,
    context: int | None,
    prompt: int | None,
    lengths: tuple[int, ...] | None,
    wafers: int | None,
    acceptance: float | None,
    drafted: int,
    draft: str | None,
    settings: tuple[tuple[str, str], ...],
    file: Path | None,
    as_json: bool,
) -> None:
    """Predict decoding for one user, weights resident in SRAM.

    Kernels' times come from cost models of executed kernels (`wse costs`), with sums of products in 16 or 32 bits; the
    bound is what hops, launches and reading each weight once leave.  With --acceptance, a draft proposes tokens and the
    model checks them.  Nothing is fitted to published speeds; the table compares them with the predictions, and prints
    the acceptance that speculation would need.

    All this is of a layout that fills the wafers.  If `wse generate` can execute the model, the time in the layout that
    it uses is predicted as well.  Of an encoder, the time of sentences in the layout of `wse embed` is predicted.
    """
    machine = common.model_machine(None, settings, file, FIGURES, "wse infer")
    if machine.name != "wse3":
        raise ConfigError(
            f"decoding is modelled for wse3 only: there are no cost models of its kernels on {machine.name}"
        )
    transformer = read_gguf_config(Path(model)) if model.endswith(".gguf") else load(model)
    if transformer.body == "encoder":
        others = {"--prompt": prompt, "--wafers": wafers, "--acceptance": acceptance, "--draft": draft}
        if given := [name for name, value in others.items() if value is not None]:
            raise ConfigError(f"{given[0]} is of a decoder, and {transformer.name} is an encoder: it takes --lengths")
        show(encoded(transformer, context, lengths, machine), ENCODER_VIEW, as_json)
        return
    if lengths is not None:
        raise ConfigError(
            f"--lengths is of an encoder, and {transformer.name} is none: it takes --context and --prompt"
        )
    context = context or 1024
    made = {law: inference.decode(transformer, context, wafers, law, machine) for law in inference.LAWS}
    drafts: dict[str, float | None] = dict.fromkeys(made)
    if draft is not None:
        other = load(draft)
        if other.vocab != transformer.vocab:
            raise ConfigError(
                f"--draft {draft} has {other.vocab:,} tokens in its vocabulary, {model} has {transformer.vocab:,}: "
                "a draft proposes tokens of the model; take one of the same vocabulary"
            )
        drafts = {law: inference.decode(other, context, None, law, machine).token_seconds for law in made}
    speculation = Speculation(acceptance, drafted, draft, drafts)
    executable = executed(transformer, context, prompt or context, machine)
    figures = document(made, prompt or context, transformer.sequence, speculation) | {"generate": executable}
    show(figures, VIEW, as_json)


def encoded(
    model: Transformer, context: int | None, lengths: tuple[int, ...] | None, machine: Machine
) -> dict[str, Any]:
    """The prediction for sentences in the layout of `wse embed`.  ConfigError if there is none."""
    if differs := encoder_differences(model):
        raise ConfigError(f"{model.name} is not of the kind that `wse embed` executes: {'; '.join(differs)}")
    each = lengths or (context or model.sequence,)
    if context is not None and max(each) > context:
        raise ConfigError(f"a sentence of {max(each):,} tokens is longer than the {context:,} of --context")
    layout = strip_layout.layout(model, context or max(each), machine=machine)
    if not encoding.is_fitted(layout):
        raise ConfigError(f"{model.name}: cycles of sentences are predicted for layers of BERT, with exact GELU, only")
    parts = steps(layout, each)
    cycles = sum(encoding.predict(layout, part)[-1] for part in parts)
    return {
        "model": model.name,
        "strip": [layout.width, layout.height],
        "region": [layout.width, layout.layer.height],
        "layers": layout.layers,
        "lengths": list(each),
        "sentences": len(each),
        "tokens": sum(each),
        "steps": [len(part) for part in parts],
        "cycles": cycles,
        "sentence_cycles": cycles / len(each),
        "clock_hz": machine.clock_hz,
        "sentences_per_second": machine.clock_hz * len(each) / cycles,
        "first_seconds": encoding.predict(layout, parts[0])[0] / machine.clock_hz,
        "held_worst_pct": encoding.held_out().worst_pct,
    }


def executed(model: Transformer, context: int, prompt: int, machine: Machine) -> dict[str, Any]:
    """The prediction for the layout of `wse generate`, or why there is none."""
    if differs := differences(model):
        return {"why_not": "; ".join(differs)}
    try:
        layout = strip_layout.layout(model, context, machine=machine)
    except ConfigError as error:
        return {"why_not": str(error)}
    if not decoding.is_fitted(layout):
        return {"not_fitted": [layout.width, layout.height]}
    phases = decoding.predict(layout, context - 1)
    cycles, first = sum(phases.values()), decoding.predict_prompt(layout, min(prompt, context))
    return {
        "strip": [layout.width, layout.height],
        "region": [layout.width, layout.layer.height],
        "token_cycles": cycles,
        "clock_hz": machine.clock_hz,
        "tokens_per_second": machine.clock_hz / cycles,
        "first_token_seconds": first / machine.clock_hz,
        "phases": [{"phase": name, "cycles": n, "share": n / cycles} for name, n in phases.items()],
        "held_worst_pct": decoding.worst_pct(layout),
    }


@dataclass(frozen=True)
class Speculation:
    """Options of speculation.  seconds: of a drafted token by law; None: of a layer and the head."""

    acceptance: float | None
    drafted: int
    draft: str | None
    seconds: dict[str, float | None]

    def speed(self, law: str, one: inference.Decoding) -> float | None:
        """Tokens per second, or None without an acceptance."""
        if self.acceptance is None:
            return None
        tokens = inference.tokens_of_pass(self.acceptance, self.drafted)
        return tokens / one.pass_seconds(self.drafted, self.seconds[law])


def compare(published: inference.Published) -> dict[str, Any]:
    """A published speed beside the predictions."""
    model = load(published.model)
    made = {law: inference.decode(model, inference.CONTEXT, published.systems, law) for law in inference.LAWS}
    plain = published.method == "plain"
    return {
        "model": published.model,
        "wafers": made["f16"].wafers,
        "published": published.tokens_per_second,
        "method": published.method,
        "source": published.source,
        "tokens_per_second": {sums: d.tokens_per_second for sums, d in made.items()},
        "error_pct": {sums: 100 * (d.tokens_per_second / published.tokens_per_second - 1) for sums, d in made.items()},
        "tokens_a_pass": None
        if plain
        else {law: published.tokens_per_second * d.pass_seconds(inference.DRAFTED) for law, d in made.items()},
        "implied_acceptance": None
        if plain
        else {law: d.implied_acceptance(published.tokens_per_second) for law, d in made.items()},
    }


def document(
    made: dict[str, inference.Decoding], prompt: int, longest: int, speculation: Speculation
) -> dict[str, Any]:
    """The predictions in JSON; keys are stable."""
    one = made["f16"]
    return {
        "model": one.model,
        "wafers": one.wafers,
        "region": list(one.region),
        "context": one.context,
        "longest_of_configuration": longest,
        "prompt": prompt,
        "clock_hz": one.clock_hz,
        "weight_bytes": one.weight_bytes,
        "kv_bytes": one.kv_bytes,
        "sums": {
            sums: {
                "tokens_per_second": d.tokens_per_second,
                "first_token_seconds": d.first_token_seconds(prompt),
                "layer_seconds": d.layer_seconds,
                "shares": d.shares(),
                "speculative_tokens_per_second": speculation.speed(sums, d),
                "layer": operations(d.layer),
                "kinds": [{"layers": count, "layer": operations(layer)} for count, layer in d.kinds],
                "head": operations(d.head),
            }
            for sums, d in made.items()
        },
        "speculation": {
            "acceptance": speculation.acceptance,
            "drafted": speculation.drafted,
            "draft": speculation.draft,
            "tokens_a_pass": None
            if speculation.acceptance is None
            else inference.tokens_of_pass(speculation.acceptance, speculation.drafted),
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
    """Rows for the kernels of a layer and of the head, by each law."""
    laws = ([*of_kinds(made["kinds"]), *made["head"]] for made in document["sums"].values())
    return [
        {"name": f16["name"], "f16": f16, "f32": f32, "bound": bound} for f16, f32, bound in zip(*laws, strict=True)
    ]


def of_kinds(kinds: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of all layers; if some are made in other ways, with their number."""
    for kind in kinds:
        for row in kind["layer"]:
            yield row | ({"name": f"{row['name']} ({kind['layers']} layers)"} if len(kinds) > 1 else {})


def errors(document: Mapping[str, Any]) -> str:
    worst = ", ".join(f"{name} {model['held_worst_pct']:.1f} %" for name, model in document["cost_models"].items())
    return f"modelled, fitted to executed kernels; worst error on held-out runs: {worst}"


def wafers(number: int) -> str:
    return counted(number, "wafer")


def counted(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number > 1 else ''}"


def speed(law: str) -> tuple[str, str]:
    """A line about decoding by one law."""
    key = f"sums[{law}]"
    name = "no kernel can undercut" if law == inference.BOUND else f"sums in {law}"
    return (
        name,
        f"{{{key}[tokens_per_second]:,.0f}} tokens/s, {{{key}[layer_seconds]:si s}} a layer, first token of a prompt "
        f"of {{prompt:,}} after {{{key}[first_token_seconds]:si s}}",
    )


def bounded(document: Mapping[str, Any]) -> str:
    """What a token's time consists of, with sums in 16 bits."""
    shares = document["sums"]["f16"]["shares"]
    words = {"between": "ways between regions", "links": "links of wafers"}
    return ", ".join(f"{words.get(name, name)} {100 * share:.0f} %" for name, share in shares.items())


def extended(document: Mapping[str, Any]) -> str | None:
    """A note on a context that the configuration does not have."""
    if document["context"] <= document["longest_of_configuration"]:
        return None
    return (
        f"the configuration has sequences of {document['longest_of_configuration']:,} tokens: positions are taken as "
        f"extended to {document['context']:,}"
    )


def speculative(document: Mapping[str, Any]) -> str | None:
    """The speeds with speculation."""
    made = document["speculation"]
    if made["acceptance"] is None:
        return None
    speeds = ", ".join(f"{law} {one['speculative_tokens_per_second']:,.0f}" for law, one in document["sums"].items())
    return (
        f"{made['tokens_a_pass']:.2f} tokens a pass with {made['drafted']} drafted by "
        f"{made['draft'] or 'one more layer and the head'}, accepted with {made['acceptance']:g}: tokens/s {speeds}"
    )


def compared(row: Mapping[str, Any], law: str) -> str:
    """The error of a plain speed; of another, the acceptance that it implies."""
    if (implied := row["implied_acceptance"]) is None:
        return f"{row['error_pct'][law]:+.0f} %"
    if implied[law] is not None:
        return f"accepts {implied[law]:.2f}"
    tokens = row["tokens_a_pass"][law]
    return "none needed" if tokens < 1 else f"{tokens:.1f} a pass"


VIEW = [
    Table(
        kernels,
        [
            text("kernel of a layer, head", "{name}"),
            number("f16 sums: cycles", "{f16[cycles]:,.0f}"),
            number("next token after", "{f16[interval]:,.0f}"),
            number("f32 sums: cycles", "{f32[cycles]:,.0f}"),
            number("next token after", "{f32[interval]:,.0f}"),
            number("bound: cycles", "{bound[cycles]:,.0f}"),
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
            *map(speed, inference.LAWS),
            ("bound by", bounded),
            ("speculation", speculative),
            ("note", extended),
            (
                "wse generate",
                "{generate[strip]:x} PEs, layers of {generate[region]:x}: {generate[tokens_per_second]:,.0f} tokens/s "
                "at {generate[clock_hz]:si Hz}, "
                "{generate[token_cycles]:,.0f} cycles a token at the end of the context, first token after "
                "{generate[first_token_seconds]:si s}; fitted to executed tokens, worst error on held-out ones "
                "{generate[held_worst_pct]:.1f} %",
            ),
            ("wse generate", "cannot execute it: {generate[why_not]}"),
            ("wse generate", "{generate[not_fitted]:x} PEs; cycles of such layers are not predicted"),
        ]
    ),
    Table(
        "published",
        [
            text("model", "{model}"),
            number("wafers", "{wafers}"),
            number("published", "{published:,.0f}"),
            number("f16 sums", "{tokens_per_second[f16]:,.0f}"),
            number("", lambda row: compared(row, "f16")),
            number("f32 sums", "{tokens_per_second[f32]:,.0f}"),
            number("", lambda row: compared(row, "f32")),
            number("bound", "{tokens_per_second[bound]:,.0f}"),
            number("", lambda row: compared(row, "bound")),
            text("how, source", "{method}; {source}"),
        ],
        notes=[
            f"tokens/s of one user; plain: error of the prediction; else what {inference.DRAFTED} tokens of a draft "
            "(one more layer and the head) would need: their acceptance, or more tokens a pass than they can yield"
        ],
    ),
]
ENCODER_VIEW = [
    Pairs(
        [
            ("model", "{model}, 16-bit weights in SRAM"),
            ("strip", "{strip:x} PEs: {layers} layers of {region:x}"),
            (
                "sentences",
                lambda d: f"{d['sentences']} of together {d['tokens']:,} tokens, in {counted(len(d['steps']), 'step')}",
            ),
            (
                "speed",
                "{cycles:,.0f} cycles, {sentence_cycles:,.0f} a sentence: {sentences_per_second:,.0f} sentences/s at "
                "{clock_hz:si Hz}; the first one after {first_seconds:si s}",
            ),
            ("costs", "fitted to executed sentences, worst error on held-out ones {held_worst_pct:.1f} %"),
        ]
    )
]
