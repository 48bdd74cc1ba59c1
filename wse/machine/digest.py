"""The digest of the instruction and machine tables.

An opcode is the position of a row of isa.def, and the results of a run depend on machine.def.  Compiled programs,
recorded runs and checkpoints therefore hold the digest of the tables they were made with, and are rejected if the
tables differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from .. import _engine
from ..errors import ConfigError

# Columns of documentation and limits, which are not part of the digest.
_PROSE = {"effect", "meaning", "source", "confidence", "limits", "unit", "least", "most"}


@cache
def tables_digest() -> str:
    """The digest of isa.def and machine.def, 16 hexadecimal digits.

    It changes when a row is added, removed, moved, or changed in a column that is not documentation.
    """
    return digest_of((_engine.ops(), _engine.types(), _engine.forms(), _engine.params()))


def digest_of(tables: Iterable[Iterable[Mapping[str, Any]]]) -> str:
    """The digest of tables, each a list of rows with named columns."""
    plain = [[{k: v for k, v in row.items() if k not in _PROSE} for row in rows] for rows in tables]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def check_digest(found: object, what: str, remedy: str) -> None:
    """ConfigError if a file's digest is not that of the tables here.  what: the file; remedy: what to do."""
    if found != tables_digest():
        made = f"tables {found}" if isinstance(found, str) and found else "tables that it does not name"
        raise ConfigError(
            f"{what} was made with {made}, this wse has tables {tables_digest()} (instructions and machine figures): "
            f"{remedy}"
        )
