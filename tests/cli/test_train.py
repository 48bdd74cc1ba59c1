"""`wse train` with PyTorch in place of the fabric: options, output, checkpoints, files.  tests/execute has the fabric.

Covers: wse/train/checkpoint.py, wse/cli/training_report.py
"""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
from shell import sh
from train.executing import ByTorch

from wse.cli import train
from wse.models.tensor_files import safetensors

COMMON = ("train", "--model", "nano-1", "--steps", "6", "--batch", "2", "--dtype", "f32")


@pytest.fixture(autouse=True)
def by_torch(monkeypatch):
    def build(options, graph):
        updates = "fabric" if options["mode"] == "pipelined" else "memoryx"
        return ByTorch(graph, options["batch"], graph.model.sequence, updates)

    monkeypatch.setattr(train, "build", build)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("she sells sea shells by the sea shore. " * 60)
    return path


def document(*words):
    result = sh(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("mode, optimizer", [("streaming", "adamw"), ("pipelined", "sgd")])
def test_json_has_the_promised_keys_and_the_reference_agrees(text, mode, optimizer):
    done = document(*COMMON, "--data", text, "--mode", mode, "--reference")
    assert (done["model"], done["mode"], done["steps"], done["optimizer"]) == ("nano-1", mode, 6, optimizer)
    assert len(done["losses"]) == 6 and done["tokens_per_second_device"] > 0 and done["bound_by"] == {}
    assert abs(done["reference"]["difference"]) < 1e-4 and abs(done["reference"]["held_out_difference"]) < 1e-4
    assert done["last_loss"] < done["losses"][0]


def test_a_run_resumes_to_the_bit(text, tmp_path):
    whole = document(*COMMON, "--data", text)
    half = document(*COMMON, "--data", text, "--until", 3, "--checkpoint", tmp_path / "half")
    assert half["losses"] == whole["losses"][:3]
    rest = document(*COMMON, "--data", text, "--resume", tmp_path / "half")
    assert rest["losses"] == whole["losses"] and rest["held_out_loss"] == whole["held_out_loss"]
    again = document(*COMMON, "--data", text, "--resume", tmp_path / "half")  # the checkpoint stayed as it was
    assert again["losses"] == whole["losses"]


def test_a_checkpoint_of_another_run_is_refused(text, tmp_path):
    document(*COMMON, "--data", text, "--until", 1, "--checkpoint", tmp_path / "saved")
    resume = (*COMMON, "--data", text, "--resume", tmp_path / "saved")
    result = sh(*resume, "--seed", 1)
    assert result.exit_code == 2
    assert "is of another run: its setting seed is 0, not 1; a new run from its weights" in result.stderr
    result = sh(*COMMON, "--resume", tmp_path / "saved")
    assert "is of another run: its text is" in result.stderr


def test_pictures_and_timelines_are_written(text, tmp_path):
    picture, timeline = tmp_path / "run.png", tmp_path / "step.pftrace"
    result = sh(*COMMON, "--data", text, "--plot", picture, "--trace", timeline)
    assert result.exit_code == 0, result.stderr
    assert picture.stat().st_size > 10_000 and timeline.stat().st_size > 0
    assert "tokens/s of wafer time" in result.stdout and str(picture) in result.stdout
    assert "| Train Device=CSX (emulated), Step=6, Loss=" in result.stdout


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--plot", "run.bmp"), "error: cannot tell the picture's format from 'run.bmp'"),
        (("--trace", "run.png"), "error: a timeline is written as .pftrace or .json, not as 'run.png'"),
        (("--every", "2"), "error: --every saves to the folder of --checkpoint, which is not given"),
        (("--loss-scale", "0"), "error: Invalid value for '--loss-scale': '0' is not dynamic, none or a finite number"),
        (("--mode", "pipelined", "--optimizer", "adamw"), "error: updates on the fabric are SGD with momentum"),
        (("--data", "nothing.txt"), "error: data nothing.txt: No such file or directory"),
    ],
)
def test_what_cannot_be_is_one_line(text, words, sentence):
    result = sh(*COMMON, *(() if "--data" in words else ("--data", text)), *words)
    assert result.exit_code == 2 and result.stderr.startswith(sentence), result.stderr


