"""Matrix times matrix: C = A B, operands broadcast along rows and columns (SUMMA).

Data layout.  On a grid of w x h PEs, PE (x, y) holds one tile of each matrix, of element type dtype, C of the sums' type:

    A [k][m]   column-major   rows y m' .. y m' + m' - 1 of A, columns x k .. x k + k - 1,   m' = ceil(M / h), k = ceil(K / w)
    B [k][n]   row-major      rows y k .. y k + k - 1 of B, columns x n .. x n + n - 1,      n = ceil(N / w), k = ceil(K / h)
    C [n][m]   column-major   rows y m' .. of C, columns x n ..

Zeros fill what lies beyond M, K and N, and the columns of A and C from m' to m, a multiple of 16 bytes: so every column of C
begins in the first memory bank, every column of A in the fifth, and the two sources of a multiply-add never meet in one.

Program.  The inner index runs over K in panels that lie within one PE column's part of A and one PE row's part of B.  For each
panel, the root column of A sends its m x panel piece to all PEs of its row, the root row of B its panel x n piece to all of its
column; each PE then adds, for each k of the panel and each of its n columns, one vector operation C[:, n] += A[:, k] B[k, n]
of m elements.  While a PE computes with one panel, microthreads bring the next.  When a root has sent all it has, one control
wavelet makes its own router and that of the next root change over: a router takes the color from the west, from its own PE, or
from the east (A; north and south for B), in this order as the root passes by.

What bounds it.  An operation of m elements takes m / rate + 1 slots (rate 4 a cycle for 16-bit floats, 1 for f32, 2 with 16-bit
elements and f32 sums: there columns of A lie spread in 32-bit words, or the faster source would run into the other's bank every
second time).  About 13 cycles for each k and 100 for each panel are spent on loading DSRs, scalars and starting.  A PE receives
every element of its panels through one slot per wavelet: (m + n) / 2 a k, for 16-bit elements.  So tiles of 64 x 64 keep a PE
busy for more than 90 % of the cycles, those of 16 x 16 for some 80 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import dsd, isa
from ..errors import ConfigError
from ..fabric import Fabric
from ..machine import Machine
from ..program import PEClass, Program
from . import Parameter, Progress, Result, data

PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter("M", int, 256, "Rows of A and C.", flag="-M"),
        Parameter("K", int, 256, "Columns of A, rows of B.", flag="-K"),
        Parameter("N", int, 256, "Columns of B and C.", flag="-N"),
        data.DTYPE,
        data.ACCUMULATE,
    )
}
GRID = (16, 16)
PANEL = 32  # columns of A at a time, at most: more would lengthen the wait for the first
UNROLL = 8
RESERVED = 1280  # bytes for code and descriptors
CHECKED = 1 << 32  # multiply-adds that the reference model does; of larger products it takes a sample


def run(
    config: dict[str, Any],
    *,
    machine: Machine,
    grid: tuple[int, int] | None,
    seed: int,
    threads: int,
    max_cycles: int | None,
    trace: int,
    progress: Progress,
    activity: bool = False,
) -> Result:
    """See wse.kernels."""
    tiling = plan(config, grid or GRID, machine)
    of = tiling.arithmetic
    rng = np.random.default_rng(seed)
    a, b = data.random(rng, (config["M"], config["K"]), of), data.random(rng, (config["K"], config["N"]), of)
    fabric = Fabric(build(tiling, machine), threads=threads, trace=trace, activity=activity)
    load(fabric, tiling, a, b)
    run = fabric.run(max_cycles, progress=progress)
    data.record(run, "gemm", config)
    result = Result("gemm", dict(config), run, verified=False, extra={"seed": seed})
    if run.ended == "done":
        compare(result, product(fabric, tiling), a, b, of)
    return result


def compare(result: Result, c: np.ndarray, a: np.ndarray, b: np.ndarray, of: data.Arithmetic) -> None:
    """Verifies c = a b to the bit, if that is too much work a sample of rows and columns, and says how exact it is."""
    work = a.shape[0] * a.shape[1] * b.shape[1]
    if work > CHECKED:
        share = (CHECKED / work) ** 0.5
        rows, columns = (_sample(size, share) for size in c.shape)
        a, b, c = a[rows], b[:, columns], c[np.ix_(rows, columns)]
        result.text.append(f"compared     {len(rows)} rows and {len(columns)} columns of C, not all: the model is slow")
        result.extra["compared"] = list(c.shape)
    expected = of.matmul(a, b)
    result.verified, result.max_error = data.same_bits(c, expected), data.error(c, expected)
    exact = data.error(c, a.astype(np.float64) @ b.astype(np.float64))
    result.extra["max_error_float64"] = exact
    result.text.append(f"max error    {exact:.3g} against the product in float64")


def _sample(size: int, share: float) -> np.ndarray:
    return np.unique(np.linspace(0, size - 1, max(1, int(size * share))).astype(int))


@dataclass(frozen=True)
class Tiling:
    """How matrices lie on a grid.  rows, columns: of a tile of C that matter; m: rows with padding; ka, kb: columns of a
    tile of A, rows of a tile of B; panel: of how many k at most."""

    M: int
    K: int
    N: int
    width: int
    height: int
    arithmetic: data.Arithmetic
    panel: int = 0

    @property
    def rows(self) -> int:
        return -(-self.M // self.height)

    @property
    def columns(self) -> int:
        return -(-self.N // self.width)

    @property
    def m(self) -> int:
        return self.arithmetic.padded(self.rows)

    @property
    def ka(self) -> int:
        return -(-self.K // self.width)

    @property
    def kb(self) -> int:
        return -(-self.K // self.height)

    @property
    def spread(self) -> int:
        """Elements from one of a column of A in a panel to the next."""
        return self.arithmetic.sum_size // self.arithmetic.size

    @property
    def tile_bytes(self) -> tuple[int, int, int]:
        """Of A, B and C."""
        of = self.arithmetic
        return self.m * self.ka * of.size, self.columns * self.kb * of.size, self.m * self.columns * of.sum_size

    @property
    def k_bytes(self) -> int:
        """Of one k in a panel."""
        return self.m * self.arithmetic.sum_size + self.columns * self.arithmetic.size

    def room(self, machine: Machine) -> int:
        """k that fit into each of two panels; their bank offsets cost up to 16 bytes each."""
        return (machine.sram_bytes - RESERVED - sum(self.tile_bytes) - 64) // (2 * self.k_bytes)


def plan(config: dict[str, Any], grid: tuple[int, int], machine: Machine) -> Tiling:
    """The tiling of a configuration; ConfigError if it does not fit a PE."""
    data.check("gemm", PARAMETERS, config)
    data.check_positive("gemm", config, "M", "K", "N")
    sizes, of = [config[name] for name in "MKN"], data.arithmetic(config["dtype"], config["accumulate"])
    tiling = Tiling(*sizes, *grid, of)
    room = tiling.room(machine)
    if room < 1:
        tiles = sum(tiling.tile_bytes)
        smallest = next(n for n in range(1, max(sizes) + 2) if n > max(sizes) or Tiling(*sizes, n, n, of).room(machine) > 0)
        raise ConfigError(
            f"gemm of {sizes[0]} x {sizes[1]} x {sizes[2]} ({config['dtype']}, {of.sum} sums) on {grid[0]} x {grid[1]} PEs "
            f"needs {tiles} bytes per PE for its tiles and {2 * tiling.k_bytes} for the least panels, beside {RESERVED} for "
            f"code; a PE has {machine.sram_bytes}: use smaller matrices or a larger grid, such as {smallest}x{smallest}"
        )
    part = min(tiling.ka, tiling.kb)
    pieces = -(-part // min(room, PANEL, (isa.LENGTH_INFINITE - 1) // max(tiling.m, tiling.columns)))
    return Tiling(*sizes, *grid, of, -(-part // pieces))


def load(fabric: Fabric, tiling: Tiling, a: np.ndarray, b: np.ndarray) -> None:
    """Copies A and B to the PEs."""
    t = tiling
    own = np.zeros((t.height, t.width, t.ka, t.m), np.float32)
    own[..., : t.rows] = data.tiles(a, t.rows, t.ka, t.height, t.width).swapaxes(2, 3)
    fabric.write("A", own)
    fabric.write("B", data.tiles(b, t.kb, t.columns, t.height, t.width))


def product(fabric: Fabric, tiling: Tiling) -> np.ndarray:
    """C, from the PEs: float32 [M, N]."""
    return data.untile(fabric.read("C")[..., : tiling.rows].swapaxes(2, 3), tiling.M, tiling.N)


def build(tiling: Tiling, machine: Machine) -> Program:
    """The program: one class, for the routers and the PE's own coordinates make the difference between PEs."""
    t, of = tiling, tiling.arithmetic
    program = Program(t.width, t.height, machine, fp16=of.fp16)
    pe = program.pe_class("tile")
    pe.array("C", (t.columns, t.m), of.sum)
    # Two halves, each a panel of A and one of B.
    spread = (t.panel, t.m, t.spread)
    pe.array("panel_a0", spread, of.element, offset=8)
    pe.array("panel_b0", (t.panel, t.columns), of.element, align=4)
    pe.array("panel_a1", spread, of.element, offset=8)
    pe.array("panel_b1", (t.panel, t.columns), of.element, align=4)
    pe.array("A", (t.ka, t.m), of.element)
    pe.array("B", (t.kb, t.columns), of.element)
    sides = [
        Side(program, pe, "a", t.width, "WE", queue=0),
        Side(program, pe, "b", t.height, "NS", queue=1),
    ]
    _descriptors(pe, t)
    pe.local_task("begin", 9, active=True)
    pe.local_task("step", 10)
    pe.code(_begin(t, sides) + _fetch(t, sides) + _compute(t))
    program.place(pe)
    return program


