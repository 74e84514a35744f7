"""Distillation through spikes: a trunk learns to be read by neurons whose thresholds are given.

What it is drawn to is the student without spikes, on texts so short that nothing leaves the window: the branch, which reads nothing that
fires but the queries of salient tokens, is left as it is. Gradients pass straight through the neurons (`spike/neuron.py`).
"""

import torch
from torch import Tensor

from spikingbrain.config import Spiking
from spikingbrain.convert.train.distil import divergence
from spikingbrain.convert.trunk.firing import Firing
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.trunk.near import near_residual
from spikingbrain.convert.trunk.reach import Reach
from spikingbrain.convert.trunk.tuning import Tuning


def spike_distil_step(trunk: Trunk, reach: Reach, tuning: Tuning, spiking: Spiking, tokens: Tensor) -> float:
    """Adds a gradient to the tuning and returns the mean KL divergence, nats, over all positions."""
    with torch.no_grad():
        wanted = near_residual(trunk, reach, tokens, Firing())
    residual = near_residual(tuning.trunk(trunk), reach, tokens, Firing(spiking))
    mean, gradient = divergence(trunk, residual.detach(), wanted)
    residual.backward(gradient)  # type: ignore[no-untyped-call]
    return mean
