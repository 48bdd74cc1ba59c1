"""The text of an optimised LLVM module as functions of blocks of instructions, SSA as LLVM has it.

Only what LLVM prints for the modules of lower.py is read: flags, attributes and metadata other than locations are
skipped.
"""

from __future__ import annotations

import re
from dataclasses import field

from ...records import dataclass

FLAGS = {
    "nuw", "nsw", "exact", "inbounds", "disjoint", "nneg", "samesign", "nusw", "fast", "nnan", "ninf", "nsz", "arcp",
    "contract", "afn", "reassoc", "tail", "musttail", "notail", "fastcc", "ccc", "coldcc", "noundef", "zeroext",
    "signext", "nonnull", "noalias", "volatile",
}  # fmt: skip
_NAME = r'(?:"[^"]*"|[-\w.$]+)'
_LABEL = re.compile(rf"^({_NAME}):")
_RESULT = re.compile(rf"^  (%{_NAME}) = (.*)$")
_DEBUG = re.compile(r", !dbg !(\d+)")
_METADATA = re.compile(r", ![\w.]+ ![\w.]+")
_BRACKET = re.compile(r"[(\[{<]")
_LOCATION = re.compile(r"^!(\d+) = (?:distinct )?!DILocation\(line: (\d+)")


@dataclass
class Inst:
    """An instruction.  name: of its result, "" if it has none.  type: of its result, or of its operands for
    comparisons and stores.  args: operands as text, without their types; types: theirs, where they differ."""

    op: str
    name: str = ""
    type: str = ""
    args: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    detail: str = ""  # predicate of a comparison, callee of a call
    line: int = 0
    volatile: bool = False
    flags: tuple[str, ...] = ()  # nuw, nsw and the like of arithmetic


@dataclass
class TextBlock:
    name: str
    code: list[Inst] = field(default_factory=list)


@dataclass
class TextFunction:
    name: str
    result: str
    params: list[tuple[str, str]]  # type and name
    blocks: list[TextBlock] = field(default_factory=list)


def split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets."""
    if not _BRACKET.search(text):
        found = [part.strip() for part in text.split(",")]
        return found if found[-1] else found[:-1]
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in "([{<":
            depth += 1
        elif c in ")]}>":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    last = text[start:].strip()
    if last:
        parts.append(last)
    return parts


def typed(text: str) -> tuple[str, str]:
    """Type and value of an operand `type attributes... value`."""
    text = text.strip()
    if text[0] in "{[<":
        depth = 0
        for i, c in enumerate(text):
            depth += (c in "{[<") - (c in "}]>")
            if depth == 0:
                return text[: i + 1], text[i + 1 :].strip()
    type, _, rest = text.partition(" ")
    rest = rest.strip()
    while rest:  # attributes of parameters and arguments
        word = re.match(r"[a-z_]\w*", rest)
        if word is None or word[0] in ("true", "false", "null", "undef", "poison", "zeroinitializer", "splat"):
            break
        if word[0] in _EXPRESSIONS and word[0] != "range":
            break
        rest = rest[word.end() :].lstrip()
        if rest.startswith("("):
            rest = rest[matching(rest, 0) + 1 :].lstrip()
        elif word[0] == "align" and rest and rest[0].isdigit():
            rest = rest.partition(" ")[2].lstrip()
    return type, rest


_EXPRESSIONS = {"getelementptr", "ptrtoint", "ptrtoaddr", "inttoptr", "bitcast", "add", "sub", "trunc", "xor", "mul"}


def matching(text: str, at: int) -> int:
    """The place of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{<") - (text[i] in ")]}>")
        if depth == 0:
            return i
    raise ValueError(f"no end of the bracket in {text!r}")


def parse(text: str) -> list[TextFunction]:
    """The functions that a module defines."""
    lines = text.split("\n")
    locations = {int(m[1]): int(m[2]) for line in lines if line.startswith("!") and (m := _LOCATION.match(line))}
    functions: list[TextFunction] = []
    function: TextFunction | None = None
    i = 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if function is None:
            if line.startswith("define "):
                function = _head(line)
                functions.append(function)
            continue
        if line == "}":
            function = None
        elif line.startswith("  ") and not line.startswith("    #dbg"):
            while line.lstrip().startswith("switch ") and "]" not in line:
                line += " " + lines[i].strip()
                i += 1
            inst = _instruction(line, locations)
            if inst is not None:
                if not function.blocks:
                    unnamed = sum(name[1:].isdigit() for _, name in function.params)
                    function.blocks.append(TextBlock(f"%{unnamed}"))
                function.blocks[-1].code.append(inst)
        elif m := _LABEL.match(line):
            function.blocks.append(TextBlock("%" + m[1]))
    return functions


def _head(line: str) -> TextFunction:
    line = re.sub(r" !\w+ !\d+", "", line)
    at = line.index("@")
    start = line.index("(", at)
    end = matching(line, start)
    before = line[:at].split()
    result = before[-1] if not before[-1].endswith("}") else line[line.index("{") : at].strip()
    params = []
    for n, part in enumerate(split(line[start + 1 : end])):
        type, name = typed(part)
        params.append((type, name or f"%{n}"))
    return TextFunction(line[at + 1 : start].strip('"'), result, params)


