"""Text to tokens and back, and a model's chat template, by the packages tokenizers and jinja2.

A GGUF file holds its vocabulary, merges and template; a folder has tokenizer.json and tokenizer_config.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..schema import read_json
from .tensor_files import EXTRA

CONTROL = 3  # the type of a GGUF file's token that is no text
# Splits before the merges, by the name that GGUF has for them; those of the models that are known to be alike.
SPLITS = {"smollm": True, "gpt-2": False, "default": False}  # whether digits are split one by one
REPLACEMENT = "�"  # of bytes that are no whole character


class Tokenizer:
    """A tokenizer.

    encode: text to ids, without added ones.  decode: ids to text, without control tokens.  ends: ids that end an
    answer.  begins: ids that precede a text that is no chat.  template: of a chat, in Jinja, "" for none.
    """

    def __init__(self, made: Any, ends: Iterable[int], begins: Iterable[int], template: str, words: Mapping[str, str]):
        self._made, self.ends, self.begins, self.template = made, frozenset(ends), list(begins), template
        self._words = dict(words)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; names of control tokens in it are these tokens."""
        return self._made.encode(text, add_special_tokens=False).ids

    def sentence(self, text: str, longest: int = 0) -> list[int]:
        """The ids of a text alone, with the tokens that the model puts around it, cut to `longest` ids; 0: all."""
        encoding = self._made.encode(text, add_special_tokens=True)
        if longest and len(encoding.ids) > longest:
            self._made.enable_truncation(longest)
            encoding = self._made.encode(text, add_special_tokens=True)
            self._made.no_truncation()
        return encoding.ids

    def decode(self, ids: list[int]) -> str:
        """The text of ids; control tokens have none."""
        return self._made.decode(ids, skip_special_tokens=True)

    def chat(self, prompt: str) -> list[int]:
        """The ids of a chat in which the user says `prompt` and the assistant is to answer.

        ConfigError if the model has no chat template, jinja2 is missing, or the template fails.
        """
        if not self.template:
            raise ConfigError("the model has no chat template: give --raw, for the prompt as it is")
        try:
            from jinja2.exceptions import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError:
            raise ConfigError(f"the chat template takes the package jinja2: {EXTRA}, or give --raw") from None
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        try:
            text = environment.from_string(self.template).render(
                messages=[{"role": "user", "content": prompt}], add_generation_prompt=True, **self._words
            )
        except TemplateError as error:
            raise ConfigError(f"the model's chat template failed: {error}; --raw takes the prompt as it is") from None
        return self.encode(text)

    def stream(self) -> Callable[[int], str]:
        """A function that takes ids one by one and returns the text that each completes."""
        ids: list[int] = []
        said = 0

        def add(token: int) -> str:
            nonlocal said
            ids.append(token)
            text = self.decode(ids)
            if text.endswith(REPLACEMENT):  # half a character
                return ""
            new, said = text[said:], len(text)
            return new

        return add


def from_metadata(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a GGUF file's metadata.

    ConfigError for a kind that is not supported, and if the package tokenizers is missing.
    """
    kind, split = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or split not in SPLITS:
        raise ConfigError(
            f"the file has a tokenizer of the kind {kind!r} with splits {split!r}; supported are gpt2 with "
            + ", ".join(SPLITS)
        )
    try:
        from tokenizers import AddedToken, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Made
    except ImportError:
        raise ConfigError(f"text to tokens takes the package tokenizers: {EXTRA}") from None
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    made = Made(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = [pre_tokenizers.Digits(individual_digits=True)] if SPLITS[split] else []
    made.pre_tokenizer = pre_tokenizers.Sequence([*digits, bytes_])
    made.decoder = decoders.ByteLevel()
    control = [t for t, k in zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True) if k == CONTROL]
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    get = metadata.get
    words = {
        f"{name}_token": tokens[metadata[f"tokenizer.ggml.{name}_token_id"]]
        for name in ("bos", "eos")
        if f"tokenizer.ggml.{name}_token_id" in metadata
    }
    begin = get("tokenizer.ggml.bos_token_id") if get("tokenizer.ggml.add_bos_token", False) else None
    ends = list(_ends(made.token_to_id, get("tokenizer.ggml.eos_token_id")))
    return Tokenizer(made, ends, [] if begin is None else [begin], get("tokenizer.chat_template", ""), words)


def from_folder(folder: Path) -> Tokenizer:
    """The tokenizer of a Hugging Face model's folder.  ConfigError for missing or unreadable files or packages."""
    try:
        from tokenizers import Tokenizer as Made
    except ImportError:
        raise ConfigError(f"text to tokens takes the package tokenizers: {EXTRA}") from None
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ConfigError(f"{folder} has no tokenizer.json, which turns text to tokens")
    try:
        made = Made.from_file(str(file))
    except Exception as error:
        raise ConfigError(f"{file} is no readable tokenizer: {error}") from None
    made.no_padding()
    made.no_truncation()
    other = folder / "tokenizer_config.json"
    settings = read_json(other, "tokenizer") if other.is_file() else {}
    words = {name: _text(settings[name]) for name in ("bos_token", "eos_token") if settings.get(name)}
    ends = list(_ends(made.token_to_id, made.token_to_id(words.get("eos_token", ""))))
    begin = made.token_to_id(words["bos_token"]) if settings.get("add_bos_token") and "bos_token" in words else None
    template = settings.get("chat_template") or ""
    return Tokenizer(made, ends, [] if begin is None else [begin], template if isinstance(template, str) else "", words)


def _text(token: Any) -> str:
    return token["content"] if isinstance(token, dict) else str(token)


def _ends(number: Callable[[str], int | None], end: int | None) -> Iterator[int]:
    """The model's end of a sequence and the usual ends of a turn, if the vocabulary has them."""
    if end is not None:
        yield end
    for name in ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>"):
        found = number(name)
        if found is not None:
            yield found
