"""Places of the source, and the instructions they mean."""

from pathlib import Path

import pytest

from wse import _engine
from wse.csl.artifact import Artifact
from wse.debug.lines import Lines
from wse.errors import ConfigError


@pytest.fixture(scope="module")
def lines(heat) -> Lines:
    return Lines(Artifact.load(heat / "out"), [heat])


def test_places(lines):
    relax = lines.find("75")
    assert relax.name == "pe.csl:75" == lines.find("pe.csl:74").name
    for index, starts in relax.starts.items():
        assert [lines.where(index, pc).line for pc in relax.whole[index]] == [75] * len(relax.whole[index])
        assert starts == [relax.whole[index][0]]
    for index, starts in lines.find("arrived").starts.items():
        assert [lines.where(index, pc)[1:2] + lines.where(index, pc)[3:] for pc in starts] == [(67, "arrived")]
    assert all(lines.where(i, pcs[0]).line == 75 for i, pcs in lines.find("relax").starts.items())  # it is inlined
    assert set(lines.find("*3").starts) == set(range(len(lines.artifact.classes)))


def test_names_and_texts(lines, heat):
    where = lines.where(1, 0)
    assert lines.describe(where, 0) == "pe.csl:67 in arrived"
    assert lines.line(where.file, 67) == "  here += 1;" and lines.path(where.file) is not None
    assert lines.where(0, 10**6).file == -1 and lines.describe(lines.where(0, 10**6), 10**6) == "instruction 1000000"
    code = lines.has_code(where.file)
    assert 67 in code and 71 not in code and code == sorted(code)
    other = Lines(lines.artifact, [Path("/nowhere")])
    other.folders = [Path("/nowhere")]
    assert other.text(where.file) == [] or Path(lines.artifact.files[where.file]).is_absolute()


def test_marks(lines):
    marks, numbers = lines.marks({3: lines.find("75"), 5: lines.find("75"), 8: lines.find("67")})
    for index, of_class in marks.items():
        for pc, mark in enumerate(of_class.tolist()):
            line = lines.where(index, pc).line
            wanted = {75: [3, 5], 67: [8]}.get(line)
            assert (numbers[mark & (_engine.MARK_FIRST - 1)] if mark else None) == wanted
        assert (of_class >= _engine.MARK_FIRST).sum() == 2


@pytest.mark.parametrize("text", ["pe.csl:500", "nothing", "*100000", "*x", "other.csl:3", "pe.csl:x", ""])
def test_errors(lines, text):
    with pytest.raises(ConfigError):
        lines.find(text)
