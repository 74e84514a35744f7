"""A checkpoint as a model that runs."""

from pathlib import Path

import torch

from spikingbrain.config import SpikingMode
from spikingbrain.model.model import Model
from spikingbrain.model.weights import gather_weights

from .opening import open_checkpoint, with_spikes
from .source import WeightSource, read_tensor


def load_model(
    path: Path, *, spikes: SpikingMode | None = None, k: float | None = None, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Model:
    """The model in a folder or a GGUF; `spikes` and `k` replace the config's."""
    return model_of(open_checkpoint(path, spikes), spikes=spikes, k=k, dtype=dtype, device=device)


def model_of(
    source: WeightSource,
    *,
    spikes: SpikingMode | None = None,
    k: float | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Model:
    """As `load_model`, from an open source."""
    names = {name.name: name for name in source.names}
    weights = gather_weights(source.config, lambda name: read_tensor(source, names[name], dtype).to(device))
    return Model(with_spikes(source.config, spikes, k), weights)
