"""The delta file, and the model that set-up makes of it, against the model that training had."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.config import Config
from spikingbrain.convert.export.delta import base_of, read_delta, write_delta
from spikingbrain.convert.export.result import ConvertedSource
from spikingbrain.convert.export.tuned import tuned_norms, tuned_scales
from spikingbrain.convert.trunk.frozen import Trunk, read_trunk
from spikingbrain.convert.trunk.tensors import branch_tensors, converted_config
from spikingbrain.convert.trunk.tuning import Tuning, make_tuning
from spikingbrain.rules import ConfigError
from support.convert_models import REACH, TEACHER, TensorSource, busy_branches, trunk_of

ROOT = Path(__file__).parents[4]
CONFIG = converted_config(TEACHER, REACH, "tiny converted")


def write_llama(path: Path, config: Config = TEACHER, matrices: GGMLQuantizationType = GGMLQuantizationType.F32) -> None:
    """The teacher as llama.cpp's converter writes it: rotary pairs of q and k in neighbouring rows; vectors and the embedding in f32."""
    source = TensorSource(config)
    writer = GGUFWriter(path, "llama")
    writer.add_name("teacher")
    writer.add_license("apache-2.0")
    writer.add_block_count(len(config.layers))
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden)
    writer.add_feed_forward_length(config.feed_forward_inner)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.epsilon)
    writer.add_token_list([f"t{index}" for index in range(config.vocabulary)])
    for name in source.names:
        values = read_tensor(source, name).numpy()
        if name.name.endswith(("q_proj.weight", "k_proj.weight")):
            values = values.reshape(-1, 2, config.head_dim // 2, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        kind = matrices if name.linear else GGMLQuantizationType.F32
        writer.add_tensor(name.gguf, quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, dict[str, torch.Tensor]]:
    base, delta = tmp_path / "base.gguf", tmp_path / "tiny.delta.gguf"
    write_llama(base)
    tensors = branch_tensors(busy_branches(trunk_of()))
    write_delta(delta, CONFIG, tensors, base_of(base))
    return base, delta, tensors


def merge(base: Path, delta: Path, out: Path) -> subprocess.CompletedProcess[str]:
    node = ROOT / "node_modules/.bin/node"
    command: list[str | Path] = [node, "--no-warnings", ROOT / "infra/local/gguf/merge-delta.ts", base, delta, out]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_delta_comes_back(files: tuple[Path, Path, dict[str, torch.Tensor]]) -> None:
    _, delta, tensors = files
    found = read_delta(delta, CONFIG)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor.half().float() if tensor.dim() > 1 else tensor), name


def test_a_delta_for_another_model_is_refused(files: tuple[Path, Path, dict[str, torch.Tensor]]) -> None:
    with pytest.raises(CheckpointError, match=r"spikingbrain\.attention\.sliding_window must be 25; it is 24"):
        read_delta(files[1], replace(CONFIG, window=25))


def test_what_f16_cannot_hold_is_refused(files: tuple[Path, Path, dict[str, torch.Tensor]]) -> None:
    base, delta, tensors = files
    name = "model.layers.1.attn.evicted.mix.weight"
    with pytest.raises(CheckpointError, match=f"tensor '{name}' must hold finite values of at most 65504; it holds"):
        write_delta(delta, CONFIG, tensors | {name: torch.full_like(tensors[name], 1e6)}, base_of(base))


def test_the_merged_file_is_the_converted_model(files: tuple[Path, Path, dict[str, torch.Tensor]], tmp_path: Path) -> None:
    base, delta, _ = files
    done = merge(base, delta, tmp_path / "merged.gguf")
    assert done.returncode == 0, done.stderr
    merged = GgufFile(tmp_path / "merged.gguf")
    expected = ConvertedSource(GgufFile(base), merged.config, read_delta(delta, CONFIG))
    assert replace(merged.config, name="", bos=None, end_tokens=()) == replace(CONFIG, name="", bos=None, end_tokens=())
    assert merged.config.name == "tiny converted"
    assert merged.metadata["general.license"] == "apache-2.0"
    assert not [key for key in merged.metadata if "delta" in key or key.startswith("llama.")]
    for name in merged.names:
        assert torch.equal(read_tensor(merged, name), read_tensor(expected, name)), name.name
    query = "model.layers.0.attn.q_proj.weight"
    assert torch.equal(read_tensor(merged, next(name for name in merged.names if name.name == query)), TensorSource(TEACHER).tensors[query])


