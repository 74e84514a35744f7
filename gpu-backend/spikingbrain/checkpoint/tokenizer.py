"""A byte-level BPE tokenizer as data, read from the files of a Hugging Face folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from .errors import CheckpointError
from .json_file import read_object, read_object_if_there
from .tokenizer_files import AddedToken, content_of, parts_of_tokenizer_json, parts_of_vocabulary_files
from .tokenizer_rules import wrong
from .tokenizer_settings import check_settings, first_token

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
)
# ChatML's end of a turn. Upstream's generation_config.json leaves it out of the end tokens
# (`gpu-backend/docs/model.md#105-tokenizer-and-ends-of-texts`), a chat server may not.
END_OF_TURN = "<|im_end|>"


class TokenKind(IntEnum):
    """GGUF's `tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Tokenizer:
    """Token id `i` is `tokens[i]`, in the byte alphabet unless it is an added token."""

    family: str
    tokens: list[str]
    kinds: list[TokenKind]
    # In rank order, each `left right`.
    merges: list[str]
    bos: int | None
    eos: int | None
    end_of_turn: int | None
    padding: int | None
    add_bos: bool
    chat_template: str | None
    # A word that is a token as a whole is taken as it is, merged or not.
    ignore_merges: bool = False
    # Added tokens that are found in the normalized text only.
    normalized: frozenset[int] = frozenset()
    # Roles that only a GGUF's metadata give; chat templates may ask for them.
    unknown: int | None = None
    separator: int | None = None
    classifier: int | None = None
    mask: int | None = None


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder has a vocabulary."""
    return any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json"))


def read_tokenizer(folder: Path, vocabulary: int) -> Tokenizer:
    """Reads `tokenizer.json`, or `vocab.json` with `merges.txt`, and what `tokenizer_config.json` and `config.json` add to them.

    The config's token ids go before the tokenizer's names: the released 7B's tokenizer begins a text with another token than its model.
    Ids up to `vocabulary`, the rows of the embedding, that no file names become unused tokens: a model may emit them.
    """
    settings = read_object_if_there(folder / "tokenizer_config.json")
    check_settings(settings)
    if (folder / "tokenizer.json").is_file():
        parts = parts_of_tokenizer_json(read_object(folder / "tokenizer.json"))
    elif (folder / "vocab.json").is_file():
        parts = parts_of_vocabulary_files(folder, settings)
    else:
        raise CheckpointError(f"{folder} has neither tokenizer.json nor vocab.json with merges.txt")
    tokens, kinds = _table(parts.ids, parts.added, vocabulary)
    id_of = {token.content: token.id for token in parts.added} | {content: id_ for content, id_ in parts.ids.items()}
    config = read_object_if_there(folder / "config.json")

    def named(role: str) -> int | None:
        content = content_of(settings.get(f"{role}_token"))
        if content is not None and content not in id_of:
            raise wrong(f"tokenizer_config.json: {role}_token", "be in the vocabulary", content)
        id_ = config.get(f"{role}_token_id")
        # Of several end tokens the first is the one that the model itself is told of.
        id_ = id_[0] if isinstance(id_, list) and id_ else id_
        if id_ is None:
            return None if content is None else id_of[content]
        if not isinstance(id_, int) or not 0 <= id_ < vocabulary:
            raise CheckpointError(f"config.json: {role}_token_id must be an integer from 0 below {vocabulary}; it is {id_!r}")
        return id_

    end_of_turn = next((token.id for token in parts.added if token.content == END_OF_TURN and token.special), None)
    bos = named("bos")
    first = first_token(parts.before, bos, settings, vocabulary)
    return Tokenizer(
        family=parts.family,
        tokens=tokens,
        kinds=kinds,
        merges=parts.merges,
        bos=bos if first is None else first,
        eos=named("eos"),
        end_of_turn=end_of_turn,
        padding=named("pad"),
        add_bos=first is not None,
        chat_template=_chat_template(folder, settings),
        ignore_merges=parts.ignore_merges,
        normalized=frozenset(token.id for token in parts.added if token.normalized),
    )


def _table(ids: dict[str, int], added: Iterable[AddedToken], vocabulary: int) -> tuple[list[str], list[TokenKind]]:
    tokens: list[str | None] = [None] * vocabulary
    kinds = [TokenKind.UNUSED] * vocabulary
    for content, id_ in ids.items():
        _place(tokens, id_, content)
        kinds[id_] = TokenKind.NORMAL
    for token in added:
        _place(tokens, token.id, token.content)
        kinds[token.id] = TokenKind.CONTROL if token.special else TokenKind.USER_DEFINED
    return [f"[PAD{id_}]" if content is None else content for id_, content in enumerate(tokens)], kinds


def _place(tokens: list[str | None], id_: int, content: str) -> None:
    if not 0 <= id_ < len(tokens):
        raise CheckpointError(f"tokenizer: token {content!r} must have an id below the embedding's {len(tokens)} rows; it is {id_}")
    if tokens[id_] not in (None, content):
        raise CheckpointError(f"tokenizer: id {id_} must be one token; it is {tokens[id_]!r} and {content!r}")
    tokens[id_] = content


def _chat_template(folder: Path, settings: dict[str, Any]) -> str | None:
    # A file of its own goes before the settings, as in transformers.
    if (folder / "chat_template.jinja").is_file():
        template: object = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    else:
        template = settings.get("chat_template") or read_object_if_there(folder / "chat_template.json").get("chat_template")
    if isinstance(template, list):
        template = next(
            (entry.get("template") for entry in template if isinstance(entry, dict) and entry.get("name") == "default"), template
        )
    if template is None or isinstance(template, str):
        return template
    raise CheckpointError(f"tokenizer_config.json: chat_template must be a string or have a 'default'; it is {str(template)[:80]}")
