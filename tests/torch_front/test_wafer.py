"""Modules on the fabric: outputs and gradients against PyTorch, in f32 and in 16 bits, and what is refused.

Covers: wse/torch/capture.py, wse/torch/walk.py, wse/torch/values.py, wse/torch/layouts.py, wse/torch/products.py,
    wse/torch/attention.py, wse/torch/norms.py, wse/torch/arithmetic.py, wse/torch/tokens.py, wse/torch/host.py,
    wse/torch/execution.py, wse/torch/module.py
"""

import math

import numpy as np
import pytest

from wse.errors import ConfigError, MemoryOverflow

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

from wse.torch import wafer  # noqa: E402


def module(layers, body):
    """A module from its submodules and parameters by name and its forward pass."""

    class Made(nn.Module):
        def __init__(self):
            super().__init__()
            for name, made in layers.items():
                setattr(self, name, made)

        def forward(self, *inputs):
            return body(self, *inputs)

    return Made()


class Written(nn.Module):
    """Attention as scores, mask, softmax and product."""

    def __init__(self, d=16, heads=2, tokens=6):
        super().__init__()
        self.qkv, self.out, self.heads = nn.Linear(d, 3 * d), nn.Linear(d, d), heads
        self.register_buffer("mask", torch.tril(torch.ones(tokens, tokens)).view(1, 1, tokens, tokens))

    def forward(self, x):
        b, t, d = x.size()
        q, k, v = (part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.qkv(x).split(d, dim=2))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        return self.out((F.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(b, t, d))


def image_attention(m, x):
    """Queries, keys and values from one layer, scaled before the product, as in image models."""
    b, n, c = x.shape
    q, k, v = m.qkv(x).reshape(b, n, 3, 4, c // 4).permute(2, 0, 3, 1, 4).unbind(0)
    return m.out((((q * 0.5) @ k.transpose(-2, -1)).softmax(dim=-1) @ v).transpose(1, 2).reshape(b, n, c))


def grouped(m, x, repeat):
    """Four heads of queries, two of keys and values."""
    b, t, c = x.shape
    q, k, v = (f(x).view(b, t, -1, 4).transpose(1, 2) for f in (m.q, m.k, m.v))
    if repeat:
        k, v = (one[:, :, None].expand(b, 2, 2, t, 4).reshape(b, 4, t, 4) for one in (k, v))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=not repeat)
    return m.out(y.transpose(1, 2).reshape(b, t, c))


def interleaved(m, x):
    """Each head's query, key and value beside each other."""
    b, t, c = x.shape
    q, k, v = m.qkv(x).view(b, t, 2, 3 * c // 2).transpose(1, 2).chunk(3, -1)
    return m.out(F.scaled_dot_product_attention(q, k, v, scale=0.1).transpose(1, 2).reshape(b, t, c))


def written_norm(m, x):
    y = m.l(x)
    return x + m.g * (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6))


def language_model(m, ids):
    x = m.table(ids) + m.positions(torch.arange(ids.shape[1]))
    for block in (m.block0, m.block1):
        x = block(x)
    return m.norm(x) @ m.table.weight.T


def patches(m, images):
    x = m.patch(images).flatten(2).transpose(1, 2)
    x = torch.cat([m.token.expand(x.shape[0], -1, -1), x], 1) + m.positions
    return m.head(m.block(x)[:, 0])


def encoder(**more):
    return nn.TransformerEncoderLayer(
        16, 2, 32, dropout=more.pop("dropout", 0.0), activation=more.pop("activation", "gelu"), **more
    )


def linears(**sizes):
    return {name: nn.Linear(*size) for name, size in sizes.items()}


def tokens(b=2, t=6, d=16):
    return torch.randn(b, t, d)


QKV = {"qkv": (16, 48), "out": (16, 16)}
GROUPED = {"q": (16, 16), "k": (16, 8), "v": (16, 8), "out": (16, 16)}
CASES = {
    "mlp": lambda: (nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 10)), torch.randn(6, 16)),
    "an odd batch": lambda: (nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 3)), torch.randn(3, 5)),
    "one sample": lambda: (nn.Sequential(nn.Linear(5, 7), nn.GELU("tanh")), torch.randn(1, 5)),
    "relu": lambda: (nn.Sequential(nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)), torch.randn(4, 8)),
    "written attention": lambda: (Written(), tokens(4)),
    "image attention": lambda: (module(linears(**QKV), image_attention), tokens()),
    "interleaved": lambda: (module(linears(**QKV), interleaved), tokens()),
    "grouped": lambda: (module(linears(**GROUPED), lambda m, x: grouped(m, x, False)), tokens()),
    "repeated": lambda: (module(linears(**GROUPED), lambda m, x: grouped(m, x, True)), tokens()),
    "encoder, norm first": lambda: (encoder(batch_first=True, norm_first=True), tokens()),
    "encoder, norm last": lambda: (encoder(batch_first=True), tokens()),
    "encoder, sequence first": lambda: (encoder(), torch.randn(6, 4, 16)),
    "encoder, evaluated": lambda: (encoder(batch_first=True, dropout=0.1).eval(), tokens()),
    "gated": lambda: (
        module(linears(a=(16, 24), b=(16, 24), c=(24, 16)), lambda m, x: x + m.c(F.silu(m.a(x)) * m.b(x))), tokens()),
    "gated halves": lambda: (
        module(linears(a=(16, 48), c=(24, 5)), lambda m, x: m.c((lambda u, g: u * F.gelu(g))(*m.a(x).chunk(2, -1)))),
        tokens()),
    "rms norm": lambda: (nn.Sequential(nn.RMSNorm(16), nn.Linear(16, 4, bias=False)), tokens()),
    "written norm": lambda: (
        module({**linears(l=(16, 16)), "g": nn.Parameter(torch.rand(16))}, written_norm), tokens()),
    "mean of tokens": lambda: (
        module(linears(a=(16, 8), b=(8, 3)), lambda m, x: m.b(F.gelu(m.a(x)).mean(1))), tokens(4)),
    "language model": lambda: (
        module({"table": nn.Embedding(20, 16), "positions": nn.Embedding(6, 16), "block0": encoder(batch_first=True),
                "block1": Written(), "norm": nn.LayerNorm(16)}, language_model), torch.randint(0, 20, (4, 6))),
    "vision": lambda: (
        module({"patch": nn.Conv2d(1, 16, 4, 4), "token": nn.Parameter(torch.randn(1, 1, 16)),
                "positions": nn.Parameter(torch.randn(1, 5, 16)), "block": encoder(batch_first=True, norm_first=True),
                **linears(head=(16, 10))}, patches), torch.rand(4, 1, 8, 8)),
    "prepared by the host": lambda: (
        module(linears(l=(16, 3)), lambda m, x: m.l((x.flatten(1) / 16 - 0.5).abs())), torch.rand(4, 4, 4)),
    "bias apart": lambda: (
        module({"w": nn.Parameter(torch.randn(8, 5)), "b": nn.Parameter(torch.randn(5))}, lambda m, x: x @ m.w + m.b),
        torch.randn(4, 8)),
    "one table, several layers": lambda: (
        module(linears(l=(8, 8)), lambda m, x: m.l(F.gelu(m.l(x)))), torch.randn(4, 8)),
}  # fmt: skip


