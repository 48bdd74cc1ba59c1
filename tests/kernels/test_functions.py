"""Kernels as functions of NumPy arrays: results against NumPy, shapes that determine parameters and grids, errors."""

import inspect
import pickle
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

import wse
from wse import kernels
from wse.errors import ConfigError
from wse.kernels.functions import EVEN, OPTIONS, SIDES, function
from wse.machine import numerics

RNG = np.random.default_rng(3)
# A run of each kernel by arrays alone that is quick.
ARRAYS = {
    "gemm": {"A": (13, 9), "B": (9, 11)},
    "gemv": {"A": (13, 9), "x": (9,)},
    "reduce": {"vectors": (2, 3, 7)},
    "allreduce": {"vectors": (2, 3, 7)},
    "broadcast": {"vector": (7,)},
    "axpy": {"x": (2, 3, 7), "y": (2, 3, 7)},
    "linear": {"x": (8, 6), "weight": (10, 6), "bias": (10,), "dy": (8, 10)},
    "attention": {"q": (2, 4, 8, 6), "k": (2, 2, 8, 6), "v": (2, 2, 8, 6), "do": (2, 4, 8, 6)},
    "softmax": {"x": (8, 7), "dy": (8, 7)},
    "layernorm": {"x": (8, 7), "dy": (8, 7), "gain": (7,), "bias": (7,)},
    "rmsnorm": {"x": (8, 7), "dy": (8, 7), "gain": (7,)},
    "gelu": {"x": (8, 7), "dy": (8, 7)},
    "silu": {"x": (8, 7), "dy": (8, 7)},
    "rotary": {"x": (2, 4, 8, 6), "dy": (2, 4, 8, 6)},
    "crossentropy": {"logits": (8, 7), "labels": (8,)},
    "sgd": {"x": (40, 6), "labels": (40,)},
}
MORE = {"sgd": {"epochs": 1, "batch": 8, "hidden": 8, "grid": (3, 2)}}


@contextmanager
def says(error, *words):
    """Asserts an error of this type whose message holds all of these words."""
    with pytest.raises(error) as caught:
        yield caught
    assert caught.type is error
    assert [word for word in words if word not in str(caught.value)] == [], caught.value


def arrays(name):
    made = {key: RNG.normal(size=shape) for key, shape in ARRAYS[name].items()}
    return made | {key: RNG.integers(0, 5, ARRAYS[name][key]) for key in made if key == "labels"}


def call(name, given, **more):
    return getattr(wse, name)(**given, **({"dtype": "f32"} | MORE.get(name, {}) | more))


def all_shapes(name):
    """Runs a kernel by all of its arrays; the result by name."""
    given = arrays(name)
    return given, call(name, given)


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_each_kernel_is_a_function(name):
    given, result = all_shapes(name)
    assert result.run.meta["verified"] and result.run.meta["kernel"] == name
    found = result._asdict()
    run = found.pop("run")
    assert isinstance(run, wse.Run)
    outputs = kernels.load(name).OUTPUTS
    assert found.keys() == outputs.keys() - {"dup"}, "the outputs of the kernel's table"
    for key, array in found.items():
        assert outputs[key].startswith("[") == (np.ndim(array) > 0), key
        assert np.ndim(array) == outputs[key].partition("]")[0].count(",") + 1 if np.ndim(array) else True, key
        assert np.isfinite(array).all()
    assert given.keys() <= set(kernels.load(name).INPUTS)


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_the_table_of_a_kernel(name):
    kernel = kernels.load(name)
    for row in kernel.INPUTS.values():
        assert row.name.isidentifier() and row.name not in kernel.PARAMETERS and row.name not in OPTIONS
        for axis in row.shape:
            parts = axis.split("/")[0].split("*")
            assert sum(part not in SIDES for part in parts) <= 1, "a size determines one parameter"
            assert all(part in kernel.PARAMETERS for part in axis.split("/")[1:])
            if "*" in axis:
                assert parts[-1] in kernel.PARAMETERS and all(part in SIDES for part in parts[:-1])
    assert not OPTIONS.keys() & kernel.PARAMETERS.keys()
    assert set(EVEN) & {"tokens"}
    text = inspect.getdoc(getattr(wse, name))
    for key in [*kernel.INPUTS, *kernel.OUTPUTS, *kernel.PARAMETERS, *OPTIONS]:
        assert f"- {key}" in text
    assert list(inspect.signature(getattr(wse, name)).parameters)[: len(kernel.INPUTS)] == list(kernel.INPUTS)


def test_names_of_kernels_hide_no_module():
    assert not kernels.KERNELS.keys() & {*wse.__all__, *(path.stem for path in kernels_of_package())}
    assert kernels.KERNELS.keys() <= set(dir(wse))


