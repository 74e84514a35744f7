"""Uses the service through OpenAI's library for agents: one whose tool is called by force, over chats and over responses."""

import only_here  # noqa: F401, I001 before the libraries
import asyncio

from agents_here import chats, responses, weather
from agents import Agent, AgentOutputSchema, Model, ModelSettings, Runner
from only_here import Trip, fits, report


async def use(model: Model) -> dict[str, object]:
    settings = ModelSettings(temperature=0, max_tokens=120, tool_choice="weather", parallel_tool_calls=False)
    agent = Agent(
        name="Traveller",
        instructions="Say how warm it is.",
        model=model,
        model_settings=settings,
        tools=[weather],
        tool_use_behavior="stop_on_first_tool",
    )
    where = "How warm will it be in Oslo tomorrow?"
    whole = await Runner.run(agent, where)
    streamed = Runner.run_streamed(agent, where)
    kinds = [event.item.type async for event in streamed.stream_events() if event.type == "run_item_stream_event"]
    planner = Agent(
        name="Planner",
        model=model,
        model_settings=ModelSettings(temperature=0, max_tokens=120),
        output_type=AgentOutputSchema(Trip),
    )
    planned = await Runner.run(planner, where)
    return {
        "whole": whole.final_output,
        "streamed": streamed.final_output == whole.final_output,
        "kinds": kinds,
        "planned": fits(planned.final_output),
    }


async def main() -> None:
    report(chats=await use(chats), responses=await use(responses))


asyncio.run(main())
