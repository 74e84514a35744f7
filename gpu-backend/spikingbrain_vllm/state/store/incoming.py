"""A state file that comes in chunks of any size, each byte written where it belongs. Pages that do not come are an earlier state's."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from spikingbrain.state.header import FIXED
from spikingbrain.state.pages import Frame, missing_rows
from spikingbrain.state.rows import StateError

from spikingbrain_vllm.state.refusal import RefusalError
from spikingbrain_vllm.state.store.store import StateStore

COPY_BYTES = 2**20


class IncomingFile:
    def __init__(self, store: StateStore, from_page: int, digest: str | None, check_header: Callable[[bytes], None]) -> None:
        """`digest` is the SHA-256 of what is to come, set at the latest before `finish`; `check_header` raises StateError for a header that
        is not this model's."""
        self.digest = digest
        self._sha256 = hashlib.sha256()
        self._store = store
        self._from_page = from_page
        self._check_header = check_header
        self._front = b""
        self._frame: Frame | None = None
        self._extents: list[tuple[int, int]] = []
        self._came = 0
        self.name = ""
        self._file = -1

    def feed(self, chunk: bytes) -> None:
        """Raises RefusalError as soon as it is known that this is no state of this model, too large, or longer than its header says."""
        self._came += len(chunk)
        self._sha256.update(chunk)
        if self._frame is not None:
            self._write(chunk)
            return
        self._front += chunk
        try:
            if len(self._front) >= FIXED.size and len(self._front) >= Frame.bytes_of_header(self._front):
                self._begin()
        except StateError as error:
            raise RefusalError("state_invalid", str(error)) from error

    def finish(self, base: Path | None) -> tuple[str, Frame]:
        """Name of the whole file, and its frame. `base` has the pages before the first that came. Raises RefusalError where bytes lack."""
        frame = self._frame
        if frame is None:
            raise RefusalError("state_invalid", f"a file must have a whole header; {self._came} bytes came")
        if self._extents:
            due = frame.file_bytes(self._from_page)
            raise RefusalError("state_invalid", f"a file from page {self._from_page} must have {due} bytes; {self._came} came")
        if self._sha256.hexdigest() != self.digest:
            raise RefusalError("state_invalid", "the bytes must have the digest that was given; they have another")
        if base is not None:
            self._copy(frame, base)
        os.close(self._file)
        self._file = -1
        return self.name, frame

    def abandon(self) -> None:
        """Leaves nothing behind."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self.name:
            self._store.discard(self.name)

    def _begin(self) -> None:
        frame = Frame.read(self._front)
        self._check_header(frame.header)
        self.name, self._file = self._store.draft(frame.file_bytes())
        self._frame = frame
        self._extents = [(one.start, one.stop) for one in frame.extents(self._from_page) if one.stop > one.start]
        front, self._front = self._front, b""
        self._write(front)

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while len(rest):
            if not self._extents:
                raise RefusalError("state_invalid", f"nothing may follow the last group; at least {len(rest)} bytes do")
            start, stop = self._extents[0]
            count = os.pwrite(self._file, rest[: stop - start], start)
            rest = rest[count:]
            self._extents[0] = (start + count, stop)
            if start + count == stop:
                self._extents.pop(0)

    def _copy(self, frame: Frame, base: Path) -> None:
        try:
            with base.open("rb") as file:
                front = file.read(FIXED.size)
                front += file.read(Frame.bytes_of_header(front) - len(front))
                for target, extent in missing_rows(frame, Frame.read(front), self._from_page):
                    _copy_bytes(file.fileno(), extent.start, self._file, target, extent.stop - extent.start)
        except FileNotFoundError as error:
            raise RefusalError("state_unknown", "there is no base with this handle any more") from error
        except StateError as error:
            raise RefusalError("state_invalid", str(error)) from error


def _copy_bytes(source: int, start: int, target: int, at: int, count: int) -> None:
    while count:
        part = os.pread(source, min(count, COPY_BYTES), start)
        if not part:
            raise StateError(f"base must have {count} more bytes from byte {start} on; it has not")
        written = os.pwrite(target, part, at)
        start, at, count = start + written, at + written, count - written
