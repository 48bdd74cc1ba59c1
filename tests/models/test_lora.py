"""Adapters: the graph, its execution against PyTorch, merging, and files as PEFT has them."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from layer_bounds import gradient_errors, random_tokens, random_weights
from safetensors.numpy import load_file

from wse import Machine
from wse.errors import ConfigError
from wse.execute.streaming import Streaming
from wse.memoryx import MemoryX
from wse.models import graph, load, lora
from wse.models.pretrained import export, open_pretrained
from wse.train import reference

LLAMA = load("nano-llama").but(layers=1, sequence=8)


def trained(made):
    """Weights of adapters that have been trained: B, which begins at 0, is not 0."""
    rng = np.random.default_rng(1)
    b = {
        name: rng.standard_normal(p.shape, np.float32) / 4
        for name, p in made.parameters.items()
        if name.endswith(lora.B)
    }
    return random_weights(made) | b


def test_an_adapter_is_two_products_and_an_addition():
    base, made = graph(LLAMA), lora.adapted(graph(LLAMA), 3)
    q = next(o for o in made.operators if o.name == "layers.0.attention.q")
    _, a, b, add = made.operators[made.operators.index(q) :][:4]
    assert [o.name.rpartition(".")[2] for o in (a, b, add)] == ["lora_a", "lora_b", "lora"]
    assert a.parameters["weight"].shape == (3, q.features[0]) and b.parameters["weight"].shape == (q.features[1], 3)
    assert (a.parameters["weight"].initial, b.parameters["weight"].initial) == ("normal", "zeros")
    assert add.outputs == next(o for o in base.operators if o.name == q.name).outputs
    assert {n for n in made.parameters if not lora.is_adapter(n)} == set(base.parameters)
    assert len([n for n in made.parameters if lora.is_adapter(n)]) == 4


@pytest.mark.parametrize("rank", [1, 6])
def test_gradients_and_loss_are_those_of_pytorch(rank):
    """Executed in f32; the rank is no multiple of the columns."""
    made = lora.adapted(graph(LLAMA), rank)
    execution = Streaming(made, 2, Machine("wse3"), MemoryX(), dtype="f32")
    weights, tokens = trained(made), random_tokens(LLAMA, 2)
    execution.load(weights)
    done = execution.run(*tokens)
    loss, expected = reference.gradients(made, weights, *tokens)
    assert done.loss == pytest.approx(loss, rel=1e-6) and set(done.gradients) == set(expected)
    assert max(error for error, _ in gradient_errors(done.gradients, expected).values()) < 1e-5
    assert all(np.abs(done.gradients[name]).max() > 0 for name in done.gradients if lora.is_adapter(name))


def test_a_merged_model_computes_the_same():
    base, made = graph(LLAMA), lora.adapted(graph(LLAMA), 4, ("attention.q", "attention.o", "mlp.down"))
    weights = trained(made)
    ids = torch.from_numpy(random_tokens(LLAMA, 2)[0].astype(np.int64))

    def logits(of, values):
        return reference.logits(of, {name: torch.from_numpy(np.asarray(values(name))) for name in of.parameters}, ids)

    with_adapters, merged = logits(made, weights.__getitem__), logits(base, lora.merged(made, weights.__getitem__))
    torch.testing.assert_close(merged, with_adapters, rtol=1e-4, atol=1e-5)
    change = (with_adapters - logits(base, weights.__getitem__)).abs().max()
    assert change > 50 * (merged - with_adapters).abs().max()


def test_files_of_adapters(tmp_path):
    made = lora.adapted(graph(LLAMA), 4)
    weights = trained(made)
    lora.export_adapter(tmp_path, made, weights.__getitem__, "llama", "base")
    config, tensors = (
        json.loads((tmp_path / "adapter_config.json").read_text()),
        load_file(tmp_path / "adapter_model.safetensors"),
    )
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 4, 4)
    assert config["target_modules"] == ["q_proj", "v_proj"] and config["base_model_name_or_path"] == "base"
    prefix = "base_model.model.model.layers.0.self_attn"
    assert sorted(tensors) == [f"{prefix}.{m}_proj.lora_{x}.weight" for m in "qv" for x in "AB"]
    assert np.array_equal(tensors[f"{prefix}.q_proj.lora_A.weight"], weights["layers.0.attention.q.lora_a.weight"])


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, about what peft calls
@pytest.mark.parametrize("kind", ["llama", "glm4"])
def test_peft_and_transformers_compute_the_same(tmp_path, kind):
    """The adapter upon the base in PEFT, and the merged model in transformers.  Rows of glm4's queries are reordered."""
    transformers, peft = pytest.importorskip("transformers"), pytest.importorskip("peft")
    torch.manual_seed(1)
    sizes = dict(
        vocab_size=31, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        intermediate_size=20, initializer_range=0.3, pad_token_id=0,
    )  # fmt: skip
    name = {"llama": "Llama", "glm4": "Glm4"}[kind]
    config = getattr(transformers, f"{name}Config")(**sizes)
    getattr(transformers, f"{name}ForCausalLM")(config).save_pretrained(tmp_path / "base")
    files = open_pretrained(tmp_path / "base")
    whole = graph(files.model())
    made = lora.adapted(whole, 3, ("attention.q", "attention.k", "attention.o", "mlp.down"))
    weights = {**trained(made), **files.weights(whole, whole)}
    lora.export_adapter(tmp_path / "adapter", made, weights.__getitem__, kind, str(tmp_path / "base"))
    export(tmp_path / "merged", whole, lora.merged(made, weights.__getitem__), files)
    ids = torch.tensor([[3, 7, 30, 1, 1, 12]])

    def base():
        return transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()

    with torch.no_grad():
        plain = base()(ids).logits
        merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()(ids).logits
        adapted = peft.PeftModel.from_pretrained(base(), tmp_path / "adapter").eval()(ids).logits
    torch.testing.assert_close(adapted, merged, rtol=1e-4, atol=1e-4)
    assert (adapted - plain).abs().max() > 100 * (adapted - merged).abs().max()


def test_what_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"^an adapter of layers.0.attention.q, 32 -> 32, has a rank below both, not 32$"
    ):
        lora.adapted(graph(LLAMA), 32)
    with pytest.raises(ConfigError, match=r"has no product attention.w for an adapter"):
        lora.adapted(graph(LLAMA), 2, ("attention.w",))
    gpt2 = lora.adapted(graph(load("nano-1")), 2)
    with pytest.raises(ConfigError, match=r"^gpt2 keeps layers.0.attention.q in a tensor with other products"):
        lora.export_adapter(tmp_path, gpt2, random_weights(gpt2).__getitem__, "gpt2", "base")
