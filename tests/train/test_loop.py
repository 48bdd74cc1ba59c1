"""The loop around passes, with PyTorch in the fabric's place."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from train.executing import ByTorch

from wse.errors import ConfigError
from wse.memoryx.store import Store
from wse.models import graph, load
from wse.models.dropout import Rates, dropped
from wse.train import data, loop, reference

MODEL = load("nano-1").but(d_model=16, d_ff=32, sequence=8)
TEXT = data.encode("the quick brown fox jumps over the lazy dog. " * 60, 96)


def trainer(tmp_path, name="store", updates="memoryx", from_=None, kind=ByTorch, **settings):
    made, chosen = graph(MODEL), loop.Settings(**{"steps": 12, "dtype": "f32"} | settings)
    execution = kind(made, 4, 8, updates)
    slots = ("momentum",) if chosen.optimizer == "sgd" else ("m", "v")
    masks = loop.masks(made, chosen.sparsity, chosen.seed)
    store = from_ or Store.create(tmp_path / name, loop.initial(made, chosen.seed, masks), slots)
    return loop.Trainer.start(execution, store, data.Batches(TEXT, 4, 8, chosen.seed), chosen)


def torch_run(it, optimizer, **arguments):
    batches = [it.batches.step(i) for i in range(it.settings.steps)]
    weights = loop.initial(it.execution.graph, it.settings.seed, it.masks)
    rates = it.settings.rate_at
    return reference.train(it.execution.graph, weights, batches, optimizer, rates, it.settings.clip, **arguments)


OPTIMIZERS = {
    "adamw": partial(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.0),
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
}


@pytest.mark.parametrize("updates, optimizer", [("memoryx", "adamw"), ("memoryx", "sgd"), ("fabric", "sgd")])
def test_a_run_is_that_of_pytorch(tmp_path, updates, optimizer):
    rate = 3e-3 if optimizer == "adamw" else 0.1
    it = trainer(tmp_path, updates=updates, optimizer=optimizer, rate=rate, clip=0.5)
    it.train(12)
    run = torch_run(it, OPTIMIZERS[optimizer])
    np.testing.assert_allclose([step.loss for step in it.history], run.losses, rtol=2e-5)
    np.testing.assert_allclose([step.norm for step in it.history], run.norms, rtol=1e-3)
    assert min(run.norms) > 0.5  # so clipping had something to do
    assert run.losses[-1] < run.losses[0] - 0.05


def test_a_step_that_overflows_is_skipped(tmp_path):
    it = trainer(tmp_path, dtype="f16")
    it.execution.overflow_at = (1,)
    it.advance()
    before = {name: it.store.weight(name).copy() for name in it.store.names}
    skipped = it.advance()
    assert skipped.skipped and skipped.scale == 2**15 and it.scaler.scale == 2**14 and it.scaler.skipped == 1
    assert all(np.array_equal(before[name], it.store.weight(name)) for name in before)
    assert not it.advance().skipped
    assert not np.array_equal(before["head.weight"], it.store.weight("head.weight"))


def test_a_loss_over_more_tokens_is_scaled_back(tmp_path):
    one, many = trainer(tmp_path, "one"), trainer(tmp_path, "many", mean_over=32 * 1024)
    one.train(3)
    many.train(3)
    assert one.execution.gradients["head.weight"].max() > 500 * many.execution.gradients["head.weight"].max() > 0
    for ours, theirs in zip(many.history, one.history, strict=True):
        assert (
            (ours.loss, ours.norm, ours.scale) == (theirs.loss, theirs.norm, theirs.scale) == (ours.loss, ours.norm, 1)
        )


def test_micro_batches_are_averaged(tmp_path):
    it = trainer(tmp_path, micro_batches=3, clip=0.0)
    it.advance()
    weights = loop.initial(it.execution.graph, 0)
    each = [reference.gradients(it.execution.graph, weights, *it.batches.step(i)) for i in range(3)]
    assert it.history[0].loss == pytest.approx(np.mean([loss for loss, _ in each]))
    for name in it.store.names:
        np.testing.assert_allclose(
            it.store.gradient(name), np.mean([g[name] for _, g in each], axis=0), rtol=1e-4, atol=1e-7
        )


@pytest.mark.parametrize("updates, dtype", [("memoryx", "bf16"), ("fabric", "f32")])
def test_a_run_resumes_to_the_bit(tmp_path, updates, dtype):
    kind = {"optimizer": "sgd"} if updates == "fabric" else {"stochastic": True}
    kind |= {"updates": updates, "dtype": dtype, "sparsity": 0.0 if updates == "fabric" else 0.5}
    whole = trainer(tmp_path, "whole", **kind)
    whole.execution.overflow_at = (3,)
    whole.train(10)
    first = trainer(tmp_path, "first", **kind)
    first.execution.overflow_at = (3,)
    first.train(6)
    first.save(tmp_path / "saved", {})
    second = trainer(tmp_path, from_=Store.open(tmp_path / "saved").copy(None), **kind)
    assert second.step == 6
    second.train(10)
    assert second.history == whole.history and second.scaler == whole.scaler
    if updates == "fabric":
        second.save(tmp_path / "end", {})
        whole.save(tmp_path / "whole_end", {})
    for name in whole.store.names:
        assert whole.store.weight(name).tobytes() == second.store.weight(name).tobytes()


def test_masked_weights_stay_zero(tmp_path):
    it = trainer(tmp_path, sparsity=0.9)
    it.train(3)
    for name, mask in it.masks.items():
        weight = it.store.weight(name)
        assert (mask == 0).sum() == int(0.9 * mask.size) and not weight[mask == 0].any() and weight[mask == 1].all()
    assert "embedding.weight" not in it.masks and "layers.0.mlp.up.weight" in it.masks
    run = torch_run(it, OPTIMIZERS["adamw"], masks=it.masks)
    np.testing.assert_allclose([step.loss for step in it.history], run.losses[:3], rtol=1e-5)


def test_the_rate_rises_and_falls():
    settings = loop.Settings(steps=100, warmup=10, rate=1.0)
    rates = [settings.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and np.argmax(rates) == 9 and rates[-1] == pytest.approx(0.1)
    assert loop.Settings(warmup=0, schedule="constant", rate=0.5).rate_at(99) == 0.5


def test_settings_that_cannot_be():
    with pytest.raises(ConfigError, match=r"^sparsity is a share from 0 to below 1, not 1.0$"):
        loop.Settings(sparsity=1.0)
    with pytest.raises(ConfigError, match=r"^optimizer is sgd or adamw, not 'lion'$"):
        loop.Settings(optimizer="lion").optimizers()


def test_updates_on_the_fabric_are_sgd(tmp_path):
    with pytest.raises(ConfigError, match=r"^updates on the fabric are SGD with momentum, not adamw: use sgd$"):
        trainer(tmp_path, updates="fabric")


def test_frozen_parameters_stay_and_the_rest_is_that_of_pytorch(tmp_path):
    it = trainer(
        tmp_path, optimizer="adamw", rate=3e-3, decay=0.1, frozen=("embedding*", "*.norm?.*"), betas=(0.9, 0.99)
    )
    before = {name: it.store.weight(name).copy() for name in it.store.names}
    it.train(12)
    run = torch_run(it, partial(torch.optim.AdamW, betas=(0.9, 0.99), weight_decay=0.1), trained=it.trained)
    np.testing.assert_allclose([step.loss for step in it.history], run.losses, rtol=2e-5)
    np.testing.assert_allclose([step.norm for step in it.history], run.norms, rtol=1e-3)
    for name, value in before.items():
        frozen = name.startswith("embedding") or ".norm" in name
        assert np.array_equal(it.store.weight(name), value) == frozen, name


def test_what_cannot_be_frozen(tmp_path):
    for frozen, words in ((("encoder*",), "no parameter matches 'encoder\\*'"), (("*",), "nothing is left to train")):
        with pytest.raises(ConfigError, match=words):
            trainer(tmp_path, name=frozen[0].strip("*") or "all", frozen=frozen)
    with pytest.raises(ConfigError, match="freeze some in streaming mode"):
        trainer(tmp_path, name="fabric", updates="fabric", optimizer="sgd", frozen=("head*",))


def test_accumulated_gradients_are_those_of_the_larger_batch(tmp_path):
    it = trainer(tmp_path, micro_batches=3, rate=3e-3)
    it.train(4)
    batches = [it.drawn(i) for i in range(4)]
    assert batches[0][0].shape == (12, 8)
    weights = loop.initial(it.execution.graph, 0)
    run = reference.train(it.execution.graph, weights, batches, OPTIMIZERS["adamw"], it.settings.rate_at, 1.0)
    np.testing.assert_allclose([step.loss for step in it.history], run.losses, rtol=2e-5)


def test_schedules():
    def rates(**more):
        return [loop.Settings(steps=11, warmup=2, rate=1.0, **more).rate_at(i) for i in range(11)]

    linear = rates(schedule="linear", final=0.0)
    assert linear[0] == 0.5 and linear[5] == pytest.approx(0.5) and linear[10] == 0
    assert np.allclose(np.diff(linear[1:]), -0.1)
    assert rates(schedule="constant")[1:] == [1.0] * 10
    cosine = rates(schedule="cosine")
    assert cosine[5] == pytest.approx(0.55) and cosine[10] == pytest.approx(0.1)
    assert rates(schedule="linear", final=1.0)[1:] == [1.0] * 10
    with pytest.raises(ConfigError, match="final is a share"):
        rates(final=1.5)


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_an_execution_that_leaves_gradients_out(tmp_path, micro_batches):
    """One that ignores the mapping that it is given, or leaves out a gradient, in the first pass or in another."""

    class Deaf(ByTorch):
        def run(self, ids, labels, scale=1.0, gradients=None):
            return super().run(ids, labels, scale)

    class Short(ByTorch):
        def run(self, ids, labels, scale=1.0, gradients=None):
            done = super().run(ids, labels, scale, gradients)
            if self.passes == micro_batches:
                del done.gradients["layers.0.mlp.up.weight"]
            return done

    for kind, lacking in ((Deaf, r"embedding.weight \((\d+) of \1 are"), (Short, r"layers.0.mlp.up.weight \(1 of")):
        it = trainer(tmp_path, kind.__name__, kind=kind, micro_batches=micro_batches)
        with pytest.raises(ConfigError, match=rf"execution \({kind.__name__}\) left no gradient of {lacking}"):
            it.advance()


def test_each_pass_of_a_run_has_its_own_masks(tmp_path):
    """From the seed and the number of the pass; none without dropout."""
    it = trainer(tmp_path, "one", micro_batches=3, seed=1)
    assert it.draws(0) == []
    it.execution.graph = dropped(it.execution.graph, Rates(0.1))
    other = trainer(tmp_path, "other", micro_batches=3, seed=2)
    other.execution.graph = it.execution.graph
    drawn = [draw for made in (it, other) for step in range(4) for draw in made.draws(step)]
    assert len(set(drawn)) == 2 * 12 and max(drawn) < 1 << 48
    assert drawn[:12] == list(range(drawn[0], drawn[0] + 12))  # one after the other, as several systems count them
    with pytest.raises(ConfigError, match=r"^a run with dropout has at most 16,777,216 passes: step 5592405 is beyond"):
        it.draws((1 << 24) // 3)


MEMORY = """
import resource, sys
import numpy as np
from wse.execute.execution import Pass
from wse.memoryx import AdamW, Store
from wse.models import Graph
from wse.tensors import Tensors
from wse.train import data, loop

