"""Csdb: commands of the SDK's debugger csdb, on the run of `wse debug` or on a core file.

Coordinates are those of the fabric, addresses and lengths count words of 16 bits, as in csdb; a line of `memory read`
is `(4,1) @ 0x0140: 0000 3f80`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from .. import _engine, npz
from ..csl.artifact import Artifact
from ..errors import ConfigError, did_you_mean
from ..program.image import NO_CLASS
from . import views
from .debugger import Debugger
from .lines import Lines
from .values import Variable, variables

# name: (arguments, what it does)
COMMANDS = {
    "context": ("list | show | select DIR", "print the compiled programs, the chosen one, or choose one"),
    "target": ("create --core-file=FILE", "read a core file that dump_core has written"),
    "rectangle": ("[select X,Y | deselect X,Y] [--dimension=W,H]", "choose PEs by their places on the fabric"),
    "image": ("info | lookup --name=NAME", "print the classes of PEs, or where a variable or function lies"),
    "memory": ("read --name=VARIABLE | --address=WORD --length=WORDS", "print memory of the chosen PEs, in words"),
    "register": ("read", "print the registers of the chosen PEs"),
    "exit": ("", "end the session"),
}
# Commands that have no counterpart, and what to use.
INSTEAD = {
    "trace": "`wse csl run DIR SCRIPT --trace FILE` writes a trace, `wse view FILE` shows it",
    "wavelet": "in `wse debug`, `break wavelet COLOR` stops at wavelets, `info queues` and `info routes` print them",
}
PRINTED = tuple(name for name in COMMANDS if name != "exit")
_WORDS = {
    "context": ["list", "show", "select"],
    "target": ["create"],
    "rectangle": ["select", "deselect"],
    "image": ["info", "lookup"],
    "memory": ["read"],
    "register": ["read"],
}
_MOST = {"memory": 4096, "register": 64}  # PEs that a command prints
_DEPTH = 3  # folders below the working one in which programs are looked for


def programs(folder: Path) -> list[Path]:
    """The folders in a folder that `cslc` has written, by name; ConfigError if the folder does not exist."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {str(folder)!r}")
    found = []
    for root, folders, files in os.walk(folder):
        if {"out.json", "out.npz"} <= set(files):
            found.append(Path(root))
        deep = len(Path(root).relative_to(folder).parts) >= _DEPTH
        folders[:] = [] if deep else [name for name in folders if not name.startswith(".")]
    return sorted(found)


def following(words: list[str]) -> list[str]:
    """The words that may follow these, for completion."""
    return _WORDS.get(words[0], []) if len(words) == 1 else []


