"""The program of kernel sgd: routes, and the code of hidden and output PEs.

kernel.py describes the phases of a step and the data layout; net.py packs the data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...machine.parameters import Machine
from ...program import dsd, fragments
from ...program.fragments import repeat
from ...program.pe_class import PEClass
from ...program.program import Program
from ..collectives import F32, Element, Plan, Reduce, Role, element, plan
from ..data import Arithmetic
from .net import Net

TRAIN, TEST, STEP = 9, 10, 11  # tasks


def build(net: Net, machine: Machine) -> Program:
    """Builds the program.  Its tasks `train` and `test` process the number of batches that array `batches` holds."""
    program = Program(net.width, net.height, machine, fp16=net.arithmetic.fp16)
    size = max(net.share, net.classes)
    program.shared_array("weights", size, net.arithmetic.element)
    program.shared_array("velocity", size, net.arithmetic.element)
    program.shared_array("report", 2, "f32")  # of PE (0, 0), after a pass: sum of losses, correct samples
    program.shared_array("batches", 1, "u16")
    ways = Ways(program, net)
    for row_role, ys in plan("chain", net.height).roles():
        for column_role, xs in ways.row.roles():
            kind, write = ("hidden", _hidden) if column_role.sends else ("output", _output)
            pe = program.pe_class(f"{kind}{len(program.classes)}")
            x, y = np.meshgrid(xs, ys)
            program.place(pe, x=x, y=y)
            pe.local_task("train", TRAIN)
            pe.local_task("test", TEST)
            pe.code(BEGIN)
            write(pe, net, ways, column_role, row_role)
    return program


# --- routes -----------------------------------------------------------------------------------------------------------


class ColumnReduce(Reduce):
    """A reduce of each column of `xs` into its first PE."""

    def __init__(self, program: Program, plan: Plan, xs: slice, name: str, vector: str, of: Element, queue: int):
        self.xs = xs
        super().__init__(program, plan, "y", name, vector, of, queue)

    def at(self, positions: np.ndarray) -> dict[str, Any]:
        """The PEs at these positions, as arguments of Program.place and route."""
        return {"x": self.xs, "y": positions}


class Ways:
    """Colors and routes.  row: the plan of the chain along a row.  columns: None if there is one row only."""

    # Queue indices by contents: input queues of the receivers and output queues of the senders.
    FEATURES = LABELS = 0
    LOGITS, DELTA = 1, 2

    def __init__(self, program: Program, net: Net):
        self.row = plan("chain", net.width)
        self.features, self.labels, self.delta = (program.color(name) for name in ("features", "labels", "delta"))
        program.route(self.labels, "W", "R", x=0)
        program.route(self.features, "W", "E", x=0)
        program.route(self.delta, "R", "E", x=0)
        for color in (self.features, self.delta):
            program.route(color, "W", "RE", x=slice(1, net.width - 1))
            program.route(color, "W", "R", x=net.width - 1)
        sums = element(net.arithmetic.sum)
        self.logits = Reduce(program, self.row, "x", "logits", "logits_all", sums, self.LOGITS)
        self.columns = Columns(program, net) if net.height > 1 else None


class Columns:
    """Reduces up the columns and the multicast of the sums back down.

    gradient: reduce of the hidden PEs' gradients.  biases, report: reduces of the output PEs.
    """

    GRADIENT, SUMS, REPORT = 3, 4, 5

    def __init__(self, program: Program, net: Net):
        chain, sums = plan("chain", net.height), element(net.arithmetic.sum)
        output, hidden = slice(0, 1), slice(1, net.width)
        self.gradient = ColumnReduce(program, chain, hidden, "gradient", "gradient_all", sums, self.GRADIENT)
        self.biases = ColumnReduce(program, chain, output, "biases", "gradient_all", F32, self.GRADIENT)
        self.report = ColumnReduce(program, chain, output, "reports", "report_all", F32, self.REPORT)
        self.sums = program.color("sums")
        program.route(self.sums, "R", "S", y=0)
        program.route(self.sums, "N", "RS", y=slice(1, net.height - 1))
        program.route(self.sums, "N", "R", y=net.height - 1)

    def sum_up(self, pe: PEClass, chain: ColumnReduce, role: Role) -> None:
        """Adds to a class the code that replaces its gradient by the sum over its column."""
        chain.add(pe, role)
        if role.sends:
            pe.queue_in(self.SUMS, self.sums)
            pe.dsd("sums_in", dsd.fabin(self.SUMS, color=self.sums, simd=chain.of.simd))
            pe.code(_move("gradient_all", "sums_in", chain.of.move))
        else:
            pe.queue_out(self.SUMS, self.sums)
            pe.dsd("sums_out", dsd.fabout(self.SUMS, self.sums, simd=chain.of.simd))
            pe.code(_move("sums_out", "gradient_all", chain.of.move))


# --- code -------------------------------------------------------------------------------------------------------------

# Registers that are live across the whole program.  Fragments use r1 to r4 and r8 to r22, collectives r2.
ZERO, LOSS, CORRECT, TRAINS, BATCHES = 0, 5, 6, 24, 25

BEGIN = f"""
train:
    mov r{TRAINS}, 1
    jmp begin
