"""An Execution by PyTorch, for tests of the loop that need no fabric; with faults that a test may inject."""

import numpy as np

from wse.execute.execution import Pass, handed
from wse.train import reference


class ByTorch:
    clock_hz = 1_000_000_000

    def __init__(self, graph, batch, sequence, updates="memoryx"):
        self.graph, self.batch, self.sequence, self.updates = graph, batch, sequence, updates
        self.weights, self.momentum, self.gradients, self.passes = {}, {}, {}, 0
        self.overflow_at = ()
        self.grid = (4, batch)

    def load(self, weights, momentum=None):
        self.weights = {name: np.array(w) for name, w in weights.items()}
        self.momentum = {name: np.array(v) for name, v in (momentum or {}).items()}

    def run(self, ids, labels, scale=1.0, gradients=None, draw=None):
        draws = () if draw is None else (draw,)
        loss, found = reference.gradients(self.graph, self.weights, ids, labels, draws=draws)
        self.gradients = {name: g * np.float32(scale) for name, g in found.items()}
        if self.passes in self.overflow_at:
            next(iter(self.gradients.values())).flat[0] = np.inf
        self.passes += 1
        return Pass(loss, handed(self.gradients, gradients), cycles=1000)

    def evaluate(self, ids, labels):
        return reference.gradients(self.graph, self.weights, ids, labels)[0]

    def update(self, rate, momentum, factor):
        for name, w in self.weights.items():
            self.momentum[name] = np.float32(momentum) * self.momentum[name] + self.gradients[name] * np.float32(factor)
            w -= np.float32(rate) * self.momentum[name]
        return 10

    def read(self):
        return self.weights, self.momentum
