"""One request's spikes: sums by layer and site in a file, one for each rank, that the front end makes and removes.

A file is int64: how many tokens of the text have been counted, then for each layer and site the fields of `SpikeCounts` in their order."""

import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from spikingbrain.spike.modes import SITES, Site
from spikingbrain.spike.telemetry import SpikeCounts

FIELD = "spikingbrain_spikes"
"""Of `SamplingParams.extra_args`: the key of a request's files."""
KEY = re.compile(r"[0-9a-f]{32}")
NUMBERS = 12
WORD_BYTES = 8
LATE_SECONDS = 2.0
"""For ranks that have not written the last step yet."""


def new_key() -> str:
    return secrets.token_hex(16)


def key_of(extra_args: Mapping[str, Any] | None) -> str | None:
    """None where a request's spikes are not counted. Raises ValueError where the key is none."""
    key = (extra_args or {}).get(FIELD)
    if key is not None and not (isinstance(key, str) and KEY.fullmatch(key)):
        raise ValueError(f"{FIELD} must be 32 hexadecimal digits in lower case")
    return key


class Tally:
    """In a rank."""

    def __init__(self, directory: Path, key: str, rank: int, layers: int) -> None:
        """Raises OSError where the front end has no such request any more."""
        self._words = np.memmap(_path(directory, key, rank), dtype=np.int64, mode="r+", shape=(1 + layers * len(SITES) * NUMBERS,))
        self._sums = self._words[1:].reshape(layers, len(SITES), NUMBERS)

    @property
    def counted(self) -> int:
        """Tokens of the text: reading them again counts nothing."""
        return int(self._words[0])

    def add(self, layer: int, site: Site, counts: SpikeCounts) -> None:
        self._sums[layer, SITES.index(site)] += np.array(_numbers(counts), dtype=np.int64)

    def has_read(self, tokens: int) -> None:
        self._words[0] = max(self.counted, tokens)


@dataclass(frozen=True)
class Tallies:
    """In the front end."""

    directory: Path
    layers: int
    ranks: int

    def create(self, key: str) -> None:
        """Raises OSError."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        size = WORD_BYTES * (1 + self.layers * len(SITES) * NUMBERS)
        for rank in range(self.ranks):
            file = os.open(_path(self.directory, key, rank), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            os.truncate(file, size)
            os.close(file)

    def remove(self, key: str) -> None:
        for rank in range(self.ranks):
            _path(self.directory, key, rank).unlink(missing_ok=True)

    def read(self, key: str) -> list[dict[Site, SpikeCounts]]:
        """By layer, of the sites that have fired. The answer has ended; ranks beside the first may be a moment behind."""
        end = time.monotonic() + LATE_SECONDS
        while True:
            words = [np.fromfile(_path(self.directory, key, rank), dtype=np.int64) for rank in range(self.ranks)]
            if len({int(one[0]) for one in words}) == 1 or time.monotonic() > end:
                break
            time.sleep(0.002)
        sums = np.sum([one[1:] for one in words], axis=0).reshape(self.layers, len(SITES), NUMBERS)
        return [{site: _counts(row) for site, row in zip(SITES, layer, strict=True) if row[0] > 0} for layer in sums]


def told(spikes: list[dict[Site, SpikeCounts]]) -> list[dict[str, dict[str, Any]]]:
    """`SpikesByLayer` of `workers/contracts/spikes.ts`."""
    return [{site: _described(counts) for site, counts in layer.items()} for layer in spikes]


def _path(directory: Path, key: str, rank: int) -> Path:
    return directory / f"{key}.{rank}"


def _numbers(counts: SpikeCounts) -> list[int]:
    sums = [counts.channels, counts.silent, counts.small, counts.count, counts.spikes, *counts.windows]
    return [*sums, counts.multiply_accumulates, counts.skipped, counts.additions]


def _counts(row: "np.ndarray[Any, np.dtype[np.int64]]") -> SpikeCounts:
    channels, silent, small, count, spikes, none, one, two, three, products, skipped, additions = (int(number) for number in row)
    return SpikeCounts(
        channels=channels,
        silent=silent,
        small=small,
        count=count,
        spikes=spikes,
        windows=(none, one, two, three),
        multiply_accumulates=products,
        skipped=skipped,
        additions=additions,
    )


def _described(counts: SpikeCounts) -> dict[str, Any]:
    return {
        "channels": counts.channels,
        "silent": counts.silent,
        "small": counts.small,
        "count": counts.count,
        "spikes": counts.spikes,
        "windows": list(counts.windows),
        "multiplyAccumulates": counts.multiply_accumulates,
        "skipped": counts.skipped,
        "additions": counts.additions,
    }
