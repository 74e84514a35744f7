"""W8ASpike folders: weights come as `round(w / s) * s` over groups of 128, codes are never clamped, down_proj follows the mode."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.hugging_face_folder import HuggingFaceFolder
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.checkpoint.weight_scales import largest_scales, rounded
from spikingbrain.config import Spiking
from spikingbrain.export.gguf_writer import write_gguf
from support.checkpoint_files import Tensors, merged_gates, random_tensors, write_config, write_weights
from support.checkpoint_models import SEVEN

# 192 inputs are a whole group and a half one.
CONFIG = replace(SEVEN, feed_forward_inner=192)
DOWN = "model.layers.1.mlp.down_proj.weight"
QUERY = "model.layers.0.attn.q_proj.weight"


def with_scales(tensors: Tensors, factor: float = 1.0) -> Tensors:
    """The folder's tensors with the scales that upstream's quantiser would hold."""
    linear = [name for name in tensors if "_proj" in name and name.endswith("weight")]
    scales = {f"{name.removesuffix('.weight')}.weight_quantizer.scales": largest_scales(tensors[name]) * factor for name in linear}
    return tensors | scales


def _open(folder: Path, tensors: Tensors, spikes: str = "released") -> HuggingFaceFolder:
    write_config(folder, CONFIG)
    write_weights(folder, tensors)
    source = open_checkpoint(folder, spikes)  # type: ignore[arg-type]
    assert isinstance(source, HuggingFaceFolder)
    return source


def _by_hand(weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(weight)
    for row in range(weight.shape[0]):
        for column in range(weight.shape[1]):
            scale = scales[row, column // 128, 0]
            out[row, column] = torch.round(weight[row, column] / scale) * scale
    return out


def test_scales_leave_codes_in_eight_bits_and_the_last_group_may_be_short() -> None:
    weight = torch.randn(5, 192, generator=torch.Generator().manual_seed(1))
    scales = largest_scales(weight)
    assert scales.shape == (5, 2, 1)
    codes = torch.stack([weight[:, :128] / scales[:, 0], torch.cat([weight[:, 128:] / scales[:, 1], torch.zeros(5, 64)], 1)])
    assert codes.round().abs().amax(2).eq(127).all()
    assert torch.equal(rounded(weight, scales, "w"), _by_hand(weight, scales))


def test_a_row_of_zeros_has_a_scale() -> None:
    assert torch.equal(rounded(torch.zeros(1, 4), largest_scales(torch.zeros(1, 4)), "w"), torch.zeros(1, 4))


def test_weights_come_rounded_except_down_proj(tmp_path: Path) -> None:
    tensors = with_scales(merged_gates(random_tensors(CONFIG)))
    source = _open(tmp_path, tensors)
    assert source.is_w8
    for name in source.names:
        found, stored = read_tensor(source, name), tensors[name.name]
        if name.linear and "down_proj" not in name.name:
            scales = tensors[f"{name.name.removesuffix('.weight')}.weight_quantizer.scales"]
            assert torch.equal(found, _by_hand(stored, scales)), name
            assert not torch.equal(found, stored), name
        else:
            assert torch.equal(found, stored), name


def test_the_papers_mode_rounds_down_proj_too(tmp_path: Path) -> None:
    tensors = with_scales(random_tensors(CONFIG))
    source = _open(tmp_path, tensors, "paper")
    down = next(name for name in source.names if name.name == DOWN)
    assert torch.equal(read_tensor(source, down), _by_hand(tensors[DOWN], tensors[DOWN.replace("weight", "weight_quantizer.scales")]))


def test_codes_beyond_eight_bits_are_kept(tmp_path: Path) -> None:
    """In the released checkpoint 1 % of a matrix's codes are beyond 127 (`gpu-backend/docs/model.md#84-w8-weights`)."""
    tensors = with_scales(random_tensors(CONFIG), factor=0.1)
    source = _open(tmp_path, tensors)
    query = next(name for name in source.names if name.name == QUERY)
    scales = tensors[QUERY.replace("weight", "weight_quantizer.scales")]
    codes = read_tensor(source, query)[:, :128] / scales[:, 0]
    assert codes.abs().max() > 1_000
    assert torch.equal(read_tensor(source, query), _by_hand(tensors[QUERY], scales))


@pytest.mark.parametrize("spikes", ["paper", "released"])
def test_a_gguf_of_type_w8_keeps_the_codes_and_scales(tmp_path: Path, spikes: str) -> None:
    (tmp_path / "folder").mkdir()
    tensors = {name: tensor.to(torch.bfloat16).to(torch.float32) for name, tensor in random_tensors(CONFIG).items()}
    source = _open(tmp_path / "folder", with_scales(tensors, factor=0.5), spikes)
    write_gguf(source, tmp_path / "model.gguf", "w8")
    found = GgufFile(tmp_path / "model.gguf")
    assert found.config == replace(source.config, spiking=Spiking(mode=spikes))  # type: ignore[arg-type]
    types = {found.types[name.gguf].name for name in found.names if name.name == DOWN}
    assert types == {"I8" if spikes == "paper" else "BF16"}
    assert found.shapes["blk.0.ffn_gate.outliers"][0] > 0
    for name in found.names:
        assert torch.equal(read_tensor(found, name), read_tensor(source, name)), name


def test_wrong_scales_are_named(tmp_path: Path) -> None:
    name = "model.layers.0.attn.q_proj.weight_quantizer.scales"
    tensors = with_scales(random_tensors(CONFIG))
    with pytest.raises(CheckpointError, match=rf"'{name}' must have shape \[64, 1, 1\]; it has \[64, 1\]"):
        _open(tmp_path, tensors | {name: torch.ones(64, 1)})
    with pytest.raises(CheckpointError, match=r"'model.norm.weight_quantizer.scales' \[64, 1, 1\] has no place"):
        _open(tmp_path, tensors | {"model.norm.weight_quantizer.scales": torch.ones(64, 1, 1)})
    source = _open(tmp_path, tensors | {name: torch.zeros(64, 1, 1)})
    with pytest.raises(CheckpointError, match=rf"'{name}' must hold positive finite scales; its least is 0.0"):
        read_tensor(source, next(one for one in source.names if one.name == QUERY))
