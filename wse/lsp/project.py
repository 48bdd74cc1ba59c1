"""The files of a workspace: which layout a file belongs to, and what the layout is compiled with.

A file of the code of PEs gets its params from a layout.  The layout is one from which the file is reached by the names
in @set_tile_code and @import_module.  Its own params come from the editor's settings, else from a call of cslc in a
script beside it, else from what cslc wrote last, else they are the defaults that it declares.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from ..csl.builtins.table import ARCHITECTURES
from ..csl.sema import types as t
from ..csl.syntax import ast
from ..records import dataclass
from .sources import Sources

REFERENCE = re.compile(r'@(?:import_module|set_tile_code)\b[^;"]*"([^"\n]+)"')
LAYOUT = re.compile(r"^[ \t]*layout\s*\{", re.MULTILINE)
MOST_FILES, MOST_FOLDERS = 5_000, 20_000  # that are looked at
LEFT_OUT = ("node_modules", "build", "__pycache__")
MOST_AROUND = 4  # folders around a layout, its own included, where scripts and results are looked for
SCRIPTS = ("*.sh", "Makefile", "makefile")
COMMAND = "cslc"


@dataclass(eq=False)
class Options:
    """What a layout is compiled with, and where that comes from, as a sentence.

    missing: params without a value.  alone: whether `layout` is a file outside of any program, whose params have none.
    """

    layout: Path
    arch: str = "wse3"
    params: dict[str, int] = field(default_factory=dict)
    colors: dict[str, int] = field(default_factory=dict)
    import_paths: list[Path] = field(default_factory=list)
    fp16: str = "f16"
    sdk_version: str | None = None
    fabric: tuple[int, int] = (0, 0)
    offsets: tuple[int, int] = (0, 0)
    origin: str = "the defaults of the layout"
    missing: list[str] = field(default_factory=list)
    alone: bool = False

    @property
    def evaluated(self) -> bool:
        """Whether the layout can be evaluated."""
        return not self.missing and not self.alone

    @property
    def key(self) -> str:
        """Equal for equal options."""
        return repr({name: getattr(self, name) for name in Options.__dataclass_fields__ if name != "origin"})


# What a call of cslc says: the fields of Options that it gives; None if it is not understood.
CommandReader = Callable[[Sequence[str]], Mapping[str, Any] | None]


CHOICES: dict[str, tuple[str, tuple[str, ...]]] = {  # settings: the field of Options, what they may be
    "arch": ("arch", ARCHITECTURES),
    "fp16Format": ("fp16", tuple(t.FP16)),
    "sdkVersion": ("sdk_version", ("1.4", "2.10")),
}


def checked(settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The settings of an editor that can be used, and what is wrong with the others."""
    good: dict[str, Any] = {}
    wrong = []
    for name, value in settings.items():
        if value in ("", None, {}, []):
            continue
        expected = None
        if name in CHOICES:
            known = CHOICES[name][1]
            expected = None if value in known else " or ".join(known)
        elif name in ("params", "colors"):
            whole = isinstance(value, dict) and all(type(number) is int for number in value.values())
            expected = None if whole else "names with integers"
        elif name == "importPath":
            listed = isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
            expected = None if listed else "a list of folders"
        elif name == "profile":
            expected = None if isinstance(value, str) else "a folder"
        if expected is None:
            good[name] = value
        else:
            wrong.append(f"the setting wse.{name} is {expected}, not {value!r}: it is not used")
    return good, wrong


