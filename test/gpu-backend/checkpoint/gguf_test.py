"""GGUF files of others: their orders and defaults, and every refusal by name."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.gguf_header import read_header
from spikingbrain.checkpoint.gguf_metadata import from_metadata, to_metadata
from spikingbrain.checkpoint.gguf_tensors import NUMPY_TYPES, READ
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.checkpoint.source import row_chunks
from spikingbrain.config import Biases, Config, Layer
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.rules import ConfigError
from support.checkpoint_files import random_tensors
from support.checkpoint_models import SEVEN, SHARED

FULL = Config(
    name="tiny",
    hidden=32,
    heads=4,
    kv_heads=2,
    head_dim=8,
    vocabulary=64,
    feed_forward_inner=48,
    layers=(Layer(mixer=("full",)),) * 2,
    biases=Biases(query_key_value=False),
    rope_theta=10_000.0,
    context=128,
)


def _write_llama(path: Path, **changes: Any) -> None:  # noqa: ANN401 (metadata)
    """A file as llama.cpp's converter makes it: rotary pairs of q and k side by side, head by head."""
    metadata = {
        "block_count": 2,
        "context_length": 128,
        "embedding_length": 32,
        "feed_forward_length": 48,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
    } | changes
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-6)
    for key, value in metadata.items():
        writer.add_string(f"llama.{key}", value) if isinstance(value, str) else writer.add_uint32(f"llama.{key}", value)
    tensors = random_tensors(FULL)
    for name in tensor_names(FULL):
        values = tensors[name.name].numpy()
        if ".attn_q." in name.gguf or ".attn_k." in name.gguf:
            heads = values.reshape(-1, 2, 4, 32)
            values = np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(values.shape)
        writer.add_tensor(name.gguf, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_llama_files_come_in_half_split_order(tmp_path: Path) -> None:
    _write_llama(tmp_path / "model.gguf")
    source = GgufFile(tmp_path / "model.gguf")
    assert source.config == FULL
    tensors = random_tensors(FULL)
    for name in source.names:
        parts = [source.rows(name, start, stop) for start, stop in row_chunks(name, values=100)]
        assert torch.equal(torch.cat(parts), tensors[name.name]), name.name


def test_rope_scaling_is_refused(tmp_path: Path) -> None:
    _write_llama(tmp_path / "model.gguf", **{"rope.scaling.type": "yarn"})
    with pytest.raises(CheckpointError, match=r"llama.rope.scaling.type must be 'none' or missing; it is 'yarn'"):
        GgufFile(tmp_path / "model.gguf")


def test_part_rotation_in_llama_order_is_refused(tmp_path: Path) -> None:
    _write_llama(tmp_path / "model.gguf", **{"rope.dimension_count": 4})
    with pytest.raises(CheckpointError, match=r"llama.rope.dimension_count must be 8; it is 4"):
        GgufFile(tmp_path / "model.gguf")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_gguf(RandomWeights(SHARED), path, "q4_0")
    content = path.read_bytes()
    whole = GgufFile(path)
    assert len(whole.names) > 0
    # Cut in the header at many places, in the data at few: only the last tensor's end is looked at there.
    for length in [*range(0, 3_000, 37), len(content) // 2, len(content) - 40]:
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"model.gguf cannot be read as GGUF"):
            GgufFile(path)


def _metadata(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (metadata)
    keys = {f"spikingbrain.{key}": value for key, value in changes.items()}
    return {"general.architecture": "spikingbrain"} | to_metadata(SEVEN) | keys


SHAPES = {name.gguf: name.shape for name in tensor_names(SEVEN)}


def _without(key: str) -> dict[str, Any]:
    metadata = _metadata()
    del metadata[f"spikingbrain.{key}"]
    return metadata


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        (
            _metadata() | {"general.architecture": "mamba"},
            CheckpointError,
            r"architecture must be one of spikingbrain, llama, qwen2; it is 'mamba'",
        ),
        (_without("block_count"), CheckpointError, r"spikingbrain.block_count must be an integer from 1 to 4096; it is missing"),
        (_without("layer.mixers"), CheckpointError, r"spikingbrain.layer.mixers must be a value of type list; it is missing"),
        (_metadata(**{"layer.mixers": ["linear"]}), CheckpointError, r"layer.mixers must be an array of 4 strings; it is \['linear'\]"),
        (
            _metadata(**{"layer.mixers": ["linear", "sparse", "linear", "linear"]}),
            ConfigError,
            r"layer.mixer must be one of .*; it is 'sparse'",
        ),
        (
            _metadata(**{"attention.head_count": "four"}),
            CheckpointError,
            r"attention.head_count must be an integer from 1 to 1048576; it is 'four'",
        ),
        (_metadata(**{"attention.head_count_kv": 3}), ConfigError, r"kv_heads must be a divisor of 4 heads; it is 3"),
        (_metadata(**{"attention.value_length": 8}), CheckpointError, r"attention.value_length must be the key length 16; it is 8"),
        (_metadata(**{"linear.gate": "scalar"}), CheckpointError, r"linear.gate must be 'learned' or 'one_minus_key'; it is 'scalar'"),
        (_metadata(**{"linear.head_norm": 1}), CheckpointError, r"linear.head_norm must be a value of type bool; it is 1"),
        (
            _metadata(**{"attention.layer_norm_rms_epsilon": 0.0}),
            CheckpointError,
            r"epsilon must be a positive number of normal size; it is 0.0",
        ),
    ],
)
def test_wrong_metadata_is_named(metadata: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_metadata(metadata, SHAPES)


def test_metadata_defaults() -> None:
    keys = (
        "layer.feed_forwards",
        "parallel.projections",
        "linear.feature_map",
        "linear.gate",
        "linear.gate_normalizer",
        "linear.head_norm",
    )
    metadata = _metadata()
    for key in (
        *keys,
        "attention.sink_count",
        "attention.kept_tokens",
        "rope.dimension_count",
        "attention.key_length",
        "attention.value_length",
    ):
        del metadata[f"spikingbrain.{key}"]
    tokens = {"general.name": SEVEN.name, "tokenizer.ggml.bos_token_id": SEVEN.bos}
    tokens |= {f"tokenizer.ggml.{key}_token_id": token for key, token in zip(("eos", "eot"), SEVEN.end_tokens, strict=True)}
    assert from_metadata(metadata | tokens, SHAPES) == SEVEN


def _extra(tensors: dict[str, Any]) -> None:
    tensors["blk.9.attn_q.weight"] = np.zeros((4, 4), np.float32)


def _missing(tensors: dict[str, Any]) -> None:
    del tensors["blk.1.ffn_up.weight"]


def _misshapen(tensors: dict[str, Any]) -> None:
    tensors["blk.1.ffn_up.weight"] = np.zeros((95, 64), np.float32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_extra, r"1 problem\n  tensor 'blk.9.attn_q.weight' \[4, 4\] has no place in this model"),
        (_missing, r"1 problem\n  tensor 'blk.1.ffn_up.weight' \[96, 64\] is missing"),
        (_misshapen, r"1 problem\n  tensor 'blk.1.ffn_up.weight' must have shape \[96, 64\]; it has \[95, 64\]"),
    ],
)
def test_wrong_tensors_are_named(tmp_path: Path, spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    tensors = {name.gguf: random_tensors(SEVEN)[name.name].numpy() for name in tensor_names(SEVEN)}
    spoil(tensors)
    writer = GGUFWriter(tmp_path / "model.gguf", "spikingbrain")
    for key, value in to_metadata(SEVEN).items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string, list: writer.add_array}
        add[type(value)](key, value)  # type: ignore[operator]
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointError, match=message):
        GgufFile(tmp_path / "model.gguf")


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "golden").glob("*.gguf")), ids=lambda path: path.name)
def test_headers_are_read_as_the_gguf_package_reads_them(path: Path) -> None:
    file, theirs = np.memmap(path, mode="r", dtype=np.uint8), GGUFReader(path)
    header = read_header(file.data)
    # Theirs begin with three of the file's own numbers.
    expected = {key: field.contents() for key, field in theirs.fields.items() if not key.startswith("GGUF.")}
    assert header.metadata.keys() == expected.keys()
    for key, value in expected.items():
        found = header.metadata[key]
        assert type(found) is type(value) and (found == value or np.float32(found) == np.float32(value)), key
    assert len(header.tensors) == len(theirs.tensors)
    by_name = {tensor.name: tensor for tensor in header.tensors}
    for tensor in theirs.tensors:
        ours = by_name[tensor.name]
        assert (ours.kind, ours.offset, ours.bytes) == (tensor.tensor_type, tensor.data_offset, tensor.n_bytes)
        assert ours.shape == tuple(reversed(tensor.shape.tolist()))
        assert ours.of(file).dtype == tensor.data.dtype and np.array_equal(ours.of(file), tensor.data)


def test_types_are_read_that_the_gguf_package_decodes() -> None:
    decoded = set()
    for kind in GGMLQuantizationType:
        elements, block_bytes = GGML_QUANT_SIZES[kind]
        stored = np.zeros((1, block_bytes), dtype=np.uint8)
        try:
            values = dequantize(stored.view(NUMPY_TYPES.get(kind, np.dtype(np.uint8))), kind)
        except NotImplementedError:
            continue
        assert values.shape == (1, elements)
        decoded.add(int(kind))
    codes = {int(GGMLQuantizationType.I8), int(GGMLQuantizationType.I32)}
    assert decoded | codes == READ


def test_more_metadata_than_any_model_has_is_refused() -> None:
    entry = b"".join(struct.pack("<Q6sII", 6, b"%06d" % number, 4, 0) for number in range(90_000))
    with pytest.raises(CheckpointError, match=r"metadata and tensor names take more than 16777216 bytes"):
        read_header(b"GGUF" + struct.pack("<IQQ", 3, 0, 90_000) + entry)
