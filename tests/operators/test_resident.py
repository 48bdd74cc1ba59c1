"""Weight PEs send their weights in the order asked for, add up what comes back, and update in place, to the bit."""

import numpy as np
import pytest

import wse
from wse.errors import ConfigError
from wse.machine import numerics
from wse.operators import resident
from wse.operators.resident import ZERO, Part, Resident, Tasks
from wse.program import dsd


def build(columns, forward, backward, gradients, passes, fmt="bf16"):
    """A row of weight PEs above a row of PEs that keep what they are sent and return it as gradients, one by one."""
    program = wse.Program(columns, 2, "wse3", fp16=fmt)
    weights, north = program.color("weights"), program.color("north")
    kept = Resident(program, 0, 0, forward, backward, gradients, passes, Tasks(9, 10, 11, 12))
    kept.build(weights, north)
    program.route(weights, "N", "R", y=1)
    program.route(north, "R", "N", y=1)
    n = [sum(part.order.shape[1] for part in parts) for parts in (forward, backward)]
    pe = program.pe_class("below")
    pe.queue_in(0, weights)
    pe.queue_out(3, north)
    pe.dsd("weights_in", dsd.fabin(0, color=weights))
    pe.dsd("north_out", dsd.fabout(3, north))
    seen = pe.array("seen", (passes, n[0] + n[1]), "u32")
    back = pe.array("back", (passes, kept.size), "f32")
    pe.dsd("all_seen", dsd.mem1d(seen, length=n[0], save_address=True))
    pe.dsd("rest_seen", dsd.mem1d(seen, length=n[1], offset=passes * n[0], save_address=True))
    pe.dsd("back_rows", dsd.mem1d(back, length=kept.size, save_address=True))
    take = "    mov32 d0, a0\n" * passes
    both = "    mov32 d1, a0\n    mov32 d2, a2\n" * passes
    pe.code(
        "step:\n    dsr d0, all_seen\n    dsr a0, weights_in\n"
        f"{take}    dsr d1, rest_seen\n    dsr d2, north_out\n    dsr a2, back_rows\n{both}    done\n"
    )
    pe.local_task("step", 9)
    program.place(pe, y=1)
    return program, kept


def orders(columns, n, seed=0):
    """Numbers of the weights of each column: blocks of 4, those of column x from its own block on."""
    base = np.arange(columns * n).reshape(columns, n)
    return np.stack([np.roll(row, -4 * x) for x, row in enumerate(base)])


@pytest.mark.parametrize("fmt", ["bf16", "f16", "cb16"])
def test_streams_and_sums(fmt):
    columns, n, passes = 3, 24, 2
    gradients = orders(columns, n)
    transposed = gradients.reshape(columns, 4, 6).transpose(0, 2, 1).reshape(columns, n)
    padded = np.concatenate([np.full((columns, 2), ZERO), transposed], axis=1)
    forward, backward = [Part(np.roll(gradients, -8, axis=1)), Part(gradients[:, :5], wide=True)], [Part(padded)]
    program, kept = build(columns, forward, backward, gradients, passes, fmt)
    rng = np.random.default_rng(1)
    values = rng.standard_normal(columns * n).astype(np.float32)
    back = rng.standard_normal((1, columns, passes, n)).astype(np.float32)
    fabric = wse.Fabric(program)
    kept.write(fabric, values)
    fabric.write("back", back, y=1)
    fabric.launch("step")
    assert fabric.run().ended == "done"
    seen = fabric.read("seen", y=1)[0]
    bits = numerics.to_bits(np.append(values, np.float32(0)), fmt)
    for x in range(columns):
        sent = np.concatenate([bits[forward[0].order[x]], values[forward[1].order[x]].view(np.uint32)])
        assert seen[x].ravel()[: passes * 29].tolist() == np.tile(sent, passes).tolist()
        assert seen[x].ravel()[passes * 29 :].tolist() == np.tile(bits[padded[x]], passes).tolist()
    total = np.zeros(columns * n, np.float32)
    for i in range(passes):
        total[gradients.ravel()] += back[0, :, i].ravel()
    assert np.array_equal(kept.read(fabric, columns * n, "gradient"), total)


def test_updates_in_place_to_the_bit():
    gradients = orders(2, 12)
    program, kept = build(2, [Part(gradients)], [Part(gradients)], gradients, 1)
    rng = np.random.default_rng(2)
    values, velocity = rng.standard_normal(24).astype(np.float32), np.zeros(24, np.float32)
    fabric = wse.Fabric(program)
    kept.write(fabric, values)
    for step in range(3):
        back = rng.standard_normal((1, 2, 1, 12)).astype(np.float32)
        fabric.write("back", back, y=1)
        fabric.launch("step")
        fabric.run()
        kept.set(fabric, 0.9, 0.25, 0.1 * (step + 1))
        fabric.launch("update", w=2, h=1)
        fabric.run()
        gradient = np.zeros(24, np.float32)
        gradient[gradients.ravel()] = back.ravel()
        values, velocity = resident.updated(values, velocity, gradient, 0.9, 0.25, 0.1 * (step + 1))
        assert np.array_equal(kept.read(fabric, 24), values)
        assert np.array_equal(kept.read(fabric, 24, "velocity"), velocity)
        assert np.array_equal(kept.read(fabric, 24, "gradient"), gradient)  # until the next step


def test_what_is_refused():
    gradients = orders(2, 12)
    with pytest.raises(ConfigError, match="column 0 sends weight 99"):
        build(2, [Part(np.full((2, 3), 99))], [], gradients, 1)
    with pytest.raises(ConfigError, match="more columns"):
        build(1, [], [], np.arange(40_000)[None], 1)
