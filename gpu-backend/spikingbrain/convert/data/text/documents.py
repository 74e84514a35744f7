"""Documents from files: plain text, HTML, JSON lines and parquet, alone, compressed or in folders."""

import gzip
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from spikingbrain.convert.data.text.html_text import text_of_html, tidy
from spikingbrain.convert.data.text.records import RECORD_KINDS, decompressing, file_kind, read_records
from spikingbrain.rules import ConfigError

PAGES = (".html", ".htm", ".xhtml")
PLAIN = (".txt", ".rst", ".md", ".pod")
# 4 Mi characters are some million tokens, more than any sequence that is trained on, and little beside what holds a model.
PART_CHARACTERS = 1 << 22
COMMON_WORDS = frozenset(
    ["the", "of", "to", "and", "a", "in", "is", "that", "for", "be", "it", "this", "you", "or", "with", "are", "as", "on"]
)


@dataclass(frozen=True)
class Document:
    source: str
    """What held-out documents are told apart by: a package, or the file it was read from."""
    text: str


@dataclass(frozen=True)
class Fields:
    """Where a record has what."""

    text: str = "text"
    source: str = "source"
    """Need not be there."""


def read_documents(path: Path, source: str | None = None, fields: Fields | None = None) -> Iterator[Document]:
    """All documents in a file, or below a folder in the order of their names. Files of other kinds are passed by in a folder, and an error
    where they are named themselves. A record's own source goes before `source`, which defaults to each file's name. Files are read in
    parts: plain text that is longer than `PART_CHARACTERS` becomes several documents, cut at the ends of lines."""
    fields = fields or Fields()
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink()):
            if _readable(file):
                yield from _read(file, source or file.name, fields)
        return
    if not path.is_file() or not _readable(path):
        raise ConfigError("data.files", f"a folder or a file of {', '.join((*PAGES, *PLAIN, *RECORD_KINDS))}", str(path))
    yield from _read(path, source or path.name, fields)


def is_english(text: str) -> bool:
    """Whether a page is English prose rather than another language or a table: by its share of common words and of ASCII."""
    words = re.findall(r"[a-z]+", text.lower())
    if len(words) < 80:
        return False
    common = sum(word in COMMON_WORDS for word in words) / len(words)
    return common > 0.17 and sum(ord(character) > 127 for character in text) / len(text) < 0.03


def is_chinese(text: str) -> bool:
    """Whether a fifth of its characters are Chinese ones."""
    return len(re.findall(r"[\u4e00-\u9fff]", text)) > len(text) / 5


LANGUAGES: Mapping[str, Callable[[str], bool]] = {"english": is_english, "chinese": is_chinese}


def _readable(path: Path) -> bool:
    kind = file_kind(path)
    # Parquet compresses itself.
    return kind in (*PAGES, *PLAIN, ".jsonl") or path.suffix == ".parquet"


def _read(path: Path, source: str, fields: Fields) -> Iterator[Document]:
    if file_kind(path) in RECORD_KINDS:
        for record in read_records(path, (fields.text, fields.source)):
            named = record.fields.get(fields.source)
            yield Document(source if named is None else str(named), record.text(fields.text))
        return
    with decompressing(path), _opened(path) as file:
        if file_kind(path) in PAGES:
            yield Document(source, text_of_html(file.read()))
        else:
            for part in _parts(file):
                yield Document(source, tidy(part))


def _opened(path: Path) -> TextIO:
    # `tidy` takes the ends of lines as they are.
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")


def _parts(file: TextIO) -> Iterator[str]:
    """Whole lines, as many as come to `PART_CHARACTERS`; a longer line is cut."""
    while part := file.read(PART_CHARACTERS):
        yield part + file.readline(PART_CHARACTERS) if not part.endswith("\n") else part
