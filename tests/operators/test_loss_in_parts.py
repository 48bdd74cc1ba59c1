"""Cross-entropy whose vocabulary passes in parts: against float64, and against the loss of all logits at once."""

import numpy as np
import pytest
from layer_bounds import stored

from wse.fabric.fabric import Fabric
from wse.kernels.single import EPSILON, tiles, untiled
from wse.operators import loss, ring
from wse.operators.loss_in_parts import STATISTICS, LossInParts
from wse.operators.policy import Policy
from wse.operators.region import Region
from wse.program.program import Program

T = 6


def in_parts(logits, labels, scale, entries, grid, dtype):
    """(sum of losses of each row of PEs, gradient [vocab, tokens]); parts have `entries` of the vocabulary."""
    (w, h), policy, vocab = grid, Policy(dtype), len(logits)
    rows = -(-entries // w)
    program = Program(w, h, "wse3", fp16=policy.fp16)
    region = Region(program, policy, T)
    made = LossInParts(rows, T, policy.size)
    allreduce = (lambda op: ring.allreduce(region, op)) if w > 1 else (lambda op: "")
    region.array("logits", (rows, T), policy.element, 8)
    region.array("labels", T, "u16")
    for name, n, kind in (
        ("part", 2, "u32"),
        ("scale", 1, "f32"),
        ("loss", 1, "f32"),
        ("statistics", STATISTICS * T, "f32"),
    ):
        region.array(name, n, kind)
    routines = [made.begin("begin"), made.take("take"), made.finish("finish", allreduce), made.gradient("gradient")]
    names = ("logits", "labels", "part", "scale", "loss", "statistics")
    for i, routine in enumerate(routines):
        region.work(routine.work)
        region.subroutine(routine.name, routine.text)
        with region.task(f"do_{routine.name}", 8 + i):
            known = {name: name for name in names} | {"dlogits": "logits"}
            region.code(routine.call(**{name: known[name] for name in routine.operands}))
    region.finish()
    fabric = Fabric(program)
    fabric.write("labels", np.broadcast_to(labels.reshape(h, 1, T), (h, w, T)).astype(np.uint16))
    fabric.write("scale", np.full((h, w, 1), scale, np.float32))

    def run(name, first=None):
        if first is not None:
            part = logits[first : first + entries]
            padded = np.full((entries, logits.shape[1]), 7.0, np.float32)  # what is behind the end does not count
            padded[: len(part)] = part
            fabric.write("logits", tiles(padded, rows, w, T))
            fabric.write("part", np.broadcast_to(np.array([first, len(part)], np.uint32), (h, w, 2)))
        fabric.launch(f"do_{name}")
        assert fabric.run().ended == "done"
        return untiled(fabric.read("logits"), entries)

    run("begin")
    parts = range(0, vocab, entries)
    for first in parts:
        run("take", first)
    run("finish")
    gradient = np.concatenate([run("gradient", first) for first in parts])
    assert not gradient[vocab:].any()  # of a last part that is shorter
    return fabric.read("loss")[..., 0], gradient[:vocab]


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize(
    ("vocab", "entries", "grid"), [(24, 24, (1, 1)), (25, 6, (3, 2)), (40, 13, (5, 1)), (9, 2, (4, 1))]
)
def test_against_float64(vocab, entries, grid, dtype):
    rng = np.random.default_rng(4)
    tokens = grid[1] * T
    logits = stored(Policy(dtype), rng.normal(0, 3, (vocab, tokens))).astype(np.float32)
    logits[:, 0] += 40 if dtype == "f32" else 8  # a token whose logits are far from those of others
    labels = rng.integers(0, vocab, tokens)
    labels[:2] = vocab - 1, entries  # of the last part; the first of the second, where the first part's padding is
    labels = np.minimum(labels, vocab - 1)
    losses, gradient = in_parts(logits, labels, 0.5, entries, grid, dtype)
    by_token, wanted = loss.reference(logits, labels, 0.5)
    by_row = by_token.reshape(grid[1], T).sum(axis=1)
    close = 12 * EPSILON[dtype] if dtype == "f32" else 4 * EPSILON[dtype]
    assert np.max(np.abs(losses - by_row[:, None])) <= close * np.max(np.abs(by_row))
    assert np.array_equal(losses, np.repeat(losses[:, :1], grid[0], axis=1))  # all PEs of a row have the same bits
    assert np.max(np.abs(gradient - wanted)) <= close * np.max(np.abs(wanted))


def test_gradients_do_not_depend_on_the_parts():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(0, 2, (48, T)).astype(np.float32), rng.integers(0, 48, T)
    (whole, first), (parts, second) = (in_parts(logits, labels, 1.0, n, (4, 1), "f32") for n in (48, 8))
    np.testing.assert_allclose(parts, whole, rtol=1e-6)
    np.testing.assert_allclose(second, first, atol=1e-6)
