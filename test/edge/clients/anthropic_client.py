"""Uses the service through Anthropic's own Python client, changed in nothing but its base URL."""

import only_here  # noqa: I001 before the libraries
import asyncio

import anthropic
from anthropic import beta_tool
from only_here import Trip, fits, report

client = anthropic.Anthropic(base_url=only_here.url, api_key=only_here.key, max_retries=0)
# Its newest version has no sampling fields of its own.
hello = {
    "model": only_here.model,
    "max_tokens": 12,
    "extra_body": {"temperature": 0},
    "messages": [{"role": "user", "content": "Say hello."}],
}


def text(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


whole = client.messages.create(**hello)
with client.messages.stream(**hello) as stream:
    streamed = "".join(stream.text_stream)
    final = stream.get_final_message()
kinds = [event.type for event in client.messages.create(stream=True, **hello)]
counted = client.messages.count_tokens(model=only_here.model, messages=hello["messages"])


async def ask_later() -> str:
    async with anthropic.AsyncAnthropic(base_url=only_here.url, api_key=only_here.key, max_retries=0) as later:
        return text(await later.messages.create(**hello))


given: list[object] = []


@beta_tool
def weather(city: str, days: int) -> str:
    """Tells the weather of a city.

    Args:
        city: Which city.
        days: In how many days.
    """
    given.append([city, days])
    return f"{days} degrees in {city}"


asked = hello | {"max_tokens": 200, "messages": [{"role": "user", "content": "How warm will it be in Oslo tomorrow?"}]}
runner = client.beta.messages.tool_runner(
    tools=[weather],
    tool_choice={"type": "tool", "name": "weather"},
    max_iterations=2,
    **asked,
)
steps = [message.stop_reason for message in runner]
tool = {"name": "weather", "description": "Tells the weather.", "input_schema": Trip.model_json_schema()}
choice = {"type": "any", "disable_parallel_tool_use": True}
called = client.messages.create(tools=[tool], tool_choice=choice, **asked)
with client.messages.stream(tools=[tool], tool_choice=choice, **asked) as stream:
    parts = [event.partial_json for event in stream if event.type == "input_json"]
    streamed_call = stream.get_final_message()
parsed = client.messages.parse(output_format=Trip, **asked)

errors: dict[str, list[object]] = {}
thinking = {"type": "enabled", "budget_tokens": 1024}
changes: dict[str, dict[str, object]] = {"model": {"model": "claude-none"}, "thinking": {"thinking": thinking}}
for name, change in changes.items():
    try:
        client.messages.create(**(hello | change))
    except anthropic.APIStatusError as error:
        errors[name] = [type(error).__name__, error.status_code]

report(
    whole=text(whole),
    streamed=[streamed, text(final)],
    later=asyncio.run(ask_later()),
    kinds=[kinds[0], *kinds[-3:]],
    counted=counted.input_tokens == whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0),
    steps=steps,
    given=len(given),
    called=[(block.name, fits(block.input)) for block in called.content if block.type == "tool_use"],
    streamed_call=[block.input for block in streamed_call.content if block.type == "tool_use"]
    == [block.input for block in called.content if block.type == "tool_use"],
    parts=len(parts) > 0,
    parsed=fits(parsed.parsed_output),
    errors=errors,
)