def test_the_number_of_systems_changes_nothing(text):
    """The same losses for 1, 2 and 4 systems, and for systems that share processes."""
    runs = [document(*COMMON, "--data", text, "--micro-batches", 4, "--systems", n, "--workers", 2) for n in (1, 2, 4)]
    assert [done["systems"] for done in runs] == [1, 2, 4]
    assert runs[0]["losses"] == runs[1]["losses"] == runs[2]["losses"]
    assert runs[0]["held_out_loss"] == runs[2]["held_out_loss"]
    assert runs[0]["cycles_per_step"] == 4 * runs[2]["cycles_per_step"]
    assert runs[0]["swarmx_cycles_per_pass"] == 0 < runs[2]["swarmx_cycles_per_pass"]


def test_passes_that_systems_cannot_share(text):
    result = sh(*COMMON, "--data", text, "--micro-batches", 3, "--systems", 2)
    assert result.exit_code == 2
    assert "the 3 passes of a step cannot be divided among 2 systems: give --micro-batches a multiple" in result.stderr
    result = sh(*COMMON, "--data", text, "--mode", "pipelined", "--systems", 2)
    assert result.exit_code == 2 and "only weight streaming has several" in result.stderr


def test_layers_and_sequence_of_a_model_of_the_table(tmp_path):
    np.save(tmp_path / "ids.npy", np.arange(2000) % 90)
    run = ("train", "--steps", "2", "--batch", "2", "--dtype", "f32", "--held-out", 0, "--reference")
    done = document(*run, "--model", "nano", "--layers", 1, "--sequence", 8, "--data", tmp_path / "ids.npy")
    assert (done["layers"], done["sequence"], done["vocab"]) == (1, 8, 96)
    assert done["held_out_loss"] is None and done["reference"]["held_out_difference"] is None
    assert abs(done["reference"]["difference"]) < 1e-5
    plain = sh(*run, "--model", "nano", "--sequence", 8, "--data", tmp_path / "ids.npy")
    assert plain.exit_code == 0 and "held out" not in plain.stdout and "nats, here" in plain.stdout
    for more, words in (
        (("--layers", 3), "--layers 3: nano has 2 layers"),
        (("--sequence", 33), "--sequence 33: nano has sequences of at most 32 tokens"),
        (("--mode", "pipelined", "--offload"), "--offload is of --mode streaming"),
    ):
        refused = sh("train", "--model", "nano", *more)
        assert refused.exit_code == 2 and words in refused.stderr.replace("\n", " "), refused.stderr


def test_a_run_with_offload_goes_on_with_offload(tmp_path, text):
    run = ("train", "--model", "nano-1", "--steps", "4", "--batch", "2", "--dtype", "f32", "--data", text)
    document(*run, "--until", 2, "--offload", "--checkpoint", tmp_path / "half")
    other = sh(*run, "--resume", tmp_path / "half")
    assert other.exit_code == 2 and "its offload is True, not None" in other.stderr
    assert len(document(*run, "--offload", "--resume", tmp_path / "half")["losses"]) == 4


def test_progress_of_a_long_pass(capsys):
    progress = train.Progress()
    progress("forward layers.0.norm1", 1000)
    assert not capsys.readouterr().err
    progress.said -= 2 * progress.EVERY
    progress("backward layers.1.norm2", 12345)
    assert capsys.readouterr().err == "| backward layers.1.norm2 done, 12,345 cycles\n"


def test_stragglers_are_of_several_systems():
    for more in (("--straggler", "1.1"), ("--swarmx-latency",)):
        done = sh("train", "--model", "nano-1", "--steps", "1", *more)
        assert done.exit_code == 2 and "are of several systems: give --systems" in done.stderr


@pytest.fixture
def llama(tmp_path):
    """A Llama in Hugging Face's files, with a tokenizer of characters."""
    pytest.importorskip("safetensors")
    library = pytest.importorskip("tokenizers")
    from wse.models import graph, load
    from wse.models.pretrained import export
    from wse.train import loop

    made = graph(load("nano-llama").but(kv_heads=2, vocab=40))
    export(tmp_path / "llama", made, loop.initial(made, 1).__getitem__)
    letters = {letter: i for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz .")}
    tokenizer = library.Tokenizer(library.models.WordLevel(letters, unk_token="."))
    tokenizer.pre_tokenizer = library.pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(tmp_path / "llama/tokenizer.json"))
    return tmp_path / "llama"


