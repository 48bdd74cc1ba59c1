"""Compiles CSL texts and runs them: what the language tests stand on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.sdk.device import Device

LAYOUT = 'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); }\n'
PAIR = """layout {{
  @set_rectangle(2, 1);
  @set_tile_code(0, 0, "pe.csl", .{{ .sends = true }});
  @set_tile_code(1, 0, "pe.csl", .{{ .sends = false }});
  for (@range(u16, {first}, {end}, 1)) |i| {{
    @set_color_config(0, 0, @get_color(i), .{{ .routes = .{{ .rx = .{{RAMP}}, .tx = .{{EAST}} }} }});
    @set_color_config(1, 0, @get_color(i), .{{ .routes = .{{ .rx = .{{WEST}}, .tx = .{{RAMP}} }} }});
  }}
}}
"""
TYPES = {
    "bool": np.uint8, "f16": np.float16, "f32": np.float32, "ptr": np.uint16, "i8": np.int8, "u8": np.uint8,
    "i16": np.int16, "u16": np.uint16, "i32": np.int32, "u32": np.uint32, "i64": np.int64, "u64": np.uint64,
}  # fmt: skip
LIMIT = 2_000_000  # cycles


def pair(first: int, end: int) -> str:
    """A layout of two PEs; the colors first to end - 1 go from the western, whose `sends` is true, to the eastern."""
    return PAIR.format(first=first, end=end)


def write(folder: Path, pe: str, layout: str | None = None, **files: str) -> Path:
    """Writes the files of a program; returns the layout's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pe.csl").write_text(pe)
    for name, text in files.items():
        (folder / f"{name}.csl").write_text(text)
    path = folder / "layout.csl"
    path.write_text(layout or LAYOUT)
    return path


def compiled(
    folder: Path, pe: str, arch: str = "wse3", layout: str | None = None, params=None, options=None, **files: str
):
    """The ir.Layout of a program.  options: further arguments of compile_program."""
    return compile_program(write(folder, pe, layout, **files), arch, params, **(options or {}))


def device(
    folder: Path, pe: str, arch: str = "wse3", layout: str | None = None, params=None, options=None, **files: str
) -> Device:
    """The program, loaded."""
    return Device(link(compiled(folder, pe, arch, layout, params, options, **files)))


def launch(loaded: Device, name: str = "main", *args) -> None:
    """Runs a function to its end."""
    loaded.launch(name, args)
    loaded.run(cycles=LIMIT)


def read(loaded: Device, name: str, x: int = 0, y: int = 0) -> np.ndarray:
    """An exported variable of a PE."""
    variable, data = loaded.symbol(x, y, name)
    return np.frombuffer(data, TYPES[variable.type])


def run(folder: Path, pe: str, *args, arch: str = "wse3", **more) -> Device:
    """Compiles, launches `main`, runs to the end."""
    loaded = device(folder, pe, arch, **more)
    launch(loaded, "main", *args)
    return loaded
