"""A `config.json` as vLLM wants to see it: a thin reader of `spikingbrain.config.Config`, which stays the one description of a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikingbrain.checkpoint.folder import FORMATS, locate_tensors
from spikingbrain.checkpoint.hugging_face_folder import with_found_gate
from spikingbrain.checkpoint.weight_scales import SUFFIX
from spikingbrain.config import Config, LearnedGate
from spikingbrain.hugging_face import from_hugging_face, to_hugging_face
from spikingbrain.hugging_face.keys import FIXED, INERT, KEYS, STRUCTURE
from spikingbrain.presets import seven_billion
from transformers import PretrainedConfig

HYBRID = "SpikingBrainForCausalLM"
SOFTMAX_ONLY = "SpikingBrainSoftmaxForCausalLM"
"""A model that remembers nothing but keys and values of vLLM's own attention layers."""

_MODEL_KEYS = {*KEYS.values(), *STRUCTURE, *FIXED, "rope_parameters"}
# Not of the model's definition, and vLLM's to read.
_PASSED_ON = ("dtype", "torch_dtype", "pad_token_id")


class SpikingBrainConfig(PretrainedConfig):
    """`definition` is the model; the attributes beside it are what vLLM asks any config for."""

    model_type = "spikingbrain"

    has_weight_scales: bool = False
    """Whether the folder has W8ASpike's scales beside its weights."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401
        # transformers makes one without arguments to find defaults: the released 7B's.
        given = {key: values[key] for key in values if key in _MODEL_KEYS or key in INERT} or to_hugging_face(seven_billion())
        self.values = given | {"model_type": given.get("model_type", self.model_type)}
        super().__init__(**{key: values[key] for key in _PASSED_ON if key in values})
        self._find_tensors(values.get("name_or_path"))
        self._describe()

    def _find_tensors(self, folder: str | None) -> None:
        """What only a folder's tensors tell: the gate's form, and whether there are scales."""
        path = Path(folder) if folder else None
        if path is None or not any((path / index).is_file() or any(path.glob(pattern)) for index, pattern in FORMATS):
            return
        tensors = locate_tensors(path)
        self.has_weight_scales = any(name.endswith(SUFFIX) for name in tensors)
        found = with_found_gate(self.definition, tensors)
        if found.linear is not None and isinstance(found.linear.gate, LearnedGate):
            self.values["gate_low_rank_dim"] = found.linear.gate.rank

    @property
    def definition(self) -> Config:
        """The model. Raises `ConfigError`, which names key, rule and value."""
        return from_hugging_face(self.values)

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """`--hf-overrides`: a key of the model's definition changes the definition, such as `{"spiking_mode": "paper"}`."""
        self.values |= {key: value for key, value in config_dict.items() if key in _MODEL_KEYS}
        super().update({key: value for key, value in config_dict.items() if key not in _MODEL_KEYS})
        self._describe()

    def _describe(self) -> None:
        config = self.definition
        self.architectures = [HYBRID if has_state_layers(config) else SOFTMAX_ONLY]
        self.vocab_size = config.vocabulary
        self.hidden_size = config.hidden
        self.intermediate_size = config.feed_forward_inner
        self.num_hidden_layers = len(config.layers)
        self.num_attention_heads = config.heads
        self.num_key_value_heads = config.kv_heads
        self.head_dim = config.head_dim
        self.max_position_embeddings = config.context
        self.tie_word_embeddings = config.tied_head
        self.bos_token_id = config.bos
        self.eos_token_id = list(config.end_tokens) or None
        # Each layer is given its own window; a model-wide one would narrow the full layers.
        self.sliding_window = None
        if config.experts is not None:
            self.num_experts = config.experts.count


class ReleasedConfig(SpikingBrainConfig):
    """Of the released 7B and W8ASpike folders, as they are."""

    model_type = "gla_swa"

    # transformers gives a class without one an `__init__` of its own.
    def __init__(self, **values: Any) -> None:  # noqa: ANN401
        super().__init__(**values)


CONFIG_CLASSES: Mapping[str, type[SpikingBrainConfig]] = {"spikingbrain": SpikingBrainConfig, "gla_swa": ReleasedConfig}


def has_state_layers(config: Config) -> bool:
    """Whether some layer remembers more than vLLM's own attention does."""
    keeps = config.kept_tokens > 0 and config.window is not None
    return keeps or any(layer.is_linear or layer.is_evicted for layer in config.layers)
