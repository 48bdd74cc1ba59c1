"""Stacked regions of equal width for decoding: roles of PEs, arrays, sums along rows, columns and groups of rows.

A `Part` is a region's program, placed once or at several heights of a strip of columns.  Its PEs have the same code and
the same arrays at the same addresses; roles differ only in descriptors.  A vector that lies along the columns is the
same in all PEs of a column; one that lies along the rows is the same in all PEs of a row.

    path        colors            what travels
    row         row0, row1        partial sums east, and row_all: the total back to all PEs of the row
    column      column0, column1  partial sums south, and column_all: the total back to all PEs of the column
    group       column0, column1  the same within `group` rows, and group_all
    take, give  named by caller   a vector from the region before, to all PEs of a column; to the next region

Partial sums pass from PE to PE, each adds its own: about 10 PEs + elements cycles, and the way back.  All PEs get the
same bits, because the order of the additions is that of the PEs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..program import dsd
from ..program.dsd import Descriptor
from ..program.fragments import f32
from ..program.pe_class import PEClass
from ..program.program import Program
from .code import Code, Vec
from .layer_shape import RUN
from .region import memory_dsr, with_span

STEP = 8  # the task of a step
QUEUE = {"row": 0, "row_all": 1, "column": 2, "group_all": 3, "column_all": 4, "take": 5}
OUT = {"row": 0, "row_all": 1, "column": 2, "group_all": 3, "column_all": 4, "give": 5}
CHAINS = {"row": "row", "group": "column", "column": "column"}  # the queue of each path's partial sums
NEUTRAL = {"sum": "zero", "max": "least"}
ADD = {"sum": "fadds", "max": "fmaxs"}
STATE = (*RUN, "next", "runs", "column", "row")  # of a run; the place of the next one, and how many are left


class Role(NamedTuple):
    """Where a PE is in its row, its column and its group of rows, and the colors of its region's vectors."""

    first: bool
    last: bool
    odd_x: bool
    top: bool
    bottom: bool
    group_first: bool
    group_last: bool
    odd_y: bool
    take: str
    give: str


