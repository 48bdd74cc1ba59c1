"""Attention against float64, and the float64 reference against PyTorch's gradients.

Covers: wse/operators/attention_over_rows.py, wse/operators/attention_reference.py, wse/operators/attention_shape.py, wse/operators/attention_space.py
"""

import numpy as np
import pytest

from wse import ConfigError, Machine
from wse.kernels import RunOptions, single
from wse.kernels.operators import OPERATORS
from wse.kernels.single import Tensor
from wse.machine import numerics
from wse.operators.attention import Attention
from wse.operators.attention_over_rows import AttentionOverRows
from wse.operators.attention_reference import reference, slopes

ATTENTION = OPERATORS["attention"]
DTYPES = ("f32", "f16", "bf16", "cb16")


def config(
    heads=1, kv_heads=1, d_head=8, sequence=32, sequences=1, rows=1, causal=True, half=False, alibi=False, dtype="f16"
):
    return dict(
        heads=heads,
        kv_heads=kv_heads,
        d_head=d_head,
        sequence=sequence,
        sequences=sequences,
        rows=rows,
        causal=causal,
        half=half,
        alibi=alibi,
        dtype=dtype,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"heads": 4, "kv_heads": 2, "d_head": 4, "sequence": 12, "sequences": 2},  # shared keys and values
        {"heads": 2, "kv_heads": 1, "d_head": 3, "sequence": 6, "sequences": 2},  # one block, an odd head
        {"d_head": 4, "sequence": 16, "causal": False, "sequences": 3},
        {"heads": 3, "kv_heads": 3, "d_head": 2, "sequence": 6},
    ],
    ids=["one head", "grouped", "odd", "full", "three heads"],
)
def test_forward_and_backward(shape, dtype):
    result = ATTENTION.run(config(**shape, dtype=dtype), RunOptions(grid=(2, 1), seed=5))
    assert result.verified, result.extra["errors"]


def test_large_scores_do_not_overflow():
    """The greatest score of a query is taken away before exp; a key after the query has no weight, whatever its score."""
    shape = Attention(1, 1, 4, 8, 8, 4)
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(0, size, (4, 8)).astype(np.float32) for size in (40, 40, 1))
    k[:, -1] *= 100
    names = {"q": q, "k": k, "v": v}
    tensors = {name: Tensor((4, 8), value) for name, value in names.items()}
    tensors |= {"o": Tensor((4, 8)), "stash": Tensor((shape.stash,))}
    got = single.on_one([shape.forward("f")], tensors, "f32").arrays["o"][0, 0]
    (wanted,) = reference(q, k, v, shape)
    assert np.abs(got - wanted).max() < 1e-3  # scores of 1e5 have an error of 4e-3 in f32


def test_a_causal_mask_saves_cycles():
    """Blocks of keys begin at their first: with four blocks 10/16 of the square."""
    causal, full = (ATTENTION.run(config(sequence=48, causal=mask), RunOptions(grid=(1, 1))) for mask in (True, False))
    for phase in ("forward", "backward"):
        assert causal.extra["phase_cycles"][phase] < 0.8 * full.extra["phase_cycles"][phase]


@pytest.mark.parametrize("causal", [True, False])
def test_the_reference_is_the_derivative(causal):
    torch = pytest.importorskip("torch")
    shape = Attention(4, 2, 3, 6, 12, 4, causal)
    rng = np.random.default_rng(0)
    q, do = rng.normal(size=(2, 12, 12))
    k, v = rng.normal(size=(2, 6, 12))

    def heads(x):  # [sequence, head, token, feature]
        return x.reshape(-1, 3, 2, 6).permute(2, 0, 3, 1)

    inputs = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    y = torch.nn.functional.scaled_dot_product_attention(*map(heads, inputs), is_causal=causal, enable_gqa=True)
    y.backward(heads(torch.tensor(do)))
    o, *gradients = reference(q, k, v, shape, do)
    np.testing.assert_allclose(o, y.detach().permute(1, 3, 0, 2).reshape(12, 12).numpy(), rtol=1e-10, atol=1e-12)
    for got, tensor in zip(gradients, inputs, strict=True):
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_where_all_keys_are_alike(dtype):
    """Small scores, as when training begins: dP - D is a small difference, and must not be one of roundings."""
    shape = Attention(1, 1, 8, 32, 32, 4 if dtype == "f32" else 2)
    rng = np.random.default_rng(0)
    policy = single.Policy(dtype)
    values = {
        name: single.rounded(rng.normal(0, size, (8, 32)), policy) for name, size in zip("qkv", (0.1,) * 3, strict=True)
    }
    values["do"] = single.rounded(rng.normal(1, 1, (8, 32)), policy)
    tensors = {name: Tensor((8, 32), value) for name, value in values.items()}
    tensors |= {name: Tensor((8, 32)) for name in ("o", "dq", "dk", "dv")} | {"stash": Tensor((64,), dtype="f32")}
    got = single.on_one([shape.forward("f"), shape.backward("b")], tensors, dtype).arrays
    wanted = dict(zip(("o", "dq", "dk", "dv"), reference(*map(values.get, "qkv"), shape, values["do"]), strict=True))
    for name, value in wanted.items():
        assert single.error(got[name][0, 0], value) < 6 * single.EPSILON[dtype], name


