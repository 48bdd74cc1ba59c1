"""The store: weights, gradients and optimiser state in files that are mapped into memory, and so may be larger than it.

A store is a directory of safetensors files, one per kind ("weight", "gradient", the optimiser's slots), each with all
tensors in float32, and meta.json.  Any reader of safetensors reads them.  Writes to the arrays are writes to the files.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError

F32 = np.dtype("<f4")
WEIGHT, GRADIENT, META = "weight", "gradient", "meta.json"
_HEADER_LIMIT = 100_000_000  # bytes, as the format's own readers have it


class Store:
    """A directory of tensors; made by Store.create or Store.open.

    names: of the tensors, in order.  meta: what goes with them (a dict of JSON values), written by flush and save.
    """

    def __init__(self, directory: Path, files: dict[str, dict[str, np.ndarray]], meta: dict[str, Any]):
        self.directory, self.meta = directory, meta
        self._files = files
        self.names = tuple(files[WEIGHT])
        self.slots = tuple(kind for kind in files if kind not in (WEIGHT, GRADIENT))

    @classmethod
    def create(
        cls,
        directory: Path | str,
        weights: Mapping[str, np.ndarray],
        slots: Iterable[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> Store:
        """A new store with these weights (converted to float32), and slots of zeros, in a directory that is made.

        Weights may be lazy: one tensor is looked at at a time.  ConfigError if the directory holds a store.
        """
        directory = Path(directory)
        if (directory / META).exists():
            raise ConfigError(f"{directory} holds a store: choose another directory, or open it")
        directory.mkdir(parents=True, exist_ok=True)
        shapes = {name: np.shape(weight) for name, weight in weights.items()}
        kinds = (WEIGHT, GRADIENT, *slots)
        for kind in kinds:
            if kinds.count(kind) > 1 or not kind.isidentifier():
                raise ConfigError(f"slots have names of their own, unlike {kind!r}")
            _make(directory / f"{kind}.safetensors", shapes)
        files = {kind: _map(directory / f"{kind}.safetensors") for kind in kinds}
        for name, weight in weights.items():
            files[WEIGHT][name][...] = weight
        store = cls(directory, files, dict(meta or {}))
        store.flush()
        return store

    @classmethod
    def open(cls, directory: Path | str) -> Store:
        """A store that is there: one that was created, or a checkpoint, which is then written to in place.

        ConfigError where the directory or a file of it is no store.
        """
        directory = Path(directory)
        try:
            meta = json.loads((directory / META).read_text())
            kinds = meta.pop("kinds")
        except FileNotFoundError:
            raise ConfigError(f"{directory} holds no store: there is no {META} in it") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(f"{directory / META} does not describe a store") from None
        weights = _map(directory / f"{WEIGHT}.safetensors")
        shapes = {name: array.shape for name, array in weights.items()}
        if not (directory / f"{GRADIENT}.safetensors").exists():  # checkpoints have none
            _make(directory / f"{GRADIENT}.safetensors", shapes)
        files = {WEIGHT: weights}
        for kind in kinds:
            files[kind] = _map(directory / f"{kind}.safetensors")
            if {name: array.shape for name, array in files[kind].items()} != shapes:
                raise ConfigError(f"{directory / kind}.safetensors has other tensors than {WEIGHT}.safetensors")
        return cls(directory, files, meta)

    def weight(self, name: str) -> np.ndarray:
        """float32, the master weights; a view of the file."""
        return self._find(WEIGHT, name)

    def gradient(self, name: str) -> np.ndarray:
        """float32 of the weight's shape; zero in a new store and in one that was opened from a checkpoint."""
        return self._find(GRADIENT, name)

    def slot(self, kind: str, name: str) -> np.ndarray:
        """float32 of the weight's shape: the optimiser's state `kind`."""
        return self._find(kind, name)

    def state(self, name: str) -> dict[str, np.ndarray]:
        """All slots of a tensor, as Optimizer.update takes them."""
        return {kind: self._find(kind, name) for kind in self.slots}

    @property
    def parameters(self) -> int:
        return sum(self.weight(name).size for name in self.names)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, which are the bytes of DRAM that MemoryX needs for them."""
        return 4 * self.parameters * (2 + len(self.slots))

    def flush(self) -> None:
        """Everything to the files, and they to the disk."""
        for arrays in self._files.values():
            mapped = next((array for array in arrays.values() if isinstance(array, np.memmap)), None)
            if mapped is not None:
                mapped.flush()  # the whole file's
        _write_meta(self.directory, self.meta | {"kinds": [kind for kind in self._files if kind != WEIGHT]})

    def save(self, path: Path | str) -> None:
        """A checkpoint: weights, slots and meta, to the bit; Store.open takes it.  It replaces one that is there only
        when it is complete, so that an interruption leaves the old or the new one."""
        path = Path(path)
        if path.resolve() == self.directory.resolve():
            raise ConfigError(f"{path} is where the store itself lies: save to another directory")
        if path.exists() and not (path / META).exists():
            raise ConfigError(f"{path} exists and is no checkpoint: choose another directory")
        self.flush()
        fresh = path.with_name(path.name + ".part")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for kind in (WEIGHT, *self.slots):
            shutil.copyfile(self.directory / f"{kind}.safetensors", fresh / f"{kind}.safetensors")
        _write_meta(fresh, self.meta | {"kinds": [GRADIENT, *self.slots]})
        old = path.with_name(path.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
        shutil.rmtree(old, ignore_errors=True)

    def _find(self, kind: str, name: str) -> np.ndarray:
        try:
            return self._files[kind][name]
        except KeyError:
            have = f"its slots are {', '.join(self.slots) or 'none'}" if kind not in self._files else "see its names"
            raise ConfigError(f"the store {self.directory} has no {kind} {name!r}; {have}") from None


def _write_meta(directory: Path, meta: dict[str, Any]) -> None:
    fresh = directory / f"{META}.part"
    fresh.write_text(json.dumps(meta, indent=1))
    os.replace(fresh, directory / META)


def _make(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A safetensors file of float32 zeros: eight bytes with the header's length, the header in JSON, the data."""
    header: dict[str, Any] = {"__metadata__": {"format": "wse"}}
    at = 0
    for name, shape in shapes.items():
        size = F32.itemsize * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data are aligned
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)  # zeros, which take no room on the disk until they are written


def _map(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file as views of one mapping."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _HEADER_LIMIT:
                raise ValueError("header too long")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        start, size = 8 + length, path.stat().st_size
        ends = [entry["data_offsets"][1] for entry in header.values()]
        if size - start != max(ends, default=0):
            raise ValueError("cut off")
        whole = np.memmap(path, np.uint8, mode="r+") if ends and max(ends) else np.empty(size, np.uint8)
        arrays = {}
        for name, entry in header.items():
            if entry["dtype"] != "F32":
                raise ConfigError(f"{name} in {path} is {entry['dtype']}: the store holds float32 (F32) only")
            begin, end = entry["data_offsets"]
            arrays[name] = whole[start + begin : start + end].view(F32).reshape(entry["shape"])
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}, which belongs to the store") from None
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise ConfigError(f"{path} is no safetensors file, or not all of it: {error}") from None
    return arrays
