"""Folders of csrc: which may include which, and which header declares what."""

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"

# From the bottom up: a file includes files of its own room and of rooms before it.  wse.h and wse_debug.h, the engine's interface, are below all.
ROOMS = ["tables", "numeric", "state", "observe", "fast", "router", "pe", "fabric"]
# Compiled several times, for each instruction set of the host or each 16-bit format: a variant defines what differs
# and includes the base.
VARIANTS = {
    "pe/scalar_bf16.c": "pe/scalar.c",
    "pe/scalar_cb16.c": "pe/scalar.c",
    "pe/scalar_profiled.c": "pe/scalar.c",
    "pe/rows_avx2.c": "pe/rows.c",
    "pe/rows_avx512.c": "pe/rows.c",
    "router/router_avx2.c": "router/router.c",
    "router/router_avx512.c": "router/router.c",
    "router/router_checked.c": "router/router.c",
    "fast/span_avx2.c": "fast/span.c",
    "fast/span_avx512.c": "fast/span.c",
    "fast/span_avx512_fp16.c": "fast/span.c",
}
# Headers that are a part of one source file only.
PARTS = {"fast/span_avx2_ops.h": "fast/span.c", "fast/span_avx512_ops.h": "fast/span.c"}
INTERFACE = ("wse.h", "wse_debug.h")
FILES = sorted(str(path.relative_to(CSRC)) for path in CSRC.rglob("*.[ch]"))


def read(name: str) -> str:
    return (CSRC / name).read_text()


def includes(text: str) -> list[str]:
    """Headers and sources that the text includes; tables (.def) include nothing and stand below all."""
    return [name for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M) if not name.endswith(".def")]


def floor(name: str) -> int:
    return -1 if name in INTERFACE else ROOMS.index(name.split("/")[0])


def unit(name: str) -> str:
    """x.h and x.c are one unit, and so are the variants and the parts of x.c."""
    return (VARIANTS | PARTS).get(name, name).rsplit(".", 1)[0]


def top_level(text: str) -> str:
    """The text without comments, directives and what stands between braces."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^\s*#(?:.*\\\n)*.*$", "", text, flags=re.M)
    while (bare := re.sub(r"\{[^{}]*\}", "@", text)) != text:
        text = bare
    return text


def declared(text: str) -> set[str]:
    """Functions that the text declares without a body."""
    found = set()
    for piece in re.split(r"[;@]", top_level(text)):
        match = re.search(r"(\w+)\s*\((?:[^()]|\([^()]*\))*\)\s*$", re.sub(r"\(\*\w+\)", "", piece))
        if match and "typedef" not in piece and "=" not in piece:
            found.add(match.group(1))
    return found - defined(text)


def defined(text: str) -> set[str]:
    """Functions with a body that other files can call, or that the text itself has inline."""
    return set(re.findall(r"(\w+)\s*\((?:[^()]|\([^()]*\))*\)\s*@", top_level(text)))


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Names along a circle of the graph, or none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        for other in sorted(graph.get(name, ())):
            if found := visit(other):
                return found
        path.pop()
        done.add(name)
        return []

    for name in sorted(graph):
        if found := visit(name):
            return found
    return []


def test_every_file_stands_in_a_room():
    assert FILES
    for name in FILES:
        assert name in INTERFACE or name.split("/")[0] in ROOMS, f"csrc/{name}: no room of that name; add it to ROOMS"
    assert {name.split("/")[0] for name in FILES} >= set(ROOMS)


@pytest.mark.parametrize("name", FILES)
def test_includes_go_downwards(name):
    for other in includes(read(name)):
        assert (CSRC / other).is_file(), f"csrc/{name}: #include {other}: paths begin at csrc/"
        if other.endswith(".c"):
            assert VARIANTS.get(name) == other, f"csrc/{name} includes {other}; only the variants of VARIANTS do that"
        assert floor(other) <= floor(name), f"csrc/{name} includes {other}, of a room above its own"


def test_no_circle():
    graph: dict[str, set[str]] = {}
    for name in FILES:
        graph.setdefault(unit(name), set()).update(unit(other) for other in includes(read(name)))
    for name, others in graph.items():
        others.discard(name)
    assert circle(graph) == []


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".h") and name not in INTERFACE])
def test_a_header_declares_what_its_own_file_defines(name):
    source = name[:-1] + "c"
    text = read(source) if (CSRC / source).exists() else ""
    own = defined(text)
    for variant, base in VARIANTS.items():  # ROUTERS_STEP, a macro, is the name of the function a variant defines
        if base == source:
            own |= set(re.findall(r"^#define [A-Z_]+ (\w+)$", read(variant), re.M))
    own |= set(re.findall(r"^#define [A-Z_]+ (\w+)$", text, re.M))
    foreign = declared(read(name)) - own
    assert not foreign, f"csrc/{name} declares {', '.join(sorted(foreign))}, which csrc/{source} does not define"


def test_the_interface_is_defined_once():
    where: dict[str, list[str]] = {}
    for name in FILES:
        if name.endswith(".c"):
            for function in defined(read(name)):
                where.setdefault(function, []).append(name)
    functions = [function for name in INTERFACE for function in declared(read(name))]
    assert len(functions) > 40
    assert {name: where.get(name, []) for name in functions if len(where.get(name, [])) != 1} == {}


def test_what_is_planted_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []
    assert includes('#include "pe/ce.h"\n#include <math.h>\n') == ["pe/ce.h"]
    assert floor("pe/ce.c") > floor("router/router.h") > floor("wse.h")
    header = """
    typedef void (*call)(int a);
    enum { A = 1 }; /* not_me(); */
    int one(int a, void (*f)(int));
    const int *two(void);
    static inline int three(int a) { return one(a, 0); }
    extern const int four[];
    """
    assert declared(header) == {"one", "two"}
    assert defined("int one(int a) {\n  if (two(a)) { return 1; }\n  return 0;\n}\n") == {"one"}
