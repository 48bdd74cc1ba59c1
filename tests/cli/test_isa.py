"""`wse isa`, `wse arch`, `wse asm`, `wse disasm`.

Covers: wse/cli/arch.py, wse/cli/asm.py, wse/cli/disasm.py
"""

import json
import re
import tomllib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shell import sh

from wse import Machine
from wse.machine import isa
from wse.machine.parameters import PARAMETERS

PROGRAM = """\
main:
    mov r1, 3
.loop:
    fmacs d0, a0, b0, r5 {async, ut=1, activate=9}
    isub16 r1, r1, 1
    bnz r1, .loop
    done
"""


def test_isa_lists_every_instruction():
    lines = sh("isa").stdout.splitlines()
    names = {line.split()[0] for line in lines if line}
    assert {row.name for row in isa.INSTRUCTIONS} <= names


def test_isa_of_one_kind():
    result = sh("isa", "--kind", "system").stdout
    assert "activate register or value" in result and "faddh" not in result


def test_isa_page_of_a_vector_operation():
    assert sh("isa", "fmach").stdout.splitlines() == [
        "fmach dst, src0, src1, extra",
        "",
        "    dst = src0 + src1 * extra, rounded once",
        "",
        "kind              vector",
        f"opcode            {isa.INSTRUCTION['fmach'].opcode} (0x{isa.INSTRUCTION['fmach'].opcode:03x})",
        "operands          dst 16-bit float, src0 16-bit float, src1 16-bit float, extra 16-bit float",
        "elements a cycle  4 on WSE-2, 8 on WSE-3, before limits of memory and fabric",
        "flops             2 per element",
        "options           {async, ut=N, activate=TASK} or {..., unblock=TASK}",
        "encoding          bits 0..15 opcode",
        "                  dst: bits 16..23",
        "                  src0: bits 24..31",
        "                  src1: bits 32..39",
        "                  extra: bits 40..47",
        "                  options: bits 48..63",
    ]


def test_isa_page_of_a_scalar_instruction():
    result = sh("isa", "hadd").stdout
    assert "latency   2 (fp_latency)" in result
    assert "b: register bits 32..39, value bits 32..63" in result
    assert "branch_not_taken), 6 (branch_taken)" in sh("isa", "bnz").stdout


@pytest.mark.parametrize("row", isa.INSTRUCTIONS, ids=lambda row: row.name)
def test_isa_pages_agree_with_the_assembler(row):
    """Every instruction has a page, and no two operands claim the same bits."""
    page = json.loads(sh("isa", row.name, "--json").stdout)
    assert page["opcode"] == row.opcode and page["effect"] == row.effect
    taken = []
    for line in page["encoding"]:
        first, last = line.split("bits ")[1].split(",")[0].split("..")
        taken += range(int(first), int(last) + 1)
    assert len(taken) == len(set(taken)) and all(16 <= bit < 64 for bit in taken)


def test_isa_json_is_all_rows():
    rows = json.loads(sh("isa", "--json").stdout)
    assert [row["name"] for row in rows] == [row.name for row in isa.INSTRUCTIONS]
    (fadds,) = (row for row in rows if row["name"] == "fadds")
    assert fadds["lanes"] == {"wse2": 2, "wse3": 4} and fadds["types"] == ["S", "S", "S"]


def test_isa_markdown():
    assert sh("isa", "--markdown").stdout.startswith("## Vector operations\n\n| instruction |")
    assert sh("isa", "mov", "--markdown").stdout.startswith("### mov\n")


def test_an_unknown_instruction_names_its_neighbors():
    result = sh("isa", "fmacz")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: there is no instruction 'fmacz': did you mean fmacs")


def test_arch_shows_every_number_with_source_and_confidence():
    lines = sh("arch").stdout.splitlines()
    assert lines[0].split() == ["name", "wse2", "wse3", "silicon", "unit", "range", "sure", "meaning", "source"]
    shown = {line.split()[0]: line for line in lines[1:] if line}
    for row in PARAMETERS:
        assert row.source in shown[row.name] and f" {row.confidence} " in shown[row.name]


def test_arch_in_a_narrow_terminal(monkeypatch):
    monkeypatch.setattr("wse.cli.arch.is_narrow", lambda: True)
    lines = sh("arch", "wse3").stdout.splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith("hop_cycles "))
    (hop,) = (row for row in PARAMETERS if row.name == "hop_cycles")
    assert lines[place].split() == ["hop_cycles", str(hop.wse3), hop.unit, "1..7", hop.confidence]
    assert lines[place + 1] == f"    {hop.meaning}; {hop.source}"


