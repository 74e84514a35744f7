"""Keys and values that a softmax branch remembers, as a value: appending makes a new one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spikingbrain.config import Config
from spikingbrain.spike.key_value_codes import Int8Rows, quantise_rows
from spikingbrain.spike.modes import INT8_KEY_VALUES

Rows = Tensor | Int8Rows
"""`[tokens, kv_heads, head_dim]`, in the weights' type or as codes."""


@dataclass(frozen=True)
class KeyValues:
    """Those of the leading `kept` positions, then of a run that ends with the last token read. Keys are after RoPE."""

    keys: Rows
    """`[held, kv_heads, head_dim]`"""
    values: Rows
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
        return KeyValues(_appended(self.keys, keys), _appended(self.values, values), torch.cat([self.positions, positions]))

    def keep(self, held: Tensor) -> "KeyValues":
        """Only those that the mask `[held]` names."""
        return KeyValues(take_rows(self.keys, held), take_rows(self.values, held), self.positions[held])

    def dense(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return to_dense(self.keys, dtype), to_dense(self.values, dtype)


def to_dense(rows: Rows, dtype: torch.dtype) -> Tensor:
    """In a type no narrower than f32."""
    return rows.dense(dtype) if isinstance(rows, Int8Rows) else rows.to(dtype)


def join_rows(held: Rows, new: Rows) -> Rows:
    """Both of one form."""
    if isinstance(held, Int8Rows) and isinstance(new, Int8Rows):
        return Int8Rows(torch.cat([held.codes, new.codes]), torch.cat([held.scales, new.scales]))
    if isinstance(held, Int8Rows) or isinstance(new, Int8Rows):
        raise ValueError(f"rows must be of one form; they are {type(held).__name__} and {type(new).__name__}")
    return torch.cat([held, new])


def take_rows(rows: Rows, held: Tensor) -> Rows:
    """Those tokens that a mask or indices name."""
    return Int8Rows(rows.codes[held], rows.scales[held]) if isinstance(rows, Int8Rows) else rows[held]


def take_heads(rows: Rows, tokens: Tensor) -> Rows:
    """Each KV head's own tokens: `tokens` is `[taken, kv_heads]`."""
    if isinstance(rows, Int8Rows):
        return Int8Rows(_gather(rows.codes, tokens), _gather(rows.scales, tokens))
    return _gather(rows, tokens)


def _gather(rows: Tensor, tokens: Tensor) -> Tensor:
    return rows.gather(0, tokens[..., None].expand(-1, -1, rows.shape[-1]))


def _appended(held: Rows, new: Tensor) -> Rows:
    return join_rows(held, quantise_rows(new) if isinstance(held, Int8Rows) else new.to(held.dtype))
