"""The optimisers compared with those of PyTorch, and with float64."""

import numpy as np
import pytest

import wse
from wse.machine import numerics
from wse.memoryx import optimizer
from wse.memoryx.optimizer import SGD, AdamW, measure

STEPS = 12
cases = pytest.mark.parametrize(
    "made",
    [
        SGD(0.1),
        SGD(0.1, momentum=0.9),
        SGD(0.05, momentum=0.9, weight_decay=0.01),
        AdamW(0.003),
        AdamW(0.01, betas=(0.8, 0.999), eps=1e-6, weight_decay=0.1),
    ],
    ids=repr,
)


def states(made, shape):
    return {slot: np.zeros(shape, np.float32) for slot in made.slots}


def run(made, weight, gradients, **options):
    weight, slots = weight.copy(), states(made, weight.shape)
    for step, gradient in enumerate(gradients, 1):
        made.update(weight, gradient, slots, step, **options)
    return weight, slots


def problem(shape=(37, 11), seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape, np.float32), rng.standard_normal((STEPS, *shape), np.float32)


@cases
def test_steps_are_those_of_pytorch(made):
    torch = pytest.importorskip("torch")
    weight, gradients = problem()
    parameter = torch.nn.Parameter(torch.tensor(weight))
    if isinstance(made, SGD):
        theirs = torch.optim.SGD(
            [parameter], lr=made.rate, momentum=made.momentum, weight_decay=made.weight_decay, foreach=False
        )
    else:
        theirs = torch.optim.AdamW(
            [parameter], lr=made.rate, betas=made.betas, eps=made.eps, weight_decay=made.weight_decay, foreach=False
        )
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        theirs.step()
    got, _ = run(made, weight, gradients)
    assert np.allclose(got, parameter.detach().numpy(), rtol=2e-6, atol=2e-7)
    assert np.abs(got - weight).max() > 100 * 2e-6  # it moved


@cases
def test_steps_are_close_to_float64(made):
    weight, gradients = problem(seed=1)
    w = weight.astype(np.float64)
    v, m, s = (np.zeros_like(w) for _ in range(3))
    for t, g in enumerate(gradients.astype(np.float64), 1):
        if isinstance(made, SGD):
            v = made.momentum * v + g + made.weight_decay * w
            w = w - made.rate * v
        else:
            m, s = (b * old + (1 - b) * new for b, old, new in zip(made.betas, (m, s), (g, g * g), strict=True))
            w = w * (1 - made.rate * made.weight_decay)
            w = w - made.rate * (m / (1 - made.betas[0] ** t)) / (np.sqrt(s / (1 - made.betas[1] ** t)) + made.eps)
    assert np.allclose(run(made, weight, gradients)[0], w, rtol=1e-5, atol=1e-6)


@cases
def test_a_scale_is_a_factor_of_the_gradient(made):
    weight, gradients = problem()
    expected = run(made, weight, gradients * np.float32(0.25))
    got = run(made, weight, gradients, scale=0.25)  # a power of two: to the bit
    assert np.array_equal(got[0], expected[0])
    assert all(np.array_equal(got[1][slot], expected[1][slot]) for slot in made.slots)


@cases
def test_blocks_and_threads_do_not_change_a_bit(made, monkeypatch):
    weight, gradients = problem((1000,))
    copies = []
    for block in (1 << 18, 7, 333):
        monkeypatch.setattr(optimizer, "BLOCK", block)
        copy = np.zeros(1000, np.uint16)
        out = run(made, weight, gradients, copy=copy, stochastic=True, seed=9, name="a")
        copies.append((out[0].tobytes(), copy.tobytes(), *(slot.tobytes() for slot in out[1].values())))
    assert len(set(copies)) == 1


@pytest.mark.parametrize("fmt", numerics.FORMATS)
def test_the_copy_is_the_weight_rounded(fmt):
    weight, gradients = problem()
    copy = np.zeros(weight.shape, np.uint16)
    got, _ = run(AdamW(0.01), weight, gradients, copy=copy, format=fmt)
    assert np.array_equal(copy, numerics.to_bits(got, fmt))