test:
    mov r{TRAINS}, 0
begin:
    mov r{ZERO}, 0
    ld16 r{BATCHES}, [batches]
"""


def _array(pe: PEClass, name: str, shape: tuple[int, ...], dtype: str, **more: Any) -> None:
    """Declares an array and a descriptor `name_all` of all its elements.

    A two-dimensional array also gets `name_row`, its first row, and `name_rows`, which advances by one row per
    operation.
    """
    array = pe.array(name, shape, dtype, **more)
    pe.dsd(f"{name}_all", dsd.mem1d(array))
    if len(shape) > 1:
        pe.dsd(f"{name}_row", dsd.mem1d(array, length=shape[1]))
        pe.dsd(f"{name}_rows", dsd.mem1d(array, length=shape[1], save_address=True))


def _move(to: str, source: str, move: str) -> str:
    return f"    dsr d0, {to}\n    dsr a0, {source}\n    {move} d0, a0\n"


def _clear(name: str, of: Arithmetic) -> str:
    return f"    dsr d0, {name}\n    {of.sum_move} d0, r{ZERO}\n"


def _product(net: Net, c: str, a: str, b: str, rows: int, columns: int, step_a: int) -> str:
    """C += A B.  c, a, b: descriptors of the first rows.  step_a: elements from one row of A to the next."""
    of = net.arithmetic
    return fragments.call_product(c, a, b, rows, columns * of.sum_size, step_a * of.size)


def _update(net: Net, gradients: str) -> str:
    """v = momentum v + g, w = w - rate v.  For 16-bit elements, v is stored rounded, but w is computed from the f32 v.

    gradients: dtype of the gradients.
    """
    momentum, rate = fragments.f32(net.momentum), fragments.f32(-net.rate)
    if net.arithmetic.element == "f32":
        return f"""
    dsr a0, gradient_all
    dsr d1, velocity_all
    dsr b1, velocity_all
    dsr d2, weights_all
    dsr a2, weights_all
    mov r1, {momentum}
    fmacs d1, a0, b1, r1
    mov r1, {rate}
    fmacs d2, a2, b1, r1
"""
    g, widened = "gradient_all", ""
    if gradients == "f16":
        g, widened = "wide_all", _move("wide_all", "gradient_all", "fh2s")
    return f"""{widened}
    dsr d0, {g}
    dsr a0, {g}
    dsr d1, velocity_all
    dsr b1, velocity_all
    dsr d2, weights_all
    dsr b2, weights_all
    mov r1, {fragments.f16(net.momentum, net.arithmetic.fp16)}
    fmachs d0, a0, b1, r1
    fs2h d1, a0
    mov r1, {rate}
    fmuls d0, a0, r1
    faddhs d0, a0, b2
    fs2h d2, a0
