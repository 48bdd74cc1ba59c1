"""A small vision transformer on scikit-learn's digits: the same loop with a module and with wafer(module).

    python digits.py --epochs 10            # the losses of both, epoch by epoch

Needs pip install 'wse[torch,digits]'.
"""

import argparse
import copy

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from wse.torch import wafer


class VisionTransformer(nn.Module):
    """16 patches of 2 x 2 pixels and a class token, `layers` encoder layers of width d."""

    def __init__(self, d=32, heads=4, layers=2):
        super().__init__()
        self.patches = nn.Conv2d(1, d, kernel_size=2, stride=2)
        self.token = nn.Parameter(torch.zeros(1, 1, d))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 17, d))
        layer = nn.TransformerEncoderLayer(
            d, heads, 2 * d, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 10)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.encoder(x))[:, 0])


def train(net, images, labels, epochs, batch, seed=0):
    """A loop as for any module.  Yields the mean loss of each epoch."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        losses = []
        for chosen in torch.from_numpy(order.permutation(len(images))).split(batch):
            loss = nn.functional.cross_entropy(net(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        yield float(np.mean(losses))


def accuracy(net, images, labels):
    """Share of images whose label is the greatest output."""
    with torch.no_grad():
        return float((net(images).argmax(1) == labels).float().mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=1437, help="of training; the rest is for the accuracy")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dtype", default="f16")
    given = parser.parse_args()
    data = load_digits()
    images = torch.from_numpy(data.images / 16).float()[:, None]
    labels = torch.from_numpy(data.target)
    n = given.images
    torch.manual_seed(0)
    host = VisionTransformer(layers=given.layers)
    module = copy.deepcopy(host)
    net = wafer(module, images[: given.batch], dtype=given.dtype)
    print(f"{'epoch':>5}  {'fabric':>8}  {'PyTorch':>8}  difference")
    runs = (train(one, images[:n], labels[:n], given.epochs, given.batch) for one in (net, host))
    for epoch, (ours, theirs) in enumerate(zip(*runs, strict=True), 1):
        print(f"{epoch:5}  {ours:8.4f}  {theirs:8.4f}  {ours - theirs:+10.4f}", flush=True)
    rest = slice(n, n + 360)
    print(
        f"accuracy {accuracy(net, images[rest], labels[rest]):.3f} and {accuracy(host, images[rest], labels[rest]):.3f}"
    )
    cycles = {name: phase.cycles for name, phase in net.run.items()}
    print(f"last passes: {cycles['forward']:,} cycles forward, {cycles['backward']:,} backward")


if __name__ == "__main__":
    main()
