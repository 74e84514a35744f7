"""What people have in place of the file that they meant: told by its first bytes, so that the message says how to get the right one."""

from pathlib import Path

from .errors import CheckpointError

FIRST_BYTES = 512
ZIP = b"pk\x03\x04"
# What a file begins with, in lower case; white space in front is passed by.
SIGNS = {
    b"version https://git-lfs": "a Git LFS pointer, in place of the file that `git lfs pull` fetches",
    b"<!doctype html": "a web page, in place of the file that a link on it leads to",
    b"<html": "a web page, in place of the file that a link on it leads to",
    b"\x1f\x8b": "a gzip archive, which must be unpacked first",
    ZIP: "a zip archive, which must be unpacked first",
    b"sbst": "a state file: it holds the state of a conversation and no model",
    b"sbsf": "a sealed session file: it holds a conversation and no model",
}


def require_file(path: Path, kind: str, *allowed: bytes) -> None:
    """Refuses what is no file, an empty one, and what is plainly something else than a file of this `kind`; `allowed` are signs that it
    may have."""
    try:
        with path.open("rb") as file:
            first = file.read(FIRST_BYTES)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read as {kind}: {error.strerror}") from error
    text = first.lstrip().lower()
    found = "empty" if not first else next((what for sign, what in SIGNS.items() if text.startswith(sign) and sign not in allowed), None)
    if found is not None:
        raise CheckpointError(f"{path} cannot be read as {kind}: the file is {found}")
