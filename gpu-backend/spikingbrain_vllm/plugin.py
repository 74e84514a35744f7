"""What vLLM finds of this package: the entry point `spikingbrain` of the group `vllm.general_plugins`, called in every process that vLLM
starts, in some of them more than once."""

from spikingbrain_vllm.hugging_face_config import CONFIG_CLASSES, HYBRID, SOFTMAX_ONLY
from spikingbrain_vllm.serve import lifeline
from spikingbrain_vllm.state.settings import CONNECTOR

OPERATIONS = ("vllm::spikingbrain_linear", "vllm::spikingbrain_evicted", "vllm::spikingbrain_count")


def register() -> None:
    """Makes vLLM know the configs, the model classes and the connector of states. Imports no model: vLLM does where it needs one."""
    lifeline.follow()
    from transformers import AutoConfig
    from vllm.config import CompilationConfig
    from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory
    from vllm.model_executor.model_loader import _LOAD_FORMAT_TO_MODEL_LOADER, register_model_loader
    from vllm.model_executor.models.config import MODELS_CONFIG_MAP
    from vllm.model_executor.models.registry import ModelRegistry
    from vllm.transformers_utils.config import _CONFIG_REGISTRY

    from spikingbrain_vllm.gguf import LOAD_FORMAT, GgufLoader
    from spikingbrain_vllm.refusals import Refusals
    from spikingbrain_vllm.sampling.grammar import go_on_with_grammars

    go_on_with_grammars()

    if LOAD_FORMAT not in _LOAD_FORMAT_TO_MODEL_LOADER:
        register_model_loader(LOAD_FORMAT)(GgufLoader)
    for operation in OPERATIONS:
        # Where a captured graph must be cut: what a step's sequences are differs from step to step.
        if operation not in CompilationConfig._attention_ops:
            CompilationConfig._attention_ops.append(operation)
    for kind, config in CONFIG_CLASSES.items():
        AutoConfig.register(kind, config, exist_ok=True)
        # With a class of its own a config.json's `auto_map` is never followed.
        _CONFIG_REGISTRY[kind] = config
    known = ModelRegistry.get_supported_archs()
    for architecture in (HYBRID, SOFTMAX_ONLY):
        MODELS_CONFIG_MAP[architecture] = Refusals
        if architecture not in known:
            ModelRegistry.register_model(architecture, f"spikingbrain_vllm.model:{architecture}")
    if CONNECTOR not in KVConnectorFactory._registry:
        KVConnectorFactory.register_connector(CONNECTOR, "spikingbrain_vllm.state.connector", "StateConnector")
