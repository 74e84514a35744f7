"""Writes two models of Qwen2.5-7B's sizes in Q4_0: one in SpikingBrain-7B's form, one as `qwen2` for llama.cpp.

    python test/bench/threads/seven_billion.py FOLDER

Rows repeat some random ones: what is computed with them takes the time that any weights take. A file that is there already is kept.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from gguf import GGUFWriter
from spikingbrain.checkpoint.gguf_keys import ARCHITECTURE
from spikingbrain.checkpoint.gguf_metadata import to_metadata
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.config import Config, Layer
from spikingbrain.export.gguf_writer import OutputTensor, plan
from spikingbrain.export.tensor_type import encode
from spikingbrain.presets import seven_billion

CONTEXT = 2_048
ROWS = 32

LINEAR = seven_billion()
SOFTMAX = Config(
    name="softmax-7b",
    hidden=LINEAR.hidden,
    heads=LINEAR.heads,
    kv_heads=LINEAR.kv_heads,
    head_dim=LINEAR.head_dim,
    vocabulary=LINEAR.vocabulary,
    feed_forward_inner=LINEAR.feed_forward_inner,
    layers=(Layer(mixer=("full",)),) * len(LINEAR.layers),
    context=CONTEXT,
)


def repeated(tensor: OutputTensor) -> npt.NDArray[np.uint8]:
    """The tensor's bytes."""
    generator = torch.Generator().manual_seed(tensor.bytes)
    if len(tensor.shape) == 1:
        values = torch.randn(tensor.shape, generator=generator) * 0.1 + (1.0 if tensor.name.endswith("norm.weight") else 0.0)
    else:
        values = torch.randn((ROWS, tensor.shape[-1]), generator=generator) * tensor.shape[-1] ** -0.5
    return np.resize(encode(values, tensor.kind, tensor.name), tensor.bytes)


def add_metadata(writer: GGUFWriter, config: Config) -> None:
    """For our engine; without the texts of a vocabulary."""
    for key, value in to_metadata(config).items():
        match value:
            case bool():
                writer.add_bool(key, value)
            case int():
                writer.add_uint32(key, value)
            case float():
                writer.add_float32(key, value)
            case str():
                writer.add_string(key, value)
            case list():
                writer.add_array(key, value)


def add_metadata_for_llama(writer: GGUFWriter, config: Config) -> None:
    """The same for llama.cpp."""
    writer.add_block_count(len(config.layers))
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden)
    writer.add_feed_forward_length(config.feed_forward_inner)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.epsilon)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_vocab_size(config.vocabulary)
    writer.add_tokenizer_model("none")


def write(config: Config, out: Path, for_llama: bool) -> None:
    """Tensors have the same names for both."""
    tensors = [tensor for tensor in plan(RandomWeights(config), "q4_0") if isinstance(tensor, OutputTensor)]
    writer = GGUFWriter(out, "qwen2" if for_llama else ARCHITECTURE)
    (add_metadata_for_llama if for_llama else add_metadata)(writer, config)
    for tensor in tensors:
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, raw_dtype=tensor.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(repeated(tensor))
    writer.close()


def main(folder: str) -> None:
    """Each file has its name only when it is whole."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as made:
        for config, name, for_llama in ((LINEAR, "linear-7b.gguf", False), (SOFTMAX, "softmax-7b.gguf", True)):
            if not (out / name).exists():
                write(config, Path(made) / name, for_llama)
                (Path(made) / name).rename(out / name)


if __name__ == "__main__":
    main(*sys.argv[1:])
