"""Checks that the tested package was built from the sources of this checkout."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PACKAGED = (".py", ".pyi", ".csv", ".toml", ".csl", ".typed")


def build_engine(root: Path = ROOT) -> ModuleType:
    """The module csrc/build_engine.py of a checkout."""
    spec = importlib.util.spec_from_file_location("build_engine", root / "csrc" / "build_engine.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def packaged(folder: Path) -> set[str]:
    """The files of a package, as paths relative to its folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in PACKAGED}


def reason(package: Path, engine_sources: str, root: Path = ROOT) -> str | None:
    """Why tests of the checkout `root` must not run with `package`, the folder that `import wse` found; None if they may.

    `engine_sources` is the digest that the engine holds (wse._engine.SOURCES).  The sentence ends with the command that
    helps.
    """
    installed = package.resolve() != (root / "wse").resolve()
    if installed:
        here, there = packaged(root / "wse"), packaged(package)
        differ = [f"{name} (not installed)" for name in here - there]
        differ += [f"{name} (not in the checkout)" for name in there - here]
        differ += [name for name in here & there if (root / "wse" / name).read_bytes() != (package / name).read_bytes()]
        if differ:
            return (
                f"the package installed in {package} differs from this checkout in {len(differ)} "
                f"file{'s' * (len(differ) > 1)}: {', '.join(sorted(differ)[:5])}{', ...' * (len(differ) > 5)}; "
                "run: pip install .   (or, once, make dev: an editable install)"
            )
    if engine_sources != build_engine(root).source_digest():
        return (
            f"the engine in {package} was built from other sources than this checkout's csrc/; "
            f"run: {'pip install .' if installed else 'python setup.py build_ext --inplace   (or make build)'}"
        )
    return None
