"""Asks what the compliance test of Open Responses asks, by the names of its cases, and holds what comes to the document's types.

Its cases that are here: basic-response, streaming-response, system-prompt, tool-calling, tool-calling-streaming, multi-turn. A model that
is small calls a function only where it must, so that `tool_choice` says so. image-input is refused by name: no model here sees.
"""

import only_here  # noqa: I001 before the libraries
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openresponses_types as types
from only_here import report

Json = dict[str, Any]
client = httpx.Client(base_url=only_here.base_url, timeout=300, headers={"authorization": f"Bearer {only_here.key}"})


def said(role: str, content: object) -> Json:
    return {"type": "message", "role": role, "content": content}


weather = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {"type": "object", "properties": {"location": {"enum": ["San Francisco, CA", "Rome"]}}, "required": ["location"]},
}
calling = {"input": [said("user", "What is the weather in San Francisco?")], "tools": [weather], "tool_choice": "required", "stop": []}
turns = [said("user", "My name is Ann."), said("assistant", "Hello Ann! How can I help you?"), said("user", "What is my name?")]
# What a small model says at length ends at its first sentence.
brief = {"model": only_here.model, "temperature": 0, "max_output_tokens": 200, "stop": [".", "!", "?", "\n"], "parallel_tool_calls": False}


def events(body: Json) -> Iterator[Json]:
    """Those of a stream, each held to the type that the document has under its name."""
    with client.stream("POST", "/responses", json=brief | body | {"stream": True}) as response:
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
    answer = client.post("/responses", json=brief | body).json()
    types.ResponseResource.model_validate(answer)
    return [answer["status"], *(item["type"] for item in answer["output"])]


def streamed(body: Json) -> Json:
    told = list(events(body))
    kinds = [event["type"] for event in told]
    deltas = "".join(event["delta"] for event in told if event["type"].endswith(".delta"))
    ends = [event for event in told if event["type"].endswith(("text.done", "arguments.done"))]
    return {
        "kinds": [kind for at, kind in enumerate(kinds) if kinds[at - 1] != kind],
        "numbered": [event["sequence_number"] for event in told] == list(range(len(told))),
        "deltas": [deltas] == [event["arguments" if "arguments" in event else "text"] for event in ends],
    }


picture = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]
refused = client.post("/responses", json=brief | {"input": [said("user", picture)]})

report(
    basic_response=whole({"input": [said("user", "Say hello in exactly 3 words.")]}),
    streaming_response=streamed({"input": [said("user", "Say hello in exactly 3 words.")]}),
    system_prompt=whole({"input": [said("system", "You are a pirate."), said("user", "Say hello.")]}),
    tool_calling=whole(calling),
    tool_calling_streaming=streamed(calling),
    multi_turn=whole({"input": turns}),
    image_input=[refused.status_code, refused.json()["error"]["param"]],
)
