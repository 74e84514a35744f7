"""GGUF files as the gguf package reads them: same values, same config, same tokenizer, whole or in shards."""

import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.gguf_tokenizer import tokenizer_from_metadata
from spikingbrain.checkpoint.names import TensorName, tensor_names
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.checkpoint.source import read_tensor
from spikingbrain.checkpoint.tokenizer import read_tokenizer
from spikingbrain.config import Config, Spiking
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.export.tensor_type import TypeName, encode
from spikingbrain.spike.weight_codes import quantise_weight
from support.checkpoint_files import random_tensors
from support.checkpoint_models import CONFIGS, SEPARATE, SEVEN, SHARED, VOCABULARY, write_tokenizer

TYPE_NAMES: tuple[TypeName, ...] = get_args(TypeName)


def _expected(config: Config) -> dict[str, torch.Tensor]:
    """The GGUF's tensors by hand: renamed, experts stacked."""
    tensors = random_tensors(config)
    stacked: dict[str, list[torch.Tensor]] = {}
    for name in tensor_names(config):
        stacked.setdefault(name.gguf, []).append(tensors[name.name])
    return {name: torch.stack(parts) if "_exps." in name else parts[0] for name, parts in stacked.items()}


@pytest.mark.parametrize("kind", TYPE_NAMES)
@pytest.mark.parametrize("name", list(CONFIGS))
def test_the_package_reads_back_what_was_written(tmp_path: Path, name: str, kind: TypeName) -> None:
    config = CONFIGS[name]
    write_gguf(RandomWeights(config), tmp_path / "model.gguf", kind)
    found = {tensor.name: tensor for tensor in GGUFReader(tmp_path / "model.gguf").tensors}
    expected = _expected(config)
    assert found.keys() == expected.keys()
    for tensor_name, values in expected.items():
        tensor = found[tensor_name]
        assert tuple(reversed(tensor.shape.tolist())) == tuple(values.shape), tensor_name
        if values.ndim == 1:
            assert tensor.tensor_type == GGMLQuantizationType.F32
        elif values.shape[-1] % 32 == 0:
            assert tensor.tensor_type.name.lower() == kind
        # The whole tensor at once, and so independent of how the writer cut it.
        assert np.array_equal(tensor.data, quantize(values.numpy(), tensor.tensor_type).reshape(tensor.data.shape)), tensor_name


@pytest.mark.parametrize(("kind", "steps"), [("q8_0", 127), ("q4_0", 8), ("q4_1", 15)])
def test_quantisation_errs_by_less_than_a_step(kind: TypeName, steps: int) -> None:
    values = torch.randn(64, 96, generator=torch.Generator().manual_seed(3))
    stored = GGMLQuantizationType[kind.upper()]
    row_bytes = values.shape[1] // GGML_QUANT_SIZES[stored][0] * GGML_QUANT_SIZES[stored][1]
    back = dequantize(encode(values, stored, "w").reshape(64, row_bytes), stored)
    blocks = values.reshape(64, 3, 32)
    reach = blocks.amax(2) - blocks.amin(2) if kind == "q4_1" else blocks.abs().amax(2)
    error = (torch.from_numpy(back) - values).reshape(64, 3, 32).abs().amax(2)
    # Half a step, or a whole one at the end where q4_0 has one code less; and the rounding of an f16 scale.
    assert bool((error <= reach * ((1.0 if kind == "q4_0" else 0.5) / steps + 2**-11)).all())
    assert error.max() > 0


@pytest.mark.parametrize("name", list(CONFIGS))
def test_config_and_weights_come_back(tmp_path: Path, name: str) -> None:
    config = CONFIGS[name]
    write_gguf(RandomWeights(config), tmp_path / "model.gguf", "f32")
    source = GgufFile(tmp_path / "model.gguf")
    assert source.config == config
    tensors = random_tensors(config)
    for tensor in source.names:
        assert torch.equal(read_tensor(source, tensor), tensors[tensor.name]), tensor.name


def test_a_gguf_of_a_gguf_is_the_same_file(tmp_path: Path) -> None:
    write_gguf(RandomWeights(SHARED), tmp_path / "one.gguf", "f32")
    write_gguf(GgufFile(tmp_path / "one.gguf"), tmp_path / "two.gguf", "f32")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()


