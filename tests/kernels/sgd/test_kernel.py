"""sgd: gradients against differences of the loss in float64, training to the bit, accuracy on the digits.

Covers: wse/kernels/sgd/net.py, wse/kernels/sgd/program.py, wse/kernels/sgd/reference.py
"""

import sys

import numpy as np
import pytest
from running import is_exact
from running import run as run_kernel
from says import says

from wse import Machine
from wse.errors import ConfigError
from wse.kernels import Progress, RunOptions, data
from wse.kernels.sgd import kernel as sgd
from wse.kernels.sgd import net as mlp
from wse.kernels.sgd.reference import Model, Plain

TYPES = [(dtype, sums) for dtype in data.DTYPES for sums in ("f32", "same") if (dtype, sums) != ("f32", "f32")]


def net(dtype="f32", accumulate="f32", features=5, hidden=7, classes=3, batch=6, grid=(3, 2), rate=0.5, momentum=0.9):
    of = data.arithmetic(dtype, accumulate)
    return mlp.Net(features, hidden, classes, batch, *grid, rate, momentum, of)


def samples(net, n=None, seed=1):
    """Random ones as a pass, of n samples (a batch)."""
    rng = np.random.default_rng(seed)
    n = n or net.batch
    x = rng.integers(0, 17, (n, net.features)) / np.float32(16)
    return mlp.Batches.of(net, x, rng.integers(0, net.classes, n))


def trainer(net, weights, arch="wse3", threads=1):
    return sgd.Trainer(net, sgd.build(net, Machine(arch)), weights, RunOptions(threads=threads))


def weights(net, seed=2):
    """First weights, and biases that are not 0."""
    rng = np.random.default_rng(seed)
    into, out, _ = sgd.first_weights(net, rng)
    into[:, -1] = net.arithmetic.round(rng.normal(0, 0.5, net.hidden))
    return mlp.Weights(into, out, net.arithmetic.round(rng.normal(0, 0.5, net.classes)))


def velocity(trainer):
    """Of row 0, as Weights."""
    return mlp.unpack(trainer.net, trainer.fabric.read("velocity")[0])


# Gradients.


def loss(w, x, labels):
    """The sum of the samples' losses, in float64."""
    into, out, bias = w
    a = np.maximum(x @ into[:, :-1].T + into[:, -1], 0)
    z = a @ out + bias
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(x)), labels]).sum())


def differences(w, x, labels, step=1e-6):
    """Its gradient by central differences."""
    w = [np.array(part, np.float64) for part in w]
    gradients = [np.empty_like(part) for part in w]
    for part, gradient in zip(w, gradients, strict=True):
        for i in np.ndindex(*part.shape):
            at = part[i]
            part[i] = at + step
            above = loss(w, x, labels)
            part[i] = at - step
            gradient[i] = (above - loss(w, x, labels)) / (2 * step)
            part[i] = at
    return gradients


# Relative to the largest element of a layer's gradient; eps of a format is 2^-11, 2^-8, 2^-10, 2^-24.
BOUNDS = {
    ("f32", "same"): 1e-6,
    ("f16", "f32"): 1e-3,
    ("f16", "same"): 3e-3,
    ("cb16", "f32"): 2e-3,
    ("cb16", "same"): 5e-3,
    ("bf16", "f32"): 8e-3,
    ("bf16", "same"): 2e-2,
}


@pytest.mark.parametrize("dtype, accumulate", TYPES)
def test_gradient_of_each_layer(dtype, accumulate):
    """After one step from rest the velocity is the gradient, summed over the batch."""
    n = net(dtype, accumulate)
    w, batch = weights(n), samples(n)
    t = trainer(n, w)
    assert t.go("train", batch)
    x, labels = batch.x.reshape(-1, n.features).astype(np.float64), batch.labels.ravel()
    expected = differences(w, x, labels)
    for name, got, exact in zip(w._fields, velocity(t), expected, strict=True):
        assert np.abs(got - exact).max() < BOUNDS[dtype, accumulate] * np.abs(exact).max(), name
    assert t.reports[0][0] == pytest.approx(
        loss([p.astype(np.float64) for p in w], x, labels), rel=1e-6 + BOUNDS[dtype, accumulate]
    )


