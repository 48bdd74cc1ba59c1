"""`python -m wse.sdk.script FILE ARGUMENTS` runs a host program with NumPy 1's promotion of scalars.

See wse.sdk.promotion. The program and the modules beside it are rewritten when they are loaded; other modules are not.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from .promotion import rewrite


class _Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data, path, *, _optimization: int = -1) -> Any:  # type: ignore[override]
        return rewrite(data, str(path))

    def path_stats(self, path: str) -> Any:
        raise OSError  # what other Pythons compiled without rewriting is not read

    def set_data(self, path: str, data: Any, **_: Any) -> None:
        """Rewritten code is not kept."""


class _Finder:
    """Finds modules in one folder and the packages in it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        folders = [str(self.folder)] if path is None else [p for p in path if Path(p).is_relative_to(self.folder)]
        for folder in folders:
            finder = importlib.machinery.FileFinder(folder, (_Loader, importlib.machinery.SOURCE_SUFFIXES))
            spec = finder.find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints an uncaught exception without the frames of this module."""
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


def run(words: Sequence[str]) -> None:
    """Runs the file words[0] as `__main__` with the arguments words[1:]."""
    path = Path(words[0])
    folder = path.resolve().parent
    try:
        source = path.read_bytes()
    except OSError as error:
        sys.exit(f"cs_python: can't open file {str(path)!r}: {error.strerror}")
    main = ModuleType("__main__")
    main.__dict__.update(__file__=str(path), __builtins__=__builtins__)
    sys.modules["__main__"] = main
    sys.argv = list(words)
    sys.path[0] = str(folder)
    sys.excepthook = _show
    sys.meta_path.insert(0, _Finder(folder))
    exec(rewrite(source, str(path)), main.__dict__)


if __name__ == "__main__":
    run(sys.argv[1:])
