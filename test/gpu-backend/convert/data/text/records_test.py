"""Records of JSON lines and parquet: fields by setting, one batch in memory, and what is said where parquet cannot be read."""

import gzip
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from spikingbrain.convert.data.corpus import write_corpus
from spikingbrain.convert.data.gather import gather_documents
from spikingbrain.convert.data.text.documents import Document, Fields, read_documents
from spikingbrain.convert.data.text.records import read_records
from spikingbrain.convert.data.token_file import TokenFile
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.rules import ConfigError
from support.checkpoint_models import write_tokenizer

ROWS = [{"content": f"text {number}", "url": f"site {number % 3}", "score": number} for number in range(600)]
EXPECTED = [Document(f"site {number % 3}", f"text {number}") for number in range(600)]
FIELDS = Fields(text="content", source="url")


def write_rows(path: Path) -> Path:
    """In a few row groups, or a line each."""
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=250)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in ROWS)
        path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.jsonl.gz"])
def test_fields_are_read_by_the_names_they_are_given(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / name)
    assert list(read_documents(path, fields=FIELDS)) == EXPECTED
    assert list(gather_documents([], [str(tmp_path)], tmp_path / "packages", 0, FIELDS)) == EXPECTED
    without_source = list(read_documents(path, fields=Fields(text="content")))
    assert {document.source for document in without_source} == {name}
    with pytest.raises(ConfigError, match=rf"{name} (row|line) 1: score must be a string; it is 0"):
        list(read_documents(path, fields=Fields(text="score")))
    with pytest.raises(ConfigError, match=rf"{name} (row|line) 1: text must be a string; it is None"):
        list(read_documents(path))


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_rows(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"a\.parquet must be readable: .*'pyarrow', .* extra 'parquet' of gpu-backend/pyproject\.toml"):
        list(read_documents(path))
    assert list(read_documents(write_rows(tmp_path / "a.jsonl"), fields=FIELDS)) == EXPECTED


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.txt.gz"])
@pytest.mark.parametrize("spoilt", [lambda whole: whole[:-20], lambda whole: b"text", lambda whole: whole[:40] + b"spoilt" + whole[46:]])
def test_a_spoilt_gzip_file_is_named(tmp_path: Path, name: str, spoilt: Callable[[bytes], bytes]) -> None:
    lines = "".join(json.dumps({"text": f"text {number}"}) + "\n" for number in range(300))
    (tmp_path / name).write_bytes(spoilt(gzip.compress(lines.encode())))
    with pytest.raises(ConfigError, match=rf"{name} must be a whole gzip file"):
        list(read_documents(tmp_path / name))


def test_nested_values_come_as_they_are(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "you"}]}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert [record.fields for record in read_records(tmp_path / "a.parquet", ["messages"])] == rows


def test_a_long_text_comes_in_parts_of_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"line {number} of a long text" for number in range(400)]
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr("spikingbrain.convert.data.text.documents.PART_CHARACTERS", 1_000)
    parts = [document.text for document in read_documents(tmp_path / "a.txt")]
    assert len(parts) > 5
    assert max(map(len, parts)) <= 2_000
    assert "\n".join(parts).split("\n") == lines


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.txt"])
def test_a_huge_file_is_never_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("spikingbrain.convert.data.text.documents.PART_CHARACTERS", 10_000)
    line = json.dumps({"text": "hello the hello " * 60}) + "\n"
    content = (line * 4_000).encode()
    (tmp_path / name).write_bytes(gzip.compress(content, 1) if name.endswith("gz") else content)
    tracemalloc.start()
    characters = sum(len(document.text) for document in read_documents(tmp_path / name))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert characters > 3_600_000
    assert peak < len(content) / 10


def test_a_corpus_is_the_same_however_many_documents_are_encoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "teacher").mkdir()
    write_tokenizer(tmp_path / "teacher")
    tokenizer = open_vocabulary(tmp_path / "teacher", 288)
    documents = [Document(f"s{number}", "hello " * number) for number in range(7)]
    whole = write_corpus(tmp_path / "whole", documents, tokenizer)
    monkeypatch.setattr("spikingbrain.convert.data.corpus.BATCH", 2)
    parts = write_corpus(tmp_path / "parts", iter(documents), tokenizer)
    assert parts.starts == whole.starts == [0, 0, *np.cumsum([len(whole.document(index)) for index in range(1, 7)])]
    assert parts.tokens.tolist() == whole.tokens.tolist()
    assert (tmp_path / "whole.npy").read_bytes() == (tmp_path / "parts.npy").read_bytes()


def test_a_token_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "tokens.npy"
    with pytest.raises(RuntimeError), TokenFile(path, np.uint32) as file:
        file.append([1, 2])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with TokenFile(path, np.uint32) as file:
        for start in range(0, 100_000, 1_000):
            file.append(np.arange(start, start + 1_000))
        assert not path.exists()
    assert np.array_equal(np.load(path, mmap_mode="r"), np.arange(100_000))
