"""Matrix times matrix: C = A B by the SUMMA algorithm, which broadcasts A along rows and B along columns of PEs.

Data layout.  On a grid of w x h PEs, PE (x, y) holds one tile of each matrix.  A and B have type dtype; C has the
accumulator type:

    A [k][m]  column-major   rows y r .. y r + r - 1 of A, columns x k .. x k + k - 1   r = ceil(M / h), k = ceil(K / w)
    B [k][n]  row-major      rows y k .. y k + k - 1 of B, columns x n .. x n + n - 1   n = ceil(N / w), k = ceil(K / h)
    C [n][m]  column-major   rows y r .. y r + r - 1 of C, columns x n .. x n + n - 1

Elements beyond M, K and N are zero.  Columns of A and C are padded with zeros from r to m elements, a multiple of 16
bytes of C's type.  Every column of C therefore begins in memory bank 0 and every column of A in bank 4, and the two
sources of a multiply-add never conflict.

Program.  The inner index k runs in panels.  A panel lies within the columns of A of one PE column and within the rows
of B of one PE row; these PEs are the roots of the panel.  For each panel, the root of A sends its m x panel piece to
all PEs of its row, and the root of B sends its panel x n piece to all PEs of its column.  For each k of the panel and
each of its n columns, a PE then executes one vector operation, C[:, n] += A[:, k] B[k, n], of m elements.  While a PE
computes with one panel, microthreads receive the next (double buffering).  When a root has sent its whole tile, one
control wavelet advances the switch of its own router and that of the next root.  The three switch positions of a router
take A from the west (before its PE is the root), from its own PE (the root), and from the east (after it).  For B, they
take north, own PE and south.

Performance.  An operation of m elements takes m / rate + 1 slots.  The rate is 4 elements per cycle for 16-bit floats,
1 for f32, and 2 for 16-bit elements with f32 sums.  In the last case the elements of A are spread to one per 32-bit
word, because the denser operand would otherwise conflict with the other in every second access.  Loading DSRs and
scalars takes about 13 cycles for each k; starting a panel takes about 100.  Every wavelet takes one slot of the PE that
sends or receives it: (m + n) / 2 slots per k for 16-bit elements.  As a result, tiles of 64 x 64 keep the compute
element busy for more than 90 % of the cycles, and tiles of 16 x 16 for almost 80 %.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..machine import isa
from ..machine.parameters import Machine
from ..program import dsd
from ..program.program import PEClass, Program
from ..records import dataclass
from . import Input, Parameter, Result, RunOptions, by_name, data

PARAMETERS = by_name(
    Parameter("M", int, 256, "Rows of A and C.", flag="-M"),
    Parameter("K", int, 256, "Columns of A, rows of B.", flag="-K"),
    Parameter("N", int, 256, "Columns of B and C.", flag="-N"),
    data.DTYPE,
    data.ACCUMULATE,
)
INPUTS = by_name(Input("A", ("M", "K"), "Left factor."), Input("B", ("K", "N"), "Right factor."))
OUTPUTS = {"C": "[M, N] A B, rounded after each multiply-add"}
GRID = (16, 16)
PANEL = 32  # most columns of A in a panel: a larger panel would delay the start of the computation
UNROLL = 8
RESERVED = 1280  # bytes for code and descriptors
CHECKED = 1 << 34  # most multiply-adds of the reference model; larger products are checked by a sample
BLOCK = 1024  # rows of C that the reference model computes at a time, to bound its memory


def run(config: dict[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    tiling = plan(config, options.grid or GRID, options.machine)
    of = tiling.arithmetic
    rng = np.random.default_rng(options.seed)
    a = data.given(options, "A", rng, (config["M"], config["K"]), of)
    b = data.given(options, "B", rng, (config["K"], config["N"]), of)
    fabric = options.fabric(build(tiling, options.machine))
    load(fabric, tiling, a, b)
    run = options.run(fabric)
    data.record(run, "gemm", config)
    result = Result("gemm", dict(config), run, verified=False, extra={"seed": options.seed})
    if run.ended == "done":
        result.outputs["C"] = product(fabric, tiling)
        compare(result, result.outputs["C"], a, b, of, options.threads)
    return result


def compare(result: Result, c: np.ndarray, a: np.ndarray, b: np.ndarray, of: data.Arithmetic, threads: int = 1) -> None:
    """Compares c with the reference model of a b, bit for bit, and records the outcome in `result`.

    c: float32 [M, N].  a: float32 [M, K].  b: float32 [K, N].  Of a product with more than CHECKED multiply-adds, an
    evenly spaced sample of rows and columns is compared.  result.extra["max_error_float64"] is set to the largest
    difference from the product in float64.
    """
    work = a.shape[0] * a.shape[1] * b.shape[1]
    if work > CHECKED:
        share = (CHECKED / work) ** 0.5
        rows, columns = (_sample(size, share) for size in c.shape)
        a, b, c = a[rows], b[:, columns], c[np.ix_(rows, columns)]
        result.text.append(f"compared     {len(rows)} rows and {len(columns)} columns of C, not all: the model is slow")
        result.extra["compared"] = list(c.shape)
    verified, errors, exact, wide = True, [0.0], [0.0], b.astype(np.float64)
    for start in range(0, len(c), BLOCK):  # a large product in float64 would take gigabytes at once
        part = slice(start, start + BLOCK)
        expected = of.matmul(a[part], b, threads)
        verified = verified and data.same_bits(c[part], expected)
        errors.append(data.error(c[part], expected))
        with np.errstate(all="ignore"):  # infinities
            exact.append(data.error(c[part], a[part].astype(np.float64) @ wide))
    result.verified, result.max_error = verified, float(np.max(errors))  # np.max propagates NaN; max does not
    result.extra["max_error_float64"] = float(np.max(exact))
    result.text.append(f"max error    {np.max(exact):.3g} against the product in float64")


def _sample(size: int, share: float) -> np.ndarray:
    return np.unique(np.linspace(0, size - 1, max(1, int(size * share))).astype(int))


@dataclass(frozen=True)
class Tiling:
    """The distribution of the matrices over a grid of width x height PEs.

    rows, columns: size of a tile of C without padding.  m: rows with padding.  ka: columns of a tile of A.  kb: rows of
    a tile of B.  panel: most values of k in a panel.
    """

    M: int
    K: int
    N: int
    width: int
    height: int
    arithmetic: data.Arithmetic
    panel: int = 0

    @property
    def rows(self) -> int:
        """Rows of C in a PE."""
        return -(-self.M // self.height)

    @property
    def columns(self) -> int:
        """Columns of C in a PE."""
        return -(-self.N // self.width)

    @property
    def m(self) -> int:
        """Rows of C in a PE, padded."""
        return self.arithmetic.padded(self.rows)

    @property
    def ka(self) -> int:
        """Columns of A in a PE."""
        return -(-self.K // self.width)

    @property
    def kb(self) -> int:
        """Rows of B in a PE."""
        return -(-self.K // self.height)

    @property
    def spread(self) -> int:
        """Stride, in elements, within a column of A in a panel."""
        return self.arithmetic.sum_size // self.arithmetic.size

    @property
    def tile_bytes(self) -> tuple[int, int, int]:
        """Bytes of a PE's tiles of A, B and C."""
        of = self.arithmetic
        return self.m * self.ka * of.size, self.columns * self.kb * of.size, self.m * self.columns * of.sum_size

    @property
    def k_bytes(self) -> int:
        """Bytes that one value of k takes in a panel: a column of A and a row of B."""
        return self.m * self.arithmetic.sum_size + self.columns * self.arithmetic.size

    def room(self, machine: Machine) -> int:
        """The number of values of k that fit in each of the two panel buffers.

        The alignment of each of the four arrays to its bank takes up to 16 bytes.
        """
        return (machine.sram_bytes - RESERVED - sum(self.tile_bytes) - 64) // (2 * self.k_bytes)


