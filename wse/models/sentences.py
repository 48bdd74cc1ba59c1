"""How a model makes one vector of a sentence, by the files that sentence-transformers writes beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError
from ..schema import read_json, shown

# Types of modules.json by their last name: what follows the transformer.
MODULES = ("Transformer", "Pooling", "Normalize")
POOLS = {"mean": "mean", "cls": "first"}  # modes of pooling -> ours


class Sentences(NamedTuple):
    """pool: "mean" of the tokens or the "first" one.  unit: the vector is brought to length 1.  longest: tokens of a
    sentence at most, 0 if nothing is said.  lower: texts are brought to lower case."""

    pool: str = "mean"
    unit: bool = True
    longest: int = 0
    lower: bool = False


def read_sentences(folder: Path) -> Sentences:
    """The files of a model's folder; without modules.json, the mean of length 1.

    ConfigError for a module, or a way of pooling, that is not supported.
    """
    if not (folder / "modules.json").is_file():
        return Sentences()
    modules = read_json(folder / "modules.json", "list of modules")
    if not isinstance(modules, list) or not all(
        isinstance(m, dict) and isinstance(m.get("type"), str) for m in modules
    ):
        raise ConfigError(f"{folder / 'modules.json'} must be a list of objects with a type")
    names = [m["type"].rpartition(".")[2] for m in modules]
    for name in names:
        if name not in MODULES:
            raise ConfigError(
                f"{folder / 'modules.json'} has a module {shown(name)}: supported are {', '.join(MODULES)}"
            )
    if names not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ConfigError(
            f"{folder / 'modules.json'} has the modules {', '.join(names)}: supported are Transformer, Pooling "
            "and then Normalize or nothing"
        )
    path = folder / str(modules[1].get("path", "1_Pooling")) / "config.json"
    pooling = read_json(path, "pooling")
    if not isinstance(pooling, dict):
        raise ConfigError(f"{path} must be a JSON object")
    chosen = [key.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens")
              for key, value in pooling.items() if key.startswith("pooling_mode_") and value]  # fmt: skip
    if len(chosen) != 1 or chosen[0] not in POOLS:
        raise ConfigError(f"{path} pools by {' and '.join(chosen) or 'nothing'}: supported are {' or '.join(POOLS)}")
    settings = folder / "sentence_bert_config.json"
    more = read_json(settings, "settings of sentences") if settings.is_file() else {}
    longest = more.get("max_seq_length") or 0
    if not isinstance(longest, int) or isinstance(longest, bool) or longest < 0:
        raise ConfigError(f"{settings}: max_seq_length is {shown(longest)}, but must be a number of tokens")
    return Sentences(POOLS[chosen[0]], "Normalize" in names, longest, bool(more.get("do_lower_case", False)))
