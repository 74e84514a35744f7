"""Where a trained mixer begins: the teacher's projections, and new tensors that disturb it little."""

import torch
from torch import Tensor

from spikingbrain.checkpoint.names import TensorName, tensor_names
from spikingbrain.config import Config, OneMinusKeyGate
from spikingbrain.convert.trunk.frozen import FrozenLayer

# Softmax heads have a root mean square of 0.15 to 0.4 in small models; a norm of weight 1 would be as many times too loud.
HEAD_SCALE = 0.3
# The linear branch of a parallel mixer is to be found useful, not to drown the window from the first step.
ADDED_SCALE = 0.03
# Biases of the learned gate, spread over channels: with a normaliser of 16, half-lives of 35 to 12,000 tokens.
GATE_BIAS = (1.0, 7.0)
# The key's bias of a tied gate that has projections of its own: half-lives of 5 to 760 tokens.
TIED_BIAS = (-2.0, -7.0)


def starting_tensors(config: Config, index: int, teacher: FrozenLayer, seed: int) -> dict[str, Tensor]:
    """All tensors of layer `index`'s mixer in f32, by their names below `attn.`; random ones depend on nothing but `seed` and `index`."""
    prefix = f"model.layers.{index}.attn."
    generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
    own = teacher_tensors(config, teacher)
    names = [name for name in tensor_names(config) if name.name.startswith(prefix)]
    return {name.name.removeprefix(prefix): _start(config, name, name.name.removeprefix(prefix), own, generator) for name in names}


def teacher_tensors(config: Config, teacher: FrozenLayer) -> dict[str, Tensor]:
    """The teacher's attention by checkpoint names below `attn.`, views of it."""
    sizes = [config.heads * config.head_dim, config.kv_heads * config.head_dim, config.kv_heads * config.head_dim]
    matrices = teacher.query_key_value.split_with_sizes(sizes)
    tensors = {f"{short}_proj.weight": matrix for short, matrix in zip("qkv", matrices, strict=True)}
    if teacher.query_key_value_bias is not None:
        biases = teacher.query_key_value_bias.split_with_sizes(sizes)
        tensors |= {f"{short}_proj.bias": bias for short, bias in zip("qkv", biases, strict=True)}
    return tensors | {"o_proj.weight": teacher.output}


def _start(config: Config, name: TensorName, short: str, own: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    branch, of_branch = ("linear", short.removeprefix("linear.")) if short.startswith("linear.") else ("", short.removeprefix("softmax."))
    tied = config.linear is not None and isinstance(config.linear.gate, OneMinusKeyGate)
    alone = branch == "linear" or config.layers[_layer_of(name)].mixer == ("linear",)
    if of_branch == "k_proj.bias" and tied and alone:
        spread = _spread(TIED_BIAS, name.shape[0], config.head_dim)
        return spread + own[of_branch].float() if of_branch in own else spread
    if of_branch in own:
        return own[of_branch].detach().float().clone()
    if of_branch in ("gk_proj.1.bias", "gk_proj.bias"):
        return _spread(GATE_BIAS, name.shape[0], config.head_dim)
    if of_branch == "gk_proj.0.weight":
        return torch.randn(name.shape, generator=generator) * float(name.shape[1] ** -0.5)
    if of_branch == "linear_norm.weight":
        return torch.full(name.shape, ADDED_SCALE)
    if of_branch in ("softmax_norm.weight", "g_norm.weight"):
        return torch.full(name.shape, HEAD_SCALE)
    # Biases that the teacher lacks, and the second matrix of a gate, which adds nothing until it is trained.
    return torch.zeros(name.shape)


def _layer_of(name: TensorName) -> int:
    return int(name.name.split(".")[2])


def _spread(ends: tuple[float, float], width: int, head_dim: int) -> Tensor:
    """From one end to the other over the channels of every head, `[width]`."""
    return torch.linspace(*ends, head_dim).repeat(width // head_dim)
