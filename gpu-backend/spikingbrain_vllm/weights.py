"""From a checkpoint's tensors to vLLM's parameters, one tensor at a time as vLLM's loaders stream them."""

from collections.abc import Iterable, Iterator

from spikingbrain.checkpoint.errors import listed
from spikingbrain.checkpoint.hugging_face_folder import DERIVED
from spikingbrain.checkpoint.names import HEAD, TensorName, tensor_names
from spikingbrain.checkpoint.weight_scales import DOWN_PROJECTION, SUFFIX, rounded, scales_name, scales_shape
from spikingbrain.config import Config
from spikingbrain.spike.modes import FIRING
from torch import Tensor, nn
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper

Named = tuple[str, Tensor]


def load(model: nn.Module, config: Config, weights: Iterable[Named], *, has_scales: bool = False) -> set[str]:
    """Every tensor of the config must come, in its shape, and no other: raises `CheckpointError`, which names all that is wrong.
    `has_scales`: W8ASpike's lie beside the weights, which are rounded as its quantiser does."""
    return AutoWeightsLoader(model).load_weights(checked(config, weights, has_scales), mapper=_mapper(config))


def _mapper(config: Config) -> WeightsMapper:
    stacked: dict[str, tuple[str, str | int]] = {f".{short}_proj": (".qkv_proj", short) for short in "qkv"}
    parts = [".mlp", ".shared_expert"]
    if config.experts is not None and "feed_forward_down" in FIRING[config.spiking.mode]:
        # No fused experts, which take a checkpoint's names as they are.
        parts += [f".experts.{index}" for index in range(config.experts.count)]
    for part in parts:
        stacked |= {f"{part}.{short}_proj": (f"{part}.gate_up_proj", place) for place, short in enumerate(("gate", "up"))}
    # Projections of one branch, or of both, have no part of their own in a checkpoint's names.
    own = {f".attn.{short}_proj.": f".attn.shared.{short}_proj." for short in "qkvo"}
    return WeightsMapper(orig_to_new_substr=own, orig_to_new_stacked=stacked)


def checked(config: Config, weights: Iterable[Named], has_scales: bool) -> Iterator[Named]:
    """The tensors that the model takes, as they come."""
    wanted = {name.name: name for name in tensor_names(config)}
    scaled = {scales_name(name): name for name in wanted.values() if name.linear} if has_scales else {}
    problems: list[str] = []
    seen: set[str] = set()
    waiting: dict[str, Tensor] = {}
    for name, tensor in weights:
        if DERIVED.search(name) or (config.tied_head and name == HEAD):
            continue
        of = wanted.get(name) or scaled.get(name)
        shape = None if of is None else of.shape if name in wanted else scales_shape(of)
        if of is None:
            problems.append(f"tensor '{name}' {list(tensor.shape)} has no place in this model")
        elif tuple(tensor.shape) != shape:
            problems.append(f"tensor '{name}' must have shape {list(shape or ())}; it has {list(tensor.shape)}")
        else:
            seen.add(name)
            yield from _rounded(config, of, name, tensor, waiting) if has_scales and of.linear else [(name, tensor)]
    expected = {name: of.shape for name, of in wanted.items()} | {name: scales_shape(of) for name, of in scaled.items()}
    problems += [f"tensor '{name}' {list(shape)} is missing" for name, shape in expected.items() if name not in seen]
    if problems:
        raise listed("the checkpoint", problems)


def _rounded(config: Config, of: TensorName, name: str, tensor: Tensor, waiting: dict[str, Tensor]) -> Iterator[Named]:
    """A weight waits for its scales, or these for it."""
    if DOWN_PROJECTION.search(of.name) and config.spiking.mode != "paper":
        # The released code takes it past its quantiser.
        if not name.endswith(SUFFIX):
            yield name, tensor
        return
    waiting[name] = tensor
    scales = scales_name(of)
    if of.name in waiting and scales in waiting:
        weight, steps = waiting.pop(of.name), waiting.pop(scales)
        yield of.name, rounded(weight.float(), steps.float(), scales).to(weight.dtype)
