"""docs/check.md: each kind has a section, whose program has the finding that stands below it."""

import re

import pytest
from csl.running import LAYOUT, LIMIT
from documents import ROOT

from wse.check import KINDS, Checker, Suppressions
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.sdk.device import Device

TEXT = (ROOT / "docs/check.md").read_text()
SECTIONS = dict(re.findall(r"(?ms)^## (\w[\w ]*)\n(.*?)(?=^## |\Z)", TEXT))


def block(section: str, language: str) -> str:
    (found,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", SECTIONS[section])
    return found


def test_each_kind_has_a_row_and_a_section():
    rows = re.findall(r"(?m)^\| \[`(\w+)`\]\(#(\w+)\) \| (.*) \|$", TEXT)
    assert rows == [(kind, kind, means) for kind, means in KINDS.items()]
    assert set(KINDS) <= set(SECTIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_has_the_finding(kind, tmp_path):
    (tmp_path / "pe.csl").write_text(block("The programs", "csl") + block(kind, "csl"))
    (tmp_path / "layout.csl").write_text(LAYOUT)
    checker = Checker()
    device = Device(link(compile_program(tmp_path / "layout.csl", "wse3")), check=checker)
    device.launch("main", [])
    device.run(cycles=LIMIT)
    if kind in ("position", "filter"):
        device.launch("main", [])
    found = "\n".join(map(str, checker.findings())).replace(f"{tmp_path}/", "")
    assert found + "\n" == block(kind, "text")


def test_the_suppression_file_is_read(tmp_path):
    (tmp_path / "known.txt").write_text(block("Known findings", "text"))
    assert [line.kind for line in Suppressions.load(tmp_path / "known.txt").lines] == ["bounds", "queue"]
