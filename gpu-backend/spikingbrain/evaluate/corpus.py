"""Text to evaluate on: this repository's own documents, so that no data set is needed."""

from collections.abc import Sequence
from pathlib import Path

from spikingbrain.checkpoint.errors import CheckpointError

REPOSITORY = Path(__file__).resolve().parents[3]
PATTERNS = ("*.md", "LICENSE", "infra/*.md", "wasm/*.md", "test/*.md")


def repository_documents() -> list[str]:
    """The documents in the order of their paths; the licence is the only one that other projects have too."""
    paths = sorted({path for pattern in PATTERNS for path in REPOSITORY.glob(pattern) if path.is_file()})
    if not paths:
        raise CheckpointError(f"{REPOSITORY} has no documents to evaluate on; name text files")
    return read_documents(paths)


def read_documents(paths: Sequence[Path]) -> list[str]:
    """The text of each file."""
    documents = []
    for path in paths:
        try:
            documents.append(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} cannot be read as text: {error}") from error
    return documents
