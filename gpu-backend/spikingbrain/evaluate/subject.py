"""A checkpoint made ready to be evaluated: its model and its tokenizer."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer as FastTokenizer

from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.fast_tokenizer import text_tokenizer
from spikingbrain.checkpoint.loading import model_of
from spikingbrain.checkpoint.opening import find_tokenizer, open_checkpoint
from spikingbrain.config import Config, SpikingMode

from .scorer import ReferenceScorer


@dataclass(frozen=True)
class Subject:
    """What is evaluated."""

    config: Config
    scorer: ReferenceScorer
    tokenizer: FastTokenizer
    ends: tuple[int, ...]
    """Tokens that end a text: the config's, or else the tokenizer's."""


def load_subject(path: Path, *, spikes: SpikingMode | None, k: float | None, dtype: torch.dtype) -> Subject:
    """The reference model of a folder or GGUF that has its tokenizer with it."""
    source = open_checkpoint(path, spikes)
    tokenizer = find_tokenizer(path, source)
    if tokenizer is None:
        raise CheckpointError(f"{path} has no tokenizer, without which no text can be evaluated")
    model = model_of(source, spikes=spikes, k=k, dtype=dtype)
    named = tuple(dict.fromkeys(end for end in (tokenizer.eos, tokenizer.end_of_turn) if end is not None))
    return Subject(model.config, ReferenceScorer(model), text_tokenizer(tokenizer), model.config.end_tokens or named)