def test_a_stochastic_copy_keeps_small_steps_on_average():
    """Steps far below the format's resolution: rounding to nearest never shows them, at random it does on average."""
    n, made = 20_000, SGD(1e-5)
    weight, slots = np.full(n, 1.0, np.float32), states(made, n)
    near, drawn = np.zeros(n, np.uint16), np.zeros(n, np.uint16)
    for step in range(1, 51):
        made.update(weight, np.ones(n, np.float32), slots, step, copy=drawn, format="bf16", stochastic=True, name="w")
    made.update(weight, np.zeros(n, np.float32), slots, 51, copy=near, format="bf16")
    assert (numerics.from_bits(near, "bf16") == 1).all()
    mean = numerics.from_bits(drawn, "bf16").mean(dtype=np.float64)
    assert abs(mean - weight[0]) < 5 * 2.0**-8 * 0.5 / n**0.5 + 1e-6
    other = np.zeros(n, np.uint16)
    made.update(weight, np.zeros(n, np.float32), slots, 51, copy=other, format="bf16", stochastic=True, name="other")
    assert not np.array_equal(other, drawn)


def test_the_rate_may_change_with_the_step():
    weight, gradients = problem()
    slots = states(SGD(1.0), weight.shape)
    got = weight.copy()
    SGD(1.0).update(got, gradients[0], slots, 1, rate=0.125)
    assert np.array_equal(got, run(SGD(0.125), weight, gradients[:1])[0])


def test_traffic_is_that_of_the_literature():
    assert AdamW(0.1).traffic == (16, 14)  # 30 bytes a parameter
    assert SGD(0.1).traffic == (12, 10)


def test_measure():
    rng = np.random.default_rng(0)
    gradients = [rng.standard_normal((50, 20), np.float32), rng.standard_normal(7, np.float32)]
    flat = np.concatenate([g.ravel() for g in gradients]).astype(np.float64)
    assert measure(gradients) == (pytest.approx(np.linalg.norm(flat), rel=1e-12), True)
    assert measure([np.full(10, 1e30, np.float32)]).norm == pytest.approx(10**0.5 * 1e30, rel=1e-6)
    assert measure([]) == (0, True)
    for bad in (np.nan, np.inf, -np.inf):
        gradients[1][3] = bad
        assert not measure(gradients).finite


def test_measure_in_blocks(monkeypatch):
    values = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    whole = measure([values]).norm
    monkeypatch.setattr(optimizer, "BLOCK", 64)
    assert measure([values]).norm == pytest.approx(whole, rel=1e-14)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda w: SGD(-1.0), "rate of an optimiser is at least 0, not -1.0"),
        (lambda w: SGD(float("nan")), "rate of an optimiser is at least 0, not nan"),
        (lambda w: AdamW(0.1, betas=(0.9, 1.0)), r"betas of AdamW are two numbers from 0 to below 1, not \(0.9, 1.0\)"),
        (
            lambda w: SGD(0.1).update(w, w, {}, 1, name="q"),
            r"momentum of q is contiguous float32 \[4, 3\], not missing",
        ),
        (
            lambda w: SGD(0.1).update(w, w[:2], {"momentum": w}, 1),
            r"gradient of a tensor is contiguous float32 \[4, 3\], not float32 \[2, 3\]",
        ),
        (
            lambda w: SGD(0.1).update(w, w.astype(np.float64), {"momentum": w}, 1),
            r"gradient of a tensor is contiguous float32 \[4, 3\], not float64 \[4, 3\]",
        ),
        (lambda w: SGD(0.1).update(w, w, {"momentum": w}, 0), "steps are counted from 1, not 0"),
        (
            lambda w: SGD(0.1).update(w, w, {"momentum": w}, 1, copy=w),
            r"copy of a tensor is contiguous uint16 \[4, 3\], not float32",
        ),
    ],
)
def test_what_does_not_fit(call, message):
    with pytest.raises(wse.ConfigError, match=f"^{message}$"):
        call(np.zeros((4, 3), np.float32))
