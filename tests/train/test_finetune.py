"""What a run begins with: files cut to what is trained, checkpoints of another run; a run on the fabric from files."""

import json

import numpy as np
import pytest

from wse import Machine
from wse.errors import ConfigError
from wse.memoryx import MemoryX
from wse.models import graph, load
from wse.models.dropout import Rates, drops
from wse.models.pretrained import export, open_pretrained
from wse.train import checkpoint, data, finetune, loop

pytest.importorskip("safetensors")


@pytest.fixture
def ids(tmp_path):
    np.save(tmp_path / "ids.npy", np.random.default_rng(0).choice([3, 9, 40, 90], 2000))
    return str(tmp_path / "ids.npy")


def saved(tmp_path, model):
    made = graph(model)
    weights = loop.initial(made, 3)
    export(tmp_path / "model", made, weights.__getitem__)
    return tmp_path / "model", weights


def test_layers_positions_and_vocabulary_are_cut(tmp_path, ids):
    path, weights = saved(tmp_path, load("nano"))
    start = finetune.from_files(path, ids, 1, 16, reduced=True)
    model = start.graph.model
    assert (model.layers, model.sequence, model.extra_positions, model.vocab) == (1, 16, 16, 4)
    assert start.weights.keys() == start.graph.parameters.keys()
    assert all(start.weights[name].shape == p.shape for name, p in start.graph.parameters.items())
    for name in ("embedding.weight", "head.weight"):
        assert np.array_equal(start.weights[name], weights[name][[3, 9, 40, 90]])
    assert np.array_equal(start.weights["positions.weight"], weights["positions.weight"])


def test_a_run_on_the_fabric_from_files_to_files(tmp_path, ids):
    """Weights of what was cut away are as before; what was trained has changed; frozen parameters have not."""
    from wse.execute.streaming import Streaming

    path, weights = saved(tmp_path, load("nano").but(sequence=12))
    start = finetune.from_files(path, ids, 1, 8, reduced=True)
    settings = loop.Settings(steps=6, warmup=0, rate=3e-3, frozen=("head*", "layers.0.norm?.*"))
    store = checkpoint.begin(None, start.graph, settings, start.weights)
    execution = Streaming(start.graph, 2, Machine("wse3"), MemoryX())
    it = loop.Trainer.start(execution, store, data.Batches(start.text, 2, 8, 0), settings)
    it.train(6)
    assert it.history[-1].loss < it.history[0].loss
    start.export(tmp_path / "out", it.store)
    files = open_pretrained(tmp_path / "out")
    made = graph(files.model())
    assert (made.model.layers, made.model.sequence, made.model.vocab) == (1, 12, 96)
    found = dict(files.weights(made, made))
    for name, value in found.items():
        same = np.array_equal(value, weights[name])
        assert same == (name.startswith("head") or ".norm" in name), name
    rows = np.flatnonzero(np.any(found["embedding.weight"] != weights["embedding.weight"], axis=1))
    assert rows.tolist() == [3, 9, 40, 90]
    assert np.array_equal(found["positions.weight"][8:], weights["positions.weight"][8:])
    assert not np.array_equal(found["positions.weight"][:8], weights["positions.weight"][:8])


@pytest.mark.parametrize("rates", [None, Rates(), Rates(0.5, 0.25, 0)])
def test_dropout_of_the_files_or_other(tmp_path, ids, rates):
    path, _ = saved(tmp_path, load("nano"))
    config = path / "config.json"
    values = json.loads(config.read_text()) | {"resid_pdrop": 0.1, "attn_pdrop": 0.2}
    config.write_text(json.dumps(values))
    start = finetune.from_files(path, ids, None, 8, False, rates)
    assert start.rates == (Rates(0, 0.1, 0.2) if rates is None else rates)
    assert start.graph.model.numerics == () and drops(start.graph) == bool(start.rates)
    found = [o.attributes.get("rate", o.attributes.get("dropout")) for o in start.graph.operators]
    layer = [r for r in (start.rates.attention, start.rates.residual, start.rates.residual) if r]
    assert [rate for rate in found if rate] == [r for r in (start.rates.embedding,) if r] + 2 * layer
    exported = tmp_path / "out"
    store = checkpoint.begin(None, start.graph, loop.Settings(), start.weights)
    start.export(exported, store)
    assert json.loads((exported / "config.json").read_text())["resid_pdrop"] == 0.1


def test_more_than_the_model_has(tmp_path, ids):
    path, _ = saved(tmp_path, load("nano"))
    with pytest.raises(ConfigError, match=r"--layers 3: .*model has 2 layers"):
        finetune.from_files(path, ids, 3, None, False)
    with pytest.raises(ConfigError, match=r"--sequence 33: .*model has sequences of at most 32 tokens"):
        finetune.from_files(path, ids, None, 33, False)


def test_weights_of_a_checkpoint(tmp_path):
    (tmp_path / "text").write_text("the quick brown fox " * 60)
    made = graph(load("nano-1"))
    store = checkpoint.begin(tmp_path / "store", made, loop.Settings(seed=5))
    start = finetune.from_checkpoint(load("nano-1"), str(tmp_path / "text"), tmp_path / "store")
    assert all(np.array_equal(start.weights[name], store.weight(name)) for name in made.parameters)
    for model, words in (
        (load("nano"), "has no layers.1.norm1.gain, which nano has: give --model"),
        (load("nano-1").but(d_ff=64), r"mlp.up.weight is \[128, 32\], of nano-1 \[64, 32\]"),
        (load("nano-1").but(positions="none"), "has positions.weight, which nano-1 does not have"),
    ):
        with pytest.raises(ConfigError, match=words):
            finetune.from_checkpoint(model, str(tmp_path / "text"), tmp_path / "store")


def test_experts_from_files_to_files(tmp_path, ids):
    """Only the trained layers' experts change; each on its own; a config.json of Mixtral's kind describes the model."""
    from wse.execute.streaming import Streaming

    path, weights = saved(tmp_path, load("nano-moe").but(sequence=8))
    assert json.loads((path / "config.json").read_text())["model_type"] == "mixtral"
    names = open_pretrained(path).shapes
    assert names["model.layers.1.block_sparse_moe.experts.w1.weight"] == (4, 64, 32)
    start = finetune.from_files(path, ids, 1, 8, reduced=True)
    settings = loop.Settings(steps=4, warmup=0, rate=3e-3, frozen=("*.experts.2.*",))
    store = checkpoint.begin(None, start.graph, settings, start.weights)
    it = loop.Trainer.start(
        Streaming(start.graph, 2, Machine("wse3"), MemoryX()), store, data.Batches(start.text, 2, 8, 0), settings
    )
    it.train(4)
    assert it.execution.evaluate(*it.batches.step(0)) < it.history[0].loss
    start.export(tmp_path / "out", it.store)
    files = open_pretrained(tmp_path / "out")
    made = graph(files.model())
    found = files.weights(made, made)
    for role in ("gate", "up", "down"):
        name = f"layers.0.mlp.experts.{role}.weight"
        changed = [bool(np.any(a != b)) for a, b in zip(found[name], weights[name], strict=True)]
        assert changed == [True, True, False, True]
    assert np.any(found["layers.0.mlp.experts.router.weight"] != weights["layers.0.mlp.experts.router.weight"])
