"""Keys and values that a softmax branch remembers, as a value: appending makes a new one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import Config
from spikingbrain.spike.key_value_codes import Int8Rows, quantise_rows
from spikingbrain.spike.modes import INT8_KEY_VALUES


@dataclass(frozen=True)
class KeyValues:
    """Those of the leading `kept` positions, then of a run that ends with the last token read. Keys are after RoPE."""

    keys: Tensor | Int8Rows
    """`[held, kv_heads, head_dim]`"""
    values: Tensor | Int8Rows
    """As keys."""
    positions: Tensor
    """`[held]`, int64, ascending."""

    @staticmethod
    def empty(config: Config, dtype: torch.dtype, device: torch.device) -> "KeyValues":
        """`dtype` is the weights'; the run's spiking mode says whether it is kept or becomes int8."""
        nothing = torch.zeros(0, config.kv_heads, config.head_dim, dtype=dtype, device=device)
        rows = quantise_rows(nothing) if INT8_KEY_VALUES[config.spiking.mode] else nothing
        return KeyValues(rows, rows, torch.zeros(0, dtype=torch.int64, device=device))

    def append(self, keys: Tensor, values: Tensor, first: int) -> "KeyValues":
        """With tokens at positions `first` and on, `[tokens, kv_heads, head_dim]`, in the form that is already held."""
        positions = torch.arange(first, first + keys.shape[0], device=self.positions.device)
        return KeyValues(_joined(self.keys, keys), _joined(self.values, values), torch.cat([self.positions, positions]))

    def keep(self, held: Tensor) -> "KeyValues":
        """Only those that the mask `[held]` names."""
        return KeyValues(_selected(self.keys, held), _selected(self.values, held), self.positions[held])

    def dense(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        keys, values = self.keys, self.values
        return (
            keys.dense(dtype) if isinstance(keys, Int8Rows) else keys.to(dtype),
            values.dense(dtype) if isinstance(values, Int8Rows) else values.to(dtype),
        )


def _joined(held: Tensor | Int8Rows, new: Tensor) -> Tensor | Int8Rows:
    if isinstance(held, Int8Rows):
        rows = quantise_rows(new)
        return Int8Rows(torch.cat([held.codes, rows.codes]), torch.cat([held.scales, rows.scales]))
    return torch.cat([held, new.to(held.dtype)])


def _selected(rows: Tensor | Int8Rows, held: Tensor) -> Tensor | Int8Rows:
    return Int8Rows(rows.codes[held], rows.scales[held]) if isinstance(rows, Int8Rows) else rows[held]
