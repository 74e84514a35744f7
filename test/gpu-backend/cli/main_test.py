"""The commands: what they print, what they write, and how they fail."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.gguf_tokenizer import tokenizer_from_metadata
from spikingbrain.checkpoint.hugging_face_folder import HuggingFaceFolder
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.checkpoint.tokenizer import read_tokenizer
from spikingbrain.cli.export import GGUF_TYPES
from spikingbrain.cli.main import COMMANDS, main
from spikingbrain.config import Spiking, SpikingMode
from spikingbrain.export.tensor_type import TypeName
from spikingbrain.model.model import Model
from spikingbrain.model.weights import gather_weights
from spikingbrain.sizes import parameter_count, state_bytes
from support.checkpoint_files import merged_gates, random_tensors, write_config, write_weights
from support.checkpoint_models import IDS, SEVEN, SHARED, VOCABULARY, write_slow_tokenizer, write_tokenizer

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with a tiny 7B and its tokenizer."""
    folder = tmp_path / "checkpoint"
    write_config(folder, SEVEN)
    write_weights(folder, random_tensors(SEVEN), shards=2)
    write_slow_tokenizer(folder)
    return folder


def _succeeds(capsys: Capture, *arguments: object) -> list[str]:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.splitlines()


def _fails(capsys: Capture, *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def _is_usage_error(capsys: Capture, *arguments: object) -> str:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", [command.__name__.rpartition(".")[2] for command in COMMANDS])
def test_every_command_has_help(capsys: Capture, command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"python -m spikingbrain {command}" in capsys.readouterr().out


def test_the_types_offered_are_those_there_are() -> None:
    assert (*get_args(TypeName), "w8") == GGUF_TYPES


@pytest.mark.parametrize("kind", GGUF_TYPES)
def test_export_writes_a_gguf_with_tokenizer(capsys: Capture, checkpoint: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "model.gguf"
    assert _succeeds(capsys, "export", checkpoint, out, "--type", kind) == [str(out)]
    source = GgufFile(out)
    assert source.config == SEVEN
    assert source.types["blk.0.ffn_up.weight"].name.lower() == {"w8": "i8"}.get(kind, kind)
    tokenizer = tokenizer_from_metadata(source.metadata)
    assert tokenizer is not None
    assert tokenizer.end_of_turn == IDS["<|im_end|>"]


def test_export_writes_the_spiking_mode_it_is_asked_for(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.gguf"
    _succeeds(capsys, "export", checkpoint, out, "--type", "f32", "--spikes", "paper", "--k", "2.7")
    assert GgufFile(out).config == replace(SEVEN, spiking=Spiking(mode="paper", k=2.7))
    _succeeds(capsys, "export", out, tmp_path / "other.gguf", "--type", "f32", "--spikes", "released")
    assert GgufFile(tmp_path / "other.gguf").config.spiking == Spiking(mode="released", k=2.7)


def test_export_in_shards_says_which_and_how_far(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    assert main(["export", str(checkpoint), str(tmp_path / "model.gguf"), "--type", "q8_0", "--shard-bytes", "60K"]) == 0
    captured = capsys.readouterr()
    written = sorted(str(path) for path in tmp_path.glob("model-*.gguf"))
    assert len(written) > 2
    assert captured.out.splitlines() == written
    assert "writing model.gguf: " in captured.err
    assert "(100 %, " in captured.err


def test_export_of_a_gguf_as_a_folder_takes_the_tokenizer_it_is_given(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    _succeeds(capsys, "export", checkpoint, tmp_path / "model.gguf", "--type", "f32")
    _succeeds(capsys, "export", tmp_path / "model.gguf", tmp_path / "out", "--type", "f32", "--tokenizer", checkpoint)
    source = open_checkpoint(tmp_path / "out")
    tensors = random_tensors(SEVEN)
    assert all(torch.equal(read_tensor(source, name), tensors[name.name]) for name in source.names)
    assert (tmp_path / "out/merges.txt").read_bytes() == (checkpoint / "merges.txt").read_bytes()


def test_a_gguf_as_a_folder_keeps_its_tokenizer(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    _succeeds(capsys, "export", checkpoint, tmp_path / "model.gguf", "--type", "f32")
    written = _succeeds(capsys, "export", tmp_path / "model.gguf", tmp_path / "out", "--type", "f32")
    assert str(tmp_path / "out/tokenizer.json") in written
    assert read_tokenizer(tmp_path / "out", VOCABULARY) == read_tokenizer(checkpoint, VOCABULARY)


def test_quantize_to_w8_and_on_to_gguf(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    _succeeds(capsys, "quantize", checkpoint, tmp_path / "w8", "--type", "w8")
    source = open_checkpoint(tmp_path / "w8")
    assert isinstance(source, HuggingFaceFolder)
    assert source.is_w8
    assert (tmp_path / "w8/vocab.json").is_file()
    again = _fails(capsys, "quantize", tmp_path / "w8", tmp_path / "again", "--type", "w8")
    assert again == "error: the checkpoint must not have W8ASpike's scales already; it has\n"
    _succeeds(capsys, "quantize", tmp_path / "w8", tmp_path / "model.gguf", "--type", "q8_0")
    _succeeds(capsys, "quantize", tmp_path / "model.gguf", tmp_path / "smaller.gguf", "--type", "q4_0")
    smaller = GgufFile(tmp_path / "smaller.gguf")
    assert smaller.types["blk.0.ffn_up.weight"].name == "Q4_0"
    assert tokenizer_from_metadata(smaller.metadata) == tokenizer_from_metadata(GgufFile(tmp_path / "model.gguf").metadata)


@pytest.mark.parametrize("spikes", get_args(SpikingMode))
def test_logits_are_the_reference_models(capsys: Capture, checkpoint: Path, spikes: SpikingMode) -> None:
    lines = _succeeds(capsys, "logits", "--model", checkpoint, "--tokens", "5,250,17,3", "--spikes", spikes, "--k", "2.5")
    config = replace(SEVEN, spiking=replace(SEVEN.spiking, mode=spikes, k=2.5))
    expected = Model(config, gather_weights(config, random_tensors(SEVEN).__getitem__)).logits(torch.tensor([5, 250, 17, 3]))
    found = json.loads(lines[-1])
    assert found.keys() == {"logits"}
    torch.testing.assert_close(torch.tensor(found["logits"]), expected, rtol=1e-5, atol=1e-5)
    assert expected.shape == (4, VOCABULARY)


def test_logits_of_a_gguf_and_of_a_merged_gate_are_alike(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    _succeeds(capsys, "export", checkpoint, tmp_path / "model.gguf", "--type", "f32")
    merged = tmp_path / "merged"
    write_config(merged, SEVEN)
    write_weights(merged, merged_gates(random_tensors(SEVEN)), ".bin")
    results = [
        torch.tensor(json.loads(_succeeds(capsys, "logits", "--model", model, "--tokens", "1,2,3", "--type", "f64")[-1])["logits"])
        for model in (checkpoint, tmp_path / "model.gguf", merged)
    ]
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=0)
    torch.testing.assert_close(results[2], results[0], rtol=1e-4, atol=1e-4)


def test_inspect_counts_what_is_stored(capsys: Capture, tmp_path: Path) -> None:
    write_config(tmp_path, SHARED)
    write_weights(tmp_path, random_tensors(SHARED))
    arguments = ["inspect", tmp_path, "--json", "--context", "3", "--context", "500", "--key-values", "int8"]
    facts = json.loads(_succeeds(capsys, *arguments)[-1])
    tensors = random_tensors(SHARED)
    assert facts["parameters"] == sum(tensor.numel() for tensor in tensors.values()) == parameter_count(SHARED).total
    assert facts["active_parameters"] == parameter_count(SHARED).active < facts["parameters"]
    assert [state["context"] for state in facts["state"]] == [3, 500]
    assert facts["state"][1]["bytes"] == state_bytes(SHARED, 500, "int8").total
    assert facts["stored_bytes"] == (tmp_path / "model.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("7b", "7,616,542,976"), ("76b", "76,055,938,560"), ("76b-separate", "76,878,151,168")],
)
def test_inspect_of_a_published_model(capsys: Capture, name: str, parameters: str) -> None:
    assert f"parameters           {parameters}" in _succeeds(capsys, "inspect", name)


def test_inspect_of_a_gguf_and_a_config(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    _succeeds(capsys, "export", checkpoint, tmp_path / "model.gguf", "--type", "q4_0")
    text = "\n".join(_succeeds(capsys, "inspect", tmp_path / "model.gguf"))
    assert "q4_0" in text
    assert "1 f16" not in text  # Two layers have a gate whose rows are no whole blocks.
    assert "2 f16" in text
    assert _succeeds(capsys, "inspect", checkpoint / "config.json")[0] == "tiny seven"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["export", "x"], "the following arguments are required: OUT"),
        (["export", "x", "y.gguf", "--type", "q2"], "argument --type: invalid choice: 'q2'"),
        (["export", "x", "y", "--type", "q4_0"], "--type must be one of f32, f16, bf16 for a folder; it is q4_0"),
        (["export", "x", "y.gguf", "--shard-bytes", "2 GB"], "must be a positive number of bytes such as 500M or 2G; it is '2 GB'"),
        (["quantize", "x", "y.gguf", "--type", "w8"], "OUT must be a folder for w8 and end in .gguf for another type"),
        (["logits", "--model", "x", "--tokens", "1,,2"], "must be token ids joined by commas such as 1,2,3; it is '1,,2'"),
        (["logits", "--model", "x", "--tokens", "1", "--k", "0"], "must be a number above 0; it is '0'"),
        (["inspect", "7b", "--context", "0"], "must be a whole number from 1; it is '0'"),
    ],
)
def test_usage_errors(capsys: Capture, arguments: list[str], message: str) -> None:
    assert message in _is_usage_error(capsys, *arguments)


def test_failures_are_one_message(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    assert _fails(capsys, "inspect", "8b").startswith("error: '8b' must be a folder, a .gguf file, a config.json, or one of 7b, 76b")
    assert _fails(capsys, "logits", "--model", checkpoint, "--tokens", f"1,{VOCABULARY}").startswith("error: tokens must be from 0 to 287")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    assert "broken.gguf cannot be read as GGUF" in _fails(capsys, "inspect", tmp_path / "broken.gguf")
    message = _fails(capsys, "export", checkpoint, tmp_path / "no/such/folder/model.gguf")
    assert message.endswith("no/such/folder is not a folder\n")
    write_config(checkpoint, SEVEN, num_attention_heads=5)
    assert _fails(capsys, "inspect", checkpoint).startswith(f"error: {checkpoint}: config.json: ")


def test_keys_that_are_not_known_are_said_aloud(capsys: Capture, checkpoint: Path) -> None:
    write_config(checkpoint, SEVEN, hidden_dropout=0.5)
    assert main(["inspect", str(checkpoint)]) == 0
    assert capsys.readouterr().err == "warning: config.json: keys that are not known here and change nothing: hidden_dropout\n"


def test_exit_codes_of_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spikingbrain"]
    failed = subprocess.run([*command, "inspect", str(tmp_path)], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", f"error: {tmp_path} has no config.json\n")
    assert subprocess.run([*command, "inspect"], capture_output=True, check=False).returncode == 2


def test_a_tokenizer_folder_without_one_is_refused(capsys: Capture, checkpoint: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    arguments = ["export", checkpoint, tmp_path / "model.gguf", "--tokenizer", empty]
    assert "has neither tokenizer.json nor vocab.json" in _fails(capsys, *arguments)
    write_tokenizer(empty)
    _succeeds(capsys, *arguments)
