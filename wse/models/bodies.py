"""`graph`: the operator graph of a configuration; bodies other than decoders and encoders of text."""

from __future__ import annotations

from .builder import STD, Builder
from .config import Transformer
from .graph import Graph, Parameter, Tensor

TIME_FEATURES = 256  # sines and cosines of a diffusion model's time


def graph(model: Transformer) -> Graph:
    """The operator graph of a configuration.

    Inputs are "ids", or "pixels" and "time" for models of images.  The last output is "loss", or without a head
    that of the last norm or the pooler.
    """
    return BODIES.get(model.body, Builder)(model).build()


class StateSpace(Builder):
    """Mamba 2: a layer is a norm, a projection, a convolution over tokens, a scan, a gated norm and a projection."""

    def block(self, x: str, name: str) -> str:
        """A layer."""
        m = self.model
        self.group = "attention"
        bias = bool(m.attention_bias)
        normed = self.norm(f"{name}.norm1", x)
        gate = self.linear(f"{name}.mixer.gate", normed, m.d_attention, bias)
        mixed = self.linear(f"{name}.mixer.in", normed, m.d_conv, bias)
        steps = self.linear(f"{name}.mixer.steps", normed, m.heads, bias)
        taps = {"weight": Parameter(f"{name}.mixer.conv.weight", (m.d_conv, m.conv), "normal", STD)}
        if m.conv_bias:
            taps["bias"] = Parameter(f"{name}.mixer.conv.bias", (m.d_conv,))
        mixed = self.add(f"{name}.mixer.conv", "conv", [mixed], m.d_conv, taps, taps=m.conv)
        shape = {"heads": m.heads, "d_head": m.d_head, "state": m.state, "groups": m.groups}
        of_heads = {
            role: Parameter(f"{name}.mixer.{role}", (m.heads,), "ones") for role in ("rate", "skip", "step_bias")
        }
        y = self.add(f"{name}.mixer.scan", "scan", [mixed, steps], m.d_attention, of_heads, **shape)
        y = self.add(f"{name}.mixer.silu", "silu_gate", [gate, y], m.d_attention)
        y = self.linear(f"{name}.mixer.out", self.norm(f"{name}.mixer.norm", y), m.d_model, bias)
        return self.add(f"{name}.residual1", "residual", [x, y], m.d_model)


class EncoderDecoder(Builder):
    """T5: layers of the encoder, then of the decoder, which also attend to the encoder's result.

    Both sequences are as long as `sequence`.  Attention adds a bias by distance, from one table for the encoder and one
    for the decoder.
    """

    def build(self) -> Graph:
        """The graph."""
        m = self.model
        self.tables = {
            side: Parameter(f"{side}.relative.weight", (m.relative_buckets, m.heads), "normal", STD)
            for side in ("encoder", "decoder")
        }
        table = Parameter("embedding.weight", (m.vocab, m.d_model), "normal", STD)
        x = self.blocks(self.embed(table), range(m.encoder_layers), "encoder.layers")
        self.encoded = self.norm("encoder.norm", x)
        self.group, self.layer = "embedding", None
        x = self.add("decoder.embedding", "embedding", ["ids"], m.d_model, {"weight": table})
        x = self.blocks(x, range(m.encoder_layers, m.layers), "decoder.layers", m.encoder_layers)
        self.group, self.layer = "head", None
        self.logits(self.norm("decoder.norm", x), table)
        return Graph(m, tuple(self.operators), self.tensors)

    def block(self, x: str, name: str) -> str:
        """A layer: attention, of the decoder also to the encoder's result, MLP."""
        assert self.layer is not None
        encodes = self.model.block(self.layer).encodes
        self.group = "attention"
        table = {"relative": self.tables["encoder" if encodes else "decoder"]}
        normed = self.norm(f"{name}.norm1", x)
        mixed = self.attend(f"{name}.attention", normed, normed, table, not encodes)
        x = self.add(f"{name}.residual1", "residual", [x, mixed], self.model.d_model)
        if not encodes:
            normed = self.norm(f"{name}.norm_cross", x)
            mixed = self.attend(f"{name}.cross", normed, self.encoded, {}, False)
            x = self.add(f"{name}.residual_cross", "residual", [x, mixed], self.model.d_model)
        self.group = "mlp"
        mixed = self.mlp(f"{name}.mlp", self.norm(f"{name}.norm2", x))
        return self.add(f"{name}.residual2", "residual", [x, mixed], self.model.d_model)

    def attend(self, name: str, x: str, to: str, table: dict[str, Parameter], causal: bool) -> str:
        """Attention of x to the tokens of another tensor, or its own."""
        m = self.model
        q = self.linear(f"{name}.q", x, m.d_attention, False)
        k, v = (self.linear(f"{name}.{role}", to, m.d_kv, False) for role in "kv")
        shape = {"heads": m.heads, "kv_heads": m.kv_heads, "d_head": m.d_head, "causal": causal, "alibi": False}
        y = self.add(f"{name}.scores", "attention", [q, k, v], m.d_attention, table, **shape)
        return self.linear(f"{name}.o", y, m.d_model, False)


