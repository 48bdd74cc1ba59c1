"""Pretrained models: a configuration with the tensors of a Hugging Face folder, a safetensors file or a GGUF file.

Tensors are read one at a time.  A file must have exactly the tensors of its model: one that is missing, has another
shape or is not known is an error that names it.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, did_you_mean
from ..records import dataclass
from ..schema import read_json
from ..tensors import Tensors
from .config import Transformer
from .graph import Graph
from .load import from_hugging_face
from .names import NEUTRAL, Entry, config_of, entries
from .tensor_files import Mxfp4, Place, Scaled, halves, open_gguf, safetensors, write_safetensors

INDEX = "model.safetensors.index.json"
# Files of a tokenizer, which an export copies.
TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"),
    *("tokenizer.model", "added_tokens.json", "chat_template.jinja"),
)


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

    def weights(self, graph: Graph, whole: Graph) -> Tensors:
        """All parameters of a graph by name, float32, each read from the files when it is asked for.

        whole: the graph of the files' whole model, of which `graph` may have the first layers only.  Raises ConfigError
        for tensors that are missing, not known or of another shape; reading one raises it for values not finite.
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
            if name not in known and not NEUTRAL.search(name) and not head and not self._predicts(name, whole):
                raise ConfigError(f"{self.where} has a tensor {name}, which a {self.type} of its config.json does not")
        for entry in wanted:
            name = names[entry.name]
            if tuple(self.shapes[name]) != entry.shape:
                raise ConfigError(
                    f"{self.where}: {name} is {list(self.shapes[name])}, but by config.json must be {list(entry.shape)}"
                )
        return Tensors(
            {
                ours: partial(self._part, names[entry.name], entry, place)
                for entry in wanted
                for place, ours in enumerate(entry.ours)
            }
        )

    def _predicts(self, name: str, whole: Graph) -> bool:
        """Whether a tensor is of a layer behind the last one, for the prediction of several tokens."""
        layer = re.match(r"(?:model\.)?layers\.(\d+)\.", name)
        more = self.config.get("num_nextn_predict_layers")
        return layer is not None and isinstance(more, int) and 0 <= int(layer[1]) - whole.model.layers < more

    def _part(self, name: str, entry: Entry, place: int) -> np.ndarray:
        """A parameter, of the tensor of an entry."""
        value = self.read(name)
        if not np.isfinite(value).all():
            raise ConfigError(f"{self.where}: {name} has values that are not finite")
        return np.ascontiguousarray(entry.split(value)[place], np.float32)

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
    found: dict[str, Place] = {}
    for file in files:
        for name, place in safetensors(file).items():
            if name in found:
                raise ConfigError(f"{file} and {found[name].file} both have the tensor {name}")
            found[name] = place
    places = _of_blocks(found, _block_of(config))
    shapes = {name: place.shape for name, place in places.items()}
    stacks = _stacks(shapes)
    for name, parts in stacks.items():
        shapes = {key: shape for key, shape in shapes.items() if key not in parts}
        shapes[name] = (len(parts), *places[parts[0]].shape)

    def read(name: str) -> np.ndarray:
        return np.stack([places[part].read() for part in stacks[name]]) if name in stacks else places[name].read()

    return Pretrained(config, str(folder), folder, shapes, read, {})


