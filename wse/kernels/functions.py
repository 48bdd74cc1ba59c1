"""A kernel as a function of NumPy arrays, made from its row in KERNELS: `C, run = wse.gemm(A, B, grid=(16, 16))`.

The shapes of the arrays determine the parameters and the grid that the kernel's INPUTS name.  What neither an array nor
an argument determines has the kernel's default; an array that is left out is random, as in `wse run`.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import cache
from math import prod
from typing import Any

import numpy as np

from ..errors import ConfigError, ProgramError, did_you_mean
from ..fabric.errors import RunError
from ..machine.parameters import Machine
from . import KERNELS, Input, Kernel, Progress, Result, RunOptions, load

SIDES = ("width", "height")
EVEN = ("tokens",)  # parameters that are even: a side of the grid is chosen so that they are
# Arguments that become RunOptions, beside `machine`, and their defaults.
OPTIONS: dict[str, Any] = {
    "grid": None,
    "machine": "wse3",
    "seed": 0,
    "threads": 1,
    "max_cycles": None,
    "trace": 0,
    "activity": False,
    "detail": False,
    "progress": None,
}
_OPTIONS_TEXT = """\
grid: (width, height) in PEs.
machine: a wse.Machine, or its name.
seed: of the random values of arrays that are left out.
threads: of the host; results do not depend on them.
max_cycles: RunError if the kernel takes more cycles.
trace: events to keep in `run.events`.
activity: record `run.activity`.
detail: record `run.detail`, for `wse.report.explore`.
progress: called with the cycle during the run."""


@cache
def function(name: str) -> Callable[..., Any]:
    """The function of a kernel.  ConfigError for a name that is not in KERNELS.

    It returns a named tuple: the arrays of OUTPUTS that the run has, float32, and the Run, whose `meta` holds
    "verified" and "max_error" of the comparison with the reference model.  A RuntimeWarning says that a result differs
    from it.

    The function raises ConfigError for an array or argument that does not fit, TypeError for an unknown argument, and
    RunError for a fault, a deadlock, or a run that reached max_cycles.
    """
    kernel = load(name)

    def call(*args: Any, **kwargs: Any) -> Any:
        arguments = _bound(name, signature, args, kwargs)
        arrays = {key: arguments.pop(key) for key in kernel.INPUTS}
        given = {key: _array(name, kernel.INPUTS[key], array) for key, array in arrays.items() if array is not None}
        options = {key: arguments.pop(key) for key in OPTIONS}
        _check_options(name, options)
        solved = Sizes(name, kernel, given, arguments, options.pop("grid"))
        return _returned(name, kernel, _run(name, kernel, solved, given, options))

    signature = _signature(kernel)
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = name
    call.__module__ = "wse"  # where pickle finds it
    call.__doc__ = _docstring(name, kernel)
    return call


def _signature(kernel: Kernel) -> inspect.Signature:
    """Arrays first; parameters that an array may determine have the default None."""
    free = {part for row in kernel.INPUTS.values() for axis in row.shape for part in _parts(axis)}
    make = inspect.Parameter
    rows = [make(key, make.POSITIONAL_OR_KEYWORD, default=None) for key in kernel.INPUTS]
    for key, parameter in kernel.PARAMETERS.items():
        rows.append(make(key, make.KEYWORD_ONLY, default=None if key in free else parameter.default))
    rows += [make(key, make.KEYWORD_ONLY, default=default) for key, default in OPTIONS.items()]
    return inspect.Signature(rows)


def _bound(name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The value of each argument."""
    for key in kwargs:
        if key not in signature.parameters:
            near = did_you_mean(key, signature.parameters, most=len(signature.parameters))
            raise TypeError(f"{name}() has no argument {key!r}: {near}")
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}(): {error}") from None
    bound.apply_defaults()
    return {key: _plain(value) for key, value in bound.arguments.items()}


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's: parameters are kept as JSON."""
    return value.item() if isinstance(value, np.generic) else value


