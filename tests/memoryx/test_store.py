"""The store: files that other readers read, and a checkpoint that is the same to the bit."""

import errno
import json
import os
import tempfile

import numpy as np
import pytest

import wse
from wse.memoryx.optimizer import AdamW
from wse.memoryx.store import Store


def weights(seed=0):
    rng = np.random.default_rng(seed)
    return {"a.weight": rng.standard_normal((5, 7)), "b": rng.standard_normal(3, np.float32), "none": np.zeros((0, 4))}


def contents(store):
    return {(kind, name): store.slot(kind, name).tobytes() for kind in ("weight", *store.slots) for name in store.names}


def test_writes_go_to_the_files(tmp_path):
    made = Store.create(tmp_path / "s", weights(), AdamW.slots, {"step": 0})
    assert made.names == ("a.weight", "b", "none") and made.slots == ("m", "v")
    assert np.array_equal(made.weight("a.weight"), weights()["a.weight"].astype(np.float32))
    assert not made.gradient("b").any() and set(made.state("b")) == {"m", "v"}
    made.weight("b")[1] = 42
    made.gradient("b")[0] = 1
    made.slot("m", "a.weight")[2, 3] = 7
    made.meta["step"] = 3
    made.flush()
    again = Store.open(tmp_path / "s")
    assert again.weight("b")[1] == 42 and again.gradient("b")[0] == 1 and again.slot("m", "a.weight")[2, 3] == 7
    assert again.meta == {"step": 3}
    assert again.parameters == 38 and again.nbytes == 38 * 16


def test_the_optimiser_works_on_the_files(tmp_path):
    made = AdamW(0.01)
    store = Store.create(tmp_path / "s", weights(), made.slots)
    expected = {name: np.array(store.weight(name)) for name in store.names}
    for name in store.names:
        store.gradient(name)[...] = 1
        made.update(store.weight(name), store.gradient(name), store.state(name), 1, name=name)
        made.update(expected[name], np.ones_like(expected[name]), {s: np.zeros_like(expected[name]) for s in "mv"}, 1)
    store.flush()
    again = Store.open(tmp_path / "s")
    for name in store.names:
        assert np.array_equal(again.weight(name), expected[name])


