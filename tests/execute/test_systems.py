"""Data-parallel training: the same bits for any number of systems, whatever happens to their processes.

Covers: wse/execute/workers.py
"""

import os
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest
from paralleling import Bigram, tokens, weights

import wse
from wse.execute.streaming import Streaming
from wse.execute.systems import Systems, pairwise
from wse.execute.workers import cluster
from wse.machine.parameters import Machine
from wse.memoryx import MemoryX, Network
from wse.models import graph, load

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    with cluster(workers=2) as made:
        yield made


def notes(tmp_path):
    path = tmp_path / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(what, int(process)) for what, process in map(str.split, lines)]


def one_step(client, systems, sequences=16, batch=2, scale=1.0, **options):
    made = Systems(client, partial(Bigram, batch, **options), systems, sequences)
    made.load(weights())
    return made.run(*tokens(sequences), scale)


def same(a, b):
    return a.loss == b.loss and all(np.array_equal(a.gradients[name], b.gradients[name]) for name in b.gradients)


# --- sums ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_one_system_gives_the_mean_of_its_passes(scale):
    step = one_step(None, 1, scale=scale)
    it = Bigram(2)
    it.load(weights())
    ids, labels = tokens(16)
    each = [it.run(ids[i : i + 2], labels[i : i + 2], scale) for i in range(0, 16, 2)]
    assert step.loss == pytest.approx(np.mean([p.loss for p in each]), rel=1e-12)
    for name in step.gradients:
        mean = np.mean([p.gradients[name] for p in each], axis=0, dtype=np.float64)
        np.testing.assert_allclose(step.gradients[name], mean, rtol=1e-5, atol=1e-6 * scale)
    assert (step.sent, step.dense, step.drained) == (7 * 8, 9 * 8, 3 * 8)
    assert step.cycles == sum(p.cycles for p in each) and step.spans == each[-1].spans


def test_the_bits_do_not_depend_on_the_number_of_systems():
    steps = {n: one_step(None, n) for n in (1, 2, 4, 8)}
    for n in (2, 4, 8):
        assert same(steps[n], steps[1])
    # Each system streams the weights for its own passes only; the slowest one decides.
    assert steps[8].sent == 7 and steps[8].cycles < steps[4].cycles < steps[2].cycles < steps[1].cycles


def test_another_order_is_another_rounding():
    """Three systems: as close as float32 sums are, and not the same bits, which shows that the test above can fail."""
    one, three = (one_step(None, n, sequences=18) for n in (1, 3))
    assert one.loss == three.loss and not same(one, three)
    for name in one.gradients:
        np.testing.assert_allclose(one.gradients[name], three.gradients[name], rtol=1e-4, atol=1e-7)


def test_a_node_of_four_adds_as_two_levels_of_two():
    from wse.execute.systems import Sum

    values = [np.float32(v) for v in (1, 1e-8, 1e-8, 1e-8, -1, 3e-8, 1, 1e8)]
    sums = [Sum({"a": np.array([v])}, [float(v)], 1, 1, None) for v in values]
    a = [np.float32(v) for v in values]
    expected = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]))
    assert pairwise(sums).gradients["a"][0] == expected
    tree = pairwise([pairwise(sums[:4]), pairwise(sums[4:])])
    assert tree.gradients["a"][0] == expected and tree.losses == [float(v) for v in values]
    odd = pairwise(sums[:3]).gradients["a"][0]
    assert odd == (a[0] + a[1]) + a[2]


def test_gradients_that_overflow_are_handed_on():
    step = one_step(None, 2, scale=1e38 * 3)
    assert not all(np.isfinite(g).all() for g in step.gradients.values())


# --- processes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("systems", [1, 2, 4])
def test_processes_give_the_bits_of_one(client, systems, tmp_path):
    step = one_step(client, systems, notes=str(tmp_path / "notes"))
    assert same(step, one_step(None, 1))
    processes = {process for what, process in notes(tmp_path) if what == "run"}
    assert os.getpid() not in processes and len(processes) == min(systems, 2)
    assert sum(what == "run" for what, _ in notes(tmp_path)) == 8