class Project:
    """roots: folders of the workspace.  read_command: the options of the arguments of cslc.  settings: of the editor:
    arch, params, colors, importPath, fp16Format, sdkVersion, profile."""

    def __init__(self, sources: Sources, read_command: CommandReader = lambda args: None):
        self.sources, self.read_command = sources, read_command
        self.roots: list[Path] = []
        self.settings: dict[str, Any] = {}
        self._files: list[Path] | None = None
        self._scanned: dict[Path, tuple[object, list[str], bool]] = {}
        self._commands: dict[Path, tuple[object, list[list[str]]]] = {}

    # ---- files ----

    def changed(self) -> None:
        """Files may have been made or removed."""
        self._files = None

    def files(self) -> list[Path]:
        """The CSL files of the workspace, and those that are open."""
        if self._files is None:
            self._files = list(dict.fromkeys(path for root in self.roots for path in csl_files(root)))
        return list(dict.fromkeys([*self._files, *self.sources.open]))

    def root_of(self, path: Path) -> Path:
        """The folder of the workspace that holds a file, else the file's own."""
        inside = [root for root in self.roots if path.is_relative_to(root)]
        return max(inside, key=lambda root: len(root.parts), default=path.parent)

    def scan(self, path: Path) -> tuple[list[str], bool]:
        """Files that a file names, as it names them, and whether it has a layout block; without parsing it."""
        version = self.sources.version(path)
        known = self._scanned.get(path)
        if known is None or known[0] != version:
            text = self.sources.text(path) or ""
            known = self._scanned[path] = version, REFERENCE.findall(text), LAYOUT.search(text) is not None
        return known[1], known[2]

    def named_by(self, path: Path, tops: Sequence[Path] = ()) -> Iterator[Path]:
        """The files that a file names.  tops: folders of layouts, where names are looked for, too."""
        for name in self.scan(path)[0]:
            if not name.startswith("<"):
                for folder in (path.parent, *tops, *self.import_paths()):
                    found = Path(os.path.normpath(folder / name))
                    if found in self.sources.open or found.is_file():
                        yield found
                        break

    def reached(self, layout: Path) -> list[Path]:
        """The layout and the files of its program, as far as their names are written out."""
        found, left = {layout: None}, [layout]
        while left:
            for path in self.named_by(left.pop(), [layout.parent]):
                if path not in found:
                    found[path] = None
                    left.append(path)
        return list(found)

    # ---- layouts ----

    def is_layout(self, path: Path) -> bool:
        return self.scan(path)[1]

    def layouts_of(self, path: Path) -> list[Path]:
        """The layouts whose programs have a file, the nearest first."""
        if self.is_layout(path):
            return [path]
        beside = [p for p in self.sources.open if p.parent == path.parent]
        known = dict.fromkeys([*beside, *(p for p in csl_files(path.parent, deep=False)), *self.files()])
        layouts = [one for one in known if self.is_layout(one)]
        found = [one for one in layouts if path in self.reached(one)]
        return sorted(found, key=lambda one: (distance(one, path), str(one)))

    def import_paths(self) -> list[Path]:
        given = self.settings.get("importPath") or []
        given = [given] if isinstance(given, str) else given
        from_environment = filter(None, os.environ.get("CSL_IMPORT_PATH", "").split(os.pathsep))
        roots = self.roots or [Path.cwd()]
        return [roots[0] / str(folder) for folder in [*given, *from_environment]]

    def options(self, layout: Path) -> Options:
        """What a layout is compiled with."""
        made = self.of_command(layout) or self.of_output(layout) or Options(layout)
        chosen, given = self.settings, {}
        declared = params_of(self.sources, layout)
        for name, (option, _) in CHOICES.items():
            if chosen.get(name):
                given[option] = chosen[name]
        for name in ("params", "colors"):
            taken = {key: value for key, value in chosen.get(name, {}).items() if key in declared}
            if taken:
                given[name] = getattr(made, name) | taken
        if given:
            made = replace(made, **given, origin=f"the editor's settings, and {made.origin}")
        made.import_paths = [*made.import_paths, *self.import_paths()]
        made.missing = [
            name for name, has in declared.items() if not has and name not in {**made.params, **made.colors}
        ]
        return made

    def of_command(self, layout: Path) -> Options | None:
        """The options of a call of cslc in a script beside the layout, or in a folder around it: the first for WSE-3,
        else the first."""
        found: list[Options] = []
        scripts = [path for folder in self.around(layout) for form in SCRIPTS for path in sorted(folder.glob(form))]
        for script in scripts:
            for words in self.commands_of(script):
                named = [word for word in words if os.path.normpath(script.parent / word) == str(layout)]
                given = self.read_command(words) if named else None
                if given is not None:
                    paths = [script.parent / str(folder) for folder in given.get("import_paths", ())]
                    found.append(Options(layout, **{**given, "import_paths": paths}, origin=f"cslc in {script.name}"))
        return next((one for one in found if one.arch == "wse3"), found[0] if found else None)

    def around(self, layout: Path) -> list[Path]:
        """The folder of a layout, and those around it in the workspace."""
        root = self.root_of(layout)
        return [layout.parent, *[one for one in layout.parents if one.is_relative_to(root)][1:MOST_AROUND]]

    def outputs(self, layout: Path, name: str) -> list[Path]:
        """Files of this name in folders beside the layout, or around it, the newest first."""
        found = [path for folder in self.around(layout) for path in folder.glob(f"*/{name}")]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def commands_of(self, script: Path) -> list[list[str]]:
        """The arguments of the calls of cslc in a script, which is read once."""
        version, known = self.sources.version(script), self._commands.get(script)
        if known is None or known[0] != version:
            known = self._commands[script] = version, list(commands(self.sources.text(script) or ""))
        return known[1]

    def of_output(self, layout: Path) -> Options | None:
        """The options of the last compilation whose result lies in a folder beside the layout, or around it."""
        for path in self.outputs(layout, "out.json"):
            try:
                document = json.loads(path.read_bytes())
                if not is_named(layout, document["file"], path.parent.parent):
                    continue
                params = {name: int(value) for name, value in document["params"].items()}
                colors = {name: int(value) for name, value in document["colors"].items()}
                fp16 = str(document.get("fp16", "f16"))
                return Options(
                    layout,
                    str(document["arch"]),
                    params,
                    colors,
                    fp16=fp16,
                    origin=f"the last cslc ({path.parent.name})",
                )
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
        return None


