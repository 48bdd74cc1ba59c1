"""Trains a multilayer perceptron entirely on the fabric: minibatch SGD with momentum on handwritten digits.

The PEs execute the whole training: forward pass, softmax and cross-entropy, backward pass, update, and the count of
correct samples.  The host draws the initial weights and the order of the samples, streams samples and labels in, and
reads loss, accuracy and, at the end, the weights.  A fifth of the samples is held out; the network is tested with it
after each epoch.

Data layout.  On a grid of w x h PEs, column 0 owns the outputs; columns 1 .. w - 1 own m = ceil(hidden / (w - 1))
hidden units each.  The weights of units beyond `hidden` are zero and stay zero.  The rows divide the batch into
b = batch / h samples each and hold copies of the same parameters.  The arrays `weights`, `velocity` and `gradient`
share one layout:

    hidden PE   [m][features + 1], the input weights of its units with the bias last, then [m][classes], output weights
    output PE   [classes], the biases of the outputs

Each row receives two streams at its western edge: samples [b][features], two 16-bit elements per wavelet, and labels.

Program.  The phases of one step:

    1  Samples pass through the routers of the output column and are multicast along the row.  Every hidden PE receives
       all samples of its row while it still computes with the previous batch.  The output PE receives the labels.
    2  Hidden PEs compute z = W1 x, a = max(z, 0) and their part of W2 a by vector operations over the samples.
    3  A chain reduce along the row adds these parts to the output PE's sums, which start with the biases.
    4  The output PE computes softmax, loss and delta = softmax - onehot(label), and multicasts delta to its row.
    5  Hidden PEs compute dz = W2^T delta where a > 0 (elsewhere 0) and the weight gradients dz x and a delta, by vector
       operations over features and over classes.
    6  Chain reduces up the columns sum the gradients; multicasts send the sums back down.
    7  Every PE updates its parameters: v = momentum v + g, w = w - learning_rate / batch v, g a sum over the batch.

Precision.  Samples, weights, velocity, activations, delta and momentum have type dtype.  Sums of products and of
gradients have type accumulate.  Softmax, loss and the arithmetic of the update are f32.  There is no f32 master copy of
the weights.

Performance.  A step with the default options takes 29,600 cycles: 10,000 for the products of the backward pass, 8,200
for those of the forward pass, 5,700 in which the hidden PEs wait for softmax and delta, 1,700 for unpacking samples,
1,700 for the update, and 1,300 for the reduces over the columns.  An operation of the forward pass takes 13 cycles for
16 samples.  With fewer samples it would still take 11, because it reads the results of the previous operation.  In the
backward pass, every second group of 16-bit elements has a bank conflict with its f32 sums.

Verification.  Result.verified means that weights, losses and counts equal, bit for bit, those of a model with the same
arithmetic in the same order.  For comparison, the result also gives the accuracy of the same network in plain NumPy in
f32, trained from the same weights with the same batches.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import ConfigError, MemoryOverflow
from ...fabric.run import Run
from ...machine import isa
from ...machine.parameters import Machine
from ...program.program import Program
from ...records import dataclass
from .. import Input, Parameter, Result, RunOptions, by_name, data
from .net import Batches, Net, Weights, pack, unpack, wavelets
from .program import build as build_program
from .reference import Model, Plain

DATA = ("digits", "synthetic")
GRID = (9, 4)
PARAMETERS = by_name(
    Parameter("data", str, "digits", "Samples: scikit-learn's digits, or random ones.", choices=DATA),
    Parameter("epochs", int, 15, "Passes over the training samples."),
    Parameter("batch", int, 64, "Samples per step, a multiple of the grid's height."),
    Parameter("hidden", int, 64, "Hidden units, divided among all columns except the first."),
    Parameter("learning_rate", float, 0.2, "Factor of the mean gradient of a batch in an update."),
    Parameter("momentum", float, 0.9, "Factor of the velocity in an update, 0 to below 1."),
    data.DTYPE,
    Parameter("accumulate", str, "f32", data.ACCUMULATE.help, choices=data.ACCUMULATE.choices),
)

INPUTS = by_name(
    Input("x", ("samples", "features"), "Samples; a fifth is held out."),
    Input("labels", ("samples",), "Their classes, from 0.", kind="int"),
)
OUTPUTS = {
    "into": "[hidden, features + 1] weights of the hidden units, biases last",
    "out": "[hidden, classes] weights of the outputs",
    "bias": "[classes] biases of the outputs",
}


def run(config: dict[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    check(config)
    rng = np.random.default_rng(options.seed)
    samples = load(config, options, rng)
    net = plan(config, options.grid or GRID, samples)
    program = build(net, options.machine)
    weights = first_weights(net, rng)
    trainer = Trainer(net, program, weights, options)
    course = Course(net, samples, config["epochs"], rng)
    epochs = trainer.follow(course)
    run = trainer.run
    data.record(run, "sgd", config)
    result = Result("sgd", dict(config), run, verified=False, extra={"seed": options.seed, "epochs": epochs})
    if run.ended == "done":
        result.outputs = dict(trainer.weights()[0]._asdict())
        compare(result, trainer, course, weights)
    return result


def check(config: dict[str, Any]) -> None:
    """Raises ConfigError for a missing, unknown or invalid parameter."""
    data.check("sgd", PARAMETERS, config)
    data.check_positive("sgd", config, "epochs", "batch", "hidden")
    rate, momentum = config["learning_rate"], config["momentum"]
    if not (rate > 0 and math.isfinite(rate)):
        raise ConfigError(f"learning_rate of sgd must be above 0 and finite, not {rate}")
    if not 0 <= momentum < 1:
        raise ConfigError(f"momentum of sgd must be at least 0 and below 1, not {momentum}")


# --- samples ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """A data set.  x: float32 [n, features].  labels: int [n], from 0 to classes - 1."""

    x: np.ndarray
    labels: np.ndarray
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, which: Any) -> Samples:
        """The samples with these indices."""
        return Samples(self.x[which], self.labels[which], self.classes)


def load(config: dict[str, Any], options: RunOptions, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """Splits the inputs, or else the data set of the configuration, at random into (training, test); the test set is
    a fifth.

    Raises ConfigError for inputs that are no samples, and if "digits" is asked for and scikit-learn is not installed.
    """
    if options.inputs:
        samples = _given(options, data.arithmetic(config["dtype"]))
    else:
        samples = _digits() if config["data"] == "digits" else _synthetic(rng)
    order = rng.permutation(len(samples))
    test = len(samples) // 5
    return samples.take(order[test:]), samples.take(order[:test])


def _given(options: RunOptions, of: data.Arithmetic) -> Samples:
    """The inputs as samples, rounded to the element type."""
    if missing := INPUTS.keys() - options.inputs.keys():
        raise ConfigError(f"sgd needs both x and labels, or neither: {missing.pop()} is missing")
    x, labels = of.round(options.inputs["x"]), options.inputs["labels"]
    if len(x) < 5:
        raise ConfigError(f"x of sgd must hold at least 5 samples, a fifth to test with, not {len(x)}")
    if labels.min() < 0 or labels.max() >= len(x):
        raise ConfigError(f"labels of sgd are classes from 0, fewer than samples, not {labels.min()} to {labels.max()}")
    return Samples(x, labels.astype(np.int64), int(labels.max()) + 1)


def _digits() -> Samples:
    """scikit-learn's 1797 digits of 8 x 8 pixels, with values that are multiples of 1/16 from 0 to 1."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ConfigError(
            "data digits of sgd needs scikit-learn, which is not installed: run pip install 'wse[digits]', "
            "or use data synthetic"
        ) from None
    digits = load_digits()
    return Samples((digits.data / 16).astype(np.float32), digits.target, 10)