class Part:
    """A region's program at the heights `tops` of a program.

    group: rows of a group; the height is a multiple.  ways: for each top, the colors (take, give), "" for none.
    ConfigError for a region of fewer than 2 x 2 PEs.
    """

    def __init__(
        self, program: Program, name: str, height: int, tops: Sequence[int], group: int, ways: Sequence[tuple[str, str]]
    ) -> None:
        self.program, self.name, self.width, self.height = program, name, program.width, height
        self.tops, self.group = list(tops), group
        if self.width < 2 or height < 2:
            raise ConfigError(f"a region of {name} has at least 2 x 2 PEs, not {self.width} x {height}")
        if height % group:
            raise ConfigError(f"the {height} rows of {name} are no groups of {group}")
        self.code = Code()
        self._subroutines: dict[str, str] = {}
        self.classes: dict[Role, PEClass] = {}
        self._place(ways)
        for array, value in (("zero", 0.0), ("least", float("-inf"))):
            self.array(array, 1, "f32", init=value)
        self.array("state", len(STATE), "u32")
        self._paths()

    def _place(self, ways: Sequence[tuple[str, str]]) -> None:
        at: dict[Role, list[tuple[int, int]]] = {}
        w, h, g = self.width, self.height, self.group
        for top, (take, give) in zip(self.tops, ways, strict=True):
            for dy in range(h):
                for dx in range(w):
                    role = Role(
                        *(dx == 0, dx == w - 1, dx % 2 == 1, dy == 0, dy == h - 1),
                        *(dy % g == 0, dy % g == g - 1, dy % 2 == 1, take, give),
                    )
                    at.setdefault(role, []).append((dx, top + dy))
        for i, (role, places) in enumerate(at.items()):
            self.classes[role] = self.program.pe_class(f"{self.name}{i}")
            x, y = np.array(places).T
            self.program.place(self.classes[role], x=x, y=y)

    # --- declarations -------------------------------------------------------------------------------------------------

    def array(self, name: str, shape: int | tuple[int, ...], dtype: str, offset: int = 0, init=None) -> Vec:
        """Declare an array in every PE; return it as a vector of all its elements."""
        for pe in self.classes.values():
            pe.array(name, shape, dtype, offset=offset, init=init)
        return Vec(name, int(np.prod(shape)), 4 if dtype.endswith("32") else 2)

    def _dsd(self, name: str, make: Callable[[Role, PEClass], Descriptor]) -> None:
        for role, pe in self.classes.items():
            pe.dsd(name, make(role, pe))

    def state(self, name: str) -> str:
        """The place of a variable of `STATE` in memory, as an operand of loads and stores."""
        return f"[state+{4 * STATE.index(name)}]"

    def finish(self) -> None:
        """Give the code to the classes.  Call it once."""
        text = "".join(
            [
                "step:\n    coord r1, 0\n",
                f"    st32 r1, {self.state('column')}\n",
                self.code.text,
                "    done\n",
                *self._subroutines.values(),
            ]
        )
        for pe in self.classes.values():
            pe.code(text)
            pe.local_task("step", STEP)

    # --- paths --------------------------------------------------------------------------------------------------------

    def _color(self, name: str) -> int:
        known = self.program.colors
        return known[name] if name in known else self.program.color(name)

    def _paths(self) -> None:
        row, column = ([self._color(f"{axis}{parity}") for parity in (0, 1)] for axis in ("row", "column"))
        whole = {name: self._color(name) for name in ("row_all", "group_all", "column_all")}
        for top in self.tops:
            self._route(top, row, column, whole)
        for role, pe in self.classes.items():
            self._queues(role, pe, row, column, whole)
        self._chain("row", lambda r: r.first, lambda r: r.last, lambda r: row[r.odd_x], lambda r: row[not r.odd_x])
        ups, downs = (lambda r: column[r.odd_y]), (lambda r: column[not r.odd_y])
        self._chain("group", lambda r: r.group_first, lambda r: r.group_last, ups, downs)
        self._chain("column", lambda r: r.top, lambda r: r.bottom, ups, downs)
        for path, end in (
            ("row", lambda r: r.last),
            ("group", lambda r: r.group_last),
            ("column", lambda r: r.bottom),
        ):
            self._back(path, end, whole[f"{path}_all"])
        self._dsd("take", self._take)
        self._dsd("give", self._give)

    def _route(self, top: int, row: list, column: list, whole: dict) -> None:
        route, w, h, g = self.program.route, self.width, self.height, self.group
        rows = slice(top, top + h)
        for dx in range(w - 1):
            route(row[dx % 2], "R", "E", x=dx, y=rows)
            route(row[dx % 2], "W", "R", x=dx + 1, y=rows)
        for dy in range(h - 1):
            route(column[dy % 2], "R", "S", y=top + dy)
            route(column[dy % 2], "N", "R", y=top + dy + 1)
        route(whole["row_all"], "E", "WR", x=slice(1, w - 1), y=rows)
        route(whole["row_all"], "E", "R", x=0, y=rows)
        route(whole["row_all"], "R", "W", x=w - 1, y=rows)
        for name, size in (("group_all", g), ("column_all", h)):
            for first in range(top, top + h, size):
                if size > 1:
                    route(whole[name], "S", "NR", y=slice(first, first + size - 1))
                    route(whole[name], "S", "R", y=first)
                    route(whole[name], "R", "N", y=first + size - 1)

    def _queues(self, role: Role, pe: PEClass, row: list, column: list, whole: dict) -> None:
        if not role.first:
            pe.queue_in(QUEUE["row"], row[not role.odd_x])
        if not role.last:
            pe.queue_out(OUT["row"], row[role.odd_x])
        if not role.top:
            pe.queue_in(QUEUE["column"], column[not role.odd_y])
        if not role.bottom:
            pe.queue_out(OUT["column"], column[role.odd_y])
        for path, end in (("row", role.last), ("group", role.group_last), ("column", role.bottom)):
            if path == "group" and self.group == 1:
                continue
            name = f"{path}_all"
            if end:
                pe.queue_out(OUT[name], whole[name])
            else:
                pe.queue_in(QUEUE[name], whole[name])
        if role.take:
            pe.queue_in(QUEUE["take"], self._color(role.take))
        if role.give and role.bottom:
            pe.queue_out(OUT["give"], self._color(role.give))

    def _chain(self, path: str, first, last, sends, receives) -> None:
        queue = CHAINS[path]

        def source(name: str, role: Role, pe: PEClass) -> Descriptor:
            if first(role):
                return dsd.mem1d(pe.symbols[name], length=0, stride=0)
            return dsd.fabin(QUEUE[queue], color=receives(role))

        for name in NEUTRAL.values():
            self._dsd(f"{path}_in_{name}", partial(source, name))
        self._dsd(
            f"{path}_on",
            lambda role, pe: (
                dsd.mem1d(pe.symbols["zero"], length=1) if last(role) else dsd.fabout(OUT[queue], sends(role))
            ),
        )

    def _back(self, path: str, end, color) -> None:
        name = f"{path}_all"
        self._dsd(
            f"{path}_to",
            lambda role, pe: (
                dsd.fabout(OUT[name], color)
                if end(role) and not (path == "group" and self.group == 1)
                else dsd.mem1d(pe.symbols["zero"], length=1)
            ),
        )
        self._dsd(
            f"{path}_from",
            lambda role, pe: (
                dsd.mem1d(pe.symbols["zero"], length=1) if end(role) else dsd.fabin(QUEUE[name], color=color)
            ),
        )

    def _take(self, role: Role, pe: PEClass) -> Descriptor:
        if not role.take:
            return dsd.mem1d(pe.symbols["zero"], length=0, stride=0)
        return dsd.fabin(QUEUE["take"], color=self._color(role.take))

    def _give(self, role: Role, pe: PEClass) -> Descriptor:
        if not (role.give and role.bottom):
            return dsd.mem1d(pe.symbols["zero"], length=1)
        return dsd.fabout(OUT["give"], self._color(role.give))

    # --- pieces of code -----------------------------------------------------------------------------------------------

    def span(self, vec: Vec) -> None:
        """r16 = the span of a vector."""
        self.code(f"mov r16, {vec.at}+{(vec.n << 16) + vec.offset:#x}")

    def total(self, path: str, op: str = "sum", vec: Vec | None = None) -> None:
        """Add up a vector of f32 over the PEs of a row, a column or a group, in place and in all of them.

        op: "sum" or "max".  vec: None: the vector whose span is in r16.
        """
        if vec is not None:
            self.span(vec)
        if path == "group" and self.group == 1:
            return
        self.code.call(self._subroutine(path, op, back=True))

    def partial(self, path: str, vec: Vec) -> None:
        """As `total`, but only the last PE has the sum; the vector of the others stays what it was."""
        self.span(vec)
        self.code.call(self._subroutine(path, "sum", back=False))

    def _subroutine(self, path: str, op: str, back: bool) -> str:
        name = f"{path}_{op}" if back else f"{path}_{op}_only"
        lines = [
            f"{name}:",
            f"    dsr b7, {path}_in_{NEUTRAL[op]}",
            *memory_dsr("a7", 4, "r16"),
            *with_span("d7", f"{path}_on"),
            f"    {ADD[op]} d7, a7, b7",
        ]
        if back:
            lines += [*with_span("a7", f"{path}_from"), *with_span("d7", f"{path}_to"), "    mov32 d7, a7"]
        self._subroutines[name] = "\n".join([*lines, "    ret\n"])
        return name

    def take(self, vec: Vec) -> None:
        """Receive the vector that the region before sends, into all PEs of a column."""
        self.span(vec)
        self.code("dsr a7, take", *(line.strip() for line in memory_dsr("d7", 4, "r16")), "mov32 d7, a7")
        self.code.forget()

    def give(self, vec: Vec) -> None:
        """Send the vector of the bottom row to the next region; other rows do nothing of effect."""
        self.span(vec)
        self.code(*(line.strip() for line in memory_dsr("a7", 4, "r16")))
        self.code(*(line.strip() for line in with_span("d7", "give")), "mov32 d7, a7")
        self.code.forget()

    def stamp(self, k: int) -> None:
        """Store the low 32 bits of the cycle counter in word k of the array `stamps`."""
        self.code("tsc r1, 0", f"st16 r1, [stamps+{4 * k}]", "tsc r1, 1", f"st16 r1, [stamps+{4 * k + 2}]")

    def product(self, inputs: Vec, weights: str, y: Vec, bias: str = "") -> None:
        """y = the PE's part of a matrix times a vector: for each input, y += inputs[k] weights[k], products exact.

        inputs: 16-bit [k].  weights: symbol of 16-bit [k][y.n].  y: f32.  bias: symbol of f32 [y.n], with which y
        begins in place of 0; it is not 0 in one PE of those whose parts are added up.
        """
        c = self.code
        c.op("fmovs", y, Vec(bias, y.n) if bias else 0.0)
        rows = Vec(weights, inputs.n * y.n, 2).rows(y.n)
        with c.loop(inputs.n, over=inputs, d=y, a=y, b=rows) as (d, a, b):
            c(f"fmachs {d}, {a}, {b}, r1")

    def norm_arrays(self, names: Sequence[str], kx: int, layer: bool) -> None:
        """Declare what norms of a vector of `kx` features need: gains and work space.  layer: LayerNorms.

        names: suffixes of the arrays `gains` and, of LayerNorms, `shift`.
        """
        for name in names:
            self.array(f"gains{name}", kx, "f32", offset=8)
            if layer:
                self.array(f"shift{name}", kx, "f32", offset=8)
        self.array("work", kx, "f32", offset=4)
        self.array("one", 1, "f32")
        if layer:
            self.array("centred", kx, "f32")
            self.array("real", kx, "f32", offset=8)  # 1 for features, 0 for padding

    def norm(self, x: Vec, name: str, features: int, eps: float, out: Vec, layer: bool = False) -> None:
        """out (f32 or 16 bits) = RMSNorm, or LayerNorm, of x, a vector of `features` along the columns.

        x: f32 of a PE's features.  name: suffix of its gains.  Sums in the order of the columns.  `norm_arrays`
        declares the arrays.
        """
        c, work, one = self.code, Vec("work", x.n), Vec("one", 1)
        if layer:
            c("mov r1, 0")
            c(f"fadds r1, r1, {c.dsr('b', x)}", "st32 r1, [one]")
            self.total("row", vec=one)
            c("ld32 r1, [one]", f"mov r4, {f32(-1 / features)}", "smul r1, r1, r4")
            c.clobber("r4")
            c.op("fmacs", Vec("centred", x.n), x, Vec("real", x.n), "r1")
            x = Vec("centred", x.n)
        c.square(work, x, work)
        c("mov r1, 0")
        c(f"fadds r1, r1, {c.dsr('b', work)}", "st32 r1, [one]")
        self.total("row", vec=one)
        c("ld32 r1, [one]")
        self.inverse_root(1 / features, eps)
        c.op("fmuls", work, x, "r1")
        if layer:
            c.op("fmuls", work, work, Vec(f"gains{name}", x.n))
            c.narrow(out, "fadds", work, work, Vec(f"shift{name}", x.n))
        else:
            c.narrow(out, "fmuls", work, work, Vec(f"gains{name}", x.n))

    def inverse_root(self, scale: float, eps: float) -> None:
        """r1 = 1 / sqrt(scale r1 + eps), f32."""
        c = self.code
        for op, value in (("smul", scale), ("sadd", eps)):
            c(f"mov r4, {f32(value)}", f"{op} r1, r1, r4")
        c("ssqrt r1, r1", "mov r4, 0x3f800000", "sdiv r1, r4, r1")
        c.clobber("r4")