def test_another_base_is_refused_and_nothing_written(files: tuple[Path, Path, dict[str, torch.Tensor]], tmp_path: Path) -> None:
    base, delta, _ = files
    base.write_bytes(base.read_bytes() + b"x")
    done = merge(base, delta, tmp_path / "merged.gguf")
    assert done.returncode != 0
    assert "must be base.gguf with sha256" in done.stderr
    assert not list(tmp_path.glob("merged*"))


BLOCKY = replace(TEACHER, hidden=64, heads=8, feed_forward_inner=96)
"""Whose matrices have whole blocks of Q4_1."""


def tuned_of(trunk: Trunk) -> Tuning:
    """Far enough from where it starts to show in f16."""
    tuning, generator = make_tuning(trunk, matrices=True), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in tuning.parameters():
            parameter.normal_(std=0.1, generator=generator)
    return tuning


def test_a_tuned_trunk_is_merged(tmp_path: Path) -> None:
    base, delta, merged = (tmp_path / f"{name}.gguf" for name in ("base", "tiny.delta", "merged"))
    write_llama(base, BLOCKY, GGMLQuantizationType.Q4_1)
    source, config = GgufFile(base), converted_config(BLOCKY, REACH, "tiny tuned")
    trunk = read_trunk(source, torch.float32)
    tuning = tuned_of(trunk)
    tensors = branch_tensors(busy_branches(trunk)) | tuned_norms(source, tuning)
    write_delta(delta, config, tensors, base_of(base), tuned_scales(source, tuning))
    done = merge(base, delta, merged)
    assert done.returncode == 0, done.stderr
    found = GgufFile(merged)
    names = {name.name: name for name in found.names}
    with torch.no_grad():
        layers = tuning.trunk(trunk).layers
    for index, layer in enumerate(layers):
        rows = torch.cat([read_tensor(found, names[f"model.layers.{index}.attn.{part}_proj.weight"]) for part in "qkv"])
        torch.testing.assert_close(rows, layer.query_key_value, rtol=5e-3, atol=2e-3)
        torch.testing.assert_close(
            read_tensor(found, names[f"model.layers.{index}.mlp.down_proj.weight"]), layer.down, rtol=5e-3, atol=2e-3
        )
        assert torch.equal(read_tensor(found, names[f"model.layers.{index}.mlp_norm.weight"]), layer.feed_forward_norm)
    assert not torch.allclose(layers[0].down, trunk.layers[0].down, atol=2e-2)
    assert read_delta(delta, config).keys() == tensors.keys()


def test_scales_of_what_has_none_are_refused(tmp_path: Path) -> None:
    base, delta = tmp_path / "base.gguf", tmp_path / "tiny.delta.gguf"
    write_llama(base, BLOCKY)
    source, trunk = GgufFile(base), read_trunk(GgufFile(base), torch.float32)
    with pytest.raises(ConfigError, match=r"teacher's 'blk\.0\.ffn_down\.weight' must be Q4_1, whose scales are tuned; it is 'F32'"):
        tuned_scales(source, tuned_of(trunk))
    with pytest.raises(ConfigError, match=r"spike_distil\.matrices must be false where the teacher is no GGUF of Q4_1 matrices"):
        tuned_scales(TensorSource(BLOCKY), tuned_of(trunk))
    scales = {"model.layers.0.attn.q_proj.weight": np.ones((64, 4), np.float16)}
    write_delta(delta, converted_config(BLOCKY, REACH, "x"), branch_tensors(busy_branches(trunk)), base_of(base), scales)
    done = merge(base, delta, tmp_path / "merged.gguf")
    assert done.returncode != 0
    assert 'tensor "blk.0.attn_q.block_scales" must have two values in f16 for each block of a Q4_1 matrix' in done.stderr
