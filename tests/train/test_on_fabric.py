"""Training on the emulated fabric, both modes: the run of PyTorch, overflow, resuming to the bit."""

from functools import partial

import numpy as np
import pytest

from wse import Machine
from wse.execute.offloading import Offloading
from wse.execute.pipelined import Pipelined
from wse.execute.streaming import Streaming
from wse.memoryx import MemoryX, Store
from wse.models import graph, load
from wse.train import checkpoint, data, loop, reference

torch = pytest.importorskip("torch")

MODEL = load("nano-1").but(sequence=8, vocab=24)
TEXT = data.encode("the quick brown fox jumps over the lazy dog. " * 60, 24)
BATCH = 4


def trainer(mode, tmp_path, name="store", resume=None, kind=Streaming, **settings):
    made = graph(MODEL)
    chosen = loop.Settings(
        **{
            "steps": 12,
            "warmup": 2,
            "optimizer": "adamw" if mode == "streaming" else "sgd",
            "rate": 1e-2 if mode == "streaming" else 0.3,
        }
        | settings
    )
    if mode == "streaming":
        execution = kind(made, BATCH, Machine("wse3"), MemoryX(), dtype=chosen.dtype, grid=(4, 2))
    else:
        execution = Pipelined(made, BATCH, Machine("wse3"), dtype=chosen.dtype)
    about = {"mode": mode}
    if resume is None:
        store = checkpoint.begin(tmp_path / name, made, chosen)
    else:
        store = checkpoint.resume(resume, tmp_path / name, chosen, about)
    return loop.Trainer.start(execution, store, data.Batches(TEXT, BATCH, MODEL.sequence, chosen.seed), chosen)


@pytest.mark.parametrize("mode", ["streaming", "pipelined"])
@pytest.mark.parametrize("dtype", ["bf16", "f16", "f32"])
def test_a_run_is_that_of_pytorch(tmp_path, mode, dtype):
    it = trainer(mode, tmp_path, dtype=dtype)
    it.train(12)
    kinds = {"streaming": partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.0)}
    optimizer = kinds.get(mode, partial(torch.optim.SGD, lr=0.3, momentum=0.9))
    batches = [it.batches.step(i) for i in range(12)]
    weights = loop.initial(it.execution.graph, 0)
    held_out = it.batches.held_out(2)
    run = reference.train(it.execution.graph, weights, batches, optimizer, it.settings.rate_at, 1.0, held_out)
    assert run.losses[-1] < run.losses[0] - 0.3
    bound = {"f32": 1e-4, "f16": 3e-3, "bf16": 1e-2}[dtype]
    np.testing.assert_allclose([step.loss for step in it.history], run.losses, atol=bound)
    assert it.held_out(2) == pytest.approx(run.held_out, abs=bound)
    assert not it.scaler.skipped and min(step.cycles for step in it.history) > 10_000


@pytest.mark.parametrize("mode", ["streaming", "pipelined"])
def test_a_gradient_that_overflows_skips_its_step(tmp_path, mode):
    it = trainer(mode, tmp_path, dtype="f16")
    it.scaler.scale = 2.0**24  # times 1 / 32 tokens: beyond f16
    before = [it.advance() for _ in range(3)]
    assert [step.skipped for step in before] == [True, True, True] and it.scaler.scale == 2.0**21
    assert before[0].loss == pytest.approx(np.log(24), abs=0.1)
    it.scaler.scale = 2.0**10
    after = [it.advance() for _ in range(4)]
    assert not any(step.skipped for step in after) and after[-1].loss < before[0].loss - 0.1
    assert it.scaler.skipped == 3


@pytest.mark.parametrize("mode, dtype", [("streaming", "cb16"), ("pipelined", "f16")])
def test_a_run_resumes_to_the_bit(tmp_path, mode, dtype):
    whole = trainer(mode, tmp_path, "whole", dtype=dtype)
    whole.train(5)
    half = trainer(mode, tmp_path, "half", dtype=dtype)
    half.train(3)
    half.save(tmp_path / "saved", {"mode": mode})
    rest = trainer(mode, tmp_path, "rest", tmp_path / "saved", dtype=dtype)
    rest.train(5)
    for ours, theirs in zip(rest.history, whole.history, strict=True):
        assert (ours.loss, ours.norm, ours.scale) == (theirs.loss, theirs.norm, theirs.scale)
    whole.save(tmp_path / "end", {"mode": mode})
    rest.save(tmp_path / "also", {"mode": mode})
    one, other = Store.open(tmp_path / "end"), Store.open(tmp_path / "also")
    for name in one.names:
        assert one.weight(name).tobytes() == other.weight(name).tobytes()
        assert all(one.slot(kind, name).tobytes() == other.slot(kind, name).tobytes() for kind in one.slots)


def test_activations_that_leave_the_wafer_train_alike(tmp_path):
    """The updates of both kinds of streaming, whose losses are summed in another order."""
    kept, left = (
        trainer("streaming", tmp_path, kind.__name__, kind=kind, dtype="f32") for kind in (Streaming, Offloading)
    )
    for it in (kept, left):
        it.train(4)
    np.testing.assert_allclose([step.loss for step in left.history], [step.loss for step in kept.history], atol=1e-5)
    assert left.history[-1].loss < left.history[0].loss
    assert left.history[0].drained == kept.history[0].drained
