"""Token and position embeddings, and their gradients."""

import numpy as np
import pytest

from wse import Fabric, Program
from wse.errors import ConfigError, ProgramError
from wse.machine import numerics
from wse.operators import embedding
from wse.operators import tiles as layout
from wse.operators.edge import Edge
from wse.operators.policy import Policy
from wse.operators.region import Region


@pytest.mark.parametrize("storage", ["f32", "f16", "cb16"])
@pytest.mark.parametrize(("grid", "features"), [((4, 3), 8), ((3, 2), 7), ((1, 1), 2)])
def test_embedding(storage, grid, features):
    (w, h), t, sequence, vocabulary = grid, 8, 4, 11
    policy = Policy(storage)
    rng = np.random.default_rng(3)
    program = Program(w, h, fp16=policy.fp16)
    region = Region(program, policy, t)
    x, dx = region.activation("x", features), region.activation("dx", features)
    region.array("labels", t, "u16")
    table = embedding.Embedding(region, features)
    with region.task("forward", 8):
        embedding.receive_ids(region, "labels")
        table.forward(x)
        places = embedding.positions(region, x, sequence)
    with region.task("backward", 9):
        d_places = embedding.positions_gradient(region, dx, sequence)
        d_rows = table.gradient(dx)
    region.finish()
    fabric = Fabric(program)
    edge = Edge(fabric, region)
    ids = [fabric.stream_in(0, y, "W", "ids", [], segments=[]) for y in range(h)]

    def stored(values):
        values = values.astype(np.float32)
        return values if policy.wide else numerics.round16(values, storage)

    rows, where = stored(rng.normal(size=(vocabulary, features))), stored(rng.normal(size=(sequence, features)))
    for _ in range(2):  # filters count on from one step to the next
        tokens = rng.integers(0, vocabulary, h * t)
        gradient = stored(rng.normal(size=(h * t, features)))
        layout.write(fabric, region, "dx", gradient)
        for stream, row in zip(ids, tokens.reshape(h, t), strict=True):
            stream.put(row.astype(np.uint32))
        for stream, column in zip(edge.embedding, table.pack(rows, tokens), strict=True):
            stream.put(column.words)
        edge.feed("forward", {places: {"weight": where}})
        for task in ("forward", "backward"):
            fabric.launch(task)
            fabric.run()
        expected = rows[tokens] + np.tile(where, (h * t // sequence, 1))
        assert np.array_equal(layout.read(fabric, region, "x", features), stored(expected))
        assert np.array_equal(fabric.read("labels"), np.broadcast_to(tokens.reshape(h, 1, t), (h, w, t)))
        taken = dict(edge.take("backward"))
        assert np.array_equal(taken[d_rows]["dx"], gradient)
        summed = table.rows(taken[d_rows]["dx"], tokens, vocabulary)
        wanted = np.zeros((vocabulary, features))
        np.add.at(wanted, tokens, gradient)
        assert np.allclose(summed, wanted, atol=1e-5)
        by_place = gradient.astype(np.float64).reshape(-1, sequence, features).sum(axis=0)
        assert np.allclose(taken[d_places]["weight"], by_place, atol=1e-5)


def test_what_is_refused():
    region = Region(Program(2, 2), Policy(), 8)
    table = embedding.Embedding(region, 4)
    with pytest.raises(ConfigError, match=r"^region takes 16 ids, not 3$"):
        table.pack(np.zeros((5, 4)), np.zeros(3, int))
    with pytest.raises(ConfigError, match=r"^ids are 0 to 4, not 0 to 5$"):
        table.pack(np.zeros((5, 4)), np.arange(16) % 6)
    for sequence in (3, 12, 32):
        with pytest.raises(ProgramError, match=rf"do not hold sequences of {sequence} tokens: a row must"):
            embedding.positions(region, region.activation(f"x{sequence}", 4), sequence)
    with pytest.raises(ProgramError, match=r"streams 131072 wavelets to a column"):
        embedding.Embedding(Region(Program(1, 1), Policy("f32"), 1 << 15, name="long"), 4)


@pytest.mark.parametrize("storage", ["f32", "bf16"])
def test_positions_of_a_sequence_on_several_rows(storage):
    policy, (w, h), t, sequence, features = Policy(storage), (3, 4), 6, 12, 7
    program = Program(w, h, fp16=policy.fp16)
    region = Region(program, policy, t)
    x = region.activation("x", features)
    with region.task("step", 8):
        places = embedding.positions(region, x, sequence)
        gradient = embedding.positions_gradient(region, x, sequence)
    region.finish()
    fabric = Fabric(program)
    edge = Edge(fabric, region)
    rng = np.random.default_rng(4)

    def stored(values):
        values = values.astype(np.float32)
        return values if policy.wide else numerics.round16(values, storage)

    before, where = stored(rng.normal(size=(h * t, features))), stored(rng.normal(size=(sequence, features)))
    layout.write(fabric, region, "x", before)
    edge.feed("step", {places: {"weight": where}})
    fabric.launch("step")
    fabric.run()
    after = stored(before + np.tile(where, (h * t // sequence, 1)))
    assert np.array_equal(layout.read(fabric, region, "x", features), after)
    summed = after.astype(np.float64).reshape(-1, sequence, features).sum(axis=0)
    assert np.allclose(dict(edge.take("step"))[gradient]["weight"], summed, atol=1e-5)
