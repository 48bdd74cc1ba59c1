"""wse/npz.py: headers are read and checked before arrays are unpacked."""

import io
import os
import zipfile

import numpy as np
import pytest

from wse import npz

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(3, 2)),
    "empty": np.zeros((0, 4), np.int64),
    "scalar": np.array(7),
}


@pytest.fixture(params=[np.savez, np.savez_compressed])
def path(tmp_path, request):
    request.param(tmp_path / "a.npz", **ARRAYS)
    return tmp_path / "a.npz"


def replaced(path, name, data, method=zipfile.ZIP_STORED):
    """The archive with one member's bytes changed."""
    with zipfile.ZipFile(path) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    members[name] = data(members[name])
    with zipfile.ZipFile(path, "w", method) as new:
        for member, content in members.items():
            new.writestr(member, content)


def test_headers_and_arrays(path):
    with npz.Archive(path) as archive:
        assert set(archive.entries) == set(ARRAYS)
        for name, array in ARRAYS.items():
            entry = archive.entries[name]
            assert (entry.shape, entry.dtype, entry.nbytes) == (array.shape, array.dtype, array.nbytes)
            np.testing.assert_array_equal(archive.read(name), array)
        assert archive.entries["b"].fortran and not archive.entries["a"].fortran


def test_a_file_object_is_read(path):
    with npz.Archive(io.BytesIO(path.read_bytes())) as archive:
        np.testing.assert_array_equal(archive.read("a"), ARRAYS["a"])


def test_a_large_array_is_found_by_its_header(tmp_path):
    """2^60 bytes by its header, a few in the file: refused without an attempt to unpack it."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 60,)})
    with zipfile.ZipFile(tmp_path / "big.npz", "w") as file:
        file.writestr("a.npy", header.getvalue())
    with pytest.raises(ValueError, match=r"a\.npy is not as long as it says"):
        npz.Archive(tmp_path / "big.npz")


def test_arrays_beyond_the_memory_are_refused(path, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 1)
    with pytest.raises(ValueError, match="and this computer has"):
        npz.Archive(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda old: old[:-1], "is not as long as it says"),
        (lambda old: old + b"x", "is not as long as it says"),
        (lambda old: old[:6] + b"\x09\x00" + old[8:], "is of an unknown version"),
        (lambda old: b"no array", "magic string"),
    ],
)
def test_damaged_members(path, data, message):
    replaced(path, "a.npy", data)
    with pytest.raises(npz.UNREADABLE, match=message):
        npz.Archive(path)


def test_python_objects_are_refused(tmp_path):
    np.savez(tmp_path / "o.npz", a=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds Python objects"):
        npz.Archive(tmp_path / "o.npz")


def test_names_are_unique_and_methods_known(path):
    replaced(path, "a.npy", lambda old: old, zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="packed in an unknown way"):
        npz.Archive(path)
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        for _ in range(2):
            file.writestr("a.npy", b"")
    with pytest.raises(npz.UNREADABLE):
        npz.Archive(path)


def test_a_wrong_checksum_is_found(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(1 << 20, np.uint8))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[1 << 19] ^= 1  # in the array
    with npz.Archive(io.BytesIO(bytes(data))) as archive, pytest.raises(npz.UNREADABLE):
        archive.read("a")


def test_what_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        npz.Archive(tmp_path)
    with pytest.raises(FileNotFoundError):
        npz.Archive(tmp_path / "none.npz")
    os.mkfifo(tmp_path / "pipe")  # without the check, opening it would wait for a writer
    with pytest.raises(ValueError, match="it is no file"):
        npz.Archive(tmp_path / "pipe")
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(npz.UNREADABLE):
        npz.Archive(tmp_path / "text")
