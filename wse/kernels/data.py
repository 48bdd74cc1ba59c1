"""Helpers shared by the kernels: checks of parameters, arithmetic of element types, random inputs, and tiling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ConfigError, did_you_mean
from ..fabric.run import Run
from ..machine import isa, numerics
from ..machine.parameters import Machine
from ..records import dataclass
from . import Parameter
from .options import RunOptions

DTYPES = ("f16", "bf16", "cb16", "f32")
DTYPE = Parameter("dtype", str, "f16", "Element type.", choices=DTYPES)
ACCUMULATE = Parameter(
    "accumulate", str, "same", "Accumulator type: that of the elements, or f32.", choices=("same", "f32")
)


@dataclass(frozen=True)
class Arithmetic:
    """An element type with its accumulator type and the instructions that implement its arithmetic.

    dtype: the element type, one of DTYPES.  element, sum: array dtypes of elements and sums in a program ("f16" stands
    for the program's 16-bit format).  multiply_add, add, move, sum_move: mnemonics.  size, sum_size: bytes.
    """

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
        """Bytes of an element."""
        return 4 if self.element == "f32" else 2

    @property
    def sum_size(self) -> int:
        """Bytes of a sum."""
        return 4 if self.sum == "f32" else 2

    def padded(self, rows: int) -> int:
        """`rows` rounded up so that a column of sums takes a multiple of 16 bytes.

        All columns of a column-major tile then begin in the same memory bank.
        """
        whole = 16 // self.sum_size
        return -(-rows // whole) * whole

    def round(self, values: np.ndarray) -> np.ndarray:
        """Rounds values to the element type.  Returns float32 of the same shape."""
        return np.asarray(values, np.float32) if self.dtype == "f32" else numerics.round16(values, self.dtype)

    def matmul(self, a: np.ndarray, b: np.ndarray, threads: int = 1) -> np.ndarray:
        """The product [m, n] of a [m, k] and b [k, n], float32, as the machine computes it.

        Each element is a chain of multiply-adds that begins with 0, in ascending order of k.
        """
        fused = self.multiply_add == "fmachs"
        return numerics.matmul(a, b, "f32" if self.sum == "f32" else self.dtype, threads, fused)

    def total(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a + b, rounded to the accumulator type.  float32 arrays of equal shape."""
        if self.sum == "f32":
            with np.errstate(all="ignore"):
                return np.add(a, b, dtype=np.float32)
        return numerics.fma16(a, b, np.float32(1), self.dtype)


def arithmetic(dtype: str, accumulate: str = "same") -> Arithmetic:
    """The arithmetic for the values of the parameters DTYPE and ACCUMULATE."""
    if dtype == "f32":
        return Arithmetic(dtype, "f32", "f32", "fmacs", "fadds", "mov32", "mov32")
    if accumulate == "f32":
        return Arithmetic(dtype, "f16", "f32", "fmachs", "fadds", "mov16", "mov32")
    return Arithmetic(dtype, "f16", "f16", "fmach", "faddh", "mov16", "mov16")


def check(kernel: str, parameters: Mapping[str, Parameter], config: Mapping[str, Any]) -> None:
    """Raises ConfigError for a parameter that is missing, unknown, of the wrong type or not among its choices."""
    for name in config:
        if name not in parameters:
            known = did_you_mean(name, parameters, most=len(parameters))
            raise ConfigError(f"{kernel} has no parameter {name!r}: {known}")
    for name, parameter in parameters.items():
        if name not in config:
            raise ConfigError(f"{kernel} needs a value for its parameter {name}")
        value = config[name]
        if parameter.choices is not None:
            if value not in parameter.choices:
                near = did_you_mean(str(value), map(str, parameter.choices), most=0)
                raise ConfigError(
                    f"{name} of {kernel} is one of {', '.join(map(str, parameter.choices))}, not {value!r}"
                    + (f"; {near}" if near else "")
                )
        elif isinstance(value, bool) != (parameter.type is bool) or not isinstance(value, _ACCEPTED[parameter.type]):
            raise ConfigError(f"{name} of {kernel} is of type {parameter.type.__name__}, not {value!r}")


_ACCEPTED = {int: (int, np.integer), float: (int, float, np.integer, np.floating), str: (str,), bool: (bool,)}


def check_positive(kernel: str, config: Mapping[str, Any], *names: str) -> None:
    """Raises ConfigError if one of the named integers is less than 1."""
    for name in names:
        if config[name] < 1:
            raise ConfigError(f"{name} of {kernel} must be at least 1, not {config[name]}")


def check_length(kernel: str, config: Mapping[str, Any], of: Arithmetic, machine: Machine, reserved: int) -> None:
    """Raises ConfigError if `length` is less than 1 or exceeds the memory of a PE or the length field of a DSD.

    reserved: bytes of a PE's memory that are not available for the vector.
    """
    check_positive(kernel, config, "length")
    most = min((machine.sram_bytes - reserved) // of.size, isa.LENGTH_INFINITE - 1)
    if config["length"] > most:
        raise ConfigError(
            f"length of {kernel} must be at most {most} elements of {of.dtype}, for the memory of a PE, "
            f"not {config['length']}"
        )


def random(rng: np.random.Generator, shape: tuple[int, ...], of: Arithmetic) -> np.ndarray:
    """Random values, uniform in [-1, 1], rounded to the element type.  Returns float32 of the given shape.

    Values of 16-bit types are multiples of 2^-10 before rounding.  Products of two are then multiples of 2^-20 and
    their sums are exact in float64, on which reference models may rely.
    """
    if of.dtype == "f32":
        return rng.uniform(-1, 1, shape).astype(np.float32)
    values = of.round(np.arange(-1024, 1025) * np.float32(2**-10))  # rounds each possible value once
    return values[rng.integers(-1024, 1025, shape, dtype=np.int16) + np.int16(1024)]


def given(
    options: RunOptions, name: str, rng: np.random.Generator, shape: tuple[int, ...], of: Arithmetic
) -> np.ndarray:
    """An input, rounded to the element type, or random values.  Returns float32 of the given shape."""
    array = options.inputs.get(name)
    return random(rng, shape, of) if array is None else of.round(array).reshape(shape)


def tiles(matrix: np.ndarray, rows: int, columns: int, height: int, width: int) -> np.ndarray:
    """Cuts a matrix [M, N] into tiles for a grid, padded with zeros.  Returns [height, width, rows, columns].

    rows, columns: size of a tile.  height, width: size of the grid in PEs.
    """
    padded = np.zeros((height * rows, width * columns), matrix.dtype)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    return padded.reshape(height, rows, width, columns).transpose(0, 2, 1, 3)


def untile(tiles: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The inverse of `tiles`: the matrix [rows, columns] from tiles [height, width, r, c], without padding."""
    h, w, r, c = tiles.shape
    return tiles.transpose(0, 2, 1, 3).reshape(h * r, w * c)[:rows, :columns]


def error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest absolute difference.  0 means equal bit for bit, except for the sign of zeros; a NaN or an infinity
    in one array only gives NaN or infinity."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(got.astype(np.float64) - expected)
    alike = (got == expected) | (np.isnan(got) & np.isnan(expected))
    return float(np.max(np.where(alike, 0.0, difference), initial=0.0))


def same_bits(got: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two float32 arrays are equal bit for bit.  A NaN of NumPy's, whose sign depends on the host, stands for
    the machine's only one."""
    wanted = np.where(np.isnan(expected), np.float32(np.nan), np.asarray(expected, np.float32))
    return np.array_equal(np.asarray(got, np.float32).view(np.uint32), wanted.view(np.uint32))


def record(run: Run, kernel: str, config: Mapping[str, Any]) -> None:
    """Stores the kernel's name and its parameters in the metadata of a run."""
    run.meta |= {"kernel": kernel, "parameters": dict(config)}