def test_arch_of_one_machine_with_changes(tmp_path):
    file = tmp_path / "machine.toml"
    file.write_text("[params]\nramp_in_cycles = 6\n")
    result = json.loads(sh("arch", "wse2", "--machine", file, "--set", "hop_cycles=0x7", "--json").stdout)
    values = {row["name"]: row["value"] for row in result["parameters"]}
    assert (result["arch"], result["profile"]) == ("wse2", "simulator")
    expected = Machine("wse2", overrides={"ramp_in_cycles": 6, "hop_cycles": 7})
    assert values == dict(expected.params)
    assert "7*" in sh("arch", "wse2", "--set", "hop_cycles=7").stdout


def test_arch_json_of_all_has_three_columns():
    result = json.loads(sh("arch", "--json").stdout)
    (hop,) = (row for row in result["parameters"] if row["name"] == "hop_cycles")
    assert hop["values"] == {"wse2": 1, "wse3": 2, "silicon": 2}
    assert set(hop) == {
        *("name", "values", "unit", "least", "most", "limits", "confidence", "source", "meaning"),
    }
    assert (hop["least"], hop["most"]) == (1, 7) and hop["limits"].startswith("a wavelet moves at most once a cycle")


def test_arch_toml_is_a_file_for_machine(tmp_path):
    text = sh("arch", "wse3", "--profile", "silicon", "--toml", "--set", "hop_cycles=5").stdout
    assert tomllib.loads(text) == {"machine": "wse3", "profile": "silicon", "params": {"hop_cycles": 5}}
    everything = re.sub(r"(?m)^# (?=\w+ = \d+$)", "", text)
    file = tmp_path / "machine.toml"
    file.write_text(everything)
    assert len(Machine.load(file).overrides) == len(PARAMETERS)
    assert Machine.load(file).params == Machine("wse3", "silicon", {"hop_cycles": 5}).params


def test_asm_and_disasm_round_trip(tmp_path):
    source, binary = tmp_path / "p.s", tmp_path / "p.bin"
    source.write_text(PROGRAM)
    words = sh("asm", source).stdout
    assert all(len(line) == 16 for line in words.splitlines()) and len(words.splitlines()) == 5
    assert sh("asm", source, "-o", binary).stdout == ""
    assert np.frombuffer(binary.read_bytes(), "<u8").tolist() == [int(line, 16) for line in words.splitlines()]
    text = sh("disasm", binary).stdout
    assert "fmacs d0, a0, b0, r5 {async, ut=1, activate=9}" in text
    assert sh("asm", "-", input=text).stdout == words
    assert sh("disasm", "-", input=words).stdout == text


def test_asm_json_and_names(tmp_path):
    source = tmp_path / "p.s"
    source.write_text("start:\n  ld16 r1, [A+2]\n  done\n")
    result = json.loads(sh("asm", source, "--define", "A=0x100", "--json").stdout)
    assert result["labels"] == {"start": 0} and result["lines"] == [2, 3]
    assert int(result["words"][0], 16) >> 32 == 0x102


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("done\nfoo r1\n", "p.s: line 2: there is no instruction 'foo'"),
        ("mov r99, 1\n", "p.s: line 1: "),
        ("ld16 r1, [A]\n", "p.s: line 1: unknown name 'A'"),
    ],
)
def test_asm_errors_name_file_and_line(tmp_path, text, line):
    (tmp_path / "p.s").write_text(text)
    result = sh("asm", tmp_path / "p.s")
    assert result.exit_code == 2 and line in result.stderr and result.stderr.count("\n") == 1


def test_asm_of_bytes_that_are_no_text(tmp_path):
    (tmp_path / "p.s").write_bytes(b"\xff\xfe\x00")
    result = sh("asm", tmp_path / "p.s")
    assert result.exit_code == 2
    assert result.stderr == f"error: {tmp_path}/p.s is not text: `wse disasm` reads instruction words\n"


def test_disasm_of_what_is_no_program(tmp_path):
    (tmp_path / "p.bin").write_bytes(b"1234567")
    result = sh("disasm", tmp_path / "p.bin")
    assert result.exit_code == 2 and "holds 7 bytes, not a whole number of 64-bit words" in result.stderr
    result = sh("disasm", "-", input="0 1 // two words\nxyz\n")
    assert result.exit_code == 2 and "line 2: 'xyz' is not a word of 64 bits in hex" in result.stderr


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=64))
def test_random_bytes_disassemble_and_assemble_again(tmp_path, data):
    data = data[: len(data) // 8 * 8]
    (tmp_path / "p.bin").write_bytes(data)
    text = sh("disasm", tmp_path / "p.bin")
    assert text.exit_code == 0
    (tmp_path / "p.s").write_text(text.stdout)
    assert sh("asm", tmp_path / "p.s", "-o", tmp_path / "q.bin").exit_code == 0
    assert (tmp_path / "q.bin").read_bytes() == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=64))
def test_random_bytes_as_text_are_a_line_or_a_program(tmp_path, data):
    (tmp_path / "p.s").write_bytes(data)
    for command in ("asm", "disasm"):
        result = sh(command, tmp_path / "p.s")
        assert result.exit_code == 0 or (result.exit_code, result.stderr.count("\n")) == (2, 1)
