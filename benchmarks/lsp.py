"""Time from a key to its diagnostics: `python benchmarks/lsp.py [--functions 44] [--keys 12]`.

Starts `wse lsp`, opens a program of about ten lines for each function, and changes a name at each key, so that it is
not declared.  Prints the time until the message of that name arrives: least, median and greatest.  44 functions are
about 500 lines.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from editing import COMMANDS, HELPER, LAYOUT, PE
from lsp_client import Client

KEY = "  pair.low += n;"


def program(functions: int) -> str:
    """The code of a PE with so many functions, all of which are called."""
    made = "".join(
        f"\n// Function {i}.\nfn work{i}(value: f32, count: u16) f32 {{\n  var sum: f32 = value;\n"
        f"  for (@range(u16, count)) |k| {{\n    sum += data[k] * {i}.5;\n  }}\n"
        f"  if (sum > 1.0) sum = twice(sum);\n  return sum;\n}}\n"
        for i in range(functions)
    )
    calls = "".join(f"  data[0] = work{i}(data[1], n);\n" for i in range(functions))
    return PE.replace("fn main() void {\n", f"{made}\nfn main() void {{\n{calls}")


async def measure(folder: Path, text: str, keys: int) -> list[float]:
    """Seconds of each key."""
    client, taken = Client(), []
    await client.begin(folder)
    pe = folder / "pe.csl"
    client.open(pe, text)
    await client.until(pe, lambda messages: True)
    for i in range(keys):
        started = time.perf_counter()
        client.change(pe, text.replace(KEY, f"  pair.low += n + key{i};"))
        await client.until(pe, lambda messages, i=i: any(f"key{i} is not declared" in one for one in messages))
        taken.append(time.perf_counter() - started)
    await client.end()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=44)
    parser.add_argument("--keys", type=int, default=12)
    options = parser.parse_args()
    text = program(options.functions)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, words in (("pe", text), ("layout", LAYOUT), ("helper", HELPER)):
            (folder / f"{file}.csl").write_text(words)
        (folder / "commands.sh").write_text(COMMANDS)
        taken = asyncio.run(measure(folder, text, options.keys))
    lines = text.count("\n")
    print(f"{lines} lines, {len(taken)} keys: least {1000 * min(taken):.0f} ms,", end=" ")
    print(f"median {1000 * statistics.median(taken):.0f} ms, greatest {1000 * max(taken):.0f} ms")


if __name__ == "__main__":
    main()
