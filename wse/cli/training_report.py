"""What `wse train` prints of a run: its document, and the lines that a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..report.text import percent
from .output import Pairs, Words

if TYPE_CHECKING:
    from ..train.loop import Trainer
    from ..train.reference import ReferenceRun

SMOOTH = 20  # steps that the last training loss is the mean of


def bounds(waits: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """What most cycles of each phase went to."""
    return {phase: max(causes, key=causes.__getitem__) for phase, causes in waits.items() if causes}


def last(losses: Sequence[float]) -> float:
    """The mean of the last steps."""
    tail = losses[-SMOOTH:]
    return sum(tail) / len(tail)


def document(
    trainer: Trainer,
    about: dict[str, Any],
    options: dict[str, Any],
    held_out: float | None,
    reference: ReferenceRun | None,
    wall: float,
) -> dict[str, Any]:
    """A run in JSON; keys are stable."""
    history, s, model = trainer.history, trainer.settings, trainer.execution.graph.model
    streamed = trainer.execution.updates == "memoryx"
    losses = [step.loss for step in history]
    cycles = sum(step.cycles for step in history) / len(history)
    tokens = history[-1].tokens
    waits = phases(trainer)
    compared = None
    if reference is not None:
        compared = {
            "losses": reference.losses,
            "last_loss": last(reference.losses),
            "held_out_loss": None if held_out is None else reference.held_out,
            "difference": last(losses) - last(reference.losses),
            "held_out_difference": None if held_out is None else held_out - reference.held_out,
        }
    return {
        **about,
        "layers": model.layers,
        "sequence": model.sequence,
        "vocab": model.vocab,
        "parameters": trainer.store.parameters,
        "frozen": list(s.frozen),
        "trained": sum(trainer.store.weight(name).size for name in trainer.trained),
        "steps": len(history),
        "seed": s.seed,
        "systems": options["systems"],
        "passes_per_step": s.micro_batches,
        "straggler": options["straggler"],
        "swarmx_latency": options["swarmx_latency"],
        "swarmx_cycles_per_pass": getattr(trainer.execution, "swarmx_cycles", 0),
        "dtype": s.dtype,
        "optimizer": s.optimizer,
        "losses": losses,
        "last_loss": last(losses),
        "held_out_loss": held_out,
        "skipped_steps": trainer.scaler.skipped,
        "loss_scale": trainer.scaler.scale,
        "cycles_per_step": cycles,
        "busiest_expert": history[-1].busiest or None,
        "clock_hz": trainer.execution.clock_hz,
        "tokens_per_step": tokens,
        "tokens_per_second_device": tokens * trainer.execution.clock_hz / cycles,
        "wavelets": {
            "sent": history[-1].sent,
            "dense": history[-1].dense,
            "drained": history[-1].drained,
            "activations": 0 if trainer.last is None else trainer.last.activations,
        },
        "waits": waits,
        "operators": operators(trainer),
        "modelled_cycles_per_step": modelled(trainer) if options["offload"] else None,
        "bound_by": bounds(waits),
        "executed": "every operator of every pass, PE by PE",
        "modelled": "MemoryX's DRAM and network; its updates take no time of the fabric" if streamed else "nothing",
        "on_host": "rows of the token table by id, norm and clipping of gradients, the optimiser"
        if streamed
        else "rows of the token and position tables and their updates, labels, norm and clipping of gradients",
        "reference": compared,
        "wall_seconds_per_step": wall,
        "plot": options["plot"],
        "trace": options["trace"],
        "checkpoint": options["checkpoint"],
        "export": options["export"],
        "adapter": options["adapter"],
        "log": options["log"],
    }


def phases(trainer: Trainer) -> dict[str, dict[str, int]]:
    """Cycles of the last pass by phase and cause."""
    return {} if trainer.last is None else {phase: dict(causes) for phase, causes in trainer.last.waits.items()}


def modelled(trainer: Trainer) -> float | None:
    """Cycles of a step of --offload by the cost models; None for several systems or what has no model."""
    from ..costs.offloaded import step
    from ..execute.offloading import Offloading

    one = trainer.execution
    if not isinstance(one, Offloading) or not one.has_costs:
        return None
    return step(one)["all"] * trainer.settings.micro_batches


def operators(trainer: Trainer) -> dict[str, dict[str, int]]:
    """Cycles of the last pass in which the first PE was in each operator, by phase, most first."""
    found: dict[str, dict[str, int]] = {}
    for span in trainer.last.spans if trainer.last is not None else ():
        if span.track == "compute":
            of, name = found.setdefault(span.phase, {}), span.name.split()[0]
            of[name] = of.get(name, 0) + span.end - span.begin
    return {phase: dict(sorted(of.items(), key=lambda one: -one[1])) for phase, of in found.items()}


def held_out_line(d: Mapping[str, Any]) -> str | None:
    if d["held_out_loss"] is None:
        return None
    return f"{d['held_out_loss']:.4f} nats on text that was not trained on, computed by the fabric"


def modelled_line(d: Mapping[str, Any]) -> str | None:
    cycles = d["modelled_cycles_per_step"]
    if cycles is None:
        return None
    return f"{cycles:,.0f} cycles, {100 * (cycles / d['cycles_per_step'] - 1):+.1f} %"


def reference_line(d: Mapping[str, Any]) -> str | None:
    reference = d["reference"]
    if reference is None:
        return None
    line = f"{reference['last_loss']:.4f} nats, here {reference['difference']:+.4f}"
    if reference["held_out_loss"] is None:
        return line
    return f"{line}; held out {reference['held_out_loss']:.4f}, here {reference['held_out_difference']:+.4f}"


def experts_line(d: Mapping[str, Any]) -> str | None:
    if d["busiest_expert"] is None:
        return None
    balance = f"; loss of load balance times {d['balance']:g}" if "balance" in d else ""
    return f"the busiest of the last step has {d['busiest_expert']:.2f} times the tokens of the mean{balance}"


def systems_line(d: Mapping[str, Any]) -> str | None:
    if d["systems"] == 1:
        return None
    slow = f"; the clock of the last one is {d['straggler']:g} times as slow" if d["straggler"] else ""
    where = "half before the first weights of a pass, half after a step" if d["swarmx_latency"] else "not in the step"
    return (
        f"{d['systems']}, {d['passes_per_step']} passes a step shared among them; SwarmX adds "
        f"{d['swarmx_cycles_per_pass']:,.0f} cycles (modelled, {where}){slow}"
    )


def lines(d: Mapping[str, Any]) -> list[tuple[str, Words]]:
    """Lines of the view, one for each phase of the pass."""
    waits: list[tuple[str, Words]] = []
    for phase, causes in d["waits"].items():
        whole = sum(causes.values()) or 1
        shares = ", ".join(f"{cause} {percent(cycles / whole)}" for cause, cycles in causes.items() if cycles)
        waits.append((phase, f"{whole:,} cycles: {shares}; bound by {d['bound_by'].get(phase, 'nothing')}"))
    return [
        ("model", "{model}, {mode}, {dtype}, {policy}, {optimizer}"),
        ("loss", f"{{losses[0]:.4f}} -> {{last_loss:.4f}} nats (mean of the last {SMOOTH} steps)"),
        ("held out", held_out_line),
        ("skipped", "{skipped_steps} of {steps} steps; loss scale {loss_scale:g}"),
        ("step", "{cycles_per_step:,.0f} cycles for {tokens_per_step} tokens"),
        ("cost models", modelled_line),
        ("systems", systems_line),
        ("experts", experts_line),
        ("rate", "{tokens_per_second_device:,.0f} tokens/s of wafer time at {clock_hz:si Hz}"),
        (
            "wavelets",
            "{wavelets[sent]:,} weights in ({wavelets[dense]:,} with those that are 0), "
            "{wavelets[drained]:,} gradients out",
        ),
        *waits,
        ("PyTorch f32", reference_line),
        ("executed", "{executed}"),
        ("modelled", "{modelled}; computed by the host: {on_host}"),
        ("host", "{wall_seconds_per_step:.2f} s a step"),
        *((name, f"{{{name}}}") for name in ("plot", "trace", "checkpoint", "export", "adapter", "log")),
    ]


VIEW = [Pairs(lines)]
