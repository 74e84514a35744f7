"""The tokenizer in a GGUF's metadata."""

from collections.abc import Mapping
from typing import Any, TypeVar

from .errors import CheckpointError
from .gguf_keys import shown, token_of, value_of
from .tokenizer import Tokenizer, TokenKind
from .tokenizer_family import SHAPES
from .tokenizer_files import checked_merges

T = TypeVar("T")


def tokenizer_from_metadata(metadata: Mapping[str, Any]) -> Tokenizer | None:
    """What `spikingbrain.export.tokenizer_metadata` writes, and other byte-level BPE files have; None where there is no tokenizer."""
    if "tokenizer.ggml.model" not in metadata:
        return None
    model, family = metadata["tokenizer.ggml.model"], metadata.get("tokenizer.ggml.pre")
    if model != "gpt2":
        raise CheckpointError(f"tokenizer.ggml.model must be 'gpt2'; it is {shown(model)}")
    if not isinstance(family, str) or family not in SHAPES:
        raise CheckpointError(f"tokenizer.ggml.pre must be one of {', '.join(SHAPES)}; it is {shown(family)}")
    tokens, kinds = _list(metadata, "tokens", str, "strings"), _list(metadata, "token_type", int, "integers")
    if len(kinds) != len(tokens):
        raise CheckpointError(f"tokenizer.ggml.token_type must have {len(tokens)} entries, one a token; it has {len(kinds)}")
    known = {int(kind) for kind in TokenKind}
    if strange := [kind for kind in kinds if kind not in known]:
        raise CheckpointError(f"tokenizer.ggml.token_type must hold {min(known)} to {max(known)}; it holds {strange[0]!r}")

    def token(role: str) -> int | None:
        return token_of(metadata, f"tokenizer.ggml.{role}_token_id", len(tokens))

    for name in ("add_eos_token", "add_space_prefix", "remove_extra_whitespaces"):
        if value_of(metadata, key := f"tokenizer.ggml.{name}", bool, "true or false"):
            raise CheckpointError(f"{key} must be absent or false; it is True")
    add_bos, bos = value_of(metadata, "tokenizer.ggml.add_bos_token", bool, "true or false") is True, token("bos")
    if add_bos and bos is None:
        raise CheckpointError("tokenizer.ggml.add_bos_token must be false without tokenizer.ggml.bos_token_id; it is True")
    return Tokenizer(
        family=family,
        tokens=tokens,
        kinds=[TokenKind(kind) for kind in kinds],
        merges=checked_merges(_list(metadata, "merges", str, "strings"), "tokenizer.ggml.merges"),
        bos=bos,
        eos=token("eos"),
        end_of_turn=token("eot"),
        padding=token("padding"),
        add_bos=add_bos,
        chat_template=value_of(metadata, "tokenizer.chat_template", str, "a string"),
        unknown=token("unknown"),
        # The format's own spelling.
        separator=token("seperator"),
        classifier=token("cls"),
        mask=token("mask"),
    )


def _list(metadata: Mapping[str, Any], name: str, kind: type[T], rule: str) -> list[T]:
    key = f"tokenizer.ggml.{name}"
    values = value_of(metadata, key, list, rule := f"an array of {rule}") or []
    if any(type(value) is not kind for value in values):
        raise CheckpointError(f"{key} must be {rule}; it is {shown(values)}")
    return values
