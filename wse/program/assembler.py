"""The text form of programs: assemble and disassemble.

One instruction a line.  `name:` is a label and may stand before an instruction; a label that starts with `.` belongs
to the label before it that does not.  `//` starts a comment.  Operands are separated by commas:

    r0..r31                     registers
    d0..d15  a0..a15  b0..b15   DSRs of the destination, source 0 and source 1 file;  x0..x15 XDSRs
    7  0x1f  -3                 numbers;  1.5h  1.5s  infh  nans: bits of a 16-bit float of the program, of an f32
    A  A+8  finish  red  loop   address of an array or descriptor, number of a task or color, index of a label
    [r2+4]  [A+4]  [r2]         memory, in bytes
    {async, ut=1, activate=finish}   options of a vector operation, after its operands: async, ut, activate or unblock

Macro-instructions: `dsr d0, name` and `xdsr x0, name` load a descriptor from memory (through r28..r31); `call f` is
`jal r27, f`, `ret` is `jr r27`.  `.word 0x...` is any 64 bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import NamedTuple

import numpy as np

from .. import _engine
from ..errors import AsmError, did_you_mean
from ..machine import isa
from ..records import dataclass


class Assembly(NamedTuple):
    """Assembled code; made by `assemble`.

    - words: uint64 [n], one word per instruction.
    - labels: index of an instruction by label; local labels are named `global.local`.
    - lines: int32 [n], line of the text of each word, from 1.
    """

    words: np.ndarray
    labels: dict[str, int]
    lines: np.ndarray


class Statement(NamedTuple):
    """One instruction whose names are not resolved yet."""

    name: str
    operands: tuple[str, ...]
    options: tuple[str, ...]
    line: int
    scope: str  # the global label before it


@dataclass
class Source:
    """A parsed text.  The number of its instructions is known; its names are not resolved yet."""

    statements: list[Statement] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)


def assemble(
    text: str,
    symbols: Mapping[str, int] | None = None,
    *,
    colors: Mapping[str, int] | None = None,
    tasks: Mapping[str, int] | None = None,
    fp16: str = "f16",
) -> Assembly:
    """Assembles a text; the module's docstring describes its syntax.

    - symbols: byte address by name; colors, tasks: number by name.
    - fp16: 16-bit float format of the text's immediates: "f16", "bf16" or "cb16".

    A name is looked up first where its position requires it (a branch target among labels, `activate` among tasks,
    `iqbind` among colors), then among symbols, colors, tasks and labels.  Raises AsmError with the line of the error.

        >>> import wse
        >>> code = wse.assemble("main: ld32 r1, [count] \\n iadd32 r1, r1, 1 \\n done", symbols={"count": 64})
        >>> len(code.words), code.labels
        (3, {'main': 0})
    """
    return encode(parse(text), symbols or {}, colors or {}, tasks or {}, fp16)


def parse(text: str) -> Source:
    """The statements and labels of a text.  Raises AsmError with the line of a syntax error."""
    source = Source()
    scope = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("//", 1)[0].strip()
        while match := _LABEL.match(line):
            label, line = match[1], line[match.end() :].lstrip()
            if not label.startswith("."):
                scope = label
            elif not scope:
                raise AsmError(f"line {number}: the local label {label} has no label before it", number)
            full = scope + label if label.startswith(".") else label
            if _REGISTER.fullmatch(full):
                raise AsmError(f"line {number}: {full} is a register and cannot be a label", number)
            if full in source.labels:
                raise AsmError(f"line {number}: the label {full} is defined twice", number)
            source.labels[full] = len(source.statements)
        if line:
            source.statements += _statements(line, number, scope)
    return source


def encode(
    source: Source, symbols: Mapping[str, int], colors: Mapping[str, int], tasks: Mapping[str, int], fp16: str
) -> Assembly:
    """The words of a parsed text.  Arguments and errors as of `assemble`."""
    encoder = _Encoder(symbols, colors, tasks, source.labels, fp16)
    words = np.array([encoder.word(s) for s in source.statements], np.uint64)
    return Assembly(words, dict(source.labels), np.array([s.line for s in source.statements], np.int32))


def disassemble(words: Iterable[int]) -> str:
    """Text that assembles to exactly these words, 64-bit integers.  Invalid instructions are written as `.word`."""
    words = [int(word) for word in words]
    texts = [disassemble_word(word) for word in words]
    targets = {}
    for i, (word, text) in enumerate(zip(words, texts, strict=True)):
        fields = isa.decode(word)
        if text.startswith(".word") or isa.INSTRUCTIONS[fields.opcode].form not in _TARGET_FORMS:
            continue
        if 0 <= fields.imm <= len(words):
            targets[i] = fields.imm
    marked = set(targets.values())
    lines = []
    for i, text in enumerate(texts):
        if i in marked:
            lines.append(f"L{i}:")
        if i in targets:
            text = text[: text.rindex(" ") + 1] + f"L{targets[i]}"
        lines.append("    " + text)
    if len(words) in marked:
        lines.append(f"L{len(words)}:")
    return "".join(line + "\n" for line in lines)


def disassemble_word(word: int) -> str:
    """One word as text, with targets and addresses as numbers."""
    fields = isa.decode(word)
    try:
        row = isa.INSTRUCTIONS[fields.opcode]
        text = f"{row.name} {_vector_text(row, fields) if row.kind == 'vector' else _TEXT[row.form](fields)}".rstrip()
        (statement,) = _statements(text, 0, "")
        if _Encoder({}, {}, {}, {}, "f16").word(statement) == int(word):
            return text
    except (IndexError, KeyError, AsmError):
        pass  # no such opcode, a form without a text, or fields that no text has: falls through to the raw word
    return f".word 0x{int(word):016x}"


# --- parsing ----------------------------------------------------------------------------------------------------------

_LABEL = re.compile(r"(\.?[A-Za-z_][\w.]*)\s*:")
_LINE = re.compile(r"(?P<name>\.?\w+)\s*(?P<operands>[^{}]*?)\s*(?:\{(?P<options>[^{}]*)\})?")
_REGISTER = re.compile(r"r(\d{1,3})")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|\d{1,20}")
_FLOAT = re.compile(r"([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|inf|nan))([hs])")
_TERM = re.compile(r"\s*([-+]?)\s*(0[xX][0-9a-fA-F]{1,16}|\d{1,20}|\.?[A-Za-z_][\w.]*)")
_TARGET_FORMS = {"BR", "JMP", "JAL", "RDT"}
_MACRO_REGISTER = 28  # r28..r31 hold a descriptor on its way to a DSR
_CALL_LINK = 27


def _statements(line: str, number: int, scope: str) -> list[Statement]:
    match = _LINE.fullmatch(line)
    if not match:
        raise AsmError(f"line {number}: {line!r} is not an instruction", number)
    name = match["name"]
    operands = tuple(part.strip() for part in match["operands"].split(",")) if match["operands"] else ()
    options: tuple[str, ...] = ()
    if match["options"] is not None:
        options = tuple(part.strip() for part in match["options"].split(","))
    if "" in operands or "" in options:
        raise AsmError(f"line {number}: an operand is missing in {line!r}", number)
    expand = _MACROS.get(name)
    if expand is None:
        return [Statement(name, operands, options, number, scope)]
    if len(operands) != expand[0] or options:
        raise AsmError(f"line {number}: {name} takes {expand[1]}, not {line!r}", number)
    return [Statement(op, args, (), number, scope) for op, args in expand[2](*operands)]


def _load(op: str):
    def expand(to: str, name: str):
        for i in range(4):
            yield "ld32", (f"r{_MACRO_REGISTER + i}", f"[{name}+{4 * i}]")
        yield op, (to, f"r{_MACRO_REGISTER}")

    return expand


_MACROS = {
    "dsr": (2, "a DSR and a descriptor's name", _load("ldds")),
    "xdsr": (2, "an XDSR and a descriptor's name", _load("ldxd")),
    "call": (1, "a label", lambda target: [("jal", (f"r{_CALL_LINK}", target))]),
    "ret": (0, "no operand", lambda: [("jr", (f"r{_CALL_LINK}",))]),
}

# --- encoding ---------------------------------------------------------------------------------------------------------

# Where a name of the value operand is looked up first, by the column `names` of isa.def.
_SPACES = {"VALUE": "symbol", "TASK": "task", "COLOR": "color"}


class _Encoder:
    """Encodes statements as words, with the values of names."""

    def __init__(self, symbols, colors, tasks, labels, fp16):
        self.spaces = {"symbol": symbols, "color": colors, "task": tasks, "label": labels}
        self.fp16 = fp16

    def word(self, s: Statement) -> int:
        self.s = s
        if s.name == ".word":
            return self.raw(s)
        row = isa.INSTRUCTION.get(s.name)
        if row is None:
            raise self.error(f"there is no instruction {s.name!r}: {did_you_mean(s.name, isa.INSTRUCTION)}")
        wanted = len(row.operands)
        if len(s.operands) != wanted:
            raise self.error(f"{s.name} takes {wanted} operands ({row.syntax}), not {len(s.operands)}")
        if row.kind == "vector":
            return self.vector(row, s)
        if s.options:
            raise self.error(f"only vector operations take options, not {s.name}")
        encode = getattr(self, "form_" + row.form, None)
        if encode is None:
            raise self.error(
                f"the assembler cannot write {s.name}: its form {row.form} has no form_{row.form} in assembler.py"
            )
        return encode(row.opcode, *s.operands)

    def raw(self, s: Statement) -> int:
        if len(s.operands) != 1 or not _NUMBER.fullmatch(s.operands[0]) or not 0 <= int(s.operands[0], 0) < 1 << 64:
            raise self.error(".word takes one number of 64 bits")
        return int(s.operands[0], 0)

    def vector(self, row: isa.Instruction, s: Statement) -> int:
        given = iter(s.operands)
        codes = [
            isa.NONE if type == "NONE" else self.vector_operand(next(given), i) for i, type in enumerate(row.types)
        ]
        imm = codes[2] | codes[3] << 8 | self.options(s.options) << 16
        return isa.encode(row.opcode, codes[0], codes[1], imm)

    def vector_operand(self, text: str, place: int) -> int:
        if _REGISTER.fullmatch(text):
            return isa.REGISTER + self.register(text)
        if place == 3:
            raise self.error(f"the fourth operand of {self.s.name} is a register, not {text!r}")
        return self.dsr(text)

    def options(self, given: tuple[str, ...]) -> int:
        bits, seen = 0, set()
        for option in given:
            name, _, value = (part.strip() for part in option.partition("="))
            name = "then" if name in ("activate", "unblock") else name
            if name in seen:
                raise self.error(f"the option {option!r} repeats or contradicts another")
            seen.add(name)
            if option == "async":
                bits |= isa.OPT_ASYNC
            elif name == "ut" and value:
                bits |= isa.OPT_UT_GIVEN | self.number(value, 0, 7, "a microthread") << isa.OPT_UT
            elif name == "then" and value:
                then = isa.OPT_THEN_ACTIVATE if option.startswith("activate") else isa.OPT_THEN_UNBLOCK
                bits |= then << isa.OPT_THEN | self.number(value, 0, 63, "a task", "task") << isa.OPT_TASK
            else:
                raise self.error(f"unknown option {option!r}: async, ut=N, activate=TASK or unblock=TASK are known")
        return bits

    # One function per form of isa.def.

    def form_RRX(self, op, dst, a, b):
        if _REGISTER.fullmatch(b):
            return isa.encode(op, self.register(dst), self.register(a), self.register(b))
        return isa.encode(op, self.register(dst), self.register(a), self.value(b), immediate=True)

    def form_RX(self, op, dst, src):
        to = self.group(dst)
        if _REGISTER.fullmatch(src):
            return isa.encode(op, to, 0, self.register(src))
        return isa.encode(op, to, 0, self.value(src), immediate=True)

    def form_RRRR(self, op, dst, a, b, c):
        return isa.encode(op, self.register(dst), self.register(a), self.register(b) | self.register(c) << 8)

    def form_LD(self, op, register, memory):
        base, offset = self.memory(memory)
        return isa.encode(op, self.register(register), base, offset)

    form_ST = form_LD

    def form_BR(self, op, register, target):
        return isa.encode(op, self.register(register), 0, self.target(target))

    form_JAL = form_BR

    def form_JMP(self, op, target):
        return isa.encode(op, 0, 0, self.target(target))

    def form_JR(self, op, register):
        return isa.encode(op, self.register(register))

    form_R = form_JR

    def form_X(self, op, value):
        if _REGISTER.fullmatch(value):
            return isa.encode(op, 0, 0, self.register(value))
        return isa.encode(op, 0, 0, self.value(value), immediate=True)

    def form_XX(self, op, first, second):
        registers = [bool(_REGISTER.fullmatch(text)) for text in (first, second)]
        if all(registers):
            return isa.encode(op, self.register(first), 0, self.register(second))
        if any(registers):
            raise self.error(f"{self.s.name} takes two registers or two values, not one of each")
        return isa.encode(op, self.number(first, 0, 255, "the first value"), 0, self.value(second), immediate=True)

    def form_DR(self, op, dsr, register):
        return isa.encode(op, self.dsr(dsr), self.group(register))

    def form_XR(self, op, xdsr, register):
        match = re.fullmatch(r"x(\d{1,3})", xdsr)
        if not match or int(match[1]) >= isa.DSRS:
            raise self.error(f"{xdsr!r} is not an XDSR: x0 to x15")
        return isa.encode(op, int(match[1]), self.group(register))

    def form_RDT(self, op, register, dsr, target):
        return isa.encode(op, self.register(register), self.dsr(dsr), self.target(target))

    def form_NONE(self, op):
        return isa.encode(op)

    # Operands.

    def register(self, text: str) -> int:
        match = _REGISTER.fullmatch(text)
        if not match or int(match[1]) >= _engine.REGISTERS:
            raise self.error(f"{text!r} is not a register: r0 to r31")
        return int(match[1])

    def group(self, text: str) -> int:
        number, size = self.register(text), isa.INSTRUCTION[self.s.name].group
        if number + size > _engine.REGISTERS:
            raise self.error(f"{self.s.name} takes {size} registers from {text}: there are none beyond r31")
        return number

    def dsr(self, text: str) -> int:
        match = re.fullmatch(rf"([{isa.DSR_FILES}])(\d{{1,3}})", text)
        if not match or int(match[2]) >= isa.DSRS:
            raise self.error(f"{text!r} is not a DSR: d0 to d15, a0 to a15 or b0 to b15")
        return isa.DSR_FILES.index(match[1]) * isa.DSRS + int(match[2])

    def memory(self, text: str) -> tuple[int, int]:
        if not (text.startswith("[") and text.endswith("]")):
            raise self.error(f"{text!r} is not a place in memory: [r2+4], [A+4] or [r2]")
        base, offset = isa.NONE, 0
        for sign, term in self.terms(text[1:-1]):
            if _REGISTER.fullmatch(term):
                if base != isa.NONE or sign == "-":
                    raise self.error(f"{text!r} has more than a base register and an offset")
                base = self.register(term)
            else:
                offset += self.term(sign, term, "symbol")
        return base, self.bits32(offset, text)

    def target(self, text: str) -> int:
        return self.value(text, "label")

    def value(self, text: str, first: str | None = None) -> int:
        if match := _FLOAT.fullmatch(text):
            return self.float_bits(float(match[1]), match[2])
        if first is None:
            first = _SPACES.get(isa.INSTRUCTION[self.s.name].names, "symbol")
        return self.bits32(sum(self.term(sign, term, first) for sign, term in self.terms(text)), text)

    def number(self, text: str, low: int, high: int, what: str, first: str = "symbol") -> int:
        number = sum(self.term(sign, term, first) for sign, term in self.terms(text))
        if not low <= number <= high:
            raise self.error(f"{what} is {low} to {high}, not {text}")
        return number

    def terms(self, text: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TERM.match(text, at)
            if not match or (found and not match[1]):
                break
            found.append((match[1], match[2]))
            at = match.end()
        if not found or at < len(text):
            raise self.error(f"{text!r} is not a value")
        return found

    def term(self, sign: str, term: str, first: str) -> int:
        number = int(term, 16 if "x" in term.lower() else 10) if term[0].isdigit() else self.name(term, first)
        return -number if sign == "-" else number

    def name(self, name: str, first: str) -> int:
        labels = self.spaces["label"]
        if name.startswith("."):
            if self.s.scope + name in labels:
                return labels[self.s.scope + name]
            raise self.error(f"there is no label {name} after {self.s.scope or 'the start'}")
        for space in (first, *self.spaces):
            if name in self.spaces[space]:
                return int(self.spaces[space][name])
        known = [known for space in self.spaces.values() for known in space]
        raise self.error(f"unknown name {name!r}: {did_you_mean(name, known)}")

    def float_bits(self, value: float, kind: str) -> int:
        with np.errstate(over="ignore"):
            single = np.array([value], np.float32)
        bits = single.view(np.uint32) if kind == "s" else _engine.s2h(isa.FP16[self.fp16], single)
        return int(bits[0])

    def bits32(self, value: int, text: str) -> int:
        if not -(1 << 31) <= value < 1 << 32:
            raise self.error(f"{text} does not fit 32 bits")
        return value

    def error(self, sentence: str) -> AsmError:
        return AsmError(f"line {self.s.line}: {sentence}", self.s.line)


# --- disassembly ------------------------------------------------------------------------------------------------------


def _dsr(code: int) -> str:
    if code >= len(isa.DSR_FILES) * isa.DSRS:
        raise IndexError(code)
    return f"{isa.DSR_FILES[code // isa.DSRS]}{code % isa.DSRS}"


def _memory(fields: isa.Fields) -> str:
    if fields.b == isa.NONE:
        return f"[{fields.imm}]"
    return f"[r{fields.b}{fields.imm:+d}]" if fields.imm else f"[r{fields.b}]"


def _source(fields: isa.Fields) -> str:
    return str(fields.imm) if fields.immediate else f"r{fields.c}"


def _vector_text(row: isa.Instruction, fields: isa.Fields) -> str:
    codes = (fields.a, fields.b, fields.c, fields.d)
    operands = [
        f"r{code - isa.REGISTER}" if isa.REGISTER <= code < isa.NONE else _dsr(code)
        for code, type in zip(codes, row.types, strict=True)
        if type != "NONE"
    ]
    bits, options = fields.options, []
    if bits & isa.OPT_ASYNC:
        options.append("async")
    if bits & isa.OPT_UT_GIVEN:
        options.append(f"ut={bits >> isa.OPT_UT & 7}")
    then = bits >> isa.OPT_THEN & 3
    if then in (isa.OPT_THEN_ACTIVATE, isa.OPT_THEN_UNBLOCK):
        word = "activate" if then == isa.OPT_THEN_ACTIVATE else "unblock"
        options.append(f"{word}={bits >> isa.OPT_TASK & 63}")
    return ", ".join(operands) + (f" {{{', '.join(options)}}}" if options else "")


_TEXT = {
    "RRX": lambda f: f"r{f.a}, r{f.b}, {_source(f)}",
    "RX": lambda f: f"r{f.a}, {_source(f)}",
    "RRRR": lambda f: f"r{f.a}, r{f.b}, r{f.c}, r{f.d}",
    "LD": lambda f: f"r{f.a}, {_memory(f)}",
    "ST": lambda f: f"r{f.a}, {_memory(f)}",
    "BR": lambda f: f"r{f.a}, {f.imm}",
    "JMP": lambda f: f"{f.imm}",
    "JAL": lambda f: f"r{f.a}, {f.imm}",
    "JR": lambda f: f"r{f.a}",
    "X": _source,
    "XX": lambda f: f"{f.a}, {f.imm}" if f.immediate else f"r{f.a}, r{f.c}",
    "DR": lambda f: f"{_dsr(f.a)}, r{f.b}",
    "XR": lambda f: f"x{f.a}, r{f.b}",
    "RDT": lambda f: f"r{f.a}, {_dsr(f.b)}, {f.imm}",
    "R": lambda f: f"r{f.a}",
    "NONE": lambda f: "",
}
