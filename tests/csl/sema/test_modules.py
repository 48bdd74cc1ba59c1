"""Where modules are looked for: beside the importing file, beside the top file, in the import paths, in this order."""

from __future__ import annotations

import pytest

from wse.csl.compile import compile_program
from wse.csl.syntax.errors import CslError

LAYOUT = 'layout {{ @set_rectangle(1, 1); @set_tile_code(0, 0, "{}"); }}\n'
PE = 'const m = @import_module("inner/user.csl");\ncomptime { @comptime_assert(m.found == WANTED); }\n'


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_order_of_folders(wanted, tmp_path):
    top, other = tmp_path / "top", tmp_path / "path"
    (top / "inner").mkdir(parents=True)
    other.mkdir()
    (top / "layout.csl").write_text(LAYOUT.format("pe.csl"))
    (top / "pe.csl").write_text(PE.replace("WANTED", str(wanted)))
    (top / "inner/user.csl").write_text('const found = @import_module("number.csl").found;\n')
    for number, folder in enumerate((top / "inner", top, other), 1):
        if number >= wanted:
            (folder / "number.csl").write_text(f"const found = {number};\n")
    compile_program(top / "layout.csl", import_paths=[other])


def test_what_is_not_found_says_where(tmp_path):
    (tmp_path / "layout.csl").write_text(LAYOUT.format("inner/pe.csl"))
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/pe.csl").write_text('const m = @import_module("number.csl");\n')
    with pytest.raises(CslError) as caught:
        compile_program(tmp_path / "layout.csl", import_paths=["elsewhere"])
    message = caught.value.diagnostics[0].message
    assert "number.csl is not found; looked in" in message
    assert message.endswith(f"inner, {tmp_path}, elsewhere")