def test_metadata_has_the_keys_the_engine_reads(tmp_path: Path) -> None:
    """`wasm/engine/src/config.rs`, spelled out: a change of either side must not go unseen."""
    write_gguf(RandomWeights(SEPARATE), tmp_path / "model.gguf", "q4_0")
    fields = {key: field.contents() for key, field in GGUFReader(tmp_path / "model.gguf").fields.items() if not key.startswith("GGUF.")}
    assert fields["general.architecture"] == "spikingbrain"
    assert {key.removeprefix("spikingbrain."): value for key, value in fields.items() if key.startswith("spikingbrain.")} == {
        "block_count": 3,
        "context_length": 256,
        "embedding_length": 96,
        "feed_forward_length": 160,
        "vocab_size": VOCABULARY,
        "attention.head_count": 6,
        "attention.head_count_kv": 3,
        "attention.key_length": 32,
        "attention.value_length": 32,
        "attention.layer_norm_rms_epsilon": pytest.approx(1e-6, rel=1e-6),
        "attention.sink_count": 0,
        "attention.kept_tokens": 3,
        "rope.freq_base": 10_000.0,
        "rope.dimension_count": 16,
        "layer.mixers": ["linear+full", "full", "linear"],
        "layer.feed_forwards": ["moe", "dense", "dense"],
        "parallel.projections": "separate",
        "spiking.mode": "off",
        "spiking.k": 3.0,
        "linear.feature_map": "relu",
        "linear.head_norm": False,
        "linear.gate": "learned",
        "linear.gate_normalizer": 16.0,
        "expert_count": 2,
        "expert_used_count": 2,
        "expert_feed_forward_length": 64,
        "expert_shared_feed_forward_length": 0,
        "expert_gating": "softmax",
        "expert_weights_norm": True,
    }


