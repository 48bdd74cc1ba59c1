"""Hints for programmers of C, C++, Python and Zig: for text that cannot be parsed and names that are not declared."""

from __future__ import annotations

from .lexer import Token

# Words of other languages at the start of a statement or an arm.
WORDS = {
    "elif": "elif is written else if",
    "elseif": "elseif is written else if",
    "let": "a variable is declared with var or const, as in `var n: i16 = 0;`",
    "auto": "a variable is declared with var or const, as in `var n: i16 = 0;`",
    "def": "a function is declared outside of functions, as in `fn f(n: i16) void { }`",
}
DECLARATION = "a variable is declared with its type behind the name, as in `var n: i16 = 0;`"
LOOP = "a loop that counts is `for (@range(i16, n)) |i| { }`, another `while (condition) : (step) { }`"
POWER = ": powers are pow of <math>"
ARM = "an arm is written `1, 2 => statement,` and the last one `else => statement`"

# Names of other languages.
NAMES = {
    **dict.fromkeys(["int", "short", "isize", "int16_t"], "integers are i16, i32 and the like"),
    **dict.fromkeys(["long", "int32_t", "int64_t"], "integers are i32, i64 and the like"),
    **dict.fromkeys(
        ["unsigned", "uint", "usize", "size_t", "uint16_t", "uint32_t"], "integers are u16, u32 and the like"
    ),
    **dict.fromkeys(["char", "byte", "uint8_t"], "a byte is a u8"),
    **dict.fromkeys(["float", "float32"], "a float of 32 bits is f32"),
    **dict.fromkeys(["half", "float16"], "a float of 16 bits is f16"),
    **dict.fromkeys(["double", "f64", "float64"], "the widest float is f32"),
    **dict.fromkeys(["string", "str"], "a string is a comptime_string"),
    **dict.fromkeys(["print", "printf"], "<simprint> prints, @comptime_print while compiling"),
    **dict.fromkeys(["NULL", "None", "nil", "nullptr"], "it is written null"),
    **dict.fromkeys(["True", "False"], "it is written true or false"),
    "not": "`!` negates",
    "default": "the last arm of a switch is `else => statement`",
    **dict.fromkeys(["range", "zeros", "assert", "as"], "it is a builtin, with @ before its name"),
    **dict.fromkeys(["len", "sizeof"], "@element_count is the number of elements of the type of an array"),
    **dict.fromkeys(
        ["sqrt", "exp", "log", "sin", "cos", "tanh", "pow", "abs", "fabs", "min", "max", "floor", "ceil"],
        'it is a member of <math>, as in `const math = @import_module("<math>");`',
    ),
}


def statement(first: Token, following: Token) -> str | None:
    """The hint for a statement that cannot be parsed, by its first two tokens; None if there is none."""
    if first.kind == "ident" and first.text in WORDS:
        return WORDS[first.text]
    if first.kind == "ident" and following.kind == "ident":
        return DECLARATION
    return None


def hint(tokens: list[Token], at: int) -> str:
    """The hint for an unexpected token `at`, with a colon in front, or ""."""
    here = tokens[at]
    before = tokens[at - 1] if at else here
    earlier = tokens[at - 2] if at > 1 else before
    joined = before.end == here.start
    if here.kind == "op":
        if here.text == "?":
            return ": a choice is `if (condition) a else b`"
        if here.text == "->":
            return ": the type of a result stands directly behind the parameters"
        if here.text == "++":
            return ": a variable is incremented by `n += 1`"
        if here.text == "&" and before.text == "&" and joined:
            return ": `&&` is written `and`"
        if here.text == "|" and before.text == "|" and joined:
            return ": `||` is written `or`"
        if here.text == "/" and tokens[at + 1].text == "*":
            return ": a comment begins with //"
    if before.text == earlier.text == "*" and earlier.end == before.start:
        return POWER
    if before.text == "++" and here.text in (";", ")"):
        return ": a variable is incremented by `n += 1`"
    if before.text == earlier.text == "-" and earlier.end == before.start and here.text in (";", ")"):
        return ": a variable is decremented by `n -= 1`"
    if before.kind == "ident" and before.text == "not":
        return ": `!` negates"
    return ""
