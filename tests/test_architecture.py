"""docs/architecture.md: the picture is drawn from these sources, the reading order exists and stays short."""

import re
import subprocess
import sys

from documents import ROOT

TEXT = (ROOT / "docs/architecture.md").read_text()
MOST = 3000  # lines of the reading order


def test_the_picture_is_current():
    done = subprocess.run(
        [sys.executable, "docs/draw_architecture.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_reading_order_is_short_and_its_line_counts_are_true():
    rows = re.findall(r"(?m)^\| `([\w./]+)` \| ([\d,]+) \|", TEXT.split("## Reading order")[1])
    lines = {name: len((ROOT / name).read_text().splitlines()) for name, _ in rows}
    assert len(rows) >= 6 and sum(lines.values()) <= MOST
    for name, said in rows:  # counts are rounded to ten, so that not each edit is one of the document
        assert abs(int(said.replace(",", "")) - lines[name]) <= max(30, lines[name] // 5), (
            f"{name} has {lines[name]} lines"
        )


def test_every_folder_is_described():
    for top in ("csrc", "wse"):
        part = TEXT.split(f"## {top}/")[1].split("\n## ")[0]
        folders = {path.name for path in (ROOT / top).iterdir() if path.is_dir() and path.name != "__pycache__"}
        described = set(
            re.findall(
                r"`(\w+)`", "\n".join(line.split("|")[1] for line in part.splitlines() if line.startswith("| `"))
            )
        )
        assert folders <= described, folders - described
