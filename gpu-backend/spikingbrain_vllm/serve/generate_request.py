"""What a request may ask of a replica. vLLM takes more, some of which reaches beyond the request; an unknown field is refused."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, StrictInt
from spikingbrain.sampling.settings import MOST_SEED

LEAST_SEED = -(2**63)
MOST_STOPS = 64
MOST_BIASES = 1_024
MOST_LOGPROBS = 21
"""20 alternatives, and the sampled token, which vLLM counts among them."""
MOST_SCORED = 128
"""Tokens that are scored by name; vLLM has room for no more."""
MOST_SCHEMA_CHARACTERS = 65_536
MOST_CHOICES = 1_024
MOST_BANNED_SERIES = 128
LONGEST_BANNED_SERIES = 64


def _seed(value: object) -> int:
    """64 bits, a negative number as its two's complement, which is how vLLM takes them; or decimal digits, since who sends it may have no
    such number."""
    is_digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(MOST_SEED))
    seed = int(value) if isinstance(value, str) and is_digits else value
    if isinstance(seed, bool) or not isinstance(seed, int) or not LEAST_SEED <= seed <= MOST_SEED:
        raise ValueError(f"must be an integer from {LEAST_SEED} to {MOST_SEED}, or its decimal digits")
    return seed & MOST_SEED


Token = Annotated[StrictInt, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]
Seed = Annotated[int, PlainValidator(_seed)]
Series = Annotated[list[Token], Field(min_length=1, max_length=LONGEST_BANNED_SERIES)]
Schema = Annotated[str, Field(max_length=MOST_SCHEMA_CHARACTERS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StructuredOutputs(_Strict):
    json_: Schema | dict[str, Any] | None = Field(default=None, alias="json")
    regex: Schema | None = None
    choice: Annotated[list[str], Field(max_length=MOST_CHOICES)] | None = None
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
    seed: Seed | None = None
    continued: Annotated[StrictInt, Field(ge=0)] = 0
    """How many of the last of `token_ids` an earlier attempt at the same answer has sampled: penalties, `min_tokens` and draws count them
    as output, `max_tokens` does not."""
    stop_token_ids: Annotated[list[Token], Field(max_length=MOST_STOPS)] | None = None
    ignore_eos: StrictBool = False
    logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_SCORED + 1)] | None = None
    logprob_token_ids: Annotated[list[Token], Field(min_length=1, max_length=MOST_SCORED)] | None = None
    prompt_logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_LOGPROBS)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=MOST_BIASES)] | None = None
    allowed_token_ids: Annotated[list[Token], Field(min_length=1)] | None = None
    banned_token_series: Annotated[list[Series], Field(max_length=MOST_BANNED_SERIES)] | None = None
    """The answer's last token is not chosen where those before it have been; vLLM's own `bad_words` are texts."""
    detokenize: StrictBool = True
    structured_outputs: StructuredOutputs | None = None


class Generate(_Strict):
    model: str | None = None
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] | None = None
    token_ids: Annotated[list[Token], Field(min_length=1)]
    sampling_params: Sampling
    stream: StrictBool = False
    count_spikes: StrictBool = False
    """The answer's end tells them, by layer and site."""
    stream_options: dict[Literal["include_usage", "continuous_usage_stats"], StrictBool] | None = None
    return_token_ids: StrictBool | None = None
    cache_salt: Annotated[str, Field(min_length=1, max_length=1_024)] | None = None
    priority: Literal[0] = 0
    kv_transfer_params: dict[Literal["spikingbrain"], dict[str, str]] | None = None
