"""`load`: a configuration by its name in the table, or from a Hugging Face config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..schema import read_json, shown
from .config import Transformer, published
from .families import FAMILIES
from .reading import read


def load(name: str | Path) -> Transformer:
    """The configuration of that name (1.3b and 1_3b are the same), of a config.json, or of a folder that holds one.

    ConfigError for an unknown name, or a file that does not describe a supported transformer.
    """
    path = Path(name)
    if path.suffix == ".json" or ("\0" not in str(name) and str(name) and path.is_dir()):
        path = path if path.suffix == ".json" else path / "config.json"
        return from_hugging_face(read_json(path, "model", infinite=True), path.parent.name or path.stem, str(path))
    known = published()
    plain = str(name).lower().replace(".", "_")
    if plain not in known:
        raise ConfigError(
            f"there is no model {shown(str(name))}: {did_you_mean(plain, known, most=40)}  "
            f"`wse models` lists them; a Hugging Face config.json is given by its path."
        )
    return known[plain]


def from_hugging_face(values: Any, name: str = "", where: str = "config.json") -> Transformer:
    """A Transformer from the contents of a config.json.

    name: used if the file has none.  where: the file's name in errors.  Raises ConfigError, with the key, its value and
    what is allowed, for a missing key, a value out of range, an unknown key and an unknown model_type.
    """
    return read(values, FAMILIES, name, where)
