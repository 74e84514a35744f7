"""From a checkpoint's tensors to vLLM's parameters, one tensor at a time as vLLM's loaders stream them."""

from collections.abc import Iterable, Iterator

from spikingbrain.checkpoint.errors import listed
from spikingbrain.checkpoint.names import tensor_names
from spikingbrain.config import Config
from torch import Tensor, nn
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper

ROTARY = "rotary.inv_freq"
_STACKED: dict[str, tuple[str, str | int]] = {
    ".q_proj": (".qkv_proj", "q"),
    ".k_proj": (".qkv_proj", "k"),
    ".v_proj": (".qkv_proj", "v"),
    ".mlp.gate_proj": (".mlp.gate_up_proj", 0),
    ".mlp.up_proj": (".mlp.gate_up_proj", 1),
    ".shared_expert.gate_proj": (".shared_expert.gate_up_proj", 0),
    ".shared_expert.up_proj": (".shared_expert.gate_up_proj", 1),
}
_MAPPER = WeightsMapper(
    # Projections of one branch, or of both, have no part of their own in a checkpoint's names.
    orig_to_new_substr={f".attn.{short}_proj.": f".attn.shared.{short}_proj." for short in "qkvo"},
    orig_to_new_stacked=_STACKED,
)


def load(model: nn.Module, config: Config, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
    """Every tensor of the config must come, in its shape, and no other: raises `CheckpointError`, which names all that is wrong."""
    return AutoWeightsLoader(model).load_weights(_checked(config, weights), mapper=_MAPPER)


def _checked(config: Config, weights: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    wanted = {name.name: name.shape for name in tensor_names(config)}
    problems: list[str] = []
    seen: set[str] = set()
    for name, tensor in weights:
        if name.endswith(ROTARY):
            continue
        if name not in wanted:
            problems.append(f"tensor '{name}' {list(tensor.shape)} has no place in this model")
        elif tuple(tensor.shape) != wanted[name]:
            problems.append(f"tensor '{name}' must have shape {list(wanted[name])}; it has {list(tensor.shape)}")
        else:
            seen.add(name)
            yield name, tensor
    problems += [f"tensor '{name}' {list(shape)} is missing" for name, shape in wanted.items() if name not in seen]
    if problems:
        raise listed("the checkpoint", problems)
