"""What a node signs with, as `workers/pool/registry/node-credential.ts` checks it; `test/fixtures/node-credential.json` has an example."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path

SECRET_BYTES = 32
_MESSAGE_DOMAIN, _KEY_DOMAIN = "spikingbrain node 1\n", "spikingbrain replica key 1\n"
_NODE = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class NodeCredential:
    node: str
    secret: bytes = field(repr=False)

    @staticmethod
    def read(path: Path) -> "NodeCredential":
        """Raises ValueError, which tells nothing of what the file holds."""
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            told = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise ValueError(f"--node-file must be a file that can be read; {path}: {told}") from error
        node, _, secret = text.partition(":")
        rule = f"--node-file must hold NAME:BASE64, the base64 of {SECRET_BYTES} bytes; {path} does not"
        if not _NODE.fullmatch(node):
            raise ValueError(rule)
        try:
            data = base64.b64decode(secret, validate=True)
        except (binascii.Error, ValueError):
            # Not from that error, which quotes.
            raise ValueError(rule) from None
        if len(data) != SECRET_BYTES:
            raise ValueError(rule)
        return NodeCredential(node, data)

    def sign(self, method: str, path: str, timestamp: int, nonce: str, body: bytes) -> str:
        """Hexadecimal. `timestamp` in Unix seconds; `nonce` has 32 hexadecimal digits and is new each time."""
        lines = (method, path, str(timestamp), nonce, hashlib.sha256(body).hexdigest())
        return self._hmac(_MESSAGE_DOMAIN + "\n".join(lines))

    def replica_key(self, replica: str) -> str:
        """The key that the edge calls this replica with. It never travels: the edge makes it of the same secret."""
        return self._hmac(_KEY_DOMAIN + replica)

    def _hmac(self, text: str) -> str:
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()
