"""A checkpoint's chat template, and which parts of a conversation it renders are answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from spikingbrain.checkpoint.tokenizer import Tokenizer, TokenKind
from spikingbrain.rules import ConfigError

Message = Mapping[str, str]
"""`role` and `content`."""


USER = "<|im_start|>user\n"
"""What a user's turn begins with."""


@dataclass(frozen=True)
class Span:
    text: str
    is_answer: bool


class ChatTemplate:
    """Rendered as transformers does, without tools and without the day's date."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        if tokenizer.chat_template is None:
            raise ConfigError("teacher", "a checkpoint with a chat template", None)
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        named = {"bos_token": tokenizer.bos, "eos_token": tokenizer.eos, "pad_token": tokenizer.padding}
        self._tokens = {name: tokenizer.tokens[token] for name, token in named.items() if token is not None}
        kinds = zip(tokenizer.tokens, tokenizer.kinds, strict=True)
        self._control = [token for token, kind in kinds if kind == TokenKind.CONTROL]
        try:
            self._template = environment.from_string(tokenizer.chat_template)
        except TemplateError as error:
            raise ConfigError("teacher: chat_template", "a Jinja template", str(error)) from error

    def spans(self, messages: Sequence[Message], where: str) -> list[Span]:
        """The whole conversation in its order. An answer is what follows the prompt that a server would give the model, up to what ends the
        turn; white space behind that belongs to the next prompt. `where` is for errors."""
        for message in messages:
            if found := [token for token in self._control if token in message["content"]]:
                raise ConfigError(f"{where}: content", "without control tokens", found[0])
        done, spans = "", list[Span]()
        for index, message in enumerate(messages):
            if message["role"] == "assistant":
                asked = self._render(messages[:index], True, where)
                answer = self._following(asked, self._render(messages[: index + 1], False, where), where).rstrip()
                spans += [Span(self._following(done, asked, where), False), Span(answer, True)]
                done = asked + answer
        spans.append(Span(self._following(done, self._render(messages, False, where), where), False))
        return spans

    def opening(self) -> str:
        """What stands before a user's first message where a conversation has no other: the template's own system message, or nothing."""
        return self._render([{"role": "user", "content": "?"}], False, "chat_template").partition(USER)[0]

    def _render(self, messages: Sequence[Message], prompts: bool, where: str) -> str:
        try:
            return self._template.render(messages=messages, add_generation_prompt=prompts, **self._tokens)
        except TemplateError as error:
            raise ConfigError(where, "a conversation that the chat template takes", str(error)) from error

    @staticmethod
    def _following(beginning: str, whole: str, where: str) -> str:
        if not whole.startswith(beginning):
            raise ConfigError(f"{where}: chat_template", "one that continues a conversation without changing its beginning", whole[:80])
        return whole[len(beginning) :]


def _to_json(value: object, ensure_ascii: bool = False, indent: int | str | None = None, **options: Any) -> str:  # noqa: ANN401 (JSON's)
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _refuse(message: str) -> None:
    raise TemplateError(message)
