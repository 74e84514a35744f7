"""What an engine counts of requests, and what the reference counts of their texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from spikingbrain.config import Config
from spikingbrain.model.model import Model
from spikingbrain.spike.modes import SITES, Site
from spikingbrain.spike.telemetry import SpikeCounts, SpikeMeter
from spikingbrain_vllm.telemetry.tally import FIELD, Tallies, new_key
from vllm import LLM, SamplingParams
from vllm.inputs import TokensPrompt

TOKENS = 6


@torch.inference_mode()
def expected_spikes(model: Model, text: Sequence[int], skipped: int = 0) -> list[dict[Site, SpikeCounts]]:
    """Of the tokens behind the first `skipped` ones, by layer and site."""
    before, meter = model.new_state(), SpikeMeter()
    if skipped:
        _, before = model.step(before, torch.tensor(text[:skipped]))
    model.step(before, torch.tensor(text[skipped:]), meter)
    layers = range(len(model.config.layers))
    return [{site: meter.counts[layer, site] for site in SITES if (layer, site) in meter.counts} for layer in layers]


class Counted:
    """An engine that counts, and what it has counted."""

    def __init__(self, llm: LLM, config: Config, directory: Path, ranks: int = 1) -> None:
        self.llm, self.tallies = llm, Tallies(directory, len(config.layers), ranks)

    def ask(self, texts: Sequence[Sequence[int]], asks: Sequence[bool], tokens: int = TOKENS) -> list[tuple[list[int], Any, int]]:
        """Of each text what the engine has read of it and of its answer, the spikes, and how many tokens were cached."""
        keys = [new_key() if one else None for one in asks]
        for one in filter(None, keys):
            self.tallies.create(one)
        params = [
            SamplingParams(
                temperature=0,
                max_tokens=tokens,
                ignore_eos=True,
                detokenize=False,
                extra_args=None if key is None else {FIELD: key},
            )
            for key in keys
        ]
        outputs = self.llm.generate([TokensPrompt(prompt_token_ids=list(text)) for text in texts], params, use_tqdm=False)
        found = []
        for text, key, output in zip(texts, keys, outputs, strict=True):
            read = [*text, *output.outputs[0].token_ids[:-1]]
            found.append((read, None if key is None else self.tallies.read(key), output.num_cached_tokens or 0))
            if key is not None:
                self.tallies.remove(key)
        return found
