"""An agent of OpenAI's library over a model that does what its test says: it calls a function, reads what that gave, and answers."""

import only_here  # noqa: I001 before the libraries
import asyncio

import openai
from agents import (
    Agent,
    Model,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from only_here import Trip, report

set_tracing_disabled(True)
client = openai.AsyncOpenAI(base_url=only_here.base_url, api_key=only_here.key, max_retries=0)


@function_tool
def weather(trip: Trip) -> str:
    """Tells the weather of a city."""
    return f"{trip.days} degrees in {trip.city}"


async def use(model: Model, previous: bool = False) -> dict[str, object]:
    agent = Agent(name="Traveller", instructions="Be brief.", model=model, model_settings=ModelSettings(temperature=0), tools=[weather])
    whole = await Runner.run(agent, "How warm is it?", auto_previous_response_id=previous)
    streamed = Runner.run_streamed(agent, "How warm is it?", auto_previous_response_id=previous)
    kinds = [event.item.type async for event in streamed.stream_events() if event.type == "run_item_stream_event"]
    gave = [item.output for item in whole.new_items if item.type == "tool_call_output_item"]
    return {"answer": whole.final_output, "streamed": streamed.final_output, "kinds": kinds, "gave": gave}


async def main() -> None:
    chats = await use(OpenAIChatCompletionsModel(model=only_here.model, openai_client=client))
    responses = await use(OpenAIResponsesModel(model=only_here.model, openai_client=client))
    kept = await use(OpenAIResponsesModel(model=only_here.model, openai_client=client), previous=True)
    report(chats=chats, responses=responses, kept=kept)


asyncio.run(main())
