"""What programs of OpenAI's library for agents share: this service's model behind both of the library's APIs, and a function to call."""

import only_here  # noqa: I001 before the libraries

import openai
from agents import OpenAIChatCompletionsModel, OpenAIResponsesModel, function_tool, set_tracing_disabled
from only_here import Trip

set_tracing_disabled(True)
client = openai.AsyncOpenAI(base_url=only_here.base_url, api_key=only_here.key, max_retries=0)
chats = OpenAIChatCompletionsModel(model=only_here.model, openai_client=client)
responses = OpenAIResponsesModel(model=only_here.model, openai_client=client)


@function_tool
def weather(trip: Trip) -> str:
    """Tells the weather of a city."""
    return f"{trip.days} degrees in {trip.city}"
