"""`graph`: the operator graph of a configuration; the bodies that are no decoder and no encoder of text."""

from __future__ import annotations

from .builder import STD, Builder
from .config import Transformer
from .graph import Graph, Parameter


def graph(model: Transformer) -> Graph:
    """The operator graph of a configuration; the input is "ids", or "pixels" of a vision model, the last output "loss".

    A model without a head ends with its last norm, or the pooler.
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


BODIES: dict[str, type[Builder]] = {"state-space": StateSpace}
