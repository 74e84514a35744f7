"""Takes numbers and texts off the front of a mapped GGUF, each length checked against the file before anything is made of it."""

import struct
from dataclasses import dataclass

from .errors import CheckpointError

# The bounds of `wasm/engine/src/weights/gguf.rs`, so that both readers refuse the same files.
MAX_HEADER_BYTES = 64 << 20
MAX_NAME_BYTES = 65_535
MAX_KEPT_BYTES = 16 << 20
KEPT_OVERHEAD_BYTES = 192


@dataclass
class Cursor:
    """A place in a file's header."""

    data: memoryview | bytes
    at: int = 0
    kept: int = 0
    """What the engine would keep of the header so far, bytes."""

    def take(self, length: int) -> bytes:
        """The next bytes."""
        if length > len(self.data) - self.at:
            raise CheckpointError(f"the file ends after {len(self.data)} bytes, within its header")
        if self.at + length > MAX_HEADER_BYTES:
            raise CheckpointError(f"the header is longer than {MAX_HEADER_BYTES} bytes")
        self.at += length
        return bytes(self.data[self.at - length : self.at])

    def number(self, form: str) -> int:
        """The next integer, of one of `struct`'s forms, little-endian."""
        value: int = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]
        return value

    def u32(self) -> int:
        return self.number("I")

    def u64(self) -> int:
        return self.number("Q")

    def keep(self, text_bytes: int) -> None:
        """Counts something that the engine keeps, with a text of so many bytes."""
        self.kept += text_bytes + KEPT_OVERHEAD_BYTES
        if self.kept > MAX_KEPT_BYTES:
            raise CheckpointError(f"metadata and tensor names take more than {MAX_KEPT_BYTES} bytes")

    def string(self, what: str) -> bytes:
        """A string with its length in front; `what` is for the message."""
        length = self.u64()
        if length > MAX_HEADER_BYTES:
            raise CheckpointError(f"{what} claims a length of {length} bytes; at most {MAX_HEADER_BYTES} are possible")
        return self.take(length)

    def text(self, what: str) -> str:
        """As `string`, which must be UTF-8."""
        return decoded(self.string(what), what)

    def name(self, what: str) -> str:
        """Of a key or a tensor."""
        raw = self.string(what)
        if not 1 <= len(raw) <= MAX_NAME_BYTES:
            raise CheckpointError(f"{what} has {len(raw)} bytes; 1 to {MAX_NAME_BYTES} are allowed")
        self.keep(len(raw))
        return decoded(raw, what)


def decoded(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{what} is not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}") from error
