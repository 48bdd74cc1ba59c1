"""The compiler's front end over a program that may be half written: its findings, and what every name is bound to.

Nothing is linked.  The layout is evaluated again only if one of its files has changed, and a class of PEs is compiled
again only if the layout or one of its files has.  Then functions that nothing calls are looked at, too: an editor
shows the types in them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..csl.builtins.layout import LayoutState
from ..csl.compile import RECURSION, Class, check_exports, check_tiles, classes_of, compile_class, run_layout, split
from ..csl.sema import types as t
from ..csl.sema.calls import entry
from ..csl.sema.modules import Instance
from ..csl.sema.unit import Program, Unit
from ..csl.sema.values import FnRef, NeedsConcrete
from ..csl.syntax import ast
from ..csl.syntax.errors import CslError, Diagnostic, Findings, Span
from ..records import dataclass
from .project import Options
from .sources import OpenLoader, Parsed, Sources

log = logging.getLogger(__name__)
MOST_CLASSES = 200  # that are compiled
NOT_CALLED = "nothing calls {}, so cslc does not say this"

Key = tuple[Path, str, int]  # file, name, offset at which it is bound


class Stopped(Exception):
    """What is analysed has changed meanwhile, or it takes too long."""


class Watched(Program):
    """A program whose evaluation ends when `stop` says so."""

    stop: Callable[[], bool]

    def step(self, span: Span | None, weight: int = 1) -> None:
        if self.stop():
            raise Stopped
        super().step(span, weight)


@dataclass(eq=False)
class Bound:
    """What a local name was bound to.  lowered: while run-time code was made; times: how often it was bound."""

    value: Any
    lowered: bool
    times: int = 1


@dataclass(eq=False)
class Part:
    """What is known of the layout, or of one class of PEs."""

    loader: OpenLoader
    program: Watched
    unit: Unit | None = None
    varying: list = field(default_factory=list)
    bound: dict[Key, Bound] = field(default_factory=dict)
    error: CslError | None = None  # that ended it

    def note(self, frame: Any, name: str, value: Any, span: Span | None) -> None:
        if span is None or span.source.library:
            return
        key = Path(span.source.path), name, span.start
        lowered, known = frame.lowered is not None, self.bound.get(key)
        if known is None or (lowered and not known.lowered):
            self.bound[key] = Bound(value, lowered)
        else:
            known.times += 1

    @property
    def errors(self) -> list[Diagnostic]:
        findings = self.program.findings
        return [*findings.errors, *findings.warnings, *(self.error.diagnostics if self.error is not None else ())]

    @property
    def instances(self) -> list[Instance]:
        return self.unit.instances if self.unit is not None else []


@dataclass(eq=False)
class Analysis:
    """What is known of a program.  parts: by class of PEs; findings: of the whole program; asides: of functions that
    nothing calls.  complete: whether all classes have been compiled."""

    options: Options
    layout: Part
    state: LayoutState | None = None
    classes: list[Class] = field(default_factory=list)
    parts: dict[int, Part] = field(default_factory=dict)  # by id of the class
    findings: Findings = field(default_factory=Findings)
    asides: list[Diagnostic] = field(default_factory=list)
    complete: bool = False

    def all_parts(self) -> list[Part]:
        """Classes of PEs first: the file of a layout may be code of PEs, too."""
        return [*self.parts.values(), self.layout]

    def used(self) -> dict[Path, Parsed]:
        """The versions of the files that were looked at."""
        return {path: found for part in self.all_parts() for path, found in part.loader.used.items()}

    def instance(self, path: Path) -> tuple[Part, Instance] | None:
        """A module of a file, the first that there is."""
        for part in self.all_parts():
            for instance in part.instances:
                if instance.file.source.path == str(path):
                    return part, instance
        return None

    def modules(self, path: Path) -> list[Instance]:
        """All modules of a file."""
        found = (instance for part in self.all_parts() for instance in part.instances)
        return [instance for instance in found if instance.file.source.path == str(path)]

    def bound(self, key: Key) -> Bound | None:
        """What a local name was bound to in the first class that has its code."""
        found = (part.bound.get(key) for part in self.all_parts())
        return next((one for one in found if one is not None), None)

    def diagnostics(self) -> list[Diagnostic]:
        """What the compiler says of the program, without what follows from errors of syntax."""
        found = Findings()
        for part in (self.layout, *self.parts.values()):
            for diagnostic in part.errors:
                found.add(diagnostic)
        for diagnostic in (*self.findings.errors, *self.findings.warnings):
            found.add(diagnostic)
        if not self.options.evaluated:
            return []
        broken = {str(path) for path, parsed in self.used().items() if parsed.findings.errors}
        if not broken:
            return found.errors + found.warnings
        tainted = broken | {
            instance.file.source.path
            for part in self.all_parts()
            if any(str(path) in broken for path in part.loader.used)
            for instance in part.instances
        }
        return [d for d in found.errors + found.warnings if d.span is None or d.span.source.path not in tainted]


class Analyser:
    """Analyses a program.  stop: whether to give up."""

    def __init__(self, sources: Sources, options: Options, previous: Analysis | None, stop: Callable[[], bool]):
        self.sources, self.options, self.stop = sources, options, stop
        same = previous is not None and previous.options.key == options.key
        self.previous = previous if same else None

    def run(self, first: Path | None = None) -> Iterator[Analysis]:
        """The analysis after the layout, after each class of PEs, and at the end: one object that grows.

        first: a file whose classes come first.
        """
        with deep_recursion():
            made = self.begin()
            yield made
            waiting = self.order(made, first)
            while waiting:
                one = waiting.pop(0)
                try:
                    made.parts[id(one)] = self.part(one, made)
                except NeedsConcrete as needed:
                    pieces = split(one, needed.values)
                    at = made.classes.index(one)
                    made.classes[at : at + 1] = pieces
                    waiting[:0] = pieces
                    continue
                yield made
            self.finish(made)
            made.complete = True
            yield made
            explored: set[Path] = set()
            for part in made.all_parts():
                self.explore(part, made, explored)
            yield made

    def order(self, made: Analysis, first: Path | None) -> list[Class]:
        """The classes, those first that had a file before."""
        known = self.previous.parts if self.previous is not None else {}

        def later(one: Class) -> bool:
            before = known.get(id(one))
            return not (one.path == first or (before is not None and first in before.loader.used))

        return sorted(made.classes, key=later)[:MOST_CLASSES]

    # ---- the layout ----

    def program(self, loader: OpenLoader) -> Watched:
        options = self.options
        made = Watched(options.arch, loader)
        made.stop, made.patient = self.stop, True
        made.fabric, made.offsets = options.fabric, options.offsets
        made.fp16, made.sdk_version = t.FP16[options.fp16], options.sdk_version
        return made

    def begin(self) -> Analysis:
        """The layout: as before, if its files are."""
        before = self.previous
        if before is not None and before.layout.loader.unchanged():
            return Analysis(self.options, before.layout, before.state, list(before.classes))
        loader = OpenLoader(self.sources, self.options.import_paths, self.options.layout)
        part = Part(loader, self.program(loader))
        part.program.bound = part.note
        made = Analysis(self.options, part)
        if not self.options.evaluated:
            self.alone(part, self.options.layout)
            return made
        with guarded(part):
            state, root = run_layout(part.program, self.options.layout, self.options.params, self.options.colors)
            part.unit = root.unit
            made.state = state
            if state.size is not None:
                made.classes = classes_of(state)
        if part.unit is None and part.program.layout is not None:
            self.alone(part, self.options.layout)
        return made

    def alone(self, part: Part, path: Path) -> None:
        """A module of a file outside of any program, so that what does not depend on params is known."""
        unit = Unit(part.program, path.stem)
        with guarded(part):
            unit.open(path, {})
            part.unit = unit

    # ---- classes ----

    def part(self, one: Class, made: Analysis) -> Part:
        """A class of PEs: as before, if its files and the layout are."""
        before = self.previous.parts.get(id(one)) if self.previous is not None else None
        same = self.previous is not None and made.layout is self.previous.layout
        if before is not None and same and before.loader.unchanged():
            return before
        loader = OpenLoader(self.sources, self.options.import_paths, self.options.layout)
        program, whole = self.program(loader), made.layout.program
        program.layout, program.rectangle, program.memcpy = whole.layout, whole.rectangle, whole.memcpy
        part = Part(loader, program)
        program.bound = part.note
        with guarded(part):
            part.unit, part.varying = compile_class(program, one, len(made.parts))
        return part

    def finish(self, made: Analysis) -> None:
        """What is said of the whole program."""
        if made.state is None or made.state.size is None:
            return
        bound = set().union(*(part.program.bound_queues for part in made.parts.values()))
        for part in made.parts.values():
            for queue, error in part.program.unbound_queues.items():
                if queue not in bound:
                    made.findings.add(error)
        try:
            check_tiles(made.state)
        except CslError as error:
            made.findings.add(error)
        units = [part.unit.out for part in made.parts.values() if part.unit is not None]
        if len(units) == len(made.classes):
            check_exports(SimpleNamespace(findings=made.findings), made.state, SimpleNamespace(units=units))  # type: ignore[arg-type]
        self.routes(made)

    def routes(self, made: Analysis) -> None:
        """Colors that code and layout configure, with the routes that they would have."""
        state, before = LayoutState(), made.state
        assert before is not None
        state.size, state.spans, state.numbers = before.size, dict(before.spans), dict(before.numbers)
        state.routes = {color: (plane.copy(), list(configs)) for color, (plane, configs) in before.routes.items()}
        for one in made.classes:
            unit = made.parts[id(one)].unit if id(one) in made.parts else None
            for color, (config, span) in unit.colors.items() if unit is not None else ():
                try:
                    state.route(color, config, one.x, one.y, span)
                except CslError as error:
                    made.findings.add(error)

    # ---- what nothing calls ----

    def explore(self, part: Part, made: Analysis, explored: set[Path]) -> None:
        """Functions and tasks of the program's own files that nothing reaches, in the first class that has them."""
        unit, program = part.unit, part.program
        if unit is None or unit.layout is not None:
            return
        findings, program.findings = program.findings, Findings()
        try:
            known = {id(lowered.fn.decl) for lowered in unit.lowered_functions()}
            for instance in [one for one in unit.instances if not one.library]:
                path = Path(instance.file.source.path)
                if path in explored:
                    continue
                explored.add(path)
                for decl in instance.file.decls.values():
                    bound = any(
                        (path, param.name, param.span.start) in part.bound for param in getattr(decl, "params", ())
                    )
                    if not isinstance(decl, ast.FnDecl) or id(decl) in known or bound or not is_plain(decl):
                        continue
                    before = len(program.findings.errors)
                    if exists_when_compiling(unit, FnRef(decl, instance)):
                        continue
                    unit.attempt(partial(entry, unit, FnRef(decl, instance), decl.name_span))
                    while unit.lower_next():
                        pass
                    for diagnostic in program.findings.errors[before:] if self.options.evaluated else ():
                        note = (None, NOT_CALLED.format(decl.name))
                        made.asides.append(Diagnostic(diagnostic.message, diagnostic.span, "information", [note]))
        except Stopped:
            raise
        except Exception:
            log.debug("exploring %s", unit.name, exc_info=True)
        finally:
            program.findings = findings


