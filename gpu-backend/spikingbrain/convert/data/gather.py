"""The stage `data`: all documents of each split in a fixed order, packages, then files, as tokens."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spikingbrain.convert.data.corpus import write_corpus
from spikingbrain.convert.data.text.debian import download, package_documents
from spikingbrain.convert.data.text.documents import Document, Fields, read_documents
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.convert.work import Work


def data(work: Work) -> None:
    settings = work.settings.data
    tokenizer = open_vocabulary(work.settings.teacher, work.source.config.vocabulary)
    splits = (("held", settings.held_out_packages, settings.held_out_files), ("train", settings.packages, settings.files))
    for split, packages, files in splits:
        if not (work.folder / f"{split}.json").is_file():
            fields = Fields(settings.text_field, settings.source_field)
            documents = gather_documents(packages, files, work.folder / "packages", settings.most_characters, fields, settings.languages)
            corpus = write_corpus(work.folder / split, documents, tokenizer)
            work.report(f"{split}: {len(corpus.sources)} documents, {len(corpus.tokens)} tokens")


def gather_documents(
    packages: Sequence[str],
    files: Sequence[str],
    folder: Path,
    most_characters: int,
    fields: Fields | None = None,
    languages: Sequence[str] = ("english",),
) -> Iterator[Document]:
    """`folder` keeps downloaded packages; `fields` are those of records in files."""
    download(list(packages), folder)
    for package in packages:
        yield from package_documents(package, folder, most_characters, languages)
    for file in files:
        yield from read_documents(Path(file), fields=fields)
