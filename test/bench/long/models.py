"""Writes two random models of one size in Q4_0: one in SpikingBrain-7B's form, one with full attention for llama.cpp.

    python test/bench/long/models.py FOLDER

Both have the sizes of Llama-3.2-1B, as the model of the paper's figure 7. A file that is there already is kept.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.config import Biases, Config, Layer, LearnedGate, LinearAttention
from spikingbrain.export.gguf_writer import OutputTensor, encoded, plan, write_gguf

LAYERS = 16
WINDOW = 4_097

SOFTMAX = Config(
    name="softmax-1b",
    hidden=2_048,
    heads=32,
    kv_heads=8,
    head_dim=64,
    vocabulary=128_256,
    feed_forward_inner=8_192,
    layers=(Layer(mixer=("full",)),) * LAYERS,
    biases=Biases(query_key_value=False),
    tied_head=True,
    context=2**23,
)

LINEAR = dataclasses.replace(
    SOFTMAX,
    name="linear-1b",
    layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))) * (LAYERS // 2),
    window=WINDOW,
    linear=LinearAttention(feature_map="relu", gate=LearnedGate(normalizer=16.0, rank=16), head_norm=True),
)


def write_for_llama(config: Config, out: Path) -> None:
    """A `llama` GGUF without a vocabulary's texts: tensors have the same names there."""
    source = RandomWeights(config)
    tensors = [tensor for tensor in plan(source, "q4_0") if isinstance(tensor, OutputTensor)]
    writer = GGUFWriter(out, "llama")
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
    for tensor in tensors:
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, raw_dtype=tensor.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(encoded(source, tensor))
    writer.close()


def main(folder: str) -> None:
    """Each file has its name only when it is whole."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as made:
        linear, softmax = (Path(made) / f"{config.name}.gguf" for config in (LINEAR, SOFTMAX))
        if not (out / linear.name).exists():
            write_gguf(RandomWeights(LINEAR), linear, "q4_0")
            linear.rename(out / linear.name)
        if not (out / softmax.name).exists():
            write_for_llama(SOFTMAX, softmax)
            softmax.rename(out / softmax.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
