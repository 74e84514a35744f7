"""The vocabulary, merges and added tokens in a Hugging Face folder's files, each checked where it is taken."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

from .errors import CheckpointError
from .json_file import read_object, read_object_if_there
from .tokenizer_components import check_decoder, family_of_tokenizer_json, tokens_before
from .tokenizer_family import family_of_class
from .tokenizer_rules import ABSENT, ANYTHING, BLANK, EMPTY, FLAG, OFF, ZERO, Rule, as_json, check_fields, list_at, object_at, wrong

FILE_RULES: dict[str, Rule] = {
    "version": ('be "1.0"', lambda value: value in (ABSENT, "1.0")),
    "truncation": EMPTY,
    "padding": EMPTY,
} | dict.fromkeys(("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"), ANYTHING)
# `fuse_unk` matters only beside an unknown token, which is refused unless it can't occur.
MODEL_RULES: dict[str, Rule] = {
    "type": ('be "BPE"', lambda value: value in (ABSENT, "BPE")),
    "dropout": ZERO,
    "unk_token": ANYTHING,
    "continuing_subword_prefix": BLANK,
    "end_of_word_suffix": BLANK,
    "fuse_unk": FLAG,
    "byte_fallback": OFF,
    "ignore_merges": FLAG,
    "vocab": ANYTHING,
    "merges": ANYTHING,
}
ADDED_TOKEN_RULES: dict[str, Rule] = {
    "content": ("be a text", lambda value: isinstance(value, str) and value != ""),
    "single_word": OFF,
    "lstrip": OFF,
    "rstrip": OFF,
    "normalized": FLAG,
    "special": FLAG,
}
BYTES = frozenset(ByteLevel.alphabet())


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in the text before the merges."""

    id: int
    content: str
    special: bool
    # Found in the normalized text, after those that are found in the text as it comes.
    normalized: bool = False


@dataclass(frozen=True)
class Parts:
    """What a folder's vocabulary says."""

    family: str
    ids: dict[str, int]
    # In rank order, each `left right`.
    merges: list[str]
    added: list[AddedToken]
    ignore_merges: bool = False
    # Of the tokens that the post-processor puts before a text.
    before: tuple[int, ...] = ()


def parts_of_tokenizer_json(content: dict[str, Any]) -> Parts:
    """From a `tokenizer.json`."""
    check_fields("tokenizer.json: ", content, FILE_RULES)
    model = object_at("tokenizer.json: model", content.get("model", ABSENT))
    check_fields("tokenizer.json: model", model, MODEL_RULES)
    ids = _ids(model.get("vocab"), "tokenizer.json: model.vocab")
    if model.get("unk_token") not in (None, "") and not BYTES.issubset(ids):
        raise wrong("tokenizer.json: model.unk_token", "be null where the vocabulary lacks a byte", model["unk_token"])
    family = family_of_tokenizer_json(content)
    check_decoder(content)
    merges = list_at("tokenizer.json: model.merges", model.get("merges", ABSENT))
    return Parts(
        family,
        ids,
        checked_merges((" ".join(merge) if isinstance(merge, list) else str(merge) for merge in merges), "tokenizer.json"),
        _added_tokens(list_at("tokenizer.json: added_tokens", content.get("added_tokens") or []), ids),
        model.get("ignore_merges") is True,
        tuple(tokens_before(content.get("post_processor"))),
    )


def _added_tokens(entries: Iterable[Any], ids: dict[str, int]) -> list[AddedToken]:
    added, following = list[AddedToken](), len(ids)
    for entry in entries:
        token = _added_token("tokenizer.json", entry.get("id") if isinstance(entry, dict) else None, entry)
        # `tokenizers` gives an added token its id in the vocabulary or else the next one, whatever the file says.
        given = ids.get(token.content, following)
        if token.id != given:
            raise wrong(f"tokenizer.json: added token {as_json(token.content)}.id", f"be {given}, which tokenizers gives it", token.id)
        following = max(following, token.id + 1)
        added.append(token)
    return added


def parts_of_vocabulary_files(folder: Path, settings: dict[str, Any]) -> Parts:
    """From `vocab.json`, `merges.txt`, and the added tokens of `tokenizer_config.json` (`settings`) or `added_tokens.json`."""
    try:
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder / 'merges.txt'} cannot be read: {error}") from error
    merges = [line.rstrip("\r") for line in lines[1 if lines[0].startswith("#version") else 0 :] if line.strip()]
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        added = [_added_token("tokenizer_config.json", int(key) if key.isdecimal() else key, entry) for key, entry in decoder.items()]
    else:
        special = {content_of(settings.get(f"{role}_token")) for role in ("bos", "eos", "pad", "unk")}
        special |= {content_of(entry) for entry in settings.get("additional_special_tokens", [])}
        extra = _ids(read_object_if_there(folder / "added_tokens.json"), "added_tokens.json")
        added = [AddedToken(id_, content, content in special) for content, id_ in extra.items()]
    vocabulary = _ids(read_object(folder / "vocab.json"), "vocab.json")
    return Parts(family_of_class(settings.get("tokenizer_class")), vocabulary, checked_merges(merges, "merges.txt"), added)


def _ids(value: object, source: str) -> dict[str, int]:
    if not isinstance(value, dict) or not all(isinstance(id_, int) and not isinstance(id_, bool) for id_ in value.values()):
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
    path = f"{source}: added token {as_json(entry.get('content') if isinstance(entry, dict) else None)}"
    fields = {name: value for name, value in object_at(path, entry).items() if name != "id"}
    check_fields(path, fields, ADDED_TOKEN_RULES | ({"__type": ANYTHING} if source != "tokenizer.json" else {}))
    if not isinstance(id_, int) or isinstance(id_, bool):
        raise wrong(f"{path}.id", "be an integer", id_)
    return AddedToken(id_, fields["content"], fields.get("special") is True, fields.get("normalized") is True)


def content_of(entry: object) -> str | None:
    """A special token that is given as its text, or as an object that holds it."""
    value = entry.get("content") if isinstance(entry, dict) else entry
    return value if isinstance(value, str) else None
