"""Tokenizers of GGUF files and of folders: the same ids, chats, text piece by piece."""

import pytest
from execute.decoder_reference import small
from hypothesis import given, settings
from hypothesis import strategies as st

from wse.errors import ConfigError
from wse.models import tokenizer
from wse.models.weights import read_weights

from .model_files import VOCAB, tokens, write_folder, write_gguf


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A tokenizer of a GGUF file and one of a folder."""
    path, weights = tmp_path_factory.mktemp("files"), small(vocab=VOCAB, layers=1)
    file = write_gguf(path / "small.gguf", weights)
    return tokenizer.from_metadata(read_weights(file).metadata), tokenizer.from_folder(
        write_folder(path / "hf", weights)
    )


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=40))
def test_text_comes_back(both, text):
    for made in both:
        assert made.decode(made.encode(text)) == text or "<|" in text


def test_merges_and_control_tokens(both):
    for made in both:
        ids = made.encode("see the<|im_end|>")
        assert [tokens()[i] for i in ids] == ["s", "e", "e", "Ġthe", "<|im_end|>"]
        assert made.decode(ids) == "see the"
        assert made.ends == {0, 2}


def test_digits_one_by_one(both):
    assert [tokens()[i] for i in both[0].encode("12 3")] == ["1", "2", "Ġ", "3"]


def test_a_chat(both):
    for made in both:
        assert made.chat("hi") == made.encode("<|im_start|>user: hi<|im_end|><|im_start|>")


def test_the_text_of_a_stream_is_whole_characters(both):
    for made in both:
        text = "für 3 € 🙂!"
        add = made.stream()
        pieces = [add(i) for i in made.encode(text)]
        assert "".join(pieces) == text
        assert all(tokenizer.REPLACEMENT not in piece for piece in pieces) and "€" in pieces


def test_templates(both):
    made = tokenizer.Tokenizer(both[0]._made, [], [], "", {})
    with pytest.raises(ConfigError, match="no chat template: give --raw"):
        made.chat("hi")
    for template in ("{{ raise_exception('no') }}", "{% if", "{{ ''.__class__.__mro__ }}"):
        made.template = template
        with pytest.raises(ConfigError, match="chat template failed"):
            made.chat("hi")


def test_what_is_not_supported(tmp_path):
    with pytest.raises(ConfigError, match="kind 'llama' with splits 'default'; supported are gpt2 with smollm"):
        tokenizer.from_metadata({"tokenizer.ggml.model": "llama"})
    with pytest.raises(ConfigError, match=r"has no tokenizer\.json"):
        tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="no readable tokenizer"):
        tokenizer.from_folder(tmp_path)
