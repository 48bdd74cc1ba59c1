"""What comments and documents name exists: files, folders, tests, targets of links."""

import re
import subprocess

import pytest
from documents import ROOT

TOP = ("csrc", "wse", "tests", "docs", "benchmarks", "traces", r"\.ci", r"\.github")
PATH = re.compile(rf"(?<![\w/.<-])((?:{'|'.join(TOP)})/[\w./*<>{{}}-]*[\w*}}>])")
TEST = re.compile(r"::(test_[a-z0-9_]+)\b")  # not test_NAME
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# A name that stands for others: FILE, NAME, <area>, *, {a,b}, and "...".
PATTERN = re.compile(r"[*<>{}]|\b[A-Z]{2,}\b|\.\.\.|test_NAME")
# Names of files in a user's or a test's own folders, or that the build makes.
ELSEWHERE = re.compile(
    r"^(docs/reference/|wse/_engine\.c$|csrc/(x|room)/|tests/(csrc/)?x/|wse/x\b|wse/new|wse/report/explorer/node_modules)"
)


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:  # an sdist
        return [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()]
    return [name for name in done.stdout.split() if (ROOT / name).exists()]


def comments(name: str, text: str) -> str:
    """The parts of a file that are prose: comments and docstrings of code, all of other files."""
    if name.endswith(".py"):
        return "\n".join(re.findall(r'""".*?"""|#[^\n]*', text, re.DOTALL))
    if name.endswith((".c", ".h", ".def")):
        return "\n".join(re.findall(r"/\*.*?\*/|//.*", text, re.DOTALL))
    return text


PROSE = (".py", ".pyx", ".c", ".h", ".def", ".md", ".toml", ".yml", ".yaml", ".cff", ".in")
FILES = [name for name in tracked() if name.endswith(PROSE) or name.startswith(".ci/") or name == "Makefile"]


def missing(name: str, text: str) -> list[str]:
    """The names of files and tests in the prose of a file that do not exist."""
    prose = comments(name, text)
    wrong = []
    for path in PATH.findall(prose):
        path = path.rstrip(".")
        if not (PATTERN.search(path) or ELSEWHERE.match(path) or (ROOT / path).exists()):
            wrong.append(path)
    if name.endswith(".md"):
        for target in LINK.findall(prose):
            if "://" not in target and not PATTERN.search(target) and not ((ROOT / name).parent / target).exists():
                wrong.append(target)
    return wrong


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("CHANGELOG.md", "tests/test_claims.py")])
def test_files_that_are_named_exist(name):
    assert missing(name, (ROOT / name).read_text()) == []


def test_tests_that_are_named_exist():
    for name in FILES:
        for test in TEST.findall(comments(name, (ROOT / name).read_text())):
            if PATTERN.search(test):
                continue
            found = subprocess.run(["grep", "-rqE", rf"def {test}\b", str(ROOT / "tests")])
            assert found.returncode == 0, f"{name} names {test}"


def test_markers_that_are_used_are_declared_and_used():
    declared = set(re.findall(r'(?m)^    "(\w+): ', (ROOT / "pyproject.toml").read_text()))
    text = "\n".join((ROOT / name).read_text() for name in FILES if name.startswith("tests/") and name.endswith(".py"))
    for marker in declared:
        assert f"mark.{marker}" in text, f"no test has the marker {marker}"


def test_a_wrong_name_is_caught():
    planted = "# see tests/engine/c/nothing.c and wse/fabric/fabric.py\n"
    assert missing("planted.py", planted) == ["tests/engine/c/nothing.c"]
    assert missing("planted.c", "/* tests/engine/c/nothing.c */ x/wse/none") == ["tests/engine/c/nothing.c"]
    assert missing("docs/planted.md", "[x](nothing.md) [y](machine.md)") == ["nothing.md"]
