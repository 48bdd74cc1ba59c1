"""Matrix times vector: y = A x.  x is broadcast down the columns of PEs; partial sums are reduced along the rows.

Data layout.  On a grid of w x h PEs, PE (x, y) holds one tile of A.  The PEs of the first row hold x; the PEs of the
first column receive the result.  Elements have type dtype; y has the accumulator type:

    A [k][m]  column-major   rows y r .. y r + r - 1 of A, columns x k .. x k + k - 1   r = ceil(M / h), k = ceil(K / w)
    x [k]     PE (x, 0)      elements x k .. x k + k - 1 of x
    y [m]     PE (0, y)      elements y r .. y r + r - 1 of y (on other PEs: the partial sums of these elements)

Elements beyond M and K are zero.  Columns are padded with zeros from r to m elements, a multiple of 16 bytes of y's
type, so that columns of A and sums begin in different memory banks.

Program.  The PEs of the first row send x down their columns, one element per wavelet.  A PE receives one element at a
time and adds one column, y += A[:, k] x[k], in one vector operation.  The partial sums then move west: the last PE of a
row sends its sums; every other PE adds its own sums to the incoming ones and forwards the result, one element at a
time.  16-bit sums travel two per wavelet.

Performance.  A column of m elements takes m / rate + 1 slots.  The rate is 4 elements per cycle for 16-bit floats, 1
for f32, and 1.33 for 16-bit elements with f32 sums.  Because every column reads y again, a column also takes at least
the latency from writing an element to reading it (write_to_read_cycles).  The reduction then takes m cycles (m / 2 for
16-bit sums) plus the latency of the path along the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..program import dsd
from ..program.program import Color, PEClass, Program
from . import Input, Parameter, Result, RunOptions, by_name, data

PARAMETERS = by_name(
    Parameter("M", int, 1024, "Rows of A, elements of y.", flag="-M"),
    Parameter("K", int, 1024, "Columns of A, elements of x.", flag="-K"),
    data.DTYPE,
    data.ACCUMULATE,
)
INPUTS = by_name(Input("A", ("M", "K"), "The matrix."), Input("x", ("K",), "The vector."))
OUTPUTS = {"y": "[M] A x, the columns of a PE first, then the PEs of a row from the last to the first"}
GRID = (16, 16)
RESERVED = 512  # bytes for code, descriptors and alignment


def run(config: dict[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    program = build(config, options.grid or GRID, options.machine)
    M, K = config["M"], config["K"]
    w, h, of = program.width, program.height, data.arithmetic(config["dtype"], config["accumulate"])
    rng = np.random.default_rng(options.seed)
    a, x = data.given(options, "A", rng, (M, K), of), data.given(options, "x", rng, (K, 1), of)
    k, m = program.shared["A"].shape
    fabric = options.fabric(program)
    rows = -(-M // h)
    own = np.zeros((h, w, k, m), np.float32)
    own[..., :rows] = data.tiles(a, rows, k, h, w).swapaxes(2, 3)
    fabric.write("A", own)
    fabric.write("x", data.tiles(x.T, 1, k, 1, w)[:, :, 0])
    run = options.run(fabric)
    data.record(run, "gemv", config)
    result = Result("gemv", dict(config), run, verified=False, extra={"seed": options.seed})
    if run.ended == "done":
        got, expected = fabric.read("y", w=1)[..., :rows].reshape(-1)[:M], reference(a, x, k, of)
        result.outputs["y"] = got
        result.verified, result.max_error = data.same_bits(got, expected), data.error(got, expected)
        with np.errstate(all="ignore"):  # infinities
            exact = data.error(got, (a.astype(np.float64) @ x.astype(np.float64)).reshape(-1))
        result.extra["max_error_float64"] = exact
        result.text.append(f"max error    {exact:.3g} against the product in float64")
    return result


def reference(a: np.ndarray, x: np.ndarray, k: int, of: data.Arithmetic) -> np.ndarray:
    """The reference model: a x with the rounding and the order of additions of the program.

    a: float32 [M, K].  x: float32 [K, 1].  k: columns of A per PE.  Returns float32 [M].  The partial sums are added
    from the last PE of a row to its first.
    """
    parts = [of.matmul(a[:, at : at + k], x[at : at + k]) for at in range(0, a.shape[1], k)]
    total = parts.pop()
    while parts:
        total = of.total(parts.pop(), total)
    return total.reshape(-1)


def build(config: dict[str, Any], grid: tuple[int, int], machine: Machine) -> Program:
    """Builds the program, with one PE class for each kind of column in the first row and one in the other rows.

    config: a value for every entry of PARAMETERS.  grid: width and height in PEs.  Raises ConfigError if a value is
    invalid or the tiles exceed the memory of a PE.
    """
    data.check("gemv", PARAMETERS, config)
    data.check_positive("gemv", config, "M", "K")
    (width, height), of = grid, data.arithmetic(config["dtype"], config["accumulate"])
    m, k = of.padded(-(-config["M"] // height)), -(-config["K"] // width)
    need = k * m * of.size + m * of.sum_size + k * of.size + RESERVED
    if need > machine.sram_bytes:
        raise ConfigError(
            f"gemv of {config['M']} x {config['K']} ({of.dtype}) on {width} x {height} PEs needs {need} bytes per PE "
            f"for tiles of {m} x {k}, vectors and code; a PE has {machine.sram_bytes}: use a smaller matrix or a "
            "larger grid"
        )
    program = Program(width, height, machine, fp16=of.fp16)
    program.shared_array("y", m, of.sum)
    program.shared_array("A", (k, m), of.element, offset=8)
    program.shared_array("x", k, of.element, align=4)
    down = _down(program) if height > 1 else None
    west = _west(program) if width > 1 else []
    for column, xs in _columns(width):
        for row, ys in (("first", 0), ("other", slice(1, height))):
            if row == "first" or height > 1:
                program.place(_class(program, of, column, row, down, west), xs, ys)
    return program


def _columns(width: int) -> Iterator[tuple[str, Any]]:
    """Yields each kind of column and its x positions.

    The last column sends, the first receives, and the columns between receive on one color and send on the other.
    """
    if width == 1:
        yield "only", 0
        return
    yield "first", 0
    yield "last", width - 1
    for kind, start in (("odd", 1), ("even", 2)):
        if start < width - 1:
            yield kind, slice(start, width - 1, 2)


def _down(program: Program) -> Color:
    color = program.color("x")
    program.route(color, "N", "SR")
    program.route(color, "R", "S", y=0)
    program.route(color, "N", "R", y=program.height - 1)
    return color


def _west(program: Program) -> list[Color]:
    """The colors on which even and odd columns send their sums."""
    colors = [program.color("even"), program.color("odd")]
    for parity, color in enumerate(colors):
        senders = np.arange(2 - parity, program.width, 2)
        if senders.size:
            program.route(color, "R", "W", x=senders)
            program.route(color, "E", "R", x=senders - 1)
    return colors


def _class(
    program: Program, of: data.Arithmetic, column: str, row: str, down: Color | None, west: list[Color]
) -> PEClass:
    pe = program.pe_class(f"{column}_{row}")
    shared = program.shared
    k, m = shared["A"].shape
    pe.dsd("column", dsd.mem1d(shared["A"], length=m, save_address=True))
    pe.dsd("sums", dsd.mem1d(shared["y"]))
    start = ["dsr d0, sums", "dsr a0, sums", "dsr b0, column"]
    if row == "first":
        pe.dsd("elements", dsd.mem1d(shared["x"]))
        if down is not None:
            pe.queue_out(2, down)
            pe.dsd("down", dsd.fabout(2, down, length=k))
            start += ["dsr d1, down", "dsr a1, elements", f"{of.move} d1, a1 {{async, ut=2}}"]
    else:
        pe.queue_in(0, down)
        pe.dsd("elements", dsd.fabin(0, length=k, color=down, wide=of.size == 4))
    pe.local_task("main", 9, active=True)
    loop = ["dsr b1, elements", ".column:", "mapstep r1, b1, .end", f"{of.multiply_add} d0, a0, b0, r1"]
    add = _add(pe, of, program.width, column, west)
    pe.code("\n".join(["main:", *start, *loop, "maploop .column", ".end:", *add, "done\n"]))
    return pe


def _add(pe: PEClass, of: data.Arithmetic, width: int, column: str, west: list[Color]) -> list[str]:
    """The code of a PE's part in the reduction of a row.  DSRs a0 and d0 already describe y."""
    narrow, lines = of.sum_size == 2, []
    parity = {"first": 0, "odd": 1, "even": 0, "last": (width - 1) % 2}.get(column, 0)
    if column in ("odd", "even", "last"):
        pe.queue_out(3, west[parity])
        pe.dsd("sums_out", dsd.fabout(3, west[parity], simd=narrow))
        lines.append("dsr d0, sums_out")
    if column in ("first", "odd", "even"):
        pe.queue_in(1, west[1 - parity])
        pe.dsd("sums_in", dsd.fabin(1, color=west[1 - parity], simd=narrow))
        return [*lines, "dsr b2, sums_in", f"{of.add} d0, a0, b2"]
    return [*lines, f"{of.sum_move} d0, a0"] if column == "last" else []
