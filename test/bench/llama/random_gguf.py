"""Files of random models in Q4_0, for the engine and for llama.cpp: their tensors have the same names for both."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGUFWriter
from spikingbrain.checkpoint.gguf_keys import ARCHITECTURE
from spikingbrain.checkpoint.gguf_metadata import to_metadata
from spikingbrain.checkpoint.source import WeightSource
from spikingbrain.config import Config
from spikingbrain.export.gguf_writer import OutputTensor, add_value, plan


def write_random(
    source: WeightSource,
    out: Path,
    bytes_of: Callable[[OutputTensor], npt.NDArray[np.uint8]],
    llama_architecture: str | None = None,
) -> None:
    """For the engine, or for llama.cpp where its architecture is named; without the texts of a vocabulary."""
    tensors = [tensor for tensor in plan(source, "q4_0") if isinstance(tensor, OutputTensor)]
    writer = GGUFWriter(out, llama_architecture or ARCHITECTURE)
    if llama_architecture is None:
        for key, value in to_metadata(source.config).items():
            add_value(writer, key, value)
    else:
        _add_llama_metadata(writer, source.config)
    for tensor in tensors:
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, raw_dtype=tensor.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(bytes_of(tensor))
    writer.close()


def _add_llama_metadata(writer: GGUFWriter, config: Config) -> None:
    writer.add_block_count(len(config.layers))
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden)
    writer.add_feed_forward_length(config.feed_forward_inner)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.epsilon)
    writer.add_rope_dimension_count(config.rotated)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_vocab_size(config.vocabulary)
    writer.add_tokenizer_model("none")


def write_missing(writers: Mapping[str, Callable[[Path], None]]) -> None:
    """The command: writes files into the folder that it is given. Each has its name only when it is whole; one that is there is kept."""
    _, folder = sys.argv
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as made:
        for name, write in writers.items():
            if not (out / name).exists():
                write(Path(made) / name)
                (Path(made) / name).rename(out / name)
