"""The training loop over several systems: the same run, to the bit, and a checkpoint that any number of them go on from."""

import os
import signal
from functools import partial

import numpy as np
import pytest

pytest.importorskip("distributed")
pytest.importorskip("torch")
import torch
from train.executing import ByTorch

import wse
from wse.execute.streaming import Streaming
from wse.execute.systems import Systems
from wse.execute.workers import cluster
from wse.memoryx import MemoryX
from wse.memoryx.store import Store
from wse.models import graph, load
from wse.models.dropout import Rates, dropped
from wse.train import checkpoint, data, loop

MODEL = load("nano-1").but(d_model=16, d_ff=32, sequence=8)
TEXT = data.encode("the quick brown fox jumps over the lazy dog. " * 60, 96)
SETTINGS = loop.Settings(steps=6, dtype="f32", micro_batches=4)
ABOUT = {"model": MODEL.name}


@pytest.fixture(autouse=True)
def one_thread():
    """PyTorch, in the fabric's place here, adds up in another order with more threads; workers have one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trainer(tmp_path, execution, resume=None):
    name = tmp_path / f"store-{len(list(tmp_path.iterdir()))}"
    if resume is None:
        store = checkpoint.begin(name, graph(MODEL), SETTINGS)
    else:
        store = checkpoint.resume(resume, name, SETTINGS, ABOUT)
    return loop.Trainer.start(execution, store, data.Batches(TEXT, 2, 8, SETTINGS.seed), SETTINGS)


def systems(client, count):
    return Systems(client, partial(ByTorch, graph(MODEL), 2, 8), count, 8)


def bits(it):
    return {name: it.store.weight(name).tobytes() for name in it.store.names}


def run(tmp_path, execution, until=6, **options):
    it = trainer(tmp_path, execution, **options)
    it.train(until)
    return it


def test_the_run_is_the_same_for_1_2_and_4_systems(tmp_path):
    """Losses, norms and weights to the bit; and close to the loop's own passes one after the other."""
    runs = [run(tmp_path, systems(None, count)) for count in (1, 2, 4)]
    losses = [[step.loss for step in it.history] for it in runs]
    assert losses[0] == losses[1] == losses[2] and losses[0][-1] < losses[0][0]
    assert [step.norm for step in runs[0].history] == [step.norm for step in runs[2].history]
    assert bits(runs[0]) == bits(runs[1]) == bits(runs[2])
    assert runs[0].history[0].tokens == 4 * 2 * 8 == runs[2].history[0].tokens
    assert runs[0].history[0].cycles == 4000 and runs[2].history[0].cycles == 1000
    alone = run(tmp_path, ByTorch(graph(MODEL), 2, 8))
    np.testing.assert_allclose(losses[0], [step.loss for step in alone.history], rtol=1e-5)
    assert runs[0].held_out(3) == runs[2].held_out(3) == pytest.approx(alone.held_out(3), rel=1e-5)


def test_a_checkpoint_of_one_system_goes_on_with_four(tmp_path):
    whole = run(tmp_path, systems(None, 1))
    half = run(tmp_path, systems(None, 1), until=3)
    half.save(tmp_path / "saved", ABOUT)
    rest = run(tmp_path, systems(None, 4), resume=tmp_path / "saved")
    assert [step.loss for step in rest.history] == [step.loss for step in whole.history]
    assert bits(rest) == bits(whole)


@pytest.mark.kills_workers
def test_processes_and_a_killed_one(tmp_path):
    """In worker processes, one of which is killed between two steps: the run is that of one process, to the bit."""
    quiet = run(tmp_path, systems(None, 1))
    with cluster(workers=2) as client:
        it = trainer(tmp_path, systems(client, 2))
        it.train(2)
        victims = client.run(os.getpid)
        os.kill(next(iter(victims.values())), signal.SIGKILL)
        it.train(6)
    assert [step.loss for step in it.history] == [step.loss for step in quiet.history]
    assert bits(it) == bits(quiet)


@pytest.mark.parametrize("rates", [Rates(), Rates(0.1, 0.1, 0.1)])
def test_emulated_wafers(tmp_path, rates):
    """On the fabric itself: two systems in processes of their own give the bits of one, in half of its cycles."""
    model = load("nano-1").but(d_model=16, d_ff=32, sequence=8)
    settings = loop.Settings(steps=2, dtype="bf16", micro_batches=2)
    runs = []

    def train(client, count):
        made = dropped(graph(model), rates)
        store = checkpoint.begin(tmp_path / f"fabric-{count}", made, settings)
        execution = Systems(client, partial(Streaming, made, 2, wse.WSE3, MemoryX(), grid=(4, 2)), count, 4)
        it = loop.Trainer.start(execution, store, data.Batches(TEXT, 2, 8, 0), settings)
        it.train(2)
        runs.append(it)

    train(None, 1)
    with cluster(workers=2) as client:
        train(client, 2)
    one, two = runs
    assert [step.loss for step in one.history] == [step.loss for step in two.history]
    assert bits(one) == bits(two)
    # The first pass of a fabric waits for its first weights as every pass does: half of the passes, half of the cycles.
    assert two.history[0].cycles == pytest.approx(one.history[0].cycles / 2, rel=0.01)
    assert two.history[0].sent == one.history[0].sent / 2 and two.history[0].drained == one.history[0].drained


def test_the_store_is_the_same_files(tmp_path):
    it = run(tmp_path, systems(None, 2), until=1)
    it.save(tmp_path / "saved", ABOUT)
    saved = Store.open(tmp_path / "saved")
    assert all(np.array_equal(saved.weight(name), it.store.weight(name)) for name in it.store.names)
