"""wse.run: a Run is a value that compares, pickles, saves and loads."""

import dataclasses
import json
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from says import says
from synthetic import make_run

import wse
from wse import ConfigError, Fabric, Program, Run, _engine
from wse.fabric.run import COUNTERS, EVENT


def measured(**options) -> Run:
    p = Program(2, 1)
    red = p.color("red")
    one, two = p.pe_class("one"), p.pe_class("two")
    a = one.array("a", 8, "f32", init=np.arange(8))
    b = two.array("b", 8, "f32")
    one.dsd("a_all", wse.mem1d(a))
    one.dsd("out", wse.fabout(2, red))
    one.queue_out(2, red)
    one.code("main:\n dsr d0, out\n dsr a0, a_all\n fmovs d0, a0\n done")
    two.dsd("b_all", wse.mem1d(b))
    two.dsd("in", wse.fabin(2))
    two.queue_in(2, red)
    two.code("main:\n dsr d0, b_all\n dsr b0, in\n dsr a0, b_all\n fadds d0, a0, b0\n done")
    for pe in (one, two):
        pe.local_task("main", 9, active=True)
    p.place(one, 0)
    p.place(two, 1)
    p.route(red, "R", "E", 0)
    p.route(red, "W", "R", 1)
    return Fabric(p, **options).run()


def test_figures():
    run = measured()
    assert (run.machine, run.profile, run.width, run.height, run.ended) == ("wse3", "simulator", 2, 1, "done")
    assert run.clock_hz == 875_000_000 and run.seconds == run.cycles / 875e6
    assert set(run.counters) == set(COUNTERS) and run.counters["flops"].tolist() == [[0, 8]]
    assert run.flops == 8 and run.wavelet_hops == 8
    assert run.links[_engine.E].tolist() == [[8, 0]] and run.links[_engine.RAMP].tolist() == [[0, 8]]
    assert run.colors[0, _engine.E].tolist()[0] == 8
    assert run.opcodes["fmovs"] == run.opcodes["fadds"] == 1 and "fmacs" not in run.opcodes
    assert run.total("wavelets_in") == run.total("wavelets_out") == 8
    assert run.series.shape == (64, 4) and run.activity is None and run.events is None
    assert run.meta["wse"] == wse.__version__


def test_what_it_says_of_itself():
    run = measured()
    share = f"{100 * run.utilization:.1f} %"
    assert repr(run) == f"Run(wse3 (simulator), 2 x 1 PEs: {run.cycles} cycles, utilization {share})"
    run.meta["kernel"], run.ended = "axpy", "limit"
    assert repr(run).startswith("Run(axpy on wse3 (simulator)") and repr(run).endswith("ended: limit)")
    assert len(repr(make_run(750, 994))) < 120


def test_every_cycle_of_a_pe_is_accounted_for():
    run = measured()
    each = sum(run.counters[name] for name in COUNTERS if name.startswith(("busy_", "stall_")) or name == "idle")
    assert each.tolist() == [[run.cycles, run.cycles]]
    shares = run.utilization + sum(run.stalls.values())
    assert shares == pytest.approx(1, abs=1e-12)
    assert list(run.stalls) == ["input", "output", "bank", "start", "branch", "latency", "task", "idle"]
    assert int(run.series[:, 0].sum()) == int(run.busy.sum())
    assert int(run.series[:, 1].sum()) == run.wavelet_hops and int(run.series[:, 2].sum()) == run.flops


def test_activity_and_events():
    run = measured(trace=1000, activity=True, bins=16)
    assert run.activity.shape == (16, 1, 2) and run.activity.dtype == np.uint64
    assert run.activity.sum(axis=0).tolist() == run.busy.tolist()
    assert run.events.dtype == EVENT and run.events_dropped == 0
    assert (np.diff(run.events["cycle"].astype(np.int64)) >= 0).all()
    names = [_engine.events()[kind][0] for kind in run.events["kind"]]
    assert names.count("TASK_START") == names.count("TASK_END") == 2
    cut = measured(trace=3)
    assert len(cut.events) == 3 and cut.events_dropped == len(run.events) - 3
    assert np.array_equal(cut.events, run.events[:3])


def test_comparison():
    one, two = measured(trace=9), measured(trace=9)
    assert one == two and one.same(two) and one.diff(two) == []
    two.wall_seconds, two.meta = -1.0, {}
    assert one == two
    two.cycles += 1
    two.counters["idle"] = two.counters["idle"] + np.uint64(1)
    two.events = None
    assert one.diff(two) == ["cycles", "idle", "events"] and one != two
    assert one != 3


def test_save_and_load(tmp_path):
    for options in ({}, {"trace": 100, "activity": True}):
        run = measured(**options)
        run.meta["kernel"] = "copy"
        run.save(tmp_path / "run.npz")
        back = Run.load(tmp_path / "run.npz")
        assert back == run and back.meta == run.meta and back.wall_seconds == run.wall_seconds
        assert type(back.cycles) is int and back.utilization == run.utilization
        assert pickle.loads(pickle.dumps(run)) == run


def test_a_missing_file(tmp_path):
    with says(ConfigError, f"run file {tmp_path / 'none.npz'}: No such file or directory"):
        Run.load(tmp_path / "none.npz")
    with pytest.raises(ConfigError, match="Is a directory"):
        Run.load(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), magic=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"PK\x05\x06"]))
