"""Typed look-ups in a GGUF's metadata: an error names the key, the rule and the value (`wasm/engine/src/config/keys.rs`)."""

from collections.abc import Mapping
from typing import Any, TypeVar

from spikingbrain.config import MAX_WIDTH

from .errors import CheckpointError

ARCHITECTURE = "spikingbrain"
ARCHITECTURES = (ARCHITECTURE, "llama", "qwen2")
SHOWN_CHARACTERS = 80
# Of a float32 that is not subnormal.
SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, (2.0 - 2.0**-23) * 2.0**127

T = TypeVar("T")


class Keys:
    """Typed look-ups below the architecture's prefix."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata
        self.architecture = metadata.get("general.architecture")
        if self.architecture not in ARCHITECTURES:
            raise CheckpointError(f"general.architecture must be one of {', '.join(ARCHITECTURES)}; it is {shown(self.architecture)}")

    def wrong(self, key: str, rule: str, value: object) -> CheckpointError:
        return CheckpointError(f"{self.architecture}.{key} must be {rule}; it is {shown(value)}")

    def has(self, key: str) -> bool:
        return f"{self.architecture}.{key}" in self._metadata

    def get(self, key: str, kind: type, default: Any = None) -> Any:  # noqa: ANN401 (the type is the argument's)
        value = self._metadata.get(f"{self.architecture}.{key}", default)
        if type(value) is not kind:
            raise self.wrong(key, f"a value of type {kind.__name__}", value)
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 1, most: int = MAX_WIDTH) -> int:
        """The bounds are those of a value that the file gives; a default may lie outside."""
        value = self._metadata.get(f"{self.architecture}.{key}")
        if value is None and default is not None:
            return default
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"an integer from {least} to {most}", value)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A positive one that is of normal size as f32."""
        value = self._metadata.get(f"{self.architecture}.{key}", default)
        if type(value) is not float or not SMALLEST_FLOAT <= value <= LARGEST_FLOAT:
            raise self.wrong(key, "a positive number of normal size", value)
        return value

    def strings(self, key: str, count: int, default: list[str] | None) -> list[str]:
        value: list[str] = self.get(key, list, default)
        if len(value) != count or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, f"an array of {count} strings", value)
        return value


def value_of(metadata: Mapping[str, Any], key: str, kind: type[T], rule: str) -> T | None:
    """The value of a key of any architecture; None where there is none. `rule` says in the message what it must be."""
    value = metadata.get(key)
    if value is None or type(value) is kind:
        return value
    raise CheckpointError(f"{key} must be {rule}; it is {shown(value)}")


def token_of(metadata: Mapping[str, Any], key: str, vocabulary: int) -> int | None:
    """The token that a key names; None where there is none."""
    token = value_of(metadata, key, int, rule := f"an integer below the vocabulary's {vocabulary}")
    if token is None or 0 <= token < vocabulary:
        return token
    raise CheckpointError(f"{key} must be {rule}; it is {token}")


def shown(value: object) -> str:
    """A value of a file as a message shows it."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
