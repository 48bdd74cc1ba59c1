"""Mutation check: one-line faults are planted in a copy of the sources; the suite must fail for each.

    python tests/mutate.py --list                      # the mutations of the default seed
    python tests/mutate.py --count 60 --seed 1         # plant them one by one, run the tests, print which were caught
    python tests/mutate.py --only c --json FILE

A mutation changes one operator, comparison, constant or condition on one line: half of them in csrc/, half in wse/.  The
copy is built in place, so only the changed file is compiled.  Tests that mirror the changed file run first, then those
of the folders that use it; mutations that pass both are tried again with the whole suite.  A mutation that no test
catches survives: write a test, or show that it changes no behaviour.
"""

from __future__ import annotations

import argparse
import bisect
import io
import json
import keyword
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tokenize
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from test_mirror import covered, named

ROOT = Path(__file__).resolve().parent.parent
# What replaces what.  Each token is tried on code only: comments, strings and preprocessor lines are left out.
SWAPS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "+": "-",
    "-": "+",
    "*": "+",
    "<<": ">>",
    ">>": "<<",
    "&&": "||",
    "||": "&&",
    "and": "or",
    "or": "and",
    "min": "max",
    "max": "min",
    "True": "False",
    "False": "True",
    "+=": "-=",
    "-=": "+=",
    "|=": "&=",
}
# Not part of what the suite asserts: measuring the host's speed, versions, and the look of pictures (sizes, fonts).
LEFT_OUT = ("wse/bench/", "wse/_version.py", "wse/sdk/names/", "wse/report/")


@dataclass(frozen=True)
class Mutation:
    """One changed line.  path: relative to the checkout; line: from 1."""

    path: str
    line: int
    before: str
    after: str


def ends_operand(token: str) -> bool:
    """Whether an operator after this token has a left operand."""
    return bool(re.match(r"[\w)\]]", token[-1:])) and not keyword.iskeyword(token)


def python_sites(text: str) -> list[tuple[int, int, str]]:
    """(line, column, token) of every token of Python code that has a replacement."""
    sites = []
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        number = token.type == tokenize.NUMBER and token.string.isdigit()
        binary = token.string not in "+-*" or ends_operand(previous)
        if (token.string in SWAPS and token.type in (tokenize.OP, tokenize.NAME) and binary) or number:
            sites.append((token.start[0], token.start[1], token.string))
        previous = token.string
    return sites


C_TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*)
      | (?P<name>[A-Za-z_]\w*) | (?P<number>(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?)[uUlLfF]*)
      | (?P<op><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/&|^%]=|[-+*/<>=!&|^%~?:;,.(){}\[\]])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


def c_sites(text: str) -> list[tuple[int, int, str]]:
    """(line, column, token) of every token of C code that has a replacement."""
    sites = []
    previous = ""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for match in C_TOKEN.finditer(text):
        if match["skip"]:
            continue
        token = match[0]
        line = bisect.bisect_right(starts, match.start())
        column = match.start() - starts[line - 1]
        binary = token not in ("+", "-", "*") or ends_operand(previous)
        pointer = token == "*" and bool(re.match(r"[A-Za-z_]", previous)) and text[match.end() : match.end() + 1] != " "
        if (token in SWAPS and binary and not pointer) or (match["number"] and token.isdigit()):
            sites.append((line, column, token))
        previous = token
    return sites


@cache
def sites_of(path: Path) -> tuple[list[str], list[tuple[int, int, str]]]:
    """Lines of a file, and its sites."""
    text = path.read_text()
    return text.splitlines(), python_sites(text) if path.suffix == ".py" else c_sites(text)


def mutations(paths: list[Path], count: int, chance: random.Random) -> list[Mutation]:
    """`count` mutations on different lines, files weighted by how many sites they have."""
    sites = []
    for path in paths:
        lines, found = sites_of(path)
        sites += [(path, lines, *site) for site in found]
    made: dict[tuple[Path, int], Mutation] = {}
    while len(made) < min(count, len(sites)):
        path, lines, line, column, token = chance.choice(sites)
        new = SWAPS.get(token) or str(int(token) + 1)
        before = lines[line - 1]
        after = before[:column] + new + before[column + len(token) :]
        made.setdefault((path, line), Mutation(str(path.relative_to(ROOT)), line, before, after))
    return list(made.values())


def chosen(seed: int, count: int, only: str = "") -> list[Mutation]:
    """The mutations of a seed: the first half in C, the other half in Python."""
    chance = random.Random(seed)
    c = sorted(ROOT.glob("csrc/**/*.[ch]"))
    python = sorted(path for path in ROOT.glob("wse/**/*.py") if not str(path.relative_to(ROOT)).startswith(LEFT_OUT))
    half = count // 2
    made = {"c": mutations(c, half, chance), "python": mutations(python, count - half, chance)}
    return [mutation for language, some in made.items() for mutation in some if only in ("", language)]


