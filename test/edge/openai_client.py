"""Uses the service through OpenAI's Python client and prints what came back as one JSON object."""

import json
import sys
from typing import Literal

import openai
from pydantic import BaseModel, Field

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
    model=model,
    messages=messages,
    temperature=0,
    max_tokens=12,
    seed=1,
    stream=True,
    stream_options={"include_usage": True},
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
    client.chat.completions.create(model=model, messages=messages, web_search_options={})
except openai.APIStatusError as error:
    errors[type(error).__name__] = (error.status_code, error.code)

# The client's helper takes a response for whole only where it has ended by itself.
extra = {"seed": 1, "stop": [" ", "!", "."]}


def respond(text: str, previous: str | None = None) -> openai.types.responses.Response:
    """A response to a text, after another one where it is named."""
    return client.responses.create(
        model=model,
        input=text,
        temperature=0,
        max_output_tokens=12,
        previous_response_id=previous,
        extra_body=extra,
    )


response = respond("Say hello.")
with client.responses.stream(
    model=model,
    input="Say hello.",
    temperature=0,
    max_output_tokens=12,
    extra_body=extra,
) as events:
    numbers = [event.sequence_number for event in events]
    final = events.get_final_response()
parsed = client.responses.parse(
    model=model,
    input="Say hello.",
    temperature=0,
    max_output_tokens=12,
    extra_body=extra,
)
replayed = list(client.responses.retrieve(final.id, stream=True, starting_after=numbers[-3]))
followed = respond("And again.", final.id)
items = [item.type for item in client.responses.input_items.list(followed.id)]
client.responses.delete(followed.id)
try:
    client.responses.retrieve(followed.id)
except openai.APIStatusError as error:
    errors["deleted"] = (error.status_code, error.code)


class Trip(BaseModel):
    """A trip to a city."""

    city: Literal["Rome", "Oslo"]
    days: int = Field(ge=1, le=9)


# The client's own parsers make objects of what comes.
where = "How warm will it be in Oslo tomorrow?"
asked: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": where}]
parsed_chat = client.chat.completions.parse(model=model, messages=asked, temperature=0, max_tokens=80, response_format=Trip)
with client.chat.completions.stream(model=model, messages=asked, temperature=0, max_tokens=80, response_format=Trip) as chunks:
    streamed_trip = chunks.get_final_completion().choices[0].message.parsed
weather = openai.pydantic_function_tool(Trip, name="weather")
called = client.chat.completions.parse(
    model=model,
    messages=asked,
    temperature=0,
    max_tokens=80,
    tools=[weather],
    tool_choice="required",
    parallel_tool_calls=False,
)
call = (called.choices[0].message.tool_calls or [])[0]
held = client.responses.parse(model=model, input=where, temperature=0, max_output_tokens=80, text_format=Trip)
flat = openai.pydantic_function_tool(Trip, name="weather")["function"]
function: openai.types.responses.FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "parameters": flat.get("parameters"),
    "strict": True,
}
with client.responses.stream(
    model=model,
    input=where,
    temperature=0,
    max_output_tokens=80,
    tools=[function],
    tool_choice="required",
    parallel_tool_calls=False,
) as calling:
    arguments = "".join(event.delta for event in calling if event.type == "response.function_call_arguments.delta")

print(
    json.dumps(
        {
            "parsed": {
                "chat": isinstance(parsed_chat.choices[0].message.parsed, Trip),
                "streamed": streamed_trip == parsed_chat.choices[0].message.parsed,
                "call": [call.function.name, isinstance(call.function.parsed_arguments, Trip)],
                "responses": isinstance(held.output_parsed, Trip),
                "responses_call": Trip.model_validate_json(arguments) is not None,
            },
            "responses": {
                "whole": response.output_text,
                "status": response.status,
                "streamed": final.output_text,
                "parsed": parsed.output_text,
                "numbered": numbers == list(range(len(numbers))),
                "replayed": [event.sequence_number - numbers[-1] for event in replayed],
                "previous": followed.previous_response_id == final.id,
                "items": items,
            },
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
