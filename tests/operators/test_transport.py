"""Tiles arrive at the next region as they are, whatever the widths."""

import numpy as np
import pytest

import wse
from wse.errors import ConfigError
from wse.operators import transport


def hand_over(side, widths, features, tokens, size, height=2):
    """The tiles that the receiving region has, as [height * tokens, features]; those it was sent."""
    first, second = widths
    program = wse.Program(first + second, height, "wse3", fp16="bf16")
    line = transport.Line(program)
    sender, receiver = (0, 1) if side == "east" else (1, 0)
    starts = (0, first)
    regions = []
    dtype = "f16" if size == 2 else "f32"
    for i, (x0, width) in enumerate(zip(starts, widths, strict=True)):
        if i == sender:
            made = transport.send(side, x0, features, width, tokens, size)
        else:
            made = transport.receive(transport.opposite(side), x0, features, width, tokens, size)
        block = -(-features // width)
        for x in range(x0, x0 + width):
            pe = program.pe_class(f"c{x}")
            pe.array("tile", (block, tokens), dtype)
            line.declare(pe, x)
            pe.code(f"main:\n{made.call(tile='tile')}    done\n{made.text}")
            pe.local_task("main", 9, active=True)
            program.place(pe, x=x)
        regions.append((x0, width, block))
    fabric = wse.Fabric(program)
    values = (np.arange(height * tokens * features) % 251).reshape(height, tokens, features).astype(np.float32)
    x0, width, block = regions[sender]
    for x in range(sum(widths)):  # what lies in a tile before
        fabric.fill("tile", 9, x=x, w=1)
    padded = np.full((height, tokens, width * block), 7, np.float32)
    padded[..., :features] = values
    fabric_tiles = padded.reshape(height, tokens, width, block).transpose(0, 2, 3, 1)
    for x in range(width):
        fabric.write("tile", fabric_tiles[:, x : x + 1], x=x0 + x)
    run = fabric.run()
    assert run.ended == "done"
    x0, width, block = regions[receiver]
    got = np.concatenate([fabric.read("tile", x=x0 + x, y=0, w=1, h=height) for x in range(width)], axis=1)
    got = got.transpose(0, 3, 1, 2).reshape(height, tokens, width * block)
    return got, values, run


@pytest.mark.parametrize("side", ["east", "west"])
@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize(("widths", "features"), [((4, 4), 32), ((2, 5), 13), ((5, 2), 13), ((1, 3), 7), ((3, 1), 4)])
@pytest.mark.parametrize("tokens", [8, 5])
def test_tiles_arrive(side, size, widths, features, tokens):
    got, values, _ = hand_over(side, widths, features, tokens, size)
    assert np.array_equal(got[..., :features], values)
    assert not got[..., features:].any()  # padding is not sent, and cleared


def test_a_wavelet_a_cycle():
    _, _, run = hand_over("east", (4, 4), 64, 32, 2)
    assert run.cycles < 64 * 32 / 2 + 500


def test_too_much_is_refused():
    with pytest.raises(ConfigError, match="fewer tokens"):
        transport.send("east", 0, 4096, 4, 32, 2)
