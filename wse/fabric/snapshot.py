"""Snapshots: the whole state of a fabric, kept in memory or saved to a file; a run goes on from one equal to the bit.

A file begins with a line of JSON: what the state is of.  The state follows as the engine writes it
(csrc/fabric/snapshot.c), then 32 bytes BLAKE2 of all before.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from .._version import __version__
from ..errors import ConfigError
from ..files import replacing
from ..machine import isa
from ..machine.digest import check_digest, tables_digest
from ..program.image import Image
from .errors import RunError

FORMAT = "wse fabric state 1"
_HASH_BYTES = 32
_PART = 1 << 20


class Snapshot:
    """The state of a fabric at a cycle, in memory that is not part of the Python heap.

    `Fabric.restore` goes back to it, as often as wanted; `close` frees it.  It also ends with the object.
    """

    def __init__(self, descriptor: int, cycle: int):
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)
        self.cycle = cycle
        self.nbytes = os.fstat(descriptor).st_size

    def __repr__(self) -> str:
        return f"Snapshot(cycle {self.cycle:,}, {self.nbytes / 1e6:.1f} MB)"

    def close(self) -> None:
        """Frees the memory.  The snapshot cannot be restored afterwards."""
        self._close()

    def begin(self) -> int:
        """The descriptor of its file, at the beginning.  ConfigError if it is closed."""
        if not self._close.alive:
            raise ConfigError(f"the snapshot of cycle {self.cycle:,} is closed")
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return self._descriptor


def image_digest(image: Image) -> str:
    """What determines how a loaded program goes on, besides its state: code, tasks, queues, routes; 32 hex digits."""
    digest = hashlib.blake2b(digest_size=16)

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        else:
            digest.update(repr(value).encode())

    for pe in image.classes:
        for value in (pe.words, pe.task_kind, pe.task_priority, pe.task_pc, pe.control_table(), pe.control_offsets()):
            add(np.asarray(value))
        add((pe.active, pe.blocked, pe.thread_priority, sorted(pe.queues_in.items()), sorted(pe.queues_out.items())))
    add(image.class_of_pe)
    for color in image.colors.values():
        add(int(color))
        plane = image.routes.planes.get(color)
        add(None if plane is None else np.asarray(plane))
    add([filter.fields() for filter in image.routes.filters])
    add((sorted(int(color) for color in image.host_colors), isa.FP16[image.fp16]))
    return digest.hexdigest()


class Snapshots:
    """The part of Fabric that saves and restores its state."""

    image: Image
    width: int
    height: int
    cycle: Any
    _engine: Any
    _options: dict[str, Any]
    _spool: Any
    _states: Any
    check: bool

    def snapshot(self) -> Snapshot:
        """The state now, kept in memory.  It takes as much as the pages of the fabric that are not zero."""
        descriptor = _memory_file()
        try:
            self._engine.save(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return Snapshot(descriptor, self.cycle)

    def save(self, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
        """Saves the state to a file.  OSError if it cannot be written; `path` then keeps what it held.

        about: what else the run depends on, such as the seed of its data; JSON values by name.
        """
        with replacing(path, "w+b", durable=True) as file:
            file.write(json.dumps(self._state_of(about)).encode() + b"\n")
            file.flush()
            file.seek(0, os.SEEK_END)
            self._engine.save(file.fileno())
            file.seek(0)
            digest = _hash(file, None)
            file.seek(0, os.SEEK_END)
            file.write(digest)

    def restore(self, state: Snapshot | str | Path, about: Mapping[str, Any] | None = None) -> None:
        """Goes to a state that was saved from this fabric, or from one of the same program with the same options.

        Streams are those that the saved fabric had.  Raises ConfigError for a file that is damaged, or of another
        fabric or `about`, OSError if it cannot be read; the fabric is then as it was.  RunError if the state cannot
        be read to its end after that: this fabric must not be used any more.
        """
        if self.check:
            raise ConfigError("a checked fabric cannot restore a state: a check must see the whole run")
        if self._spool is not None:
            raise ConfigError(
                "a fabric whose events go to a file while it runs cannot go back: they would be there twice"
            )
        if isinstance(state, Snapshot):
            self._restore(state.begin(), str(state))
            return
        with open(state, "rb") as file:
            self._check(file, str(state), about)
            # the engine reads from the position of the descriptor, not from that of Python's buffer
            os.lseek(file.fileno(), len(_first_line(file, str(state))), os.SEEK_SET)
            self._restore(file.fileno(), str(state))

    def _restore(self, descriptor: int, what: str) -> None:
        try:
            self._engine.restore(descriptor)
            if self._states is not None:
                self._states.went_back()
        except ValueError:
            raise ConfigError(f"{what} is not of a fabric with these options") from None
        except OSError as error:
            raise RunError(
                f"{what} could not be read to its end ({error}): the state of this fabric is lost"
            ) from error

    def _state_of(self, about: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "wse": __version__,
            "tables": tables_digest(),
            "program": image_digest(self.image),
            "width": self.width,
            "height": self.height,
            "cycle": self.cycle,
            "options": self._options | dict(about or {}),
        }

    def _check(self, file: IO[bytes], name: str, about: Mapping[str, Any] | None) -> None:
        """ConfigError if the file is not whole, or not of such a fabric."""
        try:
            header = json.loads(_first_line(file, name))
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ConfigError(f"{name} is no saved state of a fabric")
        check_digest(header.get("tables"), name, "run it again from the start")
        mine = self._state_of(about)
        if header.get("program") != mine["program"]:
            raise ConfigError(f"{name} is the state of another program")
        options = header.get("options")
        for option, value in mine["options"].items():
            there = options.get(option) if isinstance(options, dict) else None
            if there != value:
                raise ConfigError(f"{name} was saved with {option} = {there!r}, here it is {value!r}")
        end = file.seek(0, os.SEEK_END) - _HASH_BYTES
        file.seek(0)
        if end < 0 or _hash(file, end) != file.read(_HASH_BYTES):
            raise ConfigError(f"{name} is damaged: its checksum is wrong")


def saved_options(path: str | Path) -> dict[str, Any]:
    """The options and `about` with which Fabric.save wrote a file.  ConfigError if it is no saved state."""
    with open(path, "rb") as file:
        try:
            header = json.loads(_first_line(file, str(path)))
        except ValueError:
            header = None
    options = header.get("options") if isinstance(header, dict) and header.get("format") == FORMAT else None
    if not isinstance(options, dict):
        raise ConfigError(f"{path} is no saved state of a fabric")
    return options


def check_sum(path: str | Path) -> str:
    """The checksum at the end of a file that Fabric.save wrote, as hexadecimal digits."""
    with open(path, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _HASH_BYTES))
        return file.read().hex()


def _memory_file() -> int:
    """A descriptor of a file without a name: in memory on Linux, elsewhere in the folder of temporary files."""
    if sys.platform == "linux":
        return os.memfd_create("wse")
    descriptor, name = tempfile.mkstemp()
    os.unlink(name)
    return descriptor


def _first_line(file: IO[bytes], name: str) -> bytes:
    file.seek(0)
    line = file.readline(_PART)
    if not line.endswith(b"\n"):
        raise ConfigError(f"{name} is no saved state of a fabric")
    return line


def _hash(file: IO[bytes], length: int | None) -> bytes:
    """BLAKE2 of the next `length` bytes; None: of the rest."""
    digest = hashlib.blake2b(digest_size=_HASH_BYTES)
    while part := file.read(_PART if length is None else min(_PART, length)):
        digest.update(part)
        if length is not None:
            length -= len(part)
    return digest.digest()
