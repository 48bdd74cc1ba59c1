"""Tokens of a model's tokenizer: text, files of ids, a vocabulary of what occurs."""

import json

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.models.pretrained import Pretrained
from wse.train import data, tokens

WORDS = ["a", "b", "c", "Ġ", "ab", "Ġa", "1", "2", "<|end|>"]
MERGES = ["a b", "Ġ a"]


def pretrained(folder=None, **metadata):
    return Pretrained({"model_type": "llama"}, "tiny", folder, {}, np.zeros, metadata)


def of_gguf(split="smollm", kind="gpt2"):
    values = {"model": kind, "pre": split, "tokens": WORDS, "merges": MERGES, "token_type": [1] * 8 + [3]}
    return pretrained(**{f"tokenizer.ggml.{key}": value for key, value in values.items()})


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text("ab ab c 12")
    return str(tmp_path / "text.txt")


def test_a_tokenizer_of_a_gguf_file(text):
    pytest.importorskip("tokenizers")
    encode = tokens.encoder(of_gguf())
    assert [WORDS[i] for i in encode("ab ac12")] == ["ab", "Ġa", "c", "1", "2"]
    assert encode("a<|end|>b") == [0, 8, 1]
    found = tokens.read(text, of_gguf(), 9, reduced=False)
    assert [WORDS[i] for i in found.ids] == ["ab", "Ġ", "ab", "Ġ", "c", "Ġ", "1", "2"]
    assert (found.vocab, found.rows, found.ids.dtype) == (9, None, np.uint16)


def test_a_tokenizer_json_without_padding_or_added_tokens(tmp_path, text):
    library = pytest.importorskip("tokenizers")
    made = library.Tokenizer(library.models.WordLevel({"ab": 0, "c": 1, "12": 2, "[PAD]": 3}, unk_token="[PAD]"))
    made.pre_tokenizer = library.pre_tokenizers.Whitespace()
    made.enable_padding(length=20, pad_id=3, pad_token="[PAD]")
    made.enable_truncation(2)
    made.save(str(tmp_path / "tokenizer.json"))
    assert tokens.read(text, pretrained(tmp_path), 4, False).ids.tolist() == [0, 0, 1, 2]


def test_a_reduced_vocabulary_counts_the_tokens_that_occur(tmp_path):
    np.save(tmp_path / "ids.npy", np.array([900, 5, 5, 7, 900], np.int32))
    found = tokens.read(str(tmp_path / "ids.npy"), pretrained(), 1000, reduced=True)
    assert found.rows.tolist() == [5, 7, 900] and found.ids.tolist() == [2, 0, 0, 1, 2] and found.vocab == 3
    assert found.rows[found.ids].tolist() == [900, 5, 5, 7, 900]
    whole = tokens.read(str(tmp_path / "ids.npy"), pretrained(), 1000, reduced=False)
    assert whole.digest != found.digest and whole.vocab == 1000


def test_batches_of_tokens(tmp_path):
    np.save(tmp_path / "ids.npy", np.arange(400) % 50)
    found = tokens.read(str(tmp_path / "ids.npy"), pretrained(), 50, False)
    ids, labels = data.Batches(found, 3, 8, 0).step(0)
    np.testing.assert_array_equal((ids.astype(int) + 1) % 50, labels)


@pytest.mark.parametrize(
    "ids, vocab, words",
    [
        (np.array([1, 2, 30]), 30, "has the id 30; ids are below 30"),
        (np.array([1, -2]), 30, "has the id -2"),
        (np.array([0.5]), 30, r"is float64 \[1\]; ids are integers"),
        (np.zeros((2, 2), int), 30, r"is int64 \[2, 2\]; ids are integers"),
        (np.array([], int), 30, "has no tokens"),
        (np.array([1, 2]), 70_000, "at most 65,536 tokens on the fabric, not 70,000: --reduce-vocab"),
    ],
)
def test_ids_that_are_none(tmp_path, ids, vocab, words):
    np.save(tmp_path / "ids.npy", ids)
    with pytest.raises(ConfigError, match=words):
        tokens.read(str(tmp_path / "ids.npy"), pretrained(), vocab, False)


def test_files_that_cannot_be_read(tmp_path, text):
    pytest.importorskip("tokenizers")
    (tmp_path / "ids.npy").write_bytes(b"no array")
    with pytest.raises(ConfigError, match="cannot be read as an array of ids"):
        tokens.read(str(tmp_path / "ids.npy"), pretrained(), 9, False)
    with pytest.raises(ConfigError, match=r"has no tokenizer\.json, which turns text to tokens"):
        tokens.read(text, pretrained(tmp_path), 9, False)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 1}))
    with pytest.raises(ConfigError, match="is no readable tokenizer"):
        tokens.read(text, pretrained(tmp_path), 9, False)
    for other in (of_gguf(kind="llama"), of_gguf(split="qwen2")):
        with pytest.raises(ConfigError, match=r"has a tokenizer of the kind .* supported are gpt2 with smollm"):
            tokens.read(text, other, 9, False)
    np.save(tmp_path / "one.npy", np.array([3, 3, 3]))
    with pytest.raises(ConfigError, match="has one token only, 3"):
        tokens.read(str(tmp_path / "one.npy"), pretrained(), 9, True)
