"""Conversations as tokens on disk, end to end, with which of them are answers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from spikingbrain.convert.data.chat_template import ChatTemplate, Message
from spikingbrain.convert.data.token_file import TokenFile
from spikingbrain.rules import ConfigError

# One in so many sequences has an answer far enough in, or the settings do not fit the conversations.
DRAWS = 1_000


@dataclass(frozen=True)
class Answers:
    tokens: npt.NDArray[np.uint32]
    """`[total]`, mapped from the file."""
    mask: npt.NDArray[np.bool_]
    """`[total]`: whether a token is an answer's."""
    starts: Sequence[int]
    """Where each conversation begins; the last entry is the total."""

    def sequence(self, seed: int, number: int, length: int, begin: int) -> tuple[Tensor, Tensor]:
        """`length` tokens from the start of a conversation on, through those that follow it, and their mask: drawn from the seed and the
        sequence's number, among those with a token of an answer behind position `begin`."""
        starts = np.asarray(self.starts[:-1])
        allowed = starts[starts <= len(self.tokens) - length]
        if len(allowed) == 0:
            raise ConfigError("sft.tokens", f"at most the {len(self.tokens)} of all conversations", length)
        draw = np.random.default_rng((seed, number))
        for start in draw.choice(allowed, DRAWS):
            mask = np.asarray(self.mask[start : start + length])
            if mask[begin + 1 :].any():
                return self._between(start, start + length)
        raise ConfigError("sft.files", f"conversations with answers behind token {begin} of a sequence", f"none in {DRAWS} sequences")

    def conversation(self, index: int, most: int) -> tuple[Tensor, Tensor]:
        """One conversation's tokens, the first `most` of them, and their mask."""
        start = self.starts[index]
        return self._between(start, min(start + most, self.starts[index + 1]))

    def _between(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        tokens = np.asarray(self.tokens[start:stop], dtype=np.int64)
        return torch.from_numpy(tokens), torch.from_numpy(np.array(self.mask[start:stop]))


def write_answers(
    path: Path, conversations: Iterable[tuple[str, Sequence[Message]]], template: ChatTemplate, tokenizer: Tokenizer
) -> Answers:
    """Encodes conversations, each with where it is from, to `path`.npy, `path`-mask.npy and their index `path`.json, which appears when
    all is written. Spans are encoded by themselves, as a server encodes a prompt."""
    starts = [0]
    path.parent.mkdir(parents=True, exist_ok=True)
    with TokenFile(path.with_suffix(".npy"), np.uint32) as tokens, TokenFile(_mask(path), np.bool_) as mask:
        for where, messages in conversations:
            for span in template.spans(messages, where):
                encoded = tokenizer.encode(span.text, add_special_tokens=False).ids
                tokens.append(encoded)
                mask.append([span.is_answer] * len(encoded))
            starts.append(tokens.count)
    path.with_suffix(".json").write_text(json.dumps({"starts": starts}), encoding="utf-8")
    return open_answers(path)


def open_answers(path: Path) -> Answers:
    starts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["starts"]
    return Answers(np.load(path.with_suffix(".npy"), mmap_mode="r"), np.load(_mask(path), mmap_mode="r"), starts)


def _mask(path: Path) -> Path:
    return path.with_name(f"{path.name}-mask.npy")
