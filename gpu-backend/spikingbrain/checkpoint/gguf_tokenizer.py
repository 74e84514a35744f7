"""The tokenizer in a GGUF's metadata."""

from collections.abc import Mapping
from typing import Any

from .errors import CheckpointError
from .tokenizer import Tokenizer, TokenKind
from .tokenizer_family import SHAPES


def tokenizer_from_metadata(metadata: Mapping[str, Any]) -> Tokenizer | None:
    """What `spikingbrain.export.tokenizer_metadata` writes, and other byte-level BPE files have; None where there is no tokenizer."""
    if "tokenizer.ggml.model" not in metadata:
        return None
    model, family = metadata["tokenizer.ggml.model"], metadata.get("tokenizer.ggml.pre")
    if model != "gpt2":
        raise CheckpointError(f"tokenizer.ggml.model must be 'gpt2'; it is {model!r}")
    if family not in SHAPES:
        raise CheckpointError(f"tokenizer.ggml.pre must be one of {', '.join(SHAPES)}; it is {family!r}")
    tokens, kinds = metadata.get("tokenizer.ggml.tokens", []), metadata.get("tokenizer.ggml.token_type", [])
    if len(kinds) != len(tokens):
        raise CheckpointError(f"tokenizer.ggml.token_type must have {len(tokens)} entries, one a token; it has {len(kinds)}")
    known = {int(kind) for kind in TokenKind}
    if strange := [kind for kind in kinds if kind not in known]:
        raise CheckpointError(f"tokenizer.ggml.token_type must hold {min(known)} to {max(known)}; it holds {strange[0]!r}")
    return Tokenizer(
        family=family,
        tokens=tokens,
        kinds=[TokenKind(kind) for kind in kinds],
        merges=metadata.get("tokenizer.ggml.merges", []),
        bos=metadata.get("tokenizer.ggml.bos_token_id"),
        eos=metadata.get("tokenizer.ggml.eos_token_id"),
        end_of_turn=metadata.get("tokenizer.ggml.eot_token_id"),
        padding=metadata.get("tokenizer.ggml.padding_token_id"),
        add_bos=metadata.get("tokenizer.ggml.add_bos_token") is True,
        chat_template=metadata.get("tokenizer.chat_template"),
    )
