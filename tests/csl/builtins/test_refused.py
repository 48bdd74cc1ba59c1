"""Builtins that are refused by name."""

from __future__ import annotations

import pytest

from csl.running import compiled
from wse.csl.builtins.refused import REFUSED
from wse.csl.syntax.errors import CslError


@pytest.mark.parametrize("name", REFUSED)
def test_the_message_names_the_builtin(name, tmp_path):
    text = f"fn main() void {{ _ = {name}(1); }}\ncomptime {{ @export_symbol(main); }}\n"
    with pytest.raises(CslError, match=f"{name} is not supported: the public documentation does not define it"):
        compiled(tmp_path, text)