def stages(path: str) -> list[list[list[str]]]:
    """Arguments of pytest, in the order in which they are tried: for the tests that mirror the file, then for those of
    the folders that use it, then for all."""
    own = [named(path)] if (ROOT / named(path)).exists() else [covered()[path]] if path in covered() else []
    if path.startswith("csrc/"):
        near = [own, ["-m", "fast"], ["tests/engine", "tests/isa"]]
        places = ["tests/test_traces.py", "tests/csrc", "tests/fabric", "tests/kernels"]
    else:
        folder = Path("tests", *Path(path).parts[1:-1])
        near = [own, [str(folder)] if (ROOT / folder).exists() else []]
        used = {"machine": "isa", "program": "fabric", "operators": "execute", "plan": "execute", "costs": "plan"}
        top = Path(path).parts[1]
        places = [place for place in (f"tests/{used.get(top, top)}", "tests/cli") if (ROOT / place).exists()]
    return [[place for place in near if place], [places], [["tests"]]]


def run(command: list[str], tree: Path, timeout: float) -> tuple[bool, str]:
    """Whether a command succeeded in the tree, and the end of what it printed.  A time-out is a failure."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return False, "no end"
    text = (done.stdout + done.stderr).strip()
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    return done.returncode == 0, failed[1] if failed else text[-200:]


def check(mutation: Mutation, places: list[list[str]], tree: Path, workers: int, timeout: float) -> tuple[bool, str]:
    """Whether one of the selections of tests, one after the other, catch a mutation, and which test does."""
    path = tree / mutation.path
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    lines[mutation.line - 1] = mutation.after + "\n"
    path.write_text("".join(lines))
    try:
        if path.suffix != ".py":
            built, said = run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], tree, timeout)
            if not built:
                return True, "does not compile"
        pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", str(workers)]
        for where in places:
            passed, said = run([*pytest, *where], tree, timeout)
            if not passed:
                return True, said
        return False, ""
    finally:
        path.write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--only", choices=["c", "python"], default="")
    parser.add_argument("--list", action="store_true", help="print the mutations, run nothing")
    parser.add_argument("--stages", type=int, choices=[1, 2, 3], default=3, help="tests: mirrored; neighbors; all")
    parser.add_argument("--workers", type=int, default=2, help="test processes")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one run of the tests")
    parser.add_argument("--json", type=Path, help="write what was found; what is there already is not done again")
    given = parser.parse_args()
    planned = chosen(given.seed, given.count, given.only)
    if given.list:
        for mutation in planned:
            print(f"{mutation.path}:{mutation.line}\n  - {mutation.before.strip()}\n  + {mutation.after.strip()}")
        return 0
    results: dict[Mutation, dict] = {}
    for row in json.loads(given.json.read_text()) if given.json and given.json.exists() else []:
        results[Mutation(**{name: row[name] for name in ("path", "line", "before", "after")})] = row
    planned = [mutation for mutation in planned if mutation not in results]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "wse"
        ignore = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".pytest_cache", "*.egg-info")
        shutil.copytree(ROOT, tree, ignore=ignore)
        run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], tree, given.timeout)
        passed = []
        for mutation in planned:
            first = [where for stage in stages(mutation.path)[: min(given.stages, 2)] for where in stage]
            if not report(mutation, first, tree, given, results):
                passed.append(mutation)
        for mutation in passed if given.stages == 3 else ():
            report(mutation, stages(mutation.path)[2], tree, given, results)
    caught = sum(result["caught"] for result in results.values())
    print(f"{caught} of {len(results)} caught")
    return 0 if caught == len(results) else 1


def report(
    mutation: Mutation, places: list[list[str]], tree: Path, given: argparse.Namespace, results: dict[Mutation, dict]
) -> bool:
    """Checks a mutation, prints and keeps what was found.  Returns whether it was caught."""
    start = time.monotonic()
    caught, by = check(mutation, places, tree, given.workers, given.timeout)
    results[mutation] = {**asdict(mutation), "caught": caught, "by": by, "seconds": time.monotonic() - start}
    word = f"caught by {by}" if caught else "passed " + " ".join(" ".join(where) for where in places)
    print(f"{mutation.path}:{mutation.line}: {mutation.after.strip()}  # {word}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(list(results.values()), indent=1))
    return caught


if __name__ == "__main__":
    sys.exit(main())
