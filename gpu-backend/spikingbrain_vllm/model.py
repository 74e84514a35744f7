"""The model as vLLM runs it: one class for every config, and one without the interfaces of state layers for models that have none."""

from collections.abc import Iterable

import torch
from spikingbrain.config import Config
from torch import Tensor, nn
from vllm.config import VllmConfig
from vllm.forward_context import set_forward_context
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.model_executor.layers.mamba.mamba_utils import MambaStateCopyFunc, MambaStateCopyFuncCalculator
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
from vllm.model_executor.models.interfaces import HasInnerState, IsHybrid, SupportsMambaPrefixCaching
from vllm.model_executor.models.utils import maybe_prefix
from vllm.sequence import IntermediateTensors

from spikingbrain_vllm.layers.state_shapes import STATE_DTYPE, largest_state
from spikingbrain_vllm.layers.trunk import Trunk
from spikingbrain_vllm.weights import load


class SpikingBrainSoftmaxForCausalLM(nn.Module):
    """Every layer's memory is vLLM's own: keys and values."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        self.config = vllm_config.model_config.hf_config
        definition: Config = self.config.definition
        self.definition = definition
        self.model = Trunk(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "model"))
        self.lm_head = ParallelLMHead(definition.vocabulary, definition.hidden, prefix=maybe_prefix(prefix, "lm_head"))
        if definition.tied_head:
            self.lm_head = self.lm_head.tie_weights(self.model.embeddings)
        self.logits_processor = LogitsProcessor(definition.vocabulary)
        self._vllm_config = vllm_config
        self._sinks_wait = definition.learned_sinks > 0

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        """`[tokens]` to `[tokens, hidden]`."""
        return self.model.embed_input_ids(input_ids)

    def forward(
        self,
        input_ids: Tensor | None,
        positions: Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """The last residual of a step's tokens, normed, `[tokens, hidden]`."""
        if self._sinks_wait:
            # In the first call, with which vLLM measures memory: all ranks are here, and the weights are in the kernels' form.
            with set_forward_context(None, self._vllm_config, num_tokens=self.definition.learned_sinks):
                self.model.read_sinks()
            self._sinks_wait = False
        normed: Tensor = self.model(input_ids, positions, intermediate_tensors, inputs_embeds)
        return normed

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """`[tokens, vocabulary]`, on the rank that samples."""
        logits: Tensor | None = self.logits_processor(self.lm_head, hidden_states)
        return logits

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Takes tensors one by one, by the names of `spikingbrain.checkpoint.names`; returns the parameters that are filled."""
        return load(self, self.definition, weights, has_scales=self.config.has_weight_scales)


class SpikingBrainForCausalLM(SpikingBrainSoftmaxForCausalLM, HasInnerState, IsHybrid, SupportsMambaPrefixCaching):
    """With state layers. vLLM asks the class for what one takes before there is an instance."""

    @classmethod
    def get_mamba_state_shape_from_config(  # type: ignore[override]  # vLLM's type lists the shapes of its own models.
        cls, vllm_config: VllmConfig
    ) -> tuple[tuple[int, ...], ...]:
        """The largest of the model's layers; pages of all are as large."""
        config: Config = vllm_config.model_config.hf_config.definition
        return (largest_state(config, vllm_config.parallel_config.tensor_parallel_size),)

    @classmethod
    def get_mamba_state_dtype_from_config(cls, vllm_config: VllmConfig) -> tuple[torch.dtype, ...]:
        """Always f32, whatever the weights are in."""
        return (STATE_DTYPE,)

    @classmethod
    def get_mamba_state_copy_func(cls) -> tuple[MambaStateCopyFunc, ...]:
        """A state is copied whole."""
        return MambaStateCopyFuncCalculator.linear_attention_state_copy_func()  # type: ignore[no-untyped-call]
