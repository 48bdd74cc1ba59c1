"""Regenerates files of the repository that are made by programs:

    python tests/record.py              everything
    python tests/record.py traces       traces/*.npz, by the commands in traces/README.md
    python tests/record.py docs         docs/isa.md, kernels.md, csl-features.md, the grammar of CSL, from the tables they describe
    python tests/record.py accuracy     the blocks of README.md and docs/accuracy.md; a few minutes
    python tests/record.py pictures     docs/pictures, by the commands in docs/gallery.md
    python tests/record.py notebooks    the outputs of docs/examples/notebooks; a minute

Prints what changed.  Tests fail if one of these files is out of date.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT), str(ROOT / "tests")]  # an installed package comes first

import made  # noqa: E402
import numpy as np  # noqa: E402
from documents import PACKAGES, commands  # noqa: E402

import wse  # noqa: E402
from wse.machine.digest import tables_digest  # noqa: E402
from wse.sdk import compile  # noqa: E402


def traces() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/traces")
        for words in commands((ROOT / "traces/README.md").read_text()):
            run(words, folder)
        recorded = sorted(Path(folder, "traces").iterdir())
        for path in recorded:
            kept = ROOT / "traces" / path.name
            if changed := difference(kept, path):
                shutil.copyfile(path, kept)
                print(f"traces/{path.name}: {', '.join(changed)}")
        for kept in ROOT.glob("traces/*.npz"):
            if kept.name not in {path.name for path in recorded}:
                print(f"traces/{kept.name}: no command makes it")


def difference(kept: Path, path: Path) -> list[str]:
    """The differences between the runs of two files; `kept` may be missing, or recorded with other tables."""
    if not kept.exists():
        return ["it is new"]
    made = wse.Run.load(path)
    try:
        return wse.Run.load(kept).diff(made)
    except wse.ConfigError:
        with tempfile.TemporaryDirectory() as folder:
            renewed = Path(folder, kept.name)
            with_current_digest(kept, renewed)
            return ["digest of the tables", *wse.Run.load(renewed).diff(made)]


def with_current_digest(kept: Path, renewed: Path) -> None:
    """Copies a run file, with the digest of the current tables.  Opcodes in its events do not change."""
    with np.load(kept) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(arrays["run"].tobytes()) | {"tables": tables_digest()}
    arrays["run"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    np.savez_compressed(renewed, **arrays)


def docs() -> None:
    for name, make in made.DOCUMENTS.items():
        path, text = ROOT / name, make()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"{name}: changed")


def notebook_outputs() -> None:
    import nbformat
    from notebooks import execute, notebooks, texts

    for path in notebooks():
        kept, executed = nbformat.read(path, as_version=4), execute(path)
        if texts(kept) != texts(executed):
            nbformat.write(executed, path)
            print(f"{path.relative_to(ROOT)}: changed")


def accuracy() -> None:
    for name in ("README.md", "docs/accuracy.md"):
        run(["wse", "validate", "--write-docs", name], ROOT)


def pictures() -> None:
    (ROOT / "docs/pictures").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        heat = {"P": 6, "N": 10}
        out = Path(folder) / "out"
        compile.run(compile.Request(ROOT / "docs/examples/heat/layout.csl", heat, arch="wse3", output=out))
        for words in commands((ROOT / "docs/gallery.md").read_text()):
            run([str(out) if word == "out" else word for word in words], ROOT)
            picture = next(word for word in words if word.startswith("docs/pictures/"))
            print(f"{picture}: {(ROOT / picture).stat().st_size:,} bytes")


def run(words: list[str], folder: str | Path) -> None:
    """Runs a command line of `wse`, with the package that this process imports."""
    paths = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])
    line = [sys.executable, "-m", "wse.cli", *words[1:]]
    subprocess.run(line, cwd=folder, env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True)


if __name__ == "__main__":
    parts = {"traces": traces, "docs": docs, "accuracy": accuracy, "pictures": pictures, "notebooks": notebook_outputs}
    for part in sys.argv[1:] or parts:
        parts[part]()
