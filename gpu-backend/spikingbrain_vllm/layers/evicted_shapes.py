"""The memory of an `evicted` mixer as one row of f32 numbers, and its parts (`gpu-backend/docs/evicted-tokens.md#state`).

| part | is |
| --- | --- |
| `near_keys`, `near_values` | of the window: position j lies at `(j - kept) % window`; `[window, kv_heads, dim]`, keys rotated |
| `kept_keys`, `kept_values` | of the text's first tokens, `[kept, kv_heads, dim]` |
| `sums` | `[kv_heads, 2 dim, dim + 1]` |
| `salient_keys`, `salient_values` | slot by slot, `[salient, kv_heads, dim]`, keys not rotated |
| `salience`, `positions` | `[salient, kv_heads]`; positions are int32 in the same four bytes |

In a spiking mode keys and values are int8 codes, kept as whole numbers, and `..._scales` beside each of them, `[tokens, kv_heads, 1]`.
"""

from math import prod

import torch
from spikingbrain.config import Config
from spikingbrain.spike.key_value_codes import Int8Rows
from spikingbrain.spike.modes import INT8_KEY_VALUES
from spikingbrain.state.key_values import Rows
from torch import Tensor

from spikingbrain_vllm.heads import Heads

SCALES = "_scales"


def evicted_parts(config: Config, heads: Heads) -> dict[str, tuple[int, ...]]:
    """Shapes by name, in their order in the row."""
    assert config.evicted is not None and config.window is not None
    head = (heads.kv_count, heads.dim)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tokens in (("near", config.window), ("kept", config.kept_tokens), ("salient", config.evicted.salient)):
        for kind in ("keys", "values"):
            shapes[f"{name}_{kind}"] = (tokens, *head)
            if INT8_KEY_VALUES[config.spiking.mode]:
                shapes[f"{name}_{kind}{SCALES}"] = (tokens, heads.kv_count, 1)
    shapes["sums"] = (heads.kv_count, 2 * heads.dim, heads.dim + 1)
    shapes["salience"] = shapes["positions"] = (config.evicted.salient, heads.kv_count)
    return shapes


def evicted_shape(config: Config, heads: Heads) -> tuple[int]:
    """Of the row."""
    return (sum(prod(shape) for shape in evicted_parts(config, heads).values()),)


def split_row(row: Tensor, parts: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Views into rows, `[..., numbers]`, by the parts' names: `[..., *shape]`."""
    views, at = {}, 0
    for name, shape in parts.items():
        view = row[..., at : at + prod(shape)].view(*row.shape[:-1], *shape)
        views[name] = view.view(torch.int32) if name == "positions" else view
        at += prod(shape)
    return views


def get_rows(views: dict[str, Tensor], name: str, at: Tensor | slice) -> Rows:
    """Of one sequence's views, the tokens `at`."""
    if name + SCALES in views:
        return Int8Rows(views[name][at].to(torch.int8), views[name + SCALES][at])
    return views[name][at]


def put_rows(views: dict[str, Tensor], name: str, at: Tensor | slice, rows: Rows) -> None:
    """As `get_rows`, the other way."""
    if isinstance(rows, Int8Rows):
        views[name][at] = rows.codes.to(torch.float32)
        views[name + SCALES][at] = rows.scales
    else:
        views[name][at] = rows.to(torch.float32)


def dense(views: dict[str, Tensor], name: str) -> Tensor:
    """All tokens' numbers, f32."""
    return views[name] * views[name + SCALES] if name + SCALES in views else views[name]
