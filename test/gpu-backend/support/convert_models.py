"""A tiny Transformer to convert, and branches that do something."""

from dataclasses import replace

import torch
from spikingbrain.checkpoint.names import TensorName, tensor_names
from spikingbrain.config import Biases, Config, Layer, Spiking
from spikingbrain.convert.export.result import ConvertedSource
from spikingbrain.convert.trunk.branch import Branches
from spikingbrain.convert.trunk.frozen import Trunk, read_trunk
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.reader import make_branches
from spikingbrain.convert.trunk.tensors import branch_tensors, converted_config
from spikingbrain.model.model import Model
from spikingbrain.model.weights import gather_weights
from torch import Tensor

TEACHER = Config(
    name="tiny teacher",
    hidden=48,
    heads=6,
    kv_heads=2,
    head_dim=8,
    vocabulary=61,
    feed_forward_inner=40,
    layers=(Layer(mixer=("full",)),) * 3,
    rope_theta=1_000.0,
    context=512,
    biases=Biases(query_key_value=False),
    tied_head=True,
)
BIASED = replace(TEACHER, name="tiny teacher with biases", biases=Biases(query_key_value=True), tied_head=False)
REACH = Reach(window=24, kept=3, sink_cap=300, salient=5, salience_half_life=40)


class TensorSource:
    """Random tensors as a `WeightSource`."""

    def __init__(self, config: Config, seed: int = 0) -> None:
        self.config = config
        self.names = tensor_names(config)
        generator = torch.Generator().manual_seed(seed)
        self.tensors = {name.name: _drawn(name, generator) for name in self.names}

    def rows(self, name: TensorName, start: int, stop: int) -> Tensor:
        return self.tensors[name.name][start:stop]


def trunk_of(config: Config = TEACHER, dtype: torch.dtype = torch.float32) -> Trunk:
    return read_trunk(TensorSource(config), dtype)


def busy_branches(trunk: Trunk, reach: Reach = REACH, stateless: bool = False) -> Branches:
    """Every parameter is moved from where it starts, far enough to show in the logits."""
    branches = make_branches(trunk.config, reach, stateless)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in branches.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
        for branch in branches:
            if branch.salience is not None:
                branch.salience.normal_(std=0.3, generator=generator)
            if branch.state is not None:
                branch.state.decay.copy_(torch.tensor([-3.0, -1.0]))
    return branches


def converted(config: Config, reach: Reach, branches: Branches, spiking: Spiking | None = None) -> Model:
    """The reference model of the same weights."""
    wanted = replace(converted_config(config, reach, "tiny"), spiking=spiking or Spiking())
    source = ConvertedSource(TensorSource(config), wanted, branch_tensors(branches))
    tensors = {name.name: source.rows(name, 0, name.shape[0]) for name in source.names}
    return Model(source.config, gather_weights(source.config, lambda name: tensors[name]))


def text_of(tokens: int, seed: int = 1) -> Tensor:
    return torch.randint(TEACHER.vocabulary, (tokens,), generator=torch.Generator().manual_seed(seed))


def _drawn(name: TensorName, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(name.shape, generator=generator)
    if len(name.shape) == 1:
        return drawn.mul_(0.2).add_(1.0 if name.name.endswith("norm.weight") else 0.0)
    return drawn.mul_(2.0 * float(name.shape[-1] ** -0.5))
