"""`python -m wse.sdk.script FILE ARGUMENTS` runs a host program as the SDK's Python does: with NumPy 1.

Also `-c CODE`, `-m MODULE` and `-`, the standard input.  The program, the modules in its folder, and those in folders
that it adds to sys.path are rewritten when they are loaded (wse.sdk.rewriting); other modules are not.  Names that
NumPy 2 removed exist, and numbers print as NumPy 1 prints them.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from traceback import walk_tb
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from ..errors import WseError
from .rewriting import rewrite

NAMES = Path(__file__).parent / "names"  # the modules that host programs import
PACKAGE = Path(__file__).resolve().parents[1]

# Names of NumPy 1 that NumPy 2 does not have, by what they are called now.
OLD_NAMES = {
    "float_": "float64", "complex_": "complex128", "cfloat": "complex128", "singlecomplex": "complex64",
    "longfloat": "longdouble", "longcomplex": "clongdouble", "string_": "bytes_", "unicode_": "str_",
    "Inf": "inf", "Infinity": "inf", "infty": "inf", "NaN": "nan", "PINF": "inf", "product": "prod",
    "cumproduct": "cumprod", "alltrue": "all", "sometrue": "any", "round_": "round", "in1d": "isin",
    "trapz": "trapezoid", "row_stack": "vstack",
}  # fmt: skip


# Packages that host programs of the SDK's examples import: its Python has them, the extra `host` of this one.
OF_HOST = ("pandas", "scipy")


class _Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data, path, *, _optimization: int = -1) -> Any:  # type: ignore[override]
        return rewrite(data, str(path))

    def path_stats(self, path: str) -> Any:
        raise OSError  # what other Pythons compiled without rewriting is not read

    def set_data(self, path: str, data: Any, **_: Any) -> None:
        """Rewritten code is not kept."""


class _Finder:
    """Finds modules in the program's folder, in those that the program adds to sys.path, and in their packages."""

    def __init__(self, folder: Path):
        self.folder = str(folder)
        self.others = {path for path in sys.path if path != self.folder}

    def _is_own(self, path: str) -> bool:
        return path not in self.others

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        if path is not None:
            roots = [root for root in sys.path if self._is_own(root)]
            if not all(any(Path(part).is_relative_to(Path(root).resolve()) for root in roots) for part in path):
                return None
            return self._found(name, list(path))
        for entry in sys.path:  # in its order: what a folder of others has is not ours
            if self._is_own(entry):
                spec = self._found(name, [str(Path(entry).resolve())])
                if spec is not None:
                    return spec
            elif importlib.machinery.PathFinder.find_spec(name, [entry]) is not None:
                return None
        return None

    @staticmethod
    def _found(name: str, folders: list[str]) -> Any:
        for folder in folders:
            finder = importlib.machinery.FileFinder(folder, (_Loader, importlib.machinery.SOURCE_SUFFIXES))
            spec = finder.find_spec(name)
            if spec is not None and spec.loader is not None:
                return spec
        return None


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints an uncaught exception without the frames of this module and of those that call it."""
    files = [frame.f_code.co_filename for frame, _ in walk_tb(trace)]
    for _ in range(files.index(__file__) if __file__ in files else 0):
        assert trace is not None
        trace = trace.tb_next
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        trace = trace.tb_next
    if isinstance(error, WseError | KeyboardInterrupt):
        trace = _without_ours(trace)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in OF_HOST:
        error.add_note("the SDK's Python has it; here: pip install 'wse[host]'")
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The traceback down to the call of this package, if the host program made one."""
    frames = [] if trace is None else list(walk_tb(trace))
    ours = [Path(frame.f_code.co_filename).is_relative_to(PACKAGE) for frame, _ in frames]
    kept = frames[: ours.index(True)] if True in ours[1:] else frames
    made: TracebackType | None = None
    for frame, line in reversed(kept):
        made = TracebackType(made, frame, frame.f_lasti, line)
    return made


def prepare(folder: Path) -> None:
    """Makes the process one of NumPy 1: its names, how it prints, the modules of the program."""
    for old, new in OLD_NAMES.items():
        if old not in vars(np):
            setattr(np, old, getattr(np, new))
    np.set_printoptions(legacy="1.25")
    names = str(NAMES)
    first = [] if sys.flags.safe_path else sys.path[:1]  # where this process was started from
    sys.path[:] = [str(folder), names, *(path for path in sys.path[len(first) :] if path != names)]
    sys.excepthook = _show
    at = next((i for i, finder in enumerate(sys.meta_path) if finder is importlib.machinery.PathFinder), 0)
    sys.meta_path.insert(at, _Finder(folder))


def run(words: Sequence[str]) -> None:
    """Runs the file words[0], or what follows -c, -m or -, as `__main__` with the arguments behind it."""
    first = words[0] if words else "-"
    if first[:2] in ("-c", "-m"):
        text = first[2:] or words[1]
        rest = list(words[1 if first[2:] else 2 :])
        prepare(Path.cwd())
        sys.path[0] = "" if first[1] == "c" else str(Path.cwd())
        sys.argv = [first[:2], *rest]
        if first[1] == "m":
            runpy.run_module(text, run_name="__main__", alter_sys=True)
        else:
            _execute(text, "<string>")
        return
    if first == "-":
        prepare(Path.cwd())
        sys.argv = list(words) or [""]
        _execute(sys.stdin.read(), "<stdin>")
        return
    path = Path(first)
    try:
        source = path.read_bytes()
    except OSError as error:
        sys.exit(f"cs_python: can't open file {first!r}: {error.strerror}")
    prepare(path.resolve().parent)
    sys.argv = list(words)
    _execute(source, str(path), __file__=str(path))


def _execute(source: str | bytes, name: str, **names: Any) -> None:
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=__builtins__, **names)
    sys.modules["__main__"] = main
    exec(rewrite(source, name), main.__dict__)


if __name__ == "__main__":
    run(sys.argv[1:])
