"""The reference models of kernel sgd: one with the fabric's arithmetic, and one in plain NumPy float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...machine import numerics
from ...program import fragments
from ..collectives import plan
from .net import Batches, Net, Weights


class Model:
    """The computation of the fabric, bit for bit.  Samples have shape [h, b, features], labels [h, b]."""

    def __init__(self, net: Net, weights: Weights):
        self.net, self.of = net, net.arithmetic
        self.row, self.column = plan("chain", net.width), plan("chain", net.height)
        self.weights = weights
        self.velocity = Weights(*(np.zeros_like(w) for w in weights))
        self._begin()

    def over(self, batches: Batches, step: Callable[[np.ndarray, np.ndarray], None]) -> np.ndarray:
        """Runs `train` or `test` over all batches.  Returns float32 [2]: the sum of losses and the correct samples."""
        self._begin()
        for x, labels in zip(batches.x, batches.labels, strict=True):
            step(x, labels)
        with np.errstate(all="ignore"):
            report = self.column.total(np.stack([self.losses, self.correct], axis=1), np.add)
        return np.where(np.isnan(report), np.float32(np.nan), report)  # the machine has a single NaN

    def _begin(self) -> None:
        self.losses = np.zeros(self.net.height, np.float32)
        self.correct = np.zeros(self.net.height, np.float32)

    def test(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Tests one batch: adds its correct samples to the count."""
        _, z = self.forward(self._inputs(x))
        greatest = z.view(np.uint32) == 0
        found = np.where(greatest.any(axis=0), np.argmax(greatest, axis=0), self.net.classes)
        self.correct += (found.reshape(labels.shape) == labels).sum(axis=1, dtype=np.float32)

    def train(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Trains with one batch: computes its gradient and updates the weights."""
        with np.errstate(all="ignore"):
            self._step(*self.gradient(x, labels))

    def gradient(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The gradient of (into, out, bias), summed over the batch.  Also adds the batch's losses to `losses`."""
        net, of = self.net, self.of
        inputs = self._inputs(x)
        a, z = self.forward(inputs)
        e = fragments.exp_model(z)
        total = np.zeros(e.shape[1:], np.float32)
        for row in e:
            total = total + row
        label, sample = labels.ravel(), np.arange(labels.size)
        losses = (fragments.log_model(total) - z[label, sample]).reshape(labels.shape)
        for loss in losses.T:
            self.losses = self.losses + loss
        e[label, sample] -= total
        probability = e * (np.float32(1) / total)
        delta = of.round(probability)
        dz = self._matmul(self.weights.out, delta)
        dz = np.where(self._is_active(a), of.round(dz), np.float32(0))
        into, out, bias = [], [], []
        for row in range(net.height):
            part = slice(row * net.samples, (row + 1) * net.samples)
            into.append(self._matmul(dz[:, part], inputs[:, part].T).ravel())
            out.append(self._matmul(a[:, part], delta[:, part].T).ravel())
            sums = np.zeros(net.classes, np.float32)
            for column in probability[:, part].T:
                sums = sums + column
            bias.append(sums)
        return (
            self.column.total(np.stack(into), of.total).reshape(self.weights.into.shape),
            self.column.total(np.stack(out), of.total).reshape(self.weights.out.shape),
            self.column.total(np.stack(bias), np.add),
        )

    def forward(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Activations [hidden, h b], and logits minus their maximum over the classes [classes, h b]."""
        net, of, w = self.net, self.of, self.weights
        with np.errstate(all="ignore"):
            z = self._matmul(w.into, inputs)
            a = of.round(np.where(z > 0, z, np.float32(0)))
            parts = [np.broadcast_to(w.bias[:, None], (net.classes, inputs.shape[1]))]
            for first in range(0, (net.width - 1) * net.units, net.units):
                units = slice(first, first + net.units)
                parts.append(self._matmul(w.out[units].T, a[units]))
            values = np.stack([part.ravel() for part in parts])
            logits = self.row.total(values, of.total).reshape(parts[0].shape)
            most = np.full(logits.shape[1:], -np.inf, np.float32).view(np.uint32)
            for row in logits.view(np.uint32):
                most = numerics.element("fmaxs", of.fp16, most, row)
            return a, logits - most.view(np.float32)

    def _inputs(self, x: np.ndarray) -> np.ndarray:
        """Samples as columns, with the constant input 1: float32 [inputs, h b]."""
        flat = np.asarray(x, np.float32).reshape(-1, self.net.features)
        return np.concatenate([flat, np.ones((len(flat), 1), np.float32)], axis=1).T

    def _matmul(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if self.of.dtype != "bf16" or self.of.sum != "f32":
            return self.of.matmul(a, b)
        # Products of bf16 may be subnormal in f32; float64 avoids rounding them before the addition.
        total = np.zeros((a.shape[0], b.shape[1]), np.float32)
        left, right = a.astype(np.float64), b.astype(np.float64)
        for k in range(a.shape[1]):
            total = (total + left[:, k : k + 1] * right[k]).astype(np.float32)
        return total

    def _is_active(self, a: np.ndarray) -> np.ndarray:
        """Whether activations are nonzero.  For f32 the program tests the upper 16 bits only."""
        return a.view(np.uint32) >> 16 != 0 if self.of.element == "f32" else a != 0

    def _step(self, *gradient: np.ndarray) -> None:
        net, of = self.net, self.of
        weights, velocity = [], []
        for w, v, g in zip(self.weights, self.velocity, gradient, strict=True):
            if of.element == "f32":
                v = g + v * np.float32(net.momentum)
                w = w + v * -net.rate
                kept = v
            else:
                momentum = float(numerics.round16(net.momentum, of.dtype))
                v = (g.astype(np.float64) + v.astype(np.float64) * momentum).astype(np.float32)
                w = of.round(v * -net.rate + w)
                kept = of.round(v)
            weights.append(w)
            velocity.append(kept)
        self.weights, self.velocity = Weights(*weights), Weights(*velocity)


class Plain:
    """The same network in float32 with NumPy's matrix products.  Samples have shape [n, features], labels [n]."""

    def __init__(self, net: Net, weights: Weights):
        self.net, self.weights = net, [w.copy() for w in weights]
        self.velocity = [np.zeros_like(w) for w in weights]

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns inputs with the constant 1 [n, inputs], activations [n, hidden], probabilities [n, classes]."""
        into, out, bias = self.weights
        x = np.concatenate([x, np.ones((len(x), 1), np.float32)], axis=1)
        with np.errstate(all="ignore"):
            a = np.maximum(x @ into.T, 0)
            z = a @ out + bias
            e = np.exp(z - z.max(axis=1, keepdims=True))
            return x, a, e / e.sum(axis=1, keepdims=True)

    def train(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Trains with one batch."""
        with np.errstate(all="ignore"):
            for w, v, g in zip(self.weights, self.velocity, self.gradient(x, labels), strict=True):
                v *= np.float32(self.net.momentum)
                v += g
                w -= self.net.rate * v

    def gradient(self, x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The gradient of (into, out, bias), summed over the batch."""
        x, a, delta = self.forward(x)
        delta[np.arange(len(labels)), labels] -= 1
        dz = delta @ self.weights[1].T * (a > 0)
        return dz.T @ x, a.T @ delta, delta.sum(axis=0)

    def accuracy(self, x: np.ndarray, labels: np.ndarray) -> float:
        """Share of samples whose label has the largest output."""
        return float((self.forward(x)[2].argmax(axis=1) == labels).mean())
