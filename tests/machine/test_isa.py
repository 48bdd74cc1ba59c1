"""wse.machine.isa: the table, words, the reference.

Covers: csrc/tables/isa.c
"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from says import says

from wse import ProgramError
from wse.machine import isa

ROOT = Path(__file__).resolve().parent.parent.parent


def constants(path: Path) -> dict[str, int]:
    """The constants of a C header's enums, evaluated."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    values: dict[str, int] = {}
    for body in re.findall(r"enum\s*{([^}]*)}", text):
        following = 0
        for entry in filter(None, (part.strip() for part in body.split(","))):
            name, _, value = (part.strip() for part in entry.partition("="))
            if "(" in name:
                continue
            values[name] = eval(value, {}, dict(values)) if value else following
            following = values[name] + 1
    return values


def test_constants_are_those_of_the_header():
    c = constants(ROOT / "csrc" / "tables" / "isa.h")
    assert c["INS_IMMEDIATE"] == isa.IMMEDIATE
    assert c["OPERAND_REGISTER"] == isa.REGISTER
    assert c["OPERAND_NONE"] == isa.NONE
    for prefix in ("OPT_", "DSD_", "ON_CONTROL_"):
        names = {name for name in c if name.startswith(prefix)}
        assert names == {name for name in vars(isa) if name.startswith(prefix)}
        for name in names:
            assert getattr(isa, name) == c[name], name
    assert c["LENGTH_INFINITE"] == isa.LENGTH_INFINITE


def test_table():
    names = [row.name for row in isa.INSTRUCTIONS]
    assert len(set(names)) == len(names)
    assert [row.opcode for row in isa.INSTRUCTIONS] == list(range(len(names)))
    assert isa.instruction("fmacs").types == ("S", "S", "S", "S")
    assert isa.instruction("fmacs").syntax == "fmacs dst, src0, src1, extra"
    assert isa.instruction("iadd16").syntax == "iadd16 dst, a, b or value"
    for row in isa.INSTRUCTIONS:
        assert row.kind == "vector" or row.form in isa.FORMS, row.name
        assert row.effect and not row.effect.endswith("."), row.name
    with says(ProgramError, "there is no instruction 'fmac': did you mean fmacs or fmach or fmachs?"):
        isa.instruction("fmac")


@given(st.integers(0, 2**64 - 1))
def test_any_word_has_fields(word):
    fields = isa.decode(word)
    assert isa.encode(fields.opcode, fields.a, fields.b, fields.imm, fields.immediate) == word
    assert fields.imm & 0xFFFFFFFF == fields.c | fields.d << 8 | fields.options << 16


@pytest.mark.parametrize("row", isa.INSTRUCTIONS, ids=lambda row: row.name)
def test_reference(row):
    entry = isa.reference(row.name)
    assert entry.startswith(f"### {row.name}\n") and row.effect in entry
    assert f"`{row.syntax}`" in isa.reference()