"""


# --- hidden PEs -------------------------------------------------------------------------------------------------------


def _hidden(pe: PEClass, net: Net, ways: Ways, column_role: Role, row_role: Role) -> None:
    """A PE that owns hidden units."""
    _declare_hidden(pe, net, ways)
    pe.local_task("step", STEP)
    pe.code(_receive(net.arithmetic) + _forward(net))
    ways.logits.add(pe, column_role)
    pe.code(f"    bz r{TRAINS}, end\n" + _backward(net))
    if ways.columns:
        ways.columns.sum_up(pe, ways.columns.gradient, row_role)
    pe.code(_update(net, net.arithmetic.sum))
    pe.code("end:\n    done\n" + fragments.product(net.arithmetic.multiply_add))


def _declare_hidden(pe: PEClass, net: Net, ways: Ways) -> None:
    of, m, b, inputs, classes = net.arithmetic, net.units, net.samples, net.inputs, net.classes
    narrow, split = of.size == 2, m * inputs
    for name, queue, color in (("features", ways.FEATURES, ways.features), ("delta", ways.DELTA, ways.delta)):
        pe.queue_in(queue, color)
        pe.dsd(f"{name}_in", dsd.fabin(queue, color=color, simd=narrow))
    weights, velocity = (pe.program.shared[name] for name in ("weights", "velocity"))
    pe.dsd("weights_all", dsd.mem1d(weights, length=net.share))
    pe.dsd("velocity_all", dsd.mem1d(velocity, length=net.share))
    pe.dsd("w1_row", dsd.mem1d(weights, length=inputs))
    pe.dsd("w2_row", dsd.mem1d(weights, length=classes, offset=split))
    pe.dsd("w2_column", dsd.mem1d(weights, length=m, offset=split, stride=classes))
    _array(pe, "gradient", (net.share,), of.sum)
    pe.dsd("g1_row", dsd.mem1d(pe.symbols["gradient"], length=inputs))
    pe.dsd("g2_row", dsd.mem1d(pe.symbols["gradient"], length=classes, offset=split))
    if narrow and of.sum == "f16":
        _array(pe, "wide", (net.share,), "f32")
    # Samples as received; then by sample and by feature, with the constant input 1 in place.
    ones = np.zeros((b, inputs), np.float32)
    ones[:, -1] = 1
    _array(pe, "inbox", (b, net.features), of.element)
    _array(pe, "x", (b, inputs), of.element, init=ones)
    _array(pe, "xt", (inputs, b), of.element, init=ones.T)
    inbox, x, xt = (pe.symbols[name] for name in ("inbox", "x", "xt"))
    pe.dsd("inbox_by_feature", dsd.mem4d(inbox, (net.features, b), (1, net.features), xdsr=0))
    pe.dsd("x_features", dsd.mem4d(x, (b, net.features), (inputs, 1), xdsr=1))
    pe.dsd("xt_features", dsd.mem1d(xt, length=net.features * b))
    _array(pe, "z", (m, b), of.sum)
    _array(pe, "a", (m, b), of.element)
    _array(pe, "logits", (classes, b), of.sum)
    _array(pe, "delta", (classes, b), of.element)
    _array(pe, "delta_t", (b, classes), of.element)
    pe.dsd("delta_by_sample", dsd.mem4d(pe.symbols["delta"], (b, classes), (1, b), xdsr=2))
    _array(pe, "mask", (m, b), "u16")
    if of.sum != of.element:
        _array(pe, "dz", (m, b), of.element)
    if not narrow:  # the upper 16 bits of each f32
        pe.dsd("a_high", replace(dsd.mem1d(pe.symbols["a"]), offset=2))
        pe.dsd("z_high", replace(dsd.mem1d(pe.symbols["z"]), offset=2))


def _receive(of: Arithmetic) -> str:
    """Unpacks a batch from the inbox; a microthread then receives the next batch during the computation."""
    fetch = f"    {of.move} d15, a15 {{async, activate=step}}"
    return f"""
    xdsr x0, inbox_by_feature.x
    xdsr x1, x_features.x
    xdsr x2, delta_by_sample.x
    dsr d15, inbox_all
    dsr a15, features_in
{fetch}
    done
step:
{_move("x_features", "inbox_all", of.move)}{_move("xt_features", "inbox_by_feature", of.move)}
    isub16 r{BATCHES}, r{BATCHES}, 1
    bz r{BATCHES}, forward
{fetch}
"""


def _forward(net: Net) -> str:
    """a = max(W1 x, 0), and the contribution of the PE's units to the logits."""
    of, m, b = net.arithmetic, net.units, net.samples
    return f"""
forward:
{_clear("z_all", of)}{_product(net, "z_row", "w1_row", "xt_rows", m, b, net.inputs)}
    dsr d0, z_all
    dsr a0, z_all
    {"fmaxs" if of.sum == "f32" else "fmaxh"} d0, a0, r{ZERO}
{_move("a_all", "z_all", _rounding(of))}
{_clear("logits_all", of)}{_product(net, "logits_row", "w2_column", "a_rows", net.classes, b, 1)}
"""


