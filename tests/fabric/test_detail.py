"""wse/fabric/detail.py: what a page shows of a program is recorded, saved and loaded; damaged files are refused.

Covers: wse/fabric/describe.py
"""

import copy
import pickle

import numpy as np
import pytest
from explored import product, stuck

import wse
from wse.fabric import describe, detail, fabric
from wse.fabric.detail import COLUMNS, Detail
from wse.fabric.run import Run
from wse.kernels import RunOptions, load
from wse.report import explore, page


def same(a: Detail, b: Detail) -> bool:
    mine, theirs = a.arrays(), b.arrays()
    equal = mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
    return equal and a.plain() == b.plain()


def test_the_program_as_it_was_loaded():
    found = product().detail
    assert found.colors == {0: "a", 1: "b"} and sorted(found.routes) == [0, 1]
    assert found.class_of.shape == found.routes[0].shape == (4, 4) and found.waits is None
    (one,) = found.classes
    assert len(one.code) == len(one.places) == len(one.lines) and one.profile.shape == (len(one.code) + 1, COLUMNS)
    assert one.places[0] == "tile:2, begin" and one.code[0].startswith("ld32 ")
    # each cycle of each PE has one cause
    assert int(one.profile[:, 1:].sum()) == product().pe_cycles


def test_it_changes_nothing_of_a_run():
    plain, detailed = product(), product()
    plain = copy.copy(plain)
    plain.detail = None
    assert plain == detailed and plain.diff(detailed) == []


def test_large_grids_have_no_profile(monkeypatch):
    monkeypatch.setattr(fabric, "MOST_PES", 1)
    run = stuck()
    assert run.activity is None and all(one.profile is None for one in run.detail.classes)
    monkeypatch.setattr(fabric, "MOST_PES", 2)
    assert stuck().activity is not None


def wide(activity=False):
    """Two rows of 70 PEs: one adds arrays, the other has little to do."""
    p = wse.Program(70, 2)
    pe = p.pe_class("pe")
    pe.dsd("all", wse.mem1d(pe.array("x", 40, "f32")))
    pe.code("main:\n dsr d0, all\n dsr a0, all\n fadds d0, a0, a0\n done")
    pe.local_task("main", 9, active=True)
    idle = p.pe_class("idle")
    idle.code("main:\n mov r1, 3\n done")
    idle.local_task("main", 9, active=True)
    p.place(pe, y=0)
    p.place(idle, y=1)
    return wse.Fabric(p, detail=True, activity=activity).run()


def test_activity_of_large_grids_is_that_of_parts_of_rows(monkeypatch, tmp_path):
    exact = wide()
    monkeypatch.setattr(fabric, "MOST_PES", 20)
    run = wide()
    assert (exact.activity_step, run.activity_step, run.activity.shape) == (1, 8, (64, 2, 9))
    padded = np.pad(exact.activity, ((0, 0), (0, 0), (0, 2))).reshape(64, 2, 9, 8)
    assert np.array_equal(run.activity, padded.sum(axis=3)) and run.activity.any()
    assert run.detail.classes[0].profile is None
    run.save(tmp_path / "a.npz")
    assert Run.load(tmp_path / "a.npz") == run
    assert wide(activity=True).activity_step == 1


def test_links_by_color_of_large_grids(monkeypatch, tmp_path):
    def spread():
        module = load("broadcast")
        config = {name: parameter.default for name, parameter in module.PARAMETERS.items()} | {"length": 8}
        return module.run(config, RunOptions(grid=(66, 3), detail=True)).run

    exact = spread()
    monkeypatch.setattr(fabric, "MOST_PES", 20)
    run = spread()
    assert (exact.activity_step, run.activity_step) == (1, 16) and run.detail.links.keys() == exact.detail.links.keys()
    assert all(np.array_equal(planes, exact.detail.links[color]) for color, planes in run.detail.links.items())
    assert sum(planes.sum() for planes in run.detail.links.values()) == run.links.sum() > 0
    explore([run], path := tmp_path / "page.html")
    assert '"links":[[' in path.read_text()
    monkeypatch.setattr(page, "BUDGET", 10)
    explore([run], path)
    assert '"links":[[' not in path.read_text()
    monkeypatch.setattr(describe, "MOST_LINKS", 1)
    assert spread().detail.links == {}


