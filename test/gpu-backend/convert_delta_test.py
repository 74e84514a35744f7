"""The delta file, and the model that set-up makes of it, against the model that training had."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from convert_models import REACH, TEACHER, TensorSource, busy_branches, trunk_of
from gguf import GGUFWriter
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.convert.delta import base_of, read_delta, write_delta
from spikingbrain.convert.result import ConvertedSource, branch_tensors, converted_config

ROOT = Path(__file__).parents[2]
CONFIG = converted_config(TEACHER, REACH, "tiny converted")


def write_llama(path: Path) -> None:
    """The teacher as llama.cpp's converter writes it: f32, rotary pairs of q and k in neighbouring rows."""
    source = TensorSource(TEACHER)
    writer = GGUFWriter(path, "llama")
    writer.add_name("teacher")
    writer.add_license("apache-2.0")
    writer.add_block_count(len(TEACHER.layers))
    writer.add_context_length(TEACHER.context)
    writer.add_embedding_length(TEACHER.hidden)
    writer.add_feed_forward_length(TEACHER.feed_forward_inner)
    writer.add_head_count(TEACHER.heads)
    writer.add_head_count_kv(TEACHER.kv_heads)
    writer.add_rope_freq_base(TEACHER.rope_theta)
    writer.add_layer_norm_rms_eps(TEACHER.epsilon)
    writer.add_token_list([f"t{index}" for index in range(TEACHER.vocabulary)])
    for name in source.names:
        values = read_tensor(source, name).numpy()
        if name.name.endswith(("q_proj.weight", "k_proj.weight")):
            values = values.reshape(-1, 2, TEACHER.head_dim // 2, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(name.gguf, np.ascontiguousarray(values))
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
    command: list[str | Path] = [node, "--no-warnings", ROOT / "infra/local/merge-delta.ts", base, delta, out]
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
    with pytest.raises(CheckpointError, match=f"tensor '{name}' must hold values that f16 has"):
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