class Side:
    """One operand's way: its color along `count` PEs from `ports[0]` to `ports[1]`, and the queues of each PE for it."""

    def __init__(self, program: Program, pe: PEClass, name: str, count: int, ports: str, queue: int):
        self.name, self.count, self.queue = name, count, queue
        if count == 1:
            return
        color = program.color(name, queue)
        back, on = ports
        axis = "x" if ports == "WE" else "y"
        # The root's place is passed on from each PE to the next one: a position for "before", "now" and "after".
        now = [("R", ports), (on, back + "R")]
        program.route(color, back, on + "R", switch=now, pop="pop_on_advance")
        program.route(color, "R", on, switch=[(on, "R")], pop="pop_on_advance", **{axis: 0})
        program.route(color, back, "R", switch=[("R", back)], pop="pop_on_advance", **{axis: count - 1})
        narrow = pe.symbols["A"].itemsize == 2
        pe.queue_in(queue, color)
        pe.queue_out(queue + 2, color)
        pe.dsd(f"{name}_in", dsd.fabin(queue, color=color, simd=narrow))
        pe.dsd(f"{name}_out", dsd.fabout(queue + 2, color, simd=narrow))
        pe.dsd(f"{name}_change", dsd.fabout(queue + 2, color, length=1, control=True))


