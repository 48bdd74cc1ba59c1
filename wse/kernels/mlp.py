"""The program of kernel sgd: a perceptron of one hidden layer, trained by minibatch gradient descent with momentum.

Layout.  On a grid of w x h PEs, column 0 owns the output layer's sums and the loss, columns 1 .. w - 1 own the hidden units,
m = ceil(hidden / (w - 1)) each, units without use being 0; rows divide the batch, b = batch / h samples each, and hold the
same weights.  A hidden PE keeps the weights of its units into and out of them, an output PE the outputs' biases; `weights`,
`velocity` and `gradient` are arrays of the same layout:

    hidden      [m][features + 1], the last one the bias, then [m][classes]
    output      [classes]

One step, as it passes over the fabric:

    1  Samples come in at the west edge, row by row, over the output column and along the row; every hidden PE receives all
       of its row's, while it still computes with the batch before.  The output PE receives the labels.
    2  z = W1 x, a = max(z, 0), and W2 a of the own units: vectors over the samples.
    3  A chain of additions along the row brings the sum of W2 a to the output PE, which began with the biases.
    4  The output PE computes softmax, loss and delta = softmax - onehot(label), and multicasts delta to the row.
    5  W2^T delta where a > 0 is the gradient of z; times x, and delta times a, it is that of the weights: vectors over
       features and classes.
    6  Chains of additions up the columns sum up the gradients, a multicast brings the sums back down.
    7  Every PE updates its share: v = momentum v + g, w = w - rate / batch v, g the sum over the batch.

What is kept is of the element type: samples, weights, velocity, activations, delta.  Sums of products and of gradients are of
the sums' type, softmax, loss and each update are f32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .. import dsd
from ..collectives import F32, Element, Plan, Reduce, element, plan
from ..machine import Machine
from ..pe import PEClass
from ..program import Program
from . import fragments
from .data import Arithmetic
from .fragments import repeat

NO_LABEL = 0xFFFF  # of a sample that only fills up a batch
TRAIN, TEST, STEP = 9, 10, 11  # tasks

# Registers that live longer than a few instructions; fragments use r1 to r4 and r8 to r22.
ZERO, LOSS, CORRECT, TRAINS, BATCHES = 0, 5, 6, 24, 25


@dataclass(frozen=True)
class Net:
    """A network on a grid.  features, hidden, classes: its layers; batch: samples of a step."""

    features: int
    hidden: int
    classes: int
    batch: int
    width: int
    height: int
    learning_rate: float
    momentum: float
    arithmetic: Arithmetic

    @property
    def units(self) -> int:
        """Of a hidden PE."""
        return -(-self.hidden // (self.width - 1))

    @property
    def samples(self) -> int:
        """Of a batch in a row."""
        return self.batch // self.height

    @property
    def inputs(self) -> int:
        """Of a hidden unit: the features and a constant 1, for the bias."""
        return self.features + 1

    @property
    def share(self) -> int:
        """Parameters of a hidden PE."""
        return self.units * (self.inputs + self.classes)

    @property
    def rate(self) -> np.float32:
        """What a velocity is multiplied by: gradients are sums over the batch."""
        return np.float32(self.learning_rate / self.batch)


def build(net: Net, machine: Machine) -> Program:
    """The program.  Its tasks `train` and `test` run over as many batches as `batches` says."""
    program = Program(net.width, net.height, machine, fp16=net.arithmetic.fp16)
    size = max(net.share, net.classes)
    program.shared_array("weights", size, net.arithmetic.element)
    program.shared_array("velocity", size, net.arithmetic.element)
    program.shared_array("report", 2, "f32")  # of an output PE in row 0, after a pass: loss, correct ones
    program.shared_array("batches", 1, "u16")
    ways = Ways(program, net)
    for row_role, ys in ways.rows.roles():
        for column_role, xs in ways.columns.roles():
            hidden = column_role.sends
            pe = program.pe_class(f"{'hidden' if hidden else 'output'}{len(program.classes)}")
            program.place(pe, x=xs, y=ys[:, None] if len(xs) == 1 else ys)
            (_Hidden if hidden else _Output)(pe, net, ways, column_role, row_role).write()
    return program


class ColumnReduce(Reduce):
    """A reduce of the columns xs, each into its first PE."""

    def __init__(self, program: Program, plan: Plan, xs: slice, name: str, vector: str, of: Element, queue: int):
        self.xs = xs
        super().__init__(program, plan, "y", name, vector, of, queue)

    def at(self, positions: np.ndarray) -> dict:
        return {"x": self.xs, "y": positions}
