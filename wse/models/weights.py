"""Weights of decoders of the Llama family, from GGUF and safetensors files, as float32 under one set of names.

tensor_files.py reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from ..schema import read_json
from .config import Transformer
from .load import from_hugging_face
from .tensor_files import GgufFile, halves, open_gguf, safetensors

# Matrices of a layer: our name, GGUF's, Hugging Face's.
MATRICES = {
    "q": ("attn_q", "self_attn.q_proj"),
    "k": ("attn_k", "self_attn.k_proj"),
    "v": ("attn_v", "self_attn.v_proj"),
    "o": ("attn_output", "self_attn.o_proj"),
    "gate": ("ffn_gate", "mlp.gate_proj"),
    "up": ("ffn_up", "mlp.up_proj"),
    "down": ("ffn_down", "mlp.down_proj"),
    "gains1": ("attn_norm", "input_layernorm"),
    "gains2": ("ffn_norm", "post_attention_layernorm"),
}
WHOLE = {
    "embedding": ("token_embd", "model.embed_tokens"),
    "gains": ("output_norm", "model.norm"),
    "head": ("output", "lm_head"),
}


@dataclass(frozen=True, eq=False)
class Weights:
    """A decoder with its weights.

    config      its shape
    embedding   float32 [vocab, d_model]
    head        float32 [vocab, d_model], None if it is the embedding
    gains       float32 [d_model], of the last norm
    layers      for each layer float32 arrays: q [heads d_head, d_model], k, v [kv_heads d_head, d_model],
                o [d_model, heads d_head], gate, up [d_ff, d_model], down [d_model, d_ff], gains1, gains2 [d_model];
                RoPE turns the two halves of a head, as in Hugging Face's models
    metadata    of a GGUF file, by key, its vocabulary included; empty for others
    """

    config: Transformer
    embedding: np.ndarray
    head: np.ndarray | None
    gains: np.ndarray
    layers: tuple[Mapping[str, np.ndarray], ...]
    metadata: Mapping[str, Any]

    @property
    def count(self) -> int:
        """Number of weights."""
        arrays = [self.embedding, self.gains, *(a for layer in self.layers for a in layer.values())]
        return sum(a.size for a in arrays) + (0 if self.head is None else self.head.size)


def read_weights(path: Path) -> Weights:
    """The weights of a GGUF file, of a safetensors file beside its config.json, or of a folder with both.

    ConfigError for another kind of file, a missing package, a missing or superfluous tensor, a wrong shape, and a model
    whose layers are not those of Llama.
    """
    if path.is_dir():
        found = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.gguf"))
        if not found:
            raise ConfigError(f"{path} holds no *.safetensors and no *.gguf")
        if found[0].suffix == ".gguf":
            if len(found) > 1:
                raise ConfigError(f"{path} holds {len(found)} GGUF files: name one of them")
            return read_weights(found[0])
        return _safetensors(found, path)
    if path.suffix == ".gguf":
        return _gguf(path)
    if path.suffix == ".safetensors":
        return _safetensors([path], path.parent)
    raise ConfigError(f"{path}: weights are a .gguf file, a .safetensors file beside its config.json, or a folder")


def differences(config: Transformer) -> list[str]:
    """In what the model differs from the decoders that `Weights` describes; empty if it is one."""
    return [
        what
        for what, wrong in (
            (f"body is {config.body}", config.body != "decoder"),
            (f"norm is {config.norm}, at {config.norm_at}", (config.norm, config.norm_at) != ("rms", "before")),
            ("the MLP is not gated by silu", not (config.gated and config.activation == "silu")),
            (f"positions are {config.positions}", config.positions != "rotary"),
            (f"RoPE turns {config.rotary} of {config.d_head} features", config.rotary not in (0, config.d_head)),
            ("RoPE is scaled", bool(config.rope_scaling)),
            ("some layers have no RoPE", not all(config.rotary_layers)),
            ("products have a bias", bool(config.bias or config.attention_bias or config.output_bias)),
            ("the head has a bias, or is missing", config.head_bias or config.head != "logits"),
            ("a norm of the embedding, or none before the head", config.embedding_norm or not config.final_norm),
            ("the embedding has other features", config.d_embedding not in (0, config.d_model)),
            (f"settings {', '.join(key for key, _ in config.numerics)}", bool(config.numerics)),
            (f"norms of queries and keys ({config.qk_norm})", config.qk_norm != "none"),
            ("attention has a window", any(0 < window < config.sequence for window in config.windows)),
            ("attention and MLP are parallel", bool(config.parallel)),
            (f"{config.experts} experts", config.experts > 1),
            ("latent attention", config.kv_rank > 0),
            ("attention has sinks", bool(config.sinks)),
        )
        if wrong
    ]


def check_supported(config: Transformer) -> None:
    """ConfigError unless the model is a decoder as `Weights` describes it, naming what differs."""
    differs = differences(config)
    if differs:
        raise ConfigError(
            f"{config.name or 'the model'} is not of the kind that is generated with (the layers of Llama): "
            + "; ".join(differs)
        )


def _collect(
    config: Transformer, names: Mapping[str, tuple[int, ...]], read: Callable[[str], np.ndarray], side: int, where: str
) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """The arrays under our names.  names: shapes by the file's names.  side: 0 GGUF, 1 Hugging Face."""
    d, f = config.d_model, config.d_ff
    heads, kv = config.heads * config.d_head, config.kv_heads * config.d_head
    shapes: dict[str, tuple[int, ...]] = {
        "q": (heads, d),
        "k": (kv, d),
        "v": (kv, d),
        "o": (d, heads),
        "gate": (f, d),
        "up": (f, d),
    }
    shapes |= {"down": (d, f), "gains1": (d,), "gains2": (d,), "gains": (d,)}
    shapes |= dict.fromkeys(("embedding", "head"), (config.vocab, d))
    prefix = ("blk", "model.layers")[side]
    wanted: dict[str, tuple[str, int | None]] = {f"{found[side]}.weight": (ours, None) for ours, found in WHOLE.items()}
    for i in range(config.layers):
        wanted |= {f"{prefix}.{i}.{found[side]}.weight": (ours, i) for ours, found in MATRICES.items()}
    if config.tied:
        wanted.pop(f"{WHOLE['head'][side]}.weight", None)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ConfigError(f"{where} has no tensor {missing[0]} ({len(missing)} of {len(wanted)} are missing)")
    known = re.compile(r"rope_freqs|rotary_emb\.inv_freq|^lm_head\.weight$|^output\.weight$")
    beyond = [name for name in names if name not in wanted and not known.search(name)]
    if beyond:
        raise ConfigError(f"{where} has a tensor {beyond[0]} that a model of this kind does not use")
    if side == 0 and any("rope_freqs" in name for name in names):
        raise ConfigError(f"{where} scales RoPE by a tensor rope_freqs, which is not supported")
    whole: dict[str, np.ndarray] = {}
    layers: list[dict[str, np.ndarray]] = [{} for _ in range(config.layers)]
    for name, (ours, layer) in wanted.items():
        if tuple(names[name]) != shapes[ours]:
            raise ConfigError(f"{where}: {name} has the shape {tuple(names[name])}, not {shapes[ours]}")
        value = np.ascontiguousarray(read(name), np.float32)
        if not np.isfinite(value).all():
            raise ConfigError(f"{where}: {name} holds values that are no finite numbers")
        (whole if layer is None else layers[layer])[ours] = value
    return whole, layers