def test_the_models_gradient_is_that_of_the_loss():
    n = net()
    w, batch = weights(n), samples(n)
    x, labels = batch.x.reshape(-1, n.features), batch.labels.ravel()
    expected = differences(w, x.astype(np.float64), labels)
    for got in (Plain(n, w).gradient(x, labels), Model(n, w).gradient(batch.x[0], batch.labels[0])):
        for mine, exact in zip(got, expected, strict=True):
            assert np.abs(mine - exact).max() < 1e-6 * np.abs(exact).max()


def test_units_that_are_off_learn_nothing():
    n = net("f16", hidden=4)
    w = weights(n)
    w.into[:, :-1], w.into[:, -1] = 0, [-1, 1, 0, 1]
    t = trainer(n, w)
    t.go("train", samples(n))
    into, out, _ = velocity(t)
    assert np.array_equal(np.any(into != 0, axis=1), [False, True, False, True])
    assert np.array_equal(np.any(out != 0, axis=1), [False, True, False, True])


# Updates.


def test_momentum():
    """v2 = g2 + momentum v1 and w2 = w1 - rate / batch v2, each operation rounded to f32; g2 from a second fabric at w1."""
    n = net()
    first, second = samples(n, seed=1), samples(n, seed=2)
    t = trainer(n, weights(n))
    t.go("train", first)
    w1, v1 = t.weights()[0], velocity(t)
    t.go("train", second)
    at_rest = trainer(n, w1)
    at_rest.go("train", second)
    rate = -np.float32(0.5 / 6)
    for before, after, v, g, new in zip(w1, t.weights()[0], v1, velocity(at_rest), velocity(t), strict=True):
        assert data.same_bits(new, g + v * np.float32(0.9))
        assert data.same_bits(after, before + new * rate)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "cb16"])
def test_a_small_step_from_rest_is_rounded_once(dtype):
    """w - rate / batch g, computed in f32 from a g that is not rounded yet; g as f32 from the model."""
    n = net(dtype, rate=0.01)
    w, batch = weights(n), samples(n)
    t = trainer(n, w)
    t.go("train", batch)
    gradient = Model(n, w).gradient(batch.x[0], batch.labels[0])
    for before, after, v, g in zip(w, t.weights()[0], velocity(t), gradient, strict=True):
        assert data.same_bits(v, n.arithmetic.round(g))
        assert data.same_bits(after, n.arithmetic.round(before + g * -n.rate))


def test_a_row_of_pes_holds_what_the_others_hold():
    n = net("f16", grid=(3, 3), batch=9)
    t = trainer(n, weights(n))
    t.go("train", samples(n, 27))
    first, *others = t.weights()
    assert len(others) == 2
    for other in others:
        assert all(data.same_bits(a, b) for a, b in zip(first, other, strict=True))


# Whole trainings, to the bit.

# hidden units that do not divide, fewer than columns; odd numbers of 16-bit elements in a stream; one row, one sample
SHAPES = [
    {"grid": (2, 1), "batch": 4},
    {"grid": (4, 3), "batch": 6, "hidden": 7},
    {"grid": (9, 2), "batch": 2, "hidden": 5},
    {"grid": (3, 3), "batch": 9, "features": 3, "classes": 2},
    {"grid": (2, 4), "batch": 4, "hidden": 1, "features": 1},
    {"grid": (3, 2), "batch": 64, "hidden": 20, "features": 33, "classes": 12},
]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("dtype, accumulate", TYPES)
def test_training_is_that_of_the_model(dtype, accumulate, arch):
    for shape in SHAPES:
        n = net(dtype, accumulate, **shape)
        w = weights(n)
        t, model = trainer(n, w, arch), Model(n, w)
        train, test = samples(n, 4 * n.batch), samples(n, 3 * n.batch - 1, seed=9)
        for task, batches in (("train", train), ("test", test), ("train", train), ("test", test)):
            assert t.go(task, batches)
            expected = model.over(batches, getattr(model, task))
            assert data.same_bits(t.reports[-1], expected), (shape, task)
        for row in t.weights():
            assert all(data.same_bits(*pair) for pair in zip(row, model.weights, strict=True)), shape


