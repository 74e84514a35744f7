"""Tokens on disk: all documents of one split end to end, with where each begins and where it came from."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from spikingbrain.convert.text.documents import Document

BATCH = 256


@dataclass(frozen=True)
class Corpus:
    tokens: npt.NDArray[np.uint32]
    """`[total]`, mapped from the file."""
    starts: list[int]
    """Where each document begins; the last entry is the total."""
    sources: list[str]

    def document(self, index: int) -> npt.NDArray[np.int64]:
        return np.asarray(self.tokens[self.starts[index] : self.starts[index + 1]], dtype=np.int64)

    def longer_than(self, tokens: int) -> list[int]:
        """Indices of documents of at least `tokens` tokens."""
        return [index for index in range(len(self.sources)) if self.starts[index + 1] - self.starts[index] >= tokens]

    def run_from(self, index: int, tokens: int) -> npt.NDArray[np.int64]:
        """`tokens` tokens from the start of a document on, through the documents that follow it."""
        return np.asarray(self.tokens[self.starts[index] : self.starts[index] + tokens], dtype=np.int64)


def write_corpus(path: Path, documents: Iterable[Document], tokenizer: Tokenizer) -> Corpus:
    """Encodes documents to `path`.npy and its index `path`.json."""
    parts: list[npt.NDArray[np.uint32]] = []
    sources: list[str] = []
    batch: list[Document] = []

    def flush() -> None:
        for encoded in tokenizer.encode_batch([document.text for document in batch], add_special_tokens=False):
            parts.append(np.array(encoded.ids, dtype=np.uint32))
        sources.extend(document.source for document in batch)
        batch.clear()

    for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            flush()
    flush()
    starts = [0, *np.cumsum([len(part) for part in parts]).tolist()]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path.with_suffix(".npy"), np.concatenate(parts) if parts else np.zeros(0, np.uint32))
    path.with_suffix(".json").write_text(json.dumps({"starts": starts, "sources": sources}), encoding="utf-8")
    return open_corpus(path)


def open_corpus(path: Path) -> Corpus:
    index = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return Corpus(np.load(path.with_suffix(".npy"), mmap_mode="r"), index["starts"], index["sources"])
