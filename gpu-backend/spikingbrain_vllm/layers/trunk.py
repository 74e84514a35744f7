"""From tokens to the last residual, normed: what torch.compile sees as one graph."""

import torch
from spikingbrain.config import Config
from spikingbrain.model.rope import Angles
from torch import Tensor, nn
from vllm.compilation.decorators import support_torch_compile
from vllm.config import VllmConfig
from vllm.model_executor.layers.layernorm import RMSNorm
from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
from vllm.sequence import IntermediateTensors

from spikingbrain_vllm.layers.block import Block


@support_torch_compile
class Trunk(nn.Module):
    frequencies: Tensor
    """Of RoPE, `[pairs]`."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config: Config = vllm_config.model_config.hf_config.definition
        self.config = config
        self.embeddings = VocabParallelEmbedding(config.vocabulary, config.hidden, prefix=f"{prefix}.embeddings")
        if config.learned_sinks > 0:
            self.sinks = nn.Embedding(config.learned_sinks, config.hidden)
        indices = range(len(config.layers))
        self.layers = nn.ModuleList(Block(config, index, vllm_config, f"{prefix}.layers.{index}") for index in indices)
        self.norm = RMSNorm(config.hidden, config.epsilon)
        pairs = torch.arange(config.rotated // 2, dtype=torch.float64)
        self.register_buffer("frequencies", config.rope_theta ** (-2.0 * pairs / max(config.rotated, 1)), persistent=False)

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        """`[tokens]` to `[tokens, hidden]`."""
        embedded: Tensor = self.embeddings(input_ids)
        return embedded

    def forward(
        self,
        input_ids: Tensor | None,
        positions: Tensor,
        intermediate_tensors: IntermediateTensors | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """`positions`, `[tokens]`, are the text's; learned sinks stand before it."""
        if inputs_embeds is None:
            assert input_ids is not None
            inputs_embeds = self.embed_input_ids(input_ids)
        residual = inputs_embeds
        at = self.angles(positions + self.config.learned_sinks, residual)
        for layer in self.layers:
            residual = layer(residual, at)
        normed: Tensor = self.norm(residual)
        return normed

    def read_sinks(self) -> None:
        """Makes every layer keep what it needs of the learned sinks: once, when the weights are there."""
        residual = self.sinks.weight
        at = self.angles(torch.arange(residual.shape[0], device=residual.device), residual)
        for layer in self.layers:
            residual = layer(residual, at, of_sinks=True)

    def angles(self, positions: Tensor, like: Tensor) -> Angles:
        """In f64 until the sine, so that far positions do not blur; once for all layers."""
        turned = (positions.to(torch.float64)[:, None] * self.frequencies)[:, None, :]
        return Angles(turned.cos().to(like.dtype), turned.sin().to(like.dtype))
