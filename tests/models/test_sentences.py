"""How sentences become vectors, by the files of sentence-transformers."""

import json

import pytest

from wse.errors import ConfigError
from wse.models.sentences import Sentences, read_sentences


def write(folder, types=("Transformer", "Pooling", "Normalize"), pooling=None, settings=None):
    modules = [
        {"idx": i, "name": str(i), "path": "" if i == 0 else f"{i}_{t}", "type": f"sentence_transformers.models.{t}"}
        for i, t in enumerate(types)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    if len(types) > 1:
        (folder / f"1_{types[1]}").mkdir(exist_ok=True)
        table = {"word_embedding_dimension": 8} | (pooling or {"pooling_mode_mean_tokens": True})
        (folder / f"1_{types[1]}" / "config.json").write_text(json.dumps(table))
    if settings is not None:
        (folder / "sentence_bert_config.json").write_text(json.dumps(settings))
    return folder


def test_files(tmp_path):
    assert read_sentences(tmp_path) == Sentences("mean", True, 0, False)
    settings = {"max_seq_length": 256, "do_lower_case": True}
    assert read_sentences(write(tmp_path, settings=settings)) == Sentences("mean", True, 256, True)
    first = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    made = read_sentences(write(tmp_path, ("Transformer", "Pooling"), first, {"max_seq_length": None}))
    assert made == Sentences("first", False, 0, False)


@pytest.mark.parametrize(
    "more, error",
    [
        ({"types": ("Transformer", "Pooling", "Dense")}, "has a module 'Dense': supported are Transformer, Pooling"),
        ({"types": ("Transformer",)}, "has the modules Transformer: supported are"),
        ({"pooling": {"pooling_mode_max_tokens": True}}, "pools by max: supported are mean or cls"),
        (
            {"pooling": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}},
            "pools by mean and cls: supported",
        ),
        ({"pooling": {"pooling_mode_mean_tokens": False}}, "pools by nothing"),
        ({"settings": {"max_seq_length": "long"}}, "max_seq_length is 'long', but must be a number of tokens"),
    ],
)
def test_what_is_refused(tmp_path, more, error):
    with pytest.raises(ConfigError, match=error):
        read_sentences(write(tmp_path, **more))
