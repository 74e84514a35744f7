"""An engine in this process, and what it answers."""

import gc
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from vllm import LLM, RequestOutput, SamplingParams
from vllm.distributed.kv_transfer import ensure_kv_transfer_shutdown
from vllm.inputs import TokensPrompt

STEP_TOKENS = 2_048
"""Of a step: a longer prompt is read in several."""


@contextmanager
def engine(folder: Path, **choices: Any) -> Iterator[LLM]:  # noqa: ANN401 (vLLM's)
    """Gone in the end, and its memory free. Prompts are not found in a cache unless that is asked for."""
    defaults: dict[str, Any] = {"max_num_batched_tokens": STEP_TOKENS, "enable_prefix_caching": False, "enable_chunked_prefill": True}
    # What an earlier engine of this process had to move states stays with the process, and would be asked by this one.
    ensure_kv_transfer_shutdown()
    llm = LLM(str(folder), skip_tokenizer_init=True, disable_log_stats=False, **defaults | choices)
    try:
        yield llm
    finally:
        llm.llm_engine.engine_core.shutdown()
        del llm
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def prompt(length: int, vocabulary: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(vocabulary) for _ in range(length)]


def greedy(tokens: int, **more: Any) -> SamplingParams:  # noqa: ANN401 (vLLM's)
    return SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False, **more)


def ask(llm: LLM, texts: Sequence[Sequence[int]], choices: SamplingParams, salt: str | None = None) -> tuple[list[RequestOutput], float]:
    """Answers, and the seconds until the last token of all."""
    prompts = [TokensPrompt(prompt_token_ids=list(text)) for text in texts]
    for one in prompts if salt is not None else ():
        one["cache_salt"] = str(salt)
    begin = time.perf_counter()
    outputs = llm.generate(prompts, choices, use_tqdm=False)
    return outputs, time.perf_counter() - begin
