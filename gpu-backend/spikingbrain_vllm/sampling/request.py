"""What a request says of it, in `SamplingParams.extra_args`: `{"spikingbrain_sampling": {"temperature": 0.8, "seed": 7, "continued": 12}}`.

vLLM's own fields for the same must then say nothing: the processor leaves one token that can be chosen, which vLLM takes as the
likeliest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikingbrain.rules import ConfigError, require, require_count
from spikingbrain.sampling.settings import MOST_SEED, Sampling
from vllm import SamplingParams

FIELD = "spikingbrain_sampling"
PROCESSOR = "spikingbrain_vllm.sampling.processor:ChoosingProcessor"
LARGEST_VOCABULARY = 2**31
_NUMBERS = ("temperature", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
_COUNTS = ("top_k", "min_tokens")
_FIELDS = (*_NUMBERS, *_COUNTS, "logit_bias", "banned_series", "seed", "continued")
_NEUTRAL = {
    "temperature": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "min_tokens": 0,
    "logit_bias": None,
    "n": 1,
}


@dataclass(frozen=True)
class ChosenHere:
    sampling: Sampling
    continued: int
    """How many of the prompt's last tokens an earlier attempt at the same answer has sampled."""
    banned: tuple[tuple[int, ...], ...] = ()
    """Series of tokens that the output does not hold; none of them is empty."""

    @staticmethod
    def of(params: SamplingParams) -> "ChosenHere | None":
        """None where the request leaves the choice to vLLM. Raises ConfigError that names field, rule and value."""
        values = (params.extra_args or {}).get(FIELD)
        if values is None:
            return None
        require(isinstance(values, Mapping), FIELD, "an object", values)
        unknown = sorted(map(str, set(values) - set(_FIELDS)))
        require(not unknown, FIELD, f"an object with no field but {', '.join(_FIELDS)}", unknown)
        for name, neutral in _NEUTRAL.items():
            found = getattr(params, name)
            require(found == neutral or (neutral is None and not found), name, f"{neutral!r} beside {FIELD}", found)
        # Of the model's own ends those that end it: none where they are ignored.
        stops = {*(params.stop_token_ids or []), *([] if params.eos_token_id is None else [params.eos_token_id])}
        given: dict[str, Any] = {name: values[name] for name in (*_NUMBERS, *_COUNTS) if name in values}
        sampling = Sampling(
            **given,
            logit_bias=_biases(values.get("logit_bias", [])),
            seed=_seed(values.get("seed", 0)),
            stop_tokens=tuple(sorted(stops)),
        )
        sampling.check(LARGEST_VOCABULARY)
        continued = require_count("continued", values.get("continued", 0), least=0)
        return ChosenHere(sampling, continued, _series(values.get("banned_series", [])))


def _biases(pairs: object) -> tuple[tuple[int, float], ...]:
    rule = "a list of pairs of a token id and a number"
    require(isinstance(pairs, list | tuple), "logit_bias", rule, pairs)
    assert isinstance(pairs, list | tuple)
    for pair in pairs:
        require(isinstance(pair, list | tuple) and len(pair) == 2, "logit_bias", rule, pair)
    return tuple((pair[0], pair[1]) for pair in pairs)


def _series(lists: object) -> tuple[tuple[int, ...], ...]:
    rule = "a list of lists of at least one token id"
    require(isinstance(lists, list | tuple), "banned_series", rule, lists)
    assert isinstance(lists, list | tuple)
    for series in lists:
        require(isinstance(series, list | tuple) and len(series) > 0, "banned_series", rule, series)
        for token in series:
            require_count("banned_series", token, least=0)
    return tuple(tuple(series) for series in lists)


def _seed(seed: object) -> int:
    """A number, or its decimal digits where who sends it has no such number."""
    if isinstance(seed, str):
        if not (seed.isascii() and seed.isdecimal() and len(seed) <= 20):
            raise ConfigError("seed", f"decimal digits of an integer from 0 to {MOST_SEED}", seed)
        seed = int(seed)
    return require_count("seed", seed, least=0, most=MOST_SEED)
