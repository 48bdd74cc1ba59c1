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


def embed(grid, t, features, widest=0, storage="f16"):
    """(the activation, what was expected) of two steps that embed random tokens."""
    (w, h), vocabulary, policy = grid, 50, Policy(storage)
    program = Program(w, h, fp16=policy.fp16)
    region = Region(program, policy, t)
    x = region.activation("x", features)
    table = embedding.Embedding(region, features, widest)
    with region.task("forward", 8):
        table.forward(x)
    region.finish()
    fabric = Fabric(program)
    edge = Edge(fabric, region)
    rows = np.random.default_rng(6).integers(-99, 99, (vocabulary, features)).astype(np.float32)
    got, wanted = [], []
    for step in range(2):
        tokens = np.random.default_rng(step).integers(0, vocabulary, h * t)
        packed = table.pack(rows, tokens)
        assert [column.words.size for column in packed] == table.sizes()[:, 0].tolist()
        for stream, column in zip(edge.embedding, packed, strict=True):
            stream.put(column.words)
        fabric.launch("forward")
        assert fabric.run().ended == "done"
        got.append(layout.read(fabric, region, "x", features))
        wanted.append(rows[tokens])
    return table, np.stack(got), np.stack(wanted)


@pytest.mark.parametrize(
    ("filters", "counted", "grid", "features", "widest"),
    [
        (255, 12, (2, 3), 6, 0),  # pieces of 4 of 12 wavelets
        (255, 12, (2, 3), 5, 9),  # the tile is 12 wavelets, followed by 8 zeros: some pieces are tile and zeros
        (2, 1 << 16, (2, 5), 6, 0),  # two filters, each of two or three rows
        (2, 8, (3, 4), 7, 0),
        (3, 9, (2, 7), 4, 12),
    ],
)
def test_longer_columns_than_a_filter_counts_and_more_rows_than_filters(
    monkeypatch, filters, counted, grid, features, widest
):
    monkeypatch.setattr(embedding, "FILTERS", filters)
    monkeypatch.setattr(embedding, "COUNTED", counted)
    table, got, wanted = embed(grid, 8, features, widest)
    assert table.sharing > 1 or table.piece < table.sent
    np.testing.assert_array_equal(got, wanted)


def test_three_hundred_rows():
    table, got, wanted = embed((1, 300), 2, 3)
    assert (table.sharing, table.filters) == (2, 150)
    np.testing.assert_array_equal(got, wanted)


def test_a_column_of_131072_wavelets():
    table, got, wanted = embed((1, 16), 1024, 16, storage="f16")
    assert table.sent * 16 == 1 << 17 and table.piece == 1 << 12
    np.testing.assert_array_equal(got, wanted)
