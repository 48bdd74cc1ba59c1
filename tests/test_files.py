"""wse/files.py: a file is written whole or not at all."""

import os
import threading

import pytest

from wse import files


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), files.replacing(path, "w") as file:
        file.write("new")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new" and str(path) in files.written


def test_the_error_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No such file") as error:
        files.write_text(tmp_path / "none" / "a.txt", "x")
    assert error.value.filename == str(tmp_path / "none" / "a.txt")


def test_mode_and_links_stay(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "real.txt").chmod(0o640)
    (tmp_path / "link.txt").symlink_to("real.txt")
    files.write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "real.txt").read_text() == "new"
    assert (tmp_path / "real.txt").stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_to(tmp_path):
    files.write_text("/dev/null", "x")
    assert not os.path.isfile("/dev/null")


def test_writers_of_one_file_do_not_mix(tmp_path):
    path, texts = tmp_path / "a.txt", [letter * 100_000 for letter in "abc"]
    threads = [threading.Thread(target=lambda t=t: [files.write_text(path, t) for _ in range(20)]) for t in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_text() in texts
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["a.txt"]