# Commands of a control wavelet for routers only (entry point 31), hidden from compute elements: the root's own advances, then
# its neighbors' do (the one it came from is at its last position), then nothing.  Advances are popped, the rest stays.
COMMANDS = 0b101 | 0b101 << 3 | 0b100 << 6
CHANGE = (COMMANDS & 0xFF) << 22 | 31 << 16 | COMMANDS >> 8

# Registers.  Those of a walk are the four words of a descriptor; base and length are its second.
C, A, B = 8, 12, 16  # walks
A_AT, B_AT = A + 1, B + 1
TO_A, TO_B = 1, 2  # roots that are still to come before this PE is it
LEFT_A, LEFT_B, LEFT = 3, 4, 5  # k that the root of A, the root of B, and all have not sent
OWN_A, OWN_B = 6, 7  # address of what this PE has not sent of its tiles
HERE, NEXT = 20, 21  # the panels to compute with, those to receive
K_HERE, K_NEXT = 22, 23
X, TRIPS, LENGTH, T = 24, 25, 26, 0


def _descriptors(pe: PEClass, t: Tiling) -> None:
    s = pe.symbols
    pe.dsd("walk_c", dsd.mem1d(s["C"], length=t.m, save_address=True))
    pe.dsd("walk_a", dsd.mem1d(s["panel_a0"], length=t.m, stride=t.spread))
    pe.dsd("walk_b", dsd.mem1d(s["panel_b0"], length=t.columns))


