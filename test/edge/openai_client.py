"""Uses the service through OpenAI's Python client and prints what came back as one JSON object."""

import json
import sys

import openai

base_url, model = sys.argv[1:3]
client = openai.OpenAI(base_url=base_url, api_key="sk-any", max_retries=0)
messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]


def counted(usage: openai.types.CompletionUsage | None) -> list[int] | None:
    """Without the cached tokens: the second of two requests may find what the first has left."""
    return None if usage is None else [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]


whole = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=12, seed=1)
streamed = ""
usage = None
for chunk in client.chat.completions.create(
    model=model, messages=messages, temperature=0, max_tokens=12, seed=1, stream=True, stream_options={"include_usage": True}
):
    usage = chunk.usage or usage
    for choice in chunk.choices:
        streamed += choice.delta.content or ""

scored = client.completions.create(model=model, prompt="Grass is green.", echo=True, logprobs=1, max_tokens=0).choices[0]
logprobs = scored.logprobs

errors: dict[str, tuple[int, str | None]] = {}
try:
    client.chat.completions.create(model="gpt-none", messages=messages)
except openai.APIStatusError as error:
    errors[type(error).__name__] = (error.status_code, error.code)
try:
    client.chat.completions.create(model=model, messages=messages, response_format={"type": "json_object"})
except openai.APIStatusError as error:
    errors[type(error).__name__] = (error.status_code, error.code)

print(
    json.dumps(
        {
            "whole": whole.choices[0].message.content,
            "streamed": streamed,
            "usage_agrees": counted(usage) == counted(whole.usage),
            "finish_reason": whole.choices[0].finish_reason,
            "models": [entry.id for entry in client.models.list()],
            "echo_tokens": "".join(logprobs.tokens or []) if logprobs else None,
            "echo_text": scored.text,
            "first_logprob": (logprobs.token_logprobs or [0])[0] if logprobs else 0,
            "errors": errors,
        }
    )
)
