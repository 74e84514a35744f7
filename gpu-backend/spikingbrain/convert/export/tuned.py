"""A tuned trunk (`trunk/tuning.py`) as what a delta holds of it: norms as they come out, and the scales of block-quantised matrices.

Q4_1 keeps 32 weights as codes of four bits with a scale and a least value, both f16: a weight is `scale * code + least`. A block's factor
and shift go into those two, and the codes stay the teacher's.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from gguf import GGMLQuantizationType
from torch import Tensor

from spikingbrain.checkpoint.gguf_file import GgufFile
from spikingbrain.checkpoint.names import TensorName, tensor_names
from spikingbrain.checkpoint.source import WeightSource, read_tensor
from spikingbrain.config import Config
from spikingbrain.convert.trunk.tuning import BLOCK_INPUTS, LayerTuning, Tuning, block_spread
from spikingbrain.rules import ConfigError

SCALE_BYTES = 4
BLOCK_BYTES = SCALE_BYTES + BLOCK_INPUTS // 2

Scales = npt.NDArray[np.float16]
"""`[rows, 2 * blocks]`: of each block its scale, then its least value."""


def tuned_norms(source: WeightSource, tuning: Tuning) -> dict[str, Tensor]:
    """By checkpoint name, f32, in place of the teacher's."""
    names = {name.name: name for name in source.names}
    found = {}
    for index, layer in enumerate(tuning):
        for name, gain in (("attn_norm", layer.gain["attention_norm"]), ("mlp_norm", layer.gain["feed_forward_norm"])):
            whole = f"model.layers.{index}.{name}.weight"
            found[whole] = read_tensor(source, names[whole]) * (1 + gain.detach())
    return found


def tuned_scales(source: WeightSource, tuning: Tuning) -> dict[str, Scales]:
    """By the matrix's checkpoint name; none where only norms were tuned."""
    if not any(layer.factor for layer in tuning):
        return {}
    if not isinstance(source, GgufFile):
        raise ConfigError("spike_distil.matrices", "false where the teacher is no GGUF of Q4_1 matrices", True)
    names = {name.name: name for name in source.names}
    found = {}
    for index, layer in enumerate(tuning):
        for part, factor, shift in _parts(source.config, layer):
            name = names[f"model.layers.{index}.{part}_proj.weight"]
            found[name.name] = _scales(source, name, factor.detach(), shift.detach())
    return found


def scale_names(config: Config) -> dict[str, TensorName]:
    """By its name in a delta, `blk.0.ffn_down.block_scales`: the matrix whose scales it has."""
    matrices = (name for name in tensor_names(config) if name.linear and ".evicted." not in name.name)
    return {f"{name.gguf.removesuffix('.weight')}.block_scales": name for name in matrices}


def _parts(config: Config, layer: LayerTuning) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Each matrix of a layer as a checkpoint names it, with its rows of the trunk's joined ones."""
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    split = {
        "query_key_value": (("attn.q", queries), ("attn.k", keys), ("attn.v", keys)),
        "output": (("attn.o", config.hidden),),
        "gate_up": (("mlp.gate", config.feed_forward_inner), ("mlp.up", config.feed_forward_inner)),
        "down": (("mlp.down", config.hidden),),
    }
    for name, factor in layer.factor.items():
        sizes = [rows for _, rows in split[name]]
        yield from zip((part for part, _ in split[name]), factor.split(sizes), layer.shift[name].split(sizes), strict=True)


def _scales(source: GgufFile, name: TensorName, factor: Tensor, shift: Tensor) -> Scales:
    if source.types[name.gguf] != GGMLQuantizationType.Q4_1:
        raise ConfigError(f"teacher's '{name.gguf}'", "Q4_1, whose scales are tuned", source.types[name.gguf].name)
    blocks = source.encoded(name).reshape(*factor.shape, BLOCK_BYTES)
    held = torch.from_numpy(blocks[..., :SCALE_BYTES].copy().view(np.float16)).float()
    # The spread is that of the trunk, whose weights are bf16 in training.
    spread = block_spread(read_tensor(source, name).bfloat16())
    held = held * (1 + factor[..., None])
    held[..., 1] += shift * spread
    return held.half().flatten(1).numpy()