class Sums:
    graph, updates, batch, sequence = Graph(None, (), {}), "memoryx", 1, 4

    def load(self, weights):
        self.weights = weights

    def run(self, ids, labels, scale, gradients):
        loss = 0.0
        for name in self.weights:
            weight = self.weights[name]
            loss += float(weight[0, 0])
            gradients[name] = np.full_like(weight, loss)
        return Pass(loss, gradients, 1)

def train(tensors, path):
    weights = Tensors({f"w{i:02}": lambda i=i: np.full((1024, 1024), i, np.float32) for i in range(1, tensors + 1)})
    store = Store.create(None, weights, AdamW.slots)
    batches = data.Batches(data.encode("ab" * 50, 2), 1, 4, 0)
    it = loop.Trainer.start(Sums(), store, batches, loop.Settings(steps=2, warmup=0))
    it.train(2)
    it.save(path + "/c", {})
    kept = Store.open(path + "/c").copy(None)
    assert all(w[0, 0] == w[-1, -1] != i for i, w in enumerate(kept.weights.values(), 1))
    return store.nbytes

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
train(1, sys.argv[1])
before = peak()
print(train(16, sys.argv[1]), peak() - before)
"""


def test_memory_does_not_grow_with_the_store(tmp_path):
    """Making a store, steps, a checkpoint and a copy of it: memory for a few tensors of 4 MB, not for 64 of them."""
    ran = subprocess.run([sys.executable, "-P", "-c", MEMORY, str(tmp_path)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    store, grown = map(int, ran.stdout.split())
    assert store == 16 * 4 * (4 << 20) and grown < store / 6