def plan(config: dict[str, Any], grid: tuple[int, int], machine: Machine) -> Tiling:
    """Chooses the tiling of a configuration.

    config: a value for every entry of PARAMETERS.  grid: width and height in PEs.  Raises ConfigError if a value is
    invalid or the tiles and the smallest panels exceed the memory of a PE; the message names a grid that is large
    enough.
    """
    data.check("gemm", PARAMETERS, config)
    data.check_positive("gemm", config, "M", "K", "N")
    sizes, of = (config["M"], config["K"], config["N"]), data.arithmetic(config["dtype"], config["accumulate"])
    tiling = Tiling(*sizes, *grid, of)
    room = tiling.room(machine)
    if room < 1:
        squares = (replace(tiling, width=n, height=n) for n in range(1, min(max(sizes), machine.fabric_width) + 1))
        larger = next((f"{s.width}x{s.width}" for s in squares if s.room(machine) > 0), "none is large enough")
        raise ConfigError(
            f"gemm of {sizes[0]} x {sizes[1]} x {sizes[2]} ({config['dtype']}, {of.sum} sums) on {grid[0]} x {grid[1]} "
            f"PEs needs {sum(tiling.tile_bytes)} bytes per PE for its tiles and {2 * tiling.k_bytes} for the least "
            f"panels, beside {RESERVED} for code; a PE has {machine.sram_bytes}: use smaller matrices or a larger grid "
            f"({larger})"
        )
    part = min(tiling.ka, tiling.kb)
    pieces = -(-part // min(room, PANEL, (isa.LENGTH_INFINITE - 1) // max(tiling.m, tiling.columns)))
    return replace(tiling, panel=-(-part // pieces))


def load(fabric: Fabric, tiling: Tiling, a: np.ndarray, b: np.ndarray) -> None:
    """Writes a, float32 [M, K], and b, float32 [K, N], to the tiles of the PEs."""
    t = tiling
    own = np.zeros((t.height, t.width, t.ka, t.m), np.float32)
    own[..., : t.rows] = data.tiles(a, t.rows, t.ka, t.height, t.width).swapaxes(2, 3)
    fabric.write("A", own)
    fabric.write("B", data.tiles(b, t.kb, t.columns, t.height, t.width))


def product(fabric: Fabric, tiling: Tiling) -> np.ndarray:
    """Reads C from the tiles of the PEs: float32 [M, N]."""
    return data.untile(fabric.read("C")[..., : tiling.rows].swapaxes(2, 3), tiling.M, tiling.N)


def build(tiling: Tiling, machine: Machine) -> Program:
    """Builds the program.

    All PEs share one class; only their routes and their coordinates, which the code reads at run time, differ.
    """
    t, of = tiling, tiling.arithmetic
    program = Program(t.width, t.height, machine, fp16=of.fp16)
    pe = program.pe_class("tile")
    pe.array("C", (t.columns, t.m), of.sum)
    # Double buffer: each half holds a panel of A and a panel of B.
    spread = (t.panel, t.m, t.spread)
    pe.array("panel_a0", spread, of.element, offset=8)
    pe.array("panel_b0", (t.panel, t.columns), of.element, align=4)
    pe.array("panel_a1", spread, of.element, offset=8)
    pe.array("panel_b1", (t.panel, t.columns), of.element, align=4)
    pe.array("A", (t.ka, t.m), of.element)
    pe.array("B", (t.kb, t.columns), of.element)
    pe.dsd("walk_c", dsd.mem1d(pe.symbols["C"], length=t.m, save_address=True))
    pe.dsd("walk_a", dsd.mem1d(pe.symbols["panel_a0"], length=t.m, stride=t.spread))
    pe.dsd("walk_b", dsd.mem1d(pe.symbols["panel_b0"], length=t.columns))
    sides = (
        Side(
            *("a", t.width, "x", ("W", "E"), 0, t.ka, t.m, TO_A, LEFT_A, OWN_A),
            *("d1", "b2", "d3", "d5", "a1", "a3", "activate"),
        ),
        Side(
            *("b", t.height, "y", ("N", "S"), 1, t.kb, t.columns, TO_B, LEFT_B, OWN_B),
            *("d2", "b3", "d4", "d6", "a2", "a4", "unblock"),
        ),
    )
    for side in sides:
        side.connect(program, pe)
    pe.local_task("begin", 9, active=True)
    pe.local_task("step", 10)
    pe.code(_begin(t, sides) + _fetch(t, sides) + _compute(t))
    program.place(pe)
    return program


@dataclass(frozen=True)
class Side:
    """The broadcast of one operand, A or B, along a line of PEs, with the resources it uses.

    count: PEs in the line.  axis: direction of the line; ports: the router's ports towards its first and its last PE.
    queue: index of the color and the input queue; the output queue is queue + 2.  part: values of k in a tile.
    per_k: elements per value of k.  to, left, own: scalar registers (see TO_A, LEFT_A, OWN_A).  into: DSR of the panel
    to fill.  source, out, change: DSRs of the input queue, the output queue and the control wavelet.  tile, copy: DSRs
    of this PE's own part, to send and to copy.  then: the effect of a completed transfer on task `step`.
    """

    name: str
    count: int
    axis: str
    ports: tuple[str, str]
    queue: int
    part: int
    per_k: int
    to: int
    left: int
    own: int
    into: str
    source: str
    out: str
    change: str
    tile: str
    copy: str
    then: str

    def connect(self, program: Program, pe: PEClass) -> None:
        """Declares the color, the routes, the queues and their descriptors."""
        if self.count == 1:
            return
        color = program.color(self.name, self.queue)
        back, on = self.ports
        first, last = ({self.axis: at} for at in (0, self.count - 1))
        # Each PE in turn is the root.  Switch positions: before this PE is the root, while it is, and afterwards.
        pop = "pop_on_advance"
        program.route(color, back, on + "R", switch=[("R", back + on), (on, back + "R")], pop=pop)
        program.route(color, "R", on, switch=[(on, "R")], pop=pop, **first)  # type: ignore[arg-type]
        program.route(color, back, "R", switch=[("R", back)], pop=pop, **last)  # type: ignore[arg-type]
        narrow = pe.symbols["A"].itemsize == 2
        pe.queue_in(self.queue, color)
        pe.queue_out(self.queue + 2, color)
        pe.dsd(f"{self.name}_in", dsd.fabin(self.queue, color=color, simd=narrow))
        pe.dsd(f"{self.name}_out", dsd.fabout(self.queue + 2, color, simd=narrow))
        pe.dsd(f"{self.name}_change", dsd.fabout(self.queue + 2, color, length=1, control=True))


# Commands of a control wavelet for routers only (entry point 31: no task).  The first command advances the switch of
# the root's own router, the second those of its neighbors.  The neighbor before the root is in its last position
# and stays there.  Later routers execute a no-op.  Routers pop the two advances; the no-op remains.
COMMANDS = 0b101 | 0b101 << 3 | 0b100 << 6
CHANGE = (COMMANDS & 0xFF) << 22 | 31 << 16 | COMMANDS >> 8

# Scalar registers.  Four consecutive registers hold the words of a descriptor; word 1 holds its base and its length.
C, A, B = 8, 12, 16  # descriptors
A_AT, B_AT = A + 1, B + 1
TO_A, TO_B = 1, 2  # number of roots before this PE becomes the root
LEFT_A, LEFT_B, LEFT = 3, 4, 5  # values of k not yet sent: by the root of A, by the root of B, in total
OWN_A, OWN_B = 6, 7  # address of the part of this PE's tile that is not yet sent
HERE, NEXT = 20, 21  # address of the panels to compute with and of those to receive
K_HERE, K_NEXT = 22, 23
X, TRIPS, LENGTH, T = 24, 25, 26, 0


def _begin(t: Tiling, sides: tuple[Side, Side]) -> str:
    lines = ["begin:"]
    for register, name in ((C, "walk_c"), (A, "walk_a"), (B, "walk_b")):
        lines += [f"ld32 r{register + i}, [{name}+{4 * i}]" for i in range(4)]
    for side in sides:
        if side.count > 1:
            lines += [f"dsr {side.source}, {side.name}_in", f"dsr {side.out}, {side.name}_out"]
            lines.append(f"dsr {side.change}, {side.name}_change")
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


def _fetch(t: Tiling, sides: tuple[Side, Side]) -> str:
    """The first half of task `step`: starts the transfers of the next panels.

    The task runs again when both transfers are complete: the transfer of A activates it, that of B unblocks it.
    """
    a, b = sides
    lines = [
        "step:",
        f"mov r{K_HERE}, r{K_NEXT}",
        f"mov r{T}, r{HERE}",
        f"mov r{HERE}, r{NEXT}",
        f"mov r{NEXT}, r{T}",
        f"bz r{LEFT}, .compute",
        *_change(a),
        *_change(b),
        f"mov r{K_NEXT}, {t.panel}",
    ]
    for left in (LEFT_A, LEFT_B, LEFT):
        lines += [f"iltu32 r{T}, r{left}, r{K_NEXT}", f"sel r{K_NEXT}, r{T}, r{left}, r{K_NEXT}"]
    lines += [f"isub32 r{left}, r{left}, r{K_NEXT}" for left in (LEFT_A, LEFT_B, LEFT)]
    lines += [
        "block step",
        f"imul32 r{LENGTH}, r{K_NEXT}, {a.per_k << 16}",
        f"iadd32 r{A_AT}, r{LENGTH}, r{NEXT}",
        f"ldds {a.into}, r{A}",
        *_transfer(a, t),
        f"imul32 r{LENGTH}, r{K_NEXT}, {b.per_k << 16}",
        f"iadd32 r{B_AT}, r{LENGTH}, r{NEXT}",
        f"iadd32 r{B_AT}, r{B_AT}, panel_b0 - panel_a0",
        f"ldds {b.into}, r{B}",
        *_transfer(b, t),
    ]
    return _text(lines)


def _change(side: Side) -> list[str]:
    """When the root has sent its whole tile, sends the control wavelet that makes the next PE the root."""
    if side.count == 1:
        return []
    return [
        f"bnz r{side.left}, .same_{side.name}",
        f"mov r{side.left}, {side.part}",
        f"bnz r{side.to}, .not_{side.name}",
        f"mov r{T}, {CHANGE}",
        f"mov32 {side.change}, r{T} {{async, ut={side.queue + 2}}}",
        f".not_{side.name}:",
        f"isub32 r{side.to}, r{side.to}, 1",
        f".same_{side.name}:",
    ]


def _transfer(side: Side, t: Tiling) -> list[str]:
    """Receives a panel; at the root, sends it and copies it to the panel buffer.  Register LENGTH holds its length."""
    of = t.arithmetic
    # Tiles are read with unit stride, like panels of B.
    load = [f"iadd32 r{B_AT}, r{LENGTH}, r{side.own}", f"ldds {side.tile}, r{B}", f"ldds {side.copy}, r{B}"]
    keep = [
        f"{of.move} {side.into}, {side.copy}",
        f"imul32 r{T}, r{K_NEXT}, {side.per_k * of.size}",
        f"iadd32 r{side.own}, r{side.own}, r{T}",
    ]
    if side.count == 1:
        return [*load, *keep, f"{side.then} step"]
    return [
        f"bz r{side.to}, .send_{side.name}",
        f"{of.move} {side.into}, {side.source} {{async, ut={side.queue}, {side.then}=step}}",
        f"jmp .sent_{side.name}",
        f".send_{side.name}:",
        *load,
        f"{of.move} {side.out}, {side.tile} {{async, ut={side.queue + 2}, {side.then}=step}}",
        *keep,
        f".sent_{side.name}:",
    ]


def _compute(t: Tiling) -> str:
    """The second half of task `step`: C += panel of A times panel of B.

    The loop over k is unrolled UNROLL times; a computed jump into its body handles the remainder first.
    """
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
