"""`wse train`: trains a transformer on the emulated wafer."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, ProgramError
from ..memoryx.ddr5 import SPEEDS
from . import common, types
from .output import show
from .training_report import VIEW, bounds, document, phases

if TYPE_CHECKING:
    import numpy as np
    from distributed import Client

    from ..execute.execution import Execution
    from ..memoryx import MemoryX
    from ..train.finetune import Start
    from ..train.loop import Settings, Step, Trainer
    from ..train.reference import ReferenceRun

OF_FILES = ("reduce_vocab", "lora")


@click.command("train")
@common.option("--model", type=types.MODEL, default="nano", help=common.MODEL)
@common.option(
    "--init",
    type=types.FILE,
    help="Weights to begin with: a Hugging Face folder, a .safetensors or .gguf file, or a checkpoint of --model.",
)
@common.option("--layers", type=types.COUNT, help="Train the first layers of the model only.  [default: all]")
@common.option(
    "--sequence",
    type=types.COUNT,
    help="Tokens of a sequence.  [default: those of --model; with --init 32 at most]",
)
@common.flag("--reduce-vocab", help="With --init: a vocabulary of the tokens that occur in the data.")
@common.option(
    "--dropout",
    type=types.Number(0, 1, below=True),
    help="Rate of dropout of the embedding, of what attention and MLP add, and of attention's weights (streaming).  "
    "[default: the rates of the model's configuration, else 0]",
)
@common.flag("--no-dropout", help="Train without the dropout that the model's configuration names: --dropout 0.")
@common.option(
    "--balance",
    type=types.Number(0, 1e6),
    help="Factor of the loss that balances the load of experts, which is added to the loss (streaming).  "
    "[default: with --init router_aux_loss_coef if output_router_logits is set, else 0]",
)
@common.option(
    "--lora",
    type=types.COUNT,
    help="With --init: train adapters of this rank at queries and values, and nothing else.",
)
@common.option(
    "--data",
    type=types.WORD,
    default="stdlib",
    help="Text file to learn, ids (.npy), or stdlib: the source text of Python's library.",
)
@common.option(
    "--mode",
    type=types.Choice(["streaming", "pipelined"]),
    default="streaming",
    help="Weights streamed from MemoryX, a layer at a time; or resident, each half layer on its own PEs.",
)
@common.flag(
    "--offload",
    help="Let activations leave the wafer between half layers, compute half layers again in the backward pass, and "
    "take the vocabulary in parts (streaming).",
)
@common.option("--steps", type=types.COUNT, default=300, help="Optimiser steps of the whole run.")
@common.option("--batch", type=types.BATCH, default=8, help="Sequences of a pass.")
@common.option(
    "--micro-batches",
    type=types.BATCH,
    help="Passes of a step, whose gradients are accumulated.  [default: one for each system]",
)
@common.option(
    "--systems",
    type=types.Integer(1, 2048),
    default=1,
    help="Wafers, each in a process of its own, that share the passes of a step.",
)
@common.option("--workers", type=types.Integer(1, 1024), help="Processes for the systems.  [default: one for each]")
@common.option("--scheduler", type=types.WORD, help=common.SCHEDULER)
@common.option("--dtype", type=types.DTYPE, default="bf16", help="Storage type on the PEs.")
@common.option("--policy", type=types.POLICY, default="POL0", help=common.POLICY)
@common.option("--optimizer", type=types.Choice(["adamw", "sgd"]), help="Optimiser.  [default: adamw; pipelined: sgd]")
@common.option(
    "--rate", "--lr", "rate", type=types.Number(0, 1e6, above=True), help="Learning rate.  [default: 0.003; sgd: 0.1]"
)
@common.option("--momentum", type=types.Number(0, 1, below=True), default=0.9, help="Momentum of sgd.")
@common.option(
    "--decay", type=types.Number(0, 1e6), default=0.0, help="Weight decay of matrices, not of gains and biases."
)
@common.option(
    "--freeze", type=types.WORD, multiple=True, help="Parameters not to update: a pattern such as 'embedding*'."
)
@common.option("--warmup", type=types.Integer(0), default=20, help="Steps in which the learning rate rises.")
@common.option(
    "--schedule",
    type=types.Choice(["cosine", "linear", "constant"]),
    default="cosine",
    help="Learning rate after the warm-up.",
)
@common.option("--final", type=types.Number(0, 1), default=0.1, help="Share of the rate at the end of the schedule.")
@common.option("--clip", type=types.Number(0, 1e30), default=1.0, help="Largest norm of gradients; 0: any.")
@common.option("--loss-scale", type=types.LossScale(), default="dynamic", help="dynamic, none, or a number.")
@common.option(
    "--mean-over",
    type=types.Integer(0),
    default=0,
    help="Tokens that the loss is the mean over.  [default: those of a pass]",
)
@common.flag("--stochastic", help="Round streamed weights at random, not to the nearest.")
@common.option(
    "--sparsity",
    type=types.Number(0, 1, below=True),
    default=0.0,
    help="Share of the weights that are 0 and are not sent (streaming).",
)
@common.option("--held-out", type=types.Integer(0), default=8, help="Batches of the last loss, on held-out data.")
@common.option("--seed", type=types.SEED, default=0, help="Seed of weights and batches.")
@common.option("--grid", type=types.Grid(), help="PEs of a region.  [default: heads x batch]")
@common.machine_options
@common.threads_option
@common.option("--ddr5", type=types.Choice(SPEEDS), default=4800, help="Speed of MemoryX's DDR5, MT/s.")
@common.option("--channels", type=types.Integer(1, 1024), default=12, help="DDR5 channels of a MemoryX node.")
@common.option("--nodes", type=types.Integer(1, 1_000_000), default=24, help="Nodes of MemoryX.")
@common.option(
    "--memoryx", type=types.FILE, help="TOML file that describes MemoryX; excludes --ddr5, --channels, --nodes."
)
@common.option(
    "--straggler",
    type=types.Number(1, 1000),
    help="Factor by which the clock of the last of several systems is slower.",
)
@common.flag("--swarmx-latency", help="Let weights and gradients of several systems take SwarmX's latency.")
@common.flag("--reference", help="Do the same run in PyTorch, float32, and compare.")
@common.option("--checkpoint", type=types.FILE, help="Folder to save the run to in the end.")
@common.option("--every", type=types.COUNT, help="Save there also after every so many steps.")
@common.option("--resume", type=types.FILE, help="Checkpoint to continue.")
@common.option("--until", type=types.COUNT, help="Stop after this step; a checkpoint may continue.")
@common.option("--store", type=types.FILE, help="Folder for MemoryX's files.  [default: temporary]")
@common.option("--export", type=types.FILE, help="Folder to write the trained model to, as Hugging Face has it.")
@common.option("--adapter", type=types.FILE, help="Folder to write the adapters of --lora to, as PEFT has them.")
@common.option("--log", type=types.OUTPUT, help="Write a line of JSON for each step: .jsonl.")
@common.option("--tensorboard", type=types.FILE, help="Folder for TensorBoard's event files.")
@common.option("--plot", type=types.OUTPUT, help=common.PICTURE)
@common.option(
    "--trace", type=types.OUTPUT, help="Write the timeline of a pass: .pftrace (for ui.perfetto.dev) or .json."
)
@common.json_option
def command(as_json: bool, **options: Any) -> int:
    """Train a transformer on the characters of a text, or a model that there is on its tokens.

    Every product, norm, softmax, activation, loss and gradient is executed by PEs of the emulated fabric.  Streaming:
    weights come in from MemoryX for each pass, gradients go back, MemoryX updates.  Pipelined: every half layer has a
    region that keeps its weights and updates them there.  Exit status 1: the loss is not finite.
    """
    if options["memoryx"] is not None:
        common.refuse("is in the file of --memoryx", "ddr5", "channels", "nodes")
    if options["mode"] == "pipelined":
        common.refuse(
            "is of --mode streaming", "offload", "sparsity", "stochastic", "memoryx", "ddr5", "channels", "nodes"
        )
    if options["systems"] == 1 and (options["straggler"] is not None or options["swarmx_latency"]):
        raise ConfigError("--straggler and --swarmx-latency are of several systems: give --systems")
    if options["no_dropout"] and options["dropout"]:
        raise ConfigError(f"--no-dropout trains without dropout: leave out --dropout {options['dropout']:g}, or it")
    if options["init"] is None:
        common.refuse("is of a model that --init reads", *OF_FILES)
    check_outputs(options)
    if options["adapter"] is not None and options["lora"] is None:
        raise ConfigError("--adapter is of a run with --lora")
    settings = chosen(options)
    try:
        with systems(options) as client:
            trainer, about, start = prepare(options, settings, client)
            started = time.perf_counter()
            fresh = trainer.step
            run(trainer, about, options, as_json)
            wall = time.perf_counter() - started
            held_out = trainer.held_out(options["held_out"]) if options["held_out"] else None
            reference = compare(trainer, start.weights, options["held_out"]) if options["reference"] else None
            if options["checkpoint"] is not None:
                trainer.save(options["checkpoint"], about)
            if options["export"] is not None:
                trainer.collect()
                start.export(options["export"], trainer.store)
            if options["adapter"] is not None:
                start.export_adapter(options["adapter"], trainer.store)
            done = document(trainer, about, options, held_out, reference, wall / max(1, trainer.step - fresh))
            draw(trainer, options, reference, done)
            show(done, VIEW, as_json)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(kept(options["checkpoint"]))
        raise
    return 0 if math.isfinite(done["losses"][-1]) else 1


def kept(path: Path | None) -> str:
    """Text that states which checkpoint an interrupted run has saved."""
    from ..train import checkpoint

    steps = None if path is None else checkpoint.steps(path)
    if steps is None:
        return "no checkpoint was saved"
    return f"{path} holds the run after step {steps}; --resume {path} continues it"


def check_outputs(options: dict[str, Any]) -> None:
    if options["plot"] is not None:
        from ..report import validation

        validation.check(options["plot"])
    if options["trace"] is not None:
        from ..trace import spans

        spans.check(options["trace"])
    if options["every"] is not None and options["checkpoint"] is None:
        raise click.UsageError("--every saves to the folder of --checkpoint, which is not given")
    if options["checkpoint"] is not None:
        from ..memoryx import store

        store.check_path(options["checkpoint"])
    for name in ("export", "adapter"):
        if options[name] is not None:
            from ..models import pretrained

            pretrained.check_folder(options[name])
    if options["reference"]:
        from ..train import reference

        reference.torch()


def chosen(options: dict[str, Any]) -> Settings:
    from ..train.loop import Settings

    options["micro_batches"] = options["micro_batches"] or options["systems"]
    if options["micro_batches"] % options["systems"]:
        raise ConfigError(
            f"the {options['micro_batches']} passes of a step cannot be divided among {options['systems']} systems: "
            "give --micro-batches a multiple of --systems"
        )
    optimizer = options["optimizer"] or ("adamw" if options["mode"] == "streaming" else "sgd")
    rate = options["rate"] or (3e-3 if optimizer == "adamw" else 0.1)
    same = {field.name for field in fields(Settings)} - {"optimizer", "rate", "betas", "frozen"}
    return Settings(
        optimizer=optimizer, rate=rate, frozen=tuple(options["freeze"]), **{name: options[name] for name in same}
    )


@contextmanager
def systems(options: dict[str, Any]) -> Iterator[Client | None]:
    """A cluster for several systems; none for one, which runs in this process unless workers are asked for."""
    if options["systems"] == 1 and options["workers"] is None and options["scheduler"] is None:
        yield None
        return
    from ..execute.workers import cluster

    local = options["workers"] or options["systems"]
    with cluster(None if options["scheduler"] else local, options["scheduler"]) as client:
        yield client


def begun(options: dict[str, Any]) -> Start:
    """The model, its weights and the data."""
    from ..train import finetune

    return finetune.with_balance(unbalanced(options), options["balance"])


def unbalanced(options: dict[str, Any]) -> Start:
    """As `begun`, without a loss of load balance."""
    from ..models import load
    from ..models.dropout import Rates, without
    from ..train import finetune

    init = options["init"]
    rate = 0.0 if options["no_dropout"] else options["dropout"]
    rates = None if rate is None else Rates(rate, rate, rate)
    if init is None or finetune.is_checkpoint(init):
        whole = load(options["model"])
        plain = whole.but(numerics=without(None, whole.numerics))
        if rates is None and plain != whole:
            key, value = next(pair for pair in whole.numerics if pair not in plain.numerics)
            raise ConfigError(
                f"model {whole.name} has {key} {value:g}: give its rate, as --dropout {value:g}, or --no-dropout; "
                "--init reads it with a model's weights"
            )
        whole = plain
        if init is None:
            model = finetune.shortened(whole, options["layers"], options["sequence"], whole.name)
            start = finetune.fresh(model, options["data"])
        else:
            common.refuse("is of a Hugging Face model, not of a checkpoint", "layers", "sequence", *OF_FILES)
            start = finetune.from_checkpoint(whole, options["data"], init)
        return start if rates is None else finetune.with_dropout(start, rates)
    common.refuse("is in the files of --init", "model")
    start = finetune.from_files(
        init, options["data"], options["layers"], options["sequence"], options["reduce_vocab"], rates
    )
    return start if options["lora"] is None else finetune.with_adapters(start, options["lora"], options["seed"])


def prepare(
    options: dict[str, Any], settings: Settings, client: Client | None
) -> tuple[Trainer, dict[str, Any], Start]:
    """The run, new or resumed, its settings, which do not include the number of systems, and what it begins with."""
    from ..train import checkpoint, data
    from ..train.loop import Trainer

    start = begun(options)
    made, text = start.graph, start.text
    model = made.model
    settings = replace(settings, frozen=(*settings.frozen, *start.frozen()))
    batches = data.Batches(text, options["batch"], model.sequence, settings.seed)
    execution = place(options, made, client)
    about = {
        "model": model.name,
        "mode": options["mode"],
        "batch": options["batch"],
        "policy": options["policy"],
        "grid": list(execution.grid),
        "arch": options["arch"] or "wse3",
        "text": text.digest,
    }
    if start.pretrained is not None or options["layers"] is not None or options["sequence"] is not None:
        about |= {"layers": model.layers, "sequence": model.sequence, "vocab": model.vocab}
    if start.lora:
        about["lora"] = start.lora
    if start.rates:
        about["dropout"] = list(vars(start.rates).values())
    if start.balance:
        about["balance"] = start.balance
    if options["offload"]:
        about["offload"] = True
    if options["resume"] is not None:
        store = checkpoint.resume(options["resume"], options["store"], settings, about)
    else:
        store = checkpoint.begin(options["store"], made, settings, start.weights)
    return Trainer.start(execution, store, batches, settings), about, start


def place(options: dict[str, Any], graph: Any, client: Client | None) -> Execution:
    """The model on one fabric; on several, and where a step has several passes whose gradients MemoryX adds up, all as
    one Execution, whose sums do not depend on the number of systems."""
    passes = options["micro_batches"]
    if client is None and (passes == 1 or options["mode"] == "pipelined"):
        return build(options, graph)
    from ..execute.systems import Systems

    systems = options["systems"]
    slow = {} if options["straggler"] is None else {systems - 1: options["straggler"]}
    network = memory(options).network
    make = partial(build, options, graph)
    return Systems(client, make, systems, passes * options["batch"], network, slow=slow, late=options["swarmx_latency"])


def memory(options: dict[str, Any]) -> MemoryX:
    """The MemoryX of the options."""
    from .. import memoryx

    if options["memoryx"] is not None:
        return memoryx.system.read(options["memoryx"])
    return memoryx.MemoryX(part=memoryx.Ddr5(options["ddr5"]), channels=options["channels"], nodes=options["nodes"])


def build(options: dict[str, Any], graph: Any, slow: float = 1.0) -> Execution:
    """The model on a fabric.  slow: factor by which its clock is slower."""
    machine = common.machine(*(options[name] for name in ("arch", "profile", "settings", "file")))
    if slow != 1:
        machine = machine.replace(clock_hz=round(machine.clock_hz / slow))
    common_ = {
        "graph": graph,
        "batch": options["batch"],
        "machine": machine,
        "dtype": options["dtype"],
        "policy": options["policy"],
        "grid": options["grid"],
        "threads": options["threads"],
    }
    if options["mode"] == "pipelined":
        from ..execute.pipelined import Pipelined

        if options["sparsity"]:
            raise ConfigError("--sparsity is of weights that are streamed: use --mode streaming")
        return Pipelined(**common_)
    from ..execute.offloading import Offloading
    from ..execute.streaming import Streaming

    system = memory(options)
    if options["swarmx_latency"]:
        network = system.network
        late = network.latency_us + network.depth(options["systems"]) * network.hop_us
        system = replace(system, network=replace(network, latency_us=late))
    if options["offload"]:
        return Offloading(**common_, system=system, sparse=options["sparsity"] > 0, report=Progress())
    try:
        return Streaming(**common_, system=system, sparse=options["sparsity"] > 0)
    except ProgramError as error:
        raise type(error)(f"{error}\nWith --offload, PEs hold the activations of half a layer only.") from None


def run(trainer: Trainer, about: dict[str, Any], options: dict[str, Any], quiet: bool) -> None:
    """Trains, with a bar and every 50 steps a line, and logs."""
    from ..train.log import Log

    end = min(trainer.settings.steps, options["until"] or trainer.settings.steps)
    bar = Bar(end, trainer.step, trainer.execution.clock_hz, quiet)
    with Log(options["log"], options["tensorboard"], options["resume"] is not None) as log:
        while trainer.step < end:
            step = trainer.advance()
            bar.update(step)
            log.add(step, bounds(phases(trainer)))
            if options["every"] and trainer.step % options["every"] == 0:
                trainer.save(options["checkpoint"], about)
    bar.clear()


class Bar(common.StatusLine):
    """Steps done, loss, and time left; a line of its own every 50 steps."""

    WIDTH, EVERY, NOTE = 24, 0.2, 50  # characters, seconds, steps

    def __init__(self, end: int, done: int, clock_hz: int, quiet: bool):
        super().__init__()
        self.end, self.begun, self.clock_hz, self.quiet = end, done, clock_hz, quiet
        self.started, self.shown = time.monotonic(), 0.0

    def update(self, step: Step) -> None:
        done = step.step + 1
        if done % self.NOTE == 0 or done == self.end:
            self.clear()
            rate = step.tokens * self.clock_hz / step.cycles
            skipped = ", skipped" if step.skipped else ""
            click.echo(
                f"| Train Device=CSX (emulated), Step={done}, Loss={step.loss:.5f}, GradNorm={step.norm:.4g}, "
                f"LossScale={step.scale:g}, Rate={rate:,.0f} tokens/sec of wafer time{skipped}",
                err=self.quiet,
            )
        now = time.monotonic()
        if not self.is_terminal or now - self.shown < self.EVERY:
            return
        self.shown = now
        per_step = (now - self.started) / (done - self.begun)
        filled = self.WIDTH * done // self.end
        bar = "#" * filled + "." * (self.WIDTH - filled)
        left = per_step * (self.end - done)
        self.put(f"{done}/{self.end} [{bar}] loss {step.loss:.4f}  {per_step:.2f} s/step  {left:.0f} s left")


class Progress:
    """Says on stderr, once a minute, which part of a pass of --offload is done, and after how many cycles."""

    EVERY = 60  # seconds

    def __init__(self) -> None:
        self.said = time.monotonic()

    def __call__(self, name: str, cycles: int) -> None:
        if time.monotonic() - self.said >= self.EVERY:
            self.said = time.monotonic()
            click.echo(f"| {name} done, {cycles:,} cycles", err=True)


def compare(trainer: Trainer, weights: Mapping[str, np.ndarray] | None, batches_held_out: int) -> ReferenceRun:
    """The same run in PyTorch, without updates that were skipped.  weights: that it began with, None: initial ones."""
    from ..train import reference
    from ..train.loop import initial

    t, s = reference.torch(), trainer.settings

    def optimizer(groups: list[dict[str, Any]]) -> Any:
        if s.optimizer == "sgd":
            return t.optim.SGD(groups, lr=s.rate, momentum=s.momentum, weight_decay=s.decay)
        return t.optim.AdamW(groups, lr=s.rate, betas=s.betas, weight_decay=s.decay)

    graph = trainer.execution.graph
    batches = (trainer.drawn(step) for step in range(trainer.step))
    if weights is None:
        weights = initial(graph, s.seed, trainer.masks)
    else:
        weights = {name: w * trainer.masks[name] if name in trainer.masks else w for name, w in weights.items()}
    held_out = trainer.batches.held_out(batches_held_out)
    skipped = [step.step for step in trainer.history if step.skipped]
    return reference.train(
        graph,
        weights,
        batches,
        optimizer,
        s.rate_at,
        s.clip,
        held_out,
        trainer.masks,
        trainer.trained,
        skipped,
        trainer.draws,
        s.micro_batches,
    )


def draw(trainer: Trainer, options: dict[str, Any], reference: ReferenceRun | None, done: dict[str, Any]) -> None:
    spans = trainer.last.spans if trainer.last is not None else []
    title = f"{done['model']} on {done['arch']}, {done['mode']}, {done['dtype']}, {done['steps']} steps"
    if options["plot"] is not None:
        from ..report import training

        losses = None if reference is None else reference.losses
        training.draw(trainer.history, spans, done["waits"], title, options["plot"], losses)
    if options["trace"] is not None:
        from ..trace import spans as timeline

        timeline.write(spans, options["trace"], title)
