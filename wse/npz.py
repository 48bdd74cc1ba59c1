"""NumPy archives (.npz): what a file says that it holds is read before any of it is unpacked.

np.load unpacks an array before its size is known to be right, so that a small file can take all memory.  Here the
headers of all arrays are read first; the caller compares them with what it expects, and then reads.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from .records import dataclass

# What zipfile, zlib, json and NumPy raise at bytes that are not theirs, and a reader at values of the wrong kind.
UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, struct.error, AssertionError),
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Entry:
    """An array by its header.  bytes: of the header in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    header_bytes: int

    @property
    def nbytes(self) -> int:
        """Bytes of the array in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


class Archive:
    """An .npz file, open for reading: a context manager.

    entries: headers by name.  ValueError, or another of UNREADABLE, for a file that is none, an array of Python
    objects, and arrays that together exceed this computer's memory.  OSError if it cannot be opened.
    """

    def __init__(self, file: str | Path | IO[bytes]):
        self._file = _open(file) if isinstance(file, str | Path) else file
        try:
            self._zip = zipfile.ZipFile(self._file)
            self.entries: dict[str, Entry] = {}
            for info in self._zip.infolist():
                name = info.filename.removesuffix(".npy")
                if name in self.entries or info.compress_type not in _METHODS:
                    raise ValueError(f"its array {name} is there twice or packed in an unknown way")
                self.entries[name] = self._header(info)
            total = sum(entry.nbytes for entry in self.entries.values())
            memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
            if total > memory:
                raise ValueError(f"its arrays take {total / 1e9:,.1f} GB, and this computer has {memory / 1e9:,.1f} GB")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *error: Any) -> None:
        self._zip.close()
        self._file.close()

    def _header(self, info: zipfile.ZipInfo) -> Entry:
        with self._zip.open(info) as member:
            version = np.lib.format.read_magic(member)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"{info.filename} is of an unknown version")
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(member)
            entry = Entry(shape, dtype, fortran, member.tell())
        if dtype.hasobject:
            raise ValueError(f"{info.filename} holds Python objects")
        if any(n < 0 for n in shape) or entry.nbytes + entry.header_bytes != info.file_size:
            raise ValueError(f"{info.filename} is not as long as it says")
        return entry

    def read(self, name: str) -> np.ndarray:
        """Unpacks an array.  Its checksum is verified."""
        entry = self.entries[name]
        array = np.empty(math.prod(entry.shape), entry.dtype)
        left = array.view(np.uint8).data if array.nbytes else memoryview(b"")
        with self._zip.open(f"{name}.npy") as member:
            member.read(entry.header_bytes)
            while left:
                n = member.readinto(left[: 1 << 24])  # type: ignore[attr-defined]
                if not n:
                    raise ValueError(f"{name} is cut off")
                left = left[n:]
            if member.read(1):
                raise ValueError(f"{name} is longer than it says")
        return array.reshape(entry.shape, order="F" if entry.fortran else "C")


def _open(path: str | Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a named pipe would wait for its other end
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise ValueError("it is no file")
    return os.fdopen(descriptor, "rb")
