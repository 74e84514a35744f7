"""Asks what the compliance test of Open Responses asks, by the names of its cases, and holds what comes to the document's types.

Its cases that are here: basic-response, streaming-response, system-prompt, tool-calling, tool-calling-streaming, multi-turn; image-input is
refused by name, as no model here sees. `open_responses.py URL MODEL` asks a small model, which must be told to be brief and to call.
`open_responses.py URL MODEL alone` asks with the fields that the compliance test sends and no others, of a model that does what its
test says.
"""

import only_here  # noqa: I001 before the libraries
import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import openresponses_types as types
from only_here import report

Json = dict[str, Any]
client = httpx.Client(base_url=only_here.base_url, timeout=300, headers={"authorization": f"Bearer {only_here.key}"})


def said(role: str, content: object) -> Json:
    return {"type": "message", "role": role, "content": content}


alone = sys.argv[3:] == ["alone"]
place: Json = {"type": "string"} if alone else {"enum": ["San Francisco, CA", "Rome"]}
weather = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {"type": "object", "properties": {"location": place}, "required": ["location"]},
}
called: Json = {} if alone else {"tool_choice": "required", "stop": []}
calling = {"input": [said("user", "What is the weather in San Francisco?")], "tools": [weather], **called}
turns = [said("user", "My name is Ann."), said("assistant", "Hello Ann! How can I help you?"), said("user", "What is my name?")]
# What a small model says at length ends at its first sentence.
brief: Json = {"temperature": 0, "max_output_tokens": 200, "stop": [".", "!", "?", "\n"], "parallel_tool_calls": False}
asked: Json = {"model": only_here.model} | ({} if alone else brief)


def events(body: Json) -> Iterator[Json]:
    """Those of a stream, each held to the type that the document has under its name."""
    with client.stream("POST", "/responses", json=asked | body | {"stream": True}) as response:
        response.raise_for_status()
        name = None
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            if not line.startswith("data: "):
                continue
            event = json.loads(line.removeprefix("data: "))
            words = event["type"].replace(".", "_").split("_")
            getattr(types, "".join(word.capitalize() for word in words) + "StreamingEvent").model_validate(event)
            if name != event["type"]:
                raise ValueError(f"{name} is the event's name, and {event['type']} its type")
            yield event


def whole(body: Json) -> list[str]:
    response = client.post("/responses", json=asked | body | {"stream": False})
    response.raise_for_status()
    return found(response.json())


def found(response: Json) -> list[str]:
    """How it ended and what it holds, held to the document's type."""
    types.ResponseResource.model_validate(response)
    return [response["status"], *(item["type"] for item in response["output"])]


def streamed(body: Json) -> Json:
    told = list(events(body))
    kinds = [event["type"] for event in told]
    deltas = "".join(event["delta"] for event in told if event["type"].endswith(".delta"))
    made = [event["item"]["type"] for event in told if event["type"].startswith("response.output_item.")]
    ends = [event for event in told if event["type"].endswith(("text.done", "arguments.done"))]
    return {
        "final": found(told[-1]["response"]),
        "items": made,
        "kinds": [kind for at, kind in enumerate(kinds) if kinds[at - 1] != kind],
        "numbered": [event["sequence_number"] for event in told] == list(range(len(told))),
        "deltas": [deltas] == [event["arguments" if "arguments" in event else "text"] for event in ends],
    }


picture = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]
refused = client.post("/responses", json=asked | {"input": [said("user", picture)]})

report(
    basic_response=whole({"input": [said("user", "Say hello in exactly 3 words.")]}),
    streaming_response=streamed({"input": [said("user", "Say hello in exactly 3 words.")]}),
    system_prompt=whole({"input": [said("system", "You are a pirate."), said("user", "Say hello.")]}),
    tool_calling=whole(calling),
    tool_calling_streaming=streamed(calling),
    multi_turn=whole({"input": turns}),
    image_input=[refused.status_code, refused.json()["error"]["param"]],
)
