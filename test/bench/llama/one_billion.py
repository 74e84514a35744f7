"""Writes two random models of one size in Q4_0: one in SpikingBrain-7B's form, one with full attention for llama.cpp.

    python test/bench/llama/one_billion.py FOLDER

Both have the sizes of Llama-3.2-1B, as the model of the paper's figure 7. A file that is there already is kept.
"""

import dataclasses
from pathlib import Path

from random_gguf import write_missing, write_random
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.config import Biases, Config, Layer, LearnedGate, LinearAttention
from spikingbrain.export.gguf_writer import encoded, write_gguf

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


def write_linear(out: Path) -> None:
    write_gguf(RandomWeights(LINEAR), out, "q4_0")


def write_softmax(out: Path) -> None:
    source = RandomWeights(SOFTMAX)
    write_random(source, out, lambda tensor: encoded(source, tensor), llama_architecture="llama")


if __name__ == "__main__":
    write_missing({"linear-1b.gguf": write_linear, "softmax-1b.gguf": write_softmax})