def _block_of(config: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of the blocks of 8-bit values that share a scale; 128 x 128 if the configuration is silent."""
    given = config.get("quantization_config")
    block = given.get("weight_block_size") if isinstance(given, dict) else None
    if block is None:
        return 128, 128
    if not (isinstance(block, list) and len(block) == 2 and all(type(n) is int and n > 0 for n in block)):
        raise ConfigError(f"weight_block_size of quantization_config is two positive integers, not {block!r}")
    return block[0], block[1]


def _of_blocks(places: Mapping[str, Place], block: tuple[int, int]) -> dict[str, Place | Mxfp4 | Scaled]:
    """The tensors, with those in blocks of 4 bits under the name that they have without, and those of 8 bits with their
    scales."""
    made: dict[str, Place | Mxfp4 | Scaled] = dict(places)
    for name, values in places.items():
        for scales in (f"{name}_scale_inv", f"{name}_scale"):
            if values.dtype in ("F8_E4M3", "F8_E5M2") and scales in places:
                made[name] = Scaled(values, places[scales], block)
                del made[scales]
    for name, blocks in places.items():
        whole = name.removesuffix("_blocks")
        if whole != name and whole not in places and (powers := places.get(f"{whole}_scales")):
            made[whole] = Mxfp4(blocks, powers)
            del made[name], made[f"{whole}_scales"]
    return made


def _stacks(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, list[str]]:
    """Tensors of experts 0, 1, ... of one shape, by their name without the number."""
    found: dict[str, dict[int, str]] = {}
    for name in shapes:
        if of_expert := re.fullmatch(r"(.+\.experts)\.(\d+)(\..+)", name):
            found.setdefault(of_expert[1] + of_expert[3], {})[int(of_expert[2])] = name
    return {
        name: [parts[i] for i in range(len(parts))]
        for name, parts in found.items()
        if sorted(parts) == list(range(len(parts))) and len({shapes[part] for part in parts.values()}) == 1
    }


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
_ARCHITECTURES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}


def _gguf(path: Path) -> Pretrained:
    file = open_gguf(path)
    names = {}
    for theirs in file.shapes:
        name = _theirs(theirs)
        if name is None:
            raise ConfigError(f"{path} has a tensor {theirs}, which is not supported")
        names[name] = theirs
    config = file.config(tuple(_ARCHITECTURES))
    config["architectures"] = [f"{_ARCHITECTURES[config['model_type']]}ForCausalLM"]

    def read(name: str) -> np.ndarray:
        value, turned = file.read(names[name]), re.search(r"self_attn\.([qk])_proj", name)
        if turned and config["model_type"] == "llama":
            return halves(value, config["num_attention_heads" if turned[1] == "q" else "num_key_value_heads"])
        return value

    shapes = {name: file.shapes[theirs] for name, theirs in names.items()}
    return Pretrained(config, str(path), None, shapes, read, {**file.metadata, **file.vocabulary()})


def _theirs(name: str) -> str | None:
    number = re.match(r"blk\.(\d+)\.", name)
    prefix, _, role = name.rpartition(".")
    found = _GGUF.get(re.sub(r"^blk\.\d+\.", "blk.N.", prefix))
    return None if found is None else f"{found.replace('.N.', f'.{number[1]}.') if number else found}.{role}"


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
    source's.  Raises ConfigError if the folder holds a model already, and if no model type describes the model.
    """
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

    def tensor(entry: Entry) -> np.ndarray:
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
        return np.ascontiguousarray(entry.join(parts), np.float32)

    kept = lru_cache(3)(tensor)  # the experts' tensors are written expert by expert

    def written(entry: Entry, number: int | None) -> np.ndarray:
        return tensor(entry) if number is None else kept(entry)[number]

    made = Tensors(
        {
            name: partial(written, e, number)
            for e in entries(graph, str(config["model_type"]))
            for name, number in _unstacked(e)
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", made)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if source is not None and source.folder is not None:
        for name in TOKENIZER:
            if (source.folder / name).is_file():
                shutil.copyfile(source.folder / name, folder / name)


def _unstacked(entry: Entry) -> list[tuple[str, int | None]]:
    """(name in a file, number of the expert) of what an entry holds: the reverse of _stacks."""
    if not (of_all := re.fullmatch(r"(.+\.experts)(\.[^.]+\.\w+)", entry.name)):
        return [(entry.name, None)]
    return [(f"{of_all[1]}.{number}{of_all[2]}", number) for number in range(entry.shape[0])]


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
