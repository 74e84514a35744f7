"""By which digests a pool knows a model (`ModelVersion` in `workers/contracts/engine.ts`)."""

import hashlib
import json
from pathlib import Path

from spikingbrain.checkpoint.tokenizer import Tokenizer, TokenKind

_CHAT_ML_BEGIN, _CHAT_ML_ENDS = "<|im_start|>", ("<|im_end|>", "<|endoftext|>")


def weights_digest(files: list[Path]) -> str:
    """SHA-256 of the weights file. Of several, that of one `SHA-256  name` line for each, in the names' order. Raises OSError."""
    digests = {file.name: file_digest(file) for file in sorted(files)}
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()).hexdigest()


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """SHA-256 of the text that the gateway's tokenizer is made from (`tokenizerOf` in `infra/local/gguf/metadata.ts`)."""
    others = {
        "unk_token": tokenizer.unknown,
        "sep_token": tokenizer.separator,
        "pad_token": tokenizer.padding,
        "cls_token": tokenizer.classifier,
        "mask_token": tokenizer.mask,
    }
    named = {name: token for name, token in others.items() if token is not None}
    fields = {
        "model": "gpt2",
        "pre": tokenizer.family,
        "tokens": tokenizer.tokens,
        "tokenTypes": [int(kind) for kind in tokenizer.kinds],
        "merges": tokenizer.merges,
        "bosTokenId": tokenizer.bos,
        "eosTokenIds": _ends(tokenizer),
        "addBosToken": tokenizer.add_bos,
        **({"otherTokenIds": named} if named else {}),
        "chatTemplate": tokenizer.chat_template,
    }
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def file_digest(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _ends(tokenizer: Tokenizer) -> list[int]:
    ends = [token for token in (tokenizer.eos, tokenizer.end_of_turn) if token is not None]
    if _CHAT_ML_BEGIN in tokenizer.tokens:
        found = [tokenizer.tokens.index(end) for end in _CHAT_ML_ENDS if end in tokenizer.tokens]
        ends += [token for token in found if tokenizer.kinds[token] == TokenKind.CONTROL]
    return list(dict.fromkeys(ends))
