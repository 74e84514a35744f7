"""Folders that are written are folders that are read: upstream's names and keys, shards with their index, W8ASpike's form."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.hugging_face_folder import HuggingFaceFolder
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.checkpoint.weight_scales import largest_scales
from spikingbrain.config import LearnedGate
from spikingbrain.export.hugging_face_writer import stored_tensors, write_hugging_face
from spikingbrain.export.w8 import w8_tensors
from support.checkpoint_files import merged_gates, random_tensors
from support.checkpoint_models import CONFIGS, SEVEN, SHARED, write_slow_tokenizer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_what_is_written_is_read(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    config = CONFIGS[name]
    write_hugging_face(config, stored_tensors(RandomWeights(config), dtype), tmp_path / "out")
    source = open_checkpoint(tmp_path / "out")
    assert source.config == config
    tensors = random_tensors(config, dtype)
    for tensor in source.names:
        assert torch.equal(read_tensor(source, tensor), tensors[tensor.name].to(torch.float32)), tensor.name


def test_the_config_is_the_released_models(tmp_path: Path) -> None:
    write_hugging_face(SEVEN, stored_tensors(RandomWeights(SEVEN), torch.bfloat16), tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["model_type"] == "gla_swa"
    assert config["architectures"] == ["GLAswaForCausalLM"]
    assert config["attn_layers"] == [1, 3]
    assert config["sliding_window"] == 8
    assert config["torch_dtype"] == "bfloat16"
    generation = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert generation == {"bos_token_id": SEVEN.bos, "eos_token_id": list(SEVEN.end_tokens)}


def test_shards_and_index(tmp_path: Path) -> None:
    shard_bytes = 100_000
    write_hugging_face(SEVEN, stored_tensors(RandomWeights(SEVEN), torch.float32), tmp_path / "out", shard_bytes=shard_bytes)
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    shards = sorted((tmp_path / "out").glob("*.safetensors"))
    assert [path.name for path in shards] == [f"model-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
    assert len(shards) > 3
    held = {path.name: load_file(path) for path in shards}
    assert index["weight_map"] == {name: file for file, tensors in held.items() for name in tensors}
    sizes = [sum(tensor.nbytes for tensor in tensors.values()) for tensors in held.values()]
    assert index["metadata"]["total_size"] == sum(sizes)
    assert all(size <= shard_bytes or len(tensors) == 1 for size, tensors in zip(sizes, held.values(), strict=True))


def test_tokenizer_files_go_along(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_slow_tokenizer(tmp_path / "in")
    (tmp_path / "in/notes.txt").write_text("not a tokenizer's")
    write_hugging_face(SEVEN, stored_tensors(RandomWeights(SEVEN), torch.float32), tmp_path / "out", tmp_path / "in")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()
    assert not (tmp_path / "out/notes.txt").exists()


def test_a_folder_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model-00001-of-00009.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"must be a new or an empty folder; it holds 'model-00001-of-00009.safetensors'"):
        write_hugging_face(SEVEN, stored_tensors(RandomWeights(SEVEN), torch.float32), tmp_path)


def test_w8_form_has_scales_and_merged_gates(tmp_path: Path) -> None:
    config, tensors = w8_tensors(RandomWeights(SEVEN))
    write_hugging_face(config, tensors, tmp_path / "out", shard_bytes=100_000)
    source = open_checkpoint(tmp_path / "out")
    assert isinstance(source, HuggingFaceFolder)
    assert source.is_w8
    assert source.config == config
    assert config.linear is not None
    assert replace(config, linear=replace(config.linear, gate=LearnedGate())) == SEVEN
    stored = {name: tensor for path in (tmp_path / "out").glob("*.safetensors") for name, tensor in load_file(path).items()}
    plain = merged_gates(random_tensors(SEVEN))
    for name in source.names:
        torch.testing.assert_close(stored[name.name], plain[name.name], rtol=1e-5, atol=1e-6, msg=name.name)
        if name.linear:
            scales = stored[name.name.removesuffix("weight") + "weight_quantizer.scales"]
            assert torch.equal(scales, largest_scales(stored[name.name]))
            assert scales.shape == (name.shape[0], 1, 1)


def test_w8_form_of_a_model_without_gates(tmp_path: Path) -> None:
    config, tensors = w8_tensors(RandomWeights(SHARED))
    write_hugging_face(config, tensors, tmp_path / "out")
    assert open_checkpoint(tmp_path / "out").config == config == SHARED
