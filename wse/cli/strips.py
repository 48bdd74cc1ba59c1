"""What the commands have in common that execute a model in a strip of the wafer: `wse generate` and `wse embed`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .output import Table, number, text

if TYPE_CHECKING:  # a command imports what it uses
    from ..execute.generation import Strip
    from ..machine.parameters import Machine
    from ..models.weights import Weights

MODEL = "{model}, {weights:,} weights in {dtype}, resident in SRAM"
STRIP = "{strip:x} PEs, {wafer_share:share} of the wafer: {layers} layers of {region:x}"
PHASES = Table(
    "phases",
    [text("last token, all layers", "{phase}"), number("cycles", "{cycles:,}"), number("share", "{share:share}")],
)


def folder(model: Path) -> Path:
    """The folder of a model's files."""
    return model if model.is_dir() else model.parent


def check_ids(ids: Sequence[int], model: Weights) -> None:
    """ConfigError if a token is not of the model's vocabulary."""
    if max(ids) >= model.config.vocab:
        raise ConfigError(f"the tokenizer has a token {max(ids)}, the model's vocabulary {model.config.vocab}")


def is_published(machine: Machine) -> bool:
    """Whether the machine is the one whose executed cycles the cost models were fitted to."""
    return machine.name == "wse3" and machine.profile == "simulator" and not machine.overrides


def document(model: Weights, strip: Strip, machine: Machine, dtype: str) -> dict[str, Any]:
    """What a document says of the model and its strip."""
    made = strip.layout
    return {
        "model": model.config.name,
        "dtype": dtype,
        "weights": model.count,
        "strip": [made.width, made.height],
        "region": [made.width, made.layer.height],
        "layers": made.layers,
        "wafer_share": made.pes / (machine.fabric_width * machine.fabric_height),
        "clock_hz": machine.clock_hz,
    }


def phases(spent: Mapping[str, int], whole: int) -> list[dict[str, Any]]:
    """Rows of PHASES: cycles by phase, and their shares of `whole`."""
    return [{"phase": name, "cycles": n, "share": n / whole} for name, n in spent.items()]


def draw(strip: Strip, machine: Machine, path: Path | None) -> None:
    """The picture of --plot, if there is one: the wafer, and how busy the PEs of the strip were."""
    if path is None:
        return
    from ..report import generation

    run = strip.fabric.measure()
    generation.draw(strip.layout, run.busy, run.cycles, (machine.fabric_width, machine.fabric_height), path)
