"""Functions of whole vectors: close to what they are named after over their whole range, and as long as they say."""

import numpy as np
import pytest

from wse.kernels import single
from wse.kernels.single import Tensor
from wse.operators import math_functions as functions
from wse.operators.code import Code, Vec, Work, routine

N = 960


def apply(function, x, n=None):
    """What a function of (code, x, y, work, exponent) makes of x, and its cycles."""
    x = np.asarray(x, np.float32)
    c, work = Code(), Work()
    source, result = Vec("r8", len(x)), Vec("r9", len(x))
    first = work.take(len(x), bank=2)
    second, exponent = work.take(len(x), bank=4), work.take(len(x), 2)
    c.op("fmovs", first, source)
    function(c, first, result, second, exponent)
    made = routine("f", ("x", "y"), c, work.bytes)
    got = single.on_one([made], {"x": Tensor(x.shape, x, "f32"), "y": Tensor(x.shape, None, "f32")}, "f32")
    return got.arrays["y"][0, 0], got.cycles["f"]


def spread(low, high, count=N):
    """Numbers over many magnitudes."""
    return np.exp(np.random.default_rng(1).uniform(np.log(low), np.log(high), count)).astype(np.float32)


def relative(got, wanted):
    return np.abs(got / wanted - 1).max()


@pytest.mark.parametrize("short, bound", [(False, 1.2e-7), (True, 1.1e-4)])
@pytest.mark.parametrize("scale", [1.0, 8**-0.5, 3.0])
def test_exp(scale, short, bound):
    x = np.concatenate([np.linspace(-87, 88, N - 100), np.linspace(-0.5, 0.5, 100)]).astype(np.float32) / np.float32(
        scale
    )
    y, _ = apply(lambda c, x, y, w, h: functions.exp(c, x, y, h, short, scale), x)
    # 1 / scale is no f32: neither is the step in x by which the result doubles
    assert relative(y, np.exp(x.astype(np.float64) * scale)) < bound + (0 if scale == 1 else 1e-7)


def test_exp_at_its_ends():
    y, _ = apply(lambda c, x, y, w, h: functions.exp(c, x, y, h), [0, -0.0, -104, -1e30, -np.inf, 89, 20000])
    assert y.tolist() == [1, 1, 0, 0, 0, np.inf, np.inf]


@pytest.mark.parametrize("short, bound", [(False, 2e-7), (True, 8e-6)])
def test_reciprocal(short, bound):
    x = spread(1e-37, 4e37)
    y, _ = apply(lambda c, x, y, w, h: functions.reciprocal(c, x, y, w, short), x)
    assert relative(y, 1 / x.astype(np.float64)) < bound


def test_inverse_root():
    x = spread(1e-37, 1e38)
    y, _ = apply(lambda c, x, y, w, h: functions.inverse_root(c, x, y, w), x)
    assert relative(y, 1 / np.sqrt(x.astype(np.float64))) < 3e-7


def test_log():
    x = np.concatenate([spread(1e-37, 1e38, N - 160), spread(0.99, 1.01, 157), np.float32([1, 2, 0.5])])
    y, _ = apply(lambda c, x, y, w, h: functions.log(c, x, y, w, h), x)
    exact = np.log(x.astype(np.float64))
    assert np.all(np.abs(y - exact) <= 3e-7 * np.abs(exact))
    assert y[-3] == 0


@pytest.mark.parametrize("short, bound", [(False, 3e-7), (True, 1.2e-4)])
def test_sigmoid(short, bound):
    x = np.concatenate([np.linspace(-79, 79, N - 100), np.linspace(-0.5, 0.5, 100)]).astype(np.float32)
    y, _ = apply(lambda c, x, y, w, h: functions.sigmoid(c, x, y, w, h, short), x)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    near = np.abs(x) < 8
    assert relative(y[near], exact[near]) < bound
    assert np.abs(y - exact).max() < bound


def capped(cap, scale):
    def function(c, x, y, w, h):
        functions.softcap(c, x, functions.Cap(y, w, Vec("r8", x.n), h), cap, scale)
        c.op("fmovs", y, x)

    return function


@pytest.mark.parametrize("cap, scale", [(30.0, 1.0), (2.5, 0.125)])
def test_softcap(cap, scale):
    x = np.concatenate([np.linspace(-1e4, 1e4, N - 100), np.linspace(-5, 5, 100)]).astype(np.float32)
    y, _ = apply(capped(cap, scale), x)
    assert np.abs(y - cap * np.tanh(x.astype(np.float64) * scale / cap)).max() < 1e-6 * cap
    y, _ = apply(capped(cap, scale), [np.inf, -np.inf, np.nan, 1e30])
    assert np.isnan(y[:3]).all() and y[3] == cap


@pytest.mark.parametrize(
    "function, cycles",
    [
        (lambda c, x, y, w, h: functions.exp(c, x, y, h), 12),
        (lambda c, x, y, w, h: functions.exp(c, x, y, h, True), 7.3),
        (lambda c, x, y, w, h: functions.reciprocal(c, x, y, w), 7.25),
        (lambda c, x, y, w, h: functions.reciprocal(c, x, y, w, True), 5),
        (lambda c, x, y, w, h: functions.inverse_root(c, x, y, w), 16),
        (lambda c, x, y, w, h: functions.log(c, x, y, w, h), 16),
        (lambda c, x, y, w, h: functions.sigmoid(c, x, y, w, h), 20.3),
        (lambda c, x, y, w, h: functions.sigmoid(c, x, y, w, h, True), 13),
        (capped(2.0, 1.0), 24.3),
    ],
    ids=["exp", "exp short", "reciprocal", "reciprocal short", "root", "log", "sigmoid", "sigmoid short", "softcap"],
)
def test_cycles_of_an_element(function, cycles):
    """At most what the docstrings say, without the copy (a quarter of a cycle) that the test makes first."""
    (_, few), (_, many) = apply(function, np.ones(100)), apply(function, np.ones(1100))
    assert (many - few) / 1000 - 0.25 <= cycles
