"""What the scheduler's side of the connector tells the ranks' side, and back."""

from dataclasses import dataclass, field

from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorMetadata, KVConnectorWorkerMetadata

from spikingbrain_vllm.state.place import Blocks


@dataclass(frozen=True)
class Export:
    """When the step is done: write what the request has read by then into a file that has its length and header already."""

    file: str
    """Its name in the store; no two exports have the same."""
    request: str
    tokens: int
    """Of the text."""
    blocks: Blocks
    is_last: bool
    """Whether the request has ended, and its blocks are kept for this."""


@dataclass(frozen=True)
class Import:
    request: str
    file: str
    digest: str
    tokens: int
    """Of the text that its state has read, as the scheduler counts them."""
    local: int
    """Leading tokens that it has without the file, in blocks that it shares."""
    blocks: Blocks


@dataclass
class Transfers(KVConnectorMetadata):
    """Of one step."""

    exports: list[Export] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)


@dataclass
class Reports(KVConnectorWorkerMetadata):
    """Of one rank, or of several together: for each export one string for each rank that has done its part: what went
    wrong there, or nothing."""

    exports: dict[str, list[str]] = field(default_factory=dict)

    def aggregate(self, other: KVConnectorWorkerMetadata) -> "Reports":
        assert isinstance(other, Reports)
        both = {name: [*self.exports.get(name, []), *other.exports.get(name, [])] for name in {**self.exports, **other.exports}}
        return Reports(both)
