"""What cannot work is refused before the engine starts, by name."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from spikingbrain.config import Config, ConfigError
from spikingbrain_vllm.refusals import check_head_dim, check_parallel
from support.engine import engine
from support.models import MODELS, write_model
from vllm.config import ParallelConfig

SEVEN = MODELS["seven"]
CASES: list[tuple[Config, dict[str, Any], str]] = [
    (replace(SEVEN, head_dim=16), {}, r"head_dim must be one of 32, 64, .* for softmax attention on a CPU; it is 16"),
    (
        replace(SEVEN, heads=6),
        {"tensor_parallel_size": 3},
        "tensor_parallel_size must be a divisor or a multiple of the model's 2 KV heads; it is 3",
    ),
    (SEVEN, {"pipeline_parallel_size": 2}, "pipeline_parallel_size must be 1"),
    (SEVEN, {"kv_cache_dtype": "fp8"}, "kv_cache_dtype must be 'auto'"),
    (
        SEVEN,
        {"speculative_config": {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 3}},
        "speculative_config must be none",
    ),
]


def test_a_head_size_is_refused_with_those_that_there_are() -> None:
    """The kernels would end the engine at the first request. What no kernel computes may have any size."""
    check_head_dim(SEVEN)
    check_head_dim(replace(MODELS["evicted"], head_dim=6))
    with pytest.raises(ConfigError, match=re.escape("head_dim must be one of 32, 64, 80")):
        check_head_dim(replace(SEVEN, head_dim=6))


def test_experts_on_several_data_parallel_ranks_of_cpus() -> None:
    """Whose tokens vLLM cannot gather there: the engine would end at the first request. Without experts it gathers none."""
    ranks = ParallelConfig()
    ranks.data_parallel_size = 2
    check_parallel(ranks, SEVEN)
    with pytest.raises(ConfigError, match="data_parallel_size must be 1 for experts on CPUs"):
        check_parallel(ranks, MODELS["seventy-six"])


@pytest.mark.parametrize(("config", "choices", "message"), CASES)
def test_a_combination_that_cannot_work(tmp_path: Path, config: Config, choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message), engine(write_model(config, tmp_path / "model"), **choices):
        pass


def test_a_config_that_lies(tmp_path: Path) -> None:
    folder = write_model(SEVEN, tmp_path / "model")
    file = folder / "config.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"num_attention_heads": 4', '"num_attention_heads": -4'), encoding="utf-8")
    with pytest.raises(ValueError, match="num_attention_heads must be an integer from 1 to"), engine(folder):
        pass
