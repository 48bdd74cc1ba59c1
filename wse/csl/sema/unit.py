"""What is compiled for the PEs of one class: module instances, variables, functions, tasks, and the IR they become."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ... import errors
from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError, Findings, Span
from . import types as t
from .calls import MAX_CALLS, Lowered, Signature, addressed_names, entry
from .frame import Builder, ControlFlow, Frame, at_of
from .memory import InitialMemory, sym_words
from .modules import MAX_IMPORTS, Instance, Loader, link_name
from .pointers import FunctionPointers
from .queues import Dsrs, Queues
from .types import MAX_ELEMENTS, Type
from .values import FnRef, GlobalVar, Mem, Sym, Val, copy_of, key_of

MAX_FUNCTIONS = 4000
MAX_CODE = 50_000  # operations of a function with inline loops; a PE holds fewer instructions
MAX_TEXT = 1 << 20  # characters of a string
TEARDOWN_TASK = 29
ROUTES_REGISTER, IN_TEARDOWN = 0x7F20, 1 << 14  # word address for color 0, bit
MAX_STEPS = 1_000_000  # rounds of loops and calls at compile time after which a PE must have been configured
MAX_BYTES = 1 << 30  # of strings, arrays and structs that are made at compile time
CONFIGURED_MOST = 64  # times that a PE is configured, on average
REPORT_EVERY, REPORT_AFTER = 0.5, 2.0  # seconds between reports, before the first


class Program:
    """What all units of a compilation share.

    max_steps: rounds of loops and calls at compile time that may pass without a PE being configured.  report: called
    with what is being done, if the compilation takes long.
    """

    def __init__(self, arch: str, loader: Loader, max_steps: int = MAX_STEPS, max_unrolled: int = 100_000):
        self.arch, self.loader = arch, loader
        self.findings = Findings()
        self.max_steps, self.steps = max_steps, 0
        self.progress_at = self.configured = self.bytes = 0  # steps when a PE was configured last; how many times
        self.report: Callable[[str], object] | None = None
        self.patient = False  # whether statements behind one with an error are looked at, for editors
        self.bound: Callable[[Frame, str, Any, Span | None], object] | None = None  # told of every local name
        self.doing, self.until_report = "layout", 1 << 10
        self.started = self.reported = time.monotonic()
        self.max_unrolled, self.rounds = max_unrolled, 0
        self.calls, self.max_calls = 0, MAX_CALLS
        self.strings: list[str] = []
        self.memcpy = False
        self.fp16: t.FloatType = t.F16  # the 16-bit floats that exist at run time
        self.rectangle: tuple[int, int] | None = None
        self.layout: Any = None  # builtins.layout.LayoutState
        self.bound_queues: set[tuple[bool, int]] = set()  # of all units; whether into the CE, number
        self.unbound_queues: dict[tuple[bool, int], CslError] = {}
        self.fabric = (0, 0)
        self.offsets = (0, 0)
        self.sdk_version: str | None = None  # "1.4" or "2.10" decides where the releases contradict each other
        self.addresses: dict[str, int] = {}  # of sections, bytes
        self.sections: set[str] = set()  # that declarations name
        self._addressed: dict[int, set[str]] = {}

    def step(self, span: Span | None, weight: int = 1) -> None:
        """Counts a round; no program runs for ever at compile time."""
        self.steps += weight
        if self.steps - self.progress_at > self.max_steps:
            raise CslError.at(
                span,
                f"more than {self.max_steps:,} rounds of loops and calls at compile time: does this loop or function "
                "end?",
            )
        self.until_report -= 1
        if not self.until_report:
            self.until_report = 1 << 10
            self.tell()

    def configures(self) -> None:
        """A PE gets its code or a route: the layout makes progress."""
        width, height = self.rectangle or (1, 1)
        self.configured += 1
        if self.configured <= CONFIGURED_MOST * (width * height + 100):
            self.progress_at = self.steps

    def tell(self) -> None:
        """Reports what is being done."""
        now = time.monotonic()
        if self.report is not None and now - self.started > REPORT_AFTER and now - self.reported > REPORT_EVERY:
            self.reported = now
            self.report(f"{self.doing}, {now - self.started:.0f} s")

    def weigh(self, data: Any, span: Span | None) -> None:
        """Counts the memory of a value that is made at compile time."""
        if isinstance(data, str):
            size = len(data)
            if size > MAX_TEXT:
                raise CslError.at(span, f"a string of {size:,} characters: the compiler allows {MAX_TEXT:,}")
        elif isinstance(data, np.ndarray):
            size = data.nbytes
            self.steps += size >> 14  # copying takes time
        else:
            count = values_in(data)
            if count > MAX_ELEMENTS:
                raise CslError.at(span, f"a struct or tuple of more than {MAX_ELEMENTS:,} values")
            size = 100 * count
            self.steps += count >> 6
        self.bytes += size
        if self.bytes > MAX_BYTES:
            raise CslError.at(span, f"strings, arrays and structs at compile time take more than {MAX_BYTES >> 20} MB")

    def unrolled(self, emitted: int, span: Span | None) -> None:
        """Counts a round of an inline loop.  emitted: instructions of the function so far."""
        if emitted > MAX_CODE:
            raise CslError.at(
                span,
                f"inline loops make more than {MAX_CODE:,} operations of this function, too many for a PE's memory",
            )
        self.rounds += 1
        if self.rounds > self.max_unrolled:
            raise CslError.at(
                span,
                f"more than {self.max_unrolled} rounds of inline loops: --max-inlined-iterations allows more",
            )

    def addressed(self, decl: Any) -> set[str]:
        found = self._addressed.get(id(decl))
        if found is None:
            found = self._addressed[id(decl)] = addressed_names(decl)
        return found

    def removed(self, name: str, instance: Instance, span: Span | None) -> None:
        """An error if the program is for SDK 2.10, which has no `comptime_struct` any more; the library may use it."""
        if self.sdk_version == "2.10" and not instance.library:
            raise CslError.at(
                span,
                f"SDK 2.10 has no {name} any more (--sdk-version=2.10)",
                (None, "declare a struct with `struct { ... }`, or leave out the type of a param"),
            )

    def check_fp16(self, kind: Type, span: Span | None) -> None:
        """An error if values of the type hold 16-bit floats of a format that does not exist at run time."""
        if kind.fp16 is not None and kind.fp16 is not self.fp16:
            raise CslError.at(
                span,
                f"values of type {kind} exist at compile time only: the 16-bit floats of the program are {self.fp16} "
                f"(--fp16-format={self.fp16})",
                (None, f"@fp16() is the type {self.fp16}"),
            )

    def string(self, text: str) -> int:
        """The number by which run-time code names a string."""
        if text not in self.strings:
            self.strings.append(text)
        return self.strings.index(text)


def values_in(data: Any) -> int:
    """How many values a struct or tuple holds, those of the structs within it included; stops at MAX_ELEMENTS."""
    count, left = 0, [data]
    while left and count <= MAX_ELEMENTS:
        items = left.pop()
        count += len(items)
        for item in items.values() if isinstance(items, dict) else items:
            if isinstance(item.data, dict | list):
                left.append(item.data)
    return count


def names_registers(decl: Any) -> bool:
    """Whether a declaration may be a FIFO in DSRs that the program names: code may use these alone."""
    init = decl.init if isinstance(decl, ast.VarDecl) else None
    return isinstance(init, ast.BuiltinCall) and init.name == "@allocate_fifo" and len(init.args) > 1


class Unit:
    """count: how many PEs are compiled together.  layout: the state of the layout block, if this is its unit."""

    def __init__(self, program: Program, name: str, layout: Any = None):
        self.program, self.name, self.layout = program, name, layout
        self.out = ir.Unit(name)
        self.root: Instance | None = None
        self.by_symbol: dict[str, GlobalVar] = {}
        self.externs: list[GlobalVar] = []
        self.shared: dict[
            str, tuple[GlobalVar, bool]
        ] = {}  # by linkname: the first variable, whether it has a storage class
        self.functions_named: dict[str, tuple[FnRef, Span]] = {}  # by linkname, or by name if exported
        self.slots: dict[tuple, tuple[str, Type, Sym]] = {}
        self.bound: dict[tuple[str, int], Span | None] = {}
        self.kinds: dict[tuple[str, int], str] = {}  # of what is bound
        self.task_ids: dict[tuple[int, int], int] = {}
        self.exported_pointers: list[tuple[ir.Export, GlobalVar]] = []
        self.controls: set[tuple[int, int]] = set()  # control tasks, as the keys of task_ids
        self.blocked_control: Span | None = None  # where a comptime block blocks a control task of the common table
        self.rotating: list[Span] = []  # the pairs of rotating tasks
        self.control_tables: dict[int, int] = {}  # .ctrl_table_id by input queue
        self.control_stride = 1  # entry points from one table of control tasks to the next
        self.advertised: dict[str, Any] = {}  # what @export_symbol names: a GlobalVar, a pointer or a function
        self.where: tuple[Any, Any] = (0, 0)  # x and y of its PEs
        self.memcpy = False  # its code, or its layout, uses the memcpy library
        self.reserved: list[CslError] = []  # of what belongs to that library
        self.queues = Queues(self)
        self.dsrs = Dsrs()
        self.colors: dict[int, tuple[Any, Span | None]] = {}
        self.teardown: dict[int, tuple[Lowered, Span]] = {}
        self.flushed: dict[int, tuple[Lowered, Span]] = {}  # handlers by bit of the instruction `flushed`
        self.deferred: list[Callable[[], None]] = []
        self.deferred_checks: list[Callable[[], None]] = []  # of operations on DSRs, when all loads are known
        self.startup: Builder | None = None
        self.pointers = FunctionPointers(self)
        self._names: set[str] = set()
        self._order: list[GlobalVar] = []
        self._constants: dict[Any, GlobalVar] = {}
        self._functions: dict[Any, Lowered] = {}
        self._waiting: deque[Lowered] = deque()
        self._library: dict[Any, Instance] = {}
        self._pending: deque[Instance] = deque()
        self.instances: list[Instance] = []

    # ---- modules ----

    def open(self, path: Path, params: dict[str, Val], span: Span | None = None) -> Instance:
        """The unit's own module."""
        file = self.program.loader.load(path, span)
        # Layouts give the PEs of an edge what only those of the inside need: of other names nothing is said.
        self.check_params(path.name, file, params, span, misspelt=True)
        self.root = Instance(self, file, params, "", span)
        self.out.file = self.root.file.source.path
        self._pending.append(self.root)
        self.instances.append(self.root)
        return self.root

    def import_module(self, importer: Instance, name: str, params: Val | None, span: Span) -> Instance:
        """The instance of an import; of a library with equal parameters there is one."""
        path, library = self.program.loader.find(name, importer.file, span)
        given = params.data if params is not None and isinstance(params.data, dict) else {}
        key = (path, key_of(Val(t.STRUCT, given)))
        if library and key in self._library:
            return self._library[key]
        if importer.depth >= MAX_IMPORTS:
            raise CslError.at(span, f"imports nest more than {MAX_IMPORTS} deep: does {name} import itself?")
        file = self.program.loader.load(path, span, library)
        self.check_params(name, file, given, span)
        made = Instance(self, file, given, self.unique(path.stem) + ".", span)
        made.depth, made.parent = importer.depth + 1, importer
        if library:
            self._library[key] = made
            self.program.memcpy |= name == "<memcpy/memcpy>"
            self.memcpy |= name in ("<memcpy/memcpy>", "<memcpy/get_params>")
        self._pending.append(made)
        self.instances.append(made)
        return made

    def check_params(
        self, name: str, file: ast.File, given: dict[str, Val], span: Span | None, misspelt: bool = False
    ) -> None:
        """Warns of values for params that the file lacks.  misspelt: only if one like it has no value."""
        params = {one.name for one in file.decls.values() if getattr(one, "kind", "") == "param"}
        for param in given:
            if param not in params:
                hint = errors.did_you_mean(param, params - given.keys() if misspelt else params, 0)
                if hint or not misspelt:
                    words = f"{name} has no param {param}: its value is not used; {hint}"
                    self.program.findings.warn(span, words.removesuffix("; "))

    def leave_out(self, instance: Instance) -> None:
        """The comptime blocks of a module are not run."""
        self._pending.remove(instance)

    def run_comptimes(self) -> None:
        """The comptime blocks of all modules, and what they reach."""
        while self._pending:
            instance = self._pending.popleft()
            for block in instance.file.comptimes:
                self.attempt(lambda block=block, instance=instance: Frame(self, instance).run(block))
            for name, decl in instance.file.decls.items():
                exported = getattr(decl, "export", False)
                imports = isinstance(decl, ast.VarDecl) and decl.kind == "const" and is_import(decl.init)
                if exported and isinstance(decl, ast.FnDecl):
                    self.attempt(lambda name=name, instance=instance: self.export_named(instance, name))
                elif exported or imports or names_registers(decl):
                    self.attempt(lambda name=name, instance=instance: instance.resolve(name))

    def attempt(self, action: Any) -> None:
        """Errors are collected: the next part is looked at as well."""
        try:
            action()
        except CslError as error:
            self.program.findings.add(error)
        except ControlFlow as left:
            self.program.findings.add(left.misplaced())

    def export_named(self, instance: Instance, name: str) -> None:
        """`export fn`: the host may launch it, too."""
        found = instance.resolve(name)
        assert isinstance(found, Val)
        fn: FnRef = found.data
        self.export_function(self.symbol_of(fn), entry(self, fn, fn.decl.name_span), fn.decl.name_span)

    def symbol_of(self, fn: FnRef) -> str:
        """The symbol of a function: its linkname, or its name."""
        return link_name(Frame(self, fn.instance), fn.decl.linkname, "a linkname") or fn.name

    def claim(self, fn: FnRef) -> None:
        """An error if a function has a linkname, or is exported, and its symbol is that of another variable or
        function."""
        if fn.decl.linkname is None and not fn.decl.export:
            return
        symbol, decl = self.symbol_of(fn), fn.decl
        other = self.functions_named.setdefault(symbol, (fn, decl.name_span))
        spans: list[Span | None] = [other[1]] if (other[0].decl, other[0].instance) != (decl, fn.instance) else []
        spans += [self.shared[symbol][0].span] if symbol in self.shared else []
        if spans:
            raise CslError.at(decl.name_span, f"{fn.name} has the symbol {symbol}", (spans[0], "as this has"))

    def section(self, frame: Frame, decl: ast.VarDecl | ast.FnDecl) -> str | None:
        """The section of a declaration.  The linker can give one of variables an address, but no function."""
        name = link_name(frame, decl.linksection, "a linksection")
        if name is not None:
            self.program.sections.add(name)
            if isinstance(decl, ast.FnDecl) and name in self.program.addresses:
                raise CslError.at(
                    decl.name_span,
                    f"section {name} has an address (--link-section-start-address-bytes): variables can be given one, "
                    f"not functions as {decl.name}",
                )
        return name

    # ---- names and memory ----

    def unique(self, name: str) -> str:
        made, number = name, 1
        while made in self._names:
            number += 1
            made = f"{name}.{number}"
        self._names.add(made)
        return made

    def use(self, var: GlobalVar) -> str:
        """The symbol of a variable, which is then part of the program."""
        if not var.emitted:
            var.emitted = True
            if not var.extern:
                self._order.append(var)
        return var.symbol

    def new_global(self, kind: Type, name: str, display: str, span: Span | None, align: int | None = None) -> GlobalVar:
        """Memory without an initial value."""
        var = GlobalVar(kind, None, self.unique(name), display, span, True, align)
        self.by_symbol[var.symbol] = var
        return var

    def local(self, frame: Frame, kind: Type, name: str, span: Span | None, align: int | None = None) -> Mem:
        """Memory of a local variable."""
        owner = frame.lowered.name if frame.lowered is not None else self.name
        if kind.size is None:
            raise CslError.at(span, f"a value of type {kind} exists at compile time only: {t.absence(kind)}")
        self.program.check_fp16(kind, span)
        var = self.new_global(kind, f"{owner}.{name}", name, span, align)
        if frame.lowered is not None:
            frame.lowered.function.locals.append(var.symbol)
        return Mem(kind, ir.Addr(self.use(var)))

    def constant(self, value: Val, span: Span | None, name: str = "") -> GlobalVar:
        """Memory that holds a constant; equal constants of aggregates share it."""
        key = (value.type, id(value.data)) if isinstance(value.data, np.ndarray) else key_of(value)
        var = self._constants.get(key)
        if var is None:
            var = GlobalVar(value.type, value, self.unique(name or "constant"), name or "a constant", span, False)
            self._constants[key] = self.by_symbol[var.symbol] = var
        return var

    def slot(self, kind: Type, sym: Sym) -> str:
        """Memory that holds a value that differs from PE to PE."""
        key = (kind, sym.values.tobytes())
        if key not in self.slots:
            self.slots[key] = (self.unique(f"param.{len(self.slots)}"), kind, sym)
        return self.slots[key][0]

    # ---- functions ----

    def fn_type(self, fn: FnRef, span: Span | None) -> t.FnType:
        inner = Frame(self, fn.instance)
        return t.fn_type(
            fn.decl.kind, tuple(inner.type(param.type) for param in fn.decl.params), inner.type(fn.decl.result)
        )

    def instantiate(self, fn: FnRef, sign: Signature, span: Span | None) -> Lowered:
        """The instance of a function for these known arguments, made once."""
        fixed = tuple((name, key_of(value)) for name, value in sign.known.items())
        key = (id(fn.decl), id(fn.instance), fixed, tuple(sign.params))
        made = self._functions.get(key)
        if made is None:
            if len(self._functions) >= MAX_FUNCTIONS:
                raise CslError.at(
                    span, f"more than {MAX_FUNCTIONS} instances of functions: does {fn.name} call itself?"
                )
            self.claim(fn)
            self.section(Frame(self, fn.instance), fn.decl)
            name = self.unique(self.symbol_of(fn) if fn.decl.linkname is not None else fn.instance.prefix + fn.name)
            made = self._functions[key] = Lowered(self, fn, sign, name, span)
            made.known |= {param: copy_of(value) for param, value in sign.known.items() if isinstance(value, Val)}
            self._waiting.append(made)
        return made

    def find_bindings(self) -> None:
        """Runs the comptime blocks of modules that were imported meanwhile: they may bind the task that is asked
        for."""
        self.run_comptimes()

    def startup_frame(self, frame: Frame) -> Frame:
        """Where what runs before the first task is built."""
        if self.startup is None:
            self.startup = Builder(ir.Function("startup", [], None))
        made = Frame(self, frame.instance, self.startup)
        made.names = frame.names
        return made

    def keep_fifo(self, name: str) -> None:
        """The lengths of a FIFO matter from one operation to the next."""
        next(fifo for fifo in self.out.fifos if fifo.name == name).keeps = True

    def lower_all(self) -> None:
        """Code of all functions that are reached; one that cannot be lowered does not keep the others from it."""
        while True:
            self.run_comptimes()
            deferred, self.deferred = self.deferred, []
            for action in deferred:
                self.attempt(action)
            if self.lower_next():
                continue
            self.pointers.find(self._order)
            if not (self._waiting or self._pending or self.deferred):
                break
        self.pointers.build()
        for check in self.deferred_checks:
            self.attempt(check)
        self.check_reserved()
        self.queues.bind()
        self.bind_teardown()
        if self.startup is not None and self.startup.function.blocks:
            self.out.startup = [instr for block in self.startup.function.blocks for instr in block.code]

    def check_reserved(self) -> None:
        """Reports uses of what belongs to the memcpy library.  The code may import the library behind them."""
        if self.memcpy or self.program.memcpy:
            for error in self.reserved:
                self.program.findings.add(error)

    def lower_next(self) -> bool:
        """Code of a function that waits for it; False if none does."""
        if not self._waiting:
            return False
        lowered = self._waiting.popleft()
        try:
            lowered.lower()
        except CslError as error:
            self.found(error, lowered)
        except ControlFlow as left:
            self.program.findings.add(left.misplaced())
        self.out.functions.append(lowered.function)
        return True

    def found(self, error: CslError, lowered: Lowered) -> None:
        """An error in the code of a function."""
        note_callers(error, lowered)
        self.program.findings.add(error)

    def lowered_functions(self) -> list[Lowered]:
        """The functions for which code has been, or will be, made."""
        return list(self._functions.values())

    def bind_teardown(self) -> None:
        """One task for all colors and queues with a handler of their own."""
        handlers = {
            **{("color", c): h for c, h in self.teardown.items()},
            **{("queue", q): h for q, h in self.flushed.items()},
        }
        if not handlers:
            return
        first, span = next(iter(handlers.values()))
        other = self.bound.get(("task", TEARDOWN_TASK))
        if self.out.control_tasks is None:
            other = other or self.bound.get(("control", TEARDOWN_TASK))
        if other is not None:
            self.program.findings.add(
                CslError.at(other, f"task {TEARDOWN_TASK} is bound, and has a handler", (span, "the handler"))
            )
            return
        only_color = len(handlers) == 1 and not self.flushed
        names = {key: handler.name for key, (handler, _) in handlers.items()}
        self.out.teardown_task = TEARDOWN_TASK
        name = first.name if only_color else dispatch_teardown(self, names)
        self.out.tasks.append(ir.Task("local", TEARDOWN_TASK, name, at=at_of(span)))

    def export_variable(self, name: str, var: GlobalVar) -> None:
        """`export var`: to be read by name after the run."""
        kind = var.type
        if kind.is_comptime:
            raise CslError.at(var.span, f"{var.display} of type {kind} does not exist at run time")
        if name in self.out.symbols:
            raise CslError.at(var.span, f"a variable {name} is exported already by another module")
        word = t.export_word(kind.elem if isinstance(kind, t.ArrayType) else kind)
        assert word is not None  # check_storage
        self.out.symbols[name] = ir.Export(name, self.use(var), 0, word.ir, (kind.size or 0) // word.size)

    def share_symbol(self, name: str, var: GlobalVar, storage: bool) -> None:
        """An error if a variable cannot have the symbol of an earlier one: storage, whether it is export or extern."""
        other, stored = self.shared.setdefault(name, (var, storage))
        if other is var or not (storage or stored):
            return
        note = (other.span, f"the symbol {name} is that of this variable")
        if not (storage and stored):
            raise CslError.at(var.span, f"only export and extern variables may share the symbol {name}", note)
        if other.type is not var.type:
            message = f"{var.display} is of type {var.type}, but the symbol {name} of type {other.type}"
            raise CslError.at(var.span, message, note)
        if other.mutable != var.mutable:
            raise CslError.at(var.span, f"the symbol {name} is that of a var and of a const", note)

    def check_storage(self, kind: Type, word: str, decl: ast.VarDecl) -> None:
        """An error if variables of the type cannot have storage class `export` or `extern`."""
        reason = not_exportable(kind, self.program.sdk_version)
        if reason is not None:
            span = decl.type.span if decl.type is not None else decl.name_span
            raise CslError.at(span, f"a variable of type {kind} cannot be {word}: {reason}")

    def export_function(self, name: str, lowered: Lowered, span: Span | None) -> None:
        params = [kind.ir or "" for _, kind in lowered.params]
        self.out.exports.append(ir.Export(name, function=lowered.name, params=params))

    # ---- the end ----

    def finish(self) -> list[tuple[str, int, np.ndarray]]:
        """Fills in the memory of the ir.Unit; returns what differs from PE to PE: (symbol, offset, values)."""
        varying: list[tuple[str, int, np.ndarray]] = []
        for export, pointer in self.exported_pointers:
            if pointer.emitted:  # otherwise no code can change it
                export.pointer = pointer.symbol
        for var in self.externs:
            if var.emitted and self.by_symbol.get(var.symbol) in (None, var):
                self.program.findings.add(CslError.at(var.span, f"no module exports a variable {var.display}"))
        for var in self._order:  # grows: pointers in initial values reach further variables
            try:
                varying += self.place(var)
            except CslError as error:
                for diagnostic in error.diagnostics:
                    diagnostic.span = diagnostic.span or var.span
                self.program.findings.add(error)
        for symbol, kind, sym in self.slots.values():
            words = sym_words(kind, sym.values)
            self.out.globals.append(
                ir.Global(symbol, words.dtype.itemsize, max(2, kind.align), display=symbol, element=str(kind))
            )
            varying.append((symbol, 0, words))
        return varying

    def place(self, var: GlobalVar) -> list[tuple[str, int, np.ndarray]]:
        kind = var.type
        if kind.size is None:
            raise CslError.at(var.span, f"{var.display} of type {kind} does not exist at run time: {t.absence(kind)}")
        self.program.check_fp16(kind, var.span)
        image = InitialMemory(self, kind.size)
        if var.value is not None:
            image.write(0, var.value)
        data = bytes(image.data)
        made = ir.Global(
            *(var.symbol, kind.size, max(var.align or 1, kind.align, 2)),
            init=data if any(data) or image.relocations else None,
            relocations=image.relocations,
            display=var.display,
            element=str(kind),
            at=at_of(var.span),
            section=var.section,
            undefined=(var.undefined or var.value is None) and not any(data),
        )
        self.out.globals.append(made)
        return [(var.symbol, at, sym_words(part, sym.values)) for at, part, sym in image.varying]


def note_callers(error: CslError, lowered: Lowered) -> None:
    """Says by which calls an error in a function was reached: from a library, those up to the program."""
    inside: Lowered | None = lowered
    seen: list[Lowered] = []
    while inside is not None and inside.span is not None and (inside.known or inside.fn.instance.library):
        error.note(inside.span, f"in {inside.fn.name}, instantiated here")
        seen.append(inside)
        inside = inside.caller if inside.span.source.library and inside.caller not in seen else None


def not_exportable(kind: Type, release: str | None) -> str | None:
    """Why variables of a type cannot have storage class `export` or `extern`; None if they can."""
    match kind:
        case t.IntType():
            if kind.bits in (16, 32) or (kind.bits in (8, 64) and release != "2.10"):
                return None
            also = "" if release == "2.10" else ", or 8 or 64 in SDK 1.4,"
            return f"an exported integer has 16 or 32 bits{also} not {kind.bits}"
        case t.FloatType():
            return None
        case t.EnumType():
            return not_exportable(kind.tag, release)
        case t.ArrayType():
            return not_exportable(kind.elem, release)
        case t.PointerType():
            return None if isinstance(kind.elem, t.FnType) else not_exportable(kind.elem, release)
        case t.StructType():
            if kind.backing is not None:
                return not_exportable(t.int_type(kind.backing.bits, False), "2.10")
            if not kind.layout:
                return f"a {kind.word} has no defined layout: declare it as extern {kind.word}"
            reasons = (not_exportable(field, release) for field, _ in kind.fields.values())
            return next((reason for reason in reasons if reason is not None), None)
    return None if kind in (t.BOOL, t.COLOR) else "export takes numbers, bool, color, enums, arrays and pointers"


def is_import(node: Any) -> bool:
    return isinstance(node, ast.BuiltinCall) and node.name == "@import_module"


def dispatch_teardown(unit: Any, handlers: dict[tuple[str, int], str]) -> str:
    """A function that calls the handlers of the colors that are in teardown, bit 14 of their routes' register, and of
    the queues that are flushed."""
    function = ir.Function(unit.unique("teardown"), [], None, [], "teardown")
    build = Builder(function)
    for (what, number), handler in handlers.items():
        word, bit, torn = build.reg("u16"), build.reg("u16"), build.reg("bool")
        if what == "color":
            build.emit(ir.Sys("cfgld", word, [ir.Const("u16", ROUTES_REGISTER + number)]))
        else:
            build.emit(ir.Sys("flushed", word, []))
        build.emit(ir.Bin("and", bit, word, ir.Const("u16", IN_TEARDOWN if what == "color" else 1 << number)))
        build.emit(ir.Bin("ne", torn, bit, ir.Const("u16", 0)))
        call, after = build.new_block(), build.new_block()
        build.branch(torn, call, after)
        build.start(call)
        build.emit(ir.Call(None, handler, []))
        build.jump(after)
        build.start(after)
    build.emit(ir.Return())
    unit.out.functions.append(function)
    return function.name