def _synthetic(rng: np.random.Generator) -> Samples:
    """A synthetic data set of the same shape and value range: one random pattern per class, with Gaussian noise."""
    classes, features, n = 10, 64, 1797
    patterns = rng.uniform(0, 16, (classes, features))
    labels = rng.integers(0, classes, n)
    x = np.clip(np.rint(patterns[labels] + rng.normal(0, 6, (n, features))), 0, 16)
    return Samples((x / 16).astype(np.float32), labels, classes)


# --- training ---------------------------------------------------------------------------------------------------------


def plan(config: dict[str, Any], grid: tuple[int, int], samples: tuple[Samples, Samples]) -> Net:
    """The network for a configuration on a grid (width, height).

    Raises ConfigError if the grid is narrower than 2 PEs or the batch does not fit the grid or the samples.
    """
    (train, _), (width, height) = samples, grid
    if width < 2:
        raise ConfigError(
            f"sgd needs a grid at least 2 PEs wide, a column for the outputs and others for the hidden units, "
            f"not {width}x{height}"
        )
    batch = config["batch"]
    if batch % height or batch > len(train):
        most = len(train) // height * height
        raise ConfigError(
            f"batch of sgd must be a multiple of the grid's height, {height}, and at most {most}, as there are "
            f"{len(train)} samples to train with, not {batch}"
        )
    of = data.arithmetic(config["dtype"], config["accumulate"])
    sizes = (train.x.shape[1], config["hidden"], train.classes, batch, width, height)
    return Net(*sizes, config["learning_rate"], config["momentum"], of)


def build(net: Net, machine: Machine) -> Program:
    """Builds the program.  Raises ConfigError if it exceeds the memory of a PE or the length field of a DSD."""
    longest = max(net.samples * max(net.inputs, net.classes, net.units), net.share)
    try:
        if longest >= isa.LENGTH_INFINITE:
            raise MemoryOverflow(f"a vector has {longest} elements, the most is {isa.LENGTH_INFINITE - 1}")
        program = build_program(net, machine)
        program.layout()
        return program
    except MemoryOverflow as error:
        reason = str(error).splitlines()[0].removesuffix(":")
        raise ConfigError(
            f"sgd with {net.hidden} hidden units and batches of {net.batch} does not fit a grid of "
            f"{net.width}x{net.height} PEs: {reason}; use a larger grid, a smaller batch or fewer hidden units"
        ) from None


