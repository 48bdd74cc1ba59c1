"""Mutations of CSL texts, and what the compiler makes of them: for test_fuzz.py, and for long runs.

    python tests/csl/mutations.py --minutes 60 --seed 1     mutations of all programs of the tests, the docs, the library

prints each text with which the compiler ends in an exception that is no diagnostic, takes longer than 20 s or more than
2 GB, with the number that makes it again (--only NUMBER).
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.syntax.errors import Findings, Source
from wse.csl.syntax.lexer import KEYWORDS, OPERATORS, tokenize
from wse.errors import WseError

HERE = Path(__file__).parent
PROGRAMS = sorted((HERE / "programs").glob("*.csl"))
SECONDS, BYTES = 20, 2 << 30
LAYOUT = 'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); }'
WORDS = [
    *sorted(KEYWORDS), *OPERATORS, "x", "y", "main", "i16", "f32", "u16", "0", "1", "2.5", '"s"', "@as", "@zeros",
    "@get_dsd", "@range", "@import_module", "mem1d_dsd", "{}", "|i|{4} -> x[i]", "fn main() void {", "}", ";",
    "const x = ", "var y: i16 = ",
]  # fmt: skip
TYPE_NAMES = ["i16", "u16", "i32", "f32", "f16", "bool", "u8", "comptime_int", "type", "color", "mem1d_dsd", "void"]
VALUES = [
    "0", "1", "-1", "3", "40000", "70000", "(1 << 64)", "(1 << 70)", "2.5", "1e300", "(0.0 / 0.0)", '"s"', "''", "'a'",
    "true", "{}", ".{}", ".{ 1, 2 }", ".{ .a = 1 }", "undefined", "null", "i16", "[3]i16", "[0]f32", "[2, 2]u8",
    "@zeros([3]i16)", "@zeros([0]i16)", "@zeros([2, 3]f32)", "[2]i16{ 1, 2 }", "@get_color(3)", "@get_local_task_id(9)",
    "@get_data_task_id(@get_color(1))", "@get_input_queue(2)", "@get_output_queue(2)", "@get_dsr(dsr_dest, 1)", "NORTH",
    "RAMP", "&main", "main", "@type_of(1)", "(fn() void)", "enum { A, B }", "struct { a: i16 }",
    "@get_dsd(fabin_dsd, .{ .extent = 1, .input_queue = @get_input_queue(2) })", "@range(i16, 3)",
    '@import_module("<math>")', "b: { break :b 1; }", "if (true) 1 else 2", "switch (1) { else => 2 }", "comptime 1",
    "|i|{3} -> x[i]", ".A", "(return)", "x.?", "?i16", "*i16", "[*]f32", "f16", "anytype", "comptime_struct", "@fp16()",
]  # fmt: skip


def mutated(text: str, chance: random.Random, times: int) -> str:
    """Tokens dropped, doubled, swapped or replaced."""
    tokens = [token.text for token in tokenize(Source("t", text), Findings())]
    for _ in range(times):
        i = chance.randrange(len(tokens))
        match chance.randrange(5) if len(tokens) > 1 else 4:
            case 0:
                del tokens[i]
            case 1:
                tokens.insert(i, tokens[i])
            case 2:
                j = chance.randrange(len(tokens))
                tokens[i], tokens[j] = tokens[j], tokens[i]
            case 3:
                tokens[i] = chance.choice(tokens)
            case _:
                tokens[i] = chance.choice(WORDS)
    return " ".join(tokens)


def disguised(text: str, chance: random.Random, times: int) -> str:
    """Still well formed: names, numbers, types, operators and builtins replaced by others of their kind."""
    tokens = tokenize(Source("t", text), Findings())
    words = [token.text for token in tokens]
    names = [token.text for token in tokens if token.kind == "ident"] or ["x"]
    builtins = [token.text for token in tokens if token.kind == "builtin"]
    for _ in range(times):
        i = chance.randrange(len(tokens))
        match tokens[i].kind:
            case "ident" if tokens[i].text in TYPE_NAMES:
                words[i] = chance.choice(TYPE_NAMES)
            case "ident":
                words[i] = chance.choice(names)
            case "int" | "float" | "string":
                words[i] = chance.choice(["0", "1", "-1", "3", "70000", "2.5", '"s"', "true", "{}", ".{}", "x"])
            case "builtin":
                words[i] = chance.choice(builtins)
            case "op" if tokens[i].text in "+-*/%&|^<>==!=":
                words[i] = chance.choice(["+", "-", "*", "/", "%", "&", "<<", ">>", "==", "<", "++", "and"])
            case "keyword" if tokens[i].text in ("const", "var", "fn", "task", "true", "false"):
                words[i] = chance.choice(["const", "var", "fn", "task", "true", "false"])
    return " ".join(words)


def revalued(text: str, chance: random.Random, times: int) -> str:
    """Names, literals and whole arguments replaced by values of every kind."""
    words = [token.text for token in tokenize(Source("t", text), Findings())]
    kinds = [token.kind for token in tokenize(Source("t", text), Findings())]
    places = [i for i, kind in enumerate(kinds) if kind in ("ident", "int", "float", "string", "char")]
    for _ in range(times if places else 0):
        i = chance.choice(places)
        match chance.randrange(4):
            case 0:
                words[i] = f"{words[i]}[{chance.choice(VALUES)}]"
            case 1:
                words[i] = (
                    f"{words[i]}{chance.choice(['.a', '.*', '.?', '()', '(1)', '.len', '[0]', '.{}', '++ .{1}'])}"
                )
            case _:
                words[i] = chance.choice(VALUES)
    return " ".join(words)


HOW = (mutated, disguised, revalued)


def compiles(folder: Path, text: str, arch: str = "wse3", layout: str = LAYOUT, max_steps: int = 2_000) -> bool:
    """Whether it compiles; what is wrong must be said, not crashed on."""
    (folder / "pe.csl").write_text(text)
    path = folder / "layout.csl"
    path.write_text(layout)
    try:
        link(compile_program(path, arch, max_steps=max_steps))
    except WseError as error:
        assert str(error)
        return False
    return True


# ---- long runs ----


def texts() -> list[tuple[Path, str]]:
    """(folder that relative imports begin in, text) of all programs for a PE."""
    found = [(path.parent, path.read_text()) for path in PROGRAMS]
    root = HERE.parent.parent
    found += [(path.parent, path.read_text()) for path in sorted((root / "docs/examples").rglob("*.csl"))]
    found += [(path.parent, path.read_text()) for path in sorted((root / "wse/csl/lib").rglob("*.csl"))]
    for path in sorted((HERE / "language").glob("test_*.py")):
        head = re.search(r'^HEAD = """(.*?)"""', path.read_text(), re.M | re.S)
        programs = re.findall(r'"""((?:(?!""").)*fn main\((?:(?!""").)*)"""', path.read_text(), re.S)
        found += [(path.parent, (head.group(1) if head else "") + program) for program in programs]
    return [(folder, text) for folder, text in found if len(tokenize(Source("t", text), Findings())) > 20]


class TooLong(BaseException):
    pass


def one(number: int, all_texts: list[tuple[Path, str]], folder: Path) -> str | None:
    """What is wrong with the compiler for the text of this number; None if nothing is."""
    chance = random.Random(number)
    home, text = chance.choice(all_texts)
    made = chance.choice(HOW)(text, chance, chance.choice((1, 1, 1, 2, 2, 3, 5, 8)))
    for entry in home.iterdir():
        if entry.is_dir() and not (folder / entry.name).exists():
            (folder / entry.name).symlink_to(entry)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of the processor, which others may use too
    signal.setitimer(signal.ITIMER_REAL, 6 * SECONDS)
    try:
        compiles(folder, made, chance.choice(("wse2", "wse3")), max_steps=200_000)
    except TooLong:
        return f"more than {SECONDS} s\n{''.join(traceback.format_exc()[-1500:])}\n{made}"
    except MemoryError:
        return f"more than {BYTES >> 30} GB\n{made}"
    except Exception as problem:
        trace = traceback.extract_tb(problem.__traceback__)
        return (
            f"{type(problem).__name__}: {problem} at {trace[-1].filename}:{trace[-1].lineno} {trace[-2].name}\n{made}"
        )
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))

    def stop(*_):
        raise TooLong

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGPROF, stop)
    all_texts = texts()
    numbers = [options.only] if options.only is not None else range(options.seed << 32, (options.seed + 1) << 32)
    end, done, seen = time.monotonic() + 60 * options.minutes, 0, {}
    for number in numbers:
        if time.monotonic() > end:
            break
        with tempfile.TemporaryDirectory() as folder:
            wrong = one(number, all_texts, Path(folder))
        done += 1
        if wrong is not None:
            kind = wrong.split("\n", 1)[0]
            if seen.setdefault(kind, 0) < 2:
                print(f"{number}: {wrong[:3000] if options.only is None else wrong}", flush=True)
            seen[kind] += 1
    print(f"{done} texts, {sum(seen.values())} failures of {len(seen)} kinds")
    return 1 if seen else 0


if __name__ == "__main__":
    sys.exit(main())