def _array(name: str, row: Input, given: Any) -> np.ndarray:
    """An argument as an array of numbers with as many axes as the input has.  ConfigError names the argument."""
    words = f"{row.name} of {name}"
    try:
        array = np.asarray(given)
        if array.dtype.kind == "V":  # types of other packages, such as bfloat16 of ml_dtypes
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{words} is no array: {error}") from None
    kinds = "iu" if row.kind == "int" else "iufb"
    if array.dtype.kind not in kinds:
        wanted = "integers" if row.kind == "int" else "real numbers"
        raise ConfigError(f"{words} must be an array of {wanted}, not of {array.dtype}")
    expected = f"[{', '.join(row.shape)}]"
    if array.ndim != len(row.shape):
        raise ConfigError(f"{words} must have the shape {expected}, not {list(array.shape)}")
    if not array.size:
        raise ConfigError(f"{words} is empty: its shape is {list(array.shape)}, expected {expected}")
    return array


def _parts(axis: str) -> list[str]:
    return axis.replace("/", "*").split("*")


class Sizes:
    """The parameters and the grid that arrays and arguments determine together.

    config: a value for every parameter.  grid: (width, height), or None for the kernel's own.  origin: for each name
    that an array determined, the words that say so, for messages.
    """

    def __init__(
        self, name: str, kernel: Kernel, given: Mapping[str, np.ndarray], arguments: dict[str, Any], grid: Any
    ) -> None:
        self.name, self.kernel = name, kernel
        self.origin: dict[str, str] = {}
        self.known: dict[str, Any] = {key: value for key, value in arguments.items() if value is not None}
        if grid is not None:
            self.known |= zip(SIDES, _grid(name, grid), strict=True)
        axes = [
            (f"axis {at} of {key}, which is {list(array.shape)},", axis, array.shape[at])
            for key, array in given.items()
            for at, axis in enumerate(kernel.INPUTS[key].shape)
        ]
        for words, axis, size in sorted(axes, key=lambda row: len(_parts(row[1]))):  # those of one name first
            self.solve(words, axis, size)
        if any(side in self.known for side in SIDES):  # then both are
            self.known = dict(zip(SIDES, kernel.GRID, strict=True)) | self.known
        defaults = {key: parameter.default for key, parameter in kernel.PARAMETERS.items()}
        self.config = {key: self.known.get(key, default) for key, default in defaults.items()}
        self.grid = (self.known["width"], self.known["height"]) if "width" in self.known else None

    def solve(self, words: str, axis: str, size: int) -> None:
        """Determines what is unknown of an axis, or checks its size."""
        product, *divisors = axis.split("/")
        for key in divisors:
            self.known.setdefault(key, self.kernel.PARAMETERS[key].default)
        factors = product.split("*")
        wanted = size * prod(self.number(key) for key in divisors)
        unknown = [key for key in factors if key not in self.known]
        for key in unknown[:-1]:  # a side of the grid: the kernel's own, or the largest below it that divides
            rest = wanted // prod(self.number(other) for other in factors if other in self.known)
            most = self.kernel.GRID[SIDES.index(key)]
            sides = [side for side in range(min(most, max(rest, 1)), 0, -1) if rest % side == 0]
            even = [side for side in sides if unknown[-1] not in EVEN or rest // side % 2 == 0]
            self.known[key] = (even or sides)[0]
        if unknown:
            rest, over = divmod(wanted, prod(self.number(key) for key in factors if key in self.known))
            if not over:
                self.known[unknown[-1]] = rest
                self.origin[unknown[-1]] = f"{unknown[-1]} = {rest} from {words.rstrip(',')}"
                return
            raise ConfigError(f"{words} must be a multiple of {self.terms(factors)}, not {size}")
        if prod(self.number(key) for key in factors) != wanted:
            have = [self.origin[key] for key in factors if key in self.origin]
            because = f" ({'; '.join(have)})" if have else ""
            raise ConfigError(f"{words} must be {self.terms(factors, divisors)}{because}")

    def number(self, key: str) -> int:
        """A known size; what is no integer is left to the kernel's own check."""
        value = self.known[key]
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ConfigError(f"{key} of {self.name} must be an integer of at least 1, not {value!r}")
        return int(value)

    def terms(self, factors: list[str], divisors: list[str] | None = None) -> str:
        """A product of known names with their values."""
        known = [key for key in factors if key in self.known]
        over = divisors or []
        value = prod(self.number(key) for key in known) // prod(self.number(key) for key in over)
        if len(known) + len(over) == 1:
            return f"{known[0]} = {value}"
        words = " * ".join(f"{key} {self.known[key]}" for key in known)
        return f"{words}{''.join(f' / {key} {self.known[key]}' for key in over)} = {value}"


def _grid(name: str, grid: Any) -> tuple[int, int]:
    """(width, height).  ConfigError for anything else."""
    try:
        width, height = grid
        good = all(isinstance(side, int | np.integer) and side >= 1 for side in (width, height))
    except (TypeError, ValueError):
        good = False
    if not good or isinstance(grid, str):
        raise ConfigError(f"grid of {name} must be (width, height) in PEs, not {grid!r}")
    return int(width), int(height)


# Options that are integers: the least and the largest that are accepted.
_INTEGERS = {"seed": (0, 2**63 - 1), "threads": (1, 1024), "max_cycles": (0, 2**62), "trace": (0, 2**31)}


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    """ConfigError for an option that is out of its range."""
    for key, (least, most) in _INTEGERS.items():
        value = options[key]
        if key == "max_cycles" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigError(f"{key} of {name} must be an integer from {least:,} to {most:,}, not {value!r}")
    if options["progress"] is not None and not callable(options["progress"]):
        raise ConfigError(f"progress of {name} must be a function of the cycle, not {options['progress']!r}")


def _run(name: str, kernel: Kernel, solved: Sizes, given: Mapping[str, np.ndarray], options: dict[str, Any]) -> Result:
    machine = Machine.of(options.pop("machine"))
    progress = options.pop("progress")
    made = RunOptions(machine=machine, grid=solved.grid, inputs=given, progress=_Progress(progress), **options)
    try:
        result = kernel.run(solved.config, made)
    except (ConfigError, ProgramError) as error:
        because = [words for key, words in solved.origin.items() if re.search(rf"\b{key}\b", str(error))]
        if because:
            raise ConfigError(f"{error} ({'; '.join(because)})") from None
        raise
    run = result.run
    run.meta |= {"verified": bool(result.verified), "max_error": result.max_error}
    if run.ended != "done":
        late = RunError(f"{name} did not end within {run.cycles:,} cycles (max_cycles): it has no result")
        late.run = run
        raise late
    if not result.verified:
        warnings.warn(
            f"the result of {name} differs from its reference model (max error {result.max_error:.3g})",
            RuntimeWarning,
            stacklevel=3,
        )
    return result


class _Progress(Progress):
    """A function of the cycle, or none, as kernels call it."""

    def __init__(self, tell: Callable[[int], None] | None) -> None:
        self.tell = tell

    def __call__(self, cycle: int) -> None:
        if self.tell is not None:
            self.tell(cycle)


def _returned(name: str, kernel: Kernel, result: Result) -> Any:
    outputs = {key: result.outputs[key] for key in kernel.OUTPUTS if key in result.outputs}
    return _tuple(name, tuple(outputs))(*outputs.values(), result.run)


@cache
def _tuple(name: str, keys: tuple[str, ...]) -> Any:
    return namedtuple(f"{name}_result", [*keys, "run"])


def _docstring(name: str, kernel: Kernel) -> str:
    lines = [KERNELS[name][1], "", "Arrays; one that is left out is random:", ""]
    lines += [f"- {row.name} [{', '.join(row.shape)}]: {row.help}" for row in kernel.INPUTS.values()]
    lines += ["", f"Returns ({', '.join([*kernel.OUTPUTS, 'run'])}):", ""]
    lines += [f"- {key}: {words}" for key, words in kernel.OUTPUTS.items()]
    lines += [
        "- run: the measurements, a wse.Run",
        "",
        "Parameters, by keyword; None: from the shapes of the arrays:",
        "",
    ]
    for row in kernel.PARAMETERS.values():
        choices = f" One of {', '.join(map(str, row.choices))}." if row.choices else ""
        lines.append(f"- {row.name} = {row.default!r}: {row.help}{choices}")
    lines += [f"- {line}" for line in _OPTIONS_TEXT.splitlines()]
    return "\n".join(lines)