RUN = ("train", "--steps", "4", "--batch", "2", "--dtype", "f32", "--warmup", "0")


def test_a_model_in_files_is_trained_logged_and_exported(text, tmp_path, llama):
    files = ("--init", llama, "--layers", 1, "--sequence", 8, "--data", text, "--reduce-vocab")
    more = ("--lr", 0.01, "--schedule", "linear", "--freeze", "head*", "--reference", "--micro-batches", 2)
    out, lines = tmp_path / "out", tmp_path / "run.jsonl"
    done = document(*RUN, *files, *more, "--export", out, "--log", lines, "--checkpoint", tmp_path / "saved")
    assert (done["layers"], done["sequence"], done["frozen"]) == (1, 8, ["head*"])
    assert done["vocab"] == len(set("she sells sea shells by the sea shore. "))
    assert abs(done["reference"]["difference"]) < 1e-4 and done["last_loss"] < done["losses"][0]
    logged = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["loss"] for line in logged] == done["losses"]
    assert [line["learning_rate"] for line in logged] == pytest.approx([0.01, 0.007, 0.004, 0.001])
    assert (out / "tokenizer.json").read_bytes() == (llama / "tokenizer.json").read_bytes()
    again = document(*RUN, "--init", out, "--sequence", 8, "--data", text)
    assert (again["layers"], again["vocab"]) == (1, 40)
    resumed = document(*RUN, *files, *more[:-2], "--micro-batches", 2, "--resume", tmp_path / "saved")
    assert resumed["losses"] == done["losses"]


@pytest.mark.parametrize("passes", [1, 2])
def test_dropout_is_that_of_the_reference_and_resumes_to_the_bit(text, tmp_path, passes):
    run = (*COMMON, "--data", text, "--dropout", 0.2, "--micro-batches", passes)
    plain, whole = document(*COMMON, "--data", text, "--micro-batches", passes), document(*run, "--reference")
    assert abs(whole["reference"]["difference"]) < 1e-4 and abs(whole["reference"]["held_out_difference"]) < 1e-4
    assert whole["dropout"] == [0.2, 0.2, 0.2] and "dropout" not in plain and whole["losses"] != plain["losses"]
    document(*run, "--until", 3, "--checkpoint", tmp_path / "half")
    assert document(*run, "--resume", tmp_path / "half")["losses"] == whole["losses"]
    result = sh(*COMMON, "--data", text, "--micro-batches", passes, "--dropout", 0.3, "--resume", tmp_path / "half")
    assert result.exit_code == 2 and "its dropout is [0.2, 0.2, 0.2], not [0.3, 0.3, 0.3]" in result.stderr


def test_dropout_of_a_configuration(text, tmp_path, llama):
    config = llama / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"attention_dropout": 0.4}))
    files = ("--init", llama, "--layers", 1, "--sequence", 8, "--data", text)
    done = document(*RUN, *files, "--lora", 2, "--reference")
    assert done["dropout"] == [0, 0, 0.4] and abs(done["reference"]["difference"]) < 1e-4
    plain, none = (document(*RUN, *files, *words) for words in (("--no-dropout",), ("--dropout", 0)))
    assert "dropout" not in plain and plain["losses"] == none["losses"]
    assert document(*RUN, *files, "--dropout", 0.1)["dropout"] == [0.1, 0.1, 0.1]
    described = ("train", "--model", config, "--steps", "1", "--batch", "2", "--sequence", 8, "--data", text)
    assert document(*described, "--dropout", 0.3)["dropout"] == [0.3, 0.3, 0.3]
    result = sh(*described)
    assert result.exit_code == 2 and "has attention_dropout 0.4: give its rate, as --dropout 0.4" in result.stderr


