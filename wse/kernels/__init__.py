"""Kernels: programs with a reference model, parameters and a documented data layout, for `wse run NAME`.

A kernel is a module, or an object such as those of operators.py, that has:

    PARAMETERS: dict[str, Parameter]
        Its parameters by name, with defaults.  The command line makes its options from them.

    GRID: tuple[int, int]
        (width, height) in PEs, unless options name another.

    INPUTS: dict[str, Input]
        The arrays it computes with, by name, in the order of arguments.  One that is not in options.inputs is random.

    OUTPUTS: dict[str, str]
        The arrays it returns in Result.outputs, by name: a description that begins with the shape.

    run(config, options) -> Result
        config      value of each parameter, by name, all present, of the declared type
        options     RunOptions: machine, grid, inputs, seed, host threads, limit, what is recorded, progress

    __doc__
        What it computes, its data layout, its program and what bounds it: its section of docs/kernels.md.

`run` checks the parameters (ConfigError names the parameter, its value and what is allowed), builds a Program, runs it,
compares with the reference model and returns a Result, whose `run.meta` holds "kernel" and "parameters".  A run that
reached max_cycles (`run.ended`) is a Result as well: verified False, max_error nan, and what was measured until then.
DeadlockError, FabricFault and KeyboardInterrupt, each with the partial Run as `run`, are left to the caller.

functions.py makes a function of NumPy arrays from each: `wse.gemm(A, B)`.

Importing this module imports no kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np

from ..errors import ConfigError, did_you_mean
from ..fabric.run import Run
from ..records import dataclass
from .options import Progress, RunOptions

# name: (module, or module:key of its table OPERATORS; what it computes, in one line)
KERNELS: dict[str, tuple[str, str]] = {
    "gemm": ("wse.kernels.gemm", "Matrix times matrix, operands broadcast along rows and columns."),
    "gemv": ("wse.kernels.gemv", "Matrix times vector."),
    "reduce": ("wse.kernels.reduce", "Sum of a vector per PE into one PE: star, chain, tree or two-phase."),
    "allreduce": ("wse.kernels.allreduce", "Sum of a vector per PE into all PEs."),
    "broadcast": ("wse.kernels.broadcast", "One PE's vector to all PEs."),
    "axpy": ("wse.kernels.axpy", "y = a x + y on every PE."),
    "linear": ("wse.kernels.operators:linear", "Linear layer with streamed weights, forward and backward."),
    "attention": ("wse.kernels.operators:attention", "Attention of whole heads, forward and backward."),
    "softmax": ("wse.kernels.operators:softmax", "Softmax over features, forward and backward."),
    "layernorm": ("wse.kernels.operators:layernorm", "Layer norm, forward and backward."),
    "rmsnorm": ("wse.kernels.operators:rmsnorm", "RMS norm, forward and backward."),
    "gelu": ("wse.kernels.operators:gelu", "GELU, also gated, forward and backward."),
    "silu": ("wse.kernels.operators:silu", "SiLU, also gated, forward and backward."),
    "rotary": ("wse.kernels.operators:rotary", "Rotary positions, forward and backward."),
    "crossentropy": ("wse.kernels.operators:crossentropy", "Cross-entropy and its gradient."),
    "sgd": ("wse.kernels.sgd.kernel", "Trains a multilayer perceptron wholly on the fabric."),
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel.  type: int, float, str or bool.  flag: a short form for a shell, such as "-M"."""

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[Any, ...] | None = None
    flag: str | None = None


@dataclass(frozen=True)
class Input:
    """An array that a kernel computes with.

    shape: a size for each axis, as a product of names: of parameters, `width` and `height` of the grid, or others, such
    as the samples of a data set; a name after "/" divides.  kind: "float", or "int" for indices such as labels.
    """

    name: str
    shape: tuple[str, ...]
    help: str
    kind: str = "float"


Row = TypeVar("Row", Parameter, Input)


def by_name(*rows: Row) -> dict[str, Row]:
    """A table of a kernel, PARAMETERS or INPUTS."""
    return {row.name: row for row in rows}


@dataclass
class Result:
    """What a kernel returns."""

    kernel: str
    parameters: dict[str, Any]
    run: Run
    verified: bool
    max_error: float = math.nan  # against the reference model, in the units of the result; nan: not compared
    text: list[str] = field(default_factory=list)  # more lines for people
    extra: dict[str, Any] = field(default_factory=dict)  # more keys for --json
    outputs: dict[str, np.ndarray] = field(default_factory=dict)  # by name, of OUTPUTS; empty if the run ended before


class Kernel(Protocol):
    """See the head of this module."""

    PARAMETERS: dict[str, Parameter]
    GRID: tuple[int, int]
    INPUTS: dict[str, Input]
    OUTPUTS: dict[str, str]

    def run(self, config: Mapping[str, Any], options: RunOptions) -> Result:
        """Run the kernel.  config: values of its parameters."""


def load(name: str) -> Kernel:
    """Import a kernel.  Raises ConfigError for a name that is not in KERNELS."""
    if name not in KERNELS:
        raise ConfigError(f"there is no kernel {name!r}: {did_you_mean(name, KERNELS, most=len(KERNELS))}")
    module, _, key = KERNELS[name][0].partition(":")
    found: Any = import_module(module)
    return found.OPERATORS[key] if key else found


def run(name: str, config: Mapping[str, Any], options: RunOptions) -> Result:
    """Run a kernel; parameters that `config` leaves out have their defaults.

    Raises ConfigError for a name that is not in KERNELS, and whatever the kernel raises.
    """
    kernel = load(name)
    defaults = {parameter.name: parameter.default for parameter in kernel.PARAMETERS.values()}
    return kernel.run(defaults | dict(config), options)


__all__ = ["KERNELS", "Input", "Kernel", "Parameter", "Progress", "Result", "RunOptions", "by_name", "load", "run"]
