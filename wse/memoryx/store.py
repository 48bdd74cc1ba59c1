"""The store: weights, gradients and optimiser state in files that are mapped into memory, and so may be larger than it.

Pages of the files that have been read or written stay in memory until the system needs it for something else, or until
`release`.

A store holds one safetensors file per kind ("weight", "gradient", the optimiser's slots), each with all tensors in
float32, and meta.json.  Any reader of safetensors reads them.  Writes to the arrays are writes to the files.  A store
without a directory has unnamed files: nothing of it is left when the process ends, however it ends.

A checkpoint is a copy of weights and slots that is replaced atomically.  Its files carry a generation number,
`weight.7.safetensors`; meta.json names the generation that counts.  Saving writes the files of the next generation and
brings them to the disk, then replaces meta.json by one rename, then removes files of other generations.  A process that
is killed at any point leaves the old checkpoint or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import mmap
import os
import re
import shutil
import stat
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from .. import files, signals
from ..errors import ConfigError
from ..records import dataclass
from ..tensors import Tensors

F32 = np.dtype("<f4")
WEIGHT, GRADIENT, META = "weight", "gradient", "meta.json"
_HEADER_LIMIT = 100_000_000  # bytes, as the format's own readers have it
_META_LIMIT = 1 << 30  # bytes
_GENERATION = "generation"  # key of meta.json: a checkpoint's; 0: none is complete yet
_LEFT = re.compile(r"\.meta\.[0-9a-f]{8}\.part\.json")  # of a process that was killed while it replaced meta.json
_NUMBERED = re.compile(r"([^\W\d]\w*)\.(\d+)\.safetensors")


@dataclass
class _File:
    """A safetensors file: all its bytes, tensors as views of them, and the mapping that they are of; None: a copy, of a
    file without data."""

    whole: np.ndarray
    arrays: dict[str, np.ndarray]
    mapping: mmap.mmap | None = None


class Store:
    """A set of tensors by kind and name; made by Store.create or Store.open.

    directory: where its files lie, or None.  names: of the tensors, in order.  slots: kinds beside weights and
    gradients.  meta: a dict of JSON values that goes with them, written by flush and save.
    """

    def __init__(self, directory: Path | None, opened: dict[str, _File], meta: dict[str, Any]):
        self.directory, self.meta = directory, meta
        self._files = opened
        self.names = tuple(opened[WEIGHT].arrays)
        self.slots = tuple(kind for kind in opened if kind not in (WEIGHT, GRADIENT))

    @classmethod
    def create(
        cls,
        directory: Path | str | None,
        weights: Mapping[str, np.ndarray],
        slots: Iterable[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Store:
        """A new store with these weights (converted to float32) and slots of zeros.

        directory: made if it does not exist; None: unnamed files in the folder for temporary files.  Weights may be
        lazy: one tensor is read at a time.  The files take their space on the disk at once, so that writing to the
        arrays cannot fail later.  ConfigError if a file exists already, or if the disk has not enough space.
        """
        directory = None if directory is None else Path(directory)
        kinds = (WEIGHT, GRADIENT, *slots)
        for kind in kinds:
            if kinds.count(kind) > 1 or not kind.isidentifier():
                raise ConfigError(f"slots have names of their own, unlike {kind!r}")
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            for name in (META, *(f"{kind}.safetensors" for kind in kinds)):
                if (directory / name).exists():
                    raise ConfigError(f"{directory} holds a store ({name}): choose another directory, or open it")
        shapes = {name: np.shape(weight) for name, weight in weights.items()}
        made: list[Path] = []
        opened = {}
        try:
            for kind in kinds:
                opened[kind] = _map(*_make(directory, kind, shapes, made), writable=True)
            for name, weight in weights.items():
                opened[WEIGHT].arrays[name][...] = weight
                _release(opened[WEIGHT])
            store = cls(directory, opened, dict(meta or {}))
            store.flush()
        except BaseException:
            with signals.held():
                for path in made:
                    path.unlink(missing_ok=True)
            raise
        return store

    @classmethod
    def open(cls, directory: Path | str, mode: Literal["r", "r+"] = "r") -> Store:
        """A store or a checkpoint that is there.

        mode: "r", arrays are read-only and no file is written; "r+", writes go to the files, of a store that was
        created.  Gradients of a checkpoint are zero.  ConfigError where the directory or a file of it is no store.
        """
        directory = Path(directory)
        for left in (2, 1, 0):
            meta = _read_meta(directory)
            try:
                return cls._opened(directory, meta, mode)
            except ConfigError:
                if not left or _read_meta(directory) == meta:
                    raise  # else a checkpoint was replaced meanwhile
        raise AssertionError  # the last try returns or raises

    @classmethod
    def _opened(cls, directory: Path, meta: dict[str, Any], mode: str) -> Store:
        kinds, generation = meta["kinds"], meta.get(_GENERATION)
        if generation == 0:
            raise ConfigError(f"{directory} holds no checkpoint: the process that saved the first one did not finish")
        if generation is not None and mode != "r":
            raise ConfigError(f"{directory} is a checkpoint, which is not written to in place: open it with mode 'r'")
        opened = {}
        for kind in (WEIGHT, *kinds):
            path = directory / _name(kind, generation)
            opened[kind] = _map(path, _regular(path, mode), writable=mode == "r+")
        arrays = opened[WEIGHT].arrays
        shapes = {name: array.shape for name, array in arrays.items()}
        for kind in kinds:
            if {name: array.shape for name, array in opened[kind].arrays.items()} != shapes:
                raise ConfigError(f"{directory / _name(kind, generation)} has other tensors than the weights")
        if GRADIENT not in opened:
            zeros = {name: np.broadcast_to(F32.type(0), shape) for name, shape in shapes.items()}
            opened[GRADIENT] = _File(np.empty(0, np.uint8), zeros)
        return cls(directory, opened, {k: v for k, v in meta.items() if k not in ("kinds", _GENERATION)})

    def weight(self, name: str) -> np.ndarray:
        """float32, the master weights; a view of the file."""
        return self._find(WEIGHT, name)

    def gradient(self, name: str) -> np.ndarray:
        """float32 of the weight's shape; zero in a new store and in a checkpoint."""
        return self._find(GRADIENT, name)

    def slot(self, kind: str, name: str) -> np.ndarray:
        """float32 of the weight's shape: the optimiser's state `kind`."""
        return self._find(kind, name)

    def state(self, name: str) -> dict[str, np.ndarray]:
        """All slots of a tensor, as Optimizer.update takes them."""
        return {kind: self._find(kind, name) for kind in self.slots}

    @property
    def parameters(self) -> int:
        """Elements of all weights."""
        return sum(self.weight(name).size for name in self.names)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, which are the bytes of DRAM that MemoryX needs for them."""
        return 4 * self.parameters * (2 + len(self.slots))

    def flush(self) -> None:
        """Brings everything to the disk; nothing is to be done for a store of unnamed files."""
        if self.directory is None:
            return
        for opened in self._files.values():
            if opened.mapping is not None:
                opened.mapping.flush()
        _write_meta(self.directory, self.meta | {"kinds": [kind for kind in self._files if kind != WEIGHT]})

    def release(self) -> None:
        """Gives the memory of pages back; what they hold is in the files, and is read again when it is asked for."""
        for opened in self._files.values():
            _release(opened)

    @property
    def weights(self) -> Tensors:
        """The master weights by name; each access gives the memory of earlier ones back."""
        return Tensors({name: partial(self._read, WEIGHT, name) for name in self.names})

    def _read(self, kind: str, name: str) -> np.ndarray:
        self.release()
        return self._find(kind, name)

    def save(self, path: Path | str) -> None:
        """Saves a checkpoint: weights, slots and meta, to the bit.

        It replaces the checkpoint that is at `path` atomically; see the head of this module.  The directory belongs to
        the checkpoint: numbered safetensors files of other generations are removed from it.  ConfigError for a path
        that check_path refuses; OSError, with the old checkpoint in place, if a file cannot be written.
        """
        path = Path(path)
        if self.directory is not None and path.resolve() == self.directory.resolve():
            raise ConfigError(f"{path} is where the store itself lies: save to another directory")
        check_path(path)
        if not path.exists():
            path.mkdir(parents=True)
            files.sync_folder(path.parent)
        with _locked(path):
            if not (path / META).exists():
                _write_meta(path, {"kinds": [], _GENERATION: 0})  # the directory is ours from here on
            generation = 1 + max([_read_meta(path)[_GENERATION], *(number for _, number in _numbered(path))])
            made = [path / _name(kind, generation) for kind in (WEIGHT, *self.slots)]
            try:
                for kind, name in zip((WEIGHT, *self.slots), made, strict=True):
                    with open(name, "xb") as file:
                        whole = self._files[kind].whole
                        for at in range(0, len(whole), 1 << 24):
                            file.write(whole[at : at + (1 << 24)].data)
                            self.release()
                        file.flush()
                        os.fsync(file.fileno())
                files.sync_folder(path)
                _write_meta(path, self.meta | {"kinds": [*self.slots], _GENERATION: generation})
                files.sync_folder(path)
            finally:
                with signals.held():
                    now = _read_meta(path)[_GENERATION]
                    for name, number in _numbered(path):
                        if number != now:
                            name.unlink(missing_ok=True)
                    for name in path.iterdir():
                        if _LEFT.fullmatch(name.name):
                            name.unlink(missing_ok=True)

    def copy(self, directory: Path | str | None) -> Store:
        """A new store with the same weights, slots and meta, as `create` makes it; gradients are zero."""
        made = Store.create(directory, self.weights, self.slots, self.meta)
        for kind in self.slots:
            for name in self.names:
                made.slot(kind, name)[...] = self._read(kind, name)
                made.release()
        return made

    def _find(self, kind: str, name: str) -> np.ndarray:
        try:
            return self._files[kind].arrays[name]
        except KeyError:
            have = f"its slots are {', '.join(self.slots) or 'none'}" if kind not in self._files else "see its names"
            where = f"the store {self.directory}" if self.directory else "the store"
            raise ConfigError(f"{where} has no {kind} {name!r}; {have}") from None


def check_path(path: Path | str) -> None:
    """ConfigError where Store.save could not save: something else is there, or the folder cannot be written to."""
    path = Path(path)
    place = path
    if path.exists():
        if not path.is_dir():
            raise ConfigError(f"{path} is a file: a checkpoint is a directory")
        if (path / META).exists():
            if _GENERATION not in _read_meta(path):
                raise ConfigError(f"{path} holds a store, not a checkpoint: choose another directory")
        elif any(_LEFT.fullmatch(entry.name) is None for entry in path.iterdir()):
            raise ConfigError(f"{path} exists and is no checkpoint: choose another directory")
    else:
        while not place.exists() and place != place.parent:
            place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot save a checkpoint to {path}: {place} cannot be written to")


# Names, meta.json, locks.


def _name(kind: str, generation: int | None) -> str:
    return f"{kind}.safetensors" if generation is None else f"{kind}.{generation}.safetensors"


def _numbered(directory: Path) -> list[tuple[Path, int]]:
    """Files of a checkpoint, of any generation."""
    found = [(path, _NUMBERED.fullmatch(path.name)) for path in directory.iterdir()]
    return [(path, int(match[2])) for path, match in found if match is not None]


def _read_meta(directory: Path) -> dict[str, Any]:
    """meta.json, with "kinds" and, of a checkpoint, "generation" checked."""
    try:
        with _regular(directory / META) as file:
            text = file.read(_META_LIMIT + 1)
    except ConfigError:
        if (directory / META).exists():
            raise
        raise ConfigError(f"{directory} holds no store: there is no {META} in it") from None
    try:
        if len(text) > _META_LIMIT:
            raise ValueError
        meta = json.loads(text)
        kinds, generation = meta["kinds"], meta.get(_GENERATION, 1)
        if not isinstance(kinds, list) or not all(isinstance(kind, str) and kind.isidentifier() for kind in kinds):
            raise ValueError
        if WEIGHT in kinds or len(set(kinds)) < len(kinds) or type(generation) is not int or generation < 0:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(f"{directory / META} does not describe a store") from None
    return meta


def _write_meta(directory: Path, meta: dict[str, Any]) -> None:
    with files.replacing(directory / META, durable=True) as file:
        file.write(json.dumps(meta, indent=1).encode())


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time saves to a directory; others wait.  File systems without locks go without."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# Safetensors files: eight bytes with the header's length, the header in JSON, the data.


def _make(
    directory: Path | None, kind: str, shapes: Mapping[str, tuple[int, ...]], made: list[Path]
) -> tuple[Path, IO[bytes]]:
    """A file of float32 zeros, open, with its space reserved; its path is added to `made` if it has one."""
    header: dict[str, Any] = {"__metadata__": {"format": "wse"}}
    at = 0
    for name, shape in shapes.items():
        size = F32.itemsize * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data are aligned
    path = Path(tempfile.gettempdir() if directory is None else directory) / f"{kind}.safetensors"
    file: IO[bytes]
    if directory is None:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # _map closes it
    else:
        file = open(path, "x+b")  # noqa: SIM115
        made.append(path)
    file.write(struct.pack("<Q", len(text)) + text)
    file.flush()
    size = 8 + len(text) + at
    try:
        _reserve(file.fileno(), size)
    except OSError as error:
        file.close()
        free = shutil.disk_usage(path.parent).free
        raise ConfigError(
            f"cannot make {path}: it takes {size / 1e9:,.3f} GB, and the disk has {free / 1e9:,.3f} GB left "
            f"({error.strerror})"
        ) from None
    return path, file


def _reserve(descriptor: int, size: int) -> None:
    """Makes the file `size` bytes long, with blocks on the disk: a write to a mapped page without one, on a disk that
    is full, would end the process by SIGBUS."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        at = os.fstat(descriptor).st_size
        while at < size:
            at += os.pwrite(descriptor, bytes(min(1 << 20, size - at)), at)


