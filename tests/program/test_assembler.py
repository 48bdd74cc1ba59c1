"""wse.program.assembler: text to words and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from says import says
from words import WORD, words_of

from wse import AsmError, assemble, disassemble
from wse.machine import isa
from wse.program.assembler import disassemble_word


@pytest.mark.parametrize("row", isa.INSTRUCTIONS, ids=lambda row: row.name)
def test_valid_words_round_trip(row):
    @settings(max_examples=20)
    @given(st.lists(words_of(row), min_size=1, max_size=8))
    def check(words):
        text = disassemble(words)
        assert ".word" not in text
        assert text.split()[0].startswith("L") or text.split()[0] == row.name
        assert assemble(text).words.tolist() == words

    check()


@given(st.lists(WORD, max_size=12))
def test_any_words_round_trip(words):
    assert assemble(disassemble(words)).words.tolist() == words


@given(
    st.lists(st.builds(lambda op, rest: op | rest << 16, st.integers(0, 2**8), st.integers(0, 2**48 - 1)), max_size=12)
)
def test_words_that_nearly_decode_round_trip(words):
    assert assemble(disassemble(words)).words.tolist() == words


@given(st.binary(max_size=400))
def test_random_bytes_as_words(data):
    words = np.frombuffer(data[: len(data) // 8 * 8], np.uint64)
    assert (assemble(disassemble(words)).words == words).all()


@given(st.text(alphabet="rdabx0123456789 ,[]{}+-.:=\nLfmacsjldt/", max_size=80) | st.text(max_size=40))
def test_random_text_is_refused_politely(text):
    try:
        words = assemble(text).words
    except AsmError as error:
        assert str(error).startswith("line ")
    else:
        assert (assemble(disassemble(words)).words == words).all()


def word(text: str, **names) -> int:
    (only,) = assemble(text, **names).words
    return int(only)


def test_operands():
    i = isa.INSTRUCTION
    assert word("iadd16 r1, r2, r3") == isa.encode(i["iadd16"].opcode, 1, 2, 3)
    assert word("iadd16 r1, r2, -5") == isa.encode(i["iadd16"].opcode, 1, 2, -5, True)
    assert word("mov r1, 0xffffffff") == isa.encode(i["mov"].opcode, 1, 0, -1, True)
    assert word("mov r1, r31") == isa.encode(i["mov"].opcode, 1, 0, 31)
    assert word("sfma r1, r2, r3, r4") == isa.encode(i["sfma"].opcode, 1, 2, 3 | 4 << 8)
    assert word("ld16 r1, [r2+4]") == isa.encode(i["ld16"].opcode, 1, 2, 4)
    assert word("ld16 r1, [r2 - 4]") == isa.encode(i["ld16"].opcode, 1, 2, -4)
    assert word("st32 r3, [A + 8]", symbols={"A": 100}) == isa.encode(i["st32"].opcode, 3, isa.NONE, 108)
    assert word("ld8 r3, [A+r4-1]", symbols={"A": 100}) == isa.encode(i["ld8"].opcode, 3, 4, 99)
    assert word("ldds a3, r4") == isa.encode(i["ldds"].opcode, 19, 4)
    assert word("iqbind 2, red", colors={"red": 5}) == isa.encode(i["iqbind"].opcode, 2, 0, 5, True)
    assert word("activate r3") == isa.encode(i["activate"].opcode, 0, 0, 3)
    fmacs = isa.encode(i["fmacs"].opcode, 0, 16, 32 | (isa.REGISTER + 5) << 8)
    assert word("fmacs d0, a0, b0, r5") == fmacs
    options = (
        isa.OPT_ASYNC | isa.OPT_UT_GIVEN | 1 << isa.OPT_UT | isa.OPT_THEN_ACTIVATE << isa.OPT_THEN | 9 << isa.OPT_TASK
    )
    assert word("fmacs d0, a0, b0, r5 {async, ut=1, activate=end}", tasks={"end": 9}) == fmacs | options << 48
    assert word("dfilt a0") == isa.encode(i["dfilt"].opcode, isa.NONE, 16, isa.NONE | isa.NONE << 8)


def test_floats():
    def imm(text, fp16="f16"):
        return isa.decode(word(f"mov r1, {text}", fp16=fp16)).imm & 0xFFFFFFFF

    assert imm("1.5s") == 0x3FC00000 and imm("-2s") == 0xC0000000 and imm("1e-3s") == 0x3A83126F
    assert imm("infs") == 0x7F800000 and imm("-infs") == 0xFF800000
    assert imm("1.5h") == 0x3E00 and imm("-infh") == 0xFC00 and imm("1e9h") == 0x7C00
    assert imm("1.5h", "bf16") == 0x3FC0
    assert imm("1.5h", "cb16") == 42 << 9 | 0x100


def test_labels_and_scopes():
    text = """
    a:  // the first
        nop
    .loop: bz r1, .end
        jmp .loop
    .end:
    b: jmp .loop
    .loop: jmp a.loop
    """
    assembly = assemble(text)
    assert assembly.labels == {"a": 0, "a.loop": 1, "a.end": 3, "b": 3, "b.loop": 4}
    assert [isa.decode(w).imm for w in assembly.words] == [0, 3, 1, 4, 1]
    assert assembly.lines.tolist() == [3, 4, 5, 7, 8]


def test_a_name_stands_for_what_its_place_calls_for():
    names = {"symbols": {"go": 64}, "tasks": {"go": 9}, "colors": {"go": 5}}
    text = "go: mov r1, go\n activate go\n jmp go\n tdexit go\n ld16 r1, [go]\n fmovs d0, a0 {activate=go}"
    words = assemble(text, **names).words
    assert [isa.decode(w).imm for w in words[:5]] == [64, 9, 0, 5, 64]
    assert isa.decode(words[5]).options >> isa.OPT_TASK == 9
    assert isa.decode(assemble("activate go", symbols={"go": 7}).words[0]).imm == 7


def test_macros():
    expected = "ld32 r28, [64]\nld32 r29, [68]\nld32 r30, [72]\nld32 r31, [76]\n"
    assert assemble("dsr b2, A", {"A": 64}).words.tolist() == assemble(expected + "ldds b2, r28").words.tolist()
    assert assemble("xdsr x2, A", {"A": 64}).words.tolist() == assemble(expected + "ldxd x2, r28").words.tolist()
    assert assemble("f: call f\n ret").words.tolist() == assemble("f: jal r27, f\n jr r27").words.tolist()
    assert assemble("dsr b2, A", {"A": 64}).lines.tolist() == [1] * 5


def test_disassembly_marks_targets():
    text = "L0:\n    bz r1, L2\n    jmp L0\nL2:\n"
    words = assemble(text).words
    assert disassemble(words) == text
    assert disassemble_word(int(words[1])) == "jmp 0"
    assert disassemble(assemble("jmp 100").words) == "    jmp 100\n"
    assert disassemble([0x7FFF]) == "    .word 0x0000000000007fff\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fmac d0, a0, b0, r5", "line 1: there is no instruction 'fmac': did you mean fmacs or fmach or fmachs?"),
        ("\nnop r1", "line 2: nop takes 0 operands (nop), not 1"),
        ("mov r1", "line 1: mov takes 2 operands (mov dst, src or value), not 1"),
        ("mov r32, 1", "line 1: 'r32' is not a register: r0 to r31"),
        ("mov 1, r3", "line 1: '1' is not a register: r0 to r31"),
        ("mov r1, ", "line 1: an operand is missing in 'mov r1,'"),
        ("mov r1, A", "line 1: unknown name 'A': no names are known"),
        ("mov r1, 0x100000000", "line 1: 0x100000000 does not fit 32 bits"),
        ("mov r1, 1 2", "line 1: '1 2' is not a value"),
        ("mov r1, 1 {async}", "line 1: only vector operations take options, not mov"),
        ("fmovs d16, a0", "line 1: 'd16' is not a DSR: d0 to d15, a0 to a15 or b0 to b15"),
        ("fmacs d0, a0, b0, b1", "line 1: the fourth operand of fmacs is a register, not 'b1'"),
        ("fmovs d0, a0 {fast}", "line 1: unknown option 'fast': async, ut=N, activate=TASK or unblock=TASK are known"),
        ("fmovs d0, a0 {ut=8}", "line 1: a microthread is 0 to 7, not 8"),
        (
            "fmovs d0, a0 {activate=1, unblock=2}",
            "line 1: the option 'unblock=2' repeats or contradicts another",
        ),
        ("ldds d0, r29", "line 1: ldds takes 4 registers from r29: there are none beyond r31"),
        ("colorld r31, 3", "line 1: colorld takes 2 registers from r31: there are none beyond r31"),
        ("ldxd x16, r1", "line 1: 'x16' is not an XDSR: x0 to x15"),
        ("iqbind r1, 3", "line 1: iqbind takes two registers or two values, not one of each"),
        ("iqbind 256, 3", "line 1: the first value is 0 to 255, not 256"),
        ("ld16 r1, r2", "line 1: 'r2' is not a place in memory: [r2+4], [A+4] or [r2]"),
        ("ld16 r1, [r2+r3]", "line 1: '[r2+r3]' has more than a base register and an offset"),
        ("jmp .x", "line 1: there is no label .x after the start"),
        ("a: jmp .x", "line 1: there is no label .x after a"),
        (".x: nop", "line 1: the local label .x has no label before it"),
        ("a: nop\na: nop", "line 2: the label a is defined twice"),
        ("r1: nop", "line 1: r1 is a register and cannot be a label"),
        ("dsr d0", "line 1: dsr takes a DSR and a descriptor's name, not 'dsr d0'"),
        (".word 0x10000000000000000", "line 1: .word takes one number of 64 bits"),
        ("mov r1, [", "line 1: '[' is not a value"),
        ("}", "line 1: '}' is not an instruction"),
        ("maim: jmp main", "line 1: unknown name 'main': did you mean maim?"),
    ],
)
def test_errors(text, message):
    with says(AsmError, message) as caught:
        assemble(text)
    assert caught.value.line == message.count("\n") + int(message.split(":")[0].removeprefix("line "))
