"""Builtins: the table, and those of the language itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..ir import ir
from ..sema import types as t
from ..sema.conditions import condition
from ..sema.convert import array_from, bits_of, coerce, describe, explicit, fill, from_bits
from ..sema.exprs import convert, settled
from ..sema.frame import PREDEFINED, Frame, lvalue
from ..sema.lvalues import load, memory_of, store_mem
from ..sema.memory import InitialMemory, value_in
from ..sema.types import Type
from ..sema.values import VOID, FnRef, Mem, Ptr, Range, Run, Sym, Val, Value, concrete, zero
from ..sema.widths import from_word, to_word
from ..syntax import ast, lexer
from ..syntax.errors import CslError, Diagnostic, Span
from .table import builtin, in_comptime_block


def text_of(frame: Frame, node: ast.Node, what: str) -> str:
    value = frame.known(node)
    if not isinstance(value.data, str):
        raise CslError.at(node.span, f"{what} must be a comptime_string, not {describe(value)}")
    return value.data


def struct_of(frame: Frame, node: ast.Node, what: str) -> dict[str, Val]:
    value = frame.known(node)
    if isinstance(value.data, list) and not value.data:
        return {}
    if not isinstance(value.data, dict):
        raise CslError.at(node.span, f"{what} must be a struct with named fields, not {describe(value)}")
    return value.data


# ---- values and types ----


@builtin("@zeros", "T")
def zeros(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A value of type T, an array or a number, that is zero in all elements."""
    kind = frame.type(node.args[0])
    if not isinstance(kind, t.ArrayType) and not t.is_number(kind) and kind is not t.BOOL:
        raise CslError.at(node.span, f"@zeros makes arrays of numbers, not values of type {kind}")
    if kind is t.BOOL or (isinstance(kind, t.ArrayType) and kind.elem is t.BOOL):
        raise CslError.at(node.span, f"@zeros makes no values of type bool: @constants({kind}, false) does")
    return zero(kind)


