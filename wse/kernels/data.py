"""What kernels share: checks of parameters, element types as arithmetic, random inputs, matrices cut into tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..fabric.run import Run
from ..machine import isa, numerics
from ..machine.parameters import Machine
from . import Parameter

DTYPES = ("f16", "bf16", "cb16", "f32")
DTYPE = Parameter("dtype", str, "f16", "Element type.", choices=DTYPES)
ACCUMULATE = Parameter(
    "accumulate", str, "same", "Type of the sums: that of the elements, or f32.", choices=("same", "f32")
)


@dataclass(frozen=True)
class Arithmetic:
    """An element type with its accumulator, as instructions.  element and sum are dtypes of arrays; sizes are bytes."""

    dtype: str
    element: str
    sum: str
    multiply_add: str
    add: str
    move: str
    sum_move: str

    @property
    def fp16(self) -> str:
        """The program's 16-bit float format."""
        return "f16" if self.dtype == "f32" else self.dtype

    @property
    def size(self) -> int:
        return 4 if self.element == "f32" else 2

    @property
    def sum_size(self) -> int:
        return 4 if self.sum == "f32" else 2

    def padded(self, rows: int) -> int:
        """Rows of a column-major tile of sums with padding to whole 16 bytes: all columns begin in the same bank."""
        whole = 16 // self.sum_size
        return -(-rows // whole) * whole

    def round(self, values: np.ndarray) -> np.ndarray:
        """Values of the element type nearest to these, as float32."""
        return np.asarray(values, np.float32) if self.dtype == "f32" else numerics.round16(values, self.dtype)

    def matmul(self, a: np.ndarray, b: np.ndarray, threads: int = 1) -> np.ndarray:
        """a b as the machine computes it: a chain of multiply-adds from 0, ascending in what is summed over."""
        return numerics.matmul(a, b, "f32" if self.sum == "f32" else self.dtype, threads)

    def total(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a + b of sums, rounded."""
        if self.sum == "f32":
            return np.add(a, b, dtype=np.float32)
        return numerics.fma16(a, b, np.float32(1), self.dtype)


def arithmetic(dtype: str, accumulate: str = "same") -> Arithmetic:
    """The arithmetic of two parameters, DTYPE and ACCUMULATE."""
    if dtype == "f32":
        return Arithmetic(dtype, "f32", "f32", "fmacs", "fadds", "mov32", "mov32")
    if accumulate == "f32":
        return Arithmetic(dtype, "f16", "f32", "fmachs", "fadds", "mov16", "mov32")
    return Arithmetic(dtype, "f16", "f16", "fmach", "faddh", "mov16", "mov16")


def check(kernel: str, parameters: Mapping[str, Parameter], config: Mapping[str, Any]) -> None:
    """ConfigError for a parameter that is missing, unknown, of another type or none of its choices."""
    for name in config:
        if name not in parameters:
            raise ConfigError(f"{kernel} has no parameter {name!r}: it has {', '.join(parameters)}")
    for name, parameter in parameters.items():
        if name not in config:
            raise ConfigError(f"{kernel} needs a value for its parameter {name}")
        value = config[name]
        if parameter.choices is not None:
            if value not in parameter.choices:
                raise ConfigError(
                    f"{name} of {kernel} is one of {', '.join(map(str, parameter.choices))}, not {value!r}"
                )
        elif isinstance(value, bool) != (parameter.type is bool) or not isinstance(value, _ACCEPTED[parameter.type]):
            raise ConfigError(f"{name} of {kernel} is of type {parameter.type.__name__}, not {value!r}")


_ACCEPTED = {int: (int, np.integer), float: (int, float, np.integer, np.floating), str: (str,), bool: (bool,)}


def check_positive(kernel: str, config: Mapping[str, Any], *names: str) -> None:
    """ConfigError for one of these integers that is not at least 1."""
    for name in names:
        if config[name] < 1:
            raise ConfigError(f"{name} of {kernel} must be at least 1, not {config[name]}")


def check_length(kernel: str, config: Mapping[str, Any], of: Arithmetic, machine: Machine, reserved: int) -> None:
    """ConfigError for a `length` that is 0, or beyond the memory of a PE or the reach of an operation."""
    check_positive(kernel, config, "length")
    most = min((machine.sram_bytes - reserved) // of.size, isa.LENGTH_INFINITE - 1)
    if config["length"] > most:
        raise ConfigError(
            f"length of {kernel} must be at most {most} of {of.dtype}, for the memory of a PE, not {config['length']}"
        )


def random(rng: np.random.Generator, shape: tuple[int, ...], of: Arithmetic) -> np.ndarray:
    """Uniform in [-1, 1], of the element type, as float32.  16-bit ones are multiples of 1/1024: so products of two are
    multiples of 2^-20, and sums of them exact in float64, which reference models may use."""
    if of.dtype == "f32":
        return rng.uniform(-1, 1, shape).astype(np.float32)
    values = of.round(np.arange(-1024, 1025) * np.float32(2**-10))  # rounds each once, not each element
    return values[rng.integers(-1024, 1025, shape, dtype=np.int16) + np.int16(1024)]


def tiles(matrix: np.ndarray, rows: int, columns: int, height: int, width: int) -> np.ndarray:
    """[h, w, rows, columns]: the matrix cut into tiles over the grid, with zeros around."""
    padded = np.zeros((height * rows, width * columns), matrix.dtype)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded.reshape(height, rows, width, columns).transpose(0, 2, 1, 3)


def untile(tiles: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The reverse: the matrix of so many rows and columns."""
    h, w, r, c = tiles.shape
    return tiles.transpose(0, 2, 1, 3).reshape(h * r, w * c)[:rows, :columns]


def error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference; 0 means equal to the bit but for the sign of 0."""
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(got.astype(np.float64) - expected), initial=0.0))


def same_bits(got: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two float32 arrays are equal to the bit."""
    return np.array_equal(np.asarray(got, np.float32).view(np.uint32), np.asarray(expected, np.float32).view(np.uint32))


def record(run: Run, kernel: str, config: Mapping[str, Any]) -> None:
    """Notes in the run what it was."""
    run.meta |= {"kernel": kernel, "parameters": dict(config)}
