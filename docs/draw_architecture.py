"""Draws docs/pictures/architecture.svg: the folders of csrc/ and wse/ and their includes and imports.

    python docs/draw_architecture.py            writes the picture
    python docs/draw_architecture.py --check    exits with status 1 if the picture is out of date

A folder stands above all folders that it uses.  Arrows that follow from others (a uses b, b uses c, so a uses c) are
left out.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "architecture.svg"
BOX, GAP, FLOOR = (118, 30), 14, 66

Graph = dict[str, set[str]]


def c_folders() -> Graph:
    """Folders of csrc/ by the includes of their files."""
    graph: Graph = {}
    for path in (ROOT / "csrc").rglob("*.[ch]"):
        folder = path.parent.name
        if folder != "csrc":
            used = re.findall(r'(?m)^#include "(\w+)/', path.read_text())
            graph.setdefault(folder, set()).update(set(used) - {folder})
    return graph


def python_folders() -> Graph:
    """Packages of wse/ by the imports of their modules; imports for type checkers only do not count."""
    package = ROOT / "wse"
    graph: Graph = {path.name: set() for path in package.iterdir() if (path / "__init__.py").exists()}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).parts
        if parts[0] not in graph:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                node.body = []
        base = ["wse", *parts[:-1]]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                start = base[: len(base) - node.level + 1] if node.level else []
                names = [[*start, *(node.module or "").split("."), alias.name] for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name.split(".") for alias in node.names]
            else:
                continue
            for name in names:
                name = [part for part in name if part]
                if name[0] == "wse" and len(name) > 1 and name[1] in graph and name[1] != parts[0]:
                    graph[parts[0]].add(name[1])
    return graph


def components(graph: Graph) -> dict[str, frozenset[str]]:
    """For each node, the nodes that it shares a circle with, itself included."""

    def reach(node: str) -> set[str]:
        seen, todo = set(), [node]
        while todo:
            for other in graph[todo.pop()] & graph.keys():
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen

    reached = {node: reach(node) for node in graph}
    return {node: frozenset({node} | {other for other in reached[node] if node in reached[other]}) for node in graph}


def floors(graph: Graph) -> dict[str, int]:
    """The length of the longest path down from each node; nodes of a circle are on one floor."""
    group = components(graph)
    known: dict[frozenset[str], int] = {}

    def floor(members: frozenset[str]) -> int:
        if members not in known:
            below = {group[to] for node in members for to in graph[node] & graph.keys()} - {members}
            known[members] = max((floor(other) + 1 for other in below), default=0)
        return known[members]

    return {node: floor(group[node]) for node in graph}


def direct(graph: Graph) -> Graph:
    """The graph without the arrows that follow from others."""

    def reaches(start: str, end: str, without: str) -> bool:
        seen, todo = {start}, [node for node in graph[start] if node != without]
        while todo:
            node = todo.pop()
            if node == end:
                return True
            if node not in seen:
                seen.add(node)
                todo += graph.get(node, ())
        return False

    return {node: {to for to in used if not reaches(node, to, to)} for node, used in graph.items()}


def draw(graph: Graph, x: int, title: str) -> tuple[list[str], int, int]:
    """SVG elements of a graph from x on, and its width and height."""
    level = floors(graph)
    rows: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for node in sorted(graph):
        rows[level[node]].append(node)
    width = max(len(row) for row in rows) * (BOX[0] + GAP)
    place = {}
    for floor, row in enumerate(rows):
        left = x + (width - len(row) * (BOX[0] + GAP)) // 2
        for i, node in enumerate(row):
            place[node] = (left + i * (BOX[0] + GAP), 40 + (len(rows) - 1 - floor) * FLOOR)
    out = [f'<text x="{x + width // 2}" y="22" class="title">{title}</text>']
    for node, used in sorted(direct(graph).items()):
        for other in sorted(used & graph.keys()):
            (ax, ay), (bx, by) = place[node], place[other]
            out.append(
                f'<line x1="{ax + BOX[0] // 2}" y1="{ay + BOX[1]}" x2="{bx + BOX[0] // 2}" y2="{by}" class="arrow"/>'
            )
    for node, (px, py) in place.items():
        out.append(f'<rect x="{px}" y="{py}" width="{BOX[0]}" height="{BOX[1]}" rx="4"/>')
        out.append(f'<text x="{px + BOX[0] // 2}" y="{py + 20}">{node}</text>')
    return out, width, 40 + len(rows) * FLOOR


def picture() -> str:
    """The SVG text."""
    left, width, height = draw(c_folders(), 10, "csrc/")
    right, more, other = draw(python_folders(), width + 60, "wse/")
    total, tall = width + more + 80, max(height, other)
    style = (
        "rect{fill:#eef3f8;stroke:#567} text{font:13px sans-serif;text-anchor:middle} .title{font-weight:bold}"
        " .arrow{stroke:#89a;marker-end:url(#a)}"
    )
    marker = '<marker id="a" orient="auto" markerWidth="7" markerHeight="7" refX="6" refY="3">'
    marker += '<path d="M0 0 6 3 0 6z" fill="#89a"/></marker>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {tall}" width="{total}" height="{tall}">'
    background = f'<rect width="{total}" height="{tall}" style="fill:#fff;stroke:none"/>'
    return "\n".join([head, f"<style>{style}</style><defs>{marker}</defs>", background, *left, *right, "</svg>", ""])


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if not PICTURE.exists() or PICTURE.read_text() != picture():
            sys.exit("error: docs/pictures/architecture.svg is not current; run: python docs/draw_architecture.py")
    else:
        PICTURE.write_text(picture())
        print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")
