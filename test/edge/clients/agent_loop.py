"""An agent of OpenAI's library over a model that does what its test says: it calls a function, reads what that gave, and answers."""

import only_here  # noqa: F401, I001 before the libraries
import asyncio

from agents_here import chats, responses, weather
from agents import Agent, Model, ModelSettings, Runner
from only_here import report


async def use(model: Model, previous: bool = False) -> dict[str, object]:
    agent = Agent(name="Traveller", instructions="Be brief.", model=model, model_settings=ModelSettings(temperature=0), tools=[weather])
    whole = await Runner.run(agent, "How warm is it?", auto_previous_response_id=previous)
    streamed = Runner.run_streamed(agent, "How warm is it?", auto_previous_response_id=previous)
    kinds = [event.item.type async for event in streamed.stream_events() if event.type == "run_item_stream_event"]
    gave = [item.output for item in whole.new_items if item.type == "tool_call_output_item"]
    return {"answer": whole.final_output, "streamed": streamed.final_output, "kinds": kinds, "gave": gave}


async def main() -> None:
    report(chats=await use(chats), responses=await use(responses), kept=await use(responses, previous=True))


asyncio.run(main())
