"""The evicted-tokens mixer for training: whole segments, bf16 products, sums in f32. Its definition is `model/evicted`."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, softplus

CHUNK_TOKENS = 128
LONGEST_HALF_LIFE = 4096.0
# A feature map of the teacher's own keys is too flat to tell tokens apart; three times sharper was best of 1, 3 and 6.
TEMPERATURE = 3.0
RAMP_TOKENS = 128.0
LEAST_NORMALISER = 1e-6


@dataclass(frozen=True)
class Shape:
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int


class Correction(nn.Module):
    """Scale and bias of each head's output, opened by gates that read the layer's input; alone it is the stateless control."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.gate = nn.Parameter(torch.zeros(2 * shape.heads, shape.hidden))
        self.scale = nn.Parameter(torch.zeros(shape.heads, shape.head_dim))
        self.bias = nn.Parameter(torch.zeros(shape.heads, shape.head_dim))

    def forward(self, out: Tensor, normed: Tensor, ramp: Tensor) -> Tensor:
        """`out` `[tokens, heads, head_dim]` f32, `normed` `[tokens, hidden]`, `ramp` `[tokens, 1]` from 0 to 1."""
        gates = 1 + ramp * (2 * linear(normed, self.gate.to(normed.dtype)).float().sigmoid() - 1)
        opened, shifted = gates[:, : self.heads, None], gates[:, self.heads :, None]
        return out * opened * (1 + ramp[..., None] * self.scale) + ramp[..., None] * self.bias * shifted


class State(nn.Module):
    """What tokens that left the window add: a normalised linear attention over them, mixed in by a gate per query head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        identity = torch.eye(shape.head_dim)
        self.query_map = nn.Parameter(identity.repeat(shape.heads, 1, 1))
        self.key_map = nn.Parameter(identity.repeat(shape.kv_heads, 1, 1))
        self.query_bias = nn.Parameter(torch.zeros(shape.heads, 2 * shape.head_dim))
        self.key_bias = nn.Parameter(torch.zeros(shape.kv_heads, 2 * shape.head_dim))
        # softplus of this is the decay beyond the least one; the sum begins at a half-life of half the longest.
        self.decay = nn.Parameter(torch.full((shape.kv_heads,), math.log(math.expm1(math.log(2) / LONGEST_HALF_LIFE))))
        self.mix_weight = nn.Parameter(torch.zeros(shape.heads, shape.hidden))
        self.mix_bias = nn.Parameter(torch.full((shape.heads,), -1.5))
        self.mix_normaliser = nn.Parameter(torch.zeros(shape.heads))
        self.mix_match = nn.Parameter(torch.zeros(shape.heads))

    def log_decay(self) -> Tensor:
        """`[kv_heads]`, below 0: natural log of what a token keeps of the sums."""
        return -math.log(2) / LONGEST_HALF_LIFE - softplus(self.decay)

    def query_features(self, query: Tensor) -> Tensor:
        """Un-rotated `[tokens, heads, head_dim]` to `[tokens, heads, 2 head_dim]`, positive, of sum 1."""
        return features(query, self.query_map, self.query_bias)

    def key_features(self, key: Tensor) -> Tensor:
        return features(key, self.key_map, self.key_bias)

    def share(self, normed: Tensor, normaliser: Tensor, match: Tensor) -> Tensor:
        """How much of each head's output comes from the state, `[tokens, heads]` in 0 to 1, before the ramp: by the layer's input
        `[tokens, hidden]`, and by how well the query meets the window, `normaliser`, and the state, `match`, `[tokens, heads]`."""
        read = linear(normed, self.mix_weight.to(normed.dtype)).float() + self.mix_bias
        met = self.mix_normaliser * normaliser + self.mix_match * (match + LEAST_NORMALISER).log()
        return (read + met).sigmoid()


def features(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`softmax([W x, -W x] * temperature * head_dim ** -0.25 + b)` in the type of `x`."""
    mapped = torch.einsum("thd,hde->the", x, weight.to(x.dtype)).float() * (TEMPERATURE * x.shape[-1] ** -0.25)
    return (torch.cat([mapped, -mapped], dim=-1) + bias).softmax(dim=-1).to(x.dtype)


