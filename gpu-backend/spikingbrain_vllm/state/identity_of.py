"""Which states this engine takes, and whether it can."""

from vllm.config import KVTransferConfig, VllmConfig

from spikingbrain_vllm.state.model_identity import ModelIdentity
from spikingbrain_vllm.state.settings import CONNECTOR, Settings


def settings_of(vllm_config: VllmConfig) -> Settings:
    """Raises ValueError that names what is wrong with them."""
    return Settings.of(_transfer_of(vllm_config).kv_connector_extra_config)


def identity_of(vllm_config: VllmConfig) -> ModelIdentity:
    """Raises ValueError that names what is wrong with the settings."""
    return ModelIdentity(vllm_config.model_config.hf_config.definition, settings_of(vllm_config).digests)


def check_engine(vllm_config: VllmConfig) -> None:
    """Raises ValueError that names what cannot work together with states."""
    parallel, transfer = vllm_config.parallel_config, _transfer_of(vllm_config)
    rules = [
        ("kv_load_failure_policy", transfer.kv_load_failure_policy, "recompute"),
        ("kv_role", transfer.kv_role, "kv_both"),
        ("pipeline_parallel_size", parallel.pipeline_parallel_size, 1),
        ("decode_context_parallel_size", parallel.decode_context_parallel_size, 1),
    ]
    for name, found, due in rules:
        if found != due:
            raise ValueError(f"{name} must be {due!r} where states move; it is {found!r}")


def _transfer_of(vllm_config: VllmConfig) -> KVTransferConfig:
    transfer = vllm_config.kv_transfer_config
    if transfer is None:
        raise ValueError(f"kv_transfer_config must name {CONNECTOR} where states move; there is none")
    return transfer