def first_weights(net: Net, rng: np.random.Generator) -> Weights:
    """The initial weights: normal with variance 2 / inputs of the layer, biases 0 (He initialization).

    They are rounded to the element type, so that the reference models start with the same values.
    """
    into = rng.normal(0, math.sqrt(2 / net.features), (net.hidden, net.inputs))
    into[:, -1] = 0
    out = rng.normal(0, math.sqrt(2 / net.hidden), (net.hidden, net.classes))
    return Weights(*(net.arithmetic.round(w) for w in (into, out, np.zeros(net.classes))))


class Course:
    """The samples of a training: for each epoch the training set in a new order, cut to whole batches; the test set."""

    def __init__(self, net: Net, samples: tuple[Samples, Samples], epochs: int, rng: np.random.Generator):
        train, test = samples
        whole = len(train) // net.batch * net.batch
        self.epochs = [train.take(rng.permutation(len(train))[:whole]) for _ in range(epochs)]
        self.test_samples = test
        self.test = Batches.of(net, test.x, test.labels)


class Trainer:
    """Trains the network on a fabric.

    run: the last Run.  reports: for each pass, alternately training and test, float32 [2]: the sum of the losses and
    the number of correct samples.
    """

    def __init__(self, net: Net, program: Program, weights: Weights, options: RunOptions):
        self.net, self.options = net, options
        self.fabric = options.fabric(program)
        self.fabric.write("weights", pack(net, weights))
        self.reports: list[np.ndarray] = []

    def follow(self, course: Course) -> list[dict[str, Any]]:
        """Runs all epochs, or fewer if max_cycles ends the run.  Returns one record per completed epoch."""
        epochs = []
        for number, samples in enumerate(course.epochs, 1):
            batches = Batches.of(self.net, samples.x, samples.labels)
            last = number == len(course.epochs)
            if not (self.go("train", batches) and self.go("test", course.test, last)):
                break
            loss = float(self.reports[-2][0]) / batches.samples
            accuracy = float(self.reports[-1][1]) / course.test.samples
            epochs.append({"epoch": number, "loss": loss, "test_accuracy": accuracy, "cycles": self.run.cycles})
            self.options.progress.part(number, len(course.epochs))
            self.options.progress.note(f"epoch {number:3}  loss {loss:.4f}  test accuracy {100 * accuracy:.2f} %")
        return epochs

    def go(self, task: str, batches: Batches, last: bool = False) -> bool:
        """Runs task "train" or "test" over the batches.  Returns whether it completed.  last: nothing follows it."""
        fabric, net = self.fabric, self.net
        fabric.fill("batches", len(batches.x))
        for y in range(net.height):
            fabric.stream_in(0, y, "W", "features", wavelets(net, batches.x[:, y]))
            fabric.stream_in(0, y, "W", "labels", batches.labels[:, y].astype(np.uint32))
        fabric.launch(task)
        self.run: Run = self.options.run(fabric, more=not last)
        if self.run.ended != "done":
            return False
        self.reports.append(fabric.read("report", w=1, h=1)[0, 0])
        return True

    def weights(self) -> list[Weights]:
        """Reads the weights of every row; all rows hold the same values."""
        return [unpack(self.net, packed) for packed in self.fabric.read("weights")]


def compare(result: Result, trainer: Trainer, course: Course, weights: Weights) -> None:
    """Compares the training with the reference model, bit for bit, and adds the accuracy of plain NumPy."""
    net, test = trainer.net, course.test_samples
    model, plain, reports = Model(net, weights), Plain(net, weights), []
    for samples in course.epochs:
        reports.append(model.over(Batches.of(net, samples.x, samples.labels), model.train))
        reports.append(model.over(course.test, model.test))
        for first in range(0, len(samples), net.batch):
            part = slice(first, first + net.batch)
            plain.train(samples.x[part], samples.labels[part])
    pairs = list(zip(trainer.reports, reports, strict=True))
    for row in trainer.weights():
        pairs += zip(row, model.weights, strict=True)
    result.verified = all(data.same_bits(*pair) for pair in pairs)
    # After a diverged training, equal NaNs would give a difference of NaN.
    result.max_error = 0.0 if result.verified else max(data.error(*pair) for pair in pairs)
    accuracy, by_numpy = result.extra["epochs"][-1]["test_accuracy"], plain.accuracy(test.x, test.labels)
    result.extra |= {"test_accuracy": accuracy, "numpy_test_accuracy": by_numpy, "test_samples": len(test)}
    result.text.append(
        f"test accuracy {100 * accuracy:.2f} % on the fabric, {100 * by_numpy:.2f} % in NumPy with f32, "
        f"of {len(test)} samples after {len(course.epochs)} epochs of {len(course.epochs[0])}"
    )
