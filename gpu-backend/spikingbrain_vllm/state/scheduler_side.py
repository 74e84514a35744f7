"""The connector in the scheduler: which request starts from which state, and when whose state is written where."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vllm.logger import init_logger

from spikingbrain_vllm.state.messages import Export, Import, Reports, Transfers
from spikingbrain_vllm.state.model_identity import ModelIdentity
from spikingbrain_vllm.state.pending import PendingExport
from spikingbrain_vllm.state.place import Blocks
from spikingbrain_vllm.state.refusal import RefusalError
from spikingbrain_vllm.state.request import FIELD, StateParameters
from spikingbrain_vllm.state.store.store import StateStore
from spikingbrain_vllm.state.ticket import UNAVAILABLE, Ticket

if TYPE_CHECKING:
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.request import Request

logger = init_logger(f"vllm.{__name__}")


class SchedulerSide:
    def __init__(self, store: StateStore, identity: ModelIdentity, *, ranks: int, caches_prefixes: bool) -> None:
        self._store = store
        self._identity = identity
        self._ranks = ranks
        self._caches_prefixes = caches_prefixes
        self._tickets: dict[str, Ticket] = {}
        self._next = Transfers()
        self._pending: dict[str, PendingExport] = {}
        self._renewed = time.monotonic()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="state")

    def begins(self, request: "Request") -> None:
        try:
            parameters = StateParameters.of(request.kv_transfer_params)
        except ValueError as error:
            self._tickets[request.request_id] = Ticket(request, None, refused=str(error))
            if not isinstance(request.kv_transfer_params, dict):
                # vLLM asks it for fields of its own next, and would end with the engine.
                request.kv_transfer_params = None
            logger.warning("A request's states are left alone: %s", error)
            return
        if parameters is not None:
            self._tickets[request.request_id] = Ticket(request, parameters)

    def match(self, request: "Request", local: int) -> int:
        """How many tokens behind the first `local` ones come from a state."""
        ticket = self._tickets.get(request.request_id)
        return 0 if ticket is None else ticket.match(self._store, local, caches_prefixes=self._caches_prefixes)

    def allocated(self, request: "Request", blocks: Blocks, external: int) -> None:
        """Blocks for what `match` has promised."""
        ticket = self._tickets.get(request.request_id)
        if ticket is None or external == 0:
            return
        ticket.is_loading = True
        self._next.imports.append(Import(request.request_id, ticket.file, ticket.digest, ticket.tokens, ticket.tokens - external, blocks))

    def promised(self, request: "Request") -> int:
        """Tokens of the text that the request's state has read."""
        ticket = self._tickets.get(request.request_id)
        return 0 if ticket is None else ticket.tokens

    def plan(self, output: "SchedulerOutput", blocks_of: Any) -> Transfers:  # noqa: ANN401
        """What the ranks do when this step is done; `blocks_of` gives a request's blocks by its id."""
        for name, scheduled in output.num_scheduled_tokens.items():
            ticket = self._tickets.get(name)
            if ticket is not None and self._is_ordered(ticket) and not self._is_writing(ticket):
                # The scheduler counts this step's tokens only after it has planned it.
                self._export(ticket, ticket.request.num_computed_tokens + scheduled, blocks_of(name), is_last=False)
        self._settle()
        self._renew()
        transfers, self._next = self._next, Transfers()
        return transfers

    def ends(self, request: "Request", blocks: Blocks) -> tuple[bool, dict[str, Any] | None]:
        """Whether the blocks are to be kept until its state is written, and what the answer says of states."""
        ticket = self._tickets.pop(request.request_id, None)
        if ticket is None:
            return False, None
        keeps = False
        if ticket.export_handle is not None:
            tokens = 0 if ticket.is_loading else request.num_computed_tokens
            if tokens == 0:
                self._fail(ticket, "the request ended before it had read anything")
            else:
                keeps = self._export(ticket, tokens, blocks, is_last=True)
        self._settle()
        return keeps, {FIELD: ticket.report(request.num_computed_tokens if keeps else None)}

    def reported(self, reports: Reports, imported: set[str], failed: set[str]) -> None:
        """What the ranks have done in a step; `imported` has the failed ones too."""
        for name in imported & set(self._tickets):
            self._tickets[name].is_loading = False
        for name in failed & set(self._tickets):
            self._tickets[name].fail("the state could not be read; the prompt was computed")
        for name, problems in reports.exports.items():
            if name in self._pending:
                self._pending[name].done_by_ranks(problems)
        self._settle()

    @property
    def is_writing(self) -> bool:
        return bool(self._pending)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for pending in self._pending.values():
            with suppress(OSError):
                self._store.discard(pending.file)
        self._pending.clear()

    def _is_writing(self, ticket: Ticket) -> bool:
        return any(pending.ticket is ticket for pending in self._pending.values())

    def _export(self, ticket: Ticket, tokens: int, blocks: Blocks, *, is_last: bool) -> bool:
        handle = ticket.export_handle
        assert handle is not None
        shape = self._identity.shape(tokens + self._identity.config.learned_sinks)
        try:
            self._store.find(ticket.tenant, handle)
            file, descriptor = self._store.draft(shape.file_bytes)
            try:
                os.pwrite(descriptor, shape.header(self._identity.digests), 0)
            finally:
                os.close(descriptor)
        except RefusalError as refusal:
            self._fail(ticket, refusal.message)
            return False
        except OSError:
            self._fail(ticket, UNAVAILABLE)
            return False
        self._pending[file] = PendingExport(ticket, file, shape.position, tokens, self._ranks, self._threads)
        self._next.exports.append(Export(file, ticket.request.request_id, tokens, blocks, is_last))
        return True

    def _is_ordered(self, ticket: Ticket) -> bool:
        try:
            return ticket.is_ordered(self._store)
        except OSError:
            return False

    def _fail(self, ticket: Ticket, problem: str) -> None:
        """Where not even that can be written down, its handle goes with the store."""
        if ticket.export_handle is not None:
            with suppress(OSError):
                self._store.fail(ticket.tenant, ticket.export_handle, problem)

    def _settle(self) -> None:
        for name, pending in list(self._pending.items()):
            try:
                is_settled = pending.settle(self._store)
            except OSError as error:
                logger.warning("A state is not kept: %s", type(error).__name__)
                is_settled = True
            if is_settled:
                del self._pending[name]

    def _renew(self) -> None:
        """States that running requests will have do not expire before."""
        now = time.monotonic()
        if now - self._renewed < self._store.limits.lifetime_seconds / 4:
            return
        self._renewed = now
        with suppress(OSError):
            for ticket in self._tickets.values():
                if ticket.export_handle is not None:
                    self._store.renew(ticket.tenant, ticket.export_handle)
            self._store.sweep()