def test_links_by_color_add_up():
    run = product()
    links = run.detail.links
    assert np.array_equal(sum(links.values()), run.links)
    for color, planes in links.items():
        assert planes.sum(axis=(1, 2)).tolist() == run.colors[color, :, 0].tolist() and planes.any()


def test_the_memory_of_a_class():
    (one,) = product().detail.classes
    names = [row[0] for row in one.memory]
    assert names[0] == "code" and {"A", "B", "C"} <= set(names)
    assert all(a[1] + a[2] <= b[1] for a, b in zip(one.memory, one.memory[1:], strict=False))


def test_the_waits_of_a_deadlock():
    waits = stuck().detail.waits
    assert waits["count"] == len(waits["who"]) == 2 and sorted(waits["cycle"]) == [0, 1]
    assert sorted(waits["pe"]) == [0, 1] and sorted(waits["edges"]) == [[0, 1], [1, 0]]
    assert "waits for a wavelet in input queue 2 (color back), which PE (1, 0) would send" in waits["who"][0]


@pytest.mark.parametrize("run", [product, stuck])
def test_it_is_saved_with_the_run(run, tmp_path):
    run().save(tmp_path / "a.npz")
    loaded = Run.load(tmp_path / "a.npz")
    assert loaded == run() and same(loaded.detail, run().detail)
    assert same(pickle.loads(pickle.dumps(run())).detail, run().detail)


def test_a_run_without_it_is_saved_without(tmp_path):
    run = copy.copy(product())
    run.detail = None
    run.save(tmp_path / "a.npz")
    assert Run.load(tmp_path / "a.npz").detail is None


def spoiled():
    """Changes that make a detail one that nothing can show."""
    yield lambda plain, arrays: plain.update(other=1)
    yield lambda plain, arrays: plain.pop("classes")
    yield lambda plain, arrays: plain["classes"][0].pop("code")
    yield lambda plain, arrays: plain["classes"][0]["code"].pop()
    yield lambda plain, arrays: plain["classes"][0].update(places=[1] * len(plain["classes"][0]["code"]))
    yield lambda plain, arrays: plain.update(waits={"who": []})
    yield lambda plain, arrays: plain["waits"]["pe"].append(0)
    yield lambda plain, arrays: plain["waits"].update(pe=[0, 2])
    yield lambda plain, arrays: plain["waits"].update(edges=[[0, 2]])
    yield lambda plain, arrays: plain["waits"].update(cycle=[-1])
    yield lambda plain, arrays: arrays.pop("class_of")
    yield lambda plain, arrays: arrays.update(class_of=np.zeros((2, 1), np.uint16))
    yield lambda plain, arrays: arrays.update(route_1=np.zeros((1, 2), np.uint32))
    yield lambda plain, arrays: arrays.update(route_77=np.zeros((1, 2), np.uint64))
    yield lambda plain, arrays: plain["classes"][0].update(memory=[["x", 0, 4, "f32"]])
    yield lambda plain, arrays: arrays.update(links_1=np.zeros((5, 2, 1), np.uint64))
    yield lambda plain, arrays: plain.update(states={"cycles": [], "pes": [], "queues": []})
    yield lambda plain, arrays: arrays.update(profile_0=np.zeros((3, 2), np.uint64))


@pytest.mark.parametrize("change", list(spoiled()))
def test_a_damaged_one_is_refused(change, tmp_path, monkeypatch):
    run = stuck()
    plain, arrays = copy.deepcopy(run.detail.plain()), run.detail.arrays()
    assert Detail.of(plain, arrays, (1, 2))
    change(plain, arrays)
    monkeypatch.setattr(detail.Detail, "plain", lambda self: plain)
    monkeypatch.setattr(detail.Detail, "arrays", lambda self: arrays)
    run.save(tmp_path / "a.npz")
    with pytest.raises(wse.ConfigError, match=r"a\.npz is no run file: "):
        Run.load(tmp_path / "a.npz")
