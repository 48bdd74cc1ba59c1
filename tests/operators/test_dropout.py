"""Masks of dropout: Speck's own test vector, PEs against the host to the bit, rates, and independence.

Covers: wse/operators/dropout_masks.py
"""

import numpy as np
import pytest

from wse import Machine
from wse.errors import ConfigError
from wse.kernels import RunOptions, single
from wse.kernels.single import Tensor
from wse.machine import numerics
from wse.operators import dropout, dropout_masks
from wse.operators.attention import Attention
from wse.operators.attention_reference import reference
from wse.operators.code import Routine
from wse.operators.dropout import Dropout
from wse.operators.policy import Policy

DRAW, STREAM = 0xFEDC_BA98_7654, 0xBEEF


def with_keys(made, stream=STREAM):
    """A routine after the keys of its stream."""
    text = made.text.replace(f"{made.name}:\n", f"{made.name}_drawn:\n", 1)
    before = f"{made.name}:\n    mov r23, r27\n    mov r7, {stream}\n    call draw_keys\n    mov r27, r23\n"
    return Routine(made.name, made.operands, made.work, before + f"    jmp {made.name}_drawn\n" + text)


def on_grid(routines, tensors, dtype, grid, tokens, draw):
    made = single.Single(RunOptions(machine=Machine()), grid, Policy(dtype), tokens)
    made.region.array(dropout.KEYS, dropout.ROUNDS, "u16")
    made.region.array(dropout.PLACE, 1, "u32")
    made.region.subroutine("draw_keys", dropout.KEY_SCHEDULE)
    tensors = tensors | {dropout.DRAW: Tensor((4,), dropout.words(draw), "u16")}
    return made.execute([with_keys(one) for one in routines], tensors)


def test_the_cipher_is_speck():
    """The test vector of Speck32/64 with all its rounds."""
    keys = dropout_masks.schedule(0x0100, 0x1918_1110_0908, rounds=22)
    x, y = dropout_masks.cipher(0x6574, 0x694C, keys)
    assert (*x, *y) == (0xA868, 0x42F2)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("rows, tokens, grid", [(7, 6, (2, 3)), (300, 4, (1, 1)), (2, 320, (1, 2))])
def test_pes_drop_what_the_host_drops(rows, tokens, grid, dtype):
    width, height = grid
    x = np.random.default_rng(0).normal(size=(rows * width, tokens * height)).astype(np.float32)
    x = single.rounded(x, Policy(dtype))
    made = Dropout(rows, tokens, 4 if dtype == "f32" else 2, 0.3)
    tensors = {"x": Tensor((rows, tokens), single.tiles(x, rows, width, tokens)), "y": Tensor((rows, tokens))}
    got = on_grid([made.routine("d")], tensors, dtype, grid, tokens, DRAW).arrays["y"]
    mask = dropout_masks.of_activation(0.3, STREAM, DRAW, tokens * height, rows * width).T
    np.testing.assert_array_equal(single.untiled(got, rows * width), single.rounded(x * mask, Policy(dtype)))


def test_nothing_is_dropped_in_an_evaluation():
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    made = Dropout(4, 6, 4, 0.5)
    for draw in (None, DRAW):
        tensors = {"x": Tensor((4, 6), x), "y": Tensor((4, 6), np.full((4, 6), 7))}
        got = on_grid([made.routine("d")], tensors, "f32", (1, 1), 6, draw).arrays["y"][0, 0]
        assert (got == 7).all() == (draw is None)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, 1 - 2**-16])