class Vision(Builder):
    """ViT: the tokens are one for the whole image, then the patches."""

    def embed(self, table: Parameter) -> str:
        """Patches as tokens."""
        m = self.model
        self.tensors["pixels"] = Tensor("pixels", m.patch**2 * m.channels)
        x = self.linear("embedding.patches", "pixels", m.d_model, True)
        x = self.add("embedding.token", "token", [x], m.d_model, {"weight": Parameter("embedding.token", (m.d_model,))})
        weight = Parameter("positions.weight", (m.sequence, m.d_model), "normal", STD)
        return self.add("positions", "positions", [x], m.d_model, {"weight": weight}, sequence=m.sequence)

    def logits(self, x: str, table: Parameter) -> None:
        """Logits of the classes, from the token of the whole image."""
        classes = self.linear("head", x, self.model.vocab, True, once=True)
        self.add("loss", "loss", [classes], 1, None, once=True)


class Diffusion(Builder):
    """DiT: tokens are patches of a latent image; time and label condition scales, shifts and gates of each layer.

    The conditioning is embedded once for all layers, as in the paper.  Positions are a fixed table.
    """

    def build(self) -> Graph:
        """The graph."""
        m = self.model
        d = m.d_model
        self.tensors |= {
            "pixels": Tensor("pixels", m.patch**2 * m.channels),
            "time": Tensor("time", TIME_FEATURES),
        }
        x = self.linear("embedding.patches", "pixels", d, True)
        time = self.linear("condition.time", "time", d, True, once=True)
        time = self.add("condition.silu", "silu", [time], d, None, once=True)
        time = self.linear("condition.time_out", time, d, True, once=True)
        labels = {"weight": Parameter("condition.label.weight", (m.vocab, d), "normal", STD)}
        label = self.add("condition.label", "embedding", ["ids"], d, labels, once=True)
        both = self.add("condition.sum", "residual", [time, label], d, None, once=True)
        self.condition = self.add("condition", "silu", [both], d, None, once=True)
        x = self.blocks(x, range(m.layers))
        self.group, self.layer = "head", None
        x = self.modulated("norm", x, self.linear("head.condition", self.condition, 2 * d, True, once=True))
        y = self.linear("head", x, m.patch**2 * m.out_channels, True)
        self.add("loss", "loss", [y], 1)
        return Graph(m, tuple(self.operators), self.tensors)

    def block(self, x: str, name: str) -> str:
        """A layer: attention and MLP, each between a modulated norm and a gate."""
        d = self.model.d_model
        self.group = "attention"
        c = self.linear(f"{name}.condition", self.condition, 6 * d, True, once=True)
        y = self.attention(f"{name}.attention", self.modulated(f"{name}.norm1", x, c))
        y = self.add(f"{name}.gate1", "modulate", [y, c], d)
        x = self.add(f"{name}.residual1", "residual", [x, y], d)
        self.group = "mlp"
        y = self.mlp(f"{name}.mlp", self.modulated(f"{name}.norm2", x, c))
        y = self.add(f"{name}.gate2", "modulate", [y, c], d)
        return self.add(f"{name}.residual2", "residual", [x, y], d)

    def modulated(self, name: str, x: str, c: str) -> str:
        """A norm without gain and bias, scaled and shifted by the condition."""
        d = self.model.d_model
        y = self.add(name, "layernorm", [x], d, None, eps=self.model.norm_eps)
        return self.add(f"{name}.modulate", "modulate", [y, c], d)


BODIES: dict[str, type[Builder]] = {
    "state-space": StateSpace,
    "encoder-decoder": EncoderDecoder,
    "vision": Vision,
    "diffusion": Diffusion,
}
