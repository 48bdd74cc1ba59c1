"""wse.machine.digest: files carry the digest of the tables that they were made with, and those of others are refused."""

import json

import numpy as np
import pytest
from csl.running import compiled
from running import run

import wse
from wse import ConfigError, _engine
from wse.csl.artifact import Artifact
from wse.csl.codegen.link import link
from wse.kernels import axpy
from wse.machine import digest
from wse.memoryx.store import Store
from wse.train import checkpoint
from wse.train.loop import Settings

PE = """
fn main() void {}
comptime { @export_symbol(main); }
"""


def tables():
    return [_engine.ops(), _engine.types(), _engine.forms(), _engine.params()]


def test_the_digest_is_of_what_decides_and_not_of_words():
    assert digest.digest_of(tables()) == digest.tables_digest()
    for number, rows in enumerate(tables()):
        assert digest.digest_of([t[1:] if i == number else t for i, t in enumerate(tables())]) != digest.tables_digest()
        for column, value in rows[0].items():
            changed = tables()
            changed[number][0][column] = None if value != "" else "x"
            same = digest.digest_of(changed) == digest.tables_digest()
            assert same == (column in digest._PROSE), column
    moved = tables()
    moved[0][:2] = moved[0][1::-1]
    assert digest.digest_of(moved) != digest.tables_digest()


def altered(path, out, change):
    """A copy of an .npz file whose JSON header `run` was changed."""
    with np.load(path) as file:
        contents = {name: file[name] for name in file.files}
    header = json.loads(contents["run"].tobytes())
    change(header)
    np.savez_compressed(out, **contents | {"run": np.frombuffer(json.dumps(header).encode(), np.uint8)})


@pytest.mark.parametrize(
    ("change", "made"),
    [
        (lambda h: h.update(tables="0123456789abcdef"), "tables 0123456789abcdef"),
        (lambda h: h.pop("tables"), "tables that it does not name"),
        (lambda h: h.update(tables=7), "tables that it does not name"),
    ],
)
def test_a_run_of_other_tables_is_refused(tmp_path, change, made):
    run(axpy, grid=(1, 1), length=4).run.save(tmp_path / "run.npz")
    assert wse.Run.load(tmp_path / "run.npz").ended == "done"
    altered(tmp_path / "run.npz", tmp_path / "other.npz", change)
    with pytest.raises(ConfigError) as caught:
        wse.Run.load(tmp_path / "other.npz")
    assert str(caught.value) == (
        f"run file {tmp_path / 'other.npz'} was made with {made}, this wse has tables {digest.tables_digest()} "
        "(instructions and machine figures): record the run again with --save"
    )


def test_a_compiled_program_of_other_tables_is_refused(tmp_path):
    artifact = link(compiled(tmp_path, PE))
    artifact.save(tmp_path / "out")
    assert Artifact.load(tmp_path / "out").arch == "wse3"
    path = tmp_path / "out" / "out.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tables": "0123456789abcdef"}))
    with pytest.raises(ConfigError) as caught:
        Artifact.load(tmp_path / "out")
    assert str(caught.value).startswith(f"{path} was made with tables 0123456789abcdef, this wse has tables ")
    assert str(caught.value).endswith(": compile the program again (cslc -o)")


@pytest.mark.parametrize("tables", [{"tables": "0123456789abcdef"}, {}])
def test_a_checkpoint_of_other_tables_is_refused(tmp_path, tables):
    saved = {"about": {}, "settings": {}} | tables
    Store.create(tmp_path / "saved", {"w": np.zeros(3, np.float32)}, meta={"train": saved})
    with pytest.raises(ConfigError) as caught:
        checkpoint.resume(tmp_path / "saved", tmp_path / "new", Settings(steps=1), {})
    assert str(caught.value).startswith(f"checkpoint {tmp_path / 'saved'} was made with tables ")
    assert str(caught.value).endswith("resume it with the wse that saved it, or train again")
