"""`wse knee`: table, JSON, picture, bad input."""

import json

import pytest
from shell import sh


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "config.json"
    config = {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 4, "n_positions": 8, "vocab_size": 32}
    path.write_text(json.dumps(config))
    return path


def test_a_sweep(model, tmp_path):
    picture = tmp_path / "knee.svg"
    result = sh("knee", "--model", model, "--batch", 2, "--channels", "1,8", "--plot", picture, "--json")
    assert result.exit_code == 0, result.stderr
    done = json.loads(result.stdout)
    assert [point["channels"] for point in done["points"]] == [1, 8] and done["tokens"] == 16
    assert done["points"][0]["cycles"] > done["points"][1]["cycles"]
    assert done["points"][0]["bound_by"] == "dram"
    assert all(abs(point["error"]) < 0.25 for point in done["points"])
    assert done["knee_bytes_per_second"]["backward"] > done["points"][0]["bytes_per_second"]
    assert picture.stat().st_size > 10_000


def test_words(model):
    result = sh("knee", "--model", model, "--batch", 2, "--channels", "2", "--ddr5", 6400)
    assert result.exit_code == 0, result.stderr
    assert "16 tokens a pass" in result.stdout and "GB/s of DDR5-6400" in result.stdout


@pytest.mark.parametrize(
    "options, message",
    [
        (
            ("--channels", "1,x"),
            "'1,x' is no list of numbers of channels, each an integer from 1 to 1,024, such as 1,2,4",
        ),
        (("--channels", "0"), "'0' is no list of numbers of channels"),
        (("--ddr5", 5000), "'5000' is not one of '3200'"),
        (("--plot", "a.txt"), "cannot tell the picture's format"),
        (("--plot", "a.html"), "from 'a.html': the name must end in .png, .svg, .pdf"),
        (("--model", "nothing"), "nothing"),
    ],
)
def test_bad_input(options, message):
    result = sh("knee", *options)
    assert result.exit_code == 2 and message in result.stderr, result.stderr
