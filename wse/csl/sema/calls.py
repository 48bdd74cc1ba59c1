"""Calls: interpreted at compile time, or of a function instantiated for the arguments that are known."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from ..ir import ir
from ..syntax import ast
from ..syntax.errors import CslError, NotKnown, Span
from . import types as t
from .frame import Builder, ControlFlow, Frame, Returned, at_of, expr
from .inline import expand
from .lvalues import load, memory_of, store_mem
from .parts import run_time, with_items
from .types import Type
from .values import VOID, DsdEdit, FnRef, GlobalVar, Mem, Parts, Run, Val, Value

CALL_WEIGHT = 4  # a call at compile time takes as long as so many rounds of a loop
MAX_CALLS = 150  # nested calls at compile time


@expr(ast.Call)
def call(frame: Frame, node: ast.Call, want: Type | None) -> Value:
    callee = load(frame, frame.lvalue(node.callee), node.callee.span)
    if isinstance(callee, Val) and isinstance(callee.data, FnRef):
        return call_function(frame, callee.data, node.args, node.span)
    kind = callee.type
    if isinstance(callee, Run) and isinstance(kind, t.PointerType) and isinstance(kind.elem, t.FnType):
        return call_pointer(frame, callee.value, kind.elem, node)
    if isinstance(callee, Mem) and isinstance(callee.type, t.FnType):  # f.*()
        return call_pointer(frame, callee.addr, callee.type, node)
    what = f"a value of type {callee.type}"
    if isinstance(callee, Val) and t.is_fn_pointer(callee.type):
        what = "a pointer that points to no function"
    if isinstance(callee, Val) and isinstance(callee.data, t.StructType):
        what = f"type {callee.data}: a value of it is {callee.data}{{ .name = value, ... }}"
    raise CslError.at(node.callee.span, f"a function was expected, not {what}")


class Signature:
    """Types of a function for one call.  known: parameters that are fixed by the call, by name."""

    def __init__(self) -> None:
        self.params: list[Type] = []
        self.result: Type = t.VOID
        self.values: list[Value] = []
        self.known: dict[str, Val | Parts] = {}


def linked(frame: Frame, fn: FnRef, span: Span) -> FnRef:
    """What an extern function stands for: the function that a module of the program exports under its symbol."""
    if not fn.decl.extern or frame.build is None:
        return fn
    symbol = frame.unit.symbol_of(fn)
    for instance in frame.unit.instances:
        for decl in instance.file.decls.values():
            if not isinstance(decl, ast.FnDecl) or not decl.export:
                continue
            found = FnRef(decl, instance)
            if frame.unit.symbol_of(found) != symbol:
                continue
            have, declared = frame.unit.fn_type(found, span), frame.unit.fn_type(fn, span)
            if have is not declared:
                raise CslError.at(
                    span,
                    f"{fn.name} is declared as {declared}, but exported as {have}",
                    (decl.name_span, "exported here"),
                )
            return found
    raise CslError.at(span, f"no module exports a function {symbol}", (fn.decl.name_span, "declared here"))


def call_function(frame: Frame, fn: FnRef, args: list[ast.Node], span: Span) -> Value:
    fn = linked(frame, fn, span)
    decl = fn.decl
    if decl.kind == "task":
        raise CslError.at(span, f"{fn.name} is a task: it is activated, not called", (decl.name_span, "declared here"))
    if len(args) != len(decl.params):
        if fn.instance.library and f"{fn.name}_{len(args)}" in fn.instance.file.decls:  # a form with more arguments
            return call_function(frame, fn.instance.resolve(f"{fn.name}_{len(args)}").data, args, span)
        wanted = f"{len(decl.params)} argument{'s' * (len(decl.params) != 1)}"
        raise CslError.at(span, f"{fn.name} takes {wanted}, not {len(args)}", (decl.name_span, "declared here"))
    sign = signature(frame, fn, args, span)
    known_only = sign.result.is_comptime and sign.result not in (t.VOID, t.ANYTYPE)
    if frame.build is not None and decl.inline and not (known_only and all(isinstance(v, Val) for v in sign.values)):
        return expand(frame, fn, sign, span)
    if frame.build is None or known_only:
        return interpret(frame, fn, sign, span)
    if may_be_known(sign):
        try:
            return interpret(frame, fn, sign, span)
        except NotKnown:
            pass
    return emit_call(frame, fn, sign, span)


def declared_type(inner: Frame, node: ast.Node, fn: FnRef, span: Span) -> Type:
    """A type in the declaration of a function that is called at span."""
    try:
        return inner.type(node)
    except CslError as error:
        raise (error.note(span, f"in the types of {fn.name}, called here") if fn.instance.library else error) from None


def signature(frame: Frame, fn: FnRef, args: list[ast.Node], span: Span) -> Signature:
    """Evaluates the arguments; what earlier ones fix may stand in the types of later ones."""
    sign = Signature()
    inner = Frame(frame.unit, fn.instance)
    for param, arg in zip(fn.decl.params, args, strict=True):
        kind = declared_type(inner, param.type, fn, span)
        value = (frame.comptime() if param.comptime else frame).expr(arg, kind)
        if kind is t.ANYTYPE:
            kind = value.type
        elif not (isinstance(value, DsdEdit) and value.type is kind):
            value = frame.coerce(value, kind, arg.span)
        if param.comptime and not isinstance(value, Val):
            raise CslError.at(arg.span, f"parameter {param.name} is comptime, but this value is not known")
        if isinstance(value, Parts):
            sign.known[param.name] = value
            inner.bind(param.name, value, param.span)
        elif isinstance(value, Val):
            if param.comptime or fixes(kind):
                sign.known[param.name] = value
            inner.bind(param.name, value, param.span)
        else:
            inner.bind(param.name, Run(kind, ir.Const("u16", 0)) if kind.ir else value, param.span)
        sign.params.append(kind)
        sign.values.append(value)
    sign.result = declared_type(inner, fn.decl.result, fn, span)
    return sign


def fixes(kind: Type) -> bool:
    """Whether a known argument of the type makes an instance of its own."""
    return kind.is_comptime or isinstance(kind, t.IdType | t.DsdType) or t.is_fn_pointer(kind)


def may_be_known(sign: Signature) -> bool:
    """Whether a call in run-time code happens at compile time if it reads no variable: much asks for ids, descriptors
    and functions that are known."""
    if not isinstance(sign.result, t.IdType | t.DsdType) and not t.is_fn_pointer(sign.result):
        return False
    return all(isinstance(value, Val) for value in sign.values)


# ---- at compile time ----


def interpret(frame: Frame, fn: FnRef, sign: Signature, span: Span) -> Val:
    program = frame.unit.program
    program.step(span, CALL_WEIGHT)
    if fn.decl.body is None:
        raise CslError.at(span, f"{fn.name} is extern and cannot be called at compile time")
    if program.calls >= program.max_calls:
        raise CslError.at(
            span,
            f"calls at compile time nest more than {program.max_calls} deep: does {fn.name} call itself? "
            "--comptime-func-depth-limit sets how deep they may nest",
        )
    inner = Frame(frame.unit, fn.instance, None, sign.result)
    inner.within = frame.within or frame.build is not None
    for param, value in zip(fn.decl.params, sign.values, strict=True):
        if not isinstance(value, Val):
            raise CslError.at(
                span, f"{fn.name} is called at compile time, but its argument {param.name} is only known at run time"
            )
        inner.bind(param.name, frame.copied(value, span), param.span)
    program.calls += 1
    try:
        inner.run(fn.decl.body)
    except Returned as returned:
        value = returned.value
        return value if sign.result is t.ANYTYPE else frame.coerce(value, sign.result, returned.span)
    except CslError as error:
        raise error.note(span, f"in {fn.name}, called here") from None
    except ControlFlow as left:
        raise left.misplaced() from None
    finally:
        program.calls -= 1
    if sign.result is not t.VOID:
        raise CslError.at(fn.decl.name_span, f"{fn.name} ends without returning a value", (span, "called here"))
    return VOID


# ---- at run time ----


class Lowered:
    """An instance of a function: the known arguments are built in."""

    inline = False

    def __init__(self, unit: Any, fn: FnRef, sign: Signature, name: str, span: Span | None):
        self.unit, self.fn, self.name, self.span = unit, fn, name, span
        self.known: dict[str, Val | Parts] = dict(sign.known)
        self.result = sign.result
        self.caller: Lowered | None = None  # the function that needed it first
        self.params: list[tuple[ast.Param, Type]] = [
            (param, kind)
            for param, kind in zip(fn.decl.params, sign.params, strict=True)
            if param.name not in sign.known
        ]
        self.memory: dict[str, GlobalVar] = {}
        regs = []
        unit.program.check_fp16(self.result, fn.decl.result.span)
        for param, kind in self.params:
            unit.program.check_fp16(kind, param.span)
            if kind.ir is not None:
                regs.append(ir.Reg(kind.ir, param.name))
            elif kind.size is None:
                raise CslError.at(span, f"parameter {param.name} of {fn.name} exists at compile time only")
            else:
                self.memory[param.name] = unit.new_global(kind, f"{name}.{param.name}", param.name, param.span)
        for known, fixed in self.known.items():
            if isinstance(fixed, Parts):
                regs += self.parts(known, fixed)
        result = self.result.ir
        self.result_memory: GlobalVar | None = None
        if result is None and self.result is not t.VOID:
            self.result_memory = unit.new_global(self.result, f"{name}.result", "result", fn.decl.name_span)
        self.function = ir.Function(name, regs, result, [], fn.name, at_of(fn.decl.name_span))
        self.function.memory_params = dict.fromkeys((var.symbol for var in self.memory.values()), None)

    def parts(self, name: str, given: Parts) -> list[ir.Reg]:
        """Parameters for the fields of an anonymous struct that are not known; binds the name to a struct of them."""
        regs: list[ir.Reg] = []
        inside: list[Value] = []
        for path, item in run_time(given):
            kind = item.type
            if kind.ir is None:
                field = ".".join([name, *map(str, path)])
                var = self.memory[field] = self.unit.new_global(kind, f"{self.name}.{field}", field, self.span)
                inside.append(Mem(kind, ir.Addr(self.unit.use(var)), 0, True))
            else:
                regs.append(ir.Reg(kind.ir, name))
                inside.append(Run(kind, regs[-1]))
        self.known[name] = with_items(given, iter(inside))
        return regs

    def argument(self, frame: Frame, name: str) -> GlobalVar:
        """Where a call writes an argument that goes by memory.  A call of the function in itself does not change what
        the function still reads: it has a place of its own."""
        var = self.memory[name]
        if frame.lowered.root is not self:
            return var
        own = self.function.memory_params[var.symbol]
        if own is None:
            made = self.unit.new_global(var.type, f"{var.symbol}.next", name, var.span)
            own = self.function.memory_params[var.symbol] = made.symbol
        return self.unit.by_symbol[own]

    @property
    def root(self) -> Lowered:
        """The function that is built."""
        return self

    def has_address(self, node: Any) -> bool:
        """Whether the address of a local is taken somewhere in the function."""
        return node.name in self.unit.program.addressed(self.fn.decl)

    def lower(self) -> None:
        """Makes the code."""
        decl = self.fn.decl
        if decl.body is None:
            raise CslError.at(self.span, f"{decl.name} is extern: there is no code to call")
        build = Builder(self.function)
        build.at = at_of(decl.name_span)
        frame = Frame(self.unit, self.fn.instance, build, self.result)
        frame.lowered = self
        regs = iter(self.function.params)
        for param, kind in self.params:
            if kind.ir is None:
                memory = memory_of(frame, self.memory[param.name])
                memory.const = True
                frame.bind(param.name, memory, param.span)
                continue
            value = Run(kind, next(regs))
            if self.has_address(param):
                memory = self.unit.local(frame, kind, param.name, param.span)
                store_mem(frame, memory, value, param.span)
                memory.const = True
                frame.bind(param.name, memory, param.span)
            else:
                frame.bind(param.name, value, param.span)
        for name, fixed in self.known.items():
            frame.bind(name, fixed)
        frame.run(decl.body)
        if build.block is not None:
            if self.result is not t.VOID:
                raise CslError.at(
                    decl.name_span, f"{decl.name} may end without returning a value of type {self.result}"
                )
            build.at = at_of(Span(decl.span.source, decl.body.span.end - 1, decl.body.span.end))
            build.emit(ir.Return())

    def returns(self, frame: Frame, value: Value, span: Span) -> None:
        """A return statement."""
        build = frame.build
        assert build is not None
        if self.result is t.VOID:
            build.emit(ir.Return())
        elif self.result_memory is not None:
            store_mem(frame, memory_of(frame, self.result_memory), value, span)
            build.emit(ir.Return())
        else:
            build.emit(ir.Return(frame.operand(value, span, self.result)))


def emit_call(frame: Frame, fn: FnRef, sign: Signature, span: Span) -> Value:
    lowered = frame.unit.instantiate(fn, sign, span)
    if frame.lowered is not None:
        lowered.caller = lowered.caller or frame.lowered
    given = zip((param.name for param in fn.decl.params), sign.values, strict=True)
    passed = [one for one in given if one[0] not in sign.known]
    for name, value in sign.known.items():
        if isinstance(value, Parts):
            passed += [(".".join([name, *map(str, path)]), item) for path, item in run_time(value)]
    return pass_arguments(frame, lowered, passed, [], span)


def call_pointer(frame: Frame, target: ir.Value, kind: t.FnType, node: ast.Call) -> Value:
    """A call of what a pointer points to at run time."""
    if kind.kind == "task":
        raise CslError.at(node.span, "a task is activated, not called")
    if len(node.args) != len(kind.params):
        wanted = f"{len(kind.params)} argument{'s' * (len(kind.params) != 1)}"
        raise CslError.at(node.span, f"a function of type {kind} takes {wanted}, not {len(node.args)}")
    target = frame.fresh(target)
    given = []
    for param, arg in zip(kind.params, node.args, strict=True):
        given.append(frame.coerce(frame.expr(arg, param), param, arg.span))
    dispatcher = frame.unit.pointers.dispatcher(kind, node.span)
    names = [name for name, _ in dispatcher.params]
    return pass_arguments(frame, dispatcher, list(zip(names, given, strict=True)), [target], node.span)


def pass_arguments(frame: Frame, lowered: Any, given: list, regs: list[ir.Value], span: Span) -> Value:
    """The call of a Lowered or Dispatcher.  given: (name of the parameter, value); regs: what goes before them."""
    build = frame.build
    assert build is not None
    for name, value in given:
        if name in lowered.memory:
            store_mem(frame, memory_of(frame, lowered.argument(frame, name)), value, span)
        else:
            regs.append(frame.operand(value, span))
    result = lowered.result
    reg = build.reg(result.ir) if result.ir is not None else None
    build.emit(ir.Call(reg, lowered.name, regs))
    if lowered.result_memory is not None:
        memory = memory_of(frame, lowered.result_memory)
        copy = frame.unit.local(frame, result, f"{lowered.name}.value", span)  # a second call must not change it
        store_mem(frame, copy, memory, span)
        return copy
    return VOID if reg is None else Run(result, reg)


def entry(unit: Any, fn: FnRef, span: Span | None, aggregates: bool = False) -> Lowered:
    """The instance of a function that is not called by name: a task, an exported function, what a pointer points to.
    aggregates: whether it may have parameters in memory."""
    sign = Signature()
    inner = Frame(unit, fn.instance)
    for param in fn.decl.params:
        kind = inner.type(param.type)
        if kind.size is None:
            raise CslError.at(
                param.span, f"parameter {param.name} of {fn.name} exists at compile time only", (span, "used here")
            )
        if kind.ir is None and not aggregates:
            raise CslError.at(
                param.span,
                f"parameter {param.name} of {fn.name} is of type {kind}: a task, or a function for the host, has "
                "numbers and pointers as parameters",
                (span, "used here"),
            )
        if fn.decl.kind == "task" and isinstance(kind, t.IntType):
            check_task_parameter(unit, param, kind)
        sign.params.append(kind)
    sign.result = inner.type(fn.decl.result)
    if fn.decl.kind == "task" and sign.result is not t.VOID:
        raise CslError.at(fn.decl.result.span, f"task {fn.name} returns a value: nothing could take it; write void")
    return unit.instantiate(fn, sign, span)


def check_task_parameter(unit: Any, param: ast.Param, kind: t.IntType) -> None:
    """An error for integers that a task cannot take from a wavelet."""
    widths = (16, 32) if unit.program.sdk_version == "2.10" else (8, 16, 32)
    if kind.bits not in widths:
        shown = "16 or 32 bits" if len(widths) == 2 else "8 (SDK 1.4), 16 or 32 bits"
        raise CslError.at(param.span, f"an integer parameter of a task has {shown}, not {kind.bits}")


def addressed_names(decl: ast.FnDecl) -> set[str]:
    """Locals whose address is taken in a function."""
    found: set[str] = set()
    stack: list[Any] = [decl.body]
    while stack:
        node = stack.pop()
        if isinstance(node, list | tuple):
            stack.extend(node)
        elif isinstance(node, ast.Node) and is_dataclass(node):
            if isinstance(node, ast.Unary) and node.op == "&":
                root = node.operand
                while isinstance(root, ast.Index | ast.Member):
                    root = root.base
                if isinstance(root, ast.Ident):
                    found.add(root.name)
            stack.extend(getattr(node, field.name) for field in fields(node) if field.name != "span")
    return found
