"""A file of a public model in 4 to 6 bits, whose tensors have types that the engine does not read: every value, and what becomes of it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize
from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.checkpoint.source import row_chunks
from spikingbrain.config import Biases, Config, Layer
from spikingbrain.export.gguf_writer import write_gguf
from spikingbrain.export.tensor_type import TypeName

CONFIG = Config(
    name="tiny qwen",
    hidden=256,
    heads=4,
    kv_heads=2,
    head_dim=64,
    vocabulary=64,
    feed_forward_inner=512,
    layers=(Layer(mixer=("full",)),),
    biases=Biases(query_key_value=True),
    rope_theta=1_000_000.0,
    context=128,
)
KIND = GGMLQuantizationType
# As llama.cpp makes files of 4 bits of a model whose width is not a multiple of 256, and Q4_K and Q6_K elsewhere.
KINDS = {
    "token_embd.weight": KIND.Q5_0,
    "output.weight": KIND.Q8_0,
    "blk.0.attn_q.weight": KIND.Q5_0,
    "blk.0.attn_k.weight": KIND.Q4_K,
    "blk.0.attn_v.weight": KIND.Q8_0,
    "blk.0.attn_output.weight": KIND.Q6_K,
    "blk.0.ffn_gate.weight": KIND.Q5_0,
    "blk.0.ffn_up.weight": KIND.Q4_K,
    "blk.0.ffn_down.weight": KIND.Q6_K,
}
SCALES = {KIND.Q5_0: (0,), KIND.Q8_0: (0,), KIND.Q4_K: (0, 2), KIND.Q6_K: (208,)}
"""Where a block has its f16 scales; all other bytes may be anything."""


def _stored(shape: tuple[int, ...], kind: GGMLQuantizationType, draw: np.random.Generator) -> npt.NDArray[np.uint8]:
    elements, block_bytes = GGML_QUANT_SIZES[kind]
    blocks = draw.integers(0, 256, (shape[0] * shape[1] // elements, block_bytes), dtype=np.uint8)
    for place in SCALES[kind]:
        blocks[:, place : place + 2] = (draw.standard_normal(len(blocks)) * 0.01).astype(np.float16).view(np.uint8).reshape(-1, 2)
    return blocks.reshape(shape[0], -1)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, npt.NDArray[np.float32]]]:
    """The file, and its tensors' values as the `gguf` package decodes them."""
    path, draw, values = tmp_path_factory.mktemp("mixed") / "model.gguf", np.random.default_rng(3), {}
    writer = GGUFWriter(path, "qwen2")
    writer.add_name(CONFIG.name)
    writer.add_float32("qwen2.attention.layer_norm_rms_epsilon", 1e-6)
    writer.add_float32("qwen2.rope.freq_base", 1_000_000.0)
    for key, value in {
        "block_count": 1,
        "context_length": 128,
        "embedding_length": 256,
        "feed_forward_length": 512,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
    }.items():
        writer.add_uint32(f"qwen2.{key}", value)
    for name in tensor_names(CONFIG):
        if len(name.shape) == 1:
            values[name.gguf] = draw.standard_normal(name.shape).astype(np.float32)
            writer.add_tensor(name.gguf, values[name.gguf])
        else:
            kind = KINDS[name.gguf]
            blocks = _stored(name.shape, kind, draw)
            values[name.gguf] = dequantize(blocks, kind)
            writer.add_tensor(name.gguf, blocks, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, values


def test_every_value_is_what_the_package_decodes(stored: tuple[Path, dict[str, npt.NDArray[np.float32]]]) -> None:
    path, values = stored
    source = GgufFile(path)
    assert source.config == CONFIG
    assert {name: kind for name, kind in source.types.items() if name in KINDS} == KINDS
    for name in source.names:
        # Some rows at a time.
        parts = [source.rows(name, start, stop).numpy() for start, stop in row_chunks(name, values=1_000)]
        assert np.array_equal(np.concatenate(parts), values[name.gguf]), name.gguf


@pytest.mark.parametrize("kind", ["q8_0", "q4_1", "q4_0", "f16"])
def test_an_export_has_the_types_that_the_engine_reads(
    tmp_path: Path, stored: tuple[Path, dict[str, npt.NDArray[np.float32]]], kind: TypeName
) -> None:
    path, values = stored
    write_gguf(GgufFile(path), tmp_path / "out.gguf", kind)
    wanted = GGMLQuantizationType[kind.upper()]
    for tensor in GGUFReader(tmp_path / "out.gguf").tensors:
        matrix = values[tensor.name]
        assert tensor.tensor_type == (wanted if matrix.ndim > 1 else KIND.F32), tensor.name
        expected = quantize(matrix, wanted) if matrix.ndim > 1 else matrix
        assert np.array_equal(tensor.data, expected.reshape(tensor.data.shape)), tensor.name
