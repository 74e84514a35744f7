"""Ordinary Transformers as transformers itself writes them: their folders open like any other, and have transformers' own logits."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.loading import load_model
from spikingbrain.checkpoint.opening import find_tokenizer, open_checkpoint
from spikingbrain.cli.main import main
from spikingbrain.config import Biases, Layer
from spikingbrain.convert.trunk.frozen import read_trunk
from spikingbrain.convert.trunk.teacher import teacher_residual
from support.checkpoint_models import IDS, VOCABULARY, write_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": IDS["<|im_start|>"],
    "eos_token_id": IDS["<|im_end|>"],
}
TOKENS = torch.arange(1, 60)


def llama(**changes: object) -> Any:  # noqa: ANN401 (transformers has no types here)
    return LlamaForCausalLM(LlamaConfig(**{**SIZES, **changes}))


def qwen2(**changes: object) -> Any:  # noqa: ANN401
    return Qwen2ForCausalLM(Qwen2Config(**{**SIZES, **changes}))


def busy(model: Any) -> Any:  # noqa: ANN401
    """Norms and biases begin as ones and zeros, which a wrong reader could leave out unnoticed; matrices begin small."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.3 if parameter.ndim == 1 else parameter.shape[1] ** -0.5
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=scale)
    return model.eval()


CASES: dict[str, Callable[[], Any]] = {
    "llama": llama,
    "llama with a tied head, wide heads and biases": lambda: llama(
        tie_word_embeddings=True, head_dim=16, attention_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 500.0}
    ),
    "qwen2": lambda: qwen2(rms_norm_eps=1e-5),
    "qwen2 with a tied head": lambda: qwen2(tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0}),
}


@pytest.mark.parametrize("shard_size", ["1GB", "20KB"])
@pytest.mark.parametrize("case", CASES)
def test_a_folder_of_transformers_has_its_logits(tmp_path: Path, case: str, shard_size: str) -> None:
    model = busy(CASES[case]())
    model.save_pretrained(tmp_path, max_shard_size=shard_size)
    assert (tmp_path / "model.safetensors.index.json").is_file() == (shard_size == "20KB")
    with torch.no_grad():
        expected = model(TOKENS[None]).logits[0]
    torch.testing.assert_close(load_model(tmp_path).logits(TOKENS), expected, rtol=1e-4, atol=1e-4)


def test_the_config_says_what_the_model_is(tmp_path: Path) -> None:
    qwen2(rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0}).save_pretrained(tmp_path)
    config = open_checkpoint(tmp_path).config
    assert config.layers == (Layer(mixer=("full",)),) * 3
    assert (config.biases, config.tied_head, config.rope_theta) == (Biases(query_key_value=True, output=False), False, 1_000_000.0)
    assert (config.hidden, config.heads, config.kv_heads, config.head_dim, config.context) == (48, 6, 2, 8, 512)
    assert (config.bos, config.end_tokens) == (IDS["<|im_start|>"], (IDS["<|im_end|>"],))


def test_older_files_have_flat_settings(tmp_path: Path) -> None:
    """As SmolLM2's and Qwen2.5's were written."""
    model = busy(qwen2(rope_parameters={"rope_type": "default", "rope_theta": 5_000.0}))
    model.save_pretrained(tmp_path)
    older = {"rope_theta": 5_000.0, "rope_scaling": None, "use_sliding_window": False, "sliding_window": 32_768, "torch_dtype": "float32"}
    rewrite(tmp_path, older, "rope_parameters", "layer_types", "dtype")
    with torch.no_grad():
        expected = model(TOKENS[None]).logits[0]
    torch.testing.assert_close(load_model(tmp_path).logits(TOKENS), expected, rtol=1e-4, atol=1e-4)


def test_it_is_a_teacher_and_exports_to_the_same_model(tmp_path: Path) -> None:
    folder, out = tmp_path / "teacher", tmp_path / "teacher.gguf"
    model = busy(llama(tie_word_embeddings=True))
    model.save_pretrained(folder)
    write_tokenizer(folder)
    source = open_checkpoint(folder)
    assert find_tokenizer(folder, source) is not None
    trunk = read_trunk(source, torch.float32)
    with torch.no_grad():
        expected = model(TOKENS[None]).logits[0]
        torch.testing.assert_close(trunk.logits(teacher_residual(trunk, TOKENS)), expected, rtol=1e-4, atol=1e-4)
    assert main(["export", str(folder), str(out), "--type", "f32"]) == 0
    torch.testing.assert_close(load_model(out).logits(TOKENS), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "change", "message"),
    [
        (llama, {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_scaling must be one of"),
        (llama, {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_parameters must be rope_theta and the rope_type 'def"),
        (llama, {"mlp_bias": True}, "mlp_bias must be one of .false"),
        (llama, {"rope_interleaved": True}, "rope_interleaved must be one of .false"),
        (llama, {"hidden_act": "gelu"}, "hidden_act must be one of"),
        (llama, {"quantization_config": {"bits": 4}}, "quantization_config must be one of .null"),
        (llama, {"architectures": ["LlamaForSequenceClassification"]}, "architectures must be ..LlamaForCausalLM"),
        (llama, {"model_type": "mistral"}, "model_type must be one of .*llama"),
        (llama, {"num_hidden_layers": None}, "num_hidden_layers must be an integer"),
        (qwen2, {"use_sliding_window": True}, "use_sliding_window must be one of .false"),
        (qwen2, {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}, "layer_types must be"),
        (qwen2, {"intermediate_size": "wide"}, "intermediate_size must be an integer"),
    ],
)
def test_what_ours_has_not_is_refused_by_name(tmp_path: Path, make: Callable[[], Any], change: dict[str, object], message: str) -> None:
    make().save_pretrained(tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(CheckpointError, match=f"config.json: {message}"):
        open_checkpoint(tmp_path)


def test_problems_are_told_in_the_folders_own_names(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path)
    rewrite(tmp_path, {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]})
    with pytest.raises(CheckpointError, match=r"tensor 'model.layers.0.self_attn.q_proj.bias' \[48\] is missing"):
        open_checkpoint(tmp_path)
    llama(tie_word_embeddings=False).save_pretrained(tmp_path)
    rewrite(tmp_path, {"tie_word_embeddings": True})
    with pytest.raises(CheckpointError, match=r"'lm_head.weight' differs from 'model.embed_tokens.weight'"):
        open_checkpoint(tmp_path)


def rewrite(folder: Path, changes: Mapping[str, object], *dropped: str) -> None:
    path = folder / "config.json"
    values = {key: value for key, value in json.loads(path.read_text(encoding="utf-8")).items() if key not in dropped}
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")