def test_the_rate(rate):
    """The share of what is dropped, within five standard deviations, and a mean of 1."""
    mask = dropout_masks.of_activation(rate, 3, DRAW, 4000, 500)
    dropped, n = (mask == 0).mean(), mask.size
    assert abs(dropped - rate) <= 5 * np.sqrt(rate * (1 - rate) / n)
    assert mask[mask > 0] == pytest.approx(1 / (1 - rate), rel=2**-17 / (1 - rate) * (rate < 0.99) + 1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_masks_are_independent(rate):
    """Of near elements, and of keys that differ in one bit: as many agree as of independent masks."""

    def drawn(stream=3, draw=DRAW):
        return dropout_masks.of_activation(rate, stream, draw, 1000, 400) > 0

    one, expected = drawn(), rate**2 + (1 - rate) ** 2
    others = [np.roll(one, by, (0, 1)) for by in ((0, 1), (1, 0), (1, 1), (2, 0), (0, 2), (256, 0), (0, 128))]
    others += [drawn(stream=3 ^ 1 << bit) for bit in range(16)]
    others += [drawn(draw=DRAW ^ 1 << bit) for bit in range(48)]
    for other in others:
        assert abs((one == other).mean() - expected) < 5 * np.sqrt(expected * (1 - expected) / one.size)
    for axis, n in ((0, 1000), (1, 400)):  # the sums of rows and columns vary as they should
        assert one.sum(axis).std() == pytest.approx(np.sqrt(rate * (1 - rate) * n), rel=0.2)


def test_positions_of_more_than_sixteen_bits_are_refused():
    dropout.check_positions(65536, 65536, 65536)
    for place, what in enumerate(("tokens in a pass", "features", "heads times sequences in a pass")):
        sizes = [65537 if i == place else 8 for i in range(3)]
        with pytest.raises(ConfigError, match=f"positions for 65,536 {what}, not 65,537"):
            dropout.check_positions(*sizes)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1 - 2**-18, float("nan")])
def test_rates_that_are_refused(rate):
    with pytest.raises(ConfigError, match=r"^a rate of dropout is from 0 to below 1, and keeps at least one"):
        dropout.kept(rate)


@pytest.mark.parametrize("dtype, half, bound", [("f32", False, 1e-5), ("f16", False, 4e-3), ("bf16", True, 0.1)])
@pytest.mark.parametrize(
    "sequence, more", [(16, {}), (10, {"window": 3}), (6, {"causal": False}), (8, {"cap": 2.0}), (24, {"sinks": True})]
)
def test_attention(sequence, more, dtype, half, bound):
    """Two sequences in each of two rows, heads that share keys, on two columns."""
    size, heads, (width, height) = 4 if dtype == "f32" else 2, 4, (2, 2)
    shape = Attention(
        heads, 2, 4, sequence, 2 * sequence, size, half=half, dropout=0.4, all_heads=heads * width, **more
    )
    rng = np.random.default_rng(sequence)
    tensors, values = {}, {}
    for name, n in {"q": heads, "k": 2, "v": 2, "do": heads}.items():
        value = rng.normal(size=(height, width, n * 4, 2 * sequence)).astype(np.float32)
        values[name] = value if dtype == "f32" else numerics.round16(value, dtype)
        tensors[name] = Tensor(value.shape[2:], values[name])
    tensors |= {name: Tensor(tensors[of].shape) for name, of in (("o", "q"), ("dq", "q"), ("dk", "k"), ("dv", "v"))}
    tensors["stash"] = Tensor((shape.stash,), dtype="f32")
    sinks = np.array([2, 1, 0, -1], np.float32) if shape.sinks else None
    if shape.sinks:
        tensors |= {"sinks": Tensor((heads,), sinks, "f32"), "dsinks": Tensor((heads,), dtype="f32")}
    routines = [shape.forward("forward"), shape.backward("backward")]
    got = on_grid(routines, tensors, dtype, (width, height), 2 * sequence, DRAW).arrays
    masks = dropout_masks.of_attention(0.4, STREAM, DRAW, 2 * height, heads * width, shape)
    for y, x in np.ndindex(height, width):
        mask = masks[2 * y : 2 * y + 2, heads * x : heads * (x + 1)].swapaxes(0, 1)
        wanted = reference(*(values[name][y, x] for name in "qkv"), shape, values["do"][y, x], sinks=sinks, mask=mask)
        for name, value in zip(("o", "dq", "dk", "dv", "dsinks"), wanted, strict=False):
            assert np.abs(got[name][y, x] - value).max() <= bound * max(1, np.abs(value).max()), name