def test_the_tokenizer_comes_back(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    tokenizer = read_tokenizer(tmp_path, VOCABULARY)
    write_gguf(RandomWeights(SEVEN), tmp_path / "model.gguf", "q8_0", tokenizer)
    source = GgufFile(tmp_path / "model.gguf")
    assert tokenizer_from_metadata(source.metadata) == tokenizer
    assert source.metadata["tokenizer.ggml.pre"] == "qwen2"
    assert {source.metadata["tokenizer.ggml.eos_token_id"], source.metadata["tokenizer.ggml.eot_token_id"]} == set(SEVEN.end_tokens)


def test_without_a_tokenizer_the_configs_tokens_are_written(tmp_path: Path) -> None:
    write_gguf(RandomWeights(SEVEN), tmp_path / "model.gguf", "q8_0")
    source = GgufFile(tmp_path / "model.gguf")
    assert tokenizer_from_metadata(source.metadata) is None
    assert (source.config.bos, source.config.end_tokens) == (SEVEN.bos, SEVEN.end_tokens)


def test_an_end_token_that_a_gguf_has_no_key_for_is_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_gguf(RandomWeights(replace(SEVEN, end_tokens=(3, 4, 5))), tmp_path / "model.gguf", "q8_0")
    assert "a GGUF names two end tokens; the config's [5] will not end a text" in caplog.text
    write_tokenizer(tmp_path)
    write_gguf(RandomWeights(SEVEN), tmp_path / "model.gguf", "q8_0", read_tokenizer(tmp_path, VOCABULARY))
    assert caplog.text.count("will not end a text") == 1


def test_shards_have_the_standard_names_and_keys(tmp_path: Path) -> None:
    shard_bytes = 60_000
    written = write_gguf(RandomWeights(SEPARATE), tmp_path / "model.gguf", "q8_0", shard_bytes=shard_bytes)
    count = len(written)
    assert count > 3
    assert [path.name for path in written] == [f"model-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    readers = [GGUFReader(path) for path in written]
    total = sum(len(reader.tensors) for reader in readers)
    for number, reader in enumerate(readers):
        fields = {key: field.contents() for key, field in reader.fields.items()}
        assert (fields["split.no"], fields["split.count"], fields["split.tensors.count"]) == (number, count, total)
        sizes = [int(tensor.n_bytes) for tensor in reader.tensors]
        assert len(sizes) == 1 or sum(sizes) <= shard_bytes
    write_gguf(RandomWeights(SEPARATE), tmp_path / "whole.gguf", "q8_0")
    whole, sharded = GgufFile(tmp_path / "whole.gguf"), GgufFile(written[1])
    assert sharded.config == whole.config
    assert all(torch.equal(read_tensor(sharded, name), read_tensor(whole, name)) for name in whole.names)
    written[2].unlink()
    with pytest.raises(CheckpointError, match=rf"model-00003-of-{count:05d}.gguf is missing"):
        GgufFile(written[0])


def test_rows_that_are_no_whole_blocks_become_f16_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        write_gguf(RandomWeights(SEVEN), tmp_path / "model.gguf", "q4_1")
    types = GgufFile(tmp_path / "model.gguf").types
    assert types["blk.0.attn_gate_b.weight"] == GGMLQuantizationType.F16
    assert types["blk.0.attn_gate_a.weight"] == GGMLQuantizationType.Q4_1
    assert "blk.0.attn_gate_b.weight is stored as f16: its rows of 16 values are no whole blocks of q4_1" in caplog.text


def test_the_packages_own_dump_reads_it(tmp_path: Path) -> None:
    write_gguf(RandomWeights(SHARED), tmp_path / "model.gguf", "q4_0")
    command = [sys.executable, "-m", "gguf.scripts.gguf_dump", str(tmp_path / "model.gguf")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "spikingbrain.layer.mixers" in result.stdout
    assert "blk.1.ffn_gate_exps.weight" in result.stdout


class _Spoiled(RandomWeights):
    """Random weights with one value changed in one tensor."""

    def __init__(self, value: float) -> None:
        super().__init__(SEVEN)
        self._value = value

    def rows(self, name: TensorName, start: int, stop: int) -> torch.Tensor:
        rows = super().rows(name, start, stop).clone()
        if name.name == "model.layers.2.mlp.down_proj.weight":
            rows[7, 5] = self._value
        return rows


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (float("nan"), "f32", r"'model.layers.2.mlp.down_proj.weight' must hold finite values; it holds nan"),
        (float("-inf"), "q8_0", r"'model.layers.2.mlp.down_proj.weight' must hold finite values; it holds inf"),
        (1e5, "f16", r"must hold values up to 65504.0 to be F16; it holds 100000.0: use bf16 or f32"),
        (-1e5, "q4_0", r"must hold values up to 65504.0 to be Q4_0"),
    ],
)
def test_values_that_a_type_cannot_hold_are_refused(tmp_path: Path, value: float, kind: TypeName, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        write_gguf(_Spoiled(value), tmp_path / "model.gguf", kind)
    assert list(tmp_path.iterdir()) == []


def test_large_values_fit_bf16(tmp_path: Path) -> None:
    write_gguf(_Spoiled(1e5), tmp_path / "model.gguf", "bf16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda config: replace(config, branch_norm="head"),
            r"branch_norm must be 'full' for the engine that reads the GGUF; it is 'head'",
        ),
        (lambda config: replace(config, linear=replace(config.linear, rope=True)), r"linear.rope must be False .*; it is True"),
        (lambda config: replace(config, linear=replace(config.linear, reads_sinks=False)), r"linear.reads_sinks must be True"),
        (lambda config: replace(config, experts=replace(config.experts, inner=30)), r"experts.inner must be a multiple of 4 .*; it is 30"),
    ],
)
def test_what_the_engine_does_not_have_is_refused(tmp_path: Path, change: Callable[[Config], Config], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        write_gguf(RandomWeights(change(SHARED)), tmp_path / "model.gguf", "f32")


def test_a_full_disk_is_refused_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1_000))
    with pytest.raises(CheckpointError, match=r"must have \d+ bytes free; it has 1000"):
        write_gguf(RandomWeights(SEVEN), tmp_path / "model.gguf", "f32")
    assert list(tmp_path.iterdir()) == []


def test_the_name_must_end_in_gguf(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"the output must be called \*.gguf; it is 'model.bin'"):
        write_gguf(RandomWeights(SEVEN), tmp_path / "model.bin", "f32")


@pytest.mark.parametrize("name", list(CONFIGS))
def test_w8_keeps_every_code(tmp_path: Path, name: str) -> None:
    config = replace(CONFIGS[name], spiking=Spiking(mode="released", k=2.7, site_k=(("attention_in", 6.5),)))
    weights = RandomWeights(config)
    write_gguf(weights, tmp_path / "model.gguf", "w8")
    source = GgufFile(tmp_path / "model.gguf")
    assert source.config == config
    assert not any(tensor.endswith(".outliers") for tensor in source.shapes)
    for tensor in source.names:
        found, given = read_tensor(source, tensor), read_tensor(weights, tensor)
        if tensor.linear:
            given = quantise_weight(given).dense()
        elif len(tensor.shape) > 1:
            given = given.to(torch.bfloat16).to(torch.float32)
        assert torch.equal(found, given), tensor.name
    write_gguf(source, tmp_path / "again.gguf", "w8")
    assert (tmp_path / "again.gguf").read_bytes() == (tmp_path / "model.gguf").read_bytes()
