"""Weights of decoders of the Llama family, from GGUF and safetensors files, as float32 under one set of names.

GGUF is read, and its blocks are dequantised, by the package gguf; safetensors by the package of that name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from ..schema import read_json
from .config import Transformer
from .load import from_hugging_face

EXTRA = "install it with: pip install 'wse[generate]'"
LISTS = tuple(f"tokenizer.ggml.{name}" for name in ("tokens", "token_type", "merges", "scores"))  # of a vocabulary
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


# --- GGUF -------------------------------------------------------------------------------------------------------------


def _reader(path: Path) -> tuple[Any, dict[str, Any], dict[str, tuple[int, ...]]]:
    """A GGUF file's reader, its metadata without the vocabulary's lists, and the shapes of its tensors."""
    try:
        import gguf
    except ImportError:
        raise ConfigError(f"{path} is a GGUF file; the package gguf reads it: {EXTRA}") from None
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        reader = gguf.GGUFReader(path)
    except Exception as error:
        raise ConfigError(f"{path} is no readable GGUF file: {error}") from None
    metadata = {key: field.contents() for key, field in reader.fields.items() if key not in LISTS}
    return reader, metadata, {t.name: tuple(int(n) for n in reversed(t.shape)) for t in reader.tensors}


def read_gguf_config(path: Path) -> Transformer:
    """The shape of a GGUF file's model.  ConfigError as `read_weights`."""
    _, metadata, names = _reader(path)
    return _from_metadata(metadata, names, path)


def _gguf(path: Path) -> Weights:
    import gguf

    reader, metadata, names = _reader(path)
    metadata |= {key: reader.fields[key].contents() for key in LISTS if key in reader.fields}
    config = _from_metadata(metadata, names, path)
    check_supported(config)
    tensors = {t.name: t for t in reader.tensors}

    def read(name: str) -> np.ndarray:
        tensor = tensors[name]
        try:
            value = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise ConfigError(f"{path}: {name} is of type {tensor.tensor_type.name}: {error}") from None
        value = value.reshape(tuple(reversed([int(n) for n in tensor.shape])))
        kind = re.search(r"attn_([qk])\.weight$", name)
        return _halves(value, config.heads if kind[1] == "q" else config.kv_heads) if kind else value

    whole, layers = _collect(config, names, read, 0, str(path))
    return _made(config, whole, layers, metadata)


def _halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Queries or keys in the order of halves: GGUF's Llama has the two that RoPE turns together side by side."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def _from_metadata(metadata: Mapping[str, Any], names: Mapping[str, tuple[int, ...]], path: Path) -> Transformer:
    kind = metadata.get("general.architecture")
    if kind != "llama":
        raise ConfigError(f"{path} holds a model of the architecture {kind!r}; llama is supported")

    def get(key: str, otherwise: Any = None) -> Any:
        value = metadata.get(f"llama.{key}", otherwise)
        if value is None:
            raise ConfigError(f"{path} has no key llama.{key}")
        return value

    scaling = metadata.get("llama.rope.scaling.type", "none")
    if scaling != "none":
        raise ConfigError(f"{path} scales RoPE ({scaling}), which is not supported")
    heads, d = int(get("attention.head_count")), int(get("embedding_length"))
    values = {
        "model_type": "llama",
        "num_hidden_layers": int(get("block_count")),
        "hidden_size": d,
        "intermediate_size": int(get("feed_forward_length")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(get("attention.head_count_kv", heads)),
        "head_dim": int(get("attention.key_length", get("rope.dimension_count", d // heads))),
        "vocab_size": names.get("token_embd.weight", (0,))[0],
        "max_position_embeddings": int(get("context_length")),
        "rms_norm_eps": float(get("attention.layer_norm_rms_epsilon")),
        "rope_theta": float(get("rope.freq_base", 10000.0)),
        "hidden_act": "silu",
        "tie_word_embeddings": "output.weight" not in names,
    }
    return from_hugging_face(values, str(metadata.get("general.name", path.stem)), str(path))


# --- safetensors ------------------------------------------------------------------------------------------------------


def _safetensors(files: list[Path], folder: Path) -> Weights:
    try:
        from safetensors import safe_open
    except ImportError:
        raise ConfigError(f"{files[0]}: the package safetensors reads it: {EXTRA}") from None
    config = from_hugging_face(read_json(folder / "config.json", "model", infinite=True), folder.name, str(folder))
    check_supported(config)
    shapes: dict[str, tuple[int, ...]] = {}
    source: dict[str, Path] = {}
    for file in files:
        for name, tensor in _tensors(safe_open, file):
            shapes[name] = tuple(tensor)
            source[name] = file

    def read(name: str) -> np.ndarray:
        try:
            with safe_open(source[name], "numpy") as opened:
                return np.asarray(opened.get_tensor(name), np.float32)
        except TypeError:  # bf16, which NumPy has not
            return _bf16(source[name], name)

    whole, layers = _collect(config, shapes, read, 1, str(folder))
    return _made(config, whole, layers, {})


def _tensors(safe_open: Any, file: Path) -> Iterator[tuple[str, list[int]]]:
    try:
        with safe_open(file, "numpy") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                yield name, opened.get_slice(name).get_shape()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    except Exception as error:  # its own class
        raise ConfigError(f"{file} is no readable safetensors file: {error}") from None


def _bf16(file: Path, name: str) -> np.ndarray:
    from safetensors import deserialize

    for found, tensor in deserialize(file.read_bytes()):
        if found == name:
            bits = np.frombuffer(tensor["data"], "<u2").astype(np.uint32) << 16
            return bits.view(np.float32).reshape(tensor["shape"])
    raise ConfigError(f"{file} has no tensor {name}")
