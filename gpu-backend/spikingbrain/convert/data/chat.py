"""The stage `chats`: what the teacher writes itself, many at once with a key-value cache, several turns each."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from spikingbrain.convert.data.questions import HELD_OUT, TRAINING, Questions, of_kinds
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.convert.trunk.cache import KeyValueCache
from spikingbrain.convert.trunk.frozen import Trunk
from spikingbrain.convert.work import Work


def chats(work: Work) -> None:
    settings, seed = work.settings.data, work.settings.seed
    _chats(work, "train", TRAINING, settings.chats, settings.chat_tokens, 2 * seed + 1)
    _chats(work, "held", HELD_OUT, settings.held_out_chats, settings.held_out_chat_tokens, 2 * seed + 2)


def _chats(work: Work, split: str, questions: Mapping[str, Questions], chats: int, tokens: int, seed: int) -> None:
    path = work.folder / f"chat-{split}.npy"
    if path.is_file() or chats == 0:
        return
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    asked, sampling = of_kinds(questions, work.settings.data.chat_kinds), Sampling(temperature=work.settings.data.temperature)
    sampler = ChatSampler(work.trunk, tokenizer, work.opening, asked, seed, sampling)
    sampled = sampler.sample(chats, tokens, lambda done, total: None if done % 64 else work.report(f"{split}: {done} of {total}"))
    np.save(path, sampled.numpy().astype(np.uint32))


@dataclass(frozen=True)
class Sampling:
    temperature: float = 0.8
    candidates: int = 200
    """How many of the likeliest tokens are drawn from."""
    follow_up_share: float = 0.6
    """Of later questions, those that go on about the answer before; the rest begin a new topic."""


class ChatSampler:
    """`chats` sequences of exactly `tokens` tokens: what the template opens with, then question and answer alternately; the last answer may
    be cut. One chat after another has the next kind of questions."""

    def __init__(
        self, trunk: Trunk, tokenizer: Tokenizer, opening: str, questions: Sequence[Questions], seed: int, sampling: Sampling | None = None
    ) -> None:
        self.trunk = trunk
        self.tokenizer = tokenizer
        self.opening = opening
        self.questions = questions
        self.sampling = sampling or Sampling()
        self._choice = random.Random(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._end = tokenizer.token_to_id("<|im_end|>")

    @torch.no_grad()
    def sample(self, chats: int, tokens: int, progress: Callable[[int, int], None]) -> Tensor:
        """`[chats, tokens]` int64."""
        cache = KeyValueCache.empty(self.trunk, chats, tokens)
        about = [self.questions[chat % len(self.questions)] for chat in range(chats)]
        pending = [self._encode(f"{self.opening}{self._turn(each.ask(self._choice))}") for each in about]
        out = torch.zeros(chats, tokens, dtype=torch.int64)
        drawn = [0] * chats
        for at in range(tokens):
            for chat, queue in enumerate(pending):
                out[chat, at] = queue.pop(0) if queue else drawn[chat]
                # Only an answer's end empties no queue: questions are queued to the start of their answer.
                if not queue and out[chat, at] == self._end:
                    queue.extend(self._encode("\n" + self._turn(self._next_question(about[chat]))))
            x = cache.read(out[:, at], at)
            if not all(pending):
                drawn = self._draw(self.trunk.logits(x))
            progress(at + 1, tokens)
        return out

    def _draw(self, logits: Tensor) -> list[int]:
        best, ids = (logits / self.sampling.temperature).topk(self.sampling.candidates, dim=-1)
        picked = torch.multinomial(best.softmax(dim=-1), 1, generator=self._generator)
        return ids.gather(1, picked)[:, 0].tolist()

    def _next_question(self, about: Questions) -> str:
        follows = self._choice.random() < self.sampling.follow_up_share
        return self._choice.choice(about.follow_ups) if follows else about.ask(self._choice)

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    @staticmethod
    def _turn(question: str) -> str:
        return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
