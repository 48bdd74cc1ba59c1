"""The Debug Adapter Protocol on two streams: editors start `wse debug --dap` and drive the debugger.

One thread reads requests.  The thread that runs the fabric answers them: at a stop, and about twenty times a second
during a run.  The threads of the protocol are PEs: the one in focus and those of the last stops.
"""

from __future__ import annotations

import contextlib
import io
import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ..csl.artifact import Artifact
from ..errors import ConfigError, WseError
from ..program.assembler import disassemble_word
from . import csdb, views
from .breakpoint import Pause, Quit, Stopped
from .debugger import Debugger
from .shell import Shell
from .values import Variable, shown

CAPABILITIES = {
    "supportsConfigurationDoneRequest": True,
    "supportsFunctionBreakpoints": True,
    "supportsConditionalBreakpoints": True,
    "supportsEvaluateForHovers": True,
    "supportsStepBack": True,
    "supportsSetVariable": True,
    "supportsDataBreakpoints": True,
    "supportsDisassembleRequest": True,
    "supportsSteppingGranularity": True,
    "supportsTerminateRequest": True,
}
REASONS = {
    "begin": "entry",
    "interrupt": "pause",
    "fault": "exception",
    "cycle": "goto",
    "history": "step",
    "ended": "step",
}
_MOST = 1000  # elements of an array that are shown at once
_MOST_BYTES = 1 << 26  # of a message
_SCOPES = ("Variables", "Registers", "Queues", "Tasks", "Operations", "Routes", "DSRs")


class Unreadable(NamedTuple):
    """A message that is no request, in words."""

    words: str


