"""Which rows of the batch belong to requests whose spikes are counted: what vLLM tells its logits processors before and after each step."""

from pathlib import Path
from typing import TYPE_CHECKING

from vllm import SamplingParams
from vllm.distributed import get_tensor_model_parallel_rank
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import BatchUpdate

from spikingbrain_vllm.telemetry.meter import METER
from spikingbrain_vllm.telemetry.settings import directory_of
from spikingbrain_vllm.telemetry.tally import Tally, key_of

if TYPE_CHECKING:
    from vllm.config import VllmConfig


class Counting:
    def __init__(self, directory: Path | None, layers: int) -> None:
        self._directory, self._layers = directory, layers
        self._rows: dict[int, Tally] = {}

    @staticmethod
    def of(vllm_config: "VllmConfig") -> "Counting":
        return Counting(directory_of(vllm_config), len(vllm_config.model_config.hf_config.definition.layers))

    def update(self, batch_update: BatchUpdate | None) -> None:
        """Before a step."""
        if self._directory is not None:
            process_dict_updates(self._rows, batch_update, self._tally)
            METER.rows = self._rows

    def step_done(self) -> None:
        if self._rows:
            METER.step_done()

    def _tally(self, params: SamplingParams, _prompt: list[int] | None, _output: list[int]) -> Tally | None:
        key = key_of(params.extra_args)
        if key is None or self._directory is None:
            return None
        try:
            return Tally(self._directory, key, get_tensor_model_parallel_rank(), self._layers)
        except (OSError, ValueError):
            # The request's client has gone, and its files with it.
            return None
