"""What the store knows of one state, as the JSON beside its file."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from spikingbrain_vllm.state.tokens import Prefix

Status = Literal["empty", "ready", "failed"]


@dataclass(frozen=True)
class Record:
    model: str
    """Which model's states: `ModelIdentity.digest`."""
    expires: float
    """Seconds since 1970."""
    status: Status = "empty"
    problem: str = ""
    """Why an export failed; a state that was there before it stays."""
    file: str = ""
    """Its name in the directory."""
    bytes: int = 0
    digest: str = ""
    """SHA-256 of the file."""
    position: int = 0
    """Tokens read, learned sinks included."""
    prefixes: tuple[Prefix, ...] = ()
    """Texts that it begins with: of its bases, and last the one that it has read."""

    @property
    def text(self) -> Prefix | None:
        """All that it has read."""
        return self.prefixes[-1] if self.prefixes else None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Record":
        fields = json.loads(text)
        prefixes = tuple(Prefix(**one) for one in fields.pop("prefixes"))
        return Record(**fields, prefixes=prefixes)
