"""A tokenizer's files: both forms say the same, and what cannot be served is refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spikingbrain.checkpoint.errors import CheckpointError
from spikingbrain.checkpoint.tokenizer import TokenKind, read_tokenizer
from support.checkpoint_models import (
    ADDED,
    IDS,
    MERGES,
    SETTINGS,
    VOCABULARY,
    WORDS,
    tokenizer_json,
    write_json,
    write_slow_tokenizer,
    write_tokenizer,
)


def test_both_forms_are_one_tokenizer(tmp_path: Path) -> None:
    fast, slow = tmp_path / "fast", tmp_path / "slow"
    for folder, write in ((fast, write_tokenizer), (slow, write_slow_tokenizer)):
        folder.mkdir()
        write(folder)
    tokenizer = read_tokenizer(fast, VOCABULARY)
    assert read_tokenizer(slow, VOCABULARY) == tokenizer
    assert tokenizer.family == "qwen2"
    assert tokenizer.tokens[: len(IDS)] == [*WORDS, *ADDED]
    assert tokenizer.tokens[len(IDS) :] == [f"[PAD{id_}]" for id_ in range(len(IDS), VOCABULARY)]
    assert tokenizer.kinds[IDS["<|im_end|>"]] == TokenKind.CONTROL
    assert tokenizer.kinds[IDS["<tool_call>"]] == TokenKind.USER_DEFINED
    assert tokenizer.kinds[0] == TokenKind.NORMAL
    assert tokenizer.kinds[-1] == TokenKind.UNUSED
    assert tokenizer.merges == [" ".join(merge) for merge in MERGES]
    assert (tokenizer.bos, tokenizer.eos, tokenizer.end_of_turn) == (IDS["<|im_start|>"], IDS["<|endoftext|>"], IDS["<|im_end|>"])
    assert tokenizer.padding == IDS["<|endoftext|>"]
    assert tokenizer.chat_template == SETTINGS["chat_template"]
    assert not tokenizer.add_bos


def test_the_configs_ids_go_before_the_tokenizers_names(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    write_json(tmp_path / "config.json", {"bos_token_id": 5, "eos_token_id": [7, 8]})
    tokenizer = read_tokenizer(tmp_path, VOCABULARY)
    assert (tokenizer.bos, tokenizer.eos, tokenizer.padding) == (5, 7, IDS["<|endoftext|>"])
    write_json(tmp_path / "config.json", {"eos_token_id": VOCABULARY})
    with pytest.raises(CheckpointError, match=rf"eos_token_id must be an integer from 0 below {VOCABULARY}; it is {VOCABULARY}"):
        read_tokenizer(tmp_path, VOCABULARY)


def test_a_template_in_its_own_file(tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer.json", tokenizer_json())
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    tokenizer = read_tokenizer(tmp_path, VOCABULARY)
    assert (tokenizer.bos, tokenizer.eos, tokenizer.chat_template) == (None, None, "{{ messages }}")


def test_added_tokens_without_a_decoder(tmp_path: Path) -> None:
    write_slow_tokenizer(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", SETTINGS | {"additional_special_tokens": ["<|im_end|>"]})
    write_json(tmp_path / "added_tokens.json", {content: IDS[content] for content in ADDED})
    fast = tmp_path / "fast"
    fast.mkdir()
    write_tokenizer(fast)
    assert read_tokenizer(tmp_path, VOCABULARY) == read_tokenizer(fast, VOCABULARY)


def _model(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    return {"model": tokenizer_json()["model"] | changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (_model(merges=["h e l"]), r"tokenizer.json: merge 0 must be two tokens with a space between; it is 'h e l'"),
        (_model(vocab=["a"]), r"tokenizer.json: model.vocab must be an object of token ids"),
        (
            _model(vocab={"a": VOCABULARY}) | {"added_tokens": []},
            rf"token 'a' must have an id below the embedding's {VOCABULARY} rows; it is {VOCABULARY}",
        ),
        (_model(vocab={"a": 0, "b": 0}) | {"added_tokens": []}, r"id 0 must be one token; it is 'a' and 'b'"),
    ],
)
def test_refusals_of_tokenizer_json(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write_json(tmp_path / "tokenizer.json", tokenizer_json(**changes))
    with pytest.raises(CheckpointError, match=message):
        read_tokenizer(tmp_path, VOCABULARY)


def _no_file(folder: Path) -> None:
    (folder / "vocab.json").unlink()


def _bad_json(folder: Path) -> None:
    (folder / "vocab.json").write_text("{")


def _other_class(folder: Path) -> None:
    write_json(folder / "tokenizer_config.json", SETTINGS | {"tokenizer_class": "LlamaTokenizer"})


def _change_settings(folder: Path, **changes: object) -> None:
    path = folder / "tokenizer_config.json"
    write_json(path, json.loads(path.read_text()) | changes)


def _unknown_end(folder: Path) -> None:
    _change_settings(folder, eos_token="</s>")


def _template_list(folder: Path) -> None:
    _change_settings(folder, chat_template=[{"name": "rag", "template": ""}])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_no_file, r"has neither tokenizer.json nor vocab.json with merges.txt"),
        (_bad_json, r"vocab.json cannot be read as JSON"),
        (_other_class, r"tokenizer_class must be one of Qwen2Tokenizer, .*; it is 'LlamaTokenizer'"),
        (_unknown_end, r'eos_token must be in the vocabulary; it is "</s>"'),
        (_template_list, r"chat_template must be a string or have a 'default'"),
    ],
)
def test_refusals_of_files(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    write_slow_tokenizer(tmp_path)
    spoil(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        read_tokenizer(tmp_path, VOCABULARY)
