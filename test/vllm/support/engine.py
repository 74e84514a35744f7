"""An engine, and what it must say: the reference's tokens, and its log-probabilities within 1e-4."""

import gc
import random
import unittest.mock
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from spikingbrain.model.model import Model
from vllm import LLM, RequestOutput, SamplingParams
from vllm.inputs import TokensPrompt
from vllm.v1.metrics.reader import Counter

TOLERANCE = 1e-4
CACHE_BYTES = 128 << 20
"""Of an engine's cache, all of which it writes zeros to at its start."""
LENGTHS = (150, 37, 1, 5)
"""Of prompts: longer than a window, than a chunk, and the shortest."""


def _keep_what_is_loaded() -> None:
    """What is imported stays until the end, so the collector needs not look at it: vLLM has it look at everything eight times for each
    engine that comes and goes, which takes longer than all else. Its own marks would make it look again, and are put aside."""
    gc.collect()
    gc.freeze()
    for mark in ("freeze", "unfreeze"):
        unittest.mock.patch.object(gc, mark).start()


_keep_what_is_loaded()


@contextmanager
def engine(folder: Path, **choices: Any) -> Iterator[LLM]:  # noqa: ANN401
    """Of a model's folder, in f32, gone in the end."""
    defaults: dict[str, Any] = {"max_model_len": 512, "max_num_seqs": 8, "enforce_eager": True, "enable_prefix_caching": False}
    defaults |= {"dtype": "float32", "skip_tokenizer_init": True, "disable_log_stats": False, "kv_cache_memory_bytes": CACHE_BYTES}
    llm = LLM(str(folder), **defaults | choices)
    try:
        yield llm
    finally:
        llm.llm_engine.engine_core.shutdown()
        del llm
        gc.collect()


def prompts(lengths: Sequence[int] = LENGTHS, vocabulary: int = 512, seed: int = 1, least: int = 0) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(least, vocabulary) for _ in range(length)] for length in lengths]


@dataclass(frozen=True)
class Comparison:
    """Of an engine's answers with the reference."""

    furthest: float
    """Distance of a log-probability."""
    other_tokens: int
    """Answers' tokens that are not the reference's likeliest."""

    @property
    def is_equal(self) -> bool:
        return self.furthest < TOLERANCE and self.other_tokens == 0


def answer(llm: LLM, texts: Sequence[Sequence[int]], tokens: int = 16, *, of_prompts: bool = True) -> list[RequestOutput]:
    """Greedy, with log-probabilities of what was chosen and of the prompts' own tokens, which keep prompts from being found in a cache."""
    choices = SamplingParams(
        temperature=0, max_tokens=tokens, ignore_eos=True, logprobs=1, prompt_logprobs=0 if of_prompts else None, detokenize=False
    )
    return llm.generate([TokensPrompt(prompt_token_ids=list(text)) for text in texts], choices, use_tqdm=False)


@torch.inference_mode()
def compare(model: Model, outputs: Sequence[RequestOutput]) -> Comparison:
    """Every token of every prompt and answer."""
    furthest, others = 0.0, 0
    for output in outputs:
        prompt, answered = list(output.prompt_token_ids or []), output.outputs[0]
        expected = model.logits(torch.tensor([*prompt, *answered.token_ids])).log_softmax(dim=-1)
        for place, of_token in enumerate(output.prompt_logprobs or []):
            if of_token is not None:
                furthest = max(furthest, abs(of_token[prompt[place]].logprob - float(expected[place - 1, prompt[place]])))
        assert answered.logprobs is not None
        for place, (token, of_token) in enumerate(zip(answered.token_ids, answered.logprobs, strict=True), start=len(prompt)):
            assert of_token is not None
            others += int(expected[place - 1].argmax()) != token
            furthest = max(furthest, abs(of_token[token].logprob - float(expected[place - 1, token])))
    return Comparison(furthest, others)


def counter(llm: LLM, name: str) -> int:
    return sum(one.value for one in llm.get_metrics() if isinstance(one, Counter) and one.name == name)
