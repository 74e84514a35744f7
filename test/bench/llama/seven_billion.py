"""Writes two models of Qwen2.5-7B's sizes in Q4_0: one in SpikingBrain-7B's form, one as `qwen2` for llama.cpp.

    python test/bench/llama/seven_billion.py FOLDER

Rows repeat some random ones: what is computed with them takes the time that any weights take. A file that is there already is kept.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from random_gguf import write_missing, write_random
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.config import Config, Layer
from spikingbrain.export.gguf_writer import OutputTensor
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


def write_linear(out: Path) -> None:
    write_random(RandomWeights(LINEAR), out, repeated)


def write_softmax(out: Path) -> None:
    write_random(RandomWeights(SOFTMAX), out, repeated, llama_architecture="qwen2")


if __name__ == "__main__":
    write_missing({"linear-7b.gguf": write_linear, "softmax-7b.gguf": write_softmax})
