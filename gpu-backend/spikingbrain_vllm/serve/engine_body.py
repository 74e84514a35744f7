"""What vLLM is asked instead of what a replica was asked: the choice of tokens is ours (`spikingbrain_vllm.sampling`), so that an answer is
the one that any other replica and the WASM engine would give."""

import json
import secrets
from typing import Any

from spikingbrain.sampling.settings import f32

from spikingbrain_vllm.sampling.request import FIELD
from spikingbrain_vllm.serve.generate_request import Generate, Sampling
from spikingbrain_vllm.telemetry.tally import FIELD as SPIKES
from spikingbrain_vllm.telemetry.tally import new_key

_PASSED_ON = {
    *("max_tokens", "stop_token_ids", "ignore_eos", "logprobs", "prompt_logprobs", "allowed_token_ids", "detokenize"),
    "structured_outputs",
}


def engine_body(asked: Generate) -> bytes:
    """JSON. The likeliest token of untouched logits is vLLM's own choice, which costs nothing more."""
    sampling = asked.sampling_params
    params: dict[str, Any] = sampling.model_dump(by_alias=True, exclude_unset=True, include=_PASSED_ON) | {"temperature": 0}
    extra_args: dict[str, Any] = {} if _is_plain(sampling) else {FIELD: _chosen_here(sampling)}
    if asked.count_spikes:
        extra_args[SPIKES] = new_key()
    if extra_args:
        params["extra_args"] = extra_args
    body = asked.model_dump(by_alias=True, exclude_unset=True, exclude={"sampling_params", "count_spikes"})
    return json.dumps(body | {"sampling_params": params}).encode()


def _is_plain(sampling: Sampling) -> bool:
    penalties = (sampling.presence_penalty, sampling.frequency_penalty, sampling.repetition_penalty)
    is_untouched = penalties == (0.0, 0.0, 1.0) and not sampling.logit_bias and sampling.min_tokens <= sampling.continued
    # A text that is held to a grammar begins where the earlier attempt's tokens do.
    goes_on = sampling.structured_outputs is not None and sampling.continued > 0
    return is_untouched and not sampling.banned_token_series and not goes_on and f32(sampling.temperature) == 0.0


def _chosen_here(sampling: Sampling) -> dict[str, Any]:
    banned = {"banned_series": sampling.banned_token_series} if sampling.banned_token_series else {}
    return banned | {
        "temperature": sampling.temperature,
        "top_k": max(0, sampling.top_k),
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "logit_bias": [[int(token), bias] for token, bias in (sampling.logit_bias or {}).items()],
        "min_tokens": sampling.min_tokens,
        "continued": sampling.continued,
        "seed": secrets.randbits(64) if sampling.seed is None else sampling.seed,
    }
