"""Builtins that only the library's own files may call: what the libraries `<…>` cannot say in CSL.

@wse_sys("row", T, args...)   a row of tables/isa.def that takes and gives scalars; its result is of type T, void if
it has none
@wse_say(kind, value)         a value for the host's log
@wse_string(text)             the number by which the host knows the text
@wse_symbol("name", pointer)  the host finds this variable by the name
@wse_host_color("name", c)    in the layout: color c is connected to the host at every PE
@wse_reserve("name", bytes)   memory that the library of this name takes on the machine and not here
@wse_refuse("text")           an error at the program's call of the library
@wse_type(T, "question")      what the language has no builtin for: see QUESTIONS
@wse_print("text", args)      values between pieces of text for the host's log, by the format of <simprint> and <string>
@wse_text("text", args)       the same at compile time, as a string
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...machine.parameters import Machine
from ..ir import ir
from ..sema import types as t
from ..sema.convert import describe, round_float
from ..sema.frame import Frame
from ..sema.types import Type
from ..sema.values import VOID, Ptr, Run, Val, Value, concrete
from ..syntax import ast
from ..syntax.errors import CslError, Span
from .language import text_of
from .layout import export_pointer, layout_of
from .table import builtin

AT_START = ("mainprio", "taskprio")  # rows that a comptime block may have: they run before the first task
ROOTS = ("ssqrt", "hsqrt")


def argument(frame: Frame, node: ast.Node) -> ir.Value:
    value = frame.expr(node)
    if isinstance(value, Val) and value.type is t.COMPTIME_INT:
        return frame.operand(value, node.span, t.U16 if 0 <= value.data <= 0xFFFF else t.U32)
    return frame.operand(value, node.span)


def root(kind: Type, value: Val) -> float:
    """A square root at compile time, with the rounding of the machine."""
    with np.errstate(invalid="ignore"):
        return round_float(kind, float(np.sqrt(round_float(kind, value.data))))  # 53 bits are enough to round twice


@builtin("@wse_sys", "row, T, values...")
def sys_(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Emits an instruction of the machine."""
    row = text_of(frame, node.args[0], "the name of the row")
    kind = frame.type(node.args[1])
    if row in ROOTS:
        value = frame.expr(node.args[2])
        if isinstance(value, Val):
            return Val(kind, root(kind, value))
    if frame.build is None and row in AT_START and frame.unit.layout is None:
        startup = frame.unit.startup_frame(frame)
        startup.emit(ir.Sys(row, None, [startup.operand(frame.known(arg), arg.span) for arg in node.args[2:]]))
        return VOID
    build = frame.need_run(node.span, "this")
    args = [argument(frame, arg) for arg in node.args[2:]]
    if kind is t.VOID:
        build.emit(ir.Sys(row, None, args))
        return VOID
    if kind.ir is None:
        raise CslError.at(node.args[1].span, f"a result of type {kind} is no scalar")
    reg = build.reg(kind.ir)
    build.emit(ir.Sys(row, reg, args))
    return Run(kind, reg)


