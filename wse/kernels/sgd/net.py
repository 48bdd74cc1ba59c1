"""The network of kernel sgd as data: its sizes on a grid, and the packing of weights and samples for the PEs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...machine.numerics import to_bits
from ...records import dataclass
from ..data import Arithmetic

NO_LABEL = 0xFFFF  # label of a padding sample in an incomplete batch


@dataclass(frozen=True)
class Net:
    """A network on a grid of width x height PEs.

    features, hidden, classes: sizes of the layers.  batch: samples per step.
    """

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
        """Hidden units per hidden PE."""
        return -(-self.hidden // (self.width - 1))

    @property
    def samples(self) -> int:
        """Samples of a batch per row of PEs."""
        return self.batch // self.height

    @property
    def inputs(self) -> int:
        """Inputs of a hidden unit: the features and a constant 1 for the bias."""
        return self.features + 1

    @property
    def share(self) -> int:
        """Parameters per hidden PE."""
        return self.units * (self.inputs + self.classes)

    @property
    def rate(self) -> np.float32:
        """The factor of the velocity in an update: learning_rate / batch, because gradients are sums over the batch."""
        return np.float32(self.learning_rate / self.batch)


class Weights(NamedTuple):
    """Parameters, float32.  into: [hidden, inputs].  out: [hidden, classes].  bias: [classes]."""

    into: np.ndarray
    out: np.ndarray
    bias: np.ndarray


def pack(net: Net, w: Weights) -> np.ndarray:
    """The contents of the array `weights` of all PEs: float32 [height, width, size]."""
    hidden = np.concatenate([_by_column(net, w.into), _by_column(net, w.out)], axis=1)
    packed = np.zeros((net.width, max(net.share, net.classes)), np.float32)
    packed[0, : net.classes] = w.bias
    packed[1:, : net.share] = hidden
    return np.broadcast_to(packed, (net.height, *packed.shape))


def _by_column(net: Net, w: np.ndarray) -> np.ndarray:
    """Distributes hidden units over the hidden columns: [columns, units x values per unit], padded with zeros."""
    columns = net.width - 1
    padded = np.zeros((columns * net.units, w.shape[1]), np.float32)
    padded[: net.hidden] = w
    return padded.reshape(columns, -1)


def unpack(net: Net, packed: np.ndarray) -> Weights:
    """The reverse, of one row: [w, size]."""
    split, columns = net.units * net.inputs, net.width - 1
    into = packed[1:, :split].reshape(columns * net.units, net.inputs)
    out = packed[1:, split : net.share].reshape(columns * net.units, net.classes)
    return Weights(into[: net.hidden], out[: net.hidden], packed[0, : net.classes])


@dataclass(frozen=True)
class Batches:
    """A sequence of n batches.

    x: [n, h, b, features].  labels: [n, h, b], NO_LABEL for padding.  samples: the number without padding.
    """

    x: np.ndarray
    labels: np.ndarray
    samples: int

    @classmethod
    def of(cls, net: Net, x: np.ndarray, labels: np.ndarray) -> Batches:
        """Cuts samples [n, features] with labels [n] into batches, in order; the last batch is padded."""
        lacking = -len(x) % net.batch
        shape = (-1, net.height, net.samples)
        filled = np.pad(x, ((0, lacking), (0, 0))).reshape(*shape, net.features)
        return cls(filled, np.pad(labels, (0, lacking), constant_values=NO_LABEL).reshape(shape), len(x))


def wavelets(net: Net, samples: np.ndarray) -> np.ndarray:
    """Encodes the samples [batches, b, features] of one row as wavelets uint32 [n], two 16-bit elements each."""
    values = samples.reshape(len(samples), -1).astype(np.float32)
    if net.arithmetic.element == "f32":
        return values.view(np.uint32).ravel()
    bits = to_bits(values, net.arithmetic.fp16)
    return np.pad(bits, ((0, 0), (0, bits.shape[1] % 2))).view(np.uint32).ravel()