@builtin("@constants", "T, value")
def constants(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """An array of type T whose elements all have this value."""
    kind = frame.type(node.args[0])
    if not isinstance(kind, t.ArrayType):
        raise CslError.at(node.span, f"@constants makes arrays, not values of type {kind}")
    span = node.args[1].span
    value = frame.coerce(frame.expr(node.args[1], kind.elem), kind.elem, span)
    if not isinstance(value, Val):
        return filled(frame, kind, value, node.span)
    made = zero(kind)
    made.data[...] = concrete(value)
    return made


def filled(frame: Frame, kind: t.ArrayType, value: Value, span: Span) -> Value:
    """An array whose elements are a value that is known at run time: a loop writes it."""
    memory = frame.unit.local(frame, kind, "constants", span)
    flat = Mem(t.array_of((kind.count,), kind.elem), memory.addr, memory.offset)
    frame.names.append({"array": flat, "value": settled(frame, value, span), "index": Val(t.TYPE, t.U16)})
    try:
        at = ast.Index(span, ast.Ident(span, "array"), [ast.Ident(span, "i")])
        store = ast.Assign(span, "=", at, ast.Ident(span, "value"))
        count = ast.Literal(span, "int", kind.count)
        numbers = ast.BuiltinCall(span, "@range", [ast.Ident(span, "index"), count])
        frame.run(ast.For(span, [numbers], ["i"], ast.Block(span, [store])))
    finally:
        frame.names.pop()
    return memory


@builtin("@as", "T, value")
def as_(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The value converted to type T. A float becomes an integer toward zero; a bool is whether the value differs
    from zero."""
    kind = frame.type(node.args[0])
    value = frame.expr(node.args[1], kind)
    return convert(frame, value, kind, node.span)


@builtin("@bitcast", "T, value")
def bitcast(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The bits of the value as type T, which has the same size."""
    kind = frame.type(node.args[0])
    value = frame.expr(node.args[1])
    if value.type is t.COMPTIME_INT and bits_in(kind):
        value = explicit(value, t.int_type(bits_in(kind)[0], False), node.span)
    source = value.type
    if source is kind:
        return value
    if not set(bits_in(source)) & set(bits_in(kind)):
        sizes = [f"{bits_in(k)[0]} bits" if bits_in(k) else "none" for k in (source, kind)]
        raise CslError.at(
            node.span, f"@bitcast needs types of one size: {source} has {sizes[0]}, {kind} has {sizes[1]}"
        )
    if isinstance(value, Val):
        made = bitcast_known(frame, value, kind, node.span)
        if made is not None:
            return made
    build = frame.need_run(node.span, "this @bitcast")
    if t.is_scalar(kind) and t.is_scalar(source):
        operand = frame.operand(value, node.span)
        if t.BOOL in (kind, source):
            return convert(frame, Run(source, operand), kind, node.span)
        return from_word(build, kind, to_word(build, source, operand))
    if t.is_scalar(source):
        memory = frame.unit.local(frame, source, "cast", node.span)
        store_mem(frame, memory, value, node.span)
    else:
        memory = memory_of(frame, frame.unit.constant(value, node.span)) if isinstance(value, Val) else value
        assert isinstance(memory, Mem)
    return load(frame, Mem(kind, memory.addr, memory.offset, True), node.span)


def bits_in(kind: Type) -> tuple[int, ...]:
    """The sizes in bits that values of a type can be taken for; a bool is one bit, in a byte."""
    if kind is t.BOOL:
        return 8, 1
    width = t.bit_width(kind)
    if width is not None:
        return (width,) if width else ()
    return (kind.size * 8,) if kind.size is not None and not isinstance(kind, t.DsdType) else ()


def bitcast_known(frame: Frame, value: Val, kind: Type, span: Span) -> Val | None:
    if isinstance(value.data, Ptr):
        if isinstance(kind, t.PointerType):
            return Val(kind, value.data)
        if value.data.target is None:
            return from_bits(kind, value.data.offset & 0xFFFF)
        return None
    if isinstance(value.data, Sym) and t.is_integral(kind) and t.is_integral(value.type):
        return explicit(value, kind, span)
    if not t.is_scalar(kind) or not t.is_scalar(value.type):
        return bytes_as(frame, value, kind)
    bits = bits_of(value)
    return None if bits is None else from_bits(kind, bits)


def bytes_as(frame: Frame, value: Val, kind: Type) -> Val | None:
    """A known value as another one of as many bytes; None if an address is among them."""
    if value.type.size is None or kind.size is None:
        return None
    image = InitialMemory(frame.unit, value.type.size)
    image.write(0, value)
    return None if image.relocations or image.varying else value_in(kind, bytes(image.data))


@builtin("@ptrcast", "T, pointer")
def ptrcast(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The same address as pointer type T."""
    kind = frame.type(node.args[0])
    value = frame.expr(node.args[1])
    if not isinstance(kind, t.PointerType) or not isinstance(value.type, t.PointerType):
        raise CslError.at(node.span, f"@ptrcast goes between pointers, not from {value.type} to {kind}")
    if kind.elem.is_comptime and kind.elem is not t.ANYOPAQUE and not isinstance(kind.elem, t.FnType):
        raise CslError.at(node.args[0].span, f"values of type {kind.elem} exist at compile time only: no {kind} exists")
    return Val(kind, value.data) if isinstance(value, Val) else Run(kind, value.value)


@builtin("@range", "T, start?, stop, step?")
def range_(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The integers of type T from 0, or from start in steps, up to stop, which is not among them. For `for` loops.
    It takes T and stop, or all four."""
    kind = frame.type(node.args[0])
    if not t.is_integral(kind):
        raise CslError.at(node.args[0].span, f"@range counts in integers, not in {kind}")
    if len(node.args) == 3:
        raise CslError.at(node.span, "@range takes a type and a stop, or a type, start, stop and step")
    bounds = [frame.coerce(frame.expr(arg, kind), kind, arg.span) for arg in node.args[1:]]
    # The bounds are those of now: a variable among them may change before the range ends.
    bounds = [Run(kind, frame.fresh(bound.value)) if isinstance(bound, Run) else bound for bound in bounds]
    if len(bounds) == 1:
        bounds = [Val(kind, 0), bounds[0], Val(kind, 1)]
    step = bounds[2]
    if isinstance(step, Val) and not isinstance(step.data, Sym) and step.data == 0:
        raise CslError.at(node.args[3].span, "the step of a @range must not be 0")
    return Val(t.RANGE, Range(kind, *bounds))


def range_part(name: str) -> Callable:
    def part(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
        value = frame.expr(node.args[0])
        if not isinstance(value, Val) or not isinstance(value.data, Range):
            raise CslError.at(node.span, f"{node.name} takes a @range")
        return getattr(value.data, name)

    return part


for _name in ("start", "stop", "step"):
    builtin(f"@range_{_name}", "range", meaning=f"The {_name} of a `@range`.")(range_part(_name))


@builtin("@type_of", "expression")
def type_of(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The type of an expression, for which no code is made."""
    where = frame.aside().lvalue(node.args[0])
    if isinstance(where, Val) and isinstance(where.data, FnRef):
        return Val(t.TYPE, frame.unit.fn_type(where.data, node.span))
    return Val(t.TYPE, where.type)


@builtin("@is_same_type", "A, B")
def is_same_type(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Whether two types are the same, known at compile time."""
    return Val(t.BOOL, frame.type(node.args[0]) is frame.type(node.args[1]))


@builtin("@element_type", "T")
def element_type(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The type of the elements of an array type, or of what a pointer type points to."""
    kind = frame.type(node.args[0])
    if not isinstance(kind, t.ArrayType | t.PointerType):
        raise CslError.at(node.span, f"{kind} has no elements")
    return Val(t.TYPE, kind.elem)


@builtin("@element_count", "T")
def element_count(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The number of elements of an array type, in all dimensions, as u32."""
    return Val(t.U32, array_type(frame, node).count)


@builtin("@rank", "T")
def rank(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The number of dimensions of an array type, as u16."""
    return Val(t.U16, len(array_type(frame, node).dims))


@builtin("@dimensions", "T")
def dimensions(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The lengths of the dimensions of an array type, as an array of u32."""
    dims = array_type(frame, node).dims
    kind = t.array_of((len(dims),), t.U32)
    return Val(kind, fill(kind, list(dims)))


def array_type(frame: Frame, node: ast.BuiltinCall) -> t.ArrayType:
    kind = frame.type(node.args[0])
    if not isinstance(kind, t.ArrayType):
        raise CslError.at(node.span, f"{node.name} takes the type of an array, not {kind}")
    return kind


@builtin("@is_comptime", "value?")
def is_comptime(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Whether a value is known at compile time; without one, whether the code around it is evaluated at compile
    time."""
    return Val(t.BOOL, isinstance(frame.expr(node.args[0]), Val) if node.args else frame.build is None)


@builtin("@fp16", "")
def fp16(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The program's type of 16-bit floats: f16, or what --fp16-format says."""
    return Val(t.TYPE, frame.unit.program.fp16)


@builtin("@get_int", "value")
def get_int(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The number of a color, queue, task id, DSR or enum member; integers stay as they are."""
    value = frame.expr(node.args[0])
    kind = value.type
    if isinstance(value, Val) and kind in t.DSRS:
        return Val(t.int_type(16, False), concrete(value))
    if not isinstance(kind, t.IdType | t.EnumType) and not t.is_integral(kind):
        raise CslError.at(node.span, f"@get_int takes a color, a queue, an id or an enum, not a value of type {kind}")
    if isinstance(value, Val):
        return Val(kind.tag if isinstance(kind, t.EnumType) else kind if t.is_integral(kind) else t.U16, value.data)
    return Run(kind.tag if isinstance(kind, t.EnumType) else t.INTS[kind.ir or "u16"], frame.operand(value, node.span))


# ---- structs and strings ----


@builtin("@concat_structs", "a, b")
def concat_structs(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A struct with the fields of both, or a tuple with the elements of both. SDK 2.10 does not have it."""
    frame.unit.program.removed("@concat_structs", frame.instance, node.span)
    a, b = frame.known(node.args[0]), frame.known(node.args[1])
    for value, arg in ((a, node.args[0]), (b, node.args[1])):
        if not isinstance(value.data, dict | list):
            raise CslError.at(arg.span, f"@concat_structs takes structs, not {describe(value)}")
    if not a.data or not b.data:
        return Val(t.STRUCT, a.data or b.data)
    if isinstance(a.data, list) and isinstance(b.data, list):
        return Val(t.STRUCT, a.data + b.data)
    if not isinstance(a.data, dict) or not isinstance(b.data, dict):
        raise CslError.at(node.span, "@concat_structs takes two structs with named fields or two tuples")
    twice = [name for name in a.data if name in b.data]
    if twice:
        raise CslError.at(node.span, f"both structs have a field {twice[0]}")
    return Val(t.STRUCT, a.data | b.data)


@builtin("@has_field", "value, name")
def has_field(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Whether a struct, or what a module declares, has a field of this name."""
    aside = frame.aside()
    value = aside.lvalue(node.args[0])
    name = text_of(frame, node.args[1], "the name of a field")
    kind = value.type
    if isinstance(value, Val) and kind is t.TYPE and isinstance(value.data, t.StructType):
        kind = value.data
    if isinstance(kind, t.StructType):
        return Val(t.BOOL, name in kind.fields)
    if isinstance(kind, t.AnonymousType):
        return Val(t.BOOL, name in (kind.names or ()))
    fields = load(aside, value, node.span)
    return Val(t.BOOL, isinstance(fields, Val) and isinstance(fields.data, dict) and name in fields.data)


@builtin("@field", "value, name")
def field(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The field of a struct or module by its name, a string that is known at compile time; also as the target of an
    assignment."""
    return load(frame, builtin_lvalue(frame, node), node.span)


@lvalue(ast.BuiltinCall)
def builtin_lvalue(frame: Frame, node: ast.BuiltinCall) -> Any:
    """@field is a place that can be assigned to; of other builtins, the value."""
    if node.name == "@field" and len(node.args) == 2:
        name = text_of(frame, node.args[1], "the name of a field")
        return frame.lvalue(ast.Member(node.span, node.args[0], name))
    return frame.expr(node)


@builtin("@strcat", "strings...")
def strcat(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The strings joined, at compile time."""
    made = lexer.text_of(b"".join(lexer.bytes_of(text_of(frame, arg, "what is joined")) for arg in node.args))
    frame.unit.program.weigh(made, node.span)
    return Val(t.STRING, made)


@builtin("@strlen", "string")
def strlen(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The number of bytes of a string."""
    return Val(t.COMPTIME_INT, len(lexer.bytes_of(text_of(frame, node.args[0], "the argument of @strlen"))))


@builtin("@get_string_from_byte", "byte")
def get_string_from_byte(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A string of this one byte."""
    return Val(t.STRING, lexer.text_of(bytes([frame.number(node.args[0], t.U8)])))


@builtin("@as_string", "value")
def as_string(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A value or type that is known at compile time as a string."""
    value = frame.known(node.args[0])
    return Val(t.STRING, value.data if isinstance(value.data, str) else describe(value).split(" of type")[0])


@builtin("@get_array", "string")
def get_array(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The bytes of a string as an array of u8."""
    data = lexer.bytes_of(text_of(frame, node.args[0], "the argument of @get_array"))
    kind = t.array_of((len(data),), t.U8)
    return Val(kind, np.frombuffer(data, np.uint8).copy())


# ---- checks ----


@builtin("@comptime_assert", "condition, message?")
def comptime_assert(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Ends the compilation with an error, and the message, if the condition does not hold."""
    value = frame.known(node.args[0], t.BOOL)
    if not concrete(value):
        why = f": {text_of(frame, node.args[1], 'the message')}" if len(node.args) > 1 else ""
        raise CslError.at(node.span, f"this assertion does not hold{why}")
    return VOID


@builtin("@comptime_print", "values...")
def comptime_print(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Prints values when the code is evaluated at compile time."""
    shown = []
    for arg in node.args:
        value = frame.known(arg)
        shown.append(value.data if isinstance(value.data, str) else contents(value))
    frame.unit.program.findings.add(Diagnostic(" ".join(shown), node.span, "note"))
    return VOID


MOST_SHOWN = 100  # elements or fields


def contents(value: Val) -> str:
    """A value as an expression of CSL, for people."""
    data = value.data
    if isinstance(data, dict):
        fields = [f".{name} = {contents(item)}" for name, item in list(data.items())[:MOST_SHOWN]]
    elif isinstance(data, list):
        fields = [contents(item) for item in data[:MOST_SHOWN]]
    elif isinstance(data, np.ndarray) and isinstance(value.type, t.ArrayType):
        flat = data.reshape(-1)[:MOST_SHOWN]
        elem = value.type.elem
        fields = [contents(item if isinstance(item, Val) else Val(elem, item)) for item in flat.tolist()]
    elif isinstance(value.type, t.EnumType):
        return next(
            (f"{value.type}.{name}" for name, number in value.type.members.items() if number == data), str(data)
        )
    elif isinstance(value.type, t.OptionalType) and isinstance(data, Val):
        return contents(data)
    else:
        return describe(value)
    count = len(data) if isinstance(data, dict | list) else data.size
    fields += ["..."] if count > len(fields) else []
    name = "." if value.type is t.STRUCT else str(value.type)
    return f"{name}{{ {', '.join(fields)} }}" if fields else f"{name}{{}}"


@builtin("@assert", "condition, message?")
def assert_(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Ends the run with an error and the line if the condition does not hold; at compile time as `@comptime_assert`."""
    if frame.build is None:
        return comptime_assert(frame, node, want)
    build = frame.build
    good, bad = build.new_block(), build.new_block()
    decided = condition(frame, node.args[0], good, bad)
    if decided is True:
        return VOID
    if decided is False:
        build.jump(bad)
    build.start(bad)
    build.emit(ir.Trap("an assertion does not hold"))
    build.start(good)
    return VOID


@builtin("@unreachable", "")
def unreachable(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Ends the run with an error and the line."""
    if frame.build is None:
        raise CslError.at(node.span, "this must not be reached")
    frame.build.emit(ir.Trap("unreachable code is reached"))
    return VOID


@builtin("@is_arch", "name")
def is_arch(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Whether the program is compiled for this architecture, "wse2" or "wse3"."""
    name = text_of(frame, node.args[0], "the name of the architecture")
    if name not in ("wse1", "wse2", "wse3"):
        raise CslError.at(node.args[0].span, f'there is no architecture "{name}": known are wse2 and wse3')
    return Val(t.BOOL, frame.unit.program.arch == name)


# ---- modules ----


@builtin("@import_module", "file, params?")
def import_module(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The module of a CSL file, or of a library as "<math>", with these values of its params. It stands as the value
    of a global constant."""
    if frame.build is not None or frame.within:
        raise CslError.at(node.span, "@import_module is the value of a constant of a module, not of one in a function")
    name = text_of(frame, node.args[0], "the name of the file")
    params = frame.known(node.args[1]) if len(node.args) > 1 else None
    if params is not None and not isinstance(params.data, dict) and params.data:
        raise CslError.at(
            node.args[1].span, f"the parameters must be a struct with named fields, not {describe(params)}"
        )
    return Val(t.MODULE, frame.unit.import_module(frame.instance, name, params, node.span))


@builtin("@import_comptime_value", "T, file")
def import_comptime_value(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """The value of type T that a JSON file holds. A field of an object is written "name:type"."""
    kind = frame.type(node.args[0])
    name = text_of(frame, node.args[1], "the name of the file")
    path, _ = frame.unit.program.loader.find(name, frame.instance.file, node.span)
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise CslError.at(node.span, f"{name} is no JSON text: {problem}") from None
    return from_json(frame, data, kind, node.span)


def from_json(frame: Frame, data: Any, kind: Type | None, span: Span) -> Val:
    """A JSON value as a value of the type; of what type it is by itself, if the type is None."""
    made: Val
    match data:
        case bool():
            made = Val(t.BOOL, data)
        case int():
            made = Val(t.COMPTIME_INT, data)
        case float():
            made = Val(t.COMPTIME_FLOAT, data)
        case str():
            made = Val(t.STRING, data)
        case list():
            if any(isinstance(item, list | dict) for item in data):
                raise CslError.at(span, "a JSON array holds numbers, strings or booleans, not arrays or objects")
            if isinstance(kind, t.ArrayType):
                items = [from_json(frame, item, kind.elem, span) for item in data]
                return array_from(kind, items, span)
            made = Val(t.STRUCT, [from_json(frame, item, None, span) for item in data])
        case dict():
            fields = {}
            for key, item in data.items():
                name, colon, type_name = (part.strip() for part in key.partition(":"))
                if not colon or not name.isidentifier():
                    raise CslError.at(span, f'a field of a JSON object is written "name:type", not "{key}"')
                fields[name] = from_json(frame, item, json_type(frame, type_name, span), span)
            made = Val(t.STRUCT, fields)
        case _:
            raise CslError.at(span, "null is no value of CSL")
    if kind is None:
        return made
    if made.type is t.COMPTIME_INT and (t.is_float(kind) or kind in (t.COMPTIME_FLOAT, t.COLOR)):
        return explicit(made, kind, span)
    return coerce(made, kind, span)


def json_type(frame: Frame, text: str, span: Span) -> Type:
    """The type of a field of a JSON object: the name of one, or [n] and the name of one."""
    found = re.fullmatch(r"(?:\[\s*(\d{1,7})\s*\])?\s*(\w+)", text)
    named = PREDEFINED.get(found[2]) if found else None
    try:
        kind = named.data if named is not None and named.type is t.TYPE else t.int_named(found[2]) if found else None
    except ValueError as error:
        raise CslError.at(span, str(error)) from None
    if found is None or kind is None:
        raise CslError.at(span, f"{text} is no type of a field of a JSON object: i16, [8]f32 and comptime_struct are")
    return kind if found[1] is None else t.array_of((int(found[1]),), kind)


@builtin("@random16", "")
def random16(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """A pseudo-random u16 from the PE's generator."""
    build = frame.need_run(node.span, "@random16")
    reg = build.reg("u16")
    build.emit(ir.Sys("rand", reg))
    return Run(t.U16, reg)


@builtin("@set_active_prng", "generator")
def set_active_prng(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Chooses the generator that `@random16` uses from now on, modulo their number."""
    frame.need_run(node.span, node.name)
    number = frame.coerce(frame.expr(node.args[0], t.U16), t.U16, node.args[0].span)
    frame.emit(ir.Sys("prng", None, [frame.operand(number, node.args[0].span)]))
    return VOID


@builtin("@rpc", "task_id")
def rpc(frame: Frame, node: ast.BuiltinCall, want: Type | None) -> Value:
    """Of programs before SDK 1.1: the server of launches on memcpy's color LAUNCH. Since then memcpy has it, and
    this does nothing."""
    in_comptime_block(frame, node)
    value = frame.known(node.args[0])
    launches = [
        instance.resolve("LAUNCH")
        for instance in frame.unit.instances
        if instance.library and "LAUNCH" in instance.file.decls
    ]
    if value.type is not t.VOID and not (
        value.type is t.DATA_TASK_ID and any(one.type is t.COLOR and one.data == value.data for one in launches)
    ):
        raise CslError.at(
            node.args[0].span,
            "@rpc is not supported: the wavelets that its server takes are not documented; the host launches exported "
            "functions by <memcpy/memcpy>, without @rpc",
        )
    return VOID
