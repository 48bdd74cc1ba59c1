"""The perceptron of kernel sgd as data: sizes on a grid, weights and samples as the PEs hold and receive them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...machine.numerics import to_bits
from ..data import Arithmetic

NO_LABEL = 0xFFFF  # of a sample that only fills up a batch


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


class Weights(NamedTuple):
    """into: [hidden, inputs], out: [hidden, classes], bias: [classes]; float32."""

    into: np.ndarray
    out: np.ndarray
    bias: np.ndarray


def pack(net: Net, w: Weights) -> np.ndarray:
    """As the array `weights` of all PEs: [h, w, size]."""
    hidden = np.concatenate([_by_column(net, w.into), _by_column(net, w.out)], axis=1)
    packed = np.zeros((net.width, max(net.share, net.classes)), np.float32)
    packed[0, : net.classes] = w.bias
    packed[1:, : net.share] = hidden
    return np.broadcast_to(packed, (net.height, *packed.shape))


def _by_column(net: Net, w: np.ndarray) -> np.ndarray:
    """[columns of hidden units, values of each], padded with zeros."""
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
    """x: [n, h, b, features], labels: [n, h, b], NO_LABEL where there is no sample; samples: how many there are."""

    x: np.ndarray
    labels: np.ndarray
    samples: int

    @classmethod
    def of(cls, net: Net, x: np.ndarray, labels: np.ndarray) -> Batches:
        """Samples [n, features] with their labels [n] in their order; the last batch is filled up."""
        lacking = -len(x) % net.batch
        shape = (-1, net.height, net.samples)
        filled = np.pad(x, ((0, lacking), (0, 0))).reshape(*shape, net.features)
        return cls(filled, np.pad(labels, (0, lacking), constant_values=NO_LABEL).reshape(shape), len(x))


def wavelets(net: Net, samples: np.ndarray) -> np.ndarray:
    """A row's stream of samples: [batches, b, features] to uint32 [n], two 16-bit elements to a wavelet."""
    values = samples.reshape(len(samples), -1).astype(np.float32)
    if net.arithmetic.element == "f32":
        return values.view(np.uint32).ravel()
    bits = to_bits(values, net.arithmetic.fp16)
    return np.pad(bits, ((0, 0), (0, bits.shape[1] % 2))).view(np.uint32).ravel()
