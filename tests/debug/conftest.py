"""The example heat, compiled, in a folder with its sources."""

import shutil
from pathlib import Path

import pytest
from documents import ROOT

from wse.sdk import compile

HEAT = ROOT / "docs/examples/heat"


@pytest.fixture(scope="session")
def heat(tmp_path_factory) -> Path:
    """The folder: out, run.py, layout.csl, pe.csl."""
    folder = tmp_path_factory.mktemp("heat")
    for name in ("layout.csl", "pe.csl", "run.py"):
        shutil.copy(HEAT / name, folder)
    compile.run(compile.Request(HEAT / "layout.csl", {"P": 6, "N": 10}, arch="wse3", output=folder / "out"))
    return folder
