"""The digest of the tables: what a compiled program, a recorded run and a checkpoint were made with.

An instruction word holds an opcode, which is the position of a row of isa.def, and a run depends on the figures of
machine.def.  A file that was made with other tables would be run with shifted opcodes, or compared with figures that
are no longer those of the machine; files therefore carry the digest, and those of other tables are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from .. import _engine
from ..errors import ConfigError

# Columns that say something to people only: a change of these changes no digest.
_PROSE = {"effect", "meaning", "source", "confidence", "limits", "unit", "least", "most"}


@cache
def tables_digest() -> str:
    """16 hexadecimal digits that change when a row of isa.def or machine.def is added, removed, moved or changed in
    anything but its words."""
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