def _regular(path: Path, mode: str = "r") -> IO[bytes]:
    """Opens a regular file; "r+" does not follow a symbolic link.  ConfigError for anything else."""
    flags = os.O_RDONLY if mode == "r" else os.O_RDWR | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK)  # a named pipe would wait for its other end
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}, which belongs to the store") from None
    except OSError as error:
        raise ConfigError(f"cannot open {path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigError(f"{path} is no file")
    return os.fdopen(descriptor, "rb" if mode == "r" else "r+b")


def _map(path: Path, file: IO[bytes], writable: bool) -> _File:
    """Maps a safetensors file, and closes it.  ConfigError if it is none."""
    try:
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(_HEADER_LIMIT, size):
            raise ValueError("its header is too long")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        start, end = 8 + length, 0
        for name, entry in header.items():
            if entry["dtype"] != "F32":
                raise ConfigError(f"{name} in {path} is {entry['dtype']}: the store holds float32 (F32) only")
            shape, (begin, stop) = entry["shape"], entry["data_offsets"]
            if not all(type(n) is int and n >= 0 for n in (*shape, begin, stop)) or (start + begin) % F32.itemsize:
                raise ValueError(f"shape or offsets of {name} are wrong")
            elements = 1
            for n in shape:
                elements *= n
            if stop - begin != F32.itemsize * elements or start + stop > size:
                raise ValueError(f"offsets of {name} do not fit its shape or the file")
            end = max(end, stop)
        if size - start != end:
            raise ValueError("cut off")
        mapping = None
        if end:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        else:
            file.seek(0)
        whole = np.frombuffer(mapping if mapping is not None else file.read(), np.uint8)
        arrays = {}
        for name, entry in header.items():
            begin, stop = entry["data_offsets"]
            arrays[name] = whole[start + begin : start + stop].view(F32).reshape(entry["shape"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise ConfigError(f"{path} is no safetensors file, or not all of it: {error}") from None
    finally:
        file.close()  # the mapping stays
    return _File(whole, arrays, mapping)


def _release(opened: _File) -> None:
    if opened.mapping is not None:
        with contextlib.suppress(OSError):  # a file system that keeps pages as it likes
            opened.mapping.madvise(mmap.MADV_DONTNEED)