def test_others_read_the_files(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    store = Store.create(tmp_path / "s", weights(), ("momentum",))
    store.flush()
    theirs = safetensors.load_file(tmp_path / "s" / "weight.safetensors")
    assert set(theirs) == set(store.names)
    assert all(np.array_equal(theirs[name], store.weight(name)) for name in store.names)


def test_files_of_others_are_read(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    store = Store.create(tmp_path / "s", weights())
    new = {name: np.array(store.weight(name)) + 1 for name in store.names}
    safetensors.save_file(new, tmp_path / "s" / "weight.safetensors")
    again = Store.open(tmp_path / "s")
    assert all(np.array_equal(again.weight(name), new[name]) for name in store.names)


def test_a_checkpoint_is_the_same_to_the_bit(tmp_path):
    store = Store.create(tmp_path / "s", weights(), AdamW.slots, {"step": 5})
    store.slot("v", "b")[:] = [1e-42, np.nan, -0.0]
    before = contents(store)
    store.save(tmp_path / "c")
    store.weight("b")[:] = 0
    saved = Store.open(tmp_path / "c")
    assert contents(saved) == before and saved.meta == {"step": 5} and not saved.gradient("b").any()
    store.meta["step"] = 6
    store.save(tmp_path / "c")  # replaces it
    assert Store.open(tmp_path / "c").meta == {"step": 6} and not Store.open(tmp_path / "c").weight("b").any()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "s"]


def test_an_interrupted_checkpoint_leaves_the_old_one(tmp_path, monkeypatch):
    store = Store.create(tmp_path / "s", weights(), AdamW.slots, {"step": 1})
    store.save(tmp_path / "c")
    before = contents(Store.open(tmp_path / "c"))
    files = sorted(path.name for path in (tmp_path / "c").iterdir())
    store.weight("b")[:] = 9
    syncs = []

    def stop(descriptor):
        syncs.append(descriptor)
        if len(syncs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("wse.memoryx.store.os.fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        store.save(tmp_path / "c")
    assert contents(Store.open(tmp_path / "c")) == before
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == files


def test_a_store_without_a_directory_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = Store.create(None, weights(), AdamW.slots, {"step": 1})
    store.slot("m", "b")[:] = 3
    assert not list(tmp_path.iterdir())
    store.save(tmp_path / "c")
    assert contents(Store.open(tmp_path / "c")) == contents(store)
    with pytest.raises(wse.ConfigError, match="the store has no weight 'z'"):
        store.weight("z")


def test_files_have_their_space_from_the_start(tmp_path):
    Store.create(tmp_path / "s", {"large": np.broadcast_to(np.float32(0), (1 << 20,))})
    for kind in ("weight", "gradient"):
        stat = (tmp_path / "s" / f"{kind}.safetensors").stat()
        assert stat.st_blocks * 512 >= stat.st_size > 1 << 22


def test_a_disk_that_is_full_is_an_error_and_leaves_no_files(tmp_path, monkeypatch):
    huge = np.broadcast_to(np.float32(0), (1 << 50,))
    with pytest.raises(
        wse.ConfigError, match=r"cannot make .*weight.safetensors: it takes 4,503,599.* GB, and the disk has"
    ):
        Store.create(tmp_path / "s", {"huge": huge})
    assert not list((tmp_path / "s").iterdir())


def test_space_is_reserved_where_the_file_system_cannot(tmp_path, monkeypatch):
    def refuse(*given):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    store = Store.create(tmp_path / "s", {"x": np.ones(3 << 18, np.float32)})
    assert store.weight("x").all() and not store.gradient("x").any()


def test_a_checkpoint_is_read_only_and_opening_writes_nothing(tmp_path):
    store = Store.create(tmp_path / "s", weights(), AdamW.slots)
    store.save(tmp_path / "c")

    def state():
        return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "c").iterdir()}

    before = state()
    saved = Store.open(tmp_path / "c")
    for array in (saved.weight("b"), saved.slot("m", "b"), saved.gradient("b")):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 1
    assert state() == before and sorted(before) == [
        "m.1.safetensors",
        "meta.json",
        "v.1.safetensors",
        "weight.1.safetensors",
    ]
    with pytest.raises(wse.ConfigError, match="is a checkpoint, which is not written to in place"):
        Store.open(tmp_path / "c", "r+")
    again = Store.open(tmp_path / "s", "r+")
    again.weight("b")[:] = 5
    assert (Store.open(tmp_path / "s").weight("b") == 5).all()


def test_saving_removes_no_file_of_others(tmp_path):
    store = Store.create(None, weights(), AdamW.slots)
    for name in ("c.old", "c.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    for _ in range(2):
        store.save(tmp_path / "c")
    assert (tmp_path / "c.old/mine").exists() and (tmp_path / "c.part/mine").exists()
    assert len(list((tmp_path / "c").iterdir())) == 4  # one generation


@pytest.mark.parametrize("name", ["meta.json", "weight.safetensors", "gradient.safetensors", "m.safetensors"])
def test_creating_overwrites_nothing(tmp_path, name):
    Store.create(tmp_path / "s", weights(), ("m",))
    for path in (tmp_path / "s").iterdir():
        if path.name != name:
            path.unlink()
    before = (tmp_path / "s" / name).read_bytes()
    with pytest.raises(wse.ConfigError, match="holds a store"):
        Store.create(tmp_path / "s", weights(1), ("m",))
    assert (tmp_path / "s" / name).read_bytes() == before and len(list((tmp_path / "s").iterdir())) == 1


@pytest.mark.parametrize(
    "kinds", [["../x"], ["/etc/x"], ["m/../../x"], ["weight"], ["m", "m"], "m", [3], {"m": 1}, [""]]
)
def test_names_in_a_hostile_checkpoint_are_no_paths(tmp_path, kinds):
    Store.create(None, weights(), AdamW.slots).save(tmp_path / "c")
    (tmp_path / "x.1.safetensors").write_bytes((tmp_path / "c/m.1.safetensors").read_bytes())
    meta = json.loads((tmp_path / "c/meta.json").read_text())
    (tmp_path / "c/meta.json").write_text(json.dumps(meta | {"kinds": kinds}))
    with pytest.raises(wse.ConfigError, match="does not describe a store"):
        Store.open(tmp_path / "c")


def test_a_pipe_in_the_place_of_a_file_does_not_block(tmp_path):
    Store.create(tmp_path / "s", weights())
    (tmp_path / "s/weight.safetensors").unlink()
    os.mkfifo(tmp_path / "s/weight.safetensors")
    with pytest.raises(wse.ConfigError, match="is no file"):
        Store.open(tmp_path / "s")


def test_damaged_files_are_refused_or_read(tmp_path):
    """Any change of a few bytes of a header or of meta.json gives a ConfigError, or arrays within the file."""
    Store.create(None, weights(), AdamW.slots, {"step": 1}).save(tmp_path / "c")
    rng = np.random.default_rng(5)
    for name in ("meta.json", "weight.1.safetensors", "m.1.safetensors"):
        path = tmp_path / "c" / name
        whole = path.read_bytes()
        for _ in range(300):
            spoilt = bytearray(whole)
            for at in rng.integers(0, min(len(whole), 420), rng.integers(1, 4)):
                spoilt[at] = rng.choice([rng.integers(256), *b'0123456789{}[]":,-'])
            path.write_bytes(spoilt[: rng.integers(len(spoilt))] if rng.random() < 0.2 else spoilt)
            try:
                store = Store.open(tmp_path / "c")
            except wse.ConfigError as error:
                assert "\n" not in str(error)
            else:
                assert all(float(store.weight(tensor).sum()) is not None for tensor in store.names)
        path.write_bytes(whole)


def spoil(directory, kind):
    path = directory / "weight.safetensors"
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    elif kind == "text":
        path.write_text("hello")
    elif kind == "gone":
        path.unlink()
    elif kind == "type":
        raw = path.read_bytes()
        path.write_bytes(raw.replace(b'"F32"', b'"I32"', 1))
    elif kind == "meta":
        (directory / "meta.json").write_text("[]")
    elif kind == "no meta":
        (directory / "meta.json").unlink()
    elif kind == "other":
        path.write_bytes((directory / "m.safetensors").read_bytes().replace(b'"b"', b'"c"'))


@pytest.mark.parametrize(
    "kind, message",
    [
        ("cut", r"is no safetensors file, or not all of it: offsets of b do not fit"),
        ("text", r"is no safetensors file, or not all of it"),
        ("gone", r"there is no .*weight.safetensors, which belongs to the store"),
        ("type", r"is I32: the store holds float32 \(F32\) only"),
        ("meta", r"meta.json does not describe a store"),
        ("no meta", r"holds no store: there is no meta.json in it"),
        ("other", r"has other tensors than the weights"),
    ],
)
def test_what_is_no_store(tmp_path, kind, message):
    Store.create(tmp_path / "s", weights(), AdamW.slots)
    spoil(tmp_path / "s", kind)
    with pytest.raises(wse.ConfigError, match=message):
        Store.open(tmp_path / "s")


def test_what_a_store_refuses(tmp_path):
    store = Store.create(tmp_path / "s", weights(), ("m",))
    for call, message in [
        (
            lambda: Store.create(tmp_path / "s", weights()),
            r"holds a store \(meta.json\): choose another directory, or open it",
        ),
        (lambda: Store.create(tmp_path / "t", weights(), ("m", "m")), "slots have names of their own, unlike 'm'"),
        (lambda: Store.create(tmp_path / "u", weights(), ("a/b",)), "slots have names of their own, unlike 'a/b'"),
        (lambda: store.weight("z"), "has no weight 'z'; see its names"),
        (lambda: store.slot("v", "b"), "has no v 'b'; its slots are m"),
        (lambda: store.save(tmp_path / "s"), "is where the store itself lies"),
        (lambda: store.save(tmp_path), "exists and is no checkpoint"),
        (lambda: Store.create(None, weights()).save(tmp_path / "s"), "holds a store, not a checkpoint"),
        (lambda: store.save(tmp_path / "s/meta.json"), "is a file: a checkpoint is a directory"),
    ]:
        with pytest.raises(wse.ConfigError, match=message):
            call()
    assert json.loads((tmp_path / "s" / "meta.json").read_text()) == {"kinds": ["gradient", "m"]}


def test_what_is_released_is_in_the_files(tmp_path):
    for store in (Store.create(tmp_path / "s", weights(), AdamW.slots), Store.create(None, weights(), AdamW.slots)):
        for name in store.names:
            store.gradient(name)[...] = store.weight(name) + 1
            store.release()
        for name, weight in store.weights.items():
            assert np.array_equal(weight, weights()[name].astype(np.float32)) and np.array_equal(
                store.gradient(name), weight + 1
            )
        kept = store.weight("b")
        store.release()
        kept[...] = 7  # an array stays one of the file
        assert (store.weights["b"] == 7).all()
    opened = Store.open(tmp_path / "s")
    opened.release()
    assert (opened.weights["b"] == 7).all()
