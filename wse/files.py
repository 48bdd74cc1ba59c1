"""Files that a command writes: each appears under its name when it is whole, or not at all.

A file is written beside its place under a temporary name, `.STEM.XXXXXXXX.part.SUFFIX`, then renamed: a reader sees the
old file or the new one, and of several writers the last one wins.  kill -9 may leave such a temporary file behind.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from . import signals

written: list[str] = []  # files that this process has written, for what an interrupted command says


@contextmanager
def replacing(path: str | Path, mode: str = "wb", durable: bool = False, **options: Any) -> Iterator[IO[Any]]:
    """A file, open for writing, that replaces `path` at the end of the block, unless the block raises.

    mode, options: of `open`.  durable: the file is on the disk (fsync) before it gets its name.  OSError with `path` as
    its filename if it cannot be written.
    """
    with replacing_path(path) as fresh, open(fresh, mode, **options) as file:
        yield file
        if durable:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def replacing_path(path: str | Path) -> Iterator[Path]:
    """As `replacing`, for a writer that takes a name: the block writes to the path that it is given."""
    target = Path(os.path.realpath(path))  # a symbolic link stays, and what it points to is replaced
    if _is_device(target):  # /dev/stdout, a named pipe
        yield target
        return
    fresh = target.with_name(f".{target.stem}.{os.urandom(4).hex()}.part{target.suffix}")
    try:
        yield fresh
        with contextlib.suppress(FileNotFoundError):  # a new file has the mode that the umask gives
            os.chmod(fresh, stat.S_IMODE(target.stat().st_mode))
        os.replace(fresh, target)
        written.append(str(path))
    except OSError as error:
        if error.filename not in (None, fresh, str(fresh)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        with signals.held(), contextlib.suppress(OSError):
            os.unlink(fresh)


def write_text(path: str | Path, text: str) -> None:
    """Replaces a text file, UTF-8."""
    with replacing(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Replaces a binary file."""
    with replacing(path) as file:
        file.write(data)


def sync_folder(path: str | Path) -> None:
    """Makes names that were created, renamed or removed in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_device(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