def _instruction(line: str, locations: dict[int, int]) -> Inst | None:
    debug = _DEBUG.search(line)
    line = _METADATA.sub("", line)
    name = ""
    if m := _RESULT.match(line):
        name, rest = m[1], m[2]
    else:
        rest = line.strip()
    op, _, rest = rest.partition(" ")
    while op in FLAGS:
        op, _, rest = rest.partition(" ")
    inst = Inst(op, name, line=locations.get(int(debug[1]), 0) if debug else 0)
    _READERS.get(op, _plain)(inst, rest)
    return inst


def _strip(rest: str) -> tuple[str, bool]:
    """Without leading flags; whether `volatile` was among them."""
    volatile = False
    while True:
        word, _, after = rest.partition(" ")
        if word not in FLAGS and not word.startswith("range("):
            return rest, volatile
        volatile |= word == "volatile"
        if word.startswith("range("):
            end = matching(rest, rest.index("("))
            after = rest[end + 1 :].lstrip()
        rest = after


def _plain(inst: Inst, rest: str) -> None:
    """`op flags type a, b`."""
    plain, _ = _strip(rest)
    inst.flags = tuple(rest[: len(rest) - len(plain)].split())
    parts = split(plain)
    inst.type, first = typed(parts[0])
    inst.args = [first, *parts[1:]]
    inst.types = [inst.type] * len(inst.args)


def _compare(inst: Inst, rest: str) -> None:
    rest, _ = _strip(rest)
    inst.detail, _, rest = rest.partition(" ")
    _plain(inst, rest)


def _cast(inst: Inst, rest: str) -> None:
    rest, _ = _strip(rest)
    source, _, inst.type = rest.rpartition(" to ")
    type, value = typed(source)
    inst.types, inst.args = [type], [value]


def _operands(inst: Inst, rest: str) -> None:
    """`op type a, type b, ...`."""
    rest, _ = _strip(rest)
    for part in split(rest):
        type, value = typed(part)
        inst.types.append(type)
        inst.args.append(value)


def _select(inst: Inst, rest: str) -> None:
    _operands(inst, rest)
    inst.type = inst.types[1]


def _memory(inst: Inst, rest: str) -> None:
    rest, inst.volatile = _strip(rest)
    parts = [part for part in split(rest) if not part.startswith("align ")]
    if inst.op == "load":
        inst.type = parts[0]
        inst.args = [typed(parts[1])[1]]
    else:
        (inst.type, value), (_, pointer) = typed(parts[0]), typed(parts[1])
        inst.args = [value, pointer]


def _element(inst: Inst, rest: str) -> None:
    rest, _ = _strip(rest)
    parts = split(rest)
    inst.detail = parts[0]
    for part in parts[1:]:
        type, value = typed(part)
        inst.types.append(type)
        inst.args.append(value)
    inst.type = "ptr"


def _phi(inst: Inst, rest: str) -> None:
    rest, _ = _strip(rest)
    inst.type, _, rest = rest.partition(" ")
    for part in split(rest):
        value, block = split(part.strip("[] "))
        inst.args += [value, block]


def _branch(inst: Inst, rest: str) -> None:
    parts = split(rest)
    if len(parts) == 3:
        inst.args = [typed(parts[0])[1], *(part.removeprefix("label ") for part in parts[1:])]
    else:
        inst.args = [parts[0].removeprefix("label ")]


def _switch(inst: Inst, rest: str) -> None:
    head, _, cases = rest.partition("[")
    value, default = split(head)
    inst.type, test = typed(value)
    inst.args = [test, default.removeprefix("label ")]
    for m in re.finditer(rf"(\w+) (-?\w+), label (%{_NAME})", cases):
        inst.args += [m[2], m[3]]


def _call(inst: Inst, rest: str) -> None:
    if inst.op != "call":
        rest = rest.partition("call ")[2]
        inst.op = "call"
    rest, _ = _strip(rest)
    at = rest.index("@")
    inst.type = rest[:at].strip()
    start = rest.index("(", at)
    inst.detail = rest[at + 1 : start].strip('"')
    for part in split(rest[start + 1 : matching(rest, start)]):
        type, value = typed(part)
        inst.types.append(type)
        inst.args.append(value)


def _return(inst: Inst, rest: str) -> None:
    if rest.strip() != "void":
        inst.type, value = typed(rest)
        inst.args = [value]


def _extract(inst: Inst, rest: str) -> None:
    parts = split(rest)
    type, value = typed(parts[0])
    inst.types, inst.args, inst.detail = [type], [value], parts[1]


def _nothing(inst: Inst, rest: str) -> None:
    pass


CASTS = (
    "zext", "sext", "trunc", "bitcast", "ptrtoint", "ptrtoaddr", "inttoptr", "fptrunc", "fpext", "fptosi", "fptoui",
    "sitofp", "uitofp",
)  # fmt: skip
_READERS = dict.fromkeys(CASTS, _cast) | {
    "icmp": _compare, "fcmp": _compare, "select": _select, "load": _memory, "store": _memory, "getelementptr": _element,
    "phi": _phi, "br": _branch, "switch": _switch, "call": _call, "ret": _return, "extractvalue": _extract,
    "unreachable": _nothing,
}  # fmt: skip