def exists_when_compiling(unit: Unit, fn: FnRef) -> bool:
    """Whether a function takes or returns what exists at compile time only: it is not called in run-time code."""
    try:
        kind = unit.fn_type(fn, fn.decl.name_span)
    except CslError:
        return False
    return any(one.is_comptime and one is not t.VOID for one in (*kind.params, kind.result))


def is_plain(decl: ast.FnDecl) -> bool:
    """Whether a function can be compiled without a call: its types are those that it declares."""
    generic = any(
        param.comptime or (isinstance(param.type, ast.Ident) and param.type.name in ("anytype", "type"))
        for param in decl.params
    )
    return decl.body is not None and not generic and not decl.inline


@contextmanager
def guarded(part: Part) -> Iterator[None]:
    """Whatever ends the evaluation is a finding of the part."""
    try:
        yield
    except CslError as error:
        part.error = error
    except (Stopped, NeedsConcrete):
        raise
    except RecursionError:
        part.error = CslError.at(None, "the program is nested too deeply to be compiled")
    except Exception as error:
        log.warning("the compiler failed", exc_info=True)
        part.error = CslError.at(None, f"internal error of the compiler: {type(error).__name__}: {error}")


@contextmanager
def deep_recursion() -> Iterator[None]:
    """The evaluator calls itself for what is nested."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def within(seconds: float) -> Callable[[], bool]:
    """A `stop` that says so after a time."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end
