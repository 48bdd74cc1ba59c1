"""Artifacts written by hand, in assembly: what the host side is tested with, apart from the compiler."""

from __future__ import annotations

import numpy as np

import wse
from wse.csl.artifact import (
    RPC_ARGUMENTS,
    RPC_SELECTOR,
    RPC_TASK,
    Artifact,
    BoundTask,
    ClassImage,
    Exported,
    RouteConfig,
    Rpc,
    Variable,
)
from wse.program.image import NO_CLASS
from wse.program.symbol import DTYPES

KINDS = {wse._engine.TASK_DATA: "data", wse._engine.TASK_LOCAL: "local", wse._engine.TASK_CONTROL: "control"}

# Calls the function of the selector: `fn1`, `fn2`, ... of the class.
RPC = "rpc: " + f"ld32 r1, [{RPC_SELECTOR}]\n" + "".join(
    f"ieq32 r2, r1, {i}\n bnz r2, fn{i}\n" for i in (1, 2)
) + "trap 99\n"  # fmt: skip


def image(pe, functions: dict[str, list[str]], hidden: tuple[str, ...] = ()) -> ClassImage:
    """A class of an assembled program; every array is published but the hidden ones, which are only `export var`."""
    built = pe.build()
    variables = {s.name: _variable(s) for s in (*pe.program.shared.values(), *pe.symbols.values()) if s.dtype in DTYPES}
    rpcs = {
        name: Rpc(i + 1, [(RPC_ARGUMENTS + 4 * k, type) for k, type in enumerate(types)])
        for i, (name, types) in enumerate(functions.items())
    }
    return ClassImage(
        pe.name,
        f"{pe.name}.csl",
        "",
        built.assembly.words,
        np.array([[0, line, 1, -1] for line in built.assembly.lines], np.int32).reshape(-1, 4),
        built.data,
        *(built.kinds, built.priorities, built.entries, built.active, built.blocked),
        {q: int(c) for q, c in pe.queues_in.items()},
        {q: int(c) for q, c in pe.queues_out.items()},
        variables={name: v for name, v in variables.items() if name not in hidden},
        symbols={name: v for name, v in variables.items() if name in hidden},
        functions=rpcs,
        tasks=[BoundTask(task.name, KINDS[task.kind], task.id) for task in pe.tasks.values()],
        labels=built.assembly.labels,
    )


def _variable(s) -> Variable:
    return Variable(s.address, s.dtype, s.size, s.nbytes)


def artifact(program, functions=None, hidden=(), host_colors=None, strings=(), offsets=(4, 1)) -> Artifact:
    """The program as cslc would leave it.  functions: argument types by name, in the order of the labels fn1, fn2."""
    program.layout()
    images = [image(pe, functions or {}, hidden) for pe in program.classes.values()]
    names = dict.fromkeys(name for i in images for name in i.variables)
    exports = [Exported(name, "[*]u32", True, False) for name in names]
    exports += [Exported(name, "fn()void", False, True) for name in functions or {}]
    routes = {}
    for color, plane in program.routes.planes.items():
        words, index = np.unique(plane, return_inverse=True)
        configs = [_route(int(word)) for word in words]
        routes[int(color)] = (index.reshape(plane.shape).astype(np.int16), configs)
    return Artifact(
        program.machine.name,
        *(program.width, program.height, "layout.csl"),
        {"n": "3"},
        {},
        (program.width + 7, program.height + 2),
        offsets,
        host_colors or {},
        exports,
        list(strings),
        {int(color): name for name, color in program.colors.items()},
        program.fp16,
        ["hand.csl"],
        [],
        images,
        np.where(program.class_of_pe == NO_CLASS, NO_CLASS, program.class_of_pe).astype(np.uint16),
        routes,
    )


def _route(word: int) -> RouteConfig:
    rx, tx = (wse.program.route.letters(word >> shift & 31) for shift in (0, 5))
    return RouteConfig(rx, tx, [], False, "no_pop", 0, None, False, False, False, "layout.csl:1")


def bind_rpc(pe) -> None:
    """The task that launches functions."""
    pe.local_task("rpc", RPC_TASK)
