"""A session of the language server without a process: programs as texts, places in them by a mark."""

from __future__ import annotations

import time
from pathlib import Path

from wse.cli.lsp import options_of
from wse.lsp.session import Session
from wse.lsp.view import View

MARK = "§"  # the cursor
LAYOUT = """\
param n: u16;
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 2, .height = 1 });
layout {
  @set_rectangle(2, 1);
  for (@range(u16, 2)) |x| {
    @set_tile_code(x, 0, "pe.csl", .{ .n = n, .memcpy_params = memcpy.get_params(x) });
  }
  @export_name("data", [*]f32, true);
  @export_name("main", fn()void);
}
"""
PE = """\
// The number of elements.
param n: u16;
param memcpy_params: comptime_struct;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
const math = @import_module("<math>");
const helper = @import_module("helper.csl", .{ .scale = 3 });

const Kind = enum(u16) { first = 1, second = 2 };
const Pair = struct { low: u16, high: f32 };
var data: [n]f32;
var pointer: [*]f32 = &data;
var kind: Kind = Kind.first;
const dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{n} -> data[i] });

// Twice the value.
fn twice(value: f32) f32 {
  const factor: f32 = 2.0;
  return factor * value;
}

fn main() void {
  for (@range(u16, n)) |index| {
    data[index] = twice(math.sqrt(data[index])) + @as(f32, helper.scaled(2));
  }
  var pair = Pair{ .low = 1, .high = 2.0 };
  pair.low += n;
  sys.unblock_cmd_stream();
}

comptime {
  @export_symbol(pointer, "data");
  @export_symbol(main);
}
"""
HELPER = """\
param scale: u16;

// A multiple of the value.
fn scaled(value: u16) u16 { return scale * value; }
"""
COMMANDS = (
    "cslc layout.csl --arch=wse3 --fabric-dims=9,3 --fabric-offsets=4,1 --params=n:8 -o out --memcpy --channels 1\n"
)


class Program:
    """Files in a folder, and a session in which some of them are open."""

    def __init__(self, folder: Path, pe: str = PE, layout: str = LAYOUT, commands: str = COMMANDS, **files: str):
        self.folder = folder
        self.said: list[str] = []
        self.session = Session(lambda found: None, self.said.append, options_of)
        self.session.project.roots = [folder]
        texts = {"pe": pe, "layout": layout, "helper": HELPER, **files}
        for name, text in texts.items():
            self.path(name).write_text(text.replace(MARK, ""), encoding="utf-8")
        if commands:
            (folder / "commands.sh").write_text(commands)
        self.found: dict = {}
        self.open("pe", pe)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.csl"

    def open(self, name: str, text: str | None = None) -> None:
        """Opens a file, or changes its text, and looks at all."""
        text = self.path(name).read_text() if text is None else text
        self.session.put(self.path(name), text.replace(MARK, ""))
        self.look()

    def look(self) -> None:
        self.session.look(time.monotonic(), lambda: False, self.keep, self.said.append)

    def keep(self, found) -> None:
        self.found = found

    def messages(self, name: str, severity: str | None = "error") -> list[str]:
        found = self.found.get(self.path(name), [])
        return [one.message for one in found if severity is None or one.severity == severity]

    def view(self, name: str = "pe") -> View:
        view = self.session.view(self.path(name))
        assert view is not None
        return view

    def at(self, words: str, name: str = "pe") -> tuple[View, int]:
        """The view of a file and the offset of a mark in words that stand in it: `fac§tor: f32`."""
        view, before = self.view(name), words.index(MARK)
        words = words.replace(MARK, "")
        assert view.parsed.text.count(words) == 1, words
        return view, view.parsed.text.index(words) + before

    def typed(self, text: str, name: str = "pe") -> tuple[View, int]:
        """The view after the text of a file has become this one, and the offset of the mark in it.  Nothing is
        analysed in between: the view has what was known before."""
        self.session.put(self.path(name), text.replace(MARK, ""))
        return self.view(name), text.index(MARK)