def _backward(net: Net) -> str:
    """The gradient of the weights of the PE's units."""
    of, m, b, inputs, classes = net.arithmetic, net.units, net.samples, net.inputs, net.classes
    dz = "dz_row" if of.sum != of.element else "z_row"
    return f"""
{_move("delta_all", "delta_in", of.move)}{_move("delta_t_all", "delta_by_sample", of.move)}
{_clear("z_all", of)}{_product(net, "z_row", "w2_row", "delta_rows", m, b, classes)}
{_mask(of)}
{_clear("gradient_all", of)}{_product(net, "g1_row", dz, "x_rows", m, inputs, b)}
{_product(net, "g2_row", "a_row", "delta_t_rows", m, classes, b)}
"""


def _rounding(of: Arithmetic) -> str:
    """The mnemonic that converts a sum to an element."""
    return of.move if of.sum == of.element else "fs2h"


def _mask(of: Arithmetic) -> str:
    """dz = z where a > 0, else 0.  a is never negative, so the sign bit of 0 - a is set unless a is 0."""
    rounded = of.sum != of.element
    words = ("dz_all",) if rounded else ("z_all",) if of.size == 2 else ("z_all", "z_high")
    applied = "".join(f"    dsr d0, {name}\n    dsr a0, {name}\n    and16 d0, a0, b0\n" for name in words)
    return f"""
    dsr b0, {"a_all" if of.size == 2 else "a_high"}
    dsr d0, mask_all
    dsr a0, mask_all
    sub16 d0, r{ZERO}, b0
    mov r1, 15
    sar16 d0, a0, r1
{_move("dz_all", "z_all", "fs2h") if rounded else ""}
    dsr b0, mask_all
{applied}"""


# --- output PEs -------------------------------------------------------------------------------------------------------


def _output(pe: PEClass, net: Net, ways: Ways, column_role: Role, row_role: Role) -> None:
    """A PE that owns the outputs for the samples of its row."""
    _declare_output(pe, net, ways)
    z = "logits" if net.arithmetic.sum == "f32" else "z"
    pe.code(_biases(net))
    ways.logits.add(pe, column_role)
    pe.code(_softmax(net, z) + _losses(net, z) + _delta(net))
    if ways.columns:
        ways.columns.sum_up(pe, ways.columns.biases, row_role)
    pe.code(
        f"""{_update(net, "f32")}
next:
    isub16 r{BATCHES}, r{BATCHES}, 1
    bnz r{BATCHES}, batch
    st32 r{LOSS}, [report]
    u2s r{CORRECT}, r{CORRECT}
    st32 r{CORRECT}, [report+4]
"""
    )
    if ways.columns:
        ways.columns.report.add(pe, row_role)
    pe.code(f"    done\n{_count(net, z)}{fragments.LOG}")


def _declare_output(pe: PEClass, net: Net, ways: Ways) -> None:
    of, b, classes = net.arithmetic, net.samples, net.classes
    pe.queue_in(ways.LABELS, ways.labels)
    pe.dsd("labels_in", dsd.fabin(ways.LABELS, color=ways.labels))
    pe.queue_out(ways.DELTA, ways.delta)
    pe.dsd("delta_out", dsd.fabout(ways.DELTA, ways.delta, simd=of.size == 2))
    for name in ("weights", "velocity"):
        pe.dsd(f"{name}_all", dsd.mem1d(pe.program.shared[name], length=classes))
    pe.dsd("report_all", dsd.mem1d(pe.program.shared["report"]))
    _array(pe, "gradient", (classes,), "f32")
    _array(pe, "labels", (b,), "u16")
    _array(pe, "logits", (classes, b), of.sum)
    if of.sum == "f16":
        _array(pe, "z", (classes, b), "f32")
    _array(pe, "most", (b,), "f32")
    # 8 bytes on: the two sources of an operation begin in different banks.
    _array(pe, "e", (classes, b), "f32")
    _array(pe, "rest", (classes, b), "f32", offset=8)
    _array(pe, "exponent", (classes, b), "u16")
    _array(pe, "sum", (b,), "f32", offset=8)