def test_verification_notices(monkeypatch):
    """A model that differs in one rounding is not taken for the machine."""
    monkeypatch.setattr(
        mlp.Net, "rate", property(lambda n: np.nextafter(np.float32(n.learning_rate / n.batch), np.float32(1)))
    )
    program = sgd.build
    right = np.float32(0.2 / 32)

    def build(net, machine):
        with monkeypatch.context() as m:
            m.setattr(mlp.Net, "rate", right)
            return program(net, machine)

    monkeypatch.setattr(sgd, "build", build)
    result = run_kernel(sgd, (3, 1), data="synthetic", epochs=1, hidden=8, batch=32, dtype="f32")
    assert result.run.ended == "done" and not result.verified
    assert 0 < result.max_error < 1


def test_threads_change_nothing():
    one, two = (run_kernel(sgd, (4, 4), data="synthetic", epochs=1, hidden=12, threads=threads) for threads in (1, 2))
    assert one.run.same(two.run)
    assert one.extra == two.extra and is_exact(one) and is_exact(two)


def test_a_training_that_diverges_is_followed_to_the_bit():
    result = run_kernel(sgd, (3, 2), data="synthetic", epochs=1, hidden=8, learning_rate=1e4)
    assert is_exact(result)
    assert np.isnan(result.extra["epochs"][0]["loss"])


# Counting.


@pytest.mark.parametrize("dtype", ["f16", "f32"])
def test_counts_correct_samples(dtype):
    """Those of the test, not what fills up its last batch."""
    n = net(dtype, batch=8)
    w = weights(n)
    batches = samples(n, 37)
    t = trainer(n, w)
    t.go("test", batches)
    x, labels = batches.x.reshape(-1, n.features)[:37], batches.labels.ravel()[:37]
    assert t.reports == [pytest.approx([0, round(37 * Plain(n, w).accuracy(x, labels))])]
    before = t.weights()[0]
    assert all(data.same_bits(*pair) for pair in zip(before, w, strict=True))


def test_of_equal_outputs_the_first_counts():
    n = net("f16", batch=8)
    zero = mlp.Weights(np.zeros((7, 6), "f4"), np.zeros((7, 3), "f4"), np.array([-1, 0.5, 0.5], "f4"))
    t, batches = trainer(n, zero), samples(n, 40)
    t.go("test", batches)
    assert t.reports[0][1] == (batches.labels == 1).sum() > 0


# The kernel.


def test_loss_decreases_and_accuracy_comes():
    notes = []

    class Notes(Progress):
        def note(self, line):
            notes.append(line)

    config = {name: parameter.default for name, parameter in sgd.PARAMETERS.items()}
    config |= {"data": "synthetic", "epochs": 3, "hidden": 16, "batch": 32, "learning_rate": 0.1}
    result = sgd.run(config, RunOptions(grid=(5, 2), seed=3, progress=Notes()))
    assert is_exact(result)
    losses = [epoch["loss"] for epoch in result.extra["epochs"]]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.3
    assert result.extra["test_accuracy"] == result.extra["epochs"][-1]["test_accuracy"] > 0.9
    assert abs(result.extra["test_accuracy"] - result.extra["numpy_test_accuracy"]) <= 0.02
    assert (
        notes[0]
        == f"epoch   1  loss {losses[0]:.4f}  test accuracy {100 * result.extra['epochs'][0]['test_accuracy']:.2f} %"
    )
    assert len(notes) == 3
    assert result.run.meta["kernel"] == "sgd" and result.run.meta["parameters"] == config


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["wse3"])
def test_digits(arch):
    """The defaults: at least 95 % of the test samples, within two points of NumPy in f32; every weight to the bit."""
    pytest.importorskip("sklearn")
    result = run_kernel(sgd, arch=arch)
    assert result.parameters["dtype"] == "f16" and result.parameters["accumulate"] == "f32"
    assert is_exact(result)
    assert result.extra["test_samples"] == 359
    assert result.extra["test_accuracy"] >= 0.95
    assert abs(result.extra["test_accuracy"] - result.extra["numpy_test_accuracy"]) <= 0.02


