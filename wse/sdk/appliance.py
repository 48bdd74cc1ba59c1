"""What programs for a cluster import from `cerebras.sdk.client`, on this computer: compile, stage, run, fetch.

A compiled artifact is one file, .tar.gz: the files of the code directory and the directory that cslc wrote.  A launcher
unpacks it to a directory of its own and runs commands there.  There is no system: everything runs on the emulator.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import ConfigError, ProgramError
from . import runtime
from .messages import Messages

CMADDR = "%CMADDR%"
_CLUSTER = {"mgmt_namespace": str, "resource_cpu": int, "resource_mem": int, "disable_version_check": bool}
_UNPACKED = ("out.json", "out.npz")  # what a directory of cslc holds


def environment() -> dict[str, str]:
    """The environment of commands: those of this package are found."""
    made = dict(os.environ)
    home = str(Path(__file__).resolve().parents[2])
    if home not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        made["PYTHONPATH"] = os.pathsep.join(filter(None, [home, made.get("PYTHONPATH", "")]))
    made["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), made.get("PATH", os.defpath)])
    return made


def check_cluster(options: dict[str, Any], what: str) -> None:
    """The options that choose a cluster's resources: they are checked, and there is no cluster."""
    for name, value in options.items():
        if name not in _CLUSTER:
            raise TypeError(f"{what} has no option {name}: its options are {', '.join(_CLUSTER)}")
        kind = _CLUSTER[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            raise ConfigError(f"{name} of {what} is of type {kind.__name__}, not {value!r}")


class _Managed:
    """Something that is used in a `with` statement, with a directory of its own."""

    _directory: Path | None = None

    def __enter__(self) -> Any:
        self._directory = Path(tempfile.mkdtemp(prefix="wse-appliance-"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    @property
    def directory(self) -> Path:
        if self._directory is None:
            name = type(self).__name__
            raise ConfigError(f"{name} is used in a `with` statement: with {name}(...) as name:")
        return self._directory


class SdkCompiler(_Managed):
    """Compiles with cslc."""

    def __init__(self, **cluster: Any):
        check_cluster(cluster, "SdkCompiler")

    def compile(self, codedir: str, layout: str, args: str = "", outdir: str = ".") -> str:
        """Compiles the layout of a code directory with arguments of cslc; returns the path of the artifact.

        outdir: the directory to put it into, or its own path.
        """
        source, work = Path(codedir), self.directory / "code"
        if not source.is_dir():
            raise ConfigError(f"there is no code directory {codedir}")
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(source, work, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.tar.gz"), symlinks=True)
        command = [sys.executable, "-P", "-m", "wse.cli.cslc", layout, *shlex.split(args)]
        done = subprocess.run(command, cwd=work, env=environment(), capture_output=True, text=True)
        sys.stdout.write(done.stdout)
        if done.returncode:
            raise ProgramError(done.stderr.strip().removeprefix("error: "))
        sys.stderr.write(done.stderr)
        return str(_packed(work, Path(outdir)).resolve())


def _packed(work: Path, out: Path) -> Path:
    """The directory as one file."""
    files = sorted(path for path in work.rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(work)).encode() + b"\0" + path.read_bytes())
    if not out.name.endswith((".tar.gz", ".tgz")):
        out.mkdir(parents=True, exist_ok=True)
        out /= f"cs_{digest.hexdigest()[:16]}.tar.gz"
    with tarfile.open(out, "w:gz") as archive:
        for path in files:
            archive.add(path, str(path.relative_to(work)))
    return out


def unpack(artifact: str | Path, into: Path) -> None:
    """The files of an artifact, or a copy of a directory."""
    path = Path(artifact)
    if path.is_dir():
        shutil.copytree(path, into, dirs_exist_ok=True, symlinks=True)
        return
    try:
        with tarfile.open(path) as archive:
            archive.extractall(into, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise ConfigError(
            f"{artifact} is no compiled artifact ({error}): SdkCompiler.compile returns its path"
        ) from None


class SdkLauncher(_Managed):
    """Runs commands in a directory that holds the artifact."""

    def __init__(self, artifact_path: str, simulator: bool = False, **cluster: Any):
        check_cluster(cluster, "SdkLauncher")
        self.artifact_path, self.simulator = artifact_path, simulator

    def __enter__(self) -> SdkLauncher:
        super().__enter__()
        if not self.simulator:
            Messages().warning("there is no system: the program runs on the emulator")
        try:
            unpack(self.artifact_path, self.directory)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def stage(self, artifact_path: str) -> None:
        """Copies a file or a directory to the directory of the commands."""
        source = Path(artifact_path)
        if not source.exists():
            raise ConfigError(f"there is no file {artifact_path} to stage")
        target = self.directory / source.resolve().name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)

    def run(self, *commands: str) -> str:
        """Runs shell commands one after the other; returns what they printed.

        %CMADDR% becomes the empty address, which is the emulator's.  A command that fails ends it with an exception.
        """
        printed = []
        for command in commands:
            if not isinstance(command, str):
                raise ConfigError(f"a command of SdkLauncher.run is a string, not {command!r}")
            line = re.sub(rf"([\"']){CMADDR}\1", '""', command).replace(CMADDR, "''")
            done = subprocess.run(
                ["sh", "-c", line], cwd=self.directory, env=environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            printed.append(done.stdout)
            if done.returncode:
                raise ProgramError(f"{command!r} ended with status {done.returncode}:\n{done.stdout.rstrip()}")
        return "".join(printed)

    def download_artifact(self, artifact_name: str, out_path: str) -> str:
        """Copies a file from the directory of the commands, or packs a directory, .tar.gz; returns the file's name."""
        root = self.directory.resolve()
        source = (root / artifact_name).resolve()
        if not source.is_relative_to(root) or not source.exists():
            raise ConfigError(f"the commands left no {artifact_name}")
        target = Path(out_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            target = target / source.name if target.is_dir() else target
            shutil.copy2(source, target)
            return str(target)
        target = target if target.name.endswith((".tar.gz", ".tgz")) else target.with_name(f"{target.name}.tar.gz")
        with tarfile.open(target, "w:gz") as archive:
            archive.add(source, source.name)
        return str(target)


class SdkRuntime(runtime.SdkRuntime):
    """SdkRuntime of an artifact, in a `with` statement: it loads and starts the program, and stops it at the end."""

    def __init__(self, artifact_path: str, simulator: bool = False, **cluster: Any):
        check_cluster(cluster, "SdkRuntime")
        with tempfile.TemporaryDirectory(prefix="wse-appliance-") as folder:
            unpack(artifact_path, Path(folder))
            found = sorted(path.parent for path in Path(folder).rglob(_UNPACKED[0]) if _is_compiled(path.parent))
            if len(found) != 1:
                names = ", ".join(str(path.relative_to(folder)) for path in found) or "none"
                raise ConfigError(
                    f"{artifact_path} holds one directory of a compiled program, not {len(found)} ({names})"
                )
            super().__init__(found[0])
        self._artifact_path = Path(artifact_path).resolve()
        self.directory = self._artifact_path.parent  # for what a run writes
        if not simulator:
            Messages().warning("there is no system: the program runs on the emulator")

    def load(self) -> None:
        super().load()
        runtime.devices[self._artifact_path] = self.device  # for debug_util, by the artifact's name


def _is_compiled(directory: Path) -> bool:
    return all((directory / name).is_file() for name in _UNPACKED)