def _biases(net: Net) -> str:
    """Receives the labels; the logits of each sample begin as the biases."""
    of = net.arithmetic
    return f"""
    mov r{LOSS}, 0
    mov r{CORRECT}, 0
batch:
{_move("labels_all", "labels_in", "mov16")}
    dsr b1, weights_all
    dsr d0, logits_rows
.bias:
    mapstep r1, b1, .biased
    {of.move if of.sum == of.element else "fh2s"} d0, r1
    maploop .bias
.biased:
"""


def _softmax(net: Net, z: str) -> str:
    """z = logits - maximum over the classes, e = exp(z), sum = sum of e over the classes, for each sample."""
    return f"""
{_move("z_all", "logits_all", "fh2s") if z == "z" else ""}
    dsr b0, {z}_rows
    dsr d0, most_all
    dsr a0, most_all
    mov r1, -infs
    fmovs d0, r1
{repeat(net.classes, "fmaxs d0, a0, b0")}
    dsr d0, {z}_rows
    dsr a0, {z}_rows
    dsr b0, most_all
{repeat(net.classes, "fsubs d0, a0, b0")}
    bz r{TRAINS}, count
{fragments.exp(f"{z}_all", "e_all", "exponent_all", "rest_all")}
    dsr b0, e_rows
    dsr d0, sum_all
    dsr a0, sum_all
    fmovs d0, r{ZERO}
{repeat(net.classes, "fadds d0, a0, b0")}
"""


def _losses(net: Net, z: str) -> str:
    """For each sample with sum s: replaces s by 1 / s, subtracts s from e of its label, and adds log s - z of its label
    to the loss."""
    row = 4 * net.samples
    return f"""
    mov r8, sum
    mov r9, labels
    mov r10, 0
    mov r11, 1.0s
.sample:
    ld32 r12, [r8]
    sdiv r1, r11, r12
    st32 r1, [r8]
    ld16 r13, [r9]
    imul32 r13, r13, {row}
    iadd32 r13, r13, r10
    ld32 r1, [r13+e]
    ssub r1, r1, r12
    st32 r1, [r13+e]
    mov r1, r12
    call log
    ld32 r2, [r13+{z}]
    ssub r1, r1, r2
    sadd r{LOSS}, r{LOSS}, r1
    iadd32 r8, r8, 4
    iadd32 r9, r9, 2
    iadd32 r10, r10, 4
    ine32 r1, r10, {row}
    bnz r1, .sample
"""


def _delta(net: Net) -> str:
    """delta = e / sum.  It is sent to the row and summed over the samples to give the gradient of the biases."""
    of = net.arithmetic
    return f"""
    dsr d0, e_rows
    dsr a0, e_rows
    dsr b0, sum_all
{repeat(net.classes, "fmuls d0, a0, b0")}
{_move("delta_out", "e_all", "fs2h" if of.size == 2 else of.move)}
    dsr b0, e_rows
    dsr d0, gradient_all
    mov r2, {net.classes}
.output:
    mov r1, 0
    fadds r1, r1, b0
    mapput d0, r1
    isub32 r2, r2, 1
    bnz r2, .output
"""


def _count(net: Net, z: str) -> str:
    """Counts the samples whose first largest output (where z is 0) is that of their label."""
    return f"""
count:
    mov r8, {z}
    mov r9, labels
    mov r10, {net.samples}
.sample:
    mov r11, r8
    mov r12, 0
.class:
    ld32 r1, [r11]
    bz r1, .found
    iadd32 r11, r11, {4 * net.samples}
    iadd32 r12, r12, 1
    ine32 r1, r12, {net.classes}
    bnz r1, .class
.found:
    ld16 r1, [r9]
    ieq32 r1, r1, r12
    iadd32 r{CORRECT}, r{CORRECT}, r1
    iadd32 r8, r8, 4
    iadd32 r9, r9, 2
    isub32 r10, r10, 1
    bnz r10, .sample
    jmp next
"""