def _made(config: Transformer, whole: dict[str, np.ndarray], layers: list, metadata: Mapping[str, Any]) -> Weights:
    return Weights(config, whole["embedding"], whole.get("head"), whole["gains"], tuple(layers), metadata)


# --- files ------------------------------------------------------------------------------------------------------------


def _config_of(file: GgufFile) -> Transformer:
    name = str(file.metadata.get("general.name", file.path.stem))
    return from_hugging_face(file.config(("llama",)), name, str(file.path))


def read_gguf_config(path: Path) -> Transformer:
    """The shape of a GGUF file's model.  ConfigError as `read_weights`."""
    return _config_of(open_gguf(path))


def _gguf(path: Path) -> Weights:
    file = open_gguf(path)
    config = _config_of(file)
    check_supported(config)

    def read(name: str) -> np.ndarray:
        value, kind = file.read(name), re.search(r"attn_([qk])\.weight$", name)
        return halves(value, config.heads if kind[1] == "q" else config.kv_heads) if kind else value

    whole, layers = _collect(config, file.shapes, read, 0, str(path))
    return _made(config, whole, layers, {**file.metadata, **file.vocabulary()})


def _safetensors(files: list[Path], folder: Path) -> Weights:
    config = from_hugging_face(read_json(folder / "config.json", "model", infinite=True), folder.name, str(folder))
    check_supported(config)
    places = {name: place for file in files for name, place in safetensors(file).items()}
    shapes = {name: place.shape for name, place in places.items()}
    whole, layers = _collect(config, shapes, lambda name: places[name].read(), 1, str(folder))
    return _made(config, whole, layers, {})
