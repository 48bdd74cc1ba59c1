"""`wse csl check`: JSON for editors, text for people, an exit status for scripts.

Covers: wse/cli/csl.py
"""

import json

import pytest
from click.testing import CliRunner

from wse.cli import main


def check(*args):
    return CliRunner().invoke(main, ["csl", "check", *map(str, args)])


@pytest.fixture
def wrong(tmp_path):
    path = tmp_path / "pe.csl"
    path.write_text("fn f() void {\n  x = 1;\n}\n")
    return path


def test_json(wrong):
    result = check(wrong)
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert found["errors"] == 1
    one = found["diagnostics"][0]
    assert one["file"].endswith("pe.csl")
    assert (one["line"], one["column"], one["length"], one["message"]) == (2, 3, 1, "x is not declared")


def test_text(wrong):
    result = check(wrong, "--text")
    assert "pe.csl:2:3: error: x is not declared" in result.output
    assert result.output.endswith("1 errors, 0 warnings\n")


def test_params(tmp_path):
    path = tmp_path / "layout.csl"
    path.write_text(
        "param n: u16;\nparam c: color;\nlayout { @set_rectangle(n, 1); "
        'for (@range(u16, n)) |x| { @set_tile_code(x, 0, "pe.csl"); } '
        "@set_color_config(0, 0, c, .{ .routes = .{ .rx = RAMP, .tx = RAMP } }); }\n"
    )
    (tmp_path / "pe.csl").write_text("var x: u16;\n")
    assert "the layout needs values for n, c" in check(path).output
    assert json.loads(check(path, "--params=n:2", "--colors=c:3").output) == {"errors": 0, "diagnostics": []}
    assert "is not of the form name:integer" in check(path, "--params=n").output


@pytest.mark.parametrize(("version", "errors"), [("1.4", 1), ("2.10", 0), (None, 0)])
def test_the_release(version, errors, tmp_path):
    """A u16 becomes a u32 by itself in SDK 2.10 only."""
    (tmp_path / "pe.csl").write_text(
        "var a: u16 = 1;\nvar b: u32 = 2;\nfn f() void { b = a; }\ncomptime { @export_symbol(f); }\n"
    )
    path = tmp_path / "layout.csl"
    path.write_text('layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{}); }\n')
    result = check(path, *([] if version is None else [f"--sdk-version={version}"]))
    assert json.loads(result.output)["errors"] == errors
    assert ("--sdk-version=1.4" in result.output) == bool(errors)


def test_the_format_of_halves(tmp_path):
    (tmp_path / "pe.csl").write_text("export var h: f16 = 1.0;\n")
    path = tmp_path / "layout.csl"
    path.write_text('layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{}); }\n')
    assert json.loads(check(path).output)["errors"] == 0
    assert json.loads(check(path, "--fp16-format=bf16").output)["errors"] == 1