def _begin(t: Tiling, sides: list[Side]) -> str:
    lines = ["begin:"]
    for register, name in ((C, "walk_c"), (A, "walk_a"), (B, "walk_b")):
        lines += [f"ld32 r{register + i}, [{name}+{4 * i}]" for i in range(4)]
    for side, source, out, change in zip(sides, ("b2", "b3"), ("d3", "d4"), ("d5", "d6"), strict=True):
        if side.count > 1:
            lines += [f"dsr {source}, {side.name}_in", f"dsr {out}, {side.name}_out", f"dsr {change}, {side.name}_change"]
    lines += [
        f"coord r{TO_A}, 0",
        f"coord r{TO_B}, 1",
        f"mov r{LEFT_A}, {t.ka}",
        f"mov r{LEFT_B}, {t.kb}",
        f"mov r{LEFT}, {t.K}",
        f"mov r{OWN_A}, A",
        f"mov r{OWN_B}, B",
        f"mov r{HERE}, panel_a0",
        f"mov r{NEXT}, panel_a1",
        f"mov r{K_NEXT}, 0",
    ]
    return _text(lines)


def _fetch(t: Tiling, sides: list[Side]) -> str:
    """Starts on the panels to receive, or send.  The step after this one begins when both are here: A's activates its task,
    B's unblocks it."""
    a, b = sides
    lines = [
        "step:",
        f"mov r{K_HERE}, r{K_NEXT}",
        f"mov r{T}, r{HERE}",
        f"mov r{HERE}, r{NEXT}",
        f"mov r{NEXT}, r{T}",
        f"bz r{LEFT}, .compute",
        *_change(a, TO_A, LEFT_A, t.ka, "d5"),
        *_change(b, TO_B, LEFT_B, t.kb, "d6"),
        f"mov r{K_NEXT}, {t.panel}",
    ]
    for left in (LEFT_A, LEFT_B, LEFT):
        lines += [f"iltu32 r{T}, r{left}, r{K_NEXT}", f"sel r{K_NEXT}, r{T}, r{left}, r{K_NEXT}"]
    lines += [f"isub32 r{left}, r{left}, r{K_NEXT}" for left in (LEFT_A, LEFT_B, LEFT)]
    lines.append("block step")
    lines += [f"imul32 r{LENGTH}, r{K_NEXT}, {t.m << 16}", f"iadd32 r{A_AT}, r{LENGTH}, r{NEXT}", f"ldds d1, r{A}"]
    lines += _transfer(a, t, TO_A, OWN_A, t.m, "d1", "b2", "d3", ("a1", "a3"), "activate")
    lines += [
        f"imul32 r{LENGTH}, r{K_NEXT}, {t.columns << 16}",
        f"iadd32 r{B_AT}, r{LENGTH}, r{NEXT}",
        f"iadd32 r{B_AT}, r{B_AT}, panel_b0 - panel_a0",
        f"ldds d2, r{B}",
    ]
    lines += _transfer(b, t, TO_B, OWN_B, t.columns, "d2", "b3", "d4", ("a2", "a4"), "unblock")
    return _text(lines)


