"""A whole conversion of a tiny teacher from its settings file, by one process and by two."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.cli.convert import STAGES as COMMAND_STAGES
from spikingbrain.cli.main import main
from spikingbrain.config import Spiking
from spikingbrain.convert.export.delta import base_of, read_delta
from spikingbrain.convert.pipeline import STAGES
from spikingbrain.convert.settings import read_settings
from spikingbrain.convert.train.team import Team
from spikingbrain.convert.trunk.tensors import branch_tensors, converted_config
from spikingbrain.convert.work import Work
from spikingbrain.rules import ConfigError
from support.conversion import TEACHER, write_materials, write_settings
from support.processes import run_two

SETTINGS = """
name = "tiny"
teacher = "teacher"
work = "{work}"
[data]
files = ["{folder}/train.jsonl"]
held_out_files = ["{folder}/held.txt", "{folder}/other.txt"]
chats = 2
chat_tokens = 400
held_out_chats = 1
held_out_chat_tokens = 380
copies = 3
copies_between = [30, 50]
[mixer]
window = 24
kept = 3
sink_cap = 1024
salient = 6
[salience]
sequences = 3
tokens = 240
[transfer]
steps = 2
sequences = 3
tokens = 90
rate_factor = 1
[distil]
steps = 2
sequences = 3
tokens = 900
rate_factor = 0.3
chat_share = 0.3
copies_share = 0.4
[sft]
steps = 2
sequences = 3
tokens = 90
rate_factor = 0.3
files = ["{folder}/answers.jsonl"]
[evaluation]
documents = 1
document_tokens = 300
chats = 1
ablation_documents = 1
far_documents = 1
far_positions = [100, 256]
[recall]
needles = 2
distances = [40, 60]
[programs]
count = 2
tokens = 8
[spikes]
ks = [1, 4, 1000]
budgets = [0.5, 4]
chosen = 4
sequences = 2
tokens = 90
documents = 1
document_tokens = 120
[spike_distil]
active = [0.9, 0.8]
steps = 2
tokens = 24
matrices = false
chosen = 0.8
"""


def settings_in(folder: Path, work: str) -> Path:
    return write_settings(SETTINGS, folder, work)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher, training text, and the work of one process."""
    folder = tmp_path_factory.mktemp("conversion")
    write_materials(folder)
    talks = [[{"role": "user", "content": f"hello {number}"}, {"role": "assistant", "content": "the " * 25}] for number in range(8)]
    (folder / "answers.jsonl").write_text("\n".join(json.dumps({"messages": talk}) for talk in talks), encoding="utf-8")
    assert main(["convert", str(settings_in(folder, "one"))]) == 0
    return folder


