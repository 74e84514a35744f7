"""Checkpoints as they are found: W8ASpike's scales and merged gate, other people's code, shards of torch, and folders that lie."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.loading import load_model
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.checkpoint.weight_scales import largest_scales, scales_name
from spikingbrain.config import LearnedGate, LinearAttention, Spiking
from support.engine import answer, compare, engine, prompts
from support.models import MODELS, TinyWeights, write_model

MERGED = replace(MODELS["seven"], linear=LinearAttention(gate=LearnedGate(rank=None)))
TEXTS = prompts((20, 1), seed=4)


def write_w8(folder: Path) -> Path:
    """As W8ASpike's: f32 weights beside their scales, the gate one matrix, a `config.json` that says nothing of either and names code."""
    write_model(MERGED, folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    for name in tensor_names(MERGED):
        if name.linear:
            # Some codes leave int8, as in the released checkpoint.
            tensors[scales_name(name)] = largest_scales(tensors[name.name]) * 0.6
    save_file(tensors, file, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["gate_low_rank_dim"]
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    config["spiking_mode"] = "released"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "evil.py").write_text(f"open({str(folder / 'executed')!r}, 'w').close()\n", encoding="utf-8")
    return folder


def test_a_w8aspike_folder_is_served_as_it_is(tmp_path: Path) -> None:
    folder = write_w8(tmp_path / "w8")
    expected = load_model(folder)
    assert expected.config.spiking == Spiking(mode="released")
    with engine(folder, max_model_len=256) as llm:
        assert compare(expected, answer(llm, TEXTS, tokens=8)).is_equal
        assert llm.llm_engine.vllm_config.model_config.hf_config.definition.linear.gate.rank is None
    assert not (folder / "executed").exists()


def test_shards_of_torch_are_read(tmp_path: Path) -> None:
    folder = write_model(MODELS["seven"], tmp_path / "torch")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    for number, part in ((1, names[::2]), (2, names[1::2])):
        torch.save({name: tensors[name] for name in part}, folder / f"pytorch_model-0000{number}-of-00002.bin")
    with engine(folder) as llm:
        assert compare(load_model(folder), answer(llm, TEXTS)).is_equal


def test_all_that_is_wrong_with_the_tensors_is_named(tmp_path: Path) -> None:
    folder = write_model(MODELS["seven"], tmp_path / "wrong")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.attn.rope.weight"] = torch.zeros(2)
    tensors["model.norm.weight"] = torch.zeros(3)
    del tensors["model.layers.3.mlp_norm.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError) as error, engine(folder):
        pass
    message = str(error.value)
    assert "tensor 'model.layers.0.attn.rope.weight' [2] has no place in this model" in message
    assert "tensor 'model.norm.weight' must have shape [128]; it has [3]" in message
    assert "tensor 'model.layers.3.mlp_norm.weight' [128] is missing" in message


def test_scales_wait_for_their_weight_whichever_comes_first(tmp_path: Path) -> None:
    from spikingbrain_vllm.weights import checked

    config = replace(MERGED, spiking=Spiking(mode="paper"))
    source = TinyWeights(config)
    tensors = {name.name: source.rows(name, 0, name.shape[0]) for name in source.names}
    scales = {scales_name(name): largest_scales(tensors[name.name]) for name in source.names if name.linear}
    forwards = dict(checked(config, [*tensors.items(), *scales.items()], has_scales=True))
    backwards = dict(checked(config, [*scales.items(), *tensors.items()], has_scales=True))
    assert set(forwards) == set(backwards) == set(tensors)
    assert all(torch.equal(forwards[name], backwards[name]) for name in tensors)
    with pytest.raises(CheckpointError, match=r"q_proj\.weight_quantizer\.scales' \[128, 1, 1\] is missing"):
        list(checked(config, tensors.items(), has_scales=True))
