"""Builds the C engine: each file by itself, in parallel, and only what has changed.

An object file is compiled again when its command, the compiler, or the content of a file that it includes has changed.
Contents are compared by digest, not by time, so that switching between branches and back compiles nothing.

`setup.py` calls `build`; `tests/conftest.py` calls `source_digest`.  The module needs only the standard library, and
Cython when the binding has changed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BINDING = Path("wse/_engine.pyx")

# -ffp-contract=off: a fused a*b+c would give other bits than the machine's two roundings.
# -fno-trapping-math: nothing reads the floating-point exception flags, and without them loops vectorise.
COMPILE = [
    "-std=gnu11",
    "-ffp-contract=off",
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-Wall",
    "-pthread",
    "-Icsrc",
]
RELEASE = ["-O3", "-g0"]
DEBUG = ["-O1", "-g", "-UNDEBUG"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
LINK = ["-pthread", "-lm"]
# The binding converts arguments and lends buffers: it gains nothing from -O3, which doubles its compile time.
BINDING_FLAGS = ["-O1"]
# The stable ABI of Python 3.11, the first that has buffers: the module then serves later versions as well.
STABLE_ABI = ["-DPy_LIMITED_API=0x030B0000"]
DIRECTIVES = {"boundscheck": False, "wraparound": False, "embedsignature": False}

# These take longest to compile, so that they start first.
SLOW = ("csrc/pe/scalar", "csrc/fast/span", "csrc/numeric/element")


class BuildError(Exception):
    """A compiler failed; the message is the command and what it printed."""


class Toolchain(NamedTuple):
    """How this Python compiles and links extension modules."""

    compile: list[str]  # e.g. ["gcc", "-fPIC", ...], completed by flags, -c SOURCE -o OBJECT
    link: Callable[[list[str], str, list[str]], None]  # object files, path of the module, flags
    include: list[str]  # where Python.h lies


def sources() -> list[Path]:
    """All files that the engine is made of, relative to the checkout's root, sorted."""
    names = [path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".c", ".h", ".def")]
    names += [ROOT / BINDING, ROOT / BINDING.with_suffix(".pxd"), ROOT / "setup.py", Path(__file__).resolve()]
    return sorted(path.relative_to(ROOT) for path in names)


def source_digest() -> str:
    """SHA-256 over names and contents of `sources()`: what `wse._engine.SOURCES` says of the engine that was built."""
    total = hashlib.sha256()
    for path in sources():
        total.update(f"{path.as_posix()}\0{_content(ROOT / path)}\n".encode())
    return total.hexdigest()


def flags() -> tuple[list[str], list[str]]:
    """Flags for compiler and linker, by the environment variables WSE_DEBUG and WSE_SANITIZE."""
    sanitize = os.environ.get("WSE_SANITIZE", "0") not in ("", "0")
    debug = sanitize or os.environ.get("WSE_DEBUG", "0") not in ("", "0")
    checks = SANITIZE if sanitize else []
    return [*COMPILE, *(DEBUG if debug else RELEASE), *checks], [*LINK, *checks]


def build(
    tools: Toolchain, target: Path, jobs: int, say: Callable[[str], None] = print, stable_abi: bool = False
) -> None:
    """Brings the extension module `target` up to date.  Raises BuildError with the compiler's output.

    stable_abi: the binding uses Python's stable ABI only.

    Object files are kept in build/engine/FLAGS, a folder for each set of flags, and with each a file of its digest.
    """
    compile_flags, link_flags = flags()
    command = [*tools.compile, *compile_flags]
    folder = ROOT / "build" / "engine" / _digest([*command, *tools.include, _version(tools.compile[0])])[:12]
    folder.mkdir(parents=True, exist_ok=True)

    def binding() -> Path:
        more = [*BINDING_FLAGS, *(STABLE_ABI if stable_abi else [])]
        return _compile(_cython(folder), folder / "_engine.o", [*command, *more, *tools.include], say)

    def stamp() -> Path:
        """The digest as a string in the engine."""
        source = folder / "source_digest.c"
        text = f'#include "wse.h"\nconst char wse_source_digest[] = "{source_digest()}";\n'
        if not source.exists() or source.read_text() != text:
            source.write_text(text)
        return _compile(source, folder / "source_digest.o", command, say)

    files = sorted((ROOT / "csrc").rglob("*.c"), key=lambda path: (not _relative(path).startswith(SLOW), path))
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        work = [pool.submit(binding)]
        for path in files:
            name = _relative(path).replace("/", "-").removesuffix(".c") + ".o"
            work.append(pool.submit(_compile, path, folder / name, command, say))
        work.append(pool.submit(stamp))
        objects = [job.result() for job in work]
    linked = _digest([str(target), *link_flags, *(_content(path) for path in objects)])
    note = folder / f"{target.name}.linked"
    if target.exists() and note.exists() and note.read_text() == f"{linked} {_content(target)}":
        return
    say(f"link {target.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        tools.link([str(path) for path in objects], str(part), link_flags)
        os.replace(part, target)  # a running process keeps the old one
    finally:
        part.unlink(missing_ok=True)
    _content.cache_clear()
    note.write_text(f"{linked} {_content(target)}")


def _cython(folder: Path) -> Path:
    """The binding as C, translated again when it or Cython has changed."""
    from importlib.metadata import version

    result, note = folder / "_engine.c", folder / "_engine.c.digest"
    parts = [_content(ROOT / BINDING), _content(ROOT / BINDING.with_suffix(".pxd")), version("Cython")]
    wanted = _digest([*parts, str(DIRECTIVES)])
    if not (result.exists() and note.exists() and note.read_text() == wanted):
        options = [option for name, value in DIRECTIVES.items() for option in ("-X", f"{name}={value}")]
        line = [sys.executable, "-m", "cython", "-3", *options, "--module-name", "wse._engine", str(BINDING)]
        done = subprocess.run([*line, "-o", str(result)], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"{' '.join(line)}\n{done.stdout}{done.stderr}")
        note.write_text(wanted)
    return result


def _compile(source: Path, result: Path, command: Sequence[str], say: Callable[[str], None]) -> Path:
    """Compiles `source` unless the object file and its digest are up to date."""
    depends, note = result.with_suffix(".d"), result.with_suffix(".digest")
    if result.exists() and note.exists() and depends.exists() and note.read_text() == _state(command, depends):
        return result
    say(f"compile {_relative(source)}")
    part = result.with_suffix(f".{os.getpid()}.part")
    line = [*command, "-MMD", "-MF", str(depends), "-c", _relative(source), "-o", str(part)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        part.unlink(missing_ok=True)
        raise BuildError(f"{' '.join(line)}\n{done.stderr}")
    if done.stderr:
        say(done.stderr)
    os.replace(part, result)
    note.write_text(_state(command, depends))
    return result


def _state(command: Iterable[str], depends: Path) -> str:
    """Digest of a command and of the files that the compiler read, by its dependency file."""
    names = depends.read_text().replace("\\\n", " ").split(": ", 1)[1].split()
    try:
        return _digest([*command, *(f"{name} {_content(ROOT / name)}" for name in names)])
    except FileNotFoundError:
        return "a file is gone"


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
