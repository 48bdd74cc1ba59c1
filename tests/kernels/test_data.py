"""What kernels share: checks of parameters, element types, random values, tiles of matrices."""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.kernels import Parameter, data
from wse.machine import numerics
from wse.machine.parameters import Machine

PARAMETERS = {
    p.name: p
    for p in (
        Parameter("n", int, 1, ""),
        Parameter("rate", float, 1.0, ""),
        Parameter("on", bool, True, ""),
        data.DTYPE,
    )
}
GOOD = {"n": 3, "rate": 0.5, "on": False, "dtype": "bf16"}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"m": 1}, "toy has no parameter 'm': known: dtype, n, on, rate"),
        ({"dtype": "f64"}, "dtype of toy is one of f16, bf16, cb16, f32, not 'f64'"),
        ({"n": "3"}, "n of toy"),
        ({"n": True}, "n of toy"),
        ({"on": 1}, "on of toy"),
    ],
)
def test_a_wrong_configuration_is_refused(change, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        data.check("toy", PARAMETERS, GOOD | change)


def test_a_configuration_is_whole():
    data.check("toy", PARAMETERS, GOOD)
    for name in GOOD:
        with pytest.raises(ConfigError, match=f"toy needs a value for its parameter {name}"):
            data.check("toy", PARAMETERS, {other: value for other, value in GOOD.items() if other != name})


def test_bounds():
    data.check_positive("toy", {"n": 1}, "n")
    with pytest.raises(ConfigError, match="n of toy must be at least 1, not 0"):
        data.check_positive("toy", {"n": 0}, "n")
    machine, of = Machine("wse3"), data.arithmetic("f16")
    most = (machine.sram_bytes - 1024) // 2
    data.check_length("toy", {"length": most}, of, machine, 1024)
    with pytest.raises(ConfigError, match=f"length of toy must be at most {most} elements of f16"):
        data.check_length("toy", {"length": most + 1}, of, machine, 1024)


@pytest.mark.parametrize("dtype", data.DTYPES)
@pytest.mark.parametrize("accumulate", ["same", "f32"])
def test_element_types(dtype, accumulate):
    of = data.arithmetic(dtype, accumulate)
    assert (of.size, of.sum_size) == (4 if dtype == "f32" else 2, 4 if "f32" in (dtype, accumulate) else 2)
    assert of.fp16 == ("f16" if dtype == "f32" else dtype)
    assert [of.padded(rows) * of.sum_size % 16 for rows in (1, 4, 8, 9)] == [0, 0, 0, 0]
    values = np.float32([1 / 3, 1000.1, -2e-5])
    expected = values if dtype == "f32" else numerics.round16(values, dtype)
    assert data.same_bits(of.round(values), expected)


def test_random_values_are_of_the_type_and_bounded():
    for dtype in data.DTYPES:
        of = data.arithmetic(dtype)
        values = data.random(np.random.default_rng(0), (50, 20), of)
        assert data.same_bits(of.round(values), values)
        assert np.abs(values).max() <= 1 and values.std() > 0.5


def test_tiles_come_back():
    matrix = np.arange(5 * 7, dtype=np.float32).reshape(5, 7)
    tiles = data.tiles(matrix, 2, 3, 3, 3)
    assert tiles.shape == (3, 3, 2, 3)
    assert tiles[1, 2, 0].tolist() == [matrix[2, 6], 0, 0] and not tiles[2, :, 1].any()
    assert np.array_equal(data.untile(tiles, 5, 7), matrix)


def test_errors():
    assert data.error(np.float32([1, 2]), np.float32([1, 2.5])) == 0.5
    assert data.error(np.float32([-0.0]), np.float32([0.0])) == 0
    assert not data.same_bits(np.float32([-0.0]), np.float32([0.0]))