@pytest.mark.parametrize("dtype", ["f16", "bf16", "cb16"])
def test_16_bit_sums(dtype):
    """POL2: less exact, and faster."""
    exact, half = (ATTENTION.run(config(dtype=dtype, half=half), RunOptions(grid=(1, 1))) for half in (False, True))
    assert half.verified, half.extra["errors"]
    assert max(half.extra["errors"].values()) > max(exact.extra["errors"].values())
    for phase in ("forward", "backward"):
        assert half.extra["phase_cycles"][phase] < 0.8 * exact.extra["phase_cycles"][phase]


def test_f32_has_no_16_bit_sums():
    with pytest.raises(ConfigError, match=r"^attention of f32 elements has no 16-bit sums"):
        Attention(1, 1, 8, 8, 8, 4, half=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [
        {"sequence": 32, "rows": 2},
        {"sequence": 24, "rows": 3},  # an odd ring: two rows that send first meet
        {"sequence": 32, "rows": 4, "heads": 4, "kv_heads": 2, "d_head": 4},
        {"sequence": 18, "rows": 3, "heads": 2, "d_head": 3, "causal": False},
    ],
    ids=["two rows", "three rows", "grouped", "full"],
)
def test_a_sequence_over_several_rows(shape, dtype):
    result = ATTENTION.run(config(**shape, dtype=dtype), RunOptions(grid=(2, 2 * shape["rows"]), seed=5))
    assert result.verified, result.extra["errors"]


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_16_bit_sums_over_several_rows(dtype):
    result = ATTENTION.run(config(rows=4, half=True, dtype=dtype), RunOptions(grid=(1, 4)))
    assert result.verified, result.extra["errors"]


def test_rows_share_the_work():
    """A row of four has a quarter of the queries, and all keys come by."""
    one, four = (
        ATTENTION.run(config(sequence=48, rows=rows, causal=False), RunOptions(grid=(1, rows))) for rows in (1, 4)
    )
    for phase in ("forward", "backward"):
        assert four.extra["phase_cycles"][phase] < one.extra["phase_cycles"][phase] / 2.5


