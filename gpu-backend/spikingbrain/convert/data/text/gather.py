"""All documents of one split in a fixed order: packages, then files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spikingbrain.convert.data.text.debian import download, package_documents
from spikingbrain.convert.data.text.documents import Document, Fields, read_documents


def gather_documents(
    packages: Sequence[str], files: Sequence[str], folder: Path, most_characters: int, fields: Fields | None = None
) -> Iterator[Document]:
    """`folder` keeps downloaded packages; `fields` are those of records in files."""
    download(list(packages), folder)
    for package in packages:
        yield from package_documents(package, folder, most_characters)
    for file in files:
        yield from read_documents(Path(file), fields=fields)
