"""Every field of a tokenizer's files is honoured as `tokenizers` does or refused by name; the TypeScript reader has the same verdicts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.fast_tokenizer import text_tokenizer
from spikingbrain.checkpoint.gguf_tokenizer import tokenizer_from_metadata
from spikingbrain.checkpoint.tokenizer import read_tokenizer
from spikingbrain.export.tokenizer_metadata import add_tokenizer
from support.checkpoint_models import write_json
from support.tokenizer_cases import TABLE, file_of, settings_of
from tokenizers import Tokenizer as FastTokenizer

SERVED = [case for case in TABLE["cases"] if "ids" in case]
REFUSED = [case for case in TABLE["cases"] if "message" in case]
VOCABULARY = 300


def _write(folder: Path, case: dict[str, Any]) -> None:
    write_json(folder / "tokenizer.json", file_of(TABLE, case))
    write_json(folder / "tokenizer_config.json", settings_of(TABLE, case))


def test_the_table_has_both_verdicts_for_each_section() -> None:
    assert (len(SERVED) >= 20, len(REFUSED) >= 60, len(SERVED) + len(REFUSED)) == (True, True, len(TABLE["cases"]))


@pytest.mark.parametrize("case", SERVED, ids=[case["name"] for case in SERVED])
def test_what_is_served_is_what_tokenizers_makes(tmp_path: Path, case: dict[str, Any]) -> None:
    _write(tmp_path, case)
    oracle, texts = FastTokenizer.from_str(json.dumps(file_of(TABLE, case))), TABLE["texts"]
    tokenizer = read_tokenizer(tmp_path, VOCABULARY)
    for fast in (oracle, text_tokenizer(tokenizer)):
        for as_text, expected in ((True, case["ids"]), (False, case["withSpecial"])):
            fast.encode_special_tokens = as_text
            encoded = [fast.encode(text, add_special_tokens=False).ids for text in texts]
            assert encoded == expected
        assert [fast.decode(ids, skip_special_tokens=False) for ids in case["withSpecial"]] == case["decoded"]
    assert (tokenizer.bos if tokenizer.add_bos else None) == case["first"]
    # A token that the post-processor, not the settings, puts in front is in what the oracle itself makes.
    if "post_processor" in case["set"]:
        before = [] if case["first"] is None else [case["first"]]
        assert [oracle.encode(text).ids for text in texts] == [[*before, *ids] for ids in case["withSpecial"]]


@pytest.mark.parametrize("case", REFUSED, ids=[case["name"] for case in REFUSED])
def test_what_is_not_served_is_refused_by_name(tmp_path: Path, case: dict[str, Any]) -> None:
    _write(tmp_path, case)
    with pytest.raises(CheckpointError) as refusal:
        read_tokenizer(tmp_path, VOCABULARY)
    assert str(refusal.value) == case["message"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ignore_merges": True}, "model.ignore_merges must be false for a GGUF, which has no key for it; it is true"),
        ({"normalized": frozenset({262})}, "added token '<s>'.normalized must be false for a GGUF; it is true"),
    ],
)
def test_what_gguf_cannot_say_is_not_dropped_on_export(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    _write(tmp_path, SERVED[0])
    with pytest.raises(CheckpointError, match=message):
        add_tokenizer(GGUFWriter(tmp_path / "x.gguf", "test"), replace(read_tokenizer(tmp_path, VOCABULARY), **changes))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("add_eos_token", "tokenizer.ggml.add_eos_token must be absent or false; it is True"),
        ("add_space_prefix", "tokenizer.ggml.add_space_prefix must be absent or false; it is True"),
        ("remove_extra_whitespaces", "tokenizer.ggml.remove_extra_whitespaces must be absent or false; it is True"),
        ("add_bos_token", "tokenizer.ggml.add_bos_token must be false without tokenizer.ggml.bos_token_id; it is True"),
    ],
)
def test_what_a_gguf_asks_for_is_not_dropped(key: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        tokenizer_from_metadata({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", f"tokenizer.ggml.{key}": True})