def test_the_seed_decides():
    a, b, c = (run_kernel(sgd, (3, 1), data="synthetic", epochs=1, hidden=4, seed=seed) for seed in (4, 4, 5))
    assert a.extra == b.extra and a.run.same(b.run)
    assert a.extra["epochs"] != c.extra["epochs"]


@pytest.mark.parametrize("cycles", [1, 3000, 200_000, 800_000])
def test_max_cycles(cycles):
    result = run_kernel(sgd, (3, 1), data="synthetic", epochs=9, hidden=8, batch=32, max_cycles=cycles)
    assert result.run.ended == "limit" and not result.verified and np.isnan(result.max_error)
    assert result.run.cycles <= cycles
    assert "test_accuracy" not in result.extra and len(result.extra["epochs"]) < 9


def test_samples_are_split():
    train, test = sgd.load({"data": "synthetic"}, RunOptions(), np.random.default_rng(0))
    assert (len(train), len(test)) == (1438, 359)
    assert not {x.tobytes() for x in train.x} & {x.tobytes() for x in test.x}
    assert train.x.min() >= 0 and train.x.max() <= 1 and set(test.labels) == set(range(10))


# What cannot be.


@pytest.mark.parametrize(
    "grid, config, message",
    [
        ((9, 4), {"epochs": 0}, "epochs of sgd must be at least 1, not 0"),
        ((9, 4), {"hidden": -1}, "hidden of sgd must be at least 1, not -1"),
        ((9, 4), {"dtype": "f64"}, "dtype of sgd is one of f16, bf16, cb16, f32, not 'f64'; did you mean f16?"),
        ((9, 4), {"data": "letters"}, "data of sgd is one of digits, synthetic, not 'letters'"),
        ((9, 4), {"learning_rate": 0.0}, "learning_rate of sgd must be above 0 and finite, not 0.0"),
        ((9, 4), {"learning_rate": float("nan")}, "learning_rate of sgd must be above 0 and finite, not nan"),
        ((9, 4), {"momentum": 1.0}, "momentum of sgd must be at least 0 and below 1, not 1.0"),
        ((9, 4), {"momentum": float("nan")}, "momentum of sgd must be at least 0 and below 1, not nan"),
        (
            (1, 4),
            {},
            "sgd needs a grid at least 2 PEs wide, a column for the outputs and others for the hidden units, not 1x4",
        ),
        (
            (9, 5),
            {},
            "batch of sgd must be a multiple of the grid's height, 5, and at most 1435, as there are 1438 samples to "
            "train with, not 64",
        ),
        (
            (9, 4),
            {"batch": 1440},
            "batch of sgd must be a multiple of the grid's height, 4, and at most 1436, as there are 1438 samples to "
            "train with, not 1440",
        ),
    ],
)
def test_bad_parameters(grid, config, message):
    with says(ConfigError, message):
        run_kernel(sgd, grid, **({"data": "synthetic"} | config))


@pytest.mark.parametrize(
    "config", [{"hidden": 1000}, {"batch": 1000}, {"hidden": 50_000}, {"hidden": 500, "dtype": "f32"}]
)
def test_what_does_not_fit_a_pe(config):
    n, given = {"hidden": 64, "batch": 64} | config, {"data": "synthetic"} | config
    message = (
        rf"^sgd with {n['hidden']} hidden units and batches of {n['batch']} does not fit a grid of 3x1 PEs: "
        r".*; use a larger grid, a smaller batch or fewer hidden units$"
    )
    with pytest.raises(ConfigError, match=message):
        run_kernel(sgd, (3, 1), **given)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with says(
        ConfigError,
        "data digits of sgd needs scikit-learn, which is not installed: run pip install 'wse[digits]', "
        "or use data synthetic",
    ):
        run_kernel(sgd)
