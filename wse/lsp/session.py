"""The state of a session: open texts, analyses by layout, and what is wrong with each file.

One thread analyses, the newest state of the texts only: a change ends the analysis of what was there before.  Requests
are answered from the last analysis.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from ..csl.check import check_names
from ..csl.syntax.errors import Diagnostic, Findings, Span
from .analysis import Analyser, Analysis, Stopped
from .hints import Profiles
from .project import CommandReader, Options, Project
from .sources import Parsed, Sources
from .view import View

log = logging.getLogger(__name__)
DEBOUNCE = 0.02  # seconds without a key before an analysis begins
FRESH = 1.0  # seconds that a request waits for the analysis of the newest texts, if it needs values
EARLY = 0.12  # seconds after which what has been found is published, though more may come
LONGEST = 30.0  # seconds of an analysis
UNKNOWN_LAYOUT = (
    "no layout of the workspace names this file: only syntax and names are checked, and params have no values"
)
Found = dict[Path, list[Diagnostic]]


class Session:
    """publish: called in the event loop with the diagnostics by file.  tell: called with a line for the user's log.
    late: called when an analysis has taken longer than requests wait for it, so that they got what was known before."""

    def __init__(
        self,
        publish: Callable[[Found], object],
        tell: Callable[[str], object],
        read_command: CommandReader,
        late: Callable[[], object] = lambda: None,
    ) -> None:
        self.sources = Sources()
        self.project = Project(self.sources, read_command)
        self.profiles = Profiles(self.project)
        self.publish, self.tell, self.late = publish, tell, late
        self.analyses: dict[Path, Analysis] = {}
        self.layouts: dict[Path, Path | None] = {}  # of open files
        self.said: dict[Path, str] = {}
        self.generation = self.finished = 0
        self.started = 0.0
        self.changed = asyncio.Event()
        self.settled_at = asyncio.Condition()
        self.last: Path | None = None

    # ---- changes ----

    def put(self, path: Path, text: str | None) -> None:
        """A text that is open, None if it is closed."""
        if text is None:
            self.sources.open.pop(path, None)
        else:
            self.sources.open[path] = text
            self.last = path
        self.touch()

    def touch(self) -> None:
        """Something has changed: everything is looked at again."""
        self.generation += 1
        self.changed.set()

    async def work(self) -> None:
        """Analyses whenever something has changed; ends by being cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self.changed.wait()
            self.changed.clear()
            await asyncio.sleep(DEBOUNCE)
            if self.changed.is_set():
                continue
            generation = self.generation
            with contextlib.suppress(Stopped):
                await asyncio.to_thread(self.analyse, generation, loop)
            async with self.settled_at:
                self.finished = max(self.finished, generation)
                self.settled_at.notify_all()

    async def settled(self, seconds: float) -> None:
        """Waits until the analysis of the texts as they are has ended, or for a time."""

        async def wait() -> None:
            async with self.settled_at:
                await self.settled_at.wait_for(lambda: self.finished >= self.generation)

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wait(), seconds)

    # ---- in the thread ----

    def analyse(self, generation: int, loop: asyncio.AbstractEventLoop) -> None:
        """Looks at all open files, and the programs that they belong to.  Stopped if a text changes meanwhile."""
        started = time.monotonic()

        def stop() -> bool:
            return self.generation != generation or time.monotonic() - started > LONGEST

        def send(found: Found) -> None:
            if self.generation == generation:
                loop.call_soon_threadsafe(self.publish, found)

        try:
            self.look(started, stop, send, lambda words: loop.call_soon_threadsafe(self.tell, words))
        except Stopped:
            raise
        except Exception:  # a bug here must not end the server
            log.exception("the analysis failed")
        if self.generation != generation:
            raise Stopped
        if time.monotonic() - started > FRESH:
            loop.call_soon_threadsafe(self.late)

    def look(
        self,
        started: float,
        stop: Callable[[], bool],
        send: Callable[[Found], object],
        tell: Callable[[str], object],
    ) -> None:
        opened = list(self.sources.open)
        self.layouts = {path: self.layout_of(path, tell) for path in opened}
        own: Found = {}
        for path in opened:
            layout = self.layouts[path]
            arch = self.project.options(layout).arch if layout is not None else "wse3"
            own[path] = self.own(path, arch, layout)
        found, published = own, False
        for options in self.programs(opened):
            layout = options.layout
            if not options.alone:
                self.assumed(layout, options, tell)
            analyser = Analyser(self.sources, options, self.analyses.get(layout), stop)
            for made in analyser.run(self.last):
                if not published and time.monotonic() - started > EARLY:
                    published = True
                    send(joined(found, made, options))
                if made.complete or layout not in self.analyses:
                    self.analyses[layout] = made
            found = joined(found, made, options)
        send(found)

    def programs(self, opened: list[Path]) -> list[Options]:
        """What is analysed: the programs of open files, and files by themselves whose program cannot be evaluated."""
        found = {one: self.project.options(one) for one in self.layouts.values() if one is not None}
        for path in opened:
            layout = self.layouts[path]
            program = found.get(layout) if layout is not None else None
            if program is None or (not program.evaluated and path != layout):
                found.setdefault(path, Options(path, program.arch if program is not None else "wse3", alone=True))
        return list(found.values())

    def layout_of(self, path: Path, tell: Callable[[str], object]) -> Path | None:
        """The layout that a file is looked at with."""
        found = self.project.layouts_of(path)
        if len(found) > 1:
            others = ", ".join(str(one) for one in found[1:4])
            self.once(path, f"{path.name} belongs to several layouts: {found[0]} is taken, not {others}", tell)
        return found[0] if found else None

    def assumed(self, layout: Path, options: Options, tell: Callable[[str], object]) -> None:
        """Says what a layout is compiled with."""
        values = ", ".join(f"{name} = {value}" for name, value in {**options.params, **options.colors}.items())
        words = f"{layout}: {options.arch}{', ' + values if values else ''}, from {options.origin}"
        self.once(layout, words, tell)

    def once(self, path: Path, words: str, tell: Callable[[str], object]) -> None:
        if self.said.get(path) != words:
            self.said[path] = words
            tell(words)

    def own(self, path: Path, arch: str, layout: Path | None) -> list[Diagnostic]:
        """What is wrong with a file by itself."""
        parsed = self.sources.parsed(path)
        if parsed is None:
            return []
        findings = Findings()
        findings.errors = list(parsed.findings.errors)
        check_names(parsed.file, findings, arch)
        found = findings.errors + findings.warnings
        if layout is None and not parsed.source.library and parsed.text.strip():
            found.append(Diagnostic(UNKNOWN_LAYOUT, Span(parsed.source, 0, 0), "information"))
        return found

    # ---- what requests look at ----

    def parsed(self, path: Path) -> Parsed | None:
        return self.sources.parsed(path)

    def view(self, path: Path) -> View | None:
        """A file with the analysis of its program; of a file of the library, that of any program with it."""
        parsed = self.sources.parsed(path)
        if parsed is None:
            return None
        layout = self.layouts.get(path)
        analysis = self.analyses.get(layout) if layout is not None else None
        if analysis is None or analysis.instance(path) is None:
            analysis = self.analyses.get(path, analysis)
        if analysis is None:
            analysis = next((one for one in self.analyses.values() if path in one.used()), None)
        return View(parsed, analysis, self.project)


