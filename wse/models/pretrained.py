"""Pretrained models: a configuration with the tensors of a Hugging Face folder, a safetensors file or a GGUF file.

Tensors are read one at a time.  A file must have exactly the tensors of its model: one that is missing, has another
shape or is not known is an error that names it.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, did_you_mean
from ..records import dataclass
from ..schema import read_json
from .config import Transformer
from .graph import Graph
from .load import from_hugging_face
from .names import NEUTRAL, config_of, entries

EXTRA = "pip install 'wse[generate]'"
INDEX = "model.safetensors.index.json"
# Files of a tokenizer, which an export copies.
TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"),
    *("tokenizer.model", "added_tokens.json", "chat_template.jinja"),
)
_HEADER_LIMIT = 100_000_000  # bytes, as the format's own readers have it


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model in files.

    config      the contents of its config.json
    where       the path, for messages
    folder      of config.json and of the tokenizer; None for a GGUF file
    shapes      of the tensors, by Hugging Face's names
    read        name -> float32 array
    metadata    of a GGUF file, by key, its tokenizer included
    """

    config: dict[str, Any]
    where: str
    folder: Path | None
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]
    metadata: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The model_type."""
        return str(self.config.get("model_type", ""))

    def model(self) -> Transformer:
        """The configuration.  Errors as `load`."""
        name = self.folder.name if self.folder is not None else Path(self.where).stem
        return from_hugging_face(self.config, name, self.where)

    def weights(self, graph: Graph, whole: Graph) -> Iterator[tuple[str, np.ndarray]]:
        """(name, float32 array) of all parameters of a graph, read one tensor at a time.

        whole: the graph of the files' whole model, of which `graph` may have the first layers only.  Raises ConfigError
        for tensors that are missing, not known or of another shape, and for values that are not finite.
        """
        wanted = entries(graph, self.type)
        names = {entry.name: self._found(entry.name) for entry in wanted}
        known = {self._found(entry.name) for entry in entries(whole, self.type)}
        lacking = [name for name in names if names[name] not in self.shapes]
        if lacking:
            raise ConfigError(
                f"{self.where} has no tensor {lacking[0]} ({len(lacking)} of {len(names)} are missing): "
                f"{did_you_mean(lacking[0], self.shapes, most=0) or 'is it of this model?'}"
            )
        for name in self.shapes:
            head = self._found("lm_head.weight") == name and whole.model.tied
            if name not in known and not NEUTRAL.search(name) and not head:
                raise ConfigError(f"{self.where} has a tensor {name}, which a {self.type} of its config.json does not")
        for entry in wanted:
            name = names[entry.name]
            if tuple(self.shapes[name]) != entry.shape:
                raise ConfigError(
                    f"{self.where}: {name} is {list(self.shapes[name])}, but by config.json must be {list(entry.shape)}"
                )
            value = self.read(name)
            if not np.isfinite(value).all():
                raise ConfigError(f"{self.where}: {name} has values that are not finite")
            for ours, part in zip(entry.ours, entry.split(value), strict=True):
                yield ours, np.ascontiguousarray(part, np.float32)

    def _found(self, name: str) -> str:
        """The name in the files, which may lack the first part: files of base models do."""
        short = name.partition(".")[2]
        return short if name not in self.shapes and short in self.shapes else name


def open_pretrained(path: Path | str) -> Pretrained:
    """A folder with config.json and *.safetensors, such a .safetensors file beside its config.json, or a .gguf file.

    Raises ConfigError for anything else, and for a package that is not installed.
    """
    path = Path(path)
    if path.suffix == ".gguf":
        return _gguf(path)
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if (path / INDEX).exists():
            index = read_json(path / INDEX, "index of tensors")
            table = index.get("weight_map") if isinstance(index, dict) else None
            if not isinstance(table, dict) or not all(isinstance(file, str) for file in table.values()):
                raise ConfigError(f"{path / INDEX} has no weight_map of tensors and files")
            files = [path / name for name in sorted(set(table.values()))]
        if not files:
            others = sorted(path.glob("*.gguf"))
            if len(others) == 1:
                return _gguf(others[0])
            binary = "; files of pickled tensors are not read" if any(path.glob("*.bin")) else ""
            raise ConfigError(f"{path} holds no *.safetensors{binary}: give a model's folder, or a .gguf file")
        return _safetensors(files, path)
    if path.suffix == ".safetensors":
        return _safetensors([path], path.parent)
    raise ConfigError(f"{path} is no model: give a folder of one, a .safetensors file or a .gguf file")


# --- safetensors ------------------------------------------------------------------------------------------------------


def _safetensors(files: list[Path], folder: Path) -> Pretrained:
    config = read_json(folder / "config.json", "model", infinite=True)
    if not isinstance(config, dict):
        raise ConfigError(f"{folder / 'config.json'} must be a JSON object of keys and values")
    places: dict[str, _Place] = {}
    for file in files:
        for name, place in _header(file).items():
            if name in places:
                raise ConfigError(f"{file} and {places[name].file} both have the tensor {name}")
            places[name] = place
    return Pretrained(
        config, str(folder), folder, {name: p.shape for name, p in places.items()}, lambda name: places[name].read(), {}
    )


@dataclass(frozen=True)
class _Place:
    """A tensor of a safetensors file: dtype, shape, begin and end of its bytes in the file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def read(self) -> np.ndarray:
        """float32."""
        data = np.memmap(self.file, np.uint8, "r")[self.begin : self.end] if self.end > self.begin else b""
        if self.dtype == "BF16":
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(self.shape)
        return np.frombuffer(data, _DTYPES[self.dtype]).astype(np.float32).reshape(self.shape)


_DTYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
_SIZES = {"F32": 4, "F16": 2, "F64": 8, "BF16": 2}


def _header(file: Path) -> dict[str, _Place]:
    """The tensors of a file, checked."""
    try:
        size = file.stat().st_size
        with open(file, "rb") as opened:
            length = struct.unpack("<Q", opened.read(8))[0]
            if length > min(_HEADER_LIMIT, size - 8):
                raise ValueError
            table = json.loads(opened.read(length))
        table.pop("__metadata__", None)
        found = {}
        for name, entry in table.items():
            shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
            dtype = entry["dtype"]
            if dtype not in _SIZES:
                raise ConfigError(f"{file}: {name} is of type {dtype}; read are {', '.join(_SIZES)}")
            count = int(np.prod(shape, dtype=np.int64))
            if end - begin != count * _SIZES[dtype] or not 0 <= begin <= end <= size - 8 - length:
                raise ValueError
            found[name] = _Place(file, dtype, shape, 8 + length + begin, 8 + length + end)
        return found
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{file} is no readable safetensors file") from None


# --- GGUF -------------------------------------------------------------------------------------------------------------

# Tensors of GGUF files of Llama's kind, in Hugging Face's names; N is the number of the layer.
_GGUF = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "blk.N.attn_norm": "model.layers.N.input_layernorm",
    "blk.N.ffn_norm": "model.layers.N.post_attention_layernorm",
    **{f"blk.N.attn_{x}": f"model.layers.N.self_attn.{x}_proj" for x in "qkv"},
    "blk.N.attn_output": "model.layers.N.self_attn.o_proj",
    "blk.N.attn_q_norm": "model.layers.N.self_attn.q_norm",
    "blk.N.attn_k_norm": "model.layers.N.self_attn.k_norm",
    **{f"blk.N.ffn_{x}": f"model.layers.N.mlp.{x}_proj" for x in ("gate", "up", "down")},
}
_ARCHITECTURES = ("llama", "qwen2", "qwen3")


