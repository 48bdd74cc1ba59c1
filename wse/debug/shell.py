"""Shell: the commands of `wse debug`, named as gdb names them; those of csdb by its names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from .. import signals
from ..errors import ConfigError, WseError, did_you_mean
from . import csdb, views
from .breakpoint import Quit, Stopped
from .debugger import Debugger

PROMPT = "(wse) "
_PLACES = "PLACE is FILE:LINE, LINE, FUNCTION or *PC."
_PE = "X,Y"


class Entry(NamedTuple):
    """A command.  moves: an empty line repeats it.  more: further help."""

    name: str
    short: str  # "" or another name
    arguments: str
    help: str
    moves: bool = False
    more: str = ""


COMMANDS = [
    Entry("run", "r", "", "start the host program"),
    Entry("start", "", "", "start the host program, and stop where it first waits for the fabric"),
    Entry("continue", "c", "", "continue to the next stop", True),
    Entry("step", "s", "[N]", "go to another line of the PE in focus", True, "`step task [N]`: to its next task."),
    Entry("next", "n", "[N]", "as step, over calls", True, "`next task [N]`: to the next task."),
    Entry("stepi", "si", "[N]", "execute an instruction of the PE in focus", True),
    Entry("finish", "fin", "", "continue to the return of the function of the PE in focus"),
    Entry("cycle", "", "[N | +N | -N]", "go to a cycle, forward or back; print the cycle", True),
    Entry("reverse-continue", "rc", "", "go back to the previous stop", True),
    Entry("reverse-step", "rs", "[N]", "go back to the start of the previous line", True,
          "`reverse-step task [N]`: of the previous task."),
    Entry("reverse-stepi", "rsi", "[N]", "go back by an instruction", True),
    Entry("break", "b", "PLACE | task NAME | wavelet COLOR | cycle N", "stop there", False,
          f"{_PLACES} Add `pe {_PE}` to stop at this PE only, and `if EXPRESSION` at the end to stop if it is true."),
    Entry("tbreak", "tb", "PLACE ...", "as break, for one stop"),
    Entry("watch", "", f"VARIABLE [pe {_PE}]", "stop when a variable changes", False,
          "Also an element, `watch u[3]`, or a range, `watch u[2:5]`."),
    Entry("delete", "d", "[N ...]", "delete breakpoints, or all"),
    Entry("enable", "", "[N ...]", "enable breakpoints, or all"),
    Entry("disable", "", "[N ...]", "disable breakpoints, or all"),
    Entry("pe", "", f"[{_PE}]", "select the PE in focus; print its place"),
    Entry("where", "bt", "", "print the place of the PE in focus"),
    Entry("list", "l", "[PLACE]", "print lines of the source", True),
    Entry("disassemble", "disas", "[PC [COUNT]]", "print instructions", False,
          "=> is the next one of the PE in focus."),
    Entry("print", "p", "EXPRESSION", "print a value", False,
          "Variables, elements u[3], ranges u[2:5], registers $r0 to $r31, $pc, $cycle, $x, $y; operators of Python."),
    Entry("x", "", "ADDRESS [BYTES]", "print memory of the PE in focus"),
    Entry("set", "", "VARIABLE = EXPRESSION", "change memory of the PE in focus", False,
          "Also elements and ranges: `set u[2:5] = 0`."),
    Entry("info", "i", "WHAT", "print state", False, "WHAT: " + ", ".join(views.VIEWS) + "."),
    Entry("help", "h", "[COMMAND]", "print the commands, or what one does"),
    Entry("quit", "q", "", "end the session and the host program"),
]  # fmt: skip
CSDB = [Entry(name, "", *words) for name, words in csdb.COMMANDS.items()]  # by their whole names only
_BY_NAME = {name: entry for entry in [*COMMANDS, *CSDB] for name in (entry.name, entry.short) if name}
_NAMES = sorted(entry.name for entry in [*COMMANDS, *CSDB])


def find(word: str) -> Entry:
    """The command with this name, short name or unique prefix.  ConfigError if there is none."""
    if word in _BY_NAME:
        return _BY_NAME[word]
    if word in csdb.INSTEAD:
        raise ConfigError(f"there is no command {word!r} here: {csdb.INSTEAD[word]}")
    found = [entry for entry in COMMANDS if entry.name.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{word!r} is ambiguous: {', '.join(entry.name for entry in found)}")
    raise ConfigError(f"there is no command {word!r}: {did_you_mean(word, _NAMES, most=0) or '`help` lists them'}")


class Shell:
    """Reads commands and obeys.

    files: read before standard input; lines: instead of both; directory: of the compiled program.
    """

    def __init__(self, files: tuple[Path, ...] = (), lines: Iterator[str] | None = None, directory: Path | None = None):
        self.interactive = lines is None and sys.stdin.isatty()
        if lines is None:
            lines = read(PROMPT, files, self.interactive, lambda words: candidates(self.debugger, words))
        self._lines = lines
        self._last = ""
        self._listed = 0
        self.started = False
        self.debugger: Debugger
        self.csdb = csdb.Session(lambda: self.debugger, directory)

    def begin(self) -> None:
        """Executes commands until one starts the host program."""
        self._execute(lambda: self.started)

    def ask(self, stopped: Stopped) -> None:
        """Prints a stop and executes commands until one sets a motion."""
        self.show(stopped)
        self._execute(lambda: self.debugger.motion is not None)

    def _execute(self, done: Callable[[], bool]) -> None:
        sys.stdout.flush()
        while not done():
            line = next(self._lines, None)
            if line is None:
                raise Quit
            self.command(line)
            sys.stdout.flush()

    def command(self, line: str) -> None:
        """Executes a line.  Errors are printed."""
        line = line.strip()
        if not line and self.interactive:
            line = self._last
        if not line or line.startswith("#"):
            return
        try:
            word, _, rest = line.partition(" ")
            entry = find(word)
            self._last = line if entry.moves else ""
            if entry.name in csdb.PRINTED:
                print(self.csdb.obey(entry.name, rest.strip()))
            else:
                getattr(self, "do_" + entry.name.replace("-", "_"))(rest.strip())
        except (WseError, OSError) as error:
            print(f"error: {error}")

    def show(self, stopped: Stopped) -> None:
        """Prints why and where the run has stopped."""
        if stopped.words:
            print(stopped.words)
        if self.debugger.target is not None:
            print(views.position(self.debugger))
            self._listed = 0

    def _needs_run(self) -> None:
        if not self.started:
            raise ConfigError(
                "the host program has not been started: use `run`, or `start` to stop where it first waits"
            )

    # Motion.

    def do_run(self, rest: str) -> None:
        _nothing(rest)
        if self.started:
            raise ConfigError("the host program runs already: `continue` goes on")
        self.started = True
        self.debugger.go()

    def do_start(self, rest: str) -> None:
        _nothing(rest)
        if self.started:
            raise ConfigError("the host program runs already: `continue` goes on")
        self.started = True

    def do_continue(self, rest: str) -> None:
        _nothing(rest)
        self._needs_run()
        self.debugger.go()

    def do_step(self, rest: str, over: bool = False) -> None:
        self._needs_run()
        word, _, count = rest.partition(" ")
        if word == "task":
            self.debugger.go(self.debugger.next_task(_count(count)))
        else:
            self.debugger.go(self.debugger.step_lines(_count(rest), over))

    def do_next(self, rest: str) -> None:
        self.do_step(rest, over=True)

    def do_stepi(self, rest: str) -> None:
        self._needs_run()
        self.debugger.go(self.debugger.step_instructions(_count(rest)))

    def do_finish(self, rest: str) -> None:
        _nothing(rest)
        self._needs_run()
        self.debugger.go(self.debugger.finish())

    def do_cycle(self, rest: str) -> None:
        self._needs_run()
        if not rest:
            print(views.cycle(self.debugger))
            return
        digits = rest.lstrip("+-").replace(",", "").replace("_", "")
        if not digits.isdecimal() or len(rest) - len(rest.lstrip("+-")) > 1:
            raise ConfigError(f"cycle takes a number, +N or -N, not {rest!r}")
        number = int(digits)
        wanted = {"+": self.debugger.cycle + number, "-": self.debugger.cycle - number}.get(rest[0], number)
        if wanted > self.debugger.current.history.present:
            self.debugger.go(until=wanted)
        else:
            self.show(self.debugger.goto(wanted))

    def do_reverse_continue(self, rest: str) -> None:
        _nothing(rest)
        self._needs_run()
        self.show(self.debugger.back_to_breakpoint())

    def do_reverse_step(self, rest: str) -> None:
        self._needs_run()
        word, _, count = rest.partition(" ")
        back = self.debugger.back_task if word == "task" else self.debugger.back_lines
        self.show(back(_count(count if word == "task" else rest)))

    def do_reverse_stepi(self, rest: str) -> None:
        self._needs_run()
        self.show(self.debugger.back_instructions(_count(rest)))

    # Breakpoints.

    def do_break(self, rest: str, temporary: bool = False) -> None:
        text, _, condition = rest.partition(" if ")
        text, pe = _split_pe(text.strip())
        kind, _, name = text.partition(" ")
        if kind not in ("task", "wavelet", "cycle"):
            kind, name = "line", text
        if not name.strip():
            raise ConfigError(f"break {'what' if kind == 'line' else f'at which {kind}'}? {_PLACES}")
        print(self.debugger.add(kind, name.strip(), pe, condition.strip(), temporary).title)

    def do_tbreak(self, rest: str) -> None:
        self.do_break(rest, temporary=True)

    def do_watch(self, rest: str) -> None:
        text, pe = _split_pe(rest)
        if not text:
            raise ConfigError("watch what? A variable, such as u, u[3] or u[2:5]")
        print(self.debugger.add("watch", text, pe).title)

    def do_delete(self, rest: str) -> None:
        for number in self._numbers(rest):
            del self.debugger.breakpoints[number]

    def do_enable(self, rest: str) -> None:
        for number in self._numbers(rest):
            self.debugger.breakpoints[number].enabled = True

    def do_disable(self, rest: str) -> None:
        for number in self._numbers(rest):
            self.debugger.breakpoints[number].enabled = False

    def _numbers(self, rest: str) -> list[int]:
        known = self.debugger.breakpoints
        words = rest.split()
        for word in words:
            if not word.isdecimal() or int(word) not in known:
                raise ConfigError(f"there is no breakpoint {word}: `info breakpoints` lists them")
        return list(dict.fromkeys(int(word) for word in words)) or list(known)

    # Looking.

    def do_pe(self, rest: str) -> None:
        if rest:
            pe = _coordinates(rest)
            self.debugger.class_at(*pe)
            self.debugger.focus = pe
        print(views.position(self.debugger))
        self._listed = 0

    def do_where(self, rest: str) -> None:
        _nothing(rest)
        print(views.position(self.debugger))

    def do_list(self, rest: str) -> None:
        print(views.listing(self.debugger, rest, self._listed))
        self._listed = 0 if rest else self._listed + 1

    def do_disassemble(self, rest: str) -> None:
        print(views.disassembly(self.debugger, *(_number(word) for word in rest.split()[:2])))

    def do_print(self, rest: str) -> None:
        if not rest:
            raise ConfigError("print what? A variable or an expression, such as u[3]")
        print(views.printed(self.debugger, rest))

    def do_x(self, rest: str) -> None:
        words = rest.split()
        if not 1 <= len(words) <= 2:
            raise ConfigError("x takes an address and a number of bytes")
        print(views.memory(self.debugger, _number(words[0]), _number(words[1]) if len(words) > 1 else 16))

    def do_set(self, rest: str) -> None:
        text, equals, value = rest.removeprefix("var ").partition("=")
        if not equals or not text.strip() or not value.strip():
            raise ConfigError("set takes VARIABLE = EXPRESSION")
        self.debugger.may_write()
        self.debugger.values().write(text, value)
        self.debugger.wrote()

    def do_info(self, rest: str) -> None:
        print(views.info(self.debugger, rest))

    def do_help(self, rest: str) -> None:
        if rest:
            entry = find(rest)
            print(f"{entry.name} {entry.arguments}".rstrip() + (f"  (short: {entry.short})" if entry.short else ""))
            print(f"    {entry.help[0].upper()}{entry.help[1:]}.{' ' if entry.more else ''}{entry.more}")
            return
        for entry in COMMANDS:
            short = f" ({entry.short})" if entry.short else ""
            print(f"  {entry.name + short:24} {entry.help}")
        print("as in csdb, with places on the fabric and words of 16 bits:")
        for entry in CSDB:
            print(f"  {entry.name:24} {entry.help}")

    def do_quit(self, rest: str) -> NoReturn:
        raise Quit

    def do_exit(self, rest: str) -> NoReturn:
        raise Quit


def read(
    prompt: str, files: tuple[Path, ...], interactive: bool, names: Callable[[list[str]], list[str]]
) -> Iterator[str]:
    """The lines of files, then of standard input; lines that nobody has typed are printed behind the prompt.

    names: what may follow these words of a line, for completion on a terminal.
    """
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not text: a file of commands is UTF-8") from None
        for line in text.splitlines():
            print(prompt + line)
            yield line
    if interactive:
        _completion(names)
    while True:
        try:
            line = input(prompt) if interactive else sys.stdin.readline()
        except EOFError:
            line = ""
            print()
            return
        except KeyboardInterrupt as interrupt:
            if not (interactive and signals.answered(interrupt)):
                raise
            print("\n(quit ends the session)")
            continue
        if not interactive:
            if not line:
                return
            print(prompt + line.rstrip("\n"))
        yield line


def _split_pe(text: str) -> tuple[str, tuple[int, int] | None]:
    """`pe.csl:12 pe 3,0` as its two parts."""
    before, word, after = text.rpartition(" pe ")
    return (before.strip(), _coordinates(after)) if word else (text, None)


def _coordinates(text: str) -> tuple[int, int]:
    words = text.strip().strip("()").replace(",", " ").split()
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise ConfigError(f"a PE is X,Y, such as 3,0, not {text.strip()!r}")
    return int(words[0]), int(words[1])


def _number(word: str) -> int:
    try:
        return int(word, 0)
    except ValueError:
        raise ConfigError(f"{word!r} is not a number") from None


def _count(rest: str) -> int:
    if not rest.strip():
        return 1
    number = _number(rest.strip())
    if not 1 <= number <= 1_000_000:
        raise ConfigError(f"a count is 1 to 1,000,000, not {number}")
    return number


def _nothing(rest: str) -> None:
    if rest:
        raise ConfigError(f"this command takes no arguments, not {rest!r}")


def _completion(following: Callable[[list[str]], list[str]]) -> None:
    """Completes commands, places and variables where the terminal has readline."""
    try:
        import readline
    except ImportError:
        return

    def complete(text: str, state: int) -> str | None:
        words = readline.get_line_buffer()[: readline.get_begidx()].split()
        found = [name for name in following(words) if name.startswith(text)]
        return found[state] + " " if state < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t=+*/([,")
    readline.parse_and_bind("tab: complete")


def candidates(debugger: Debugger, words: list[str]) -> list[str]:
    """What may follow these words of a command."""
    if not words:
        return _NAMES
    try:
        name = find(words[0]).name
    except ConfigError:
        return []
    artifact = debugger.artifact
    if name in ("break", "tbreak", "list"):
        if words[1:] == ["task"]:
            return sorted({task.name for image in artifact.classes for task in image.tasks})
        if words[1:] == ["wavelet"]:
            return sorted(artifact.color_names.values())
        files = [debugger.lines.name(i) + ":" for i in range(len(artifact.files)) if debugger.lines.has_code(i)]
        return sorted([*artifact.function_names, *files, "task", "wavelet", "cycle"])
    if name in ("print", "watch", "set"):
        try:
            return sorted(debugger.values().variables)
        except ConfigError:
            return []
    if name == "info":
        return sorted(views.VIEWS)
    return _NAMES if name == "help" else csdb.following(words)
