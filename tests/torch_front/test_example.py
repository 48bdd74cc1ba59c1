"""docs/examples/torch/digits.py, with few images: the losses of the fabric beside PyTorch's."""

import re
import runpy
import sys

import pytest
from documents import ROOT

pytest.importorskip("torch")
pytest.importorskip("sklearn")


def test_the_vision_transformer_learns_as_in_pytorch(monkeypatch, capsys):
    words = "digits.py --epochs 2 --images 32 --batch 16 --layers 1"
    monkeypatch.setattr(sys, "argv", words.split())
    runpy.run_path(str(ROOT / "docs/examples/torch/digits.py"), run_name="__main__")
    printed = capsys.readouterr().out
    rows = re.findall(r"(?m)^ +(\d+) +([\d.]+) +([\d.]+) +[+-]", printed)
    assert [row[0] for row in rows] == ["1", "2"]
    for _, ours, theirs in rows:
        assert abs(float(ours) - float(theirs)) < 2e-3
    assert float(rows[1][1]) < float(rows[0][1])
    assert re.search(r"last passes: [\d,]+ cycles forward, [\d,]+ backward", printed)
