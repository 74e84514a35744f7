"""An `evicted` mixer's memory of one sequence: its window, kept tokens, sums and salient tokens are one page."""

from dataclasses import dataclass

import torch
from spikingbrain.spike.modes import INT8_KEY_VALUES
from spikingbrain.state.evicted import Evicted
from spikingbrain.state.key_values import KeyValues, Rows, to_dense
from spikingbrain.state.salient import Salient

from spikingbrain_vllm.layers.evicted_branch import EvictedBranch
from spikingbrain_vllm.state.place import Blocks, Page


@dataclass(frozen=True)
class EvictedMemory:
    layer: EvictedBranch
    page: Page

    def read(self, blocks: Blocks, tokens: int) -> tuple[KeyValues, Evicted]:
        row = self.layer.states[self.page.slot(blocks, tokens)].to(device="cpu", copy=True)
        return self.layer.read_row(row, tokens)

    def write(self, blocks: Blocks, tokens: int, held: KeyValues, memory: Evicted) -> None:
        """Rounded rows are taken for what they are worth where the model keeps none."""
        row = torch.zeros(self.layer.shape)
        keys, values = self._kept_form(held.keys), self._kept_form(held.values)
        salient = memory.salient
        exact = Salient(self._kept_form(salient.keys), self._kept_form(salient.values), salient.salience, salient.positions)
        self.layer.write_row(row, KeyValues(keys, values, held.positions), Evicted(memory.sums, exact), tokens)
        self.layer.states[self.page.slot(blocks, tokens)].copy_(row)

    def _kept_form(self, rows: Rows) -> Rows:
        return rows if INT8_KEY_VALUES[self.layer.config.spiking.mode] else to_dense(rows, torch.float32)