def _gguf(path: Path) -> Pretrained:
    try:
        import gguf
    except ImportError:
        raise ConfigError(f"{path} is a GGUF file, which the package gguf reads: {EXTRA}") from None
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        reader = gguf.GGUFReader(path)
        metadata = {key: found.contents() for key, found in reader.fields.items()}
    except Exception as error:  # whatever a damaged file makes of it
        raise ConfigError(f"{path} is no readable GGUF file: {error}") from None
    shapes, tensors = {}, {}
    for tensor in reader.tensors:
        name = _theirs(tensor.name)
        if name is None:
            raise ConfigError(f"{path} has a tensor {tensor.name}, which is not supported")
        tensors[name], shapes[name] = tensor, tuple(int(n) for n in reversed(tensor.shape))
    config = _config(metadata, shapes, path)

    def read(name: str) -> np.ndarray:
        tensor = tensors[name]
        try:
            value = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise ConfigError(f"{path}: {tensor.name} is of type {tensor.tensor_type.name}: {error}") from None
        value = np.asarray(value, np.float32).reshape(shapes[name])
        turned = re.search(r"self_attn\.([qk])_proj", name)
        if turned and config["model_type"] == "llama":
            heads = config["num_attention_heads" if turned[1] == "q" else "num_key_value_heads"]
            # GGUF's Llama has the two features that are rotated together side by side.
            value = value.reshape(heads, -1, 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
        return value

    return Pretrained(config, str(path), None, shapes, read, metadata)


def _theirs(name: str) -> str | None:
    number = re.match(r"blk\.(\d+)\.", name)
    prefix, _, role = name.rpartition(".")
    found = _GGUF.get(re.sub(r"^blk\.\d+\.", "blk.N.", prefix))
    return None if found is None else f"{found.replace('.N.', f'.{number[1]}.') if number else found}.{role}"


def _config(metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], path: Path) -> dict[str, Any]:
    kind = metadata.get("general.architecture")
    if kind not in _ARCHITECTURES:
        raise ConfigError(f"{path} holds a model of architecture {kind!r}; read are {', '.join(_ARCHITECTURES)}")

    def get(key: str, otherwise: Any = None) -> Any:
        value = metadata.get(f"{kind}.{key}", otherwise)
        if value is None:
            raise ConfigError(f"{path} has no key {kind}.{key}")
        return value

    if metadata.get(f"{kind}.rope.scaling.type", "none") != "none":
        raise ConfigError(f"{path} scales rotary positions, which is not read from GGUF: use the model's safetensors")
    heads = int(get("attention.head_count"))
    values = {
        "model_type": kind,
        "num_hidden_layers": int(get("block_count")),
        "hidden_size": int(get("embedding_length")),
        "intermediate_size": int(get("feed_forward_length")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(get("attention.head_count_kv", heads)),
        "head_dim": int(get("attention.key_length", int(get("embedding_length")) // heads)),
        "vocab_size": shapes.get("model.embed_tokens.weight", (0,))[0],
        "max_position_embeddings": int(get("context_length")),
        "rms_norm_eps": float(get("attention.layer_norm_rms_epsilon")),
        "rope_theta": float(get("rope.freq_base", 10000.0)),
        "hidden_act": "silu",
        "tie_word_embeddings": "lm_head.weight" not in shapes,
    }
    values["architectures"] = [{"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[kind] + "ForCausalLM"]
    return values


# --- export -----------------------------------------------------------------------------------------------------------


def export(
    folder: Path | str,
    graph: Graph,
    weights: Callable[[str], np.ndarray],
    source: Pretrained | None = None,
    rows: np.ndarray | None = None,
) -> None:
    """Writes a model as Hugging Face has it: config.json, model.safetensors in float32, the source's tokenizer.

    weights: name -> float32 array.  source: the model that it was made from; None for one of this package's own.  rows:
    int [vocab of graph], the tokens of the source that the graph's vocabulary has: other rows of the tables are the
    source's.  Raises ConfigError if the folder holds a model already, if no model type describes the model, and if the
    package safetensors is missing.
    """
    try:
        from safetensors.numpy import save_file
    except ImportError:
        raise ConfigError(f"exporting takes the package safetensors: {EXTRA}") from None
    folder, model = Path(folder), graph.model
    check_folder(folder)
    config = dict(config_of(model) if source is None else source.config)
    if source is None:
        again = from_hugging_face(config, model.name).but(
            sequence=model.sequence, extra_positions=model.extra_positions
        )
        if again.but(name=model.name, source=model.source) != model:
            raise ConfigError(f"no Hugging Face model type that is exported describes {model.name}")
    else:
        config = _cut(config, source, model)
    tensors = {}
    for entry in entries(graph, str(config["model_type"])):
        parts = [np.asarray(weights(name)) for name in entry.ours]
        if (
            rows is not None
            and source is not None
            and parts[0].shape[:1] == (model.vocab,)
            and _is_table(entry.ours[0])
        ):
            whole = entry.split(source.read(source._found(entry.name)))[0].copy()
            whole[rows] = parts[0]
            parts = [whole]
        tensors[entry.name] = np.ascontiguousarray(entry.join(parts), np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if source is not None and source.folder is not None:
        for name in TOKENIZER:
            if (source.folder / name).is_file():
                shutil.copyfile(source.folder / name, folder / name)


def check_folder(folder: Path) -> None:
    """ConfigError if the folder of an export is not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not an empty folder: export to another one")


def _is_table(name: str) -> bool:
    return name in ("embedding.weight", "head.weight", "head.bias")


def _cut(config: dict[str, Any], source: Pretrained, model: Transformer) -> dict[str, Any]:
    """The source's configuration with the number of layers of the model."""
    whole = source.model().layers
    for key in ("num_hidden_layers", "n_layer"):
        if key in config:
            config[key] = model.layers
    for key in ("layer_types", "no_rope_layers"):
        if isinstance(config.get(key), list) and len(config[key]) == whole:
            config[key] = config[key][: model.layers]
    if "max_window_layers" in config and isinstance(config["max_window_layers"], int):
        config["max_window_layers"] = min(config["max_window_layers"], model.layers)
    return config | {"torch_dtype": "float32"}
