"""Where spikes are applied (`gpu-backend/docs/model.md#83-modes`): one table from a mode to the inputs that fire in it."""

from collections.abc import Mapping
from typing import get_args

from spikingbrain.config import Site, SpikingMode

__all__ = ["FIRING", "INT8_KEY_VALUES", "SITES", "Site"]

SITES: tuple[Site, ...] = get_args(Site)
"""Inputs of one or more products, in every layer:

| site | is the input of |
|---|---|
| `attention_in` | q, k, v, and the gate's first or only matrix |
| `gate_in` | the second matrix of a low-rank gate |
| `query` | the product of a softmax branch's queries with its keys, after RoPE: one threshold per token and head |
| `attention_out` | o |
| `feed_forward_in` | gate and up, of the router too |
| `feed_forward_down` | down |

Linear attention's queries, keys, values, gate and state, the embedding, the head and the norms never fire.
"""

FIRING: Mapping[SpikingMode, frozenset[Site]] = {
    "off": frozenset(),
    "paper": frozenset(SITES),
    "released": frozenset(SITES) - {"feed_forward_down"},
}
"""`paper` takes "all linear projection layers" at its word; the released code passes by `down_proj`."""

INT8_KEY_VALUES: Mapping[SpikingMode, bool] = {"off": False, "paper": True, "released": True}
"""Whether softmax branches keep keys and values as int8."""
