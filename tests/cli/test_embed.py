"""`wse embed`: a small BERT of random weights with a tokenizer; what is printed, written and refused.

Covers: wse/cli/strips.py
"""

import json

import numpy as np
import pytest
from shell import sh

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "dog", "sat", "ran", "a", "."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12, initializer_range=0.3,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(path)
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_truncation(5)
    made.save(str(path / "tokenizer.json"))
    return path


def run(folder, *words):
    return sh("embed", "--model", folder, *words)


def test_vectors(folder, tmp_path):
    lines = tmp_path / "lines.txt"
    lines.write_text("the dog ran\n\nA cat sat.\n", encoding="utf-8")
    words = ["--text", "The cat sat", "--file", lines, "--out", tmp_path / "v.npy"]
    document = json.loads(run(folder, *words, "--json").stdout)
    assert [s["ids"] for s in document["sentences"]] == [[2, 4, 5, 7, 3], [2, 4, 6, 8, 3], [2, 9, 5, 7, 10, 3]]
    vectors = np.load(tmp_path / "v.npy")
    assert vectors.dtype == np.float32 and np.allclose(vectors, document["vectors"])
    model = transformers.BertModel.from_pretrained(folder).eval()
    for sentence, vector in zip(document["sentences"], vectors, strict=True):
        with torch.no_grad():
            mean = model(torch.tensor([sentence["ids"]])).last_hidden_state[0].mean(0).numpy()
        assert mean @ vector / np.linalg.norm(mean) > 0.9999
    assert abs(document["predicted"]["error_pct"]) < 10
    assert document["sentence_cycles"] * 3 == pytest.approx(document["cycles"])
    assert document["sentences"][0]["nearest"] in (2, 3)


def test_text_and_picture(folder, tmp_path):
    result = run(folder, "--text", "the cat", "--plot", tmp_path / "w.png", "--dtype", "bf16", "--pool", "first")
    assert "sentences/s on the device" in result.stdout and "first token, of length 1" in result.stdout
    assert (tmp_path / "w.png").stat().st_size > 1000


def test_long_sentences(folder):
    long = "the cat sat . " * 4
    result = run(folder, "--text", long)
    assert result.exit_code == 2 and "sentence 1 has 18 tokens, more than 12" in result.stderr
    document = json.loads(run(folder, "--text", long, "--truncate", "--json").stdout)
    ids = document["sentences"][0]["ids"]
    assert len(ids) == 12 and ids[0] == 2 and ids[-1] == 3


@pytest.mark.parametrize(
    "words, error",
    [
        ([], "there is no sentence: give --text, or --file"),
        (["--text", "a", "--out", "x.npz"], "vectors are written as .npy"),
        (["--file", "none.txt"], "none.txt: No such file"),
        (["--text", "a", "--rows", "3"], "must divide 4"),
        (["--text", "a", "--context", "13"], "has a context of 1 to 12 tokens, not 13"),
    ],
)
def test_errors(folder, words, error):
    result = run(folder, *words)
    assert result.exit_code == 2 and error in result.stderr


def test_a_decoder_is_refused(tmp_path):
    config = transformers.GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=8)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    result = run(tmp_path, "--text", "a")
    assert (
        result.exit_code == 2 and "is not of the kind that sentences are encoded with: body is decoder" in result.stderr
    )
