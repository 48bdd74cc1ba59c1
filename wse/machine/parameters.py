"""Machines: every figure the engine uses, from csrc/tables/machine.def, and what-if overrides of them."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .. import _engine
from ..errors import ConfigError

MACHINES = ("wse2", "wse3")
PROFILES = ("simulator", "silicon")


class Parameter(NamedTuple):
    """A row of machine.def."""

    name: str
    unit: str
    confidence: str
    source: str
    meaning: str
    wse2: int
    wse3: int
    silicon: int


PARAMETERS: tuple[Parameter, ...] = tuple(Parameter(*row) for row in _engine.params())
PARAMETER = {row.name: row for row in PARAMETERS}

# What nothing works without, and the sizes of the engine's own arrays.
_LEAST = dict.fromkeys(("clock_hz", "fabric_width", "fabric_height", "colors", "sram_bytes"), 1)
_LIMITS = {"colors": _engine.COLORS, "sram_bytes": _engine.SRAM, "microthreads": _engine.QUEUES}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: its close matches, or all known names when they are few."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    close = close or [other for other in known if len(name) > 1 and name.lower() in other.lower()][:3]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known)}" if 0 < len(known) <= 12 else f"{len(known)} names are known"


@dataclass(frozen=True, init=False)
class Machine:
    """A machine: `Machine("wse3", profile="simulator", overrides={"hop_cycles": 1})`.

    name: "wse2" or "wse3".  profile: "simulator" (the vendor's ideal machine) or "silicon" (WSE-3 with measured
    derates). overrides: values of rows of machine.def, integers.  Each row is an attribute (`machine.hop_cycles`),
    all of them are `machine.params`.  Frozen, hashable, comparable.  ConfigError for an unknown name or a value that
    is no integer >= 0.
    """

    name: str
    profile: str
    overrides: tuple[tuple[str, int], ...]
    _params: Mapping[str, int] = field(repr=False, compare=False)

    def __init__(self, name: str = "wse3", profile: str = "simulator", overrides: Mapping[str, int] | None = None):
        if name not in MACHINES:
            raise ConfigError(f"there is no machine {name!r}: {did_you_mean(str(name), MACHINES)}")
        if profile not in PROFILES:
            raise ConfigError(f"there is no profile {profile!r}: {did_you_mean(str(profile), PROFILES)}")
        if (name, profile) == ("wse2", "silicon"):
            raise ConfigError("there is no silicon profile of wse2: its derates were never measured; use simulator")
        for key, value in (overrides or {}).items():
            if key not in PARAMETER:
                raise ConfigError(f"machine {name} has no parameter {key!r}: {did_you_mean(key, PARAMETER)}")
            least, limit = _LEAST.get(key, 0), _LIMITS.get(key, 2**62)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= limit:
                upto = f" to {limit}" if key in _LIMITS else " or more"
                raise ConfigError(f"parameter {key} must be an integer of {least}{upto}, not {value!r}")
        column = name if profile == "simulator" else "silicon"
        params = {row.name: getattr(row, column) for row in PARAMETERS}
        given = {key: int(value) for key, value in (overrides or {}).items()}
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "profile", profile)
        object.__setattr__(self, "overrides", tuple(sorted(given.items())))
        object.__setattr__(self, "_params", MappingProxyType(params | given))

    @classmethod
    def load(cls, path: str | Path) -> Machine:
        """From a TOML file: `machine`, `profile` (both optional) and a table `params` of overrides."""
        try:
            table = tomllib.loads(Path(path).read_text())
        except OSError as error:
            raise ConfigError(f"machine file {path}: {error.strerror}") from None
        except ValueError as error:  # not UTF-8, or not TOML
            raise ConfigError(f"machine file {path} is not TOML: {error}") from None
        keys = ("machine", "profile", "params")
        for key in table:
            if key not in keys:
                raise ConfigError(f"machine file {path} has an unknown key {key!r}: {did_you_mean(key, keys)}")
        params = table.get("params", {})
        if not isinstance(params, dict):
            raise ConfigError(f"machine file {path}: params must be a table of overrides, not {params!r}")
        return cls(table.get("machine", "wse3"), table.get("profile", "simulator"), params)

    @classmethod
    def of(cls, machine: str | Machine) -> Machine:
        """A Machine as it is, a name as the machine of that name."""
        return machine if isinstance(machine, Machine) else cls(machine)

    @property
    def params(self) -> Mapping[str, int]:
        """Every parameter, in the order of machine.def."""
        return self._params

    def values(self) -> np.ndarray:
        """int64 [parameters], as the engine takes them."""
        return np.array(list(self.params.values()), np.int64)

    def replace(self, **overrides: int) -> Machine:
        """The same machine with these parameters changed."""
        return Machine(self.name, self.profile, dict(self.overrides) | overrides)

    def __getattr__(self, name: str) -> int:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._params[name]
        except KeyError:
            raise AttributeError(f"machine {self.name} has no parameter {name!r}") from None

    def __reduce__(self):
        return Machine, (self.name, self.profile, dict(self.overrides))

    # What the checks of a program ask.

    def input_queue_depth(self, queue: int) -> int:
        return self.params[f"iq{queue}_depth"]

    def output_queue_depth(self, queue: int) -> int:
        return self.params[f"oq{queue}_depth"]

    def has_switch(self, color: int) -> bool:
        return bool(self.params["switch_colors"] >> color & 1)


WSE2 = Machine("wse2")
WSE3 = Machine("wse3")
