"""A checkpoint as a model that runs."""

from dataclasses import replace
from pathlib import Path

import torch

from spikingbrain.config import Config, SpikingMode
from spikingbrain.model.model import Model
from spikingbrain.model.weights import gather_weights

from .opening import open_checkpoint
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
    return Model(_with_spikes(source.config, spikes, k), weights)


def _with_spikes(config: Config, spikes: SpikingMode | None, k: float | None) -> Config:
    spiking = config.spiking
    return replace(config, spiking=replace(spiking, mode=spikes or spiking.mode, k=spiking.k if k is None else k))