def _change(side: Side, to: int, left: int, part: int, out: str) -> list[str]:
    """Passes the root's place on when it has sent all: its router and the next root's change over."""
    if side.count == 1:
        return []
    label = f".same_{side.name}"
    return [
        f"bnz r{left}, {label}",
        f"mov r{left}, {part}",
        f"bnz r{to}, .not_{side.name}",
        f"mov r{T}, {CHANGE}",
        f"mov32 {out}, r{T} {{async, ut={side.queue + 2}}}",
        f".not_{side.name}:",
        f"isub32 r{to}, r{to}, 1",
        f"{label}:",
    ]


def _transfer(
    side: Side, t: Tiling, to: int, own: int, per_k: int, into: str, source: str, out: str, walks: tuple[str, str], then: str
) -> list[str]:
    """Receives a panel, or, at its root, sends it and copies it.  LENGTH holds its length."""
    of = t.arithmetic
    send, copy = walks
    # The tiles are walked over like panels of B: element by element.
    tile = [f"iadd32 r{B_AT}, r{LENGTH}, r{own}", f"ldds {send}, r{B}"]
    kept = [
        f"{of.move} {into}, {copy}",
        f"imul32 r{T}, r{K_NEXT}, {per_k * of.size}",
        f"iadd32 r{own}, r{own}, r{T}",
    ]
    if side.count == 1:
        return [*tile, f"ldds {copy}, r{B}", *kept, f"{then} step"]
    ends = f"{then}=step"
    return [
        f"bz r{to}, .send_{side.name}",
        f"{of.move} {into}, {source} {{async, ut={side.queue}, {ends}}}",
        f"jmp .sent_{side.name}",
        f".send_{side.name}:",
        *tile,
        f"ldds {copy}, r{B}",
        f"{of.move} {out}, {send} {{async, ut={side.queue + 2}, {ends}}}",
        *kept,
        f".sent_{side.name}:",
    ]


def _compute(t: Tiling) -> str:
    """C += panel of A times panel of B.  The loop over k is unrolled; it is entered so that the trips come out even."""
    of = t.arithmetic
    each = [
        f"ldds b0, r{A}",
        f"ldds b1, r{B}",
        f"ldds d0, r{C}",
        f"ldds a0, r{C}",
        f"iadd32 r{A_AT}, r{A_AT}, {t.m * of.sum_size}",
        f"iadd32 r{B_AT}, r{B_AT}, {t.columns * of.size}",
        f"mapstep r{X}, b1, .next{{0}}",
        f"{of.multiply_add} d0, a0, b0, r{X}",
        "maploop .column{0}",
    ]
    loop = []
    for i in range(UNROLL):
        *before, step, operation, again = (line.format(i) for line in each)
        loop += [*before, f".column{i}:", step, operation, again, f".next{i}:"]
    return _text(
        [
            ".compute:",
            f"bz r{K_HERE}, .end",
            f"ior r{A_AT}, r{HERE}, {t.m << 16}",
            f"iadd32 r{B_AT}, r{HERE}, panel_b0 - panel_a0 + {t.columns << 16}",
            f"iadd32 r{TRIPS}, r{K_HERE}, {UNROLL - 1}",
            f"ishr32 r{TRIPS}, r{TRIPS}, {UNROLL.bit_length() - 1}",
            f"imul32 r{T}, r{K_HERE}, -{len(each)}",
            f"imul32 r{X}, r{TRIPS}, {UNROLL * len(each)}",
            f"iadd32 r{T}, r{T}, r{X}",
            f"iadd32 r{T}, r{T}, .k",
            f"jr r{T}",
            ".k:",
            *loop,
            f"isub32 r{TRIPS}, r{TRIPS}, 1",
            f"bnz r{TRIPS}, .k",
            ".end:",
            "done",
        ]
    )


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
