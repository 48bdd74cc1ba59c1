"""A small model in NumPy with the interface of an Execution, which worker processes can import.

It predicts the next character from the last one.
"""

import os
import time
from pathlib import Path

import numpy as np

from wse.execute.execution import Pass, Span, handed

VOCAB = 11


class Bigram:
    clock_hz, grid, updates, sequence = 1_000_000_000, (2, 2), "memoryx", 5

    def __init__(self, batch, notes=None, pause=0.0, updates="memoryx"):
        self.graph, self.batch, self.notes, self.pause, self.updates = "bigram", batch, notes, pause, updates
        self.note("made")

    def note(self, what):
        if self.notes:
            with Path(self.notes).open("a") as file:
                file.write(f"{what} {os.getpid()}\n")

    def load(self, weights, momentum=None):
        self.weights = {name: np.array(weight) for name, weight in weights.items()}
        self.note("load")

    def run(self, ids, labels, scale=1.0, gradients=None):
        self.note("run")
        time.sleep(self.pause)
        logits = self.weights["table"][ids] + self.weights["bias"]
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        tokens = ids.size
        loss = -np.log(np.take_along_axis(p, labels[..., None].astype(int), -1)).mean()
        d = p
        np.put_along_axis(
            d, labels[..., None].astype(int), np.take_along_axis(d, labels[..., None].astype(int), -1) - 1, -1
        )
        d = (d * np.float32(scale / tokens)).astype(np.float32)
        table = np.zeros_like(self.weights["table"])
        np.add.at(table, ids.ravel(), d.reshape(tokens, -1))
        found = {"table": table, "bias": d.reshape(tokens, -1).sum(0)}
        return Pass(
            float(loss),
            handed(found, gradients),
            100 + int(ids[0, 0]),
            7,
            9,
            3,
            [Span("compute", "all", "forward", 0, 1)],
        )

    def evaluate(self, ids, labels):
        return self.run(ids, labels).loss


def weights(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "table": rng.standard_normal((VOCAB, VOCAB), np.float32),
        "bias": rng.standard_normal(VOCAB, np.float32),
    }


def tokens(batch, seed=0):
    rng = np.random.default_rng((seed, 1))
    ids = rng.integers(0, VOCAB, (batch, Bigram.sequence + 1)).astype(np.uint16)
    return ids[:, :-1], ids[:, 1:]
