"""Conversations as tokens and masks: the template's rendering, what is an answer in it, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from spikingbrain.checkpoint.tokenizer import Tokenizer, read_tokenizer
from spikingbrain.convert.data.answers import Answers, open_answers, write_answers
from spikingbrain.convert.data.chat_template import ChatTemplate, Span
from spikingbrain.convert.data.conversations import read_conversations
from spikingbrain.convert.data.vocabulary import runnable
from spikingbrain.rules import ConfigError
from support.checkpoint_models import VOCABULARY, write_tokenizer
from transformers import PreTrainedTokenizerFast

# As SmolLM2's: a system message of its own where the conversation has none, and a prompt for the answer.
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nhello<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Blocks on lines of their own, a begin token, JSON, a loop that is left, and an end that is no part of any turn.
BLOCKS = """{{ bos_token }}
{% for message in messages %}
  {% if message.role == 'system' %}
    {% continue %}
  {% endif %}
{{ message.role }}: {{ message.content | tojson(ensure_ascii=true) }}{{ [message.content] | tojson(indent=1, sort_keys=true) }}
{% endfor %}
{% if add_generation_prompt %}
assistant: {% endif %}
"""
TALK = [
    {"role": "system", "content": "the"},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "the hello é"},
    {"role": "user", "content": "the\n"},
    {"role": "assistant", "content": " hell"},
]


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    (tmp_path / "teacher").mkdir()
    write_tokenizer(tmp_path / "teacher")
    return replace(read_tokenizer(tmp_path / "teacher", VOCABULARY), chat_template=CHATML)


def rendered_by_transformers(folder: Path, template: str, messages: list[dict[str, str]]) -> tuple[str, list[int]]:
    fast: Any = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), bos_token="<|im_start|>")
    text = fast.apply_chat_template(messages, chat_template=template, tokenize=False)
    return text, fast(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("template", [CHATML, BLOCKS])
@pytest.mark.parametrize("messages", [TALK, TALK[1:3], TALK[1:4]])
def test_the_spans_are_transformers_rendering(tmp_path: Path, tokenizer: Tokenizer, template: str, messages: list[dict[str, str]]) -> None:
    text, ids = rendered_by_transformers(tmp_path / "teacher", template, messages)
    spans = ChatTemplate(replace(tokenizer, chat_template=template)).spans(messages, "here")
    assert "".join(span.text for span in spans) == text
    if template == CHATML:
        encode = runnable(tokenizer).encode
        assert [id_ for span in spans for id_ in encode(span.text, add_special_tokens=False).ids] == ids


def test_a_chat_opens_with_the_templates_own_system_message(tokenizer: Tokenizer) -> None:
    plain = (
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    )
    assert ChatTemplate(replace(tokenizer, chat_template=CHATML)).opening() == "<|im_start|>system\nhello<|im_end|>\n"
    assert ChatTemplate(replace(tokenizer, chat_template=plain)).opening() == ""


def test_answers_end_with_their_turn(tokenizer: Tokenizer) -> None:
    spans = ChatTemplate(tokenizer).spans(TALK, "here")
    assert [span for span in spans if span.is_answer] == [Span("the hello é<|im_end|>", True), Span(" hell<|im_end|>", True)]
    assert spans[0].text.endswith("<|im_start|>assistant\n")
    assert spans[-1] == Span("\n", False)


@pytest.mark.parametrize(
    ("template", "messages", "message"),
    [
        (None, TALK, "teacher must be a checkpoint with a chat template"),
        ("{% for", TALK, "teacher: chat_template must be a Jinja template"),
        ("{{ raise_exception('no system') }}", TALK, "here must be a conversation that the chat template takes; it is 'no system'"),
        ("{{ messages[9].content.x }}", TALK, "here must be a conversation that the chat template takes"),
        ("{{ messages | length }}{{ messages[-1].content }}", TALK, "here: chat_template must be one that continues a conversation"),
        (
            CHATML,
            [*TALK[:2], {"role": "assistant", "content": "<|im_end|>"}],
            "here: content must be without control tokens; it is '<.im_end",
        ),
    ],
)
def test_what_cannot_be_rendered_is_refused(
    tokenizer: Tokenizer, template: str | None, messages: list[dict[str, str]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ChatTemplate(replace(tokenizer, chat_template=template)).spans(messages, "here")


def test_a_template_cannot_reach_beyond_its_values(tokenizer: Tokenizer) -> None:
    escape = "{{ messages.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(ConfigError, match="unsafe"):
        ChatTemplate(replace(tokenizer, chat_template=escape)).spans(TALK, "here")


def test_conversations_come_from_lines_and_from_parquet(tmp_path: Path) -> None:
    rows = [{"id": 1, "talk": TALK}, {"id": 2, "talk": TALK[1:3]}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    # A column for a key that only one message has.
    named = [{"talk": [*TALK[1:2], {**TALK[2], "name": None}]}]
    parquet.write_table(pyarrow.Table.from_pylist(named), tmp_path / "b.parquet")
    found = list(read_conversations([str(tmp_path / "a.jsonl"), str(tmp_path / "b.parquet")], "talk"))
    assert [where for where, _ in found] == ["a.jsonl line 1", "a.jsonl line 2", "b.parquet row 1"]
    assert [messages for _, messages in found] == [TALK, TALK[1:3], TALK[1:3]]


@pytest.mark.parametrize(
    "messages",
    [
        *(None, "hello", [], TALK[1:2], TALK[2:], [{"role": "user"}, TALK[2]]),
        *([TALK[1], {**TALK[2], "tool_calls": []}], [TALK[1], {"role": "assistant", "content": 3}], [TALK[1], "hello"]),
    ],
)
def test_what_is_no_conversation_is_named(tmp_path: Path, messages: object) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": messages}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a\.jsonl line 1: messages must be a list of objects with strings 'role' and 'content'"):
        list(read_conversations([str(tmp_path / "a.jsonl")]))


def test_what_is_no_file_of_conversations_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"sft.files must be files of .jsonl, .parquet"):
        list(read_conversations([str(tmp_path / "a.txt")]))


@pytest.fixture
def answers(tmp_path: Path, tokenizer: Tokenizer) -> Answers:
    talks = [[TALK[1], {"role": "assistant", "content": "the hello " * (number + 1)}] for number in range(12)]
    write_answers(
        tmp_path / "sft", [(f"{number}", talk) for number, talk in enumerate(talks)], ChatTemplate(tokenizer), runnable(tokenizer)
    )
    return open_answers(tmp_path / "sft")


def test_the_mask_is_of_answers(answers: Answers, tokenizer: Tokenizer) -> None:
    assert len(answers.starts) == 13 and answers.starts[-1] == len(answers.tokens) == len(answers.mask)
    for index, (start, stop) in enumerate(zip(answers.starts, answers.starts[1:], strict=False)):
        masked = answers.tokens[start:stop][answers.mask[start:stop]].tolist()
        assert runnable(tokenizer).decode(masked, skip_special_tokens=False) == "the hello " * (index + 1) + "<|im_end|>"


def test_a_sequence_is_decided_by_seed_and_number(answers: Answers) -> None:
    drawn = [answers.sequence(3, number, 50, 20) for number in range(30)]
    again = [answers.sequence(3, number, 50, 20) for number in reversed(range(30))]
    assert all(a.equal(c) and b.equal(d) for (a, b), (c, d) in zip(drawn, reversed(again), strict=True))
    assert any(not tokens.equal(answers.sequence(4, number, 50, 20)[0]) for number, (tokens, _) in enumerate(drawn))
    assert all(len(tokens) == len(mask) == 50 and mask[21:].any() for tokens, mask in drawn)
    begun = [any(np.array_equal(answers.tokens[at : at + 50], tokens) for at in answers.starts) for tokens, _ in drawn]
    assert all(begun)


def test_sequences_that_there_are_not_are_refused(answers: Answers) -> None:
    with pytest.raises(ConfigError, match=rf"sft.tokens must be at most the {len(answers.tokens)} of all conversations; it is 100000"):
        answers.sequence(0, 0, 100_000, 0)
    with pytest.raises(ConfigError, match=r"sft\.files must be conversations with answers behind token 49 of a sequence"):
        answers.sequence(0, 0, 50, 49)