class Connection:
    """Messages on two streams.  `requests` holds those received; None: the editor has closed the stream."""

    def __init__(self, given: IO[bytes], out: IO[bytes]):
        self._given, self._out = given, out
        self._count = 0
        self.requests: queue.Queue[dict[str, Any] | Unreadable | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            length = -1
            while line := self._given.readline():
                if not line.strip():
                    break
                name, _, value = line.partition(b":")
                if name.strip().lower() == b"content-length" and value.strip().isdigit():
                    length = int(value)
            if length > _MOST_BYTES:
                self.requests.put(Unreadable(f"a message of {length:,} bytes; the most are {_MOST_BYTES:,}"))
            if not 0 <= length <= _MOST_BYTES:
                self.requests.put(None)
                return
            try:
                message = json.loads(self._given.read(length))
            except (ValueError, RecursionError) as error:
                self.requests.put(Unreadable(f"a message of {length:,} bytes is not JSON: {error}"))
                continue
            if not isinstance(message, dict) or not isinstance(message.get("arguments") or {}, dict):
                self.requests.put(Unreadable("a message, or its arguments, is no JSON object"))
            elif message.get("type") == "request":
                self.requests.put(message)

    def send(self, kind: str, **fields: Any) -> None:
        """Sends an event or a response."""
        self._count += 1
        text = json.dumps({"seq": self._count, "type": kind, **fields}).encode()
        with contextlib.suppress(BrokenPipeError):
            self._out.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
            self._out.flush()

    def event(self, name: str, **body: Any) -> None:
        """Sends an event."""
        self.send("event", event=name, body=body)


class Output(io.TextIOBase):
    """Sends what the host program prints as events."""

    def __init__(self, connection: Connection, category: str):
        self.connection, self.category = connection, category

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text:
            self.connection.event("output", category=self.category, output=text)
        return len(text)


class Adapter:
    """Answers the requests of an editor.  prepare: makes the debugger for a launch request."""

    def __init__(self, connection: Connection, prepare: Callable[[dict[str, Any], Adapter], Debugger]):
        self.connection, self.prepare = connection, prepare
        self._debugger: Debugger | None = None
        self._csdb = csdb.Session(lambda: self.debugger)  # the PEs that it has chosen outlive a command
        self._launched = self._configured = self._stops_on_entry = False
        self._stopped_pes: list[tuple[int, int]] = []
        self._references: list[tuple[tuple[int, int], Any]] = []
        self._running = False

    @property
    def debugger(self) -> Debugger:
        """ConfigError before the launch."""
        if self._debugger is None:
            raise ConfigError("no program is launched: send a launch request first")
        return self._debugger

    # The life of a session.

    def begin(self) -> None:
        """Answers requests until the editor has configured the session."""
        while not self._configured:
            self._answer(self.connection.requests.get())
        self._running = True
        if not self._stops_on_entry:
            self.debugger.go()

    def ask(self, stopped: Stopped) -> None:
        """Reports a stop and answers requests until one sets a motion."""
        if stopped.reason == "ended" and not self.debugger.is_past:
            self.connection.event("output", category="console", output=stopped.words + "\n")
            raise Quit
        self._report(stopped)
        while self.debugger.motion is None:
            self._answer(self.connection.requests.get())
        self._running = True

    def progress(self, cycle: int) -> None:
        """Answers the requests that were received during the run."""
        changed, was = False, self._running
        self._running = True  # also while a motion backward is under way
        try:
            while True:
                try:
                    request = self.connection.requests.get_nowait()
                except queue.Empty:
                    break
                changed |= self._answer(request)
        finally:
            self._running = was
        if changed:
            raise Pause(resumes=True)

    def end(self, status: int) -> None:
        """The session is over."""
        self.connection.event("exited", exitCode=status)
        self.connection.event("terminated")

    def _report(self, stopped: Stopped) -> None:
        self._running = False
        self._references.clear()
        focus = self.debugger.focus
        self._stopped_pes = [focus, *(pe for pe in self._stopped_pes if pe != focus)][:16]
        reason = REASONS.get(stopped.reason, stopped.reason)
        self.connection.event(
            "stopped",
            reason=reason,
            description=stopped.words.partition("\n")[0] or views.cycle(self.debugger),
            text=stopped.words,
            threadId=self._thread(focus),
            allThreadsStopped=True,
            hitBreakpointIds=list(stopped.numbers),
        )

    def _answer(self, request: dict[str, Any] | Unreadable | None) -> bool:
        """Answers a request.  Returns whether breakpoints have changed."""
        if request is None:
            raise Quit
        if isinstance(request, Unreadable):
            self.connection.event("output", category="stderr", output=f"{request.words}; it is ignored\n")
            return False
        command, given = str(request.get("command")), request.get("arguments") or {}
        answer = {"request_seq": request.get("seq"), "command": command}
        method = getattr(self, f"on_{command}", None)
        try:
            if method is None:
                raise ConfigError(f"the request {command} is not supported")
            body = method(given) or {}
        except (
            *(WseError, OSError, KeyError, TypeError, ValueError, IndexError, AttributeError),
            *(OverflowError, RecursionError),
        ) as error:
            words = (
                str(error) if isinstance(error, WseError | OSError) else f"{command}: {type(error).__name__}: {error}"
            )
            self.connection.send("response", success=False, message=words, **answer)
            return False
        stopped = body.pop("stopped", None) if isinstance(body, dict) else None
        self.connection.send("response", success=True, body=body, **answer)
        if command in ("disconnect", "terminate"):
            raise Quit
        if command == "launch":
            self.connection.event("initialized")
        if command == "pause" and self._running:
            raise Pause
        if stopped is not None:
            self._report(stopped)
        return command.startswith("set") and command.endswith("Breakpoints")

    def on_initialize(self, given: dict[str, Any]) -> dict[str, Any]:
        return dict(CAPABILITIES)

    def on_launch(self, given: dict[str, Any]) -> None:
        if self._launched:
            raise ConfigError("the program is already launched")
        self._debugger = self.prepare(given, self)
        self._stops_on_entry, self._launched = bool(given.get("stopOnEntry")), True

    def on_configurationDone(self, given: dict[str, Any]) -> None:
        if not self._launched:
            raise ConfigError("configurationDone came before launch")
        self._configured = True

    def on_disconnect(self, given: dict[str, Any]) -> None:
        pass

    on_terminate = on_pause = on_disconnect

    # Breakpoints.

    def _replace(self, kept: Callable[[Any], bool]) -> None:
        points = self.debugger.breakpoints
        for number in [number for number, point in points.items() if not kept(point)]:
            del points[number]

    def _added(self, kind: str, text: str, given: dict[str, Any], pe: tuple[int, int] | None = None) -> dict[str, Any]:
        try:
            made = self.debugger.add(kind, text, pe, str(given.get("condition") or ""))
        except ConfigError as error:
            return {"verified": False, "message": str(error)}
        found = {"id": made.number, "verified": True}
        return found | ({"line": made.location.line} if made.location and made.location.line else {})

    def on_setBreakpoints(self, given: dict[str, Any]) -> dict[str, Any]:
        lines, path = self.debugger.lines, Path(given["source"]["path"]).resolve()
        files = [i for i in range(len(lines.artifact.files)) if lines.path(i) == path]
        if not files:
            return {
                "breakpoints": [
                    {"verified": False, "message": "the program has no such file"} for _ in given["breakpoints"]
                ]
            }
        self._replace(lambda point: point.location is None or point.location.file != files[0])
        name = lines.artifact.files[files[0]]
        return {"breakpoints": [self._added("line", f"{name}:{b['line']}", b) for b in given.get("breakpoints") or []]}

    def on_setFunctionBreakpoints(self, given: dict[str, Any]) -> dict[str, Any]:
        self._replace(lambda point: point.location is None or point.location.file >= 0)
        return {"breakpoints": [self._added("line", b["name"], b) for b in given["breakpoints"]]}

    def on_dataBreakpointInfo(self, given: dict[str, Any]) -> dict[str, Any]:
        pe = (
            self._references[given["variablesReference"] - 1][0]
            if given.get("variablesReference")
            else self.debugger.focus
        )
        name = given["name"]
        self.debugger.values(pe).place(name)
        return {"dataId": f"{pe[0]},{pe[1]},{name}", "description": f"{name} of PE {pe}", "accessTypes": ["write"]}

    def on_setDataBreakpoints(self, given: dict[str, Any]) -> dict[str, Any]:
        self._replace(lambda point: point.kind != "watch")
        found = []
        for b in given["breakpoints"]:
            x, y, name = b["dataId"].split(",", 2)
            found.append(self._added("watch", name, b, (int(x), int(y))))
        return {"breakpoints": found}

    # Looking.

    def _thread(self, pe: tuple[int, int]) -> int:
        return 1 + pe[1] * self.debugger.artifact.width + pe[0]

    def _pe(self, thread: int) -> tuple[int, int]:
        y, x = divmod(int(thread) - 1, self.debugger.artifact.width)
        self.debugger.class_at(x, y)
        return x, y

    def on_threads(self, given: dict[str, Any]) -> dict[str, Any]:
        pes = list(dict.fromkeys([self.debugger.focus, *self._stopped_pes])) if self._launched else []
        return {"threads": [{"id": self._thread(pe), "name": f"PE {pe}"} for pe in pes]}

    def on_stackTrace(self, given: dict[str, Any]) -> dict[str, Any]:
        pe, debugger = self._pe(given["threadId"]), self.debugger
        thread, (index, image) = debugger.thread(pe), debugger.class_at(*pe)
        if thread.state == "idle":
            frame: dict[str, Any] = {"name": f"no task runs, {views.cycle(debugger)}", "line": 0, "column": 0}
        else:
            where = debugger.lines.where(index, thread.pc - (thread.state == "operation"))
            task = debugger.task_name(image, thread.task)
            frame = {"name": f"{where.function or '?'}, task {task}", "line": where.line, "column": where.column}
            path = debugger.lines.path(where.file) if where.file >= 0 else None
            if path is not None:
                frame["source"] = {"name": path.name, "path": str(path)}
            frame["instructionPointerReference"] = f"0x{thread.pc:x}"
        return {"stackFrames": [frame | {"id": self._thread(pe)}], "totalFrames": 1}

    def on_scopes(self, given: dict[str, Any]) -> dict[str, Any]:
        pe = self._pe(given["frameId"])
        return {
            "scopes": [
                {"name": name, "variablesReference": self._refer(pe, name), "expensive": False} for name in _SCOPES
            ]
        }

    def _refer(self, pe: tuple[int, int], what: Any) -> int:
        self._references.append((pe, what))
        return len(self._references)

    def on_variables(self, given: dict[str, Any]) -> dict[str, Any]:
        pe, what = self._references[given["variablesReference"] - 1]
        debugger, values = self.debugger, self.debugger.values(pe)
        if isinstance(what, Variable):
            array, first = values.read(what), int(given.get("start") or 0)
            count = min(int(given.get("count") or _MOST), _MOST)
            indices = list(np.ndindex(array.shape))[first : first + count]
            return {"variables": [_row(f"{what.name}{list(i)}", shown(array[i]), what.scalar) for i in indices]}
        if what == "Variables":
            rows = []
            for v in values.variables.values():
                row = _row(v.name, shown(values.read(v), not v.scalar), v.type)
                if v.scalar and v.shape:
                    row |= {"variablesReference": self._refer(pe, v), "indexedVariables": int(np.prod(v.shape))}
                rows.append(row)
            return {"variables": rows}
        focus, debugger.focus = debugger.focus, pe
        try:
            text = views.info(debugger, what.lower())
        finally:
            debugger.focus = focus
        return {"variables": [_row(str(i), line.strip()) for i, line in enumerate(text.splitlines())]}

    def on_setVariable(self, given: dict[str, Any]) -> dict[str, Any]:
        pe, _ = self._references[given["variablesReference"] - 1]
        self.debugger.may_write()
        values = self.debugger.values(pe)
        values.write(given["name"], given["value"])
        self.debugger.wrote()
        return {"value": shown(values.evaluate(given["name"]))}

    def on_evaluate(self, given: dict[str, Any]) -> dict[str, Any]:
        if "frameId" in given:
            self.debugger.focus = self._pe(given["frameId"])
        text = given["expression"].strip()
        try:
            return {"result": shown(self.debugger.values().evaluate(text)), "variablesReference": 0}
        except ConfigError:
            if given.get("context") != "repl" or self._running:
                raise
        shell = Shell(lines=iter(()))
        shell.debugger, shell.started, shell.csdb = self.debugger, True, self._csdb
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            shell.command(text)
        return {"result": printed.getvalue().rstrip("\n"), "variablesReference": 0}

    def on_disassemble(self, given: dict[str, Any]) -> dict[str, Any]:
        image = self.debugger.class_at(*self.debugger.focus)[1]
        first = int(given["memoryReference"], 0) + int(given.get("instructionOffset") or 0)
        rows = []
        for pc in range(first, first + int(given["instructionCount"])):
            known = 0 <= pc < len(image.code)
            text = disassemble_word(int(image.code[pc])) if known else "(no code)"
            rows.append({"address": f"0x{max(pc, 0):x}", "instruction": text})
        return {"instructions": rows}

    # Motion.

    def _focus(self, given: dict[str, Any]) -> None:
        if self._running:
            raise ConfigError("the program is running: pause it first")
        if "threadId" in given:
            self.debugger.focus = self._pe(given["threadId"])

    def on_continue(self, given: dict[str, Any]) -> dict[str, Any]:
        self._focus(given)
        self.debugger.go()
        return {"allThreadsContinued": True}

    def _step(self, given: dict[str, Any], over: bool) -> None:
        self._focus(given)
        debugger = self.debugger
        by_instruction = given.get("granularity") == "instruction"
        debugger.go(debugger.step_instructions() if by_instruction else debugger.step_lines(over=over))

    def on_next(self, given: dict[str, Any]) -> None:
        self._step(given, True)

    def on_stepIn(self, given: dict[str, Any]) -> None:
        self._step(given, False)

    def on_stepOut(self, given: dict[str, Any]) -> None:
        self._focus(given)
        self.debugger.go(self.debugger.finish())

    def on_stepBack(self, given: dict[str, Any]) -> dict[str, Any]:
        self._focus(given)
        by_instruction = given.get("granularity") == "instruction"
        return {"stopped": self.debugger.back_instructions() if by_instruction else self.debugger.back_lines()}

    def on_reverseContinue(self, given: dict[str, Any]) -> dict[str, Any]:
        self._focus(given)
        return {"stopped": self.debugger.back_to_breakpoint()}


def _row(name: str, value: str, type: str = "") -> dict[str, Any]:
    return {"name": name, "value": value, "variablesReference": 0} | ({"type": type} if type else {})


def artifact_of(given: dict[str, Any]) -> tuple[Artifact, Path, Path, list[str]]:
    """(program, its directory, host program, arguments) of a launch request.  ConfigError if one is missing."""
    for name in ("program", "script"):
        if not isinstance(given.get(name), str):
            raise ConfigError(
                f"a launch request needs {name!r}: "
                + ("the folder that cslc wrote" if name == "program" else "the host program")
            )
    words = given.get("args") or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigError("args of a launch request must be a list of strings")
    folder = Path(given.get("cwd") or ".").resolve()
    return Artifact.load(folder / given["program"]), folder / given["program"], folder / given["script"], words
