"""Text from Debian's documentation packages: what any Debian machine can fetch without an account (`apt-get download`)."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from spikingbrain.convert.data.text.documents import LANGUAGES, Document, read_documents
from spikingbrain.rules import require_choice

# Translations that packages carry beside the English text.
TRANSLATIONS = ("/de/", "/fr/", "/ja/", "/ru/", "/it/", "/es/", "/ko/", "pt-", "ar-MA", "da-DK", "/po/")
CHINESE = ("/zh", "zh_")
LEAST_CHARACTERS = 600


def download(packages: list[str], folder: Path) -> None:
    """Fetches those packages that are not in `folder` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in packages if not any(folder.glob(f"{name}_*.deb"))]
    if missing:
        subprocess.run(["apt-get", "download", *missing], cwd=folder, check=True)


def package_documents(package: str, folder: Path, most_characters: int, languages: Sequence[str] = ("english",)) -> Iterator[Document]:
    """Documents of one downloaded package in these languages, in the order of their paths, up to `most_characters` of text; each once."""
    for language in languages:
        require_choice("data.languages", language, list(LANGUAGES))
    written_in = [LANGUAGES[language] for language in languages]
    others = TRANSLATIONS if "chinese" in languages else (*TRANSLATIONS, *CHINESE)
    (archive,) = folder.glob(f"{package}_*.deb")
    seen: set[str] = set()
    total = 0
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
        for file in sorted(Path(unpacked).rglob("*")):
            name = str(file)
            if not file.is_file() or file.is_symlink() or any(part in name for part in others) or "genindex" in file.name:
                continue
            if file.suffix not in (".html", ".htm", ".xhtml", ".txt", ".rst", ".pod", ".gz") or file.name.endswith((".json.gz", ".js.gz")):
                continue
            if file.suffix == ".gz" and Path(file.stem).suffix not in (".txt", ".rst", ".html", ".pod"):
                continue
            for document in read_documents(file, package):
                text = document.text
                if len(text) < LEAST_CHARACTERS or text in seen or not any(speaks(text) for speaks in written_in):
                    continue
                seen.add(text)
                total += len(text)
                if total > most_characters:
                    return
                yield document
