"""Whether an engine counts spikes, and where counts lie: `additional_config` of vLLM's, so that every process knows it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikingbrain_vllm.telemetry.tally import Tallies

if TYPE_CHECKING:
    from vllm.config import VllmConfig

NAME = "spikingbrain_spikes"


def additional_config(directory: Path) -> dict[str, Any]:
    return {NAME: str(directory)}


def directory_of(vllm_config: "VllmConfig") -> Path | None:
    """Which all processes and ranks of the engine see; None where nothing is counted, be it that the model does not spike."""
    config = vllm_config.additional_config
    directory = config.get(NAME) if isinstance(config, dict) else None
    spikes = vllm_config.model_config.hf_config.definition.spiking.mode != "off"
    return None if directory is None or not spikes else Path(directory)


def tallies_of(vllm_config: "VllmConfig") -> Tallies | None:
    """Of the front end; None where nothing is counted."""
    directory = directory_of(vllm_config)
    layers = len(vllm_config.model_config.hf_config.definition.layers)
    return None if directory is None else Tallies(directory, layers, vllm_config.parallel_config.tensor_parallel_size)
