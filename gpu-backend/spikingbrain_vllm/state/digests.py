"""Whether bytes are those that were meant: a changed number is as good a number as the right one, so only a digest tells."""

import base64
import binascii
import hashlib
import re
from pathlib import Path

_MEMBER = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


def file_digest(path: Path) -> str:
    """SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(digest: str) -> str:
    """As the header `Content-Digest` (RFC 9530) has it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def read_content_digest(header: str) -> str | None:
    """In hexadecimal; None where the header has no SHA-256."""
    for member in header.split(","):
        found = _MEMBER.fullmatch(member.strip())
        if found is None:
            continue
        try:
            return base64.b64decode(found.group(1), validate=True).hex()
        except binascii.Error:
            return None
    return None