class Commands:
    """What a run and a core file have in common.  A subclass says which program it is, and reads its memory."""

    def __init__(self) -> None:
        self._chosen = np.zeros((0, 0), bool)  # [y, x] of the program
        self._chosen_of: Artifact | None = None

    @property
    def artifact(self) -> Artifact:
        """The program."""
        raise NotImplementedError

    def read(self, address: int, size: int, x: int, y: int) -> bytes:
        """Memory of a PE of the program."""
        raise NotImplementedError

    def context(self, verb: str, words: list[str]) -> str:
        raise NotImplementedError

    def target(self, verb: str, words: list[str]) -> str:
        raise NotImplementedError

    def register(self, verb: str, words: list[str]) -> str:
        raise NotImplementedError

    def obey(self, name: str, rest: str) -> str:
        """What a command of COMMANDS prints.  ConfigError if it cannot be done."""
        try:
            verb, *words = shlex.split(rest) or [""]
        except ValueError as error:
            raise ConfigError(f"{name} {rest}: {error}") from None
        commands: dict[str, Callable[[str, list[str]], str]] = {
            "context": self.context, "target": self.target, "rectangle": self.rectangle,
            "image": self.image, "memory": self.memory, "register": self.register,
        }  # fmt: skip
        return commands[name](verb, words)

    # PEs.

    @property
    def chosen(self) -> np.ndarray:
        """The chosen PEs, bool [h, w] of the program: all of them at the begin."""
        artifact = self.artifact
        if self._chosen_of is not artifact:
            self._chosen_of = artifact
            self._chosen = np.ones((artifact.height, artifact.width), bool)
        return self._chosen

    def pes(self) -> list[tuple[int, int]]:
        """The chosen PEs (x, y) of the program, row by row; ConfigError if there are none."""
        rows, columns = np.nonzero(self.chosen)
        if not rows.size:
            raise ConfigError(f"no PEs are chosen: `rectangle select X,Y --dimension=W,H` chooses some; {self._room()}")
        return list(zip(columns.tolist(), rows.tolist(), strict=True))

    def rectangle(self, verb: str, words: list[str]) -> str:
        if verb not in ("", "select", "deselect"):
            raise _unknown("rectangle", verb)
        if verb:
            places, options = _options("rectangle", words, ("dimension",))
            if len(places) != 1:
                raise ConfigError(f"rectangle {verb} takes one place X,Y, such as {_pair(self.artifact.offsets)}")
            (x, y), (wide, high) = _two(places[0], 0), _two(options.get("dimension", "1,1"), 1)
            left, top = self.artifact.offsets
            part = self.chosen[max(y - top, 0) : max(y - top + high, 0), max(x - left, 0) : max(x - left + wide, 0)]
            if not part.size and verb == "select":
                raise ConfigError(f"the rectangle {x},{y} of {wide} x {high} has no PE of the program: {self._room()}")
            part[:] = verb == "select"
        elif words:
            raise _unknown("rectangle", words[0])
        count = int(self.chosen.sum())
        return f"{count:,} of {self.chosen.size:,} PEs are chosen; {self._room()}"

    def _room(self) -> str:
        artifact = self.artifact
        size = f"{artifact.width},{artifact.height}"
        return f"the program is the rectangle {_pair(artifact.offsets)} --dimension={size} of the fabric"

    def _label(self, x: int, y: int) -> str:
        left, top = self.artifact.offsets
        return f"({left + x},{top + y})"

    # The program.

    def image(self, verb: str, words: list[str]) -> str:
        if verb == "info":
            _options("image info", words, ())
            return "\n".join(self._classes())
        if verb == "lookup":
            _, options = _options("image lookup", words, ("name",))
            if "name" not in options:
                raise ConfigError("image lookup takes --name=NAME, of a variable or function")
            return "\n".join(self._lookup(options["name"]))
        raise _unknown("image", verb)

    def _classes(self) -> Iterator[str]:
        artifact = self.artifact
        yield f"{artifact.arch}, {artifact.width} x {artifact.height} PEs; {self._room()}"
        for index, image in enumerate(artifact.classes):
            count = int((artifact.class_of == index).sum())
            size = sum(variable.bytes for variable in variables(image).values())
            yield (
                f"class {index}, {image.name}: {count:,} PE{'s' if count != 1 else ''}, "
                f"{len(image.code):,} instructions, {size:,} B of variables"
            )

    def _lookup(self, name: str) -> Iterator[str]:
        artifact, found = self.artifact, False
        for index, image in enumerate(artifact.classes):
            variable = variables(image).get(name)
            if variable is not None:
                found = True
                address, words = _words(variable.address, variable.bytes)
                yield (
                    f"{name}: {variable.type}, {words} word{'s' if words != 1 else ''} at 0x{address:04x} "
                    f"(--address={address} --length={words}), class {index}, {image.name}"
                )
        if found:
            return
        try:
            starts = Lines(artifact).find(name).starts if name in artifact.function_names else {}
        except ConfigError:
            starts = {}  # it is inlined away, or no PE has it
        for index, begins in starts.items():
            places = ", ".join(str(pc) for pc in begins)
            yield f"{name}: function, begins at instruction {places}, class {index}, {artifact.classes[index].name}"
        if not starts:
            raise ConfigError(f"the program has no variable or function {name!r}: {self._near(name)}")

    def _near(self, name: str) -> str:
        known = {known for image in self.artifact.classes for known in variables(image)}
        return did_you_mean(name, known, most=40)

    # Memory.

    def memory(self, verb: str, words: list[str]) -> str:
        if verb != "read":
            raise _unknown("memory", verb)
        _, options = _options("memory read", words, ("name", "address", "length"), ("stdoutput",))
        if ("name" in options) == ("address" in options) or ("address" in options) != ("length" in options):
            raise ConfigError("memory read takes --name=VARIABLE, or --address=WORD and --length=WORDS")
        if "name" in options:
            return self._rows(self._places(options["name"]))
        address, length = (_number(options[name], name) for name in ("address", "length"))
        if not (length >= 1 and address + length <= _engine.SRAM // 2):
            raise ConfigError(f"a PE has words 0 to {_engine.SRAM // 2 - 1:,}, not {length:,} from {address:,} on")
        return self._rows((x, y, address, length) for x, y in self.pes())

    def _places(self, name: str) -> Iterator[tuple[int, int, int, int]]:
        artifact, found = self.artifact, dict[int, Variable | None]()
        for index, image in enumerate(artifact.classes):
            found[index] = variables(image).get(name)
        pes = [(x, y, found.get(int(artifact.class_of[y, x]))) for x, y in self.pes()]
        if not any(variable is not None for _, _, variable in pes):
            elsewhere = any(variable is not None for variable in found.values())
            why = "`image lookup` prints whose it is" if elsewhere else self._near(name)
            raise ConfigError(f"the chosen PEs have no variable {name!r}: {why}")
        for x, y, variable in pes:
            if variable is not None:
                yield x, y, *_words(variable.address, variable.bytes)

    def _rows(self, places: Iterable[tuple[int, int, int, int]]) -> str:
        rows = []
        for number, (x, y, address, length) in enumerate(places):
            if number == _MOST["memory"]:
                rows.append(f"only {number:,} PEs are printed: choose fewer with `rectangle`")
                break
            words = np.frombuffer(self.read(2 * address, 2 * length, x, y), "<u2")
            rows.append(f"{self._label(x, y)} @ 0x{address:04x}: {' '.join(f'{word:04x}' for word in words)}")
        return "\n".join(rows)


class Session(Commands):
    """The commands in `wse debug`.  directory: of the program that the session was started with."""

    def __init__(self, debugger: Callable[[], Debugger], directory: Path | None = None):
        super().__init__()
        self._debugger, self.directory = debugger, directory

    @property
    def artifact(self) -> Artifact:
        return self._debugger().artifact

    def read(self, address: int, size: int, x: int, y: int) -> bytes:
        return self._debugger().current.fabric.read_bytes(address, size, x, y, 1, 1).tobytes()

    def context(self, verb: str, words: list[str]) -> str:
        if verb not in ("list", "show", "select"):
            raise _unknown("context", verb)
        debugger = self._debugger()
        given = self.directory if debugger.target is None else None
        directory = given if given is not None else debugger.current.directory
        if verb == "select" and (len(words) != 1 or Path(words[0]).resolve() != directory.resolve()):
            wanted = shlex.quote(words[0]) if words else "DIR"
            raise ConfigError(f"this session is of {directory}: `wse debug {wanted} SCRIPT` debugs another program")
        return str(directory)

    def target(self, verb: str, words: list[str]) -> str:
        raise ConfigError("a session has the memory of its run, which `run` starts: `csdb DIR` reads core files")

    def register(self, verb: str, words: list[str]) -> str:
        if verb != "read":
            raise _unknown("register", verb)
        _options("register read", words, (), ("stdoutput",))
        debugger, rows = self._debugger(), []
        debugger.current  # noqa: B018  ConfigError before a program is loaded
        focus, pes = debugger.focus, self.pes()
        for x, y in pes[: _MOST["register"]]:
            if self.artifact.class_of[y, x] != NO_CLASS:
                debugger.focus = x, y
                rows += [self._label(x, y), views.info(debugger, "registers")]
        debugger.focus = focus
        if len(pes) > _MOST["register"]:
            rows.append(f"only {_MOST['register']} of {len(pes):,} PEs are printed: choose fewer with `rectangle`")
        return "\n".join(rows)


class Offline(Commands):
    """The commands on what lies in a folder: compiled programs and core files."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder, self.contexts = folder, programs(folder)
        self._artifact: Artifact | None = None
        self.directory: Path | None = None  # of the chosen program
        self._core: np.ndarray | None = None  # uint8 [h, w, bytes]
        if len(self.contexts) == 1:
            self._select(self.contexts[0])

    @property
    def artifact(self) -> Artifact:
        if self._artifact is None:
            count = len(self.contexts)
            why = f"{count} programs lie" if count else "no program that `cslc` has compiled lies"
            raise ConfigError(f"{why} in {self.folder}: `context select DIR` chooses one, `context list` lists them")
        return self._artifact

    def read(self, address: int, size: int, x: int, y: int) -> bytes:
        if self._core is None:
            raise ConfigError("no core file is read: `target create --core-file=FILE` reads one that dump_core wrote")
        return self._core[y, x, address : address + size].tobytes()

    def _select(self, directory: Path) -> None:
        self._artifact = Artifact.load(directory)
        self.directory, self._core = directory, None

    def context(self, verb: str, words: list[str]) -> str:
        if verb == "list":
            return "\n".join(str(directory) for directory in self.contexts) or f"no program lies in {self.folder}"
        if verb == "select":
            if len(words) != 1:
                raise ConfigError("context select takes the folder that `cslc` has written, such as out")
            inside = self.folder / words[0]
            self._select(inside if inside.is_dir() else Path(words[0]))
        elif verb != "show":
            raise _unknown("context", verb)
        artifact = self.artifact  # ConfigError if none is chosen
        return f"{self.directory}: {artifact.arch}, {artifact.width} x {artifact.height} PEs"

    def target(self, verb: str, words: list[str]) -> str:
        if verb != "create":
            raise _unknown("target", verb)
        _, options = _options("target create", words, ("core-file",))
        if "core-file" not in options:
            raise ConfigError("target create takes --core-file=FILE: the emulator has no system to connect to")
        inside = self.folder / options["core-file"]
        path = inside if inside.is_file() else Path(options["core-file"])
        artifact = self.artifact
        if not path.is_file():
            raise ConfigError(f"there is no core file {str(path)!r}")
        try:
            with npz.Archive(path) as archive:
                entry = archive.entries.get("memory")
                if entry is None or entry.dtype != np.uint8 or len(entry.shape) != 3:
                    raise ConfigError(f"{path} is no core file: it holds no memory of PEs")
                size = (artifact.height, artifact.width, _engine.SRAM)
                if entry.shape != size:
                    high, wide, _ = entry.shape
                    raise ConfigError(
                        f"{path} is of {wide} x {high} PEs, and the program of {artifact.width} x {artifact.height}: "
                        "`context select DIR` chooses another"
                    )
                self._core = archive.read("memory")
        except npz.UNREADABLE as error:
            raise ConfigError(f"{path} is no core file of dump_core: {error}") from None
        return f"{path}: memory of {artifact.width} x {artifact.height} PEs"

    def register(self, verb: str, words: list[str]) -> str:
        raise ConfigError("a core file holds memory, and no registers: `wse debug DIR SCRIPT` prints them")


# Words of commands.


def _unknown(name: str, verb: str) -> ConfigError:
    return ConfigError(f"{name} {verb or 'does what'}? It takes {COMMANDS[name][0]}")


def _options(
    command: str, words: list[str], takes: tuple[str, ...], flags: tuple[str, ...] = ()
) -> tuple[list[str], Mapping[str, str]]:
    """(other words, values of options): `--name=u` and `--name u`.  ConfigError for an option that there is not."""
    others, found, rest = [], dict[str, str](), iter(words)
    for word in rest:
        if not word.startswith("--"):
            others.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name in flags and not equals:
            continue
        if name not in takes:
            near = did_you_mean(name, takes + flags) if takes or flags else "it takes none"
            raise ConfigError(f"{command} has no option --{name}: {near}")
        value = value if equals else next(rest, "")
        if not value:
            raise ConfigError(f"{command}: --{name} lacks its value")
        found[name] = value
    if others and command != "rectangle":
        raise ConfigError(f"{command} takes no {others[0]!r}")
    return others, found


def _number(text: str, name: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if number < 0:
        raise ConfigError(f"--{name} is a number of words, not {text!r}")
    return number


def _two(text: str, least: int) -> tuple[int, int]:
    words = text.split(",")
    if len(words) != 2 or not all(word.strip().isdecimal() for word in words) or min(map(int, words)) < least:
        raise ConfigError(f"{text!r} is no pair of numbers: X,Y of a place from 0, W,H of --dimension from 1")
    return int(words[0]), int(words[1])


def _pair(numbers: tuple[int, int]) -> str:
    return f"{numbers[0]},{numbers[1]}"


def _words(address: int, size: int) -> tuple[int, int]:
    """(address, number) of the 16-bit words that hold these bytes."""
    return address // 2, (address + size + 1) // 2 - address // 2
