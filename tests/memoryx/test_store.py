"""The store: files that other readers read, and a checkpoint that is the same to the bit."""

import json

import numpy as np
import pytest

import wse
from wse.memoryx import store as module
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
    store.weight("b")[:] = 9

    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("wse.memoryx.store.shutil.copyfile", stop)
    with pytest.raises(KeyboardInterrupt):
        store.save(tmp_path / "c")
    assert contents(Store.open(tmp_path / "c")) == before


def test_files_take_no_room_until_they_are_written(tmp_path):
    module._make(tmp_path / "x.safetensors", {"large": (1 << 33,)})
    assert (tmp_path / "x.safetensors").stat().st_size > 1 << 35
    assert (tmp_path / "x.safetensors").stat().st_blocks * 512 < 1 << 20
    large = module._map(tmp_path / "x.safetensors")["large"]
    large[-1] = 3
    assert module._map(tmp_path / "x.safetensors")["large"][-1] == 3


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
        ("cut", r"is no safetensors file, or not all of it: cut off"),
        ("text", r"is no safetensors file, or not all of it"),
        ("gone", r"there is no .*weight.safetensors, which belongs to the store"),
        ("type", r"is I32: the store holds float32 \(F32\) only"),
        ("meta", r"meta.json does not describe a store"),
        ("no meta", r"holds no store: there is no meta.json in it"),
        ("other", r"has other tensors than weight.safetensors"),
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
        (lambda: Store.create(tmp_path / "s", weights()), "holds a store: choose another directory, or open it"),
        (lambda: Store.create(tmp_path / "t", weights(), ("m", "m")), "slots have names of their own, unlike 'm'"),
        (lambda: Store.create(tmp_path / "u", weights(), ("a/b",)), "slots have names of their own, unlike 'a/b'"),
        (lambda: store.weight("z"), "has no weight 'z'; see its names"),
        (lambda: store.slot("v", "b"), "has no v 'b'; its slots are m"),
        (lambda: store.save(tmp_path / "s"), "is where the store itself lies"),
        (lambda: store.save(tmp_path), "exists and is no checkpoint"),
    ]:
        with pytest.raises(wse.ConfigError, match=message):
            call()
    assert json.loads((tmp_path / "s" / "meta.json").read_text()) == {"kinds": ["gradient", "m"]}
