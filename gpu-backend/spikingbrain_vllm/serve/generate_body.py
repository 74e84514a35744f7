"""Whether a request's body asks for what a replica does, and what vLLM is asked then."""

from typing import Any

from pydantic import ValidationError

from spikingbrain_vllm.serve.engine_body import engine_body
from spikingbrain_vllm.serve.errors import Refusal
from spikingbrain_vllm.serve.generate_request import Generate, Sampling


class BodyCheck:
    def __init__(
        self, model: str, vocabulary: int, context: int, *, has_tokenizer: bool, has_states: bool, counts_spikes: bool = False
    ) -> None:
        self._model, self._vocabulary, self._context = model, vocabulary, context
        self._has_tokenizer, self._has_states, self._counts_spikes = has_tokenizer, has_states, counts_spikes

    def __call__(self, body: bytes) -> bytes:
        """What vLLM is asked instead (`engine_body.py`). Raises Refusal that names field and rule."""
        try:
            asked = Generate.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            name = ".".join(map(str, first["loc"])) or "body"
            raise _wrong(name, f"{name}: {first['msg']}") from error
        if asked.model is not None and asked.model != self._model:
            raise Refusal(404, "model_not_found", f"model must be {self._model!r}", "model")
        sampling = asked.sampling_params
        tokens = [("token_ids", asked.token_ids), ("sampling_params.stop_token_ids", sampling.stop_token_ids or [])]
        tokens.append(("sampling_params.allowed_token_ids", sampling.allowed_token_ids or []))
        tokens += [("sampling_params.banned_token_series", series) for series in sampling.banned_token_series or []]
        for name, ids in tokens:
            if ids and max(ids) >= self._vocabulary:
                raise _wrong(name, f"{name} must each be below the vocabulary's {self._vocabulary}; one is {max(ids)}")
        self._check_counts(len(asked.token_ids), sampling)
        for key in sampling.logit_bias or {}:
            if not (key.isascii() and key.isdecimal() and len(key) < 10 and int(key) < self._vocabulary):
                raise _wrong("sampling_params.logit_bias", f"sampling_params.logit_bias must have token ids below {self._vocabulary}")
        if not self._has_tokenizer and (sampling.structured_outputs is not None or sampling.detokenize):
            name = "structured_outputs" if sampling.structured_outputs is not None else "detokenize"
            rule = "must be absent" if name == "structured_outputs" else "must be false"
            raise _wrong(f"sampling_params.{name}", f"sampling_params.{name} {rule}: this model has no tokenizer")
        self._check_states(asked.kv_transfer_params)
        if asked.count_spikes and not self._counts_spikes:
            raise _wrong(
                "count_spikes", "count_spikes must be false: this replica counts none (serve's --count-spikes, and a model that spikes)"
            )
        return engine_body(asked)

    def _check_counts(self, prompt: int, sampling: Sampling) -> None:
        if prompt + sampling.max_tokens > self._context:
            message = f"token_ids and max_tokens together must be at most {self._context}; they are {prompt} and {sampling.max_tokens}"
            raise Refusal(400, "context_length_exceeded", message, "token_ids")
        if sampling.continued > prompt:
            name = "sampling_params.continued"
            raise _wrong(name, f"{name} must be at most the {prompt} token_ids; it is {sampling.continued}")
        most = sampling.continued + sampling.max_tokens
        if sampling.min_tokens > most:
            name = "sampling_params.min_tokens"
            raise _wrong(name, f"{name} must be at most max_tokens and continued together, {most}; it is {sampling.min_tokens}")

        allowed, stops = sampling.allowed_token_ids, set(sampling.stop_token_ids or [])
        if sampling.min_tokens > sampling.continued and allowed is not None and stops.issuperset(allowed):
            name = "sampling_params.allowed_token_ids"
            raise _wrong(name, f"{name} must have a token that is no stop token where min_tokens is to be reached")

    def _check_states(self, parameters: dict[Any, dict[str, str]] | None) -> None:
        if parameters is None:
            return
        if not self._has_states:
            raise _wrong("kv_transfer_params", "kv_transfer_params must be absent: this replica moves no states")
        from spikingbrain_vllm.state.request import StateParameters

        try:
            StateParameters.of(parameters)
        except ValueError as error:
            raise _wrong("kv_transfer_params", str(error)) from error


def _wrong(name: str, message: str) -> Refusal:
    return Refusal(400, "invalid_request", message, name)