def kernels_of_package():
    return [path for folder in wse.__path__ for path in __import__("pathlib").Path(folder).iterdir()]


@pytest.mark.parametrize("name", ["broadcast", "axpy", "reduce", "softmax", "linear", "crossentropy"])
def test_without_arrays_a_function_is_the_command(name):
    small = {"grid": (4, 2), "seed": 5}
    result = getattr(wse, name)(**small)
    kernel = kernels.load(name)
    config = {key: row.default for key, row in kernel.PARAMETERS.items()}
    other = kernel.run(config, kernels.RunOptions(grid=(4, 2), seed=5))
    assert result.run == other.run
    assert all(np.array_equal(other.outputs[key], value) for key, value in result._asdict().items() if key != "run")


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f16", "bf16", "cb16", "f32"])
def test_gemm(dtype):
    a, b = RNG.normal(size=(20, 30)), RNG.normal(size=(30, 25))
    c, run = wse.gemm(a, b, grid=(3, 2), dtype=dtype)
    assert (run.width, run.height) == (3, 2)
    rounded = (a.astype("f4"), b.astype("f4")) if dtype == "f32" else (numerics.round16(m, dtype) for m in (a, b))
    assert np.array_equal(c, numerics.matmul(*rounded, dtype))
    assert run.meta["parameters"] == {"M": 20, "K": 30, "N": 25, "dtype": dtype, "accumulate": "same"}


def test_integers_lists_and_views_are_arrays():
    a = np.arange(12).reshape(3, 4)
    wanted = np.float32(a @ a.T)
    for left, right in ((a, a.T), (a.tolist(), a.T.tolist()), (np.asfortranarray(a), a.T.astype(bool) * a.T)):
        assert np.array_equal(wse.gemm(left, right).C, wanted)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "cb16", "f32"])
@pytest.mark.parametrize("kernel", ["gemm", "gemv", "reduce", "allreduce", "axpy", "broadcast"])
def test_any_numbers_are_verified_to_the_bit(kernel, dtype):
    """Infinities, NaNs, zeros of both signs, subnormals and what overflows."""
    for accumulate in ("same", "f32") if kernel.startswith("gem") else ("",):
        more = {"accumulate": accumulate} if accumulate else {}
        for odd in ([np.inf, -np.inf], [np.nan], [-0.0, 0.0], [1e-7, 1e-40], [6e4, -6e4, 3e38]):
            given = arrays(kernel)
            for values in given.values():
                picked = RNG.random(values.shape) < 0.3
                values[picked] = RNG.choice(odd, picked.sum())
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                result = call(kernel, given, dtype=dtype, **more)
            assert result.run.meta["verified"] and result.run.meta["max_error"] == 0