@pytest.mark.parametrize(
    "change, message",
    [
        ({"heads": 3, "kv_heads": 2}, "kv_heads of attention must divide heads 3, not be 2"),
        ({"rows": 3, "sequence": 12}, "rows of attention must divide the 4 rows of the grid, not be 3"),
        ({"rows": 2, "sequence": 6}, "attention needs an even number of tokens in a row of PEs"),
        ({"rows": 2, "sequences": 2}, "attention needs an even number of tokens in a row of PEs"),
    ],
)
def test_sizes_that_do_not_go_together(change, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        ATTENTION.run(config(**change), RunOptions(grid=(1, 4)))


def test_wse2_too():
    for rows in (1, 2):
        result = ATTENTION.run(config(rows=rows), RunOptions(machine=Machine("wse2"), grid=(2, 2)))
        assert result.verified, result.extra["errors"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [
        {"heads": 3, "kv_heads": 1, "sequences": 2, "sequence": 24},
        {"heads": 3, "kv_heads": 1, "rows": 3, "sequence": 24},
    ],
    ids=["a row", "three rows"],
)
def test_alibi(shape, dtype):
    result = ATTENTION.run(config(**shape, alibi=True, dtype=dtype), RunOptions(grid=(1, shape.get("rows", 1)), seed=2))
    assert result.verified, result.extra["errors"]


def test_slopes_of_alibi():
    assert slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    # More than 8: between those of 8, first that of 2^(-1/2), then every other one of 16's.
    assert np.allclose(slopes(12), [2.0**-i for i in range(1, 9)] + [2.0 ** -(i + 0.5) for i in range(4)])


def test_alibi_sees_no_later_keys():
    for make in (
        lambda: Attention(1, 1, 8, 8, 8, 2, causal=False, alibi=True),
        lambda: AttentionOverRows(1, 1, 8, 2, 8, 2, False, alibi=True),
    ):
        with pytest.raises(ConfigError, match=r"^attention with alibi must be causal"):
            make()


def tiles_of(shape: Attention, dtype: str, seed: int) -> dict[str, Tensor]:
    """Operands of both passes: random values, rounded to dtype, and room for results."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, heads in {"q": shape.heads, "k": shape.kv_heads, "v": shape.kv_heads, "do": shape.heads}.items():
        value = rng.normal(size=(heads * shape.d_head, shape.tokens)).astype(np.float32)
        value = value if dtype == "f32" else numerics.round16(value, dtype)
        tensors[name] = Tensor(value.shape, value)
    tensors |= {name: Tensor(tensors[of].shape) for name, of in (("o", "q"), ("dq", "q"), ("dk", "k"), ("dv", "v"))}
    return tensors | {"stash": Tensor((shape.stash,), dtype="f32")}


def compare_with_float64(
    shape: Attention, tensors: dict[str, Tensor], dtype: str, bound: float, sinks: np.ndarray | None = None
) -> None:
    """Both passes, on one PE.  bound: of the error, relative to the greatest value or to 1."""
    got = single.on_one([shape.forward("forward"), shape.backward("backward")], tensors, dtype).arrays
    q, k, v, do = (tensors[name].values for name in ("q", "k", "v", "do"))
    names = ("o", "dq", "dk", "dv") if sinks is None else ("o", "dq", "dk", "dv", "dsinks")
    for name, value in zip(names, reference(q, k, v, shape, do, sinks=sinks), strict=True):
        assert np.abs(got[name][0, 0] - value).max() <= bound * max(1, np.abs(value).max()), name


@pytest.mark.parametrize("dtype, bound", [("f32", 1e-5), ("f16", 2e-3), ("bf16", 2e-2)])
@pytest.mark.parametrize("sequence, window", [(16, 1), (16, 5), (16, 15), (16, 16), (6, 4), (10, 3)])
def test_a_window(sequence, window, dtype, bound):
    """A query sees itself and the window - 1 keys before it: against float64, also within and across blocks of keys."""
    size = 4 if dtype == "f32" else 2
    shape = Attention(2, 1, 4, sequence, 2 * sequence, size, window=window)
    compare_with_float64(shape, tiles_of(shape, dtype, window), dtype, bound)


@pytest.mark.parametrize("dtype, half, bound", [("f32", False, 1e-5), ("f16", False, 2e-3), ("bf16", True, 0.1)])
@pytest.mark.parametrize("sequence, window, causal", [(16, 0, True), (10, 3, True), (6, 0, False)])
@pytest.mark.parametrize("cap", [0.4, 30.0])
def test_a_cap_of_scores(sequence, window, causal, dtype, half, bound, cap):
    """Against float64, with scores far beyond the cap and far below it."""
    size = 4 if dtype == "f32" else 2
    shape = Attention(2, 1, 4, sequence, 2 * sequence, size, causal, half, window=window, cap=cap)
    compare_with_float64(shape, tiles_of(shape, dtype, sequence), dtype, bound)


@pytest.mark.parametrize("dtype, half, bound", [("f32", False, 1e-5), ("f16", False, 3e-3), ("bf16", True, 0.1)])
@pytest.mark.parametrize("sequence, more", [(16, {}), (10, {"window": 3}), (6, {"causal": False}), (8, {"cap": 2.0})])
def test_sinks(sequence, more, dtype, half, bound):
    """Far above all scores, among them and far below; two sequences and heads that share keys in a tile."""
    size, heads = 4 if dtype == "f32" else 2, 6
    shape = Attention(heads, 3, 4, sequence, 2 * sequence, size, half=half, sinks=True, **more)
    sinks = np.array([9, 1, 0, -1, -90, 0.5], np.float32)
    tensors = tiles_of(shape, dtype, sequence) | {"sinks": Tensor((heads,), sinks, "f32")}
    tensors |= {"dsinks": Tensor((heads,), dtype="f32")}
    compare_with_float64(shape, tensors, dtype, bound, sinks)


def test_the_reference_of_caps_and_sinks_is_a_derivative():
    torch = pytest.importorskip("torch")
    shape = Attention(2, 2, 4, 6, 6, 4, cap=0.7, sinks=True)
    tensors = [np.random.default_rng(i).normal(size=(8, 6)) for i in range(4)]
    q, k, v = (torch.tensor(t, requires_grad=True) for t in tensors[:3])
    sinks = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
    heads = [x.reshape(2, 4, 6).transpose(1, 2) for x in (q, k, v)]
    scores = 0.7 * torch.tanh(heads[0] @ heads[1].transpose(1, 2) / 2 / 0.7)
    scores = scores.masked_fill(torch.ones(6, 6, dtype=torch.bool).triu(1), -torch.inf)
    scores = torch.cat([scores, sinks[:, None, None].expand(2, 6, 1)], -1)
    o = (scores.softmax(-1)[..., :6] @ heads[2]).transpose(1, 2).reshape(8, 6)
    o.backward(torch.tensor(tensors[3]))
    found = reference(*tensors[:3], shape, tensors[3], sinks=sinks.detach().numpy())
    for mine, theirs in zip(found, (o.detach(), q.grad, k.grad, v.grad, sinks.grad), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-9, atol=1e-13)


def test_a_cap_that_is_refused():
    for make in (lambda: Attention(1, 1, 8, 8, 8, 2, cap=-1.0), lambda: Attention(1, 1, 8, 8, 8, 2, alibi=True, cap=2)):
        with pytest.raises(ConfigError, match=r"^a cap of scores is above 0, without alibi"):
            make()
    with pytest.raises(ConfigError, match=r"^attention has sinks or alibi, not both"):
        Attention(1, 1, 8, 8, 8, 2, alibi=True, sinks=True)


def test_a_window_is_of_causal_attention_within_a_row():
    for make in (
        lambda: Attention(1, 1, 8, 8, 8, 2, causal=False, window=4),
        lambda: Attention(1, 1, 8, 8, 8, 2, window=-1),
    ):
        with pytest.raises(ConfigError, match=r"^a window of attention is 0 or more tokens, of causal attention"):
            make()
