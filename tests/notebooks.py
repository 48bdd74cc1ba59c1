"""Notebooks of docs/examples/notebooks: executed in a new kernel, with outputs that are the same every time."""

import os
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

from documents import PACKAGES, ROOT

FOLDER = ROOT / "docs/examples/notebooks"
PLACES = [(re.compile(r"/\S*ipykernel_\d+/\d+\.py"), "cell.py")]  # a cell's file has another name each time
TIMEOUT = 600  # seconds for a cell


def notebooks() -> list[Path]:
    return sorted(FOLDER.glob("*.ipynb"))


def execute(path: Path) -> Any:
    """The notebook with its outputs.  Raises what a cell raises."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of the libraries of Jupyter, about themselves
        import nbformat
        from nbclient import NotebookClient

        notebook = nbformat.read(path, as_version=4)
        environment = os.environ | {"IPYTHONDIR": folder, "PYTHONPATH": os.pathsep.join([str(PACKAGES), *_paths()])}
        client = NotebookClient(
            notebook, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute(env=environment)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = _joined(cell.outputs)
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = _plain(output.text)
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """What was printed comes in pieces that depend on the time: one piece instead."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last is not None and "text" in output and last.get("name") == output.get("name"):
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _plain(text: str) -> str:
    for pattern, words in PLACES:
        text = pattern.sub(words, text)
    return text


def texts(notebook: Any) -> list[list[str]]:
    """What each cell prints and shows, as text; pictures by their type."""
    found = []
    for cell in notebook.cells:
        shown = []
        for output in cell.get("outputs", []):
            shown.append(output.get("text") or "".join(output.get("data", {}).get("text/plain", output.output_type)))
            shown += sorted(kind for kind in output.get("data", {}) if kind.startswith("image/"))
        found.append(shown)
    return found
