"""What `kv_connector_extra_config` may say of states, checked when the engine starts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikingbrain.state.header import UNKNOWN, Digests

from spikingbrain_vllm.state.store.directory import default_directory
from spikingbrain_vllm.state.store.store import Limits

CONNECTOR = "SpikingBrainStateConnector"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COUNTS = ("state_bytes", "total_bytes", "states", "lifetime_seconds")


@dataclass(frozen=True)
class Settings:
    directory: Path = field(default_factory=default_directory)
    """Where states wait; all ranks of a replica must see the same."""
    key_file: Path | None = None
    """Holds the key that callers of the endpoints have."""
    digests: Digests = field(default_factory=Digests)
    limits: Limits = field(default_factory=Limits)

    @staticmethod
    def of(values: Mapping[str, Any]) -> "Settings":
        """Raises ValueError that names field, rule and value."""
        known = {"directory", "key_file", "weights_sha256", "tokenizer_sha256", *_COUNTS}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"kv_connector_extra_config: its fields must be of {', '.join(sorted(known))}; one is {unknown[0]!r}")
        default = Limits()
        counts = {name: _positive(name, values.get(name, getattr(default, name))) for name in _COUNTS}
        key_file = _path("key_file", values["key_file"]) if "key_file" in values else None
        return Settings(
            directory=_path("directory", values["directory"]) if "directory" in values else default_directory(),
            key_file=key_file,
            digests=Digests(_digest(values, "weights_sha256"), _digest(values, "tokenizer_sha256")),
            limits=Limits(int(counts["state_bytes"]), int(counts["total_bytes"]), int(counts["states"]), float(counts["lifetime_seconds"])),
        )


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a path; it is {value!r}")
    return Path(value)


def _positive(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"{name} must be a number above 0; it is {value!r}")
    return value


def _digest(values: Mapping[str, Any], name: str) -> bytes:
    value = values.get(name)
    if value is None:
        return UNKNOWN
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"{name} must be 64 hexadecimal digits in lower case; it is {value!r}")
    return bytes.fromhex(value)
