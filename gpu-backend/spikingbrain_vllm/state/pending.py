"""A state that the ranks are writing."""

from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field

from spikingbrain_vllm.state.digests import file_digest
from spikingbrain_vllm.state.refusal import RefusalError
from spikingbrain_vllm.state.store.store import StateStore
from spikingbrain_vllm.state.ticket import Ticket
from spikingbrain_vllm.state.tokens import Prefix, token_digest


@dataclass
class PendingExport:
    ticket: Ticket
    file: str
    position: int
    tokens: int
    missing: int
    """Ranks that have not written their parts."""
    threads: Executor
    problems: list[str] = field(default_factory=list)
    digest: Future[str] | None = None

    def done_by_ranks(self, told: list[str]) -> None:
        """One string for each rank: what went wrong there, or nothing."""
        self.problems += [problem for problem in told if problem]
        self.missing -= len(told)

    def settle(self, store: StateStore) -> bool:
        """Publishes the state, or says why there is none, once that is known. Raises OSError where the store cannot be used."""
        handle = self.ticket.export_handle
        assert handle is not None
        if self.missing > 0:
            return False
        request = self.ticket.request
        if not self.problems and self.tokens > request.num_tokens:
            # A step may run before the token that it reads is known here; where the request has ended, it never will be.
            if not request.is_finished():
                return False
            self.problems.append("the request was ended while a step was reading its next token")
        if self.problems:
            store.discard(self.file)
            store.fail(self.ticket.tenant, handle, self.problems[0])
            return True
        if self.digest is None:
            # Beside the engine's steps: a file may be large.
            self.digest = self.threads.submit(file_digest, store.directory.path / self.file)
        if not self.digest.done():
            return False
        if self.digest.exception() is not None:
            store.fail(self.ticket.tenant, handle, "the state was removed while it was written")
            return True
        text = Prefix(self.tokens, token_digest(request.all_token_ids[: self.tokens]))
        # A handle that was deleted meanwhile gets nothing, and the draft goes too.
        with suppress(RefusalError):
            store.publish(self.ticket.tenant, handle, self.file, self.digest.result(), self.position, (text,), again=True)
        return True
