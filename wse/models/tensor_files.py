"""Files of tensors: safetensors, read here, and GGUF, which the package gguf reads.

Tensors are read one at a time, as float32.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..files import replacing
from ..records import dataclass

EXTRA = "install it with: pip install 'wse[generate]'"
LISTS = tuple(f"tokenizer.ggml.{name}" for name in ("tokens", "token_type", "merges", "scores"))  # of a vocabulary
_HEADER_LIMIT = 100_000_000  # bytes, as the format's own readers have it

# --- safetensors ------------------------------------------------------------------------------------------------------


def _floats(exponent_bits: int, bias: int, infinite: bool) -> np.ndarray:
    """float32 [256]: the values of floats of 8 bits.  infinite: the largest exponent is for infinity and no number, as
    in IEEE 754; else only all ones are no number, as OCP says of E4M3."""
    codes = np.arange(256)
    mantissa_bits = 7 - exponent_bits
    exponent, mantissa = codes >> mantissa_bits & (1 << exponent_bits) - 1, codes & (1 << mantissa_bits) - 1
    size = np.ldexp((exponent > 0) + mantissa / (1 << mantissa_bits), np.maximum(exponent, 1) - bias)
    if infinite:
        size[exponent == exponent.max()] = np.nan
        size[(exponent == exponent.max()) & (mantissa == 0)] = np.inf
    else:
        size[codes & 127 == 127] = np.nan
    return np.where(codes < 128, size, -size).astype(np.float32)


_DTYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
_BYTES = {  # float32 [256]: the values of types of 8 bits
    "F8_E4M3": _floats(4, 7, infinite=False),
    "F8_E5M2": _floats(5, 15, infinite=True),
    "F8_E8M0": np.append(np.ldexp(1.0, np.arange(255) - 127), np.nan).astype(np.float32),
}
_SIZES = {"F32": 4, "F16": 2, "F64": 8, "BF16": 2, **dict.fromkeys(_BYTES, 1)}
_WHOLE = {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}  # of tables that are no weights, never read


@dataclass(frozen=True)
class Place:
    """A tensor of a safetensors file: its name, dtype, shape, begin and end of its bytes in the file."""

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def bytes(self) -> np.ndarray:
        """uint8, in the order of the file."""
        if self.end == self.begin:
            return np.zeros(0, np.uint8)
        return np.memmap(self.file, np.uint8, "r")[self.begin : self.end]

    def read(self) -> np.ndarray:
        """float32.  ConfigError for a tensor of integers."""
        if self.dtype in _WHOLE:
            raise ConfigError(f"{self.file}: {self.name} is of type {self.dtype}; read are {', '.join(_SIZES)}")
        data = self.bytes()
        if self.dtype == "BF16":
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(self.shape)
        if self.dtype in _BYTES:
            return _BYTES[self.dtype][data].reshape(self.shape)
        return np.frombuffer(data, _DTYPES[self.dtype]).astype(np.float32).reshape(self.shape)


def safetensors(file: Path) -> dict[str, Place]:
    """The tensors of a file by name, checked.  ConfigError for a damaged file and for a tensor of another type."""
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
            sizes = _SIZES | _WHOLE
            if dtype not in sizes:
                raise ConfigError(f"{file}: {name} is of type {dtype}; read are {', '.join(_SIZES)}")
            count = int(np.prod(shape, dtype=np.int64))
            if end - begin != count * sizes[dtype] or not 0 <= begin <= end <= size - 8 - length:
                raise ValueError
            found[name] = Place(file, name, dtype, shape, 8 + length + begin, 8 + length + end)
        return found
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except (struct.error, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{file} is no readable safetensors file") from None


@dataclass(frozen=True)
class Scaled:
    """A matrix of 8-bit floats with scales: two tensors of a safetensors file.

    values: F8_E4M3 or F8_E5M2 [outputs, inputs].
    scales: of all values, of each row ([outputs] or [outputs, 1]), or of blocks of block[0] x block[1] values.
    ConfigError for scales of another shape.
    """

    values: Place
    scales: Place
    block: tuple[int, int]

    def __post_init__(self) -> None:
        if len(self.values.shape) != 2 or self.scales.shape not in self._shapes():
            known = ", ".join(str(list(shape)) for shape in self._shapes())
            raise ConfigError(
                f"{self.values.file}: {self.values.name} is {self.values.dtype} {list(self.values.shape)} and "
                f"{self.scales.name} is {list(self.scales.shape)}; with blocks of {self.block[0]} x {self.block[1]} "
                f"the scales of a matrix are {known}"
            )

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        rows, *columns = self.values.shape
        blocks = (-(-rows // self.block[0]), *(-(-n // self.block[1]) for n in columns))
        return (), (1,), (rows,), (rows, 1), blocks

    @property
    def shape(self) -> tuple[int, ...]:
        """[outputs, inputs]."""
        return self.values.shape

    def read(self) -> np.ndarray:
        """float32 [outputs, inputs]: each value times its scale, rounded once."""
        values, scales = self.values.read(), self.scales.read()
        if scales.ndim == 2 and scales.shape != (len(values), 1):
            rows, columns = (np.arange(n) // size for n, size in zip(self.shape, self.block, strict=True))
            scales = scales[rows[:, None], columns]
        elif scales.ndim == 1 and len(scales) > 1:
            scales = scales[:, None]
        with np.errstate(over="ignore"):
            return values * scales


@dataclass(frozen=True)
class Mxfp4:
    """A matrix of each expert in blocks of 4 bits, as gpt_oss has them: two tensors of a safetensors file.

    blocks: uint8 [experts, outputs, inputs / 32, 16]: 32 values in E2M1, of a byte the lower half first.
    scales: uint8 [experts, outputs, inputs / 32]: the power of two of a block plus 127 (E8M0), 255 for no number.
    ConfigError for other types and shapes.
    """

    blocks: Place
    scales: Place

    def __post_init__(self) -> None:
        b, s = self.blocks, self.scales
        if b.dtype != "U8" or s.dtype != "U8" or len(b.shape) != 4 or b.shape[-1] != 16 or b.shape[:-1] != s.shape:
            raise ConfigError(
                f"{b.file}: {b.name} is {b.dtype} {list(b.shape)} and {s.name} is {s.dtype} {list(s.shape)}, but "
                "blocks of 4 bits are U8 [experts, outputs, blocks, 16], their scales U8 [experts, outputs, blocks]"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """[experts, inputs, outputs], as the matrices are without blocks."""
        experts, outputs, blocks, _ = self.blocks.shape
        return experts, 32 * blocks, outputs

    def read(self) -> np.ndarray:
        """float32 [experts, inputs, outputs], exact; not finite beyond the range of float32."""
        codes = self.blocks.bytes().reshape(self.blocks.shape)
        scales = self.scales.bytes().reshape(self.scales.shape).astype(np.int32)
        made = np.empty(self.shape, np.float32)
        for expert, (own, powers) in enumerate(zip(codes, scales, strict=True)):
            values = _E2M1[np.stack([own & 15, own >> 4], axis=-1)].reshape(*powers.shape, 32)
            with np.errstate(over="ignore"):
                values = np.ldexp(values, powers[..., None] - 127)
            values[powers == 255] = np.nan
            made[expert] = values.reshape(values.shape[0], -1).T
        return made


_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def write_safetensors(file: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors in float32, one at a time: those of a lazy mapping, in the order of their names."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in sorted(tensors):
        shape = tensors[name].shape
        size = 4 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data are aligned
    with replacing(file) as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            out.write(np.ascontiguousarray(tensors[name], "<f4").reshape(-1).data)


# --- GGUF -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class GgufFile:
    """A GGUF file.

    reader      of the package gguf
    tensors     of the reader, by the file's names
    metadata    by key, without the lists of the vocabulary
    shapes      of the tensors, by the file's names
    """

    path: Path
    reader: Any
    tensors: Mapping[str, Any]
    metadata: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    def vocabulary(self) -> dict[str, Any]:
        """The lists that `metadata` lacks; reading them takes longer than all the rest."""
        return {key: self.reader.fields[key].contents() for key in LISTS if key in self.reader.fields}

    def read(self, name: str) -> np.ndarray:
        """A tensor, dequantised to float32.  ConfigError for a type that gguf does not dequantise."""
        import gguf

        tensor = self.tensors[name]
        try:
            value = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise ConfigError(f"{self.path}: {name} is of type {tensor.tensor_type.name}: {error}") from None
        return np.asarray(value, np.float32).reshape(self.shapes[name])

    def config(self, kinds: Sequence[str]) -> dict[str, Any]:
        """The model's config.json, as Hugging Face would have it.  ConfigError unless it is of one of the architectures
        `kinds`, and for a key that is missing."""
        kind = self.metadata.get("general.architecture")
        if kind not in kinds:
            supported = f"{', '.join(kinds)} {'is' if len(kinds) == 1 else 'are'} supported"
            raise ConfigError(f"{self.path} holds a model of the architecture {kind!r}; {supported}")

        def get(key: str, otherwise: Any = None) -> Any:
            value = self.metadata.get(f"{kind}.{key}", otherwise)
            if value is None:
                raise ConfigError(f"{self.path} has no key {kind}.{key}")
            return value

        scaling = self.metadata.get(f"{kind}.rope.scaling.type", "none")
        if scaling != "none":
            raise ConfigError(f"{self.path} scales RoPE ({scaling}), which is not supported in a GGUF file")
        heads, d = int(get("attention.head_count")), int(get("embedding_length"))
        return {
            "model_type": kind,
            "num_hidden_layers": int(get("block_count")),
            "hidden_size": d,
            "intermediate_size": int(get("feed_forward_length")),
            "num_attention_heads": heads,
            "num_key_value_heads": int(get("attention.head_count_kv", heads)),
            "head_dim": int(get("attention.key_length", get("rope.dimension_count", d // heads))),
            "vocab_size": self.shapes.get("token_embd.weight", (0,))[0],
            "max_position_embeddings": int(get("context_length")),
            "rms_norm_eps": float(get("attention.layer_norm_rms_epsilon")),
            "rope_theta": float(get("rope.freq_base", 10000.0)),
            "hidden_act": "silu",
            "tie_word_embeddings": "output.weight" not in self.shapes,
        }


def open_gguf(path: Path) -> GgufFile:
    """ConfigError if there is no such file, if it is damaged, and if the package gguf is missing."""
    try:
        import gguf
    except ImportError:
        raise ConfigError(f"{path} is a GGUF file; the package gguf reads it: {EXTRA}") from None
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        reader = gguf.GGUFReader(path)
        metadata = {key: field.contents() for key, field in reader.fields.items() if key not in LISTS}
    except Exception as error:  # whatever a damaged file makes of it
        raise ConfigError(f"{path} is no readable GGUF file: {error}") from None
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    shapes = {name: tuple(int(n) for n in reversed(tensor.shape)) for name, tensor in tensors.items()}
    return GgufFile(path, reader, tensors, metadata, shapes)


def halves(values: np.ndarray, heads: int) -> np.ndarray:
    """Queries or keys in the order of Hugging Face's models, where RoPE turns the two halves of a head: GGUF's Llama
    has the two features that are turned together side by side.  values: [heads x d_head, ..]."""
    return values.reshape(heads, -1, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
