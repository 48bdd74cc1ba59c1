"""docs/examples/notebooks: each runs from top to bottom and shows what it holds."""

import json

import pytest
from documents import ROOT
from notebooks import execute, notebooks, texts

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
nbformat = pytest.importorskip("nbformat")


@pytest.mark.slow
@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_holds(path):
    kept = nbformat.read(path, as_version=4)
    assert texts(execute(path)) == texts(kept), "python tests/record.py notebooks"


def test_notebooks_are_valid_small_and_begin_with_a_title():
    paths = notebooks()
    assert len(paths) == 6
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.cells[0].source.startswith("# ")
        assert path.stat().st_size < 400_000
        codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in codes) and sum(bool(cell.outputs) for cell in codes) >= 3


def test_every_notebook_is_described():
    text = (ROOT / "docs/notebooks.md").read_text()
    for path in notebooks():
        title = json.loads(path.read_text())["cells"][0]["source"]
        assert f"(examples/notebooks/{path.name})" in text, title