def test_a_system_keeps_its_execution_and_its_weights(client, tmp_path):
    made = Systems(client, partial(Bigram, 2, notes=str(tmp_path / "notes")), 2, 8)
    for step in range(3):
        made.load(weights(step))
        for seed in range(2):
            made.run(*tokens(8, seed))
    told = [what for what, _ in notes(tmp_path)]
    assert told.count("made") == 2 and told.count("load") == 6 and told.count("run") == 3 * 2 * 4


def test_new_weights_are_used(client):
    made = Systems(client, partial(Bigram, 2), 2, 8)
    losses = []
    for seed in (0, 1, 0):
        made.load(weights(seed))
        losses.append(made.run(*tokens(8)).loss)
        alone = Bigram(8)
        alone.load(weights(seed))
        assert made.evaluate(*tokens(8)) == losses[-1] == pytest.approx(alone.run(*tokens(8)).loss, rel=1e-6)
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize("passes", [1, 3, 4])
def test_any_number_of_passes_is_evaluated(client, passes):
    made = Systems(client, partial(Bigram, 2), 2, 8)
    made.load(weights())
    alone = Bigram(2)
    alone.load(weights())
    ids, labels = tokens(2 * passes)
    expected = np.mean([alone.evaluate(ids[i : i + 2], labels[i : i + 2]) for i in range(0, 2 * passes, 2)])
    assert made.evaluate(ids, labels) == expected
    with pytest.raises(wse.ConfigError, match=r"^3 sequences are no passes of 2$"):
        made.evaluate(*tokens(3))


def killing(tmp_path, after, signals=signal.SIGKILL):
    """A thread that kills the process that begins the `after`-th pass, in its middle."""

    def watch():
        while sum(what == "run" for what, _ in notes(tmp_path)) < after:
            time.sleep(0.005)
        victim = [process for what, process in notes(tmp_path) if what == "run"][after - 1]
        os.kill(victim, signals)
        killed.append(victim)

    killed: list[int] = []
    thread = threading.Thread(target=watch)
    thread.start()
    return thread, killed


def training(client, systems, tmp_path, steps=6, **options):
    """Losses and weights of plain gradient descent."""
    made = Systems(client, partial(Bigram, 2, **options), systems, 8)
    now, losses = weights(), []
    for step in range(steps):
        made.load(now)
        done = made.run(*tokens(8, step))
        now = {name: w - np.float32(0.5) * done.gradients[name] for name, w in now.items()}
        losses.append(done.loss)
    return losses, now


@pytest.mark.kills_workers
@pytest.mark.parametrize("systems, workers", [(4, 4), (2, 2), (1, 1)])
def test_a_killed_worker_loses_nothing(tmp_path, systems, workers):
    """A process is killed in the third step: losses and weights equal those of an undisturbed run, to the bit.
    With one worker, there is no process with the weights until another one is started."""
    with cluster(workers=workers) as own:
        thread, killed = killing(tmp_path, after=10)
        losses, got = training(own, systems, tmp_path, notes=str(tmp_path / "notes"), pause=0.05)
        thread.join()
        own.wait_for_workers(workers, timeout=60)  # one took the dead one's place
    quiet_losses, quiet = training(None, 1, tmp_path)
    assert killed and losses == quiet_losses
    assert all(np.array_equal(got[name], quiet[name]) for name in quiet)
    told = notes(tmp_path)
    processes = {process for _, process in told}
    assert workers <= len(processes) <= workers + 1 and (workers > 1 or len(processes) == 2)
    assert 24 < sum(what == "run" for what, _ in told) <= 24 + 8