def ramp_of(positions: Tensor, window: int, kept: int) -> Tensor:
    """`n / (n + 128)` where n is the number of evicted tokens, `[tokens, 1]` f32."""
    evicted = (positions - window - kept + 1).clamp(min=0).float()
    return (evicted / (evicted + RAMP_TOKENS))[:, None]


def decayed_sums(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor, carried: Tensor) -> tuple[Tensor, Tensor]:
    """`S_t = g S_{t-1} + k_t [v_t, 1]` and `q_t S_t` in chunks.

    Features `[tokens, heads or kv_heads, features]`, values `[tokens, kv_heads, head_dim]`, `log_decay` `[kv_heads]`, `carried`
    `[kv_heads, features, head_dim + 1]` f32. Returns `[tokens, heads, head_dim + 1]` f32, whose last column is the normaliser, and the sums
    after the last token, which are right only where `tokens` is a multiple of the chunk.
    """
    tokens, heads, _ = query.shape
    kv_heads, group = key.shape[1], heads // key.shape[1]
    padding = -tokens % CHUNK_TOKENS
    ones = value.new_ones(tokens, kv_heads, 1)
    query, key, value = (pad(part, (0, 0, 0, 0, 0, padding)) for part in (query, key, torch.cat([value, ones], dim=-1)))
    chunks = (tokens + padding) // CHUNK_TOKENS
    queries = query.view(chunks, CHUNK_TOKENS, kv_heads, group, -1).permute(2, 0, 3, 1, 4).flatten(2, 3)
    keys, values = (part.view(chunks, CHUNK_TOKENS, kv_heads, -1).permute(2, 0, 1, 3) for part in (key, value))
    within, to_end, from_start, between = _decays(log_decay, chunks, group)

    near = (queries @ keys.transpose(-1, -2)) * within.to(query.dtype)
    added = ((keys * to_end.to(key.dtype)).transpose(-1, -2) @ values).float().flatten(2)
    # Sums at the start of each chunk and after the last: `[kv_heads, chunks + 1, features * (head_dim + 1)]`.
    sums = between @ torch.cat([carried.flatten(1)[:, None], added], dim=1)
    sums = sums.view(kv_heads, chunks + 1, *carried.shape[1:])
    out = near @ values + (queries * from_start.to(query.dtype)) @ sums[:, :-1].to(query.dtype)
    out = out.view(kv_heads, chunks, group, CHUNK_TOKENS, -1).permute(1, 3, 0, 2, 4).reshape(chunks * CHUNK_TOKENS, heads, -1)
    return out[:tokens].float(), sums[:, -1]


def _decays(log_decay: Tensor, chunks: int, group: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of pairs within a chunk `[kv, 1, group * C, C]`, to a chunk's end `[kv, 1, C, 1]`, from its start `[kv, 1, group * C, 1]`, and of
    pairs of chunks `[kv, chunks + 1, chunks + 1]`."""
    at = torch.arange(CHUNK_TOKENS, dtype=torch.float32)
    rate = log_decay[:, None, None]
    distance = at[:, None] - at
    within = (rate * distance.clamp(min=0)).exp() * (distance >= 0)
    to_end = (rate * (CHUNK_TOKENS - 1 - at)[:, None]).exp()
    from_start = (rate * (at + 1)[:, None]).exp()
    chunk = torch.arange(chunks + 1, dtype=torch.float32)
    apart = chunk[:, None] - chunk
    between = (rate * CHUNK_TOKENS * apart.clamp(min=0)).exp() * (apart >= 0)
    return within.repeat(1, group, 1)[:, None], to_end[:, None], from_start.repeat(1, group, 1)[:, None], between
