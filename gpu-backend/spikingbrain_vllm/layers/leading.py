"""What every later token of a text sees: learned sinks, or the text's first tokens."""

import torch
from spikingbrain.config import Config
from torch import Tensor, nn

from spikingbrain_vllm.heads import Heads
from spikingbrain_vllm.layers.merging import attend
from spikingbrain_vllm.layers.state_layer import StateLayer
from spikingbrain_vllm.layers.state_metadata import Prefill
from spikingbrain_vllm.layers.state_shapes import STATE_DTYPE, kept_shape


class Sinks(nn.Module):
    """Learned sinks see one another and nothing else, so that their keys and values are constants of a layer, found once when weights are
    there."""

    keys: Tensor
    values: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        heads = Heads.here(config)
        for name in ("keys", "values"):
            self.register_buffer(name, torch.zeros(config.learned_sinks, heads.kv_count, heads.dim, dtype=torch.float32), persistent=False)

    def read(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Their own queries, keys and values: keeps these, and returns heads' outputs."""
        self.keys.copy_(key)
        self.values.copy_(value)
        seen = torch.ones(query.shape[0], key.shape[0], dtype=torch.bool, device=query.device)
        return attend(query.to(torch.float32), self.keys, self.values, seen)[0].to(query.dtype)

    def decode(self, keys: Tensor, values: Tensor, sequences: int) -> tuple[Tensor, Tensor, Tensor]:
        """See `Leading`."""
        shape = (sequences, *self.keys.shape)
        seen = torch.ones(sequences, 1, self.keys.shape[0], dtype=torch.bool, device=self.keys.device)
        return self.keys.expand(shape), self.values.expand(shape), seen

    def prefill(self, keys: Tensor, values: Tensor, of: Prefill) -> tuple[Tensor, Tensor, Tensor]:
        """See `Leading`."""
        seen = torch.ones(keys.shape[0], self.keys.shape[0], dtype=torch.bool, device=self.keys.device)
        return self.keys, self.values, seen


class KeptTokens(StateLayer):
    """Keys and values of a text's first tokens, which vLLM's window lets go. `states` is `[pages, 2, kept, kv_heads, dim]`."""

    def __init__(self, config: Config, prefix: str) -> None:
        super().__init__(config, kept_shape(config, Heads.here(config)), prefix)
        assert config.window is not None
        self.window, self.kept = config.window, config.kept_tokens

    def decode(self, keys: Tensor, values: Tensor, sequences: int) -> tuple[Tensor, Tensor, Tensor]:
        """See `Leading`."""
        metadata = self.metadata
        assert metadata is not None
        slots = metadata.slots[:sequences]
        position = metadata.lengths[:sequences].to(torch.int64)[:, None] - 1
        held = self.states.index_select(0, slots)
        held = torch.where((position <= 0)[..., None, None, None], 0.0, held)
        at = torch.arange(self.kept, device=position.device)
        own = (at == position)[:, None, :, None, None]
        held = torch.where(own, torch.stack([keys[:sequences], values[:sequences]], dim=1)[:, :, None].to(STATE_DTYPE), held)
        self.states.index_copy_(0, slots, held)
        return held[:, 0], held[:, 1], (at <= position - self.window)[:, None]

    def prefill(self, keys: Tensor, values: Tensor, of: Prefill) -> tuple[Tensor, Tensor, Tensor]:
        """See `Leading`."""
        metadata = self.metadata
        assert metadata is not None
        slot = metadata.slots[of.row : of.row + 1]
        held = torch.zeros(self.shape, dtype=STATE_DTYPE, device=keys.device) if of.position == 0 else self.states.index_select(0, slot)[0]
        new = max(0, min(self.kept - of.position, keys.shape[0]))
        held[:, of.position : of.position + new] = torch.stack([keys[:new], values[:new]])
        self.states.index_copy_(0, slot, held[None])
        position = torch.arange(of.position, of.position + keys.shape[0], device=keys.device)[:, None]
        return held[0], held[1], torch.arange(self.kept, device=keys.device) <= position - self.window
