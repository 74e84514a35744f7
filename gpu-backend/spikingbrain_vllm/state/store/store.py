"""States under handles, each of one tenant and one model, for a bounded time and in bounded space."""

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from spikingbrain_vllm.state.refusal import RefusalError
from spikingbrain_vllm.state.store.directory import StoreDirectory
from spikingbrain_vllm.state.store.record import Record
from spikingbrain_vllm.state.tokens import Prefix

HANDLE_BYTES = 32
RECORD, STATE, ORDER = ".json", ".state", ".order"
DRAFT_SECONDS = 600
"""What no record names is somebody's unfinished file until then."""


@dataclass(frozen=True)
class Limits:
    state_bytes: int = 2**30
    """Of one state."""
    total_bytes: int = 2**33
    states: int = 10_000
    lifetime_seconds: float = 600.0


class StateStore:
    def __init__(self, directory: StoreDirectory, model: str, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        """`model` is whose states these are (`ModelIdentity.digest`); those of others are not found."""
        self.directory = directory
        self.limits = limits
        self._model = model
        self._clock = clock

    def create(self, tenant: str) -> tuple[str, Record]:
        """A handle that nobody can guess, for a state that is not there yet. Raises RefusalError where the store is full."""
        handle = secrets.token_urlsafe(HANDLE_BYTES)
        record = Record(model=self._model, expires=self._clock() + self.limits.lifetime_seconds)
        self.sweep()
        with self.directory.mutex():
            count = sum(name.endswith(RECORD) for name in self.directory.names())
            if count >= self.limits.states:
                raise RefusalError("store_full", f"the store holds at most {self.limits.states} states; it has {count}")
            self.directory.replace(_key(tenant, handle) + RECORD, record.to_json())
        return handle, record

    def find(self, tenant: str, handle: str) -> Record:
        """Raises RefusalError where there is none of this tenant and model."""
        record = self._read(_key(tenant, handle))
        if record is None:
            raise RefusalError("state_unknown", "there is no state with this handle")
        return record

    def path(self, record: Record) -> Path:
        return self.directory.path / record.file

    def draft(self, file_bytes: int) -> tuple[str, int]:
        """Name and descriptor of a new file of this length, whose memory is taken. Raises RefusalError where there is no room."""
        if file_bytes > self.limits.state_bytes:
            raise RefusalError("state_too_large", f"a state must have at most {self.limits.state_bytes} bytes; it has {file_bytes}")
        self.sweep()
        with self.directory.mutex():
            held = sum(self._size(name) for name in self.directory.names() if name.endswith(STATE))
            if held + file_bytes > self.limits.total_bytes:
                raise RefusalError("store_full", f"all states must have at most {self.limits.total_bytes} bytes; they have {held}")
            name = secrets.token_hex(HANDLE_BYTES) + STATE
            file = self.directory.create(name)
            try:
                os.posix_fallocate(file, 0, max(1, file_bytes))
                os.ftruncate(file, file_bytes)
            except OSError as error:
                os.close(file)
                self.directory.remove(name)
                raise RefusalError("store_full", f"there is no room for {file_bytes} bytes") from error
        return name, file

    def discard(self, name: str) -> None:
        self.directory.remove(name)

    def publish(
        self, tenant: str, handle: str, name: str, digest: str, position: int, prefixes: tuple[Prefix, ...], *, again: bool
    ) -> Record:
        """Gives a draft to a handle; `again` where it takes the place of an earlier one. Raises RefusalError where the handle is
        gone or has one; the draft then is removed."""
        key = _key(tenant, handle)
        with self.directory.mutex():
            before = self._read(key)
            if before is None or (before.file and not again):
                self.directory.remove(name)
                if before is None:
                    raise RefusalError("state_unknown", "there is no state with this handle")
                raise RefusalError("state_taken", "a handle must have no state before it is given one; this one has")
            record = replace(
                before, status="ready", problem="", file=name, digest=digest, bytes=self._size(name), position=position, prefixes=prefixes
            )
            record = replace(record, expires=self._clock() + self.limits.lifetime_seconds)
            self.directory.replace(key + RECORD, record.to_json())
            self.directory.remove(key + ORDER)
            if before.file:
                self.directory.remove(before.file)
        return record

    def fail(self, tenant: str, handle: str, problem: str) -> None:
        """Says why there is no state, or none that is newer."""
        key = _key(tenant, handle)
        with self.directory.mutex():
            before = self._read(key)
            if before is not None:
                record = replace(before, status="ready" if before.file else "failed", problem=problem)
                self.directory.replace(key + RECORD, record.to_json())
            self.directory.remove(key + ORDER)

    def delete(self, tenant: str, handle: str) -> None:
        """Raises RefusalError where there is none."""
        key = _key(tenant, handle)
        with self.directory.mutex():
            record = self._read(key)
            if record is None:
                raise RefusalError("state_unknown", "there is no state with this handle")
            self._forget(key, record)

    def renew(self, tenant: str, handle: str) -> None:
        """For as long again, where it is still there."""
        key = _key(tenant, handle)
        with self.directory.mutex():
            record = self._read(key)
            if record is not None:
                record = replace(record, expires=self._clock() + self.limits.lifetime_seconds)
                self.directory.replace(key + RECORD, record.to_json())

    def order(self, tenant: str, handle: str) -> None:
        """Asks the engine for the state of the running request that has this handle."""
        self.find(tenant, handle)
        self.directory.replace(_key(tenant, handle) + ORDER, "")

    def is_ordered(self, tenant: str, handle: str) -> bool:
        return (self.directory.path / (_key(tenant, handle) + ORDER)).exists()

    def withdraw(self, tenant: str, handle: str) -> None:
        self.directory.remove(_key(tenant, handle) + ORDER)

    def sweep(self) -> None:
        """Removes what has expired, and what nobody has a record of any more."""
        now = self._clock()
        with self.directory.mutex():
            named = set()
            names = self.directory.names()
            for name in names:
                if not name.endswith(RECORD):
                    continue
                record = self._parse(name)
                if record is None or record.expires <= now:
                    self._forget(name.removesuffix(RECORD), record)
                else:
                    named |= {name, record.file, name.removesuffix(RECORD) + ORDER}
            for name in names:
                if name not in named and self._age(name) > DRAFT_SECONDS:
                    self.directory.remove(name)

    def _read(self, key: str) -> Record | None:
        record = self._parse(key + RECORD)
        return record if record is not None and record.model == self._model and record.expires > self._clock() else None

    def _parse(self, name: str) -> Record | None:
        try:
            return Record.from_json((self.directory.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _forget(self, key: str, record: Record | None) -> None:
        for name in (key + RECORD, key + ORDER, record.file if record is not None else ""):
            if name:
                self.directory.remove(name)

    def _size(self, name: str) -> int:
        try:
            return (self.directory.path / name).stat().st_size
        except FileNotFoundError:
            return 0

    def _age(self, name: str) -> float:
        try:
            return self._clock() - (self.directory.path / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0


def _key(tenant: str, handle: str) -> str:
    """What the files of a handle are called: no client can choose a name, or learn another tenant's."""
    return hashlib.sha256(f"{tenant}\0{handle}".encode(errors="surrogatepass")).hexdigest()
