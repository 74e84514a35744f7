"""Where training text comes from."""

import gzip
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from spikingbrain.convert.data.batches import Mix
from spikingbrain.convert.data.corpus import Corpus, open_corpus, write_corpus
from spikingbrain.convert.data.questions import HELD_OUT, TRAINING, of_kinds
from spikingbrain.convert.data.text.debian import package_documents
from spikingbrain.convert.data.text.documents import Document, is_chinese, is_english, read_documents
from spikingbrain.convert.data.text.html_text import text_of_html
from spikingbrain.convert.data.vocabulary import open_vocabulary
from spikingbrain.rules import ConfigError
from support.checkpoint_models import write_tokenizer

PROSE = "The state of a window is what it sees, and it is small: the sums of all that has left it are for the layers to read. " * 8

CHINESE = "窗口之外的词元由状态记住,它的大小不变。apt 命令" * 40


def test_a_page_becomes_its_text() -> None:
    page = "<head><title>no</title></head><nav>menu</nav><h1>One &amp; two</h1><p>a  <b>b</b>\n\n c<br>d</p><script>x()</script>"
    assert text_of_html(page) == "One & two\n\na b\n\nc\nd"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"hello  there\r\n\n\n\nyou"),
        ("a.rst.gz", gzip.compress(b"hello there\n\nyou", mtime=0)),
        ("a.html", b"<p>hello <i>there</i></p><p>you</p>"),
        ("a.jsonl", json.dumps({"text": "hello there\n\nyou", "source": "a"}).encode()),
        ("a.jsonl.gz", gzip.compress(json.dumps({"text": "hello there\n\nyou"}).encode(), mtime=0)),
    ],
)
def test_documents_of_every_kind(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "picture.png").write_bytes(b"none")
    assert list(read_documents(tmp_path, "a")) == [Document("a", "hello there\n\nyou")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", "", "data.files must be a folder or a file of .html"),
        ("a.jsonl", '{"text": "x"}\n{"txt": "y"}', "a.jsonl line 2: text must be a string; it is None"),
        ("a.jsonl", '{"text": 3}', "a.jsonl line 1: text must be a string; it is 3"),
        ("a.jsonl", "{", "a.jsonl line 1 must be a JSON object"),
        ("a.jsonl", '"text"', "a.jsonl line 1 must be a JSON object"),
        ("a.parquet", "text", "a.parquet must be a parquet file"),
    ],
)
def test_what_is_no_document_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        list(read_documents(tmp_path / name))


def test_only_english_prose_is_taken() -> None:
    assert is_english(PROSE)
    assert not is_english("Der Zustand eines Fensters ist, was es sieht, und er ist klein. " * 20)
    assert not is_english("0x1f 0x20 eax ebx mov push pop ret " * 40)
    assert is_chinese(CHINESE) and not is_english(CHINESE) and not is_chinese(PROSE)


def test_a_packages_documents_are_unpacked_once_each(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: some-doc\nVersion: 1\nArchitecture: all\nMaintainer: no one <a@b.c>\nDescription: d\n"
    )
    doc = tree / "usr/share/doc/some-doc"
    (doc / "de").mkdir(parents=True)
    (doc / "zh_CN").mkdir()
    (doc / "zh_CN" / "a.txt").write_text(CHINESE, encoding="utf-8")
    (doc / "a.txt").write_text(PROSE)
    (doc / "b.txt").write_text(PROSE)
    (doc / "c.txt").write_text(f"{PROSE}more")
    (doc / "de" / "d.txt").write_text(f"{PROSE} german")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, tmp_path / "some-doc_1_all.deb"], check=True, capture_output=True)
    found = list(package_documents("some-doc", tmp_path, 10_000))
    assert [(document.source, document.text) for document in found] == [("some-doc", PROSE.strip()), ("some-doc", f"{PROSE}more")]
    assert len(list(package_documents("some-doc", tmp_path, len(PROSE) + 10))) == 1
    both = [document.text for document in package_documents("some-doc", tmp_path, 10_000, ["english", "chinese"])]
    assert both == [PROSE.strip(), f"{PROSE}more", CHINESE]
    with pytest.raises(ConfigError, match=r"data\.languages must be one of \['english', 'chinese'\]; it is 'german'"):
        list(package_documents("some-doc", tmp_path, 10_000, ["german"]))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    (tmp_path / "teacher").mkdir()
    write_tokenizer(tmp_path / "teacher")
    tokenizer = open_vocabulary(tmp_path / "teacher", 288)
    texts = ["hello the hello", "the", "hello " * 50, "the the"]
    write_corpus(tmp_path / "train", [Document(f"s{index}", text) for index, text in enumerate(texts)], tokenizer)
    corpus = open_corpus(tmp_path / "train")
    assert tokenizer.decode(corpus.document(0).tolist()) == "hello the hello"
    return corpus


def test_a_corpus_keeps_its_documents_apart(corpus: Corpus) -> None:
    assert corpus.sources == ["s0", "s1", "s2", "s3"]
    assert corpus.longer_than(20) == [2]
    assert corpus.run_from(1, 2).tolist() == [*corpus.document(1), *corpus.document(2)][:2]


def test_a_sequence_is_decided_by_seed_and_number(corpus: Corpus) -> None:
    chats = np.arange(40, dtype=np.uint32).reshape(2, 20)
    mix = Mix(corpus, chats, chat_share=0.5, seed=3)
    drawn = [mix.sequence(number, 15) for number in range(40)]
    again = [mix.sequence(number, 15) for number in reversed(range(40))]
    assert all(one.tokens.equal(other.tokens) for one, other in zip(drawn, reversed(again), strict=True))
    assert {one.kind for one in drawn} == {"chat", "document"}
    assert all(len(one.tokens) == 15 for one in drawn)
    other = Mix(corpus, chats, chat_share=0.5, seed=4)
    assert any(not one.tokens.equal(other.sequence(number, 15).tokens) for number, one in enumerate(drawn))


def test_held_out_chats_are_about_other_things() -> None:
    assert TRAINING.keys() == HELD_OUT.keys() == {"english", "chinese", "code"}
    for kind, questions in TRAINING.items():
        assert not set(questions.topics) & set(HELD_OUT[kind].topics)
    assert of_kinds(TRAINING, ["code", "english"]) == [TRAINING["code"], TRAINING["english"]]
    with pytest.raises(ConfigError, match=r"data\.chat_kinds must be one of \['english', 'chinese', 'code'\]; it is 'french'"):
        of_kinds(TRAINING, ["french"])
