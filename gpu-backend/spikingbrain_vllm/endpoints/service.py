"""What the routes do, for one replica."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

from spikingbrain.state.rows import StateError

from spikingbrain_vllm.endpoints.keys import Keys
from spikingbrain_vllm.state.digests import file_digest
from spikingbrain_vllm.state.model_identity import ModelIdentity
from spikingbrain_vllm.state.refusal import RefusalError
from spikingbrain_vllm.state.request import HANDLE
from spikingbrain_vllm.state.store.incoming import IncomingFile
from spikingbrain_vllm.state.store.record import Record
from spikingbrain_vllm.state.store.store import StateStore
from spikingbrain_vllm.state.tokens import Prefix

DIGEST_BYTES = 32
UPLOADS = 8
"""At once: each is checked whole in memory."""
STALLED_SECONDS = 30.0
POLL_SECONDS = 0.01
SWEEP_SECONDS = 10.0
SHA256 = re.compile(r"[0-9a-f]{64}")


class StateService:
    def __init__(self, store: StateStore, identity: ModelIdentity, keys: Keys) -> None:
        self.store = store
        self.keys = keys
        self.sweeping: asyncio.Task[None] | None = None
        self.stalled_seconds = STALLED_SECONDS
        self._identity = identity
        self._uploads = 0

    async def sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self.store.limits.lifetime_seconds / 4))
            await asyncio.to_thread(self.store.sweep)

    def find(self, tenant: str, handle: str) -> Record:
        """Raises RefusalError, the same one for whatever is not there and whatever is not this tenant's."""
        if not HANDLE.fullmatch(handle):
            raise RefusalError("state_unknown", "there is no state with this handle")
        return self.store.find(tenant, handle)

    async def put(
        self, tenant: str, handle: str, chunks: AsyncIterator[bytes], *, digest: str | None, text: str, from_page: int, base: str | None
    ) -> Record:
        """`digest` is the SHA-256 of the bytes that come, or None where its 32 bytes come behind them; `text` that of the tokens that the
        state has read; `base` has the pages before `from_page`. Raises RefusalError."""
        if self.find(tenant, handle).file:
            raise RefusalError("state_taken", "a handle must have no state before it is given one; this one has")
        base_record = None if base is None else self._ready(self.find(tenant, base))
        if self._uploads >= UPLOADS:
            raise RefusalError("too_many_uploads", f"at most {UPLOADS} states may come at once; try again")
        self._uploads += 1
        incoming = IncomingFile(self.store, from_page, digest, self._identity.check_header)
        try:
            await self._receive(chunks, incoming, follows=digest is None)
            return await asyncio.to_thread(self._publish, tenant, handle, incoming, base_record, text)
        except BaseException:
            incoming.abandon()
            raise
        finally:
            self._uploads -= 1

    async def ready(self, tenant: str, handle: str, seconds: float) -> Record:
        """Waits until the engine has written the state. Raises RefusalError where it has not."""
        end = time.monotonic() + seconds
        while (record := self.find(tenant, handle)).status == "empty" and time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
        return self._ready(record)

    async def snapshot(self, tenant: str, handle: str, seconds: float) -> Record:
        """The state of the running request that has this handle, as it is after one of its next steps. Raises RefusalError."""
        before = self.find(tenant, handle)
        self.store.order(tenant, handle)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(POLL_SECONDS)
            record = self.find(tenant, handle)
            if record.file != before.file:
                return record
            if record.problem and not self.store.is_ordered(tenant, handle):
                raise RefusalError("export_failed", record.problem)
        self.store.withdraw(tenant, handle)
        raise RefusalError("not_running", "no running request exports to this handle")

    def _ready(self, record: Record) -> Record:
        if record.status == "failed":
            raise RefusalError("export_failed", record.problem)
        if record.status != "ready":
            raise RefusalError("state_not_ready", "the state is not there yet")
        return record

    async def _receive(self, chunks: AsyncIterator[bytes], incoming: IncomingFile, *, follows: bool) -> None:
        held = b""
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks), self.stalled_seconds)
            except StopAsyncIteration:
                break
            except TimeoutError as error:
                raise RefusalError("upload_stalled", f"a chunk must come within {self.stalled_seconds:g} seconds") from error
            if follows:
                # The last bytes so far may be the digest's.
                chunk, held = (held + chunk)[:-DIGEST_BYTES], (held + chunk)[-DIGEST_BYTES:]
            if chunk:
                incoming.feed(chunk)
        if follows:
            incoming.digest = held.hex()

    def _publish(self, tenant: str, handle: str, incoming: IncomingFile, base: Record | None, text: str) -> Record:
        path: Path | None = None if base is None else self.store.path(base)
        name, frame = incoming.finish(path)
        try:
            self._identity.check_file(self.store.directory.path / name)
        except StateError as error:
            raise RefusalError("state_invalid", str(error)) from error
        own = Prefix(frame.position - self._identity.config.learned_sinks, text)
        prefixes = (*(base.prefixes if base is not None else ()), own)
        if any(prefix.tokens > own.tokens for prefix in prefixes):
            raise RefusalError("state_invalid", f"base must have read at most the {own.tokens} tokens of the state; it has read more")
        return self.store.publish(
            tenant, handle, name, file_digest(self.store.directory.path / name), frame.position, prefixes, again=False
        )
