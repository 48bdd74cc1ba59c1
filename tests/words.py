"""Hypothesis strategies for instruction words."""

from hypothesis import strategies as st

from wse.machine import isa

WORD = st.integers(0, 2**64 - 1)
REGISTER = st.integers(0, 31)
IMM = st.integers(-(2**31), 2**31 - 1)
DSR = st.integers(0, 47)


def words_of(row: isa.Instruction):
    """Valid words of an instruction, in the layout of csrc/tables/isa.h."""
    r, n = REGISTER, isa.encode
    g = st.integers(0, 32 - row.group)
    op = row.opcode
    if row.kind == "vector":
        operand = DSR | r.map(lambda x: isa.REGISTER + x)
        codes = [
            st.just(isa.NONE) if type == "NONE" else r.map(lambda x: isa.REGISTER + x) if i == 3 else operand
            for i, type in enumerate(row.types)
        ]
        then = st.just(0) | st.tuples(st.sampled_from([1, 2]), st.integers(0, 63)).map(
            lambda t: t[0] << isa.OPT_THEN | t[1] << isa.OPT_TASK
        )
        ut = st.just(0) | st.integers(0, 7).map(lambda x: isa.OPT_UT_GIVEN | x << isa.OPT_UT)
        options = st.builds(lambda a, b, c: a | b | c, st.sampled_from([0, isa.OPT_ASYNC]), ut, then)
        return st.builds(lambda a, b, c, d, o: n(op, a, b, c | d << 8 | o << 16), *codes, options)
    forms = {
        "RRX": st.builds(lambda a, b, c: n(op, a, b, c), r, r, r)
        | st.builds(lambda a, b, i: n(op, a, b, i, True), r, r, IMM),
        "RX": st.builds(lambda a, c: n(op, a, 0, c), g, r) | st.builds(lambda a, i: n(op, a, 0, i, True), g, IMM),
        "RRRR": st.builds(lambda a, b, c, d: n(op, a, b, c | d << 8), r, r, r, r),
        "LD": st.builds(lambda a, b, i: n(op, a, b, i), r, r | st.just(isa.NONE), IMM),
        "BR": st.builds(lambda a, i: n(op, a, 0, i), r, IMM),
        "JMP": st.builds(lambda i: n(op, 0, 0, i), IMM),
        "JR": st.builds(lambda a: n(op, a), r),
        "X": st.builds(lambda c: n(op, 0, 0, c), r) | st.builds(lambda i: n(op, 0, 0, i, True), IMM),
        "XX": st.builds(lambda a, c: n(op, a, 0, c), r, r)
        | st.builds(lambda a, i: n(op, a, 0, i, True), st.integers(0, 255), IMM),
        "DR": st.builds(lambda a, b: n(op, a, b), DSR, g),
        "XR": st.builds(lambda a, b: n(op, a, b), st.integers(0, 15), g),
        "RDT": st.builds(lambda a, b, i: n(op, a, b, i), r, DSR, IMM),
        "NONE": st.just(n(op)),
    }
    forms |= {"ST": forms["LD"], "JAL": forms["BR"], "R": forms["JR"]}
    return forms[row.form]


# Words of any instruction, and arbitrary words, most of which are invalid.
PROGRAM = st.lists(st.one_of([words_of(row) for row in isa.INSTRUCTIONS] + [WORD]), min_size=1, max_size=24)
