"""A Hugging Face folder as a source of weights."""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch

from spikingbrain.config import Config, LearnedGate, SpikingMode

from .errors import CheckpointError, listed
from .finite import require_finite
from .folder import Location, locate_tensors
from .names import EMBEDDING, HEAD, TensorName, tensor_names
from .shard import Shard, open_shard
from .weight_scales import DOWN_PROJECTION, SUFFIX, rounded, scales_name, scales_shape

log = logging.getLogger(__name__)

# Old checkpoints store RoPE's frequencies, which the config determines.
DERIVED = re.compile(r"\.rotary(_emb)?\.inv_freq$")
LOW_RANK_GATE = re.compile(r"^model\.layers\.\d+\.attn\.gk_proj\.0\.weight$")
MERGED_GATE = re.compile(r"^model\.layers\.\d+\.attn\.gk_proj\.weight$")


class HuggingFaceFolder:
    """See `WeightSource`. One weight file is open at a time, mapped rather than read where its format allows."""

    def __init__(
        self, folder: Path, config: Config, spikes: SpikingMode = "released", stored_as: Callable[[str], str] = lambda name: name
    ) -> None:
        """Finds and checks every tensor. `spikes` says which weights go through W8ASpike's quantiser, where the folder has scales:
        for `paper` all of them, else all but `down_proj`'s. `stored_as` says what the folder calls a tensor of ours."""
        self._folder = folder
        self._locations = locate_tensors(folder)
        self._stored_as = stored_as
        self.config = with_found_gate(config, self._locations)
        self._whole_quantised = spikes == "paper"
        self._open: tuple[Path, Shard] | None = None
        wanted = tensor_names(self.config)
        self._check(folder, wanted)
        order = {name: index for index, name in enumerate(self._locations)}
        self.names = sorted(wanted, key=lambda name: order[stored_as(name.name)])

    @property
    def is_w8(self) -> bool:
        """Whether the folder has W8ASpike's scales."""
        return any(name.endswith(SUFFIX) for name in self._locations)

    @property
    def file_bytes(self) -> int:
        """Bytes of all weight files."""
        return sum(file.stat().st_size for file in {location.file for location in self._locations.values()})

    def rows(self, name: TensorName, start: int, stop: int) -> torch.Tensor:
        """See `WeightSource`; a W8ASpike weight comes as its quantiser rounds it."""
        rows = require_finite(self._stored(name.name)[start:stop].to(torch.float32), self._stored_as(name.name), self._folder)
        scales = self.weight_scales(name, start, stop)
        return rows if scales is None else rounded(rows, scales.unsqueeze(2), scales_name(name))

    def weight_scales(self, name: TensorName, start: int, stop: int) -> torch.Tensor | None:
        """Of a W8ASpike weight, `[rows, groups]` f32; None where its quantiser is passed by."""
        scales = scales_name(name)
        if (
            not name.linear
            or self._stored_as(scales) not in self._locations
            or (DOWN_PROJECTION.search(name.name) and not self._whole_quantised)
        ):
            return None
        return self._stored(scales)[start:stop].to(torch.float32).squeeze(2)

    def _stored(self, name: str) -> torch.Tensor:
        stored = self._stored_as(name)
        file = self._locations[stored].file
        if self._open is None or self._open[0] != file:
            # The old file goes before the new one comes.
            self._open = None
            self._open = file, open_shard(file)
        return self._open[1].tensor(stored)

    def _check(self, folder: Path, wanted: Iterable[TensorName]) -> None:
        stored_as = self._stored_as
        expected = {stored_as(name.name): name.shape for name in wanted}
        optional: dict[str, tuple[int, ...]] = {stored_as(scales_name(name)): scales_shape(name) for name in wanted if name.linear}
        head, embedding = stored_as(HEAD), stored_as(EMBEDDING)
        if self.config.tied_head:
            optional[head] = expected[embedding]
        problems = [f"tensor '{name}' {list(shape)} is missing" for name, shape in expected.items() if name not in self._locations]
        for name, location in self._locations.items():
            shape = expected.get(name, optional.get(name))
            if shape is None and DERIVED.search(name):
                log.info("%s: '%s' is left out: the config determines it", location.file.name, name)
            elif shape is None:
                problems.append(f"tensor '{name}' {list(location.shape)} has no place in this model ({location.file.name})")
            elif shape != location.shape:
                problems.append(f"tensor '{name}' must have shape {list(shape)}; it has {list(location.shape)} ({location.file.name})")
        if problems:
            raise listed(str(folder), problems)
        if self.config.tied_head and head in self._locations and not torch.equal(self._stored(HEAD), self._stored(EMBEDDING)):
            raise CheckpointError(f"{folder}: tied_head must be false where '{head}' differs from '{embedding}'; it is true")


def with_found_gate(config: Config, locations: dict[str, Location]) -> Config:
    """The config with the gate's form that the tensors have: a low-rank pair of their rank, or one merged matrix."""
    if config.linear is None or not isinstance(config.linear.gate, LearnedGate):
        return config
    pair = next((location for name, location in locations.items() if LOW_RANK_GATE.match(name)), None)
    if pair is not None and len(pair.shape) == 2 and pair.shape[0] > 0:
        rank: int | None = pair.shape[0]
    elif any(MERGED_GATE.match(name) for name in locations):
        rank = None
    else:
        return config
    return replace(config, linear=replace(config.linear, gate=replace(config.linear.gate, rank=rank)))
