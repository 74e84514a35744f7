"""How the next token is chosen; ranges are those of `workers/contracts/engine.ts`."""

import math
import struct
from dataclasses import dataclass

from spikingbrain.rules import ConfigError, require_count

MOST_SEED = 2**64 - 1
SMALLEST_PENALTY = 1e-150
"""Penalties smaller than this divide as this one does: what they divide is further apart than any weight reaches either way, and f64
holds it."""
_LARGEST_F32 = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    temperature: float = 0.0
    """0 is greedy."""
    top_k: int = 0
    """0 keeps all."""
    top_p: float = 1.0
    """1 keeps all."""
    min_p: float = 0.0
    """0 keeps all."""
    repetition_penalty: float = 1.0
    """1 is off; applies to prompt and output."""
    presence_penalty: float = 0.0
    """Of a token that the output has."""
    frequency_penalty: float = 0.0
    """For each time that the output has it."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Token and addend."""
    seed: int = 0
    min_tokens: int = 0
    """Stop tokens are out of reach before the output has so many."""
    stop_tokens: tuple[int, ...] = ()

    def check(self, vocabulary: int) -> None:
        """Raises ConfigError that names field, rule and value."""
        _check_range("temperature", self.temperature, 0.0, 2.0)
        require_count("top_k", self.top_k, least=0)
        _check_range("top_p", self.top_p, 0.0, 1.0, has_low=False)
        _check_range("min_p", self.min_p, 0.0, 1.0)
        _check_range("repetition_penalty", self.repetition_penalty, 0.0, 2.0, has_low=False)
        _check_range("presence_penalty", self.presence_penalty, -2.0, 2.0)
        _check_range("frequency_penalty", self.frequency_penalty, -2.0, 2.0)
        for token, bias in self.logit_bias:
            require_count("logit_bias", token, least=0, most=vocabulary - 1)
            _check_range("logit_bias", bias, -100.0, 100.0)
        require_count("seed", self.seed, least=0, most=MOST_SEED)
        require_count("min_tokens", self.min_tokens, least=0)
        for token in self.stop_tokens:
            require_count("stop_tokens", token, least=0, most=vocabulary - 1)

    @property
    def is_greedy(self) -> bool:
        return f32(self.temperature) == 0.0

    @property
    def subtracts(self) -> bool:
        return f32(self.presence_penalty) != 0.0 or f32(self.frequency_penalty) != 0.0

    @property
    def adjusts(self) -> bool:
        """Whether bias or penalties move logits."""
        return bool(self.logit_bias) or self.repetition_penalty != 1.0 or self.subtracts

    @property
    def penalty(self) -> float:
        return max(self.repetition_penalty, SMALLEST_PENALTY)

    def reach(self, output: int) -> float:
        """Finite logits as large as this may leave f32 by bias and penalties, when the output has so many tokens: an f32 number. Half of
        what f32 holds, so that no step's rounding matters."""
        biases = 0.0
        for _, bias in self.logit_bias:
            biases += abs(f32(bias))
        subtracted = abs(f32(self.presence_penalty)) + abs(f32(self.frequency_penalty)) * output
        return f32((_LARGEST_F32 / 2.0 - subtracted) * min(self.penalty, 1.0 / self.penalty) - biases)


def f32(value: float) -> float:
    """Rounded to f32."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def _check_range(field: str, value: float, low: float, high: float, *, has_low: bool = True) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (low < value <= high or (has_low and value == low)):
        raise ConfigError(field, f"a number {'from' if has_low else 'above'} {low:g} and at most {high:g}", value)
