"""The vocabulary, merges and added tokens in a Hugging Face folder's files, each checked where it is taken."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .json_file import read_object, read_object_if_there
from .tokenizer_family import family_of_class, family_of_tokenizer_json


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in the text before the merges."""

    id: int
    content: str
    special: bool


Parts = tuple[str, dict[str, int], list[str], list[AddedToken]]
"""Family, ids by token, merges in rank order, added tokens."""


def parts_of_tokenizer_json(content: dict[str, Any]) -> Parts:
    """From a `tokenizer.json`."""
    model = content.get("model") or {}
    if model.get("type", "BPE") != "BPE":
        raise CheckpointError(f"tokenizer.json: model.type must be 'BPE'; it is {model.get('type')!r}")
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        if model.get(field):
            raise CheckpointError(f"tokenizer.json: model.{field} must be absent, empty or false; it is {model[field]!r}")
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges", [])]
    added = [_added_token("tokenizer.json: added_tokens", entry.get("id"), entry) for entry in content.get("added_tokens", [])]
    return (
        family_of_tokenizer_json(content),
        _ids(model.get("vocab"), "tokenizer.json: model.vocab"),
        checked_merges(merges, "tokenizer.json"),
        added,
    )


def parts_of_vocabulary_files(folder: Path, settings: dict[str, Any]) -> Parts:
    """From `vocab.json`, `merges.txt`, and the added tokens of `tokenizer_config.json` (`settings`) or `added_tokens.json`."""
    try:
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder / 'merges.txt'} cannot be read: {error}") from error
    merges = [line.rstrip("\r") for line in lines[1 if lines[0].startswith("#version") else 0 :] if line.strip()]
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        source = "tokenizer_config.json: added_tokens_decoder"
        added = [_added_token(source, int(key) if key.isdecimal() else key, entry) for key, entry in decoder.items()]
    else:
        special = {content_of(settings.get(f"{role}_token")) for role in ("bos", "eos", "pad", "unk")}
        special |= {content_of(entry) for entry in settings.get("additional_special_tokens", [])}
        extra = _ids(read_object_if_there(folder / "added_tokens.json"), "added_tokens.json")
        added = [AddedToken(id_, content, content in special) for content, id_ in extra.items()]
    vocabulary = _ids(read_object(folder / "vocab.json"), "vocab.json")
    return family_of_class(settings.get("tokenizer_class")), vocabulary, checked_merges(merges, "merges.txt"), added


def _ids(value: object, source: str) -> dict[str, int]:
    if not isinstance(value, dict) or not all(isinstance(id_, int) for id_ in value.values()):
        raise CheckpointError(f"{source} must be an object of token ids; it is {str(value)[:80]}")
    return value


def checked_merges(merges: Iterable[str], source: str) -> list[str]:
    """`merges`, each of which must be two tokens; `source` is for the message."""
    checked = list(merges)
    for rank, merge in enumerate(checked):
        if merge.count(" ") != 1 or merge.startswith(" ") or merge.endswith(" "):
            raise CheckpointError(f"{source}: merge {rank} must be two tokens with a space between; it is {merge!r}")
    return checked


def _added_token(source: str, id_: object, entry: object) -> AddedToken:
    if not isinstance(id_, int) or not isinstance(entry, dict) or not isinstance(entry.get("content"), str):
        raise CheckpointError(f"{source} must have an integer id and a string content in each entry; one is {id_!r}: {str(entry)[:80]}")
    for flag in ("single_word", "lstrip", "rstrip"):
        if entry.get(flag):
            raise CheckpointError(f"{source}: token {entry['content']!r} must not have {flag}; it is true")
    return AddedToken(id_, entry["content"], entry.get("special") is True)


def content_of(entry: object) -> str | None:
    """A special token that is given as its text, or as an object that holds it."""
    value = entry.get("content") if isinstance(entry, dict) else entry
    return value if isinstance(value, str) else None
