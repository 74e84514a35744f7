"""Requests that are sampled by our rule, and the reference's tokens for them."""

from collections.abc import Sequence
from typing import Any

from spikingbrain.model.model import Model
from spikingbrain.sampling.generate import generate
from spikingbrain.sampling.settings import Sampling
from spikingbrain_vllm.sampling.request import FIELD
from vllm import LLM, RequestOutput, SamplingParams
from vllm.inputs import TokensPrompt

SETTINGS: list[dict[str, Any]] = [
    {"temperature": 1.0, "seed": 1},
    {"temperature": 0.8, "top_p": 0.9, "seed": 2**64 - 1},
    {"temperature": 1.3, "top_k": 7, "seed": str(2**40)},
    {"temperature": 1.0, "min_p": 0.2, "seed": 4, "repetition_penalty": 1.3},
    {"temperature": 1.5, "top_k": 40, "top_p": 0.8, "min_p": 0.01, "seed": 5, "presence_penalty": 0.7, "frequency_penalty": 0.3},
    {"temperature": 0.7, "seed": 6, "logit_bias": [[3, 8.0], [4, -100.0]], "min_tokens": 4},
    {"repetition_penalty": 1.2, "frequency_penalty": 0.5},
]
TOKENS = 24


def parameters(settings: dict[str, Any], tokens: int = TOKENS, **more: Any) -> SamplingParams:  # noqa: ANN401
    args = {FIELD: settings}
    return SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False, extra_args=args, **more)


def ask(llm: LLM, texts: Sequence[Sequence[int]], params: Sequence[SamplingParams]) -> list[RequestOutput]:
    return llm.generate([TokensPrompt(prompt_token_ids=list(text)) for text in texts], list(params), use_tqdm=False)


def tokens_of(output: RequestOutput) -> list[int]:
    return list(output.outputs[0].token_ids)


def expected(model: Model, text: Sequence[int], settings: dict[str, Any], tokens: int = TOKENS, stops: tuple[int, ...] = ()) -> list[int]:
    given = {name: value for name, value in settings.items() if name not in ("continued", "seed", "logit_bias")}
    biases = tuple((token, bias) for token, bias in settings.get("logit_bias", []))
    sampling = Sampling(**given, seed=int(settings.get("seed", 0)), logit_bias=biases, stop_tokens=stops)
    return generate(model, text, sampling, tokens, settings.get("continued", 0))
