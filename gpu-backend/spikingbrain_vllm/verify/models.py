"""Models that are measured: configs alone, whose weights vLLM draws itself, or small ones with weights on disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from spikingbrain.checkpoint.random_weights import RandomWeights
from spikingbrain.config import Config, Layer, LearnedGate, LinearAttention
from spikingbrain.export.hugging_face_writer import stored_tensors, write_hugging_face
from spikingbrain.hugging_face import to_hugging_face
from spikingbrain.presets import seven_billion


def seven_like(*, hidden: int, heads: int, kv_heads: int, head_dim: int, layers: int, inner: int, vocabulary: int, window: int) -> Config:
    """The 7B's layers, linear and window ones alternately, in other sizes."""
    return Config(
        name="seven-like",
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=vocabulary,
        feed_forward_inner=inner,
        layers=(Layer(mixer=("linear",)), Layer(mixer=("window",))) * (layers // 2),
        window=window,
        linear=LinearAttention(gate=LearnedGate(rank=16)),
        context=2**20,
    )


def released() -> Config:
    """The 7B itself, at lengths beyond what it was trained for: time does not depend on that."""
    return replace(seven_billion(), context=2**20)


def write_config(config: Config, folder: Path, dtype: str) -> Path:
    return _write(to_hugging_face(config) | {"torch_dtype": dtype}, folder)


def write_softmax_twin(config: Config, folder: Path, dtype: str) -> Path:
    """A Qwen2 of the same widths, heads and layers, which vLLM has a class of its own for."""
    values = {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": config.hidden,
        "num_hidden_layers": len(config.layers),
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.feed_forward_inner,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.epsilon,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.tied_head,
        "hidden_act": "silu",
        "use_sliding_window": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "torch_dtype": dtype,
    }
    return _write(values, folder)


def write_weights(config: Config, folder: Path, dtype: torch.dtype) -> Path:
    """With random weights on disk, which the reference can read too."""
    write_hugging_face(config, stored_tensors(RandomWeights(config), dtype), folder)
    return folder


def _write(values: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder
