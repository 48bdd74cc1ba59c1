"""Host programs and cslc from Python or a notebook, without cs_python.

    from wse.sdk import MemcpyDataType, MemcpyOrder, SdkRuntime, cslc
    cslc("layout.csl", arch="wse3", params={"N": 16}, memcpy=True)
    runner = SdkRuntime("out")

`wse.sdk.add_to_path()` makes the names of the SDK importable: `from cerebras.sdk.runtime.sdkruntimepybind import ...`.
Arrays are NumPy 2's; cs_python alone runs programs with the types of NumPy 1.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from .script import NAMES

RUNTIME = "cerebras.sdk.runtime.sdkruntimepybind"


def add_to_path() -> None:
    """Makes `import cerebras` find the modules of this package.

    ConfigError if another package of that name is installed or imported.
    """
    path = str(NAMES)
    loaded = sys.modules.get("cerebras")
    if loaded is None and path not in sys.path:
        found = importlib.util.find_spec("cerebras")
        other = None if found is None else found.origin or next(iter(found.submodule_search_locations or ["?"]))
        if other is None:
            sys.path.append(path)
            return
        raise ConfigError(f"another package cerebras is installed, at {other}: use a Python without it")
    places = [path] if loaded is None else [str(place) for place in loaded.__path__]
    if not any(Path(place).is_relative_to(NAMES) for place in places):
        raise ConfigError(f"another package cerebras is imported, from {places[0]}: restart Python without it")


def name(wanted: str) -> Any:
    """A public name of the SDK's run time, such as SdkRuntime.  AttributeError for any other."""
    add_to_path()
    runtime = import_module(RUNTIME)
    if wanted not in runtime.__all__:
        near = did_you_mean(wanted, runtime.__all__, most=0)
        raise AttributeError(f"module 'wse.sdk' has no attribute {wanted!r}" + (f"; {near}" if near else ""))
    return getattr(runtime, wanted)


def cslc(layout: str | Path, **options: Any) -> Path:
    """Compiles a CSL program, as the command cslc does; returns the folder of the compiled program.

    options: those of the command with _ for -, such as arch="wse3", output="out", fabric_dims=(8, 3),
    fabric_offsets=(4, 1), params={"N": 16}, memcpy=True and channels=1.  Warnings of the compiler are UserWarnings.
    Raises CslError with all findings if the program is wrong, ConfigError for options that do not fit, TypeError for an
    unknown one.
    """
    compile = import_module("wse.sdk.compile")
    known = [field.name for field in fields(compile.Request) if field.name not in ("layout", "whole")]
    for option in options:
        if option not in known:
            raise TypeError(f"cslc() has no option {option!r}: {did_you_mean(option, known, most=len(known))}")
    request = compile.Request(Path(layout), **options)
    found: list[Any] = []
    lines = compile.run(request, found)
    for warning in found:
        warnings.warn(str(warning), UserWarning, stacklevel=2)
    for line in lines:
        print(line)
    return Path(request.output)
