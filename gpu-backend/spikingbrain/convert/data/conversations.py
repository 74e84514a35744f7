"""Conversations from JSON lines or parquet, in the messages format."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spikingbrain.convert.data.chat_template import Message
from spikingbrain.convert.data.text.records import RECORD_KINDS, Record, file_kind, read_records
from spikingbrain.rules import ConfigError, require

RULE = "a list of objects with strings 'role' and 'content' and nothing else, one of them the assistant's behind another"


def read_conversations(files: Sequence[str], field: str = "messages") -> Iterator[tuple[str, list[Message]]]:
    """Where each conversation is, for errors, and its messages, in the order of the files."""
    for name in files:
        path = Path(name)
        known = path.is_file() and file_kind(path) in RECORD_KINDS
        require(known, "sft.files", f"files of {', '.join(RECORD_KINDS)}", name)
        for record in read_records(path, [field]):
            yield record.where, _messages(record, field)


def _messages(record: Record, field: str) -> list[Message]:
    given = record.fields.get(field)
    messages = [_message(each) for each in given] if isinstance(given, list) else []
    checked = [message for message in messages if message is not None]
    whole = len(checked) == len(messages) and any(message["role"] == "assistant" for message in checked[1:])
    if not whole or checked[0]["role"] == "assistant":
        raise ConfigError(f"{record.where}: {field}", RULE, str(given)[:120])
    return checked


def _message(given: object) -> Message | None:
    if not isinstance(given, dict):
        return None
    # Parquet has a column for a key that any message has, and nothing in it for the others.
    found = {key: value for key, value in given.items() if value is not None}
    return found if set(found) == {"role", "content"} and all(isinstance(value, str) for value in found.values()) else None
