"""An engine's answers against the reference's, in the type and with the graphs that are used to serve."""

from pathlib import Path
from typing import Any

import torch
from spikingbrain.checkpoint.loading import model_of
from spikingbrain.checkpoint.opening import open_checkpoint
from spikingbrain.config import Config

from spikingbrain_vllm.verify.engine import ask, engine, greedy, prompt

LOG_PROBABILITY = {"float32": 5e-3, "bfloat16": 0.25}
"""Largest distance from the f32 reference's log-probabilities. A GPU's f32 is TF32 in products."""


def measure_equality(
    folder: Path,
    config: Config,
    lengths: list[int],
    tokens: int,
    dtype: str,
    *,
    eager: bool,
    device: str,
    **choices: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Log-probabilities of all prompts' and answers' tokens, and how many answered tokens are not the reference's likeliest."""
    texts = [prompt(length, config.vocabulary, 10 + index) for index, length in enumerate(lengths)]
    longest = max(lengths) + tokens + 1
    with engine(folder, dtype=dtype, max_model_len=longest, max_num_seqs=len(texts), enforce_eager=eager, **choices) as llm:
        outputs, seconds = ask(llm, texts, greedy(tokens, logprobs=1, prompt_logprobs=0))
    with torch.inference_mode():
        reference = model_of(open_checkpoint(folder), dtype=torch.float32, device=device)
        furthest, others = 0.0, 0
        for text, output in zip(texts, outputs, strict=True):
            answered = output.outputs[0]
            whole = [*text, *answered.token_ids]
            expected = reference.logits(torch.tensor(whole, device=device)).log_softmax(dim=-1)
            told = [*(output.prompt_logprobs or [None] * len(text)), *(answered.logprobs or [])]
            for place, (token, of_token) in enumerate(zip(whole, told, strict=True)):
                if of_token is not None and place > 0:
                    furthest = max(furthest, abs(of_token[token].logprob - float(expected[place - 1, token])))
            others += sum(int(expected[len(text) + at - 1].argmax()) != token for at, token in enumerate(answered.token_ids))
    answers = [list(output.outputs[0].token_ids) for output in outputs]
    ok = furthest <= LOG_PROBABILITY[dtype]
    return {"type": dtype, "eager": eager, "furthest": furthest, "other_tokens": others, "answers": answers, "seconds": seconds, "ok": ok}