def gradients(net, x, weight):
    """The output and the gradients of its weighted sum: of the module's parameters and of the input."""
    x = x.clone().requires_grad_() if x.is_floating_point() else x
    net.zero_grad()
    y = net(x)
    (y * weight).sum().backward()
    found = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    return y.detach(), found | ({"input": x.grad} if x.grad is not None else {})


def compare(net, reference, x, within):
    torch.manual_seed(5)
    weight = torch.randn(reference(x).shape)
    y, found = gradients(net, x, weight)
    wanted_y, wanted = gradients(reference, x, weight)
    assert y.shape == wanted_y.shape and found.keys() == wanted.keys()
    assert (y - wanted_y).norm() <= within * wanted_y.norm()
    largest = max(float(g.abs().max()) for g in wanted.values())
    for name, g in wanted.items():
        # Of some biases of keys the gradient is 0 in theory: rounding is measured against the largest gradient.
        assert (found[name] - g).norm() <= within * (g.norm() + 0.02 * largest * math.sqrt(g.numel())), name


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_are_those_of_pytorch(name):
    torch.manual_seed(0)
    made, x = CASES[name]()
    compare(wafer(made, x, dtype="f32"), made, x, 1e-5)


@pytest.mark.parametrize("dtype, within", [("f16", 3e-3), ("bf16", 3e-2)])
def test_16_bits(dtype, within):
    torch.manual_seed(0)
    made, x = CASES["encoder, norm first"]()
    net = wafer(made, x, dtype=dtype)
    compare(net, made, x, within)
    assert net.seconds > 0 and all(phase.cycles > 1000 and phase.sent and phase.drained for phase in net.run.values())


def test_small_gradients_are_not_lost_in_16_bits():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4))
    x, net = torch.randn(4, 8), wafer(made, torch.randn(4, 8), dtype="f16")
    for size in (1e-9, 1.0, 1e9):
        (net(x) * size).sum().backward()
        got = made[0].weight.grad.clone()
        net.zero_grad()
        (made(x) * size).sum().backward()
        assert (got - made[0].weight.grad).norm() <= 5e-3 * made[0].weight.grad.norm(), size
        net.zero_grad()


def test_batches_of_other_sizes():
    torch.manual_seed(0)
    made, x = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3)), torch.randn(11, 6)
    net = wafer(made, x[:4], dtype="f32")
    for n in (1, 4, 6, 11):
        compare(net, made, x[:n], 1e-5)
    assert net(x[:0]).shape == (0, 3)
    with pytest.raises(ConfigError, match="an input of shape"):
        net(torch.randn(4, 7))


