"""Tokens on disk: all documents of one split end to end, with where each begins and where it came from."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from spikingbrain.convert.data.text.documents import Document
from spikingbrain.convert.data.token_file import TokenFile

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
    """Encodes documents to `path`.npy and its index `path`.json, which appears when all is written; a batch of them is in memory."""
    starts, sources = [0], list[str]()
    path.parent.mkdir(parents=True, exist_ok=True)
    with TokenFile(path.with_suffix(".npy"), np.uint32) as file:
        for batch in batches(documents, BATCH):
            for encoded in tokenizer.encode_batch([document.text for document in batch], add_special_tokens=False):
                file.append(encoded.ids)
                starts.append(file.count)
            sources.extend(document.source for document in batch)
    path.with_suffix(".json").write_text(json.dumps({"starts": starts, "sources": sources}), encoding="utf-8")
    return open_corpus(path)


def batches(documents: Iterable[Document], most: int) -> Iterator[list[Document]]:
    """As they come, up to `most` at a time."""
    waiting = iter(documents)
    while batch := list(islice(waiting, most)):
        yield batch


def open_corpus(path: Path) -> Corpus:
    index = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return Corpus(np.load(path.with_suffix(".npy"), mmap_mode="r"), index["starts"], index["sources"])