def test_attention_is_softmax_of_products():
    given, result = all_shapes("attention")
    q, k, v = (given[key].astype("f4").astype("f8") for key in "qkv")
    k, v = (np.repeat(x, 2, axis=1) for x in (k, v))
    scores = q @ k.swapaxes(2, 3) / 6**0.5
    scores[..., np.triu(np.ones((8, 8), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    wanted = weights / weights.sum(-1, keepdims=True) @ v
    assert np.allclose(result.o, wanted, rtol=1e-4, atol=1e-5)
    assert result.dk.shape == (2, 2, 8, 6)
    # gradient of v: the transposed weights times that of o, summed over the heads that share it
    dv = (weights / weights.sum(-1, keepdims=True)).swapaxes(2, 3) @ given["do"]
    assert np.allclose(result.dv, dv.reshape(2, 2, 2, 8, 6).sum(2), rtol=1e-4, atol=1e-5)


def test_attention_over_rows_of_pes():
    """The same values, whether a sequence is on one row of PEs or on two."""
    given = {key: RNG.normal(size=(2, 2, 16, 4)) for key in ("q", "k", "v", "do")}
    one = call("attention", given)
    two = call("attention", given, rows=2, grid=(2, 4))
    assert (one.run.height, two.run.height) == (2, 4)
    for key in ("o", "dq", "dk", "dv"):
        assert np.allclose(getattr(one, key), getattr(two, key), rtol=1e-4, atol=1e-5)


def test_softmax_norm_and_activation():
    given, result = all_shapes("softmax")
    e = np.exp(given["x"] - given["x"].max(1, keepdims=True))
    y = e / e.sum(1, keepdims=True)
    assert np.allclose(result.y, y, rtol=1e-5)
    assert np.allclose(result.dx, y * (given["dy"] - (y * given["dy"]).sum(1, keepdims=True)), rtol=1e-3, atol=1e-6)
    given, result = all_shapes("layernorm")
    x = given["x"]
    hat = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    assert np.allclose(result.y, hat * given["gain"] + given["bias"], rtol=1e-4, atol=1e-5)
    assert np.allclose(result.dgain, (given["dy"] * hat).sum(0), rtol=1e-4, atol=1e-5)
    assert np.allclose(result.dbias, given["dy"].sum(0), rtol=1e-4, atol=1e-5)
    x, up = RNG.normal(size=(8, 6)), RNG.normal(size=(8, 6))
    gated = wse.silu(x, up=up, gated=True, dtype="f32")
    assert gated._fields == ("y", "dx", "dup", "run")
    assert np.allclose(gated.y, x / (1 + np.exp(-x)) * up, rtol=1e-4, atol=1e-6)


def test_rotary_turns_pairs():
    given, result = all_shapes("rotary")
    x = given["x"]
    angles = np.arange(8)[:, None] / 10_000 ** (np.arange(3) / 3)
    low, high = x[..., :3], x[..., 3:]
    wanted = [low * np.cos(angles) - high * np.sin(angles), low * np.sin(angles) + high * np.cos(angles)]
    assert np.allclose(result.y, np.concatenate(wanted, -1), rtol=1e-4, atol=1e-5)


def test_linear_and_crossentropy():
    given, result = all_shapes("linear")
    assert np.allclose(result.y, given["x"] @ given["weight"].T + given["bias"], rtol=1e-4, atol=1e-5)
    assert np.allclose(result.dweight, given["dy"].T @ given["x"], rtol=1e-4, atol=1e-5)
    given, result = all_shapes("crossentropy")
    logits = given["logits"]
    norm = np.log(np.exp(logits).sum(1))
    assert np.allclose(result.loss, np.mean(norm - logits[np.arange(8), given["labels"]]), rtol=1e-5)


def test_sgd_learns_the_samples_given():
    centres = np.array([[0.0, 1], [1, 0], [1, 1]]).repeat(3, axis=1)
    labels = RNG.integers(0, 3, 120)
    x = centres[labels] + RNG.normal(size=(120, 6)) * 0.05
    result = wse.sgd(x, labels, epochs=6, batch=8, hidden=8, grid=(3, 2))
    assert result.run.meta["verified"] and result.into.shape == (8, 7) and result.out.shape == (8, 3)
    hidden = np.maximum(np.c_[x, np.ones(120)] @ result.into.T, 0)
    assert ((hidden @ result.out + result.bias).argmax(1) == labels).mean() > 0.95


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_arrays_determine_the_grid():
    assert (wse.reduce(np.zeros((5, 3, 4))).run.width, wse.reduce(np.zeros((5, 3, 4))).run.height) == (3, 5)
    run = wse.softmax(np.zeros((34, 5))).run
    assert run.height == 1, "17 tokens of two rows would be odd"
    assert wse.softmax(np.zeros((36, 5))).run.height == 2
    assert wse.softmax(np.zeros((36, 5)), tokens=6).run.height == 6
    assert wse.softmax(np.zeros((36, 5)), grid=(3, 9)).run.meta["parameters"]["tokens"] == 4
    assert wse.broadcast(np.zeros(5), grid=(3, 2)).vectors.shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("name", "args", "more", "words"),
    [
        ("gemm", [np.eye(3), np.eye(4)], {}, ["axis 0 of B", "[4, 4]", "K = 3", "axis 1 of A"]),
        ("gemm", [np.eye(3)], {"M": 4}, ["axis 0 of A", "M = 4"]),
        ("gemm", [np.eye(3)], {"M": "x"}, ["M of gemm", "'x'"]),
        ("gemm", [[[1, 2], [3]]], {}, ["A of gemm is no array"]),
        ("gemm", ["abc"], {}, ["A of gemm", "real numbers"]),
        ("gemm", [np.eye(3, dtype=complex)], {}, ["A of gemm", "complex128"]),
        ("gemm", [np.zeros(3)], {}, ["A of gemm", "[M, K]", "[3]"]),
        ("gemm", [np.zeros((0, 3))], {}, ["A of gemm is empty"]),
        ("gemm", [], {"grid": "16x16"}, ["grid of gemm", "(width, height)"]),
        ("gemm", [], {"grid": (0, 3)}, ["grid of gemm", "(0, 3)"]),
        ("gemm", [], {"dtype": "fp16"}, ["dtype of gemm", "did you mean f16?"]),
        ("gemm", [], {"seed": -1}, ["seed of gemm must be an integer from 0", "-1"]),
        ("gemm", [], {"threads": "2"}, ["threads of gemm must be an integer from 1 to 1,024", "'2'"]),
        ("gemm", [], {"max_cycles": 1.5}, ["max_cycles of gemm", "1.5"]),
        ("gemm", [], {"trace": True}, ["trace of gemm must be an integer", "True"]),
        ("gemm", [], {"progress": 3}, ["progress of gemm must be a function of the cycle"]),
        ("rotary", [np.zeros((2, 2, 4, 5))], {}, ["turned of rotary", "even", "d_head = 5 from axis 3 of x"]),
        ("rotary", [], {"turned": 16}, ["turned of rotary", "at most d_head = 8", "not 16"]),
        ("gemm", [], {"machine": "wse4"}, ["wse4", "did you mean"]),
        ("gemm", [np.zeros((5000, 9))], {"grid": (1, 1)}, ["gemm of 5000", "use smaller matrices"]),
        ("softmax", [np.zeros((33, 5))], {}, ["even number of tokens", "tokens = 33", "axis 0 of x"]),
        ("softmax", [np.zeros((34, 5))], {"grid": (2, 4)}, ["axis 0 of x", "multiple of height = 4"]),
        ("softmax", [np.zeros((34, 5)), np.zeros((32, 5))], {}, ["axis 0 of dy", "tokens 34 = 34"]),
        ("gelu", [], {"up": np.zeros((32, 5))}, ["up of gelu", "gated"]),
        ("crossentropy", [np.zeros((8, 5)), np.arange(8)], {}, ["labels of crossentropy are 0 to 4", "0 to 7"]),
        ("crossentropy", [np.zeros((8, 5)), np.zeros(8)], {}, ["labels of crossentropy", "integers"]),
        ("sgd", [np.zeros((32, 5))], {}, ["both x and labels", "labels is missing"]),
        ("sgd", [np.zeros((3, 5)), np.zeros(3, int)], {}, ["x of sgd", "at least 5"]),
        ("axpy", [np.zeros((4, 4, 9)), np.zeros((4, 5, 9))], {}, ["axis 1 of y", "width = 4", "axis 1 of x"]),
        ("axpy", [np.zeros((4, 4, 9))], {"grid": (2, 2)}, ["axis 0 of x", "height = 2"]),
        ("attention", [np.zeros((2, 3, 8, 4)), np.zeros((2, 4, 8, 4))], {"grid": (2, 2)}, ["axis 1 of q", "width = 2"]),
    ],
)
def test_errors_name_the_argument(name, args, more, words):
    with says(ConfigError, *words):
        getattr(wse, name)(*args, **more)


def test_unknown_arguments():
    with says(TypeError, "gemm() has no argument 'dtpye'", "did you mean dtype?"):
        wse.gemm(dtpye="f16")
    with says(TypeError, "gemm()", "too many positional"):
        wse.gemm(1, 2, 3)
    with says(AttributeError, "no attribute 'gem'", "did you mean", "gemm"):
        _ = wse.gem
    with says(ConfigError, "no kernel 'gem'"):
        function("gem")


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_that_reaches_its_limit_has_no_result():
    with says(wse.RunError, "gemm did not end within", "max_cycles") as caught:
        wse.gemm(max_cycles=10)
    assert caught.value.run.ended == "limit"


def test_options_of_a_run():
    heard = []
    result = wse.axpy(np.ones((1, 1, 4)), np.ones((1, 1, 4)), trace=100, activity=True, progress=heard.append)
    assert len(result.run.events) and result.run.activity is not None
    machine = wse.Machine("wse3", "silicon", {"hop_cycles": 3})
    assert wse.reduce(machine=machine).run.profile == "silicon"
    assert wse.reduce(machine=machine).run.cycles > wse.reduce().run.cycles


def test_a_result_that_differs_is_a_warning(monkeypatch):
    monkeypatch.setattr(numerics, "fma16", lambda *operands: np.zeros(4, np.float32))
    with pytest.warns(RuntimeWarning, match="axpy differs from its reference model"):
        assert not wse.axpy(np.ones((1, 1, 4)), np.ones((1, 1, 4))).run.meta["verified"]


def test_arguments_of_other_types(tmp_path):
    """NumPy's scalars, lists as grids, data frames and types of other packages."""
    pandas, ml_dtypes = pytest.importorskip("pandas"), pytest.importorskip("ml_dtypes")
    a = np.arange(6.0).reshape(2, 3)
    result = wse.gemm(pandas.DataFrame(a), a.T.astype(ml_dtypes.bfloat16), M=np.int64(2), grid=[np.int32(1), 1])
    assert np.array_equal(result.C, a @ a.T)
    result.run.save(tmp_path / "run.npz")
    assert wse.Run.load(tmp_path / "run.npz") == result.run
    with says(ConfigError, "B of gemm is no array"):
        wse.gemm(a, np.zeros((3, 2), "V4"))
    with says(ConfigError, "A of gemm must be an array of real numbers, not of object"):
        wse.gemm([[None]])


def test_functions_and_runs_are_pickled():
    assert pickle.loads(pickle.dumps(wse.gemm)) is wse.gemm
    run = wse.axpy(grid=(1, 1)).run
    assert pickle.loads(pickle.dumps(run)) == run
