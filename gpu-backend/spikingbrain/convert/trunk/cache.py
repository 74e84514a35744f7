"""The teacher token by token, many texts side by side, with its keys and values of all positions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention

from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.teacher import rotary_for


@dataclass(frozen=True)
class KeyValueCache:
    trunk: Trunk
    keys: Tensor
    """`[layers, texts, kv_heads, tokens, head_dim]`, rotated."""
    values: Tensor

    @staticmethod
    def empty(trunk: Trunk, texts: int, tokens: int) -> "KeyValueCache":
        config = trunk.config
        shape = (len(trunk.layers), texts, config.kv_heads, tokens, config.head_dim)
        return KeyValueCache(trunk, *(torch.zeros(shape, dtype=trunk.embedding.dtype) for _ in range(2)))

    def read(self, tokens: Tensor, at: int) -> Tensor:
        """Token `at` of every text, `[texts]`; returns the last residual, `[texts, hidden]`."""
        trunk = self.trunk
        rotary = rotary_for(trunk, at, 1)
        x = trunk.embed(tokens)
        for index, layer in enumerate(trunk.layers):
            query, key, value = trunk.project(layer, trunk.normed(x, layer.attention_norm))
            self.keys[index, :, :, at] = rotary(key[:, None])[:, 0]
            self.values[index, :, :, at] = value
            grouped = rotary(query[:, None])[:, 0].view(len(tokens), trunk.config.kv_heads, -1, trunk.config.head_dim)
            heads = scaled_dot_product_attention(grouped, self.keys[index, :, :, : at + 1], self.values[index, :, :, : at + 1])
            x = x + linear(heads.flatten(1), layer.output)
            x = x + trunk.feed_forward(layer, x)
        return x


@torch.no_grad()
def continue_greedily(trunk: Trunk, prompts: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
    """The likeliest `tokens` tokens after each prompt, whatever they are."""
    longest = max(len(prompt) for prompt in prompts) + tokens
    cache = KeyValueCache.empty(trunk, len(prompts), longest)
    texts = [list(prompt) for prompt in prompts]
    for at in range(longest - 1):
        x = cache.read(torch.tensor([text[min(at, len(text) - 1)] for text in texts]), at)
        if any(len(text) == at + 1 for text in texts):
            for text, best in zip(texts, trunk.logits(x).argmax(dim=-1).tolist(), strict=True):
                if len(text) == at + 1:
                    text.append(best)
    return [text[len(prompt) : len(prompt) + tokens] for text, prompt in zip(texts, prompts, strict=True)]
