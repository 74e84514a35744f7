"""Evicted tokens that stay exact, as a value: `model/evicted/salient.py` says which they are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import Config
from spikingbrain.precision import accumulator
from spikingbrain.spike.key_value_codes import Int8Rows, quantise_rows
from spikingbrain.spike.modes import INT8_KEY_VALUES
from spikingbrain.state.key_values import Rows, join_rows, take_heads, to_dense


@dataclass(frozen=True)
class Salient:
    """Slot by slot, as many for every KV head."""

    keys: Rows
    """`[slots, kv_heads, head_dim]`, not rotated."""
    values: Rows
    """As keys."""
    salience: Tensor
    """`[slots, kv_heads]`, f32 or wider."""
    positions: Tensor
    """`[slots, kv_heads]`, int64."""

    @staticmethod
    def empty(config: Config, dtype: torch.dtype, device: torch.device) -> "Salient":
        nothing = torch.zeros(0, config.kv_heads, config.head_dim, dtype=dtype, device=device)
        rows: Rows = quantise_rows(nothing) if INT8_KEY_VALUES[config.spiking.mode] else nothing
        salience = torch.zeros(0, config.kv_heads, dtype=accumulator(dtype), device=device)
        return Salient(rows, rows, salience, torch.zeros(0, config.kv_heads, dtype=torch.int64, device=device))

    def joined(self, keys: Tensor, values: Rows, salience: Tensor, first: int) -> "Salient":
        """With evicted tokens at positions `first` and on behind the slots, `[tokens, kv_heads, head_dim]` and `[tokens, kv_heads]`."""
        positions = torch.arange(first, first + salience.shape[0], device=self.positions.device)[:, None].expand(salience.shape)
        new_keys: Rows = quantise_rows(keys) if isinstance(self.keys, Int8Rows) else keys.to(self.keys.dtype)
        return Salient(
            join_rows(self.keys, new_keys),
            join_rows(self.values, values),
            torch.cat([self.salience, salience]),
            torch.cat([self.positions, positions]),
        )

    def take(self, slots: Tensor) -> "Salient":
        """`slots` is `[slots, kv_heads]`, indices per KV head."""
        return Salient(
            take_heads(self.keys, slots), take_heads(self.values, slots), self.salience.gather(0, slots), self.positions.gather(0, slots)
        )

    def dense(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """`[slots, kv_heads, head_dim]` each."""
        return to_dense(self.keys, dtype), to_dense(self.values, dtype)
