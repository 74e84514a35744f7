"""What one request has asked of states, and what has become of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikingbrain_vllm.state.refusal import RefusalError
from spikingbrain_vllm.state.request import StateParameters
from spikingbrain_vllm.state.store.store import StateStore

if TYPE_CHECKING:
    from vllm.v1.request import Request


UNAVAILABLE = "the store of states cannot be used at present"


@dataclass
class Ticket:
    request: "Request"
    parameters: StateParameters | None
    refused: str = ""
    """Why it is computed without the state."""
    file: str = ""
    """Of the state that it starts from, once its text is known to be the prompt's beginning."""
    digest: str = ""
    tokens: int = 0
    """Of that text."""
    is_loading: bool = False
    """Whether its blocks hold nothing yet, though the scheduler counts their tokens."""

    @property
    def tenant(self) -> str:
        return "" if self.parameters is None else self.parameters.tenant

    @property
    def export_handle(self) -> str | None:
        return None if self.parameters is None else self.parameters.export_handle

    def is_ordered(self, store: StateStore) -> bool:
        return self.export_handle is not None and store.is_ordered(self.tenant, self.export_handle)

    def match(self, store: StateStore, local: int, *, caches_prefixes: bool) -> int:
        """How many tokens behind the first `local` ones the state has; asked anew whenever the request is to begin."""
        handle = None if self.parameters is None else self.parameters.import_handle
        if handle is None or self.refused:
            return 0
        try:
            self._check(store, handle, caches_prefixes=caches_prefixes)
        except RefusalError as refusal:
            self.fail(refusal.message)
            return 0
        except OSError:
            self.fail(UNAVAILABLE)
            return 0
        return max(0, self.tokens - local)

    def fail(self, why: str) -> None:
        self.refused, self.file, self.tokens = why, "", 0

    def report(self, exported: int | None) -> dict[str, Any]:
        """For the answer's `kv_transfer_params`."""
        return {
            "imported_tokens": self.tokens,
            "import_refused": self.refused or None,
            "exported_tokens": exported,
        }

    def _check(self, store: StateStore, handle: str, *, caches_prefixes: bool) -> None:
        record = store.find(self.tenant, handle)
        if record.status != "ready" or record.text is None:
            raise RefusalError("state_not_ready", "the state is not there yet")
        if caches_prefixes and not self.request.cache_salt:
            # A prefix cache without salt is everybody's, and a state is what its tenant says it is.
            raise RefusalError("state_invalid", "a request that starts from a state must have a cache_salt where prefixes are cached")
        if record.text.tokens >= self.request.num_tokens:
            raise RefusalError("state_invalid", f"the prompt must be longer than the {record.text.tokens} tokens that the state has read")
        if self.file != record.file:
            text = self.request.all_token_ids
            if not all(prefix.begins(text) for prefix in record.prefixes):
                raise RefusalError("state_invalid", "the prompt must begin with the tokens that the state has read")
            self.file, self.digest, self.tokens = record.file, record.digest, record.text.tokens
