"""How long CSL takes to compile: processor time of the front end, of the back end, and of the rest, mostly saving.

    python benchmarks/compile_csl.py [--sources DIR] [--arch wse2|wse3] [--repeat N]

The first rows are programs of this file: a whole wafer whose PEs get their coordinates, and a few large programs.  With
--sources, every `cslc` command in the scripts commands*.sh below DIR is a row as well, such as those of a checkout of
csl-examples.  Each row is compiled in a process of its own, N times; the shortest time counts.  Processor time is
little affected by other programs, but not independent of them: compare two versions in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wse.cli import cslc
from wse.sdk import compile

WAFER = """param width: i16;
param height: i16;
layout {
  @set_rectangle(width, height);
  for (@range(i16, width)) |x| {
    for (@range(i16, height)) |y| {
      @set_tile_code(x, y, "pe.csl", .{ .x = x, .y = y });
    }
  }
}
"""
COORDINATES = """param x: i16;
param y: i16;
var place: i32 = @as(i32, y) * 1000 + @as(i32, x);
var scale: f32 = @as(f32, x) * 0.5;
task main() void { place += 1; scale = scale * 2.0; }
comptime { @bind_local_task(main, @get_local_task_id(9)); @activate(@get_local_task_id(9)); }
"""
CLASSES = """param classes: i16;
layout {
  @set_rectangle(classes, 1);
  for (@range(i16, classes)) |x| { @set_tile_code(x, 0, "pe.csl", .{ .n = 4 + x % 16, .first = x == 0 }); }
}
"""
FUNCTION = """fn step_{i}(k: i16) void {{
  for (@range(i16, n)) |i| {{
    const v = data[i] * {i}.5 + @as(f32, k);
    if (v > 100.0) {{ total += v; }} else {{ data[(i + {i}) % n] = v / 3.0; }}
  }}
  if (first) {{ @fmacs(all, all, all, total); }} else {{ @fadds(all, all, {i}.0); }}
}}
"""
LARGE = """param n: i16;
param first: bool;
var data = @zeros([n]f32);
var total: f32 = 0.0;
const all = @get_dsd(mem1d_dsd, .{{ .tensor_access = |i|{{n}} -> data[i] }});
{functions}
task main() void {{ {calls} }}
comptime {{ @bind_local_task(main, @get_local_task_id(9)); @activate(@get_local_task_id(9)); }}
"""


def large(functions: int) -> str:
    return LARGE.format(
        functions="".join(FUNCTION.format(i=i) for i in range(functions)),
        calls=" ".join(f"step_{i}({i});" for i in range(functions)),
    )


OWN = {  # texts of layout and PE, parameters
    "wafer of 750 x 994 PEs with coordinates": (WAFER, COORDINATES, {"width": 750, "height": 994}),
    "16 classes of PEs, 10 functions": (CLASSES, large(10), {"classes": 16}),
    "one class, 60 functions": (CLASSES, large(60), {"classes": 1}),
}


def commands(folder: Path, arch: str) -> dict[str, tuple[Path, list[str]]]:
    """Arguments of the cslc commands in scripts for the architecture, with the folder where they run."""
    found: dict[str, tuple[Path, list[str]]] = {}
    for script in sorted(folder.rglob("commands*.sh")):
        text = script.read_text().replace("\\\n", " ")
        for number, line in enumerate(re.findall(r"(?m)^\s*cslc (.*)$", text), 1):
            words = shlex.split(line)
            if "$" not in line and (arch in line or (arch == "wse2" and "--arch" not in line)):
                found[f"{script.parent.relative_to(folder)} {number}"] = script.parent, words
    return found


def measure(words: list[str]) -> dict[str, float]:
    """Compiles once, as cslc does: seconds of processor time by part."""
    spent = {"front": 0.0, "back": 0.0}

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                spent[part] += time.process_time() - start

        return call

    compile.compile_program = timed("front", compile.compile_program)
    compile.link = timed("back", compile.link)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        cslc.command.main([*words, "-o", folder], standalone_mode=False)
    return spent | {"rest": time.process_time() - start - sum(spent.values())}


def shortest(words: list[str], folder: Path, repeat: int) -> dict[str, float]:
    """Compiles in processes of their own."""
    command = [sys.executable, "-P", os.path.abspath(__file__), "--one", *words]
    runs = []
    for _ in range(repeat):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{folder}: {' '.join(words)}\n{done.stderr}")
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {part: min(run[part] for run in runs) for part in runs[0]}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=Path)
    parser.add_argument("--arch", choices=("wse2", "wse3"), default="wse3")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    print(f"{'front':>7} {'back':>7} {'rest':>7}  seconds")
    with tempfile.TemporaryDirectory() as folder:
        for name, (layout, pe, params) in OWN.items():
            (Path(folder) / "layout.csl").write_text(layout)
            (Path(folder) / "pe.csl").write_text(pe)
            words = ",".join(f"{key}:{value}" for key, value in params.items())
            row(name, shortest(["layout.csl", f"--arch={given.arch}", f"--params={words}"], Path(folder), given.repeat))
    if given.sources:
        rows = commands(given.sources, given.arch)
        found = [row(name, shortest(words, where, given.repeat)) for name, (where, words) in rows.items()]
        row(f"all {len(found)}", {part: sum(one[part] for one in found) for part in ("front", "back", "rest")})


def row(name: str, parts: dict[str, float]) -> dict[str, float]:
    print(*(f"{parts[part]:7.2f}" for part in ("front", "back", "rest")), f" {name}", flush=True)
    return parts


if __name__ == "__main__":
    main()