def is_named(layout: Path, name: str, folder: Path) -> bool:
    """Whether a name that was written down when cslc ran, in the folder as a rule, is that of the layout."""
    return os.path.normpath(folder / name) == str(layout) or (
        folder == layout.parent and Path(name).name == layout.name
    )


def csl_files(folder: Path, deep: bool = True) -> Iterator[Path]:
    """The CSL files of a folder, and of the folders in it."""
    files = 0
    for number, (where, folders, names) in enumerate(os.walk(folder)):
        folders[:] = sorted(name for name in folders if deep and name[0] != "." and name not in LEFT_OUT)
        for name in sorted(names):
            if name.endswith(".csl"):
                files += 1
                yield Path(where) / name
        if files > MOST_FILES or number > MOST_FOLDERS:
            return


def distance(one: Path, other: Path) -> int:
    """Folders between two files."""
    shared = len(os.path.commonpath([one.parent, other.parent]).split(os.sep))
    return len(one.parent.parts) + len(other.parent.parts) - 2 * shared


def params_of(sources: Sources, layout: Path) -> dict[str, bool]:
    """The params that a layout declares, and whether each has a default."""
    parsed = sources.parsed(layout)
    decls = parsed.file.decls.values() if parsed is not None else ()
    return {
        decl.name: decl.init is not None for decl in decls if isinstance(decl, ast.VarDecl) and decl.kind == "param"
    }


def commands(script: str) -> Iterator[list[str]]:
    """The arguments of the calls of cslc in a script."""
    for line in script.replace("\\\n", " ").splitlines():
        if COMMAND not in line:
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        for at, word in enumerate(words):
            if os.path.basename(word) == COMMAND:
                end = next((i for i, other in enumerate(words[at:], at) if other in ("&&", ";", "||", "|")), len(words))
                yield [word.rstrip(";") for word in words[at + 1 : end]]
                break
