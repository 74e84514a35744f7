"""What cannot work is refused when the engine starts, by name, rather than in the middle of a request."""

from pathlib import Path
from typing import TYPE_CHECKING

from spikingbrain.config import Config
from spikingbrain.rules import ConfigError, require
from vllm.model_executor.models.config import VerifyAndUpdateConfig
from vllm.platforms import current_platform

from spikingbrain_vllm.gguf import LOAD_FORMAT, gguf_of
from spikingbrain_vllm.layers.state_shapes import keeps_tokens
from spikingbrain_vllm.sampling.request import PROCESSOR

if TYPE_CHECKING:
    from vllm.config import ParallelConfig, VllmConfig


class Refusals(VerifyAndUpdateConfig):
    """Registered for this package's architectures: vLLM calls it when it has its whole config, before any process of the engine starts."""

    @classmethod
    def verify_and_update_config(cls, vllm_config: "VllmConfig") -> None:
        """Raises `ConfigError`."""
        config: Config = vllm_config.model_config.hf_config.definition
        check_parallel(vllm_config.parallel_config, config)
        _check_modes(vllm_config)
        if vllm_config.load_config.load_format == "auto" and gguf_of(Path(vllm_config.model_config.model)) is not None:
            vllm_config.load_config.load_format = LOAD_FORMAT
        check_head_dim(config)
        _choose_tokens(vllm_config)


def _choose_tokens(vllm_config: "VllmConfig") -> None:
    """By our rule, where a request asks for it. Named here and not as an entry point: only then does vLLM tell a processor of the tokens
    that asynchronous steps have sampled, and only engines of our models have it. vLLM's second model runner has another interface."""
    named = vllm_config.model_config.logits_processors or []
    if PROCESSOR not in named and not vllm_config.use_v2_model_runner:
        vllm_config.model_config.logits_processors = [*named, PROCESSOR]


def check_parallel(parallel: "ParallelConfig", config: Config) -> None:
    """How many ranks a model can be on. Raises `ConfigError`."""
    ranks = parallel.tensor_parallel_size
    require(config.heads % ranks == 0, "tensor_parallel_size", f"a divisor of the model's {config.heads} heads", ranks)
    shares = config.kv_heads % ranks == 0 or ranks % config.kv_heads == 0
    require(shares, "tensor_parallel_size", f"a divisor or a multiple of the model's {config.kv_heads} KV heads", ranks)
    for name, inner in _inner_sizes(config):
        require(inner % ranks == 0, "tensor_parallel_size", f"a divisor of {name}, {inner}", ranks)
    stages = parallel.pipeline_parallel_size
    require(stages == 1, "pipeline_parallel_size", "1: the model has no stages, and vLLM's pipeline fails on CPUs", stages)
    copies = parallel.data_parallel_size
    gathers = config.experts is None or not current_platform.is_cpu()
    require(
        gathers or copies == 1,
        "data_parallel_size",
        "1 for experts on CPUs: vLLM cannot gather their tokens from several ranks there",
        copies,
    )


def _inner_sizes(config: Config) -> list[tuple[str, int]]:
    sizes = [("feed_forward_inner", config.feed_forward_inner)] if any(layer.feed_forward == "dense" for layer in config.layers) else []
    if config.experts is not None and config.experts.shared_inner > 0:
        sizes.append(("experts.shared_inner", config.experts.shared_inner))
    return sizes


def _check_modes(vllm_config: "VllmConfig") -> None:
    speculative = vllm_config.speculative_config
    require(speculative is None, "speculative_config", "none: a state cannot go back by a token that is not accepted", speculative)
    dtype = vllm_config.cache_config.cache_dtype
    require(dtype == "auto", "kv_cache_dtype", "'auto': a model's config says how its keys and values are kept", dtype)


def check_head_dim(config: Config) -> None:
    """Of layers that vLLM's own attention computes. Its CPU kernels have some sizes only, and end the engine at the first request."""
    theirs = [layer for layer in config.layers if layer.softmax and not layer.is_evicted and not keeps_tokens(config, layer)]
    if not current_platform.is_cpu() or not theirs or config.learned_sinks > 0:
        return
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    sizes = CPUAttentionBackend.get_supported_head_sizes()
    if config.head_dim not in sizes:
        raise ConfigError("head_dim", f"one of {', '.join(map(str, sizes))} for softmax attention on a CPU", config.head_dim)
