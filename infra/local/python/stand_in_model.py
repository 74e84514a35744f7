"""Writes a model of the released 7B's form and vocabulary with random weights, as a Hugging Face folder: small enough for any machine. Its
words mean nothing, and all else is as with the real one. Usage: stand_in_model.py FOLDER."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.config import Layer, LearnedGate, LinearAttention
from spikingbrain.export.hugging_face_writer import stored_tensors, write_hugging_face
from spikingbrain.presets import seven_billion

SMALL = replace(
    seven_billion(window=65),
    name="spikingbrain-7b-stand-in",
    hidden=128,
    heads=4,
    kv_heads=2,
    # vLLM's kernels for CPUs have this size.
    head_dim=32,
    feed_forward_inner=256,
    layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))) * 2,
    linear=LinearAttention(feature_map="relu", gate=LearnedGate(normalizer=16.0, rank=16), head_norm=True),
    context=4_096,
)


def main(folder: Path) -> None:
    """Nobody sees a folder that is half written."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    try:
        write_hugging_face(SMALL, stored_tensors(RandomWeights(SMALL), torch.bfloat16), partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