def joined(own: Found, made: Analysis, options: Options) -> Found:
    """What is wrong with files by themselves, and with the program that they belong to."""
    found = {path: list(diagnostics) for path, diagnostics in own.items()}
    places = {(d.span.source.path, d.span.start) for ds in own.values() for d in ds if d.span is not None}
    known = {(d.span.source.path, d.span.start, d.message) for ds in own.values() for d in ds if d.span is not None}
    for path in made.used():
        if not path.is_relative_to(options.layout.parent) and path not in own:
            continue
        found.setdefault(path, [])
    said = [*missing(made, options), *made.diagnostics(), *made.asides]
    for diagnostic in said:
        span = diagnostic.span
        if span is None:
            span = Span(made.used()[options.layout].source, 0, 0)
            diagnostic = Diagnostic(diagnostic.message, span, diagnostic.severity, diagnostic.notes)
        place = span.source.path, span.start
        if (*place, diagnostic.message) in known or (diagnostic.severity == "information" and place in places):
            continue
        known.add((*place, diagnostic.message))
        if diagnostic.severity == "error" and place in places and "is not declared" in diagnostic.message:
            continue
        found.setdefault(Path(span.source.path), []).append(diagnostic)
    return found


def missing(made: Analysis, options: Options) -> list[Diagnostic]:
    """The params of the layout that have no value."""
    parsed = made.used().get(options.layout)
    found = []
    for name in options.missing:
        declaration = parsed.names.top.get(name) if parsed is not None else None
        if declaration is not None:
            how = "give it one by cslc --params in a script beside the layout, or in the settings of the editor"
            found.append(
                Diagnostic(
                    f"param {name} has no value: {how}; until then only syntax and names are checked",
                    declaration.name,
                    "warning",
                )
            )
    return found
