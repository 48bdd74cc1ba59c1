"""Text as ids, and which tokens a step sees."""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.train import data


def test_characters_are_numbered_by_how_often_they_occur():
    text = data.encode("aab bba c" + "b" * 3, 96)
    assert text.characters == "ba c"  # a and b: 4 and 6; ' ' twice; c once
    assert text.decode(text.ids) == "aab bba cbbb" and not text.rest


def test_what_the_vocabulary_does_not_hold_shares_the_last_id():
    text = data.encode("aaabbcd", 3)
    assert text.rest and text.vocab == 3
    assert text.ids.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_characters_beyond_the_basic_plane_count_as_one():
    assert data.encode("a\N{GRINNING FACE}a", 9).ids.tolist() == [0, 1, 0]


def test_labels_are_the_characters_that_follow():
    batches = data.Batches(data.encode("abcdefghij" * 40, 96), batch=5, sequence=7, seed=1)
    ids, labels = batches.step(3)
    assert ids.shape == labels.shape == (5, 7)
    np.testing.assert_array_equal(ids[:, 1:], labels[:, :-1])
    np.testing.assert_array_equal((ids.astype(int) + 1) % 10, labels)


def test_a_step_depends_on_seed_and_number_alone():
    text = data.encode("".join(map(chr, range(32, 127))) * 9, 96)
    batches = data.Batches(text, 4, 8, seed=2)
    first = batches.step(7)
    batches.step(8)
    np.testing.assert_array_equal(first, data.Batches(text, 4, 8, seed=2).step(7))
    assert not np.array_equal(first, data.Batches(text, 4, 8, seed=3).step(7))
    assert not np.array_equal(first, batches.step(8))


def test_what_is_held_out_is_never_trained_on():
    text = data.Text(np.arange(1000, dtype=np.uint16), "?" * 1000, False, "")
    batches = data.Batches(text, 64, 8, seed=0)
    seen = [batches.step(step)[1] for step in range(50)]
    held = [ids for ids, _ in batches.held_out(50)]
    assert max(map(np.max, seen)) < text.split <= min(map(np.min, held))
    np.testing.assert_array_equal(batches.held_out(3), data.Batches(text, 64, 8, seed=5).held_out(3))


def test_the_library_of_this_python_is_found():
    text = data.read(data.STDLIB, 96)
    assert len(text.ids) > 1_000_000 and text.vocab == 96
    assert "import" in text.decode(text.ids[:20_000])


def test_what_is_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"^data .*nothing.txt: No such file or directory; give a text file"):
        data.read(str(tmp_path / "nothing.txt"), 96)
    with pytest.raises(ConfigError, match=r"^the text is empty$"):
        data.encode("", 96)
    with pytest.raises(ConfigError, match=r"^the text has 30 tokens; sequences of 8 need at least 90$"):
        data.Batches(data.encode("abc" * 10, 96), 1, 8, 0)
