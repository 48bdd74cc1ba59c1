"""Machines: the parameters of csrc/tables/machine.def, and overrides for what-if studies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .. import _engine
from ..errors import ConfigError, did_you_mean
from ..records import dataclass
from ..schema import read_toml

MACHINES = ("wse2", "wse3")
PROFILES = ("simulator", "silicon")


class Parameter(NamedTuple):
    """A row of machine.def.  wse2, wse3, silicon: its values.  least, most: what an override may be; limits: why."""

    name: str
    unit: str
    confidence: str
    source: str
    meaning: str
    limits: str
    wse2: int
    wse3: int
    silicon: int
    least: int
    most: int


PARAMETERS: tuple[Parameter, ...] = tuple(Parameter(**row) for row in _engine.params())
PARAMETER = {row.name: row for row in PARAMETERS}

# Limits of the engine below those of machine.def.  Larger values are for models, which execute no program.
_ENGINE_MOST = {"sram_bytes": _engine.SRAM}


_PREFIXES: dict[str, int | Fraction] = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_PREFIXES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": Fraction(1, 1000)}
_QUANTITY = re.compile(r"([-+]?(?:\d[\d_]*)?(?:\.\d+)?(?:[eE][-+]?\d{1,2})?)\s*([kKMGTP]i?|m)?\s*([A-Za-z/]*)")


def quantity(name: str, text: str) -> int:
    """The value of a parameter from text, in the parameter's unit.

    text: an integer (also 0x, 0b, with _), or a number with a prefix (k M G T P, Ki Mi Gi Ti) and the unit, which may
    be left out: "1.1GHz", "64KiB", "16 B/cycle" (of a row in thousandths).  ConfigError if the name is unknown, the
    text is no such number or no whole one in the row's unit.
    """
    row = _row(name)
    text = text.strip()
    try:
        return int(text, 0)
    except ValueError:
        pass
    found = _QUANTITY.fullmatch(text) if len(text) <= 40 else None
    per = 1000 if name.endswith("_milli") else 1
    unit = row.unit.removeprefix("m") if per > 1 else row.unit
    units = ("", unit.lower(), unit.lower().removesuffix("s"))
    if found and found[1].strip("+-") and (found[2] or "") in _PREFIXES and found[3].lower() in units:
        scale = per if found[2] or found[3] else 1  # a plain number is in the row's own unit
        value = Fraction(found[1].replace("_", "")) * _PREFIXES[found[2] or ""] * scale
        if value.denominator == 1:
            return int(value)
        raise ConfigError(f"{name}={text} is {float(value):g} {row.unit}: it must be a whole number of them")
    raise ConfigError(
        f"{name}={text} is no number of {row.unit}: write an integer, or a number with a unit, such as {_example(row)}"
    )


def _row(name: str, machine: str = "") -> Parameter:
    if name not in PARAMETER:
        of = f"machine {machine}" if machine else "a machine"
        raise ConfigError(f"{of} has no parameter {name!r}: {did_you_mean(name, PARAMETER)}")
    return PARAMETER[name]


def _example(row: Parameter) -> str:
    if row.unit == "Hz":
        return "1.1GHz"
    if row.name.endswith("_milli"):
        return f"{row.wse3 / 1000:g} {row.unit.removeprefix('m')}"
    return f"{row.wse3}{row.unit}" if row.unit in ("B", "cycles", "wavelets", "PEs") else str(row.wse3)


def _value(name: str, value: object, machine: str) -> int:
    """An override as an integer inside the row's range."""
    row = _row(name, machine)
    number = quantity(name, value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise ConfigError(
            f"parameter {name} is an integer (or text with a unit, such as {_example(row)}), not {value!r}"
        )
    if not row.least <= number <= row.most:
        raise ConfigError(f"parameter {name} is {row.least:,} to {row.most:,} {row.unit}, not {value}: {row.limits}")
    return int(number)


@dataclass(frozen=True, init=False)
class Machine:
    """A machine: a generation, a profile, and overridden parameters.  Immutable, hashable, comparable.

    - name: "wse2" or "wse3".
    - profile: "simulator" (the vendor's ideal machine) or "silicon" (WSE-3 with measured derates).
    - overrides: values of rows of csrc/tables/machine.def by name: integers, or text with a unit such as "1.1GHz".

    Each parameter is an attribute, in the unit of its row; `params` holds them all.  Raises ConfigError for an unknown
    machine, profile or parameter, and for a value outside the parameter's range; the message has the range and why.

        >>> import wse
        >>> machine = wse.Machine("wse3", overrides={"clock_hz": "1.1GHz"})
        >>> machine.clock_hz, machine.colors
        (1100000000, 24)
    """

    name: str
    profile: str
    overrides: tuple[tuple[str, int], ...]
    _params: Mapping[str, int] = field(repr=False, compare=False)

    def __init__(
        self, name: str = "wse3", profile: str = "simulator", overrides: Mapping[str, int | str] | None = None
    ):
        if name not in MACHINES:
            raise ConfigError(f"there is no machine {name!r}: {did_you_mean(str(name), MACHINES)}")
        if profile not in PROFILES:
            raise ConfigError(f"there is no profile {profile!r}: {did_you_mean(str(profile), PROFILES)}")
        if (name, profile) == ("wse2", "silicon"):
            raise ConfigError("there is no silicon profile of wse2: its derates were never measured; use simulator")
        column = name if profile == "simulator" else "silicon"
        params = {row.name: getattr(row, column) for row in PARAMETERS}
        given = {key: _value(key, value, name) for key, value in (overrides or {}).items()}
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "profile", profile)
        object.__setattr__(self, "overrides", tuple(sorted(given.items())))
        object.__setattr__(self, "_params", MappingProxyType(params | given))

    @classmethod
    def load(cls, path: str | Path, default: str = "wse3") -> Machine:
        """Reads a TOML file: `machine`, `profile` (both optional) and a table `params` of overrides.

        default: the machine, if the file names none.

        Raises ConfigError if the file cannot be read, has an unknown key, or an invalid value.
        """
        table = read_toml(path, "machine file")
        keys = ("machine", "profile", "params")
        for key in table:
            if key not in keys:
                raise ConfigError(f"machine file {path} has an unknown key {key!r}: {did_you_mean(key, keys)}")
        params = table.get("params", {})
        if not isinstance(params, dict):
            raise ConfigError(f"machine file {path}: params must be a table of overrides, not {params!r}")
        return cls(table.get("machine", default), table.get("profile", "simulator"), params)

    @classmethod
    def of(cls, machine: str | Machine) -> Machine:
        """The argument itself, or the machine of that name.  Raises ConfigError for an unknown name."""
        return machine if isinstance(machine, Machine) else cls(machine)

    @property
    def params(self) -> Mapping[str, int]:
        """All parameters by name, in the order of machine.def."""
        return self._params

    def values(self) -> np.ndarray:
        """int64 [parameters], for the engine.  Raises ConfigError if the engine cannot execute such a machine."""
        self.check_executable()
        return np.array(list(self.params.values()), np.int64)

    def replace(self, **overrides: int | str) -> Machine:
        """A copy of the machine with these parameters overridden.  Raises ConfigError as the constructor."""
        return Machine(self.name, self.profile, dict(self.overrides) | overrides)

    def check_executable(self) -> None:
        """Raises ConfigError if a parameter exceeds a limit of the engine."""
        for name, most in _ENGINE_MOST.items():
            if self.params[name] > most:
                raise ConfigError(
                    f"{name}={self.params[name]}: the engine executes programs on machines with up to {most:,} "
                    f"{PARAMETER[name].unit}; larger ones are for models (wse map, system, infer)"
                )

    def check_overrides(self, used: Iterable[str], what: str) -> None:
        """Raises ConfigError if a parameter is overridden that `what` does not use."""
        used = tuple(used)
        if self.profile != "simulator":
            raise ConfigError(f"the profile {self.profile} has no effect on {what}: leave it out")
        for name, _ in self.overrides:
            if name not in used:
                raise ConfigError(f"{name} has no effect on {what}, which uses {', '.join(used)}")

    # Whole wafers, for models of systems.

    @property
    def peak_flops(self) -> float:
        """Peak of the wafer in FLOP/s, f16: usable PEs at the clock that published peaks imply."""
        return self.usable_pes * self.pe_flops_milli * self.peak_clock_hz / 1000

    @property
    def wafer_memory(self) -> float:
        """Bytes of memory of the wafer: the published figure, in proportion to usable_pes and sram_bytes where those
        were changed; wafer_bytes itself where that was."""
        if "wafer_bytes" in dict(self.overrides):
            return float(self.wafer_bytes)
        own = Machine(self.name, self.profile)
        return self.wafer_bytes * (self.usable_pes / own.usable_pes) * (self.sram_bytes / own.sram_bytes)

    def __getattr__(self, name: str) -> int:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._params[name]
        except KeyError:
            raise AttributeError(f"machine {self.name} has no parameter {name!r}") from None

    def __reduce__(self):
        return Machine, (self.name, self.profile, dict(self.overrides))

    # For the checks of programs.

    def input_queue_depth(self, queue: int) -> int:
        """Capacity of an input queue in wavelets; 0 if there is no such queue."""
        return self.params[f"iq{queue}_depth"]

    def output_queue_depth(self, queue: int) -> int:
        """Capacity of an output queue in wavelets; 0 if there is no such queue."""
        return self.params[f"oq{queue}_depth"]

    def has_switch(self, color: int) -> bool:
        """Whether routers have switch positions for the color."""
        return bool(self.params["switch_colors"] >> color & 1)


WSE2 = Machine("wse2")
WSE3 = Machine("wse3")