def test_the_network_costs_its_tiers():
    made = Systems(None, partial(Bigram, 2), 4, 8, Network(hop_us=1))
    assert made.swarmx_cycles == pytest.approx(2 * 1 * 1e-6 * 1e9)
    assert Systems(None, partial(Bigram, 1), 16, 16).swarmx_cycles == pytest.approx(2 * 2 * 5e-6 * 1e9)
    assert Systems(None, partial(Bigram, 2), 1, 8).swarmx_cycles == 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Systems(None, partial(Bigram, 2), 0, 8), "a run has at least one system, not 0"),
        (
            lambda: Systems(None, partial(Bigram, 2), 3, 8),
            "8 sequences a step cannot be divided among 3 systems of 2 a pass: give a multiple of 6",
        ),
        (
            lambda: Systems(None, partial(Bigram, 2, updates="fabric"), 2, 8),
            "a pipelined system updates its weights itself: only weight streaming has several",
        ),
        (
            lambda: Systems(None, partial(Bigram, 2), 2, 8).run(*tokens(4)),
            r"a step has tokens \[8, 5\], not \[4, 5\]",
        ),
        (lambda: Systems(None, partial(Bigram, 2), 2, 8).read(), "several systems hold no weights: MemoryX does"),
        (
            lambda: Systems(None, partial(Bigram, 2), 2, 8).update(1, 0, 1),
            "several systems do not update their weights: MemoryX does",
        ),
    ],
)
def test_what_cannot_be(call, message):
    with pytest.raises(wse.ConfigError, match=f"^{message}$"):
        call()


# --- stragglers and latency, executed ---------------------------------------------------------------------------------


def executed(systems, slow=None, late_us=0.0, sequences=8):
    """A step of a small model, executed in this process on so many systems: (its result, the object)."""
    network = Network(hop_us=late_us or 5.0)
    made = Systems(
        None,
        partial(streaming, late_us, network.depth(systems)),
        systems,
        sequences,
        network,
        slow=slow,
        late=late_us > 0,
    )
    graph = made.graph
    random = np.random.default_rng(0)
    made.load({name: random.normal(size=p.shape).astype(np.float32) * 0.05 for name, p in graph.parameters.items()})
    ids, labels = random.integers(0, graph.model.vocab, (2, sequences, graph.model.sequence))
    return made.run(ids, labels), made


def streaming(late_us, tiers, slow=1.0):
    model = load("nano-1").but(d_model=16, heads=2, kv_heads=2, d_ff=32, vocab=32, sequence=8)
    machine = Machine("wse3")
    memory = MemoryX(network=Network(latency_us=5.0 + tiers * late_us))
    return Streaming(graph(model), 2, machine.replace(clock_hz=round(machine.clock_hz / slow)), memory, "f16")


@pytest.mark.parametrize("systems", [2, 4])
def test_the_slowest_system_sets_the_pace(systems):
    """In its clock MemoryX is quicker: a step takes at most so much longer, and its bits are the same."""
    (even, _), (uneven, _) = executed(systems), executed(systems, {systems - 1: 1.5})
    assert same(even, uneven)
    assert 1.2 < uneven.cycles / even.cycles < 1.501
    (most, _) = executed(systems, dict.fromkeys(range(systems), 1.5))
    assert most.cycles == pytest.approx(uneven.cycles, rel=1e-3)  # one straggler holds up all


def test_latency_of_swarmx_delays_each_pass_once_and_the_step():
    (quick, made), (late, _) = executed(4), executed(4, late_us=20.0)
    tier = 20e-6 * made.clock_hz  # one tier down before the weights of a pass, one up after the step
    assert same(quick, late)
    assert late.cycles - quick.cycles == pytest.approx(2 * tier, rel=0.05)


@pytest.mark.parametrize("slow", [{2: 1.5}, {-1: 2.0}, {0: 0.9}, {0: float("nan")}])
def test_stragglers_are_systems_and_slower(slow):
    with pytest.raises(wse.ConfigError, match="stragglers are among systems 0 to 1, their factors at least 1"):
        Systems(None, partial(Bigram, 2), 2, 16, slow=slow)