def test_adapters_are_trained_and_exported(text, tmp_path, llama):
    files = ("--init", llama, "--layers", 1, "--sequence", 8, "--data", text, "--lora", 2, "--lr", 0.05)
    out, adapter = tmp_path / "out", tmp_path / "adapter"
    done = document(*RUN, *files, "--reference", "--export", out, "--adapter", adapter)
    assert abs(done["reference"]["difference"]) < 1e-4 and done["last_loss"] < done["losses"][0]
    assert 0 < done["trained"] < done["parameters"] / 4 and done["lora"] == 2
    before, after = files_of(llama), files_of(out)
    changed = {name for name, w in after.items() if not np.array_equal(w, before[name])}
    assert changed == {f"model.layers.0.self_attn.{x}_proj.weight" for x in "qv"}
    low = files_of(adapter)
    for x in "qv":
        prefix, name = (f"{start}model.layers.0.self_attn.{x}_proj" for start in ("base_model.model.", ""))
        change = low[f"{prefix}.lora_B.weight"] @ low[f"{prefix}.lora_A.weight"]
        assert np.allclose(after[f"{name}.weight"], before[f"{name}.weight"] + change, atol=1e-6)


def files_of(folder):
    return {name: place.read() for file in folder.glob("*.safetensors") for name, place in safetensors(file).items()}


def test_a_new_run_from_a_checkpoint_has_new_data_and_settings(text, tmp_path):
    document(*COMMON, "--data", text, "--checkpoint", tmp_path / "saved")
    other = tmp_path / "other.txt"
    other.write_text("sixty sick sixth sheep. " * 60)
    result = sh(*COMMON, "--data", other, "--resume", tmp_path / "saved")
    assert "a new run from its weights, with other data or settings, is --init" in result.stderr
    done = document(*COMMON, "--data", other, "--init", tmp_path / "saved", "--rate", 0.001, "--seed", 3)
    assert len(done["losses"]) == 6 and done["seed"] == 3


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--layers", "3"), "--layers 3: nano has 2 layers"),
        (("--lora", "2"), "--lora is of a model that --init reads"),
        (("--dropout", "1"), "--dropout"),
        (("--dropout", "0.1", "--no-dropout"), "--no-dropout trains without dropout: leave out --dropout 0.1, or it"),
        (("--adapter", "out"), "--adapter is of a run with --lora"),
        (("--init", "FILES", "--lora", "900"), "has a rank below both, not 900"),
        (("--reduce-vocab",), "--reduce-vocab is of a model that --init reads"),
        (("--init", "FILES", "--model", "nano"), "--model is in the files of --init"),
        (("--init", "nothing.txt"), "nothing.txt is no model: give a folder of one"),
        (("--freeze", "encoder*"), "no parameter matches 'encoder*'"),
        (("--export", "FILES"), "is not an empty folder: export to another one"),
    ],
)
def test_options_of_files_that_do_not_fit(llama, words, sentence):
    result = sh("train", "--steps", "1", *(llama if word == "FILES" else word for word in words))
    assert result.exit_code == 2 and sentence in result.stderr


def test_experts_whose_load_is_balanced(text, tmp_path):
    """The reference has the same loss, pass by pass; a resumed run has the same balance."""
    run = (
        "train",
        "--model",
        "nano-moe",
        "--batch",
        "2",
        "--dtype",
        "f32",
        "--sequence",
        8,
        "--micro-batches",
        2,
        "--data",
        text,
    )
    lines = tmp_path / "run.jsonl"
    done = document(
        *run, "--steps", 4, "--balance", 0.5, "--reference", "--log", lines, "--checkpoint", tmp_path / "saved"
    )
    plain = document(*run, "--steps", 4)
    assert done["balance"] == 0.5 and "balance" not in plain and done["losses"][1:] != plain["losses"][1:]
    assert done["losses"][0] == plain["losses"][0] and abs(done["reference"]["difference"]) < 1e-4
    result = sh(*run, "--steps", 6, "--resume", tmp_path / "saved")
    assert result.exit_code == 2 and "its balance is 0.5" in result.stderr
    result = sh("train", "--model", "nano", "--balance", 0.5, "--data", text)
    assert result.exit_code == 2 and "model nano has no experts whose load could be balanced" in result.stderr