def test_the_stash_of_an_earlier_pass_is_made_again():
    """Two outputs before the first backward pass, and backward in the order of the outputs."""
    torch.manual_seed(0)
    made, a, b = Written(), tokens(2), tokens(2)
    net = wafer(made, a, dtype="f32")
    first, second = net(a).sum(), (net(b) ** 2).sum()
    first.backward()
    second.backward()
    got = made.out.weight.grad.clone()
    made.zero_grad()
    made(a).sum().backward()
    (made(b) ** 2).sum().backward()
    torch.testing.assert_close(got, made.out.weight.grad, rtol=1e-4, atol=1e-5)


def test_a_loop_of_ones_own_gives_the_same_losses():
    torch.manual_seed(0)
    host, x = encoder(batch_first=True, norm_first=True), tokens(4)
    labels = torch.randint(0, 16, (4, 6))
    made = encoder(batch_first=True, norm_first=True)
    made.load_state_dict(host.state_dict())
    net = wafer(made, x)
    losses = []
    for one in (net, host):
        optimizer = torch.optim.AdamW(one.parameters(), lr=1e-2)
        losses.append([])
        for _ in range(5):
            loss = F.cross_entropy(one(x).flatten(0, 1), labels.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert losses[0][-1] < losses[0][0] - 0.1
    np.testing.assert_allclose(*losses, rtol=2e-3)


def test_names_and_state_are_those_of_the_module():
    made = nn.Sequential(nn.Linear(4, 4), nn.GELU())
    net = wafer(made, torch.randn(4, 4), dtype="f32")
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias"] and next(net.parameters()) is made[0].weight
    net.load_state_dict({"0.weight": torch.eye(4), "0.bias": torch.zeros(4)})
    x = torch.randn(4, 4)
    torch.testing.assert_close(net(x), F.gelu(x), rtol=1e-5, atol=1e-6)
    assert not net.eval().training and not made.training and net.train().training and made.training
    assert [o.kind for o in net.graph.operators] == ["input", "linear", "gelu", "output"]


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(16, 16)

    def forward(self, x):
        return self.l(x), x


REFUSED = {
    "dropout": (lambda: encoder(batch_first=True, dropout=0.1), tokens, "dropout of 0.1: set it to 0, or call eval"),
    "batch norm": (lambda: nn.Sequential(nn.Linear(16, 4), nn.BatchNorm1d(4)), lambda: torch.randn(4, 16), "in 1: batch_norm is not"),
    "convolution": (lambda: nn.Conv2d(1, 4, 3, padding=1), lambda: torch.rand(2, 1, 8, 8), "stride = kernel, without padding"),
    "two results": (Two, lambda: torch.randn(4, 16), "Two must return one tensor"),
    "tokens as features": (
        lambda: module(linears(l=(16, 4), m=(24, 3)), lambda m, x: m.m(m.l(x).flatten(1))), tokens,
        "the last dimension must hold the features of one token"),
    "a mask that is not causal": (
        lambda: module(linears(**QKV), lambda m, x: F.scaled_dot_product_attention(
            *m.qkv(x).chunk(3, -1), attn_mask=torch.eye(6, dtype=torch.bool))), tokens, "if they are causal"),
    "a product of activations": (
        lambda: module(linears(a=(16, 8), b=(16, 8)), lambda m, x: m.a(x) * m.b(x)), tokens, "of an activation"),
    "a power": (lambda: module(linears(a=(16, 8)), lambda m, x: m.a(x) ** 3), tokens, "powers of 3"),
    "a scaled activation": (
        lambda: module(linears(a=(16, 8)), lambda m, x: F.gelu(m.a(x)) * 2), tokens, "in the linear layer before it"),
    "two inputs": (
        lambda: module(linears(a=(16, 8), b=(16, 8)), lambda m, x: m.a(x) + m.b(x + 1)), tokens, "a second activation enters"),
    "no weights": (lambda: module({}, lambda m, x: x + 1), tokens, "must return one tensor that the fabric computes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_executed_is_named(name):
    made, x, message = REFUSED[name]
    with pytest.raises(ConfigError, match=message):
        wafer(made(), x())


def test_the_line_is_named():
    made = module(linears(a=(16, 8)), lambda m, x: torch.sin(m.a(x)))
    with pytest.raises(ConfigError, match=r"sin is not executed on the fabric"):
        wafer(made, tokens())


def test_bad_arguments():
    made, x = nn.Linear(4, 4), torch.randn(4, 4)
    with pytest.raises(ConfigError, match="example_inputs are the tensors"):
        wafer(made, ())
    with pytest.raises(ConfigError, match="cannot export"):
        wafer(module(linears(l=(4, 4)), lambda m, x: m.l(x) if float(x.sum()) > 0 else x), x)
    with pytest.raises(ConfigError, match="rows of PEs"):
        wafer(made, x, grid=(1, 3))
    with pytest.raises(MemoryOverflow, match="use a smaller batch, more rows or more columns"):
        wafer(nn.Sequential(*[nn.Linear(128, 128), nn.GELU()] * 3), torch.randn(64, 128), grid=(1, 1))
