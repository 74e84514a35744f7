"""Who may call."""

import hashlib
import hmac
from pathlib import Path

LEAST_CHARACTERS = 16


class Keys:
    """Kept as digests; a key is compared with all of them, in the same time whichever it is."""

    def __init__(self, keys: list[str]) -> None:
        """Raises ValueError where there is none, or one is too short to be a secret."""
        _check(keys)
        self._digests = [_digest(key) for key in keys]

    @staticmethod
    def read(path: Path) -> "Keys":
        return Keys(Keys.texts(path))

    @staticmethod
    def texts(path: Path) -> list[str]:
        """Two lines are two keys, so that one can take the other's place without a pause. Raises ValueError like `Keys`."""
        try:
            keys = path.read_text(encoding="utf-8").split()
        except OSError as error:
            raise ValueError(f"key_file must be a file that can be read; {path}: {error.strerror}") from error
        _check(keys)
        return keys

    def allow(self, authorization: str | None) -> bool:
        """The value of the header `Authorization`."""
        scheme, _, key = (authorization or "").partition(" ")
        digest, found = _digest(key), False
        for known in self._digests:
            found |= hmac.compare_digest(digest, known)
        return found and scheme.lower() == "bearer"


def _check(keys: list[str]) -> None:
    if not keys or min(map(len, keys)) < LEAST_CHARACTERS:
        raise ValueError(f"key_file must hold a key on each line, of at least {LEAST_CHARACTERS} characters")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