@builtin("@wse_say", "kind, value")
def say(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Sends the host a kind, a value and the cycle."""
    frame.need_run(node.span, "this")
    frame.emit(ir.Sys("say", None, [argument(frame, arg) for arg in node.args]))
    return VOID


@builtin("@wse_string", "string")
def string(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The number by which run-time code names a string."""
    return Val(t.COMPTIME_INT, frame.unit.program.string(text_of(frame, node.args[0], "the text")))


@builtin("@wse_symbol", "name, pointer")
def symbol(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Gives a pointer a name of the program's memory map."""
    name = text_of(frame, node.args[0], "the name")
    value = frame.known(node.args[1])
    if not isinstance(value.type, t.PointerType) or not isinstance(value.data, Ptr):
        raise CslError.at(node.args[1].span, f"a pointer was expected, not {describe(value)}")
    export_pointer(frame, name, value, ast.BuiltinCall(node.span, node.name, [node.args[1]]))
    frame.unit.out.symbols[name] = frame.unit.out.exports.pop()
    return VOID


@builtin("@wse_host_color", "name, color")
def host_color(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Gives the host a color by a name."""
    name, number = text_of(frame, node.args[0], "the name"), frame.number(node.args[1], t.COLOR)
    colors = Machine(frame.unit.program.arch).colors
    if number >= colors:
        raise CslError.at(node.args[1].span, f"{name} is color {number}, but routers know colors 0 to {colors - 1}")
    layout_of(frame, node).host_colors[name] = number
    return VOID


@builtin("@wse_reserve", "name, bytes")
def reserve(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Keeps memory free that the vendor's library takes."""
    frame.unit.out.reserved[text_of(frame, node.args[0], "the name")] = frame.number(node.args[1], t.U16)
    return VOID


@builtin("@wse_refuse", "message")
def refuse(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Ends the compilation with an error at the program's call."""
    raise CslError.at(node.span, text_of(frame, node.args[0], "the message"))


# ---- types ----


def is_half(kind: Type) -> bool:
    return isinstance(kind, t.FloatType) and kind.bits == 16


def bit_size(kind: Type) -> int:
    """Bits of a value: as many as the type says, else those of its memory."""
    bits = getattr(kind, "bits", None)
    if isinstance(bits, int):
        return bits
    if kind.size is None:
        raise CslError.at(None, f"a value of type {kind} has no size: it exists at compile time only")
    return kind.size * 8


QUESTIONS: dict[str, Callable[[Type], int | bool]] = {
    "is_unsigned_int": lambda kind: isinstance(kind, t.IntType) and not kind.signed,
    "is_signed_int": lambda kind: isinstance(kind, t.IntType) and kind.signed,
    "is_float16": is_half,
    "is_float": lambda kind: isinstance(kind, t.FloatType),
    "is_numeric": lambda kind: isinstance(kind, t.IntType | t.FloatType),
    "is_dsd": lambda kind: isinstance(kind, t.DsdType),
    "is_dsr": lambda kind: kind in t.DSRS,
    "bits": bit_size,
    "bytes": lambda kind: -(-bit_size(kind) // 8),
    "align": lambda kind: bit_size(kind) and kind.align,
}


@builtin("@wse_type", "T, question")
def type_question(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The answer to a question about a type."""
    kind = frame.type(node.args[0])
    try:
        answer = QUESTIONS[text_of(frame, node.args[1], "the question")](kind)
    except CslError as error:
        raise CslError.at(node.span, error.diagnostics[0].message) from None
    return Val(t.BOOL if isinstance(answer, bool) else t.COMPTIME_INT, answer)


# ---- formats ----

# Of @wse_say by format and bits: what the letter of a format prints.
SAID = {
    ("d", 16): 1,
    ("d", 32): 2,
    ("X", 16): 5,
    ("X", 32): 6,
    ("b", 16): 10,
    ("b", 32): 11,
    ("f", 16): 8,
    ("f", 32): 7,
}


def pieces(text: str, span: Span, letters: str) -> list[str | tuple[str]]:
    """A format as text and letters, these in tuples: `a{d}` is ["a", ("d",)].  `{{` stands for one `{`."""
    made: list[str | tuple[str]] = [""]
    at = 0
    while at < len(text):
        if text.startswith("{{", at):
            made[-1] += "{"  # type: ignore[operator]
            at += 2
        elif text[at] == "{":
            end = text.find("}", at)
            letter = text[at + 1 : end] if end > 0 else text[at + 1 :]
            if end < 0 or len(letter) != 1 or letter not in letters:
                known = ", ".join(f"{{{one}}}" for one in letters)
                raise CslError.at(span, f"{{{letter}}} is no format: known are {known}; {{{{ stands for one {{")
            made += [(letter,), ""]
            at = end + 1
        else:
            made[-1] += text[at]  # type: ignore[operator]
            at += 1
    return [piece for piece in made if piece]


def formatted(frame: Frame, node: ast.BuiltinCall, letters: str) -> list[tuple[str, ast.Node | None]]:
    """Pieces of a format, with the argument that belongs to each letter: arguments of a tuple, one for each."""
    made: list[tuple[str, ast.Node | None]] = []
    count = 0
    for piece in pieces(text_of(frame, node.args[0], "the format"), node.span, letters):
        if isinstance(piece, str):
            made.append((piece, None))
        else:
            made.append((piece[0], ast.Index(node.span, node.args[1], [ast.Literal(node.span, "int", count)])))
            count += 1
    given = tuple_size(frame, node.args[1])
    if given is not None and given != count:
        raise CslError.at(node.span, f"the format has place for {count} values, but there are {given}")
    return made


def tuple_size(frame: Frame, node: ast.Node) -> int | None:
    """How many values a tuple has; an empty struct has none."""
    value = frame.expr(node)
    data = value.data if isinstance(value, Val) else None
    if isinstance(data, dict | list):
        return len(data)
    fields = getattr(value.type, "fields", None)
    return len(fields) if fields is not None else None


@builtin("@wse_print", "format, values")
def print_(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Prints values at run time, as a format says."""
    frame.need_run(node.span, "printing")
    for text, arg in formatted(frame, node, "dXbf"):
        if arg is None:
            number = frame.unit.program.string(text)
            frame.emit(ir.Sys("say", None, [ir.Const("u16", 0), ir.Const("u32", number)]))
            continue
        value = frame.expr(arg)
        kind = value.type
        wanted = isinstance(kind, t.FloatType) if text == "f" else kind in (t.U16, t.U32)
        if not wanted:
            types = "@fp16() or f32" if text == "f" else "u16 or u32"
            raise CslError.at(node.span, f"{{{text}}} prints a value of type {types}, not one of type {kind}")
        bits = t.INTS[f"u{kind.bits}"]
        operand = frame.operand(value, node.span)
        if isinstance(kind, t.FloatType):
            reg = frame.need_run(node.span, "printing").reg(bits.ir)
            frame.emit(ir.Bitcast(reg, operand))
            operand = reg
        frame.emit(ir.Sys("say", None, [ir.Const("u16", SAID[text, kind.bits]), operand]))
    return VOID


@builtin("@wse_text", "format, values")
def text_(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The text of values by a format, at compile time."""
    made = ""
    for text, arg in formatted(frame, node, "dXbfs"):
        made += text if arg is None else shown(text, frame.known(arg), node.span)
    return Val(t.STRING, made)


def shown(letter: str, value: Val, span: Span) -> str:
    """A known value as text."""
    data = concrete(value)
    if letter == "s" and isinstance(data, str):
        return data
    if letter == "f" and isinstance(data, float):
        return repr(data)
    if letter in "dXb" and t.is_integral(value.type):
        return format(data, {"d": "d", "X": "X", "b": "b"}[letter])
    raise CslError.at(span, f"{{{letter}}} has no text for {describe(value)}")