def test_random_bytes_are_no_run(tmp_path, data, magic):
    path = tmp_path / "random.npz"
    path.write_bytes(magic + data)
    with pytest.raises(ConfigError):
        Run.load(path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.npz"
    measured(trace=20, activity=True, bins=4).save(path)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_refused_or_read(saved, tmp_path, data):
    """Bytes changed or cut off: an error of ours, or, where the damage is outside of what counts, a Run."""
    good = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.npz"
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))] if data.draw(st.booleans()) else good)
    try:
        assert isinstance(Run.load(path), Run)
    except ConfigError as error:
        assert str(path) in str(error)


def altered(saved, tmp_path, header=None, **arrays):
    """The saved run with fields of its record or arrays replaced; None drops one."""
    with np.load(saved) as file:
        contents = {name: file[name] for name in file.files}
    plain = json.loads(contents["run"].tobytes())
    for name, value in (header or {}).items():
        if value is None:
            del plain[name]
        else:
            plain[name] = value
    contents["run"] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    for name, value in arrays.items():
        if value is None:
            del contents[name]
        else:
            contents[name] = value
    path = tmp_path / "altered.npz"
    np.savez_compressed(path, **contents)
    return path


@pytest.mark.parametrize(
    ("header", "arrays", "message"),
    [
        ({"format": 2}, {}, "it is not of format 1"),
        ({"cycles": None}, {}, "its cycles is missing or wrong"),
        ({"cycles": "many"}, {}, "its cycles is missing or wrong"),
        ({"cycles": True}, {}, "its cycles is missing or wrong"),
        ({"speed": 3}, {}, "it has unknown fields: speed"),
        ({"ended": "well"}, {}, "its fields are out of range"),
        ({"width": 0}, {}, "its fields are out of range"),
        ({"width": 3}, {}, "its array "),
        ({"opcodes": {"nop": "x"}}, {}, "its opcodes are wrong"),
        ({}, {"links": None}, "it has no links"),
        ({}, {"series": np.zeros((4, 3), np.uint64)}, "its array series is unknown or of wrong shape"),
        ({}, {"colors": np.zeros((24, 5, 2), np.uint32)}, "its array colors is unknown or of wrong shape"),
        ({}, {"more": np.zeros(3)}, "its array more is unknown or of wrong shape"),
        ({}, {"counter_idle": None}, "it has no idle"),
        ({}, {"counter_idle": np.zeros((2, 2), np.uint64)}, "its counter idle is of wrong shape"),
        ({}, {"run": np.zeros(3)}, "it has no record of a run"),
    ],
)
def test_wrong_contents(saved, tmp_path, header, arrays, message):
    path = altered(saved, tmp_path, header, **arrays)
    with pytest.raises(ConfigError) as caught:
        Run.load(path)
    assert str(caught.value).startswith(f"{path} is no run file: {message}")


def test_pickled_objects_are_not_run(saved, tmp_path):
    path = tmp_path / "pickle.npz"
    np.savez(path, run=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ConfigError, match="Python objects"):
        Run.load(path)


def test_the_file_is_a_plain_archive(saved):
    with zipfile.ZipFile(saved) as archive:
        names = set(archive.namelist())
    fields = {f.name for f in dataclasses.fields(Run)}
    assert {"run.npy", "links.npy", "counter_idle.npy"} <= names
    assert all(n.removesuffix(".npy") in fields | {"run"} or n.startswith("counter_") for n in names)


def packed(path, arrays):
    np.savez_compressed(path, **arrays)
    return path


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_from_its_headers(tmp_path, recorded):
    """Arrays that do not belong, and arrays that do but are larger than this computer: neither is unpacked."""
    good = dict(np.load(recorded))
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in (good | {"links": None}).items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                if array is not None:
                    np.lib.format.write_array(member, array)
                    continue
                header = {"descr": "<u4", "fortran_order": False, "shape": (5, 40, 1 << 20)}
                np.lib.format.write_array_header_1_0(member, header)
                for _ in range(50):
                    member.write(bytes(1 << 24))
    assert (tmp_path / "bomb.npz").stat().st_size < 2 << 20
    tracemalloc.start()
    with pytest.raises(ConfigError, match="is no run file: its array links is unknown or of wrong shape"):
        Run.load(tmp_path / "bomb.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_pickles_are_refused(tmp_path, recorded):
    path = packed(tmp_path / "p.npz", dict(np.load(recorded)) | {"links": np.array([print], object)})
    with pytest.raises(ConfigError, match=r"links\.npy holds Python objects"):
        Run.load(path)


def test_damaged_files_are_refused_or_equal(tmp_path, recorded):
    whole = recorded.read_bytes()
    good, rng, path = Run.load(recorded), np.random.default_rng(3), tmp_path / "bad.npz"
    for _ in range(400):
        spoilt = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 4)):
            spoilt[at] ^= rng.integers(1, 256)
        path.write_bytes(spoilt[: rng.integers(len(spoilt))] if rng.random() < 0.3 else spoilt)
        try:
            assert Run.load(path) == good
        except ConfigError as error:
            assert "\n" not in str(error)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, recorded, monkeypatch):
    before = recorded.read_bytes()

    def full(*given, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left") as error:
        Run.load(recorded).save(recorded)
    assert error.value.filename == str(recorded) and recorded.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [recorded.name]


@pytest.fixture
def recorded(tmp_path):
    make_run().save(tmp_path / "saved.npz")
    return tmp_path / "saved.npz"