def test_every_stage_leaves_its_files(folder: Path) -> None:
    found = {path.name for path in (folder / "one").iterdir()}
    assert found >= {"train.npy", "held.json", "chat-train.npy", "transfer", "distil", "sft", "sft-mask.npy"}
    assert found >= {"evaluation.jsonl", "far.json", "tiny.delta.gguf", "curves.svg"}
    kinds = [json.loads(line)["kind"] for line in (folder / "one" / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()]
    assert kinds == ["document", "chat"]
    far = json.loads((folder / "one" / "far.json").read_text(encoding="utf-8"))
    assert list(far["perplexity"]) == ["0", "128", "256"]
    ablation = json.loads((folder / "one" / "ablation.json").read_text(encoding="utf-8"))["beyond the window"]
    assert ablation["teacher"]["divergence"] == 0
    assert len({ablation[name]["perplexity"] for name in ("salient tokens and sums", "salient tokens", "sums", "neither", "control")}) == 5
    recall = json.loads((folder / "one" / "recall.json").read_text(encoding="utf-8"))
    assert [name for name in recall if name.startswith("number")] == ["number told 40 tokens ago", "number told 60 tokens ago"]
    facts = recall["fact asked behind a chat"]
    assert facts.keys() == {"teacher", "state", "control"} and facts["teacher"] == 20
    assert recall["fact asked behind a chat, right answers"].keys() == {"teacher"}
    written = json.loads((folder / "one" / "programs.json").read_text(encoding="utf-8"))
    assert [one["runs"] for one in written] == [False, False]
    spikes = json.loads((folder / "one" / "spikes.json").read_text(encoding="utf-8"))
    assert [point["budget"] for point in spikes["curve"]] == [0, 0.5, 4]
    distilled = json.loads((folder / "one" / "spike-distil" / "curve.json").read_text(encoding="utf-8"))["curve"]
    assert [point["wanted"] for point in distilled] == [0.9, 0.8]
    first, second = (point["after"]["active multiply-accumulates"] for point in distilled)
    assert first > second
    assert (folder / "one" / "spike-distil" / "curve.svg").read_text(encoding="utf-8").count("<circle") == 4
    chosen = Spiking(mode="paper", site_k=tuple((site, k) for site, k in distilled[-1]["k"].items()))
    config = converted_config(TEACHER, read_settings(settings_in(folder, "one")).reach, "tiny-spiking")
    spiking = read_delta(folder / "one" / "tiny-spiking.delta.gguf", replace(config, spiking=chosen))
    assert spiking.keys() - read_delta(folder / "one" / "tiny.delta.gguf", replace(config, name="tiny")).keys() == {
        f"model.layers.{layer}.{norm}.weight" for layer in (0, 1) for norm in ("attn_norm", "mlp_norm")
    }
    with pytest.raises(CheckpointError, match=r"spiking\.mode must be 'off'; it is 'paper'"):
        read_delta(folder / "one" / "tiny-spiking.delta.gguf", config)
    assert "<polyline" in (folder / "one" / "curves.svg").read_text(encoding="utf-8")


def test_an_untrained_model_keeps_salient_tokens_and_no_sums(folder: Path) -> None:
    untrained = SETTINGS.replace("steps = 2\nsequences", "steps = 0\nsequences").replace("ablation_documents = 1", "ablation_documents = 0")
    work = folder / "untrained"
    work.mkdir()
    for name in ("salience.pt", "held.json", "held.npy", "chat-held.npy"):
        (work / name).symlink_to(folder / "one" / name)
    path = write_settings(untrained, folder, "untrained")
    assert main(["convert", str(path), "--stage", "evaluate", "--stage", "far", "--stage", "recall"]) == 0
    lines = [json.loads(line) for line in (work / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(line["tallies"].keys() == {"teacher", "state", "window"} for line in lines)
    branches = Work(read_settings(path), Team(), lambda line: None).trained_branches()
    tensors = branch_tensors(branches["state"])
    assert tensors["model.layers.0.attn.evicted.salience.weight"].abs().sum() > 0
    assert all(tensor.max() == -1e9 for name, tensor in tensors.items() if name.endswith("mix.bias"))
    hybrid = untrained.split("[mixer]")[0].replace("work =", 'form = "alternating"\nwork =')
    steps = "".join(f"[{stage}]\nsteps = 0\nsequences = 1\ntokens = 90\nrate_factor = 1\n" for stage in ("transfer", "distil"))
    with pytest.raises(ConfigError, match=r"transfer\.steps must be at least 1 in a training stage where the form is another"):
        read_settings(write_settings(hybrid + steps, folder, "wrong"))


def test_a_second_run_passes_by_what_is_there(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / "one").rglob("*") if path.is_file() and "delta" not in path.name}
    assert main(["convert", str(settings_in(folder, "one")), "--stage", "data", "--stage", "chats", "--stage", "distil"]) == 0
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path.name not in ("log.jsonl",))


def test_two_processes_have_the_losses_of_one(folder: Path) -> None:
    """Over gloo, with three sequences a step, so that one process has two of them."""
    run_two(["-m", "spikingbrain", "convert", str(settings_in(folder, "two"))])
    for stage in ("transfer", "distil", "sft"):
        one, two = (
            [json.loads(line) for line in (folder / work / stage / "log.jsonl").read_text().splitlines()] for work in ("one", "two")
        )
        assert len(one) == len(two) == 2
        for first, second in zip(one, two, strict=True):
            for name in ("state", "control"):
                assert second[name] == pytest.approx(first[name], rel=1e-3)


def test_the_delta_holds_the_branches_and_names_its_base(folder: Path) -> None:
    settings = read_settings(settings_in(folder, "one"))
    config = converted_config(TEACHER, settings.reach, "tiny")
    expected = branch_tensors(Work(settings, Team(), lambda line: None).trained_branches()["state"])
    found = read_delta(folder / "one" / "tiny.delta.gguf", config)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-6)
    weights = folder / "teacher" / "model.safetensors"
    assert base_of(folder / "teacher").sha256 == base_of(weights).sha256
    assert open_checkpoint(folder / "teacher").config.layers[0].mixer == ("full",)


def test_the_command_knows_the_pipelines_stages() -> None:
    assert COMMAND_STAGES == STAGES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("steps = 2", "step = 2"), "transfer.step must be one of"),
        (("tokens = 90", "tokens = 20"), "transfer.tokens must be an integer from 29 to 1025; it is 20"),
        (('name = "tiny"', ""), "name must be given"),
        (("chats = 2", 'chats = "two"'), "data.chats must be a value of type int; it is 'two'"),
        (("[mixer]", "[mixers]"), "mixers must be one of"),
        (
            ("rate_factor = 0.3\nfiles", "rate_factor = 0.3\n#"),
            "sft.files must be at least one where there are steps",
        ),
        (("rate_factor = 0.3\nfiles", "chat_share = 0.3\nfiles"), "sft.chat_share must be one of"),
        (("copies_share = 0.4", "copies_share = 0.8"), "distil.copies_share must be from 0 to what chats leave; it is 0.8"),
        (("copies = 3", "copies = 0"), "distil.copies_share must be 0 where data.copies is; it is 0.4"),
        (("count = 2", "count = 21"), "programs.count must be an integer from 0 to 20; it is 21"),
        (("tokens = 8\n", "tokens = 13\n"), "programs.tokens must be an integer from 1 to 12; it is 13"),
        (("[30, 50]", "[50, 30]"), "data.copies_between must be two counts of tokens, the second greater"),
        (("name =", "name"), "must be a TOML file"),
    ],
)
def test_settings_are_checked_by_name(folder: Path, change: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = settings_in(folder, "wrong")
    path.write_text(path.read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8")
    assert main(["convert", str(path)]) == 1
    assert message in capsys.readouterr().err
