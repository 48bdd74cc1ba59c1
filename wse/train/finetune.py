"""A run that begins with the weights of a model that there is: its first layers, a length of sequences, its vocabulary.

`Start` is what a run begins with.  The model is cut to what is trained: a table of positions keeps all rows, of which
tokens take the first; a reduced vocabulary has the rows of the tokens that occur in the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..memoryx.store import META, Store
from ..models import Graph, Transformer, dropout, experts, graph, lora
from ..models.dropout import Rates
from ..models.lowering import executable
from ..models.pretrained import Pretrained, export, open_pretrained
from ..records import dataclass
from ..tensors import Tensors
from . import data, tokens
from .loop import initial_tensors

SEQUENCE = 32  # tokens of a sequence, where neither user nor a shorter model says how many
TABLES = ("embedding.weight", "head.weight", "head.bias")  # parameters with a row for each token


@dataclass(frozen=True, eq=False)
class Start:
    """What a run begins with.

    graph       the model
    text        the data
    weights     float32 by name, None for initial ones
    pretrained  the model's files, None for a model of this package
    rows        int64 [vocab], the tokens of the files that the vocabulary has, None for all
    lora        rank of the adapters of the graph, 0 for none
    rates       of the graph's dropout
    balance     factor of the loss of load balance
    """

    graph: Graph
    text: data.Ids
    weights: Mapping[str, np.ndarray] | None = None
    pretrained: Pretrained | None = None
    rows: np.ndarray | None = None
    lora: int = 0
    rates: Rates = Rates()
    balance: float = 0.0

    def frozen(self) -> tuple[str, ...]:
        """What is not trained because adapters are."""
        return tuple(name for name in self.graph.parameters if self.lora and not lora.is_adapter(name))

    def export(self, folder: Path, store: Store) -> None:
        """Writes the store's weights as a Hugging Face model, with adapters merged.  Errors as pretrained.export."""
        weights = lora.merged(self.graph, store.weights.__getitem__)
        whole = graph(self.graph.model)
        export(folder, whole, experts.stacked(self.graph, weights), self.pretrained, self.rows)

    def export_adapter(self, folder: Path, store: Store) -> None:
        """Writes the adapters as PEFT has them.  Errors as lora.export_adapter."""
        assert self.pretrained is not None  # adapters are of a model in files
        source = str(self.pretrained.folder or self.pretrained.where)
        lora.export_adapter(folder, self.graph, store.weight, self.pretrained.type, source)


def with_dropout(start: Start, rates: Rates) -> Start:
    """The same with dropout."""
    return replace(start, graph=dropout.dropped(start.graph, rates), rates=rates)


def with_balance(start: Start, factor: float | None) -> Start:
    """The same with a loss of load balance; None: with the factor that the model's files name, if they ask for it.

    Errors as experts.balanced.
    """
    if factor is None:
        config = {} if start.pretrained is None else start.pretrained.config
        asked = bool(config.get("output_router_logits")) and bool(experts.routes(start.graph))
        factor = float(config.get("router_aux_loss_coef") or 0) if asked else 0.0
    return replace(start, graph=experts.balanced(start.graph, factor), balance=factor) if factor else start


def with_adapters(start: Start, rank: int, seed: int) -> Start:
    """The same with adapters of a rank, which are what is trained.  Errors as lora.adapted."""
    made = lora.adapted(start.graph, rank)
    first, base = initial_tensors(made, seed), start.weights
    assert base is not None  # of a model in files

    def read(name: str) -> np.ndarray:
        return first[name] if lora.is_adapter(name) else base[name]

    weights = Tensors({name: partial(read, name) for name in made.parameters})
    return replace(start, graph=made, weights=weights, lora=rank)


def shortened(whole: Transformer, layers: int | None, sequence: int | None, where: str) -> Transformer:
    """The first layers of a model, with shorter sequences; None: all.  A table of positions keeps all its rows.

    where: the model is from.  Raises ConfigError for more layers or tokens than it has.
    """
    if layers is not None and layers > whole.layers:
        raise ConfigError(f"--layers {layers}: {where} has {whole.layers} layers")
    if sequence is not None and sequence > whole.sequence:
        raise ConfigError(f"--sequence {sequence}: {where} has sequences of at most {whole.sequence} tokens")
    chosen = sequence or whole.sequence
    extra = whole.extra_positions + whole.sequence - chosen if whole.positions == "learned" else whole.extra_positions
    return whole.but(layers=layers or whole.layers, sequence=chosen, extra_positions=extra)


def fresh(model: Transformer, source: str) -> Start:
    """A model with initial weights, and the characters of a text or the ids of a .npy file.  Errors as data.read and
    tokens.read."""
    made = executable(graph(model))
    if source.endswith(".npy"):
        return Start(made, tokens.read(source, None, model.vocab, False))
    return Start(made, data.read(source, model.vocab))


def from_checkpoint(model: Transformer, source: str, path: Path) -> Start:
    """A model with the weights of a checkpoint or store; optimiser, settings and data are new.

    Raises ConfigError, which names the tensor, if the weights are of another model.
    """
    made = fresh(model, source)
    saved = Store.open(path)
    for name, p in made.graph.parameters.items():
        if name not in saved.names:
            raise ConfigError(f"{path} has no {name}, which {model.name} has: give --model as it was trained")
        found = saved.weight(name).shape
        if found != p.shape:
            raise ConfigError(f"{path}: {name} is {list(found)}, of {model.name} {list(p.shape)}")
    if more := [name for name in saved.names if name not in made.graph.parameters]:
        raise ConfigError(f"{path} has {more[0]}, which {model.name} does not have: give --model as it was trained")
    return Start(made.graph, made.text, saved.weights)


def is_checkpoint(path: Path) -> bool:
    """Whether a folder is a checkpoint or store of this package."""
    return (path / META).is_file()


def from_files(
    path: Path, source: str, layers: int | None, sequence: int | None, reduced: bool, rates: Rates | None = None
) -> Start:
    """The model of a Hugging Face folder, a safetensors file or a GGUF file, and the tokens of a text.

    layers: the first ones, None for all.  sequence: tokens of a sequence, None for SEQUENCE at most.  reduced: the
    vocabulary is that of the data.  rates: of dropout, None for those of the files.  Raises ConfigError as
    open_pretrained, dropout.of_file and tokens.read, and for more layers or tokens than the model has.
    """
    files = open_pretrained(path)
    whole = files.model()
    rates = dropout.of_file(files.type, whole.numerics) if rates is None else rates
    whole = whole.but(numerics=dropout.without(files.type, whole.numerics))
    model = shortened(whole, layers, sequence or min(SEQUENCE, whole.sequence), str(files.where))
    executable(graph(model)).check_plain("the fabric")
    text = tokens.read(source, files, whole.vocab, reduced)
    made = executable(graph(model.but(vocab=text.vocab)))
    found = files.weights(graph(model), graph(whole))

    def read(name: str) -> np.ndarray:
        return found[name][text.rows] if text.rows is not None and name in TABLES else found[name]

    start = Start(made, text, experts.cut(made.parameters, read), files, text.rows)
    return with_dropout(start, rates)
