"""What a request may ask of the engine. vLLM takes more, some of which reaches beyond the request; an unknown field is refused."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from spikingbrain_vllm.serve.errors import Refusal

MOST_STOPS = 64
MOST_BIASES = 1_024
MOST_LOGPROBS = 20
MOST_SCHEMA_CHARACTERS = 65_536

Token = Annotated[StrictInt, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Schema = Annotated[str, Field(max_length=MOST_SCHEMA_CHARACTERS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StructuredOutputs(_Strict):
    json_: Schema | dict[str, Any] | None = Field(default=None, alias="json")
    regex: Schema | None = None
    choice: Annotated[list[str], Field(max_length=MOST_STOPS)] | None = None
    grammar: Schema | None = None
    json_object: StrictBool | None = None


class Sampling(_Strict):
    n: Literal[1] = 1
    max_tokens: Annotated[StrictInt, Field(ge=1)]
    min_tokens: Annotated[StrictInt, Field(ge=0)] = 0
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    top_k: Annotated[StrictInt, Field(ge=-1, le=1_000_000)] = 0
    min_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, le=2, allow_inf_nan=False)] = 1.0
    seed: Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)] | None = None
    stop_token_ids: Annotated[list[Token], Field(max_length=MOST_STOPS)] | None = None
    ignore_eos: StrictBool = False
    logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_LOGPROBS)] | None = None
    prompt_logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_LOGPROBS)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=MOST_BIASES)] | None = None
    allowed_token_ids: Annotated[list[Token], Field(min_length=1)] | None = None
    detokenize: StrictBool = True
    structured_outputs: StructuredOutputs | None = None


class Generate(_Strict):
    model: str | None = None
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] | None = None
    token_ids: Annotated[list[Token], Field(min_length=1)]
    sampling_params: Sampling
    stream: StrictBool = False
    stream_options: dict[Literal["include_usage", "continuous_usage_stats"], StrictBool] | None = None
    return_token_ids: StrictBool | None = None
    cache_salt: Annotated[str, Field(min_length=1, max_length=1_024)] | None = None
    priority: Literal[0] = 0
    kv_transfer_params: dict[Literal["spikingbrain"], dict[str, str]] | None = None


class BodyCheck:
    def __init__(self, model: str, vocabulary: int, context: int, *, has_tokenizer: bool, has_states: bool) -> None:
        self._model, self._vocabulary, self._context = model, vocabulary, context
        self._has_tokenizer, self._has_states = has_tokenizer, has_states

    def __call__(self, body: bytes) -> None:
        """Raises Refusal that names field and rule."""
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
        for name, ids in tokens:
            if ids and max(ids) >= self._vocabulary:
                raise _wrong(name, f"{name} must each be below the vocabulary's {self._vocabulary}; one is {max(ids)}")
        self._check_length(len(asked.token_ids), sampling)
        for key in sampling.logit_bias or {}:
            if not (key.isascii() and key.isdecimal() and len(key) < 10 and int(key) < self._vocabulary):
                raise _wrong("sampling_params.logit_bias", f"sampling_params.logit_bias must have token ids below {self._vocabulary}")
        if not self._has_tokenizer and (sampling.structured_outputs is not None or sampling.detokenize):
            name = "structured_outputs" if sampling.structured_outputs is not None else "detokenize"
            rule = "must be absent" if name == "structured_outputs" else "must be false"
            raise _wrong(f"sampling_params.{name}", f"sampling_params.{name} {rule}: this model has no tokenizer")
        self._check_states(asked.kv_transfer_params)

    def _check_length(self, prompt: int, sampling: Sampling) -> None:
        if prompt + sampling.max_tokens > self._context:
            message = f"token_ids and max_tokens together must be at most {self._context}; they are {prompt} and {sampling.max_tokens}"
            raise Refusal(400, "context_length_exceeded", message, "token_ids")
        if sampling.min_tokens > sampling.max_tokens:
            name = "sampling_params.min_tokens"
            raise _wrong(name, f"{name} must be at most max_tokens, {sampling.max_tokens}; it is {sampling.min_tokens}")

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
