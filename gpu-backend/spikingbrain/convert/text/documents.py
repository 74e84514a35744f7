"""Documents from files: plain text, HTML, JSON lines and parquet, alone, compressed or in folders."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spikingbrain.convert.text.html_text import text_of_html, tidy
from spikingbrain.rules import ConfigError

PAGES = (".html", ".htm", ".xhtml")
PLAIN = (".txt", ".rst", ".md", ".pod")
COMMON_WORDS = frozenset(
    ["the", "of", "to", "and", "a", "in", "is", "that", "for", "be", "it", "this", "you", "or", "with", "are", "as", "on"]
)


@dataclass(frozen=True)
class Document:
    source: str
    """What held-out documents are told apart by: a package, or the file it was read from."""
    text: str


def read_documents(path: Path, source: str | None = None) -> Iterator[Document]:
    """All documents in a file, or below a folder in the order of their names. Files of other kinds are passed by in a folder, and an error
    where they are named themselves. `source` defaults to each file's name."""
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink()):
            if _kind(file) is not None:
                yield from _read(file, source or file.name)
        return
    if not path.is_file() or _kind(path) is None:
        raise ConfigError("data.files", f"a folder or a file of {', '.join((*PAGES, *PLAIN, '.jsonl', '.parquet'))}", str(path))
    yield from _read(path, source or path.name)


def is_english(text: str) -> bool:
    """Whether a page is English prose rather than another language or a table: by its share of common words and of ASCII."""
    words = re.findall(r"[a-z]+", text.lower())
    if len(words) < 80:
        return False
    common = sum(word in COMMON_WORDS for word in words) / len(words)
    return common > 0.17 and sum(ord(character) > 127 for character in text) / len(text) < 0.03


def _kind(path: Path) -> str | None:
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    return suffix if suffix in (*PAGES, *PLAIN, ".jsonl", ".parquet") else None


def _read(path: Path, source: str) -> Iterator[Document]:
    kind = _kind(path)
    if kind == ".parquet":
        yield from (Document(source, tidy(text)) for text in _parquet(path))
        return
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    content = raw.decode("utf-8", errors="replace")
    if kind == ".jsonl":
        for number, line in enumerate(content.splitlines(), start=1):
            if line.strip():
                yield _record(path, number, line, source)
    else:
        yield Document(source, text_of_html(content) if kind in PAGES else tidy(content))


def _record(path: Path, number: int, line: str, source: str) -> Document:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path.name} line {number}", "a JSON object with a string 'text'", line[:80]) from error
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise ConfigError(f"{path.name} line {number}", "a JSON object with a string 'text'", line[:80])
    return Document(str(record.get("source", source)), record["text"])


def _parquet(path: Path) -> Iterator[str]:
    try:
        from pyarrow import parquet  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ConfigError("data.files", "readable: parquet files need the package 'pyarrow'", str(path)) from error
    for batch in parquet.ParquetFile(path).iter_batches(columns=["text"]):
        yield from batch.column("text").to_pylist()
